"""Sampler: several replies of a model to each of many prompts, over HTTP: for stage 4, pass rates and scores.

What it promises:

- A reply that was paid for is in the cache before it is handed on, cut ones among them, since a cut reply is what the
  model gave and is not asked for again with another seed. After `kill -9` the same call meets the same replies.
- Results come in the order of the prompts, with the pictures of those alone in memory that are in flight.
- A picture is made as the model's processor would make it, so that boxes in a prompt are in the pixels that it sees.
- A request that got no reply is a result with `failed`, is not kept, and is sent again by the next call.
- Pictures go to this machine and its private network, and to other hosts only where the terms of all sources allow it or
  the host was named.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import orjson
import pydantic

from cotgen.chains.boxes import BoxFormat
from cotgen.chains.render import render
from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.models.cache import ReplyCache, Stored, cache_key
from cotgen.models.endpoint import Endpoint, refuse_leaving
from cotgen.models.images import FACTOR, MAX_PIXELS, MIN_PIXELS, ImageMaker
from cotgen.models.request import Choice, Failure, Request, Role, Usage
from cotgen.records import Manifest, Pair, Sample
from cotgen.sources import SOURCES
from cotgen.training.pool import Pool
from cotgen.training.portions import Portion
from cotgen.training.prompts import Row, read_rows, reward_columns
from cotgen.training.selection import Selection
from cotgen.training.views import INSTRUCTIONS, messages

if TYPE_CHECKING:
    from cotgen.models.client import Client

#: Part of each key: goes up when the same prompt is put to a model in another way.
SAMPLER_VERSION = 1
_SEEDS = 2**31


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question with its picture, as a model is asked it.

    Attributes:
        name: `key#id`.
        turns: role and text of each message, the instruction first where there is one.
        jpeg: the stored picture.
        pixels: `frame.pixels`, which names it.
        size: width and height of the stored picture in pixels.
        row: what rewards read.
        pair: as stored.
        record: the sample as stored, as plain values.
        closed: the sources whose terms keep pictures of this data set from being passed on.
    """

    name: str
    turns: tuple[tuple[Role, str], ...]
    jpeg: bytes = field(repr=False)
    pixels: str
    size: tuple[int, int]
    row: Row = field(repr=False)
    pair: Pair = field(repr=False)
    record: Mapping[str, Any] = field(repr=False)
    closed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a model is asked; all of it decides the replies.

    Attributes:
        model: its name as the server lists it.
        samples: replies to each prompt.
        temperature: of the sampling; 0 for the one most likely reply.
        top_p: of the sampling.
        max_tokens: of one reply.
        seed: of the run; each prompt has one of its own, drawn from it and its name.
        min_pixels: least pixels of a picture, as the model's processor has it.
        max_pixels: most pixels of a picture, as the model's processor has it.
        factor: side of a visual token in pixels: 28 for Qwen2.5-VL, 32 for Qwen3-VL.
        image: whether the picture is shown.
        extra: more fields of each request's body.
        weights: tells checkpoints apart that are served under one name; see `cotgen.stages.policy.weights_of`.
    """

    model: str
    samples: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 1024
    seed: int = 0
    min_pixels: int = MIN_PIXELS
    max_pixels: int = MAX_PIXELS
    factor: int = FACTOR
    image: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)
    weights: str = ""

    def __post_init__(self) -> None:
        """Raises CotgenError for what means nothing."""
        if self.samples < 1:
            raise CotgenError("at least one sample of each prompt is needed")
        if self.temperature == 0 and self.samples > 1:
            raise CotgenError("at temperature 0 all samples are the same; ask for one, or raise the temperature")
        if self.max_tokens < 1:
            raise CotgenError("max_tokens is the length of a reply; give at least 1")


@dataclass(frozen=True, slots=True)
class Sampled:
    """What came of one prompt.

    Attributes:
        prompt: what was asked.
        texts: the replies in the server's order, as many as were asked for; None for one that is cut, empty or refused.
            () where `failed`.
        failed: why there is no reply, in a sentence; "" where there is one.
    """

    prompt: Prompt
    texts: tuple[str | None, ...]
    failed: str = ""


def prompts_of(
    portions: Sequence[Portion],
    selection: Selection,
    boxes: BoxFormat,
    instruction: str | None = None,
    most: int = 0,
    seed: int = 0,
) -> Iterator[Prompt]:
    """The chosen prompts in the order of the shards; a pair that several data sets hold comes once.

    Caps, temperature, shares and curriculum shape epochs of training and are not looked at.

    Args:
        portions: the data sets.
        selection: which pairs; its view decides the instruction.
        boxes: how the model writes boxes.
        instruction: what the model is told first; None for that of the view.
        most: so many are drawn by their names; 0 for all.
        seed: of that draw.

    Raises:
        CotgenError: a data set cannot be read, stores no pictures, or nothing is left of it.
    """
    pool = Pool(portions, selection)
    told = INSTRUCTIONS[selection.view] if instruction is None else instruction
    closed = closed_sources(pool.manifests)
    for number in _numbers(pool, most, seed):
        record, pair, jpeg = pool.read(number)
        yield prompt_of(record, pair, jpeg, selection, boxes, told, closed)


def prompt_of(
    record: dict[str, Any],
    pair: Pair,
    jpeg: bytes,
    selection: Selection,
    boxes: BoxFormat,
    instruction: str,
    closed: tuple[str, ...] = (),
) -> Prompt:
    """One pair of a stored sample as a prompt. Raises CotgenError where the record is none of a sample."""
    frame = record["frame"]
    size = frame["width"], frame["height"]
    try:
        columns = reward_columns(Sample.model_validate(record), pair)
    except pydantic.ValidationError as error:
        raise CotgenError(f"the record of '{record['key']}' is damaged; run `cotgen verify`") from error
    [row] = read_rows({name: [value] for name, value in columns.items()}, 1)
    asked = messages(render(pair, selection.view, boxes, size)["prompt"], instruction)
    turns: Any = tuple((turn["role"], turn["content"]) for turn in asked)
    return Prompt(row.name, turns, jpeg, frame["pixels"], size, row, pair, record, closed)


def closed_sources(manifests: Iterable[Manifest]) -> tuple[str, ...]:
    """Sources whose terms do not let frames be passed on, sorted: by the manifests or by what this installation knows.

    A data set that names no source gives no permission.
    """
    closed = set()
    for manifest in manifests:
        if not manifest.sources:
            closed.add("an unnamed source")
        for terms in manifest.sources:
            known = SOURCES.get(terms.name)
            if known is None or not (terms.share_frames and known.describe().terms.share_frames):
                closed.add(terms.name)
    return tuple(sorted(closed))


def sample(
    prompts: Iterable[Prompt],
    endpoint: Endpoint,
    cache: ReplyCache,
    sampling: Sampling,
    send_frames_to: Collection[str] = (),
) -> Iterator[Sampled]:
    """Ask a model for replies to prompts.

    Args:
        prompts: taken as they are needed, about twice as many ahead as requests are in flight.
        endpoint: the server; how often it is asked again after an answer of no use is not looked at.
        cache: of replies.
        sampling: how it is asked.
        send_frames_to: hosts that may be sent pictures although the terms of a source do not allow it.

    Yields:
        What came of each prompt, in the order of the prompts.

    Raises:
        CotgenError: a picture may not leave this machine; the server refuses every request, or is gone; the replies
            cannot be kept.
    """
    from cotgen.models.thread import ClientThread

    # The policy's cut replies count, and asking again would make it look better than it is.
    endpoint = replace(endpoint, model=sampling.model, extra=dict(sampling.extra), resends=0)
    maker = ImageMaker(sampling.max_pixels, sampling.min_pixels, sampling.factor)

    def jobs() -> Iterator[_Job]:
        before = asyncio.Event()
        before.set()
        allowed: set[tuple[str, ...]] = set()
        for prompt in prompts:
            if sampling.image and prompt.closed not in allowed:
                refuse_leaving(endpoint, prompt.closed, send_frames_to)
                allowed.add(prompt.closed)
            job = _Job(prompt, sampling, maker, before)
            before = job.done
            job.fetch(cache)
            yield job

    with ClientThread(endpoint, cache) as thread:

        async def one(job: _Job) -> Sampled:
            try:
                found = await job.ask(thread.client)
                # Handing on in order bounds what waits: nothing is taken ahead of a slow reply without end.
                await job.before.wait()
                return found
            finally:
                job.done.set()

        yield from thread.map(jobs(), one)


def _numbers(pool: Pool, most: int, seed: int) -> Iterator[int]:
    """Numbers of the chosen pairs, in order; each name once."""
    alone = len(pool.portions) == 1
    seen: set[str] = set()

    def first(number: int) -> bool:
        name = pool.name(number)
        if alone:
            return True
        if name in seen:
            return False
        seen.add(name)
        return True

    numbers = (number for number in range(len(pool)) if first(number))
    if not most:
        return numbers
    drawn = heapq.nsmallest(most, numbers, key=lambda number: draw(seed, "prompts", pool.name(number)))
    return iter(sorted(drawn))


class _Job:
    """One prompt on its way."""

    def __init__(self, prompt: Prompt, sampling: Sampling, maker: ImageMaker, before: asyncio.Event) -> None:
        self.before, self.done = before, asyncio.Event()
        self._prompt, self._sampling, self._maker = prompt, sampling, maker
        self._size = maker.size(*prompt.size) if sampling.image else (0, 0)
        self._url = ""

    def fetch(self, cache: ReplyCache) -> None:
        """Make the picture if a request has to be sent. In the calling thread, so that the loop is free."""
        have = part = 0
        while have < self._sampling.samples:
            stored = cache.get(self._request(part, have).cache_key)
            if stored is None:
                if self._sampling.image:
                    self._url = self._maker.image(self._prompt.pixels, lambda: self._prompt.jpeg).url
                return
            have, part = have + len(stored.choices), part + 1

    async def ask(self, client: Client) -> Sampled:
        """All replies; a server that gives fewer than `n` at a time is asked again for those that are missing."""
        choices: list[Choice] = []
        part = 0
        while len(choices) < self._sampling.samples:
            request = self._request(part, len(choices))
            outcome = await client.ask(request)
            if isinstance(outcome, Failure):
                if not outcome.choices:
                    return Sampled(self._prompt, (), outcome.problem.text)
                stored = await _keep(client, request, outcome)
                choices += stored.choices
            else:
                choices += outcome.choices
            part += 1
        texts = tuple(None if choice.problem else choice.text for choice in choices[: self._sampling.samples])
        return Sampled(self._prompt, texts)

    def _request(self, part: int, have: int) -> Request:
        prompt, sampling = self._prompt, self._sampling
        missing = sampling.samples - have
        seed = draw(sampling.seed, "sample", prompt.name, str(part)) % _SEEDS
        key = cache_key(
            {
                "use": "sample",
                "version": SAMPLER_VERSION,
                "pixels": prompt.pixels if sampling.image else "",
                "size": list(self._size),
                "turns": [list(turn) for turn in prompt.turns],
                "model": sampling.model,
                "weights": sampling.weights,
                "samples": missing,
                "temperature": float(sampling.temperature),
                "top_p": float(sampling.top_p),
                "max_tokens": sampling.max_tokens,
                "extra": orjson.loads(orjson.dumps(dict(sampling.extra))),
                "seed": seed,
            }
        )
        return Request(
            key,
            prompt.turns,
            image=self._url,
            seed=seed,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            samples=missing,
        )


async def _keep(client: Client, request: Request, failure: Failure) -> Stored:
    """Keep replies none of which is of use: they are what the model gave."""
    stored = Stored(failure.choices, Usage(), "")
    if client.cache is None:
        return stored
    return await asyncio.wrap_future(client.cache.put_soon(request.cache_key, stored))
