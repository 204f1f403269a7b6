"""Labels that break a clinical rule are listed as suspects; the chain that tells them is not wrong."""

import pytest

from cotgen.chains.write import Written, write_scenes
from cotgen.records import Scene
from tests.chains.conftest import fact, scene_of

CLIP = ("instrument.clipper", "verb.clip", "anatomy.cystic_duct")
CUT = ("instrument.scissors", "verb.cut", "anatomy.cystic_artery")
GRASP = ("instrument.grasper", "verb.grasp", "anatomy.specimen_bag")


def shown(phase: str, *triplet: str) -> Scene:
    return scene_of(
        "cholec80/73",
        [fact("cholect50.phase.0", f"phase.{phase}"), fact("cholect50.triplet.0", *triplet, box=(100, 100, 240, 200))],
        size=(860, 480),
    )


def suspects(scene: Scene) -> list[str]:
    """What is said of the labels, by the pairs that are stored."""
    written = Written([])
    (pairs,) = write_scenes([scene], tasks=["phase", "triplet"], seed=0, priors=None, written=written)
    assert pairs and not written.refused
    found = [finding for pair in pairs for finding in pair.findings]
    assert all((finding.check, finding.severity) == ("suspect_label", "soft") for finding in found)
    return [finding.text for finding in found]


@pytest.mark.parametrize(
    ("phase", "triplet", "words"),
    [
        ("preparation", CLIP, "a clip is labelled"),
        ("gallbladder_extraction", CLIP, "a clip is labelled"),
        ("calot_triangle_dissection", CUT, "before the clipping and cutting phase"),
        ("preparation", GRASP, "the specimen bag is labelled"),
    ],
)
def test_a_frame_that_breaks_a_rule_is_told_once(phase: str, triplet: tuple[str, ...], words: str) -> None:
    (text,) = suspects(shown(phase, *triplet))
    assert words in text and text.endswith("; look at this frame")


@pytest.mark.parametrize(
    ("phase", "triplet"),
    [
        ("clipping_and_cutting", CLIP),
        ("clipping_and_cutting", CUT),
        ("gallbladder_packaging", GRASP),
        ("cleaning_and_coagulation", CLIP),
    ],
)
def test_what_happens_in_a_cholecystectomy_is_no_suspect(phase: str, triplet: tuple[str, ...]) -> None:
    assert suspects(shown(phase, *triplet)) == []
