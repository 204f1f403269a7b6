"""Which step of a gastric bypass is under way: MultiBypass140's steps, asked openly and as a choice.

The choice offers the steps that are met in the phase of the frame, by a fixed table (steps with at least 1 % of the
phase's seconds in the public labels), so that the phase does not give the answer away. A frame of no step is not asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources

import yaml

from cotgen.ontology import Term, term
from cotgen.records import Scene
from cotgen.tasks.choice import ChoiceTask

NO_STEP = "step.null_step"
OPEN = (
    "Which step of the gastric bypass is under way?",
    "Which step of the operation is shown?",
    "Name the step of this laparoscopic gastric bypass.",
    "What step of the bypass does this image show?",
    "Which surgical step is being carried out?",
    "State the current step of the operation.",
    "Identify the step of the gastric bypass in this view.",
    "In which step of the operation was this picture taken?",
    "To which step of the gastric bypass does this view belong?",
    "What is the current step of this operation?",
    "Give the name of the step that is in progress.",
    "Looking at this view, which step of the bypass is under way?",
    "Which step does this laparoscopic view belong to?",
    "Tell which step of the gastric bypass this is.",
    "Which step is being performed here?",
)
CHOICE = (
    "Which of these steps of the gastric bypass is shown?",
    "Which of the following steps is this?",
    "Choose the step that this image shows.",
    "From the steps listed, choose the one shown here.",
    "Which option names the step of this operation?",
    "Which one of the listed steps is under way?",
    "Select the step that is in progress.",
    "Which of these steps is being carried out?",
    "Of the steps below, which is the current one?",
    "Pick the step of this gastric bypass from the list.",
    "Which option gives the current step?",
    "Among the steps below, which one does this image show?",
    "One of the following steps is shown. Which one?",
    "Match this view to one of the steps below.",
    "In which of these steps was this picture taken?",
)


@cache
def steps_of(phase: str) -> tuple[Term, ...]:
    """The steps that are met in a phase, in ontology order; none for a phase that the table does not have."""
    text = (resources.files("cotgen.tasks") / "steps_of_phases.yaml").read_text(encoding="utf-8")
    return tuple(term(f"step.{name}") for name in yaml.safe_load(text).get(phase.partition(".")[2], []))


def _family(scene: Scene) -> Sequence[Term]:
    phases = scene.terms("phase")
    return steps_of(phases[0]) if len(phases) == 1 else ()


STEP = ChoiceTask("step", "step", OPEN, CHOICE, family=_family, asked=lambda scene: scene.terms("step") != (NO_STEP,))
