"""Where things are: asked only where the boxes answer; `not visible` only where a kind is outlined exhaustively."""

import pytest

from cotgen.records import Fact, Measured, Scene
from cotgen.tasks.base import Question
from cotgen.tasks.count import COUNT
from cotgen.tasks.localization import EACH, EACH_IF, LOCALIZATION, ONE, every_instrument, is_absent
from cotgen.tasks.position import POSITION

DUCT, BLADDER, ARTERY = "anatomy.cystic_duct", "anatomy.gallbladder", "anatomy.cystic_artery"


def fact(id: str, *terms: str, box: tuple[int, ...] = ()) -> Fact:
    source, kind, _ = id.split(".")
    return Fact(id=id, kind=kind, terms=list(terms), box=list(box), source=source)


def scene(n: int, facts: list[Fact], *labelled: str, ignored: float = 0.0) -> Scene:
    names = frozenset(labelled or {f"{item.source}.{item.kind}" for item in facts})
    measured = (Measured(name="ignored", value=ignored),)
    return Scene(f"x-1-{n:06d}", "x/1", n, names, tuple(facts), measured, size=(854, 480))


OUTLINED = [
    fact("endoscapes.anatomy.0", DUCT, box=(191, 280, 403, 417)),
    fact("endoscapes.anatomy.1", BLADDER, box=(111, 1, 479, 294)),
]


def test_a_thing_is_answered_with_its_box_and_every_wording_says_if_it_can_be_seen() -> None:
    found = {q.id: q for _, q in LOCALIZATION.questions([scene(0, OUTLINED)], 0)}
    duct = found[f"loc.{DUCT}"]
    assert (duct.answer, duct.boxes, duct.truth) == ("<bbox:0>", ((191, 280, 403, 417),), ("191,280,403,417",))
    assert LOCALIZATION.score("<bbox:0>", duct) == LOCALIZATION.score("[191, 280, 403, 417]", duct) == 1.0
    assert 0.4 < LOCALIZATION.score("[191, 280, 403, 349]", duct) < 0.6
    assert LOCALIZATION.score("not visible", duct) == 0.0
    assert all("can be seen" in w or "Should {the} be seen" in w for w in ONE + EACH_IF)
    assert not any("seen" in w for w in EACH)


def test_a_thing_of_which_another_has_no_box_is_not_asked_for() -> None:
    """EndoVis 2018 may have two bipolar forceps, one with a box that is out of the picture."""
    two = [
        fact(f"endovis18.instrument.{n}", "instrument.bipolar", box=box) for n, box in enumerate(((9, 9, 60, 60), ()))
    ]
    assert [q.id for _, q in LOCALIZATION.questions([scene(0, two)], 0)] == []
    other = fact("endovis18.instrument.2", "instrument.suction_instrument", box=(70, 70, 99, 99))
    asked = [q.id for _, q in LOCALIZATION.questions([scene(0, [*two, other])], 0)]
    assert asked == ["loc.instrument.suction_instrument"]


def test_one_in_eight_questions_is_about_a_frame_without_the_thing() -> None:
    scenes = [scene(n, OUTLINED) for n in range(70)] + [scene(n, OUTLINED[1:]) for n in range(70, 140)]
    answers = [q.answer for _, q in LOCALIZATION.questions(scenes, 0) if q.id == f"loc.{DUCT}"]
    assert (answers.count("<bbox:0>"), answers.count("not visible")) == (70, 10)
    absent = next(q for _, q in LOCALIZATION.questions(scenes, 0) if q.answer == "not visible")
    assert LOCALIZATION.score("Not visible.", absent) == 1.0
    assert LOCALIZATION.score("[1, 2, 30, 40]", absent) == 0.0


def driver(n: int, *boxes: tuple[int, ...]) -> Scene:
    return scene(
        n,
        [fact(f"endovis17.instrument.{k}", "instrument.large_needle_driver", box=box) for k, box in enumerate(boxes)],
        "endovis17.instrument",
    )


def test_one_in_eight_questions_about_instruments_is_about_one_that_is_not_there() -> None:
    one, two = (100, 100, 200, 200), (300, 100, 400, 200)
    always = [driver(n, one, two) if n % 2 else driver(n, one) for n in range(70)]
    found = [q for _, q in LOCALIZATION.questions(always, 0) if q.id != "loc.all"]
    gone = [q for q in found if q.answer == "not visible"]
    assert (len(found), len(gone)) == (80, 10)
    assert all(q.subject != ("instrument.large_needle_driver",) for q in gone), "it is always there"
    sometimes = [driver(n, one) if n < 70 else driver(n) for n in range(140)]
    gone = [q for _, q in LOCALIZATION.questions(sometimes, 0) if q.answer == "not visible"]
    assert [q.subject for q in gone] == [("instrument.large_needle_driver",)] * 10


