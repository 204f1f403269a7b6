from pathlib import Path

import pytest

from tests.shards.samples import make, write_folder


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished data set of a few surgeries with pictures."""
    return write_folder(make(seconds=20), tmp_path_factory.mktemp("stages") / "set", shards=2)


@pytest.fixture(scope="session")
def tiny(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2.5-VL from random weights, whose boxes depend on its pixel budget."""
    pytest.importorskip("torch", reason="torch is not installed: pip install 'cotgen[train]'")
    pytest.importorskip("trl", reason="trl is not installed: pip install 'cotgen[train]'")
    from cotgen.stages.tiny import Tiny, texts_of, write

    folder = tmp_path_factory.mktemp("tiny") / "model"
    write(folder, Tiny(family="qwen2_5_vl", max_pixels=28 * 28 * 9), texts_of(data))
    return folder
