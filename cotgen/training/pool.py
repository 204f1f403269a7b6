"""Pool: the pairs that a selection leaves of one or several data sets, counted by their index and read by seeking."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl
import pydantic

from cotgen.errors import CotgenError
from cotgen.records import Manifest, Pair
from cotgen.shards.files import sha256_of
from cotgen.shards.index import INDEX, INDEX_SCHEMA, scan_index
from cotgen.shards.manifest import load
from cotgen.shards.tar import read_sample
from cotgen.training.order import Order
from cotgen.training.portions import Portion, epoch_rows
from cotgen.training.selection import SUPPORTS, Group, Selection, rows_per_cell

_MOST_OPEN = 64
_SEPARATOR = "\x1f"


class Pool:
    """Chosen pairs by number; memory holds some thirty bytes of each, and no record or picture.

    Attributes:
        portions: the data sets.
        manifests: their manifests.
        selection: what was chosen.
        counts: pairs by portion (number), task and source: a table.
    """

    def __init__(self, portions: Sequence[Portion], selection: Selection) -> None:
        """Read the indexes.

        Raises:
            CotgenError: a folder is unfinished, has no pictures, is cut off or was changed; nothing is left to show.
        """
        if not portions:
            raise CotgenError("no data set is given; name the folder of one")
        self.portions = tuple(portions)
        self.selection = selection
        self.manifests = [_checked(portion.folder, selection) for portion in portions]
        refuse_leaks(self.manifests)
        self._files: dict[int, BinaryIO] = {}
        self._process = os.getpid()
        parts = [_index(portion.folder, selection).with_columns(part=pl.lit(n)) for n, portion in enumerate(portions)]
        table = pl.concat(parts)
        for n, portion in enumerate(portions):
            if not (table["part"] == n).any():
                raise CotgenError(f"{portion.folder}: nothing is left of it by the filters ({_told(selection)})")
        pictures = table.select("key").unique(maintain_order=True)
        table = table.join(pictures.with_row_index("picture"), on="key", how="left", maintain_order="left")
        self._keys = pictures["key"]
        self._picture = table["picture"].to_numpy()
        self._offset = table["offset"].to_numpy()
        self._id, self._ids = _coded(table.select("id"))
        self._shard, shards = _coded(table.select("part", "shard"))
        self._paths = [portions[part].folder / file for part, file in shards]
        by: list[Any] = ["part", "source", "task", "answer"]
        cells = table.group_by(by).len().with_columns(pl.col("source", "task", "answer").cast(pl.String)).sort(by)
        numbered = cells.with_row_index("cell").with_columns(pl.col("source", "task", "answer").cast(pl.Categorical))
        self._cell = table.join(numbered, on=by, how="left", maintain_order="left")["cell"].to_numpy()
        self._hard = (table["hard"].rank("min") - 1).cast(pl.UInt32).to_numpy()
        self._cells = cells
        self.counts = cells.group_by("part", "task", "source").agg(pl.col("len").sum()).sort("part", "task", "source")

    def __len__(self) -> int:
        """Number of chosen pairs."""
        return len(self._offset)

    def order(self, seed: int) -> Order:
        """The sequence in which they are shown. Raises CotgenError where the shares make no sense."""
        rows = self._rows()
        names = [_SEPARATOR.join(map(str, row)) for row in self._cells.select(pl.exclude("len")).iter_rows()]
        return Order(
            self._keys,
            self._picture,
            self._cell,
            names,
            rows,
            seed=seed,
            hard=self._hard,
            curriculum=self.selection.curriculum,
        )

    def _rows(self) -> list[Fraction]:
        """Rows of an epoch of each cell: caps and temperature in each data set by itself, then the shares of the sets."""
        rows: list[Fraction] = []
        ends: list[int] = []
        for (_,), part in self._cells.group_by("part", maintain_order=True):
            groups: list[dict[Group, str]] = [
                {"task": row["task"], "source": row["source"], "class": f"{row['task']}{_SEPARATOR}{row['answer']}"}
                for row in part.iter_rows(named=True)
            ]
            rows += rows_per_cell(groups, part["len"].to_list(), self.selection)
            ends.append(len(rows))
        begins = [0, *ends[:-1]]
        sizes = [sum(rows[a:b], Fraction(0)) for a, b in zip(begins, ends, strict=True)]
        wanted = epoch_rows(sizes, [portion.share for portion in self.portions])
        for begin, end, size, amount in zip(begins, ends, sizes, wanted, strict=True):
            rows[begin:end] = [row * amount / size for row in rows[begin:end]]
        return rows

    def name(self, number: int) -> str:
        """`key#id` of a pair; no shard is opened."""
        return f"{self._keys[int(self._picture[number])]}#{self._ids[self._id[number]][0]}"

    def read(self, number: int) -> tuple[dict[str, Any], Pair, bytes]:
        """The sample as stored, the pair, and the JPEG, whose hash is that of the record.

        Raises:
            CotgenError: the shard is damaged, or is not the one of the index.
        """
        shard = int(self._shard[number])
        path = self._paths[shard]
        item = read_sample(self._open(shard), str(path), int(self._offset[number]))
        key, name = self._keys[int(self._picture[number])], self._ids[self._id[number]][0]
        if item.key != key:
            raise CotgenError(f"{path} has sample '{item.key}' where the index says '{key}'; run `cotgen verify`")
        try:
            record = orjson.loads(item.json)
            stored = next(pair for pair in record["pairs"] if pair["id"] == name)
            pair = Pair.model_validate(stored)
            sha256 = record["frame"]["sha256"]
        except (ValueError, LookupError, TypeError, StopIteration, pydantic.ValidationError) as error:
            raise CotgenError(f"{path}: the record of '{key}' is damaged; run `cotgen verify`") from error
        if not item.jpg:
            raise CotgenError(
                f"the picture of '{key}' is not stored; hydrate the data set from your own copy of the source, or "
                "build it with --frames embed"
            )
        if hashlib.sha256(item.jpg).hexdigest() != sha256:
            raise CotgenError(f"{path}: the picture of '{key}' is not the one that was packed; run `cotgen verify`")
        return record, pair, item.jpg

    def _open(self, shard: int) -> BinaryIO:
        if self._process != os.getpid():
            # A forked worker shares the positions of open files with its parent; it opens its own.
            self._files, self._process = {}, os.getpid()
        file = self._files.pop(shard, None)
        if file is None:
            path = self._paths[shard]
            try:
                file = path.open("rb")
            except OSError as error:
                raise CotgenError(f"{path} cannot be read ({error.strerror}); copy the data set again") from error
            if len(self._files) >= _MOST_OPEN:
                self._files.pop(next(iter(self._files))).close()
        self._files[shard] = file
        return file

    def __getstate__(self) -> dict[str, Any]:
        """For another process: all but the open files."""
        return {**self.__dict__, "_files": {}}


def refuse_leaks(manifests: Iterable[Manifest]) -> None:
    """Raise CotgenError where an operation is in one split of one data set and in another of another."""
    where: dict[str, str] = {}
    for manifest in manifests:
        for split, surgeries in sorted(manifest.splits.items()):
            for surgery in surgeries:
                if where.setdefault(surgery, split) != split:
                    raise CotgenError(
                        f"{surgery} is in {where[surgery]} of one data set and in {split} of another, so that a model would "
                        "be judged on what it learnt from; build all with the same --split"
                    )


def _coded(columns: pl.DataFrame) -> tuple[npt.NDArray[np.uint32], list[tuple[Any, ...]]]:
    """Rows as numbers into the list of those that differ."""
    different = columns.unique(maintain_order=True)
    numbered = columns.join(different.with_row_index("n"), on=columns.columns, how="left", maintain_order="left")
    return numbered["n"].to_numpy(), different.rows()


def _index(folder: Path, selection: Selection) -> pl.DataFrame:
    """key, shard, offset, id, source, task, answer, hard: the chosen rows in the order of the index."""
    answered = pl.col("answer").str.count_matches("\n", literal=True)
    hard = 10_000 * (100 * pl.col("support").cast(pl.Enum(SUPPORTS)).to_physical().cast(pl.Float64) + answered)
    names = pl.Categorical
    columns = [
        pl.col("key"),
        pl.col("shard").cast(names),
        pl.col("offset"),
        pl.col("id").cast(names),
        pl.col("sources").list.join("+").alias("source").cast(names),
        pl.col("task").cast(names),
        pl.col("answer").cast(names),
    ]
    difficulties = selection.difficulties()
    try:
        chosen = selection.of(scan_index(folder))
        if difficulties is None:
            chosen = chosen.select(*columns, (hard + pl.col("terms").list.len()).alias("hard"))
        else:
            chosen = chosen.join(difficulties, on=["key", "id"], how="inner", maintain_order="left")
            chosen = chosen.select(*columns, pl.col("difficulty").alias("hard"))
        return chosen.collect()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise CotgenError(f"{folder / INDEX} cannot be read; run `cotgen verify {folder}`") from error


def _checked(folder: Path, selection: Selection) -> Manifest:
    """The manifest, once the files that a run needs were found to be those that it names."""
    manifest = load(folder)
    if not manifest.counts.get("images"):
        raise CotgenError(
            f"{folder} stores no pictures; hydrate it from your own copy of the source, or build it with --frames embed"
        )
    try:
        whole = sha256_of(folder / INDEX) == manifest.files.get(INDEX)
        schema = dict(scan_index(folder).collect_schema()) if whole else {}
    except (OSError, pl.exceptions.PolarsError) as error:
        raise CotgenError(f"{folder / INDEX} cannot be read; copy or build the data set again") from error
    if not whole:
        raise CotgenError(f"{folder / INDEX} is not the one of manifest.json; copy the data set again")
    if schema != INDEX_SCHEMA:
        raise CotgenError(f"{folder / INDEX} has other columns than this version of cotgen reads; build it again")
    for shard in manifest.shards:
        if shard.split not in selection.splits:
            continue
        path = folder / shard.file
        try:
            size = path.stat().st_size
        except OSError as error:
            raise CotgenError(f"{path} cannot be read ({error.strerror}); copy the data set again") from error
        if size != shard.bytes:
            raise CotgenError(
                f"{path} has {size:,} bytes where manifest.json says {shard.bytes:,}; it is cut off or another file: "
                "copy the data set again"
            )
    return manifest


def _told(selection: Selection) -> str:
    told = {name: value for name, value in selection.config().items() if value not in ("", [], {}, "0.0")}
    return ", ".join(f"{name} {value}" for name, value in told.items())
