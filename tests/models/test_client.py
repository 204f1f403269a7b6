"""What the client does with each thing that can go wrong, and what it tells the user."""

import asyncio
import sys
import time
from pathlib import Path

import pytest

from cotgen.errors import CotgenError
from cotgen.models.cache import ReplyCache
from cotgen.models.client import Client, RefusedError, ServerGoneError
from cotgen.models.endpoint import Endpoint, EndpointError, is_local
from cotgen.models.request import Failure, Reply
from cotgen.models.stub import Asked, Faults, StubServer
from tests.models.conftest import answered, ask, endpoint, fits, request

pytestmark = pytest.mark.usefixtures("short_waits")


def test_a_reply_has_text_json_tokens_model_and_time() -> None:
    with StubServer(answered, service_s=0.02) as url:
        reply = asyncio.run(ask(endpoint(url), request(7)))
    assert isinstance(reply, Reply)
    assert reply.best.parsed == {"answer": "Question 7"}
    assert reply.best.text == '{"answer":"Question 7"}'
    assert (reply.best.finish, reply.model, reply.attempts, reply.cached) == ("stop", "stub", 1, False)
    assert reply.usage.prompt_tokens > 0 and reply.usage.completion_tokens > 0
    assert 0.02 <= reply.seconds < 2
    assert reply.request.tag == 7


def test_the_body_is_what_servers_expect() -> None:
    seen: list[Asked] = []

    def reply(asked: Asked) -> dict[str, str]:
        seen.append(asked)
        return answered(asked)

    picture = "data:image/jpeg;base64,AAAA"
    with StubServer(reply) as url:
        where = endpoint(url, extra={"chat_template_kwargs": {"enable_thinking": False}})
        asyncio.run(ask(where, request(3, image=picture, temperature=0.5, max_tokens=99)))
    (asked,) = seen
    assert asked.key == request(3).cache_key
    assert asked.body["messages"] == [
        {"role": "system", "content": "You are a surgeon."},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": picture}},
                {"type": "text", "text": "Question 3"},
            ],
        },
    ]
    shape = asked.body["response_format"]
    assert shape["type"] == "json_schema" and shape["json_schema"]["schema"] == request().schema
    sampling = {name: asked.body[name] for name in ("seed", "temperature", "top_p", "max_tokens", "n")}
    assert sampling == {"seed": 3, "temperature": 0.5, "top_p": 1.0, "max_tokens": 99, "n": 1}
    assert asked.body["chat_template_kwargs"] == {"enable_thinking": False}


@pytest.mark.parametrize("mode", ["json_object", "prompt"])
def test_servers_that_take_a_schema_otherwise_or_not_at_all(mode: str) -> None:
    shapes = []

    def reply(asked: Asked) -> str:
        shapes.append(asked.body.get("response_format"))
        return '```json\n{"answer": "hook"}\n```'

    with StubServer(reply) as url:
        outcome = asyncio.run(ask(endpoint(url, schema_mode=mode), request()))
    assert isinstance(outcome, Reply) and outcome.best.parsed == {"answer": "hook"}
    assert shapes == [{"type": "json_object", "schema": request().schema} if mode == "json_object" else None]


def test_several_samples_of_one_prompt_in_free_text() -> None:
    with StubServer(lambda asked: f"<think>try {asked.sample}</think>") as url:
        outcome = asyncio.run(ask(endpoint(url), request(samples=4, schema={})))
    assert isinstance(outcome, Reply)
    assert [choice.text for choice in outcome.choices] == [f"<think>try {n}</think>" for n in range(4)]


def test_a_sample_of_no_use_does_not_spoil_the_others() -> None:
    with StubServer(lambda asked: "Certainly!" if asked.sample == 0 else {"answer": "hook"}) as url:
        outcome = asyncio.run(ask(endpoint(url), request(samples=2)))
    assert isinstance(outcome, Reply)
    assert [choice.problem.kind if choice.problem else "" for choice in outcome.choices] == ["json", ""]
    assert outcome.best.parsed == {"answer": "hook"}


