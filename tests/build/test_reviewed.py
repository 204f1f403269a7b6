"""`--exclude-reviewed-wrong`: chains that a reviewer marked wrong are left out, counted, and nothing else is made anew."""

from collections.abc import Callable
from pathlib import Path

import pytest

import cotgen
from cotgen.build.report import Outcome, Reporter
from cotgen.build.run import estimate
from cotgen.errors import CotgenError
from cotgen.inspect.reviews import ReviewFile
from cotgen.records import Review, Verdict
from cotgen.shards.verify import verify
from tests.build.conftest import config

Run = Callable[..., Outcome]
Sums = Callable[[Path], dict[str, str]]


@pytest.fixture
def marks(built: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes marks on the first sample of the test surgery."""
    sample = next(sample for sample in cotgen.open(built) if sample.split == "test")

    def write(*said: tuple[int, int, Verdict, str]) -> Path:
        path = tmp_path / "reviews.jsonl"
        for pair, statement, verdict, reviewer in said:
            ReviewFile(path).add(Review.of(sample.key, sample.record.pairs[pair], statement, verdict, reviewer))
        return path

    return write


def names(folder: Path) -> set[str]:
    return {pair.name for sample in cotgen.open(folder) for pair in sample.pairs}


def test_what_is_marked_wrong_is_left_out_and_counted(
    demo: Path, built: Path, copy: Callable[[], Path], run: Run, marks: Callable[..., Path], tmp_path: Path
) -> None:
    file = marks((0, 0, "wrong", "Ada"), (0, 0, "right", "Bo"), (1, -1, "wrong", "Bo"), (2, 0, "unsure", "Bo"))
    outcome = run(demo, tmp_path / "out", work=copy(), exclude_reviewed_wrong=file)
    assert outcome.exit_code == 0 and not outcome.warnings
    lost = names(built) - names(tmp_path / "out")
    assert len(lost) == 2 and not names(tmp_path / "out") - names(built)
    assert lost == {mark.pair for mark in ReviewFile(file).marks() if mark.verdict == "wrong"}
    manifest = cotgen.open(tmp_path / "out").manifest
    (row,) = [item for item in manifest.left_out if "reviewer" in item.reason]
    assert (row.what, row.count, set(row.examples)) == ("pair", 2, lost)
    assert manifest.config["exclude_reviewed_wrong"]["entries"] == 2
    assert verify(tmp_path / "out").ok


def test_only_the_chains_of_that_surgery_are_written_again(
    demo: Path, copy: Callable[[], Path], run: Run, marks: Callable[..., Path], sums_of: Sums, tmp_path: Path
) -> None:
    work, out = copy(), tmp_path / "out"
    file = marks((0, 0, "wrong", "Ada"))
    first = run(demo, out, work=work, exclude_reviewed_wrong=file)
    assert first.executed.get("chains") == 1 and "frames" not in first.executed
    before = sums_of(out)
    # The words of others, a change of mind and back, and the names of reviewers change nothing.
    marks((0, 0, "right", "Ada"), (1, 0, "right", "Bo"), (0, 0, "wrong", "Cy"))
    assert run(demo, out, work=work, exclude_reviewed_wrong=file).unchanged
    assert sums_of(out) == before


def test_a_mark_taken_back_gives_the_build_without_marks(
    demo: Path, built: Path, copy: Callable[[], Path], run: Run, marks: Callable[..., Path], tmp_path: Path
) -> None:
    file = marks((0, 0, "wrong", "Ada"), (0, 0, "withdrawn", "Ada"))
    run(demo, tmp_path / "out", work=copy(), exclude_reviewed_wrong=file)
    assert [shard.sha256 for shard in cotgen.open(tmp_path / "out").manifest.shards] == [
        shard.sha256 for shard in cotgen.open(built).manifest.shards
    ]


def test_a_chain_that_is_written_otherwise_now_stays_and_is_told(
    demo: Path, copy: Callable[[], Path], run: Run, marks: Callable[..., Path], tmp_path: Path
) -> None:
    file = marks((0, 0, "wrong", "Ada"))
    (mark,) = ReviewFile(file).marks()
    ReviewFile(tmp_path / "old.jsonl").add(mark.model_copy(update={"sha256": "0" * 64}))
    outcome = run(demo, tmp_path / "out", work=copy(), exclude_reviewed_wrong=tmp_path / "old.jsonl")
    assert mark.pair in names(tmp_path / "out")
    assert "1 of 1 chains marked wrong are not in this build" in outcome.warnings[0]


def test_a_file_that_is_not_there_stops_the_build(demo: Path, run: Run, tmp_path: Path) -> None:
    with pytest.raises(CotgenError, match="is not there"):
        run(demo, tmp_path / "out", exclude_reviewed_wrong=tmp_path / "none.jsonl")


def test_a_dry_run_says_how_many_would_be_left_out(
    demo: Path, copy: Callable[[], Path], marks: Callable[..., Path], tmp_path: Path
) -> None:
    file = marks((0, 0, "wrong", "Ada"), (1, -1, "wrong", "Bo"), (2, 0, "unsure", "Bo"))
    elsewhere = next(iter(ReviewFile(file).marks())).model_copy(update={"pair": "cholec80-73-999900#phase.open"})
    ReviewFile(file).add(elsewhere)
    work = copy()
    found = estimate(config(demo, tmp_path / "out", work=work, exclude_reviewed_wrong=file), Reporter(None), env={})
    (row,) = [item for item in found.left_out if item.what == "pair"]
    wrong = {mark.pair for mark in ReviewFile(file).marks() if mark.verdict == "wrong"} - {elsewhere.pair}
    assert (row.count, set(row.examples)) == (2, wrong) and row.reason.startswith("marked wrong by a reviewer")
    plain = estimate(config(demo, tmp_path / "out", work=work), Reporter(None), env={})
    assert not [item for item in plain.left_out if item.what == "pair"] and plain.pairs == found.pairs
