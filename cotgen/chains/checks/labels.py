"""Check of the labels themselves: frames whose labels break a clinical rule go to a list of suspects.

The chain says what the labels say and is not wrong for that, so these findings are soft: they stand beside the pair, in the
index and in the summary of a build, for somebody who looks at the frame.
"""

from __future__ import annotations

from collections.abc import Iterator

from cotgen.chains.checks.base import Case
from cotgen.records import Finding
from cotgen.tasks.step import steps_of

_BEFORE_CLIPPING = ("phase.preparation", "phase.calot_triangle_dissection")
_DUCTS = frozenset({"anatomy.cystic_duct", "anatomy.cystic_artery"})
_BAG = "the specimen bag is labelled before the gallbladder is free"
_CLIP = "a clip is labelled as being placed before the first dissection or after the gallbladder is in the bag"
_CUT = "cystic duct or artery is labelled as being cut before the clipping and cutting phase"


def suspects(case: Case) -> Iterator[Finding]:
    """One soft finding for each rule that the labels of a frame break, at its open question for the phase."""
    if case.question.id != "phase.open" or len(phases := case.scene.terms("phase")) != 1:
        return
    phase = phases[0]
    for text in _broken(case, phase):
        yield Finding(check="suspect_label", severity="soft", text=f"{text}; look at this frame")


def _broken(case: Case, phase: str) -> Iterator[str]:
    scene = case.scene
    triplets = [fact.terms for fact in scene.of_kind("triplet")]
    if scene.procedure == "cholecystectomy":
        bag = "instrument.specimen_bag" in scene.terms("instrument") or any(
            "anatomy.specimen_bag" in t for t in triplets
        )
        if bag and phase in (*_BEFORE_CLIPPING, "phase.clipping_and_cutting"):
            yield _BAG
        late = ("phase.preparation", "phase.gallbladder_packaging", "phase.gallbladder_extraction")
        if phase in late and any(terms[1] == "verb.clip" for terms in triplets):
            yield _CLIP
        if phase in _BEFORE_CLIPPING and any(terms[1] == "verb.cut" and terms[2] in _DUCTS for terms in triplets):
            yield _CUT
    steps = [id for id in scene.terms("step") if id != "step.null_step"]
    usual = {item.id for item in steps_of(phase)}
    if scene.procedure == "gastric_bypass" and usual and steps and not set(steps) & usual:
        yield "the step is labelled in less than one second of a hundred of this phase"
