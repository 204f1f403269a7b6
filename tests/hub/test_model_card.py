"""The card of a checkpoint has its data by revision, and no figure without a null model."""

import re
from typing import Any

import pydantic
import pytest
import yaml

from cotgen.hub.model_card import Metric, ModelCard, model_card

pytest.importorskip("jinja2")
hf = pytest.importorskip("huggingface_hub")

METRIC = Metric(
    name="phase: accuracy over operations",
    split="test",
    value="71.4 %",
    low="68.0 %",
    high="74.6 %",
    null_name="most frequent phase of train",
    null_value="38.2 %",
    samples=4321,
)


def record(**more: Any) -> ModelCard:
    given: dict[str, Any] = {
        "name": "lab/surgeon-7b",
        "description": "Answers questions about a frame of a cholecystectomy.",
        "stage": "stage1_sft",
        "base_model": "Qwen/Qwen3-VL-8B-Instruct",
        "base_licence": "Apache-2.0",
        "data": "lab/set",
        "data_revision": "v1.0.0",
        "data_fingerprint": "f" * 64,
        "data_licence": "cc-by-nc-sa-4.0",
        "boxes": "per_mille",
        "config": {"learning_rate": 1.0e-5, "epochs": 1},
        "metrics": [METRIC],
        "limits": ["Trained on look-alikes, so it knows no tissue."],
        "versions": {"cotgen": "0.1.0", "torch": "2.13.0"},
    }
    return ModelCard(**{**given, **more})


def test_its_head_names_base_model_and_data() -> None:
    text = model_card(record())
    data = hf.ModelCard(text).data
    assert (data.base_model, data.datasets) == ("Qwen/Qwen3-VL-8B-Instruct", ["lab/set"])
    assert (data.license, data.pipeline_tag) == ("other", "image-text-to-text")
    assert data.to_dict() == yaml.safe_load(text.split("---\n")[1])


def test_it_tells_revision_stage_boxes_configuration_licences_and_limits() -> None:
    text = model_card(record())
    for told in (
        'load_dataset("lab/set", revision="v1.0.0", streaming=True)',
        f"fingerprint `{'f' * 64}`",
        "| stage | stage1_sft |",
        "thousandths of width and height",
        "learning_rate: 1.0e-05",
        "- Base model: Apache-2.0.",
        "no commercial use, what is made of them under the same terms only, the sources are to be cited",
        "- Trained on look-alikes, so it knows no tissue.",
        "Versions: cotgen 0.1.0, torch 2.13.0.",
    ):
        assert told in text


def test_each_figure_stands_beside_its_null_model() -> None:
    text = model_card(record())
    row = "| 71.4 % (68.0 % to 74.6 %) | most frequent phase of train | 38.2 % | 4,321 |"
    assert f"| phase: accuracy over operations | test {row}" in text
    with pytest.raises(pydantic.ValidationError):
        Metric(**{**METRIC.model_dump(), "null_name": ""})
    plain = METRIC.model_copy(update={"low": "", "high": ""})
    assert "95 % interval" not in model_card(record(metrics=[plain]))
    assert "Not measured." in model_card(record(metrics=[]))


def test_a_branch_is_no_revision_and_nothing_is_left_open() -> None:
    with pytest.raises(pydantic.ValidationError):
        record(data_revision="main")
    assert not re.findall(r"{{|{%", model_card(record(limits=[], base_revision="0123abc", boxes="none")))
