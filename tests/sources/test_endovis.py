"""EndoVis 2017 and 2018: one file is one instrument, names of folders, interactions, colours, types by their list."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from cotgen.errors import SourceError
from cotgen.sources.endovis17 import CROP, EndoVis17, name_of
from cotgen.sources.endovis18 import EndoVis18

ONE, TWO = EndoVis17(), EndoVis18()


@pytest.mark.parametrize(
    ("folder", "kind", "side"),
    [
        ("Left_Prograsp_Forceps_labels", "prograsp_forceps", "left"),
        ("Large_Needle_Driver_Right_labels", "large_needle_driver", "right"),
        ("Prograsp_Forceps", "prograsp_forceps", ""),
        ("Maryland_Bipolar_Forceps_labels", "bipolar", ""),
        ("Right_Vessel_Sealer", "vessel_sealer", "right"),
        ("Other_labels", "unnamed", ""),
    ],
)
def test_the_name_of_a_folder_tells_the_kind_and_the_side(folder: str, kind: str, side: str) -> None:
    assert name_of(folder) == (f"instrument.{kind}", f"side.{side}" if side else "")


def picture(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def test_one_file_is_one_instrument_even_in_two_parts_and_boxes_are_of_what_is_kept(tmp_path: Path) -> None:
    where = tmp_path / "train" / "instrument_dataset_1"
    mask = np.zeros((1080, 1920), np.uint8)
    mask[28:128, 320:420], mask[528:628, 960:1060] = 10, 30
    picture(where / "left_frames" / "frame000.png", np.zeros((1080, 1920, 3), np.uint8))
    picture(where / "ground_truth" / "Left_Bipolar_Forceps" / "frame000.png", mask)
    picture(where / "ground_truth" / "Other_labels" / "frame000.png", np.zeros((1080, 1920), np.uint8))
    scan = ONE.scan(tmp_path)
    assert scan is not None
    found = ONE.facts(scan.root, scan.surgeries[0])
    own = found.facts.filter(pl.col("kind") == "instrument")
    assert own.select("terms", "box").rows() == [(["instrument.bipolar"], [0.0, 0.0, 740 / 1280, 600 / 1024])]
    parts = found.facts.filter(pl.col("kind") == "object")["terms"].to_list()
    assert parts == [["object.shaft", "instrument.bipolar"], ["object.clasper", "instrument.bipolar"]]
    assert found.facts.filter(pl.col("kind") == "side")["terms"].to_list() == [["instrument.bipolar", "side.left"]]
    assert ONE.frames(scan.root, scan.surgeries[0]).crop == CROP


def test_type_masks_give_kinds_and_no_instances_and_sequence_9_gives_none(tmp_path: Path) -> None:
    types = np.zeros((1024, 1280), np.uint8)
    types[:10, :10], types[:10, 50:60] = 4, 1
    for number in (9, 10):
        where = tmp_path / f"instrument_dataset_{number}"
        picture(where / "left_frames" / "frame000.png", np.zeros((1024, 1280, 3), np.uint8))
        picture(where / "gt" / "TypeSegmentation" / "frame000.png", types)
    scan = ONE.scan(tmp_path)
    assert scan is not None
    nine, ten = (ONE.facts(scan.root, files) for files in scan.surgeries)
    assert nine.labelled.is_empty() and nine.oddities[0].count == 1
    assert ten.facts["terms"].to_list() == [["instrument.bipolar"], ["instrument.vessel_sealer"]]
    assert ten.labelled["name"].to_list() == ["endovis17.instrument_type"]
    assert ONE.frames(scan.root, scan.surgeries[1]).crop == ()


def two_instruments(root: Path, shown: tuple[int, int], mask: tuple[int, int]) -> None:
    """A sequence with two pictures, the second of which lacks the mask of one instrument."""
    where = root / "instrument_dataset_2"
    outline = np.zeros((mask[1], mask[0]), np.uint8)
    outline[mask[1] // 2 :, mask[0] // 2 :] = 20
    for frame in ("frame000.png", "frame001.png"):
        picture(where / "left_frames" / frame, np.zeros((shown[1], shown[0], 3), np.uint8))
        picture(where / "ground_truth" / "Left_Prograsp_Forceps_labels" / frame, outline)
    picture(where / "ground_truth" / "Right_Prograsp_Forceps_labels" / "frame000.png", outline)


def test_a_picture_that_lacks_the_mask_of_one_instrument_is_not_labelled(tmp_path: Path) -> None:
    two_instruments(tmp_path, (640, 512), (1280, 1024))
    scan = ONE.scan(tmp_path)
    assert scan is not None
    found = ONE.facts(scan.root, scan.surgeries[0])
    assert found.labelled["index"].unique().to_list() == [0]
    assert found.facts.filter(pl.col("kind") == "instrument")["box"].to_list() == [[0.5, 0.5, 1.0, 1.0]] * 2
    assert [(odd.text.partition(",")[0], odd.count) for odd in found.oddities] == [
        ("frames without a mask of each instrument of the sequence", 1)
    ]


@pytest.mark.parametrize(("shown", "mask"), [((960, 540), (1920, 1080)), ((1280, 1024), (512, 512))])
def test_masks_of_another_shape_than_what_is_kept_are_refused(
    tmp_path: Path, shown: tuple[int, int], mask: tuple[int, int]
) -> None:
    two_instruments(tmp_path, shown, mask)
    scan = ONE.scan(tmp_path)
    assert scan is not None
    with pytest.raises(SourceError, match="another shape"):
        ONE.facts(scan.root, scan.surgeries[0])


def test_an_unreadable_first_picture_does_not_decide_the_crop(tmp_path: Path) -> None:
    two_instruments(tmp_path, (1920, 1080), (1920, 1080))
    (tmp_path / "instrument_dataset_2" / "left_frames" / "frame000.png").write_bytes(b"no picture")
    scan = ONE.scan(tmp_path)
    assert scan is not None
    assert ONE.frames(scan.root, scan.surgeries[0]).crop == CROP
    assert not ONE.facts(scan.root, scan.surgeries[0]).facts.is_empty()


def test_links_to_a_folder_that_is_there_already_do_not_double_its_sequences(tmp_path: Path) -> None:
    two_instruments(tmp_path / "train", (1280, 1024), (1280, 1024))
    interactions(tmp_path / "release_1")
    for name in ("again", "latest"):
        (tmp_path / name).symlink_to(tmp_path)
    (tmp_path / "train" / "copy").symlink_to(tmp_path / "train")
    for reader in (ONE, TWO):
        scan = reader.scan(tmp_path)
        assert scan is not None and len(scan.surgeries) == 1 and not scan.incomplete


def test_masks_with_other_values_and_folders_without_a_kind_are_refused(tmp_path: Path) -> None:
    where = tmp_path / "instrument_dataset_1"
    picture(where / "left_frames" / "frame000.png", np.zeros((1024, 1280, 3), np.uint8))
    picture(where / "ground_truth" / "Left_Bipolar_Forceps" / "frame000.png", np.full((1024, 1280), 7, np.uint8))
    scan = ONE.scan(tmp_path)
    assert scan is not None
    with pytest.raises(SourceError, match="a mask of parts"):
        ONE.facts(scan.root, scan.surgeries[0])
    (where / "ground_truth" / "Left_Bipolar_Forceps").rename(where / "ground_truth" / "Spoon_labels")
    scan = ONE.scan(tmp_path)
    assert scan is not None
    with pytest.raises(SourceError, match="tells no kind"):
        ONE.facts(scan.root, scan.surgeries[0])


XML = """<annotation>
 <objects><name>kidney</name><interaction>Idle</interaction>
  <bndbox><xmin>11</xmin><ymin>333</ymin><xmax>658</xmax><ymax>945</ymax></bndbox></objects>
 <objects><name>monopolar_curved_scissors</name><interaction>Tissue_Manipulation</interaction>
  <bndbox><xmin>490</xmin><ymin>277</ymin><xmax>1274</xmax><ymax>752</ymax></bndbox></objects>
 <objects><name>suction</name><interaction>Idle</interaction>
  <bndbox><xmin>10</xmin><ymin>10</ymin><xmax>20</xmax><ymax>20</ymax></bndbox></objects>
