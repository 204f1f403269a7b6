"""Plans for MultiBypass140: phase from the step, step as it is labelled, and where the camera is."""

from __future__ import annotations

from cotgen.chains.grammar import ASSERTED, STRONG, WEAK, Composer, fill
from cotgen.ontology import term
from cotgen.surgeries.priors import PHASE_BY_STEP, prior_name

INSIDE = ("The camera is inside the abdomen.", "This is a view from inside the abdomen.")
OUTSIDE = ("This is a view from outside the body.", "The camera is outside the body.")
NO_FIELD = (
    "It holds no operative field in which instrument and tissue could be related.",
    "There is no operative field in it, and so nothing to relate.",
)
#: Where the camera is, and what view that gives; and the other way round.
CAMERA_FIRST = ("The camera is inside the abdomen.", "The view is from within the abdomen.")
VIEW_FIRST = ("This is a view from inside the abdomen.", "The camera is in the abdomen.")
NOTHING_TO_READ = (
    "So nothing about the operation is to be read from it.",
    "The state of the operation cannot be read from it.",
)
READABLE = ("So the camera is in the patient.", "The camera is thus inside the patient.")
STEP_PRIOR = (
    "Work of this kind is {word} found in {phase}.",
    "Such work is {word} met in {phase}.",
    "This kind of work is {word} part of {phase}.",
)
STEP_SHOWN = ("The step shown is {step}.", "The step under way is {step}.", "This is {step}.")


def _inside(c: Composer) -> int:
    return c.add(1, c.pick("inside", INSIDE), "label", [f"none:{c.scene.says('view')}.view/view.out_of_body"])


def phase(c: Composer) -> None:
    """The phase from the act that its step is."""
    own, steps = c.scene.of_kind("phase")[0], c.scene.of_kind("step")
    if not c.scene.says("view") or not steps or not term(steps[0].terms[0]).acts:
        return
    step = steps[0]
    shown = _inside(c)
    told = c.add(2, c.pick("act", term(step.terms[0]).acts), "label", [f"fact:{step.id}"])
    answer = own.terms[0]
    support = c.priors.support(PHASE_BY_STEP, step.terms[0], answer) if c.priors else "asserted"
    shapes = {"strong": STRONG, "weak": WEAK}.get(support, ASSERTED)
    grounds = [shown, told]
    if support != "asserted" and c.priors is not None:
        word = c.priors.word(PHASE_BY_STEP, step.terms[0], [answer])
        text = fill(c.pick("prior", STEP_PRIOR), word=word, phase=c.phase_name(answer))
        grounds.append(c.add(3, text, "prior", [f"prior:{prior_name(PHASE_BY_STEP, step.terms[0], answer)}"]))
    text = fill(c.pick("conclude", shapes), phase=c.phase_name(answer, "conclude"))
    if support == "asserted":
        c.add(3, text, "label", [f"fact:{own.id}"])
    else:
        c.add(3, text, "follows", [*(f"statement:{n}" for n in grounds), f"fact:{own.id}"])


def step(c: Composer) -> None:
    """The step as it is labelled; the phase gives the site and no reason."""
    own, phases = c.scene.of_kind("step")[0], c.scene.of_kind("phase")
    if not c.scene.says("view") or not phases or not term(phases[0].terms[0]).acts:
        return
    _inside(c)
    c.add(2, c.pick("site", term(phases[0].terms[0]).acts), "label", [f"fact:{phases[0].id}"])
    name = term(own.terms[0]).name
    text = fill(c.pick("step", STEP_SHOWN), step=f"the {name}" if name != "adhesiolysis" else name)
    c.add(3, text, "label", [f"fact:{own.id}"])


def camera(c: Composer) -> None:
    """Whether the camera is inside the patient."""
    outside = c.scene.of_kind("view")
    if not outside:
        first, second = CAMERA_FIRST if c.pick("first", ["camera", "view"]) == "camera" else VIEW_FIRST
        c.add(1, first, "label", [f"none:{c.scene.says('view')}.view/view.out_of_body"])
        c.add(2, second, "follows", ["statement:0"])
        c.add(3, c.pick("close", READABLE), "follows", ["statement:0"])
        return
    c.add(1, c.pick("outside", OUTSIDE), "label", [f"fact:{outside[0].id}"])
    c.add(2, c.pick("nothing", NO_FIELD), "follows", ["statement:0"])
    c.add(3, c.pick("close", NOTHING_TO_READ), "follows", ["statement:0"])
