"""Which samples of a policy are kept: right, whole, with evidence, past all checks; and of those the best."""

from collections import Counter

import pytest

from cotgen.chains.boxes import BoxFormat
from cotgen.chains.checks import check_pair
from cotgen.chains.render import render_boxes, render_chain
from cotgen.errors import CotgenError
from cotgen.records import Pair, Statement
from cotgen.surgeries.priors import PHASE_BY_TRIPLET, Priors
from cotgen.training.refine import Account, Judged, Keeping, judge, variety
from cotgen.training.reply import as_stored
from tests.chains.conftest import fact, scene_of
from tests.chains.scenes import FRAMES
from tests.training.prompts import Prompt, chain, first, prompt_of, prompts_of, sample_of

KEEP = Keeping(as_stored)


def judged(prompt: Prompt, *texts: str | None, keeping: Keeping = KEEP) -> Judged:
    return judge(texts, prompt.row, prompt.pair, "policy/1", None, keeping)


def why(prompt: Prompt, text: str) -> str:
    """Why the one sample is not kept; "" where it is."""
    found = judged(prompt, text)
    assert len(found.pairs) + sum(found.refused.values()) == 1
    return "" if found.pairs else next(iter(found.refused))


@pytest.mark.parametrize("source", ["cholec80", *FRAMES])
def test_right_chains_of_every_task_are_kept_with_the_labels_answer(source: str) -> None:
    """All but those that give no reason: phases, steps and actions without statistics."""
    kept = 0
    for prompt in prompts_of(source):
        found = judged(prompt, prompt.gold)
        assert found.right == 1
        if prompt.pair.support == "asserted":
            assert found.refused == Counter(asserted=1)
            continue
        [pair] = found.pairs
        assert (pair.id, pair.answer, pair.writer) == (prompt.pair.id, prompt.pair.answer, "policy/1")
        assert not [f for f in check_pair(pair, prompt.row.scene, None) if f.severity == "hard"]
        kept += 1
    assert kept or source in ("sar_rarp50", "multibypass140")


YES = first("cholec80", "tool.yesno", due=False)


def test_no_sample_of_a_wrong_answer_is_kept_and_none_that_was_cut() -> None:
    other = {"Yes": "No", "No": "Yes", "yes": "no", "no": "yes"}[YES.pair.answer]
    found = judged(YES, None, YES.saying(other), YES.saying("perhaps"), "The hook is there: yes.", YES.gold)
    assert found.refused == Counter(lost=1, answer=2, form=1)
    assert (found.right, len(found.pairs)) == (1, 1)


PRESENCE = first("cholec80", "tool.presence")


@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        (lambda text: text.replace("\nLevel 3: ", "\nLevel 3: Since the answer was given as a hint, it is right. "), "leak"),
        (lambda text: text.replace("\nLevel 3: ", "\nLevel 3: The labels say so. "), "leak"),
        (lambda text: text.replace("Level 1: ", "Level 1: The right answer is known. "), "leak"),
        (lambda text: text.replace("Level 1: ", "Level 1: It is as it is. "), "ungrounded"),
        (lambda text: text.replace("\nLevel 2: ", " The hook is shiny and straight.\nLevel 2: "), "look"),
        (lambda text: text.replace("</think>", "</think></think>"), "form"),
        (lambda text: text.replace("Level 2:", "Level 4:"), "form"),
        (lambda text: text + " Thank you.", "form"),
        (lambda text: text.replace("Level 1: ", "Level 1: A specimen bag, scissors and a clip applier are in view. "), ""),
    ],
)  # fmt: skip
def test_hostile_right_answers_are_refused(spoil: object, check: str) -> None:
    text = spoil(PRESENCE.gold)  # type: ignore[operator]
    assert text != PRESENCE.gold
    found = why(PRESENCE, text)
    assert found in (check, "ungrounded") if check else found


def test_a_sentence_that_comes_twice_and_an_answer_before_level_3_are_refused() -> None:
    level = PRESENCE.gold.partition("Level 1: ")[2].partition("\n")[0]
    assert why(PRESENCE, PRESENCE.gold.replace(level, f"{level} {level}")) == "empty"
    count = first("cholec80", "tool.count")
    first_level = count.gold.partition("Level 1: ")[2].partition("\n")[0]
    early = count.gold.replace(first_level, f"{first_level} That makes one kind.")
    assert why(count, early) in ("early_answer", "counting", "ungrounded")


def test_denials_alone_earn_nothing() -> None:
    """A chain that tells none of the facts that are due is no reasoning, right answer or not."""
    prompt = next(
        p for p in prompts_of("cholec80") if p.pair.id == "phase.open" and len(p.row.scene.terms("instrument")) >= 2
    )
    absent = next(n for n in ("clip applier", "irrigator") if n not in prompt.gold)
    text = chain(
        f"No {absent} is in view.",
        "There is thus no instrument to relate to a structure.",
        f"This view belongs to {prompt.answer[0].lower()}{prompt.answer[1:]}.",
        prompt.answer,
    )
    assert why(prompt, text)


CLIP = ("instrument.clipper", "verb.clip", "anatomy.cystic_duct")
RETRACT = ("instrument.grasper", "verb.retract", "anatomy.gallbladder")
PRIORS = Priors(
    source="cholect50", split_table="clean/1", surgeries=["cholec80/1"],
    tables={PHASE_BY_TRIPLET: {"+".join(CLIP): {"phase.clipping_and_cutting": [860, 9]}}},
)  # fmt: skip
CONCLUSION = " ".join(
    (
        "Clipping of the cystic duct is almost always found in clipping and cutting.",
        "So this is the clipping and cutting phase.",
    )
)


