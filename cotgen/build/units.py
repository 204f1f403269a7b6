"""Units: the pieces of work of a build, one step for one surgery each.

A unit is plain data and `run_unit` a plain function of it, so any executor may run it anywhere. What it makes is one
sealed file, whose name holds the fingerprint of everything that the unit reads: where that file stands, the unit is
done. Units write under a temporary name that their spec gives them and take their own name last.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import polars as pl

from cotgen.build.files import (
    SealedWriter,
    Seen,
    fingerprint,
    hash_ends,
    hash_file,
    move_into_place,
    read_footer,
    read_payload,
    write_whole,
)
from cotgen.errors import CotgenError
from cotgen.ontology import ontology_sha256
from cotgen.records import Frame, Sample, Split, canonical_json, sample_key
from cotgen.sources.base import (
    FACTS_SCHEMA,
    FACTS_VERSION,
    LABELLED_SCHEMA,
    MEASURED_SCHEMA,
    Footage,
    Oddity,
    SurgeryFacts,
    SurgeryFiles,
    inside,
)

if TYPE_CHECKING:
    from cotgen.build.teaching import Teaching
    from cotgen.chains.write import Written
    from cotgen.frames.store import ExtractReport, FrameRow
    from cotgen.records import Scene
    from cotgen.surgeries.priors import Priors
    from cotgen.surgeries.usual import Usual
    from cotgen.tasks.base import Question

#: Raised when the same replies of a teacher give other chains.
ASK_VERSION = 1
#: Raised when the priors counted from the same facts change.
PRIORS_VERSION = 3
#: How a store says that a video is shorter than its labels, which is no damage: the last row often has no frame.
_ENDS_EARLY = "ends before this frame."
#: How many requests to a teacher are drafted for each surgery to know their length.
_DRAFTS = 12
#: Why a chain that a reviewer marked wrong is not there, as it stands in a manifest.
REVIEWED = "marked wrong by a reviewer"
#: How many names of left-out things are kept as examples.
EXAMPLES = 10

Tell: TypeAlias = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class HashUnit:
    """Read the pictures of one surgery to know their content.

    Attributes:
        surgery: whose they are.
        paths: the video, or the wanted images.
        names: their names below the root, which are part of what is hashed for images.
        ends: whether only both ends of the file are read: where nothing is decoded, only its header matters.
    """

    STEP: ClassVar[str] = "hash"
    surgery: str
    paths: tuple[Path, ...]
    names: tuple[str, ...]
    ends: bool

    @classmethod
    def of(cls, surgery: str, footage: Footage, wanted: Sequence[int], *, ends: bool) -> HashUnit:
        """The unit that reads the pictures of these frames."""
        if footage.video:
            return cls(surgery, (inside(footage.root, footage.video),), (footage.video,), ends)
        chosen = set(wanted)
        names = tuple(file for index, file in footage.images if index in chosen)
        # A wanted frame without a picture is reported by the frames unit; here something must stand for it.
        names = names or (footage.images[0][1],)
        return cls(surgery, tuple(inside(footage.root, name) for name in names), names, ends)

    @property
    def cache_name(self) -> str:
        """The name under which the hash is remembered."""
        kind = "ends" if self.ends else "content"
        if len(self.paths) == 1:
            return f"{self.paths[0]}#{kind}"
        listed = hashlib.blake2b("\n".join(self.names).encode(), digest_size=16).hexdigest()
        return f"{self.paths[0].parent}#{kind}:{listed}"

    @property
    def seen(self) -> Seen:
        """The files as they are now."""
        return Seen.now(self.paths)


@dataclass(frozen=True, slots=True)
class FactsUnit:
    """Read the annotations of one surgery.

    Attributes:
        source: name of the source.
        root: its folder.
        files: the files of the surgery.
        step: frames of the clock from one instant to the next.
        out: the sealed file.
        part: its temporary name.
        seen: the annotation files as they were hashed; none where nobody else may change them.
    """

    STEP: ClassVar[str] = "facts"
    source: str
    root: Path
    files: SurgeryFiles
    step: int
    out: Path
    part: Path
    seen: tuple[Seen, ...] = ()

    @property
    def surgery(self) -> str:
        """`cholec80/73`."""
        return self.files.surgery


@dataclass(frozen=True, slots=True)
class PriorsUnit:
    """Count the statistics of the train surgeries.

    Attributes:
        facts: their sealed facts, for each surgery those of its sources.
        excluded: (surgery, frames) that are not counted.
        split: name of the split plan.
        out: the JSON file.
        part: its temporary name.
        table: the priors, or what is usual for the instruments.
    """

    STEP: ClassVar[str] = "priors"
    facts: tuple[tuple[Path, ...], ...]
    excluded: tuple[tuple[str, frozenset[int]], ...]
    split: str
    out: Path
    part: Path
    surgery: str = ""
    table: Literal["priors", "usual"] = "priors"


@dataclass(frozen=True, slots=True)
class Earlier:
    """What the context of the frames of one surgery is taken from.

    Attributes:
        seconds: how far back.
        facts: sealed facts at one instant a second, one file per source.
        clock: frames a second of the surgery's clock, `25/1`.
        every: frames of the clock from one instant to the next.
        without: frames that must not be told of.
    """

    seconds: int
    facts: tuple[Path, ...]
    clock: str
    every: int
    without: tuple[int, ...]

    @property
    def told(self) -> list[Any]:
        """What the context depends on besides the facts, as plain values."""
        return [self.seconds, self.clock, self.every, list(self.without)]

    def add(self, scenes: Sequence[Scene]) -> list[Scene]:
        """The scenes with their context."""
        from cotgen.surgeries.context import with_context

        facts = [read_facts(path) for path in self.facts]
        return with_context(
            scenes, facts, seconds=self.seconds, clock=self.clock, every=self.every, without=self.without
        )


@dataclass(frozen=True, slots=True)
class TallyUnit:
    """Write down the draws of all questions of one train surgery, for the balance.

    Attributes:
        surgery: `cholec80/73`.
        facts: sealed facts, one file per source.
        usual: the JSON file of what is usual, or None.
        wanted: frames on the surgery's clock, ascending.
        size: width and height of its pictures.
        tasks: names of the tasks.
        seed: of every draw.
        procedure: which operation it is.
        clock: frames a second of the surgery's clock.
        native: (source, width and height of its own pictures) of the sources whose pictures are not used.
        out: the JSON file.
        part: its temporary name.
        earlier: what the context of the frames is taken from; None for no context.
    """

    STEP: ClassVar[str] = "tally"
    surgery: str
    facts: tuple[Path, ...]
    usual: Path | None
    wanted: tuple[int, ...]
    size: tuple[int, int]
    tasks: tuple[str, ...]
    seed: int
    procedure: str
    clock: str
    native: tuple[tuple[str, tuple[int, int]], ...]
    out: Path
    part: Path
    earlier: Earlier | None = None


@dataclass(frozen=True, slots=True)
class BalanceUnit:
    """Fix the limits of a balanced build from the tallies of its train surgeries and what is usual."""

    STEP: ClassVar[str] = "balance"
    tallies: tuple[Path, ...]
    usual: Path | None
    out: Path
    part: Path
    surgery: str = ""


@dataclass(frozen=True, slots=True)
class FramesUnit:
    """Take the wanted frames of one surgery out of its video or images.

    Attributes:
        surgery: whose they are.
        footage: where the pictures are.
        wanted: frames on the surgery's clock, ascending.
        mode: `embed`, `reference` or `none`.
        quality: of the JPEG.
        max_side: longest side in pixels, 0 to keep the size.
        out: the sealed file.
        part: its temporary name.
        seen: the video or images as they were hashed; none where nobody else may change them.
    """

    STEP: ClassVar[str] = "frames"
    surgery: str
    footage: Footage
    wanted: tuple[int, ...]
    mode: Literal["embed", "reference", "none"]
    quality: int
    max_side: int
    out: Path
    part: Path
    seen: tuple[Seen, ...] = ()


@dataclass(frozen=True, slots=True)
class ChainsUnit:
    """Ask, write and check: from the facts and frames of one surgery to its finished samples.

    Attributes:
        surgery: `cholec80/73`.
        facts: sealed facts, one file per source.
        frames: the sealed frames.
        priors: the JSON file of the priors, or None.
        wanted: frames on the surgery's clock, ascending.
        tasks: names of the tasks.
        split: of the surgery.
        seed: of every draw.
        procedure: which operation it is.
        source: the source of the pictures.
        clock: frames a second of the surgery's clock, `25/1`.
        native: (source, width and height of its own pictures) of the sources whose pictures are not used.
        out: the sealed file.
        part: its temporary name.
        earlier: what the context of the frames is taken from; None for no context.
        balance: the JSON file of the limits, or None where all questions are asked.
        asked: what a teacher wrote (`build.ask`), or None where templates write all.
        fallback: whether a question whose replies were all refused keeps its template chain.
        wrong: `key#id` -> what reviewers marked wrong of it, for this surgery.
    """

    STEP: ClassVar[str] = "chains"
    surgery: str
    facts: tuple[Path, ...]
    frames: Path
    priors: Path | None
    wanted: tuple[int, ...]
    tasks: tuple[str, ...]
    split: Split
    seed: int
    procedure: str
    source: str
    clock: str
    native: tuple[tuple[str, tuple[int, int]], ...]
    out: Path
    part: Path
    earlier: Earlier | None = None
    balance: Path | None = None
    asked: Path | None = None
    fallback: bool = True
    wrong: Mapping[str, frozenset[tuple[int, str]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CountUnit:
    """Count the questions of one surgery and look at the size of its pictures, for --dry-run.

    With `teaching` it also counts what a teacher would be asked, and drafts a few of these requests to know their length.
    `wrong` names the pairs that reviewers marked wrong; it says which of them would be asked again.
    """

    STEP: ClassVar[str] = "count"
    surgery: str
    facts: tuple[Path, ...]
    footage: Footage
    wanted: tuple[int, ...]
    tasks: tuple[str, ...]
    seed: int
    procedure: str
    native: tuple[tuple[str, tuple[int, int]], ...] = ()
    earlier: Earlier | None = None
    balance: Path | None = None
    teaching: Teaching | None = None
    wrong: frozenset[str] = frozenset()


Unit: TypeAlias = HashUnit | FactsUnit | PriorsUnit | TallyUnit | BalanceUnit | FramesUnit | ChainsUnit | CountUnit


@dataclass(frozen=True, slots=True)
class Balanced:
    """What a balance left out of one surgery.

    Attributes:
        lost: task -> why -> how many questions.
        frames: keys of the frames of which no question is left.
    """

    lost: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    frames: frozenset[str] = frozenset()

    def left_out(self) -> list[list[Any]]:
        """Rows of (what, reason, count, examples), over all tasks."""
        whys = Counter[str]()
        for row in self.lost.values():
            whys.update(row)
        rows: list[list[Any]] = [["pair", f"--balance: {why}", count, []] for why, count in sorted(whys.items())]
        if self.frames:
            examples = sorted(self.frames)[:EXAMPLES]
            rows.append(["frame", "--balance left none of its questions", len(self.frames), examples])
        return rows


def facts_fingerprint(source: str, files: SurgeryFiles, annotations: Sequence[str], step: int) -> str:
    """What the facts of a surgery depend on. `annotations` are the sha256 of its files, in their order."""
    return fingerprint(
        {
            "step": "facts",
            "version": FACTS_VERSION,
            "source": source,
            "surgery": files.surgery,
            "annotations": [[*entry, sha256] for entry, sha256 in zip(files.annotations, annotations, strict=True)],
            # Extracted pictures must end where the labels do; a source checks that by their names.
            "images": [] if files.video else [list(entry) for entry in files.images],
            "ontology": ontology_sha256(),
            "every": step,
        }
    )


def frames_fingerprint(
    footage: Footage, content: str, wanted: Sequence[int], *, mode: str, quality: int, max_side: int
) -> str:
    """What the frames of a surgery depend on. `content` is the hash of its video or images."""
    from cotgen.frames.decode import decoder_version
    from cotgen.frames.encode import encoder_version
    from cotgen.frames.extract import FRAMES_VERSION

    decodes = mode != "none"
    given: dict[str, Any] = {"crop": list(footage.crop)} if footage.crop else {}
    if not footage.video:
        chosen = set(wanted)
        # The same pictures may stand for other instants: which one is which is part of it.
        given["images"] = [[index, file] for index, file in footage.images if index in chosen]
    return fingerprint(
        {
            **given,
            "step": "frames",
            "version": FRAMES_VERSION,
            "source": footage.source,
            "video": footage.video,
            "fps": footage.fps,
            "content": content,
            "wanted": list(wanted),
            "mode": mode,
            "quality": quality if decodes else 0,
            "max_side": max_side,
            "encoder": encoder_version() if decodes else "",
            "decoder": decoder_version() if decodes else "",
        }
    )


def priors_fingerprint(
    facts: Sequence[str], excluded: Mapping[str, Sequence[int]], split: str, table: str = "priors"
) -> str:
    """What the priors depend on: the fingerprints of the facts, what is not counted, the split table."""
    return fingerprint(
        {
            "step": table,
            "version": PRIORS_VERSION,
            "facts": sorted(facts),
            "excluded": {surgery: sorted(indices) for surgery, indices in excluded.items() if indices},
            "split": split,
            "ontology": ontology_sha256(),
        }
    )


def tally_fingerprint(
    facts: Sequence[str],
    usual: str,
    *,
    wanted: Sequence[int],
    size: tuple[int, int],
    tasks: Sequence[str],
    seed: int,
    procedure: str,
    clock: str,
    native: Sequence[tuple[str, tuple[int, int]]],
    context: Sequence[Any] = (),
) -> str:
    """What the tally of a surgery depends on. `usual` is the sha256 of the file, "" where there is none."""
    from cotgen.build.balance import BALANCE_VERSION
    from cotgen.chains.write import CHAINS_VERSION

    return fingerprint(
        {
            "step": "tally",
            # The questions are planned anew where those of the chains are.
            "version": [BALANCE_VERSION, CHAINS_VERSION],
            "facts": list(facts),
            "usual": usual,
            "wanted": list(wanted),
            "size": list(size),
            "tasks": sorted(tasks),
            "seed": seed,
            "procedure": procedure,
            "clock": clock,
            "native": [[source, *own] for source, own in native],
            "ontology": ontology_sha256(),
            "context": list(context),
        }
    )


def balance_fingerprint(tallies: Sequence[str], usual: str) -> str:
    """What the limits of a balanced build depend on: the fingerprints of the tallies, the sha256 of what is usual."""
    from cotgen.build.balance import BALANCE_VERSION

    return fingerprint({"step": "balance", "version": BALANCE_VERSION, "tallies": sorted(tallies), "usual": usual})


def chains_fingerprint(
    facts: Sequence[str],
    frames: str,
    priors: str,
    *,
    wanted: Sequence[int],
    tasks: Sequence[str],
    split: str,
    seed: int,
    procedure: str,
    native: Sequence[tuple[str, tuple[int, int]]] = (),
    earlier: Earlier | None = None,
    earlier_facts: Sequence[str] = (),
    balance: str = "",
) -> str:
    """What the samples of a surgery depend on, but for the replies of a teacher (`asked_fingerprint`, `taught_fingerprint`).

    `priors` and `balance` are the sha256 of files, "" without them.
    """
    from cotgen.build.balance import BALANCE_VERSION
    from cotgen.chains.write import CHAINS_VERSION, templates_sha256

    return fingerprint(
        {
            "step": "chains",
            "version": CHAINS_VERSION,
            "facts": list(facts),
            "frames": frames,
            "priors": priors,
            "wanted": list(wanted),
            "tasks": sorted(tasks),
            "split": split,
            "seed": seed,
            "procedure": procedure,
            "templates": templates_sha256(),
            **({"native": [[source, *size] for source, size in native]} if native else {}),
            **({"context": [*earlier.told, *earlier_facts]} if earlier else {}),
            **({"balance": [BALANCE_VERSION, balance]} if balance else {}),
        }
    )


def asked_fingerprint(chains: str, told: Mapping[str, Any]) -> str:
    """What is asked of a teacher about a surgery: the fingerprint of its chains, and what the teacher is told."""
    return fingerprint({"step": "ask", "version": ASK_VERSION, "chains": chains, "told": dict(told)})


def taught_fingerprint(chains: str, asked: str) -> str:
    """The fingerprint of chains that a teacher wrote: that of the template's, and the sha256 of what it wrote."""
    return fingerprint({"step": "chains", "chains": chains, "asked": asked})


