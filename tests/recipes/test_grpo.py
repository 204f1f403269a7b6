"""Stage 3 through its script: rewards by rules, exact resume, completions that can be looked at."""

import json
from pathlib import Path

import polars as pl
import pytest

from tests.recipes.conftest import common, run
from tests.recipes.test_sft import weights

pytestmark = pytest.mark.slow


def rewards(out: Path) -> list[tuple[float, float]]:
    history = json.loads((out / "trainer_state.json").read_text())["log_history"]
    return [(entry["reward"], entry["loss"]) for entry in history if "reward" in entry]


def test_rewards_reach_the_policy_and_a_checkpoint_goes_on_exactly(
    models: dict[str, Path], data: Path, tmp_path: Path
) -> None:
    model = models["qwen2_5_vl"]
    told = run("stage3_grpo.py", *common(model, data, tmp_path / "whole", 3, 4))
    whole = rewards(tmp_path / "whole")
    assert len(whole) == 4
    table = pl.concat(
        [pl.read_parquet(path) for path in sorted((tmp_path / "whole" / "completions").glob("*.parquet"))],
        how="vertical_relaxed",
    )
    assert table.height == 4 * 8
    # Groups are whole: each prompt has its four completions, one after the other.
    names = table["pair"].to_list()
    assert all(len(set(names[n : n + 4])) == 1 for n in range(0, len(names), 4))
    assert {"format", "faithfulness", "overlong", "advantage"} <= set(table.columns)
    assert "Traceback" not in told

    out = tmp_path / "resumed"
    run("stage3_grpo.py", *common(model, data, out, 3, 4))
    (out / "trainer_state.json").unlink()
    import shutil

    shutil.rmtree(out / "checkpoint-4")
    run("stage3_grpo.py", *common(model, data, out, 3, 4), "--resume_from_checkpoint", "true")
    assert rewards(out) == whole
    first, second = weights(out), weights(tmp_path / "whole")
    assert all(bool((first[name] == second[name]).all()) for name in first)  # type: ignore[attr-defined]
    run("stage3_grpo.py", *common(model, data, out, 3, 4), "--resume_from_checkpoint", "true")
    assert rewards(out) == whole and not (out / "checkpoint-5").exists()


def test_weights_of_rewards_are_told_by_name(models: dict[str, Path], data: Path, tmp_path: Path) -> None:
    arguments = common(models["qwen3_vl"], data, tmp_path / "out", 3, 1)
    told = run("stage3_grpo.py", *arguments, "--reward_weights", "1", fails=True)
    assert "rewards.weights by name" in told
    told = run("stage3_grpo.py", *arguments, "--rewards", '{"weights": {"anwser": 1}}', fails=True)
    assert "rewards: weights.anwser" in told
    told = run("stage3_grpo.py", *arguments, "--save_steps", "3", "--steps_per_generation", "2", fails=True)
    assert "cannot go on exactly" in told
