"""Verifying a folder: that it is whole, that it is what it says, and that every sentence has its evidence.

Nothing is taken on trust: checksums, shards against the manifest, records against the schema, pictures, splits, every
reference of every statement, all checks of all chains, and the index are looked at again, a shard at a time. Whatever
is damaged becomes a problem in the report; nothing raises. The one thing that cannot be checked here is
`frame.pixels`, the hash of the picture before it was encoded: that needs the source again.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pydantic
from PIL import Image

from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.records import Manifest, Sample, Shard, sample_key, surgery_of_key
from cotgen.records.schemas import schema_files
from cotgen.resources import shared_folder
from cotgen.shards.evidence import resolve_evidence
from cotgen.shards.files import sha256_of
from cotgen.shards.helpers import in_processes
from cotgen.shards.index import INDEX, INDEX_SCHEMA, IndexBlocks, count_pairs, pair_rows, scan_index
from cotgen.shards.manifest import CARD_FILE, MANIFEST, PRIORS, README, SUMS, WAITS, card_waits
from cotgen.shards.pack import DATA, SHARD_FILE
from cotgen.shards.tar import ShardError, TarSample, read_shard
from cotgen.shards.whole import against_sums, listed
from cotgen.surgeries.identity import canonical
from cotgen.surgeries.priors import Priors
from cotgen.surgeries.splits import SplitPlan

#: Problems of one kind that are listed; the rest are counted.
LISTED = 20
_BOX = re.compile(r"<bbox:([0-9]+)>")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        kind: `checksum`, `folder`, `manifest`, `priors`, `shard`, `schema`, `record`, `image`, `split`, `evidence`,
            `check`, `key`, `index` or `counts`.
        file: relative to the folder.
        key: the sample, or "".
        pair: the pair's id, or "".
        what: in words.
    """

    kind: str
    file: str
    key: str
    pair: str
    what: str


@dataclass
class VerifyReport:
    """What was looked at and what is wrong.

    Attributes:
        problems: at most `LISTED` of each kind, in the order of the folder.
        counts: `files`, `shards`, `samples`, `pairs`, `statements`, `references`, `images` and `soft findings` that
            were looked at.
        found: kind of problem -> how many there are.
    """

    problems: list[Problem] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    found: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.found

    def add(self, kind: str, file: str, what: str, key: str = "", pair: str = "") -> None:
        """Count a problem, and list it if not too many of its kind are listed."""
        self.found[kind] = self.found.get(kind, 0) + 1
        if self.found[kind] <= LISTED:
            self.problems.append(Problem(kind, file, key, pair, what))

    def saw(self, what: str, count: int = 1) -> None:
        """Count what was looked at."""
        self.counts[what] = self.counts.get(what, 0) + count

    def take(self, other: VerifyReport) -> None:
        """Add the report of one part."""
        listed = Counter(problem.kind for problem in self.problems)
        for problem in other.problems:
            listed[problem.kind] += 1
            if listed[problem.kind] <= LISTED:
                self.problems.append(problem)
        for kind, count in other.found.items():
            self.found[kind] = self.found.get(kind, 0) + count
        for what, count in other.counts.items():
            self.saw(what, count)


@dataclass(frozen=True)
class _Folder:
    """What the check of a shard needs to know of the whole.

    Attributes:
        out: the folder.
        manifest: its manifest.
        priors: its priors.
        plan: the split table.
        rows: shard -> first row and number of rows in the index; empty where the index cannot be used.
        surgery_split: surgery -> split, by the manifest.
        sources: those whose terms the manifest states.
    """

    out: Path
    manifest: Manifest
    priors: Priors | None
    plan: SplitPlan | None
    rows: dict[str, tuple[int, int]]
    surgery_split: dict[str, str]
    sources: frozenset[str]


@dataclass(frozen=True)
class _ShardReport:
    report: VerifyReport
    images: int
    keys: list[int]