def reviewed_fingerprint(chains: str, wrong: str) -> str:
    """The fingerprint of chains without those that reviewers marked wrong: of all, and `wrong_sha256` of the marks."""
    return fingerprint({"step": "chains", "chains": chains, "wrong": wrong})


def _nothing(_: int) -> None:
    pass


def run_unit(unit: Unit, tell: Tell = _nothing) -> dict[str, Any]:
    """Run one unit.

    Args:
        unit: what to do.
        tell: gets the amount done since its last call: frames, or bytes for a HashUnit.

    Returns:
        Plain values about the result: for a HashUnit its hash, for a CountUnit its counts.

    Raises:
        CotgenError: the input is bad.
        OSError: the result cannot be written.
    """
    match unit:
        case HashUnit():
            return _hash(unit, tell)
        case FactsUnit():
            return _facts(unit)
        case PriorsUnit():
            return _priors(unit)
        case TallyUnit():
            return _tally(unit)
        case BalanceUnit():
            return _balance(unit)
        case FramesUnit():
            return _frames(unit, tell)
        case ChainsUnit():
            return _chains(unit, tell)
        case CountUnit():
            return _count(unit)


def _hash(unit: HashUnit, tell: Tell) -> dict[str, Any]:
    seen = unit.seen
    newest = max(path.stat().st_mtime_ns for path in unit.paths)
    if len(unit.paths) == 1:
        sha256 = hash_ends(unit.paths[0]) if unit.ends else hash_file(unit.paths[0], tell)
    else:
        digest = hashlib.sha256()
        for path, name in zip(unit.paths, unit.names, strict=True):
            content = hash_ends(path) if unit.ends else hash_file(path, tell)
            digest.update(f"{name}\n{path.stat().st_size}\n{content}\n".encode())
        sha256 = digest.hexdigest()
    seen.check()
    return {"sha256": sha256, "mark": seen.mark, "newest_ns": newest}


