"""What the plans of places, safety and suturing say, and what they leave out."""

import re

import pytest

from cotgen.chains.checks import check_case
from cotgen.chains.diversity import entropy_bits, plan, skeleton
from cotgen.chains.places import mainly
from cotgen.chains.write import write_pair
from cotgen.records import Fact, Measured, Pair, Scene
from cotgen.surgeries.priors import PHASE_BY_SET, Priors
from cotgen.tasks import TASKS
from tests.chains.conftest import fact, gap, scene_of
from tests.chains.scenes import frames_of

CRITERIA = ("cvs.two_structures", "cvs.hepatocystic_triangle", "cvs.cystic_plate")
SIZE = (854, 480)
_OF_A_SIDE = re.compile(r"The (left|right) ([\w ]+?) (?:lies?|is|are) to the (\w+) of the (?:left|right) ([\w ]+)\.")
BLADDER = fact("endoscapes.anatomy.0", "anatomy.gallbladder", box=(60, 20, 400, 240))
DUCT = fact("endoscapes.anatomy.1", "anatomy.cystic_duct", box=(500, 250, 620, 330))


def pairs_of(scene: Scene, task: str, seeds: int = 1) -> list[Pair]:
    """The checked pairs of one frame."""
    found = []
    for seed in range(seeds):
        for _, question in TASKS[task].questions([scene], seed):
            written = write_pair(scene, question, None, seed)
            if written is not None:
                assert check_case(*written) == [], written[1].statements
                found.append(written[1])
    return found


def text_of(pair: Pair, level: int = 0) -> str:
    return " ".join(s.text for s in pair.statements if level in (0, s.level))


def judged(*votes: int, whole: float | None = None, things: tuple[Fact, ...] = (BLADDER, DUCT)) -> Scene:
    facts = [
        fact(f"endoscapes.cvs.{k}", id, value=v / 3) for k, (id, v) in enumerate(zip(CRITERIA, votes, strict=True))
    ]
    if whole is not None:
        facts.append(fact("endoscapes.cvs_overall.0", "cvs.critical_view", value=whole))
    return scene_of("endoscapes/2", [*things, *facts], "endoscapes.anatomy", size=SIZE)


def test_a_view_that_meets_nothing_is_told_in_many_ways() -> None:
    pairs = pairs_of(judged(0, 0, 0, whole=0.0), "cvs", 200)
    plans = {tuple(s.text for s in pair.statements if s.level == 3) for pair in pairs}
    assert len(plans) >= 30
    most = max(sum(text_of(p, 3) == " ".join(plan) for p in pairs) for plan in plans)
    assert most <= 0.15 * len(pairs)


@pytest.mark.parametrize("votes", [(3, 3, 3), (0, 0, 0), (1, 2, 1), (2, 1, 2)])
def test_a_criterion_is_concluded_only_from_votes_with_a_doubt(votes: tuple[int, int, int]) -> None:
    scenes = [judged(*votes), judged(*(0 if v >= 2 else 3 for v in votes))]
    for n, question in TASKS["cvs"].questions(scenes, 0):
        if n or not question.subject:
            continue
        written = write_pair(scenes[0], question, None, 0)
        assert written is not None
        assert check_case(*written) == []
        doubt = votes[CRITERIA.index(question.subject[0])] in (1, 2)
        assert ("riterion is" in text_of(written[1], 3) and "met in this view" in text_of(written[1], 3)) == doubt


def test_three_majorities_of_different_raters_do_not_entail_the_whole() -> None:
    for pair in pairs_of(judged(2, 2, 2, whole=1 / 3), "cvs", 8):
        last = pair.statements[-1]
        assert last.text == "Taken together, the critical view of safety is not achieved in this view."
        assert last.basis == "label"


def test_a_sliver_of_the_triangle_is_part_of_it() -> None:
    for side, part in ((40, True), (200, False)):
        triangle = fact("endoscapes.anatomy.2", "anatomy.hepatocystic_triangle", box=(430, 150, 430 + side, 190))
        scene = scene_of("endoscapes/2", [BLADDER, triangle], size=SIZE)
        pair = next(p for p in pairs_of(scene, "localization") if p.id.endswith("triangle"))
        assert ("Part of the hepatocystic triangle shows" in text_of(pair, 1)) == part


