"""The ten real surgeries that have both files, at their real length, with cheap stand-in video."""

from pathlib import Path

import polars as pl
import pytest

import cotgen
from cotgen.build.config import BuildConfig
from cotgen.build.report import Reporter
from cotgen.build.run import build
from cotgen.shards.verify import verify
from cotgen.sources.demo import stand_in_video

#: Tool rows of the release (vocab/cholec80.json): the seconds that have both kinds of label.
TOOL_ROWS = {1: 1733, 5: 2344, 12: 1090, 32: 2116, 42: 3712, 51: 2944, 68: 1972, 70: 1194, 73: 1356, 78: 739}
#: `clean/1`: where CholecT50 has the surgery, its RDV split decides.
SPLITS = {"train": {1, 5, 68, 70}, "validation": {12, 78}, "test": {32, 42, 51, 73}}


@pytest.fixture(scope="module")
def download(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("real") / "cholec80"
    for kind, ending in (("phase", "phase"), ("tool", "tool")):
        (root / f"{kind}_annotations").mkdir(parents=True)
        for number in TOOL_ROWS:
            name = f"{kind}_annotations/video{number:02d}-{ending}.txt"
            (root / name).symlink_to(real_data / "cholec80" / name)
    (root / "videos").mkdir()
    for number, seconds in TOOL_ROWS.items():
        stand_in_video(root / f"videos/video{number:02d}.mp4", seconds)
    return root


@pytest.mark.slow
@pytest.mark.real
def test_ten_real_surgeries_become_a_complete_data_set(download: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    outcome = build(BuildConfig(source="cholec80", root=(str(download),), out=out, workers=2), Reporter(None))
    assert outcome.exit_code == 0
    report = verify(out, workers=2)
    assert report.ok, report.problems[:5]

    index = pl.read_parquet(out / "index.parquet")
    seconds = index.group_by("surgery").agg(pl.col("key").n_unique())
    by_surgery = {int(name.split("/")[1]): count for name, count in seconds.iter_rows()}
    assert set(by_surgery) == set(TOOL_ROWS)
    # Each labelled second has a sample; the frames left without a question are a handful and are counted.
    lost = {item.reason: item.count for item in cotgen.open(out).manifest.left_out if item.what == "frame"}
    assert sum(TOOL_ROWS.values()) + len(TOOL_ROWS) == sum(by_surgery.values()) + sum(lost.values())
    splits = index.select("surgery", "split").unique()
    for split, numbers in SPLITS.items():
        names = splits.filter(pl.col("split") == split)["surgery"]
        assert {int(name.split("/")[1]) for name in names} == numbers

    per_task = dict(index.group_by("task").len().iter_rows())
    support = dict(index.filter(pl.col("task") == "phase").group_by("support").len().iter_rows())
    print(f"{len(index):,} pairs of {sum(by_surgery.values()):,} frames: {per_task}; phase by support: {support}")
    assert per_task["phase"] == 2 * sum(TOOL_ROWS.values())
    yes_no = index.filter(pl.col("task") == "tool_yesno").group_by("id", "answer").len()
    for id in yes_no["id"].unique():
        counts = dict(yes_no.filter(pl.col("id") == id).select("answer", "len").iter_rows())
        assert counts["Yes"] == counts["No"]
