"""Export: a finished data set in the form that a trainer already reads, pictures beside it or in it.

Samples come in the order of the shards, one in memory at a time, so the same folder and options give the same bytes.
`OUT/.cotgen-export` holds what is unfinished, and says after each shard how far it got: killed anywhere, the same call
goes on there. `OUT/export.json` is written last; where it stands, the export is whole. A folder that holds anything
that this export did not write is not touched.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeAlias

import orjson
import polars as pl
import pydantic

from cotgen import __version__
from cotgen.chains.boxes import BoxFormat
from cotgen.chains.render import View, Words, in_view
from cotgen.errors import CotgenError
from cotgen.inspect.export_files import ParquetFile, Pictures, RowsFile, need_pyarrow
from cotgen.inspect.export_readme import dataset_info, notes
from cotgen.inspect.export_records import ExportPair, ExportRecord, export_record
from cotgen.inspect.export_rows import IMAGES, Item, Layout, first_row
from cotgen.records import SPLITS, Manifest, Shard, canonical_json
from cotgen.shards.files import remove_temporaries, writable, write_bytes
from cotgen.shards.index import INDEX, scan_index
from cotgen.shards.manifest import README, load
from cotgen.shards.tar import read_shard

#: Goes up when the same folder and options give other bytes.
EXPORT_VERSION = 2
RECEIPT = "export.json"
WORK = ".cotgen-export"
_STATE = "state.json"

Progress: TypeAlias = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is exported, and how.

    Attributes:
        layout: for which reader.
        view: what the pairs are for.
        boxes: how boxes are written.
        splits: only these; all where empty.
        tasks: only these; all where empty.
        writers: only these, `template` or `template/1`; all where empty.
        asserted: whether view `cot` takes chains of templates that give no reason.
    """

    layout: Layout
    view: View
    boxes: BoxFormat
    splits: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    writers: tuple[str, ...] = ()
    asserted: bool = False

    def left_out(self, split: str, task: str, writer: str, support: str) -> str:
        """Why a pair is not exported, in a word; "" where it is."""
        if self.splits and split not in self.splits:
            return "split"
        if self.tasks and task not in self.tasks:
            return "task"
        if self.writers and not {writer, writer.partition("/")[0]} & set(self.writers):
            return "writer"
        return "" if in_view(support, writer, self.view, self.asserted) else "asserted"


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export holds.

    Attributes:
        pairs: split -> rows.
        images: split -> pictures.
        left_out: why -> pairs that are not in it.
        files: the files of the rows, relative to the folder.
        written: whether this call wrote anything.
    """

    pairs: dict[str, int]
    images: dict[str, int]
    left_out: dict[str, int]
    files: list[str]
    written: bool


@dataclass
class _Done:
    """A shard that is finished: how many rows and pictures it gave, the bytes of these, and where its rows end."""

    shard: str
    split: str
    pairs: int = 0
    images: int = 0
    image_bytes: int = 0
    position: int = 0


@dataclass
class _State:
    """What `OUT/.cotgen-export` remembers."""

    fingerprint: str
    done: list[_Done] = field(default_factory=list)

    def to_json(self) -> bytes:
        return canonical_json(asdict(self))

    @classmethod
    def read(cls, path: Path) -> _State | None:
        """None where there is none."""
        try:
            found = orjson.loads(path.read_bytes())
            return cls(found["fingerprint"], [_Done(**row) for row in found["done"]])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CotgenError(f"{path} cannot be read ({error}); remove {path.parents[1]} and export again") from error


def export(folder: Path, out: Path, wanted: Wanted, progress: Progress | None = None) -> Exported:
    """Write a finished folder for a trainer; does nothing where that is done, goes on where it was interrupted.

    Args:
        folder: a finished folder, with pictures.
        out: a new or empty folder, or that of the same export; the caller holds its lock.
        wanted: what and how.
        progress: called with the number of samples that are newly in place.

    Raises:
        CotgenError: the folder has no pictures or is damaged, nothing in it is wanted, or `out` holds something else.
    """
    manifest = load(folder)
    _check(folder, out, manifest, wanted)
    expected = _count(folder, wanted)
    fingerprint = _fingerprint(manifest, wanted)
    state = _claim(out, fingerprint)
    if state is None:
        return _finished(out)
    shards = [shard for shard in manifest.shards if not wanted.splits or shard.split in wanted.splits]
    with writable(out / WORK):
        (out / WORK).mkdir(parents=True, exist_ok=True)
    for place in (out / WORK, out / "data"):
        remove_temporaries(place)
    write_bytes(out / WORK / _STATE, state.to_json())
    for number, shard in enumerate(shards):
        if number < len(state.done):
            if progress:
                progress(shard.samples)
            continue
        last = number + 1 == len(shards) or shards[number + 1].split != shard.split
        state.done.append(_write(folder, out, shard, wanted, _begin(state, shard), last, progress))
        write_bytes(out / WORK / _STATE, state.to_json())
    return _seal(out, manifest, wanted, state, expected)


def _write(
    folder: Path, out: Path, shard: Shard, wanted: Wanted, begin: int, last: bool, progress: Progress | None
) -> _Done:
    """The rows and pictures of one shard."""
    done = _Done(shard.file, shard.split)
    beside = wanted.layout.name != "parquet"
    left_out = cache(partial(wanted.left_out, shard.split))
    rows: RowsFile | ParquetFile
    if beside:
        rows = RowsFile(out / WORK / shard.split, begin, wanted.layout.array)
    else:
        rows = ParquetFile(out / wanted.layout.file.format(shard=Path(shard.file).stem), wanted.view)
    with rows, Pictures(out / IMAGES / shard.split) as pictures:
        for record, jpeg in _records(folder, shard):
            kept = [pair for pair in record["pairs"] if not left_out(pair["task"], pair["writer"], pair["support"])]
            if kept:
                if beside:
                    pictures.add(_image(record), jpeg)
                for item in _items(record, kept):
                    rows.add(_row(folder, item, wanted, first=not rows.position), jpeg)
                done.pairs += len(kept)
                done.images += 1
                done.image_bytes += len(jpeg)
            if progress:
                progress(1)
        pictures.finish()
        rows.finish(last)
        done.position = rows.position
    return done


def _image(record: ExportRecord) -> str:
    return f"{record['surgery'].replace('/', '-')}/{record['key']}.jpg"


def _items(record: ExportRecord, pairs: Sequence[ExportPair]) -> Iterator[Item]:
    frame, image = record["frame"], _image(record)
    for pair in pairs:
        words = Words(
            pair["question"],
            pair.get("options", ()),
            pair.get("boxes", ()),
            [(sentence["level"], sentence["text"]) for sentence in pair["statements"]],
            pair["answer"],
        )
        id = f"{record['key']}#{pair['id']}"
        yield Item(id, pair["task"], words, (frame["width"], frame["height"]), image, record["split"])


def _row(folder: Path, item: Item, wanted: Wanted, first: bool) -> dict[str, Any]:
    try:
        row = wanted.layout.row(item, wanted.view, wanted.boxes)
    except IndexError as error:
        raise CotgenError(f"'{item.id}' names a box that it does not have; run `cotgen verify {folder}`") from error
    return first_row(row, item) if first else row


def _records(folder: Path, shard: Shard) -> Iterator[tuple[ExportRecord, bytes]]:
    """The records and pictures of a shard, each checked to be what a record may be."""
    path = folder / shard.file
    try:
        for item in read_shard(path):
            if not item.jpg:
                raise CotgenError(_no_pictures(folder))
            record = export_record(item.json)
            if (record["key"], record["split"]) != (item.key, shard.split):
                raise CotgenError(
                    f"{path}: the record of '{item.key}' is of another sample; run `cotgen verify {folder}`"
                )
            yield record, item.jpg
    except pydantic.ValidationError as error:
        raise CotgenError(f"{path} has a damaged record; run `cotgen verify {folder}`") from error
    except OSError as error:
        raise CotgenError(f"{path} cannot be read ({error.strerror}); copy the data set again") from error


def _begin(state: _State, shard: Shard) -> int:
    """Where the rows of a shard begin in the file of its split."""
    return max((done.position for done in state.done if done.split == shard.split), default=0)


def _check(folder: Path, out: Path, manifest: Manifest, wanted: Wanted) -> None:
    if not manifest.counts.get("images"):
        raise CotgenError(_no_pictures(folder))
    if wanted.view not in wanted.layout.views:
        raise CotgenError(
            f"{wanted.layout.reader} trains on answers, and view {wanted.view} has none beside its question; "
            f"use --format trl, swift or parquet, or --view {' or '.join(wanted.layout.views)}"
        )
    if wanted.boxes.convention not in wanted.layout.boxes:
        raise CotgenError(
            f"{wanted.layout.reader} does not read boxes as '{wanted.boxes.convention}'; "
            f"use --boxes {', '.join(wanted.layout.boxes)}"
        )
    if wanted.layout.name == "parquet":
        need_pyarrow()
    if out.resolve().is_relative_to(folder.resolve()):
        raise CotgenError(f"{out} is in the data set {folder}; give a folder outside of it as --out")


def _no_pictures(folder: Path) -> str:
    return (
        f"{folder} stores no pictures, and a trainer needs them; put them in with `cotgen hydrate {folder}` from your "
        "own copy of the sources, and export the folder that it writes"
    )


def _count(folder: Path, wanted: Wanted) -> dict[str, dict[str, int]]:
    """`pairs`: split -> rows to come, `left_out`: why -> pairs; from the index. Raises CotgenError where nothing comes."""
    columns = ["split", "task", "writer", "support"]
    try:
        groups = scan_index(folder).group_by(columns).len().sort(columns).collect().rows()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise CotgenError(f"{folder / INDEX} cannot be read; run `cotgen verify {folder}`") from error
    there = {"split": {row[0] for row in groups}, "task": {row[1] for row in groups}}
    there["writer"] = {name for row in groups for name in (row[2], row[2].partition("/")[0])}
    for what, asked in (("split", wanted.splits), ("task", wanted.tasks), ("writer", wanted.writers)):
        if unknown := sorted(set(asked) - there[what]):
            raise CotgenError(
                f"{folder} has no {what} '{unknown[0]}'; it has {', '.join(sorted(there[what]))}; choose with --{what}"
            )
    pairs: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    for split, task, writer, support, count in groups:
        why = wanted.left_out(split, task, writer, support)
        if why:
            left_out[why] += count
        else:
            pairs[split] += count
    if not pairs:
        told = ", ".join(f"{why} {count:,}" for why, count in sorted(left_out.items()))
        raise CotgenError(
            f"nothing is left to export (left out: {told}); ask for more tasks or writers, or --asserted"
        )
    return {"pairs": dict(pairs), "left_out": dict(left_out)}


def _fingerprint(manifest: Manifest, wanted: Wanted) -> str:
    """sha256 over all that the bytes depend on."""
    shards = [shard.sha256 for shard in manifest.shards]
    made_of = [EXPORT_VERSION, __version__, manifest.fingerprint, shards, _options(wanted)]
    return hashlib.sha256(canonical_json(made_of)).hexdigest()


def _options(wanted: Wanted) -> dict[str, Any]:
    return {
        "format": wanted.layout.name,
        "view": wanted.view,
        "boxes": asdict(wanted.boxes),
        "splits": sorted(wanted.splits),
        "tasks": sorted(wanted.tasks),
        "writers": sorted(wanted.writers),
        "asserted": wanted.asserted,
    }


def _claim(out: Path, fingerprint: str) -> _State | None:
    """How far this export got in `out`; None where it is finished. Raises CotgenError where the folder is not its own."""
    if out.exists() and not out.is_dir():
        raise CotgenError(f"{out} is a file; give a folder as --out")
    names = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    state = _State.read(out / WORK / _STATE)
    if RECEIPT in names:
        if _receipt(out).get("fingerprint") == fingerprint:
            return None
    elif state is not None:
        if state.fingerprint == fingerprint:
            return state
    elif not names or (names == [WORK] and not any(path.suffix != ".tmp" for path in (out / WORK).iterdir())):
        return _State(fingerprint)
    else:
        shown = f"{', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"
        raise CotgenError(
            f"{out} holds files that no export wrote ({shown}); nothing in it was touched. Choose a new folder for --out"
        )
    raise CotgenError(
        f"{out} holds another export, or one with other options or of another version of the data set. Choose a new "
        "folder for --out, or remove that one first"
    )


def _receipt(out: Path) -> dict[str, Any]:
    try:
        found = orjson.loads((out / RECEIPT).read_bytes())
    except (OSError, ValueError) as error:
        raise CotgenError(f"{out / RECEIPT} cannot be read; remove {out} and export again") from error
    return found if isinstance(found, dict) else {}


def _finished(out: Path) -> Exported:
    """What a finished export holds, once its files have been looked at."""
    receipt = _receipt(out)
    changed = [
        name
        for name, size in receipt["files"].items()
        if not (out / name).is_file() or (out / name).stat().st_size != size
    ]
    if changed or _pictures(out) != tuple(receipt["image_files"]):
        what = changed[0] if changed else IMAGES
        raise CotgenError(f"{out / what} was changed or removed after the export; remove {out} and export again")
    shutil.rmtree(out / WORK, ignore_errors=True)
    return Exported(receipt["pairs"], receipt["images"], receipt["left_out"], receipt["rows"], written=False)


def _pictures(out: Path) -> tuple[int, int]:
    """How many pictures lie in the folder, and their bytes."""
    count = size = 0
    waiting = [str(out / IMAGES)] if (out / IMAGES).is_dir() else []
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif entry.name.endswith(".jpg"):
                    count += 1
                    size += entry.stat().st_size
    return count, size


def _seal(
    out: Path, manifest: Manifest, wanted: Wanted, state: _State, expected: dict[str, dict[str, int]]
) -> Exported:
    """Give the rows their names, write what is said about them, and last the receipt."""
    pairs, images = Counter[str](), Counter[str]()
    for done in state.done:
        pairs[done.split] += done.pairs
        images[done.split] += done.images
    if +pairs != Counter(expected["pairs"]):
        raise CotgenError(
            f"the shards hold {sum(pairs.values()):,} of these pairs where {INDEX} says "
            f"{sum(expected['pairs'].values()):,}; run `cotgen verify` on the data set"
        )
    splits: list[str] = [split for split in SPLITS if pairs[split]]
    rows = _name_rows(out, wanted, state, splits)
    held = {split: pairs[split] for split in splits}
    texts = {README: notes(manifest, wanted.layout, wanted.view, wanted.boxes, held, expected["left_out"])}
    if wanted.layout.name == "sharegpt":
        texts["dataset_info.json"] = dataset_info(splits)
    for name, text in texts.items():
        write_bytes(out / name, text.encode())
    beside = wanted.layout.name != "parquet"
    total = sum(images.values()), sum(done.image_bytes for done in state.done)
    if beside and _pictures(out) != total:
        raise CotgenError(f"{out / IMAGES} does not hold what was written to it; remove {out} and export again")
    os.sync()
    receipt = {
        "schema": "cotgen/export/1",
        "fingerprint": state.fingerprint,
        "data_set": manifest.fingerprint,
        **_options(wanted),
        "pairs": held,
        "images": {split: images[split] for split in splits},
        "image_files": list(total) if beside else [0, 0],
        "left_out": expected["left_out"],
        "rows": rows,
        "files": {name: (out / name).stat().st_size for name in [*rows, *texts]},
        "versions": {"cotgen": __version__, "export": EXPORT_VERSION},
    }
    write_bytes(out / RECEIPT, canonical_json(receipt))
    shutil.rmtree(out / WORK)
    return Exported(held, {split: images[split] for split in splits}, expected["left_out"], rows, written=True)


def _name_rows(out: Path, wanted: Wanted, state: _State, splits: Sequence[str]) -> list[str]:
    """Move the rows of each split to their place; those that an earlier call moved stay. Returns their names."""
    if wanted.layout.name == "parquet":
        return [wanted.layout.file.format(shard=Path(done.shard).stem) for done in state.done if done.pairs]
    names = []
    for split in splits:
        name = wanted.layout.file.format(split=split)
        if (out / WORK / split).is_file():
            (out / WORK / split).replace(out / name)
        names.append(name)
    return names
