"""Pictures are looked for by the name in the record, where the source says they are, and near by."""

from pathlib import Path

import pytest
from PIL import Image

from cotgen.build.footage import Asked, Finder, fitted, unknown_source
from cotgen.errors import CotgenError
from cotgen.sources.base import Footage
from tests.build.test_sources import write_cholect50

FILES = {0: "data/VID73/000000.png", 25: "data/VID73/000001.png"}
IMAGES = Asked("cholec80/73", "cholect50", FILES, (), "25/1")
VIDEO = Asked("cholec80/73", "cholec80", {0: "videos/video73.mp4"}, (), "25/1")


def finder(*roots: object) -> Finder:
    return Finder([str(root) for root in roots], Path("/nowhere"), {})


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_the_file_as_recorded_is_taken_first(tmp_path: Path) -> None:
    touch(tmp_path / "a/cholec80/videos/video73.mp4", tmp_path / "a/videos/video73.mp4")
    found = finder(tmp_path / "a").find(VIDEO)
    assert found == Footage("cholec80", tmp_path / "a/cholec80", "videos/video73.mp4", (), "25/1")


def test_where_the_labels_are_there_the_source_knows_its_own_layout(tmp_path: Path) -> None:
    root = write_cholect50(tmp_path, (73,)) / "cholect50"
    (root / "data").rename(root / "rgb")
    found = finder(tmp_path).find(IMAGES)
    assert found is not None
    assert (found.root, dict(found.images)) == (root, {0: "rgb/VID73/000000.png", 25: "rgb/VID73/000001.png"})


def test_the_folder_with_most_of_the_pictures_wins(tmp_path: Path) -> None:
    touch(tmp_path / "a/data/VID73/000000.png", *(tmp_path / "b/top/Data/vid73" / f"00000{n}.png" for n in (0, 1)))
    found = finder(tmp_path / "a", tmp_path / "b").find(IMAGES)
    assert found is not None
    assert (found.root, dict(found.images)[25]) == (tmp_path / "b/top", "Data/vid73/000001.png")
    some = finder(tmp_path / "a").find(IMAGES)
    assert some is not None
    assert some.images == ((0, FILES[0]),)


def test_a_picture_keeps_its_last_folder(tmp_path: Path) -> None:
    """`000000.png` is in the folder of every surgery."""
    touch(tmp_path / "000000.png", tmp_path / "VID01/000000.png")
    assert finder(tmp_path).find(IMAGES) is None
    touch(tmp_path / "VID73/000000.png")
    found = finder(tmp_path).find(IMAGES)
    assert found is not None
    assert found.images == ((0, "VID73/000000.png"),)


def test_where_the_user_named_its_folder_it_is_looked_for_there_alone(tmp_path: Path) -> None:
    touch(tmp_path / "a/videos/video73.mp4")
    (tmp_path / "b").mkdir()
    assert finder(tmp_path / "a").find(VIDEO) is not None
    assert finder(f"cholec80={tmp_path / 'b'}", tmp_path / "a").find(VIDEO) is None
    with pytest.raises(CotgenError, match="is no folder; check the path"):
        finder(f"cholec80={tmp_path / 'mistyped'}").find(VIDEO)


@pytest.mark.parametrize("file", ["../x.mp4", "/etc/x.mp4", "videos/../../x.mp4", ""])
def test_a_file_outside_of_the_root_is_refused(file: str, tmp_path: Path) -> None:
    with pytest.raises(CotgenError, match="is no path below the root"):
        finder(tmp_path).find(Asked("cholec80/73", "cholec80", {0: file}, (), "25/1"))


@pytest.fixture
def footage(tmp_path: Path) -> Footage:
    Image.new("RGB", (192, 108)).save(tmp_path / "0.png")
    return Footage("endovis17", tmp_path, "", ((0, "0.png"),), "2/1")


def asked(*crop: int) -> Asked:
    return Asked("endovis17/1", "endovis17", {0: "0.png"}, crop, "2/1")


def test_the_part_of_the_picture_is_that_of_the_record(footage: Footage) -> None:
    own = Footage("endovis17", footage.root, "", footage.images, "2/1", (32, 2, 160, 104))
    assert fitted(footage, asked(0, 0, 192, 108)) == (footage, ""), "all of it"
    assert fitted(footage, asked(32, 2, 160, 104)) == (own, ""), "cut as it was cut then"
    assert fitted(own, asked(0, 0, 128, 102)) == (own, ""), "cut before then, and by the source here"
    assert fitted(footage, asked(10, 10, 202, 118)) == (footage, ""), "cut then, and before it came here"


def test_footage_of_another_size_is_told_by_its_header(footage: Footage) -> None:
    for crop, size in (((0, 0, 96, 54), "96x54"), ((0, 0, 384, 216), "384x216"), ((100, 0, 196, 54), "96x54")):
        assert fitted(footage, asked(*crop))[1] == f"is 192x108 where the data set was made from {size}"


def test_what_is_said_of_a_source_that_is_not_known() -> None:
    assert unknown_source("cholec80") == ""
    assert "no source 'newest' (it has cholec80, " in unknown_source("newest")
