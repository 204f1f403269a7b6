"""Scores of replies: how well a model answers on surgeries that it never saw, beside what is reached without looking.

Each task's own score of each answer, the mean over the replies to a question, then over the questions. The 95 % interval is
the percentile bootstrap over surgeries (Efron and Tibshirani 1993, An Introduction to the Bootstrap, 13.3), since frames of
one operation are no independent draws. Beside it stand two null models that learnt on the train split: the one answer that
serves best for its kind of question and data set, and the count model of words, terms and options (`evaluation.blind`). For
chains the mean weighted reward stands beside that of completions that never look at the picture (`training.null_rewards`).

Sums are of whole millionths and draws are of names, so that the same replies give the same figures in any order.
"""

from __future__ import annotations

import heapq
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from cotgen.chains.boxes import BoxFormat
from cotgen.chains.render import View, render
from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.evaluation.blind import LEAST_SURGERIES, Asked, BlindModel, asked_as
from cotgen.tasks import TASKS
from cotgen.tasks.answers import MOST_REPLY
from cotgen.training.null_rewards import null_rewards
from cotgen.training.prompts import Row
from cotgen.training.reply import answer_score
from cotgen.training.rewards import RewardConfig, Scorer, weighted
from cotgen.training.sampler import Prompt

#: Times that surgeries are drawn again.
RESAMPLED = 1000
#: Prompts on which null rewards are counted; of more, so many are drawn by their names.
NULL_PROMPTS = 1000
#: The row that is the mean over all tasks, each counting the same.
ALL = "all"
#: Null completions whose reward is stated.
NULL_COMPLETIONS = ("majority", "safe claim", "empty")
_PARTS = 1_000_000


@dataclass(frozen=True, slots=True)
class TaskScore:
    """How well the questions of one task are answered; scores and shares are 0 to 1.

    Attributes:
        task: its name, or `all`.
        questions: how many were answered.
        replies: to all of them.
        surgeries: that they are about.
        score: mean score.
        low: lower end of its 95 % interval; None with fewer than three surgeries.
        high: upper end.
        whole: share of replies of the whole form, with an answer that the task can read.
        constant: what the one answer that serves best on train reaches; None where train has no such question.
        blind: what the count model of train reaches; None where train has no such question.
        reward: mean weighted reward of the replies; None for bare answers.
        null_rewards: completion -> its mean weighted reward; empty for bare answers.
    """

    task: str
    questions: int
    replies: int
    surgeries: int
    score: float
    low: float | None
    high: float | None
    whole: float
    constant: float | None
    blind: float | None
    reward: float | None
    null_rewards: dict[str, float]

    @property
    def null(self) -> float | None:
        """The better one of the two null models."""
        known = [value for value in (self.constant, self.blind) if value is not None]
        return max(known, default=None)

    @property
    def sees(self) -> bool:
        """Whether the lower end of the interval is above both null models."""
        return self.low is not None and self.null is not None and self.low > self.null


@dataclass
class _Sums:
    """Of one task, in millionths."""

    questions: int = 0
    replies: int = 0
    score: int = 0
    whole: int = 0
    constant: int = 0
    blind: int = 0
    known: int = 0
    reward: int = 0
    #: Surgery -> questions, sum of scores.
    surgeries: dict[str, tuple[int, int]] = field(default_factory=dict)