def _facts(unit: FactsUnit) -> dict[str, Any]:
    from cotgen.sources import source

    found = source(unit.source).facts(unit.root, unit.files, unit.step)
    with SealedWriter(unit.part) as writer:
        places = {
            name: writer.write(_table_bytes(table, schema))
            for name, table, schema in (
                ("facts", found.facts, FACTS_SCHEMA),
                ("labelled", found.labelled, LABELLED_SCHEMA),
                ("measured", found.measured, MEASURED_SCHEMA),
            )
        }
        oddities = [[odd.file, odd.text, odd.count] for odd in found.oddities]
        writer.seal({"surgery": found.surgery, "oddities": oddities, "places": places})
    _settle(unit)
    return {}


def _settle(unit: FactsUnit | FramesUnit) -> None:
    """Give the result its name, unless what it was read from is no longer what the name stands for."""
    try:
        for seen in unit.seen:
            seen.check()
    except CotgenError:
        unit.part.unlink(missing_ok=True)
        raise
    move_into_place(unit.part, unit.out)


def _table_bytes(table: pl.DataFrame, schema: Mapping[str, Any]) -> bytes:
    buffer = BytesIO()
    table.select(pl.col(name).cast(kind) for name, kind in schema.items()).write_ipc(buffer)
    return buffer.getvalue()


