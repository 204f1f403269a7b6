"""Each form of evidence, resolved against a frame with two instruments, a triplet with a box, and one number."""

from typing import Any

import pytest

from cotgen.records import Context, Fact, Frame, Measured, Pair, Sample, Statement
from cotgen.shards.evidence import resolve_evidence
from cotgen.surgeries.priors import Priors

PRIORS = Priors(
    source="cholec80",
    split_table="clean/1",
    surgeries=["cholec80/01"],
    tables={"phase|instrument": {"instrument.hook": {"phase.preparation": [3, 1]}}},
)


def fact(id: str, *terms: str, box: list[int] | None = None) -> Fact:
    source, kind, _ = id.split(".")
    return Fact(id=id, kind=kind, terms=list(terms), source=source, box=box or [])


def problems(*evidence: str, priors: Priors | None = PRIORS) -> list[str]:
    statements = [
        Statement(level=1, text="A hook is in view.", basis="label", evidence=["fact:cholec80.instrument.0"]),
        Statement(level=1, text="A clip applier lies here.", basis="label", evidence=list(evidence)),
    ]
    pair = Pair(
        id="phase.open",
        task="phase",
        question="?",
        boxes=[[2, 3, 10, 12], [0, 0, 5, 5]],
        support="asserted",
        statements=statements,
        answer="a",
        writer="w",
    )
    frame: dict[str, Any] = {"fps": "25/1", "time_s": 1.0, "width": 20, "height": 20, "source": "cholec80"}
    sample = Sample(
        key="cholec80-01-000025",
        surgery="cholec80/01",
        split="train",
        sources=["cholec80", "cholect50"],
        frame=Frame(index=25, file="v", native_index=25, crop=[], pixels="", sha256="", **frame),
        labelled=["cholec80.instrument", "cholec80.phase", "cholect50.triplet"],
        facts=[
            fact("cholec80.instrument.0", "instrument.hook"),
            fact("cholec80.instrument.1", "instrument.clipper"),
            fact("cholect50.triplet.0", "instrument.hook", "verb.dissect", "anatomy.x", box=[2, 3, 10, 12]),
        ],
        measured=[
            Measured(name="brightness", value=41.2),
            Measured(name="gap", value=1.0, of=["cholec80.instrument.0", "cholec80.instrument.1"]),
        ],
        context=[Context(offset_s=-1.0, facts=[fact("cholec80.phase.0", "phase.preparation")])],
        pairs=[pair],
    )
    return resolve_evidence(sample, pair, 1, priors)


@pytest.mark.parametrize(
    "evidence",
    [
        ["fact:cholec80.instrument.1"],
        ["none:cholec80.phase"],
        ["none:cholec80.instrument/instrument.grasper"],
        ["all:cholec80.instrument", "fact:cholec80.instrument.0", "fact:cholec80.instrument.1"],
        ["all:cholec80.instrument/instrument.clipper", "fact:cholec80.instrument.0"],
        ["box:0"],
        ["box:0", "fact:cholect50.triplet.0"],
        ["pixel:brightness=41.2"],
        ["pixel:gap/cholec80.instrument.0+cholec80.instrument.1=1.0"],
        ["statement:0"],
        ["prior:phase|instrument=instrument.hook>phase.preparation"],
        ["knowledge:function.hook"],
        ["context:0/cholec80.phase.0"],
        ["seen:w", "judged:judge/m/1=0.50"],
    ],
)
def test_evidence_that_resolves(evidence: list[str]) -> None:
    assert problems(*evidence) == []


@pytest.mark.parametrize(
    ("evidence", "sentence"),
    [
        (["fact:cholec80.instrument.2"], "no fact of this frame"),
        (["fact:cholec80.phase.0"], "no fact of this frame"),
        (["none:cholect50.phase"], "not labelled in this frame"),
        (["none:cholec80.instrument"], "cholec80.instrument.0 says that it is there"),
        (["none:cholec80.instrument/instrument.hook"], "says that it is there"),
        (["none:cholect50.triplet/verb.dissect"], "says that it is there"),
        (["all:cholec80.instrument", "fact:cholec80.instrument.0"], "there is cholec80.instrument.1 too"),
        (["all:cholec80.instrument/instrument.hook", "fact:cholec80.instrument.0"], "cholec80.instrument.1 too"),
        (["all:cholect50.phase"], "not labelled in this frame"),
        (["box:2"], "is no box of this pair"),
        (["box:1"], "the box of no fact"),
        (["box:0", "fact:cholec80.instrument.0"], "which the sentence does not cite"),
        (["pixel:brightness=41"], "not what was measured"),
        (["pixel:brightness=4.1.2"], "not what was measured"),
        (["pixel:contrast=1.0"], "was not measured"),
        (["pixel:gap=1.0"], "'gap' was not measured"),
        (["pixel:brightness/cholec80.instrument.0=41.2"], "was not measured"),
        (["pixel:gap/cholec80.instrument.0+cholec80.instrument.1=2.0"], "not what was measured (1.0)"),
        (["pixel:gap/cholec80.instrument.1+cholec80.instrument.0=1.0"], "was not measured"),
        (["pixel:gap/cholec80.instrument.0+cholec80.instrument.7=1.0"], "was not measured"),
        (["statement:1"], "does not stand earlier"),
        (["prior:phase|instrument=instrument.grasper>phase.preparation"], "no entry of priors.json"),
        (["prior:nonsense"], "no entry of priors.json"),
        (["knowledge:function.nonsense"], "no entry of the knowledge base"),
        (["context:1/cholec80.phase.0"], "not stored"),
        (["seen:another"], "names another model than the writer"),
        (["judged:judge/m/1=1.00"], "no model says it sees"),
        (["context:0/cholec80.phase.1"], "no fact of that earlier instant"),
    ],
)
def test_evidence_that_does_not(evidence: list[str], sentence: str) -> None:
    found = problems(*evidence)
    assert len(found) == 1
    assert sentence in found[0]


def test_a_statistic_needs_the_priors_of_the_folder() -> None:
    found = problems("prior:phase|instrument=instrument.hook>phase.preparation", priors=None)
    assert found == [
        "'prior:phase|instrument=instrument.hook>phase.preparation' cites a statistic, but the folder has no priors.json"
    ]
