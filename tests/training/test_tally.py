"""The tally of a chain: what pays, what costs, what neither; and each exploit of a chain reward."""

import pytest

from cotgen.chains.checks import CONTENT_CHECKS
from cotgen.records import Pair, Scene, Statement
from cotgen.tasks import TASKS
from cotgen.tasks.base import Question
from cotgen.training.reply import as_stored
from cotgen.training.rows import Row
from cotgen.training.tally import Tally, case_of, tally
from tests.chains.conftest import fact, make_scene, scene_of
from tests.training.prompts import Prompt, chain, every_prompt, first, prompt_of, prompts_of, sample_of

KNOWN = "A hook takes up a little tissue and divides it with current."
SIZE = (854, 480)


def asked(scene: Scene, id: str, answer: str) -> Prompt:
    """A question about a scene, by the id and the answer of its pair."""
    task = next(name for name, task in TASKS.items() if _is_of(task, id))
    statement = Statement(level=1, text="?", basis="visual", evidence=["seen:nobody"])
    pair = Pair(
        id=id, task=task, question="?", support="asserted", statements=[statement], answer=answer, writer="template/1"
    )
    return prompt_of(sample_of(scene, [pair]), pair)


def _is_of(task: object, id: str) -> bool:
    try:
        task.subject(id)  # type: ignore[attr-defined]
    except ValueError:
        return False
    return True


def counted(row: Row, one: str, two: str, three: str = "So it is the one that fits best here.") -> Tally:
    return tally(chain(one, two, three, "x"), row, as_stored, False)


TWO = make_scene("cholec80/42", 1150, "gallbladder_dissection", ["grasper", "hook"])
ONE = make_scene("cholec80/42", 1150, "gallbladder_dissection", ["hook"])
PHASE = asked(TWO, "phase.open", "Gallbladder dissection").row
ACTS = asked(
    scene_of(
        "cholec80/73",
        [
            fact("cholect50.triplet.0", "instrument.hook", "verb.dissect", "anatomy.gallbladder"),
            fact("cholect50.triplet.1", "instrument.grasper", "verb.retract", "anatomy.gallbladder"),
            fact("cholect50.phase.0", "phase.gallbladder_dissection"),
        ],
        size=SIZE,
    ),
    "triplet.set",
    "grasper, retract, gallbladder\nhook, dissect, gallbladder",
).row
BOXED = asked(
    scene_of(
        "endoscapes/2",
        [
            fact("endoscapes.anatomy.0", "anatomy.gallbladder", box=(100, 50, 300, 200)),
            fact("endoscapes.anatomy.1", "anatomy.cystic_duct", box=(500, 300, 600, 400)),
            fact("endoscapes.cvs.0", "cvs.two_structures", value=1.0),
            fact("endoscapes.cvs.1", "cvs.hepatocystic_triangle", value=0.0),
            fact("endoscapes.cvs.2", "cvs.cystic_plate", value=0.0),
        ],
        size=SIZE,
    ),
    "cvs.criteria",
    "two structures: yes\nhepatocystic triangle: no\ncystic plate: no\ncritical view: not achieved",
).row


# what pays and what costs


def test_facts_that_are_due_are_told() -> None:
    found = counted(PHASE, "A hook and a grasper are in view.", KNOWN)
    assert (found.due, found.told, found.paid) == (2, 2, 2)
    assert (found.contradicted, found.undecided, found.unsupported) == (0, 0, 0)
    assert found.faithfulness == 1.0


def test_acts_pay_when_they_are_told_whole() -> None:
    one = "A hook and a grasper are at work."
    whole = "The hook is dissecting at the gallbladder while the grasper keeps it on traction."
    told = "The hook is dissecting at the gallbladder. The grasper retracts the gallbladder."
    assert counted(ACTS, one, told).faithfulness == 1.0
    assert counted(ACTS, one, "The hook is dissecting. The grasper retracts the gallbladder.").told == 3
    assert counted(ACTS, one, whole).told >= 3


