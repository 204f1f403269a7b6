"""Classes: what answers are counted by, so that balance is seen over terms and not over sentences.

A set answer counts once for each of its items, a triplet as a whole, a place as the thing that is asked for. A class is
the id of a term, ids joined by a comma (`instrument.hook,verb.dissect,anatomy.gallbladder`), `TERM=yes`, or the answer
itself (`yes`, `3`, `not visible`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from cotgen.evaluation.blind import kind_of
from cotgen.inspect.words import name_of
from cotgen.records import Pair
from cotgen.tasks import TASKS, Question
from cotgen.tasks.answers import NONE, spellings
from cotgen.tasks.boxes import NOT_VISIBLE

_BOX = re.compile(r"\s*<bbox:\d+>")
_YES_NO = ("yes", "no")


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of one answer.

    Attributes:
        kind: kind of question, `triplet.doing`.
        names: the classes, each once.
        subject: what the question names, as a class; "" where it names nothing.
        many: whether answers of this kind are sets, so that the shares of classes add up to more than one.
    """

    kind: str
    names: tuple[str, ...]
    subject: str
    many: bool


@lru_cache(maxsize=1 << 15)
def classes_of(task: str, id: str, answer: str) -> Classes:
    """The classes of an answer; of a task or an id that this version does not know, the lines of the answer.

    Args:
        task: name of the task.
        id: pair id.
        answer: as stored, one item a line, boxes as `<bbox:n>`.
    """
    lines = tuple(dict.fromkeys(_BOX.sub("", line).strip() or id for line in answer.split("\n")))
    try:
        subject = TASKS[task].subject(id)
    except (KeyError, ValueError):
        return Classes(task, lines, "", len(lines) > 1)
    question = Question(id, task, "", (), answer, (), subject)
    kind = kind_of(question)
    named = ",".join(subject)
    if task == "localization":
        if not named:
            known = spellings("instrument")
            return Classes(kind, tuple(dict.fromkeys(known.get(line.lower(), line) for line in lines)), "", True)
        return Classes(kind, (NOT_VISIBLE if answer == NOT_VISIBLE else named,), named, False)
    try:
        truth = Question.of(
            Pair.model_construct(id=id, task=task, question="", options=[], boxes=[], answer=answer)
        ).truth
    except ValueError:
        return Classes(kind, lines, named, len(lines) > 1)
    if not truth:
        return Classes(kind, (NONE,), named, True)
    if task == "triplet" and truth[0] not in _YES_NO and len(truth) % 3 == 0:
        truth = tuple(",".join(truth[n : n + 3]) for n in range(0, len(truth), 3))
    return Classes(kind, tuple(dict.fromkeys(truth)), named, id in _SETS)


#: Questions whose answers are sets.
_SETS = frozenset({"triplet.set", "tool.presence", "anatomy.presence", "cvs.criteria", "loc.all"})


@lru_cache(maxsize=1 << 14)
def display(name: str) -> str:
    """A class in words: the display names of its terms; what names no term stays as it is."""
    head, equals, value = name.partition("=")
    words = [name_of(part).strip().removeprefix("the ") for part in head.split(",")]
    text = " – ".join(words)
    return f"{text}: {value}" if equals else text


def words(name: str) -> str:
    """The name of a task or a check in words: `tool yes/no`, `suspect label`."""
    return name.replace("yesno", "yes/no").replace("_", " ")