def read_facts(path: Path) -> SurgeryFacts:
    """What a FactsUnit wrote."""
    footer = read_footer(path)
    tables = {name: pl.read_ipc(BytesIO(read_payload(path, place))) for name, place in footer["places"].items()}
    oddities = tuple(Oddity(*entry) for entry in footer["oddities"])
    return SurgeryFacts(footer["surgery"], tables["facts"], tables["labelled"], oddities, tables["measured"])


def _priors(unit: PriorsUnit) -> dict[str, Any]:
    from cotgen.surgeries.priors import count_priors
    from cotgen.surgeries.usual import count_usual

    excluded = dict(unit.excluded)

    def facts() -> Iterator[list[SurgeryFacts]]:
        for paths in unit.facts:
            found = [read_facts(path) for path in paths]
            if without := excluded.get(found[0].surgery, frozenset()):
                kept = ~pl.col("index").is_in(sorted(without))
                found = [SurgeryFacts(a.surgery, a.facts.filter(kept), a.labelled.filter(kept)) for a in found]
            yield found

    count = count_priors if unit.table == "priors" else count_usual
    write_whole(unit.out, count(facts(), unit.split).to_json(), unit.part)
    return {}


def _usual(file: Path | None) -> Usual:
    from cotgen.surgeries.usual import Usual

    return Usual.from_json(file.read_bytes()) if file else Usual()


