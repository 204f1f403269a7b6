from pathlib import Path

import pytest

from tests.shards.samples import Made, make, write_folder


@pytest.fixture(scope="session")
def made() -> Made:
    """About thirty samples of four surgeries."""
    return make()


@pytest.fixture(scope="session")
def folder(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed folder; tests that change it copy it first."""
    return write_folder(made, tmp_path_factory.mktemp("data") / "set")
