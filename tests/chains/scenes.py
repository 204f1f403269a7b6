"""Frames of every source, drawn by number: what its labels can hold, in any order and any place of the picture."""

from collections.abc import Callable, Sequence

from cotgen.draws import draw
from cotgen.ontology import term, vocabulary
from cotgen.ontology.triplets import legal_triplets
from cotgen.records import Fact, Measured, Scene
from tests.chains.conftest import fact, gap, scene_of


def of(options: Sequence, *names: object):  # type: ignore[type-arg, no-untyped-def]
    """One of the options."""
    return options[draw(5, *map(str, names)) % len(options)]


def box(size: tuple[int, int], *names: object) -> tuple[int, int, int, int]:
    """A box of an eighth to a half of either side, anywhere."""
    width, height = size
    w = width // 8 + draw(5, "w", *map(str, names)) % (width * 3 // 8)
    h = height // 8 + draw(5, "h", *map(str, names)) % (height * 3 // 8)
    x = draw(5, "x", *map(str, names)) % (width - w)
    y = draw(5, "y", *map(str, names)) % (height - h)
    return x, y, x + w, y + h


def gaps(facts: Sequence[Fact], *names: object) -> list[Measured]:
    """Distances of some couples: touching, or a few pixels apart."""
    found = []
    for n, one in enumerate(facts):
        for other in facts[n + 1 :]:
            value = of((0.0, 1.0, 3.0, 7.0, 20.0, None, None, None), "gap", one.id, other.id, *names)
            if value is not None:
                found.append(gap(value, one.id, other.id))
    return found


#: Triplets as they go with phases.
OF_PHASE = {
    "phase.calot_triangle_dissection": ("hook,dissect,cystic_artery", "hook,dissect,cystic_duct",
                                        "grasper,retract,gallbladder", "bipolar,coagulate,blood_vessel",
                                        "hook,dissect,gallbladder", "grasper,retract,liver"),
    "phase.clipping_and_cutting": ("clipper,clip,cystic_duct", "clipper,clip,cystic_artery", "scissors,cut,cystic_duct",
                                   "scissors,cut,cystic_artery", "grasper,retract,gallbladder", "grasper,retract,liver"),
    "phase.gallbladder_dissection": ("hook,dissect,gallbladder", "grasper,retract,gallbladder", "grasper,retract,liver",
                                     "bipolar,coagulate,liver", "irrigator,dissect,cystic_pedicle"),
    "phase.gallbladder_packaging": ("grasper,grasp,specimen_bag", "grasper,pack,gallbladder",
                                    "grasper,retract,gallbladder", "grasper,grasp,gallbladder"),
    "phase.cleaning_and_coagulation": ("irrigator,aspirate,fluid", "irrigator,irrigate,abdominal_wall_cavity",
                                       "bipolar,coagulate,liver", "grasper,retract,liver", "grasper,grasp,gut"),
}  # fmt: skip


def triplet_frame(surgery: str, n: int) -> Scene:
    """CholecT50: up to three acts or an idle instrument, some with boxes; joined with presence in two of three frames."""
    size = (854, 480)
    phase = of(list(OF_PHASE), surgery, "phase", n)
    wanted = [of(OF_PHASE[phase], surgery, "act", n, k) for k in range(draw(5, surgery, "acts", str(n)) % 4)]
    facts = [fact("cholect50.phase.0", phase), fact("cholec80.phase.0", phase)]
    acts: list[Fact] = []
    all_boxed = of((True, False), surgery, "boxed", n)
    for k, name in enumerate(dict.fromkeys(wanted)):
        terms = next(t for t in legal_triplets() if _short(t) == name)
        own = box(size, surgery, n, k) if all_boxed or of((True, False), surgery, n, k, "b") else ()
        acts.append(fact(f"cholect50.triplet.{k}", *terms, box=own))
    if of((True, False, False, False), surgery, "idle", n):
        id = of(("instrument.hook", "instrument.grasper", "instrument.bipolar"), surgery, "idle", n, "id")
        own = box(size, surgery, n, "idle")
        acts.append(fact(f"cholect50.triplet.{len(acts)}", id, "verb.null", "anatomy.null", box=own))
    facts += acts
    labelled = ["cholect50.triplet", "cholec80.phase"]
    if n % 3:
        kinds = sorted({a.terms[0] for a in acts}, key=lambda id: term(id).order)
        hidden = of((True, False), surgery, "hidden", n)
        shown = [id for id in kinds if not (hidden and id == "instrument.grasper")]
        shown += ["instrument.specimen_bag"] if any("anatomy.specimen_bag" in a.terms for a in acts) else []
        facts += [fact(f"cholec80.instrument.{k}", id) for k, id in enumerate(shown)]
        labelled.append("cholec80.instrument")
    return scene_of(surgery, facts, *labelled, size=size, index=25 * n, measured=_lit())


