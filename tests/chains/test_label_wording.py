"""Sentences about triplets, boxes and safety in wordings that no template has: wrong ones are caught, honest ones pass."""

import pytest

from cotgen.chains.checks import check_chain, check_sample
from cotgen.chains.render import parse
from cotgen.records import Fact, Finding, Frame, Pair, Sample, Scene, Statement
from cotgen.surgeries.priors import Priors
from cotgen.tasks import TASKS
from cotgen.tasks.base import Question
from tests.chains.conftest import fact, gap, scene_of

GRASPER, HOOK = "instrument.grasper", "instrument.hook"
BOXES = ((143, 173, 300, 283), (368, 95, 469, 163))
TWO = scene_of(
    "cholec80/73",
    [
        fact("cholec80.instrument.0", GRASPER),
        fact("cholect50.triplet.0", GRASPER, "verb.grasp", "anatomy.gallbladder", box=BOXES[0]),
        fact("cholect50.triplet.1", GRASPER, "verb.retract", "anatomy.liver", box=BOXES[1]),
        fact("cholect50.triplet.2", HOOK, "verb.dissect", "anatomy.cystic_artery"),
    ],
    size=(586, 328),
)
ACTS = (
    ("triplet.set", TWO, BOXES),
    (
        "Two graspers are in view, one in the lower left <bbox:0>, the other in the upper right <bbox:1>. "
        "A hook is at work as well.",
        "The lower grasper has hold of the gallbladder, the upper one keeps the liver on traction. "
        "The hook is dissecting at the cystic artery.",
        "So there are three acts to name.",
    ),
    "grasper, grasp, gallbladder\ngrasper, retract, liver\nhook, dissect, cystic artery",
)
WRONG_ACTS = [
    "The upper grasper has hold of the gallbladder.",
    "So what the hook acts on is the liver.",
    "So the target of the hook is the liver.",
    "The action of the hook is dissection, and its target is the gallbladder.",
    "The action of the hook is dissection, and what it acts on is the gallbladder.",
    "So the action of the hook is coagulation.",
    "The lower one retracts the liver.",
    "Both graspers retract the liver.",
    "The graspers are retracting the gallbladder.",
    "The hook retracts the liver.",
    "The liver is being retracted by the hook.",
    "The cystic artery is being clipped.",
    "The hook is dissecting at the gallbladder.",
    "The grasper is dissecting at the cystic artery.",
    "On the gallbladder the hook is dissecting.",
    "The hook is cutting the cystic artery.",
    "The hook divides the artery.",
    "The hook is coagulating at the cystic artery.",
    "The grasper lifts the liver.",
    "The grasper pulls the gallbladder aside.",
    "The grasper is holding the fundus.",
    "The hook is in view.",
    "A hook can be seen.",
    "The hook lies on the right.",
    "The hook is idle.",
    "The grasper is not acting.",
    "Three graspers are in view.",
    "There are two instruments.",
    "Only two graspers are in view.",
    "The graspers touch.",
    "The grasper touches the gallbladder.",
    "The lower grasper is above the upper one.",
    "The lower grasper is on the right.",
    "The hook dissects the cystic artery.",
    "The hook has dissected the artery.",
    "The dissected artery is in view.",
    "The hook is not cutting the artery.",
    "In the seconds before, the hook was dissecting at the gallbladder.",
    "The work has passed from one to the other within that phase.",
    "The cystic duct is not identified.",
    "The grasper retracts the liver to expose the artery.",
    "The gallbladder takes up more than a third of the picture.",
    "The left grasper is idle.",
    "Another grasper is at work on the bowel.",
    "A clip is placed on the artery.",
    "The camera is inside the abdomen.",
    "Two structures, and no more, are seen to enter the gallbladder.",
]
HONEST_ACTS = [
    "The gallbladder is being grasped by the lower grasper.",
    "On the cystic artery the hook is dissecting.",
    "The hook works in dissection at the artery.",
    "The liver is retracted by the upper grasper.",
    "The left grasper grips the gallbladder while the right one retracts the liver.",
    "One grasper grips the gallbladder, and another grasper holds the liver aside.",
    "The lower grasper is to the left of the upper one.",
    "Gallbladder and liver, on which they work, are in view.",
    "The hook is at work.",
    "So what the hook acts on is the cystic artery.",
    "So the target of the hook is the cystic artery.",
    "The action of the hook is thus dissection, and its target is the cystic artery.",
    "The action of the hook is thus dissection, and what it acts on is the cystic artery.",
    "The graspers grip the gallbladder and retract the liver.",
]

