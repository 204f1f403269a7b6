"""Helper processes: the same work on many items, an item at a time, in the order of the items.

Each helper is started afresh (never forked: polars has threads) and hangs on a pipe. When the parent is gone, by
whatever signal, the pipe closes and the helper ends; when a helper is gone, its item is reported and the others go on.
"""

from __future__ import annotations

import multiprocessing
import queue
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, TypeVar

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Result = TypeVar("Result")


def in_processes(
    work: Callable[[Shared, Item], Result], shared: Shared, items: Sequence[Item], workers: int
) -> Iterator[Result | str]:
    """`work(shared, item)` for each item, in order.

    Args:
        work: a function of a module.
        shared: sent to each helper once.
        items: what to work on.
        workers: number of processes; with 1 all is done in this one.

    Yields:
        The result, or a sentence where the helper ended without one.
    """
    if workers <= 1 or len(items) <= 1:
        yield from (work(shared, item) for item in items)
        return
    helpers = [_Helper(work, shared) for _ in range(min(workers, len(items)))]
    free: queue.Queue[_Helper] = queue.Queue()
    for helper in helpers:
        free.put(helper)

    def hand_over(item: Item) -> Any:
        helper = free.get()
        try:
            return helper.ask(item)
        finally:
            free.put(helper)

    with ThreadPoolExecutor(len(helpers)) as threads:
        try:
            yield from threads.map(hand_over, items)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
            for helper in helpers:
                helper.stop()


class _Helper:
    """One process, started again when it ends unasked."""

    def __init__(self, work: Callable[[Any, Any], Any], shared: Any) -> None:
        self._start: Callable[[], None] = lambda: self._open(work, shared)
        self._start()

    def _open(self, work: Callable[[Any, Any], Any], shared: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, work, shared), daemon=True)
        self._process.start()
        other.close()

    def ask(self, item: Any) -> Any:
        try:
            self._pipe.send(item)
            return self._pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            code = self._process.exitcode
            self._start()
            return f"the process that looked at it ended unasked (exit code {code}); is there enough memory?"

    def stop(self) -> None:
        self._process.terminate()
        self._process.join()
        self._pipe.close()


def _serve(pipe: Connection, work: Callable[[Any, Any], Any], shared: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        while True:
            pipe.send(work(shared, pipe.recv()))
    except (EOFError, OSError):
        return