def _short(terms: Sequence[str]) -> str:
    return ",".join(term(id).aliases["cholect50"][0] for id in terms)


def _lit() -> tuple[Measured, ...]:
    return (Measured(name="brightness", value=81.3), Measured(name="black", value=0.0))


def safety_frame(surgery: str, n: int) -> Scene:
    """Endoscapes: some structures and tools outlined, votes on every other frame."""
    size = (854, 480)
    names = [item.id for item in vocabulary("endoscapes", "anatomy")]
    shown = [id for id in names if of((True, True, False), surgery, n, id)]
    things = [fact(f"endoscapes.anatomy.{k}", id, box=box(size, surgery, n, id)) for k, id in enumerate(shown)]
    things += [
        fact(f"endoscapes.instrument.{k}", "instrument.unnamed", box=box(size, surgery, n, "tool", k))
        for k in range(of((0, 1, 1, 2), surgery, n, "tools"))
    ]
    facts = list(things)
    labelled = ["endoscapes.anatomy", "endoscapes.instrument"]
    if n % 2:
        votes = [of((0, 1, 2, 3), surgery, n, "votes", k) for k in range(3)]
        ids = ("cvs.two_structures", "cvs.hepatocystic_triangle", "cvs.cystic_plate")
        facts += [
            fact(f"endoscapes.cvs.{k}", id, value=v / 3) for k, (id, v) in enumerate(zip(ids, votes, strict=True))
        ]
        if votes.count(2) < 2:
            facts.append(fact("endoscapes.cvs_overall.0", "cvs.critical_view", value=min(votes) / 3))
    ignored = of((0.0, 0.0, 0.04), surgery, n, "ignored")
    areas = [Measured(name="area", value=_area(item, size), of=[item.id]) for item in things]
    measured = (*_lit(), *areas, *gaps(things, surgery, n), Measured(name="ignored", value=ignored))
    return scene_of(surgery, facts, *labelled, size=size, index=25 * n, measured=measured)


def _area(item: Fact, size: tuple[int, int]) -> float:
    x1, y1, x2, y2 = item.box
    return round(0.7 * (x2 - x1) * (y2 - y1) / (size[0] * size[1]), 6)


#: Steps with the phases that they occur in.
STEPS = {
    "step.gastrojejunal_defect_closing": "phase.gastrojejunal_anastomosis",
    "step.vertical_stapling": "phase.gastric_pouch_creation",
    "step.horizontal_stapling": "phase.gastric_pouch_creation",
    "step.adhesiolysis": "phase.omentum_division",
    "step.gastric_tube_placement": "phase.anastomosis_test",
    "step.coagulation": "phase.disassembling",
    "step.jejunal_section": "phase.jejunal_separation",
    "step.mesenteric_defect_closing": "phase.closure_mesenteric_defect",
    "step.petersen_space_closing": "phase.closure_petersen_space",
}


def bypass_frame(surgery: str, n: int) -> Scene:
    """MultiBypass140: a phase and a step, or a view from outside the body."""
    if n % 9 == 0:
        return scene_of(surgery, [fact("multibypass140.view.0", "view.out_of_body")], index=25 * n)
    step = of(list(STEPS), surgery, n)
    facts = [fact("multibypass140.phase.0", STEPS[step]), fact("multibypass140.step.0", step)]
    return scene_of(surgery, facts, "multibypass140.view", index=25 * n, size=(854, 480), measured=_lit())


