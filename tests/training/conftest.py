from pathlib import Path

import pytest

from tests.shards.samples import Made, make, write_folder


@pytest.fixture(scope="session")
def made() -> Made:
    """Forty train samples of two surgeries, some of validation and test."""
    return make(seconds=20)


@pytest.fixture(scope="session")
def folder(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed folder with three shards of each split; tests that change it copy it first."""
    return write_folder(made, tmp_path_factory.mktemp("data") / "set", shards=3)


def names_of(made: Made, split: str = "train", task: str = "") -> list[str]:
    """`key#id` of the pairs of a split, sorted."""
    return sorted(
        f"{sample.key}#{pair.id}"
        for sample in made.samples
        if sample.split == split
        for pair in sample.pairs
        if task in ("", pair.task)
    )
