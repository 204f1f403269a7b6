"""SplitPlan: the split of each surgery, looked up in versioned tables and never computed from what a build names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import yaml

from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.records import SPLITS, Split
from cotgen.surgeries.identity import candidates, canonical, order_of, surgery_id
from cotgen.surgeries.published import published_split, published_splits

CLEAN_1 = "clean/1"


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """One or more split tables that hold together.

    Attributes:
        name: the specs joined by `+`, aliases replaced by the names they stand for.
        tables: spec -> surgery -> split.
    """

    name: str
    tables: Mapping[str, Mapping[str, Split]]

    @classmethod
    def parse(cls, specs: Sequence[str]) -> SplitPlan:
        """From `["clean/1"]`, `["cholec80=camma_40_8_32"]`, `["cholec80=40_40", "cholect50=rdv"]` ...

        Raises:
            CotgenError: a split is not known, or a source is given two.
        """
        tables: dict[str, Mapping[str, Split]] = {}
        sources: list[str] = []
        for spec in specs or [CLEAN_1]:
            name, table = _table(spec)
            sources.append(spec.partition("=")[0])
            tables[name] = table
        if len(set(sources)) < len(sources):
            raise CotgenError(f"--split {' --split '.join(specs)} gives one source two splits; keep one of them")
        return cls("+".join(tables), tables)

    def of(self, surgery: str) -> Split | None:
        """The split of `cholec80/73`, or None where no table holds it, or a number may be operations of two splits.

        One's own surgeries, `table/...`, are in no table: they get theirs by name, unless their folder names one.

        Raises:
            CotgenError: the tables put it into two splits.
        """
        names = candidates(surgery)
        self.check(names)
        if not self.decides(surgery):
            return _of_table(names[0])
        found = {self._listed(name) for name in names}
        return found.pop() if len(found) == 1 else None

    def decides(self, surgery: str) -> bool:
        """Whether the tables alone give the split: not of one's own surgeries, whose folder may name another."""
        return not canonical(surgery).startswith("table/")

    def _listed(self, name: str) -> Split | None:
        return next((table[name] for table in self.tables.values() if name in table), None)

    def check(self, surgeries: Iterable[str] | None = None) -> None:
        """Refuse tables that put one of these surgeries (default: any) into two splits.

        Raises:
            CotgenError: names each such surgery with its splits.
        """
        every = surgeries if surgeries is not None else {name for table in self.tables.values() for name in table}
        clashes: dict[str, list[str]] = {}
        for surgery in sorted({canonical(surgery) for surgery in every}, key=order_of):
            found = {name: table[surgery] for name, table in self.tables.items() if surgery in table}
            if len(set(found.values())) > 1:
                how = ", ".join(f"{split} by {name}" for name, split in found.items())
                clashes.setdefault(how, []).append(surgery)
        if clashes:
            count = sum(len(surgeries) for surgeries in clashes.values())
            raise CotgenError(
                f"{self.name} puts {count} {'surgery' if count == 1 else 'surgeries'} into two splits: "
                f"{'; '.join(f'{how}: ' + ', '.join(surgeries) for how, surgeries in clashes.items())}. "
                f"Use --split {CLEAN_1}, which gives each surgery one split, or leave these surgeries out."
            )


def left_out_frames(surgery: str) -> range:
    """Frames of a clock that belong to no split: the official test frames of EndoVis 2017's train sequences.

    They follow their train frames directly in the same video, so they can be neither trained on nor tested on.
    """
    family, _, number = surgery.partition("/")
    return range(225, 300) if family == "endovis17" and number in {str(n) for n in range(1, 9)} else range(0)


def known_splits() -> list[str]:
    """What `--split` accepts, aliases last."""
    named = published_splits()
    return [
        CLEAN_1,
        *(f"{split.source}={split.name}" for split in named),
        *(f"{split.source}={alias}" for split in named for alias in split.aliases),
    ]


def _of_table(surgery: str) -> Split:
    """The split of one's own surgery where its mapping names none: 80, 10 and 10 of 100, by its name alone."""
    place = draw(0, CLEAN_1, surgery) % 10
    return "test" if place == 9 else "validation" if place == 8 else "train"


@cache
def _clean_1() -> dict[str, Split]:
    text = (resources.files("cotgen.surgeries") / "clean-1.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    return {
        surgery_id(family, number): split
        for split in SPLITS
        for family, members in content[split].items()
        for number in members
    }


def _table(spec: str) -> tuple[str, Mapping[str, Split]]:
    if spec == CLEAN_1:
        return CLEAN_1, _clean_1()
    source, _, name = spec.partition("=")
    try:
        split = published_split(source, name)
    except KeyError:
        raise CotgenError(f"no split '{spec}' is known; use one of {', '.join(known_splits())}") from None
    return f"{split.source}={split.name}", split.table
