"""The look-alike of MultiBypass140 is read back, and its pictures show what its labels say."""

import hashlib
import json
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from cotgen.sources.demo.multibypass140 import make_multibypass140
from cotgen.sources.multibypass140 import MultiBypass140

READER = MultiBypass140()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("multibypass140")
    make_multibypass140(folder, surgeries=6)
    return folder


def bytes_of(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_bytes_each_time_and_others_for_another_seed(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        make_multibypass140(tmp_path / name, surgeries=1, seed=seed)
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b") != bytes_of(tmp_path / "c")


def test_every_second_with_labels_has_a_picture_and_they_agree(root: Path) -> None:
    """Tissue fills the picture inside the body, and drapes outside it; another step has another colour."""
    scan = READER.scan(root)
    assert scan is not None and (len(scan.surgeries), scan.incomplete, scan.oddities) == (6, (), ())
    looks: dict[str, set[tuple[int, ...]]] = {}
    for files in scan.surgeries:
        found = READER.facts(root, files)
        images = dict(files.images)
        assert set(found.labelled["index"].to_list()) <= images.keys()
        for index, term in (
            found.facts.filter(pl.col("kind") != "phase").select("index", pl.col("terms").list.first()).rows()
        ):
            with Image.open(root / images[index]) as picture:
                middle = picture.convert("RGB").getpixel((128, 90))
            assert isinstance(middle, tuple)
            assert (min(middle) > 190) == (term == "view.out_of_body")
            looks.setdefault(term, set()).add(tuple(value // 16 for value in middle))
    assert len(looks) > 10
    assert len({min(colours) for colours in looks.values()}) > 8


def test_overlays_lie_as_in_the_real_files(root: Path) -> None:
    """Severity in Bern alone; outside the body within phases in both centres, before the first phase in Bern."""
    for file in sorted(root.glob("labels/*/labels_by70/*.json")):
        phases = json.loads(file.read_text())["phases"]
        bern = file.name.startswith("B")
        assert any(row["label_name"] == "severe_index" for row in phases) == bern
        first = min(row["start"] for row in phases if row["label_id"] < 12)
        outside = [row["start"] for row in phases if row["label_name"] == "out_of_body"]
        assert any(start < first for start in outside) == bern and any(start > first for start in outside)
