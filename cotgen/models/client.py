"""Client: asks a model behind an OpenAI-compatible server, and answers each request with a Reply or a Failure.

What it promises:

- A reply is in the cache, committed, before it is handed on; a request in the cache is not sent. Two requests of one
  key are sent once.
- One policy of retries, ours; the package's own is off. Servers that fail, connections that break and time-outs are
  tried up to `Endpoint.attempts` times, 429 ten times as often, after a wait drawn evenly from 0 to 0.5 s, 1 s, 2 s,
  ... 30 s (full jitter; it decides when something is sent, never what), or after what `Retry-After` says, if that is
  longer. A 429 with `Retry-After` holds back all requests, a 503 its own. A retry waits outside the cap (`limit.Limit`).
- A broken answer (no JSON, cut, empty, think tags, not of the schema) is asked for again up to `Endpoint.resends` times
  with other seeds, since the same seed would mostly give the same text.
- A refusal that concerns every request (key, model, pictures, schema) ends the run with a sentence; one that concerns
  a single request (its length) is that request's failure.
- A server that is gone altogether is waited for, `Endpoint.patience_s` long; then the run ends with `ServerGoneError`.
  Requests are not given up meanwhile, so a restart of the server costs no pair.
- Requests carry the API key and go to the named host alone: redirects are not followed, and a proxy of the environment
  is not used for a local host.

A client belongs to one event loop. Synchronous code uses `thread.ClientThread`.
"""

from __future__ import annotations

import asyncio
import email.utils
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

from cotgen.errors import CotgenError
from cotgen.models import explain
from cotgen.models.cache import ReplyCache, Stored
from cotgen.models.endpoint import Endpoint, is_local
from cotgen.models.limit import Limit, StoppedError
from cotgen.models.request import (
    BROKEN,
    ENDS_RUN,
    RETRYABLE,
    Choice,
    Failure,
    Outcome,
    Problem,
    Reply,
    Request,
    Usage,
)

if TYPE_CHECKING:
    import httpx2

#: Says in a sentence what is wrong with a reply's JSON, or "" if it has the form that was asked for.
FormCheck: TypeAlias = Callable[[Request, Any], str]

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0
_CONNECT_S = 10.0
_SEED_STEP = 7919
#: How many 429 count as one failed attempt: they tell of load, not of the request.
_TURNED_AWAY = 10


class RefusedError(CotgenError):
    """The server refuses every request of this kind; the message says what mends it."""


class ServerGoneError(CotgenError):
    """The server has not answered for `Endpoint.patience_s`."""


