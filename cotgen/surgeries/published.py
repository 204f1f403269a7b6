"""The splits that the owners of data sets published, as surgeries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

from cotgen.records import SPLITS, Split
from cotgen.surgeries.identity import numbers, surgery_id


@dataclass(frozen=True, slots=True)
class PublishedSplit:
    """One published split.

    Attributes:
        source: the source whose owners or users published it.
        name: its name in `published.yaml`.
        aliases: other names of it.
        table: surgery -> split.
    """

    source: str
    name: str
    aliases: tuple[str, ...]
    table: Mapping[str, Split]


@cache
def _file() -> dict[str, Any]:
    text = (resources.files("cotgen.surgeries") / "published.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    return content


@cache
def published_splits() -> tuple[PublishedSplit, ...]:
    """All published splits, in the order of the file."""
    found = []
    for source, splits in _file()["splits"].items():
        for name, entry in splits.items():
            table: dict[str, Split] = {
                surgery_id(source, number): split for split in SPLITS for number in numbers(entry.get(split, []))
            }
            found.append(PublishedSplit(source, name, tuple(entry.get("aliases", ())), table))
    return tuple(found)


def published_split(source: str, name: str) -> PublishedSplit:
    """The split of that source with that name or alias. Raises KeyError where there is none."""
    for split in published_splits():
        if split.source == source and name in (split.name, *split.aliases):
            return split
    raise KeyError(f"{source}={name}")


def camma_combined_test() -> list[str]:
    """The 15 test surgeries of the combined split of arXiv 2507.05020."""
    return [surgery_id("cholec80", number) for number in _file()["camma_combined_test"]]
