"""The index: a row per pair, so that a reader can count, filter and seek without opening a shard.

Rows are sorted by shard, offset and the order of the pairs in their sample. The index is joined from parts, in a
stream, so its size does not decide how much memory a build takes; the bytes do not depend on the number
of threads (row groups are cut by a fixed number of rows).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from cotgen.errors import CotgenError
from cotgen.shards.files import settle, temporary_name, writable

INDEX = "index.parquet"

#: `key`, `id`: sample and pair; `shard`: file relative to the folder; `offset`: first byte of the sample's first
#: header; `sources`: the sources that say something of the frame; `terms`: all terms of its facts, sorted, each once;
#: `findings`: names of the checks with a soft finding, in the order stored.
INDEX_SCHEMA: dict[str, Any] = {
    "key": pl.String,
    "id": pl.String,
    "shard": pl.String,
    "offset": pl.Int64,
    "surgery": pl.String,
    "split": pl.String,
    "task": pl.String,
    "writer": pl.String,
    "answer": pl.String,
    "support": pl.String,
    "sources": pl.List(pl.String),
    "terms": pl.List(pl.String),
    "findings": pl.List(pl.String),
}
_ROW_GROUP = 1 << 16
_BLOCK = 1 << 14


def pair_rows(record: dict[str, Any], shard: str, offset: int) -> list[tuple[Any, ...]]:
    """The index rows of one sample, given as plain values of its JSON. Raises KeyError or TypeError if it is none."""
    terms = sorted({term for fact in record["facts"] for term in fact["terms"]})
    return [
        (
            record["key"],
            pair["id"],
            shard,
            offset,
            record["surgery"],
            record["split"],
            pair["task"],
            pair["writer"],
            pair["answer"],
            pair["support"],
            record["sources"],
            terms,
            [finding["check"] for finding in pair["findings"]],
        )
        for pair in record["pairs"]
    ]


class IndexBlocks:
    """Collects the rows of one shard and hands them on as tables, so that a shard of any size takes little memory."""

    def __init__(self, take: Callable[[pl.DataFrame], None]) -> None:
        self._take = take
        self._rows: list[tuple[Any, ...]] = []

    def add(self, rows: list[tuple[Any, ...]]) -> None:
        """Take the rows of the next sample. Raises polars' errors for values of other types than the columns'."""
        self._rows += rows
        if len(self._rows) >= _BLOCK:
            self.close()

    def close(self) -> None:
        """Hand on what is left."""
        if self._rows:
            self._take(pl.DataFrame(self._rows, schema=INDEX_SCHEMA, orient="row"))
            self._rows = []


def write_part(table: pl.DataFrame, path: Path) -> None:
    """Write some rows whole or not at all."""
    temporary = temporary_name(path)
    try:
        with writable(path):
            table.write_parquet(temporary)
            settle(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def join_parts(out: Path, parts: Sequence[Path]) -> None:
    """Write `index.parquet` from the parts, in the order given, without holding them in memory."""
    path = out / INDEX
    temporary = temporary_name(path)
    try:
        with writable(path):
            table = pl.scan_parquet(list(parts), glob=False) if parts else pl.LazyFrame(schema=INDEX_SCHEMA)
            table.sink_parquet(temporary, row_group_size=_ROW_GROUP, maintain_order=True)
            settle(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def scan_index(folder: Path) -> pl.LazyFrame:
    """The index of a folder, not yet read."""
    return pl.scan_parquet(folder / INDEX, glob=False)


def checked_index(folder: Path) -> pl.LazyFrame:
    """The index of a folder, not yet read, with the columns that this version knows.

    Raises:
        CotgenError: it cannot be read, or it has other columns.
    """
    try:
        schema = scan_index(folder).collect_schema()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise CotgenError(f"{folder / INDEX} cannot be read; copy or build the data set again") from error
    if dict(schema) != INDEX_SCHEMA:
        raise CotgenError(f"{folder / INDEX} has other columns than this version of cotgen writes; build it again")
    return scan_index(folder)


def count_pairs(index: pl.LazyFrame) -> dict[str, Any]:
    """The counts that a manifest states: samples, pairs, and pairs by task, split, support and finding.

    `samples_by_split` and `pairs_by_split_and_task` are nested by split. Integers throughout; keys are sorted when
    written.
    """

    def by(*columns: str) -> list[tuple[Any, ...]]:
        return index.group_by(columns).len().sort(columns).collect().rows()

    frames = index.select("split", "shard", "offset").unique().group_by("split").len().sort("split").collect().rows()
    findings = index.select(pl.col("findings").explode(empty_as_null=False, keep_nulls=False)).group_by("findings")
    split_task: dict[str, dict[str, int]] = {}
    for split, task, count in by("split", "task"):
        split_task.setdefault(split, {})[task] = count
    by_split = {split: sum(tasks.values()) for split, tasks in split_task.items()}
    return {
        "samples": sum(count for _, count in frames),
        "pairs": sum(by_split.values()),
        "samples_by_split": dict(frames),
        "pairs_by_split": by_split,
        "pairs_by_task": dict(by("task")),
        "pairs_by_split_and_task": split_task,
        "pairs_by_support": dict(by("support")),
        "findings": dict(findings.len().sort("findings").collect().rows()),
    }
