"""`--balance` in a build: the same for any number of workers, told in the manifest, and nothing to others."""

from collections.abc import Callable
from pathlib import Path

import orjson
import polars as pl
import pytest

from cotgen.build.config import load_config
from cotgen.build.report import Outcome, Reporter
from cotgen.build.run import build, estimate
from cotgen.sources.demo import make_demo
from tests.build.conftest import once


@pytest.fixture(scope="module")
def minutes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two surgeries long enough to have frequent answers."""
    return once(tmp_path_factory, "minutes", lambda folder: make_demo(folder, surgeries=2, seconds=150, size=(64, 48)))


def given(root: Path, out: Path, **more: object) -> dict[str, object]:
    return {"source": "cholec80", "root": str(root), "out": out, "frames": "none", "workers": 1, **more}


def run(root: Path, out: Path, **more: object) -> Outcome:
    return build(load_config(None, given(root, out, **more)), Reporter(None), env={})


def test_a_balanced_build_is_smaller_and_says_what_was_left_out(
    minutes: Path, tmp_path: Path, sums_of: Callable[[Path], dict[str, str]]
) -> None:
    run(minutes, tmp_path / "all", work=tmp_path / "work")
    run(minutes, tmp_path / "one", balance=True, work=tmp_path / "work")
    run(minutes, tmp_path / "two", balance=True, workers=2, work=tmp_path / "other")
    assert sums_of(tmp_path / "one") == sums_of(tmp_path / "two") != sums_of(tmp_path / "all")

    manifest = orjson.loads((tmp_path / "one" / "manifest.json").read_bytes())
    left = {item["reason"]: item["count"] for item in manifest["left_out"] if "--balance" in item["reason"]}
    every = pl.read_parquet(tmp_path / "all" / "index.parquet").height
    kept = pl.read_parquet(tmp_path / "one" / "index.parquet").height
    dropped = sum(count for reason, count in left.items() if reason.startswith("left out by --balance: "))
    assert manifest["config"]["balance"] is True
    assert 0 < kept < every and every - kept <= dropped

    counted = estimate(
        load_config(None, given(minutes, tmp_path / "dry", balance=True, work=tmp_path / "work")),
        Reporter(None),
        env={},
    )
    assert sum(counted.pairs.values()) >= kept
    assert sum(counted.pairs.values()) < every
    # The same again does nothing: the shares were counted for these labels already.
    outcome = run(minutes, tmp_path / "one", balance=True, work=tmp_path / "work")
    assert outcome.executed.get("count", 0) == outcome.executed.get("chains", 0) == 0
