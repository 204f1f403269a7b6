"""Request: what is asked of a model, and what came of it: a Reply or a Failure.

All are plain values. A request knows its cache key, given by the caller (`cache.cache_key`), and nothing of servers;
a reply may come from a server or from the cache, and its texts are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Role: TypeAlias = Literal["system", "user", "assistant"]

#: Why a request has no usable reply.
Kind: TypeAlias = Literal[
    # Worth another try: the fault lies between us and the model.
    "server", "busy", "timeout", "connection",
    # The model answered, and the answer is of no use: asked again with another seed.
    "json", "schema", "length", "empty", "think", "refusal", "body",
    # Asking again would give the same.
    "key", "model", "context", "image", "schema_support", "template", "redirect", "request",
]  # fmt: skip

RETRYABLE: frozenset[Kind] = frozenset({"server", "busy", "timeout", "connection"})
BROKEN: frozenset[Kind] = frozenset({"json", "schema", "length", "empty", "think", "refusal", "body"})
#: Fatal for every request of a run, not for one: the run ends with the sentence.
ENDS_RUN: frozenset[Kind] = frozenset({"key", "model", "image", "schema_support", "template", "redirect"})


@dataclass(frozen=True, slots=True)
class Request:
    """One chat completion.

    Attributes:
        cache_key: sha256 in hex of all that the reply depends on; see `cache.cache_key`.
        turns: role and text of each message, in order; the last is the user's.
        image: a JPEG as data URL (`images.ModelImage.url`), placed before the text of the last turn; "" for none.
            Share one string among the requests of a frame.
        schema: JSON Schema that the reply must have; empty where free text is wanted.
        seed: of the sampling; 0 to 2**31 - 1.
        temperature: of the sampling.
        top_p: of the sampling.
        max_tokens: of one reply.
        samples: how many replies to this one prompt (`n`).
        tag: the caller's own; it comes back with the outcome and is neither sent nor stored.
    """

    cache_key: str
    turns: tuple[tuple[Role, str], ...]
    image: str = field(default="", repr=False)
    schema: Mapping[str, Any] = field(default_factory=dict, repr=False)
    seed: int = 0
    temperature: float = 0.7
    top_p: float = 1.0
    max_tokens: int = 1024
    samples: int = 1
    tag: Any = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why there is no usable reply: a kind to count by, and a sentence that says what to do."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One text of a reply.

    Attributes:
        text: as the model wrote it, without what a reasoning parser took out.
        finish: the server's reason to stop: `stop`, `length`, `content_filter`, ...
        parsed: the JSON in `text` where the request had a schema, else None.
        problem: why this text is of no use; None where it is of use.
    """

    text: str
    finish: str
    parsed: Any = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the server counted them; 0 where it did not say."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply of which at least one choice is of use.

    Attributes:
        request: what was asked.
        choices: as many as `request.samples`, in the server's order; those with a `problem` are of no use.
        usage: tokens of the attempt that gave this reply.
        model: the model's name as the server gives it.
        seconds: from sending to the last byte of that attempt; 0.0 from the cache.
        attempts: how often the request was sent; 0 from the cache.
        cached: whether it came from the cache.
    """

    request: Request
    choices: tuple[Choice, ...]
    usage: Usage
    model: str
    seconds: float = 0.0
    attempts: int = 0
    cached: bool = False

    @property
    def best(self) -> Choice:
        """The first choice that is of use; the only one where one sample was asked for."""
        return next(choice for choice in self.choices if choice.problem is None)


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that was given up.

    Attributes:
        request: what was asked.
        problem: that of the last attempt.
        attempts: how often the request was sent.
        text: the last text that the model wrote, where it wrote one, so that a refused reply can be shown.
        choices: all that the model wrote in the last attempt, each with its problem; () where it wrote nothing.
    """

    request: Request
    problem: Problem
    attempts: int
    text: str = ""
    choices: tuple[Choice, ...] = ()


Outcome: TypeAlias = Reply | Failure