class ReplyScores:
    """Takes replies in and scores them; keeps no reply, and of prompts the few that null rewards are counted on.

    Args:
        view: `vqa` for bare answers, `cot` for chains.
        boxes: how the model writes boxes.
        train: questions of the train split, for the null models.
        config: weights of the rewards, and whether the chat template has opened the think block.
    """

    def __init__(self, view: View, boxes: BoxFormat, train: Iterable[Asked], config: RewardConfig) -> None:
        if view not in ("vqa", "cot"):
            raise CotgenError(f"replies are bare answers (vqa) or chains (cot); '{view}' is neither")
        self.view, self.boxes, self.config = view, boxes, config
        self._scorer = Scorer(config, boxes.read)
        self._null = BlindModel()
        for asked in train:
            self._null.learn(asked)
        self._sums: dict[str, _Sums] = {}
        self._drawn: list[tuple[int, str, Row, str]] = []

    def add(self, prompt: Prompt, texts: Sequence[str | None]) -> float:
        """Score the replies to one prompt; None is a cut one, which scores 0. Returns their mean score, 0 to 1."""
        row = prompt.row
        sums = self._sums.setdefault(row.task, _Sums())
        scores = [self._score(text, row) for text in texts]
        score = _parts(sum((value for value, _ in scores), Fraction(0)) / len(scores))
        sums.questions += 1
        sums.replies += len(texts)
        sums.score += score
        sums.whole += sum(whole for _, whole in scores)
        surgery = str(prompt.record["surgery"])
        count, total = sums.surgeries.get(surgery, (0, 0))
        sums.surgeries[surgery] = (count + 1, total + score)
        asked = asked_as(prompt.record, prompt.pair)
        if self._null.knows(asked):
            task = TASKS[row.task]
            sums.known += 1
            sums.constant += _parts(task.score(self._null.constant(asked), asked.question))
            sums.blind += _parts(task.score(self._null.blind(asked), asked.question))
        if self.view == "cot":
            sums.reward += sum(_parts(self._reward(text, row)) for text in texts)
            self._draw(prompt)
        return score / _PARTS

    def result(self) -> list[TaskScore]:
        """The scores of each task in their order, and that of `all` last. Raises CotgenError where nothing was added."""
        if not self._sums:
            raise CotgenError("there is no reply to score; see that names, split and tasks are those of the data set")
        tasks = [task for task in TASKS if task in self._sums]
        resampled = _resampled([self._sums[task] for task in tasks])
        null = self._null_rewards()
        found = [
            self._task_score(task, self._sums[task], resampled[:, n], null.get(task, {}))
            for n, task in enumerate(tasks)
        ]
        return [*found, self._all(found, resampled)]

    def _task_score(
        self, task: str, sums: _Sums, resampled: npt.NDArray[np.float64], null: dict[str, float]
    ) -> TaskScore:
        low, high = _interval(resampled, len(sums.surgeries))
        return TaskScore(
            task,
            sums.questions,
            sums.replies,
            len(sums.surgeries),
            _mean(sums.score, sums.questions),
            low,
            high,
            _mean(_PARTS * sums.whole, sums.replies),
            _mean(sums.constant, sums.questions) if sums.known else None,
            _mean(sums.blind, sums.questions) if sums.known else None,
            _mean(sums.reward, sums.replies) if self.view == "cot" else None,
            null,
        )

    def _all(self, found: Sequence[TaskScore], resampled: npt.NDArray[np.float64]) -> TaskScore:
        """Each task counts the same, so that the task with the most questions does not decide."""

        def over(values: Sequence[float | None]) -> float | None:
            known = [value for value in values if value is not None]
            return round(sum(known) / len(known), 6) if len(known) == len(values) else None

        surgeries = {surgery for sums in self._sums.values() for surgery in sums.surgeries}
        # A task whose surgeries were not drawn counts with those draws in which they were.
        drawn = np.isfinite(resampled)
        means = np.where(drawn, resampled, 0.0).sum(axis=1) / np.maximum(1, drawn.sum(axis=1))
        low, high = _interval(means, len(surgeries))
        names = {name for one in found for name in one.null_rewards}
        return TaskScore(
            ALL,
            sum(one.questions for one in found),
            sum(one.replies for one in found),
            len(surgeries),
            over([one.score for one in found]) or 0.0,
            low,
            high,
            over([one.whole for one in found]) or 0.0,
            over([one.constant for one in found]),
            over([one.blind for one in found]),
            over([one.reward for one in found]),
            {
                name: value
                for name in sorted(names)
                if (value := over([o.null_rewards.get(name) for o in found])) is not None
            },
        )

    def _score(self, text: str | None, row: Row) -> tuple[Fraction, bool]:
        """Score of one reply by its task, and whether it is of the whole form."""
        if text is None:
            return Fraction(0), False
        if self.view == "cot":
            score = answer_score(text, row, self.boxes.read, self.config.think_opened)
            whole = self._scorer.one("format", text, row) == 1.0
        else:
            answer = bare_answer(text, row, self.boxes)
            whole = answer is not None and TASKS[row.task].parse(answer, row.question) is not None
            score = 0.0 if answer is None else TASKS[row.task].score(answer, row.question)
        return Fraction(_parts(score), _PARTS), whole

    def _reward(self, text: str | None, row: Row) -> float:
        # A cut reply has no form and no answer; how long it was is not known here.
        return weighted(self.config, self._scorer.all("" if text is None else text, row))

    def _draw(self, prompt: Prompt) -> None:
        rank = -draw(0, "null rewards", prompt.name)
        if len(self._drawn) == NULL_PROMPTS and rank <= self._drawn[0][0]:
            return
        gold = render(prompt.pair, "cot", "pixels", prompt.size)["response"]
        push = heapq.heappush if len(self._drawn) < NULL_PROMPTS else heapq.heappushpop
        push(self._drawn, (rank, prompt.name, prompt.row, gold))

    def _null_rewards(self) -> dict[str, dict[str, float]]:
        """Task -> completion -> mean weighted reward."""
        found: dict[str, dict[str, float]] = {}
        rows = [(row, gold) for _, _, row, gold in sorted(self._drawn, key=lambda entry: entry[1])]
        if not rows:
            return found
        for task, completion, total in (
            null_rewards(rows, self.config).select("task", "completion", "total").iter_rows()
        ):
            if completion in NULL_COMPLETIONS:
                found.setdefault(task, {})[completion] = round(total, 6)
        return found


