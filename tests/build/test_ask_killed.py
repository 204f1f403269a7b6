"""A build with a teacher, killed at random moments: what was paid for is never sent again, the bytes are the same."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from cotgen.chains.stand_in import reply
from cotgen.models.stub import Faults, StubServer
from cotgen.shards.verify import verify

KILLS = 10


def build(root: Path, out: Path, url: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cotgen", "build", "--quiet", "--source", "cholec80", "--root", str(root)]
    command += [
        "--out",
        str(out),
        "--writer",
        "teacher",
        "--teacher-url",
        url,
        "--teacher-model",
        "stub",
        "--workers",
        "1",
    ]
    return subprocess.Popen(command, start_new_session=True, env={**os.environ, "POLARS_MAX_THREADS": "1"})


def committed(out: Path) -> set[str]:
    """The requests whose replies stand in the cache."""
    file = out.with_name(f"{out.name}.work") / "replies.sqlite"
    if not file.exists():
        return set()
    # An open connection would keep the log of the cache from being taken in when the build ends.
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as cache:
        if not cache.execute("SELECT 1 FROM sqlite_master WHERE name = 'reply'").fetchone():
            return set()
        return {key for (key,) in cache.execute("SELECT key FROM reply")}


@pytest.mark.slow
def test_killed_at_random_moments_it_sends_nothing_again_that_it_has(demo: Path, tmp_path: Path) -> None:
    random.seed(4)
    stub = StubServer(reply, faults=Faults({"503": 0.05, "reset": 0.05}), slots=4, service_s=0.1)
    out, whole = tmp_path / "out", tmp_path / "whole"
    begun = 0
    with stub:
        first_reply = 0.0
        for _ in range(KILLS):
            known = {key: stub.counts[key] for key in committed(out)}
            process, start = build(demo, out, stub.url), time.monotonic()
            if first_reply:
                time.sleep(random.uniform(0.2, 1.8) * first_reply)
            else:
                # The imports, the facts, the frames: how long that takes depends on what else the machine does.
                while not committed(out):
                    assert process.poll() is None
                    time.sleep(0.05)
                first_reply = time.monotonic() - start
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            begun += len(committed(out)) > len(known)
            assert {key: stub.counts[key] for key in known} == known
        known = {key: stub.counts[key] for key in committed(out)}
        assert known and begun >= 3
        assert build(demo, out, stub.url).wait() == 0
        assert {key: stub.counts[key] for key in known} == known
        # Another folder with the same replies: the kills have left no trace.
        (tmp_path / "whole.work").mkdir()
        for file in out.with_name("out.work").glob("replies.sqlite*"):
            file.rename(tmp_path / "whole.work" / file.name)
        before = dict(stub.counts)
        assert build(demo, whole, stub.url).wait() == 0 and dict(stub.counts) == before
    assert verify(out).ok and (out / "SHA256SUMS").read_text() == (whole / "SHA256SUMS").read_text()