def test_the_wording_asks_for_every_one_and_does_not_tell_how_many_there_are() -> None:
    one, two = (100, 100, 200, 200), (300, 100, 400, 200)
    words = [
        {q.text for _, q in LOCALIZATION.questions([driver(3, *boxes)], 0) if q.id != "loc.all"}
        for boxes in ([one], [one, two])
    ]
    assert words[0] == words[1]
    assert "every large needle driver" in words[0].pop()
    acting = [fact("cholect50.triplet.0", "instrument.grasper", "verb.retract", BLADDER, box=one)]
    ((_, question),) = [found for found in LOCALIZATION.questions([scene(0, acting)], 0) if found[1].id != "loc.all"]
    assert "every grasper" in question.text and "seen" not in question.text


def test_a_structure_that_is_outlined_twice_is_not_asked_for_as_the_one() -> None:
    twice = [*OUTLINED, fact("endoscapes.anatomy.2", DUCT, box=(500, 280, 560, 320))]
    assert {q.id for _, q in LOCALIZATION.questions([scene(0, twice)], 0)} == {f"loc.{BLADDER}"}


def test_absence_is_claimed_only_where_everything_is_outlined() -> None:
    assert is_absent(scene(0, OUTLINED), ARTERY)
    assert not is_absent(scene(0, OUTLINED, ignored=0.01), ARTERY), "pixels that nobody judged may hold it"
    acting = [fact("cholect50.triplet.0", "instrument.hook", "verb.dissect", DUCT, box=(1, 1, 50, 50))]
    assert not is_absent(scene(0, acting), "instrument.grasper"), "acts are no outlines"
    unnamed = [fact("endovis17.instrument.0", "instrument.unnamed", box=(1, 1, 50, 50))]
    assert not is_absent(scene(0, unnamed), "instrument.ultrasound_probe"), "the unnamed one may be it"


HOOK = fact("cholect50.triplet.0", "instrument.hook", "verb.dissect", DUCT, box=(300, 100, 400, 200))
GRASPER = fact("cholect50.triplet.1", "instrument.grasper", "verb.retract", BLADDER, box=(10, 10, 90, 90))
NO_BOX = fact("cholect50.triplet.1", "instrument.grasper", "verb.retract", BLADDER)


def test_all_instruments_are_asked_only_where_every_source_agrees() -> None:
    kinds = [fact("cholec80.instrument.0", "instrument.grasper"), fact("cholec80.instrument.1", "instrument.hook")]
    both = scene(0, [HOOK, GRASPER, *kinds])
    assert [id for id, _ in every_instrument(both)] == ["instrument.grasper", "instrument.hook"]
    question = next(q for _, q in LOCALIZATION.questions([both], 0) if q.id == "loc.all")
    assert question.answer == "grasper <bbox:0>\nhook <bbox:1>"
    assert LOCALIZATION.score(question.answer, question) == 1.0
    assert LOCALIZATION.score("grasper [300, 100, 400, 200]\nhook [10, 10, 90, 90]", question) == 0.0, "names count"
    assert LOCALIZATION.score("hook [300, 100, 400, 200]", question) == 0.5
    assert [q.answer for _, q in COUNT.questions([both], 0)] == ["2"]
    for facts in ([HOOK, NO_BOX, *kinds], [HOOK, *kinds], [HOOK, GRASPER, kinds[0]]):
        assert every_instrument(scene(0, facts)) == []
        assert list(COUNT.questions([scene(0, facts)], 0)) == []


def test_a_twin_without_a_box_would_be_a_second_right_answer() -> None:
    twin = fact("cholect50.triplet.2", "instrument.grasper", "verb.grasp", "anatomy.liver")
    ids = {q.id for _, q in LOCALIZATION.questions([scene(0, [HOOK, GRASPER, twin])], 0)}
    assert ids == {"loc.instrument.hook"}


def test_two_things_are_compared_along_the_one_axis_in_which_they_differ() -> None:
    side = [
        fact("endoscapes.anatomy.0", DUCT, box=(100, 200, 140, 240)),
        fact("endoscapes.anatomy.1", ARTERY, box=(400, 210, 440, 250)),
    ]
    ((_, question),) = POSITION.questions([scene(0, side)], 0)
    assert sorted(question.options) == ["above", "below", "left", "right"]
    first = question.subject[0]
    assert question.answer == ("left" if first == DUCT else "right")
    assert POSITION.score(question.answer.upper(), question) == 1.0
    letter = "ABCD"[question.options.index(question.answer)]
    assert POSITION.score(f"({letter})", question) == 1.0
    askew = [side[0], fact("endoscapes.anatomy.1", ARTERY, box=(400, 330, 440, 370))]
    assert list(POSITION.questions([scene(0, askew)], 0)) == [], "right and below would both be right"
    near = [side[0], fact("endoscapes.anatomy.1", ARTERY, box=(180, 210, 220, 250))]
    assert list(POSITION.questions([scene(0, near)], 0)) == []


def test_other_ids_are_refused() -> None:
    for task, id in ((LOCALIZATION, "loc.phase.preparation"), (POSITION, f"position.{DUCT}"), (COUNT, "count.kinds")):
        with pytest.raises(ValueError, match="'"):
            task.subject(id)
    assert isinstance(Question("loc.all", "localization", "?", (), "", ()), Question)