def _tally(unit: TallyUnit) -> dict[str, Any]:
    from cotgen.build.balance import tally
    from cotgen.surgeries.join import PRECEDENCE, scenes
    from cotgen.tasks import plan_questions

    facts = [read_facts(path) for path in unit.facts]
    size = dict.fromkeys(unit.wanted, unit.size)
    found = scenes(facts, {}, size, unit.procedure, PRECEDENCE, None, dict(unit.native))
    if unit.earlier:
        found = unit.earlier.add(found)
    planned = plan_questions(found, unit.tasks, unit.seed)
    counted = tally(found, planned, unit.seed, Fraction(unit.clock), _usual(unit.usual))
    write_whole(unit.out, canonical_json(counted), unit.part)
    return {}


def _balance(unit: BalanceUnit) -> dict[str, Any]:
    import orjson

    from cotgen.build.balance import settle

    tallies = (orjson.loads(path.read_bytes()) for path in unit.tallies)
    write_whole(unit.out, settle(tallies, _usual(unit.usual)).to_json(), unit.part)
    return {}


def _asked(
    scenes: Sequence[Scene], tasks: Sequence[str], seed: int, clock: str, balance: Path | None
) -> tuple[list[tuple[int, Question]], Balanced]:
    """The questions about one surgery, and what the balance left out of them."""
    from cotgen.build.balance import Limits, sift
    from cotgen.tasks import plan_questions

    planned = list(plan_questions(scenes, tasks, seed))
    if balance is None:
        return planned, Balanced()
    kept, lost = sift(scenes, planned, seed, Fraction(clock), Limits.from_json(balance.read_bytes()))
    without = {position for position, _ in planned} - {position for position, _ in kept}
    return kept, Balanced(lost, frozenset(scenes[position].key for position in without))