def test_nothing_is_drawn_from_an_instrument_where_structures_are_asked_for() -> None:
    tool = fact("endoscapes.instrument.0", "instrument.unnamed", box=(500, 250, 620, 330))
    scenes = [scene_of("endoscapes/2", [tool], "endoscapes.anatomy", size=SIZE, index=n) for n in range(2)]
    scenes += [scene_of("endoscapes/2", [BLADDER, DUCT], size=SIZE, index=n) for n in range(2, 60)]
    asked = [(scenes[n], q) for n, q in TASKS["anatomy"].questions(scenes, 0) if q.answer == "none"]
    assert asked
    for scene, question in asked:
        written = write_pair(scene, question, None, 0)
        assert written is not None
        assert check_case(*written) == []
        assert "None of the structures asked about is identified." in text_of(written[1], 1)


def test_places_are_in_the_lit_field() -> None:
    near = fact("endoscapes.anatomy.1", "anatomy.cystic_duct", box=(300, 220, 360, 260))
    whole = scene_of("endoscapes/2", [BLADDER, near], size=SIZE)
    lit = Measured(name="field", value=0.5, box=[0, 0, 480, 480])
    cut = scene_of("endoscapes/2", [BLADDER, near], size=SIZE, measured=(lit,))
    for scene, place in ((whole, "on the left"), (cut, "on the right")):
        pair = next(p for p in pairs_of(scene, "localization") if p.id.endswith("duct"))
        assert place in pair.statements[0].text


def test_of_two_of_a_kind_nothing_is_told_that_their_names_say() -> None:
    compared = 0
    for scene in frames_of("endovis17", 120):
        for pair in pairs_of(scene, "count") + pairs_of(scene, "localization"):
            for match in _OF_A_SIDE.finditer(text_of(pair, 2)):
                assert match[2] != match[4], match[0]
            compared += text_of(pair, 1).startswith("Two ")
    assert compared > 10


def test_the_needle_is_told_wherever_it_is_outlined_and_a_thread_not_where_it_decides_nothing() -> None:
    seen = set()
    for scene in frames_of("sar_rarp50", 120):
        for pair in pairs_of(scene, "action"):
            own = scene.terms("action")[0]
            seen.add(own)
            if "object.needle" in scene.terms("object"):
                assert "needle" in text_of(pair, 1)
            if own in ("action.pick_up_needle", "action.return_needle", "action.cut_suture", "action.other"):
                assert "while a knot is tied" not in text_of(pair)
            assert not ("hread" in text_of(pair) and "suture is" in text_of(pair))
            assert "suturing needle" not in text_of(pair)
    assert len(seen) == 8


def test_a_position_is_drawn_from_the_two_centres() -> None:
    scene = scene_of("endoscapes/2", [DUCT, fact("endoscapes.anatomy.0", "anatomy.gallbladder", box=(490, 10, 640, 90))],
                     size=SIZE, measured=(gap(20.0, "endoscapes.anatomy.0", "endoscapes.anatomy.1"),))  # fmt: skip
    texts = {text_of(pair, 2) for pair in pairs_of(scene, "position", 20)}
    assert texts == {"The gallbladder is the higher of the two.", "The cystic duct is the lower of the two."}


@pytest.mark.parametrize("source", ["endovis17", "endovis18", "endoscapes"])
def test_what_is_not_there_is_told_without_a_finding(source: str) -> None:
    scenes = frames_of(source, 200)
    absent = [(scenes[n], q) for n, q in TASKS["localization"].questions(scenes, 0) if q.answer == "not visible"]
    assert len(absent) > 20
    for scene, question in absent:
        written = write_pair(scene, question, None, 0)
        assert written is not None
        assert check_case(*written) == [], [s.text for s in written[1].statements]


RETRACT = fact("cholect50.triplet.0", "instrument.grasper", "verb.retract", "anatomy.gallbladder")
CLIP = fact("cholect50.triplet.1", "instrument.clipper", "verb.clip", "anatomy.cystic_duct")
ASPIRATE = fact("cholect50.triplet.0", "instrument.irrigator", "verb.aspirate", "anatomy.fluid")


def acting(facts: list[Fact], asked: str, frames: int) -> list[Pair]:
    """The checked pairs of equal frames whose ids begin so."""
    scenes = [scene_of("cholec80/73", facts, size=SIZE, index=25 * n) for n in range(frames)]
    found = []
    for n, question in TASKS["triplet"].questions(scenes, 0):
        if question.id.startswith(asked):
            written = write_pair(scenes[n], question, None, 0)
            assert written is not None
            assert check_case(*written) == [], [s.text for s in written[1].statements]
            found.append(written[1])
    return found


