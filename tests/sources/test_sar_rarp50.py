"""SAR-RARP50: 60 frames a second, actions every 6th, classes and not instances."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from cotgen.errors import SourceError
from cotgen.ontology import alias
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
    zipped = tmp_path / "zipped" / "train1"
    zipped.mkdir(parents=True)
    (zipped / "video_01.zip").write_bytes(b"")
    assert READER.scan(zipped.parent) is None
    assert "it holds train1/video_01.zip; unpack each zip" in READER.missing(zipped.parent)


def test_a_mask_of_another_shape_than_its_picture_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    Image.new("RGB", (1920, 1080)).save(tmp_path / "train1/video_07_1/rgb/000000060.png")
    with pytest.raises(SourceError, match="another shape"):
        read(tmp_path)


def test_what_is_missing_or_there_twice_is_named(tmp_path: Path) -> None:
    write(tmp_path, folder="train1/video_01")
    write(tmp_path, folder="train2/video_02")
    write(tmp_path, folder="copy/video_02")
    for file in (
        "train1/video_03.zip",
        "train1/video_01.zip",
        "test/video_41/other.txt",
        "test/video_42/action_discrete.txt",
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b"")
    write(tmp_path, folder="test/video_43")
    (tmp_path / "test/video_43/rgb/000000060.jpg").write_bytes(b"")
    scan = READER.scan(tmp_path)
    assert scan is not None and [files.surgery for files in scan.surgeries] == ["sar_rarp50/1"]
    assert [(surgery.partition("/")[2], words) for surgery, words in scan.incomplete] == [
        ("2", "copy/video_02 and train2/video_02 are both of this surgery; keep one of them"),
        ("41", "test/video_41 has no action_discrete.txt and no segmentation/"),
        ("42", "test/video_42 has no video_left.avi and nothing in rgb/"),
        (
            "43",
            "test/video_43/rgb/000000060.jpg and test/video_43/rgb/000000060.png are both of one frame; keep one of them",
        ),
        ("3", "train1/video_03.zip is not unpacked; unpack it into a folder of its name"),
    ]


def test_one_kind_of_label_alone_is_read_and_told(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "train1/video_07_1/action_discrete.txt").unlink()
    scan = READER.scan(tmp_path)
    assert scan is not None
    assert [odd.text for odd in scan.oddities] == ["has no action_discrete.txt: what it labels is not labelled here"]
    assert set(READER.facts(tmp_path, scan.surgeries[0]).labelled["name"]) == {"sar_rarp50.object"}


def test_letter_case_is_forgiven_and_the_video_comes_before_its_pictures(tmp_path: Path) -> None:
    write(tmp_path)
    folder = tmp_path / "train1/video_07_1"
    folder.rename(tmp_path / "train1/Video_07_1")
    folder = tmp_path / "train1/Video_07_1"
    (folder / "segmentation").rename(folder / "Segmentation")
    (folder / "Video_Left.AVI").write_bytes(b"")
    scan = READER.scan(tmp_path)
    assert scan is not None
    footage = READER.frames(tmp_path, scan.surgeries[0])
    assert (footage.video, footage.images, footage.fps) == ("train1/Video_07_1/Video_Left.AVI", (), "60/1")
    assert "sar_rarp50.object" in set(READER.facts(tmp_path, scan.surgeries[0]).labelled["name"])


def test_masks_of_jpeg_are_not_read(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "train1/video_07_1/segmentation/000000120.jpg").write_bytes(b"")
    scan = READER.scan(tmp_path)
    assert scan is not None
    assert [role for role, _ in scan.surgeries[0].annotations] == ["actions", "mask000000060"]


def test_rows_that_are_left_out_are_counted_and_have_no_action(tmp_path: Path) -> None:
    write(tmp_path, "0,1\n6,1\n60,2\n")
    found = read(tmp_path, 6)
    assert found.labelled.filter(pl.col("name") == "sar_rarp50.action")["index"].to_list() == [0, 6, 60]
    assert [(odd.text, odd.count) for odd in found.oddities] == [
        ("rows are left out: these instants have no action", 8)
    ]


@pytest.mark.parametrize(("wide", "box"), [(9, []), (10, [0.0, 0.0, 0.05, 0.01])])
def test_a_small_class_has_no_box(tmp_path: Path, wide: int, box: list[float]) -> None:
    """10 of 20,000 pixels are 0.05 % of the picture."""
    mask = np.zeros((100, 200), np.uint8)
    mask[0, :wide] = 4
    write(tmp_path, mask=mask)
    assert read(tmp_path).facts.filter(pl.col("kind") == "object")["box"].to_list() == [box]


def test_every_class_of_the_data_set_has_a_term(tmp_path: Path) -> None:
    mask = np.repeat(np.arange(10, dtype=np.uint8), 10)[None, :].repeat(20, axis=0)
    write(tmp_path, "".join(f"{6 * n},{n}\n" for n in range(8)), mask)
    found = read(tmp_path, 6).facts
    assert found.filter(pl.col("kind") == "object")["terms"].list.first().to_list() == [
        f"object.{name}"
        for name in (
            "clasper",
            "wrist",
            "shaft",
            "needle",
            "thread",
            "suction_tool",
            "needle_holder",
            "clamps",
            "catheter",
        )
    ]
    assert found.filter(pl.col("kind") == "action")["terms"].list.first().to_list() == list(
        alias("sar_rarp50", "action").values()
    )
