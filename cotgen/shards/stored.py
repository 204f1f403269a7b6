"""StoredRecords: the records of a finished folder by key, read by seeking, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import polars as pl

from cotgen.errors import CotgenError
from cotgen.records import Manifest
from cotgen.shards.index import INDEX, scan_index
from cotgen.shards.manifest import load
from cotgen.shards.tar import TarSample, read_record, read_sample


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sample lies: its shard, relative to the folder, and the offset of its first header in bytes."""

    key: str
    split: str
    shard: str
    offset: int


def read_stored(folder: Path, shard: str, offset: int, key: str) -> TarSample:
    """Record and picture of one sample of a folder, by its place in the index, for who reads here and there.

    Raises:
        CotgenError: the shard cannot be read or is damaged, or another sample stands there.
    """
    path = folder / shard
    try:
        with path.open("rb") as file:
            found = read_sample(file, shard, offset)
    except OSError as error:
        raise CotgenError(f"{path} cannot be read ({error.strerror}); copy or build the data set again") from error
    if found.key != key:
        raise _other(path, found.key, key, folder)
    return found


def _other(path: Path, found: str, key: str, folder: Path) -> CotgenError:
    return CotgenError(f"{path} has sample '{found}' where the index says '{key}'; run `cotgen verify {folder}`")


class StoredRecords:
    """A finished folder, opened for reading; at most one shard is open at a time.

    Attributes:
        folder: where it is.
        manifest: what it holds.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest: Manifest = load(folder)
        self._file: BinaryIO | None = None
        self._shard = ""

    def __enter__(self) -> StoredRecords:
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.close()

    def samples(self) -> pl.DataFrame:
        """key, split, shard, offset: a row per sample, in the order of the shards. Raises CotgenError."""
        shards = pl.Enum([shard.file for shard in self.manifest.shards])
        columns = [pl.col("key"), pl.col("split").cast(pl.Categorical), pl.col("shard").cast(shards), pl.col("offset")]
        try:
            rows = scan_index(self.folder).select(columns)
            return rows.unique(subset=["key"], keep="first", maintain_order=True).collect()
        except (OSError, pl.exceptions.PolarsError) as error:
            raise CotgenError(f"{self.folder / INDEX} cannot be read; run `cotgen verify {self.folder}`") from error

    def places(self) -> Iterator[Place]:
        """All samples, in the order of the shards."""
        return (Place(*row) for row in self.samples().iter_rows())

    def read(self, place: Place) -> TarSample:
        """Record and picture of one sample. Raises CotgenError where the shard is damaged."""
        found = read_sample(self._open(place.shard), place.shard, place.offset)
        if found.key != place.key:
            raise _other(self.folder / place.shard, found.key, place.key, self.folder)
        return found

    def record(self, place: Place) -> tuple[bytes, int]:
        """The record of one sample and the size of its picture in bytes; the picture is not read."""
        key, json, picture = read_record(self._open(place.shard), place.shard, place.offset)
        if key != place.key:
            raise _other(self.folder / place.shard, key, place.key, self.folder)
        return json, picture

    def _open(self, shard: str) -> BinaryIO:
        if self._file is None or self._shard != shard:
            if self._file is not None:
                self._file.close()
            path = self.folder / shard
            try:
                self._file = path.open("rb")
            except OSError as error:
                raise CotgenError(f"{path} cannot be read ({error.strerror}); copy the data set again") from error
            self._shard = shard
        return self._file
