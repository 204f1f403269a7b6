"""What is finished is never done again, and what is done again has the same bytes."""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import cotgen
from cotgen.build.report import Outcome
from cotgen.draws import draw
from cotgen.sources.demo import make_demo

Run = Callable[..., Outcome]
Sums = Callable[[Path], dict[str, str]]


def test_the_same_command_again_does_nothing(demo: Path, built: Path, run: Run, sums_of: Sums) -> None:
    before = sums_of(built)
    outcome = run(demo, built)
    assert outcome.unchanged
    assert outcome.executed == {}
    assert sums_of(built) == before


def test_another_output_of_the_same_work_is_packed_only(
    demo: Path, built: Path, copy: Callable[[], Path], run: Run, sums_of: Sums, tmp_path: Path
) -> None:
    outcome = run(demo, tmp_path / "other", work=copy())
    assert set(outcome.executed) == {"pack"}
    assert sums_of(tmp_path / "other") == sums_of(built)


def test_a_changed_template_decodes_nothing(
    demo: Path, copy: Callable[[], Path], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cotgen.chains.write.templates_sha256", lambda: "0" * 64)
    outcome = run(demo, tmp_path / "out", work=copy())
    assert "frames" not in outcome.executed
    assert outcome.reused["frames"] == 2
    assert outcome.executed["chains"] == 2


def test_a_changed_annotation_changes_its_surgery_alone(
    demo: Path, copy: Callable[[], Path], run: Run, tmp_path: Path
) -> None:
    work, root = copy(), tmp_path / "data"
    shutil.copytree(demo, root)
    # Surgery 73 is of test, so that the statistics of train stay as they are.
    tools = root / "cholec80/tool_annotations/video73-tool.txt"
    lines = tools.read_text().splitlines()
    lines[1] = "\t".join(["0", *("1" if value == "0" else "0" for value in lines[1].split("\t")[1:])])
    tools.write_text("\n".join([*lines, ""]))
    outcome = run(root, tmp_path / "out", work=work)
    assert {step: outcome.executed.get(step, 0) for step in ("facts", "frames", "chains")} == {
        "facts": 1,
        "frames": 0,
        "chains": 1,
    }


def test_a_shard_that_was_damaged_or_lost_is_written_again(
    demo: Path, built: Path, copy: Callable[[], Path], run: Run, sums_of: Sums, tmp_path: Path
) -> None:
    out, work = tmp_path / "out", copy()
    run(demo, out, work=work)
    shards = sorted((out / "data").iterdir())
    data = bytearray(shards[0].read_bytes())
    data[len(data) // 2] ^= 1
    shards[0].write_bytes(data)
    shards[1].unlink()
    outcome = run(demo, out, work=work)
    assert outcome.executed["pack"] == 2
    assert sums_of(out) == sums_of(built)


def test_more_workers_write_the_same_bytes(demo: Path, built: Path, run: Run, sums_of: Sums, tmp_path: Path) -> None:
    run(demo, tmp_path / "out", workers=2)
    assert sums_of(tmp_path / "out") == sums_of(built)


BUILD = [sys.executable, "-m", "cotgen", "build", "--source", "cholec80", "--workers", "2"]


class Command:
    """`cotgen build` as a process of its own, and all that it starts."""

    LINE = BUILD

    def __init__(self, root: Path, out: Path, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.mark = f"COTGEN_TEST_{uuid.uuid4().hex}"
        self.process = subprocess.Popen(
            [*self.LINE, "--root", str(root), "--out", str(out), *arguments],
            env={**os.environ, **(env or {}), self.mark: "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=out.parent,
        )

    def wait(self) -> str:
        text, _ = self.process.communicate(timeout=300)
        return text

    def alive(self) -> list[psutil.Process]:
        """Every process that inherited the mark and still runs."""
        found = []
        for process in psutil.process_iter():
            try:
                if self.mark in process.environ() and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found


def until(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def leftovers(*folders: Path) -> list[str]:
    """Unfinished files: everything in the folders of runs, and hidden files anywhere."""
    found = [path for folder in folders for path in folder.rglob(".*") if path.is_file()]
    return sorted(str(path) for path in found + [p for folder in folders for p in folder.glob("tmp/*")])


@pytest.mark.slow
def test_a_build_that_was_killed_goes_on(demo: Path, built: Path, sums_of: Sums, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = Command(demo, out)
    assert until(lambda: any((tmp_path / "out.work").glob("frames/*.frames")), 60)
    first.process.kill()
    first.process.wait()
    assert until(lambda: not first.alive(), 5)
    second = Command(demo, out)
    assert "The data set is in" in second.wait()
    assert second.process.returncode == 0
    assert sums_of(out) == sums_of(built)
    assert leftovers(out, tmp_path / "out.work") == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_drops_what_is_in_hand_and_says_how_to_go_on(
    demo: Path, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "out"
    command = Command(demo, out)
    assert until(lambda: any((tmp_path / "out.work").glob("facts/*.facts")), 60)
    command.process.send_signal(number)
    text = command.wait()
    assert command.process.returncode == 130
    assert "What is finished is kept; run the same command again to go on." in text
    assert "Traceback" not in text
    assert not command.alive()
    assert leftovers(tmp_path / "out.work") == []
    assert not (out / "manifest.json").exists()


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, sums_of: Sums
) -> Iterator[tuple[Path, dict[str, str], float]]:
    """A demo of three surgeries, the sums of a build of it that nobody disturbed, and how long that took."""
    folder = tmp_path_factory.mktemp("undisturbed")
    make_demo(folder / "data", surgeries=3, seconds=15, size=(320, 180))
    start = time.monotonic()
    command = Command(folder / "data", folder / "out")
    assert command.wait()
    assert command.process.returncode == 0
    yield folder / "data", sums_of(folder / "out"), time.monotonic() - start


@pytest.mark.slow
def test_killed_at_twenty_moments_and_started_again_at_once(
    undisturbed: tuple[Path, dict[str, str], float], sums_of: Sums, tmp_path: Path
) -> None:
    data, expected, seconds = undisturbed
    killed = 0
    for attempt in range(20):
        out = tmp_path / f"{attempt}" / "out"
        out.parent.mkdir()
        first = Command(data, out)
        time.sleep(0.8 * seconds * (draw(0, "kill", str(attempt)) % 1000) / 1000)
        killed += first.process.poll() is None
        first.process.kill()
        first.process.wait()
        dead = time.monotonic()
        second = Command(data, out)
        assert until(lambda: not first.alive(), 5 - (time.monotonic() - dead))  # noqa: B023 - called at once
        text = second.wait()
        assert second.process.returncode == 0, text
        assert sums_of(out) == expected
        assert leftovers(out, out.with_name("out.work")) == []
    assert killed >= 15


#: Loaded by a command: it kills itself just before the call number N with which it would settle something on disk.
KILL = """
import os, signal
left = int(os.environ.get("KILL_AT", "0"))
def counted(call):
    def wrapper(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args, **kwargs)
    return wrapper
for name in ("fsync", "replace", "unlink"):
    setattr(os, name, counted(getattr(os, name)))
"""


@pytest.mark.slow
def test_killed_between_any_two_files_of_the_output(demo: Path, built: Path, sums_of: Sums, tmp_path: Path) -> None:
    """Packing takes moments; so here the kills are placed, one before each flush, rename and removal."""
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(KILL)
    work, out, kills = tmp_path / "work", tmp_path / "out", 0
    shutil.copytree(f"{built}.work", work)
    while True:
        kills += 1
        shutil.rmtree(out, ignore_errors=True)
        shutil.rmtree(work / "outputs")
        env = {"KILL_AT": str(kills), "PYTHONPATH": str(tmp_path / "hook")}
        first = Command(demo, out, "--work", str(work), env=env)
        first.wait()
        if first.process.returncode == 0:
            break
        assert first.process.returncode == -signal.SIGKILL
        again = Command(demo, out, "--work", str(work))
        text = again.wait()
        assert again.process.returncode == 0, text
        assert sums_of(out) == sums_of(built)
        assert leftovers(out, work) == []
    assert kills > 20


#: Loaded by every Python process of a command: another order of names in every folder.
SHUFFLE = """
import os, random
listdir, scandir = os.listdir, os.scandir
def shuffled(items):
    items = list(items); random.shuffle(items); return items
class Scan:
    def __init__(self, *args): self.inner = scandir(*args); self.items = iter(shuffled(self.inner))
    def __iter__(self): return self.items
    def __next__(self): return next(self.items)
    def __enter__(self): return self
    def __exit__(self, *args): self.inner.close()
    def close(self): self.inner.close()
os.listdir = lambda *args: shuffled(listdir(*args))
os.scandir = Scan
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (["--workers", "1"], {}),
        ([], {"PYTHONHASHSEED": "1"}),
        ([], {"PYTHONHASHSEED": "2"}),
        ([], {"POLARS_MAX_THREADS": "2"}),
        ([], {"PYTHONPATH": "shuffle"}),
    ],
    ids=["one worker", "hash seed 1", "hash seed 2", "two polars threads", "shuffled folders"],
)
def test_the_bytes_depend_on_nothing_of_the_machine(
    undisturbed: tuple[Path, dict[str, str], float],
    sums_of: Sums,
    tmp_path: Path,
    arguments: list[str],
    env: dict[str, str],
) -> None:
    data, expected, _ = undisturbed
    if "PYTHONPATH" in env:
        (tmp_path / "shuffle").mkdir()
        (tmp_path / "shuffle" / "sitecustomize.py").write_text(SHUFFLE)
        env = {"PYTHONPATH": str(tmp_path / "shuffle")}
    command = Command(data, tmp_path / "out", *arguments, env=env)
    text = command.wait()
    assert command.process.returncode == 0, text
    assert sums_of(tmp_path / "out") == expected


@pytest.mark.slow
def test_a_new_wording_in_the_package_decodes_nothing(
    undisturbed: tuple[Path, dict[str, str], float], sums_of: Sums, tmp_path: Path
) -> None:
    """The package is copied and one wording added, as a new version of cotgen would."""
    data, expected, _ = undisturbed
    Command(data, tmp_path / "out").wait()
    frames = sums_of(tmp_path / "out.work" / "frames")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out.work" / "frames").iterdir()}
    package = Path(cotgen.__file__).parent
    shutil.copytree(package, tmp_path / "new" / "cotgen", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(package.parent / "schemas", tmp_path / "new" / "schemas")
    shutil.copytree(package.parent / "cards", tmp_path / "new" / "cards")
    module = tmp_path / "new" / "cotgen" / "tasks" / "tool_count.py"
    text = module.read_text()
    start = text.index('"', text.index("WORDINGS"))
    wording = text[start : text.index('"', start + 1) + 1]
    module.write_text(text.replace(wording, f'"Counted by kind: how many?", {wording}', 1))
    command = Command(data, tmp_path / "out", env={"PYTHONPATH": str(tmp_path / "new")})
    said = command.wait()
    assert command.process.returncode == 0, said
    assert sums_of(tmp_path / "out.work" / "frames") == frames
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert sums_of(tmp_path / "out") != expected


@pytest.mark.slow
def test_nothing_changed_takes_under_two_seconds(
    undisturbed: tuple[Path, dict[str, str], float], tmp_path: Path
) -> None:
    data = undisturbed[0]
    Command(data, tmp_path / "out").wait()
    time.sleep(2.1)
    Command(data, tmp_path / "out").wait()
    # CPU seconds, not those on the clock: another process on the machine must not decide this.
    spent = []
    for _ in range(3):
        before = os.times()
        assert "Nothing to do" in Command(data, tmp_path / "out").wait()
        after = os.times()
        spent.append(sum(after[2:4]) - sum(before[2:4]))
    assert 0 < min(spent) < 2
