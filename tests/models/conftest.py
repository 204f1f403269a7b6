"""Requests and endpoints for the stub server."""

from collections.abc import Callable
from typing import Any

import pytest

from cotgen.models.cache import cache_key
from cotgen.models.client import Client
from cotgen.models.endpoint import Endpoint
from cotgen.models.request import Outcome, Request

SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
    "additionalProperties": False,
}


def request(number: int = 0, **other: Any) -> Request:
    """A request that asks for `{"answer": ...}`; each number is another one."""
    values: dict[str, Any] = {
        "cache_key": cache_key({"number": number}),
        "turns": (("system", "You are a surgeon."), ("user", f"Question {number}")),
        "schema": SCHEMA,
        "seed": number,
        "tag": number,
    }
    return Request(**(values | other))


def endpoint(url: str, **other: Any) -> Endpoint:
    """The stub, with time-outs that suit a test."""
    values: dict[str, Any] = {"url": url, "model": "stub", "timeout_s": 5.0, "patience_s": 5.0, "concurrency": 32}
    return Endpoint(**(values | other))


def answered(asked: Any) -> dict[str, str]:
    """What the stub's model writes: the last question, so that a mix-up would show."""
    return {"answer": asked.text}


def fits(asked: Request, parsed: Any) -> str:
    return "" if isinstance(parsed, dict) and list(parsed) == ["answer"] else "there is no answer in it"


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between attempts are a fiftieth, so that a test of retries takes no time."""
    monkeypatch.setattr("cotgen.models.client._FIRST_WAIT_S", 0.01)
    monkeypatch.setattr("cotgen.models.client._LONGEST_WAIT_S", 0.6)


async def ask(where: Endpoint, asked: Request, use: Callable[[Client], Any] = lambda client: None) -> Outcome:
    """One request through a client of its own; `use` sees the client afterwards."""
    async with Client(where, fits=fits) as client:
        outcome = await client.ask(asked)
        use(client)
        return outcome