def bare_answer(text: str, row: Row, boxes: BoxFormat) -> str | None:
    """A reply that is an answer and nothing else, boxes in pixels of the stored picture; None where it is far too long."""
    if len(text) > MOST_REPLY:
        return None
    return boxes.read(unicodedata.normalize("NFKC", text), row.size).strip()


def _resampled(sums: Sequence[_Sums]) -> npt.NDArray[np.float64]:
    """Mean scores (resampled, task) with surgeries drawn again; not a number where a task has none of those drawn."""
    surgeries = sorted({surgery for one in sums for surgery in one.surgeries})
    times = np.zeros((RESAMPLED, len(surgeries)), np.int64)
    for n in range(RESAMPLED):
        for place in range(len(surgeries)):
            times[n, draw(0, "bootstrap", str(n), str(place)) % len(surgeries)] += 1
    counts, scores = (
        np.array([[one.surgeries.get(name, (0, 0))[part] for one in sums] for name in surgeries], np.int64)
        for part in (0, 1)
    )
    questions = times @ counts
    with np.errstate(invalid="ignore"):
        return np.where(questions > 0, (times @ scores) / questions / _PARTS, np.nan)


def _interval(resampled: npt.NDArray[np.float64], surgeries: int) -> tuple[float | None, float | None]:
    known = np.sort(resampled[np.isfinite(resampled)])
    if surgeries < LEAST_SURGERIES or not len(known):
        return None, None
    # Nearest rank: no interpolation, whose last digit depends on the version of numpy.
    low, high = (
        known[min(len(known) - 1, max(0, round(share * len(known)) - at))] for share, at in ((0.025, 0), (0.975, 1))
    )
    return round(float(low), 6), round(float(high), 6)


def _parts(value: float | Fraction) -> int:
    return round(_PARTS * value)


def _mean(parts: int, number: int) -> float:
    return round(parts / number / _PARTS, 6)


def plain(score: TaskScore) -> dict[str, Any]:
    """A score as plain values."""
    return {name: getattr(score, name) for name in score.__dataclass_fields__}
