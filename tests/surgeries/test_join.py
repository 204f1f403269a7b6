import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cotgen.errors import CotgenError
from cotgen.records import Fact, Measured, disputes
from cotgen.sources.base import FACTS_SCHEMA, LABELLED_SCHEMA, SurgeryFacts
from cotgen.surgeries.join import pixels_of, scenes

MakeFacts = Callable[..., SurgeryFacts]
PRECEDENCE = {"instrument": ("cholec80",)}


def boxed(surgery: str, box: list[float], source: str = "cholect50") -> SurgeryFacts:
    """One triplet with a box in frame 25."""
    terms = ["instrument.clipper", "verb.clip", "anatomy.cystic_duct"]
    row = (25, f"{source}.triplet.0", "triplet", terms, box, 1.0, source)
    return SurgeryFacts(
        surgery,
        pl.DataFrame([row], schema=FACTS_SCHEMA, orient="row"),
        pl.DataFrame([(25, f"{source}.triplet")], schema=LABELLED_SCHEMA, orient="row"),
    )


def test_one_scene_for_each_labelled_frame_with_a_picture_in_time_order(make_facts: MakeFacts) -> None:
    facts = make_facts("cholec80/7", [("preparation", []), ("preparation", ["grasper", "hook"]), ("preparation", [])])
    black = Measured(name="black", value=1.0)
    counts: Counter[str] = Counter()
    found = scenes([facts], {0: [black]}, {25: (64, 48), 0: (64, 48)}, "cholecystectomy", PRECEDENCE, counts)
    assert [scene.key for scene in found] == ["cholec80-7-000000", "cholec80-7-000025"]
    assert [scene.has_field for scene in found] == [False, True]
    assert found[1].terms("instrument") == ("instrument.grasper", "instrument.hook")
    assert found[0].labelled == {"cholec80.phase", "cholec80.instrument"} and found[0].terms("instrument") == ()
    assert counts == {"frame_without_picture": 1, "box_dropped": 0}


def test_aligned_sources_stay_side_by_side_and_their_order_changes_nothing(make_facts: MakeFacts) -> None:
    cholec80 = make_facts("cholec80/73", [("preparation", []), ("clipping_and_cutting", ["clipper"])])
    cholect50 = boxed("cholec80/73", [0.25, 0.25, 0.5, 0.5])
    size = {0: (64, 48), 25: (64, 48)}
    one, other = (
        scenes(list(facts), {}, size, "cholecystectomy", PRECEDENCE)
        for facts in ((cholec80, cholect50), (cholect50, cholec80))
    )
    assert one == other
    assert [fact.id for fact in one[1].facts] == ["cholec80.phase.0", "cholec80.instrument.0", "cholect50.triplet.0"]
    assert one[1].facts[2].box == [16, 12, 32, 24]


def test_what_is_not_labelled_differs_from_labelled_as_none(make_facts: MakeFacts) -> None:
    found = scenes([make_facts("cholec80/1", [("", [])])], {}, {0: (64, 48)}, "cholecystectomy", PRECEDENCE)
    assert found[0].says("phase") == "" and found[0].says("instrument") == "cholec80"


def test_sources_without_a_common_clock_are_not_joined(make_facts: MakeFacts) -> None:
    facts = [make_facts("cholec80/67", [("preparation", [])]), boxed("cholec80/67", [], source="endoscapes")]
    with pytest.raises(CotgenError, match="clocks of cholec80, endoscapes"):
        scenes(facts, {}, {0: (64, 48)}, "cholecystectomy", PRECEDENCE)


def test_two_surgeries_are_not_joined(make_facts: MakeFacts) -> None:
    facts = [make_facts(surgery, [("preparation", [])]) for surgery in ("cholec80/1", "cholec80/2")]
    with pytest.raises(CotgenError, match="cholec80/1, cholec80/2"):
        scenes(facts, {}, {0: (64, 48)}, "cholecystectomy", PRECEDENCE)


def test_a_box_under_two_pixels_is_dropped_and_counted() -> None:
    counts: Counter[str] = Counter()
    facts = boxed("cholec80/73", [0.5, 0.5, 0.51, 0.9])
    found = scenes([facts], {}, {25: (64, 48)}, "cholecystectomy", PRECEDENCE, counts)
    assert found[0].facts[0].box == [] and counts["box_dropped"] == 1


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=0, max_size=5),
    st.integers(1, 2000),
    st.integers(1, 2000),
)
def test_a_box_in_pixels_lies_inside_the_picture(box: list[float], width: int, height: int) -> None:
    pixels = pixels_of(box, width, height)
    if pixels:
        assert 0 <= pixels[0] <= pixels[2] - 2 and pixels[2] <= width
        assert 0 <= pixels[1] <= pixels[3] - 2 and pixels[3] <= height


def test_the_whole_picture_is_a_whole_box() -> None:
    assert pixels_of([0.0, 0.0, 1.0, 1.0], 854, 480) == [0, 0, 854, 480]
    assert pixels_of([-0.1, 0.2, 1.3, 0.5], 100, 100) == [0, 20, 100, 50]


@pytest.mark.real
def test_the_boxes_of_the_design_example(real_data: Path) -> None:
    """Second 739 of video 73: the normalised boxes of the published file, in pixels of the 854 x 480 picture."""
    content = json.loads((real_data / "cholect50-challenge-val" / "labels" / "VID73.json").read_text())
    boxes = []
    for row in content["annotations"]["739"]:
        x, y, width, height = row[3:7]
        boxes.append(pixels_of([x, y, x + width, y + height], 854, 480))
    assert boxes == [[273, 16, 670, 143], [449, 220, 675, 408]]


def fact_of(id: str, *terms: str) -> Fact:
    source, kind, _ = id.split(".")
    return Fact(id=id, kind=kind, terms=list(terms), source=source)


ACTING = ("cholect50.triplet.0", "instrument.bipolar", "verb.coagulate", "anatomy.liver")


def test_sources_that_each_name_what_the_other_lacks_contradict_one_another() -> None:
    labelled = {"cholec80.instrument", "cholect50.triplet"}
    scissors = fact_of("cholec80.instrument.0", "instrument.scissors")
    assert disputes([scissors, fact_of(*ACTING)], labelled) == {"instrument", "triplet"}
    both = [
        fact_of("cholec80.instrument.0", "instrument.bipolar"),
        fact_of("cholec80.instrument.1", "instrument.hook"),
    ]
    assert disputes([*both, fact_of(*ACTING)], labelled) == frozenset(), "one may name more"
    assert disputes([fact_of(*ACTING)], labelled) == {"instrument"}, "no tip in view, and yet one acts"
    bag = fact_of("cholec80.instrument.0", "instrument.specimen_bag")
    assert disputes([bag], labelled) == frozenset(), "the bag is no instrument of CholecT50"
    assert disputes([scissors, fact_of(*ACTING)], {"cholec80.instrument"}) == frozenset()


def test_different_phases_contradict_one_another() -> None:
    one, other = (
        fact_of(f"{source}.phase.0", f"phase.{phase}")
        for source, phase in (("cholec80", "preparation"), ("cholect50", "clipping_and_cutting"))
    )
    assert disputes([one, other], set()) == {"phase"}
    assert disputes([one], set()) == frozenset()
