"""What went wrong between us and a model, as a kind and a sentence that names the flag which mends it.

The words of real servers are recognised before their status: llama.cpp says 500 to a prompt that is too long or holds
a picture, vLLM in some versions to a schema that its grammar cannot hold. Sources of the words: vllm-project/vllm#9739,
#16880, #18255, ggml-org/llama.cpp#13566, #15780, QwenLM/Qwen3#1321 (SGLang), llama-cpp-python's server.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from cotgen.models.endpoint import Endpoint
from cotgen.models.request import Choice, Kind, Problem, Request, Usage

_QUOTED = 300
_THINK = re.compile(r"</?think(ing)?>", re.IGNORECASE)
_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*)\n\s*```\s*\Z", re.DOTALL)

#: Words of servers, in lower case -> kind. The first that is found decides.
_WORDS: tuple[tuple[Kind, str], ...] = (
    (
        "context",
        r"context length|context size|context window|exceed_context_size|longer than the model|max_model_len|"
        r"maximum context|too many tokens|prompt is too long",
    ),
    (
        "image",
        r"image\(s\) may be provided|limit.mm.per.prompt|image input is not supported|not a multimodal model|"
        r"not compiled for multimodal|mmproj|does not support image|no vision|image_url.{0,40}(support|valid|expected)|"
        r"can only concatenate str .not .list",
    ),
    (
        "schema_support",
        r"json.?schema|response_format|xgrammar|grammar error|guided.decoding|structured.output|outlines",
    ),
    ("template", r"chat.template"),
)


def of_status(status: int, body: bytes, endpoint: Endpoint) -> Problem:
    """What an HTTP status other than 200 means."""
    said = _said(body, endpoint)
    kind = _kind(status, said.lower())
    return Problem(kind, _sentence(kind, endpoint, f"HTTP {status}", said))


def of_connection(kind: Kind, detail: str, endpoint: Endpoint) -> Problem:
    """A `timeout` or `connection` that broke."""
    return Problem(kind, _sentence(kind, endpoint, detail, ""))


def of_answer(kind: Kind, detail: str, endpoint: Endpoint) -> Problem:
    """An answer of no use; `detail` says what was wrong with it."""
    return Problem(kind, _sentence(kind, endpoint, detail, ""))


def read(body: bytes, request: Request, endpoint: Endpoint) -> tuple[tuple[Choice, ...], Usage, str, Problem | None]:
    """The choices of an answer with status 200, its usage, its model, and the problem where no choice is of use."""
    try:
        answer = orjson.loads(body)
        choices = tuple(_choice(entry, request, endpoint) for entry in answer["choices"] or ())
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return (), Usage(), "", of_answer("body", "what came is no chat completion", endpoint)
    counted = answer.get("usage") or {}
    usage = Usage(int(counted.get("prompt_tokens") or 0), int(counted.get("completion_tokens") or 0))
    model = str(answer.get("model") or "")
    if not choices:
        return (), usage, model, of_answer("empty", "the list of choices is empty", endpoint)
    problem = None if any(choice.problem is None for choice in choices) else choices[0].problem
    return choices, usage, model, problem


def _choice(entry: dict[str, Any], request: Request, endpoint: Endpoint) -> Choice:
    message = entry["message"]
    finish = str(entry.get("finish_reason") or "")
    text = message.get("content") or ""
    if isinstance(text, list):
        text = "".join(part.get("text", "") for part in text)

    def broken(kind: Kind, detail: str) -> Choice:
        return Choice(text, finish, None, of_answer(kind, detail, endpoint))

    if message.get("refusal") or finish == "content_filter":
        return broken("refusal", _clip(message.get("refusal") or "the server's content filter stopped it"))
    if finish == "length":
        return broken("length", f"it was cut after {request.max_tokens} tokens")
    if not text.strip():
        thought = message.get("reasoning") or message.get("reasoning_content")
        return broken("empty", "it holds reasoning and no text" if thought else "it holds no text")
    if not request.schema:
        return Choice(text, finish)
    if _THINK.search(text):
        return broken("think", "its text holds think tags")
    fenced = _FENCE.match(text)
    try:
        parsed = orjson.loads(fenced[1] if fenced else text)
    except orjson.JSONDecodeError as error:
        return broken("json", f"its text is not JSON ({error})")
    return Choice(text, finish, parsed)


def _kind(status: int, said: str) -> Kind:
    if status in (401, 403):
        return "key"
    if status == 429:
        return "busy"
    if 300 <= status < 400:
        return "redirect"
    for kind, words in _WORDS:
        if re.search(words, said):
            return kind
    if status == 404:
        return "model"
    if status in (408, 504):
        return "timeout"
    return "server" if status >= 500 or status in (409, 425) else "request"


def _said(body: bytes, endpoint: Endpoint) -> str:
    """The server's own words, short, without the key."""
    try:
        answer = orjson.loads(body)
        error = answer.get("error", answer) if isinstance(answer, dict) else answer
        text = str(error.get("message") or error.get("detail") or error) if isinstance(error, dict) else str(error)
    except orjson.JSONDecodeError:
        text = body[: 4 * _QUOTED].decode("utf-8", "replace")
    return _clip(text.replace(endpoint.key, "***") if endpoint.key else text)


