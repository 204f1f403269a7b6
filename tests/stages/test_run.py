"""From which checkpoint a run goes on, and what it leaves out of its record."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cotgen.errors import CotgenError
from cotgen.stages.run import _public, last_checkpoint


def config(out: Path, resume: Any = None) -> Any:
    return SimpleNamespace(output_dir=str(out), resume_from_checkpoint=resume)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Two whole checkpoints and one whose writing was cut off."""
    for number, file in ((8, "loader.json"), (12, "loader.json"), (100, "model.safetensors")):
        (tmp_path / f"checkpoint-{number}").mkdir()
        (tmp_path / f"checkpoint-{number}" / file).write_text("{}")
    return tmp_path


def test_a_new_folder_begins_a_run_and_true_goes_on_with_the_last_whole_checkpoint(out: Path, tmp_path: Path) -> None:
    assert last_checkpoint(config(tmp_path / "new")) is None
    assert last_checkpoint(config(tmp_path / "new", "true")) is None
    assert last_checkpoint(config(out, "true")) == out / "checkpoint-12"
    assert last_checkpoint(config(out, str(out / "checkpoint-12"))) == out / "checkpoint-12"
    assert last_checkpoint(config(tmp_path / "new", str(out / "checkpoint-8"))) == out / "checkpoint-8"


def test_an_older_checkpoint_is_not_gone_on_from_beside_a_later_one(out: Path) -> None:
    """Else the next start with `true` would jump to the run that was given up."""
    with pytest.raises(CotgenError, match="holds checkpoint-12, which is not"):
        last_checkpoint(config(out, str(out / "checkpoint-8")))
    (out / "elsewhere" / "checkpoint-8").mkdir(parents=True)
    with pytest.raises(CotgenError, match="say true to go on from it now, or give another --output_dir"):
        last_checkpoint(config(out, str(out / "elsewhere" / "checkpoint-8")))


def test_a_run_is_not_written_over(out: Path) -> None:
    with pytest.raises(CotgenError, match="holds checkpoint-12 of an earlier run; say --resume_from_checkpoint true"):
        last_checkpoint(config(out))
    with pytest.raises(CotgenError, match="is no folder"):
        last_checkpoint(config(out, str(out / "checkpoint-9")))


def test_a_record_tells_settings_and_no_places() -> None:
    @dataclass
    class Told:
        output_dir: str = ""
        hub_token: str = ""
        vllm_server_base_url: str = ""
        difficulty: str = ""
        data: list[str] = field(default_factory=list)
        tasks: list[str] = field(default_factory=list)
        resume_from_checkpoint: str | None = None
        deepspeed: str | None = None
        learning_rate: float = 1e-5
        seed: int = 42

    given = Told(
        "/home/me/out", "hf_secret", "http://node7:8000", "/home/me/rates.parquet", ["/home/me/set"], ["phase"],
        "/home/me/out/checkpoint-8", "/home/me/zero3.json",
    )  # fmt: skip
    assert _public(given) == {"tasks": ["phase"]}