@pytest.mark.parametrize("fault", ["500", "502", "503", "429", "reset", "drop", "slow"])
def test_what_may_pass_is_tried_again(fault: str) -> None:
    stub = StubServer(answered, faults=Faults(script=(fault, fault), slow_s=3))
    with stub as url:
        where = endpoint(url, timeout_s=1.0)
        outcome = asyncio.run(ask(where, request()))
    assert isinstance(outcome, Reply) and outcome.attempts == 3
    assert stub.counts == {request().cache_key: 3}


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("truncated", "json"),
        ("not_json", "json"),
        ("wrong_schema", "schema"),
        ("length", "length"),
        ("empty_choices", "empty"),
        ("no_content", "empty"),
        ("think", "think"),
        ("refusal", "refusal"),
        ("html", "body"),
    ],
)
def test_a_broken_answer_is_asked_again_with_another_seed_and_then_given_up(fault: str, kind: str) -> None:
    seeds = []

    def reply(asked: Asked) -> dict[str, str]:
        seeds.append(asked.body["seed"])
        return answered(asked)

    with StubServer(reply, faults=Faults(script=(fault,))) as url:
        outcome = asyncio.run(ask(endpoint(url), request()))
    assert isinstance(outcome, Reply) and outcome.attempts == 2
    assert len(set(seeds)) == len(seeds)

    stub = StubServer(answered, faults=Faults({fault: 1.0}))
    with stub as url:
        outcome = asyncio.run(ask(endpoint(url), request()))
    assert isinstance(outcome, Failure)
    assert (outcome.problem.kind, outcome.attempts) == (kind, 3)
    assert stub.counts.total() == 3


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("401", ["API key", "$COTGEN_API_KEY"]),
        ("404", ["--teacher-model", "--served-model-name"]),
        ("image_limit", ["--limit-mm-per-prompt", "--no-image"]),
        ("image_500", ["--mmproj", "--no-image"]),
        ("schema_support", ["--teacher-schema prompt"]),
        ("template", ["--chat-template"]),
    ],
)
def test_a_refusal_of_all_ends_the_run_with_the_flag_that_mends_it(fault: str, words: list[str]) -> None:
    stub = StubServer(answered, faults=Faults({fault: 1.0}))
    with stub as url, pytest.raises(RefusedError) as error:
        asyncio.run(ask(endpoint(url), request()))
    assert stub.counts.total() == 1
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("fault", ["context", "context_500", "400"])
def test_a_refusal_of_one_request_is_its_failure_alone(fault: str) -> None:
    stub = StubServer(answered, faults=Faults({fault: 1.0}))
    with stub as url:
        outcome = asyncio.run(ask(endpoint(url), request()))
    assert isinstance(outcome, Failure)
    assert outcome.problem.kind == ("request" if fault == "400" else "context")
    assert ("--max-model-len" in outcome.problem.text) == (fault != "400")
    assert stub.counts.total() == 1


@pytest.mark.parametrize(
    ("fault", "word"),
    [("think", "--reasoning-parser"), ("length", "--judge-max-tokens"), ("429", "--judge-concurrency")],
)
def test_sentences_name_the_flags_of_the_role(fault: str, word: str) -> None:
    async def once(where: Endpoint) -> Failure | Reply:
        async with Client(where) as client:
            return await client.try_once(request())

    with StubServer(answered, faults=Faults({fault: 1.0})) as url:
        outcome = asyncio.run(once(endpoint(url, role="judge")))
    assert isinstance(outcome, Failure) and outcome.attempts == 1
    assert word in outcome.problem.text


def test_retry_after_is_honoured_and_holds_back_the_others() -> None:
    times: dict[int, float] = {}

    def reply(asked: Asked) -> dict[str, str]:
        times[int(asked.text.split()[1])] = time.monotonic()
        return answered(asked)

    async def two(where: Endpoint) -> float:
        async with Client(where) as client:
            start = time.monotonic()
            first = asyncio.create_task(client.ask(request(1)))
            await asyncio.sleep(0.2)
            await client.ask(request(2))
            await first
            return start

    with StubServer(reply, faults=Faults(script=("429",), retry_after="0.6")) as url:
        start = asyncio.run(two(endpoint(url)))
    assert times[1] - start >= 0.6
    assert times[2] - start >= 1.1, "the second request waits for the first one's 429, then for its own"


def test_a_wait_longer_than_the_patience_ends_the_run() -> None:
    stub = StubServer(answered, faults=Faults({"429": 1.0}, retry_after="3600"))
    with stub as url, pytest.raises(ServerGoneError, match="asks to wait 3600 s"):
        asyncio.run(ask(endpoint(url), request()))


def test_requests_outlive_a_server_that_comes_back() -> None:
    with StubServer(answered) as url:
        port = int(url.split(":")[2].split("/")[0])

    async def ask_early() -> Failure | Reply:
        async with Client(endpoint(url, attempts=2)) as client:
            task = asyncio.create_task(client.ask(request()))
            await asyncio.sleep(0.7)
            with StubServer(answered, port=port):
                return await task

    outcome = asyncio.run(ask_early())
    assert isinstance(outcome, Reply) and outcome.attempts > 2


def test_a_server_that_stays_away_ends_the_run() -> None:
    with StubServer(answered) as url:
        pass
    start = time.monotonic()
    with pytest.raises(ServerGoneError, match="no answer for 1 s"):
        asyncio.run(ask(endpoint(url, patience_s=1.0), request()))
    assert time.monotonic() - start < 5