def _clip(text: str) -> str:
    """One line of at most `_QUOTED` characters."""
    text = " ".join(str(text).split())
    return text if len(text) <= _QUOTED else text[: _QUOTED - 1] + "…"


def _sentence(kind: Kind, endpoint: Endpoint, detail: str, said: str) -> str:
    role, host = endpoint.role, endpoint.host
    quote = f" It said: {said!r}." if said else ""
    key = endpoint.key_variable
    match kind:
        case "key":
            # The server's own words are left out: some repeat the key.
            given = "is not taken" if endpoint.key else "is missing"
            return (
                f"{host} wants an API key, and the one in ${key} {given} ({detail}); export {key}=... and run again."
            )
        case "model":
            return (
                f"{host} has no model {endpoint.model!r} under {endpoint.url} ({detail}).{quote} Give --{role}-model as "
                f"{endpoint.url}/models lists it (vLLM: --served-model-name), and --{role}-url with its path, mostly /v1."
            )
        case "context":
            return (
                f"A request does not fit into the context of {endpoint.model} ({detail}).{quote} Start the server with "
                "more (vLLM: --max-model-len 8192, llama.cpp: -c 8192, SGLang: --context-length 8192), or send smaller "
                f"pictures with --{role}-pixels or none with --no-image."
            )
        case "image":
            return (
                f"{endpoint.model} on {host} takes no picture, or not this many ({detail}).{quote} Serve a vision model "
                "and allow one image a request (vLLM: --limit-mm-per-prompt '{\"image\": 1}', llama.cpp: --mmproj FILE), "
                "or use --no-image."
            )
        case "schema_support":
            return (
                f"{host} does not take the schema of the reply ({detail}).{quote} Use --{role}-schema json_object "
                f"(llama-cpp-python) or --{role}-schema prompt (asked for in words alone), or another grammar (vLLM: "
                '--structured-outputs-config \'{"backend": "guidance"}\').'
            )
        case "template":
            return (
                f"{endpoint.model} on {host} has no chat template ({detail}).{quote} Serve an instruction-tuned model, or "
                "name a template (vLLM and SGLang: --chat-template FILE, llama.cpp: --jinja --chat-template-file FILE)."
            )
        case "redirect":
            return (
                f"{host} points to another address ({detail}), and requests are not carried on to an address that you "
                f"did not name; give the final address as --{role}-url."
            )
        case "request":
            return f"{host} refuses a request ({detail}).{quote} See what it objects to; nothing is sent again."
        case "busy":
            return (
                f"{host} turns requests away ({detail}).{quote} A lower --{role}-concurrency asks for less at a time."
            )
        case "server":
            return f"{host} fails ({detail}).{quote} Its log says why."
        case "timeout":
            return (
                f"{host} did not answer in time ({detail}). A longer --{role}-timeout waits for it, a lower "
                f"--{role}-concurrency makes it faster."
            )
        case "connection":
            return f"The connection to {host} broke ({detail}). Is the server still running?"
        case "think":
            return (
                f"A reply of {endpoint.model} is of no use: {detail}. Start the server with a reasoning parser (vLLM and "
                "SGLang: --reasoning-parser NAME) or turn thinking off (--"
                f'{role}-extra \'{{"chat_template_kwargs": {{"enable_thinking": false}}}}\').'
            )
        case "length":
            return f"A reply of {endpoint.model} is of no use: {detail}. Raise --{role}-max-tokens."
        case "empty":
            return (
                f"A reply of {endpoint.model} is of no use: {detail}. Where the model reasons first, raise "
                f"--{role}-max-tokens or turn thinking off."
            )
        case "refusal":
            return f"{endpoint.model} declined to answer: {detail.rstrip('.')}."
        case "json" | "schema":
            return (
                f"A reply of {endpoint.model} is of no use: {detail}. Where many are, the server does not hold the schema "
                f"(--{role}-schema {endpoint.schema_mode}); see whether it supports response_format."
            )
        case "body":
            return (
                f"An answer of {host} is of no use: {detail}. A proxy may stand in between; see what "
                f"{endpoint.url}/models shows."
            )