def test_an_act_or_a_thing_that_the_facts_contradict_costs() -> None:
    one = "A hook and a grasper are at work."
    swapped = counted(ACTS, one, "The grasper is dissecting at the gallbladder. The hook retracts the gallbladder.")
    assert (swapped.told, swapped.contradicted) == (2, 2)
    assert swapped.faithfulness == pytest.approx(2 * 0.6 * 0.5 / 1.1)  # three things and two lies; two of four due
    wrong = counted(PHASE, "A hook and a grasper are in view. Scissors are in view.", KNOWN)
    assert (wrong.paid, wrong.contradicted) == (2, 1)
    assert wrong.faithfulness == pytest.approx(2 * (2 / 3) / (2 / 3 + 1))


def test_a_box_pays_for_the_thing_that_is_named_before_it() -> None:
    row = asked(BOXED.scene, "loc.anatomy.gallbladder", "not visible").row
    true = counted(
        row, "The gallbladder is in the upper left of the field [104, 52, 298, 205].", "Nothing touches it here."
    )
    assert (true.due, true.told) == (2, 2)
    other = counted(row, "The gallbladder is in view [502, 303, 598, 398].", "Nothing touches it here.")
    assert (other.told, other.contradicted) == (1, 1)
    assert other.faithfulness == 0.0  # of two facts that are due, the one that the question names is no merit
    nowhere = counted(row, "The gallbladder is in view [700, 10, 800, 40].", "Nothing touches it here.")
    assert nowhere.contradicted == 1


def test_a_wrong_place_costs_and_a_right_one_pays_nothing() -> None:
    row = asked(BOXED.scene, "anatomy.presence", "gallbladder\ncystic duct").row
    one = "The gallbladder is in the {} [100, 50, 300, 200]. The cystic duct is in view [500, 300, 600, 400]."
    right, wrong = (counted(row, one.format(w), "The gallbladder lies above the cystic duct in the picture.")
                    for w in ("upper left of the field", "lower right of the field"))  # fmt: skip
    assert right.faithfulness == 1.0
    assert right.paid == wrong.paid == 4
    assert wrong.contradicted == 1


def test_knowledge_and_denials_that_hold_neither_pay_nor_cost() -> None:
    plain = counted(PHASE, "A hook and a grasper are in view.", KNOWN)
    more = counted(PHASE, "A hook and a grasper are in view. No clip applier is in view.", KNOWN)
    assert more.faithfulness == plain.faithfulness
    assert more.paid == plain.paid
    lie = counted(PHASE, "A hook and a grasper are in view. No hook is in view.", KNOWN)
    assert lie.contradicted == 1


def test_what_the_sources_are_silent_about_is_undecided_and_free_up_to_a_share() -> None:
    """Of Cholec80 nobody outlined a structure, so free talk about some is free, and much of it is not."""
    one = "A hook and a grasper are in view. "
    some = counted(PHASE, one + "The liver is in view.", KNOWN)
    assert (some.undecided, some.contradicted) == (1, 0)
    assert some.faithfulness == pytest.approx(2 * (2 / 2.1) / (2 / 2.1 + 1))  # 0.1 over 30 % of three claims
    much = counted(PHASE, one + "The liver, the cystic duct, the cystic artery and the omentum are in view.", KNOWN)
    assert much.undecided == 4
    assert much.faithfulness is not None
    assert much.faithfulness < 0.7
    placed = counted(PHASE, "A hook is in view in the upper left of the field. A grasper is in view.", KNOWN)
    assert (placed.undecided, placed.contradicted) == (1, 0)


