"""What a user did wrong, or the machine refuses, is one clear sentence, and nothing half-written is taken for whole."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import cotgen
from cotgen.build.config import load_config
from cotgen.build.files import Seen, hold
from cotgen.build.plan import Exclusion
from cotgen.build.report import Outcome, Reporter
from cotgen.build.run import _Build, count, estimate
from cotgen.build.units import FactsUnit, FramesUnit, run_unit
from cotgen.errors import CotgenError
from cotgen.shards.verify import verify
from cotgen.sources import source
from cotgen.surgeries.priors import Priors

Run = Callable[..., Outcome]
Sums = Callable[[Path], dict[str, str]]


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.getbasetemp()
    return (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "shared-work"


@pytest.fixture
def cheap(run: Run, shared: Path) -> Run:
    """A build that decodes nothing and finds in a shared work folder what other tests have done."""

    def go(root: Path, out: Path, **given: object) -> Outcome:
        return run(root, out, **{"frames": "none", "work": shared, **given})

    return go


def test_no_data_says_what_was_looked_at(tmp_path: Path, run: Run) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CotgenError, match=r"(?s)Looked at:.*cotgen demo"):
        run(tmp_path / "empty", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_source_task_or_split_is_named(demo: Path, tmp_path: Path, run: Run) -> None:
    with pytest.raises(CotgenError, match="'cholec81'"):
        run(demo, tmp_path / "out", source="cholec81")
    with pytest.raises(CotgenError, match="--tasks: 'phases' is not known; did you mean phase"):
        run(demo, tmp_path / "out", tasks="phases")
    with pytest.raises(CotgenError, match="no split 'clean/9' is known"):
        run(demo, tmp_path / "out", split="clean/9")


def test_out_may_not_be_a_file_or_below_one(demo: Path, tmp_path: Path, run: Run) -> None:
    file = tmp_path / "out"
    file.write_text("mine")
    for out in (file, file / "deeper"):
        with pytest.raises(CotgenError, match="a part of that path is a file"):
            run(demo, out, work=tmp_path / "work")
    with pytest.raises(CotgenError, match="a part of that path is a file"):
        run(demo, tmp_path / "other", work=file)
    assert file.read_text() == "mine"
    assert not (tmp_path / "other").exists()


def test_a_folder_that_cotgen_did_not_make_is_never_touched(demo: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter1.tex").write_text("mine")
    for given in ({}, {"replace": True}):
        with pytest.raises(CotgenError, match=r"holds files that this build did not write \(chapter1\.tex\)"):
            run(demo, out, **given)
    assert [path.name for path in out.iterdir()] == ["chapter1.tex"]


def stopped_while_packing(monkeypatch: pytest.MonkeyPatch, go: Callable[[], object]) -> None:
    """All shards are written, and the process ends before the manifest is."""

    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(CotgenError, match="is not complete"):
        patch.setattr("cotgen.shards.manifest.seal", stop)
        go()


@pytest.mark.slow
def test_a_build_of_another_configuration_is_replaced_only_on_purpose(
    demo: Path, tmp_path: Path, cheap: Run, sums_of: Sums, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    cheap(demo, out)
    before = sums_of(out)
    with pytest.raises(CotgenError, match=r"another configuration \(seed: 0 there, 1 now\).*--replace"):
        cheap(demo, out, seed=1)
    assert sums_of(out) == before
    assert cheap(demo, out, seed=1, replace=True).manifest is not None
    assert verify(out).ok
    assert sums_of(out) != before
    # What replaces it is its owner at once, also where the first packing of it is not finished.
    stopped_while_packing(monkeypatch, lambda: cheap(demo, out, seed=2, replace=True))
    with pytest.raises(CotgenError, match=r"another configuration \(seed: 2 there, 1 now\)"):
        cheap(demo, out, seed=1)
    assert cheap(demo, out, seed=2).exit_code == 0
    assert verify(out).ok


def test_a_folder_that_was_put_in_place_of_an_unfinished_output_is_not_touched(
    demo: Path, tmp_path: Path, cheap: Run, sums_of: Sums, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path is the same and the work folder remembers it; what lies there is somebody else's."""
    out = tmp_path / "out"
    stopped_while_packing(monkeypatch, lambda: cheap(demo, out))
    moved = out.rename(tmp_path / "moved")
    shutil.copytree(moved / "data", out / "data")
    before = sums_of(out)
    with pytest.raises(CotgenError, match="holds files that this build did not write"):
        cheap(demo, out)
    assert sums_of(out) == before
    shutil.rmtree(out)
    # An empty folder is free; shards that were finished elsewhere are not taken for its own.
    out.mkdir()
    outcome = cheap(demo, out)
    assert outcome.manifest is not None
    assert outcome.executed["pack"] == len(outcome.manifest.shards)
    assert verify(out).ok
    assert sorted(path.name for path in out.iterdir() if path.name.startswith(".")) == []


