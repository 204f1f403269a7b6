"""ClientThread: a client on an event loop of its own, in a thread of its own, for synchronous code.

A build asks from one process: requests are made and results taken in the calling thread, and one loop keeps as many in
flight as the server bears. Worker processes do not ask; they read the cache, which makes their work a pure function of
files. Results come as they finish; who needs an order restores it.

    with ReplyCache(work / "replies.sqlite") as cache, ClientThread(endpoint, cache) as teacher:
        for outcome in teacher.outcomes(requests):
            ...

What needs more than one request (a re-ask that quotes findings, a judge) is a coroutine for each job:

    async def pair(job):
        outcome = await teacher.client.ask(first(job))
        ...
        return await teacher.client.ask(second(job, outcome))

    for result in teacher.map(jobs, pair):
        ...
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from cotgen.models.cache import ReplyCache
from cotgen.models.client import Client, FormCheck
from cotgen.models.endpoint import Endpoint
from cotgen.models.request import Outcome, Request

T = TypeVar("T")
R = TypeVar("R")

#: How long requests in flight may take when a run ends before its end, in seconds: they are paid for.
GRACE_S = 20.0


class ClientThread:
    """A client in a thread; a context manager. One thread at a time calls its methods.

    Args:
        endpoint: as of `Client`.
        cache: as of `Client`.
        fits: as of `Client`.
    """

    def __init__(
        self, endpoint: Endpoint, cache: ReplyCache | None = None, fits: FormCheck = lambda request, parsed: ""
    ) -> None:
        self._open: list[set[Future[Any]]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="client", daemon=True)
        self._thread.start()
        try:
            self.client = self.wait(self._make(endpoint, cache, fits))
        except BaseException:
            self._end()
            raise

    @staticmethod
    async def _make(endpoint: Endpoint, cache: ReplyCache | None, fits: FormCheck) -> Client:
        return Client(endpoint, cache, fits)

    def __enter__(self) -> ClientThread:
        return self

    def __exit__(self, *_: object) -> None:
        for open_now in self._open:
            self._drain(open_now)
        self.wait(self.client.close())
        self._end()

    def wait(self, work: Coroutine[Any, Any, R]) -> R:
        """Run one coroutine on the loop and wait for it, as `wait(teacher.client.models())`."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def outcomes(self, requests: Iterable[Request], ahead: int = 0) -> Iterator[Outcome]:
        """The outcome of each request, as they finish; see `map`."""
        return self.map(requests, self.client.ask, ahead)

    def map(self, jobs: Iterable[T], work: Callable[[T], Awaitable[R]], ahead: int = 0) -> Iterator[R]:
        """The results of `work` for each job, as they finish.

        Jobs are taken from their iterator in the calling thread, at most `ahead` (default: twice the most requests in
        flight) before their results are taken, so memory does not grow with their number. If the caller stops early
        (an error, Ctrl-C, `break`), nothing more is sent, and requests in flight have `GRACE_S` to finish and be kept.

        Raises:
            CotgenError: of `Client.ask`, which ends the run.
        """
        ahead = ahead or 2 * self.client.endpoint.concurrency
        finished: queue.SimpleQueue[Future[R]] = queue.SimpleQueue()
        open_now: set[Future[Any]] = set()
        self._open.append(open_now)

        async def one(job: T) -> R:
            return await work(job)

        todo = iter(jobs)
        more = True
        try:
            while more or open_now:
                while more and len(open_now) < ahead:
                    try:
                        job = next(todo)
                    except StopIteration:
                        more = False
                        break
                    future = asyncio.run_coroutine_threadsafe(one(job), self._loop)
                    open_now.add(future)
                    future.add_done_callback(finished.put)
                if open_now:
                    future = finished.get()
                    open_now.discard(future)
                    yield future.result()
        finally:
            self._drain(open_now)
            self._open.remove(open_now)

    def _drain(self, open_now: set[Future[Any]]) -> None:
        """Let what is in flight finish, and nothing else."""
        if not open_now:
            return
        self._loop.call_soon_threadsafe(self.client.stop)
        for future in wait(open_now, GRACE_S).not_done:
            future.cancel()
        open_now.clear()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
