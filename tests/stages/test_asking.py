"""A served checkpoint is asked as it was trained: its boxes, pixel budget and instruction, and no replies of another."""

import json
from pathlib import Path
from typing import Any

import pytest

from cotgen.chains.boxes import BoxFormat
from cotgen.errors import CotgenError
from cotgen.models.stub import StubServer
from cotgen.stages.asking import (
    PolicyArguments,
    PromptArguments,
    boxes_of_checkpoint,
    budget_of,
    instruction_of,
    refuse_other_instruction,
)
from cotgen.stages.models import write_boxes

#: As transformers 5 writes it for Qwen3-VL, and as older versions did for Qwen2.5-VL.
QWEN3 = {
    "image_processor": {"size": {"shortest_edge": 3136, "longest_edge": 12544}, "patch_size": 16, "merge_size": 2}
}
QWEN2_5 = {"min_pixels": 3136, "max_pixels": 12845056, "patch_size": 14, "merge_size": 2}


def checkpoint(folder: Path, name: str = "processor_config.json", processor: dict[str, Any] = QWEN3) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(processor))
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 40_000)
    return folder


def test_the_pixel_budget_is_that_of_the_processor(tmp_path: Path) -> None:
    assert budget_of(checkpoint(tmp_path / "a")) == (3136, 12544, 32)
    older = checkpoint(tmp_path / "b", "preprocessor_config.json", QWEN2_5)
    assert budget_of(older) == (3136, 12845056, 28)
    with pytest.raises(CotgenError, match="copy them from its base model"):
        budget_of(tmp_path)
    with StubServer() as url:
        policy = PolicyArguments(policy_url=url, checkpoint=str(tmp_path / "a"))
        sampling = policy.sampling(policy.endpoint(), 4, 1.0, 7)
    assert (sampling.min_pixels, sampling.max_pixels, sampling.factor) == (3136, 12544, 32)
    assert (sampling.model, sampling.samples, sampling.seed) == ("stub", 4, 7)


def test_boxes_are_those_of_the_checkpoint(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "a", processor=QWEN2_5)
    with pytest.raises(CotgenError, match="--boxes"):
        boxes_of_checkpoint(None, "")
    with pytest.raises(CotgenError, match="--boxes"):
        boxes_of_checkpoint(folder, "")
    assert boxes_of_checkpoint(None, "per_mille") == BoxFormat("per_mille")
    # A base model has no note of ours, but a processor whose pixels are meant.
    assert boxes_of_checkpoint(folder, "resized") == BoxFormat("resized", 3136, 12845056)
    write_boxes(folder, BoxFormat("resized", 3136, 100_000))
    assert boxes_of_checkpoint(folder, "") == BoxFormat("resized", 3136, 100_000)
    with pytest.raises(CotgenError, match="was trained with boxes resized"):
        boxes_of_checkpoint(folder, "per_mille")


def test_the_instruction_is_that_of_the_stage_with_the_same_view(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "a")
    assert instruction_of(folder, "cot") is instruction_of(None, "cot") is None
    (folder / "cotgen.json").write_text(json.dumps({"stage": "stage2_cold_start", "instruction": "Think."}))
    assert instruction_of(folder, "cot") == instruction_of(folder, "prompt") == "Think."
    assert instruction_of(folder, "vqa") is None
    with pytest.raises(CotgenError, match="was trained with another instruction than that of the view"):
        refuse_other_instruction(folder, None, "prompt")
    refuse_other_instruction(folder, "Think.", "prompt")
    refuse_other_instruction(folder, None, "vqa")


def test_the_only_model_of_a_server_needs_no_name() -> None:
    with StubServer(model="policy") as url:
        assert PolicyArguments(policy_url=url).endpoint().model == "policy"
        assert PolicyArguments(policy_url=url, policy_model="other").endpoint().model == "other"
    with pytest.raises(CotgenError, match="--policy-url"):
        PolicyArguments().endpoint()


def test_what_means_nothing_is_said() -> None:
    with pytest.raises(CotgenError, match="none of"):
        PromptArguments(boxes="inches")
    with StubServer() as url:
        policy = PolicyArguments(policy_url=url, policy_extra="[1]")
        with pytest.raises(CotgenError, match="JSON object"):
            policy.sampling(policy.endpoint(), 1, 0.0, 0)