@dataclass(slots=True)
class Counts:
    """What a client has done so far, for a live panel and the table at the end. Read it from any thread.

    Attributes:
        sent: attempts, resends among them.
        replies: requests that have a reply from the server.
        cached: requests that have one from the cache.
        failures: requests given up, by kind.
        retries: attempts that did not give a usable reply, by kind.
        prompt_tokens: of all answers, broken ones among them: what was paid for.
        completion_tokens: likewise.
        seconds: sum of the replies' latencies.
    """

    sent: int = 0
    replies: int = 0
    cached: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    retries: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One answer of the server, or why there is none."""

    problem: Problem | None
    choices: tuple[Choice, ...] = ()
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    seconds: float = 0.0
    status: int = 0
    retry_after: float = 0.0


class Client:
    """Asks one endpoint. Use as an async context manager, or call `close`.

    Args:
        endpoint: the server.
        cache: where replies are kept; None keeps none, as a pre-flight wants it.
        fits: checks the form of a reply's JSON; a reply that does not fit is broken.

    Raises:
        CotgenError: the `openai` package is not installed.
    """

    def __init__(
        self, endpoint: Endpoint, cache: ReplyCache | None = None, fits: FormCheck = lambda request, parsed: ""
    ) -> None:
        try:
            import httpx2
            import openai
        except ImportError as error:
            raise CotgenError("Asking a model needs the package openai: pip install 'cotgen[teacher]'.") from error
        self.endpoint = endpoint
        self.cache = cache
        self.counts = Counts()
        self.limit = Limit(endpoint.concurrency)
        self._fits = fits
        self._in_work: dict[str, asyncio.Future[Outcome]] = {}
        self._not_before = 0.0
        self._lived_at = 0.0
        self._silent_since = 0.0
        self._stopping = asyncio.Event()
        timeout = httpx2.Timeout(endpoint.timeout_s, connect=min(_CONNECT_S, endpoint.timeout_s))
        places = endpoint.concurrency + 8
        self._openai = openai.AsyncOpenAI(
            base_url=endpoint.url,
            # The package insists on a key; servers without one ignore it.
            api_key=endpoint.key or "none",
            max_retries=0,
            timeout=timeout,
            http_client=httpx2.AsyncClient(
                timeout=timeout,
                limits=httpx2.Limits(max_connections=places, max_keepalive_connections=places),
                follow_redirects=False,
                trust_env=not is_local(endpoint.host),
            ),
        )
        # The package takes these from its own environment variables, and would tell them to any server.
        self._openai.organization = self._openai.project = None

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        self.stop()
        await self._openai.close()

    def stop(self) -> None:
        """Send nothing more. Requests in flight finish and are kept; those that wait raise `StoppedError`."""
        self._stopping.set()
        self.limit.stop()

    async def ask(self, request: Request) -> Outcome:
        """The reply to a request, from the cache or the server.

        Raises:
            RefusedError: the server refuses every request.
            ServerGoneError: it has not answered for long.
            CacheError: the reply cannot be kept.
            StoppedError: the client was stopped before the request was sent.
        """
        if earlier := self._in_work.get(request.cache_key):
            # Shielded: who gives up waiting must not take the reply from the others.
            outcome = await asyncio.shield(earlier)
            return replace(outcome, request=request)
        stored = self.cache.get(request.cache_key) if self.cache is not None else None
        if stored:
            self.counts.cached += 1
            return Reply(request, stored.choices, stored.usage, stored.model, cached=True)
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._in_work[request.cache_key] = future
        try:
            outcome = await self._ask_server(request)
        except BaseException as error:
            future.set_exception(StoppedError() if isinstance(error, asyncio.CancelledError) else error)
            # Retrieved here, so that nobody complains where no one else waited.
            future.exception()
            raise
        else:
            future.set_result(outcome)
            return outcome
        finally:
            del self._in_work[request.cache_key]

    async def try_once(self, request: Request) -> Outcome:
        """Send a request once, whatever the cache holds, and keep nothing: for a pre-flight and for health checks."""
        attempt = await self._attempt(request, request.seed)
        if attempt.problem:
            return Failure(request, attempt.problem, 1, _text(attempt), attempt.choices)
        return Reply(request, attempt.choices, attempt.usage, attempt.model, attempt.seconds, 1)

    async def models(self) -> list[str]:
        """Names of the models that the server lists.

        Raises:
            RefusedError: it refuses to list them, or cannot be reached; the message says what to do.
        """
        import openai

        try:
            async with asyncio.timeout(_CONNECT_S):
                answer = await self._openai.models.with_raw_response.list()
            listed = orjson.loads(answer.content)
            return [str(model["id"]) for model in listed["data"]]
        except openai.APIStatusError as error:
            raise RefusedError(
                explain.of_status(error.status_code, error.response.content, self.endpoint).text
            ) from None
        except (openai.OpenAIError, TimeoutError) as error:
            raise RefusedError(explain.of_connection("connection", _reason(error), self.endpoint).text) from None
        except (ValueError, KeyError, TypeError):
            raise RefusedError(explain.of_answer("body", "it lists no models", self.endpoint).text) from None

    async def _ask_server(self, request: Request) -> Outcome:
        """Send a request until there is a reply, or it is given up."""
        sent = failed = turned_away = broken = 0
        while True:
            await self.limit.enter()
            try:
                await self._hold()
                sent += 1
                attempt = await self._attempt(request, (request.seed + broken * _SEED_STEP) % 2**31)
            finally:
                self.limit.leave()
            problem = attempt.problem
            if problem is None:
                stands = await self._keep(request, attempt)
                self.counts.replies += 1
                self.counts.seconds += attempt.seconds
                return Reply(request, stands.choices, stands.usage, stands.model, attempt.seconds, sent)
            self.counts.retries[problem.kind] += 1
            if problem.kind in ENDS_RUN:
                raise RefusedError(problem.text)
            if problem.kind in RETRYABLE:
                if problem.kind == "busy":
                    turned_away += 1
                else:
                    failed += 1
                tried = max(failed, turned_away // _TURNED_AWAY)
                if tried >= self.endpoint.attempts and await self._lives():
                    return self._give_up(request, attempt, sent)
                await self._wait(failed + turned_away, attempt)
            elif problem.kind in BROKEN and broken < self.endpoint.resends:
                broken += 1
            else:
                return self._give_up(request, attempt, sent)

    def _give_up(self, request: Request, attempt: _Attempt, sent: int) -> Failure:
        assert attempt.problem
        self.counts.failures[attempt.problem.kind] += 1
        return Failure(request, attempt.problem, sent, _text(attempt), attempt.choices)

    async def _keep(self, request: Request, attempt: _Attempt) -> Stored:
        stored = Stored(attempt.choices, attempt.usage, attempt.model)
        if self.cache is None:
            return stored
        return await asyncio.wrap_future(self.cache.put_soon(request.cache_key, stored))

    async def _attempt(self, request: Request, seed: int) -> _Attempt:
        """Send a request once."""
        import openai

        start = time.monotonic()
        self.counts.sent += 1
        try:
            async with asyncio.timeout(self.endpoint.timeout_s):
                answer = await self._openai.chat.completions.with_raw_response.create(
                    **_body(request, seed, self.endpoint),
                    extra_headers={"X-Cotgen-Key": request.cache_key},
                )
            attempt = self._read(request, answer.content, answer.status_code, time.monotonic() - start)
        except openai.APIStatusError as error:
            problem = explain.of_status(error.status_code, error.response.content, self.endpoint)
            after = _retry_after(error.response.headers)
            attempt = _Attempt(problem, status=error.status_code, retry_after=after)
        except (openai.APITimeoutError, TimeoutError):
            detail = f"{self.endpoint.timeout_s:g} s"
            attempt = _Attempt(explain.of_connection("timeout", detail, self.endpoint))
        except openai.APIConnectionError as error:
            attempt = _Attempt(explain.of_connection("connection", _reason(error), self.endpoint))
        kind = attempt.problem.kind if attempt.problem else ""
        self.limit.answered(start, turned_away=kind in ("busy", "timeout") or attempt.status == 503)
        if kind not in RETRYABLE:
            self._alive()
        elif not self._silent_since:
            self._silent_since = time.monotonic()
        if kind == "busy" and attempt.retry_after:
            self._not_before = max(self._not_before, time.monotonic() + attempt.retry_after)
        return attempt

    def _read(self, request: Request, body: bytes, status: int, seconds: float) -> _Attempt:
        choices, usage, model, problem = explain.read(body, request, self.endpoint)
        if request.schema:
            choices = tuple(self._formed(request, choice) for choice in choices)
            if choices and all(choice.problem for choice in choices):
                problem = choices[0].problem
        self.counts.prompt_tokens += usage.prompt_tokens
        self.counts.completion_tokens += usage.completion_tokens
        return _Attempt(problem, choices, usage, model, seconds, status)

    def _formed(self, request: Request, choice: Choice) -> Choice:
        """The choice, broken if its JSON has not the form that was asked for."""
        wrong = "" if choice.problem else self._fits(request, choice.parsed)
        return replace(choice, problem=explain.of_answer("schema", wrong, self.endpoint)) if wrong else choice

    async def _hold(self) -> None:
        """Wait while the server asked all to wait."""
        while (left := self._not_before - time.monotonic()) > 0:
            await self._sleep(left)

    async def _wait(self, failed: int, attempt: _Attempt) -> None:
        """Wait before the next attempt.

        Raises:
            ServerGoneError: it is time to give the run up.
        """
        assert attempt.problem
        patience = self.endpoint.patience_s
        if attempt.retry_after > patience:
            raise ServerGoneError(
                f"{self.endpoint.host} asks to wait {attempt.retry_after:.0f} s. Run the same command again after that: "
                "the replies so far are kept."
            )
        if self._silent_since and time.monotonic() - self._silent_since > patience:
            raise ServerGoneError(
                f"{self.endpoint.host} has given no answer for {patience:.0f} s. {attempt.problem.text} Start it again and "
                "run the same command: the replies so far are kept."
            )
        longest = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(failed - 1, 16))
        await self._sleep(max(random.uniform(0, longest), attempt.retry_after))

    async def _sleep(self, seconds: float) -> None:
        """Sleep, unless the client is stopped.

        Raises:
            StoppedError: it was.
        """
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
        raise StoppedError

    async def _lives(self) -> bool:
        """Whether the server answers at all, so that it is this request that fails."""
        if self._lived_at and time.monotonic() - self._lived_at < _CONNECT_S:
            return True
        try:
            await self.models()
        except RefusedError:
            return False
        self._alive()
        return True

    def _alive(self) -> None:
        self._lived_at, self._silent_since = time.monotonic(), 0.0


def _body(request: Request, seed: int, endpoint: Endpoint) -> dict[str, Any]:
    """The fields of a chat completion."""
    messages: list[dict[str, Any]] = [{"role": role, "content": text} for role, text in request.turns]
    if request.image:
        picture = {"type": "image_url", "image_url": {"url": request.image}}
        messages[-1]["content"] = [picture, {"type": "text", "text": messages[-1]["content"]}]
    body: dict[str, Any] = {
        "model": endpoint.model,
        "messages": messages,
        "seed": seed,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "max_tokens": request.max_tokens,
        "n": request.samples,
    }
    if request.schema and endpoint.schema_mode == "json_schema":
        named = {"name": "reply", "schema": request.schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    elif request.schema and endpoint.schema_mode == "json_object":
        body["response_format"] = {"type": "json_object", "schema": request.schema}
    if endpoint.extra:
        body["extra_body"] = dict(endpoint.extra)
    return body


def _retry_after(headers: Mapping[str, str] | httpx2.Headers) -> float:
    """Seconds that a server asks to wait, 0.0 where it does not say: RFC 9110 10.2.3, and OpenAI's `retry-after-ms`."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers.get(name, "")) / unit)
        except ValueError:
            continue
    try:
        until = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return 0.0
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _reason(error: BaseException) -> str:
    """The innermost reason of a connection's end, without addresses of memory and the like."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return " ".join(str(error).split())[:200] or type(error).__name__


def _text(attempt: _Attempt) -> str:
    return attempt.choices[0].text if attempt.choices else ""