def verify(out: Path, *, workers: int = 1, progress: Callable[[int], None] | None = None) -> VerifyReport:
    """Look at everything in a folder again.

    Args:
        out: the folder.
        workers: processes; the report does not depend on their number.
        progress: called with the number of shards that are newly done.

    Raises:
        CotgenError: there is no such folder.
    """
    if not out.is_dir():
        raise CotgenError(f"{out} is not there; give the folder that `cotgen build --out` finished")
    report = VerifyReport()
    _check_schemas(report)
    manifest, raw = _read_manifest(out, report)
    if manifest is None:
        return report
    sums = _check_sums(out, manifest, raw, report)
    folder = _Folder(
        out=out,
        manifest=manifest,
        priors=_check_priors(out, manifest, report),
        plan=_check_splits(manifest, report),
        rows=_check_index(out, manifest, report) if _check_files(out, manifest, sums, report) else {},
        surgery_split={surgery: split for split, names in manifest.splits.items() for surgery in names},
        sources=frozenset(source.name for source in manifest.sources),
    )
    images = 0
    seen: dict[int, str] = {}
    shards = [shard for shard in manifest.shards if SHARD_FILE.fullmatch(shard.file)]
    for shard, result in zip(shards, in_processes(_check_shard, folder, shards, workers), strict=True):
        if isinstance(result, str):
            report.add("shard", shard.file, result)
            continue
        report.take(result.report)
        images += result.images
        for key in result.keys:
            if seen.setdefault(key, shard.file) != shard.file:
                report.add("key", shard.file, f"a key of this shard is in {seen[key]} too", _key_of(out, shard, key))
        if progress:
            progress(1)
    if folder.rows:
        _check_counts(folder, images, report)
    return report


def _check_schemas(report: VerifyReport) -> None:
    """The JSON Schemas that travel with the package are those of the records that read the samples."""
    for name, data in schema_files().items():
        path = shared_folder("schemas") / name
        if not path.is_file() or path.read_bytes() != data:
            report.add("schema", f"schemas/{name}", "is not the schema of the records; install cotgen again")


def _read_manifest(out: Path, report: VerifyReport) -> tuple[Manifest | None, bytes]:
    try:
        raw = (out / MANIFEST).read_bytes()
        manifest = Manifest.from_json(raw)
    except OSError as error:
        what = "is not there, so the folder was never finished; run the build again"
        what = f"is not there: the folder {WAITS}" if card_waits(out) else what
        report.add("manifest", MANIFEST, what if isinstance(error, FileNotFoundError) else str(error.strerror))
        return None, b""
    except pydantic.ValidationError as error:
        report.add("manifest", MANIFEST, _wrong_values(error))
        return None, b""
    if manifest.to_json() != raw:
        report.add("manifest", MANIFEST, "is not in the form that cotgen writes; it was edited or damaged")
    return manifest, raw


def _wrong_values(error: pydantic.ValidationError) -> str:
    """The first three errors, without the values, which may be long."""
    listed = error.errors(include_url=False, include_input=False, include_context=False)[:3]
    places = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'the whole'}: {item['msg']}" for item in listed)
    return f"{error.error_count()} values are not of the schema ({places})"


def _check_sums(out: Path, manifest: Manifest, raw: bytes, report: VerifyReport) -> dict[str, str]:
    """SHA256SUMS names the files that the manifest names, with the same sums."""
    for file, what in against_sums(out, manifest, raw):
        report.add("checksum", file, what)
    return listed(manifest, raw)


def _check_priors(out: Path, manifest: Manifest, report: VerifyReport) -> Priors | None:
    if not (out / PRIORS).is_file():
        return None
    try:
        priors = Priors.from_json((out / PRIORS).read_bytes())
    except OSError as error:
        report.add("priors", PRIORS, f"cannot be read ({error.strerror})")
        return None
    except pydantic.ValidationError as error:
        report.add("priors", PRIORS, _wrong_values(error))
        return None
    held_out = {name for split, names in manifest.splits.items() if split != "train" for name in names}
    if leaked := sorted(held_out & set(priors.surgeries)):
        report.add("priors", PRIORS, f"counts surgeries that are not in train: {', '.join(leaked[:10])}")
    return priors


