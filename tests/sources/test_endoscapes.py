"""Endoscapes2023: boxes by name, votes only where they were cast, and the whole only where the raters determine it."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from cotgen.errors import SourceError
from cotgen.sources.base import SurgeryFacts
from cotgen.sources.endoscapes import Endoscapes, overall

READER = Endoscapes()
CATEGORIES = [{"id": n + 7, "name": name} for n, name in enumerate(["cystic_duct", "gallbladder", "tool"])]


def write(
    root: Path,
    images: list[dict[str, object]],
    annotations: list[dict[str, object]],
    name: str = "annotation_coco.json",
) -> None:
    (root / "train").mkdir(exist_ok=True)
    rows = []
    for number, image in enumerate(images, start=1):
        rows.append({"id": number, "width": 100, "height": 50, "is_det_keyframe": True, **image})
        (root / "train" / str(image["file_name"])).write_bytes(b"")
    content = {"images": rows, "annotations": annotations, "categories": CATEGORIES}
    (root / "train" / name).write_text(json.dumps(content))


def read(root: Path) -> SurgeryFacts:
    scan = READER.scan(root)
    assert scan is not None and len(scan.surgeries) == 1
    return READER.facts(scan.root, scan.surgeries[0], 25)


def test_boxes_go_by_the_names_of_the_categories_and_a_picture_without_any_is_a_negative(tmp_path: Path) -> None:
    boxes = [
        {"image_id": 1, "category_id": 8, "bbox": [10, 5, 50, 20]},
        {"image_id": 1, "category_id": 9, "bbox": [90, 0, 20, 10]},
    ]
    write(tmp_path, [{"file_name": "5_750.jpg"}, {"file_name": "5_1500.jpg"}], boxes)
    found = read(tmp_path)
    assert found.surgery == "endoscapes/5"
    assert found.facts.select("index", "terms", "box").rows() == [
        (750, ["anatomy.gallbladder"], [0.1, 0.1, 0.6, 0.5]),
        (750, ["instrument.unnamed"], [0.9, 0.0, 1.0, 0.2]),
    ]
    assert set(found.labelled.rows()) == {
        (n, f"endoscapes.{kind}") for n in (750, 1500) for kind in ("anatomy", "instrument")
    }


def test_votes_count_only_where_they_were_cast(tmp_path: Path) -> None:
    judged = {"file_name": "5_750.jpg", "ds": [1.0, 2 / 3, 0.0], "is_ds_keyframe": True}
    repeated = {"file_name": "5_775.jpg", "ds": [1.0, 2 / 3, 0.0], "is_ds_keyframe": False}
    write(tmp_path, [judged, repeated], [], "annotation_ds_coco.json")
    found = read(tmp_path)
    votes = found.facts.filter(pl.col("kind") == "cvs")
    assert votes.select("index", "terms", "value").rows() == [
        (750, ["cvs.two_structures"], 1.0),
        (750, ["cvs.hepatocystic_triangle"], 2 / 3),
        (750, ["cvs.cystic_plate"], 0.0),
    ]
    assert found.labelled.filter(pl.col("name") == "endoscapes.cvs")["index"].to_list() == [750]


@pytest.mark.parametrize(
    ("votes", "share"),
    [
        ((1, 1, 1), 1.0), ((1, 1, 2 / 3), 2 / 3), ((1, 1, 1 / 3), 1 / 3), ((1, 1, 0), 0.0), ((2 / 3, 2 / 3, 1 / 3), 1 / 3),
        ((1, 2 / 3, 2 / 3), None), ((2 / 3, 2 / 3, 2 / 3), None), ((1 / 3, 1 / 3, 1 / 3), 1 / 3), ((0, 1, 1), 0.0),
    ],
)  # fmt: skip
def test_the_whole_is_determined_only_where_no_two_readings_differ_in_their_majority(
    votes: tuple[float, ...], share: float | None
) -> None:
    assert overall(votes) == (None if share is None else pytest.approx(share))


def test_the_raters_own_rows_decide_where_their_means_do_not(tmp_path: Path) -> None:
    assert overall((1, 2 / 3, 2 / 3), ((1, 1, 1), (1, 1, 1), (1, 0, 0))) == pytest.approx(2 / 3)
    assert overall((1, 2 / 3, 2 / 3), ((1, 1, 0), (1, 0, 1), (1, 1, 1))) == pytest.approx(1 / 3)
    write(
        tmp_path,
        [{"file_name": "5_750.jpg", "ds": [1.0, 2 / 3, 2 / 3], "is_ds_keyframe": True}],
        [],
        "annotation_ds_coco.json",
    )
    assert not read(tmp_path).facts["kind"].is_in(["cvs_overall"]).any()
    header = "vid,frame,cvs_annotator_1,cvs_annotator_2,cvs_annotator_3\n"
    (tmp_path / "all_metadata.csv").write_text(header + '5,750,"[1, 1, 0]","[1, 0, 1]","[1, 1, 1]"\n6,750,,,\n')
    assert read(tmp_path).facts.filter(pl.col("kind") == "cvs_overall")["value"].to_list() == [pytest.approx(1 / 3)]


def test_a_mask_gives_boxes_areas_gaps_and_what_nobody_judged(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "5_750.jpg").write_bytes(b"")
    (tmp_path / "semseg").mkdir()
    mask = np.zeros((50, 100), np.uint8)
    mask[10:20, 10:30], mask[22:30, 10:20], mask[0:5, 0:100], mask[40:45, 60:65], mask[40:45, 80:85] = 5, 4, 255, 6, 6
    Image.fromarray(np.stack([mask] * 3, axis=2)).save(tmp_path / "semseg" / "5_750.png")
    found = read(tmp_path)
    assert found.facts.select("terms", "box").rows() == [
        (["anatomy.cystic_duct"], [0.1, 0.44, 0.2, 0.6]),
        (["anatomy.gallbladder"], [0.1, 0.2, 0.3, 0.4]),
        (["instrument.unnamed"], []),
    ], "two tools of one class have no box"
    assert found.measured.filter(pl.col("name") == "gap")["value"].to_list()[0] == 2.0
    assert found.measured.filter(pl.col("name") == "ignored")["value"].to_list() == [0.1]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ({"file_name": "five.jpg"}, "VIDEO_FRAME.jpg"),
        ({"file_name": "5_750.jpg", "is_ds_keyframe": True, "ds": [0.5, 0, 0]}, "three of 0, 1/3, 2/3 and 1"),
        ({"file_name": "5_750.jpg", "width": 0}, "no width and height"),
    ],
)
def test_bad_records_are_refused(tmp_path: Path, image: dict[str, object], message: str) -> None:
    write(tmp_path, [image], [])
    (tmp_path / "train" / "5_775.jpg").write_bytes(b"")
    with pytest.raises(SourceError, match=message):
        read(tmp_path)


@pytest.mark.real
def test_the_82_real_masks_are_read_and_lie_where_the_worked_chains_say(real_data: Path) -> None:
    scan = READER.scan(real_data / "endoscapes")
    assert scan is not None and len(scan.surgeries) == 9
    found = {files.surgery: READER.facts(scan.root, files, 25) for files in scan.surgeries}
    assert sum(f.labelled.filter(pl.col("name") == "endoscapes.anatomy").height for f in found.values()) == 82

    def boxes(surgery: str, index: int) -> dict[str, list[int]]:
        rows = found[surgery].facts.filter(pl.col("index") == index).select("terms", "box").rows()
        return {
            terms[0]: [round(v * s) for v, s in zip(box, (854, 480, 854, 480), strict=True)]
            for terms, box in rows
            if box
        }

    assert boxes("endoscapes/169", 11675)["anatomy.cystic_duct"] == [191, 280, 403, 417]
    assert boxes("endoscapes/126", 13050)["anatomy.cystic_artery"] == [361, 280, 470, 336]
    assert boxes("endoscapes/38", 42600)["anatomy.cystic_duct"] == [475, 149, 518, 240]
