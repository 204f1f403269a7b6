"""A checkpoint goes to the Hub privately, is compared there, and no token or path of this machine is shown."""

from pathlib import Path
from typing import Any

import pytest

from cotgen.errors import CotgenError
from cotgen.hub.checkpoint import NEEDED, push_checkpoint
from cotgen.hub.testing import HubServer
from tests.hub.conftest import TOKEN, use_lfs

pytest.importorskip("huggingface_hub")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use_lfs(monkeypatch)
    folder = tmp_path / "exported"
    folder.mkdir()
    for name in NEEDED:
        (folder / name).write_text("{}\n")
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 64)
    return folder


def test_a_new_one_is_private_and_is_what_lies_here(model: Path, hub: HubServer, api: Any) -> None:
    told: list[str] = []
    commit = push_checkpoint(model, "lab/surgeon", api, told.append)
    repo = hub.repos["models/lab/surgeon"]
    assert repo.private and repo.branches["main"] == commit
    tree = repo.resolve("main").tree
    assert tree["model.safetensors"].data == (model / "model.safetensors").read_bytes()
    assert set(tree) == {".gitattributes", "model.safetensors", *NEEDED}
    assert told == ["lab/surgeon is made, private", f"5 files are at lab/surgeon, commit {commit}, and compared"]
    assert "lab/surgeon" not in hub.repos, "it would stand in the way of a data set of that name"


def test_one_that_is_there_keeps_its_visibility_and_nothing_is_sent_twice(
    model: Path, hub: HubServer, api: Any
) -> None:
    push_checkpoint(model, "lab/surgeon", api)
    hub.repos["models/lab/surgeon"].private = False
    sent = hub.asked("PUT /lfs/")
    told: list[str] = []
    push_checkpoint(model, "lab/surgeon", api, told.append)
    assert told[0] == "lab/surgeon is there and public; it stays so"
    assert hub.asked("PUT /lfs/") == sent == 1


def test_what_arrives_otherwise_is_told(model: Path, hub: HubServer, api: Any) -> None:
    hub.fail("PUT /lfs/", "damage")
    with pytest.raises(CotgenError) as error:
        push_checkpoint(model, "lab/surgeon", api)
    assert TOKEN not in str(error.value)


def test_a_run_that_was_not_exported_and_a_path_of_this_machine_are_refused(model: Path, api: Any) -> None:
    (model / "serve.sh").write_text(f"vllm serve {model.absolute()}\n")
    with pytest.raises(CotgenError, match=r"serve\.sh names a path of this machine"):
        push_checkpoint(model, "lab/surgeon", api)
    (model / "serve.sh").unlink()
    (model / "cotgen.json").unlink()
    with pytest.raises(CotgenError, match=r"has no cotgen\.json; push what"):
        push_checkpoint(model, "lab/surgeon", api)
    with pytest.raises(CotgenError, match="'surgeon' is no name"):
        push_checkpoint(model, "surgeon", api)


def test_the_hub_that_refuses_is_quoted_without_the_token(model: Path, hub: HubServer, api: Any) -> None:
    hub.fail("POST /api/repos/create", "echo", status=403)
    with pytest.raises(CotgenError, match="403") as error:
        push_checkpoint(model, "lab/surgeon", api)
    assert TOKEN not in str(error.value) and "***" in str(error.value)