def suture_frame(surgery: str, n: int) -> Scene:
    """SAR-RARP50: an action, and outlines of some classes, those in several pieces without a box."""
    size = (1920, 1080)
    actions = [item.id for item in vocabulary("sar_rarp50", "action")]
    objects = [item.id for item in vocabulary("sar_rarp50", "object")]
    shown = [id for id in objects if of((True, False), surgery, n, id)] or ["object.clasper"]
    things = [
        fact(
            f"sar_rarp50.object.{k}",
            id,
            box=box(size, surgery, n, id) if of((1, 1, 0), surgery, n, id, "piece") else (),
        )
        for k, id in enumerate(shown)
    ]
    facts = [*things, fact("sar_rarp50.action.0", of(actions, surgery, n, "action"))]
    measured = (*_lit(), *gaps(things, surgery, n))
    return scene_of(surgery, facts, size=size, index=6 * n, measured=measured)


def parts_frame(surgery: str, n: int) -> Scene:
    """EndoVis 2017: up to three outlined instruments, two of one kind in a third of the frames, and their jaws."""
    size = (1280, 1024)
    kinds = [item.id for item in vocabulary("endovis17", "instrument") if item.id != "instrument.unnamed"]
    number = of((1, 2, 2, 3), surgery, n, "number")
    ids = [of(kinds, surgery, n, k) for k in range(number)]
    if number > 1 and of((True, False, False), surgery, n, "twins"):
        ids[1] = ids[0]
    facts = [fact(f"endovis17.instrument.{k}", id, box=box(size, surgery, n, k)) for k, id in enumerate(ids)]
    for k, item in enumerate(list(facts)):
        x1, y1, x2, y2 = item.box
        own = (x1 + (x2 - x1) // 4, y1 + (y2 - y1) // 4, x1 + (x2 - x1) // 2, y1 + (y2 - y1) // 2)
        facts.append(fact(f"endovis17.object.{k}", "object.clasper", item.terms[0], box=own))
    measured = (*_lit(), *gaps(facts[:number], surgery, n))
    return scene_of(surgery, facts, size=size, index=n, measured=measured)


def state_frame(surgery: str, n: int) -> Scene:
    """EndoVis 2018: outlined instruments with their states, the kidney outlined in most frames."""
    size = (1280, 1024)
    states = {
        "instrument.bipolar": ("verb.manipulate_tissue", "verb.retract", "verb.null", "verb.cauterise"),
        "instrument.prograsp_forceps": ("verb.grasp", "verb.retract", "verb.null", "verb.manipulate_tool"),
        "instrument.large_needle_driver": ("verb.suture", "verb.loop", "verb.null"),
        "instrument.monopolar_curved_scissors": ("verb.cut", "verb.cauterise", "verb.manipulate_tissue", "verb.null"),
        "instrument.suction_instrument": ("verb.suction", "verb.null"),
        "instrument.clip_applier": ("verb.clip",),
        "instrument.ultrasound_probe": ("verb.sense", "verb.null"),
        "instrument.stapler": ("verb.staple",),
    }
    states["instrument.clipper"] = states.pop("instrument.clip_applier")
    ids = [id for id in states if of((True, False, False), surgery, n, id)] or ["instrument.bipolar"]
    facts: list[Fact] = []
    for k, id in enumerate(ids[:3]):
        own = box(size, surgery, n, id)
        verb = of(states[id], surgery, n, id, "state")
        aim = "anatomy.null" if verb == "verb.null" else "anatomy.kidney"
        facts.append(fact(f"endovis18.instrument.{k}", id, box=own))
        facts.append(fact(f"endovis18.triplet.{k}", id, verb, aim, box=own))
    if of((True, True, False), surgery, n, "kidney"):
        facts.append(fact("endovis18.anatomy.0", "anatomy.kidney", box=box(size, surgery, n, "kidney")))
    outlined = [item for item in facts if item.kind != "triplet"]
    measured = (*_lit(), *gaps(outlined, surgery, n))
    return scene_of(surgery, facts, "endovis18.anatomy", size=size, index=n, measured=measured)


FRAMES: dict[str, tuple[str, Callable[[str, int], Scene]]] = {
    "cholect50": ("cholec80/73", triplet_frame),
    "endoscapes": ("endoscapes/2", safety_frame),
    "multibypass140": ("multibypass140/bbp01", bypass_frame),
    "sar_rarp50": ("sar_rarp50/7", suture_frame),
    "endovis17": ("endovis17/1", parts_frame),
    "endovis18": ("endovis18/1", state_frame),
}


def frames_of(source: str, number: int) -> list[Scene]:
    """So many frames of one look-alike surgery of a source."""
    surgery, make = FRAMES[source]
    return [make(surgery, n) for n in range(number)]
