"""Selection: which pairs a run is shown, and how often, decided from the index before a shard is opened.

By default: the train split, chains that give a reason (view `cot`), each pair once an epoch. What is held back by a cap
or a temperature is not lost: the next epoch goes on where this one stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, get_args

import polars as pl

from cotgen.chains.render import VIEWS, View, in_view
from cotgen.errors import CotgenError
from cotgen.records import SPLITS, Split
from cotgen.records.pair import Support
from cotgen.shards.files import sha256_of
from cotgen.tasks import chosen_tasks

#: What pairs are counted by: their task; the sources of their frame, joined by "+"; their task and answer.
Group = Literal["task", "source", "class"]
GROUPS: tuple[Group, ...] = get_args(Group)
SUPPORTS: tuple[str, ...] = get_args(Support)

#: Where a temperature raises what is rare, no pair comes more often than this in an epoch.
MOST_REPEATS = 4


@dataclass(frozen=True, slots=True)
class Selection:
    """Filters, caps, temperature and curriculum.

    Attributes:
        view: what the pairs are rendered for. `cot` leaves out template chains that give no reason.
        splits: `train`, unless something else is named.
        tasks: names of tasks; () for all.
        sources: at least one of them says something of the frame; () for all.
        supports: how far the chain carries the answer; () for all that the view takes.
        asserted: whether view `cot` takes template chains that give no reason.
        suspects: whether pairs with a soft finding are taken: their labels contradict a clinical rule.
        caps: the most pairs of an epoch of each task, source or class.
        temperature: 1 leaves the sizes as they are; at T the groups `over` have shares as the T-th root of their
            sizes, so that a high one makes them equal. The number of rows stays, but that no pair comes more than
            four times in an epoch.
        over: the groups of the temperature.
        curriculum: from 0 (evenly mixed) to 1 (from easy to hard): how far the first epoch goes by difficulty.
        difficulty: a table (`.parquet` or `.jsonl`) of `name` (`key#id`) and `difficulty`, 0 easy to 1 hard; pairs that
            it does not name are left out, and where it has a column `kept`, those that it does not keep. Without one:
            how far the chain carries the answer, then how many items the answer has, then how many terms are labelled
            in the frame.
    """

    view: View = "cot"
    splits: tuple[Split, ...] = ("train",)
    tasks: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    supports: tuple[str, ...] = ()
    asserted: bool = False
    suspects: bool = True
    caps: Mapping[Group, int] = field(default_factory=dict)
    temperature: float = 1.0
    over: Group = "task"
    curriculum: float = 0.0
    difficulty: Path | None = None

    def __post_init__(self) -> None:
        """Raises CotgenError for a value that means nothing."""
        _known("view", [self.view], VIEWS)
        _known("split", self.splits, SPLITS)
        _known("support", self.supports, SUPPORTS)
        _known("group", [self.over, *self.caps], GROUPS)
        chosen_tasks(self.tasks)
        if not self.splits:
            raise CotgenError("no split is chosen; use train")
        if any(cap < 1 for cap in self.caps.values()):
            raise CotgenError("a cap below 1 leaves nothing; leave the cap out, or filter by task or source")
        if not self.temperature >= 1:
            raise CotgenError("a temperature is 1 (sizes as they are) or more (more equal)")
        if not 0 <= self.curriculum <= 1:
            raise CotgenError("a curriculum is a number from 0 (mixed) to 1 (from easy to hard)")

    def of(self, index: pl.LazyFrame) -> pl.LazyFrame:
        """The rows of an index that are shown at all. Raises polars' errors where the index cannot be read."""
        index = index.filter(pl.col("split").is_in(self.splits))
        for column, wanted in (("task", self.tasks), ("support", self.supports)):
            if wanted:
                index = index.filter(pl.col(column).is_in(wanted))
        if self.sources:
            index = index.filter(pl.col("sources").list.eval(pl.element().is_in(self.sources)).list.any())
        kinds = index.select("support", "writer").unique().collect()
        taken = kinds.filter([in_view(said, by, self.view, self.asserted) for said, by in kinds.iter_rows()])
        index = index.join(taken.lazy(), on=["support", "writer"], how="semi", maintain_order="left")
        if not self.suspects:
            index = index.filter(pl.col("findings").list.len() == 0)
        return index

    def difficulties(self) -> pl.LazyFrame | None:
        """key, id, difficulty of the table; None where none is given. Raises CotgenError where it cannot be read."""
        if self.difficulty is None:
            return None
        try:
            read = pl.read_parquet if self.difficulty.suffix == ".parquet" else pl.read_ndjson
            table = read(self.difficulty)
            if "kept" in table.columns:
                table = table.filter("kept")
            name = pl.col("name").str.split_exact("#", 1)
            return (
                table.lazy()
                .select(
                    name.struct.field("field_0").alias("key"),
                    name.struct.field("field_1").alias("id"),
                    pl.col("difficulty").cast(pl.Float64, strict=True),
                )
                .unique(subset=["key", "id"], keep="first", maintain_order=True)
                .collect()
                .lazy()
            )
        except (OSError, pl.exceptions.PolarsError) as error:
            raise CotgenError(
                f"{self.difficulty} is no table of difficulties; it needs the columns name (key#id) and difficulty "
                "(0 to 1), as .parquet or .jsonl"
            ) from error

    def config(self) -> dict[str, Any]:
        """All of it as plain values, to be compared when a run goes on; no paths."""
        return {
            "view": self.view,
            "splits": sorted(self.splits),
            "tasks": sorted(self.tasks),
            "sources": sorted(self.sources),
            "supports": sorted(self.supports),
            "asserted": self.asserted,
            "suspects": self.suspects,
            "caps": dict(sorted(self.caps.items())),
            "temperature": str(self.temperature),
            "over": self.over,
            "curriculum": str(self.curriculum),
            "difficulty": sha256_of(self.difficulty) if self.difficulty else "",
        }


