"""The worked chains for Cholec80: the standard of the text. Each passes every content check."""

import pytest

from cotgen.chains.checks import check_chain, support_of
from cotgen.chains.checks.base import Case
from cotgen.chains.render import parse
from cotgen.surgeries.priors import Priors
from cotgen.tasks.base import Question
from tests.chains.conftest import make_scene

PHASE = ("phase.open", "phase", "Which phase of this laparoscopic cholecystectomy is shown?")
WORKED = {
    "phase, no instrument": (
        make_scene("cholec80/42", 1150, "preparation", []),
        Question(*PHASE, (), "Preparation", ("phase.preparation",)),
        "asserted",
        """<think>Level 1: No instrument tip is clearly in view.
Level 2: There is thus no instrument to relate to a structure.
Level 3: A view without instruments comes up in every phase and does not tell them apart. \
This one belongs to the preparation.</think><answer>Preparation</answer>""",
    ),
    "phase, one common instrument": (
        make_scene("cholec80/73", 22900, "gallbladder_dissection", ["hook"]),
        Question(*PHASE, (), "Gallbladder dissection", ("phase.gallbladder_dissection",)),
        "weak",
        """<think>Level 1: A hook is in view.
Level 2: A hook takes up a little tissue and divides it with current.
Level 3: Alone in the field it is met in both dissecting phases, more often on the liver bed than in Calot's triangle. \
Gallbladder dissection fits best.</think><answer>Gallbladder dissection</answer>""",
    ),
    "phase, the instrument that decides": (
        make_scene("cholec80/73", 18475, "clipping_and_cutting", ["grasper", "clipper"]),
        Question(*PHASE, (), "Clipping and cutting", ("phase.clipping_and_cutting",)),
        "strong",
        """<think>Level 1: Grasper and clip applier are in view.
Level 2: A clip applier is there to close a duct or a vessel, a grasper to hold tissue.
Level 3: A clip applier is rarely out at any other time than for clipping and cutting. \
So this is the clipping and cutting phase.</think><answer>Clipping and cutting</answer>""",
    ),
    "tool presence": (
        make_scene("cholec80/42", 17650, "calot_triangle_dissection", ["grasper", "hook"]),
        Question("tool.presence", "tool_presence", "Which kinds of instrument have their tip in view?", (),
                 "grasper\nhook", ("instrument.grasper", "instrument.hook")),
        "entailed",
        """<think>Level 1: Grasper and hook are both in view.
Level 2: In dissection a grasper puts tissue on stretch and a hook opens it.
Level 3: The two together mark the dissecting phases, in Calot's triangle or on the liver bed.</think>\
<answer>grasper, hook</answer>""",
    ),
    "yes or no, hard negative": (
        make_scene("cholec80/73", 19725, "clipping_and_cutting", ["scissors"]),
        Question("tool.yesno.instrument.clipper", "tool_yesno", "Is a clip applier in view?", (), "No", ("no",),
                 ("instrument.clipper",)),
        "entailed",
        """<think>Level 1: Scissors are in view. A clip applier is not.
Level 2: The two work on the same structures in turn: clips first, then the cut between them.
Level 3: So scissors in the field do not mean that the clip applier is there as well.</think><answer>No</answer>""",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WORKED)
def test_a_worked_chain_passes_every_check(name: str, priors: Priors) -> None:
    scene, question, _, text = WORKED[name]
    assert check_chain(parse(text), scene, question, priors) == []


@pytest.mark.parametrize("name", WORKED)
def test_a_worked_chain_has_the_support_that_it_is_printed_with(name: str, priors: Priors) -> None:
    scene, question, support, text = WORKED[name]
    assert support_of(Case(parse(text), scene, question, priors)) == support


def test_a_black_picture_passes_as_printed(priors: Priors) -> None:
    scene = make_scene("cholec80/01", 0, "preparation", [], black=True)
    question = Question("field.visible", "field_visible", "Is the operative field visible?", (), "No", ("no",))
    text = """<think>Level 1: The picture is black.
Level 2: Nothing in it can be related to anything else.
Level 3: The state of the operation cannot be read from it.</think><answer>No</answer>"""
    assert check_chain(parse(text), scene, question, priors) == []