def _frames(unit: FramesUnit, tell: Tell) -> dict[str, Any]:
    from cotgen.frames.extract import extract

    told = 0

    def so_far(count: int) -> None:
        nonlocal told
        tell(count - told)
        told = count

    extract(
        unit.footage,
        unit.wanted,
        unit.mode,
        unit.part,
        quality=unit.quality,
        max_side=unit.max_side,
        progress=so_far,
    )
    _settle(unit)
    return {}


@dataclass(frozen=True, slots=True)
class Prepared:
    """All of one surgery that its chains are written from.

    Attributes:
        facts: as its sources have them.
        rows: frame -> its row of the store.
        report: what came of extracting the frames.
        joined: what the join counted.
        scenes: one for each frame, in time order.
        priors: statistics of the train surgeries, or None.
        planned: (position of the scene, question) of all questions to be asked.
        balanced: what the balance left out.
    """

    facts: Sequence[SurgeryFacts]
    rows: Mapping[int, FrameRow]
    report: ExtractReport
    joined: Counter[str]
    scenes: Sequence[Scene]
    priors: Priors | None
    planned: Sequence[tuple[int, Question]]
    balanced: Balanced


def prepare(unit: ChainsUnit) -> Prepared:
    """Read what the chains of a surgery are written from, and plan its questions.

    Raises:
        CotgenError: a sealed file is damaged.
    """
    from cotgen.frames.measure import field_of_view
    from cotgen.frames.store import FrameStore
    from cotgen.surgeries.join import PRECEDENCE, scenes
    from cotgen.surgeries.priors import Priors

    with FrameStore.open(unit.frames) as store:
        rows, report = store.rows(), store.report
    facts = [read_facts(path) for path in unit.facts]
    joined = Counter[str]()
    field = field_of_view([(row.measured, row.width, row.height) for row in rows.values()])
    of_surgery = (field,) if field else ()
    found = scenes(
        facts,
        # The edge of the light is that of the surgery: what one frame shows of it is no measure of that frame.
        {index: (*(m for m in row.measured if m.name != "lit"), *of_surgery) for index, row in rows.items()},
        {index: (row.width, row.height) for index, row in rows.items()},
        unit.procedure,
        PRECEDENCE,
        joined,
        dict(unit.native),
    )
    if unit.earlier:
        found = unit.earlier.add(found)
    priors = Priors.from_json(unit.priors.read_bytes()) if unit.priors else None
    planned, balanced = _asked(found, unit.tasks, unit.seed, unit.clock, unit.balance)
    return Prepared(facts, rows, report, joined, found, priors, planned, balanced)


def _chains(unit: ChainsUnit, tell: Tell) -> dict[str, Any]:
    from cotgen.build.taught import Taught
    from cotgen.chains.write import Written, write_scenes
    from cotgen.inspect.reviews import is_wrong
    from cotgen.surgeries.identity import canonical
    from cotgen.tasks import source_asked

    ready = prepare(unit)
    facts, rows, report, joined, found, balanced = (
        ready.facts,
        ready.rows,
        ready.report,
        ready.joined,
        ready.scenes,
        ready.balanced,
    )
    written = Written([])
    pairs_of = write_scenes(
        found, tasks=unit.tasks, seed=unit.seed, priors=ready.priors, written=written, questions=ready.planned
    )
    taught = Taught.read(unit.asked, unit.fallback) if unit.asked else None
    silent: list[str] = []
    reviewed: list[str] = []
    bare: list[str] = []
    samples: list[list[Any]] = []
    by_source: dict[str, Counter[str]] = {}
    pairs = 0
    with SealedWriter(unit.part) as writer:
        for scene, own in zip(found, pairs_of, strict=True):
            tell(1)
            measured = list(scene.measured)
            if taught and own:
                own, seen = taught.into(scene, own, ready.priors, written)
                measured += seen
            if not own:
                if scene.key not in balanced.frames and not (taught and scene.key in taught.frames):
                    silent.append(scene.key)
                continue
            if unit.wrong:
                names = [
                    f"{scene.key}#{pair.id}"
                    for pair in own
                    if is_wrong(pair, unit.wrong.get(f"{scene.key}#{pair.id}", ()))
                ]
                reviewed += names
                own = [pair for pair in own if f"{scene.key}#{pair.id}" not in names]
                if not own:
                    bare.append(scene.key)
                    continue
            row = rows[scene.index]
            sample = Sample(
                key=scene.key,
                surgery=canonical(scene.surgery),
                split=unit.split,
                sources=sorted({name.partition(".")[0] for name in scene.labelled}),
                frame=Frame(
                    index=scene.index,
                    fps=unit.clock,
                    time_s=float(Fraction(scene.index) / Fraction(unit.clock)),
                    width=row.width,
                    height=row.height,
                    source=unit.source,
                    file=row.file,
                    native_index=row.native_index,
                    crop=list(row.crop),
                    pixels=row.pixels,
                    sha256=row.sha256,
                ),
                labelled=sorted(scene.labelled),
                facts=list(scene.facts),
                measured=measured,
                context=list(scene.context),
                pairs=own,
            )
            offset, length = writer.write(sample.to_json())
            samples.append([scene.key, offset, length, row.offset, row.length])
            pairs += len(own)
            for pair in own:
                by_source.setdefault(source_asked(scene, pair.task, unit.source), Counter())[pair.task] += 1
        writer.seal(
            {
                "surgery": unit.surgery,
                "split": unit.split,
                "samples": samples,
                "pairs": pairs,
                "disputed": {kind: joined[f"disputed_{kind}"] for kind in DISPUTED if joined[f"disputed_{kind}"]},
                "by_source": {name: dict(tasks) for name, tasks in by_source.items()},
                "left_out": [
                    *_left_out(unit.surgery, report.missing, silent, written),
                    *balanced.left_out(),
                    *(taught.left_out() if taught else []),
                    *_reviewed(reviewed, bare),
                ],
                **({"balance": balanced.lost} if balanced.lost else {}),
                **({"teacher": taught.counts} if taught else {}),
                "damaged": _damage(report, joined=len(facts) > 1),
                "notes": _notes(facts, report, unit.surgery, joined),
            }
        )
    move_into_place(unit.part, unit.out)
    return {"pairs": pairs}


