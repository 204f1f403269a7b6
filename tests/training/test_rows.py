"""Rows: the columns of view `prompt`, as a trainer hands them on."""

import orjson
import pytest

from cotgen.errors import CotgenError
from cotgen.training.rows import COLUMNS, Row, read_rows
from tests.training.prompts import Prompt, every_prompt, first, prompts_of


def read(prompt: Prompt, **changed: object) -> Row:
    [row] = read_rows({name: [value] for name, value in (prompt.columns | changed).items()}, 1)
    return row


def test_the_columns_are_those_of_the_view_and_plain_values() -> None:
    for prompt in every_prompt()[::20]:
        assert tuple(prompt.columns) == tuple(sorted(prompt.columns, key=list(prompt.columns).index))
        assert set(prompt.columns) == set(COLUMNS)
        assert orjson.loads(orjson.dumps(prompt.columns)) == prompt.columns


def test_the_scene_and_the_question_come_back() -> None:
    for prompt in every_prompt():
        scene = prompt.row.scene
        assert prompt.row.question.truth == prompt.row.question.truth
        assert prompt.row.name == f"{scene.key}#{prompt.pair.id}"
        assert [fact.model_dump() for fact in scene.facts] == prompt.columns["facts"]
        assert scene.size == tuple(prompt.columns["size"])
        assert prompt.row.question.boxes == ()


def test_the_source_is_the_one_that_is_asked_about() -> None:
    of = {(p.row.task, p.row.source) for p in prompts_of("cholect50")}
    assert ("triplet", "cholect50") in of
    assert ("tool_presence", "cholec80") in of
    assert {p.row.source for p in prompts_of("endoscapes")} == {"endoscapes"}


def test_columns_may_come_as_json_texts_and_rows_are_equal_where_they_are() -> None:
    prompt = first("endoscapes", "loc.")
    texts = {
        name: orjson.dumps(prompt.columns[name]).decode()
        for name in ("facts", "measured", "boxes", "labelled", "size")
    }
    assert read(prompt, **texts) == prompt.row
    assert hash(read(prompt, **texts)) == hash(prompt.row)
    assert read(prompt, images=object()) == prompt.row
    assert read(prompt, key="endoscapes-2-999999") != prompt.row


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"facts": "[{"}, "the column 'facts' holds text that is no JSON"),
        ({"facts": [{"id": "a"}]}, "its facts are not those of a sample"),
        ({"task": "colour"}, "no task 'colour' is known; this version has phase, "),
    ],
)
def test_columns_of_another_form_are_refused_by_name(changed: dict[str, object], message: str) -> None:
    with pytest.raises(CotgenError, match=message):
        read(first("endoscapes", "loc."), **changed)


def test_an_answer_that_is_none_is_refused() -> None:
    with pytest.raises(CotgenError, match="is no answer of the task 'phase'; render view 'prompt' again"):
        _ = read(first("cholec80", "phase.open"), answer="[1, 2, 3, 4]").question


def test_columns_of_other_lengths_are_refused() -> None:
    columns = {name: [value] for name, value in first("endoscapes", "loc.").columns.items()}
    with pytest.raises(CotgenError, match="the column 'key' has 1 values for 2 completions"):
        read_rows(columns, 2)


def test_rows_survive_a_table_of_the_library_that_trainers_read() -> None:
    """Map-style `datasets`, as GRPO reads it: lists stay lists, and nothing becomes null."""
    datasets = pytest.importorskip("datasets")
    prompts = every_prompt()
    table = datasets.Dataset.from_list([prompt.columns for prompt in prompts])
    rows = read_rows({name: table[name] for name in COLUMNS}, len(prompts))
    assert rows == [prompt.row for prompt in prompts]
