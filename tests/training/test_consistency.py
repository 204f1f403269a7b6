"""Consistency: levels and answer go together, counted on what is true, and never above faithfulness."""

import pytest

from tests.training.prompts import Prompt, chain, every_prompt, first, prompts_of

KNOWN = "A hook takes up a little tissue and divides it with current."


def of(prompt: Prompt, text: str) -> float | None:
    return prompt.rewards(text)["consistency"]


def test_a_right_chain_with_another_answer_is_inconsistent() -> None:
    for prompt in every_prompt():
        others = [
            p.answer for p in prompts_of(_name(prompt)) if p.pair.id == prompt.pair.id and p.answer != prompt.answer
        ]
        if others and prompt.rewards(prompt.gold)["consistency"] is not None:
            changed = prompt.saying(others[0])
            if prompt.rewards(changed)["format"]:
                assert of(prompt, changed) == 0.0 or prompt.row.task == "localization"


def _name(prompt: Prompt) -> str:
    family = prompt.row.scene.surgery.partition("/")[0]
    if family == "cholec80":
        return "cholect50" if "cholect50.triplet" in prompt.row.scene.labelled else "cholec80"
    return family


def phase() -> Prompt:
    return next(
        p for p in prompts_of("cholec80")
        if p.pair.id == "phase.open" and p.row.scene.terms("instrument") == ("instrument.grasper", "instrument.hook")
    )  # fmt: skip


def test_the_exploit_of_levels_that_are_written_to_fit_an_answer() -> None:
    """A wrong answer with a chain that argues for it: what it claims is not there, so nothing is paid."""
    prompt = phase()
    made_up = chain("A clip applier is in view.", "Clip appliers carry clips for ducts and vessels.",
                    "So this is the clipping and cutting phase.", "Clipping and cutting")  # fmt: skip
    assert of(prompt, made_up) == 0.0
    assert prompt.rewards(made_up)["faithfulness"] == 0.0


def test_level_three_concludes_the_answer_and_no_other() -> None:
    prompt = phase()
    one = "A grasper and a hook are in view."
    said = prompt.answer
    assert of(prompt, chain(one, KNOWN, f"This view belongs to the {said.lower()}.", said)) == 1.0
    assert of(prompt, chain(one, KNOWN, "It is the one that fits.", said)) == 0.0
    both = f"This view belongs to the {said.lower()}. This view belongs to the preparation."
    assert of(prompt, chain(one, KNOWN, both, said)) == 0.0


def test_an_instrument_that_level_one_does_not_show_breaks_a_link() -> None:
    prompt = phase()
    said = prompt.answer
    three = f"This view belongs to the {said.lower()}."
    whole = of(prompt, chain("A grasper and a hook are in view.", KNOWN, three, said))
    hidden = chain("A hook is in view.", "A grasper is in view as well.", three, said)
    value, faithful = of(prompt, hidden), prompt.rewards(hidden)["faithfulness"]
    assert faithful == 1.0
    assert value == pytest.approx(0.5)  # one of the two sentences about the frame
    assert whole == 1.0


def test_copied_levels_link_nothing() -> None:
    prompt = phase()
    one = "A grasper and a hook are in view."
    assert of(prompt, chain(one, one, f"This is the {prompt.answer.lower()}.", prompt.answer)) == 0.0


def test_it_does_not_apply_where_faithfulness_does_not() -> None:
    bypass = first("multibypass140", "phase.open")
    assert of(bypass, bypass.gold) is None


def test_boxes_follow_when_they_are_those_of_the_levels_on_the_whole() -> None:
    prompt = next(p for p in prompts_of("endoscapes") if p.row.task == "localization" and p.answer.count("[") == 1)
    x1, y1, x2, y2 = (int(v) for v in prompt.answer.strip("[]").split(","))
    assert of(prompt, prompt.saying(f"[{x1 + 1}, {y1}, {x2}, {y2}]")) == 1.0
    assert of(prompt, prompt.saying(f"[{x1}, {y1}, {x1 + (x2 - x1) // 3}, {y2}]")) == 0.0
