"""Rewards of GRPO by rules, from the parsers and scores of the tasks and the checks of the chains.

    format        1 for the strict form with an answer that the task can read, else 0
    answer        score of the tasks with one answer (phase, yes or no, a number, one action ...)
    boxes         of localization: IoU of the best one-to-one match over max(boxes said, boxes true)
    set_f1        F1 of the sets (instruments, structures, triplets)
    cvs           share of the criteria of safety that are right
    faithfulness  F1 of the facts that levels 1 and 2 tell; see `cotgen.training.tally`
    consistency   whether levels and answer go together; see `cotgen.training.consistency`
    overlong      0 up to a length, then down to -1 (Yu et al. 2025, DAPO); never more for being short

Each is a function as TRL calls it: it gets completions and the columns of view `prompt`, never the prompt, and returns a
number for each completion, or None where the task is not covered, which depends on the prompt alone. A completion may
hold anything: nothing raises, and every reward is finite and in its range. They are pure; what a schedule says is read
from the schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from pydantic import Field, model_validator

from cotgen.chains.checks import reasoning
from cotgen.errors import CotgenError
from cotgen.records.base import Record
from cotgen.tasks import TASKS
from cotgen.tasks.boxes import NOT_VISIBLE
from cotgen.tasks.localization import LOCALIZATION
from cotgen.tasks.triplet import DOING, SET_ID
from cotgen.training.consistency import consistency
from cotgen.training.normalise import Normaliser
from cotgen.training.reply import BoxReader, Reply, as_stored, read_reply, text_of
from cotgen.training.rows import Row, read_rows
from cotgen.training.schedule import Stages, SuccessWindow, Threshold
from cotgen.training.tally import case_of, tally

#: Name -> lowest and highest value.
RANGES: dict[str, tuple[float, float]] = {
    "format": (0.0, 1.0),
    "answer": (0.0, 1.0),
    "boxes": (0.0, 1.0),
    "set_f1": (0.0, 1.0),
    "cvs": (0.0, 1.0),
    "faithfulness": (0.0, 1.0),
    "consistency": (0.0, 1.0),
    "overlong": (-1.0, 0.0),
}
#: Characters that are taken for a token where a completion comes without its tokens.
CHARACTERS_A_TOKEN = 4
_SETS = frozenset({"tool_presence", "anatomy"})


class Weights(Record):
    """What each reward weighs in the sum; 0 leaves it out. The form is small, so that it is a condition and no goal."""

    format: float = Field(default=0.1, ge=0.0)
    answer: float = Field(default=1.0, ge=0.0)
    boxes: float = Field(default=1.0, ge=0.0)
    set_f1: float = Field(default=1.0, ge=0.0)
    cvs: float = Field(default=1.0, ge=0.0)
    faithfulness: float = Field(default=0.5, ge=0.0)
    consistency: float = Field(default=0.25, ge=0.0)
    overlong: float = Field(default=0.5, ge=0.0)


class RewardConfig(Record):
    """The rewards of a run.

    Attributes:
        weights: of the sum.
        gate: whether an answer counts only in a reply of the strict form.
        think_opened: whether the chat template ends the prompt with `<think>`.
        most_tokens: length from which `overlong` is -1; the trainer's `max_completion_length`.
        soft_tokens: over the last so many tokens before that it goes from 0 to -1.
        iou: from which IoU a box counts, by the progress of the run.
        scales: the common scale of answer, boxes, set_f1 and cvs; without scales they stay as they are.
    """

    weights: Weights = Weights()
    gate: bool = True
    think_opened: bool = False
    most_tokens: int = Field(default=1024, ge=2)
    soft_tokens: int = Field(default=256, ge=1)
    iou: Stages = Stages()
    scales: Normaliser = Normaliser()

    @model_validator(mode="after")
    def _lengths(self) -> RewardConfig:
        if self.soft_tokens >= self.most_tokens:
            raise ValueError("soft_tokens is less than most_tokens, so that there is a length without penalty")
        return self


class Reward(Protocol):
    """A reward function as TRL calls it."""

    __name__: str

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Sequence[int]] | None = None,
        trainer_state: Any = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """A reward for each completion; None where its task is not covered.

        Args:
            prompts: not looked at.
            completions: texts, or lists of messages.
            completion_ids: their tokens, for `overlong`.
            trainer_state: its `global_step` and `max_steps` say how far the run is.
            log_extra: gets a column for the table of completions.
            log_metric: gets numbers to watch.
            columns: those of view `prompt`, a value for each completion; others are left alone.

        Raises:
            CotgenError: a column is missing or not of its form.
        """
        ...


def reward_funcs(
    config: RewardConfig, reader: BoxReader = as_stored, threshold: Threshold | None = None
) -> list[Reward]:
    """The rewards that weigh anything, in the order of `RANGES`; their `__name__` is what logs call them.

    Args:
        config: of the run.
        reader: how the model writes boxes: the `read` of its box format.
        threshold: from which IoU a box counts, instead of `config.iou`: a `SuccessWindow` that the run feeds.
    """
    scorer = Scorer(config, reader, threshold)
    return [scorer.function(name) for name in RANGES if getattr(config.weights, name)]


def reward_weights(config: RewardConfig) -> list[float]:
    """The weights of `reward_funcs(config)`, for `GRPOConfig.reward_weights`."""
    return [weight for name in RANGES if (weight := getattr(config.weights, name))]


def weighted(config: RewardConfig, rewards: Mapping[str, float | None]) -> float:
    """The weighted sum of rewards by name, as the trainer forms it: what is None is left out."""
    weights: dict[str, float] = config.weights.model_dump()
    return sum(weights[name] * value for name, value in rewards.items() if value is not None)


def covering(row: Row) -> str:
    """Which of `answer`, `boxes`, `set_f1` and `cvs` scores the answer of a prompt."""
    task, id = row.task, row.question.id
    if task == LOCALIZATION.name:
        return "boxes"
    if task in _SETS or id == SET_ID or id.startswith(DOING):
        return "set_f1"
    return "cvs" if task == "cvs" else "answer"


class Scorer:
    """All rewards of one completion, and the functions that a trainer takes."""

    def __init__(
        self, config: RewardConfig, reader: BoxReader = as_stored, threshold: Threshold | None = None
    ) -> None:
        """Takes the arguments of `reward_funcs`."""
        self.config, self.reader = config, reader
        self.threshold: Threshold = config.iou if threshold is None else threshold

    def all(self, text: str, row: Row, tokens: int | None = None, progress: float = 0.0) -> dict[str, float | None]:
        """Name -> reward of one completion, for every name in `RANGES`.

        Args:
            text: the completion.
            row: its prompt.
            tokens: how long it is; without it, taken from its characters.
            progress: of the run, 0..1.
        """
        return {name: self.one(name, text, row, tokens, progress) for name in RANGES}

    def one(self, name: str, text: str, row: Row, tokens: int | None = None, progress: float = 0.0) -> float | None:
        """One reward of one completion; the arguments are those of `all`."""
        if name == "overlong":
            return self._overlong(len(text) // CHARACTERS_A_TOKEN if tokens is None else tokens)
        if name == "format":
            return float(self._is_whole(text, row))
        if name == "faithfulness":
            return tally(text, row, self.reader, self.config.think_opened).faithfulness
        if name == "consistency":
            counted = tally(text, row, self.reader, self.config.think_opened)
            case = case_of(text, row, self.reader, self.config.think_opened)
            return consistency(case, counted, self._read(text, row).answer)
        if name != covering(row):
            return None
        return self.config.scales(self._score(text, row, progress), row.task, row.source)

    def function(self, name: str) -> Reward:
        """The reward of that name as a trainer calls it.

        Raises:
            CotgenError: there is no such reward.
        """
        if name not in RANGES:
            raise CotgenError(f"there is no reward '{name}'; use one of {', '.join(RANGES)}")

        def reward(
            prompts: Sequence[Any],
            completions: Sequence[Any],
            completion_ids: Sequence[Sequence[int]] | None = None,
            trainer_state: Any = None,
            log_extra: Callable[[str, list[Any]], None] | None = None,
            log_metric: Callable[[str, float], None] | None = None,
            **columns: Any,
        ) -> list[float | None]:
            rows = read_rows(columns, len(completions))
            texts = [text_of(completion) for completion in completions]
            lengths = [len(ids) for ids in completion_ids] if completion_ids is not None else [None] * len(texts)
            progress = _progress(trainer_state)
            found = [self.one(name, *each, progress) for each in zip(texts, rows, lengths, strict=True)]
            if log_extra is not None and name == "format":
                log_extra("pair", [row.name for row in rows])
            if log_metric is not None:
                for metric, value in self._watched(name, texts, rows).items():
                    log_metric(metric, value)
            return found

        reward.__name__ = name
        return reward

    def _read(self, text: str, row: Row) -> Reply:
        return read_reply(text, row, self.reader, self.config.think_opened)

    def _is_whole(self, text: str, row: Row) -> bool:
        """The strict form, an answer of the task's form, no sentence twice, and no level that says nothing."""
        reply = self._read(text, row)
        if not reply.whole or TASKS[row.task].parse(reply.answer or "", row.question) is None:
            return False
        case = case_of(text, row, self.reader, self.config.think_opened)
        return not any(True for _ in reasoning.empty(case))

    def _score(self, text: str, row: Row, progress: float, least: float | None = None) -> float:
        """The score of the answer by its task, 0..1."""
        reply = self._read(text, row)
        if reply.answer is None or (self.config.gate and not reply.whole):
            return 0.0
        if row.task == LOCALIZATION.name:
            least = self.threshold.at(progress) if least is None else least
            return LOCALIZATION.score(reply.answer, row.question, least)
        return TASKS[row.task].score(reply.answer, row.question)

    def _overlong(self, tokens: int) -> float:
        free = self.config.most_tokens - self.config.soft_tokens
        return 0.0 if tokens <= free else max(-1.0, (free - tokens) / self.config.soft_tokens)

    def _watched(self, name: str, texts: Sequence[str], rows: Sequence[Row]) -> dict[str, float]:
        """Numbers that show early how a reward is being gamed."""
        both = [(text, row) for text, row in zip(texts, rows, strict=True)]
        if name == "format":
            return {"reply/unread": _mean([float(self._read(text, row).answer is None) for text, row in both])}
        if name == "boxes":
            return self._watched_boxes([each for each in both if covering(each[1]) == "boxes"])
        if name == "faithfulness":
            counted = [tally(*each, self.reader, self.config.think_opened) for each in both]
            counted = [item for item in counted if item.due]
            parts = ("paid", "contradicted", "undecided", "unsupported", "void")
            return {
                f"claims/{part}": _mean([float(getattr(item, part)) for item in counted]) for part in parts if counted
            }
        return {}

    def _watched_boxes(self, asked: Sequence[tuple[str, Row]]) -> dict[str, float]:
        """How often a thing is told not to be there, the mean IoU without a threshold, and what a window observes."""
        if not asked:
            return {}
        absent = [float((self._read(*each).answer or "").strip().lower() == NOT_VISIBLE) for each in asked]
        dense = [self._score(*each, 0.0, 0.0) for each in asked]
        watched = {"boxes/not_visible": _mean(absent), "boxes/iou": _mean(dense)}
        if isinstance(self.threshold, SuccessWindow):
            watched["boxes/success"] = _mean([float(value >= self.threshold.following) for value in dense])
        return watched


def _progress(state: Any) -> float:
    """How far a run is, 0..1, by the trainer's state."""
    step, steps = getattr(state, "global_step", 0), getattr(state, "max_steps", 0)
    return min(1.0, max(0.0, step / steps)) if steps and steps > 0 else 0.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
