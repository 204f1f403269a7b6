"""Every chain of a build of all look-alikes earns all there is, read as a trainer reads it."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import cotgen
from cotgen.training.rewards import RANGES, RewardConfig, reward_funcs
from cotgen.training.rows import COLUMNS


def run(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "cotgen", *map(str, arguments)], check=True, capture_output=True)


@pytest.mark.slow
def test_the_chains_of_all_look_alikes_earn_all_there_is(tmp_path: Path) -> None:
    run("demo", tmp_path / "demo", "--source", "all", "--surgeries", 3, "--seconds", 40)
    run("build", "--source", "all", "--root", tmp_path / "demo", "--out", tmp_path / "set", "--fps", "1/4")
    functions = reward_funcs(RewardConfig())
    seen, due = Counter[str](), Counter[str]()
    for sample in cotgen.open(tmp_path / "set"):
        prompts = [pair.render("prompt") for pair in sample.pairs]
        texts = [pair.render("cot")["response"] for pair in sample.pairs]
        columns = {name: [prompt[name] for prompt in prompts] for name in COLUMNS}
        for reward in functions:
            values = reward(prompts=texts, completions=texts, **columns)
            assert set(values) <= {None, RANGES[reward.__name__][1]}, (sample.key, reward.__name__)
            if reward.__name__ == "faithfulness":
                seen.update(prompt["task"] for prompt in prompts)
                due.update(p["task"] for p, value in zip(prompts, values, strict=True) if value is not None)
    assert set(seen) - set(due) <= {"tool_yesno", "field_visible", "camera", "step"}
    assert len(due) >= 8
