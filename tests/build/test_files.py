"""Sealed files, remembered hashes, locks and the folder of unfinished work."""

import errno
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from cotgen.build.files import (
    HashCache,
    SealedWriter,
    explain,
    hash_ends,
    hold,
    make_folder,
    read_footer,
    read_payload,
    run_folder,
    stamp,
)
from cotgen.errors import CotgenError

OLD = 1_600_000_000


def seal(path: Path) -> tuple[int, int]:
    with SealedWriter(path) as writer:
        writer.write(b"first")
        place = writer.write(b"second")
        writer.seal({"n": 2})
    return place


def test_a_sealed_file_gives_back_its_footer_and_its_payloads(tmp_path: Path) -> None:
    path = tmp_path / "a.facts"
    place = seal(path)
    assert read_footer(path) == {"n": 2}
    assert read_payload(path, place) == b"second"


def test_a_sealed_file_that_was_cut_anywhere_is_not_taken_for_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.facts"
    seal(path)
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match="not whole"):
            read_footer(path)


def test_a_file_that_was_not_sealed_is_removed(tmp_path: Path) -> None:
    with pytest.raises(KeyError), SealedWriter(tmp_path / "a") as writer:
        writer.write(b"half")
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def make_old(path: Path, seconds: int = OLD) -> None:
    os.utime(path, (seconds, seconds))


def test_a_hash_is_remembered_until_the_file_changes(tmp_path: Path) -> None:
    file, database = tmp_path / "video.mp4", tmp_path / "hashes.sqlite"
    file.write_bytes(b"one")
    make_old(file)
    cache = HashCache(database)
    first = cache.file(file)
    cache.save()
    assert HashCache(database).get(str(file), stamp(file)) == first
    file.write_bytes(b"two")
    make_old(file, OLD + 1)
    assert HashCache(database).file(file) != first


def test_a_file_changed_a_moment_ago_is_not_remembered(tmp_path: Path) -> None:
    """It may change again within the same tick of the file system's clock."""
    file, database = tmp_path / "video.mp4", tmp_path / "hashes.sqlite"
    file.write_bytes(b"one")
    cache = HashCache(database)
    cache.file(file)
    cache.save()
    assert HashCache(database).get(str(file), stamp(file)) == ""


def test_a_damaged_database_costs_time_only(tmp_path: Path) -> None:
    file, database = tmp_path / "video.mp4", tmp_path / "hashes.sqlite"
    file.write_bytes(b"one")
    make_old(file)
    database.write_bytes(b"no database at all" * 100)
    cache = HashCache(database)
    first = cache.file(file)
    cache.save()
    assert HashCache(database).get(str(file), stamp(file)) == first


def test_a_locked_database_does_not_stop_a_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, database = tmp_path / "video.mp4", tmp_path / "hashes.sqlite"
    file.write_bytes(b"one")
    make_old(file)
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, timeout: connect(path, timeout=0.05))
    other = connect(database)
    other.execute("CREATE TABLE hashes (path TEXT PRIMARY KEY, stamp TEXT, sha256 TEXT)")
    other.execute("BEGIN EXCLUSIVE")
    cache = HashCache(database)
    cache.file(file)
    cache.save()
    other.close()
    assert HashCache(database).get(str(file), stamp(file)) == ""


def test_both_ends_and_the_size_stand_for_a_video_that_is_not_decoded(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"x" * 10_000_000)
    b.write_bytes(b"x" * 10_000_000 + b"y")
    assert hash_ends(a) != hash_ends(b)


def test_a_folder_is_held_by_one_process(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    refused = pytest.raises(CotgenError, match=f"Another cotgen is writing to {out}")
    with hold(out, tmp_path / "locks"), refused, hold(out, tmp_path / "locks"):
        pass
    with hold(out, tmp_path / "locks"):
        pass
    assert list(out.iterdir()) == [], "no lock file is left in what is published"


def test_a_folder_is_free_again_when_its_holder_was_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from cotgen.build.files import hold\n"
        "with hold(Path(sys.argv[1]), Path(sys.argv[2])): print('held', flush=True); time.sleep(60)"
    )
    arguments = [str(tmp_path / "out"), str(tmp_path / "locks")]
    holder = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(CotgenError, match="Another cotgen"), hold(tmp_path / "out", tmp_path / "locks"):
        pass
    holder.kill()
    holder.wait()
    with hold(tmp_path / "out", tmp_path / "locks"):
        pass


def test_a_folder_that_stayed_empty_is_removed(tmp_path: Path) -> None:
    with hold(tmp_path / "out", tmp_path / "locks"):
        assert (tmp_path / "out").is_dir()
    assert not (tmp_path / "out").exists()


def test_unfinished_files_are_removed_at_the_end_and_those_of_dead_runs_at_the_start(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from cotgen.build.files import run_folder\n"
        "with run_folder(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'half').write_text('x'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert len(list((tmp_path / "tmp").rglob("half"))) == 1
    with run_folder(tmp_path) as mine:
        assert not list((tmp_path / "tmp").rglob("half"))
        with run_folder(tmp_path) as other:
            assert mine.is_dir(), "a run that lives is left alone"
            assert other != mine
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "The disk is full: /out/x could not be written. Free some space"),
        (errno.EDQUOT, "The disk quota is used up"),
        (errno.EROFS, "is on a read-only file system"),
        (errno.EACCES, "You have no permission to use /out/x"),
        (errno.ENOTDIR, "a part of that path is a file"),
    ],
)
def test_what_the_file_system_refuses_is_a_sentence(number: int, sentence: str) -> None:
    found = explain(OSError(number, os.strerror(number), "/out/x"))
    assert found is not None
    assert sentence in str(found)


def test_a_folder_below_a_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CotgenError, match="a part of that path is a file"):
        make_folder(tmp_path / "file" / "out")
