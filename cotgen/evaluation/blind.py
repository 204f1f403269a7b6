"""Blind score: how far a question gives its answer away to who never looks at the picture.

A count model learns on the train split what answers go with a wording, the terms that a question names and its options,
and answers the validation questions from these alone. It should be hardly better than the constant answer: the one reply
that serves best for its kind of question and data set, whatever the wording, terms or options are; yes and no are asked in
equal parts, so there it is right in half of the cases by contract, and more "yes" of one term is a gain as well. What is
gained beyond that is a leak (a wording or an order of options that depends on the answer), or a prior of a named term ("what
is the hook doing": mostly the same), which balance would cure.

The model backs off from wording, terms and options together to terms, options, wording and the kind of question, each level
mixed with the next more general one by Witten and Bell's weights (n : number of different answers seen). Where there are
options, how often the answer stood at each position counts besides. Of all answers it gives the one with the highest
expected score, so the score of the task itself decides what is best: the most frequent answer where only exact ones count.

So that answers can be counted: an instrument of the question stands in them as a slot, and a box as its tenths of the
picture. The intervals are over surgeries, since frames of one operation are no independent draws.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

import orjson
import polars as pl

from cotgen.errors import CotgenError
from cotgen.ontology import term
from cotgen.records import Pair, Split
from cotgen.shards.index import INDEX, scan_index
from cotgen.shards.tar import read_record
from cotgen.tasks import TASKS, Question

#: Raised when the same questions get another score.
BLIND_VERSION = 1
#: How much better than the constant answer, of 1, the words alone may be.
MOST_GAIN = 0.02
#: Below so many questions in either split, or surgeries in validation, nothing is said.
LEAST_PAIRS = 200
LEAST_SURGERIES = 3
#: Frames of a split that are read at most; shards are in drawn order, so the first ones are a fair draw.
MOST_FRAMES = 100_000
#: Answers of each level that are weighed, and how many of them are tried as the reply.
_WEIGHED, _TRIED = 32, 8
_GRID = 10
#: Student's t, 97.5 %, by degrees of freedom from 1.
_T = (
    12.71,
    4.30,
    3.18,
    2.78,
    2.57,
    2.45,
    2.36,
    2.31,
    2.26,
    2.23,
    2.20,
    2.18,
    2.16,
    2.14,
    2.13,
    2.12,
    2.11,
    2.10,
    2.09,
)
_PARTS = 1_000_000

_HALVES = (("yes",), ("no",))

Verdict = Literal["ok", "leaks", "few"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it stands in a data set.

    Attributes:
        question: wording, options, terms named and answer; `truth` is only needed for validation.
        surgery: the operation, `cholec80/73`.
        family: whose clock and labels the frame has, `cholec80`.
        size: width and height of the stored picture, which boxes are relative to.
    """

    question: Question
    surgery: str
    family: str
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class BlindScore:
    """What wording, named terms and options tell of the answers of one task, or of one kind of its questions.

    Attributes:
        name: the task, `triplet`, or the kind of question, `triplet.doing`.
        task: the task.
        train: questions that were counted.
        validation: questions that were answered.
        surgeries: operations of validation.
        constant: mean score of the constant answers, 0 to 1.
        blind: mean score of the count model, 0 to 1.
        gain: `blind` - `constant`.
        margin: half of the 95 % interval of the gain, over surgeries; 0 where nothing is said.
        verdict: `ok`; `leaks` where the gain is over 0.02 and its interval above 0; `few` where there are too few.
    """

    name: str
    task: str
    train: int
    validation: int
    surgeries: int
    constant: float
    blind: float
    gain: float
    margin: float
    verdict: Verdict

    def plain(self) -> dict[str, Any]:
        """As a manifest holds it, by name."""
        return {name: value for name, value in asdict(self).items() if name != "name"}