def test_an_output_in_the_work_folder_is_refused(demo: Path, tmp_path: Path, run: Run) -> None:
    with pytest.raises(CotgenError, match="is in the work folder"):
        run(demo, tmp_path / "work" / "out", work=tmp_path / "work")
    assert not (tmp_path / "work").exists()


def replaced(demo: Path, tmp_path: Path, name: str) -> tuple[Path, Callable[[], None]]:
    """A copy of the demo, and what puts another file of the same size and date in the place of one of it."""
    root = tmp_path / "data"
    shutil.copytree(demo, root)
    path = root / "cholec80" / name

    def swap() -> None:
        before = path.stat()
        other = bytearray(path.read_bytes())
        other[-2] ^= 1
        path.write_bytes(bytes(other))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    return root, swap


@pytest.mark.parametrize("name", ["videos/video73.mp4", "tool_annotations/video73-tool.txt"])
@pytest.mark.slow
def test_a_file_that_is_replaced_during_a_build_is_noticed(
    demo: Path, tmp_path: Path, run: Run, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, swap = replaced(demo, tmp_path, name)
    check = _Build.check_unchanged

    def swap_then_check(self: _Build, jobs: Sequence[Any]) -> None:
        # All surgeries are finished and nothing is packed; the file changes and gets its old date back.
        swap()
        check(self, jobs)

    with monkeypatch.context() as patch:
        patch.setattr(_Build, "check_unchanged", swap_then_check)
        with pytest.raises(CotgenError, match=rf"{name} changed while the build ran, so nothing was packed"):
            run(root, tmp_path / "out", work=tmp_path / "work", frames="reference")
    assert not (tmp_path / "out").exists()
    # The command again reads the new file, and no other.
    again = run(root, tmp_path / "out", work=tmp_path / "work", frames="reference")
    step = "frames" if name.endswith("mp4") else "facts"
    assert again.executed[step] == 1
    assert again.reused[step] >= 1


@pytest.mark.parametrize("name", ["videos/video73.mp4", "tool_annotations/video73-tool.txt"])
def test_what_was_read_of_a_replaced_file_is_never_kept_under_the_name_of_the_first(
    demo: Path, tmp_path: Path, name: str
) -> None:
    root, swap = replaced(demo, tmp_path, name)
    scan = source("cholec80").scan(root / "cholec80")
    assert scan is not None
    files = next(files for files in scan.surgeries if files.surgery == "cholec80/73")
    seen = (Seen.now([scan.root / name]),)
    swap()
    out, part = tmp_path / "result", tmp_path / "part"
    unit: FramesUnit | FactsUnit
    if name.endswith("mp4"):
        footage = source("cholec80").frames(scan.root, files)
        unit = FramesUnit("cholec80/73", footage, (0,), "reference", 90, 0, out, part, seen)
    else:
        unit = FactsUnit("cholec80", scan.root, files, 25, out, part, seen)
    with pytest.raises(CotgenError, match=rf"{name} changed while it was read"):
        run_unit(unit)
    assert not out.exists() and not part.exists()


def test_two_builds_of_one_folder_at_once_are_refused(demo: Path, tmp_path: Path, cheap: Run) -> None:
    out = tmp_path / "out"
    with hold(out, tmp_path / "locks"), pytest.raises(CotgenError, match="Another cotgen is writing to"):
        cheap(demo, out)


def broken(demo: Path, tmp_path: Path) -> Path:
    """A copy of the demo whose surgery 1 has a bad line."""
    root = tmp_path / "data"
    shutil.copytree(demo, root)
    file = root / "cholec80/phase_annotations/video01-phase.txt"
    lines = file.read_text().splitlines()
    lines[7] = "6\tLunch"
    file.write_text("\n".join([*lines, ""]))
    return root


def test_a_bad_file_fails_its_surgery_and_the_others_go_on(
    demo: Path, tmp_path: Path, cheap: Run, sums_of: Sums
) -> None:
    root, out = broken(demo, tmp_path), tmp_path / "out"
    outcome = cheap(root, out)
    assert outcome.exit_code == 1
    assert "phase_annotations/video01-phase.txt:8" in outcome.failed["cholec80/1"]
    assert outcome.manifest is not None
    assert outcome.manifest.splits == {"test": ["cholec80/73"]}
    lost = [item for item in outcome.manifest.left_out if item.what == "surgery"]
    assert [item.examples for item in lost] == [["cholec80/1"]]
    assert str(tmp_path) not in (out / "manifest.json").read_text()
    assert verify(out).ok
    again = cheap(root, out)
    assert (again.unchanged, again.exit_code) == (True, 1), "what fails is tried and told again"
    shutil.copytree(demo, root, dirs_exist_ok=True)
    mended = cheap(root, out)
    assert mended.exit_code == 0
    cheap(demo, tmp_path / "whole")
    assert sums_of(out) == sums_of(tmp_path / "whole")


def test_a_bad_file_of_a_surgery_that_is_not_built_is_a_note(demo: Path, tmp_path: Path, cheap: Run) -> None:
    outcome = cheap(broken(demo, tmp_path), tmp_path / "out", surgeries="73")
    assert outcome.exit_code == 0
    assert any("cholec80/1 is not counted in the priors" in warning for warning in outcome.warnings)


def test_a_cut_video_keeps_what_is_good_and_is_told(demo: Path, tmp_path: Path, run: Run) -> None:
    root, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(demo, root)
    video = root / "cholec80/videos/video73.mp4"
    video.write_bytes(video.read_bytes()[: video.stat().st_size * 2 // 3])
    outcome = run(root, out)
    assert outcome.exit_code == 1
    assert "video73.mp4" in outcome.damaged["cholec80/73"]
    assert outcome.manifest is not None
    assert outcome.manifest.splits["test"] == ["cholec80/73"]
    assert verify(out).ok
    assert run(root, out).exit_code == 1


def test_nothing_that_can_be_built_is_a_sentence(demo: Path, tmp_path: Path, cheap: Run) -> None:
    with pytest.raises(CotgenError, match=r"Nothing could be built\. cholec80/1: phase_annotations/video01"):
        cheap(broken(demo, tmp_path), tmp_path / "out", surgeries="1")
    assert not (tmp_path / "out").exists()


#: Loaded by every Python process of a command: the disk is full as soon as a file of that name is flushed to it.
FULL = """
import errno, os
fsync = os.fsync
def full(handle):
    if {name!r} in os.readlink(f"/proc/self/fd/{{handle}}"):
        raise OSError(errno.{number}, os.strerror(errno.{number}))
    fsync(handle)
os.fsync = full
"""


def command(root: Path, out: Path, *arguments: str, **given: object) -> "subprocess.CompletedProcess[str]":
    call = [sys.executable, "-m", "cotgen", "build", "--source", "cholec80", "--root", str(root), "--out", str(out)]
    return subprocess.run(
        [*call, "--workers", "1", *arguments],
        capture_output=True,
        text=True,
        check=False,
        **given,  # type: ignore[call-overload]
    )


@pytest.mark.parametrize(
    ("name", "number", "sentence"),
    [
        pytest.param(".facts", "ENOSPC", "The disk is full", marks=pytest.mark.slow),
        pytest.param(".frames", "ENOSPC", "The disk is full", marks=pytest.mark.slow),
        pytest.param(".chains", "EROFS", "read-only file system", marks=pytest.mark.slow),
        (".tar", "ENOSPC", "free some space"),
        pytest.param("manifest.json", "ENOSPC", "free some space", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_is_a_sentence_and_the_build_goes_on_later(
    demo: Path, built: Path, tmp_path: Path, sums_of: Sums, name: str, number: str, sentence: str
) -> None:
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(FULL.format(name=name, number=number))
    out = tmp_path / "out"
    first = command(demo, out, env={**os.environ, "PYTHONPATH": str(tmp_path / "hook")})
    assert (first.returncode, first.stderr.count("Traceback")) == (2, 0), first.stderr
    assert sentence in first.stderr
    assert not (out / "manifest.json").exists()
    second = command(demo, out)
    assert second.returncode == 0, second.stderr
    assert sums_of(out) == sums_of(built)


@pytest.mark.slow
def test_a_limit_on_the_size_of_files_is_a_sentence(demo: Path, tmp_path: Path) -> None:
    """No hook: the system itself refuses (ulimit -f)."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    found = command(demo, tmp_path / "out", preexec_fn=limit)
    assert found.returncode == 2
    assert "Traceback" not in found.stderr
    assert "does not allow a file of this size" in found.stderr


def test_an_excluded_frame_is_in_nothing_that_is_made(demo: Path, tmp_path: Path, cheap: Run) -> None:
    out, file = tmp_path / "out", tmp_path / "withdrawn.txt"
    file.write_text("cholec80-73-000125\ncholec80-73-000126\n")
    outcome = cheap(demo, out, exclude=file)
    assert "cholec80-73-000125" not in cotgen.open(out)
    assert any("cholec80-73-000126 matches no labelled frame" in warning for warning in outcome.warnings)
    assert outcome.manifest is not None
    lost = {item.reason: item.count for item in outcome.manifest.left_out}
    assert lost["excluded by --exclude"] == 1
    # Who withdrew is not published either.
    assert all(b"cholec80-73-000125" not in file.read_bytes() for file in out.rglob("*") if file.is_file())


def test_priors_come_from_train_and_never_from_an_excluded_surgery(demo: Path, tmp_path: Path, cheap: Run) -> None:
    out = tmp_path / "priors.json"
    settings = load_config(None, {"source": "cholec80", "root": [str(demo)], "workers": 1})
    count(settings, out, Reporter(None), env={})
    assert Priors.from_json(out.read_bytes()).surgeries == ["cholec80/1"]
    # Only the test surgery is built, but what it may say of operations in general is known from train.
    cheap(demo, tmp_path / "auto", surgeries="73")
    cheap(demo, tmp_path / "file", surgeries="73", priors=str(out))
    cheap(demo, tmp_path / "none", surgeries="73", priors="none")
    assert (tmp_path / "auto" / "priors.json").read_bytes() == out.read_bytes()
    assert (tmp_path / "file" / "priors.json").read_bytes() == out.read_bytes()
    assert not (tmp_path / "none" / "priors.json").exists()
    withdrawn = tmp_path / "withdrawn.txt"
    withdrawn.write_text("cholec80/1\n")
    with pytest.raises(CotgenError, match=r"counts cholec80/1, which clean/1 does not have in train or --exclude"):
        cheap(demo, tmp_path / "x", surgeries="73", priors=str(out), exclude=withdrawn)
    outcome = cheap(demo, tmp_path / "x", exclude=withdrawn)
    assert any("no train surgery" in warning for warning in outcome.warnings)


def test_priors_of_a_test_surgery_are_refused(demo: Path, tmp_path: Path, cheap: Run) -> None:
    leaky = Priors(source="cholec80", split_table="other", surgeries=["cholec80/73"], tables={})
    (tmp_path / "priors.json").write_bytes(leaky.to_json())
    with pytest.raises(CotgenError, match="counts cholec80/73, which clean/1 does not have in train"):
        cheap(demo, tmp_path / "out", priors=str(tmp_path / "priors.json"))
    (tmp_path / "priors.json").write_text("{}")
    with pytest.raises(CotgenError, match="holds no priors; write such a file with `cotgen priors`"):
        cheap(demo, tmp_path / "out", priors=str(tmp_path / "priors.json"))


def test_a_limit_and_a_rate_choose_frames(demo: Path, tmp_path: Path, cheap: Run) -> None:
    few = cheap(demo, tmp_path / "few", limit=6)
    assert few.manifest is not None
    assert few.manifest.counts["samples"] <= 6
    assert set(few.manifest.splits) == {"train", "test"}
    slow = cheap(demo, tmp_path / "slow", fps="1/5")
    indices = [sample.record.frame.index for sample in cotgen.open(tmp_path / "slow")]
    assert slow.manifest is not None
    assert all(index % 125 == 0 for index in indices)
    # The statistics do not change with the rate: they are counted once a second.
    assert (tmp_path / "slow" / "priors.json").read_bytes() == (tmp_path / "few" / "priors.json").read_bytes()


def test_a_dry_run_counts_the_questions_that_the_build_then_asks(
    demo: Path, tmp_path: Path, cheap: Run, shared: Path
) -> None:
    given = {
        "source": "cholec80",
        "root": [str(demo)],
        "out": tmp_path / "out",
        "workers": 1,
        "frames": "none",
        "work": shared,
    }
    found = estimate(load_config(None, given), Reporter(None), env={})
    assert not (tmp_path / "out").exists()
    outcome = cheap(demo, tmp_path / "out")
    assert outcome.manifest is not None
    unwritten = sum(item.count for item in outcome.manifest.left_out if item.what == "pair")
    assert sum(found.pairs.values()) == outcome.manifest.counts["pairs"] + unwritten
    assert found.surgeries == outcome.manifest.splits


def test_an_exclusion_holds_under_the_name_of_any_data_set(tmp_path: Path) -> None:
    file = tmp_path / "withdrawn.txt"
    file.write_text("cholect50/73\nendoscapes/1\n")
    exclusion = Exclusion.read(file)
    assert exclusion.holds("cholec80/73")
    assert exclusion.holds("cholec80/67")
    file.write_text("cholec80/video01")
    with pytest.raises(CotgenError, match="with its number"):
        Exclusion.read(file)
