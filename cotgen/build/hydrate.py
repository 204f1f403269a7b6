"""Hydrating: the pictures go back into a data set that was published without them.

The records keep the hashes of every frame. Here the frames are taken out of the user's own download with the settings of
the build, and only a frame whose `pixels` are those of its record is put in. With the same decoder and encoder the
shards are those of the build, bit for bit. What cannot be had is left out and listed; the rest is a whole data set.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import orjson
import polars as pl
import pydantic

from cotgen.build.config import BuildConfig, load_config
from cotgen.build.files import Seen, fingerprint, hold, make_folder, move_into_place
from cotgen.build.footage import Asked, Finder, fitted, is_picture, unknown_source
from cotgen.build.output import Output, Pieces, identity, together
from cotgen.build.report import Outcome, Reporter
from cotgen.build.runner import Runner, interruptible, running
from cotgen.build.units import EXAMPLES
from cotgen.build.workers import Done
from cotgen.errors import CotgenError, SourceError
from cotgen.frames.store import FrameStore
from cotgen.records import Frame, LeftOut, Manifest, Split, canonical_json, sample_key, surgery_of_key
from cotgen.shards.index import INDEX
from cotgen.shards.manifest import is_sealed, load, load_priors, seal
from cotgen.shards.pack import Entry, PackResult, pack
from cotgen.shards.stored import Place, StoredRecords
from cotgen.shards.whole import whole
from cotgen.sources import SOURCES
from cotgen.sources.base import Footage, inside
from cotgen.surgeries.identity import canonical, order_of

#: Raised when the same set and the same footage give other bytes.
HYDRATE_VERSION = 1
#: A row for each sample of the set: where its record is, and what picture it asks for.
_WANTED: dict[str, Any] = {
    "key": pl.String,
    "split": pl.String,
    "shard": pl.String,
    "offset": pl.Int64,
    "bytes": pl.Int64,
    "source": pl.String,
    "file": pl.String,
    "index": pl.Int64,
    "fps": pl.String,
    "crop": pl.String,
    "pixels": pl.Binary,
    "sha256": pl.Binary,
}
_BLOCK = 1 << 14
_SOURCE = re.compile(r"[a-z0-9_]+")
#: Why a picture is not put in, as the manifest says it.
NOT_FOUND = "the file of its picture was not found"
OTHER = "its picture is another one in the file at hand"
NO_HASH = "its record has no hash that could prove its picture"
_EMPTY = "no picture of it could be put back"


@dataclass(frozen=True, slots=True)
class Gap:
    """Pictures of one surgery that are not put in, for one reason.

    Attributes:
        surgery: `cholec80/73`.
        file: the file as the records name it, or the first of several.
        frames: how many.
        reason: for the manifest.
        why: for the user, with numbers and places.
        keys: their keys, ascending.
        all: whether these are all pictures of the surgery.
    """

    surgery: str
    file: str
    frames: int
    reason: str
    why: str
    keys: tuple[str, ...]
    all: bool


@dataclass
class Hydration:
    """What came of it, or with `dry` what would.

    Attributes:
        outcome: the account of the run, and the manifest.
        samples: of the set.
        placed: pictures that are put in; with `dry` those whose file is there.
        changed: pictures with the same pixels and other bytes of JPEG.
        gaps: what is not put in.
        found: surgery -> where its pictures are.
        looked: where was looked for what was not found.
        tools: `decoder` and `encoder` -> the version of the set and the one at hand, where they differ.
        closed: titles of the sources whose frames may not be passed on.
        listing: file with a line for each picture that is not put in.
    """

    outcome: Outcome
    samples: int = 0
    placed: int = 0
    changed: int = 0
    gaps: list[Gap] = field(default_factory=list)
    found: dict[str, Path] = field(default_factory=dict)
    looked: list[str] = field(default_factory=list)
    tools: dict[str, tuple[str, str]] = field(default_factory=dict)
    closed: list[str] = field(default_factory=list)
    listing: Path | None = None

    @property
    def exit_code(self) -> int:
        """0, or 1 where a picture is not put in."""
        return 1 if self.gaps else 0


@dataclass
class _Job:
    """The pictures of one surgery on their way."""

    name: str
    asked: Asked
    #: Frame -> its row in the table of what is wanted.
    rows: dict[int, int]
    footage: Footage = field(default_factory=lambda: Footage("", Path()))
    content: str = ""
    seen: Seen | None = None
    frames: Path = Path()
    frames_fp: str = ""
    ran: set[str] = field(default_factory=set)
    ready: bool = False

    @property
    def surgery(self) -> str:
        return self.name

    @property
    def wanted(self) -> tuple[int, ...]:
        return tuple(self.rows)

    @wanted.setter
    def wanted(self, frames: tuple[int, ...]) -> None:
        self.rows = {index: self.rows[index] for index in frames}


@dataclass(frozen=True, slots=True)
class Hydrating:
    """What to put pictures into, from what, and where to.

    Attributes:
        data: a finished folder without pictures.
        root: where the sources lie: `DIR` or `NAME=DIR`, any number.
        out: the folder to write.
        work: of unfinished work; default `$COTGEN_WORK`, then `OUT.work` beside OUT.
        workers: processes; 0 for one per processor.
        replace: whether OUT may hold another data set of cotgen's, which is then replaced.
    """

    data: Path
    root: Sequence[str]
    out: Path
    work: Path | None = None
    workers: int = 0
    replace: bool = False

    def config(self, manifest: Manifest) -> BuildConfig:
        """The settings of the build whose pictures they are.

        Raises:
            CotgenError: a setting is out of range, or the set was merged from builds of several.
        """
        quality, max_side = one_setting(manifest.config)
        given = {
            "source": [source.name for source in manifest.sources] or ["all"],
            "root": list(self.root),
            "out": self.out,
            "work": self.work,
            "workers": self.workers,
            "replace": self.replace,
            "quality": quality,
            "max_side": max_side,
            "seed": manifest.config.get("seed", 0),
            "shards": manifest.config.get("shards") or 0,
        }
        return load_config(None, given)


def one_setting(config: Mapping[str, Any]) -> tuple[Any, Any]:
    """Quality and longest side of the pictures of a data set.

    Raises:
        CotgenError: it was merged from builds with several.
    """
    found = _settings(config)
    if len(found) > 1:
        shown = " and ".join(f"quality {quality}, max_side {side}" for quality, side in found)
        raise CotgenError(
            f"The data set was merged from builds with different pictures ({shown}). Hydrate its parts, then merge them"
        )
    return found[0]


def _settings(config: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    parents = config.get("parents")
    if isinstance(parents, list) and parents:
        return list(dict.fromkeys(item for parent in parents for item in _settings(parent)))
    return [(config.get("quality", 90), config.get("max_side", 0))]


def hydrate(
    what: Hydrating, reporter: Reporter, *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Hydration:
    """Put the pictures into a data set, or bring one up to date.

    Raises:
        CotgenError: the set is damaged, has pictures already or has no hashes; no picture was found; or OUT may not be
            written.
        StoppedError: the user stopped it; what is finished is kept.
    """
    start = time.monotonic()
    env = os.environ if env is None else env
    config = what.config(load(what.data))
    out, work = config.folders(env)
    _check_apart(out, what.data.resolve())
    with interruptible(out), hold(out, work / "locks"):
        outcome = Outcome(out)
        with running(Runner, work, config.processes, reporter, outcome) as run:
            manifest = _readable(what.data, run)
            outfit = _Outfit(what.data, manifest, config, run, Hydration(outcome))
            output = Output(out, work, identity(outfit.manifest))
            output.claim(config.replace)
            if outfit.finished(output):
                outcome.unchanged = True
            else:
                outfit.find(Finder(what.root, cwd or Path.cwd(), env))
                outfit.extract()
                run.pool.close()
                outfit.compare()
                outfit.write(output)
        outcome.wall_s = time.monotonic() - start
    return outfit.result


def preview(
    what: Hydrating, reporter: Reporter, *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Hydration:
    """What `hydrate` would find: nothing is decoded and OUT is not touched. Raises what it would raise first."""
    env = os.environ if env is None else env
    config = what.config(load(what.data))
    out, work = config.folders(env)
    _check_apart(out, what.data.resolve())
    with interruptible(None), ExitStack() as stack:
        if not what.work and not env.get("COTGEN_WORK") and not work.exists():
            work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cotgen-")))
        outcome = Outcome(out)
        run = stack.enter_context(running(Runner, work, config.processes, reporter, outcome))
        outfit = _Outfit(what.data, _readable(what.data, run), config, run, Hydration(outcome))
        outfit.find(Finder(what.root, cwd or Path.cwd(), env))
        outfit.result.placed = sum(len(job.rows) for job in outfit.jobs)
    return outfit.result


def _check_apart(out: Path, data: Path) -> None:
    if out.is_relative_to(data) or data.is_relative_to(out):
        raise CotgenError(f"{out} and {data}, which has no pictures, must be apart: give another folder as --out")


def _readable(data: Path, run: Runner) -> Manifest:
    """The manifest of a set that is whole and that pictures can be put into.

    Raises:
        CotgenError: it is not, and why.
    """
    manifest = load(data)
    run.reporter.expect("check", sum(shard.bytes for shard in manifest.shards))
    manifest = whole(data, run.cache.file, lambda size: run.reporter.advance("check", size))
    if manifest.counts.get("images"):
        raise CotgenError(f"{data} has its pictures already: there is nothing to do")
    return manifest


class _Outfit:
    """One set on its way to its pictures."""

    def __init__(self, data: Path, parent: Manifest, config: BuildConfig, run: Runner, result: Hydration) -> None:
        from cotgen.frames.decode import decoder_version
        from cotgen.frames.encode import encoder_version

        self.data = data
        self.parent = parent
        self.config = config
        self.run = run
        self.result = result
        self.jobs: list[_Job] = []
        tools = {"decoder": decoder_version(), "encoder": encoder_version()}
        #: As it is when nothing is missing and nothing is written yet.
        self.manifest = parent.model_copy(
            update={
                "kind": "hydrated",
                "parents": [parent.fingerprint],
                "config": {**parent.config, "frames": "embed"},
                "versions": {**parent.versions, **tools, "hydrate": str(HYDRATE_VERSION)},
            }
        )
        result.tools = {
            name: (parent.versions.get(name, ""), version)
            for name, version in tools.items()
            if parent.versions.get(name) != version
        }
        result.closed = [source.title for source in parent.sources if not source.share_frames]
        result.samples = parent.counts.get("samples", 0)

    def finished(self, output: Output) -> bool:
        """Whether OUT holds all of it, whole, made with these tools: then not even the videos are needed."""
        if not is_sealed(output.out):
            return False
        there = load(output.out)
        complete = there.counts.get("samples") == self.parent.counts.get("samples")
        if not complete or (identity(there), there.versions) != (identity(self.manifest), self.manifest.versions):
            return False
        self.result.outcome.manifest = output.current(there.fingerprint, self.run.cache)
        self.result.placed = self.result.samples
        return self.result.outcome.manifest is not None

    # What is wanted, and where it is.

    def find(self, finder: Finder) -> None:
        """Read what is wanted and look for it.

        Raises:
            CotgenError: nothing is found, no record has a hash, or a record names what it must not.
        """
        self.wanted = _wanted(self.data, self.run, self.parent)
        groups = list(_groups(self.wanted))
        if not groups:
            raise CotgenError(
                f"The records of {self.data} have no hashes of frames, since it was built with --frames none: nothing "
                "could prove that a picture is the right one. Ask its publisher for a build with --frames reference"
            )
        self.of_surgery: dict[str, int] = {}
        for number in self.wanted["key"]:
            name = surgery_of_key(number)
            self.of_surgery[name] = self.of_surgery.get(name, 0) + 1
        without = [row for row, digest in enumerate(self.wanted["pixels"]) if not digest]
        for name, rows in _by_surgery(self.wanted, without).items():
            self._miss(name, rows, NO_HASH, "made with --frames none")
        looked: dict[str, None] = {}
        for job in groups:
            footage = finder.find(job.asked)
            lost = dict(job.rows)
            if footage:
                footage, why = fitted(footage, job.asked)
                path = footage.root / (footage.video or footage.images[0][1])
                if why:
                    self._miss(job.asked.surgery, list(job.rows.values()), OTHER, f"{path} {why}")
                    continue
                self.result.found[job.asked.surgery] = path
                there = set(job.rows) if footage.video else {index for index, _ in footage.images}
                lost = {index: row for index, row in job.rows.items() if index not in there}
                job.footage, job.wanted = footage, tuple(index for index in job.rows if index in there)
                self.jobs.append(job)
            if lost:
                source = job.asked.source
                why = unknown_source(source) or "was not found"
                self._miss(job.asked.surgery, list(lost.values()), NOT_FOUND, why)
                looked |= dict.fromkeys(f"{place.folder} ({place.origin})" for place in finder.places(source))
        self.result.looked = list(looked)
        if not self.jobs:
            self._refuse()

    def _miss(self, surgery: str, rows: Sequence[int], reason: str, why: str) -> None:
        """These pictures of a surgery are not put in."""
        keys = self.wanted["key"].gather(list(rows)).to_list()
        file = self.wanted["file"][min(rows)]
        every = len(rows) == self.of_surgery[surgery]
        self.result.gaps.append(Gap(surgery, file, len(rows), reason, why, tuple(sorted(keys)), every))

    def _refuse(self) -> None:
        """Nothing can be put in."""
        gaps = self.result.gaps
        lines = [f"No picture could be put back, so nothing was written to {self.run.outcome.out}."]
        lines += [f"  {gap.surgery}: {gap.file}: {gap.why} ({gap.frames:,} frames)" for gap in gaps[:EXAMPLES]]
        if len(gaps) > EXAMPLES:
            lines.append(f"  and {len(gaps) - EXAMPLES} more")
        if self.result.looked:
            lines += ["Looked below:", *(f"  {place}" for place in self.result.looked)]
            lines.append("Say where the download lies: --root DIR or --root NAME=DIR.")
        names = {source for source in self.wanted["source"].unique().to_list() if source in SOURCES}
        if any(gap.reason == NOT_FOUND for gap in gaps):
            lines += [
                f"To get {SOURCES[n].describe().terms.title}: {SOURCES[n].describe().access}" for n in sorted(names)
            ]
        if any(gap.reason == OTHER for gap in gaps):
            lines.append(advice(self.result))
        raise CotgenError("\n".join(lines))

    # From videos to pictures.

    def extract(self) -> None:
        """Bring the pictures of every surgery into a sealed store."""
        run, config = self.run, self.config
        by_name = {job.name: job for job in self.jobs}

        def advance(job: _Job) -> None:
            try:
                job.ready = run.extract(job, "embed", config.quality, config.max_side)
            except OSError as error:
                run.lose(job.name, f"{error.filename} cannot be read ({error.strerror}); check the file")
            if job.ready and "frames" not in job.ran:
                run.reuse("frames")

        def then(event: Done) -> None:
            job = by_name[event.unit.surgery]
            run.took(event, job)
            advance(job)

        for job in self.jobs:
            advance(job)
        run.run(then)

    def compare(self) -> None:
        """Hold every picture against its record.

        Raises:
            CotgenError: a store is damaged, or no picture is the one of its record.
        """
        rows = self.wanted.height
        #: For each row: one more than the number of its job, or 0; offset and length of its picture.
        self.job_of, self.place_of = array("L", [0]) * rows, array("Q", [0]) * (2 * rows)
        self.digests = bytearray(32 * rows)
        pixels, sha256 = self.wanted["pixels"], self.wanted["sha256"]
        changed = hashlib.sha256()
        for number, job in enumerate(self.jobs, start=1):
            other: list[int] = []
            missing: dict[str, list[int]] = {}
            notes: Sequence[str] = ()
            if not job.ready:
                why = self.run.outcome.failed.get(job.name, "was not read")
                missing[why] = list(job.rows.values())
            else:
                with FrameStore.open(job.frames) as store:
                    there = store.rows()
                    lost, notes = store.report.missing, store.report.notes
                for index, row in job.rows.items():
                    found = there.get(index)
                    if found is None:
                        missing.setdefault(lost.get(index, "is not there"), []).append(row)
                    elif bytes.fromhex(found.pixels) != pixels[row]:
                        other.append(row)
                    else:
                        self.job_of[row] = number
                        self.place_of[2 * row : 2 * row + 2] = array("Q", (found.offset, found.length))
                        self.digests[32 * row : 32 * row + 32] = digest = bytes.fromhex(found.sha256)
                        if digest != sha256[row]:
                            self.result.changed += 1
                            changed.update(row.to_bytes(8, "big") + digest)
            surgery = job.asked.surgery
            for why, lost_rows in sorted(missing.items()):
                self._miss(surgery, lost_rows, why, why)
            if other:
                self._miss(surgery, other, OTHER, _differs(job, len(other) == len(job.rows), notes))
        self.result.placed = sum(number > 0 for number in self.job_of)
        self.result.gaps.sort(key=lambda gap: (order_of(gap.surgery), gap.file, gap.reason))
        self.changed = changed.hexdigest() if self.result.changed else ""
        if not self.result.placed:
            self._refuse()

    # From pictures to shards.

    def write(self, output: Output) -> None:
        """Pack and seal, unless OUT is up to date already."""
        run, outcome = self.run, self.result.outcome
        self.result.listing = self._list(output.out)
        kept = [row for row in range(self.wanted.height) if self.job_of[row]]
        left_out = together([*self.parent.left_out, *self._left_out()])
        complete = len(kept) == self.wanted.height
        keys = hashlib.sha256("\n".join(self.wanted["key"].gather(kept)).encode()).hexdigest()
        made_of = {
            "hydrate": HYDRATE_VERSION,
            "parent": self.parent.fingerprint,
            "shards": [shard.sha256 for shard in self.parent.shards],
            "kept": "" if complete else keys,
            "changed": self.changed,
        }
        told = {"left_out": [item.model_dump() for item in left_out], "versions": self.manifest.versions}
        whole_fp = fingerprint({**made_of, **told})
        current = output.current(whole_fp, run.cache)
        if current is not None:
            outcome.manifest, outcome.unchanged = current, True
            return
        run.check_same([job.seen for job in self.jobs if job.seen])
        # The folder may have been moved away, and another put in its place, while the videos were read.
        output.claim(self.config.replace)
        output.begin(run.part)
        run.reporter.expect("pack", len(kept))
        start = time.monotonic()
        with StoredRecords(self.data) as stored:
            packed = self._pack(output, stored, kept, fingerprint(made_of))
        counts = {**self.parent.counts, **packed.counts} if complete else self._counts(output.out, packed)
        sealed = self.manifest.model_copy(
            update={
                "fingerprint": whole_fp,
                "shards": packed.shards,
                "counts": counts,
                "left_out": left_out,
                "splits": self._splits(kept),
            }
        )
        outcome.manifest = seal(output.out, sealed, load_priors(self.data))
        output.finish()
        output.remember(outcome.manifest, run.cache)
        outcome.executed["pack"] = packed.written
        outcome.reused["pack"] = len(packed.shards) - packed.written
        outcome.seconds["pack"] = time.monotonic() - start

    def _pack(self, output: Output, stored: StoredRecords, kept: Sequence[int], content: str) -> PackResult:
        splits, lengths = self.wanted["split"], self.wanted["bytes"]
        keys = self.wanted["key"]
        entries = [
            Entry(keys[row], cast(Split, splits[row]), self.place_of[2 * row + 1], lengths[row], (row, 0))
            for row in kept
        ]
        pieces = Pieces()
        try:
            return pack(
                output.out,
                entries,
                lambda entry: self._sample(stored, pieces, entry),
                fingerprint=content,
                seed=self.config.seed,
                shards=self.config.shards or None,
                receipts=output.receipts,
                progress=lambda count: self.run.reporter.advance("pack", count),
            )
        finally:
            pieces.close()

    def _sample(self, stored: StoredRecords, pieces: Pieces, entry: Entry) -> tuple[bytes, bytes]:
        """The record, with the hash of the JPEG at hand, and the JPEG."""
        row = entry.where[0]
        place = Place(entry.key, entry.split, self.wanted["shard"][row], self.wanted["offset"][row])
        record, _ = stored.record(place)
        store = self.jobs[self.job_of[row] - 1].frames
        picture = pieces.read(store, self.place_of[2 * row], self.place_of[2 * row + 1])
        digest = bytes(self.digests[32 * row : 32 * row + 32])
        if hashlib.sha256(picture).digest() != digest:
            raise CotgenError(f"{store} is damaged. Remove it and run the same command again")
        if digest != self.wanted["sha256"][row]:
            values = orjson.loads(record)
            values["frame"]["sha256"] = digest.hex()
            record = canonical_json(values)
        return record, picture

    def _splits(self, kept: Sequence[int]) -> dict[str, list[str]]:
        """Split -> the operations that have a sample, in the order of the set."""
        there = {canonical(surgery_of_key(key)) for key in self.wanted["key"].gather(list(kept))}
        found = {split: [name for name in names if name in there] for split, names in self.parent.splits.items()}
        return {split: names for split, names in found.items() if names}

    def _counts(self, out: Path, packed: PackResult) -> dict[str, Any]:
        """What is counted of a part of the set; what was counted over the whole and cannot be told of a part is not."""
        from cotgen.evaluation.blind import blind_scores

        made = ("teacher", "left_out_by_balance", "notes", "damaged")
        return {
            **{name: self.parent.counts[name] for name in made if name in self.parent.counts},
            **packed.counts,
            **({"blind": {s.name: s.plain() for s in blind_scores(out)}} if "blind" in self.parent.counts else {}),
        }

    def _left_out(self) -> Iterator[LeftOut]:
        """What is not put in, for the manifest: no path of this machine, nothing of the user's files."""
        roots = [job.footage.root for job in self.jobs]
        lost: dict[str, int] = {}
        for gap in self.result.gaps:
            examples = list(gap.keys[:EXAMPLES])
            yield LeftOut(what="frame", reason=self.run.plain(gap.reason, roots), count=gap.frames, examples=examples)
            lost[gap.surgery] = lost.get(gap.surgery, 0) + gap.frames
        whole_lost = [name for name, count in lost.items() if count == self.of_surgery[name]]
        if whole_lost:
            examples = whole_lost[:EXAMPLES]
            yield LeftOut(what="surgery", reason=_EMPTY, count=len(whole_lost), examples=examples)

    def _list(self, out: Path) -> Path | None:
        """Write a line for every picture that is not put in, beside the other work: key, file, why."""
        path = self.run.work / "not-hydrated" / f"{out.name}.tsv"
        if not self.result.gaps:
            path.unlink(missing_ok=True)
            return None
        part = self.run.part(make_folder(path.parent) / path.name)
        files = dict(zip(self.wanted["key"], self.wanted["file"], strict=True))
        with part.open("w", encoding="utf-8") as file:
            file.writelines(f"{key}\t{files[key]}\t{gap.why}\n" for gap in self.result.gaps for key in gap.keys)
        move_into_place(part, path)
        return path


