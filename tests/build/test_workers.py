"""The pool: what comes of units, and that no worker outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cotgen.build.workers import Done, Failed, Pool, Progress

HERE = Path(__file__).parent
ENTRY = "pool_units:work"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    with Pool(2, tmp_path, ENTRY) as found:
        yield found


def run(pool: Pool, *units: str) -> dict[str, Done | Failed]:
    for unit in units:
        pool.submit(unit)
    return {event.unit: event for event in pool.events() if isinstance(event, Done | Failed)}


def failure(event: Done | Failed) -> Failed:
    assert isinstance(event, Failed)
    return event


def test_units_run_in_other_processes_and_none_is_started_without_work(pool: Pool) -> None:
    assert run(pool) == {}
    assert pool.started == 0
    found = run(pool, "sleep 0.1", "sleep 0.11", "sleep 0.12")
    pids = {event.result["pid"] for event in found.values() if isinstance(event, Done)}
    assert len(found) == 3
    assert 1 <= len(pids) <= 2
    assert os.getpid() not in pids


def test_more_units_may_be_submitted_while_results_come(pool: Pool) -> None:
    pool.submit("sleep 0")
    seen = []
    for event in pool.events():
        if isinstance(event, Done):
            seen.append(event.unit)
            if len(seen) < 4:
                pool.submit(f"sleep 0.0{len(seen)}")
    assert seen == ["sleep 0", "sleep 0.01", "sleep 0.02", "sleep 0.03"]


def test_a_lower_rank_goes_first(tmp_path: Path) -> None:
    with Pool(1, tmp_path, ENTRY) as pool:
        for rank, unit in ((3, "count 3"), (1, "count 1"), (2, "count 2"), (1, "count 11")):
            pool.submit(unit, rank)
        order = [event.unit for event in pool.events() if isinstance(event, Done)]
    assert order == ["count 1", "count 11", "count 2", "count 3"]


def test_progress_adds_up(pool: Pool) -> None:
    pool.submit("count 1000")
    told = sum(event.amount for event in pool.events() if isinstance(event, Progress))
    assert told == 1000


def test_a_failing_unit_is_a_sentence_and_the_rest_goes_on(pool: Pool) -> None:
    found = run(pool, "refuse The file is empty.", "defect x", "sleep 0")
    assert failure(found["refuse The file is empty."]).text == "The file is empty."
    assert failure(found["refuse The file is empty."]).trace == ""
    defect = failure(found["defect x"])
    assert defect.text == "KeyError: 'x'"
    assert "pool_units.py" in defect.trace
    assert isinstance(found["sleep 0"], Done)


def test_a_worker_that_the_system_kills_fails_its_unit_alone(pool: Pool) -> None:
    found = run(pool, "killed", "sleep 0.1", "sleep 0.2", "crash", "sleep 0.3")
    assert "most likely because memory ran out" in failure(found["killed"]).text
    assert "SIGABRT; it said: Fatal Python error: Aborted" in failure(found["crash"]).text
    assert sum(isinstance(event, Done) for event in found.values()) == 3


def test_a_full_disk_is_told_apart_from_a_bad_input(pool: Pool) -> None:
    found = run(pool, "full", "wrapped", "refuse me")
    assert failure(found["full"]).disk
    assert failure(found["wrapped"]).disk
    assert "The disk is full: /disk/x" in failure(found["wrapped"]).text
    assert not failure(found["refuse me"]).disk


def test_what_a_library_prints_disturbs_nothing(pool: Pool) -> None:
    assert isinstance(run(pool, "shout")["shout"], Done)


def test_workers_use_one_polars_thread_each_unless_told_otherwise(pool: Pool) -> None:
    event = run(pool, "sleep 0")["sleep 0"]
    assert isinstance(event, Done)
    assert event.result["threads"] == os.environ.get("POLARS_MAX_THREADS", "1")


def gone(pids: set[int], within: float) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end:
        alive = {pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"}
        if not alive:
            return True
        time.sleep(0.02)
    return False


def test_leaving_the_pool_in_an_error_ends_workers_at_once(tmp_path: Path) -> None:
    start = time.monotonic()
    # Other tests of this process may have left a helper of Python's that lives as long as it does.
    before = set(psutil.Process().children())
    with pytest.raises(KeyError), Pool(2, tmp_path, ENTRY) as pool:
        pool.submit("sleep 60")
        pool.submit("sleep 61")
        for _ in pool.events(tick=0.2):
            raise KeyError
    assert time.monotonic() - start < 5
    assert set(psutil.Process().children()) <= before


PARENT = """
import sys
sys.path.insert(0, {here!r})
from pathlib import Path
from cotgen.build.workers import Pool
with Pool(2, Path({logs!r}), "pool_units:work") as pool:
    pool.submit("sleep 60"); pool.submit("sleep 61")
    for event in pool.events(tick=0.1):
        print(*[worker.process.pid for worker in pool._workers], flush=True)
"""


def test_workers_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = PARENT.format(here=str(HERE), logs=str(tmp_path))
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = {int(pid) for pid in parent.stdout.readline().split()}
    assert len(pids) == 2
    assert not gone(pids, 0.3)
    parent.kill()
    parent.wait()
    assert gone(pids, 5)


def test_workers_die_with_their_parent_where_the_system_sends_no_signal() -> None:
    """The thread at the end of the pipe is enough: here the process believes that it does not run on Linux."""
    code = (
        "import os, sys, time\n"
        "from cotgen.build.workers import _die_with_parent\n"
        "sys.platform = 'other'\n"
        "_die_with_parent(int(sys.argv[1]), os.getppid()); print('ready', flush=True); time.sleep(60)"
    )
    ours, theirs = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(ours)], pass_fds=(ours,), stdout=subprocess.PIPE, text=True
    )
    os.close(ours)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    os.close(theirs)
    assert child.wait(timeout=5) == 1


def test_a_worker_whose_parent_is_gone_already_does_not_start() -> None:
    code = "from cotgen.build.workers import _die_with_parent; _die_with_parent(0, 1); print('alive')"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (child.returncode, child.stdout) == (1, "")


def test_ctrl_c_is_for_the_parent_to_decide(pool: Pool) -> None:
    pool.submit("begin 0.3")
    for event in pool.events():
        if isinstance(event, Progress):
            os.kill(pool._workers[0].process.pid, signal.SIGINT)
        else:
            assert isinstance(event, Done)
