"""A data set without its pictures: the same records, verified, written once."""

from pathlib import Path

import pytest

from cotgen.errors import CotgenError
from cotgen.shards.manifest import MANIFEST, README, load, replace_card
from cotgen.shards.stored import StoredRecords
from cotgen.shards.strip import without_pictures
from cotgen.shards.verify import verify
from tests.shards.samples import Made, damage_a_record, make, write_folder


def records(folder: Path) -> dict[str, bytes]:
    with StoredRecords(folder) as stored:
        return {place.key: stored.read(place).json for place in stored.places()}


def test_the_records_stay_and_the_pictures_go(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "bare"
    manifest = without_pictures(folder, out)
    assert verify(out).ok
    assert records(out) == records(folder)
    assert (manifest.counts["images"], manifest.config["frames"]) == (0, "reference")
    assert manifest.parents == [load(folder).fingerprint]
    assert manifest.counts["pairs"] == load(folder).counts["pairs"]
    assert b".jpg" not in b"".join(path.read_bytes() for path in (out / "data").iterdir())


def test_a_second_call_writes_nothing_and_a_changed_folder_is_written_again(made: Made, tmp_path: Path) -> None:
    source, out = write_folder(made, tmp_path / "set"), tmp_path / "bare"
    without_pictures(source, out)
    before = (out / MANIFEST).stat().st_mtime_ns
    without_pictures(source, out)
    assert (out / MANIFEST).stat().st_mtime_ns == before
    smaller = write_folder(make(("cholec80/01", "cholec80/73"), seconds=3), tmp_path / "set", fingerprint="a" * 64)
    without_pictures(smaller, out)
    assert (records(out), verify(out).ok) == (records(smaller), True)


def test_what_is_not_ours_is_left_alone(folder: Path, made: Made, tmp_path: Path) -> None:
    other = write_folder(made, tmp_path / "other")
    with pytest.raises(CotgenError, match="is another data set; move it away"):
        without_pictures(folder, other)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    with pytest.raises(CotgenError, match="is not empty"):
        without_pictures(folder, tmp_path / "notes")
    assert verify(other).ok


def test_a_card_stays_behind(made: Made, tmp_path: Path) -> None:
    source, out = write_folder(made, tmp_path / "set"), tmp_path / "bare"
    card = {README: b"# A card\n", "croissant.json": b"{}", "pictures/sample-1.jpg": b"a frame"}
    replace_card(source, load(source), card)
    without_pictures(source, out)
    assert (set(load(out).files), verify(out).ok) == ({"index.parquet", README}, True)
    replace_card(out, load(out), {README: b"# Its own\n", "croissant.json": b"{}"})
    stamp = (out / MANIFEST).stat().st_mtime_ns
    without_pictures(source, out)
    assert ((out / MANIFEST).stat().st_mtime_ns, (out / README).read_bytes()) == (stamp, b"# Its own\n")
    for name in (MANIFEST, "SHA256SUMS"):
        (out / name).unlink()
    without_pictures(source, out)
    assert (set(load(out).files), verify(out).ok) == ({"index.parquet", README}, True)


def test_a_damaged_record_does_not_get_new_checksums(made: Made, tmp_path: Path) -> None:
    source = write_folder(made, tmp_path / "set")
    shard = damage_a_record(source)
    with pytest.raises(CotgenError, match=f"is not whole: {shard} has another sha256"):
        without_pictures(source, tmp_path / "bare")
    assert not (tmp_path / "bare").exists()
