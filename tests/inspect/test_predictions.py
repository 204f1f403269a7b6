"""Replies of a model as files: JSON lines, and the tables of completions that GRPO writes."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cotgen.errors import CotgenError
from cotgen.inspect.predictions import Predictions


def logged(folder: Path, step: int, *completions: tuple[str, str]) -> Path:
    """A table in the form of TRL 1.16 with `log_completions`, the columns that nobody reads left out."""
    rows: list[dict[str, Any]] = [
        {"step": step, "pair": pair, "completion": [{"role": "assistant", "content": text}], "format": 0.0}
        for pair, text in completions
    ]
    folder.mkdir(exist_ok=True)
    path = folder / f"completions_{step:05d}.parquet"
    pl.DataFrame(rows).write_parquet(path)
    return path


def test_the_last_completion_of_each_pair_counts_unless_a_step_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "completions"
    logged(folder, 99_999, ("a#phase.open", "early"), ("b#phase.open", "<answer>only here</answer>"))
    # One more digit, so by its name alone it would come first.
    logged(
        folder, 100_000, ("a#phase.open", "one"), ("a#phase.open", "<think>Level 1: x.</think><answer>late</answer>")
    )
    last = Predictions(folder)
    assert last.answers == {"a#phase.open": "late", "b#phase.open": "only here"}
    assert last.response("a#phase.open") == "<think>Level 1: x.</think><answer>late</answer>"
    assert last.response("b#phase.open") == "<answer>only here</answer>" and last.response("c#phase.open") is None
    first = Predictions(folder, step=99_999)
    assert first.response("a#phase.open") == "early" and (len(first), first.title) == (2, "completions, step 99999")


def test_what_is_no_folder_of_completions_is_said(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(CotgenError, match=r"no completions_\*\.parquet"):
        Predictions(empty)
    folder = tmp_path / "completions"
    logged(folder, 10, ("a#phase.open", "x"))
    with pytest.raises(CotgenError, match="no completions of step 20"):
        Predictions(folder, step=20)
    pl.DataFrame({"step": [30], "completion": ["x"]}).write_parquet(folder / "completions_00030.parquet")
    with pytest.raises(CotgenError, match=r"00030\.parquet has no columns step, pair and completion"):
        Predictions(folder)
    lines = tmp_path / "predictions.jsonl"
    lines.write_text('{"pair": "a#b.c", "response": "x"}\n')
    with pytest.raises(CotgenError, match="has no steps"):
        Predictions(lines, step=1)
    assert Predictions(lines).response("a#b.c") == "x"


def test_completions_that_are_replaced_meanwhile_are_not_shown_as_the_old_ones(tmp_path: Path) -> None:
    folder = tmp_path / "completions"
    path = logged(folder, 10, ("a#phase.open", "x"), ("b#phase.open", "y"))
    opened = Predictions(folder)
    logged(folder, 10, ("b#phase.open", "y"))
    for pair in ("a#phase.open", "b#phase.open"):
        with pytest.raises(CotgenError, match="was changed or removed since it was opened"):
            opened.response(pair)
    path.unlink()
    with pytest.raises(CotgenError, match="was changed or removed"):
        opened.response("a#phase.open")
