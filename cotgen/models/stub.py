"""StubServer: an OpenAI-compatible server without a model, for tests, docs and measurements.

It speaks `/v1/chat/completions` and `/v1/models`, answers through a function of the caller, and fails when told to:
which request fails how is drawn from (seed, request, attempt), so a test that fails fails again. It counts how often
each request came, by the header `X-Cotgen-Key` or, without it, by the sha256 of the body, so that a test can show that
none was sent twice. It holds 32 slots with a service time if asked, which is what saturation is measured against.

    with StubServer(reply=lambda asked: {"answer": "hook"}, faults=Faults({"503": 0.1, "reset": 0.05})) as url:
        ...

HTTP is spoken here with asyncio alone (no chunked bodies from the client, no TLS): a framework in between could not cut
a connection in the middle of an answer. `python -m cotgen.models.stub --help` serves it as a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import heapq
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.records import canonical_json

KEY_HEADER = "x-cotgen-key"
_MAX_BODY = 64 << 20

#: Refusals with the words that real servers use (vLLM, SGLang, llama.cpp), so that their explanation is tested.
REFUSALS: dict[str, tuple[int, str]] = {
    "401": (401, "Incorrect API key provided."),
    "404": (404, "The model `other` does not exist."),
    "429": (429, "Too many requests."),
    "500": (500, "Internal server error."),
    "502": (502, "Bad gateway."),
    "503": (503, "The server is overloaded."),
    "context": (
        400,
        "This model's maximum context length is 1024 tokens. However, you requested 2013 tokens (1013 in the "
        "messages, 1000 in the completion). Please reduce the length of the messages or completion.",
    ),
    "context_500": (500, "the request exceeds the available context size. try increasing the context size"),
    "image_limit": (400, "At most 0 image(s) may be provided in one prompt."),
    "image_500": (
        500,
        "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj",
    ),
    "schema_support": (400, "The provided JSON schema contains features not supported by xgrammar."),
    "template": (400, "default chat template is no longer allowed, so you must provide a chat template"),
    "400": (400, "temperature must be non-negative"),
}
#: Faults of the connection, and of the answer.
_OTHER = ("reset", "drop", "slow", "truncated", "wrong_schema", "not_json", "think", "no_content", "length", "refusal",
          "empty_choices", "html")  # fmt: skip
FAULTS: tuple[str, ...] = (*REFUSALS, *_OTHER)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the stub saw it.

    Attributes:
        body: the JSON of the request.
        key: the header `X-Cotgen-Key`, or the sha256 of the body.
        attempt: how often this key came before: 0, 1, ...
        sample: which of the `n` replies is wanted: 0, 1, ...
    """

    body: Mapping[str, Any]
    key: str
    attempt: int
    sample: int = 0

    @property
    def text(self) -> str:
        """The text of the last message."""
        return _texts(self.body["messages"][-1]["content"])

    @property
    def turns(self) -> tuple[tuple[str, str], ...]:
        """Role and text of each message, in order."""
        return tuple((message["role"], _texts(message["content"])) for message in self.body["messages"])

    @property
    def images(self) -> int:
        """How many pictures the request carries."""
        contents = [message["content"] for message in self.body["messages"]]
        return sum(
            part["type"] == "image_url" for content in contents if isinstance(content, list) for part in content
        )