def rows_per_cell(cells: Sequence[Mapping[Group, str]], sizes: Sequence[int], selection: Selection) -> list[Fraction]:
    """How many rows of an epoch each cell has, a cell being the pairs of one source, task and class.

    Args:
        cells: the groups of each cell.
        sizes: its pairs.
        selection: caps and temperature; the caps of classes come first, then those of sources and tasks.
    """
    rows = [Fraction(size) for size in sizes]
    for group in ("class", "source", "task"):
        cap = selection.caps.get(group)
        if cap is not None:
            names = [cell[group] for cell in cells]
            rows = [
                amount * min(Fraction(1), cap / total)
                for amount, total in zip(rows, _totals(names, rows), strict=True)
            ]
    if selection.temperature > 1:
        names = [cell[selection.over] for cell in cells]
        totals = dict(zip(names, _totals(names, rows), strict=True))
        roots = {name: _root(total, selection.temperature) for name, total in totals.items()}
        scale = sum(totals.values(), Fraction(0)) / sum(roots.values(), Fraction(0))
        raised = [amount * scale * roots[name] / totals[name] for name, amount in zip(names, rows, strict=True)]
        rows = [min(amount, Fraction(MOST_REPEATS * size)) for amount, size in zip(raised, sizes, strict=True)]
    return rows


def _totals(names: Sequence[str], rows: Sequence[Fraction]) -> list[Fraction]:
    """The sum of the group that each cell is in."""
    totals: dict[str, Fraction] = {}
    for name, amount in zip(names, rows, strict=True):
        totals[name] = totals.get(name, Fraction(0)) + amount
    return [totals[name] for name in names]


def _root(total: Fraction, temperature: float) -> Fraction:
    """The root as a fraction, by decimal arithmetic, which gives the same digits on every machine."""
    with localcontext() as context:
        context.prec = 30
        power = 1 / Decimal(temperature)
        return Fraction((Decimal(total.numerator) / Decimal(total.denominator)) ** power)


def _known(what: str, given: Sequence[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise CotgenError(f"'{name}' is no {what}; use one of {', '.join(known)}")
