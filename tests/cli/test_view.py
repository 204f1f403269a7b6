"""`cotgen view` from the command line: what it prints, how it ends, and what it says when it cannot begin."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import orjson
import pytest

from cotgen.dataset import open as open_dataset
from tests.shards.samples import make, write_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(make(seconds=3), tmp_path_factory.mktemp("data") / "set")


def start(*arguments: Any, home: Path) -> "subprocess.Popen[str]":
    environment = {**os.environ, "XDG_CACHE_HOME": str(home / "cache"), "COTGEN_WORK": ""}
    command = [sys.executable, "-m", "cotgen", "view", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def test_it_prints_its_address_and_ends_at_ctrl_c(folder: Path, tmp_path: Path) -> None:
    view = start(folder, "--port", "0", "--reviewer", "Ada", home=tmp_path)
    assert view.stdout
    address = view.stdout.readline().strip()
    assert "set.reviews.jsonl" in view.stdout.readline()
    with urllib.request.urlopen(f"{address}api/about") as answer:
        assert orjson.loads(answer.read())["reviewer"] == "Ada"
    view.send_signal(signal.SIGINT)
    _, errors = view.communicate(timeout=20)
    assert view.returncode == 0 and errors == ""
    # What it keeps for itself is neither in the folder nor beside it.
    assert sorted(path.name for path in folder.parent.iterdir()) == ["set", "set.receipts"]


def test_it_says_how_many_replies_are_to_pairs_of_the_folder(folder: Path, tmp_path: Path) -> None:
    sample = next(iter(open_dataset(folder))).record
    known = f"{sample.key}#{sample.pairs[0].id}"
    replies = tmp_path / "predictions.jsonl"
    replies.write_bytes(b"".join(orjson.dumps({"pair": n, "response": "x"}) + b"\n" for n in (known, "of#another")))
    view = start(folder, "--port", "0", "--predictions", replies, home=tmp_path)
    assert view.stdout
    lines = [view.stdout.readline() for _ in range(3)]
    view.send_signal(signal.SIGINT)
    view.communicate(timeout=20)
    assert lines[2].startswith("Of 2 replies 1 are to one of the ")


def test_what_keeps_it_from_beginning_is_a_sentence(folder: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        view = start(folder, "--port", port, home=tmp_path)
        _, errors = view.communicate(timeout=20)
    assert view.returncode and f"port {port}, cannot be listened on" in errors and "Traceback" not in errors
    view = start(tmp_path / "nothing", home=tmp_path)
    _, errors = view.communicate(timeout=20)
    assert view.returncode and "is not there" in errors and "Traceback" not in errors
    wrong = tmp_path / "predictions.jsonl"
    wrong.write_text('{"pair": "a#b.c", "response": "x"}\n{"pair": 1}\n')
    view = start(folder, "--predictions", wrong, home=tmp_path)
    _, errors = view.communicate(timeout=20)
    assert view.returncode and "predictions.jsonl:2: expected" in errors
    view = start(folder, "--reviews", folder / "reviews.jsonl", home=tmp_path)
    _, errors = view.communicate(timeout=20)
    assert view.returncode and "which is sealed; give a file outside of it" in errors


def test_a_mistyped_folder_that_could_be_a_name_on_the_hub_is_told_as_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("huggingface_hub")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    view = start("out/nothing", home=tmp_path)
    _, errors = view.communicate(timeout=30)
    assert view.returncode == 2
    assert errors.startswith("out/nothing is no folder here. Reading main of out/nothing failed")
