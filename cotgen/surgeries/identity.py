"""Identity: one id for one operation, whatever data sets label it; and which sources share its clock."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources

import yaml
from pydantic import BaseModel, ConfigDict

from cotgen.errors import CotgenError


class Family(BaseModel):
    """Sources that share one number space.

    Attributes:
        sources: the sources whose numbers are those of the family.
        aligned: the sources whose labels share the family's clock, so that their facts can be joined.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: tuple[str, ...]
    aligned: tuple[str, ...]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    families: dict[str, Family]
    mapped: dict[str, dict[int, str]]


@cache
def _table() -> _Table:
    text = (resources.files("cotgen.surgeries") / "identity.yaml").read_text(encoding="utf-8")
    return _Table.model_validate(yaml.safe_load(text))


def family_of(source: str) -> str:
    """`cholect50` -> `cholec80`. Raises CotgenError for a source that the table does not hold."""
    for name, family in _table().families.items():
        if source in family.sources:
            return name
    known = sorted(source for family in _table().families.values() for source in family.sources)
    raise CotgenError(f"no surgery numbers are known for the source '{source}'; known are {', '.join(known)}")


def surgery_id(source: str, number: int) -> str:
    """The id of the operation that `source` numbers so.

    `cholect50`, 73 -> `cholec80/73`; `endoscapes`, 1 -> `cholec80/67`; `endoscapes`, 5 -> `endoscapes/5`.
    """
    mapped = _table().mapped.get(source, {}).get(number)
    if mapped:
        return mapped
    return f"{family_of(source)}/{number}"


def canonical(surgery: str) -> str:
    """The id without leading zeros: `cholec80/01` and `cholec80/1` are one surgery, so tables look it up by this."""
    family, _, number = surgery.partition("/")
    return f"{family}/{int(number)}" if number.isascii() and number.isdecimal() else surgery


def aligned(sources: Iterable[str]) -> bool:
    """Whether the labels of these sources share one clock; a single source always does."""
    names = set(sources)
    return len(names) <= 1 or any(names <= set(family.aligned) for family in _table().families.values())


def order_of(surgery: str) -> tuple[str, int, str]:
    """Sort key: by family, then by number as a number (`cholec80/92` before `cholec80/103`)."""
    family, _, number = surgery.partition("/")
    return (family, int(number) if number.isascii() and number.isdecimal() else -1, number)