def _damage(report: ExtractReport, joined: bool) -> list[str]:
    """What is wrong with the pictures of a surgery, in words; nothing where some were never there.

    Where sources are joined, the labels of one may go further than the pictures of another.
    """
    from cotgen.frames.extract import NO_IMAGE

    reasons = {reason for reason in report.missing.values() if not reason.endswith(_ENDS_EARLY)}
    gaps = sorted(number for number, reason in report.missing.items() if reason == NO_IMAGE)
    told = sorted(reasons - {NO_IMAGE})
    if gaps and not joined:
        told.append(f"The source has no image of {len(gaps):,} of the frames, number {gaps[0]} the first of them.")
    return told


def _left_out(surgery: str, missing: Mapping[int, str], silent: Sequence[str], written: Written) -> list[list[Any]]:
    """Rows of (what, reason, count, examples)."""
    by_reason: dict[str, list[str]] = {}
    for index, reason in missing.items():
        by_reason.setdefault(reason, []).append(sample_key(surgery, index))
    if silent:
        by_reason["no question can be asked of this frame"] = list(silent)
    lost: list[list[Any]] = [
        ["frame", reason, len(keys), keys[:EXAMPLES]] for reason, keys in sorted(by_reason.items())
    ]
    # The examples do not say which check refused them, so they are given only where there is no doubt.
    examples = [text.partition(": ")[0] for text in written.examples[:EXAMPLES]]
    lost += [
        ["pair", f"refused by the check '{check}'", count, examples if len(written.refused) == 1 else []]
        for check, count in sorted(written.refused.items())
    ]
    if written.unwritten:
        lost.append(
            ["pair", "the frame has no label that the first level of a chain could show", written.unwritten, []]
        )
    return lost


def _reviewed(pairs: Sequence[str], frames: Sequence[str]) -> list[list[Any]]:
    """Rows of (what, reason, count, examples): the pairs that reviewers marked wrong, and the frames that had no other."""
    rows = (("pair", REVIEWED, pairs), ("frame", f"{REVIEWED}, all its questions", frames))
    return [[what, why, len(names), list(names[:EXAMPLES])] for what, why, names in rows if names]


#: What the join counts -> what a reader is told.
_JOINED = {
    "box_dropped": "boxes under two pixels were dropped",
    "box_of_other_aspect": "boxes of pictures with another aspect ratio were left out",
    "disputed_instrument": "frames where the sources name different instruments: none is asked about",
    "disputed_triplet": "frames where the sources name different instruments: no act is asked about",
    "disputed_phase": "frames where the sources name different phases: no phase is asked about",
}
#: Kinds of fact that sources can contradict one another in.
DISPUTED = ("instrument", "triplet", "phase")