def test_a_sentence_that_claims_nothing_or_more_than_anything_can_decide_costs_and_pays_nothing() -> None:
    for extra in ("It is so.", "All goes on as one would wish.", "The bluish hook gleams carefully.",
                  "The hook is safely advanced.", "According to the annotation a hook is in view."):  # fmt: skip
        found = counted(PHASE, f"A hook and a grasper are in view. {extra}", KNOWN)
        assert found.unsupported == 1, extra
        assert found.faithfulness == pytest.approx(2 * (2 / 3) / (2 / 3 + 1))
    assert counted(PHASE, "A gleaming hook and a grasper are in view.", KNOWN).paid == 0


# the exploits


def test_exploit_one_safe_claim() -> None:
    """ "A grasper is in view" is right in 56 % of frames: alone it pays nothing where more is due."""
    assert counted(PHASE, "A grasper is in view.", KNOWN).faithfulness == 0.0
    single = asked(ONE, "phase.open", "Gallbladder dissection").row
    assert counted(single, "A grasper is in view.", KNOWN).faithfulness == 0.0
    assert counted(single, "A hook is in view.", KNOWN).faithfulness == 1.0


def test_exploit_saying_nothing() -> None:
    assert counted(PHASE, "This is a view of it all.", KNOWN).faithfulness == 0.0
    assert counted(PHASE, "No clip applier is in view.", "No scissors are in view.").faithfulness == 0.0


def test_exploit_true_but_empty_claims() -> None:
    """Negatives, tissue, an instrument, repeats: none of them pays."""
    for empty in ("An instrument is in view. Instruments are in view.",
                  "No clip applier is in view. No scissors are in view.",
                  "There is tissue in view. There is tissue here."):  # fmt: skip
        assert counted(PHASE, empty, KNOWN).paid == 0
        assert counted(PHASE, empty, KNOWN).faithfulness == 0.0
    again = "A hook is in view. The view shows a hook. A hook can be seen. A hook is visible. A hook is in view."
    assert counted(PHASE, again, KNOWN).paid == 1
    # A lie is not diluted by telling the same truth in many ways.
    lie = counted(PHASE, f"{again} A grasper is in view. Scissors are in view.", KNOWN)
    assert (
        lie.faithfulness
        == counted(PHASE, "A hook and a grasper are in view. Scissors are in view.", KNOWN).faithfulness
    )


def test_exploit_blindness_for_the_unlabelled_grasper() -> None:
    """Seeing the grasper that Cholec80 has not must not cost, or the policy stops seeing it."""
    row = asked(make_scene("cholec80/42", 1150, "gallbladder_dissection", ["hook", "bipolar"]), "phase.open",
                "Gallbladder dissection")  # fmt: skip
    seen = counted(row.row, "A hook and bipolar forceps are in view. A grasper is in view.", KNOWN)
    assert (seen.contradicted, seen.undecided) == (0, 1)
    blind = counted(row.row, "A hook and bipolar forceps are in view. A clip applier is in view.", KNOWN)
    assert (blind.contradicted, blind.undecided) == (1, 0)
    assert seen.faithfulness is not None
    assert blind.faithfulness is not None
    assert seen.faithfulness > blind.faithfulness


def test_exploit_the_answer_before_level_three_voids_the_chain() -> None:
    one = "A hook and a grasper are in view."
    for levels in ((f"{one} This is gallbladder dissection.", KNOWN), (one, "The gallbladder dissection is under way."),
                   (f"{one} The liver bed is in view.", KNOWN)):  # fmt: skip
        assert counted(PHASE, *levels).void
        assert counted(PHASE, *levels).faithfulness == 0.0
    judged = counted(BOXED, "The gallbladder and the cystic duct are in view.", "The triangle is not cleared.")
    assert judged.void


def test_exploit_copied_levels() -> None:
    one = "A hook and a grasper are in view."
    assert counted(PHASE, one, one).void
    assert counted(PHASE, one, KNOWN, one).void