@dataclass
class _Sums:
    """Scores of one kind of question in millionths, so that their order does not matter."""

    train: int = 0
    validation: int = 0
    constant: int = 0
    blind: int = 0
    #: Surgery -> number of questions, gained millionths.
    surgeries: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, surgery: str, constant: int, blind: int) -> None:
        self.validation += 1
        self.constant += constant
        self.blind += blind
        count, gained = self.surgeries.get(surgery, (0, 0))
        self.surgeries[surgery] = (count + 1, gained + blind - constant)

    def plus(self, other: _Sums) -> _Sums:
        both = _Sums(*(getattr(self, n) + getattr(other, n) for n in ("train", "validation", "constant", "blind")))
        for name in sorted({*self.surgeries, *other.surgeries}):
            one, two = self.surgeries.get(name, (0, 0)), other.surgeries.get(name, (0, 0))
            both.surgeries[name] = (one[0] + two[0], one[1] + two[1])
        return both

    def score(self, name: str, task: str) -> BlindScore:
        n = max(1, self.validation)
        gain = (self.blind - self.constant) / n / _PARTS
        enough = min(self.train, self.validation) >= LEAST_PAIRS and len(self.surgeries) >= LEAST_SURGERIES
        margin = self._margin(gain) if enough else 0.0
        verdict: Verdict = "few" if not enough else "leaks" if gain > max(MOST_GAIN, margin) else "ok"
        constant, blind = self.constant / n / _PARTS, self.blind / n / _PARTS
        constant, blind, gain, margin = (round(part, 4) for part in (constant, blind, gain, margin))
        counts = (self.train, self.validation, len(self.surgeries))
        return BlindScore(name, task, *counts, constant, blind, gain, margin, verdict)

    def _margin(self, gain: float) -> float:
        """Half of the 95 % interval of a ratio of sums over clusters (Cochran 1977, Sampling Techniques, 6.4)."""
        rest = math.fsum((g / _PARTS - gain * n) ** 2 for n, g in self.surgeries.values())
        k = len(self.surgeries)
        return _T[min(k - 1, len(_T)) - 1] * math.sqrt(k / (k - 1) * rest) / self.validation


def kind_of(question: Question) -> str:
    """The pair id without the terms that it names: `triplet.doing` of `triplet.doing.instrument.hook`."""
    named = {part for id in question.subject for part in id.split(".")}
    parts = question.id.split(".")
    while len(parts) > 1 and parts[-1] in named:
        parts.pop()
    return ".".join(parts)


@lru_cache(maxsize=1 << 16)
def wording_of(task: str, text: str) -> str:
    """The wording that a question was filled from; the question itself where it is none of the task's."""
    return next((wording for pattern, wording in _patterns(task) if pattern.fullmatch(text)), text)


_SLOTS = {"is": "is|are", "Is": "Is|Are", "does": "do|does", "it": "it|they", "its": "its|their", "one": "one|they"}


@cache
def _patterns(task: str) -> list[tuple[re.Pattern[str], str]]:
    """The wordings of a task as patterns, those with the most words of their own first."""
    found = []
    for wording in TASKS[task].wordings:
        pieces = re.split(r"\{(\w+)\}", wording)
        words, slots = pieces[::2], [_SLOTS.get(name, ".+") for name in pieces[1::2]]
        ends = [f"(?:{slot})" for slot in slots] + [""]
        text = "".join(re.escape(word) + end for word, end in zip(words, ends, strict=True))
        found.append((sum(map(len, words)), wording, re.compile(text)))
    return [(pattern, wording) for _, wording, pattern in sorted(found, key=lambda item: (-item[0], item[1]))]


