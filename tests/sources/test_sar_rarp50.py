"""SAR-RARP50: 60 frames a second, actions every 6th, classes and not instances."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from cotgen.errors import SourceError
from cotgen.sources.base import SurgeryFacts
from cotgen.sources.sar_rarp50 import SarRarp50
from cotgen.surgeries.identity import canonical

READER = SarRarp50()


def write(
    root: Path, actions: str = "0,0\n6,1\n60,3\n", mask: np.ndarray | None = None, folder: str = "train1/video_07_1"
) -> None:
    where = root / folder
    (where / "segmentation").mkdir(parents=True)
    (where / "rgb").mkdir()
    (where / "action_discrete.txt").write_text(actions)
    Image.fromarray(mask if mask is not None else np.zeros((100, 200), np.uint8)).save(
        where / "segmentation" / "000000060.png"
    )
    (where / "rgb" / "000000060.png").write_bytes(b"")


def read(root: Path, step: int = 60) -> SurgeryFacts:
    scan = READER.scan(root)
    assert scan is not None and len(scan.surgeries) == 1
    return READER.facts(root, scan.surgeries[0], step)


def test_actions_and_outlines_meet_once_a_second(tmp_path: Path) -> None:
    mask = np.zeros((100, 200), np.uint8)
    mask[10:20, 10:30], mask[20:24, 28:60], mask[50:60, 10:20], mask[50:60, 100:110] = 1, 4, 6, 6
    write(tmp_path, mask=mask)
    found = read(tmp_path)
    at = found.facts.filter(pl.col("index") == 60)
    assert at.select("terms", "box").rows() == [
        (["action.push_needle"], []),
        (["object.clasper"], [0.05, 0.1, 0.15, 0.2]),
        (["object.needle"], [0.14, 0.2, 0.3, 0.24]),
        (["object.suction_tool"], []),
    ], "a class in two pieces has no box"
    gaps = found.measured.filter(pl.col("name") == "gap").select("of", "value").rows()
    assert (["sar_rarp50.object.0", "sar_rarp50.object.1"], 0.0) in gaps
    assert found.labelled.filter(pl.col("index") == 0)["name"].to_list() == ["sar_rarp50.action"]


def test_ten_times_a_second_there_are_actions_alone(tmp_path: Path) -> None:
    write(tmp_path)
    assert read(tmp_path, 6).facts.filter(pl.col("kind") == "action")["index"].to_list() == [0, 6, 60]


def test_the_parts_of_one_operation_have_clocks_of_their_own(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, folder="train1/video_07_2")
    scan = READER.scan(tmp_path)
    assert scan is not None
    assert [files.surgery for files in scan.surgeries] == ["sar_rarp50/7_1", "sar_rarp50/7_2"]
    assert {canonical(files.surgery) for files in scan.surgeries} == {"sar_rarp50/7"}


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ("0,8\n", "the class is 8"),
        ("0,0\n7,0\n", "steps of 6"),
        ("6,0\n0,0\n", "frames rise"),
        ("0;0\n", "1 columns"),
        ("", "empty"),
    ],
)
def test_bad_action_files_are_refused(tmp_path: Path, actions: str, message: str) -> None:
    write(tmp_path, actions)
    with pytest.raises(SourceError, match=message):
        read(tmp_path)


def test_a_mask_of_other_classes_is_refused_and_zips_are_named(tmp_path: Path) -> None:
    write(tmp_path, mask=np.full((10, 10), 12, np.uint8))
    with pytest.raises(SourceError, match="has the value 12"):
        read(tmp_path)
    zipped = tmp_path / "zipped"
    zipped.mkdir()
    (zipped / "video_01.zip").write_bytes(b"")
    assert READER.scan(zipped) is None and "unpack" in READER.missing(zipped)
