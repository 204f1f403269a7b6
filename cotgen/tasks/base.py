"""Task: one kind of question. Checks, rewards, rejection sampling and evaluation all use its one parser and score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from cotgen.ontology import WORDS_OF, Term, vocabulary
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
        boxes: x1, y1, x2, y2 in pixels of the stored picture; `<bbox:n>` in the answer is an index into them. They begin
            the boxes of the pair.
    """

    id: str
    task: str
    text: str
    options: tuple[str, ...]
    answer: str
    truth: tuple[str, ...]
    subject: tuple[str, ...] = ()
    boxes: tuple[tuple[int, int, int, int], ...] = ()

    @classmethod
    def of(cls, pair: Pair) -> Question:
        """The question of a stored pair; `truth` is what the task's parser makes of the stored answer.

        Raises:
            ValueError: the task is not known, the id is not of it, or the stored answer is not of its form.
        """
        from cotgen.tasks import TASKS  # the tasks are built on this module

        task = TASKS.get(pair.task)
        if task is None:
            raise ValueError(f"{pair.id}: no task '{pair.task}' is known")
        options = tuple(pair.options)
        boxes = tuple((box[0], box[1], box[2], box[3]) for box in pair.boxes)
        question = cls(pair.id, pair.task, pair.question, options, pair.answer, (), task.subject(pair.id), boxes)
        truth = task.parse(pair.answer, question)
        if truth is None:
            raise ValueError(f"{pair.id}: '{pair.answer}' is no answer of the task '{pair.task}'")
        return replace(question, truth=truth)


class Task(Protocol):
    """The contract of a task module.

    Attributes:
        name: `phase`, `tool_presence` ...
        kinds: kinds of fact without which the task asks nothing.
        wordings: at least 15 for each kind of question; `{subject}` stands for what the question names, `{is}` and
            `{Is}` for the verb that agrees with it. Drawn before the answer is known.
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

    def subject(self, pair_id: str) -> tuple[str, ...]:
        """The terms that a question of this id names, for `Question.subject`.

        Raises:
            ValueError: the id is not of this task.
        """
        ...

    def truth(self, scene: Scene, question: Question) -> tuple[str, ...] | None:
        """The true answer as terms according to a scene's facts; None where its labels do not answer the question.

        Checks call it, so that a stored answer is compared with the facts and not with itself.
        """
        ...

    def parse(self, reply: str, question: Question) -> tuple[str, ...] | None:
        """Terms of an answer text, in ontology order; None where it is not of the task's form. Never raises."""
        ...

    def score(self, reply: str, question: Question) -> float:
        """Score of one answer text in 0..1; an unparsable reply scores 0."""
        ...


def offered(scene: Scene, kind: str) -> tuple[Term, ...]:
    """The closed list of terms that a question about this scene chooses from, in ontology order."""
    source = scene.says(kind)
    return vocabulary(WORDS_OF.get(scene.procedure, "") if source == "table" else source, kind)


def names_nothing(pair_id: str, *ids: str) -> tuple[str, ...]:
    """The `Task.subject` of a task with these pair ids, whose questions name no term."""
    if pair_id not in ids:
        raise ValueError(f"'{pair_id}' is not {' or '.join(ids)}")
    return ()