def _differs(job: _Job, all_of_them: bool, notes: Sequence[str]) -> str:
    """What is different in the footage at hand, and what else is known of it."""
    path = job.footage.root / (job.footage.video or job.footage.images[0][1])
    what = "all its frames" if all_of_them else "some of its frames"
    return " ".join([f"{path}: {what} have other pixels than the data set was made from.", *notes])


def advice(result: Hydration) -> str:
    """What to do where pictures are other ones."""
    made = [f"{theirs or 'an unknown version'} ({name})" for name, (theirs, _) in sorted(result.tools.items())]
    here = [ours for _, (_, ours) in sorted(result.tools.items())]
    versions = (
        f" The set was made with {' and '.join(made)}, here is {' and '.join(here)}: that may be the reason as well."
        if made
        else ""
    )
    return (
        "Other pixels mean another release of the data set, or files that were resized, cut or encoded again: use them as "
        f"their owners hand them out.{versions}"
    )


def _wanted(data: Path, run: Runner, parent: Manifest) -> pl.DataFrame:
    """The table of what is wanted, in the order of the shards; kept in the work folder.

    Raises:
        CotgenError: a record is damaged, or names what it must not.
    """
    sums = [*(shard.sha256 for shard in parent.shards), parent.files[INDEX]]
    mark = fingerprint({"wanted": HYDRATE_VERSION, "sums": sums})
    path = make_folder(run.work / "wanted") / f"{mark}.parquet"
    if path.is_file():
        try:
            return pl.read_parquet(path)
        except (OSError, pl.exceptions.PolarsError):
            path.unlink(missing_ok=True)
    blocks: list[pl.DataFrame] = []
    rows: list[tuple[Any, ...]] = []
    with StoredRecords(data) as stored:
        for place in stored.places():
            rows.append(_row(place, stored.record(place)[0]))
            if len(rows) == _BLOCK:
                blocks.append(pl.DataFrame(rows, _WANTED, orient="row"))
                rows.clear()
    table = pl.concat([*blocks, pl.DataFrame(rows, _WANTED, orient="row")])
    if table.height != (stated := sum(shard.samples for shard in parent.shards)):
        raise CotgenError(
            f"{INDEX} of {data} names {table.height:,} samples, its shards hold {stated:,}: nothing of the set was used. "
            "Get the data set again"
        )
    part = run.part(path)
    table.write_parquet(part)
    move_into_place(part, path)
    return table


