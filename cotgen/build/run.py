"""The build: plan, facts, frames, chains, pack.

Surgeries run through hash, frames and chains one after another in a pool of workers; only priors (before) and pack
(after) wait for all. What is finished stays in the work folder under its fingerprint, so a run that was stopped goes
on, a changed template decodes nothing, and a build of which nothing changed does nothing.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

from cotgen import __version__
from cotgen.build.config import BuildConfig, unknown_key, wrong_sha256
from cotgen.build.files import (
    Seen,
    explain,
    fingerprint,
    hold,
    make_folder,
    move_into_place,
    write_whole,
)
from cotgen.build.output import Gathered, Output, Samples, pack_samples, together
from cotgen.build.plan import (
    Exclusion,
    Member,
    Plan,
    Selected,
    choose_frames,
    evenly,
    left_out,
    plan_surgeries,
    second_of,
    shares,
    step_of,
    unfit,
)
from cotgen.build.report import Estimate, Outcome, Questions, Reporter, asked_of, teaching_lines
from cotgen.build.runner import Runner, interruptible, running
from cotgen.build.taught import Tally, read_tally, rejected_rows
from cotgen.build.teaching import check_teaching
from cotgen.build.units import (
    ASK_VERSION,
    PRIORS_VERSION,
    REVIEWED,
    BalanceUnit,
    ChainsUnit,
    CountUnit,
    Earlier,
    FactsUnit,
    HashUnit,
    PriorsUnit,
    TallyUnit,
    Unit,
    asked_fingerprint,
    balance_fingerprint,
    chains_fingerprint,
    facts_fingerprint,
    native_size,
    priors_fingerprint,
    read_facts,
    reviewed_fingerprint,
    tally_fingerprint,
    taught_fingerprint,
)
from cotgen.build.workers import Done
from cotgen.errors import CotgenError
from cotgen.inspect.reviews import Thing, wrong_things
from cotgen.records import LeftOut, Manifest, sample_key
from cotgen.sources import SOURCES, source
from cotgen.sources.base import FACTS_VERSION, Footage, Scan, inside
from cotgen.sources.roots import find_all, find_root
from cotgen.surgeries.identity import canonical, order_of
from cotgen.surgeries.splits import SplitPlan, left_out_frames

#: Sources whose labels give statistics of phases.
COUNTED = frozenset({"cholec80", "cholect50", "multibypass140"})
#: A clock of at most so many frames a second is that of chosen pictures, each of which somebody labelled.
SLOW = 5
#: (source, surgery, step) -> sealed facts and their fingerprint.
Facts: TypeAlias = Mapping[tuple[str, str, int], tuple[Path, str]]
#: For --dry-run, measured on one processor (Cholec80 clips of 854x480, quality 90): bytes hashed, pixels decoded and
#: pairs written in a second; frames decoded to reach a lone one; bytes of a JPEG per pixel, of a record per pair, and
#: of a shard per sample besides.
_HASH_RATE = 500e6
_DECODE_RATE = 470e6
_PAIR_RATE = 2000
_ALONE = 125
_BYTES_PER_PIXEL = 0.11
_BYTES_PER_PAIR = 1250
_BYTES_PER_SAMPLE = 1500
#: What a judge may be asked of a chain; a masked text is asked beside its control.
JUDGED = frozenset({"visual", "recover", "masked"})
#: Characters of prompts and replies to a token.
_CHARACTERS_PER_TOKEN = 3.8


@dataclass
class _Job:
    """One surgery on its way."""

    selected: Selected
    facts: tuple[Path, ...]
    facts_fp: tuple[str, ...]
    wanted: tuple[int, ...]
    footage: Footage
    earlier: Earlier | None = None
    earlier_fp: tuple[str, ...] = ()
    content: str = ""
    seen: Seen | None = None
    frames: Path = Path()
    frames_fp: str = ""
    chains: Path = Path()
    chains_fp: str = ""
    #: What a teacher wrote, and whether it is known; None where nobody was asked.
    asked: Path | None = None
    taught: bool = False
    balance: Path | None = None
    balance_sha256: str = ""
    ran: set[str] = field(default_factory=set)
    done: bool = False

    @property
    def surgery(self) -> str:
        return self.selected.surgery


@dataclass
class _Build(Runner):
    """One run of a build."""

    config: BuildConfig
    plan: Plan
    tasks: tuple[str, ...]
    lost: list[LeftOut] = field(default_factory=list)
    #: Every file that was read, as it was then.
    seen: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        marks = self.config.exclude_reviewed_wrong
        #: `key#id` -> what reviewers marked wrong of it.
        self.wrong = wrong_things(marks) if marks else {}
        used = {member.source for item in self.plan.selected for member in item.members}
        #: The sources that give something, in the order of the registry.
        self.sources = [scan.source for scan in self.plan.scans if scan.source in used]
        for warning in self.plan.warnings:
            self.warn(warning)
        self.lost += self.plan.left_out
        #: What the folders show before a file is read: told in each summary, also where there is nothing to do.
        self.outcome.notes += [(odd.file, odd.text, odd.count) for scan in self.plan.scans for odd in scan.oddities]

    # Sources and their clocks.

    @property
    def named(self) -> str:
        """The sources of the build, for names of files."""
        return "+".join(sorted({scan.source for scan in self.plan.scans}))

    def footage(self, selected: Selected) -> Footage:
        """Where the pictures of a surgery are."""
        pixels = selected.pixels
        return source(pixels.source).frames(pixels.root, pixels.files)

    def clock(self, members: Sequence[Member]) -> str:
        """Frames a second of the clock of these members, which is that of whichever has pictures."""
        member = next((member for member in members if member.has_pictures), members[0])
        return source(member.source).frames(member.root, member.files).fps

    def rate(self, members: Sequence[Member]) -> Fraction:
        """Frames asked about a second of a surgery.

        Raises:
            CotgenError: sources that are joined were given different rates.
        """
        rates = {member.source: self.config.rate(member.source) for member in members}
        if len(set(rates.values())) > 1:
            shown = " and ".join(f"{name} {rate}" for name, rate in rates.items())
            clock = Fraction(self.clock(members))
            one = max((rate for rate in rates.values() if (clock / rate).denominator == 1), default=Fraction(1))
            raise CotgenError(
                f"--fps gives {shown}, and their labels of {members[0].surgery} are joined frame by frame: give both one "
                f"rate, such as {' '.join(f'--fps {name}={one}' for name in rates)}."
            )
        return next(iter(rates.values()))

    def step(self, members: Sequence[Member]) -> int:
        """Frames of their clock from one question to the next; on a clock slower than the rate, each frame.

        Raises:
            CotgenError: the rate does not divide the clock; names every source of which that is so.
        """
        rate, clock = self.rate(members), self.clock(members)
        if len(self.plan.scans) == 1:
            return step_of(rate, clock)
        if rate > Fraction(clock):
            return 1
        if (Fraction(clock) / rate).denominator != 1:
            raise CotgenError(unfit(rate, self._unfit(rate)))
        return step_of(rate, clock)

    def _unfit(self, rate: Fraction) -> dict[str, str]:
        """Source -> its clock, for those of this rate whose clock it does not divide."""
        found: dict[str, str] = {}
        for item in self.plan.selected:
            clock = self.clock(item.members)
            slow = rate > Fraction(clock) or (Fraction(clock) / rate).denominator == 1
            found |= {m.source: clock for m in item.members if not slow and self.config.rate(m.source) == rate}
        return found

    def tell_rates(self, jobs: Sequence[_Job]) -> None:
        """Say where the rate leaves out frames of a slow clock, or asks for more than there are; once for a source."""
        for name, fps in dict.fromkeys((job.footage.source, job.footage.fps) for job in jobs):
            rate, clock = self.config.rate(name), Fraction(fps)
            if rate > clock:
                self.warn(f"{name}: its labels have {clock} frames a second, fewer than --fps {rate}: each is taken")
            elif rate < clock <= SLOW:
                step = step_of(rate, fps)
                own = f"{name}={clock}" if len(self.plan.scans) > 1 else str(clock)
                self.warn(f"{name}: at --fps {rate}, one of {step} frames is taken; --fps {own} takes all of them")

    def wrong_in(self, surgery: str) -> dict[str, frozenset[Thing]]:
        """What reviewers marked wrong in a surgery."""
        of = surgery.replace("/", "-")
        return {name: things for name, things in self.wrong.items() if name.partition("#")[0].rpartition("-")[0] == of}

    # What failed.

    def failed(self, unit: Unit, text: str, trace: str) -> None:
        """A unit failed; the others go on."""
        self.fail(unit, text, trace)

    def fail(self, unit: Unit | Member | Selected, text: str, trace: str = "") -> None:
        surgery = unit.surgery or ("balance" if isinstance(unit, BalanceUnit) else "priors")
        text = self.plain(text, [scan.root for scan in self.plan.scans])
        if surgery not in ("balance", "priors") and surgery not in {item.surgery for item in self.plan.selected}:
            self.keep_trace(surgery, trace)
            self.warn(f"{surgery} is not counted in the priors: {text}")
        else:
            self.lose(surgery, text, trace)

    # Facts and priors.

    def facts(self, wanted: Sequence[tuple[Member, int]]) -> Facts:
        """Sealed facts with their fingerprints by source, surgery and step, for those that can be read."""
        found: dict[tuple[str, str, int], tuple[Path, str]] = {}
        for member, step in dict.fromkeys(wanted):
            try:
                paths = [inside(member.root, file) for _, file in member.files.annotations]
                seen = tuple(Seen.now([path]) for path in paths)
                hashes = [self.cache.file(path) for path in paths]
            except OSError as error:
                self.fail(member, f"{error.filename} cannot be read ({error.strerror}); check the file")
                continue
            mark = facts_fingerprint(member.source, member.files, hashes, step)
            self.seen += seen
            out = self.place("facts", member.surgery, mark, "facts")
            found[member.source, member.surgery, step] = (out, mark)
            if out.exists():
                self.reuse("facts")
            else:
                self.submit(FactsUnit(member.source, member.root, member.files, step, out, self.part(out), seen))
        self.run(lambda event: None)
        return {key: value for key, value in found.items() if value[0].exists()}

    def of(self, facts: Facts, members: Sequence[Member], step: int) -> list[tuple[Path, str]]:
        """The facts of all these members; none where one of them could not be read."""
        found = [facts.get((member.source, member.surgery, step)) for member in members]
        return [item for item in found if item] if all(found) else []

    def counted(self) -> list[tuple[tuple[Member, ...], int]]:
        """The train surgeries whose labels statistics can come from, with their steps of a second."""
        groups = [tuple(m for m in members if m.source in COUNTED) for members in self.plan.train]
        return [(members, second_of(self.clock(members))) for members in groups if members]

    def priors(self, facts: Facts) -> Path | None:
        """The file of the priors that chains may cite, or None.

        Raises:
            CotgenError: a file was named whose surgeries are not all train surgeries that may be counted.
        """
        if self.config.priors == "none":
            return None
        if self.config.priors != "auto":
            return self._given_priors(Path(self.config.priors).resolve())
        found = self._over_train(facts, "priors")
        if found is None and set(self.sources) & COUNTED:
            self.warn(
                f"there is no train surgery of {self.plan.splits.name} in {self.plan.where}, so no statistics: "
                "no sentence rests on them, and more answers count as asserted"
            )
        return found

    def _over_train(self, facts: Facts, table: Literal["priors", "usual"]) -> Path | None:
        """The file of what is counted over the train surgeries of the root; None where there are none."""
        counted = {
            members[0].surgery: found
            for members, second in self.counted()
            if (found := self.of(facts, members, second))
        }
        if not counted:
            return None
        excluded = {surgery: self.plan.exclusion.indices(surgery) for surgery in counted}
        marks = [mark for found in counted.values() for _, mark in found]
        mark = priors_fingerprint(
            marks, {surgery: sorted(indices) for surgery, indices in excluded.items()}, self.plan.splits.name, table
        )
        out = self.place(table, self.named, mark, "json")
        if out.exists():
            self.reuse("priors")
            return out
        paths = tuple(tuple(path for path, _ in found) for found in counted.values())
        plan = self.plan.splits.name
        self.submit(PriorsUnit(paths, tuple(sorted(excluded.items())), plan, out, self.part(out), table=table))
        self.run(lambda event: None)
        if not out.exists():
            raise CotgenError(
                f"The statistics of the train surgeries cannot be counted: {self.outcome.failed['priors']}"
            )
        return out

    def _given_priors(self, file: Path) -> Path:
        import pydantic

        from cotgen.surgeries.priors import Priors

        try:
            priors = Priors.from_json(file.read_bytes())
        except OSError as error:
            raise CotgenError(f"{file} cannot be read ({error.strerror}); check the path after --priors.") from error
        except pydantic.ValidationError as error:
            raise CotgenError(f"{file} holds no priors; write such a file with `cotgen priors`.") from error
        splits, exclusion = self.plan.splits, self.plan.exclusion
        wrong = [surgery for surgery in priors.surgeries if splits.of(surgery) != "train" or exclusion.holds(surgery)]
        if wrong:
            raise CotgenError(
                f"{file} counts {', '.join(wrong)}, which {splits.name} does not have in train or --exclude names. "
                "Statistics may come from train surgeries alone: count them again with `cotgen priors`."
            )
        return file

    # Frames of each surgery.

    def choose(self, facts: Facts) -> list[_Job]:
        """The surgeries whose facts could be read, with their wanted frames."""
        jobs: list[_Job] = []
        for selected in self.plan.selected:
            sealed = self.of(facts, selected.members, self.step(selected.members))
            if not sealed:
                continue
            footage = self.footage(selected)
            every = self.config.every_s * second_of(footage.fps) if self.config.every_s else 0
            found = [read_facts(path) for path, _ in sealed]
            labelled = {index for item in found for index in item.labelled["index"].unique().to_list()}
            excluded = self.plan.exclusion.indices(selected.surgery)
            unsplit = labelled & set(left_out_frames(selected.surgery))
            if unsplit:
                keys = [sample_key(selected.surgery, index) for index in sorted(unsplit)]
                self.lost.append(left_out("frame", "official test frames beside train frames of one video", keys))
            chosen = {index for item in found for index in choose_frames(item, every, excluded | unsplit)}
            wanted = sorted(chosen)
            held = excluded & labelled
            keys = [sample_key(selected.surgery, index) for index in sorted(held)]
            if keys:
                self.lost.append(LeftOut(what="frame", reason="excluded by --exclude", count=len(keys)))
            for index in sorted(excluded - held):
                key = sample_key(selected.surgery, index)
                self.warn(f"--exclude: {key} matches no labelled frame of this build")
            if wanted:
                paths, marks = tuple(path for path, _ in sealed), tuple(mark for _, mark in sealed)
                earlier, earlier_marks = self.earlier(facts, selected, footage, excluded | unsplit)
                jobs.append(_Job(selected, paths, marks, tuple(wanted), footage, earlier, earlier_marks))
            else:
                self.lost.append(left_out("surgery", "it has no labelled frame", [selected.surgery]))
        if self.config.limit:
            given = shares(self.config.limit, {job.surgery: len(job.wanted) for job in jobs})
            for job in jobs:
                job.wanted = tuple(evenly(job.wanted, given[job.surgery]))
        self.tell_rates(jobs)
        return [job for job in jobs if job.wanted]

    def earlier(
        self, facts: Facts, selected: Selected, footage: Footage, without: frozenset[int]
    ) -> tuple[Earlier | None, tuple[str, ...]]:
        """What the context of a surgery is taken from, with the fingerprints of the facts; None for no context."""
        if not self.config.context_s:
            return None, ()
        second = second_of(self.clock(selected.members))
        sealed = self.of(facts, selected.members, second)
        paths, marks = tuple(path for path, _ in sealed), tuple(mark for _, mark in sealed)
        return Earlier(self.config.context_s, paths, footage.fps, second, tuple(sorted(without))), marks

    # Balance.

    def balance(self, facts: Facts, jobs: Sequence[_Job]) -> Path | None:
        """The file of the limits that train is thinned out by, or None.

        Raises:
            CotgenError: they cannot be counted.
        """
        if not self.config.balance:
            return None
        train = [job for job in jobs if job.selected.split == "train"]
        if not train:
            self.warn(
                "--balance changes nothing here: validation and test keep every question, and no surgery is train"
            )
            return None
        usual = self._over_train(facts, "usual")
        sha256 = self.cache.file(usual) if usual else ""
        tallies = {job.surgery: self._tally(job, usual, sha256) for job in train}
        self.run(lambda event: None)
        found = {surgery: entry for surgery, entry in tallies.items() if entry[0].exists()}
        mark = balance_fingerprint([mark for _, mark in found.values()], sha256)
        out = self.place("balance", self.named, mark, "json")
        if out.exists():
            self.reuse("balance")
            return out
        self.submit(BalanceUnit(tuple(path for path, _ in found.values()), usual, out, self.part(out)))
        self.run(lambda event: None)
        if not out.exists():
            raise CotgenError(f"The balance cannot be counted: {self.outcome.failed['balance']}")
        return out

    def _tally(self, job: _Job, usual: Path | None, sha256: str) -> tuple[Path, str]:
        """Where the tally of a surgery is, or will be once the units have run, and its fingerprint."""
        pixels, native, clock = job.selected.pixels, self.native(job.selected), job.footage.fps
        size = native_size(job.footage) or (0, 0)
        seed = self.config.seed
        there = {index for index, _ in job.footage.images}
        wanted = tuple(index for index in job.wanted if not there or index in there)
        mark = tally_fingerprint(
            job.facts_fp,
            sha256,
            wanted=wanted,
            size=size,
            tasks=self.tasks,
            seed=seed,
            procedure=pixels.procedure,
            clock=clock,
            native=native,
            context=[*job.earlier.told, *job.earlier_fp] if job.earlier else (),
        )
        out = self.place("tally", job.surgery, mark, "json")
        if out.exists():
            self.reuse("tally")
        else:
            self.submit(
                TallyUnit(
                    job.surgery,
                    job.facts,
                    usual,
                    wanted,
                    size,
                    self.tasks,
                    seed,
                    pixels.procedure,
                    clock,
                    native,
                    out,
                    self.part(out),
                    job.earlier,
                )
            )
        return out, mark

    # From pictures to samples.

    def write(self, jobs: Sequence[_Job], priors: Path | None, balance: Path | None = None) -> list[_Job]:
        """Bring every surgery to its finished samples; returns those that are."""
        jobs = [job for job in jobs if job.surgery not in self.outcome.failed]
        for job in jobs:
            if balance and job.selected.split == "train":
                job.balance, job.balance_sha256 = balance, self.cache.file(balance)
        by_name = {job.surgery: job for job in jobs}
        sha256 = self.cache.file(priors) if priors else ""

        def then(event: Done) -> None:
            job = by_name[event.unit.surgery]
            self.took(event, job)
            advance(job)

        def advance(job: _Job) -> None:
            try:
                self._advance(job, priors, sha256)
            except OSError as error:
                self.fail(job.selected, f"{error.filename} cannot be read ({error.strerror}); check the file")

        for job in jobs:
            advance(job)
        self.run(then)
        if self.config.taught:
            self._ask([job for job in jobs if job.chains_fp and job.surgery not in self.outcome.failed], priors)
            for job in jobs:
                if job.taught:
                    advance(job)
            self.run(then)
        return [job for job in jobs if job.done]

    def _ask(self, jobs: Sequence[_Job], priors: Path | None) -> None:
        """Ask the teacher about all surgeries whose frames are there; what is known already is not asked again.

        Raises:
            CotgenError: the server refuses every request, or is gone.
        """
        from cotgen.build.ask import Asker, judging_by
        from cotgen.chains import teacher
        from cotgen.models.cache import ReplyCache
        from cotgen.models.thread import ClientThread

        told = self.config.told()
        todo: list[tuple[_Job, Path]] = []
        for job in jobs:
            out = self.place("asked", job.surgery, asked_fingerprint(job.chains_fp, told), "asked")
            known = read_tally(out)
            if known is not None and not known.given_up:
                self.reuse("ask")
                self._taught(job, out)
            else:
                todo.append((job, out))
        if not todo:
            return
        by_name = {job.surgery: (job, out) for job, out in todo}
        self.reporter.expect("ask", sum(len(job.wanted) for job, _ in todo))
        start = time.monotonic()
        with contextlib.ExitStack() as stack:
            cache = stack.enter_context(ReplyCache(self.work / "replies.sqlite"))
            client = stack.enter_context(
                ClientThread(self.config.teacher(), cache, lambda request, parsed: teacher.form(parsed))
            )
            judge = stack.enter_context(judging_by(self.config, self.config.seed, client, cache))
            asker = Asker(self.config, client, cache, judge, tell=lambda frames: self.reporter.advance("ask", frames))
            clients = [client.client, *([judge.client] if judge else [])]
            self.reporter.watch("ask", lambda: teaching_lines(asker.tally, clients, start))
            units = [(self._chains_unit(job, priors), out, self.part(out)) for job, out in todo]
            for unit in asker.run(units, lambda unit, text: self.fail(unit, text)):
                job, out = by_name[unit.surgery]
                self.outcome.executed["ask"] = self.outcome.executed.get("ask", 0) + 1
                self._taught(job, out)
        self.outcome.seconds["ask"] = time.monotonic() - start
        self.outcome.requests = asked_of(clients)

    def _taught(self, job: _Job, out: Path) -> None:
        """From here on the chains of a surgery are those of its teacher."""
        job.asked, job.taught = out, True
        job.chains_fp = self._reviewed(job, taught_fingerprint(job.chains_fp, self.cache.file(out)))
        job.chains = self.place("chains", job.surgery, job.chains_fp, "chains")

    def _reviewed(self, job: _Job, chains_fp: str) -> str:
        """The fingerprint of the chains of a surgery once what reviewers marked wrong is left out of them."""
        wrong = self.wrong_in(job.surgery)
        return reviewed_fingerprint(chains_fp, wrong_sha256(wrong)) if wrong else chains_fp

    def _chains_unit(self, job: _Job, priors: Path | None) -> ChainsUnit:
        return ChainsUnit(
            job.surgery,
            job.facts,
            job.frames,
            priors,
            job.wanted,
            self.tasks,
            job.selected.split,
            self.config.seed,
            job.selected.pixels.procedure,
            job.selected.pixels.source,
            job.footage.fps,
            self.native(job.selected),
            job.chains,
            self.part(job.chains),
            job.earlier,
            job.balance,
            job.asked,
            self.config.teacher_fallback == "template",
            self.wrong_in(job.surgery),
        )

    def _advance(self, job: _Job, priors: Path | None, priors_sha256: str) -> None:
        config = self.config
        if not self.extract(job, config.frames, config.quality, config.max_side):
            return
        if not job.chains_fp:
            if "frames" not in job.ran:
                self.reuse("frames")
            job.chains_fp = chains_fingerprint(
                job.facts_fp,
                job.frames_fp,
                priors_sha256,
                wanted=job.wanted,
                tasks=self.tasks,
                split=job.selected.split,
                seed=config.seed,
                procedure=job.selected.pixels.procedure,
                native=self.native(job.selected),
                earlier=job.earlier,
                earlier_facts=job.earlier_fp,
                balance=job.balance_sha256,
            )
            # A teacher is asked about all: what was marked wrong is left out of what it wrote.
            if not config.taught:
                job.chains_fp = self._reviewed(job, job.chains_fp)
            job.chains = self.place("chains", job.surgery, job.chains_fp, "chains")
        if config.taught and not job.taught:
            return
        if not job.chains.exists():
            self.submit(self._chains_unit(job, priors))
            return
        if "chains" not in job.ran:
            self.reuse("chains")
        job.done = True

    def keep_rejected(self, jobs: Sequence[_Job], out: Path) -> Path:
        """Write every refused reply with its reasons beside the other results; it is not for publication."""
        rows = rejected_rows(job.asked for job in jobs if job.asked)
        path = make_folder(self.work / "rejected") / f"{out.name}.jsonl"
        part = self.part(path)
        with part.open("wb") as file:
            file.writelines(rows)
        move_into_place(part, path)
        return path

    def native(self, selected: Selected) -> tuple[tuple[str, tuple[int, int]], ...]:
        """The size of the pictures of each source whose own are not used, to compare their shape."""
        found = []
        for member in selected.members:
            if member is not selected.pixels and member.has_pictures:
                size = native_size(source(member.source).frames(member.root, member.files))
                if size:
                    found.append((member.source, size))
        return tuple(found)

    def tell_reviewed(self, gathered: Gathered) -> None:
        """Say where marks of reviewers left nothing out."""
        done = sum(item.count for item in gathered.left_out if item.what == "pair" and item.reason == REVIEWED)
        if done < len(self.wrong):
            self.warn(
                f"--exclude-reviewed-wrong: {len(self.wrong) - done:,} of {len(self.wrong):,} chains marked wrong are not "
                "in this build anyway: they are written otherwise now, or nothing asks for them"
            )

    def check_unchanged(self, jobs: Sequence[_Job]) -> None:
        """Every file that was read is still the one that was read. Raises CotgenError."""
        self.check_same([*self.seen, *(job.seen for job in jobs if job.seen)])


def _plan(config: BuildConfig, cwd: Path, env: Mapping[str, str]) -> tuple[Plan, tuple[str, ...]]:
    """What to build, from names alone.

    Raises:
        CotgenError: the source is not there, or the configuration names something that does not exist.
    """
    from cotgen.tasks import TASKS

    unknown = sorted(set(config.tasks) - set(TASKS))
    if unknown:
        raise CotgenError(f"--tasks: {unknown_key(unknown[0], TASKS)}")
    tasks = tuple(name for name in TASKS if name in config.tasks or not config.tasks)
    for name in config.pixels:
        if name not in SOURCES:
            raise CotgenError(f"--pixels: {unknown_key(name, SOURCES)}")
    for name in config.rates:
        if name not in SOURCES:
            raise CotgenError(f"--fps: {unknown_key(name, SOURCES)}")
    splits = SplitPlan.parse(config.split)
    exclusion = Exclusion.read(config.exclude)
    scans = _scans(config, cwd, env)
    check_teaching(config, config.frames, [scan.source for scan in scans])
    return plan_surgeries(config, scans, splits, exclusion), tasks


def _scans(config: BuildConfig, cwd: Path, env: Mapping[str, str]) -> list[Scan]:
    """What the roots hold of the sources that are asked for, in the order of the registry.

    Raises:
        CotgenError: a source is not known, or one that was named is not there; for `all`, none is.
    """
    if "all" in config.source:
        return find_all(config.root, cwd, env)
    wanted = {source(name).name for name in config.source}
    return [find_root(item, config.root, cwd, env) for name, item in SOURCES.items() if name in wanted]


@contextlib.contextmanager
def _begin(
    config: BuildConfig, plan: Plan, tasks: tuple[str, ...], work: Path, outcome: Outcome, reporter: Reporter
) -> Iterator[_Build]:
    make = partial(_Build, config=config, plan=plan, tasks=tasks)
    with running(make, work, config.processes, reporter, outcome) as run:
        yield run


def _all_facts(build: _Build) -> Facts:
    """The facts of the surgeries to build and, where something is counted over train, those of all train surgeries."""
    wanted = [(member, build.step(item.members)) for item in build.plan.selected for member in item.members]
    if build.config.context_s:
        wanted += [
            (member, second_of(build.clock(item.members))) for item in build.plan.selected for member in item.members
        ]
    if build.config.priors == "auto" or build.config.balance:
        wanted += [(member, second) for members, second in build.counted() for member in members]
    return build.facts(wanted)


def build(
    config: BuildConfig, reporter: Reporter, *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Outcome:
    """Build a data set, or bring one up to date.

    Args:
        config: what to build, from what, and where to.
        reporter: shows progress.
        cwd: the folder that `./data` is looked for in; the current one by default.
        env: the environment, for `COTGEN_DATA` and `COTGEN_WORK`.

    Raises:
        CotgenError: nothing could be built, or OUT may not be written.
        StoppedError: the user stopped it; what is finished is kept.
    """
    start = time.monotonic()
    env = os.environ if env is None else env
    out, work = config.folders(env)
    with interruptible(out):
        plan, tasks = _plan(config, cwd or Path.cwd(), env)
        outcome = Outcome(out)
        with hold(out, work / "locks"), _begin(config, plan, tasks, work, outcome, reporter) as run:
            named = "none" if config.priors == "none" else "auto"
            if named == "auto" and config.priors != "auto":
                named = _sha256_of(run, Path(config.priors))
            # `all` is no property of the content: tomorrow there may be one more.
            named_sources = config.model_copy(update={"source": tuple(scan.source for scan in plan.scans)})
            effective = named_sources.effective(
                tasks=tasks,
                split=plan.splits.name,
                excluded=plan.exclusion.entries,
                priors=named,
                wrong=run.wrong if config.exclude_reviewed_wrong else None,
            )
            output = Output(out, work, effective)
            output.claim(config.replace)
            facts = _all_facts(run)
            priors = run.priors(facts)
            chosen = run.choose(facts)
            jobs = run.write(chosen, priors, run.balance(facts, chosen))
            run.pool.close()
            _finish(run, output, jobs, priors)
        outcome.wall_s = time.monotonic() - start
    return outcome


def _sha256_of(run: _Build, file: Path) -> str:
    try:
        return run.cache.file(file.resolve())
    except OSError as error:
        raise CotgenError(f"{file} cannot be read ({error.strerror}); check the path after --priors.") from error


def _versions(config: BuildConfig) -> dict[str, str]:
    """Versions of cotgen, its steps, and the libraries that pixels and JPEGs depend on."""
    from cotgen.build.balance import BALANCE_VERSION
    from cotgen.chains.write import CHAINS_VERSION
    from cotgen.evaluation.blind import BLIND_VERSION
    from cotgen.frames.decode import decoder_version
    from cotgen.frames.encode import encoder_version
    from cotgen.frames.extract import FRAMES_VERSION
    from cotgen.shards.pack import PACK_VERSION

    steps = {
        "facts": FACTS_VERSION,
        "priors": PRIORS_VERSION,
        "frames": FRAMES_VERSION,
        "chains": CHAINS_VERSION,
        "pack": PACK_VERSION,
        "blind": BLIND_VERSION,
    }
    if config.taught:
        steps["ask"] = ASK_VERSION
    if config.balance:
        steps["balance"] = BALANCE_VERSION
    versions = {"cotgen": __version__, **{name: str(number) for name, number in steps.items()}}
    if config.frames != "none":
        versions |= {"decoder": decoder_version(), "encoder": encoder_version()}
    return versions


def _finish(run: _Build, output: Output, jobs: Sequence[_Job], priors: Path | None) -> None:
    """Pack and seal, unless OUT is up to date already."""
    from cotgen.evaluation.blind import blind_counts
    from cotgen.shards.manifest import seal
    from cotgen.surgeries.priors import Priors

    outcome, config = run.outcome, run.config
    failed = [left_out("surgery", why, [surgery]) for surgery, why in sorted(outcome.failed.items())]
    if not jobs:
        whys = "; ".join(f"{surgery}: {why}" for surgery, why in list(outcome.failed.items())[:3])
        raise CotgenError(f"Nothing could be built. {whys or 'No labelled frame is left.'}")
    versions = _versions(config)
    content = fingerprint({"chains": [job.chains_fp for job in jobs], "frames": [job.frames_fp for job in jobs]})
    whole = fingerprint(
        {
            "config": output.config,
            "content": content,
            "lost": [item.model_dump() for item in [*run.lost, *failed]],
            "terms": [source(name).describe().terms.model_dump() for name in run.sources],
            "versions": versions,
        }
    )
    if config.taught:
        outcome.rejected = run.keep_rejected(jobs, output.out)
        outcome.teacher = _taught_tally(jobs)
    current = output.current(whole, run.cache)
    if current is not None:
        outcome.manifest = current
        outcome.unchanged = True
        outcome.damaged = dict(current.counts.get("damaged", {}))
        return
    run.check_unchanged(jobs)
    with Samples([(job.chains, job.frames) for job in jobs]) as samples:
        gathered = samples.gather()
        outcome.notes, outcome.damaged = [*outcome.notes, *gathered.notes], gathered.damaged
        if not gathered.entries:
            reasons = "; ".join(
                f"{item.reason} ({item.count:,})" for item in together([*run.lost, *gathered.left_out])
            )
            noted = "; ".join(dict.fromkeys(text for _, text, _ in outcome.notes))
            raise CotgenError(
                f"No frame of {len(jobs)} surgeries gave a question: {reasons}{f'. Noted: {noted}' if noted else ''}"
            )
        run.tell_reviewed(gathered)
        run.reporter.expect("pack", len(gathered.entries))
        start = time.monotonic()
        # The folder may have been moved away, and another put in its place, while the surgeries were read.
        output.claim(config.replace)
        output.begin(run.part)
        packed = pack_samples(
            output,
            gathered,
            samples,
            fingerprint=content,
            seed=config.seed,
            shards=config.shards,
            progress=lambda count: run.reporter.advance("pack", count),
        )
    times = Counter[str]()
    for _, text, count in gathered.notes:
        times[text] += count
    manifest = Manifest(
        kind="build",
        fingerprint=whole,
        config=output.config,
        split_table=run.plan.splits.name,
        splits={split: sorted(set(names), key=order_of) for split, names in gathered.surgeries.items()},
        shards=packed.shards,
        counts={
            **packed.counts,
            **blind_counts(output.out),
            **(_of_several(gathered) if len(run.sources) > 1 else {}),
            **({"left_out_by_balance": gathered.balance} if config.balance else {}),
            **({"teacher": gathered.teacher.plain()} if config.taught else {}),
            "notes": dict(times),
            "damaged": gathered.damaged,
        },
        left_out=together([*run.lost, *failed, *gathered.left_out]),
        sources=[source(name).describe().terms for name in run.sources],
        versions=versions,
    )
    outcome.manifest = seal(output.out, manifest, Priors.from_json(priors.read_bytes()) if priors else None)
    output.finish()
    output.remember(outcome.manifest, run.cache)
    outcome.executed["pack"] = packed.written
    outcome.reused["pack"] = len(packed.shards) - packed.written
    outcome.seconds["pack"] = time.monotonic() - start


def _taught_tally(jobs: Sequence[_Job]) -> Tally:
    """What the teacher was asked and what came of it, over all surgeries."""
    tally = Tally()
    for job in jobs:
        if job.asked and (found := read_tally(job.asked)):
            tally.add(found)
    return tally


def _of_several(gathered: Gathered) -> dict[str, Any]:
    """What a manifest counts besides where several sources are joined."""
    return {"pairs_by_source_and_task": gathered.by_source, "disputed": dict(gathered.disputed)}


def estimate(
    config: BuildConfig, reporter: Reporter, *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Estimate:
    """What a build would make: surgeries, frames and questions from the labels, bytes and time estimated.

    Nothing is decoded and OUT is not touched; facts are kept in the work folder, where the build finds them.

    Raises:
        CotgenError: as `build`.
    """
    env = os.environ if env is None else env
    with interruptible(None), contextlib.ExitStack() as stack:
        plan, tasks = _plan(config, cwd or Path.cwd(), env)
        if config.out is None and not config.work and not env.get("COTGEN_WORK"):
            work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cotgen-")))
        else:
            work = config.work_folder(env, (config.out or Path("out")).resolve())
        outcome = Outcome(work)
        run = stack.enter_context(_begin(config, plan, tasks, work, outcome, reporter))
        facts = _all_facts(run)
        jobs = run.choose(facts)
        balance = run.balance(facts, jobs)
        found: dict[str, dict[str, Any]] = {}
        for job in jobs:
            procedure = job.selected.pixels.procedure
            native = run.native(job.selected)
            limits = balance if job.selected.split == "train" else None
            run.submit(
                CountUnit(
                    job.surgery,
                    job.facts,
                    job.footage,
                    job.wanted,
                    tasks,
                    config.seed,
                    procedure,
                    native,
                    job.earlier,
                    limits,
                    config if config.taught else None,
                    frozenset(run.wrong_in(job.surgery)),
                )
            )
        run.run(lambda event: found.__setitem__(event.unit.surgery, event.result))
        return _estimate(run, [job for job in jobs if job.surgery in found], found)


def _estimate(run: _Build, jobs: Sequence[_Job], found: Mapping[str, Mapping[str, Any]]) -> Estimate:
    config = run.config
    by_source: dict[str, Counter[str]] = {}
    distinct = Counter[str]()
    surgeries: dict[str, list[str]] = {}
    size = seconds = 0.0
    for job in jobs:
        counted = found[job.surgery]
        for name, tasks in counted["tasks"].items():
            by_source.setdefault(name, Counter()).update(tasks)
        distinct.update(counted["distinct"])
        operation = canonical(job.surgery)
        if operation not in surgeries.setdefault(job.selected.split, []):
            surgeries[job.selected.split].append(operation)
        scale = min(1.0, config.max_side / max(1, counted["width"], counted["height"])) if config.max_side else 1.0
        pixels = counted["width"] * counted["height"] * scale * scale * len(job.wanted)
        if config.frames != "none":
            unit = HashUnit.of(job.surgery, job.footage, job.wanted, ends=False)
            seconds += sum(path.stat().st_size for path in unit.paths) / _HASH_RATE
            decoded = min(counted["frames"], _ALONE * len(job.wanted))
            seconds += decoded * counted["width"] * counted["height"] / _DECODE_RATE
        if config.frames == "embed":
            size += pixels * _BYTES_PER_PIXEL
        size += _BYTES_PER_SAMPLE * len(job.wanted)
    pairs = sum(by_source.values(), Counter[str]())
    total = sum(pairs.values())
    if reviewed := [name for job in jobs for name in found[job.surgery]["reviewed"]]:
        run.lost.append(left_out("pair", f"{REVIEWED}, where its chain is still written as it was", reviewed))
    size += total * _BYTES_PER_PAIR
    seconds = (seconds + total / _PAIR_RATE) / config.processes + size / _HASH_RATE
    return Estimate(
        surgeries=surgeries,
        frames=sum(len(job.wanted) for job in jobs),
        pairs=dict(sorted(pairs.items())),
        distinct=dict(sorted(distinct.items())),
        by_source={name: dict(sorted(tasks.items())) for name, tasks in sorted(by_source.items())},
        bytes=int(size),
        seconds=seconds,
        left_out=together(run.lost),
        failed=run.outcome.failed,
        notes=[*run.outcome.notes, *(note for job in jobs for note in _noted(job))],
        teacher=_questions(config, [found[job.surgery] for job in jobs]) if config.taught else None,
    )


def _questions(config: BuildConfig, counted: Sequence[Mapping[str, Any]]) -> Questions:
    """What a teacher would be asked, from the counts of all surgeries."""
    from cotgen.models.images import FACTOR, target_size

    requests = 0
    text = image = reply = 0.0
    for item in counted:
        found = item["teacher"]
        share = found["requests"] / max(1, found["drafted"])
        requests += found["requests"]
        text += share * found["prompt_chars"] / _CHARACTERS_PER_TOKEN
        reply += share * found["reply_chars"] / _CHARACTERS_PER_TOKEN
        if not config.no_image and item["width"]:
            width, height = target_size(item["width"], item["height"], max_pixels=config.teacher_pixels)
            image += found["requests"] * (width // FACTOR) * (height // FACTOR)
    judged = len(JUDGED & set(config.judge_asks)) + ("masked" in config.judge_asks) if config.judge_model else 0
    return Questions(requests, round(text), round(image), round(reply), judged * requests)


def _noted(job: _Job) -> Iterator[tuple[str, str, int]]:
    """What was unusual in the labels of a surgery."""
    for path in job.facts:
        for odd in read_facts(path).oddities:
            yield odd.file, odd.text, odd.count


def count(
    config: BuildConfig,
    out: Path,
    reporter: Reporter,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Outcome:
    """Count the priors of a source over its train surgeries and write them to a file.

    Raises:
        CotgenError: no train surgery is there, or the file cannot be written.
    """
    env = os.environ if env is None else env
    with interruptible(None), contextlib.ExitStack() as stack:
        plan, tasks = _plan(config, cwd or Path.cwd(), env)
        if config.work or env.get("COTGEN_WORK"):
            work = config.work_folder(env, out)
        else:
            work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cotgen-")))
        outcome = Outcome(out)
        run = stack.enter_context(_begin(config, plan, tasks, work, outcome, reporter))
        wanted = [(member, second) for members, second in run.counted() for member in members]
        priors = run.priors(run.facts(wanted))
        if priors is None:
            raise CotgenError(
                f"There is no train surgery of {plan.splits.name} in {plan.where}, so there is nothing to count."
            )
        try:
            write_whole(out, priors.read_bytes(), out.with_name(f".{out.name}.{os.getpid()}.part"))
        except OSError as error:
            raise explain(error, out) or error from error
    return outcome
