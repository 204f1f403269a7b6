"""The doctor on a run that is well, and on each thing that would fail: one sentence, and a status that scripts see."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cotgen.errors import CotgenError
from cotgen.stages.doctor import examine

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def arguments(stage: int, tiny: Path, data: Path, out: Path, *more: str) -> list[str]:
    config = ROOT / "recipes" / "configs" / f"stage{stage}" / "tiny_cpu.yaml"
    told = ["--stage", str(stage), "--config", str(config), "--model_name_or_path", str(tiny), "--data", str(data)]
    return [*told, "--output_dir", str(out), "--rows", "12", *more]


def looked_at(*given: str) -> tuple[int, list[str]]:
    lines: list[str] = []
    return examine(list(given), lines.append), lines


def failures(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("FAIL")]


def test_a_run_that_is_well_shows_what_it_will_be(tiny: Path, data: Path, tmp_path: Path) -> None:
    failed, lines = looked_at(*arguments(2, tiny, data, tmp_path / "out", "--gpu_memory", "80"))
    assert failed == 0 and not failures(lines), failures(lines)
    text = "\n".join(lines)
    for told in ("boxes resized", "by task", "rows and pictures a step", "854 x 480", "1920 x 1080", "of 80 GB"):
        assert told in text
    # The first row as the model gets it, and what of it carries loss.
    assert "<|image_pad|> x " in text and "\n<think>Level 1: " in text and "</answer><|im_end|>" in text
    assert any(line.startswith("note") and "not measured; --measure" in line for line in lines)


def test_steps_are_measured_by_training_them(tiny: Path, data: Path, tmp_path: Path) -> None:
    failed, lines = looked_at(*arguments(1, tiny, data, tmp_path / "out", "--measure", "2"))
    [told] = [line for line in lines if "s a step over 2 steps" in line]
    assert failed == 0 and "20 steps take about" in told
    assert not (tmp_path / "out").exists(), "what was trained to measure is thrown away"


def test_rows_that_would_end_the_run_and_a_batch_of_broken_groups(tiny: Path, data: Path, tmp_path: Path) -> None:
    failed, lines = looked_at(*arguments(2, tiny, data, tmp_path / "out", "--most_tokens", "20"))
    assert failed == 1 and "and most_tokens is 20: the run would end there" in failures(lines)[0]
    steps = ("--steps_per_generation", "4", "--save_steps", "3", "--max_completion_length", "8")
    failed, lines = looked_at(*arguments(3, tiny, data, tmp_path / "out", *steps))
    text = "\n".join(failures(lines))
    assert "must be a multiple of 4: a checkpoint between two generations cannot go on" in text
    assert "are longer than max_completion_length 8: a policy that writes as it learnt is cut" in text
    with pytest.raises(CotgenError, match="must be divisible by num_generations"):
        looked_at(*arguments(3, tiny, data, tmp_path / "out", "--num_generations", "3"))


def test_vllm_that_is_missing_or_would_see_other_pictures(tiny: Path, data: Path, tmp_path: Path) -> None:
    vllm = ("--use_vllm", "true", "--max_pixels", str(28 * 28 * 4), "--vllm_max_model_length", "64")
    failed, lines = looked_at(*arguments(3, tiny, data, tmp_path / "out", *vllm))
    text = "\n".join(failures(lines))
    assert "vllm is not installed: pip install -r recipes/lock/train-vllm.txt" in text
    assert "would make other pictures than the trainer" in text and "whose saved processor holds the budget" in text
    assert "generation has 64: prompts are never cut" in text
    assert failed == len(failures(lines)) >= 3


def test_an_adapter_is_no_model_to_start_from_and_a_run_is_not_written_over(
    tiny: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (out / "checkpoint-8").mkdir(parents=True)
    (out / "checkpoint-8" / "loader.json").write_text("{}")
    (out / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(tiny)}))
    failed, lines = looked_at(*arguments(2, out, data, out))
    text = "\n".join(failures(lines))
    assert f"merge it first: python -m recipes.export {out}" in text
    assert "holds checkpoint-8 of an earlier run" in text and failed >= 2


def test_the_script_ends_with_a_status(tiny: Path, data: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "recipes.doctor"]
    given = arguments(2, tiny, tmp_path / "nothing", tmp_path / "out")
    done = subprocess.run([*command, *given], capture_output=True, text=True, cwd=ROOT, timeout=200)
    assert done.returncode == 1 and "is no folder here and no ORG/NAME@REVISION" in done.stdout
    assert "Traceback" not in done.stderr


def test_help_needs_no_stage_and_tells_where_the_rest_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        looked_at("--help")
    told = capsys.readouterr().out
    assert ended.value.code == 0 and "--measure" in told and "--stage 1 --help" in told
