"""What is built: which surgeries, and which of their frames.

Everything here depends on names, labels and the configuration alone, never on what is in the work folder or on the
number of workers, so the same command chooses the same frames everywhere.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import polars as pl

from cotgen.build.config import BuildConfig
from cotgen.errors import CotgenError
from cotgen.records import SPLITS, LeftOut, Split, sample_key
from cotgen.sources import source
from cotgen.sources.base import Scan, SurgeryFacts, SurgeryFiles
from cotgen.surgeries.identity import candidates, canonical, check_known, clock_of, order_of
from cotgen.surgeries.splits import SplitPlan

#: With --limit, frames come from at least so many surgeries, and from one more for so many frames. A video has to be
#: read from its first byte to its last to prove which frames are taken, so a first look takes few of them.
LOOK_SURGERIES = 8
LOOK_FRAMES = 250

T = TypeVar("T")

#: Families whose surgeries have numbers and no other names.
_NUMBERED = frozenset({"cholec80", "endoscapes", "endovis17"})
_SURGERY = re.compile(r"^([a-z0-9_]+)/([a-z0-9_]+)$")
_KEY = re.compile(r"^([a-z0-9_]+)-([a-z0-9_]+)-([0-9]{6,})$")


def _clock(surgery: str) -> str:
    """The clock that a data set's number names; canonical of it is the operation, of which consent is withdrawn."""
    clock = clock_of(surgery)
    family, _, number = clock.partition("/")
    if family in _NUMBERED and not number.isdecimal():
        raise CotgenError(f"'{surgery}' names no surgery; write it with its number, such as cholec80/73")
    return clock


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Surgeries and frames that must never be in: withdrawn consent.

    Attributes:
        entries: as written in the file, sorted.
        surgeries: the surgeries among them, numbers without leading zeros.
        frames: (surgery, index) of the sample keys among them.
    """

    entries: tuple[str, ...] = ()
    surgeries: frozenset[str] = frozenset()
    frames: frozenset[tuple[str, int]] = frozenset()

    @classmethod
    def read(cls, file: Path | None) -> Exclusion:
        """Read the file; a line is a surgery, a sample key, or a comment after `#`.

        Raises:
            CotgenError: the file cannot be read, or a line is neither: what must not be in is never skipped over.
        """
        if file is None:
            return cls()
        try:
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise CotgenError(f"{file} cannot be read ({error}); check the path after --exclude.") from error
        entries: set[str] = set()
        surgeries: set[str] = set()
        frames: set[tuple[str, int]] = set()
        for number, line in enumerate(text.splitlines(), start=1):
            entry = line.partition("#")[0].strip()
            if not entry:
                continue
            match = _KEY.match(entry)
            if not match and not _SURGERY.match(entry):
                raise CotgenError(
                    f"{file}:{number}: '{entry}' is neither a surgery (cholec80/73) nor a sample key "
                    "(cholec80-73-018475); correct the line, so that nothing stays in by mistake."
                )
            try:
                named = f"{match[1]}/{match[2]}" if match else entry
                clock = _clock(named)
                check_known(named)
            except CotgenError as error:
                raise CotgenError(
                    f"{file}:{number}: {error}. Correct the line, so that nothing stays in by mistake."
                ) from None
            if match:
                frames.add((clock, int(match[3])))
            else:
                # Where only a set of operations is known, any of them may be the one whose consent is withdrawn.
                surgeries.update(candidates(clock))
            entries.add(entry)
        return cls(tuple(sorted(entries)), frozenset(surgeries), frozenset(frames))

    def holds(self, surgery: str) -> bool:
        """Whether the whole surgery is excluded."""
        return canonical(clock_of(surgery)) in self.surgeries

    def indices(self, surgery: str) -> frozenset[int]:
        """The excluded frames of a surgery."""
        name = clock_of(surgery)
        return frozenset(index for owner, index in self.frames if owner == name)


@dataclass(frozen=True, slots=True)
class Member:
    """What one source has of one surgery.

    Attributes:
        source: its name.
        root: its folder.
        files: the files of the surgery.
        procedure: which operation it is.
    """

    source: str
    root: Path
    files: SurgeryFiles
    procedure: str

    @property
    def surgery(self) -> str:
        """Whose clock it counts on, `cholec80/73`."""
        return self.files.surgery

    @property
    def has_pictures(self) -> bool:
        """Whether it has a video or pictures of its own."""
        return bool(self.files.video or self.files.images)


@dataclass(frozen=True, slots=True)
class Selected:
    """One surgery of the build: what each source has of it, and its split.

    Attributes:
        members: the sources that label it, in the order of the registry.
        pixels: the one that supplies the pictures.
        split: train, validation or test.
    """

    members: tuple[Member, ...]
    pixels: Member
    split: Split

    @property
    def surgery(self) -> str:
        """`cholec80/73`."""
        return self.pixels.surgery


@dataclass(frozen=True, slots=True)
class Plan:
    """The surgeries of a build.

    Attributes:
        scans: what the roots hold, one per source.
        splits: the split plan.
        exclusion: what must not be in.
        selected: the surgeries to build, in order.
        train: the surgeries that priors are counted from, in order, by source; never an excluded one.
        left_out: surgeries that are not built, and why.
        warnings: sentences for the user.
    """

    scans: tuple[Scan, ...]
    splits: SplitPlan
    exclusion: Exclusion
    selected: tuple[Selected, ...]
    train: tuple[tuple[Member, ...], ...]
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = field(default=())

    @property
    def where(self) -> str:
        """The folders, for messages."""
        return " and ".join(dict.fromkeys(str(scan.root) for scan in self.scans))


def left_out(what: str, reason: str, names: Sequence[str]) -> LeftOut:
    """A record of what is missing: the count of `names` and the first ten of them."""
    return LeftOut.model_validate({"what": what, "reason": reason, "count": len(names), "examples": list(names[:10])})


def plan_surgeries(config: BuildConfig, scans: Sequence[Scan], splits: SplitPlan, exclusion: Exclusion) -> Plan:
    """Choose the surgeries.

    Raises:
        CotgenError: `--surgeries` names one that is not there, the split puts one into two, or none is left.
    """
    members = _members(scans)
    there = sorted(members, key=order_of)
    where = " and ".join(dict.fromkeys(str(scan.root) for scan in scans))
    named = [*there, *(surgery for scan in scans for surgery, _ in scan.incomplete)]
    if absent := config.unmatched(named):
        raise CotgenError(
            f"--surgeries {','.join(absent)}: no such surgery in {where}. There "
            f"{'are ' + ', '.join(there) if there else 'is none that is complete'}."
        )
    wanted = [surgery for surgery in there if config.selects(surgery)]
    splits.check(there)
    split_of = _split_of(scans, splits)
    blind = [surgery for surgery in wanted if not any(member.has_pictures for member in members[surgery])]
    excluded = [surgery for surgery in wanted if exclusion.holds(surgery)]
    unsplit = [s for s in wanted if s not in excluded and s not in blind and split_of(s) is None]
    kept = [surgery for surgery in wanted if surgery not in {*excluded, *unsplit, *blind}]
    if config.limit and not config.surgeries:
        kept = look(kept, config.limit)
    lost = [
        left_out("surgery", why, [surgery])
        for scan in scans
        for surgery, why in scan.incomplete
        if config.selects(surgery) and surgery not in members
    ]
    if excluded:
        lost.append(LeftOut(what="surgery", reason="excluded by --exclude", count=len(excluded)))
    if unsplit:
        lost.append(left_out("surgery", f"in no split of {splits.name}; name another --split", unsplit))
    if blind := [surgery for surgery in blind if surgery not in excluded]:
        why = "it has labels and no video or pictures; add them, or name another source that has them as well"
        lost.append(left_out("surgery", why, blind))
    selected = tuple(
        Selected(members[surgery], _pixels(members[surgery], config.pixels), split)
        for surgery in kept
        if (split := split_of(surgery)) is not None
    )
    if not selected:
        reasons = "; ".join(f"{item.reason}: {', '.join(item.examples)}" for item in lost)
        raise CotgenError(f"No surgery of {where} can be built. {reasons}")
    train = tuple(
        members[surgery] for surgery in there if split_of(surgery) == "train" and not exclusion.holds(surgery)
    )
    known = {canonical(clock_of(surgery)) for surgery in named}
    _check_own(exclusion, scans, known)
    clocks = {clock_of(surgery) for surgery in named}
    warnings = [f"--exclude: {surgery} matches nothing in {where}" for surgery in sorted(exclusion.surgeries - known)]
    strange = sorted((surgery, index) for surgery, index in exclusion.frames if surgery not in clocks)
    warnings += [f"--exclude: {sample_key(*frame)} matches nothing in {where}" for frame in strange]
    return Plan(tuple(scans), splits, exclusion, selected, train, tuple(lost), tuple(warnings))


def _check_own(exclusion: Exclusion, scans: Sequence[Scan], known: Collection[str]) -> None:
    """Refuse an entry of --exclude that names a surgery of one's own table that is not there: a slip of the pen.

    The names of a table are its own, so that no entry can be meant for another one, as entries of data sets can.
    """
    own = [scan for scan in scans if scan.source == "table"]
    absent = sorted(name for name in exclusion.surgeries - set(known) if name.startswith("table/")) if own else []
    if absent:
        there = sorted((name for name in known if name.startswith("table/")), key=order_of)
        near = difflib.get_close_matches(absent[0], there, n=3, cutoff=0.4) or there[:3]
        raise CotgenError(
            f"--exclude: {', '.join(absent)} names no surgery in {own[0].root}; there are {', '.join(near)}"
            f"{' ...' if len(there) > len(near) else ''}. Correct the entry, so that nothing stays in by mistake."
        )


def _members(scans: Sequence[Scan]) -> dict[str, tuple[Member, ...]]:
    """Surgery -> what each source has of it, in the order of the scans."""
    found: dict[str, list[Member]] = {}
    for scan in scans:
        for files in scan.surgeries:
            procedure = scan.procedure or source(scan.source).describe().procedure
            found.setdefault(files.surgery, []).append(Member(scan.source, scan.root, files, procedure))
    return {surgery: tuple(members) for surgery, members in found.items()}


def _pixels(members: Sequence[Member], order: Sequence[str]) -> Member:
    """The member that supplies the pictures: the first of `order` that has some, then the first of the registry."""
    able = [member for member in members if member.has_pictures]
    return min(able, key=lambda member: order.index(member.source) if member.source in order else len(order))


def _split_of(scans: Sequence[Scan], splits: SplitPlan) -> Callable[[str], Split | None]:
    """The split of a surgery; a folder's own word counts for surgeries that no table has."""
    own = {surgery: split for scan in scans for surgery, split in scan.splits}

    def split_of(surgery: str) -> Split | None:
        named = own.get(surgery)
        return next((split for split in SPLITS if split == named), None) if named else splits.of(surgery)

    return split_of


