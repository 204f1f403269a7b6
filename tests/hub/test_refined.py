"""A set of a policy's chains is published like any other, and its card says whose text it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cotgen.hub.writers import models_of, terms_of_writer
from cotgen.shards.manifest import load
from cotgen.shards.refined import refine
from tests.hub.conftest import REPO
from tests.shards.samples import make, write_folder
from tests.shards.test_refined import CONFIG, COUNTS, lines, rewritten

pytest.importorskip("huggingface_hub")


def test_a_round_can_be_published_and_names_its_policy(cli: Callable[..., Any], tmp_path: Path) -> None:
    made = make(seconds=6)
    parent = write_folder(made, tmp_path / "set", shards=1)
    folder = tmp_path / "round"
    refine([parent], folder, lines(tmp_path / "chains", rewritten(made)), 0, config=CONFIG, counts=COUNTS)
    code, _, err = cli(folder, "--repo", REPO, "--dry-run", "--frames", "reference")
    assert code == 0, err
    [(model, what)] = models_of(load(folder).config)
    assert what == "wrote chains"
    assert "`Qwen3-VL-8B-x@0123` is by its name a Qwen-VL" in terms_of_writer(model)
    # Cholec80's frames stay where they are, whoever wrote the chains.
    code, _, err = cli(folder, "--repo", REPO, "--dry-run")
    assert code != 0
    assert "may not be published" in err
