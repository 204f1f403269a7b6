"""Endoscapes2023: boxes by name, votes only where they were cast, and the whole only where the raters determine it."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from cotgen.errors import CotgenError, SourceError
from cotgen.sources.base import SurgeryFacts
from cotgen.sources.demo.endoscapes import runs
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
        ((1, 1, 1), 1.0), ((1, 1, 2 / 3), 2 / 3), ((1, 1, 1 / 3), 1 / 3), ((1, 1, 0), 0.0), ((2 / 3, 2 / 3, 1 / 3), None),
        ((1, 2 / 3, 2 / 3), None), ((2 / 3, 2 / 3, 2 / 3), None), ((1 / 3, 1 / 3, 1 / 3), None), ((0, 1, 1), 0.0),
    ],
)  # fmt: skip
def test_a_share_of_the_whole_is_stored_only_where_no_two_readings_differ_in_it(
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
        ({"file_name": "5_750.jpg", "id": [1]}, "was to be unique"),
        ({"file_name": "5_750.jpg", "is_ds_keyframe": True, "ds": [True, 0, 0]}, "three of 0, 1/3, 2/3 and 1"),
        ({"file_name": "5_750.jpg", "is_ds_keyframe": True, "ds": [0.5, 0, 0]}, "three of 0, 1/3, 2/3 and 1"),
        ({"file_name": "5_750.jpg", "width": 0}, "no width and height"),
    ],
)
def test_bad_records_are_refused(tmp_path: Path, image: dict[str, object], message: str) -> None:
    write(tmp_path, [image], [])
    (tmp_path / "train" / "5_775.jpg").write_bytes(b"")
    with pytest.raises(SourceError, match=message):
        read(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"annotations": [{"image_id": [1], "category_id": 8, "bbox": [1, 2, 3, 4]}]}, "image or category"),
        ({"annotations": [{"image_id": 1, "category_id": {}, "bbox": [1, 2, 3, 4]}]}, "image or category"),
        ({"annotations": [{"image_id": 1, "category_id": 8, "bbox": [1, 2, None, 4]}]}, "without four numbers"),
        (
            {"annotations": [{"image_id": 1, "category_id": 8, "bbox": [1, 2, 3, 4]}], "categories": 5},
            "no list of cat",
        ),
        ({"annotations": [{}], "categories": [{"id": 1, "name": "spleen"}]}, "none of the data set"),
        (
            {"annotations": [{}], "categories": [{"id": 1, "name": "tool"}, {"id": 1, "name": "tool"}]},
            "two categories",
        ),
        ({"annotations": "none"}, "no list of at most"),
    ],
)
def test_bad_annotations_are_refused(tmp_path: Path, content: dict[str, object], message: str) -> None:
    write(tmp_path, [{"file_name": "5_750.jpg"}], [])
    file = tmp_path / "train" / "annotation_coco.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **content}))
    with pytest.raises(SourceError, match=message):
        read(tmp_path)


def test_two_images_of_one_number_are_refused_as_boxes_would_go_to_the_wrong_one(tmp_path: Path) -> None:
    write(tmp_path, [{"file_name": "5_750.jpg", "id": 3}, {"file_name": "5_1500.jpg", "id": 3}], [])
    with pytest.raises(SourceError, match=r"5_1500\.jpg has the id 3, or shares it"):
        read(tmp_path)


def test_what_is_wrong_in_one_video_leaves_the_others_of_its_folder(tmp_path: Path) -> None:
    bad = {"file_name": "6_750.jpg", "is_ds_keyframe": True, "ds": [7, 0, 0]}
    write(tmp_path, [{"file_name": "5_750.jpg"}, bad], [{"image_id": 1, "category_id": 8, "bbox": [0, 0, 50, 25]}])
    scan = READER.scan(tmp_path)
    assert scan is not None
    five, six = scan.surgeries
    assert READER.facts(tmp_path, five).facts["box"].to_list() == [[0.0, 0.0, 0.5, 0.5]]
    with pytest.raises(SourceError, match=r"6_750\.jpg has the votes"):
        READER.facts(tmp_path, six)


def test_a_file_of_votes_that_lists_no_box_does_not_deny_the_boxes_of_another(tmp_path: Path) -> None:
    write(tmp_path, [{"file_name": "5_750.jpg"}], [{"image_id": 1, "category_id": 8, "bbox": [0, 0, 50, 25]}])
    judged = {"file_name": "5_750.jpg", "ds": [1, 1, 1], "is_ds_keyframe": True}
    write(tmp_path, [judged], [], "annotation_ds_coco.json")
    assert read(tmp_path).facts.filter(pl.col("kind") == "anatomy").height == 1
    also = {"file_name": "5_1500.jpg", "is_det_keyframe": False}
    boxes = [{"image_id": n, "category_id": 9, "bbox": [0, 0, 9, 9]} for n in (1, 2)]
    write(tmp_path, [judged, also], boxes, "annotation_ds_coco.json")
    found = read(tmp_path).facts
    assert found.filter(pl.col("kind") == "instrument").height == 0, "the file of boxes comes first"
    assert found["index"].unique().to_list() == [750], "boxes of a frame that nobody outlined are no labels"


def test_a_frame_with_a_box_outside_the_picture_is_not_outlined_at_all(tmp_path: Path) -> None:
    boxes = [
        {"image_id": 1, "category_id": 8, "bbox": [120, 5, 50, 20]},
        {"image_id": 1, "category_id": 9, "bbox": [5, 5, 5, 5]},
    ]
    write(tmp_path, [{"file_name": "5_750.jpg"}], boxes)
    found = read(tmp_path)
    assert found.labelled.height == 0, "what is missing from it would be said to be absent"
    assert [oddity.count for oddity in found.oddities] == [1]


def test_outlines_of_instances_are_measured_each_for_itself(tmp_path: Path) -> None:
    duct, one, two = (np.zeros((50, 100), bool) for _ in range(3))
    duct[10:20, 10:30], one[20:40, 15:20], two[30:35, 60:70] = True, True, True
    boxes = [
        {"image_id": 1, "category_id": kind, "bbox": box, "segmentation": {"size": [50, 100], "counts": runs(mask)}}
        for kind, box, mask in ((7, [10, 10, 20, 10], duct), (9, [15, 20, 5, 20], one), (9, [60, 30, 10, 5], two))
    ]
    write(tmp_path, [{"file_name": "5_750.jpg"}], boxes)
    measured = read(tmp_path).measured.select("name", "value", "of").rows()
    anatomy, first, second = "endoscapes.anatomy.0", "endoscapes.instrument.0", "endoscapes.instrument.1"
    assert measured == [
        ("area", 0.04, [anatomy]),
        ("area", 0.02, [first]),
        ("area", 0.01, [second]),
        ("gap", 0.0, [anatomy, first]),
        ("gap", round(float(np.hypot(31, 11)) - 1, 1), [anatomy, second]),
        ("gap", 40.0, [first, second]),
    ]


def test_outlines_of_another_size_or_of_no_run_lengths_are_refused(tmp_path: Path) -> None:
    for segmentation in (
        {"size": [50, 99], "counts": "231N"},
        {"size": [50, 100], "counts": 5},
        {"size": [50, 100], "counts": "2"},
    ):
        box = {"image_id": 1, "category_id": 7, "bbox": [10, 10, 20, 10], "segmentation": segmentation}
        write(tmp_path, [{"file_name": "5_750.jpg"}], [box])
        with pytest.raises(SourceError, match=r"run lengths|picture"):
            read(tmp_path)
    polygon = {"image_id": 1, "category_id": 7, "bbox": [10, 10, 20, 10], "segmentation": [[10, 10, 30, 10, 30, 20]]}
    write(tmp_path, [{"file_name": "5_750.jpg"}], [polygon])
    assert read(tmp_path).measured.height == 0, "corners give a box and no outline"


def masked(root: Path, mask: "np.ndarray[tuple[int, int], np.dtype[np.uint8]]") -> None:
    """A download of one picture and its semantic mask."""
    (root / "train").mkdir()
    (root / "train" / "5_750.jpg").write_bytes(b"")
    (root / "semseg").mkdir()
    Image.fromarray(mask).save(root / "semseg" / "5_750.png")


def test_a_mask_of_another_size_than_the_boxes_or_of_another_shape_than_the_picture_is_refused(
    tmp_path: Path,
) -> None:
    box = {"image_id": 1, "category_id": 8, "bbox": [10, 5, 50, 20]}
    write(tmp_path, [{"file_name": "5_750.jpg"}], [box])
    Image.new("RGB", (100, 50)).save(tmp_path / "train" / "5_750.jpg")
    (tmp_path / "semseg").mkdir()
    for size, message in (((512, 512), "the boxes of its picture are of 100 x 50"), ((200, 100), "are of 100 x 50")):
        Image.new("L", size, 5).save(tmp_path / "semseg" / "5_750.png")
        with pytest.raises(SourceError, match=message):
            read(tmp_path)
    (tmp_path / "train" / "annotation_coco.json").unlink()
    Image.new("L", (512, 512), 5).save(tmp_path / "semseg" / "5_750.png")
    with pytest.raises(SourceError, match="another shape"):
        read(tmp_path)


def test_stray_pixels_and_small_pieces_do_not_widen_the_box_of_a_structure(tmp_path: Path) -> None:
    mask = np.zeros((50, 100), np.uint8)
    mask[10:20, 10:30], mask[40, 90], mask[30:36, 10:20] = 5, 5, 5
    masked(tmp_path, mask)
    found = read(tmp_path)
    assert found.facts["box"].to_list() == [[0.1, 0.2, 0.3, 0.72]], "the second piece is over a tenth of it"
    assert found.measured.filter(pl.col("name") == "area")["value"].to_list() == [0.0522]


def test_tools_of_a_mask_have_a_box_only_in_one_piece(tmp_path: Path) -> None:
    mask = np.zeros((50, 100), np.uint8)
    mask[10:40, 10:60], mask[45:50, 90:100] = 6, 6
    masked(tmp_path, mask)
    assert read(tmp_path).facts["box"].to_list() == [[]], "the second tool is small, and another one all the same"
    mask[45:50] = 0
    Image.fromarray(mask).save(tmp_path / "semseg" / "5_750.png")
    assert read(tmp_path).facts["box"].to_list() == [[0.1, 0.2, 0.6, 0.8]]


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize(
    "table", ["3\n5\n5\n", "label\ncystic_duct\ntool\ntool\n", ",label\n0,cystic_duct\n1,tool\n2,tool\n", ""]
)
def test_a_stack_gives_instances_whose_classes_the_mask_confirms(tmp_path: Path, table: str, last: bool) -> None:
    mask = np.zeros((50, 100), np.uint8)
    mask[10:20, 10:30], mask[20:40, 15:20], mask[20:30, 20:30], mask[0, 0] = 4, 6, 6, 255
    masked(tmp_path, mask)
    tools = mask == 6
    one, other = tools.copy(), tools.copy()
    one[:, 20:], other[:, :20] = False, False
    (tmp_path / "insseg").mkdir()
    stack = np.stack([mask == 4, one, other], axis=2 if last else 0).astype(np.uint8)
    np.save(tmp_path / "insseg" / "5_750.npy", stack)
    if table:
        (tmp_path / "insseg" / "5_750.csv").write_text(table)
    found = read(tmp_path)
    assert found.facts.select("terms", "box").rows() == [
        (["anatomy.cystic_duct"], [0.1, 0.2, 0.3, 0.4]),
        (["instrument.unnamed"], [0.15, 0.4, 0.2, 0.8]),
        (["instrument.unnamed"], [0.2, 0.4, 0.3, 0.6]),
    ], "two tools that touch are one piece of the mask"
    assert found.measured.filter(pl.col("name") == "ignored")["value"].to_list() == [0.0002]


def test_a_stack_whose_names_differ_from_the_mask_is_left_for_the_mask(tmp_path: Path) -> None:
    mask = np.zeros((50, 100), np.uint8)
    mask[10:20, 10:30], mask[40:45, 10:30] = 4, 4
    masked(tmp_path, mask)
    (tmp_path / "insseg").mkdir()
    np.save(tmp_path / "insseg" / "5_750.npy", (mask == 4)[:, :, None])
    (tmp_path / "insseg" / "5_750.csv").write_text("tool\n")
    found = read(tmp_path)
    assert found.facts["terms"].to_list() == [["anatomy.cystic_duct"]]
    assert [oddity.text for oddity in found.oddities] == ["stacks of instances whose classes are not sure: left out"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('inf,750,"[1, 1, 0]",,\n', "no whole numbers"),
        ('five,750,"[1, 1, 0]",,\n', "no whole numbers"),
        ('5,750,"[1, 2, 0]",,\n', "three of 0 and 1"),
        ('5,750,"[1, 1' + "1" * 200_000, "no table of commas"),
    ],
)
def test_bad_rows_of_raters_are_refused(tmp_path: Path, row: str, message: str) -> None:
    write(tmp_path, [{"file_name": "5_750.jpg"}], [])
    (tmp_path / "all_metadata.csv").write_text("vid,frame,cvs_annotator_1,cvs_annotator_2,cvs_annotator_3\n" + row)
    with pytest.raises(SourceError, match=message):
        read(tmp_path)


def test_raters_who_contradict_the_votes_are_not_believed_and_votes_may_come_from_them_alone(tmp_path: Path) -> None:
    judged = {"file_name": "5_750.jpg", "ds": [1, 1, 1], "is_ds_keyframe": True}
    write(tmp_path, [judged], [], "annotation_ds_coco.json")
    header = "vid,frame,is_ds_keyframe,cvs_annotator_1,cvs_annotator_2,cvs_annotator_3\n"
    rows = '5.0,750,True,"[0, 0, 0]","[0, 0, 0]","[0, 0, 0]"\n5.0,875,True,"[1, 1, 1]","[1 1 1]","[1., 1., 0.]"\n'
    repeated = '5.0,900,False,"[1, 1, 1]","[1, 1, 1]","[1, 1, 1]"\n'
    (tmp_path / "all_metadata.csv").write_text(header + rows + repeated)
    found = read(tmp_path)
    whole = found.facts.filter(pl.col("kind") == "cvs_overall").select("index", "value").rows()
    assert whole == [(750, 1.0), (875, pytest.approx(2 / 3))]
    assert [oddity.count for oddity in found.oddities] == [1]


def test_links_that_were_unpacked_as_texts_are_no_pictures(tmp_path: Path) -> None:
    write(tmp_path, [{"file_name": "5_750.jpg"}], [])
    for folder in ("train_seg", "all"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "5_750.jpg").write_text("../train/5_750.jpg")
        (tmp_path / folder / "5_1500.jpg").write_text("../train/5_1500.jpg")
    (tmp_path / "all" / "5_2250.jpg").write_bytes(bytes(4096))
    for fold in ("12_5/train_0", "25/train_1"):
        (tmp_path / fold).mkdir(parents=True)
        (tmp_path / fold / "annotation_coco.json").write_text("no JSON, and never read")
    scan = READER.scan(tmp_path)
    assert scan is not None
    assert scan.surgeries[0].images == ((750, "train/5_750.jpg"), (2250, "all/5_2250.jpg"))


def test_other_letter_case_and_one_more_folder_are_forgiven_and_two_downloads_are_not(tmp_path: Path) -> None:
    (tmp_path / "Endoscapes").mkdir()
    write(tmp_path / "Endoscapes", [{"file_name": "5_750.jpg"}], [])
    (tmp_path / "Endoscapes" / "train").rename(tmp_path / "Endoscapes" / "TRAIN")
    scan = READER.scan(tmp_path)
    assert scan is not None and scan.root == tmp_path / "Endoscapes"
    assert [files.images for files in scan.surgeries] == [((750, "TRAIN/5_750.jpg"),)]
    (tmp_path / "copy").mkdir()
    write(tmp_path / "copy", [{"file_name": "5_750.jpg"}], [])
    with pytest.raises(CotgenError, match="more than once: Endoscapes, copy"):
        READER.scan(tmp_path)
    assert READER.scan(tmp_path / "Endoscapes" / "TRAIN") is None


def test_what_a_partial_download_lacks_is_told(tmp_path: Path) -> None:
    write(tmp_path, [{"file_name": "5_750.jpg"}], [])
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "121_750.jpg").write_bytes(b"")
    (tmp_path / "val" / "300_750.jpg").write_bytes(b"")
    (tmp_path / "semseg").mkdir()
    (tmp_path / "semseg" / "165_750.png").write_bytes(b"")
    scan = READER.scan(tmp_path)
    assert scan is not None and [files.surgery for files in scan.surgeries] == ["endoscapes/5"]
    assert dict(scan.incomplete) == {
        "endoscapes/121": "val/ has neither annotation_coco.json nor annotation_ds_coco.json",
        "endoscapes/165": "semseg/165_750.png has no picture in train/, val/ or test/",
        "endoscapes/300": "Endoscapes has the videos 1 to 201",
    }
    assert [oddity.file for oddity in scan.oddities] == ["train/annotation_ds_coco.json", "all_metadata.csv"]


@pytest.mark.real
@pytest.mark.slow
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

    def near(box: list[int], text: list[int]) -> bool:
        return all(abs(one - other) <= 2 for one, other in zip(box, text, strict=True))

    def votes(surgery: str, index: int) -> list[float]:
        facts = found[surgery].facts.filter((pl.col("index") == index) & (pl.col("kind") == "cvs"))
        return [round(3 * value) / 3 for value in facts["value"]]

    doubtful = boxes("endoscapes/126", 13050)
    assert near(doubtful["anatomy.cystic_artery"], [361, 280, 470, 336])
    assert near(doubtful["anatomy.cystic_duct"], [357, 360, 516, 432])
    assert near(doubtful["anatomy.hepatocystic_triangle"], [365, 320, 453, 367])
    assert "anatomy.cystic_plate" not in doubtful and votes("endoscapes/126", 13050) == [1, 1, 1 / 3]
    assert "instrument.unnamed" not in doubtful, "two tools, one of them small"
    located = boxes("endoscapes/169", 11675)
    assert near(located["anatomy.cystic_duct"], [191, 280, 403, 417])
    assert near(located["anatomy.gallbladder"], [111, 1, 479, 294])
    absent = boxes("endoscapes/38", 42600)
    assert near(absent["anatomy.cystic_duct"], [475, 149, 518, 240]) and "anatomy.cystic_artery" not in absent
    measured = pl.concat([f.measured.with_columns(surgery=pl.lit(s)) for s, f in found.items()])
    ignored = measured.filter((pl.col("name") == "ignored") & (pl.col("value") > 0))
    assert ignored.height == 36