def _check_splits(manifest: Manifest, report: VerifyReport) -> SplitPlan | None:
    """Each surgery of the manifest is in one split, and it is that of the split table."""
    owners: dict[str, list[str]] = {}
    for split, names in sorted(manifest.splits.items()):
        for name in names:
            owners.setdefault(name, []).append(split)
    for name, splits in sorted(owners.items()):
        if len(splits) > 1:
            report.add("split", MANIFEST, f"surgery {name} is listed more than once: {', '.join(splits)}")
    try:
        plan = SplitPlan.parse(manifest.split_table.split("+"))
        for name, splits in sorted(owners.items()):
            if plan.decides(name) and plan.of(name) not in splits:
                report.add("split", MANIFEST, f"surgery {name} is in {splits[0]}, but {plan.of(name)} by {plan.name}")
    except CotgenError as error:
        report.add("split", MANIFEST, str(error))
        return None
    return plan


def _check_files(out: Path, manifest: Manifest, sums: dict[str, str], report: VerifyReport) -> bool:
    """The files beside the shards have their sha256, and none is missing or too many. True if the index is whole."""
    needed = {INDEX, README} | ({PRIORS} if (out / PRIORS).is_file() else set())
    known = needed | {name for name in manifest.files if CARD_FILE.fullmatch(name)}
    for name in sorted(known ^ manifest.files.keys()):
        report.add("folder", name, "is missing in the manifest" if name in needed else "is no file of a data set")
    good = set()
    for name in sorted(manifest.files.keys() & (known | {PRIORS})):
        report.saw("files")
        try:
            if sha256_of(out / name) == manifest.files[name]:
                good.add(name)
            else:
                report.add("checksum", name, "has another sha256 than the manifest says; it was edited or damaged")
        except OSError as error:
            report.add("folder", name, f"cannot be read ({error.strerror})")
    for shard in manifest.shards:
        if not SHARD_FILE.fullmatch(shard.file):
            report.add("manifest", MANIFEST, f"{shard.file!r} is no name of a shard")
    if [shard.file for shard in manifest.shards] != sorted({shard.file for shard in manifest.shards}):
        report.add("manifest", MANIFEST, "the shards are not in name order, each once")
    folders = {DATA, *(name.partition("/")[0] for name in sums if CARD_FILE.fullmatch(name) and "/" in name)}
    for path in sorted([*out.iterdir(), *(path for name in folders for path in (out / name).glob("*"))]):
        name = path.relative_to(out).as_posix()
        if name not in sums and name not in {SUMS, *folders} and not path.name.startswith("."):
            report.add("folder", name, "is there, but not listed; remove it or build again")
    return INDEX in good


def _check_shard(folder: _Folder, shard: Shard) -> _ShardReport:
    report = VerifyReport()
    path = folder.out / shard.file
    keys: list[int] = []
    images = pairs = 0
    index = _IndexCheck(folder, shard, report)
    blocks: IndexBlocks | None = IndexBlocks(index.take) if folder.rows else None
    report.saw("shards")
    try:
        size = path.stat().st_size
        if size != shard.bytes:
            report.add("shard", shard.file, f"has {size:,} bytes, the manifest says {shard.bytes:,}; copy it again")
        if sha256_of(path) != shard.sha256:
            report.add("checksum", shard.file, "has another sha256 than the manifest says; copy or build it again")
        for item in read_shard(path):
            keys.append(draw(0, item.key))
            images += bool(item.jpg)
            try:
                rows = pair_rows(orjson.loads(item.json), shard.file, item.offset)
                pairs += len(rows)
                if blocks is not None:
                    blocks.add(rows)
            except (ValueError, KeyError, TypeError, AttributeError, pl.exceptions.PolarsError):
                blocks = None
            for kind, pair, what in _check_sample(folder, shard, item, report):
                report.add(kind, shard.file, what, item.key, pair)
        _compare(report, shard, len(keys), pairs)
        if blocks is not None:
            blocks.close()
            index.close()
    except FileNotFoundError:
        report.add("shard", shard.file, "is not there; copy or build it again")
    except ShardError as error:
        report.add("shard", shard.file, f"byte {error.offset}: {error.message}")
    except OSError as error:
        report.add("shard", shard.file, f"cannot be read ({error.strerror})")
    return _ShardReport(report, images, keys)


def _compare(report: VerifyReport, shard: Shard, samples: int, pairs: int) -> None:
    for what, found, stated in (("samples", samples, shard.samples), ("pairs", pairs, shard.pairs)):
        if found != stated:
            report.add("shard", shard.file, f"holds {found:,} {what}, the manifest says {stated:,}")


