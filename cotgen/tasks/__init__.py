"""The kinds of question: one module each, one line here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from cotgen.errors import CotgenError
from cotgen.records import Scene
from cotgen.tasks.action import ACTION
from cotgen.tasks.anatomy import ANATOMY
from cotgen.tasks.balance import room_for
from cotgen.tasks.base import Question, Task
from cotgen.tasks.camera import CAMERA
from cotgen.tasks.count import COUNT
from cotgen.tasks.cvs import CVS
from cotgen.tasks.field_visible import FIELD_VISIBLE, MOST
from cotgen.tasks.localization import LOCALIZATION
from cotgen.tasks.phase import PHASE
from cotgen.tasks.position import POSITION
from cotgen.tasks.step import STEP
from cotgen.tasks.tool_count import TOOL_COUNT
from cotgen.tasks.tool_presence import TOOL_PRESENCE
from cotgen.tasks.tool_yesno import TOOL_YESNO
from cotgen.tasks.triplet import TRIPLET

#: Name -> task, in the order in which the questions of a frame stand.
TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        PHASE,
        TOOL_PRESENCE,
        TOOL_COUNT,
        TOOL_YESNO,
        FIELD_VISIBLE,
        TRIPLET,
        LOCALIZATION,
        COUNT,
        POSITION,
        CVS,
        ANATOMY,
        ACTION,
        STEP,
        CAMERA,
    )
}

__all__ = ["TASKS", "Question", "Task", "chosen_tasks", "plan_questions", "source_asked", "wordings_sha256"]


def chosen_tasks(names: Iterable[str]) -> tuple[Task, ...]:
    """The tasks of these names, in the order of `TASKS`. Raises CotgenError for an unknown name."""
    wanted = list(names)
    unknown = sorted(set(wanted) - set(TASKS))
    if unknown:
        raise CotgenError(f"no task '{unknown[0]}' is known; use one or more of {', '.join(TASKS)}")
    return tuple(task for name, task in TASKS.items() if name in wanted)


def plan_questions(scenes: Sequence[Scene], tasks: Iterable[str], seed: int) -> Iterator[tuple[int, Question]]:
    """All questions about one surgery: (position in `scenes`, question), by position, then in the order of `TASKS`.

    It depends on these scenes, tasks and seed alone. `field.visible` is at most 1 % of the questions, itself included,
    rounded down to whole couples: a surgery with fewer than 198 other questions has none.

    Args:
        scenes: the frames of one surgery in time order.
        tasks: names in `TASKS`; their order does not matter.
        seed: of all draws.

    Raises:
        CotgenError: a task is not known.
    """
    chosen = chosen_tasks(tasks)
    found = [entry for task in chosen if task is not FIELD_VISIBLE for entry in task.questions(scenes, seed)]
    if FIELD_VISIBLE in chosen:
        found.extend(FIELD_VISIBLE.questions(scenes, seed, room_for(MOST, len(found))))
    found.sort(key=lambda entry: entry[0])
    yield from found


def source_asked(scene: Scene, task: str, pixels: str) -> str:
    """The source whose labels a task asks about here; that of the pictures where it asks about no label."""
    return next((source for kind in TASKS[task].kinds if (source := scene.says(kind))), pixels)


def wordings_sha256() -> str:
    """sha256 over all wordings: part of the fingerprint of the chains, since a new wording changes questions."""
    text = "\n".join(f"{name}\x1f{wording}" for name, task in TASKS.items() for wording in task.wordings)
    return hashlib.sha256(text.encode()).hexdigest()
