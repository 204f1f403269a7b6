"""Reading a completion: the tags, the levels, the answer, and boxes back in the stored picture."""

import pytest

from cotgen.training.reply import MOST_SENTENCES, Reply, as_stored, read_reply, text_of
from tests.training.prompts import chain, first

ROW = first("endoscapes", "loc.", due=True).row
TRUE = ROW.scene.facts[0].box


def read(text: str, opened: bool = False) -> Reply:
    return read_reply(text, ROW, as_stored, opened)


def test_boxes_in_the_levels_are_those_of_the_facts_where_they_cover_them() -> None:
    x1, y1, x2, y2 = TRUE
    near = f"[{x1 + 2}, {y1}, {x2}, {y2 - 1}]"
    found = read(chain(f"One is here {near}.", f"Again {near}.", "The other [0, 0, 3.2, 3].", near))
    assert found.boxes == ((x1, y1, x2, y2), (0, 0, 3, 3))
    assert found.chain.sentences == (
        (1, "One is here <bbox:0>."), (2, "Again <bbox:0>."), (3, "The other <bbox:1>.")
    )  # fmt: skip
    assert found.answer == near
    assert found.whole


def test_a_literal_mark_is_no_box() -> None:
    found = read(chain("One is here <bbox:0>.", "It is <BBOX:1>.", "So it is.", "<bbox:0>"))
    assert found.boxes == ()
    assert [text for _, text in found.chain.sentences][:2] == ["One is here <literal:0>.", "It is <literal:1>."]


def test_full_width_signs_are_read_before_boxes_are_brought_back() -> None:
    def shifted(text: str, size: tuple[int, int]) -> str:
        return text.replace("[1, 2, 3, 4]", "[5, 6, 7, 8]")

    found = read_reply(chain("a.", "b.", "c.", "［１, ２, ３, ４］"), ROW, shifted, False)
    assert found.answer == "[5, 6, 7, 8]"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Yes",
        "<answer>Yes</answer>",
        "<think>a</think>Yes",
        "<think>a</think><answer>Yes</answer> b",
        "</think>" * 9,
    ],
)
def test_without_one_answer_after_one_think_block_there_is_none(text: str) -> None:
    assert read(text).answer is None
    assert not read(text).whole


def test_an_open_think_block_of_the_template_is_put_before_the_completion() -> None:
    text = chain("One is here.", "It is so.", "So it is.", "Yes")
    assert read(text.removeprefix("<think>"), opened=True) == read(text)
    assert not read(text, opened=True).whole


def test_more_sentences_than_any_chain_has_are_not_read() -> None:
    assert not read(chain("One is here. " * MOST_SENTENCES, "It is so.", "So it is.", "Yes")).whole
    assert read(chain("One is here. " * (MOST_SENTENCES - 2), "It is so.", "So it is.", "Yes")).whole


def test_the_text_of_a_completion() -> None:
    assert text_of("a") == "a"
    assert text_of([{"role": "assistant", "content": "a"}]) == "a"
    assert text_of([{"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "image"}]}]) == "a"
    for nothing in (None, [], [{}], [None], 3, [{"content": 3}], {"content": "a"}):
        assert text_of(nothing) == ""