class BlindModel:
    """Counts of answers by what a question says; see the head of this module."""

    def __init__(self) -> None:
        self._answers: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
        self._places: dict[tuple[str, int], Counter[int]] = defaultdict(Counter)
        self._agreed: dict[tuple[str, str, str], float] = {}
        self._replies: dict[tuple[Any, ...], str] = {}

    def learn(self, asked: Asked) -> None:
        """Count one question of the train split."""
        question = asked.question
        answer = _countable(asked)
        for level in _levels(asked):
            self._answers[level][answer] += 1
        if question.answer in question.options:
            place = question.options.index(question.answer)
            self._places[kind_of(question), len(question.options)][place] += 1

    def knows(self, asked: Asked) -> bool:
        """Whether it has seen a question of this kind and data set."""
        return _levels(asked)[0] in self._answers

    def constant(self, asked: Asked) -> str:
        """The one reply for this kind of question and data set; among options, the most frequent one that is offered."""
        return self._reply(asked, _levels(asked)[:1], places=False)

    def blind(self, asked: Asked) -> str:
        """The reply by wording, terms and options."""
        return self._reply(asked, _levels(asked), places=True)

    def _reply(self, asked: Asked, levels: Sequence[tuple[Any, ...]], *, places: bool) -> str:
        question = asked.question
        if question.options:
            return self._choose(question, levels, places=places)
        if levels[-1] not in self._replies:
            self._replies[levels[-1]] = self._best(question, levels)
        return _said(self._replies[levels[-1]], question.subject, asked.size)

    def _choose(self, question: Question, levels: Sequence[tuple[Any, ...]], *, places: bool) -> str:
        stood = self._places.get((kind_of(question), len(question.options)), Counter()) if places else Counter[int]()
        weights = [self._share(option, levels) * (stood[place] + 1) for place, option in enumerate(question.options)]
        # Of equals the first by name, so that the order of the options decides nothing.
        return min(zip(weights, question.options, strict=True), key=lambda item: (-item[0], item[1]))[1]

    def _best(self, question: Question, levels: Sequence[tuple[Any, ...]]) -> str:
        """The answer with the highest expected score."""
        seen = {answer for level in levels for answer in _most(self._answers.get(level, Counter()))}
        shares = {answer: self._share(answer, levels) for answer in sorted(seen)}
        tried = sorted(shares, key=lambda answer: (-shares[answer], answer))[:_TRIED]
        kind = kind_of(question)

        def expected(reply: str) -> float:
            return math.fsum(
                share * self._agreement(kind, question, reply, answer) for answer, share in shares.items()
            )

        return min(((-expected(reply), reply) for reply in tried), default=(0.0, ""))[1]

    def _share(self, answer: str, levels: Sequence[tuple[Any, ...]]) -> float:
        share = 0.0
        for level in levels:
            counts = self._answers.get(level)
            if counts:
                share = (counts[answer] + len(counts) * share) / (counts.total() + len(counts))
        return share

    def _agreement(self, kind: str, question: Question, reply: str, answer: str) -> float:
        """What the task gives for a reply where another answer is true."""
        if reply == answer:
            return 1.0
        key = (kind, reply, answer)
        if key not in self._agreed:
            size = (100 * _GRID, 100 * _GRID)
            said, true = (_said(text, question.subject, size) for text in (reply, answer))
            task = TASKS[question.task]
            truth = task.parse(true, question)
            self._agreed[key] = 0.0 if truth is None else task.score(said, replace(question, truth=truth))
        return self._agreed[key]


def _most(counts: Counter[str]) -> list[str]:
    return sorted(counts, key=lambda answer: (-counts[answer], answer))[:_WEIGHED]


def _levels(asked: Asked) -> list[tuple[Any, ...]]:
    """What answers are counted by, the most general first."""
    question = asked.question
    base = (kind_of(question), asked.family)
    wording, options = wording_of(question.task, question.text), tuple(sorted(question.options))
    levels: list[tuple[Any, ...]] = [base, (*base, "wording", wording)]
    if options:
        levels.append((*base, "options", options))
    if question.subject:
        levels.append((*base, "terms", question.subject))
    if len(levels) > 2:
        levels.append((*base, "all", wording, options, question.subject))
    return levels


_BOX = re.compile(r"<bbox:(\d+)>")
_CELLS = re.compile(r"<box:(\d+);(\d+);(\d+);(\d+)>")


