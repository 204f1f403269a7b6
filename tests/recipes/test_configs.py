"""Every configuration is read by the parser of its stage, and its settings go together."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from cotgen.errors import CotgenError

CONFIGS = Path(__file__).parents[2] / "recipes" / "configs"
REAL = [path for stage in (1, 2, 3) for path in sorted((CONFIGS / f"stage{stage}").glob("*.yaml"))]
#: GPUs that a configuration is meant for; the header says so.
GPUS = {"stage1": {"full": 8, "lora": 1}, "stage2": {"full": 8, "lora": 1}, "stage3": {"full": 8, "lora": 4}}


def stage_of(path: Path) -> int:
    return int(path.parent.name.removeprefix("stage"))


def gpus_of(path: Path) -> int:
    if path.stem == "surg_r1_early":
        return 6 if stage_of(path) == 3 else 7
    if path.stem == "tiny_cpu":
        return 1
    return GPUS[path.parent.name]["lora" if path.stem.endswith("lora") else "full"]


def named(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def parsed(path: Path, *more: str) -> tuple[Any, ...]:
    pytest.importorskip("trl", reason="trl is not installed: pip install 'cotgen[train]'")
    from trl import GRPOConfig, ModelConfig, SFTConfig

    from cotgen.stages.arguments import (
        GRPO_DEFAULTS,
        SFT_DEFAULTS,
        DataArguments,
        RewardArguments,
        VisionArguments,
        parse,
    )
    from cotgen.stages.planned import planned

    # Settings for a GPU are refused on a machine without one unless a CPU is asked for.
    line = ["--config", str(path), "--use_cpu", "true", *more]
    if stage_of(path) == 3:
        classes = (DataArguments, VisionArguments, RewardArguments, planned(GRPOConfig, gpus_of(path)), ModelConfig)
        return parse(classes, GRPO_DEFAULTS, line)
    return parse((DataArguments, VisionArguments, planned(SFTConfig, gpus_of(path)), ModelConfig), SFT_DEFAULTS, line)


def test_there_is_one_of_each_kind_for_each_stage() -> None:
    kinds = {"qwen3_vl_8b", "qwen2_5_vl_7b", "qwen3_vl_8b_lora", "qwen2_5_vl_7b_lora", "surg_r1_early", "tiny_cpu"}
    for stage in (1, 2, 3):
        assert {path.stem for path in REAL if stage_of(path) == stage} >= kinds


@pytest.mark.parametrize("path", [path for path in REAL if path.stem != "tiny_cpu"], ids=named)
def test_the_head_says_for_what_hardware_and_that_it_was_not_run(path: Path) -> None:
    head = path.read_text().partition("model_name_or_path")[0]
    assert "\n# For one " in head and "# Not run here" in head and "accelerate launch" in head
    launcher = head.partition("--config_file ")[2].split()[0]
    assert (CONFIGS.parents[1] / launcher).exists()
    assert f"recipes/configs/{path.parent.name}/{path.name}" in head


@pytest.mark.parametrize("model", ["qwen3_vl_8b", "qwen2_5_vl_7b", "qwen3_vl_8b_lora", "surg_r1_early"])
def test_all_stages_of_a_model_see_the_same_pictures_and_write_the_same_boxes(model: str) -> None:
    told = [yaml.safe_load((CONFIGS / f"stage{stage}" / f"{model}.yaml").read_text()) for stage in (1, 2, 3)]
    for name in ("min_pixels", "max_pixels", "boxes", "dtype", "freeze_vision"):
        assert len({str(settings[name]) for settings in told}) == 1, name
    factor = 32 if "qwen3" in model else 28
    assert told[0]["boxes"] == ("per_mille" if factor == 32 else "resized")
    assert told[0]["max_pixels"] % factor**2 == 0


@pytest.mark.slow
@pytest.mark.parametrize("path", REAL, ids=named)
def test_the_parser_knows_every_key_and_the_numbers_go_together(path: Path) -> None:
    given = parsed(path)
    config, model = given[-2:]
    assert config.save_total_limit == 2
    assert config.bf16 is (path.stem != "tiny_cpu")
    if stage_of(path) == 3:
        completions = config.per_device_train_batch_size * gpus_of(path) * config.steps_per_generation
        assert completions == config.generation_batch_size and completions % config.num_generations == 0
        whole = config.steps_per_generation * config.num_iterations
        assert config.save_steps * config.gradient_accumulation_steps % whole == 0
        assert config.shuffle_dataset is False and config.remove_unused_columns is False and config.log_completions
        rewards = given[2].reward_config(config.max_completion_length)
        assert rewards.most_tokens == config.max_completion_length
        assert config.reward_weights is None
        if config.use_vllm and config.vllm_max_model_length:
            # A picture of the budget has 1,280 tokens, the question and its instruction some hundreds.
            assert config.vllm_max_model_length >= 1280 + 512 + config.max_completion_length
    else:
        assert config.max_length is None and config.ignore_data_skip
    if model.use_peft:
        assert model.dtype == "bfloat16"


@pytest.mark.slow
def test_a_key_that_nobody_knows_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "stage1"
    folder.mkdir()
    text = (CONFIGS / "stage1" / "tiny_cpu.yaml").read_text()
    (folder / "tiny_cpu.yaml").write_text(f"{text}learning_rat: 1.0e-5\n")
    with pytest.raises(CotgenError, match="no setting is called learning_rat; perhaps learning_rate is meant"):
        parsed(folder / "tiny_cpu.yaml")
