"""The texts of chains, read by a process of its own that leaves nothing behind when the viewer is killed."""

import contextlib
import io
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from cotgen.errors import CotgenError
from cotgen.inspect.text import TextIndex, cache_file, write_text
from cotgen.shards.manifest import load
from tests.shards.samples import Made, write_folder


def ready(index: TextIndex) -> None:
    end = time.monotonic() + 30
    while not index.ready and not index.problem and time.monotonic() < end:
        time.sleep(0.02)


def test_texts_are_read_once_and_found_again(folder: Path, made: Made, tmp_path: Path) -> None:
    file = cache_file(folder, {"XDG_CACHE_HOME": str(tmp_path)})
    assert file.parent == tmp_path / "cotgen" / "text"
    index = TextIndex(folder, file, len(made.samples))
    assert index.search("grasper") is None
    index.start()
    ready(index)
    assert index.problem == "" and file.is_file()
    again = TextIndex(folder, file, len(made.samples))
    again.start()
    # Nothing is read a second time: it is ready at once.
    assert again.ready
    found = again.search("grasper")
    assert found is not None and 0 < found.sum() < len(found) == sum(len(sample.pairs) for sample in made.samples)


def test_a_damaged_file_is_written_anew(folder: Path, made: Made, tmp_path: Path) -> None:
    file = tmp_path / "text.sqlite"
    file.write_bytes(b"no database")
    index = TextIndex(folder, file, len(made.samples))
    index.start()
    ready(index)
    assert index.ready and index.problem == ""


def test_a_file_of_another_make_is_written_anew(folder: Path, made: Made, tmp_path: Path) -> None:
    file = tmp_path / "text.sqlite"
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute("CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB)")
    index = TextIndex(folder, file, len(made.samples))
    index.start()
    ready(index)
    assert index.ready and index.problem == ""


def test_texts_of_a_folder_that_was_built_anew_meanwhile_are_not_kept(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would be found again under the name of a data set that does not hold them."""
    folder = write_folder(made, tmp_path / "set")

    class Rebuilds(io.StringIO):
        def write(self, text: str) -> int:
            manifest = load(folder)
            shards = [shard.model_copy(update={"sha256": "0" * 64}) for shard in manifest.shards]
            (folder / "manifest.json").write_bytes(manifest.model_copy(update={"shards": shards}).to_json())
            return len(text)

    monkeypatch.setattr("cotgen.inspect.text._TOLD_EVERY", 1)
    monkeypatch.setattr(sys, "stdout", Rebuilds())
    with pytest.raises(CotgenError, match="built anew"):
        write_text(folder, tmp_path / "text" / "text.sqlite")
    assert list((tmp_path / "text").iterdir()) == []


def test_where_it_cannot_be_kept_it_says_so(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    index = TextIndex(folder, tmp_path / "file" / "text.sqlite", 1)
    index.start()
    ready(index)
    assert not index.ready and "file" in index.problem


@pytest.mark.slow
def test_the_reader_ends_with_the_viewer(tmp_path: Path, made: Made, folder: Path) -> None:
    """The reader is held up by a pipe in place of a shard; its parent is killed, and it goes with its unfinished file."""
    code = (
        "import sys, time; from pathlib import Path; from cotgen.inspect.text import TextIndex, write_text\n"
        "index = TextIndex(Path(sys.argv[1]), Path(sys.argv[2]), 1); index.start(); time.sleep(60)"
    )
    held = shutil.copytree(folder, tmp_path / "held")
    for shard in (held / "data").glob("*.tar"):
        shard.unlink()
        os.mkfifo(shard)
    parent = subprocess.Popen([sys.executable, "-c", code, str(held), str(tmp_path / "text" / "text.sqlite")])
    end = time.monotonic() + 30
    while not (children := psutil.Process(parent.pid).children()) and time.monotonic() < end:
        time.sleep(0.05)
    (child,) = children
    while not list((tmp_path / "text").glob(".text*")) and time.monotonic() < end:
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    assert list((tmp_path / "text").iterdir()) == []


def test_the_same_texts_for_the_same_data(folder: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_text(folder, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
