import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.shards.samples import make, write_folder

ROOT = Path(__file__).parents[2]
FAMILIES = ("qwen2_5_vl", "qwen3_vl")


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished data set of a few surgeries with pictures."""
    return write_folder(make(seconds=20), tmp_path_factory.mktemp("recipes") / "set", shards=2)


@pytest.fixture(scope="session")
def models(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Family -> a tiny model of it from random weights."""
    pytest.importorskip("torch", reason="torch is not installed: pip install 'cotgen[train]'")
    pytest.importorskip("trl", reason="trl is not installed: pip install 'cotgen[train]'")
    from cotgen.stages.tiny import Tiny, texts_of, write

    folder = tmp_path_factory.mktemp("models")
    for family in FAMILIES:
        write(folder / family, Tiny(family=family, max_pixels=28 * 28 * 9), texts_of(data))  # type: ignore[arg-type]
    return {family: folder / family for family in FAMILIES}


def command(script: str, *arguments: object, ranks: int = 1) -> list[str]:
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", str(ranks)] if ranks > 1 else []
    return [sys.executable, *launcher, str(ROOT / "recipes" / script), *map(str, arguments)]


def environment() -> dict[str, str]:
    return {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


def run(script: str, *arguments: object, ranks: int = 1, fails: bool = False) -> str:
    """Run a recipe as a user does; what it wrote to stderr."""
    done = subprocess.run(
        command(script, *arguments, ranks=ranks), capture_output=True, text=True, timeout=400, env=environment()
    )
    assert (done.returncode != 0) == fails, done.stderr[-3000:]
    return done.stderr


def common(model: Path, data: Path, out: Path, stage: int, steps: int, *more: object) -> Sequence[object]:
    """The arguments of a short run."""
    config = ROOT / "recipes" / "configs" / f"stage{stage}" / "tiny_cpu.yaml"
    told = {"model_name_or_path": model, "data": data, "output_dir": out, "max_steps": steps, "disable_tqdm": True}
    if stage == 3:
        told["max_completion_length"] = 32
    return ["--config", config, *(part for name, value in told.items() for part in (f"--{name}", value)), *more]
