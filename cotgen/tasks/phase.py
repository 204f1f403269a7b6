"""Which phase of the operation is shown: asked openly, and as a choice among all phases of its data set.

With temporal context it is also asked with the acts of the seconds before, which the question tells, since the one picture
does not show them. The answer is the answer name of the phase; a choice may also be answered by letter. Score: 1 if right,
else 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cotgen.draws import rendezvous, shuffled
from cotgen.ontology import term
from cotgen.records import Scene
from cotgen.tasks.answers import parse_choice, parse_term
from cotgen.tasks.base import Question, names_nothing, offered

#: What the wordings call an operation.
OPERATIONS = {"cholecystectomy": "cholecystectomy", "gastric_bypass": "gastric bypass"}
OPEN_ID, CHOICE_ID, CONTEXT_ID = "phase.open", "phase.choice", "phase.context"
OPEN = (
    "Which phase of this laparoscopic cholecystectomy is shown?",
    "Which phase is this?",
    "What stage has this cholecystectomy reached?",
    "Given this laparoscopic cholecystectomy image, which surgical phase is being performed?",
    "Which phase of the operation does this picture belong to?",
    "Which phase of the cholecystectomy is in progress here?",
    "Name the phase of the operation.",
    "Name the surgical phase shown in this image.",
    "To which phase of the cholecystectomy does this view belong?",
    "In which phase of the laparoscopic cholecystectomy was this picture taken?",
    "What is the current phase of this operation?",
    "Which surgical phase does this laparoscopic view show?",
    "Which phase of the operation is under way?",
    "State the phase of this cholecystectomy.",
    "In which phase is the operation in this image?",
    "Identify the phase of the operation in this image.",
    "Looking at this view, which phase of the cholecystectomy is under way?",
    "How far has this cholecystectomy come? Name the phase.",
)
CHOICE = (
    "Which of these phases of laparoscopic cholecystectomy is shown?",
    "Which of the following phases is this?",
    "Choose the phase of the cholecystectomy that this image shows.",
    "From the phases listed, choose the one shown here.",
    "Which option names the phase of this operation?",
    "Which one of the listed phases does this picture belong to?",
    "Select the surgical phase that is in progress.",
    "Which of these phases is under way?",
    "To which of the following phases does this view belong?",
    "Of the phases below, which is the current one?",
    "Pick the phase of this laparoscopic cholecystectomy from the list.",
    "Which option gives the current phase of the operation?",
    "Which of the listed stages has this cholecystectomy reached?",
    "Among the phases below, which one does this image show?",
    "One of the following phases is shown. Which one?",
    "Match this view to one of the phases below.",
    "In which of these phases was this picture taken?",
    "Which of the surgical phases listed is being performed?",
)
#: The lines of the seconds before follow.
CONTEXT = (
    "Given this view and the seconds before it, which phase of the cholecystectomy is shown?",
    "Which phase is this, given what was done in the seconds before?",
    "Here is what was done in the last seconds. Which phase of the operation is shown now?",
    "From this view and the acts just before it, which surgical phase is in progress?",
    "With the seconds before in mind, name the phase of this cholecystectomy.",
    "Taking the seconds before into account, which phase does this picture belong to?",
    "What stage has this cholecystectomy reached? The seconds before are told below.",
    "Name the phase of the operation from the picture and the seconds before it.",
    "Which phase is under way in this view, after the acts told below?",
    "Identify the current phase from this image and what came just before.",
    "The acts of the last seconds are given below. To which phase does this view belong?",
    "Looking at this view and at what was done just before, which phase is under way?",
    "In which phase is the operation, given this image and the acts before it?",
    "Which surgical phase do this view and the seconds before it show?",
    "State the phase of this cholecystectomy, given the view and the seconds before.",
    "Use the picture and the acts of the seconds before to tell the phase.",
)


class Phase:
    """The task `phase` with the pair ids `phase.open`, `phase.choice` and, with context, `phase.context`."""

    name = "phase"
    kinds: tuple[str, ...] = ("phase",)
    wordings: tuple[str, ...] = OPEN + CHOICE + CONTEXT

    def questions(self, scenes: Sequence[Scene], seed: int) -> Iterator[tuple[int, Question]]:
        """Both questions about each frame with one phase. The order of the options is drawn from seed and key."""
        for position, scene in enumerate(scenes):
            truth = _truth(scene)
            if truth is None:
                continue
            answer = term(truth[0]).answer
            answers = [item.answer for item in offered(scene, "phase")]
            text = _told(rendezvous(seed, OPEN, scene.key, OPEN_ID), scene.procedure)
            yield position, Question(OPEN_ID, self.name, text, (), answer, truth)
            text = _told(rendezvous(seed, CHOICE, scene.key, CHOICE_ID), scene.procedure)
            options = tuple(shuffled(seed, answers, scene.key, CHOICE_ID))
            yield position, Question(CHOICE_ID, self.name, text, options, answer, truth)
            if lines := seconds_before(scene):
                text = _told(rendezvous(seed, CONTEXT, scene.key, CONTEXT_ID), scene.procedure)
                yield position, Question(CONTEXT_ID, self.name, "\n".join((text, *lines)), (), answer, truth)

    def subject(self, pair_id: str) -> tuple[str, ...]:
        """The question names no term."""
        return names_nothing(pair_id, OPEN_ID, CHOICE_ID, CONTEXT_ID)

    def truth(self, scene: Scene, question: Question) -> tuple[str, ...] | None:
        """The phase by the scene's facts; None where there is not just one."""
        return _truth(scene)

    def parse(self, reply: str, question: Question) -> tuple[str, ...] | None:
        """The phase that the answer names or, among options, chooses."""
        found = parse_choice(reply, question.options, "phase") if question.options else parse_term(reply, "phase")
        return None if found is None else (found,)

    def score(self, reply: str, question: Question) -> float:
        """1.0 for the right phase, else 0.0."""
        return float(self.parse(reply, question) == question.truth)


def seconds_before(scene: Scene) -> list[str]:
    """A line for each earlier instant with acts, the earliest first: `2 s before: hook, dissect, gallbladder`.

    Empty where this frame has no labelled act itself, or none is labelled in the seconds before.
    """
    source = scene.says("triplet")
    if not scene.of_kind("triplet") or "triplet" in scene.disputed:
        return []
    lines = []
    for context in scene.context:
        facts = [fact for fact in context.facts if fact.kind == "triplet" and fact.source == source]
        acts = [
            ", ".join(term(id).answer_in(source) for id in fact.terms)
            for fact in facts
            if fact.terms[1] != "verb.null"
        ]
        if acts:
            lines.append(f"{-context.offset_s:g} s before: {'; '.join(dict.fromkeys(acts))}")
    return lines


def _told(text: str, procedure: str) -> str:
    """The wording with the name of the operation."""
    return text.replace("cholecystectomy", OPERATIONS.get(procedure, "operation"))


def _truth(scene: Scene) -> tuple[str, ...] | None:
    if not scene.has_field or "phase" in scene.disputed:
        return None
    phases = scene.terms("phase")
    return phases if len(phases) == 1 and phases[0] in {item.id for item in offered(scene, "phase")} else None


PHASE = Phase()
