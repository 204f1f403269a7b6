"""The cap, against servers whose best is known, in simulated time."""

import asyncio
import heapq
from collections.abc import Callable
from typing import Any

import pytest

from cotgen.draws import draw
from cotgen.models.cache import ReplyCache
from cotgen.models.limit import Limit, StoppedError
from cotgen.models.request import Reply
from cotgen.models.stub import Faults, StubServer
from cotgen.models.thread import ClientThread
from tests.models.conftest import answered, endpoint, fits, request

#: When a request is answered and whether it is turned away: from the time, how many are in flight, and its number.
Server = Callable[[float, int, int], tuple[float, bool]]


def caps(server: Server, answers: int, most: int = 256) -> tuple[list[int], float]:
    """The cap after each of so many answers of a server that is never without work, and the answers a second."""

    async def simulate() -> tuple[list[int], float]:
        now = 0.0
        limit = Limit(most, clock=lambda: now)
        open_now: list[tuple[float, int, float, bool]] = []
        found: list[int] = []
        sent = served = 0
        while len(found) < answers:
            while limit.in_flight < limit.cap:
                await limit.enter()
                until, away = server(now, limit.in_flight, sent)
                heapq.heappush(open_now, (until, sent, now, away))
                sent += 1
            now, _, sent_at, away = heapq.heappop(open_now)
            limit.answered(sent_at, turned_away=away)
            limit.leave()
            served += not away
            found.append(limit.cap)
        return found, served / now

    return asyncio.run(simulate())


def slots(number: int, seconds: float) -> Server:
    """A server that serves so many at a time, the others in line; lengths of replies scatter by a fifth."""
    free = [0.0] * number

    def serve(now: float, in_flight: int, sent: int) -> tuple[float, bool]:
        until = max(now, heapq.heappop(free)) + seconds * (0.8 + 0.4 * (draw(0, str(sent)) / 2**64))
        heapq.heappush(free, until)
        return until, False

    return serve


@pytest.mark.parametrize("number", [4, 32, 100])
def test_the_cap_finds_the_slots_of_a_server_that_queues(number: int) -> None:
    found, rate = caps(slots(number, 0.4), max(6000, 200 * number))
    assert rate > 0.95 * number / 0.4
    assert max(found[1000:]) <= max(24, number * 2.3), "no long line at the server"
    assert found[-1] >= number


def test_the_cap_keeps_below_a_server_that_turns_away() -> None:
    found, rate = caps(lambda now, used, sent: (now + 0.01, True) if used > 20 else (now + 0.4, False), 6000)
    late = found[2000:]
    assert 10 <= sum(late) / len(late) <= 26
    assert rate > 0.7 * 20 / 0.4


def test_faults_that_have_nothing_to_do_with_load_do_not_push_the_cap_down() -> None:
    queue = slots(32, 0.4)
    found, rate = caps(lambda now, used, sent: (queue(now, used, sent)[0], draw(1, str(sent)) / 2**64 < 0.1), 6000)
    assert rate > 0.9 * 0.9 * 32 / 0.4
    assert min(found[1000:]) >= 20


def test_a_server_that_turns_all_away_is_asked_one_at_a_time() -> None:
    found, _ = caps(lambda now, used, sent: (now + 0.1, True), 2000)
    assert found[-1] == 1


def test_the_ceiling_holds() -> None:
    found, _ = caps(slots(1000, 0.4), 6000, most=40)
    assert max(found) == 40 and found[-1] == 40


def test_a_place_is_not_lost_with_those_who_stop_waiting() -> None:
    async def run() -> None:
        limit = Limit(1)
        await limit.enter()
        waiting = [asyncio.create_task(limit.enter()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        limit.leave()
        waiting[1].cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert waiting[2].done() and limit.in_flight == 1
        limit.stop()
        with pytest.raises(StoppedError):
            await limit.enter()

    asyncio.run(run())


def test_a_real_server_with_little_room_is_asked_no_more_than_it_bears(short_waits: None, tmp_path: Any) -> None:
    stub = StubServer(answered, slots=8, service_s=0.02, room=8, faults=Faults(retry_after="0.02"))
    with (
        stub as url,
        ReplyCache(tmp_path / "replies.sqlite") as cache,
        ClientThread(endpoint(url, concurrency=64), cache, fits) as teacher,
    ):
        outcomes = list(teacher.outcomes(request(n) for n in range(400)))
        assert teacher.client.limit.cap <= 16
        away = teacher.client.counts.retries["busy"]
    assert all(isinstance(outcome, Reply) for outcome in outcomes) and len(outcomes) == 400
    assert 0 < away < 200
