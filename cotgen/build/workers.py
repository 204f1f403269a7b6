"""A pool of worker processes that never outlive their parent.

Each worker is a fresh interpreter that reads units from a pipe and answers on another; nothing is forked, no helper
process is left behind. A worker ends when its parent does: by the system's own signal where there is one (Linux), and
everywhere by a thread that waits for the end of a pipe whose other end only the parent holds. A worker that dies takes
its unit with it and no other.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import heapq
import os
import pickle
import selectors
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

from cotgen.build.files import FULL, DiskError, explain
from cotgen.errors import CotgenError

_HEADER = 4
_PR_SET_PDEATHSIG = 1
#: What a worker does with a unit: the unit and a function that takes the amount done since its last call.
Run: TypeAlias = Callable[[Any, Callable[[int], None]], Any]


@dataclass(frozen=True, slots=True)
class Done:
    """A unit is finished: what it returned and how long it took in its worker, in seconds."""

    unit: Any
    result: Any
    seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """A unit failed.

    Attributes:
        unit: the unit.
        text: why, in a sentence.
        trace: the traceback where it was a defect of cotgen, else "".
        disk: whether the file system refused to take something, which concerns all units.
    """

    unit: Any
    text: str
    trace: str = ""
    disk: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """A unit has done `amount` more: frames or bytes."""

    unit: Any
    amount: int


Event: TypeAlias = Done | Failed | Progress


class _Worker:
    """One process with its three pipes: units to it, answers from it, and the one whose end it waits for."""

    def __init__(self, number: int, entry: str, log: Path) -> None:
        self.log = log
        self.unit: Any = None
        self.buffer = bytearray()
        units, self.units = os.pipe()
        self.answers, answers = os.pipe()
        lifeline, self.lifeline = os.pipe()
        # The worker must find the very modules that the parent uses, wherever they came from. Ctrl-C goes to the whole
        # group of processes; what becomes of a worker's unit is for its parent to decide.
        code = (
            "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); "
            f"sys.path[:] = {sys.path!r}; from cotgen.build.workers import serve; "
            f"serve({entry!r}, {units}, {answers}, {lifeline}, {os.getpid()})"
        )
        env = {"POLARS_MAX_THREADS": "1", **os.environ}
        with log.open("ab") as complaints:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=complaints,
                stderr=complaints,
                pass_fds=(units, answers, lifeline),
                env=env,
            )
        for handle in (units, answers, lifeline):
            os.close(handle)
        self.number = number

    def send(self, unit: Any) -> None:
        self.unit = unit
        with contextlib.suppress(BrokenPipeError):
            _write(self.units, unit)

    def receive(self) -> list[Any] | None:
        """Whole messages that have come, or None at the end of the worker."""
        data = os.read(self.answers, 1 << 16)
        if not data:
            return None
        self.buffer += data
        messages = []
        while len(self.buffer) >= _HEADER:
            length = int.from_bytes(self.buffer[:_HEADER], "little")
            if len(self.buffer) < _HEADER + length:
                break
            messages.append(pickle.loads(self.buffer[_HEADER : _HEADER + length]))
            del self.buffer[: _HEADER + length]
        return messages

    def why_it_died(self) -> str:
        """A sentence about a worker that is gone."""
        code = self.process.wait()
        if code == -signal.SIGKILL:
            return (
                "its process was killed by the system, most likely because memory ran out; "
                "run again with fewer --workers or more memory"
            )
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with status {code}"
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        said = next((line for line in lines if line.startswith("Fatal")), lines[-1] if lines else "")
        return f"its process ended {how}{f'; it said: {said.strip()}' if said else ''}"

    def close(self, kill: bool) -> None:
        if kill:
            self.process.kill()
        for handle in (self.units, self.lifeline):
            with contextlib.suppress(OSError):
                os.close(handle)
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.answers)


class Pool:
    """Runs units in worker processes.

    Args:
        workers: at most so many processes; they start when there is work.
        logs: a folder for what they print.
        entry: `module:function`, the function to run on each unit (a `Run`).

    Units that are submitted with a lower rank go first, then in the order of submission. More may be submitted while
    `events` is read.
    """

    def __init__(self, workers: int, logs: Path, entry: str) -> None:
        self._limit = workers
        self._logs = logs
        self._entry = entry
        self._waiting: list[tuple[int, int, Any]] = []
        self._count = 0
        self._started = 0
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(kill=kind is not None)
        self._selector.close()

    def close(self, kill: bool = False) -> None:
        """End the processes. They start again when there is work; with `kill`, at once and whatever they do."""
        for worker in self._workers:
            self._selector.unregister(worker.answers)
            worker.close(kill)
        self._workers.clear()

    @property
    def started(self) -> int:
        """How many processes were started."""
        return self._started

    def submit(self, unit: Any, rank: int = 0) -> None:
        """Put a unit in the queue."""
        heapq.heappush(self._waiting, (rank, self._count, unit))
        self._count += 1

    def events(self, tick: float = 1.0) -> Iterator[Event | None]:
        """What happens until no unit is left; None about every `tick` seconds in which nothing happens."""
        while True:
            self._assign()
            busy = [worker for worker in self._workers if worker.unit is not None]
            if not busy:
                return
            ready = self._selector.select(tick)
            if not ready:
                yield None
            for key, _ in ready:
                yield from self._take(key.data)

    def _assign(self) -> None:
        idle = [worker for worker in self._workers if worker.unit is None]
        while self._waiting:
            if not idle:
                if len(self._workers) >= self._limit:
                    return
                idle.append(self._start())
            _, _, unit = heapq.heappop(self._waiting)
            idle.pop().send(unit)

    def _start(self) -> _Worker:
        self._started += 1
        worker = _Worker(self._started, self._entry, self._logs / f"worker-{self._started}.log")
        self._workers.append(worker)
        self._selector.register(worker.answers, selectors.EVENT_READ, worker)
        return worker

    def _take(self, worker: _Worker) -> Iterator[Event]:
        messages = worker.receive()
        if messages is None:
            self._selector.unregister(worker.answers)
            self._workers.remove(worker)
            unit, why = worker.unit, worker.why_it_died()
            worker.close(kill=False)
            if unit is not None:
                yield Failed(unit, why)
            return
        for kind, value in messages:
            unit = worker.unit
            if kind == "progress":
                yield Progress(unit, value)
            elif kind == "done":
                worker.unit = None
                # The next unit goes out before this one's result is looked at.
                self._assign()
                yield Done(unit, *value)
            else:
                worker.unit = None
                self._assign()
                yield Failed(unit, *value)


def _write(handle: int, message: Any) -> None:
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    view = memoryview(len(data).to_bytes(_HEADER, "little") + data)
    while view:
        view = view[os.write(handle, view) :]


def _read(handle: int) -> Any:
    data = bytearray()
    wanted = _HEADER
    while len(data) < wanted:
        block = os.read(handle, min(1 << 20, wanted - len(data)))
        if not block:
            return None
        data += block
        if wanted == _HEADER and len(data) == _HEADER:
            wanted = _HEADER + int.from_bytes(data, "little")
    return pickle.loads(data[_HEADER:])


def _die_with_parent(lifeline: int, parent: int) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        # The parent was gone before the signal was asked for.
        os._exit(1)

    def wait() -> None:
        while os.read(lifeline, 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True, name="lifeline").start()


def _failure(error: Exception) -> tuple[str, str, bool]:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in FULL and (refused := explain(cause)):
            return str(refused), "", True
        cause = cause.__cause__
    if isinstance(error, CotgenError):
        return str(error), "", isinstance(error, DiskError)
    if isinstance(error, OSError):
        return str(explain(error) or error), "", False
    if isinstance(error, MemoryError):
        return "memory ran out; run again with fewer --workers or more memory", "", False
    return f"{type(error).__name__}: {error}", traceback.format_exc(), False


def serve(entry: str, units: int, answers: int, lifeline: int, parent: int) -> None:
    """A worker's life: read a unit, run it, answer, until there are no more."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    faulthandler.enable()
    _die_with_parent(lifeline, parent)
    module, _, name = entry.partition(":")
    __import__(module)
    run: Run = getattr(sys.modules[module], name)
    told = 0.0
    pending = 0

    def progress(amount: int) -> None:
        nonlocal told, pending
        pending += amount
        if time.monotonic() - told > 0.1:
            _write(answers, ("progress", pending))
            told, pending = time.monotonic(), 0

    while (unit := _read(units)) is not None:
        start = time.monotonic()
        pending = 0
        try:
            result = run(unit, progress)
        except Exception as error:
            _write(answers, ("failed", _failure(error)))
        else:
            if pending:
                _write(answers, ("progress", pending))
            _write(answers, ("done", (result, time.monotonic() - start)))
