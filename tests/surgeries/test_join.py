import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cotgen.errors import CotgenError
from cotgen.records import Fact, Frame, Measured, Sample, Scene, disputes
from cotgen.sources import source
from cotgen.sources.base import FACTS_SCHEMA, LABELLED_SCHEMA, MEASURED_SCHEMA, SurgeryFacts
from cotgen.surgeries.join import PRECEDENCE as JOINED
from cotgen.surgeries.join import pixels_of, scenes
from cotgen.tasks import TASKS

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


def acting(surgery: str, *triplets: tuple[str, str, str], phase: str = "preparation") -> SurgeryFacts:
    """What CholecT50 says of frame 25."""
    rows: list[tuple[object, ...]] = [(25, "cholect50.phase.0", "phase", [f"phase.{phase}"], [], 1.0, "cholect50")]
    rows += [
        (
            25,
            f"cholect50.triplet.{n}",
            "triplet",
            [f"instrument.{i}", f"verb.{v}", f"anatomy.{t}"],
            [],
            1.0,
            "cholect50",
        )
        for n, (i, v, t) in enumerate(triplets)
    ]
    names = [(25, "cholect50.phase"), (25, "cholect50.triplet")]
    return SurgeryFacts(
        surgery,
        pl.DataFrame(rows, schema=FACTS_SCHEMA, orient="row"),
        pl.DataFrame(names, schema=LABELLED_SCHEMA, orient="row"),
    )


def joined(cholec80: SurgeryFacts, cholect50: SurgeryFacts, counts: Counter[str] | None = None) -> Scene:
    found = scenes([cholec80, cholect50], {}, {25: (64, 48)}, "cholecystectomy", JOINED, counts)
    assert len(found) == 1
    return found[0]


def test_each_kind_is_that_of_the_source_that_comes_first(make_facts: MakeFacts) -> None:
    cholec80 = make_facts("cholec80/73", [("", []), ("clipping_and_cutting", ["grasper", "clipper"])])
    scene = joined(cholec80, acting("cholec80/73", ("clipper", "clip", "cystic_duct")))
    assert (scene.says("phase"), scene.says("instrument"), scene.says("triplet")) == (
        "cholec80",
        "cholec80",
        "cholect50",
    )
    assert scene.terms("phase") == ("phase.clipping_and_cutting",)
    assert scene.size == (64, 48)


def test_a_frame_with_a_contradiction_is_marked_counted_and_not_asked_about(make_facts: MakeFacts) -> None:
    cholec80 = make_facts("cholec80/73", [("", []), ("clipping_and_cutting", ["scissors"])])
    counts: Counter[str] = Counter()
    scene = joined(cholec80, acting("cholec80/73", ("bipolar", "coagulate", "liver")), counts)
    assert scene.disputed == {"instrument", "triplet", "phase"}
    assert {kind: counts[f"disputed_{kind}"] for kind in scene.disputed} == dict.fromkeys(scene.disputed, 1)
    asked = {name for name, task in TASKS.items() if list(task.questions([scene], 0))}
    assert asked & {"phase", "tool_presence", "tool_count", "tool_yesno", "triplet", "localization"} == set()


def test_the_same_frame_without_the_contradiction_is_asked_about(make_facts: MakeFacts) -> None:
    cholec80 = make_facts("cholec80/73", [("", []), ("preparation", ["bipolar"])])
    scene = joined(cholec80, acting("cholec80/73", ("bipolar", "coagulate", "liver")))
    asked = {name for name, task in TASKS.items() if list(task.questions([scene], 0))}
    assert scene.disputed == frozenset() and {"phase", "tool_presence"} <= asked


def test_a_stored_sample_gives_the_same_contradictions_as_the_join(make_facts: MakeFacts) -> None:
    cholec80 = make_facts("cholec80/73", [("", []), ("preparation", ["scissors"])])
    scene = joined(cholec80, acting("cholec80/73", ("bipolar", "coagulate", "liver")))
    stored = Sample(
        key=scene.key,
        surgery=scene.surgery,
        split="test",
        sources=["cholec80", "cholect50"],
        frame=Frame(
            index=25, fps="25/1", time_s=1.0, width=64, height=48, source="cholec80", file="videos/video73.mp4",
            native_index=25, crop=[0, 0, 64, 48], pixels="", sha256="",
        ),
        labelled=sorted(scene.labelled),
        facts=list(scene.facts),
        pairs=[],
    )  # fmt: skip
    again = Scene.of(stored, JOINED)
    assert again.disputed == scene.disputed == {"instrument", "triplet"}
    assert again.size == scene.size


