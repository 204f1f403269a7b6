"""The cache keeps what was paid for: across processes, kills, damage and full disks."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cotgen.models.cache import CacheError, ReplyCache, Stored, cache_key
from cotgen.models.request import Choice, Problem, Usage
from cotgen.models.stub import StubServer
from tests.models.conftest import answered, request

STORED = Stored((Choice('{"answer":"hook"}', "stop", {"answer": "hook"}),), Usage(100, 7), "stub")


def test_a_reply_comes_back_as_it_was(tmp_path: Path) -> None:
    odd = Stored((Choice("Ünïcode\n", "stop"), Choice("", "length", None, Problem("length", "cut"))), Usage(), "m")
    with ReplyCache(tmp_path / "deep" / "replies.sqlite") as cache:
        assert cache.get("a") is None
        assert cache.put("a", STORED) is STORED
        cache.put("b", odd)
    with ReplyCache(tmp_path / "deep" / "replies.sqlite") as cache:
        assert (cache.get("a"), cache.get("b")) == (STORED, odd)
        assert (len(cache), cache.hits, cache.misses) == (2, 2, 0)
        assert cache.size_bytes > 4096


def test_the_first_reply_of_a_key_stays(tmp_path: Path) -> None:
    other = Stored((Choice("other", "stop"),), Usage(), "stub")
    with ReplyCache(tmp_path / "r.sqlite") as one, ReplyCache(tmp_path / "r.sqlite") as two:
        one.put("a", STORED)
        assert two.put("a", other) == STORED
        assert two.get("a") == STORED


def test_replies_that_come_together_share_a_transaction_and_all_are_kept(tmp_path: Path) -> None:
    with ReplyCache(tmp_path / "r.sqlite") as cache:
        futures = [cache.put_soon(f"{n}", STORED) for n in range(2000)]
        futures[5].cancel()
        assert all(f.result(30) == STORED for n, f in enumerate(futures) if n != 5)
        assert len(cache) == 2000


WRITER = """
import sys
from pathlib import Path
from cotgen.models.cache import ReplyCache, Stored
from cotgen.models.request import Choice, Usage
with ReplyCache(Path(sys.argv[1])) as cache:
    for n in range(int(sys.argv[3])):
        stored = Stored((Choice(sys.argv[2], "stop"),), Usage(), "m")
        print(n, cache.put(f"key {n}", stored).choices[0].text, flush=True)
"""


def test_two_processes_at_once_agree_on_every_reply(tmp_path: Path) -> None:
    def start(name: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WRITER, str(tmp_path / "r.sqlite"), name, "150"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    one, two = start("one"), start("two")
    said = [process.communicate(timeout=60)[0].splitlines() for process in (one, two)]
    assert (one.returncode, two.returncode) == (0, 0)
    assert len(said[0]) == 150 and said[0] == said[1]


@pytest.mark.parametrize("seed", range(3))
def test_what_was_handed_on_is_there_after_kill_9(tmp_path: Path, seed: int) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "r.sqlite"), "one", "1000000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    lines = [process.stdout.readline()]
    timer = threading.Timer(random.Random(seed).uniform(0, 0.3), process.kill)
    timer.start()
    lines += process.stdout.readlines()
    assert process.wait() == -signal.SIGKILL
    whole = [line for line in lines if line.endswith("\n")]
    with ReplyCache(tmp_path / "r.sqlite") as cache:
        assert all(cache.get(f"key {n}") for n in range(len(whole)))
        assert len(cache) <= len(whole) + 1


ASKER = """
import sys
from pathlib import Path
from cotgen.models.cache import ReplyCache
from cotgen.models.thread import ClientThread
from tests.models.conftest import endpoint, fits, request
with ReplyCache(Path(sys.argv[1])) as cache, ClientThread(endpoint(sys.argv[2]), cache, fits) as teacher:
    for outcome in teacher.outcomes(request(n) for n in range(600)):
        print(outcome.request.tag, flush=True)
"""


@pytest.mark.slow
def test_after_ten_kills_no_request_whose_reply_was_committed_is_sent_again(tmp_path: Path) -> None:
    stub = StubServer(answered, slots=16, service_s=0.02)
    path, draws = tmp_path / "r.sqlite", random.Random(4)
    command = [sys.executable, "-c", ASKER, str(path)]

    def committed() -> dict[str, int]:
        if not path.exists():
            return {}
        with ReplyCache(path) as cache:
            keys = [request(n).cache_key for n in range(600)]
            return {key: stub.counts[key] for key in keys if cache.get(key)}

    with stub as url:
        for _ in range(10):
            before = committed()
            process = subprocess.Popen([*command, url], stdout=subprocess.PIPE, text=True)
            assert process.stdout
            first = process.stdout.readline()
            time.sleep(draws.uniform(0, 0.25))
            process.kill()
            handed_on = {int(line) for line in [first, *process.stdout.readlines()] if line.endswith("\n")}
            process.wait()
            after = committed()
            assert {request(n).cache_key for n in handed_on} <= set(after)
            assert {key: stub.counts[key] for key in before} == before
        before = committed()
        assert len(before) > 20
        done = subprocess.run([*command, url], capture_output=True, text=True, check=True)
        assert sorted(map(int, done.stdout.split())) == list(range(600))
        assert {key: stub.counts[key] for key in before} == before
    # Sent twice are at most those that were in flight at a kill.
    assert stub.counts.total() <= 600 + 10 * 32


def test_a_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    path.write_bytes(b"no database at all, and long enough to be looked at" * 100)
    with pytest.raises(CacheError, match=r"is damaged .* move it away"):
        ReplyCache(path)

    path = tmp_path / "cut.sqlite"
    with ReplyCache(path) as cache:
        for n in range(200):
            cache.put(f"{n}", STORED)
    data = bytearray(path.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(CacheError, match=r"recover.* move it away"), ReplyCache(path) as cache:
        for n in range(200):
            cache.get(f"{n}")


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE patients (name TEXT)")
    with pytest.raises(CacheError, match="name another file"):
        ReplyCache(path)
    with sqlite3.connect(path) as other:
        assert [row[0] for row in other.execute("SELECT name FROM sqlite_master")] == ["patients"]


def test_a_file_held_by_another_process_is_named_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cotgen.models.cache._BUSY_S", 0.2)
    path = tmp_path / "r.sqlite"
    with ReplyCache(path) as cache:
        cache.put("a", STORED)
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(CacheError, match="held by another process"):
            cache.put("b", STORED)
        assert cache.get("a") == STORED
        holder.close()
        cache.put("b", STORED)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(CacheError, match="cannot be made"):
        ReplyCache(tmp_path / "file" / "r.sqlite")


def test_a_key_holds_all_that_matters_and_never_the_picture() -> None:
    parts = {"pixels": "ab" * 32, "size": [840, 476], "prompt": "1", "seed": 3}
    assert cache_key(parts) == cache_key(dict(reversed(parts.items())))
    assert cache_key(parts) != cache_key(parts | {"size": [420, 252]})
    with pytest.raises(ValueError, match="never of the encoded image"):
        cache_key(parts | {"image": "data:image/jpeg;base64,AAAA"})
