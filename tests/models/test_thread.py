"""Synchronous code asks through one loop: bounded, in any order, and nothing that is paid for is lost."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from cotgen.models.cache import ReplyCache
from cotgen.models.client import RefusedError
from cotgen.models.request import Failure, Outcome, Reply, Request
from cotgen.models.stub import Asked, Faults, StubServer
from cotgen.models.thread import ClientThread
from tests.models.conftest import answered, endpoint, fits, request


def test_each_request_is_answered_once_and_with_its_own_reply(tmp_path: Path) -> None:
    stub = StubServer(answered, service_s=0.005)
    with stub as url, ReplyCache(tmp_path / "r.sqlite") as cache, ClientThread(endpoint(url), cache, fits) as teacher:
        first = list(teacher.outcomes(request(n) for n in range(300)))
        second = list(teacher.outcomes(request(n) for n in range(300)))
    for outcomes, cached in ((first, False), (second, True)):
        assert sorted(outcome.request.tag for outcome in outcomes) == list(range(300))
        for outcome in outcomes:
            assert isinstance(outcome, Reply) and outcome.cached == cached
            assert outcome.best.parsed == {"answer": f"Question {outcome.request.tag}"}
    assert set(stub.counts.values()) == {1} and stub.counts.total() == 300


def test_requests_are_taken_only_a_little_ahead() -> None:
    taken = 0

    def requests() -> Iterator[Request]:
        nonlocal taken
        for n in range(500):
            taken += 1
            yield request(n)

    with StubServer(answered) as url, ClientThread(endpoint(url), fits=fits) as teacher:
        for done, _ in enumerate(teacher.outcomes(requests(), ahead=20)):
            assert taken <= done + 20


def test_a_job_may_ask_more_than_once() -> None:
    def reply(asked: Asked) -> dict[str, str]:
        return {"answer": "better" if "finding" in asked.text else "worse"}

    with StubServer(reply) as url, ClientThread(endpoint(url), fits=fits) as teacher:

        async def pair(number: int) -> tuple[int, Outcome]:
            outcome = await teacher.client.ask(request(number))
            if isinstance(outcome, Reply) and outcome.best.parsed == {"answer": "worse"}:
                again = request(1000 + number, turns=(("user", "Mind this finding"),))
                outcome = await teacher.client.ask(again)
            return number, outcome

        results = dict(teacher.map(range(40), pair))
    assert sorted(results) == list(range(40))
    assert all(isinstance(r, Reply) and r.best.parsed == {"answer": "better"} for r in results.values())


def test_who_stops_early_keeps_what_is_paid_for(tmp_path: Path) -> None:
    stub = StubServer(answered, slots=8, service_s=0.1)
    with stub as url, ReplyCache(tmp_path / "r.sqlite") as cache:
        with pytest.raises(KeyboardInterrupt), ClientThread(endpoint(url, concurrency=8), cache, fits) as teacher:
            for number, _ in enumerate(teacher.outcomes(request(n) for n in range(400))):
                if number == 20:
                    raise KeyboardInterrupt
        assert len(cache) == stub.counts.total(), "every request that was sent has its reply in the cache"
        assert 21 <= len(cache) < 60


def test_a_refusal_of_all_ends_the_run_soon(tmp_path: Path) -> None:
    stub = StubServer(answered, service_s=0.02, model="other")
    with stub as url, ReplyCache(tmp_path / "r.sqlite") as cache:
        start = time.monotonic()
        with pytest.raises(RefusedError, match="--teacher-model"), ClientThread(endpoint(url), cache, fits) as teacher:
            list(teacher.outcomes(request(n) for n in range(5000)))
        assert time.monotonic() - start < 10
    assert stub.counts.total() <= 64


def test_an_error_of_a_job_reaches_the_caller() -> None:
    async def wrong(number: int) -> int:
        return 1 // number

    with StubServer(answered) as url, ClientThread(endpoint(url)) as teacher, pytest.raises(ZeroDivisionError):
        list(teacher.map([1, 0, 1], wrong))


def storm(tmp_path: Path, number: int) -> tuple[StubServer, list[Outcome]]:
    """A run in which a third of the attempts fail: 10 % 5xx, 5 % resets, 5 % time-outs, 10 % broken JSON."""
    rates = {"500": 0.04, "502": 0.03, "503": 0.03, "reset": 0.03, "drop": 0.02, "slow": 0.05, "truncated": 0.1}
    stub = StubServer(answered, faults=Faults(rates, seed=2, slow_s=1.5))
    with (
        stub as url,
        ReplyCache(tmp_path / "r.sqlite") as cache,
        ClientThread(endpoint(url, timeout_s=1.0, concurrency=64), cache, fits) as teacher,
    ):
        outcomes = list(teacher.outcomes(request(n) for n in range(number)))
        assert len(cache) == sum(isinstance(outcome, Reply) for outcome in outcomes)
    return stub, outcomes


def check_storm(stub: StubServer, outcomes: list[Outcome], number: int) -> None:
    assert sorted(outcome.request.tag for outcome in outcomes) == list(range(number))
    for outcome in outcomes:
        if isinstance(outcome, Reply):
            assert outcome.best.parsed == {"answer": f"Question {outcome.request.tag}"}
    failed = Counter(outcome.problem.kind for outcome in outcomes if isinstance(outcome, Failure))
    # Three broken answers among the tries of one request: about 0.1 ** 3.
    assert failed.total() <= number * 0.006, failed
    # The answer of an attempt that timed out is no waste of ours; beyond that each is sent again only for a fault.
    sent_without_need = [
        key for key, n in stub.counts.items() if any(not stub.faults.of(key, a) for a in range(n - 1))
    ]
    assert len(sent_without_need) <= number * 0.005


def test_a_small_storm_ends_with_every_request_accounted_for(short_waits: None, tmp_path: Path) -> None:
    stub, outcomes = storm(tmp_path, 300)
    check_storm(stub, outcomes, 300)


@pytest.mark.slow
def test_a_build_of_5000_requests_in_a_storm_ends_by_itself(tmp_path: Path) -> None:
    stub, outcomes = storm(tmp_path, 5000)
    check_storm(stub, outcomes, 5000)
