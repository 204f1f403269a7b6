"""Estimates of memory follow bytes of each parameter, and tell a run that fits from one that does not."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from cotgen.stages.memory import GB, Parameters, Sharding, checkpoint_bytes, estimate, rule_of_thumb

RECIPES = Path(__file__).parents[2] / "recipes"
FULL = Parameters(8_770_000_000, 8_190_000_000, 4096, 36, 151_936, 262_144)
LORA = Parameters(8_850_000_000, 87_000_000, 4096, 36, 151_936, 262_144)


def config(**more: Any) -> Any:
    return SimpleNamespace(per_device_train_batch_size=4, activation_checkpointing=True, **more)


def model(dtype: str = "float32", use_peft: bool = False) -> Any:
    return SimpleNamespace(dtype=dtype, use_peft=use_peft)


def launcher(name: str) -> Sharding:
    return Sharding.of(yaml.safe_load((RECIPES / "accelerate" / f"{name}.yaml").read_text()))


def test_what_the_launchers_share_out() -> None:
    assert launcher("zero3") == launcher("fsdp2") == Sharding(weights=True, optimiser=True)
    assert launcher("zero2") == Sharding(weights=False, optimiser=True)
    assert launcher("ddp") == launcher("one_gpu") == Sharding()


def test_all_weights_of_8b_need_sharding_and_fit_eight_gpus_with_it() -> None:
    alone = estimate(FULL, config(), model(), 1, Sharding(), 1500, 80 * GB)
    # 4 bytes of each weight; of those that learn 4 of gradient and 8 of Adam.
    assert alone.weights + alone.gradients + alone.optimiser == 4 * FULL.all + 12 * FULL.learning
    shared = estimate(FULL, config(), model(), 8, launcher("zero3"), 1500, 80 * GB)
    assert alone.total > 80 * GB > shared.total
    assert shared.weights == alone.weights / 8 and shared.activations == alone.activations
    assert "157.9 GB over all GPUs by LLaMA-Factory's 18 GB a billion" in rule_of_thumb(FULL, model())


def test_lora_of_8b_fits_one_gpu() -> None:
    found = estimate(LORA, config(), model("bfloat16", True), 1, Sharding(), 1500, 80 * GB)
    assert 17 * GB < found.weights < 19 * GB and found.total < 80 * GB
    assert checkpoint_bytes(LORA, model("bfloat16", True))[0] < 2 * GB < checkpoint_bytes(FULL, model())[0]


def test_vllm_beside_the_trainer_takes_its_share_unless_it_sleeps_and_a_reference_costs_a_model() -> None:
    vllm = {"use_vllm": True, "vllm_mode": "colocate", "vllm_gpu_memory_utilization": 0.25, "beta": 0.0}
    awake = estimate(FULL, config(**vllm, vllm_enable_sleep_mode=False), model(), 8, launcher("zero3"), 2000, 80 * GB)
    asleep = estimate(FULL, config(**vllm, vllm_enable_sleep_mode=True), model(), 8, launcher("zero3"), 2000, 80 * GB)
    assert awake.total - asleep.total == pytest.approx(20 * GB)
    told = vllm | {"beta": 0.04, "vllm_enable_sleep_mode": True}
    with_reference = estimate(FULL, config(**told), model(), 8, launcher("zero3"), 2000, 80 * GB)
    assert with_reference.reference == FULL.all * 4 / 8
    assert estimate(LORA, config(**told), model("bfloat16", True), 4, Sharding(), 2000, 80 * GB).reference == 0


@pytest.mark.slow
def test_parameters_of_an_8b_model_are_counted_without_its_weights(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    trl = pytest.importorskip("trl")
    from cotgen.stages.arguments import VisionArguments
    from cotgen.stages.memory import parameters

    # The sizes of Qwen3-VL-8B as its published configuration has them.
    text = {"hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36, "num_attention_heads": 32}
    text |= {"num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151_936}
    vision = {"hidden_size": 1152, "depth": 27, "out_hidden_size": 4096, "intermediate_size": 4304, "num_heads": 16}
    transformers.Qwen3VLConfig(text_config=text, vision_config=vision).save_pretrained(tmp_path)
    told = {"model_name_or_path": str(tmp_path), "model_revision": None}
    full = parameters(trl.ModelConfig(**told), VisionArguments())
    assert 8.6e9 < full.all < 8.9e9
    assert 8.1e9 < full.learning < full.all
    lora = parameters(trl.ModelConfig(**told, use_peft=True, lora_r=32), VisionArguments())
    assert 80e6 < lora.learning < 95e6 and lora.all == full.all + lora.learning


def test_a_tiny_model_is_told_without_parts() -> None:
    tiny = Parameters(500_000, 500_000, 64, 2, 1024, 4096)
    assert estimate(tiny, config(), model(), 1, Sharding(), 100, 0).told() == "under 0.1 GB a GPU"