def native_size(footage: Footage) -> tuple[int, int] | None:
    """Width and height of the pictures of a surgery, from one header; None where it cannot be read."""
    from PIL import Image

    from cotgen.frames.index import VideoError, open_video

    try:
        if footage.crop:
            return footage.crop[2] - footage.crop[0], footage.crop[3] - footage.crop[1]
        if footage.video:
            with open_video(inside(footage.root, footage.video)) as (_, stream):
                return stream.width, stream.height
        with Image.open(inside(footage.root, footage.images[0][1])) as picture:
            return picture.size
    except (OSError, ValueError, VideoError, Image.DecompressionBombError):
        return None


def _notes(
    facts: Sequence[SurgeryFacts], report: ExtractReport, surgery: str, joined: Mapping[str, int]
) -> list[list[Any]]:
    """Rows of (file or surgery, what was unusual and handled, count)."""
    notes: list[list[Any]] = [[odd.file, odd.text, odd.count] for found in facts for odd in found.oddities]
    if report.index_mode == "count":
        notes.append([surgery, f"frames were counted by decoding all: {report.index_reason}", 1])
    notes += [[surgery, text, 1] for text in report.notes]
    notes += [[surgery, text, joined[name]] for name, text in _JOINED.items() if joined.get(name)]
    return notes


def _count(unit: CountUnit) -> dict[str, Any]:
    from cotgen.frames.index import VideoError, open_video
    from cotgen.surgeries.join import PRECEDENCE, scenes
    from cotgen.tasks import source_asked
    from cotgen.tasks.runs import with_runs

    width = height = frames = 0
    if unit.footage.video:
        try:
            with open_video(unit.footage.root / unit.footage.video) as (container, stream):
                width, height = stream.width, stream.height
                seconds = Fraction(container.duration or 0, 1_000_000)
                frames = int(seconds * Fraction(unit.footage.fps))
        except VideoError as error:
            raise CotgenError(error.message) from error
    elif unit.footage.images:
        from PIL import Image

        try:
            with Image.open(unit.footage.root / unit.footage.images[0][1]) as picture:
                width, height = picture.size
        except (OSError, Image.DecompressionBombError) as error:
            raise CotgenError(f"{unit.footage.images[0][1]} cannot be read ({error})") from error
        frames = len(unit.wanted)
    if unit.footage.crop:
        width, height = unit.footage.crop[2] - unit.footage.crop[0], unit.footage.crop[3] - unit.footage.crop[1]
    facts = [read_facts(path) for path in unit.facts]
    size = dict.fromkeys(unit.wanted, (width, height))
    found = scenes(facts, {}, size, unit.procedure, PRECEDENCE, None, dict(unit.native))
    if unit.earlier:
        found = unit.earlier.add(found)
    by_source: dict[str, Counter[str]] = {}
    runs: set[tuple[str, int]] = set()
    reviewed = []
    planned, _ = _asked(found, unit.tasks, unit.seed, unit.footage.fps, unit.balance)
    for position, question, run in with_runs(found, planned):
        asked = source_asked(found[position], question.task, unit.footage.source)
        by_source.setdefault(asked, Counter())[question.task] += 1
        runs.add((question.task, run))
        if (name := f"{found[position].key}#{question.id}") in unit.wrong:
            reviewed.append(name)
    counted = {name: dict(tasks) for name, tasks in by_source.items()}
    distinct = dict(Counter(task for task, _ in runs))
    return {
        "tasks": counted,
        "distinct": distinct,
        "reviewed": sorted(reviewed),
        "width": width,
        "height": height,
        "frames": frames,
        **({"teacher": _would_ask(unit, unit.teaching, found, planned)} if unit.teaching else {}),
    }


def _would_ask(
    unit: CountUnit, teaching: Teaching, scenes: Sequence[Scene], planned: Sequence[tuple[int, Question]]
) -> dict[str, Any]:
    """Requests, pictures, and characters of prompts and replies, the latter two from drafts spread over the questions.

    A reply is taken to be as long as the template's chain in its form.
    """
    from cotgen.build.teaching import chosen
    from cotgen.chains import teacher
    from cotgen.chains.write import write_pair

    asked = [(at, question) for at, question in planned if chosen(teaching, unit.seed, scenes[at].key, question.id)]
    drafted = prompt = reply = 0
    for at, question in asked[:: max(1, len(asked) // _DRAFTS)]:
        written = write_pair(scenes[at], question, None, unit.seed)
        if written:
            given = teacher.draft(scenes[at], question, written[1], not teaching.no_image)
            drafted += 1
            prompt += len(given.system) + len(given.user)
            reply += len(canonical_json(teacher.reply_from(given, written[1])))
    return {"requests": len(asked), "drafted": drafted, "prompt_chars": prompt, "reply_chars": reply}
