"""A small corpus of scenes whose phases and instruments go together as in real operations."""

from collections.abc import Iterator

import polars as pl
import pytest

from cotgen.draws import draw
from cotgen.ontology import term, vocabulary
from cotgen.records import Context, Fact, Measured, Scene, disputes, sample_key
from cotgen.records.scene import PROCEDURES
from cotgen.sources.base import FACTS_SCHEMA, LABELLED_SCHEMA, SurgeryFacts
from cotgen.surgeries.join import PRECEDENCE
from cotgen.surgeries.priors import PHASE_BY_STEP, PHASE_BY_TRIPLET, Priors, count_priors

#: phase -> (instruments, weight): the most frequent sets of each phase, roughly as in the public files.
SETS: dict[str, list[tuple[str, int]]] = {
    "preparation": [("", 10), ("grasper", 9), ("scissors", 1)],
    "calot_triangle_dissection": [("grasper hook", 40), ("hook", 20), ("grasper", 8), ("", 3), ("bipolar", 2),
                                  ("grasper bipolar", 1), ("irrigator", 2), ("grasper irrigator", 1)],
    "clipping_and_cutting": [("grasper clipper", 6), ("clipper", 5), ("grasper", 5), ("", 4), ("grasper scissors", 4),
                             ("scissors", 4), ("hook", 1)],
    "gallbladder_dissection": [("hook", 25), ("grasper hook", 18), ("grasper", 6), ("", 5), ("irrigator", 3),
                               ("bipolar", 2), ("grasper bipolar", 1), ("grasper irrigator hook", 1)],
    "gallbladder_packaging": [("grasper specimen_bag", 14), ("", 3), ("specimen_bag", 1), ("grasper", 2)],
    "cleaning_and_coagulation": [("irrigator", 5), ("grasper", 5), ("grasper bipolar", 4), ("grasper irrigator", 4),
                                 ("", 5), ("specimen_bag irrigator", 2), ("bipolar", 3), ("grasper specimen_bag", 2)],
    "gallbladder_extraction": [("", 9), ("grasper specimen_bag", 4), ("grasper", 3), ("specimen_bag", 3)],
}  # fmt: skip
SECONDS = {"preparation": 20, "calot_triangle_dissection": 160, "clipping_and_cutting": 40,
           "gallbladder_dissection": 130, "gallbladder_packaging": 25, "cleaning_and_coagulation": 35,
           "gallbladder_extraction": 20}  # fmt: skip


def make_scene(surgery: str, index: int, phase: str, instruments: list[str], *, black: bool = False) -> Scene:
    """One labelled frame; names without their prefix."""
    ids = sorted((f"instrument.{name}" for name in instruments), key=lambda id: term(id).order)
    facts = [Fact(id="cholec80.phase.0", kind="phase", terms=[f"phase.{phase}"], source="cholec80")]
    facts += [
        Fact(id=f"cholec80.instrument.{n}", kind="instrument", terms=[id], source="cholec80")
        for n, id in enumerate(ids)
    ]
    level = 0.4 if black else 81.3
    return Scene(
        key=sample_key(surgery, index),
        surgery=surgery,
        index=index,
        labelled=frozenset({"cholec80.phase", "cholec80.instrument"}),
        facts=tuple(facts),
        measured=(Measured(name="brightness", value=level), Measured(name="black", value=float(black))),
    )


def make_surgery(number: int) -> list[Scene]:
    """The scenes of one look-alike surgery, a second apart, instruments drawn by the weights of their phase."""
    surgery, found = f"cholec80/{number:02d}", []
    for phase, seconds in SECONDS.items():
        bag = [name for name, weight in SETS[phase] for _ in range(weight)]
        for _ in range(seconds):
            index = 25 * len(found)
            names = bag[draw(number, "set", str(index)) % len(bag)].split()
            found.append(make_scene(surgery, index, phase, names))
    return found


def as_facts(scenes: list[Scene]) -> SurgeryFacts:
    """The table of facts that the scenes come from."""
    rows = [(s.index, f.id, f.kind, f.terms, [], 1.0, f.source) for s in scenes for f in s.facts]
    labelled = [(s.index, name) for s in scenes for name in sorted(s.labelled)]
    return SurgeryFacts(
        scenes[0].surgery,
        pl.DataFrame(rows, schema=FACTS_SCHEMA, orient="row"),
        pl.DataFrame(labelled, schema=LABELLED_SCHEMA, orient="row"),
    )


