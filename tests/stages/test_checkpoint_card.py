"""The card of a run is told from its record; what the record cannot know is asked for."""

import json
from pathlib import Path
from typing import Any

import pytest

from cotgen.errors import CotgenError
from cotgen.hub.model_card import model_card
from cotgen.stages.checkpoint_card import Told, card_of, read_record
from cotgen.stages.evaluate import SCORES_SCHEMA

pytest.importorskip("jinja2")


def record(**more: Any) -> dict[str, Any]:
    return {
        "stage": "stage2_cold_start",
        "model": {
            "base": "Qwen/Qwen3-VL-8B-Instruct",
            "revision": "0" * 40,
            "after": [{"stage": "stage1_sft", "data": []}],
        },
        "data": [
            {"name": "lab/set", "revision": "v1.0.0", "fingerprint": "f" * 32, "share": "", "licences": ["CC BY 4.0"]}
        ],
        "boxes": {"convention": "resized", "min_pixels": 200704, "max_pixels": 1003520},
        "instruction": "Think.",
        "config": {"SFTConfig": {"learning_rate": 1e-05, "debug": []}, "DataArguments": {"tasks": ["phase"]}},
        "versions": {"cotgen": "0.1.0", "trl": "1.16.0"},
        **more,
    }


@pytest.mark.parametrize("evaluated", [True, False], ids=["evaluate.py", "a list"])
def test_a_run_on_published_data_needs_no_more_than_a_name(evaluated: bool, tmp_path: Path) -> None:
    (tmp_path / "cotgen.json").write_text(json.dumps(record()))
    scores = tmp_path / "scores.json"
    figure = {"name": "phase: accuracy", "split": "test", "value": "71.4 %", "null_name": "majority"}
    figures = [{**figure, "null_value": "38.2 %", "samples": 4321}]
    scores.write_text(json.dumps({"schema": SCORES_SCHEMA, "metrics": figures} if evaluated else figures))
    text = model_card(card_of(read_record(tmp_path), Told("lab/surgeon", scores=scores)))
    for told in (
        "[Qwen/Qwen3-VL-8B-Instruct](https://huggingface.co/Qwen/Qwen3-VL-8B-Instruct) at `" + "0" * 40,
        "lab/set/tree/v1.0.0",
        "in pixels of the picture as the processor resizes it",
        "- Base model: Apache-2.0.",
        "| phase: accuracy | test | 71.4 % | majority | 38.2 % | 4,321 |",
        "- Before, it went through stage1_sft.",
        "learning_rate: 1.0e-05\ntasks:\n- phase\n",
    ):
        assert told in text
    assert "debug" not in text


def test_data_of_a_folder_are_named_by_the_caller() -> None:
    local = record(data=[{"name": "", "revision": "", "fingerprint": "f" * 32, "share": "", "licences": []}])
    with pytest.raises(CotgenError, match="read from a folder, so the card cannot name them; publish them"):
        card_of(local, Told("lab/surgeon"))
    with pytest.raises(CotgenError, match="'lab/set' is no ORG/NAME@REVISION"):
        card_of(local, Told("lab/surgeon", data=["lab/set"]))
    with pytest.raises(CotgenError, match="data_revision"):
        card_of(local, Told("lab/surgeon", data=["lab/set@main"], data_licence="CC0"))
    assert card_of(local, Told("lab/surgeon", data=["lab/set@v2"], data_licence="CC0")).data_revision == "v2"


def test_each_set_of_a_mixture_is_told() -> None:
    one = record()["data"][0]
    both = record(data=[one, {**one, "name": "lab/more", "revision": "v3", "fingerprint": "e" * 32}])
    card = card_of(both, Told("lab/surgeon", limits=["Knows no tissue."]))
    assert card.limits[0] == f"It was trained on lab/more at v3 too (fingerprint {'e' * 32})."
    assert card.limits[-1] == "Knows no tissue."
    with pytest.raises(CotgenError, match="the run read 2 data sets"):
        card_of(both, Told("lab/surgeon", data=["lab/set@v1"]))


def test_a_base_that_is_not_known_is_asked_for() -> None:
    folder = record(model={"base": "", "revision": "", "after": []})
    with pytest.raises(CotgenError, match="say --base ORG/NAME"):
        card_of(folder, Told("lab/surgeon"))
    with pytest.raises(CotgenError, match="the licence of lab/own is not known here; say --base_licence"):
        card_of(folder, Told("lab/surgeon", base="lab/own"))
    card = card_of(folder, Told("lab/surgeon", base=f"lab/own@{'1' * 40}", base_licence="MIT"))
    assert (card.base_model, card.base_revision) == ("lab/own", "1" * 40)


def test_what_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(CotgenError, match=r"has no cotgen\.json; name the output folder of a stage"):
        read_record(tmp_path)
    (tmp_path / "cotgen.json").write_text("[]")
    with pytest.raises(CotgenError, match="is no record of a run"):
        read_record(tmp_path)
    figures = tmp_path / "scores.json"
    figures.write_text('[{"name": "x"}]')
    with pytest.raises(CotgenError, match="no list of figures, each with its null model"):
        card_of(record(), Told("lab/surgeon", scores=figures))


def test_the_scores_of_an_evaluation_stand_on_the_card_when_they_are_whole(tmp_path: Path) -> None:
    scores = tmp_path / "scores.json"
    figure = {
        "name": "phase: score",
        "split": "test",
        "value": "71.4 %",
        "null_name": "majority",
        "null_value": "38.2 %",
    }
    whole = {
        "schema": "cotgen/scores/1",
        "failed": 0,
        "sampling": {"image": True},
        "metrics": [figure | {"samples": 9}],
    }
    scores.write_text(json.dumps(whole))
    assert card_of(record(), Told("lab/surgeon", scores=scores)).metrics[0].value == "71.4 %"
    scores.write_text(json.dumps(whole | {"failed": 3}))
    with pytest.raises(CotgenError, match="lacks 3 prompts that got no reply; run the same evaluation again"):
        card_of(record(), Told("lab/surgeon", scores=scores))
    scores.write_text(json.dumps(whole | {"missing": 4}))
    with pytest.raises(CotgenError, match="lack 4 of the prompts"):
        card_of(record(), Told("lab/surgeon", scores=scores))
    scores.write_text(json.dumps(whole | {"sampling": {"image": False}}))
    with pytest.raises(CotgenError, match="without the picture"):
        card_of(record(), Told("lab/surgeon", scores=scores))
