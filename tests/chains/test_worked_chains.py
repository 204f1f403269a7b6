"""The worked chains of every source: the standard of the text. Each passes every content check, with its support."""

import pytest

from cotgen.chains.checks import check_chain, support_of
from cotgen.chains.checks.base import Case
from cotgen.chains.render import parse
from cotgen.records import Context, Measured, Scene
from cotgen.surgeries.priors import Priors
from cotgen.tasks import TASKS
from cotgen.tasks.base import Question
from tests.chains.conftest import fact, gap, make_scene, scene_of

GRASPER, HOOK, SCISSORS = "instrument.grasper", "instrument.hook", "instrument.scissors"
CLIPPER, IRRIGATOR = "instrument.clipper", "instrument.irrigator"
DRIVER, CURVED = "instrument.large_needle_driver", "instrument.monopolar_curved_scissors"
GALLBLADDER, DUCT, ARTERY = "anatomy.gallbladder", "anatomy.cystic_duct", "anatomy.cystic_artery"
KIDNEY = "anatomy.kidney"
CHOLECT50 = (586, 328)


def cvs(two: float, triangle: float, plate: float, whole: float | None = None) -> list:  # type: ignore[type-arg]
    facts = [
        fact("endoscapes.cvs.0", "cvs.two_structures", value=two),
        fact("endoscapes.cvs.1", "cvs.hepatocystic_triangle", value=triangle),
        fact("endoscapes.cvs.2", "cvs.cystic_plate", value=plate),
    ]
    return facts if whole is None else [*facts, fact("endoscapes.cvs_overall.0", "cvs.critical_view", value=whole)]


