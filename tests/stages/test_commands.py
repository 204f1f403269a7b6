"""Programs that a stage runs: filled from templates, started, waited for, and never left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cotgen.errors import CotgenError
from cotgen.models.stub import StubServer
from cotgen.stages.commands import filled, run
from cotgen.stages.policy_server import PolicyServer

STUB = "{python} -m cotgen.models.stub --port {port}"


def test_a_template_becomes_words() -> None:
    words = filled("{python} train.py --data {data} --out={out} '{{\"n\": 1}}'", data=["a b", "c=1/3"], out="x y")
    assert words == [sys.executable, "train.py", "--data", "a b", "c=1/3", "--out=x y", '{"n": 1}']


@pytest.mark.parametrize("template", ["train {dat}", "train '", "", "train {0}"])
def test_a_template_that_cannot_be_filled_is_refused(template: str) -> None:
    with pytest.raises(CotgenError):
        filled(template, data=["a"])


def test_a_program_that_fails_is_told() -> None:
    run(filled("{python} -c 0"), "this")
    for template in ("{python} -c 'raise SystemExit(3)'", "no-such-program"):
        with pytest.raises(CotgenError, match="this failed with status"):
            run(filled(template), "this")


def test_a_server_is_started_once_for_a_model_and_ended(tmp_path: Path) -> None:
    with PolicyServer(STUB, "", tmp_path / "log", wait_s=60) as serving:
        first = serving.of("one", 4, 5.0)
        assert serving.of("one", 4, 5.0) is first
        assert first.model == "stub"
        second = serving.of("two", 4, 5.0)
        assert second.url != first.url
    assert "http://127.0.0.1" in (tmp_path / "log").read_text()
    with pytest.raises(CotgenError, match="does not answer"):
        PolicyServer("", first.url, tmp_path / "log").of("one", 4, 5.0)


def test_a_server_that_ends_or_never_answers_is_told_with_its_log(tmp_path: Path) -> None:
    with (
        PolicyServer("{python} -c 'raise SystemExit(\"no weights in {model}\")'", "", tmp_path / "log") as serving,
        pytest.raises(CotgenError, match=r"ended with status 1[^$]*no weights in m1"),
    ):
        serving.of("m1", 4, 5.0)
    with (
        PolicyServer("{python} -c 'import time; time.sleep(60)'", "", tmp_path / "log", wait_s=0.5) as serving,
        pytest.raises(CotgenError, match=r"does not answer within 0\.5 s"),
    ):
        serving.of("m1", 4, 5.0)
    with pytest.raises(CotgenError, match="no server is named"):
        PolicyServer("", "", tmp_path / "log")


def test_a_server_that_listens_already_is_not_taken_for_the_one_that_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cotgen.stages.policy_server.GRACE_S", 0.2)
    with StubServer() as url:
        port = int(url.rpartition(":")[2].partition("/")[0])
        with (
            PolicyServer(STUB, "", tmp_path / "log", port=port, wait_s=60) as serving,
            pytest.raises(CotgenError, match=f"another server listens on port {port}"),
        ):
            serving.of("new", 4, 5.0)


@pytest.mark.skipif(sys.platform != "linux", reason="the system's signal for it is Linux's")
def test_a_program_does_not_outlive_a_killed_stage(tmp_path: Path) -> None:
    parent = (
        "import pathlib, sys; from cotgen.stages.commands import start\n"
        "p = start([sys.executable, '-c', 'import time; time.sleep(300)'])\n"
        "pathlib.Path(sys.argv[1]).write_text(str(p.pid)); p.wait()"
    )
    running = subprocess.Popen([sys.executable, "-c", parent, str(tmp_path / "pid")])
    deadline = time.monotonic() + 60
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child = int((tmp_path / "pid").read_text())
    time.sleep(0.5)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    while _lives(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
