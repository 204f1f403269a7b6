"""The sealed file of one surgery: whole or refused."""

import hashlib
import resource
from pathlib import Path

import pytest

from cotgen.errors import CotgenError
from cotgen.frames.store import ExtractReport, FrameRow, FrameStore, writing
from cotgen.records import Measured

REPORT = ExtractReport(
    mode="embed",
    frames=2,
    missing={50: "video01.mp4 ends before this frame.", 75: "video01.mp4 ends before this frame."},
    index_mode="rank",
    notes=("a note.",),
)
IMAGES = {0: b"first image", 25: b"second"}


def write(path: Path) -> Path:
    with writing(path) as writer:
        for index, image in IMAGES.items():
            offset, length = writer.append(image)
            digest = hashlib.sha256(image).hexdigest()
            measured = (Measured(name="brightness", value=12.5),)
            writer.add(
                FrameRow(index, "v.mp4", index, 8, 6, (0, 0, 8, 6), "ab" * 32, digest, offset, length, measured)
            )
        writer.seal(REPORT)
    return path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    with FrameStore.open(write(tmp_path / "01.frames")) as store:
        assert store.report == REPORT
        assert store.indices() == [0, 25]
        assert len(store) == 2
        assert {index: store.image(index) for index in store.indices()} == IMAGES
        row = store.rows()[25]
        assert (row.width, row.crop, row.length) == (8, (0, 0, 8, 6), 6)
        assert row.measured == (Measured(name="brightness", value=12.5),)
        with pytest.raises(KeyError):
            store.image(50)


def test_the_same_frames_are_the_same_bytes(tmp_path: Path) -> None:
    assert write(tmp_path / "a").read_bytes() == write(tmp_path / "b").read_bytes()


def test_every_cut_is_refused(tmp_path: Path) -> None:
    data = write(tmp_path / "whole").read_bytes()
    path = tmp_path / "cut"
    for size in range(len(data)):
        path.write_bytes(data[:size])
        with pytest.raises(CotgenError, match="is not a whole frame store"):
            FrameStore.open(path)


def test_every_changed_byte_of_the_footer_is_refused_and_of_an_image_found(tmp_path: Path) -> None:
    data = write(tmp_path / "whole").read_bytes()
    path = tmp_path / "changed"
    images_end = 16 + sum(map(len, IMAGES.values()))
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        if 16 <= at < images_end:
            with FrameStore.open(path) as store, pytest.raises(CotgenError, match="is damaged"):
                [store.image(index) for index in store.indices()]
        else:
            with pytest.raises(CotgenError, match="is not a whole frame store"):
                FrameStore.open(path)


def test_a_foreign_or_missing_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "foreign").write_bytes(b"PK\x03\x04" * 100)
    with pytest.raises(CotgenError, match="delete it and run the same command again"):
        FrameStore.open(tmp_path / "foreign")
    with pytest.raises(CotgenError, match="cannot be opened"):
        FrameStore.open(tmp_path / "nothing")


def test_an_interrupted_writer_leaves_nothing_and_keeps_the_old_file(tmp_path: Path) -> None:
    path = write(tmp_path / "01.frames")
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt), writing(path) as writer:
        writer.append(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["01.frames"]


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CotgenError, match="cannot be written"), writing(tmp_path / "no" / "01.frames"):
        pass


def test_a_write_that_fails_half_way_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    """As on a full disk: the operating system takes 4 kB and refuses the rest."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        with pytest.raises(CotgenError, match="free space or choose another"), writing(tmp_path / "a") as writer:
            writer.append(bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_numbers_must_rise(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frame 3 after frame 5"), writing(tmp_path / "x") as writer:
        for index in (5, 3):
            writer.add(FrameRow(index, "v.mp4", index, 1, 1, (0, 0, 1, 1)))
