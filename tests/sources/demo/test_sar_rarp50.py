"""The look-alike of SAR-RARP50 is read back, and its masks outline what its pictures show."""

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from cotgen.sources.demo.sar_rarp50 import COLOURS, FOLDERS, VALUES, make_sar_rarp50
from cotgen.sources.demo.shapes import TISSUE
from cotgen.sources.sar_rarp50 import SarRarp50

READER = SarRarp50()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sar_rarp50")
    make_sar_rarp50(folder, surgeries=len(FOLDERS))
    return folder


def bytes_of(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_bytes_each_time_and_others_for_another_seed(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        make_sar_rarp50(tmp_path / name, surgeries=1, seed=seed)
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b") != bytes_of(tmp_path / "c")


@pytest.mark.slow
def test_it_has_all_actions_parts_of_one_operation_and_classes_with_and_without_a_box(root: Path) -> None:
    scan = READER.scan(root)
    assert scan is not None and (len(scan.surgeries), scan.incomplete, scan.oddities) == (len(FOLDERS), (), ())
    assert {"sar_rarp50/7_1", "sar_rarp50/7_2"} <= {files.surgery for files in scan.surgeries}
    facts = pl.concat([READER.facts(root, files, 6).facts for files in scan.surgeries])
    assert facts.filter(pl.col("kind") == "action")["terms"].list.first().n_unique() == 8
    boxes = facts.filter(pl.col("kind") == "object")["box"].list.len().to_list()
    assert set(boxes) == {0, 4}
    gaps = pl.concat([READER.facts(root, files).measured for files in scan.surgeries]).filter(pl.col("name") == "gap")
    assert (gaps["value"] == 0).any() and (gaps["value"] > 5).any()


def test_masks_outline_what_the_pictures_show(root: Path) -> None:
    folder = root / FOLDERS[0]
    for mask_file in sorted((folder / "segmentation").iterdir()):
        mask = np.asarray(Image.open(mask_file))
        picture = np.asarray(Image.open(folder / "rgb" / mask_file.name).convert("RGB")).astype(int)
        for name, value in VALUES.items():
            shown = picture[mask == value]
            if len(shown) > 200:
                middle = np.median(shown, axis=0)
                near = {"tissue": TISSUE, **COLOURS}
                assert min(near, key=lambda other: float(np.abs(middle - near[other]).sum())) == name
