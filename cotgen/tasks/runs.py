"""Runs: how many different things the questions of one surgery are about.

A second later the same is often to be seen. A run is a longest stretch of consecutive scenes with the same facts of the
kinds that a task reads; two questions of one task within it are about one thing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from cotgen.records import Scene
from cotgen.tasks.base import Question, Task

#: What the tasks read that name no kind: whatever has a box.
_BOXED = ("instrument", "anatomy", "triplet")


def run_numbers(scenes: Sequence[Scene], task: Task) -> list[int]:
    """For each scene of a surgery, in time order, the number of its run, from 0. Boxes may move within a run."""
    numbers: list[int] = []
    before: object = None
    for scene in scenes:
        facts = tuple(
            (kind, scene.says(kind), tuple(sorted((fact.terms, fact.value) for fact in scene.of_kind(kind))))
            for kind in task.kinds or _BOXED
        )
        now = (facts, scene.has_field)
        numbers.append(0 if not numbers else numbers[-1] + (now != before))
        before = now
    return numbers


def with_runs(
    scenes: Sequence[Scene], questions: Iterable[tuple[int, Question]]
) -> Iterator[tuple[int, Question, int]]:
    """(position in `scenes`, question, number of its run for its task)."""
    from cotgen.tasks import TASKS  # the tasks are built on this room

    numbers: dict[str, list[int]] = {}
    for position, question in questions:
        if question.task not in numbers:
            numbers[question.task] = run_numbers(scenes, TASKS[question.task])
        yield position, question, numbers[question.task][position]