def _check_sample(
    folder: _Folder, shard: Shard, item: TarSample, report: VerifyReport
) -> Iterator[tuple[str, str, str]]:
    """(kind, pair, what) for all that is wrong with one sample."""
    report.saw("samples")
    try:
        sample = Sample.from_json(item.json)
        written = sample.to_json()
    except pydantic.ValidationError as error:
        yield "schema", "", _wrong_values(error)
        return
    except TypeError as error:
        yield "schema", "", f"the record holds what cotgen does not write ({error})"
        return
    if written != item.json:
        yield "schema", "", "the record is not in the form that cotgen writes (sorted keys, no white space, no gaps)"
    yield from (("record", pair, what) for pair, what in _inconsistencies(sample, item.key))
    if sample.split != shard.split:
        yield "split", "", f"the record says {sample.split}, but this is a shard of {shard.split}"
    if folder.surgery_split.get(sample.surgery) != sample.split:
        yield "split", "", f"surgery {sample.surgery} is not in {sample.split} by the manifest"
    if (plan := folder.plan) is not None and plan.decides(sample.surgery) and plan.of(sample.surgery) != sample.split:
        yield "split", "", f"surgery {sample.surgery} is {plan.of(sample.surgery)} by {plan.name}"
    # Whoever takes the terms of a source out of the manifest would publish its frames under those of another.
    if unnamed := sorted({*sample.sources, sample.frame.source} - folder.sources):
        yield "record", "", f"the manifest states no terms of {', '.join(unnamed)}, which the record names"
    yield from (("image", "", what) for what in _image_problems(sample, item.jpg))
    report.saw("images", int(bool(item.jpg)))
    for pair in sample.pairs:
        report.saw("pairs")
        report.saw("statements", len(pair.statements))
        for number, statement in enumerate(pair.statements):
            report.saw("references", len(statement.evidence))
            for problem in resolve_evidence(sample, pair, number, folder.priors):
                yield "evidence", pair.id, f"sentence {number}: {problem}"
    yield from _check_chains(folder, sample, report)


def _check_chains(folder: _Folder, sample: Sample, report: VerifyReport) -> Iterator[tuple[str, str, str]]:
    from cotgen.chains.checks import check_sample

    try:
        findings = check_sample(sample, folder.priors)
    except Exception as error:
        # A record can be of the schema and still name terms or tasks that do not exist.
        yield "check", "", f"the checks could not read this sample ({type(error).__name__}: {error})"
        return
    for pair, finding in findings:
        if finding.severity == "hard":
            where = f"sentence {finding.statement}: " if finding.statement >= 0 else ""
            yield "check", pair, f"{finding.check}: {where}{finding.text}"
        else:
            report.saw("soft findings")
    for stored in sample.pairs:
        if any(finding.severity == "hard" for finding in stored.findings):
            yield "check", stored.id, "is stored with a hard finding"


def _inconsistencies(sample: Sample, key: str) -> Iterator[tuple[str, str]]:
    """(pair, what) where a record contradicts itself."""
    frame = sample.frame
    clock = surgery_of_key(sample.key)
    if not (sample.key == key == sample_key(clock, frame.index) and canonical(clock) == canonical(sample.surgery)):
        yield "", f"the record's key is {sample.key}, that of its surgery and frame {frame.index} is another"
    if abs(frame.time_s - float(frame.index / Fraction(frame.fps))) > 1e-6:
        yield "", f"frame {frame.index} at {frame.fps} frames a second is not at {frame.time_s} s"
    facts = [fact.id for fact in sample.facts]
    if len(set(facts)) < len(facts):
        yield "", "two facts have the same id"
    for fact in sample.facts:
        name = f"{fact.source}.{fact.kind}"
        if fact.id.rpartition(".")[0] != name or name not in sample.labelled or fact.source not in sample.sources:
            yield "", f"fact {fact.id} is not of a source and kind that the record lists as labelled"
        if fact.box and not _inside(fact.box, frame.width, frame.height):
            yield "", f"the box of fact {fact.id} is not inside the picture"
    if not sample.pairs:
        yield "", "the sample has no question"
    ids = [pair.id for pair in sample.pairs]
    if len(set(ids)) < len(ids):
        yield "", "two pairs have the same id"
    for pair in sample.pairs:
        if not all(_inside(box, frame.width, frame.height) for box in pair.boxes):
            yield pair.id, "a box is not inside the picture"
        texts = [pair.question, pair.answer, *pair.options, *(statement.text for statement in pair.statements)]
        if any(int(number) >= len(pair.boxes) for text in texts for number in _BOX.findall(text)):
            yield pair.id, "a text names a box that the pair does not have"


