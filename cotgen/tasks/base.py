"""Task: one kind of question. Checks, rewards, rejection sampling and evaluation all use its one parser and score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from cotgen.records import Pair, Scene


@dataclass(frozen=True, slots=True)
class Question:
    """A question about one frame with its true answer.

    Attributes:
        id: pair id, `tool.yesno.instrument.clipper`.
        task: name of the task.
        text: the wording as drawn.
        options: the choices in the order shown; empty for an open question.
        answer: the true answer in its written form; a set has one item a line, in ontology order.
        truth: the true answer as terms; `("yes",)`/`("no",)` and counts as text; empty for an empty set.
        subject: the terms that the question names, e.g. the instrument of a yes/no question.
    """

    id: str
    task: str
    text: str
    options: tuple[str, ...]
    answer: str
    truth: tuple[str, ...]
    subject: tuple[str, ...] = ()

    @classmethod
    def of(cls, pair: Pair) -> Question:
        """The question of a stored pair; `truth` is what the task's parser makes of the stored answer."""
        raise NotImplementedError


class Task(Protocol):
    """The contract of a task module.

    Attributes:
        name: `phase`, `tool_presence` ...
        kinds: kinds of fact without which the task asks nothing.
        wordings: at least 15; `{subject}` stands for what the question names. Drawn before the answer is known.
    """

    name: str
    kinds: tuple[str, ...]
    wordings: tuple[str, ...]

    def questions(self, scenes: Sequence[Scene], seed: int) -> Iterator[tuple[int, Question]]:
        """All questions about one surgery: (position in `scenes`, question).

        `scenes` are the frames of one surgery in time order; balancing (yes against no, caps) is done here, over the
        surgery, so that it depends on nothing else.
        """
        ...

    def parse(self, reply: str, question: Question) -> tuple[str, ...] | None:
        """Terms of an answer text, in ontology order; None where it is not of the task's form. Strict, never raises."""
        ...

    def score(self, reply: str, question: Question) -> float:
        """Score of one answer text in 0..1; an unparsable reply scores 0."""
        ...