def _row(place: Place, record: bytes) -> tuple[Any, ...]:
    """One row of the table. Raises CotgenError."""
    try:
        values = orjson.loads(record)
        frame = Frame.model_validate(values["frame"])
        same = sample_key(surgery_of_key(place.key), frame.index) == place.key and frame.index < 1 << 63
    except (ValueError, KeyError, TypeError, pydantic.ValidationError):
        same = False
    if not same:
        raise CotgenError(f"The record of {place.key} is none that cotgen writes; get the data set again")
    if (split := values.get("split")) != place.split:
        raise CotgenError(
            f"{INDEX} says that {place.key} is of {place.split}, its record says of {split}: nothing of the set was used. "
            "Get the data set again"
        )
    try:
        inside(Path(), frame.file)
        plain = _SOURCE.fullmatch(frame.source)
    except SourceError:
        plain = None
    if plain is None or any(ord(letter) < 32 for letter in frame.file):
        raise CotgenError(
            f"The record of {place.key} names the picture {frame.file!r} of {frame.source!r}, which is no file below the "
            "root of a source. The data set was tampered with: nothing of it was used"
        )
    return (
        place.key,
        place.split,
        place.shard,
        place.offset,
        len(record),
        frame.source,
        frame.file,
        frame.index,
        frame.fps,
        ",".join(map(str, frame.crop)),
        bytes.fromhex(frame.pixels),
        bytes.fromhex(frame.sha256),
    )