def test_exploit_a_doubt_where_all_raters_agree() -> None:
    """Hedging in text: the closed words of other votes contradict."""
    one = "The gallbladder [100, 50, 300, 200] and the cystic duct [500, 300, 600, 400] are in view."
    two = "The gallbladder lies above the cystic duct in the picture."
    sure = "Two structures, and no more, are seen to enter the gallbladder."
    doubt = "Two structures seem to enter the gallbladder and no more, with some doubt."
    rest = "The triangle is not cleared. So the critical view of safety is not achieved in this view."
    honest, hedged = (counted(BOXED, one, two, f"{first} {rest}") for first in (sure, doubt))
    assert (honest.contradicted, hedged.contradicted) == (0, 1)
    assert honest.faithfulness == 1.0
    assert hedged.faithfulness is not None
    assert hedged.faithfulness < 1.0


def test_exploit_a_chain_of_another_frame() -> None:
    """The swap test: the picture exchanged, the chain must change."""
    for source in ("cholect50", "endoscapes", "endovis18"):
        kept = [p for p in prompts_of(source) if p.rewards(p.gold)["faithfulness"] is not None]
        swapped = [
            other.rewards(one.gold)["faithfulness"] or 0.0
            for one, other in zip(kept, kept[len(kept) // 2 :], strict=False)
            if one.row.scene.key != other.row.scene.key
        ]
        assert sum(swapped) / len(swapped) < 0.3


def test_exploit_box_of_the_whole_picture() -> None:
    where = first("endoscapes", "loc.", due=True)
    width, height = where.row.size
    whole = f"[0, 0, {width}, {height}]"
    name = where.row.question.subject[0].rpartition(".")[2].replace("_", " ")
    found = tally(
        chain(f"The {name} is in view {whole}.", "It is here.", "So it is here.", whole), where.row, as_stored, False
    )
    assert found.faithfulness == 0.0


# where it does not apply


def test_it_applies_by_the_prompt_alone() -> None:
    none = asked(make_scene("cholec80/42", 0, "preparation", []), "phase.open", "Preparation").row
    assert counted(none, "A hook is in view.", KNOWN).faithfulness is None
    yes_no = asked(TWO, "tool.yesno.instrument.hook", "Yes").row
    assert counted(yes_no, "A hook is in view.", KNOWN).faithfulness is None
    bypass = first("multibypass140", "phase.open")
    assert bypass.rewards(bypass.gold)["faithfulness"] is None


def test_a_question_about_one_instrument_is_due_the_same_whether_yes_or_no() -> None:
    due: dict[tuple[str, str], set[int]] = {}
    for prompt in prompts_of("cholect50"):
        if prompt.pair.id.startswith(("triplet.yesno", "triplet.doing")):
            name = (prompt.row.scene.key, prompt.row.question.subject[0])
            due.setdefault(name, set()).add(tally(prompt.gold, prompt.row, as_stored, False).due)
    assert due
    assert all(len(numbers) == 1 for numbers in due.values())


def test_findings_of_the_checks_are_never_paid_in_full() -> None:
    """One definition: a chain in which the checks find something at level 1 or 2 is not wholly faithful."""
    found = 0
    others = [p for p in every_prompt() if p.row.task in ("phase", "triplet", "cvs", "anatomy", "localization")]
    for one, other in (pair for n in (3, 5, 8) for pair in zip(others, others[n:], strict=False)):
        if one.pair.id != other.pair.id:
            continue
        case = case_of(one.gold, other.row, as_stored, False)
        wrong = {
            f.check for check in CONTENT_CHECKS for f in check(case)
            if f.statement >= 0 and case.readings[f.statement].level < 3 and f.check not in ("sight", "monotone", "negation")
        }  # fmt: skip
        value = other.rewards(one.gold)["faithfulness"]
        if wrong and value is not None:
            found += 1
            assert value < 1.0, (one.row.name, other.row.name, wrong)
    assert found > 10


def test_a_question_of_a_stored_pair_is_what_is_scored() -> None:
    assert isinstance(PHASE.question, Question)
    assert PHASE.question.truth == ("phase.gallbladder_dissection",)
