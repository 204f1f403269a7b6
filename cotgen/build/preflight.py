"""Preflight: one request to a server as a build would send it, and what can be said of the answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cotgen.build.teaching import Teaching
from cotgen.chains import teacher
from cotgen.chains.checks import case_of, check_case
from cotgen.errors import CotgenError
from cotgen.models.endpoint import Endpoint
from cotgen.models.images import ImageMaker
from cotgen.models.request import Failure, Reply, Request
from cotgen.records import Fact, Scene
from cotgen.tasks import plan_questions

if TYPE_CHECKING:
    from cotgen.models.client import Client

_WIDTH, _HEIGHT = 854, 480


@dataclass
class Preflight:
    """What came of it.

    Attributes:
        lines: what is known, in sentences.
        problem: why a build would fail, with what mends it; "" where it would not.
    """

    lines: list[str] = field(default_factory=list)
    problem: str = ""


def preflight(options: Teaching, endpoint: Endpoint) -> Preflight:
    """Ask a server once, with a picture unless `no_image`, for a chain about a made-up frame.

    Raises:
        CotgenError: the `openai` package is not installed, or the key cannot be sent.
    """
    from cotgen.models.thread import ClientThread

    found = Preflight()
    with ClientThread(endpoint, None, lambda request, parsed: teacher.form(parsed)) as thread:
        thread.wait(_run(options, thread.client, found))
    return found


async def _run(options: Teaching, client: Client, found: Preflight) -> None:
    endpoint = client.endpoint
    try:
        names = await client.models()
    except CotgenError as error:
        found.problem = str(error)
        return
    if endpoint.model in names:
        found.lines.append(f"{endpoint.host} lists {endpoint.model}.")
    else:
        found.lines.append(f"{endpoint.host} lists {', '.join(names[:5]) or 'no model'}, and not {endpoint.model}.")
    given = _draft(not options.no_image)
    image = ""
    if not options.no_image:
        made = ImageMaker(options.teacher_pixels).image("preflight", _picture)
        image = made.url
        found.lines.append(f"Sent: a picture of {made.width} x {made.height} pixels and a prompt of a build's length.")
    else:
        found.lines.append("Sent: a prompt of a build's length, without a picture.")
    request = Request(
        given.key(model=endpoint.model),
        (("system", given.system), ("user", given.user)),
        image=image,
        schema=teacher.REPLY_SCHEMA,
        temperature=options.teacher_temperature,
        max_tokens=options.teacher_max_tokens,
    )
    outcome = await client.try_once(request)
    if isinstance(outcome, Failure):
        found.problem = outcome.problem.text
        return
    found.lines += _said(given, outcome, options)


def _said(given: teacher.Draft, reply: Reply, options: Teaching) -> list[str]:
    usage = reply.usage
    lines = [
        f"Answered in {reply.seconds:.1f} s: {usage.prompt_tokens:,} tokens read, {usage.completion_tokens:,} written, and "
        "the reply has the form that was asked for.",
    ]
    if usage.prompt_tokens:
        # A re-ask repeats the reply and quotes what is wrong with it.
        least = 2 * usage.prompt_tokens - usage.prompt_tokens // 2 + 2 * options.teacher_max_tokens
        lines.append(f"Serve it with a context of {_round(least):,} tokens or more, so that longer requests fit too.")
    try:
        pair = teacher.pair_of(given, reply.best.parsed, f"teacher/{options.teacher_writer}", None)
    except teacher.ReplyError as error:
        lines.append(f"A build would refuse this chain: {error} A few refusals are usual, most would be too many.")
        return lines
    hard = [
        item for item in check_case(case_of(pair, given.scene, None, given.question), pair) if item.severity == "hard"
    ]
    if hard:
        lines.append(
            f"A build would refuse this chain: {hard[0].text} ({hard[0].check}). A few refusals are usual, most would be "
            "too many."
        )
    else:
        lines.append("The checks let the chain pass:")
    lines += [f"  Level {statement.level}: {statement.text}" for statement in pair.statements]
    return lines


def _round(tokens: int) -> int:
    """To the next multiple of 1024."""
    return -(-tokens // 1024) * 1024


def _draft(pictured: bool) -> teacher.Draft:
    """A request about a made-up frame that holds an act with a box."""
    scene = Scene(
        key="preflight-0",
        surgery="cholec80/0",
        index=0,
        labelled=frozenset({"cholec80.phase", "cholec80.instrument", "cholect50.triplet"}),
        facts=(
            Fact(id="cholec80.phase.0", kind="phase", terms=["phase.calot_triangle_dissection"], source="cholec80"),
            Fact(id="cholec80.instrument.0", kind="instrument", terms=["instrument.hook"], source="cholec80"),
            Fact(
                id="cholect50.triplet.0",
                kind="triplet",
                terms=["instrument.hook", "verb.dissect", "anatomy.cystic_duct"],
                box=[400, 160, 600, 300],
                source="cholect50",
            ),
        ),
        size=(_WIDTH, _HEIGHT),
    )
    question = next(question for _, question in plan_questions([scene], ["phase"], 0))
    return teacher.draft(scene, question, None, pictured)


def _picture() -> bytes:
    """A JPEG with some colour in it: red ground, a grey bar."""
    import numpy as np

    from cotgen.frames.encode import encode

    picture = np.full((_HEIGHT, _WIDTH, 3), (150, 60, 50), dtype=np.uint8)
    picture[160:300, 400:600] = (170, 172, 175)
    return encode(picture)
