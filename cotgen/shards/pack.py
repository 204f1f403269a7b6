"""Packing: all samples of a build, dealt into shards so that each shard is a fair draw of its split.

The order is that of blake2b(seed, key), the shards are contiguous ranges of it with equal counts (±1). So the bytes
depend on the samples and the seed alone. A finished shard leaves a receipt; a pack that was killed goes on after the
last receipt and writes the same bytes as one that was not.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pydantic

from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.records import SPLITS, Record, Shard, Split, canonical_json
from cotgen.shards.files import remove_temporaries, writable, write_bytes
from cotgen.shards.index import IndexBlocks, count_pairs, join_parts, pair_rows, scan_index, write_part
from cotgen.shards.manifest import unseal
from cotgen.shards.tar import writing_shard

#: Goes up when the bytes of a shard or of the index change for the same samples.
PACK_VERSION = 1
TARGET_BYTES = 500_000_000
DATA = "data"
SHARD_FILE = re.compile(r"data/(train|validation|test)-[0-9]{5}-of-[0-9]{5}\.tar")


@dataclass(frozen=True, slots=True)
class Entry:
    """One sample to be packed.

    Attributes:
        key: sample key.
        split: its split.
        image_bytes: size of the picture; 0 where frames are not stored.
        json_bytes: size of the record, or a deterministic estimate; decides the number of shards only.
        where: what the reader needs to find it; means nothing to the packer.
    """

    key: str
    split: Split
    image_bytes: int
    json_bytes: int
    where: tuple[int, int]


@dataclass(frozen=True, slots=True)
class PackResult:
    """What was packed.

    Attributes:
        shards: in name order.
        counts: `samples`, `pairs`, `images`, and pairs by task, split, support and finding: `Manifest.counts`.
        written: how many shards this run wrote; the others stood from an earlier one.
    """

    shards: list[Shard]
    counts: dict[str, Any]
    written: int


class Receipt(Record):
    """What is known of a finished shard; trusted only with the same inputs and files of the same size.

    Attributes:
        inputs: sha256 over all that the shard depends on.
        shard: what goes into the manifest.
        images: how many of its samples have a picture.
        parts: sizes in bytes of its parts of the index.
    """

    inputs: str
    shard: Shard
    images: int
    parts: list[int]


def shard_count(total_bytes: int, samples: int, wanted: int | None) -> int:
    """How many shards a split gets: the power of two nearest to its bytes / 500 MB, and never an empty one."""
    if wanted is not None:
        return min(wanted, samples)
    power = 1
    while abs(total_bytes - 2 * power * TARGET_BYTES) < abs(total_bytes - power * TARGET_BYTES):
        power *= 2
    while power > samples:
        power //= 2
    return power


def plan_shards(entries: Sequence[Entry], *, seed: int, shards: int | None) -> list[tuple[str, Split, list[Entry]]]:
    """(file, split, entries in file order) in name order. Raises CotgenError for a key that comes twice."""
    if shards is not None and shards < 1:
        raise CotgenError(f"{shards} shards cannot be written; ask for 1 or more, or leave the number out")
    planned: list[tuple[str, Split, list[Entry]]] = []
    ordered = sorted(entries, key=lambda entry: (draw(seed, entry.key), entry.key))
    twice = {a.key for a, b in itertools.pairwise(ordered) if a.key == b.key}
    if twice:
        raise CotgenError(f"{len(twice)} keys come twice, e.g. {min(twice)}; a sample has one place in a data set")
    for split in SPLITS:
        chosen = [entry for entry in ordered if entry.split == split]
        if not chosen:
            continue
        count = shard_count(sum(e.image_bytes + e.json_bytes for e in chosen), len(chosen), shards)
        for number in range(count):
            start, stop = len(chosen) * number // count, len(chosen) * (number + 1) // count
            planned.append((f"{DATA}/{split}-{number:05d}-of-{count:05d}.tar", split, chosen[start:stop]))
    return sorted(planned, key=lambda item: item[0])


def pack(
    out: Path,
    entries: Sequence[Entry],
    read: Callable[[Entry], tuple[bytes, bytes]],
    *,
    fingerprint: str,
    seed: int,
    shards: int | None,
    receipts: Path,
    progress: Callable[[int], None] | None = None,
) -> PackResult:
    """Write `out/data/*.tar` and `out/index.parquet`; the folder is unsealed first and left unsealed.

    Args:
        out: the folder; the caller holds its lock.
        entries: all samples.
        read: the JSON record and the JPEG (b"" where frames are not stored) of an entry.
        fingerprint: stands for all that `read` returns; a receipt of another fingerprint is not trusted.
        seed: of the order.
        shards: number per split, or None for the power of two nearest to its bytes / 500 MB.
        receipts: folder for receipts, outside `out`; kept between runs.
        progress: called with the number of samples that are newly in place.

    Raises:
        CotgenError: a key twice, a record that is not that of its entry, a folder that cannot be written.
    """
    planned = plan_shards(entries, seed=seed, shards=shards)
    unseal(out)
    _clear(out, receipts, {file for file, _, _ in planned})
    finished = []
    written = 0
    for file, split, chosen in planned:
        inputs = _inputs_sha256(fingerprint, file, chosen)
        receipt = _trusted(out, receipts, file, inputs)
        if receipt is None:
            receipt = _write(out, receipts, file, split, chosen, read, inputs, progress)
            written += 1
        elif progress:
            progress(len(chosen))
        finished.append(receipt)
    join_parts(out, [path for r in finished for path in _parts(receipts, r.shard.file, len(r.parts))])
    counts = {**count_pairs(scan_index(out)), "images": sum(receipt.images for receipt in finished)}
    return PackResult([receipt.shard for receipt in finished], counts, written)


def _write(
    out: Path,
    receipts: Path,
    file: str,
    split: Split,
    chosen: list[Entry],
    read: Callable[[Entry], tuple[bytes, bytes]],
    inputs: str,
    progress: Callable[[int], None] | None,
) -> Receipt:
    parts: list[int] = []
    pairs = images = 0

    def take(table: pl.DataFrame) -> None:
        path = _parts(receipts, file, len(parts) + 1)[-1]
        write_part(table, path)
        parts.append(path.stat().st_size)

    blocks = IndexBlocks(take)
    with writing_shard(out / file) as writer:
        for entry in chosen:
            json, jpg = read(entry)
            offset = writer.add(entry.key, json, jpg)
            rows = _rows(entry, json, file, offset)
            blocks.add(rows)
            pairs += len(rows)
            images += bool(jpg)
            if progress:
                progress(1)
    blocks.close()
    receipt = Receipt(
        inputs=inputs,
        shard=Shard(
            file=file, split=split, sha256=writer.sha256, bytes=writer.position, samples=writer.samples, pairs=pairs
        ),
        images=images,
        parts=parts,
    )
    write_bytes(_receipt(receipts, file), receipt.to_json())
    return receipt


def _rows(entry: Entry, json: bytes, file: str, offset: int) -> list[tuple[Any, ...]]:
    try:
        record = orjson.loads(json)
        rows = pair_rows(record, file, offset)
        named = (record["key"], record["split"])
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise CotgenError(f"what was read for sample '{entry.key}' is no sample record ({error!r})") from error
    if named != (entry.key, entry.split):
        raise CotgenError(
            f"what was read for sample '{entry.key}' ({entry.split}) is the record of '{named[0]}' ({named[1]}); "
            "the inputs changed while they were packed, run the same command again"
        )
    if not rows:
        raise CotgenError(f"sample '{entry.key}' has no question; leave it out of the data set and count it")
    return rows


def _receipt(receipts: Path, file: str) -> Path:
    return receipts / f"{Path(file).stem}.json"


def _parts(receipts: Path, file: str, count: int) -> list[Path]:
    return [receipts / f"{Path(file).stem}.{number:04d}.parquet" for number in range(count)]


def _inputs_sha256(fingerprint: str, file: str, chosen: list[Entry]) -> str:
    keys = [[entry.key, entry.image_bytes, entry.json_bytes] for entry in chosen]
    return hashlib.sha256(canonical_json([PACK_VERSION, fingerprint, file, keys])).hexdigest()


def _trusted(out: Path, receipts: Path, file: str, inputs: str) -> Receipt | None:
    """The receipt of a shard that need not be written again."""
    try:
        receipt = Receipt.from_json(_receipt(receipts, file).read_bytes())
        size = (out / file).stat().st_size
        parts = [path.stat().st_size for path in _parts(receipts, file, len(receipt.parts))]
    except (OSError, pydantic.ValidationError):
        return None
    trusted = (receipt.inputs, receipt.shard.file) == (inputs, file)
    return receipt if trusted and size == receipt.shard.bytes and parts == receipt.parts else None


def _clear(out: Path, receipts: Path, wanted: set[str]) -> None:
    """Remove what earlier runs left: half-written files, and shards and receipts that this plan does not have."""
    for folder in (out, out / DATA, receipts):
        with writable(folder):
            folder.mkdir(parents=True, exist_ok=True)
        remove_temporaries(folder)
    for path in sorted((out / DATA).glob("*.tar")):
        file = f"{DATA}/{path.name}"
        if SHARD_FILE.fullmatch(file) and file not in wanted:
            path.unlink()
    stems = {Path(file).stem for file in wanted}
    for path in [*receipts.glob("*.json"), *receipts.glob("*.parquet")]:
        if path.name.partition(".")[0] not in stems:
            path.unlink()
