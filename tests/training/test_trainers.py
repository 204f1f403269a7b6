"""TRL's real trainers on one and two ranks (gloo) with a tiny random model; skipped where torch and trl are missing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from cotgen.chains.boxes import BoxFormat
from cotgen.errors import CotgenError
from cotgen.stages.tiny import image_processor
from cotgen.training.processor import TRIED, box_format, check_resize
from cotgen.training.state import LoaderState
from tests.training.needs import TRAINERS
from tests.training.train import BATCH, SAVED, STEPS

pytestmark = [pytest.mark.slow, TRAINERS]


def trained(kind: str, folder: Path, out: Path, *rest: str, ranks: int = 1, workers: int = 0) -> list[list[list[str]]]:
    """What each rank saw, step by step. Raises subprocess.CalledProcessError with what was printed."""
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", str(ranks)] if ranks > 1 else []
    command = [
        sys.executable,
        *launcher,
        "-m",
        "tests.training.train",
        kind,
        str(folder),
        str(out),
        str(workers),
        *rest,
    ]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=300, env=environment)
    return [json.loads((out / f"seen-{rank}.json").read_text()) for rank in range(ranks)]


def interleaved(ranks: list[list[list[str]]]) -> list[str]:
    return [text for step in zip(*ranks, strict=True) for rows in step for text in rows]


def test_sft_goes_on_exactly_with_other_workers_and_two_ranks_see_what_one_would(folder: Path, tmp_path: Path) -> None:
    [alone] = trained("sft", folder, tmp_path / "alone")
    assert len(alone) == 2 * STEPS
    assert len({text for rows in alone for text in rows}) > STEPS * BATCH
    checkpoint = tmp_path / "alone" / f"checkpoint-{SAVED}"
    assert LoaderState.read(checkpoint).batches == 2 * SAVED
    [rest] = trained("sft", folder, tmp_path / "alone", "--resume", str(checkpoint), workers=2)
    assert rest == alone[2 * SAVED :]
    two = trained("sft", folder, tmp_path / "two", ranks=2)
    assert interleaved(two)[: 2 * STEPS * BATCH] == interleaved([alone])
    rest_of_two = trained(
        "sft", folder, tmp_path / "two", "--resume", str(tmp_path / "two" / f"checkpoint-{SAVED}"), ranks=2, workers=2
    )
    assert rest_of_two == [rows[2 * SAVED :] for rows in two]


def test_a_stream_that_is_split_before_the_trainer_splits_it_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as error:
        trained("sft", folder, tmp_path / "out", "--presplit", ranks=2)
    assert "the stream was split twice, which would lose rows" in error.value.stderr


def test_grpo_keeps_groups_whole_on_two_ranks_and_goes_on_exactly(folder: Path, tmp_path: Path) -> None:
    two = trained("grpo", folder, tmp_path / "out", ranks=2)
    groups = [
        names[n : n + 4] for names in map(interleaved, ([[a], [b]] for a, b in zip(*two, strict=True))) for n in (0, 4)
    ]
    assert all(len(set(group)) == 1 for group in groups)
    assert len({group[0] for group in groups}) == len(groups) == 2 * STEPS
    checkpoint = tmp_path / "out" / f"checkpoint-{SAVED}"
    rest = trained("grpo", folder, tmp_path / "out", "--resume", str(checkpoint), ranks=2)
    assert rest == [rows[SAVED:] for rows in two]


def test_a_processor_that_resizes_otherwise_than_boxes_are_written_is_refused() -> None:
    processor = image_processor(14, 4 * 28 * 28, 1280 * 28 * 28)
    boxes = box_format(processor, "resized")
    assert boxes == BoxFormat("resized", 4 * 28 * 28, 1280 * 28 * 28)
    for size in TRIED:
        _, rows, columns = processor(images=[Image.new("RGB", size)])["image_grid_thw"][0]
        assert (14 * int(columns), 14 * int(rows)) == boxes.grid(size)
    with pytest.raises(
        CotgenError, match=r"makes 1120 x 896 pixels of 1280 x 1024, and boxes are written for 700 x 560"
    ):
        check_resize(processor, BoxFormat("resized", 4 * 28 * 28, 512 * 28 * 28))
    with pytest.raises(CotgenError, match=r"whose patches are not Qwen2\.5-VL's"):
        box_format(image_processor(16, 56 * 56, 28 * 28 * 16), "resized")
    assert box_format(image_processor(16, 56 * 56, 28 * 28 * 16), "per_mille") == BoxFormat("per_mille")
