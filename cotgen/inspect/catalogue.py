"""Catalogue: the index of a folder in memory, for a page that filters, counts and steps through it.

A row is a pair, in the order of `index.parquet`. Columns of few values are kept as numbers, so 300,000 pairs take some tens
of megabytes and a filter some milliseconds. No shard is opened here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.inspect.words import name_of
from cotgen.records import SPLITS
from cotgen.shards.index import INDEX, INDEX_SCHEMA, scan_index

Rows: TypeAlias = NDArray[np.uint32]
Mask: TypeAlias = NDArray[np.bool_]

#: What pairs can be filtered by from the index alone. The last three are lists: a pair has any number of them.
SINGLE = ("surgery", "split", "task", "writer", "support")
MANY = ("source", "term", "finding")
FACETS = ("split", "task", "support", "writer", "source", "surgery", "term", "finding")
_COLUMN_OF = {"source": "sources", "term": "terms", "finding": "findings"}
_BETWEEN = "\x1f"
#: Kinds of term that say best what an instant is about, for the label of a picture that is not stored.
_TELLING = ("phase.", "step.", "action.")
_WORD = re.compile(r'"([^"]+)"|(\S+)')


def words_in(query: str) -> list[str]:
    """The words of a search, and what stands between quotes as one; all of them must be found."""
    return [(quoted or plain).lower() for quoted, plain in _WORD.findall(query)]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: for each row the number of its value."""

    codes: NDArray[np.uint32]
    values: list[str]

    @classmethod
    def of(cls, series: pl.Series) -> Column:
        """The column of a series of strings; values in alphabetical order."""
        values = series.unique().sort()
        codes = series.cast(pl.Enum(values)).to_physical().to_numpy()
        return cls(codes.astype(np.uint32), values.to_list())

    def matches(self, wanted: Mask) -> Mask:
        """The rows whose value is wanted, by the number of the value."""
        found: Mask = wanted[self.codes]
        return found

    def counts(self, mask: Mask) -> NDArray[np.int64]:
        """How often each value stands in the rows of a mask."""
        return np.bincount(self.codes[mask], minlength=len(self.values))


@dataclass(frozen=True, slots=True)
class Filter:
    """What shall be seen.

    Attributes:
        values: facet -> values of which any will do.
        query: words to be found in names, answers, and in what `text` finds.
        order: `stored`, `time`, or `draw`: strata in turn.
        by: what the strata of `draw` are made of.
    """

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    query: str = ""
    order: str = "stored"
    by: str = "task"