</annotation>"""


def interactions(
    root: Path, text: str = XML, sequence: str = "seq_1", size: tuple[int, int] = (1280, 1024), frame: int = 0
) -> None:
    picture(root / sequence / "left_frames" / f"frame{frame:03d}.png", np.zeros((size[1], size[0], 3), np.uint8))
    (root / sequence / "xml").mkdir(parents=True)
    (root / sequence / "xml" / f"frame{frame:03d}.xml").write_text(text)


def test_an_interaction_is_an_act_at_the_kidney_and_idle_is_none(tmp_path: Path) -> None:
    interactions(tmp_path)
    scan = TWO.scan(tmp_path)
    assert scan is not None
    found = TWO.facts(scan.root, scan.surgeries[0])
    acts = found.facts.filter(pl.col("kind") == "triplet")["terms"].to_list()
    assert acts == [
        ["instrument.monopolar_curved_scissors", "verb.manipulate_tissue", "anatomy.kidney"],
        ["instrument.suction_instrument", "verb.null", "anatomy.null"],
    ]
    kidney = found.facts.filter(pl.col("kind") == "anatomy")["box"].to_list()[0]
    assert [round(v * s) for v, s in zip(kidney, (1280, 1024, 1280, 1024), strict=True)] == [11, 333, 658, 945]


def test_the_test_sequences_are_other_operations_than_those_of_the_same_number(tmp_path: Path) -> None:
    interactions(tmp_path / "release_1")
    interactions(tmp_path / "test_data")
    scan = TWO.scan(tmp_path)
    assert scan is not None
    assert [files.surgery for files in scan.surgeries] == ["endovis18/1", "endovis18/test1"]


@pytest.mark.parametrize("size", [(1280, 1024), (640, 512)])
def test_boxes_of_interactions_are_of_the_release_beside_smaller_copies_too(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    interactions(tmp_path, size=size)
    scan = TWO.scan(tmp_path)
    assert scan is not None
    box = TWO.facts(scan.root, scan.surgeries[0]).facts.filter(pl.col("kind") == "anatomy")["box"].to_list()[0]
    assert box == [11 / 1280, 333 / 1024, 658 / 1280, 945 / 1024]


def test_pictures_of_another_shape_than_their_interactions_are_refused(tmp_path: Path) -> None:
    interactions(tmp_path, size=(512, 512))
    scan = TWO.scan(tmp_path)
    assert scan is not None
    with pytest.raises(SourceError, match="another shape"):
        TWO.facts(scan.root, scan.surgeries[0])


def test_test_sequences_are_known_by_their_pictures_and_train_ones_in_any_folder(tmp_path: Path) -> None:
    interactions(tmp_path, sequence="seq_3", frame=149)
    interactions(tmp_path / "latest", sequence="seq_4", frame=148)
    scan = TWO.scan(tmp_path)
    assert scan is not None
    assert [files.surgery for files in scan.surgeries] == ["endovis18/4", "endovis18/test3"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Tissue_Manipulation", "Juggling", "the interaction 'Juggling'"),
        ("<name>suction", "<name>spoon", "the object 'spoon'"),
        ("<xmin>490", "<xmin>left", "whose xmin is"),
        ("</annotation>", "", "is no XML"),
        ("<annotation>", "<!DOCTYPE x [<!ENTITY a 'b'>]><annotation>", "holds a declaration"),
    ],
)
def test_bad_interactions_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    interactions(tmp_path, XML.replace(old, new))
    scan = TWO.scan(tmp_path)
    assert scan is not None
    with pytest.raises(SourceError, match=message):
        TWO.facts(scan.root, scan.surgeries[0])


def test_colours_are_those_of_the_file_on_disk(tmp_path: Path) -> None:
    rows = [
        {"name": "background-tissue", "color": [0, 0, 0]},
        {"name": "kidney-parenchyma", "color": [1, 2, 3]},
        {"name": "thread", "color": [9, 9, 9]},
    ]
    (tmp_path / "labels.json").write_text(json.dumps(rows))
    scene = np.zeros((20, 40, 3), np.uint8)
    scene[:10, :20], scene[15, 30] = (1, 2, 3), (9, 9, 9)
    picture(tmp_path / "seq_2" / "left_frames" / "frame000.png", scene)
    picture(tmp_path / "seq_2" / "labels" / "frame000.png", scene)
    scan = TWO.scan(tmp_path)
    assert scan is not None
    found = TWO.facts(scan.root, scan.surgeries[0])
    assert found.facts.select("terms", "box").rows() == [
        (["anatomy.kidney"], [0.0, 0.0, 0.5, 0.5]), (["object.thread"], [0.75, 0.75, 0.775, 0.8]),
    ]  # fmt: skip
    scene[0, 39] = (7, 7, 7)
    picture(tmp_path / "seq_2" / "labels" / "frame000.png", scene)
    with pytest.raises(SourceError, match="the colour 7, 7, 7"):
        TWO.facts(scan.root, scan.surgeries[0])


def test_the_numbers_of_types_mean_what_their_folder_says(tmp_path: Path) -> None:
    mask = np.zeros((20, 40), np.uint8)
    mask[5:10, 10:20] = 255
    for folder, kind in (
        ("instrument_labels", "monopolar_curved_scissors"),
        ("instrument_labels_2017", "vessel_sealer"),
    ):
        root = tmp_path / folder
        picture(root / "seq_3" / "left_frames" / "frame000.png", np.zeros((20, 40, 3), np.uint8))
        picture(root / "seq_3" / folder / "frame000_class4_inst1.png", mask)
        scan = TWO.scan(root)
        assert scan is not None
        found = TWO.facts(scan.root, scan.surgeries[0])
        assert found.facts.select("terms", "box").rows() == [([f"instrument.{kind}"], [0.25, 0.25, 0.5, 0.5])]


@pytest.mark.real
def test_the_real_outlines_lie_where_the_worked_chain_says(real_data: Path, tmp_path: Path) -> None:
    where = tmp_path / "instrument_dataset_3"
    boxes = []
    for side in ("left", "right"):
        array = np.asarray(Image.open(real_data / "endovis17-demo" / f"{side}_frame.png").convert("L"))
        picture(
            where / "ground_truth" / f"{side.capitalize()}_Large_Needle_Driver_labels" / "frame000.png",
            (array > 0).astype(np.uint8) * 10,
        )
        boxes.append(array.shape)
    (where / "left_frames").mkdir()
    (where / "left_frames" / "frame000.png").symlink_to(real_data / "endovis17-demo" / "frame.png")
    scan = ONE.scan(tmp_path)
    assert scan is not None
    found = ONE.facts(scan.root, scan.surgeries[0]).facts.filter(pl.col("kind") == "instrument")
    raw = [[b[0] * 1280 + 320, b[1] * 1024 + 28, b[2] * 1280 + 320, b[3] * 1024 + 28] for b in found["box"].to_list()]
    assert [[round(v) for v in box] for box in raw] == [[327, 330, 839, 814], [805, 397, 1593, 700]]


@pytest.mark.real
def test_the_real_colours_are_known(real_data: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.json").symlink_to(real_data / "endovis18" / "labels.json")
    scene = np.zeros((8, 8, 3), np.uint8)
    scene[:4, :4] = (255, 55, 0)
    picture(tmp_path / "seq_2" / "left_frames" / "frame000.png", scene)
    picture(tmp_path / "seq_2" / "labels" / "frame000.png", scene)
    scan = TWO.scan(tmp_path)
    assert scan is not None
    assert TWO.facts(scan.root, scan.surgeries[0]).facts["terms"].to_list() == [["anatomy.kidney"]]