def _inside(box: list[int], width: int, height: int) -> bool:
    return len(box) == 4 and 0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height


def _image_problems(sample: Sample, jpg: bytes) -> Iterator[str]:
    """What is wrong with the stored picture."""
    if not jpg:
        return
    if hashlib.sha256(jpg).hexdigest() != sample.frame.sha256:
        yield "the picture has another sha256 than its record says"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(io.BytesIO(jpg), formats=["JPEG"]) as picture:
                size = picture.size
                picture.convert("RGB")
    except Exception as error:
        # Pillow raises many kinds on damaged files; each of them means the same here.
        yield f"the picture cannot be decoded ({type(error).__name__}: {error})"
        return
    if size != (sample.frame.width, sample.frame.height):
        yield f"the picture is {size[0]}x{size[1]}, the record says {sample.frame.width}x{sample.frame.height}"


def _key_of(out: Path, shard: Shard, hashed: int) -> str:
    return next((item.key for item in read_shard(out / shard.file) if draw(0, item.key) == hashed), "")


class _IndexCheck:
    """Compares the rows that a shard gives with those of the index, as they come."""

    def __init__(self, folder: _Folder, shard: Shard, report: VerifyReport) -> None:
        self._index = scan_index(folder.out)
        self._start, self._length = folder.rows.get(shard.file, (0, 0))
        self._shard = shard
        self._report = report
        self._seen = 0

    def take(self, expected: pl.DataFrame) -> None:
        """The next rows of the shard."""
        at, self._seen = self._seen, self._seen + expected.height
        if self._seen > self._length:
            return
        try:
            stored = self._index.slice(self._start + at, expected.height).collect()
        except pl.exceptions.PolarsError as error:
            self._report.add("index", INDEX, f"cannot be read ({type(error).__name__})")
            return
        if not stored.equals(expected):
            for is_row, should in zip(stored.iter_rows(named=True), expected.iter_rows(named=True), strict=True):
                columns = ", ".join(name for name in INDEX_SCHEMA if is_row[name] != should[name])
                if columns:
                    what = f"the row differs from {self._shard.file} in {columns}"
                    self._report.add("index", INDEX, what, should["key"], should["id"])

    def close(self) -> None:
        """After the last row."""
        if self._seen != self._length:
            what = f"has {self._length:,} rows for {self._shard.file}, which holds {self._seen:,} pairs"
            self._report.add("index", INDEX, what)


def _check_index(out: Path, manifest: Manifest, report: VerifyReport) -> dict[str, tuple[int, int]]:
    """The index has the columns and the shards of the manifest, in order. Shard -> first row, number of rows."""
    try:
        if dict(scan_index(out).collect_schema()) != INDEX_SCHEMA:
            report.add("index", INDEX, "has other columns than cotgen writes")
            return {}
        runs = scan_index(out).select(pl.col("shard").rle()).unnest("shard").select("value", "len").collect().rows()
    except pl.exceptions.PolarsError as error:
        report.add("index", INDEX, f"cannot be read ({type(error).__name__})")
        return {}
    if [shard for shard, _ in runs] != [shard.file for shard in manifest.shards]:
        report.add("index", INDEX, "does not list the shards of the manifest, each once and in order")
    rows: dict[str, tuple[int, int]] = {}
    start = 0
    for shard, length in runs:
        rows[shard] = (start, length)
        start += length
    return rows


def _check_counts(folder: _Folder, images: int, report: VerifyReport) -> None:
    """The counts of the manifest are those of the index, which was compared with the shards."""
    counts: dict[str, Any] = {**count_pairs(scan_index(folder.out)), "images": images}
    for name, count in counts.items():
        if folder.manifest.counts.get(name) != count:
            report.add("counts", MANIFEST, f"states {name} as {folder.manifest.counts.get(name)}, but it is {count}")