class Catalogue:
    """The pairs of a finished folder.

    Attributes:
        folder: where it is.
        pairs: number of pairs.
        keys: of the samples, in the order of the shards.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            index = scan_index(folder).select(list(INDEX_SCHEMA))
            joined = [pl.col(name).list.join(_BETWEEN) for name in _COLUMN_OF.values()]
            table = index.with_columns(joined).collect()
        except (OSError, pl.exceptions.PolarsError) as error:
            raise CotgenError(f"{folder / INDEX} cannot be read; run `cotgen verify {folder}`") from error
        self.pairs = table.height
        starts = table["key"].ne(table["key"].shift()).fill_null(True)
        first = starts.to_numpy()
        #: Row -> number of its sample; sample -> its first row.
        self.sample_of: NDArray[np.int64] = np.cumsum(first) - 1
        self.first: NDArray[np.int64] = np.flatnonzero(first)
        samples = table.filter(starts)
        self.keys: list[str] = samples["key"].to_list()
        self._shards = Column.of(samples["shard"])
        self._offsets = samples["offset"].to_numpy()
        columns = {name: Column.of(table[name]) for name in (*SINGLE, "id", "answer")}
        for facet, name in _COLUMN_OF.items():
            columns[facet] = Column.of(table[name])
        self.columns = columns

    @cached_property
    def _sample_by_key(self) -> dict[str, int]:
        return {key: number for number, key in enumerate(self.keys)}

    def sample(self, key: str) -> int:
        """The number of a sample. Raises KeyError."""
        return self._sample_by_key[key]

    @property
    def shards(self) -> list[str]:
        """The shards that it names, relative to the folder."""
        return self._shards.values

    def place(self, sample: int) -> tuple[str, str, int]:
        """Key, shard and offset of a sample."""
        return self.keys[sample], self._shards.values[self._shards.codes[sample]], int(self._offsets[sample])

    def rows_of(self, sample: int) -> range:
        """The rows of the pairs of a sample."""
        end = self.first[sample + 1] if sample + 1 < len(self.first) else self.pairs
        return range(int(self.first[sample]), int(end))

    def row(self, key: str, id: str) -> int:
        """The row of a pair. Raises KeyError."""
        for row in self.rows_of(self.sample(key)):
            if self.value("id", row) == id:
                return row
        raise KeyError(id)

    def value(self, column: str, row: int) -> str:
        """What stands in a column of single values."""
        found = self.columns[column]
        return str(found.values[found.codes[row]])

    def listed(self, facet: str, row: int) -> list[str]:
        """What stands in a column of lists."""
        text = self.value(facet, row)
        return text.split(_BETWEEN) if text else []

    def describe(self, row: int) -> dict[str, Any]:
        """A row as plain values."""
        names = ("id", *SINGLE, "answer")
        return {"key": self.keys[self.sample_of[row]], **{name: self.value(name, row) for name in names}}

    # Filters.

    def values(self, facet: str) -> list[str]:
        """All values that a facet has, in alphabetical order."""
        column = self.columns[facet]
        if facet not in MANY:
            return column.values
        return sorted({value for text in column.values for value in text.split(_BETWEEN) if value})

    def mask(self, facet: str, wanted: Iterable[str]) -> Mask:
        """The rows that have any of these values."""
        chosen, column = set(wanted), self.columns[facet]
        if facet in MANY:
            found = [not chosen.isdisjoint(text.split(_BETWEEN)) for text in column.values]
        else:
            found = [value in chosen for value in column.values]
        return column.matches(np.array(found, dtype=bool))

    def search(self, word: str) -> Mask:
        """The rows in whose key, id, task, answer or terms a word is found; it is in lower case."""
        keys = pl.Series(self.keys, dtype=pl.String)
        found: Mask = keys.str.contains(word, literal=True).to_numpy()[self.sample_of]
        for name in ("id", "answer", "task"):
            column = self.columns[name]
            lowered = pl.Series(column.values, dtype=pl.String).str.to_lowercase()
            found |= column.matches(lowered.str.contains(word, literal=True).to_numpy())
        terms = [item for item in self.values("term") if word in item or word in name_of(item).lower()]
        if terms:
            found |= self.mask("term", terms)
        return found

    def facets(self, masks: Mapping[str, Mask], others: Mask) -> dict[str, list[tuple[str, int]]]:
        """For each facet its values with the number of pairs that all other filters leave.

        Args:
            masks: facet -> rows that its own filter leaves; facets without a filter are not in it.
            others: rows that everything which is no facet leaves.
        """
        left = others.copy()
        for mask in masks.values():
            left &= mask
        found = {}
        for facet in FACETS:
            without = left
            if facet in masks:
                without = others.copy()
                for name, mask in masks.items():
                    if name != facet:
                        without &= mask
            found[facet] = self._counted(facet, without)
        return found

    def _counted(self, facet: str, mask: Mask) -> list[tuple[str, int]]:
        column = self.columns[facet]
        counts = column.counts(mask)
        if facet not in MANY:
            found = list(zip(column.values, counts.tolist(), strict=True))
            return sorted(found, key=lambda item: SPLITS.index(item[0])) if facet == "split" else found
        total: dict[str, int] = dict.fromkeys(self.values(facet), 0)
        for text, count in zip(column.values, counts.tolist(), strict=True):
            for value in text.split(_BETWEEN) if text and count else ():
                total[value] += count
        return list(total.items())

    # Orders.

    @cached_property
    def by_time(self) -> Rows:
        """All rows, surgery by surgery, each in the order of its frames."""
        return np.argsort(self._place_in_time[self.sample_of], kind="stable").astype(np.uint32)

    @cached_property
    def _samples_by_time(self) -> NDArray[np.uint32]:
        surgeries = self.columns["surgery"].codes[self.first]
        order = pl.DataFrame({"surgery": surgeries, "key": self.keys, "n": np.arange(len(self.keys), dtype=np.uint32)})
        return order.sort("surgery", "key")["n"].to_numpy()

    @cached_property
    def _draws(self) -> NDArray[np.uint64]:
        # Two draws, of the key and of the id, mixed (splitmix64): a hash for each pair would take a second and more.
        ids = self.columns["id"]
        by_key = np.fromiter((draw(0, "review", key) for key in self.keys), dtype=np.uint64, count=len(self.keys))
        by_id = np.fromiter((draw(0, "review", id) for id in ids.values), dtype=np.uint64, count=len(ids.values))
        mixed: NDArray[np.uint64] = by_key[self.sample_of] ^ by_id[ids.codes]
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        return mixed ^ (mixed >> np.uint64(31))

    def drawn(self, strata: Sequence[Mask]) -> Rows:
        """All rows in an order in which the strata take turns, drawn within each; those of no stratum are left out.

        It depends on the names of the pairs alone, so that reviewers meet on the same ones.

        Args:
            strata: rows of each stratum; a row of several stands where the first of them has it.
        """
        draws = self._draws
        turn = np.full(self.pairs, np.iinfo(np.uint32).max, dtype=np.uint32)
        for mask in strata:
            rows = np.flatnonzero(mask)
            rows = rows[np.argsort(draws[rows], kind="stable")]
            turn[rows] = np.minimum(turn[rows], np.arange(len(rows), dtype=np.uint32))
        order = np.lexsort((draws, turn))
        return order[turn[order] < np.iinfo(np.uint32).max].astype(np.uint32)

    def strata(self, by: str) -> list[Mask]:
        """The rows of each value of a facet."""
        column = self.columns[by]
        return [column.codes == code for code in range(len(column.values))]

    # Neighbours.

    def around(self, sample: int, reach: int) -> list[int]:
        """The samples on the same clock around this one in time, itself among them, at most `reach` on each side."""
        at = int(self._place_in_time[sample])
        near = self._samples_by_time[max(0, at - reach) : at + reach + 1]
        # The same operation may have been labelled on two clocks that nobody has aligned; the key begins with the clock.
        clock = self.keys[sample].rpartition("-")[0]
        return [int(other) for other in near if self.keys[other].rpartition("-")[0] == clock]

    @cached_property
    def _place_in_time(self) -> NDArray[np.uint32]:
        place = np.empty(len(self.keys), dtype=np.uint32)
        place[self._samples_by_time] = np.arange(len(self.keys), dtype=np.uint32)
        return place

    def label(self, sample: int) -> str:
        """What a sample is about, in few words: its phase, step or act, else its first terms."""
        terms = self.listed("term", int(self.first[sample]))
        telling = [item for item in terms if item.startswith(_TELLING)] or terms[:2]
        return ", ".join(name_of(item) for item in telling[:2])