def look(surgeries: Sequence[str], limit: int) -> list[str]:
    """The surgeries that a limited build takes its frames from, spread evenly over all."""
    return evenly(surgeries, max(LOOK_SURGERIES, -(-limit // LOOK_FRAMES)))


def evenly(items: Sequence[T], count: int) -> list[T]:
    """`count` items in their order, from the middles of `count` equal stretches; all where there are no more."""
    if count >= len(items):
        return list(items)
    return [items[(2 * i + 1) * len(items) // (2 * count)] for i in range(count)]


def shares(limit: int, available: Mapping[str, int]) -> dict[str, int]:
    """`limit` frames spread evenly over surgeries; what one does not have goes to the others, the first ones first."""
    given = dict.fromkeys(available, 0)
    left = min(limit, sum(available.values()))
    while left:
        open_ = [surgery for surgery in available if given[surgery] < available[surgery]]
        each, rest = divmod(left, len(open_))
        for position, surgery in enumerate(open_):
            more = min(each + (position < rest), available[surgery] - given[surgery])
            given[surgery] += more
            left -= more
    return given


def step_of(fps: Fraction, clock: str) -> int:
    """Frames of the surgery's clock from one question to the next.

    Args:
        fps: frames asked about a second.
        clock: frames a second of the clock.

    Raises:
        CotgenError: the rate does not divide the clock, so that frames would be unevenly spaced.
    """
    step = Fraction(clock) / fps
    if step.denominator != 1:
        raise CotgenError(unfit(fps, {"this source": clock}))
    return int(step)


def unfit(fps: Fraction, clocks: Mapping[str, str]) -> str:
    """What to say of a rate that does not divide the clocks of these sources, by name."""
    names: dict[str, list[str]] = {}
    for name, clock in sorted(clocks.items()):
        names.setdefault(clock, []).append(name)
    has = ", that of ".join(
        f"{' and '.join(own)} has {Fraction(clock)} frames a second" for clock, own in names.items()
    )
    text = f"--fps {fps}: the clock of {has}, and every frame must lie on its clock."
    shared = set.intersection(*(set(_rates(clock)) for clock in clocks.values()))
    if shared:
        several = len(clocks) > 1
        shown = ", ".join(map(str, sorted(shared, reverse=True)))
        text += f" Choose a rate that divides {'each of them' if several else 'it'}, such as {shown}."
    if "this source" not in clocks:
        below = {
            name: max((r for r in _rates(clock) if r < fps), default=Fraction(1)) for name, clock in clocks.items()
        }
        own = " ".join(f"--fps {name}={rate}" for name, rate in sorted(below.items()))
        text += f" Or give a rate of its own to each source that needs one: --fps {fps} {own}."
    return text


def _rates(clock: str) -> list[Fraction]:
    """Rates that divide a clock, highest first."""
    return sorted((Fraction(clock) / n for n in (1, 5, 25, 50, 125, 250)), reverse=True)


def second_of(clock: str) -> int:
    """Frames of the clock in a second: the step at which priors are counted, whatever the rate of the build."""
    return step_of(Fraction(1), clock)


def choose_frames(facts: SurgeryFacts, every: int, excluded: Collection[int]) -> list[int]:
    """The labelled frames of one surgery that are taken, ascending.

    Args:
        facts: its facts at the step of the build.
        every: 0 takes all; else frames of the clock between those that are taken where nothing changes.
        excluded: frames that must not be in.
    """
    indices = facts.labelled["index"].unique().sort().to_list()
    if every:
        changed = _changes(facts, indices)
        indices = [index for index in indices if index % every == 0 or index in changed]
    return [index for index in indices if index not in excluded]


def _changes(facts: SurgeryFacts, indices: Iterable[int]) -> set[int]:
    """Frames at which a kind of label says something else than when it was last given, and the first one."""
    rows = facts.facts.select(
        "index",
        name=pl.concat_str("source", "kind", separator="."),
        said=pl.col("terms").list.join("+"),
    ).sort("index", "name", "said")
    said: dict[tuple[int, str], tuple[str, ...]] = {}
    for index, name, text in rows.iter_rows():
        said[index, name] = (*said.get((index, name), ()), text)
    labelled: dict[int, list[str]] = {}
    for index, name in facts.labelled.select("index", "name").iter_rows():
        labelled.setdefault(index, []).append(name)
    last: dict[str, tuple[str, ...]] = {}
    changed = set()
    for index in indices:
        now = {name: said.get((index, name), ()) for name in labelled[index]}
        if any(last.get(name) != value for name, value in now.items()):
            changed.add(index)
        last.update(now)
    return changed