@pytest.mark.parametrize("only", [RETRACT, ASPIRATE], ids=["retract", "aspirate"])
def test_a_single_act_is_told_by_many_plans(only: Fact) -> None:
    """Design 6 where there is least to say: at least 4 bits over plans, none over 15 %."""
    pairs = acting([only], "triplet.set", 200)
    plans = [plan(pair) for pair in pairs]
    assert entropy_bits(plans) >= 4
    assert max(plans.count(p) for p in set(plans)) <= 0.15 * len(plans)
    assert entropy_bits(skeleton(pair) for pair in pairs) >= 5.5


def test_two_pieces_of_knowledge_never_say_the_same() -> None:
    for pair in acting([RETRACT, CLIP], "triplet.", 40):
        told = [ref for s in pair.statements for ref in s.evidence if s.basis == "knowledge"]
        families = ["look" if ref.startswith("knowledge:look.") else "use" for ref in told]
        assert len(set(families)) == len(families) <= 2, told


def test_what_is_asked_of_one_instrument_is_concluded_and_not_said_again() -> None:
    """Level 3 names the action, what is acted on, or both, never in the very words of level 2."""
    marks = {"verb": ("action of",), "target": ("target of",), "doing": (" is ", " keeps ", "action of")}
    seen = set()
    for pair in acting([RETRACT, CLIP], "triplet.", 40):
        asked = pair.id.split(".")[1]
        if asked not in marks:
            continue
        close = next(s.text for s in pair.statements if s.level == 3 and s.basis == "follows")
        assert any(mark in close for mark in marks[asked]), close
        core = close.removeprefix("So ").replace(" thus ", " ").lower()
        assert core not in text_of(pair, 2).lower(), close
        seen.add(asked)
    assert seen == set(marks)


def test_a_structure_is_shown_at_level_1_only_where_it_has_a_place() -> None:
    shown = [pair for pair in acting([RETRACT, CLIP], "triplet.set", 60) if "on which" in text_of(pair, 1)]
    assert {s.text for pair in shown for s in pair.statements if "on which" in s.text} == {
        "Gallbladder and cystic duct, on which they work, are in view.",
        "Gallbladder and cystic duct, on which they work, can be seen.",
    }
    assert not any("on which" in text_of(pair) for pair in acting([ASPIRATE], "triplet.set", 60))


def test_nothing_in_view_is_alone_where_more_is_at_work() -> None:
    """Cholec80 shows the scissors, CholecT50 has a grasper at work beside them."""
    facts = [
        fact("cholec80.phase.0", "phase.clipping_and_cutting"),
        fact("cholec80.instrument.0", "instrument.scissors"),
        fact("cholect50.triplet.0", "instrument.scissors", "verb.null", "anatomy.null"),
    ]
    phases = {"phase.clipping_and_cutting": [980, 9], "phase.preparation": [20, 6]}
    tables = {PHASE_BY_SET: {"instrument.scissors": phases}}
    counted = Priors(source="cholec80", split_table="clean/1", surgeries=[], tables=tables)
    for more, said in ((False, "Scissors alone are"), (True, "Scissors without another clear tip are")):
        own = [*facts, RETRACT.model_copy(update={"id": "cholect50.triplet.1"})] if more else facts
        scene = scene_of("cholec80/1", own, size=SIZE)
        question = next(q for _, q in TASKS["phase"].questions([scene], 0) if q.id == "phase.open")
        written = write_pair(scene, question, counted, 0)
        assert written is not None
        assert check_case(*written) == [], [s.text for s in written[1].statements]
        assert said in text_of(written[1], 3)


def test_the_conclusion_is_the_last_word() -> None:
    """What is known in general stands before it, never as an afterthought."""
    told = [s.basis for pair in acting([RETRACT, CLIP], "triplet.", 40) for s in pair.statements]
    assert "knowledge" in told
    for pair in acting([RETRACT, CLIP], "triplet.", 40):
        assert pair.statements[-1].basis == "follows", pair.statements[-1].text


@pytest.mark.parametrize(
    ("box", "word"),
    [((0, 0, 20, 20), "above"), ((0, 60, 20, 80), "left"), ((40, 0, 60, 20), "above"), ((45, 45, 55, 55), "")],
)
def test_what_lies_obliquely_is_told_by_the_larger_difference(box: tuple[int, ...], word: str) -> None:
    assert mainly(box, (30, 70, 80, 90) if word else (44, 44, 54, 54), (0, 0, 100, 100)) == word