def _by_surgery(wanted: pl.DataFrame, rows: Sequence[int]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    keys = wanted["key"]
    for row in rows:
        found.setdefault(surgery_of_key(keys[row]), []).append(row)
    return found


def _groups(wanted: pl.DataFrame) -> Iterator[_Job]:
    """What is decoded together: the frames of one video, or the images of one surgery, with one crop."""
    rows: dict[tuple[str, str, str, str, str], list[tuple[int, int, str]]] = {}
    columns = wanted.select("key", "source", "file", "index", "fps", "crop", "pixels").iter_rows()
    for row, (key, source, file, index, fps, crop, pixels) in enumerate(columns):
        if pixels:
            video = "" if is_picture(file) else file
            rows.setdefault((surgery_of_key(key), source, video, fps, crop), []).append((index, row, file))
    numbers: dict[str, int] = {}
    for (surgery, source, _, fps, crop), found in sorted(
        rows.items(), key=lambda item: (order_of(item[0][0]), item[0])
    ):
        found.sort()
        numbers[surgery] = numbers.get(surgery, 0) + 1
        name = surgery if numbers[surgery] == 1 else f"{surgery}.{numbers[surgery]}"
        files = {index: file for index, _, file in found}
        part = tuple(int(value) for value in crop.split(",")) if crop else ()
        yield _Job(name, Asked(surgery, source, files, part, fps), {index: row for index, row, _ in found})