ReplyFunction: TypeAlias = Callable[[Asked], Mapping[str, Any] | str]


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong, and when.

    Attributes:
        rates: share of attempts that get each fault of `FAULTS`; the sum is at most 1.
        script: faults of the first attempts of every request, "" for none; `rates` hold after its end.
        seed: of the draws.
        retry_after: the header `Retry-After` of 429 and 503, as it is sent; "" for none.
        slow_s: how long a slow answer takes, in seconds.
    """

    rates: Mapping[str, float] = field(default_factory=dict)
    script: Sequence[str] = ()
    seed: int = 0
    retry_after: str = ""
    slow_s: float = 5.0

    def __post_init__(self) -> None:
        unknown = ({*self.rates, *self.script} - {""}).difference(FAULTS)
        if unknown:
            raise CotgenError(f"The stub knows no fault {sorted(unknown)[0]!r}; it knows {', '.join(FAULTS)}.")

    def of(self, key: str, attempt: int) -> str:
        """The fault of an attempt, or "" for none."""
        if attempt < len(self.script):
            return self.script[attempt]
        at = draw(self.seed, "fault", key, str(attempt)) / 2**64
        for name in sorted(self.rates):
            at -= self.rates[name]
            if at < 0:
                return name
        return ""


class StubServer:
    """Serves from a thread of its own while the block runs; `with` gives the base URL, `http://127.0.0.1:PORT/v1`.

    Args:
        reply: what the model writes: a JSON object, or text.
        faults: what goes wrong.
        model: the one model that is served; asking for another is a 404.
        slots: how many requests are served at a time; the others wait in line.
        service_s: how long one takes in its slot.
        room: how many requests may be in the house; one more is turned away with 429. 0: any number.
        key: the API key that is asked for; "" for none.
        host: address to listen on.
        port: 0 for a free one.
    """

    def __init__(
        self,
        reply: ReplyFunction | None = None,
        *,
        faults: Faults | None = None,
        model: str = "stub",
        slots: int = 32,
        service_s: float = 0.0,
        room: int = 0,
        key: str = "",
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.faults = faults or Faults()
        self.most_in_house = 0
        self._reply = reply or _echo
        self._model = model
        self._service_s, self._room, self._key = service_s, room, key
        self._host, self._port = host, port
        self._in_house = 0
        self._free_at = [0.0] * slots
        self._ready: threading.Event = threading.Event()
        self._error: OSError | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The base URL once the server listens."""
        return f"http://{self._host}:{self._port}/v1"

    def __enter__(self) -> str:
        self._thread = threading.Thread(target=asyncio.run, args=(self.serve(),), daemon=True, name="stub server")
        self._thread.start()
        self._ready.wait()
        if self._error:
            raise CotgenError(f"The stub server cannot listen on {self._host}:{self._port}: {self._error.strerror}.")
        return self.url

    def __exit__(self, *_: object) -> None:
        if self._loop and self._thread:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    async def serve(self, listening: Callable[[str], None] = lambda url: None) -> None:
        """Serve until stopped; `listening` is told the URL once there is one."""
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        open_now: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task
            open_now.add(task)
            try:
                with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                    while await self._one(reader, writer):
                        pass
            finally:
                open_now.discard(task)
                writer.close()

        try:
            server = await asyncio.start_server(connected, self._host, self._port, limit=1 << 20, backlog=1024)
        except OSError as error:
            self._error = error
            self._ready.set()
            return
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        listening(self.url)
        await self._stop.wait()
        server.close()
        for task in list(open_now):
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one HTTP request; False where the connection is over."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.LimitOverrunError:
            return False
        line, *rest = head.rstrip("\r\n").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (r.partition(":") for r in rest)}
        method, path = line.split(" ")[:2]
        if headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = int(headers.get("content-length", "0"))
        if length > _MAX_BODY or "transfer-encoding" in headers:
            await _send(writer, 411, _error("Send a body of known length, of at most 64 MiB."))
            return False
        body = await reader.readexactly(length) if length else b""
        path = path.partition("?")[0].removeprefix("/v1")
        if (method, path) == ("GET", "/models"):
            return await _send(writer, 200, {"object": "list", "data": [{"id": self._model, "object": "model"}]})
        if (method, path) == ("GET", "/counts"):
            return await _send(writer, 200, {"counts": self.counts, "answered": self.answered})
        if (method, path) != ("POST", "/chat/completions"):
            return await _send(writer, 404, _error(f"No {method} {path} here."))
        if self._key and headers.get("authorization") != f"Bearer {self._key}":
            sent = headers.get("authorization", "").removeprefix("Bearer ")
            return await _send(writer, 401, _error(f"Incorrect API key provided: {sent}."))
        try:
            asked = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            return await _send(writer, 400, _error(f"The body is not JSON: {error}"))
        key = headers.get(KEY_HEADER) or hashlib.sha256(body).hexdigest()
        return await self._chat(Asked(asked, key, self.counts[key]), writer)

    async def _chat(self, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        self.counts[asked.key] += 1
        if self._room and self._in_house >= self._room:
            return await self._refuse("429", writer)
        self._in_house += 1
        self.most_in_house = max(self.most_in_house, self._in_house)
        try:
            if self._service_s:
                await asyncio.sleep(self._slot_ends() - time.monotonic())
        finally:
            self._in_house -= 1
        fault = self.faults.of(asked.key, asked.attempt)
        if fault in REFUSALS:
            return await self._refuse(fault, writer)
        if asked.body.get("model") != self._model:
            return await _send(writer, 404, _error(f"The model `{asked.body.get('model')}` does not exist."))
        if fault == "html":
            writer.write(_head(200, 27, "text/html") + b"<html>a proxy's page</html>")
            return True
        if fault == "drop":
            writer.transport.abort()
            return False
        if fault == "slow":
            await asyncio.sleep(self.faults.slow_s)
        answer = orjson.dumps(self._completion(asked, fault))
        if fault == "reset":
            writer.write(_head(200, len(answer)) + answer[: len(answer) // 2])
            await writer.drain()
            writer.transport.abort()
            return False
        self.answered[asked.key] += 1
        writer.write(_head(200, len(answer)) + answer)
        await writer.drain()
        return True

    def _slot_ends(self) -> float:
        """When a request that comes now has been served by the slot that is free first.

        Slots are booked ahead rather than held: a loop that wakes late then takes nothing from what the slots can serve.
        """
        end = max(time.monotonic(), heapq.heappop(self._free_at)) + self._service_s
        heapq.heappush(self._free_at, end)
        return end

    async def _refuse(self, fault: str, writer: asyncio.StreamWriter) -> bool:
        status, message = REFUSALS[fault]
        after = self.faults.retry_after if fault in ("429", "503") else ""
        return await _send(writer, status, _error(message), {"Retry-After": after} if after else {})

    def _completion(self, asked: Asked, fault: str) -> dict[str, Any]:
        samples = range(int(asked.body.get("n") or 1))
        choices = [_choice(self._text(asked, sample), sample, fault) for sample in samples]
        prompt = sum(len(_texts(message["content"])) for message in asked.body["messages"])
        written = sum(len(choice["message"]["content"] or "") for choice in choices)
        usage = {"prompt_tokens": prompt // 4 + 510 * asked.images, "completion_tokens": written // 4}
        return {
            "id": f"stub-{asked.key[:16]}-{asked.attempt}",
            "object": "chat.completion",
            "created": 0,
            "model": self._model,
            "choices": [] if fault == "empty_choices" else choices,
            "usage": usage | {"total_tokens": sum(usage.values())},
        }

    def _text(self, asked: Asked, sample: int) -> str:
        answer = self._reply(Asked(asked.body, asked.key, asked.attempt, sample))
        return answer if isinstance(answer, str) else canonical_json(answer).decode()


def _texts(content: str | Sequence[Mapping[str, Any]]) -> str:
    """The text of a message, without its pictures."""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part["type"] == "text")


def _echo(asked: Asked) -> Mapping[str, Any]:
    return {"text": f"{asked.text[:200]} ({asked.sample})"}


def _choice(text: str, index: int, fault: str) -> dict[str, Any]:
    """One choice, with the fault that was drawn for the request."""
    content: str | None = text
    message: dict[str, Any] = {"role": "assistant"}
    finish = "stop"
    if fault == "truncated":
        content = text[: len(text) * 2 // 3]
    elif fault == "length":
        content, finish = text[: len(text) * 2 // 3], "length"
    elif fault == "not_json":
        content = "Certainly! Here is the chain of thought."
    elif fault == "wrong_schema":
        content = '{"unexpected": true}'
    elif fault == "think":
        content = f"<think>The hook lies on the left.</think>{text}"
    elif fault == "no_content":
        content = None
        message["reasoning"] = "The hook lies on the left."
    elif fault == "refusal":
        content = None
        message["refusal"] = "I cannot help with medical pictures."
    return {"index": index, "message": {**message, "content": content}, "finish_reason": finish}


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "stub", "param": None, "code": None}}


def _head(status: int, length: int, kind: str = "application/json", extra: Mapping[str, str] | None = None) -> bytes:
    more = "".join(f"{name}: {value}\r\n" for name, value in (extra or {}).items())
    head = f"HTTP/1.1 {status} Stub\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{more}\r\n"
    return head.encode("latin-1")


async def _send(
    writer: asyncio.StreamWriter, status: int, answer: Mapping[str, Any], extra: Mapping[str, str] | None = None
) -> bool:
    body = orjson.dumps(answer)
    writer.write(_head(status, len(body), extra=extra) + body)
    await writer.drain()
    return True


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the echo of each request until interrupted; the first line printed is the base URL."""
    parser = argparse.ArgumentParser(prog="python -m cotgen.models.stub", description=main.__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 for a free one")
    parser.add_argument("--slots", type=int, default=32, help="requests served at a time")
    parser.add_argument("--service-ms", type=float, default=0.0, help="how long one takes in its slot")
    parser.add_argument("--fault", action="append", default=[], metavar="NAME=RATE", help=f"of {', '.join(FAULTS)}")
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    given = parser.parse_args(arguments)
    rates = {name: float(rate) for name, _, rate in (fault.partition("=") for fault in given.fault)}
    stub = StubServer(
        faults=Faults(rates, seed=given.seed),
        slots=given.slots,
        service_s=given.service_ms / 1000,
        host=given.host,
        port=given.port,
    )
    with suppress(KeyboardInterrupt):
        asyncio.run(stub.serve(lambda url: print(url, flush=True)))


if __name__ == "__main__":
    main()
