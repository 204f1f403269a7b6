"""Errors and honest sentences in wordings that nobody had in mind when the rules were written."""

import pytest

from cotgen.chains.checks import check_chain
from cotgen.chains.render import parse
from cotgen.records import Finding
from cotgen.surgeries.priors import Priors
from cotgen.tasks.base import Question
from tests.chains.conftest import make_scene

SCENE = make_scene("cholec80/73", 1000, "calot_triangle_dissection", ["grasper", "hook"])
QUESTION = Question("tool.presence", "tool_presence", "Which kinds of instrument have their tip in view?", (),
                    "grasper\nhook", ("instrument.grasper", "instrument.hook"))  # fmt: skip
RIGHT = {
    1: "A grasper and a hook are in view.",
    2: "In dissection a grasper puts tissue on stretch and a hook opens it.",
    3: "Grasper and hook are thus to be named.",
}

#: Each says something of the frame that Cholec80 does not label, or something that is wrong of it.
WRONG = [
    "A pair of scissors is visible.",
    "The clipper can be made out.",
    "Also present: an irrigator.",
    "Suction is in use.",
    "Monopolar energy is applied.",
    "The tissue is being tented.",
    "The peritoneum is opened.",
    "The cystic duct is skeletonised.",
    "Traction is applied to the organ.",
    "The organ is under tension.",
    "The grasper elevates the gallbladder.",
    "The hook sweeps tissue aside.",
    "The hook peels fat off.",
    "The gallbladder is visible.",
    "Calot's triangle is in view.",
    "A vessel can be seen.",
    "Two tools are at work.",
    "There are a couple of instruments.",
    "A lone hook is in view.",
    "Merely a hook and a grasper are there.",
    "The view contains nothing beyond these.",
    "No additional tools appear.",
    "The hook is to the left of the grasper.",
    "The hook sits in the left half.",
    "The grasper is positioned centrally.",
    "The hook is placed superiorly.",
    "The tip points upwards.",
    "It came in via the epigastric port.",
    "Dissection has been finished.",
    "The duct is now divided.",
    "The artery had been clipped.",
    "Next, clips follow.",
    "In a moment the duct is clipped.",
    "Clipping comes after this.",
    "The dissection is ongoing.",
    "Bleeding is absent.",
    "The field is clean.",
    "The view is clear.",
    "There is a little oozing.",
    "The liver looks pale.",
    "A silvery tip shows.",
    "The hook is used skilfully.",
    "Exposure is sufficient.",
    "The surgeon pulls.",
    "An experienced operator is at work.",
    "The critical view is achieved.",
    "The anatomy is safe to clip.",
    "Fundus and body are seen.",
    "The hook cuts through.",
    "Per the annotations, a hook is there.",
    "The provided labels show a hook.",
    "As the metadata says, a hook is seen.",
    "This picture comes from a public dataset.",
    "The ground-truth is a hook.",
    "Hook: 1, grasper: 1.",
    "A bluish sheen covers it.",
    "The hook rests on the liver.",
    "The grasper waits.",
    "The hook is inactive.",
    "The grasper is idle.",
    "The hook is about the duct.",
    "The patient is stable.",
    "This is an easy case.",
    "The gallbladder seems inflamed.",
    "Cautery smoke drifts.",
    "A drain lies there.",
    "It could be gallbladder dissection.",
    "This might be clipping and cutting.",
    "The bag comes later.",
    "No clips have been placed yet.",
    "A stapler fires.",
    "The kidney is in view.",
    "Grasper and hook are held by the right and left hand.",
    "Hence one instrument.",
]
#: Each says only what is labelled, in another way than the templates.
HONEST = [
    "There is a hook in the field.",
    "The picture shows a grasper as well as a hook.",
    "One can see a hook and a grasper.",
    "Hook and grasper appear in the field of view.",
    "What can be seen is a hook, and with it a grasper.",
    "The tips of grasper and hook are both visible here.",
    "A hook is present, and a grasper too.",
    "Scissors are not in view.",
    "There is no clip applier in the picture.",
]


def findings(level: int, sentence: str, priors: Priors) -> list[Finding]:
    levels = RIGHT | {level: f"{RIGHT[level]} {sentence}"}
    text = "\n".join(f"Level {n}: {words}" for n, words in levels.items())
    return check_chain(parse(f"<think>{text}</think><answer>grasper\nhook</answer>"), SCENE, QUESTION, priors)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_what_no_label_holds_is_caught_in_any_wording(level: int, priors: Priors) -> None:
    assert [sentence for sentence in WRONG if not findings(level, sentence, priors)] == []


@pytest.mark.parametrize("level", [1, 2, 3])
def test_what_is_labelled_may_be_said_in_other_words(level: int, priors: Priors) -> None:
    assert {sentence: found for sentence in HONEST if (found := findings(level, sentence, priors))} == {}