@pytest.mark.parametrize(("native", "kept"), [((1920, 1080), True), ((854, 478), True), ((720, 576), False)])
def test_boxes_of_a_picture_of_another_aspect_are_left_out_and_counted(native: tuple[int, int], kept: bool) -> None:
    """The stored picture has 854 x 480; the box was drawn on a picture of CholecT50's own size."""
    counts: Counter[str] = Counter()
    facts = boxed("cholec80/73", [0.25, 0.25, 0.5, 0.5])
    sizes = {"cholect50": native}
    found = scenes([facts], {}, {25: (854, 480)}, "cholecystectomy", JOINED, counts, sizes)
    assert bool(found[0].facts[0].box) == kept
    assert counts["box_of_other_aspect"] == (not kept)
    assert found[0].facts[0].terms[0] == "instrument.clipper", "the act itself stays"


def test_what_outlines_give_stands_beside_what_the_pixels_give() -> None:
    facts = boxed("cholec80/73", [0.25, 0.25, 0.5, 0.5])
    rows = [(25, "area", 0.06, ["cholect50.triplet.0"]), (50, "area", 0.5, ["cholect50.triplet.0"])]
    facts = replace(facts, measured=pl.DataFrame(rows, schema=MEASURED_SCHEMA, orient="row"))
    black = Measured(name="black", value=0.0)
    found = scenes([facts], {25: [black]}, {25: (64, 48)}, "cholecystectomy", JOINED)
    assert found[0].measured == (black, Measured(name="area", value=0.06, of=["cholect50.triplet.0"]))
    assert found[0].measure("area", "cholect50.triplet.0") == 0.06


@pytest.fixture(scope="module")
def real_joined(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], dict[int, Scene]]:
    """Surgery of the release -> its frames, Cholec80's labels and CholecT50's texts joined."""
    root = tmp_path_factory.mktemp("real")
    for kind in ("phase", "tool"):
        (root / f"{kind}_annotations").symlink_to(real_data / f"cholec80/{kind}_annotations")
    (root / "videos").mkdir()
    places = {"cholec80": root, "cholect50": real_data / "cholect50-challenge-train"}

    def read(number: int) -> dict[int, Scene]:
        (root / f"videos/video{number:02d}.mp4").touch()
        both = []
        for name, folder in places.items():
            scan = source(name).scan(folder)
            assert scan is not None
            files = next(files for files in scan.surgeries if files.surgery == f"cholec80/{number}")
            both.append(source(name).facts(folder, files))
        size = {index: (854, 480) for facts in both for index in facts.labelled["index"]}
        return {scene.index: scene for scene in scenes(both, {}, size, "cholecystectomy", JOINED)}

    return read


@pytest.mark.real
def test_second_1240_of_video_73(real_joined: Callable[[int], dict[int, Scene]]) -> None:
    """Cholec80 says scissors, CholecT50 bipolar forceps: nothing about instruments or triplets is asked."""
    frames = real_joined(73)
    scene = frames[25 * 1240]
    assert scene.terms("instrument") == ("instrument.scissors",)
    acts = {triplet.terms[0] for triplet in scene.of_kind("triplet")}
    assert "instrument.bipolar" in acts and "instrument.scissors" not in acts
    assert scene.disputed == {"instrument", "triplet"}
    # Second 1314: a bipolar at work on the bag that no source sees.
    assert "instrument" in frames[25 * 1314].disputed
    # Second 739, the example of the design: both name grasper and clipper.
    assert frames[25 * 739].disputed == frozenset()


@pytest.mark.real
def test_second_1098_of_video_51(real_joined: Callable[[int], dict[int, Scene]]) -> None:
    """Cholec80 sees no tool while CholecT50 has grasper and bipolar at work: never "no instrument"."""
    scene = real_joined(51)[25 * 1098]
    assert scene.says("instrument") == "cholec80" and scene.terms("instrument") == ()
    assert {triplet.terms[0] for triplet in scene.of_kind("triplet")} == {"instrument.grasper", "instrument.bipolar"}
    assert scene.disputed == {"instrument"}


@pytest.mark.real
@pytest.mark.parametrize("number", [6, 10, 14, 32, 42, 51, 73])
@pytest.mark.slow
def test_most_real_frames_hold_no_contradiction(real_joined: Callable[[int], dict[int, Scene]], number: int) -> None:
    frames = real_joined(number)
    disputed = Counter(kind for scene in frames.values() for kind in scene.disputed)
    assert disputed["triplet"] <= disputed["instrument"] < len(frames) / 10