def _countable(asked: Asked) -> str:
    """The answer with slots for the terms of the question, and boxes in tenths of the picture."""
    question, (width, height) = asked.question, asked.size
    named = {
        spelling: f"{{{n}}}"
        for n, id in enumerate(question.subject)
        for spelling in (term(id).answer, *term(id).answers.values())
    }
    lines = question.answer.split("\n")
    text = "\n".join(", ".join(named.get(cell, cell) for cell in line.split(", ")) for line in lines)

    def cells(match: re.Match[str]) -> str:
        x1, y1, x2, y2 = question.boxes[int(match[1])]
        left, top = min(_GRID - 1, _GRID * x1 // width), min(_GRID - 1, _GRID * y1 // height)
        right, bottom = max(left + 1, round(_GRID * x2 / width)), max(top + 1, round(_GRID * y2 / height))
        return f"<box:{left};{top};{right};{bottom}>"

    return _BOX.sub(cells, text) if width and height else text


def _said(answer: str, subject: Sequence[str], size: tuple[int, int]) -> str:
    """The reply that a counted answer stands for: terms for slots, pixels for tenths."""
    for n, id in enumerate(subject):
        answer = answer.replace(f"{{{n}}}", term(id).answer)

    def pixels(match: re.Match[str]) -> str:
        return str([int(match[n + 1]) * size[n % 2] // _GRID for n in range(4)])

    return _CELLS.sub(pixels, answer)


def score_blind(train: Iterable[Asked], validation: Iterable[Asked]) -> list[BlindScore]:
    """The blind score of each task and, where it has several, of each kind of its questions, in the order of `TASKS`.

    Both are gone through once; what is kept grows with the number of different wordings, terms and answers.
    """
    model = BlindModel()
    sums: dict[tuple[str, str], _Sums] = defaultdict(_Sums)
    for asked in train:
        model.learn(asked)
        sums[asked.question.task, kind_of(asked.question)].train += 1
    for asked in validation:
        question = asked.question
        score = TASKS[question.task].score
        constant, blind = (
            round(_PARTS * score(reply, question)) for reply in (model.constant(asked), model.blind(asked))
        )
        if question.truth in _HALVES:
            constant = _PARTS // 2
        sums[question.task, kind_of(question)].add(asked.surgery, constant, blind)
    found = []
    for task in TASKS:
        kinds = sorted(kind for name, kind in sums if name == task)
        whole = _Sums()
        for kind in kinds:
            whole = whole.plus(sums[task, kind])
        found += [whole.score(task, task)] if kinds else []
        found += [sums[task, kind].score(kind, task) for kind in kinds if len(kinds) > 1]
    return found


def blind_scores(
    folder: Path, *, most: int = MOST_FRAMES, progress: Callable[[int], None] = lambda done: None
) -> list[BlindScore]:
    """The blind scores of a packed folder, from its index and the records in its shards; no picture is read.

    Args:
        folder: with `data/` and `index.parquet`.
        most: frames of each split that are read.
        progress: gets the number of frames read since its last call.

    Raises:
        CotgenError: the index or a shard is damaged.
    """
    train, validation = (asked_in(folder, split, most, progress) for split in ("train", "validation"))
    return score_blind(train, validation)


def blind_counts(folder: Path) -> dict[str, Any]:
    """The blind scores of a packed folder as its manifest states them, under `blind`. Raises as `blind_scores`."""
    return {"blind": {score.name: score.plain() for score in blind_scores(folder)}}


def asked_in(
    folder: Path, split: Split, most: int = MOST_FRAMES, progress: Callable[[int], None] = lambda done: None
) -> Iterator[Asked]:
    """The questions of a split, read as by `blind_scores`. Raises CotgenError where the index or a shard is damaged."""
    try:
        places = scan_index(folder).filter(pl.col("split") == split).select("shard", "offset")
        rows = places.unique(maintain_order=True).head(most).collect()
        for (shard,), group in rows.group_by("shard", maintain_order=True):
            with (folder / str(shard)).open("rb") as file:
                for offset in group["offset"]:
                    _, json, _ = read_record(file, str(shard), offset)
                    progress(1)
                    yield from asked_of(orjson.loads(json))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise CotgenError(f"{folder / INDEX} or a shard cannot be read ({error}); run `cotgen verify`") from error
    except (ValueError, KeyError) as error:
        raise CotgenError(f"{folder} has a record that cannot be read ({error}); run `cotgen verify`") from error


def asked_of(record: dict[str, Any]) -> Iterator[Asked]:
    """The questions of one sample, given as the plain values of its JSON."""
    for pair in record["pairs"]:
        # The records were checked when they were written; only the attributes of a question are looked at.
        yield asked_as(record, Pair.model_construct(**pair))


def asked_as(record: Mapping[str, Any], pair: Pair) -> Asked:
    """One pair of a sample, given as the plain values of its JSON, as a question."""
    frame = record["frame"]
    family = record["key"].partition("-")[0]
    return Asked(Question.of(pair), record["surgery"], family, (frame["width"], frame["height"]))
