"""Tasks with one answer from a closed list: action, step, camera, and the phases of a bypass."""

from cotgen.ontology import vocabulary
from cotgen.records import Fact, Scene
from cotgen.tasks.action import ACTION
from cotgen.tasks.camera import CAMERA
from cotgen.tasks.phase import PHASE
from cotgen.tasks.step import STEP, steps_of


def scene(n: int, source: str, *terms: str, also: tuple[str, ...] = (), procedure: str = "gastric_bypass") -> Scene:
    facts = [Fact(id=f"{source}.{t.split('.')[0]}.0", kind=t.split(".")[0], terms=[t], source=source) for t in terms]
    names = frozenset({f"{source}.{fact.kind}" for fact in facts} | {f"{source}.{kind}" for kind in also})
    return Scene(f"x-1-{n:06d}", "x/1", n, names, tuple(facts), procedure=procedure)


def test_a_choice_of_actions_offers_all_eight() -> None:
    found = {q.id: q for _, q in ACTION.questions([scene(0, "sar_rarp50", "action.tie_knot")], 0)}
    assert found["action.open"].answer == "tying a knot"
    choice = found["action.choice"]
    assert sorted(choice.options) == sorted(item.answer for item in vocabulary("sar_rarp50", "action"))
    letter = "ABCDEFGH"[choice.options.index("tying a knot")]
    assert ACTION.score(f"{letter}. tying a knot", choice) == ACTION.score("Tying a knot", choice) == 1.0
    assert ACTION.score("cutting the suture", choice) == ACTION.score("They tie a knot", choice) == 0.0


def test_a_choice_of_steps_offers_those_of_the_phase_so_that_the_phase_does_not_tell() -> None:
    bypass = scene(0, "multibypass140", "phase.gastric_pouch_creation", "step.vertical_stapling", also=("view",))
    choice = next(q for _, q in STEP.questions([bypass], 0) if q.options)
    assert sorted(choice.options) == sorted(item.answer for item in steps_of("phase.gastric_pouch_creation"))
    assert len(choice.options) == 12 and choice.answer == "Vertical stapling"
    assert list(STEP.questions([scene(0, "multibypass140", "step.null_step")], 0)) == []


def test_the_phases_of_a_bypass_are_asked_as_such() -> None:
    bypass = scene(0, "multibypass140", "phase.gastrojejunal_anastomosis")
    found = [q for _, q in PHASE.questions([bypass], 3)]
    assert [q.answer for q in found] == ["Gastrojejunal anastomosis"] * 2
    assert len(found[1].options) == 12
    texts = {
        q.text for n in range(300) for _, q in PHASE.questions([scene(n, "multibypass140", "phase.preparation")], 0)
    }
    assert any("gastric bypass" in text for text in texts) and not any("cholecystectomy" in text for text in texts)


def test_the_camera_is_asked_about_in_couples() -> None:
    outside = [scene(n, "multibypass140", "view.out_of_body") for n in range(3)]
    inside = [scene(n, "multibypass140", "phase.preparation", also=("view",)) for n in range(3, 40)]
    found = list(CAMERA.questions([*outside, *inside], 0))
    assert sorted(q.answer for _, q in found) == ["No"] * 3 + ["Yes"] * 3
    assert all((n < 3) == (q.answer == "No") for n, q in found)
    assert list(PHASE.questions(outside, 0)) == list(STEP.questions(outside, 0)) == []
