import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cotgen.build.config import load_config
from cotgen.build.report import Reporter
from cotgen.build.run import build
from cotgen.cli import main
from cotgen.hub.card import Release, make_card
from cotgen.hub.licences import permission, sources_of
from cotgen.hub.testing import HubServer
from cotgen.shards.manifest import load, replace_card
from cotgen.sources.demo.look_alikes import make_look_alike
from tests.shards.samples import Made, make, write_folder

TOKEN = "hf_MarkedTokenOfTheTests"
REPO = "lab/set"


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


@pytest.fixture
def api(hub: HubServer) -> Any:
    """The real client of this Hub, with the marked token."""
    return pytest.importorskip("huggingface_hub").HfApi(endpoint=hub.url, token=TOKEN)


@pytest.fixture
def cli(api: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run `cotgen publish ...` here; returns exit code, output and errors."""
    monkeypatch.setattr("cotgen.hub.remote._environment", lambda: api)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cotgen", "publish", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        shown = capsys.readouterr()
        return (caught.value.code if isinstance(caught.value.code, int) else 0), shown.out, shown.err

    return run


def use_lfs(patch: pytest.MonkeyPatch) -> None:
    """The client uploads through Git LFS, quietly."""
    from huggingface_hub import constants

    patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    patch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)


@pytest.fixture
def lfs(monkeypatch: pytest.MonkeyPatch) -> None:
    use_lfs(monkeypatch)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build whose frames may be shared: of the look-alike of Endoscapes."""
    base = tmp_path_factory.mktemp("hub")
    make_look_alike("endoscapes", base / "demo", surgeries=6, seconds=10, seed=0, progress=lambda done, total: None)
    given = {"source": "endoscapes", "root": [str(base / "demo")], "out": base / "open", "workers": 1, "shards": 2}
    assert build(load_config(None, given), Reporter(None), env={}).exit_code == 0
    return base / "open"


def release_of(folder: Path, tag: str = "v1.0.0") -> Release:
    """What is published of a folder by these tests."""
    manifest = load(folder)
    allowed = permission(sources_of(folder, manifest), manifest, frames=bool(manifest.counts.get("images")))
    return Release(folder, manifest, REPO, tag, allowed)


@pytest.fixture(scope="session")
def carded(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the card of its release v1.0.0: made once, as publishing makes it once."""
    pytest.importorskip("matplotlib")
    folder = Path(shutil.copytree(built, tmp_path_factory.mktemp("carded") / "open"))
    replace_card(folder, load(folder), make_card(release_of(folder)))
    return folder


@pytest.fixture
def plain_folder(built: Path, tmp_path: Path) -> Path:
    """A copy of a build: publishing puts the card into the folder."""
    return Path(shutil.copytree(built, tmp_path / "plain"))


@pytest.fixture
def open_folder(carded: Path, tmp_path: Path) -> Path:
    """A copy of a build with its card."""
    return Path(shutil.copytree(carded, tmp_path / "open"))


@pytest.fixture(scope="session")
def closed() -> Made:
    """Samples of Cholec80, whose frames may not be shared."""
    return make(seconds=4)


@pytest.fixture
def closed_folder(closed: Made, tmp_path: Path) -> Path:
    return write_folder(closed, tmp_path / "closed")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """One sample without its picture, which may be published in no time."""
    return write_folder(make(("cholec80/01",), seconds=1, frames=False), tmp_path / "small")


@pytest.fixture
def program(hub: HubServer, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start Python in a process of its own whose Hub is this one: the client reads `HF_ENDPOINT` when it is imported."""

    def start(*arguments: object, folder: Path = tmp_path, **more: str) -> subprocess.Popen[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "HOME": str(tmp_path),
            "HF_HOME": str(tmp_path / "home"),
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": TOKEN,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            **more,
        }
        return subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            env=environment,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start
