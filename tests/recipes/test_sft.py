"""Stages 1 and 2 through their scripts, with TRL's trainer and tiny random models of both families."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.recipes.conftest import FAMILIES, ROOT, command, common, environment, run

pytestmark = pytest.mark.slow


def losses(out: Path) -> list[float]:
    """The loss of each step."""
    history = json.loads((out / "trainer_state.json").read_text())["log_history"]
    return [entry["loss"] for entry in history if "loss" in entry]


def weights(folder: Path) -> dict[str, object]:
    from safetensors.torch import load_file

    [path] = folder.glob("*.safetensors")
    return load_file(path)


def sixteen(data: Path, path: Path) -> Path:
    """A table that names sixteen pairs, which are then all that a run is shown."""
    import polars as pl

    index = pl.read_parquet(data / "index.parquet").filter(
        (pl.col("split") == "train") & (pl.col("support") != "asserted")
    )
    names = index.select(pl.concat_str("key", "id", separator="#").alias("name")).sort("name").gather_every(7).head(16)
    assert names.height == 16
    names.with_columns(difficulty=pl.lit(0.5)).write_ndjson(path)
    return path


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("stage", "script"), [(1, "stage1_sft.py"), (2, "stage2_cold_start.py")])
def test_sixteen_samples_are_learnt_by_heart(
    stage: int, script: str, family: str, models: dict[str, Path], data: Path, tmp_path: Path
) -> None:
    named = sixteen(data, tmp_path / "sixteen.jsonl")
    steps = 60 if stage == 1 else 80
    run(
        script,
        *common(models[family], data, tmp_path / "out", stage, steps, "--difficulty", named),
        *("--learning_rate", 4e-3, "--per_device_train_batch_size", 16, "--save_strategy", "no"),
    )
    told = losses(tmp_path / "out")
    assert len(told) == steps
    assert told[-1] < 0.35 * told[0]
    record = json.loads((tmp_path / "out" / "cotgen.json").read_text())
    assert record["boxes"]["convention"] == {"qwen2_5_vl": "resized", "qwen3_vl": "per_mille"}[family]
    assert "difficulty" not in json.dumps(record)


def test_a_killed_run_goes_on_with_the_losses_of_one_that_was_not(
    models: dict[str, Path], data: Path, tmp_path: Path
) -> None:
    arguments = common(models["qwen3_vl"], data, tmp_path / "whole", 1, 12, "--save_steps", 4)
    run("stage1_sft.py", *arguments)
    whole = losses(tmp_path / "whole")

    out = tmp_path / "killed"
    arguments = common(models["qwen3_vl"], data, out, 1, 12, "--save_steps", 4)
    running = subprocess.Popen(
        command("stage1_sft.py", *arguments), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment()
    )
    deadline = time.monotonic() + 200
    while not (out / "checkpoint-4" / "loader.json").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert not (out / "trainer_state.json").exists()

    assert "say --resume_from_checkpoint true" in run("stage1_sft.py", *arguments, fails=True)
    run("stage1_sft.py", *arguments, "--resume_from_checkpoint", "true")
    assert losses(out) == whole
    # The weights are the same, bit for bit.
    assert all(
        (a == b).all() for a, b in zip(weights(out).values(), weights(tmp_path / "whole").values(), strict=True)
    )

    # Once more, as a scheduler may do: the run is at its end, and no step is added to it.
    shutil.copytree(out, tmp_path / "ended")
    (out / "model.safetensors").unlink()
    run("stage1_sft.py", *arguments, "--resume_from_checkpoint", "true")
    assert losses(out) == whole
    assert weights(out).keys() == weights(tmp_path / "ended").keys()
    assert all(
        (a == b).all() for a, b in zip(weights(out).values(), weights(tmp_path / "ended").values(), strict=True)
    )
    assert {path.name for path in out.glob("checkpoint-*")} == {"checkpoint-8", "checkpoint-12"}


def test_lora_and_a_frozen_tower_leave_the_vision_side_alone(
    models: dict[str, Path], data: Path, tmp_path: Path
) -> None:
    frozen = ("--freeze_vision", "true", "--freeze_projector", "true", "--save_strategy", "no")
    run("stage1_sft.py", *common(models["qwen3_vl"], data, tmp_path / "frozen", 1, 3, *frozen))
    before, after = weights(models["qwen3_vl"]), weights(tmp_path / "frozen")
    changed = {name for name in before if not bool((before[name] == after[name]).all())}  # type: ignore[attr-defined]
    assert changed
    assert not any("visual" in name for name in changed)

    lora = ("--use_peft", "true", "--lora_r", 4, "--save_strategy", "no")
    run("stage2_cold_start.py", *common(models["qwen3_vl"], data, tmp_path / "lora", 2, 3, *lora))
    adapted = weights(tmp_path / "lora")
    assert adapted
    assert all("language_model" in name and "visual" not in name for name in adapted)


def test_two_ranks_give_the_losses_of_one_with_their_batches(
    models: dict[str, Path], data: Path, tmp_path: Path
) -> None:
    """Each row is seen once, by one rank. Answers of one token weigh alike, however they are dealt to the ranks."""
    short = ("--save_strategy", "no", "--tasks", "tool_yesno", "--optim", "sgd", "--learning_rate", 0.1)
    one = common(models["qwen3_vl"], data, tmp_path / "one", 1, 4, *short)
    run("stage1_sft.py", *one, "--per_device_train_batch_size", 4)
    two = common(models["qwen3_vl"], data, tmp_path / "two", 1, 4, *short, "--ddp_backend", "gloo")
    run("stage1_sft.py", *two, "--per_device_train_batch_size", 2, ranks=2)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=2e-3)


def test_what_does_not_go_together_is_told_in_a_sentence(models: dict[str, Path], data: Path, tmp_path: Path) -> None:
    arguments = common(models["qwen3_vl"], data, tmp_path / "out", 1, 2)
    told = run("stage1_sft.py", *arguments, "--max_length", 64, fails=True)
    assert "max_length must be None: it cuts answers off" in told
    assert "Traceback" not in told
    told = run("stage1_sft.py", *arguments, "--most_tokens", 30, fails=True)
    assert "more than --most_tokens 30" in told and "#" in told
    wrong = tmp_path / "wrong.yaml"
    tiny = (ROOT / "recipes" / "configs" / "stage1" / "tiny_cpu.yaml").read_text()
    wrong.write_text(tiny.replace("learning_rate:", "learning_rat:"))
    told = run("stage1_sft.py", "--config", wrong, "--data", data, "--output_dir", tmp_path / "out", fails=True)
    assert "learning_rat" in told
    # Pixels of a resized picture mean another thing with another budget.
    shutil.copytree(models["qwen2_5_vl"], tmp_path / "trained")
    (tmp_path / "trained" / "cotgen_boxes.json").write_text(
        '{"convention": "resized", "min_pixels": 3136, "max_pixels": 1003520}'
    )
    told = run("stage1_sft.py", *common(tmp_path / "trained", data, tmp_path / "out", 1, 2), fails=True)
    assert "was trained with boxes resized (min_pixels 3136, max_pixels 1003520)" in told