@pytest.fixture(scope="session")
def surgeries() -> list[list[Scene]]:
    return [make_surgery(number) for number in (1, 2, 4, 5, 13, 15)]


@pytest.fixture(scope="session")
def priors(surgeries: list[list[Scene]]) -> Priors:
    return count_priors((as_facts(scenes) for scenes in surgeries), "clean/1")


@pytest.fixture
def all_sets() -> Iterator[str]:
    yield from (item.id for item in vocabulary("cholec80", "instrument"))


def fact(id: str, *terms: str, box: tuple[int, ...] = (), value: float = 1.0) -> Fact:
    """A fact by its id, `endoscapes.anatomy.0`."""
    source, kind, _ = id.split(".")
    return Fact(id=id, kind=kind, terms=list(terms), box=list(box), value=value, source=source)


def gap(value: float, *of: str) -> Measured:
    """The distance of two outlines in pixels."""
    return Measured(name="gap", value=value, of=sorted(of))


def scene_of(
    surgery: str,
    facts: list[Fact],
    *labelled: str,
    size: tuple[int, int] = (0, 0),
    measured: tuple[Measured, ...] = (),
    context: tuple[Context, ...] = (),
    index: int = 0,
) -> Scene:
    """A frame with these facts; the kinds that the facts are of count as labelled."""
    names = {f"{item.source}.{item.kind}" for item in facts} | set(labelled)
    return Scene(
        key=sample_key(surgery, index),
        surgery=surgery,
        index=index,
        labelled=frozenset(names),
        facts=tuple(facts),
        measured=measured,
        procedure=PROCEDURES[surgery.partition("/")[0]],
        precedence=PRECEDENCE,
        size=size,
        disputed=disputes(facts, names),
        context=context,
    )


#: Counts over the public files: acts and steps that go with one phase, and one that goes with several.
ACTS = {
    "instrument.clipper+verb.clip+anatomy.cystic_duct": {"phase.clipping_and_cutting": [860, 9]},
    "instrument.hook+verb.dissect+anatomy.cystic_artery": {"phase.calot_triangle_dissection": [576, 8]},
    "instrument.scissors+verb.cut+anatomy.cystic_duct": {"phase.clipping_and_cutting": [260, 8]},
    "instrument.scissors+verb.cut+anatomy.cystic_artery": {"phase.clipping_and_cutting": [190, 8]},
    "instrument.grasper+verb.retract+anatomy.gallbladder": {
        "phase.calot_triangle_dissection": [5100, 10],
        "phase.clipping_and_cutting": [900, 10],
        "phase.gallbladder_dissection": [4300, 10],
        "phase.preparation": [100, 6],
    },
    "instrument.grasper+verb.grasp+anatomy.gallbladder": {
        "phase.calot_triangle_dissection": [300, 9],
        "phase.gallbladder_dissection": [500, 9],
        "phase.gallbladder_packaging": [200, 9],
    },
    "instrument.hook+verb.dissect+anatomy.gallbladder": {
        "phase.calot_triangle_dissection": [1500, 10],
        "phase.gallbladder_dissection": [4200, 10],
    },
}
STEPS = {
    "step.gastrojejunal_defect_closing": {"phase.gastrojejunal_anastomosis": [9000, 98]},
    "step.vertical_stapling": {"phase.gastric_pouch_creation": [5000, 96]},
    "step.adhesiolysis": {"phase.omentum_division": [680, 60], "phase.preparation": [320, 50]},
    "step.gastric_tube_placement": {"phase.anastomosis_test": [380, 60], "phase.gastric_pouch_creation": [620, 60]},
}


@pytest.fixture(scope="session")
def all_priors(priors: Priors) -> Priors:
    """The statistics of the look-alike surgeries, and those of acts and steps."""
    return priors.model_copy(update={"tables": priors.tables | {PHASE_BY_TRIPLET: ACTS, PHASE_BY_STEP: STEPS}})
