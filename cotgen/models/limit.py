"""Limit: how many requests may be in flight, found while asking.

The cap rises by steps and falls by a factor (AIMD with a slow start). Answers to requests that were sent before its last
change do not count: they tell of the old cap.

- *Turned away*: once more than a third of the latest answers (a moving share over as many as the cap, at least 16) are
  429, 503 or time-outs, the cap is multiplied by 0.8. A lower share is left to the retries: faults that have nothing to
  do with load would else push the cap to 1.
- *Latency*: a server that queues instead of refusing shows it in latency alone. By Little's law the throughput is
  in flight / latency, so a rise stays only where throughput pays for it: if the round after it serves less than a
  quarter of the rise more (cap + 25 %, throughput below + 6 %), the surplus only waits in line, and the cap goes back.
- *Rise*: doubled each round until the first time that this does not pay or is turned away; then it goes back to the old
  cap and a quarter, so that the server's line is never empty. Later a quarter is tried after 4 rounds (after 1, if the
  cap fell), and after twice as many each time that it does not pay (64 at most), or chance would ratchet the cap up.

A round is as many answers as the cap, at least 16, and four times as many after the doubling. Only rounds in which the
cap was the limit count for a rise: with few requests at hand nothing is learnt.

So a stub of 32 slots settles at 40, a server that refuses above 20 between 16 and 20; 1 is the least. Not thread-safe:
it belongs to the client's event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

_FALL = 0.8
_TURNED_AWAY = 1 / 3
_PAYS = 1 / 4
_STEP = 1.25
_HOLD, _LONGEST_HOLD, _HOLD_AFTER_FALL = 4, 64, 1
_ROUND, _LATER_ROUNDS = 16, 4


class StoppedError(Exception):
    """The client sends nothing more; requests in flight still finish."""


class Limit:
    """The cap, and the line of those who wait for a place below it.

    Args:
        most: the cap's ceiling.
        start: the cap at the beginning.
        clock: seconds that only rise.
    """

    def __init__(self, most: int, start: int = 8, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self.in_flight = 0
        self._cap = float(min(start, most))
        self._clock = clock
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._stopped = False
        self._climbing = True
        self._hold, self._held = _HOLD, 0
        self._before: tuple[float, float] | None = None
        self._change(self._cap)

    @property
    def cap(self) -> int:
        """How many requests may be in flight now."""
        return max(1, min(self.most, round(self._cap)))

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._waiting)

    async def enter(self) -> None:
        """Wait for a place.

        Raises:
            StoppedError: `stop` was called.
        """
        if self._stopped:
            raise StoppedError
        if self.in_flight < self.cap and not self._waiting:
            self.in_flight += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            # Cancelled after the place was given: it goes to the next in line.
            if place.done() and not place.cancelled() and place.exception() is None:
                self.leave()
            raise

    def leave(self) -> None:
        """Give the place back."""
        self.in_flight -= 1
        self._let_in()

    def stop(self) -> None:
        """Let nobody in any more."""
        self._stopped = True
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_exception(StoppedError())

    def answered(self, sent_at: float, *, turned_away: bool) -> None:
        """Count an answer to a request sent at `sent_at`; `turned_away`: it was a 429, a 503 or a time-out.

        Call it before `leave`, so that it is seen whether the cap was the limit.
        """
        if sent_at < self._changed_at:
            return
        if not self._answers:
            self._began = self._clock()
        self._answers += 1
        self._served += not turned_away
        self._full += self.in_flight >= self.cap
        self._away += (turned_away - self._away) / max(self.cap, _ROUND)
        if self._away > _TURNED_AWAY:
            self._climbing, self._before = False, None
            self._hold, self._held = _HOLD, _HOLD_AFTER_FALL
            self._change(max(1.0, self._cap * _FALL))
        elif self._answers > max(self.cap, _ROUND) * (1 if self._climbing else _LATER_ROUNDS):
            if self._full * 2 >= self._answers:
                self._after_full_round((self._served - 1) / max(self._clock() - self._began, 1e-6))
            self._begin_round()

    def _begin_round(self) -> None:
        self._answers = self._served = self._full = 0

    def _change(self, cap: float) -> None:
        self._cap = cap
        self._changed_at = self._clock()
        self._away = 0.0
        self._begin_round()
        self._let_in()

    def _after_full_round(self, rate: float) -> None:
        """Raise the cap, or take the last rise back; `rate`: answers a second of this round."""
        if self._held:
            self._held -= 1
            return
        if self._before:
            cap, earlier = self._before
            self._before = None
            if rate < earlier * (1 + _PAYS * (self._cap / cap - 1)):
                self._held = self._hold
                self._hold = min(_LONGEST_HOLD, 2 * self._hold)
                back = min(self._cap, cap * _STEP) if self._climbing else cap
                self._climbing = False
                self._change(back)
                return
        if self._cap < self.most:
            self._before = self._cap, rate
            self._change(min(self.most, self._cap * 2 if self._climbing else max(self._cap + 1, self._cap * _STEP)))

    def _let_in(self) -> None:
        while self._waiting and self.in_flight < self.cap and not self._stopped:
            place = self._waiting.popleft()
            if not place.done():
                self.in_flight += 1
                place.set_result(None)
