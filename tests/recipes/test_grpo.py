"""Stage 3 through its script: rewards by rules, exact resume, completions that can be looked at."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from tests.recipes.conftest import common, run

pytestmark = pytest.mark.slow


def rewards(out: Path) -> list[tuple[float, float]]:
    history = json.loads((out / "trainer_state.json").read_text())["log_history"]
    return [(entry["reward"], entry["loss"]) for entry in history if "reward" in entry]


def completions(out: Path) -> pl.DataFrame:
    tables = [pl.read_parquet(path) for path in sorted((out / "completions").glob("*.parquet"))]
    return pl.concat(tables, how="vertical_relaxed")


def test_rewards_reach_the_policy_and_a_checkpoint_goes_on_exactly(
    models: dict[str, Path], data: Path, tmp_path: Path
) -> None:
    model = models["qwen2_5_vl"]
    told = run("stage3_grpo.py", *common(model, data, tmp_path / "whole", 3, 4))
    assert len(rewards(tmp_path / "whole")) == 4
    table = completions(tmp_path / "whole")
    assert table.height == 4 * 8
    # Groups are whole: each prompt has its four completions, one after the other.
    names = table["pair"].to_list()
    assert all(len(set(names[n : n + 4])) == 1 for n in range(0, len(names), 4))
    assert {"format", "faithfulness", "overlong", "advantage"} <= set(table.columns)
    assert "Traceback" not in told

    out = tmp_path / "resumed"
    shutil.copytree(tmp_path / "whole", out)
    for path in (out / "trainer_state.json", out / "checkpoint-4", out / "completions"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    run("stage3_grpo.py", *common(model, data, out, 3, 4), "--resume_from_checkpoint", "true")
    assert len(rewards(out)) == 4
    again, first = completions(out), table.filter(pl.col("step") > 2)
    assert again["step"].to_list() == first["step"].to_list()
    assert again["pair"].to_list() == first["pair"].to_list()
    # The draws are the same; a token may still differ where weights that were read again are rounded otherwise.
    same = [a == b for a, b in zip(again["completion"].to_list(), first["completion"].to_list(), strict=True)]
    assert sum(same) >= 0.7 * len(same)
    # At its end there is nothing left to train.
    run("stage3_grpo.py", *common(model, data, out, 3, 4), "--resume_from_checkpoint", "true")
    assert len(rewards(out)) == 4 and not (out / "checkpoint-5").exists()


def test_weights_of_rewards_are_told_by_name(models: dict[str, Path], data: Path, tmp_path: Path) -> None:
    arguments = common(models["qwen3_vl"], data, tmp_path / "out", 3, 1)
    told = run("stage3_grpo.py", *arguments, "--reward_weights", "1", fails=True)
    assert "rewards.weights by name" in told
    told = run("stage3_grpo.py", *arguments, "--rewards", '{"weights": {"anwser": 1}}', fails=True)
    assert "rewards: weights.anwser" in told
    told = run("stage3_grpo.py", *arguments, "--save_steps", "3", "--steps_per_generation", "2", fails=True)
    assert "cannot go on exactly" in told