def test_a_request_that_always_fails_is_given_up_while_the_server_lives() -> None:
    stub = StubServer(answered, faults=Faults({"drop": 1.0}))
    with stub as url:
        outcome = asyncio.run(ask(endpoint(url, attempts=4), request()))
    assert isinstance(outcome, Failure)
    assert (outcome.problem.kind, outcome.attempts, stub.counts.total()) == ("connection", 4, 4)


def test_the_key_comes_from_the_environment_and_shows_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret-123")
    with StubServer(answered, key="sk-secret-123") as url:
        where = endpoint(url, key_variable="MY_KEY")
        assert isinstance(asyncio.run(ask(where, request())), Reply)
        assert "secret" not in repr(where)
        monkeypatch.setenv("MY_KEY", "sk-wrong-456")
        with pytest.raises(RefusedError) as refused:
            asyncio.run(ask(where, request()))
    assert "$MY_KEY is not taken" in str(refused.value) and "456" not in str(refused.value)

    # A server that repeats the key in another error.
    monkeypatch.setattr("cotgen.models.stub.REFUSALS", {"400": (400, "bad header: Bearer sk-wrong-456")})
    with StubServer(answered, faults=Faults({"400": 1.0})) as url:
        outcome = asyncio.run(ask(endpoint(url, key_variable="MY_KEY"), request()))
    assert isinstance(outcome, Failure) and "Bearer ***" in outcome.problem.text

    monkeypatch.setenv("MY_KEY", "sk-\N{EN DASH}123")
    with pytest.raises(EndpointError, match="copy it again"):
        asyncio.run(ask(where, request()))


def test_the_package_s_own_variables_are_not_told_to_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-mine")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-house")
    heads = []

    async def listen() -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
            writer.write(b"HTTP/1.1 400 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        await ask(endpoint(f"http://127.0.0.1:{port}/v1"), request())
        server.close()

    asyncio.run(listen())
    assert "org-of-mine" not in heads[0] and "another-house" not in heads[0]


def test_a_redirect_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cotgen.models.stub.REFUSALS", {"400": (307, "moved")})
    with StubServer(answered, faults=Faults({"400": 1.0})) as url, pytest.raises(RefusedError, match="final address"):
        asyncio.run(ask(endpoint(url), request()))


def test_a_proxy_of_the_environment_does_not_get_what_is_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with StubServer(answered) as url:
        assert isinstance(asyncio.run(ask(endpoint(url), request())), Reply)


def test_equal_requests_at_one_time_are_sent_once(tmp_path: Path) -> None:
    stub = StubServer(answered, service_s=0.1)

    async def three(url: str) -> list[Failure | Reply]:
        with ReplyCache(tmp_path / "replies.sqlite") as cache:
            async with Client(endpoint(url), cache) as client:
                first = await asyncio.gather(*(client.ask(request(1, tag=n)) for n in range(3)))
                return [*first, await client.ask(request(1, tag=3))]

    with stub as url:
        outcomes = asyncio.run(three(url))
    assert stub.counts == {request(1).cache_key: 1}
    assert [outcome.request.tag for outcome in outcomes] == [0, 1, 2, 3]
    last = outcomes[-1]
    assert isinstance(last, Reply) and last.cached and last.best.parsed == {"answer": "Question 1"}


def test_the_models_of_a_server_are_listed() -> None:
    async def names(where: Endpoint) -> list[str]:
        async with Client(where) as client:
            return await client.models()

    with StubServer(answered) as url:
        assert asyncio.run(names(endpoint(url))) == ["stub"]
    with pytest.raises(RefusedError, match="still running"):
        asyncio.run(names(endpoint(url)))


def test_counts_tell_what_was_paid_for() -> None:
    seen = []
    with StubServer(answered, faults=Faults(script=("500", "truncated"))) as url:
        asyncio.run(ask(endpoint(url), request(), lambda client: seen.append(client.counts)))
    (counts,) = seen
    assert (counts.sent, counts.replies, dict(counts.retries)) == (3, 1, {"server": 1, "json": 1})
    assert counts.completion_tokens > 0


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("localhost:8000/v1", "http://localhost:8000/v1"),
        ("ftp://host/v1", "http://localhost:8000/v1"),
        ("http://user:pass@host/v1", "must hold no user"),
        ("https://host/v1?key=abc", "must hold no user"),
    ],
)
def test_urls_that_are_none_of_a_server(url: str, word: str) -> None:
    with pytest.raises(EndpointError, match=word) as error:
        Endpoint(url, "m")
    assert "pass@" not in str(error.value) and "abc" not in str(error.value)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("10.1.2.3", True),
        ("192.168.0.7", True),
        ("8.8.8.8", False),
        ("no-such-host.invalid", False),
    ],
)
def test_which_hosts_are_of_this_house(host: str, local: bool) -> None:
    assert is_local(host) is local


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(CotgenError, match=r"cotgen\[teacher\]"):
        Client(Endpoint("http://127.0.0.1:9/v1", "m"), fits=fits)
