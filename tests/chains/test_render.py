"""Rendering and reading back: strict about the form, never raising, quick on hostile text."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cotgen.chains.render import MAX_CHARACTERS, parse, question_text, render, render_boxes, render_chain
from cotgen.records import Pair, Statement

GOOD = "<think>Level 1: A hook is in view.\nLevel 2: It is so.\nLevel 3: So it is.</think><answer>hook</answer>"


def pair(**other: object) -> Pair:
    statements = [
        Statement(level=1, text="A hook <bbox:0> is in view.", basis="label", evidence=["fact:cholec80.instrument.0"]),
        Statement(level=2, text="It is related.", basis="follows", evidence=["statement:0"]),
        Statement(level=3, text="So it is.", basis="follows", evidence=["statement:0"]),
    ]
    values: dict[str, object] = {
        "id": "phase.choice", "task": "phase", "question": "Which phase?",
        "options": ["Preparation", "Clipping and cutting"],
        "boxes": [[85, 48, 427, 240]], "support": "weak", "statements": statements, "answer": "Preparation",
        "writer": "template/1",
    }  # fmt: skip
    return Pair.model_validate(values | other)


def test_a_chain_is_read_as_it_was_written() -> None:
    parsed = parse(render_chain(pair()))
    assert parsed.problems == ()
    assert parsed.sentences == ((1, "A hook <bbox:0> is in view."), (2, "It is related."), (3, "So it is."))
    assert parsed.answer == "Preparation"


def test_levels_may_carry_their_names() -> None:
    named = GOOD.replace("Level 1:", "Level 1 (Perceptual Grounding):")
    assert parse(named).sentences == parse(GOOD).sentences


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hook",
        GOOD + GOOD,
        GOOD.replace("</think>", ""),
        GOOD + "<answer>hook</answer>",
        GOOD.replace("Level 2: It is so.\n", ""),
        GOOD.replace("It is so.", ""),
        GOOD.replace("Level 2", "Level 4"),
        GOOD.replace("<think>", "<think>Well. "),
        GOOD.replace("hook</answer>", "</answer>"),
        GOOD.replace("Level 3", "Level 1"),
        "And so: " + GOOD,
    ],
)
def test_text_of_another_form_has_problems(text: str) -> None:
    assert parse(text).problems


@given(st.text(max_size=300))
@settings(max_examples=100)
def test_reading_never_raises(text: str) -> None:
    parse(text)
    parse(f"<think>Level 1: {text}\nLevel 2: b.\nLevel 3: c.</think><answer>{text}</answer>")


def test_a_huge_reply_is_refused_at_once() -> None:
    start = time.perf_counter()
    assert parse("<think>" * 1_500_000).problems
    assert time.perf_counter() - start < 0.1
    assert len(GOOD) < MAX_CHARACTERS


def test_boxes_are_written_in_the_convention_of_the_model() -> None:
    text, boxes = "at <bbox:0>", [[85, 48, 427, 240]]
    assert render_boxes(text, boxes, "index", (854, 480)) == "at <bbox:0>"
    assert render_boxes(text, boxes, "pixels", (854, 480)) == "at [85, 48, 427, 240]"
    assert render_boxes(text, boxes, "per_mille", (854, 480)) == "at [100, 100, 500, 500]"


def test_views() -> None:
    assert question_text(pair()) == "Which phase?\nA. Preparation\nB. Clipping and cutting"
    assert render(pair(), "vqa")["response"] == "Preparation"
    assert "[85, 48, 427, 240]" in render(pair(), "cot", size=(854, 480))["response"]
    assert render(pair(), "prompt") == {
        "prompt": question_text(pair()),
        "options": ["Preparation", "Clipping and cutting"],
        "answer": "Preparation",
        "boxes": [[85, 48, 427, 240]],
    }
    with pytest.raises(ValueError, match="use one of"):
        render(pair(), "sft")  # type: ignore[arg-type]