SAFETY_FACTS = [
    fact("endoscapes.anatomy.0", "anatomy.gallbladder", box=(60, 20, 470, 300)),
    fact("endoscapes.anatomy.1", "anatomy.cystic_duct", box=(330, 250, 500, 330)),
    fact("endoscapes.anatomy.2", "anatomy.cystic_artery", box=(410, 150, 520, 195)),
    fact("endoscapes.instrument.0", "instrument.unnamed", box=(600, 300, 800, 460)),
    fact("endoscapes.cvs.0", "cvs.two_structures", value=2 / 3),
    fact("endoscapes.cvs.1", "cvs.hepatocystic_triangle", value=2 / 3),
    fact("endoscapes.cvs.2", "cvs.cystic_plate", value=2 / 3),
]
SAFETY = (
    (
        "cvs.criteria",
        scene_of(
            "endoscapes/2", SAFETY_FACTS, size=(854, 480),
            measured=(gap(0.0, "endoscapes.anatomy.0", "endoscapes.anatomy.1"),
                      gap(4.0, "endoscapes.anatomy.1", "endoscapes.instrument.0")),
        ),
        ((60, 20, 470, 300), (330, 250, 500, 330), (410, 150, 520, 195)),
    ),
    (
        "Gallbladder <bbox:0>, cystic duct <bbox:1> and cystic artery <bbox:2> are in view.",
        "The artery lies above the duct in the picture.",
        "Two structures seem to enter the gallbladder and no more, with some doubt. "
        "The triangle seems cleared, with some doubt. The lower third seems to be off the liver, with some doubt.",
    ),
    "two structures: yes\nhepatocystic triangle: yes\ncystic plate: yes",
)  # fmt: skip
WRONG_SAFETY = [
    "All three criteria are met.",
    "With all three criteria met, the critical view of safety is achieved in this view.",
    "The critical view of safety is not achieved in this view.",
    "The critical view is achieved.",
    "Duct and artery are both seen, so only two structures enter the gallbladder.",
    "There are three structures, so the first criterion fails.",
    "Two structures, and no more, are seen to enter the gallbladder.",
    "The hepatocystic triangle is cleared of fat and fibrous tissue.",
    "The triangle is not cleared.",
    "The triangle is open.",
    "The cystic plate is in view.",
    "The liver is not in view.",
    "The cystic duct is not identified.",
    "The duct lies above the artery.",
    "The artery is to the left of the duct.",
    "The artery touches the gallbladder.",
    "An instrument touches the duct.",
    "A grasper is in view.",
    "Two instruments are in view.",
    "An instrument is dissecting at the duct.",
    "The duct is clipped.",
    "The artery is in the upper left.",
    "The gallbladder is on the left <bbox:1>.",
    "The common bile duct is in view.",
    "The anatomy is clear.",
    "It is safe to divide the duct.",
]
HONEST_SAFETY = [
    "The duct touches the gallbladder.",
    "The gallbladder and the duct touch.",
    "An instrument is in view.",
    "An instrument is in the lower right of the field.",
    "The duct is below the artery.",
]


def findings(worked: tuple, level: int, sentence: str, priors: Priors) -> list[Finding]:  # type: ignore[type-arg]
    (id, scene, boxes), levels, answer = worked
    said = "\n".join(
        f"Level {n}: {text} {sentence}" if n == level else f"Level {n}: {text}"
        for n, text in enumerate(levels, start=1)
    )
    task = id.partition(".")[0]
    question = Question(id, task, "?", (), answer, (), TASKS[task].subject(id), boxes)
    return check_chain(parse(f"<think>{said}</think><answer>{answer}</answer>"), scene, question, priors)


@pytest.mark.parametrize("worked", [ACTS, SAFETY], ids=["acts", "safety"])
def test_the_chains_without_a_further_sentence_pass(worked: tuple, all_priors: Priors) -> None:  # type: ignore[type-arg]
    assert findings(worked, 0, "", all_priors) == []


@pytest.mark.parametrize("level", [1, 2, 3])
def test_wrong_sentences_about_acts_are_caught(level: int, all_priors: Priors) -> None:
    assert [text for text in WRONG_ACTS if not findings(ACTS, level, text, all_priors)] == []


@pytest.mark.parametrize("level", [1, 2, 3])
def test_wrong_sentences_about_safety_are_caught(level: int, all_priors: Priors) -> None:
    assert [text for text in WRONG_SAFETY if not findings(SAFETY, level, text, all_priors)] == []


@pytest.mark.parametrize("level", [2, 3])
def test_honest_sentences_pass(level: int, all_priors: Priors) -> None:
    said = {text: found for text in HONEST_ACTS if (found := findings(ACTS, level, text, all_priors))}
    said |= {text: found for text in HONEST_SAFETY if (found := findings(SAFETY, level, text, all_priors))}
    assert said == {}


def sample_of(scene: Scene, *texts: str) -> Sample:
    """A stored frame with one pair per sentence of level 1."""
    pairs = []
    for n, text in enumerate(texts):
        statements = [
            Statement(level=level, text=said, basis="visual", evidence=["statement:0"])  # type: ignore[arg-type]
            for level, said in ((1, text), (2, "They are not told to act."), (3, "So this is what is in view."))
        ]
        id = ("tool.presence", "tool.count")[n]
        pairs.append(
            Pair(id=id, task=id.replace(".", "_"), question="?", support="entailed", statements=statements,
                 answer=("scissors", "1")[n], writer="w")
        )  # fmt: skip
    frame = Frame(index=0, fps="25/1", time_s=0.0, width=854, height=480, source="cholec80", file="v", native_index=0,
                  crop=[], pixels="", sha256="")  # fmt: skip
    return Sample(key=scene.key, surgery=scene.surgery, split="train", sources=["cholec80"], frame=frame,
                  labelled=sorted(scene.labelled), facts=list(scene.facts), pairs=pairs)  # fmt: skip


def test_pairs_of_one_sample_do_not_contradict_one_another(all_priors: Priors) -> None:
    facts: list[Fact] = [fact("cholec80.instrument.0", "instrument.scissors")]
    scene = scene_of("cholec80/01", facts)
    found = check_sample(sample_of(scene, "Scissors are in view.", "Scissors are not in view."), all_priors)
    assert {finding.check for id, finding in found if id == "tool.count"} >= {"contradiction", "negation"}
    agreed = check_sample(sample_of(scene, "Scissors are in view.", "Scissors are in view."), all_priors)
    assert "contradiction" not in {finding.check for _, finding in agreed}
