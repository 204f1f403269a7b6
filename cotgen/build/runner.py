"""Runner: brings units into the pool, keeps account of them, and lets a signal end everything in good order."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Literal, Protocol, TypeVar

from cotgen.build.files import DiskError, HashCache, Seen, explain, make_folder, run_folder
from cotgen.build.report import Outcome, Reporter
from cotgen.build.units import ChainsUnit, FramesUnit, HashUnit, Unit, frames_fingerprint
from cotgen.build.workers import Done, Failed, Pool, Progress
from cotgen.errors import CotgenError
from cotgen.sources.base import Footage

Run = TypeVar("Run", bound="Runner")
_ENTRY = "cotgen.build.units:run_unit"
#: A surgery that is begun is finished before the next one is begun, while its video is still in memory.
_RANK = {"facts": 0, "priors": 0, "tally": 0, "balance": 0, "count": 0, "chains": 1, "frames": 2, "hash": 3}


class StoppedError(CotgenError):
    """The user stopped the run."""

    exit_code = 130


class Pictures(Protocol):
    """The pictures of one surgery on their way into a sealed frame store.

    Attributes:
        footage: where they are.
        wanted: frames on the surgery's clock, ascending.
        content: hash of the video or images; "" until it is known.
        seen: the files as they were hashed.
        frames: the sealed store.
        frames_fp: its fingerprint; "" until the content is known.
        ran: steps that were run now and not before.
    """

    footage: Footage
    wanted: tuple[int, ...]
    content: str
    seen: Seen | None
    frames: Path
    frames_fp: str
    ran: set[str]

    @property
    def surgery(self) -> str:
        """Whose they are; names the units."""
        ...


@dataclass
class Runner:
    """One run: where it keeps things, what it works with, and what has come of it so far."""

    reporter: Reporter
    work: Path
    temp: Path
    cache: HashCache
    pool: Pool
    outcome: Outcome
    parts: int = field(default=0, init=False)
    amounts: dict[tuple[str, str], int] = field(default_factory=dict, init=False)

    # Names of results and of their unfinished files.

    def place(self, step: str, surgery: str, mark: str, suffix: str) -> Path:
        """Where a result stands that has this fingerprint."""
        return self.work / step / f"{surgery.replace('/', '-')}-{mark}.{suffix}"

    def part(self, final: Path) -> Path:
        """A temporary name for it."""
        self.parts += 1
        return self.temp / f"{self.parts}-{final.name}"

    # Running units and keeping account of them.

    def submit(self, unit: Unit) -> None:
        """Put a unit in the queue."""
        self.amounts[unit.STEP, unit.surgery] = _amount(unit)
        self.reporter.expect(unit.STEP, self.amounts[unit.STEP, unit.surgery])
        self.pool.submit(unit, _RANK[unit.STEP])

    def run(self, then: Callable[[Done], None]) -> None:
        """Wait until no unit is left, those included that `then` submits."""
        told: Counter[tuple[str, str]] = Counter()
        for event in self.pool.events():
            if event is None:
                continue
            unit: Unit = event.unit
            name = (unit.STEP, unit.surgery)
            if isinstance(event, Progress):
                told[name] += event.amount
                self.reporter.advance(unit.STEP, event.amount)
                continue
            self.reporter.advance(unit.STEP, max(0, self.amounts[name] - told.pop(name, 0)))
            if isinstance(event, Failed):
                if event.disk:
                    raise DiskError(event.text)
                self.failed(unit, event.text, event.trace)
                continue
            self.outcome.executed[unit.STEP] = self.outcome.executed.get(unit.STEP, 0) + 1
            self.outcome.seconds[unit.STEP] = self.outcome.seconds.get(unit.STEP, 0.0) + event.seconds
            then(event)

    def failed(self, unit: Unit, text: str, trace: str) -> None:
        """A unit failed; the others go on."""
        self.lose(unit.surgery, self.plain(text), trace)

    def plain(self, text: str, folders: Sequence[Path] = ()) -> str:
        """The text without paths of this machine: what is left out stands in the manifest."""
        for folder in (*folders, self.work, self.temp):
            text = text.replace(f"{folder}/", "")
        return text

    def keep_trace(self, name: str, trace: str) -> None:
        """Keep the details of a defect, if it is one, and remember where."""
        if trace:
            self.outcome.traces = make_folder(self.work / "failures") / f"{name.replace('/', '-')}.txt"
            self.outcome.traces.write_text(trace, encoding="utf-8")

    def lose(self, name: str, text: str, trace: str = "") -> None:
        """What is called so is left out for this reason; the first one counts."""
        self.keep_trace(name, trace)
        if name not in self.outcome.failed:
            self.outcome.failed[name] = text
            self.reporter.say(f"{name} is left out: {text}")

    def warn(self, text: str) -> None:
        """Say what a user should know, now and in the summary."""
        self.outcome.warnings.append(text)
        self.reporter.say(f"Note: {text}")

    def reuse(self, step: str) -> None:
        """A unit of this step was done already."""
        self.outcome.reused[step] = self.outcome.reused.get(step, 0) + 1

    # From a video or images to a frame store.

    def extract(self, job: Pictures, mode: Literal["embed", "reference", "none"], quality: int, max_side: int) -> bool:
        """Submit what is next on the way to the frames of a surgery; True where they are there.

        Raises:
            OSError: the video or an image cannot be read.
        """
        if not job.content:
            unit = HashUnit.of(job.surgery, job.footage, job.wanted, ends=mode == "none")
            job.seen = unit.seen
            job.content = self.cache.get(unit.cache_name, job.seen.mark)
            if not job.content:
                self.submit(unit)
                return False
            self.reuse("hash")
        if not job.frames_fp:
            job.frames_fp = frames_fingerprint(
                job.footage, job.content, job.wanted, mode=mode, quality=quality, max_side=max_side
            )
            job.frames = self.place("frames", job.surgery, job.frames_fp, "frames")
        if job.frames.exists():
            return True
        self.submit(
            FramesUnit(
                job.surgery,
                job.footage,
                job.wanted,
                mode,
                quality,
                max_side,
                job.frames,
                self.part(job.frames),
                (job.seen,) if job.seen else (),
            )
        )
        return False

    def took(self, event: Done, job: Pictures) -> None:
        """Take the result of a unit of this surgery."""
        if isinstance(event.unit, HashUnit):
            result = event.result
            job.content = result["sha256"]
            job.seen = Seen(event.unit.paths, result["mark"])
            self.cache.put(event.unit.cache_name, result["mark"], job.content, result["newest_ns"])
        job.ran.add(event.unit.STEP)

    def check_same(self, seen: Sequence[Seen]) -> None:
        """Every file that was read is still the one that was read.

        Raises:
            CotgenError: one was replaced meanwhile, so that what is in hand may be of two versions of the data.
        """
        if changed := sorted({str(item.paths[0]) for item in seen if not item.same()}):
            more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
            raise CotgenError(
                f"{', '.join(changed[:3])}{more} changed while the build ran, so nothing was packed. Run the same command "
                "again: what belongs to unchanged files is kept."
            )


@contextlib.contextmanager
def running(
    make: Callable[..., Run], work: Path, processes: int, reporter: Reporter, outcome: Outcome
) -> Iterator[Run]:
    """A runner whose processes and unfinished files are gone at the end, and whose hashes are remembered.

    Args:
        make: `Runner`, or what makes one of its kind from the same names.
        work: the work folder.
        processes: at most so many workers.
        reporter: shows progress.
        outcome: takes the account.
    """
    cache = HashCache(make_folder(work) / "hashes.sqlite")
    with run_folder(work) as temp:
        try:
            with Pool(processes, temp, _ENTRY) as pool, reporter:
                yield make(reporter=reporter, work=work, temp=temp, cache=cache, pool=pool, outcome=outcome)
        finally:
            cache.save()


def _amount(unit: Unit) -> int:
    match unit:
        case HashUnit():
            return 0 if unit.ends else sum(path.stat().st_size for path in unit.paths)
        case FramesUnit() | ChainsUnit():
            return len(unit.wanted)
        case _:
            return 1


class _Stop(BaseException):
    """A signal that asks the process to end."""


@contextlib.contextmanager
def interruptible(out: Path | None) -> Iterator[None]:
    """Turn Ctrl-C and the signals of a scheduler into one sentence.

    Raises:
        StoppedError: after everything inside has been cleaned up.
        DiskError: the file system refused something.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise _Stop

    main = threading.current_thread() is threading.main_thread()
    # Who started us with nohup wants a closed terminal to be ignored.
    asked = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in asked} if main else {}
    try:
        yield
    except (KeyboardInterrupt, _Stop):
        kept = "What is finished is kept; run the same command again to go on."
        state = f" {out} is not complete." if out and out.is_dir() and not (out / "manifest.json").exists() else ""
        raise StoppedError(f"Stopped.{state} {kept}") from None
    except OSError as error:
        raise explain(error) or error from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
