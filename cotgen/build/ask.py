"""Ask: the questions of all surgeries go to a teacher, and what it wrote that holds is kept, surgery by surgery.

One process asks. Drafts and pictures are made in the calling thread, replies are read and checked where they arrive, and
the file of a surgery (`build.taught`) is written once its last question is answered. Every reply of use is in the cache
before it is looked at: after `kill -9` the same drafts meet the same replies, and nothing is paid for twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cotgen.build.taught import Tally, Told, write_asked
from cotgen.build.teaching import Teaching, chosen, named
from cotgen.build.units import ChainsUnit, Prepared, prepare
from cotgen.chains import judge as judging
from cotgen.chains import teacher
from cotgen.chains.checks import case_of, check_case
from cotgen.chains.judge import JudgeConfig
from cotgen.chains.write import write_pair
from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.models.client import Client
from cotgen.models.endpoint import Endpoint
from cotgen.models.images import ImageMaker
from cotgen.models.request import RETRYABLE, Failure, Request, Role
from cotgen.records import Finding, Measured, Pair, Scene
from cotgen.surgeries.priors import Priors
from cotgen.tasks.base import Question

if TYPE_CHECKING:
    from cotgen.frames.store import FrameStore
    from cotgen.models.cache import ReplyCache
    from cotgen.models.thread import ClientThread

#: A reply is asked for again once, with its findings quoted.
ROUNDS = 2
_SEEDS = 2**31


@dataclass(eq=False)
class Shown:
    """A frame as it is shown to models.

    Attributes:
        scene: its facts.
        pixels: `frame.pixels`; "" where no picture is sent.
        size: width and height as sent; (0, 0) where none is.
        jpeg: the stored picture; b"" where none is sent.
        maker: makes the picture that is sent; None where none is.
        open: its questions that were drafted and have no outcome yet.
        drafted: whether all its questions were drafted, so that it is done when none is open.
    """

    scene: Scene
    pixels: str = ""
    size: tuple[int, int] = (0, 0)
    jpeg: bytes = b""
    maker: ImageMaker | None = None
    open: int = 0
    drafted: bool = False
    _url: str = ""
    _coloured: Scene | None = None

    def url(self) -> str:
        """The picture as a data URL, made once; "" where none is sent."""
        if self.maker and not self._url:
            self._url = self.maker.image(self.pixels, lambda: self.jpeg).url
        return self._url

    def coloured(self) -> Scene:
        """The scene with the colours of its boxes measured, as statements of a look are held against them."""
        if self._coloured is None:
            self._coloured = replace(self.scene, measured=(*self.scene.measured, *self._colours()))
        return self._coloured

    def _colours(self) -> Iterator[Measured]:
        import numpy as np
        from PIL import Image

        from cotgen.frames.colour import colour_shares

        with Image.open(BytesIO(self.jpeg)) as stored:
            rgb = np.asarray(stored.convert("RGB"))
        for fact in self.scene.facts:
            if fact.box:
                for name, share in colour_shares(rgb, fact.box).items():
                    yield Measured(name=f"colour_{name}", value=share, of=[fact.id])


@dataclass(eq=False)
class Asked:
    """One question on its way to a teacher.

    Attributes:
        surgery: its place among the surgeries.
        place: its place among the questions of its surgery that are asked.
        frame: what is shown.
        question: what is asked.
        draft: the request.
        priors: statistics of the train surgeries, or None.
        template: the template's chain of the same question.
        seed: of the sampling.
    """

    surgery: int
    place: int
    frame: Shown
    question: Question
    draft: teacher.Draft
    priors: Priors | None
    template: Pair
    seed: int


@dataclass(frozen=True)
class Verdict:
    """What a judge says of a chain.

    Attributes:
        pair: the chain, perhaps without sentences that do not hold; None where it is refused.
        findings: why it is refused, to be quoted to the teacher.
        counts: what was judged, for the tally.
        lost: whether a server failed, so that the question is asked again by the next run.
    """

    pair: Pair | None
    findings: Sequence[Finding] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    lost: bool = False


class ModelJudge:
    """A judge behind a server of its own, or the teacher's.

    Args:
        options: of the writer and the judge.
        client: the judge's, on the loop of the teacher's.
        seed: of the build.
    """

    def __init__(self, options: Teaching, client: Client, seed: int) -> None:
        self.client = client
        self._options, self._seed = options, seed
        self._name = f"judge/{named(options.judge_model)}/{judging.PROMPT_VERSION}"
        asks = options.judge_asks
        self._config = JudgeConfig(options.judge_threshold, recover="recover" in asks, masked="masked" in asks)

    async def judge(self, asked: Asked, pair: Pair) -> Verdict:
        """Ask what is to be judged of a chain; where a reply is missing, the chain is not judged and not kept."""
        frame, question = asked.frame, asked.question
        size = frame.size if "visual" in self._options.judge_asks else (0, 0)
        requests = judging.requests_of(pair, frame.scene, question, self._config, size=size, template=asked.template)
        replies: dict[str, list[Any]] = {}
        lost = False
        outcomes = await asyncio.gather(*(self.client.ask(self._request(request, frame)) for request in requests))
        for request, outcome in zip(requests, outcomes, strict=True):
            if isinstance(outcome, Failure):
                lost |= outcome.problem.kind in RETRYABLE
            else:
                replies[request.kind] = [outcome.best.parsed]
        judgement = judging.judge(pair, question, requests, replies, self._config)
        scene = frame.coloured() if any(s.basis == "visual" for s in pair.statements) else frame.scene
        kept = judging.settle(pair, judgement, self._name, scene, question, asked.priors)
        if kept is not None:
            return Verdict(kept, counts=judgement.counts())
        findings = [finding for finding in judgement.findings if finding.severity == "hard"] or judgement.findings
        unjudged = Finding(check="judge", text="the judge gave no verdict, or what it left does not pass the checks")
        return Verdict(None, findings or [unjudged], judgement.counts(), lost)

    def _request(self, request: judging.JudgeRequest, frame: Shown) -> Request:
        options = self._options
        sampling = {"model": options.judge_model, "extra": options.judge_extra, "max_tokens": options.judge_max_tokens}
        key = request.key(pixels=frame.pixels, size=frame.size, seed=self._seed, **sampling)
        return Request(
            key,
            (("system", request.system), ("user", request.user)),
            image=frame.url() if request.image else "",
            schema=request.schema,
            seed=self._seed % _SEEDS,
            temperature=0.0,
            max_tokens=options.judge_max_tokens,
            tag=request,
        )


@contextmanager
def judging_by(
    options: Teaching, seed: int, teacher_thread: ClientThread, cache: ReplyCache
) -> Iterator[ModelJudge | None]:
    """The judge of a build; None where nobody judges.

    Raises:
        CotgenError: its server cannot be asked as it was named.
    """
    endpoint = options.judge()
    if endpoint is None:
        yield None
        return
    client = teacher_thread.wait(_client(endpoint, cache))
    try:
        yield ModelJudge(options, client, seed)
    finally:
        teacher_thread.wait(client.close())


async def _client(endpoint: Endpoint, cache: ReplyCache) -> Client:
    return Client(endpoint, cache, lambda request, parsed: judging.form(request.tag, parsed))


@dataclass(eq=False)
class _Surgery:
    """What came of one surgery so far; `total` is known once all its questions are drafted."""

    unit: ChainsUnit
    out: Path
    part: Path
    told: dict[int, Told] = field(default_factory=dict)
    total: int = -1
    failed: bool = False


class Asker:
    """Asks a teacher about surgeries.

    Args:
        options: of the writer.
        client: the teacher's.
        cache: of its replies.
        judge: judges an accepted chain; None where nobody does.
        tell: is called with the number of frames that are done.
    """

    def __init__(
        self,
        options: Teaching,
        client: ClientThread,
        cache: ReplyCache,
        judge: ModelJudge | None = None,
        tell: Callable[[int], None] = lambda frames: None,
    ) -> None:
        self.tally = Tally()
        self._options, self._client, self._cache, self._judge, self._tell = options, client, cache, judge, tell
        self._maker = None if options.no_image else ImageMaker(options.teacher_pixels)
        self._writer = f"teacher/{options.teacher_writer}/{teacher.PROMPT_VERSION}"

    def run(
        self, units: Sequence[tuple[ChainsUnit, Path, Path]], failed: Callable[[ChainsUnit, str], None]
    ) -> Iterator[ChainsUnit]:
        """Ask about all surgeries; yields each whose file is written.

        Args:
            units: the chains of each surgery with the file to write and its temporary name.
            failed: is told of a surgery that cannot be asked about.

        Raises:
            CotgenError: the server refuses to answer, or is gone.
        """
        surgeries = [_Surgery(*entry) for entry in units]
        finished = 0
        for asked, told in self._client.map(self._questions(surgeries, failed), self._one):
            surgeries[asked.surgery].told[asked.place] = told
            self.tally.add(told.tally)
            asked.frame.open -= 1
            self._done(asked.frame)
            while finished < len(surgeries) and _is_whole(surgeries[finished]):
                yield from self._finish(surgeries[finished])
                finished += 1
        for surgery in surgeries[finished:]:
            yield from self._finish(surgery)

    def _finish(self, surgery: _Surgery) -> Iterator[ChainsUnit]:
        if not surgery.failed:
            told = [surgery.told[place] for place in range(surgery.total)]
            write_asked(told, surgery.unit.surgery, surgery.out, surgery.part)
            yield surgery.unit
        surgery.told.clear()

    def _questions(self, surgeries: Sequence[_Surgery], failed: Callable[[ChainsUnit, str], None]) -> Iterator[Asked]:
        """Every question to be asked, drafted, with its picture where it must be sent."""
        from cotgen.frames.store import FrameStore

        for number, surgery in enumerate(surgeries):
            place = frames = 0
            last: Shown | None = None
            try:
                ready = prepare(surgery.unit)
                with FrameStore.open(surgery.unit.frames) as store:
                    for frame, question, given, template in self._drafts(surgery.unit, ready, store):
                        seed = draw(surgery.unit.seed, "sampling", frame.scene.key, question.id) % _SEEDS
                        asked = Asked(number, place, frame, question, given, ready.priors, template, seed)
                        if self._cache.get(self._request(asked, ()).cache_key) is None:
                            frame.url()
                        frames, last = frames + (frame is not last), frame
                        frame.open += 1
                        yield asked
                        place += 1
                # Frames of which nothing is asked.
                self._tell(len(surgery.unit.wanted) - frames)
            except CotgenError as error:
                surgery.failed = True
                failed(surgery.unit, str(error))
            surgery.total = place

    def _drafts(
        self, unit: ChainsUnit, ready: Prepared, store: FrameStore
    ) -> Iterator[tuple[Shown, Question, teacher.Draft, Pair]]:
        frame: Shown | None = None
        for position, question in ready.planned:
            scene = ready.scenes[position]
            if frame and frame.scene is not scene:
                frame.drafted = True
                self._done(frame)
                frame = None
            if not chosen(self._options, unit.seed, scene.key, question.id):
                continue
            written = write_pair(scene, question, ready.priors, unit.seed)
            if written is None:
                # Level 1 would have nothing to show, whoever writes.
                continue
            frame = frame or self._shown(scene, ready, store)
            template = written[1]
            yield frame, question, teacher.draft(scene, question, template, frame.maker is not None), template
        if frame:
            frame.drafted = True
            self._done(frame)

    def _done(self, frame: Shown) -> None:
        if frame.drafted and not frame.open:
            self._tell(1)

    def _shown(self, scene: Scene, ready: Prepared, store: FrameStore) -> Shown:
        if self._maker is None:
            return Shown(scene)
        row = ready.rows[scene.index]
        # Read at once: the store is closed when the last replies come.
        jpeg = store.image(scene.index)
        return Shown(scene, row.pixels, self._maker.size(row.width, row.height), jpeg, self._maker)

    def _request(self, asked: Asked, again: Sequence[tuple[str, str]]) -> Request:
        """The request of a question; `again` holds earlier replies with what was found in them."""
        options, frame = self._options, asked.frame
        turns: list[tuple[Role, str]] = [("system", asked.draft.system), ("user", asked.draft.user)]
        for reply, objection in again:
            turns += [("assistant", reply), ("user", objection)]
        key = asked.draft.key(
            key=frame.scene.key,
            pixels=frame.pixels,
            size=list(frame.size),
            model=options.teacher_model,
            extra=options.teacher_extra,
            sampling=[options.teacher_temperature, options.teacher_max_tokens],
            seed=asked.seed,
            again=[list(turn) for turn in turns[2:]],
        )
        return Request(
            key,
            tuple(turns),
            schema=teacher.REPLY_SCHEMA,
            seed=asked.seed,
            temperature=options.teacher_temperature,
            max_tokens=options.teacher_max_tokens,
        )

    async def _one(self, asked: Asked) -> tuple[Asked, Told]:
        """Ask one question, a second time where the checks refuse the first reply."""
        told = Told(asked.frame.scene.key, asked.question.id)
        told.tally.asked = 1
        again: list[tuple[str, str]] = []
        for number in range(ROUNDS):
            request = self._request(asked, again)
            if self._cache.get(request.cache_key) is None:
                request = replace(request, image=asked.frame.url())
            outcome = await self._client.client.ask(request)
            told.tally.reasked += number > 0
            if isinstance(outcome, Failure):
                if outcome.problem.kind in RETRYABLE:
                    told.tally.given_up = 1
                    return asked, told
                self._reject(told, request, outcome.text, [_broken(outcome)])
                break
            reply = outcome.best
            pair, findings = self._read(asked, reply.parsed, told.tally)
            if pair and not findings and self._judge:
                verdict = await self._judge.judge(asked, pair)
                told.tally.judged.update(verdict.counts)
                pair, findings = verdict.pair, verdict.findings
                if verdict.lost:
                    told.tally.given_up = 1
                    return asked, told
            if pair and not findings:
                self._accept(asked, pair, told, request, again=number > 0)
                return asked, told
            self._reject(told, request, reply.text, _rows(findings))
            quoted = str(findings) if isinstance(findings, teacher.ReplyError) else findings
            again.append((reply.text, teacher.objections(quoted, pair)))
        told.tally.refused = 1
        return asked, told

    def _read(
        self, asked: Asked, parsed: Any, tally: Tally
    ) -> tuple[Pair | None, Sequence[Finding] | teacher.ReplyError]:
        """The chain of a reply with what refuses it: nothing, hard findings, or why it is no chain."""
        looks = asked.frame.maker is not None and teacher.tells_a_look(parsed)
        draft = replace(asked.draft, scene=asked.frame.coloured()) if looks else asked.draft
        try:
            pair = teacher.pair_of(draft, parsed, self._writer, asked.priors)
        except teacher.ReplyError as error:
            return None, error
        found = check_case(case_of(pair, draft.scene, asked.priors, asked.question), pair)
        hard = [finding for finding in found if finding.severity == "hard"]
        unsound = {finding.statement for finding in hard}
        for number, statement in enumerate(pair.statements):
            tally.written[statement.basis] += 1
            tally.sound[statement.basis] += number not in unsound
        soft = [finding for finding in found if finding.severity == "soft"]
        return pair.model_copy(update={"findings": soft}), hard

    def _accept(self, asked: Asked, pair: Pair, told: Told, request: Request, again: bool) -> None:
        told.pair, told.request = pair, request.cache_key
        told.tally.accepted = 1
        told.tally.mended = int(again)
        told.tally.kept.update(statement.basis for statement in pair.statements)
        cited = {ref for statement in pair.statements for ref in statement.evidence if ref.startswith("pixel:colour_")}
        told.measured = tuple(
            measured
            for measured in (asked.frame.coloured().measured if cited else ())
            if f"pixel:{measured.name}/{'+'.join(measured.of)}={measured.value}" in cited
        )

    def _reject(self, told: Told, request: Request, text: str, reasons: Sequence[Mapping[str, Any]]) -> None:
        told.tally.reasons.update({str(reason["check"]) for reason in reasons})
        told.rejected.append(
            {
                "key": told.key,
                "id": told.id,
                "writer": self._writer,
                "round": len(told.rejected),
                "request": request.cache_key,
                "reply": text,
                "reasons": list(reasons),
            }
        )


def _is_whole(surgery: _Surgery) -> bool:
    return surgery.failed or len(surgery.told) == surgery.total


def _rows(findings: Sequence[Finding] | teacher.ReplyError) -> list[dict[str, Any]]:
    """What refuses a reply, as plain values."""
    if isinstance(findings, teacher.ReplyError):
        return [{"check": f"form:{findings.about}", "statement": -1, "text": str(findings)}]
    return [{"check": item.check, "statement": item.statement, "text": item.text} for item in findings]


def _broken(failure: Failure) -> dict[str, Any]:
    return {"check": f"reply:{failure.problem.kind}", "statement": -1, "text": failure.problem.text}