#: What it shows -> pair id, scene, boxes, support, levels 1 to 3, answer.
WORKED: dict[str, tuple[str, Scene, list[tuple[int, ...]], str, tuple[str, str, str], str]] = {
    "1 phase, no instrument": (
        "phase.open",
        make_scene("cholec80/42", 1150, "preparation", []),
        [],
        "asserted",
        (
            "No instrument tip is clearly in view.",
            "There is thus no instrument to relate to a structure.",
            "A view without instruments comes up in every phase and does not tell them apart. "
            "This one belongs to the preparation.",
        ),
        "Preparation",
    ),
    "2 phase, one common instrument": (
        "phase.open",
        make_scene("cholec80/73", 22900, "gallbladder_dissection", ["hook"]),
        [],
        "weak",
        (
            "A hook is in view.",
            "A hook takes up a little tissue and divides it with current.",
            "Alone in the field it is met in both dissecting phases, more often on the liver bed than in Calot's "
            "triangle. Gallbladder dissection fits best.",
        ),
        "Gallbladder dissection",
    ),
    "3 phase, the instrument that decides": (
        "phase.open",
        make_scene("cholec80/73", 18475, "clipping_and_cutting", ["grasper", "clipper"]),
        [],
        "strong",
        (
            "Grasper and clip applier are in view.",
            "A clip applier serves to close a duct or a vessel, a grasper to hold tissue.",
            "A clip applier is rarely out at any other time than for clipping and cutting. "
            "So this is the clipping and cutting phase.",
        ),
        "Clipping and cutting",
    ),
    "4 tool presence": (
        "tool.presence",
        make_scene("cholec80/42", 17650, "calot_triangle_dissection", ["grasper", "hook"]),
        [],
        "entailed",
        (
            "Grasper and hook are both in view.",
            "In dissection a grasper puts tissue on stretch and a hook opens it.",
            "The two together mark the dissecting phases, in Calot's triangle or on the liver bed.",
        ),
        "grasper, hook",
    ),
    "5 yes or no, hard negative": (
        "tool.yesno.instrument.clipper",
        make_scene("cholec80/73", 19725, "clipping_and_cutting", ["scissors"]),
        [],
        "entailed",
        (
            "Scissors are in view. A clip applier is not.",
            "The two work on the same structures in turn: clips first, then the cut between them.",
            "So scissors in the field do not mean that the clip applier is there as well.",
        ),
        "No",
    ),
    "6 one instrument, the uncommon use": (
        "triplet.doing.instrument.irrigator",
        scene_of(
            "cholec80/73",
            [
                fact("cholect50.triplet.0", GRASPER, "verb.retract", GALLBLADDER),
                fact(
                    "cholect50.triplet.1",
                    IRRIGATOR,
                    "verb.dissect",
                    "anatomy.cystic_pedicle",
                    box=(198, 136, 328, 292),
                ),
            ],
            size=CHOLECT50,
        ),
        [(198, 136, 328, 292)],
        "entailed",
        (
            "An irrigator is in the lower part of the field <bbox:0>. A grasper is at work as well.",
            "The irrigator is dissecting at the cystic pedicle while the grasper keeps the gallbladder on traction.",
            "Irrigators are often there for suction and rarely for dissection. It is the rarer use that is seen here.",
        ),
        "irrigator, dissect, cystic pedicle",
    ),
    "7 several triplets, two graspers": (
        "triplet.set",
        scene_of(
            "cholec80/73",
            [
                fact("cholec80.instrument.0", GRASPER),
                fact("cholec80.instrument.1", "instrument.specimen_bag"),
                fact("cholect50.triplet.0", GRASPER, "verb.grasp", GALLBLADDER, box=(143, 173, 300, 283)),
                fact("cholect50.triplet.1", GRASPER, "verb.grasp", "anatomy.specimen_bag", box=(368, 95, 469, 163)),
            ],
            size=CHOLECT50,
        ),
        [(143, 173, 300, 283), (368, 95, 469, 163)],
        "entailed",
        (
            "Two graspers are in view, one in the lower left <bbox:0>, the other in the upper right <bbox:1>. "
            "A specimen bag is there too.",
            "The lower grasper has hold of the gallbladder, the upper one of the bag.",
            "A freed gallbladder is put into a bag before it leaves the abdomen. A grasper on each fits that task.",
        ),
        "grasper, grasp, gallbladder\ngrasper, grasp, specimen bag",
    ),
    "8 an idle instrument": (
        "triplet.doing.instrument.hook",
        scene_of(
            "cholec80/73",
            [fact("cholect50.triplet.0", HOOK, "verb.null", "anatomy.null", box=(347, 171, 485, 306))],
            size=CHOLECT50,
        ),
        [(347, 171, 485, 306)],
        "entailed",
        (
            "A hook is in the lower right of the field <bbox:0>.",
            "It is not acting on any structure.",
            "A hook in view is typically dissecting; an idle one is the exception. This is such an exception.",
        ),
        "hook, no action, no target",
    ),
    "9 phase, the act that decides": (
        "phase.open",
        scene_of(
            "cholec80/73",
            [
                fact("cholec80.phase.0", "phase.clipping_and_cutting"),
                fact("cholec80.instrument.0", GRASPER),
                fact("cholec80.instrument.1", CLIPPER),
                fact("cholect50.phase.0", "phase.clipping_and_cutting"),
                fact("cholect50.triplet.0", GRASPER, "verb.retract", GALLBLADDER, box=(187, 11, 460, 98)),
                fact("cholect50.triplet.1", CLIPPER, "verb.clip", DUCT, box=(308, 150, 463, 279)),
            ],
            size=CHOLECT50,
        ),
        [(187, 11, 460, 98), (308, 150, 463, 279)],
        "strong",
        (
            "A grasper lies in the upper part of the field <bbox:0>, a clip applier in the lower right <bbox:1>. "
            "Gallbladder and cystic duct, on which they work, are in view.",
            "The grasper retracts the gallbladder; on the cystic duct the clip applier is setting a clip.",
            "Traction on the gallbladder goes on through several phases and settles nothing by itself. "
            "Duct and artery are clipped in the clipping and cutting phase. "
            "The clip on the duct therefore decides: clipping and cutting.",
        ),
        "Clipping and cutting",
    ),
    "10 phase, an instrument at work without a box": (
        "phase.open",
        scene_of(
            "cholec80/73",
            [
                fact("cholec80.phase.0", "phase.calot_triangle_dissection"),
                fact("cholec80.instrument.0", HOOK),
                fact("cholect50.triplet.0", HOOK, "verb.dissect", ARTERY, box=(289, 103, 465, 259)),
                fact("cholect50.triplet.1", GRASPER, "verb.retract", GALLBLADDER),
            ],
            size=CHOLECT50,
        ),
        [(289, 103, 465, 259)],
        "strong",
        (
            "A hook is on the right <bbox:0>, and a grasper is at work as well.",
            "The hook is dissecting at the cystic artery; the grasper keeps the gallbladder on traction.",
            "The cystic artery is dissected while Calot's triangle is opened. "
            "So this is the dissection of Calot's triangle.",
        ),
        "Calot triangle dissection",
    ),
    "11 critical view achieved": (
        "cvs.criteria",
        scene_of(
            "endoscapes/1",
            [
                fact("endoscapes.anatomy.0", GALLBLADDER, box=(60, 20, 470, 300)),
                fact("endoscapes.anatomy.1", DUCT, box=(330, 250, 500, 330)),
                fact("endoscapes.anatomy.2", ARTERY, box=(410, 190, 520, 235)),
                fact("endoscapes.anatomy.3", "anatomy.cystic_plate", box=(440, 90, 540, 180)),
                *cvs(1.0, 2 / 3, 1.0, 2 / 3),
            ],
            size=(854, 480),
            measured=(
                gap(0.0, "endoscapes.anatomy.0", "endoscapes.anatomy.1"),
                gap(2.0, "endoscapes.anatomy.0", "endoscapes.anatomy.2"),
            ),
        ),
        [(60, 20, 470, 300), (330, 250, 500, 330), (410, 190, 520, 235), (440, 90, 540, 180)],
        "entailed",
        (
            "Gallbladder <bbox:0>, cystic duct <bbox:1>, cystic artery <bbox:2> and cystic plate <bbox:3> are in view.",
            "The artery lies above the duct in the picture; both touch the gallbladder.",
            "Two structures, and no more, are seen to enter the gallbladder. "
            "The hepatocystic triangle seems cleared, with some doubt. "
            "The lower third of the gallbladder is off the liver, so that the cystic plate shows. "
            "With all three criteria met, the critical view of safety is achieved in this view.",
        ),
        "two structures: yes\nhepatocystic triangle: yes\ncystic plate: yes\ncritical view: achieved",
    ),
    "12 critical view doubtful": (
        "cvs.criteria",
        scene_of(
            "endoscapes/126",
            [
                fact("endoscapes.anatomy.0", GALLBLADDER, box=(20, 10, 520, 420)),
                fact("endoscapes.anatomy.1", ARTERY, box=(361, 280, 470, 336)),
                fact("endoscapes.anatomy.2", DUCT, box=(357, 360, 516, 432)),
                fact("endoscapes.anatomy.3", "anatomy.hepatocystic_triangle", box=(365, 320, 453, 367)),
                *cvs(1.0, 1.0, 1 / 3, 1 / 3),
            ],
            size=(854, 480),
            measured=(Measured(name="area", value=0.352, of=["endoscapes.anatomy.0"]),),
        ),
        [(361, 280, 470, 336), (357, 360, 516, 432)],
        "entailed",
        (
            "The gallbladder takes up more than a third of the picture; cystic artery <bbox:0> and cystic duct <bbox:1> "
            "are in view.",
            "The artery lies above the duct, and part of the hepatocystic triangle shows between the two.",
            "Two structures, and no more, are seen to enter the gallbladder. "
            "The hepatocystic triangle is cleared of fat and fibrous tissue. "
            "That the lower third of the gallbladder is off the liver is doubtful, and rather not the case. "
            "One criterion is missing, so the critical view of safety is not achieved in this view.",
        ),
        "two structures: yes\nhepatocystic triangle: yes\ncystic plate: no\ncritical view: not achieved",
    ),
    "13 localization": (
        "loc.anatomy.cystic_duct",
        scene_of(
            "endoscapes/169",
            [
                fact("endoscapes.anatomy.0", DUCT, box=(191, 280, 403, 417)),
                fact("endoscapes.anatomy.1", GALLBLADDER, box=(111, 1, 479, 294)),
                fact("endoscapes.instrument.0", "instrument.unnamed", box=(339, 256, 697, 478)),
            ],
            size=(854, 480),
            measured=(
                gap(3.0, "endoscapes.anatomy.0", "endoscapes.instrument.0"),
                gap(1.0, "endoscapes.anatomy.0", "endoscapes.anatomy.1"),
                Measured(name="ignored", value=0.0),
            ),
        ),
        [(191, 280, 403, 417), (339, 256, 697, 478)],
        "entailed",
        (
            "The cystic duct is in the lower left of the field <bbox:0>, the gallbladder above it.",
            "An instrument <bbox:1> touches the duct from the right.",
            "The duct leads from the neck of the gallbladder to the common hepatic duct. "
            "It is thus found next to the gallbladder.",
        ),
        "<bbox:0>",
    ),
    "14 localization of what is not there": (
        "loc.anatomy.cystic_artery",
        scene_of(
            "endoscapes/38",
            [
                fact("endoscapes.anatomy.0", DUCT, box=(475, 149, 518, 240)),
                fact("endoscapes.anatomy.1", GALLBLADDER, box=(90, 30, 470, 330)),
                fact("endoscapes.instrument.0", "instrument.unnamed", box=(560, 200, 800, 470)),
            ],
            size=(854, 480),
            measured=(
                gap(2.0, "endoscapes.anatomy.0", "endoscapes.anatomy.1"),
                Measured(name="ignored", value=0.0),
            ),
        ),
        [],
        "entailed",
        (
            "Gallbladder and cystic duct are in view; the cystic artery is not identified.",
            "The duct lies at the edge of the gallbladder, to its right.",
            "The artery most often runs above and medial to the duct. "
            "No such structure is identified in this view, so there is nothing to mark.",
        ),
        "not visible",
    ),
    "15 phase of a bypass": (
        "phase.open",
        scene_of(
            "multibypass140/bbp01",
            [
                fact("multibypass140.phase.0", "phase.gastrojejunal_anastomosis"),
                fact("multibypass140.step.0", "step.gastrojejunal_defect_closing"),
            ],
            "multibypass140.view",
        ),
        [],
        "strong",
        (
            "The camera is inside the abdomen.",
            "The defect in the join of gastric pouch and jejunum is being closed.",
            "This closure belongs to the gastrojejunal anastomosis and to no other phase. So that is the phase.",
        ),
        "Gastrojejunal anastomosis",
    ),
    "16 step of a bypass": (
        "step.open",
        scene_of(
            "multibypass140/bbp01",
            [
                fact("multibypass140.phase.0", "phase.gastric_pouch_creation"),
                fact("multibypass140.step.0", "step.vertical_stapling"),
            ],
            "multibypass140.view",
        ),
        [],
        "asserted",
        (
            "The camera is inside the abdomen.",
            "Work is on the stomach, where the pouch is being made.",
            "The pouch takes two staple lines, a horizontal one and then a vertical one. "
            "The step shown is the vertical stapling.",
        ),
        "Vertical stapling",
    ),
    "17 action": (
        "action.open",
        scene_of(
            "sar_rarp50/7",
            [
                fact("sar_rarp50.action.0", "action.push_needle"),
                fact("sar_rarp50.object.0", "object.clasper", box=(870, 480, 1110, 660)),
                fact("sar_rarp50.object.1", "object.needle", box=(930, 560, 1180, 700)),
                fact("sar_rarp50.object.2", "object.thread", box=(1120, 300, 1700, 640)),
            ],
            size=(1920, 1080),
            measured=(
                gap(0.0, "sar_rarp50.object.0", "sar_rarp50.object.1"),
                gap(1.0, "sar_rarp50.object.1", "sar_rarp50.object.2"),
            ),
        ),
        [(870, 480, 1110, 660), (930, 560, 1180, 700), (1120, 300, 1700, 640)],
        "asserted",
        (
            "Instrument jaws <bbox:0> and the suturing needle <bbox:1> are near the centre; thread is on the right "
            "<bbox:2>.",
            "The needle touches the jaws, and the thread touches the needle.",
            "A needle at the jaws may be on its way to the tissue, going through it or coming out of it. "
            "At this moment it is being pushed through the tissue.",
        ),
        "pushing the needle through the tissue",
    ),
    "17 no action": (
        "action.open",
        scene_of(
            "sar_rarp50/7",
            [
                fact("sar_rarp50.action.0", "action.other"),
                fact("sar_rarp50.object.0", "object.clasper", box=(870, 480, 1110, 660)),
                fact("sar_rarp50.object.1", "object.needle", box=(930, 560, 1180, 700)),
            ],
            size=(1920, 1080),
            measured=(gap(0.0, "sar_rarp50.object.0", "sar_rarp50.object.1"),),
        ),
        [(870, 480, 1110, 660)],
        "asserted",
        (
            "Instrument jaws are near the centre <bbox:0>.",
            "The needle touches the jaws.",
            "None of the needle and suture actions is going on.",
        ),
        "other",
    ),
    "18 all instruments": (
        "loc.all",
        scene_of(
            "endovis17/1",
            [
                fact("endovis17.instrument.0", DRIVER, box=(327, 330, 839, 814)),
                fact("endovis17.instrument.1", DRIVER, box=(805, 397, 1593, 700)),
                fact("endovis17.object.0", "object.clasper", DRIVER, box=(600, 350, 800, 470)),
                fact("endovis17.object.1", "object.clasper", DRIVER, box=(810, 560, 1000, 690)),
            ],
            size=(1920, 1080),
        ),
        [(327, 330, 839, 814), (805, 397, 1593, 700)],
        "entailed",
        (
            "Two large needle drivers are in view, one on the left <bbox:0>, one on the right <bbox:1>.",
            "The jaws of the left one are higher than those of the right one.",
            "Two instruments are thus to be marked.",
        ),
        "large needle driver <bbox:0>\nlarge needle driver <bbox:1>",
    ),
    "19 what each instrument is doing": (
        "triplet.set",
        scene_of(
            "endovis18/5",
            [
                fact("endovis18.instrument.0", "instrument.bipolar", box=(20, 300, 400, 700)),
                fact("endovis18.instrument.1", CURVED, box=(700, 300, 1100, 800)),
                fact("endovis18.instrument.2", "instrument.suction_instrument", box=(500, 600, 700, 1000)),
                fact("endovis18.anatomy.0", KIDNEY, box=(200, 200, 900, 800)),
                fact("endovis18.triplet.0", "instrument.bipolar", "verb.manipulate_tissue", KIDNEY),
                fact("endovis18.triplet.1", CURVED, "verb.cut", KIDNEY),
                fact("endovis18.triplet.2", "instrument.suction_instrument", "verb.suction", KIDNEY),
            ],
            size=(1280, 1024),
        ),
        [],
        "entailed",
        (
            "Bipolar forceps, monopolar curved scissors and a suction instrument are in view, and the kidney.",
            "The forceps are handling tissue, the scissors are cutting, and the suction instrument is sucking.",
            "All three are at work at the same organ, the kidney.",
        ),
        "bipolar forceps, tissue manipulation, kidney\n"
        "monopolar curved scissors, cutting, kidney\n"
        "suction instrument, suction, kidney",
    ),
    "20 localization beside the kidney": (
        "loc.instrument.monopolar_curved_scissors",
        scene_of(
            "endovis18/2",
            [
                fact("endovis18.instrument.0", CURVED, box=(490, 277, 1274, 752)),
                fact("endovis18.anatomy.0", KIDNEY, box=(11, 333, 658, 945)),
                fact("endovis18.triplet.0", CURVED, "verb.manipulate_tissue", KIDNEY, box=(490, 277, 1274, 752)),
            ],
            size=(1280, 1024),
        ),
        [(490, 277, 1274, 752), (11, 333, 658, 945)],
        "entailed",
        (
            "Monopolar curved scissors are on the right <bbox:0>, with the kidney to their left <bbox:1>.",
            "The scissors are handling tissue at the kidney.",
            "Scissors that handle tissue are not cutting it at that moment.",
        ),
        "<bbox:0>",
    ),
    "21 the seconds before": (
        "phase.open",
        scene_of(
            "cholec80/73",
            [
                fact("cholec80.phase.0", "phase.clipping_and_cutting"),
                fact("cholect50.triplet.0", SCISSORS, "verb.cut", DUCT, box=(227, 132, 432, 295)),
                fact("cholect50.triplet.1", GRASPER, "verb.retract", GALLBLADDER),
            ],
            size=CHOLECT50,
            context=tuple(
                Context(offset_s=-n, facts=[fact("cholect50.triplet.0", SCISSORS, "verb.cut", ARTERY)])
                for n in (3.0, 2.0, 1.0)
            ),
        ),
        [(227, 132, 432, 295)],
        "strong",
        (
            "Scissors are in the lower part of the field <bbox:0>, and a grasper is at work as well.",
            "The scissors are cutting the cystic duct; the grasper keeps the gallbladder on traction. "
            "In the seconds before, they were cutting the cystic artery.",
            "Artery and duct are both cut in the clipping and cutting phase. "
            "The work has passed from one to the other within that phase.",
        ),
        "Clipping and cutting",
    ),
    "22 out of the body": (
        "camera.inside",
        scene_of("multibypass140/bbp01", [fact("multibypass140.view.0", "view.out_of_body")]),
        [],
        "entailed",
        (
            "This is a view from outside the body.",
            "It holds no operative field in which instrument and tissue could be related.",
            "So nothing about the operation is to be read from it.",
        ),
        "No",
    ),
    "23 a black frame": (
        "field.visible",
        make_scene("cholec80/01", 0, "preparation", [], black=True),
        [],
        "entailed",
        (
            "The picture is black.",
            "Nothing in it can be related to anything else.",
            "The state of the operation cannot be read from it.",
        ),
        "No",
    ),
}
#: How the id of a pair begins -> its task.
TASK_OF = {
    "tool.presence": "tool_presence",
    "tool.yesno": "tool_yesno",
    "loc": "localization",
    "field": "field_visible",
}


def case_of(name: str, priors: Priors) -> Case:
    id, scene, boxes, _, levels, answer = WORKED[name]
    task = next((task for start, task in TASK_OF.items() if id.startswith(start)), id.partition(".")[0])
    said = "\n".join(f"Level {n}: {text}" for n, text in enumerate(levels, start=1))
    question = Question(id, task, "?", (), answer, (), TASKS[task].subject(id), tuple((*box,) for box in boxes))  # type: ignore[misc]
    return Case(parse(f"<think>{said}</think><answer>{answer}</answer>"), scene, question, priors)


@pytest.mark.parametrize("name", WORKED)
def test_a_worked_chain_passes_every_check(name: str, all_priors: Priors) -> None:
    case = case_of(name, all_priors)
    assert check_chain(case.chain, case.scene, case.question, all_priors) == []


@pytest.mark.parametrize("name", WORKED)
def test_a_worked_chain_has_the_support_that_it_is_printed_with(name: str, all_priors: Priors) -> None:
    assert support_of(case_of(name, all_priors)) == WORKED[name][3]