def clipping() -> Prompt:
    """A view in which a clip is set while a grasper retracts, and the question for its phase."""
    facts = [fact("cholect50.phase.0", "phase.clipping_and_cutting")]
    facts += [fact("cholect50.triplet.0", *CLIP), fact("cholect50.triplet.1", *RETRACT)]
    scene = scene_of("cholec80/01", facts, size=(854, 480))
    pair = Pair(
        id="phase.open", task="phase", question="Which phase is this?", support="strong", answer="Clipping and cutting",
        statements=[Statement(level=1, text="A hook.", basis="label", evidence=["fact:cholect50.triplet.0"])],
        writer="template/1",
    )  # fmt: skip
    return prompt_of(sample_of(scene, [pair]), pair)


def ranked(*texts: str, distinct: int = 5) -> list[str]:
    prompt = clipping()
    found = judge(texts, prompt.row, prompt.pair, "policy/1", PRIORS, Keeping(as_stored, distinct=distinct))
    assert found.right == len(texts)
    return [render_chain(pair) for pair in found.pairs]


PART = chain(
    "A clip applier is at work.", "The clip applier is clipping the cystic duct.", CONCLUSION, "Clipping and cutting"
)
WHOLE = [
    chain(one, two, CONCLUSION, "Clipping and cutting")
    for one, two in (
        ("A clip applier is at work. A grasper is at work too.",
         "The grasper retracts the gallbladder. The clip applier is clipping the cystic duct."),
        ("A grasper and a clip applier are at work.",
         "The clip applier is setting a clip on the cystic duct, and the grasper keeps the gallbladder on traction."),
        ("A grasper is at work. A clip applier is at work as well.",
         "The clip applier is placing a clip on the cystic duct. A clip applier serves to close a duct or a vessel, a "
         "grasper to hold tissue. The grasper keeps the gallbladder retracted."),
    )
]  # fmt: skip


def test_the_chain_that_tells_most_of_the_facts_comes_first() -> None:
    assert ranked(PART, WHOLE[0]) == ranked(WHOLE[0], PART) == [WHOLE[0], PART]


def test_of_equally_faithful_chains_the_one_of_median_length_comes_first() -> None:
    lengths = sorted(map(len, WHOLE))
    middle = next(text for text in WHOLE if len(text) == lengths[1])
    for order in (WHOLE, WHOLE[::-1], [WHOLE[1], WHOLE[2], WHOLE[0]]):
        assert ranked(*order)[0] == middle
        assert ranked(*order, distinct=1) == [middle]


def test_chains_of_one_prompt_differ_in_plan_and_in_words() -> None:
    reworded = PART.replace("is clipping", "is placing a clip on")
    assert len(ranked(PART, PART, reworded)) == 1
    assert len(ranked(PART, *WHOLE)) == 4


def test_a_prompt_that_is_nearly_always_right_may_be_left_out() -> None:
    strict = Keeping(as_stored, most_right=0.5)
    found = judged(YES, YES.gold, YES.gold, keeping=strict)
    assert not found.pairs
    assert found.refused == Counter(repeated=1, easy=1)
    assert judged(YES, YES.gold, None, keeping=strict).pairs


def test_boxes_of_an_answer_are_right_from_a_threshold_and_stored_as_labelled() -> None:
    where = next(p for p in prompts_of("endoscapes") if p.pair.id.startswith("loc.") and "<bbox:0>" in p.pair.answer)
    size = where.row.size
    boxes = BoxFormat("per_mille")
    gold = render_boxes(render_chain(where.pair), where.pair.boxes, boxes, size)
    [pair] = judged(where, gold, keeping=Keeping(boxes.read)).pairs
    assert pair.answer == where.pair.answer
    assert pair.boxes[0] == where.pair.boxes[0]
    x1, y1, x2, y2 = where.pair.boxes[0]
    moved = [x1 + (x2 - x1) // 3, y1, x2 + (x2 - x1) // 3, y2]
    off = where.saying(f"[{', '.join(map(str, moved))}]")
    assert judged(where, off, keeping=Keeping(as_stored, least_iou=0.4)).right == 1
    assert judged(where, off, keeping=Keeping(as_stored, least_iou=0.6)).right == 0


def test_settings_that_mean_nothing_are_refused() -> None:
    for values in ({"least_iou": 0.0}, {"distinct": 0}, {"most_right": 1.5}):
        with pytest.raises(CotgenError, match=next(iter(values))):
            Keeping(as_stored, **values)  # type: ignore[arg-type]


def test_the_account_adds_up() -> None:
    account = Account()
    for texts in ([YES.gold, YES.saying("perhaps")], [None, None]):
        account.add(judged(YES, *texts), len(texts))
    told = account.told()
    assert told == {
        "prompts": 2, "samples": 4, "right": 1, "kept": 1, "chains": 1, "unanswered": 1,
        "refused": {"answer": 1, "lost": 2},
    }  # fmt: skip
    assert told["chains"] + sum(told["refused"].values()) == told["samples"]
    assert variety([YES.pair, YES.pair]) == {"plan_bits": 0.0, "skeleton_bits": 0.0}
