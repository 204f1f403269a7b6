"""A tiny look-alike for all tests of the build, and short ways to build from it and to look at what came of it."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cotgen.build.config import BuildConfig, load_config
from cotgen.build.report import Outcome, Reporter
from cotgen.build.run import build
from cotgen.sources.demo import make_demo

#: A time of change long ago.
OLD = 1_600_000_000


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that is made once, also where several processes run the tests."""
    base = factory.getbasetemp()
    base = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    folder = base / f"once-{name}"
    with (base / f"once-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            make(folder)
    return folder


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two surgeries of twelve seconds: one of train, one of test."""

    def make(folder: Path) -> None:
        make_demo(folder, surgeries=2, seconds=12, size=(320, 180))
        for path in folder.rglob("*"):
            # Files that were written a moment ago would be hashed at every build.
            os.utime(path, (OLD, OLD))

    return once(tmp_path_factory, "demo", make)


@pytest.fixture(scope="session")
def built(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished build of the demo; its work folder is beside it. Never write into it: use `copy`."""

    def make(out: Path) -> None:
        outcome = build(config(demo, out), Reporter(None), env={})
        assert outcome.exit_code == 0

    return once(tmp_path_factory, "built", make)


@pytest.fixture
def copy(built: Path, tmp_path: Path) -> Callable[[], Path]:
    """A work folder of its own with all units of `built` done, for a build that has nothing or little to do."""

    def make() -> Path:
        work = tmp_path / "work"
        shutil.copytree(f"{built}.work", work)
        shutil.rmtree(work / "outputs")
        return work

    return make


def config(root: Path, out: Path, **given: Any) -> BuildConfig:
    return load_config(None, {"source": "cholec80", "root": [str(root)], "out": out, "workers": 1, **given})


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Outcome]:
    def go(root: Path, out: Path, **given: Any) -> Outcome:
        return build(config(root, out, **given), Reporter(None), cwd=tmp_path, env={})

    return go


def sums(folder: Path) -> dict[str, str]:
    """Name -> sha256 of every file of a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="session")
def sums_of() -> Callable[[Path], dict[str, str]]:
    return sums
