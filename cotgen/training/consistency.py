"""Consistency: whether levels and answer of a chain go together, counted on what is true.

The share of the sentences of levels 2 and 3 about this frame that add something, contradict nothing and name only
instruments that level 1 shows, times faithfulness, and 0 where the answer does not follow: level 3 names no phase, step
or action but the answer; for every other question levels 1 and 2 entail the answer given. Nothing is paid for a chain
that was written to fit a wrong answer, and never more than its faithfulness.
"""

from __future__ import annotations

from cotgen.chains.checks.base import REASONED, Case
from cotgen.tasks import TASKS
from cotgen.training.reply import SAME_BOX
from cotgen.training.tally import Tally


def consistency(case: Case, counted: Tally, answer: str | None) -> float | None:
    """Consistency of one completion in 0..1; None where its faithfulness is.

    Args:
        case: its chain and the facts.
        counted: its claims.
        answer: its answer text, or None.
    """
    faithful = counted.faithfulness
    if faithful is None:
        return None
    if not faithful or answer is None or not _follows(case, answer):
        return 0.0
    return faithful * (counted.linked / counted.links if counted.links else 1.0)


def _follows(case: Case, answer: str) -> bool:
    task = case.question.task
    said = TASKS[task].parse(answer, case.question)
    if said is None:
        return False
    if task not in REASONED:
        right = TASKS[task].score(answer, case.question) >= (SAME_BOX if task == "localization" else 1.0)
        return right and case.support == "entailed"
    concluded = {
        name
        for reading in case.claims
        if reading.level == 3 and not reading.known
        for name in (*reading.named(task), *(reading.closed.terms if reading.closed else ()))
        if name.startswith(f"{task}.")
    }
    return concluded == set(said)
