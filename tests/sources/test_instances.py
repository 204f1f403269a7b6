"""Instances: run lengths as COCO writes them, and stacks of masks that claim no more than they hold."""

from pathlib import Path

import numpy as np
import pytest

from cotgen.draws import draw
from cotgen.errors import SourceError
from cotgen.sources.demo.endoscapes import runs
from cotgen.sources.instances import Runs, mask_of, read_stack


def test_run_lengths_go_down_the_columns_and_begin_outside() -> None:
    """2 outside, 3 inside, 1 outside, 1 inside: the last is told as 1 - 3 = -2."""
    for counts in ("231N", (2, 3, 1, 1)):
        assert mask_of(Runs("f", 7, 1, counts)).ravel().tolist() == [False, False, True, True, True, False, True]
    assert mask_of(Runs("f", 2, 2, (1, 2, 1))).tolist() == [[False, True], [True, False]]


def test_what_the_look_alike_writes_is_read_back() -> None:
    for n in range(60):
        height, width, percent = (
            1 + draw(0, "h", str(n)) % 40,
            1 + draw(0, "w", str(n)) % 60,
            draw(0, "p", str(n)) % 101,
        )
        rows = [[draw(0, str(n), str(y), str(x)) % 100 < percent for x in range(width)] for y in range(height)]
        mask = np.array(rows, bool)
        assert (mask_of(Runs("f", height, width, runs(mask))) == mask).all()


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ("23", "do not fill"),
        ("", "do not fill"),
        ((8,), "do not fill"),
        ((-1, 8), "do not fill"),
        ("2 1N", "no COCO run-length text"),
        ("2\u00ff", "no COCO run-length text"),
        ("23o", "cut off"),
        ("o" * 5000, "no COCO run-length text"),
    ],
)
def test_other_run_lengths_are_refused(counts: str | tuple[int, ...], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        mask_of(Runs("f.json", 7, 1, counts))


def test_a_stack_has_its_instances_first_or_last(tmp_path: Path) -> None:
    masks = np.zeros((2, 4, 6), bool)
    masks[0, 1, 2], masks[1, 3, 5] = True, True
    for stack in (masks, np.moveaxis(masks, 0, 2).astype(np.float64), np.asfortranarray(masks).astype(np.uint8) * 255):
        np.save(tmp_path / "a.npy", stack)
        assert [mask.tolist() for mask in read_stack(tmp_path, "a.npy", 4, 6)] == masks.tolist()


def test_stacks_of_another_shape_of_objects_or_of_false_claims_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.npy"
    for array, message in (
        (np.zeros((4, 6)), "2 axes"),
        (np.zeros((2, 5, 6)), "the picture is 4 x 6"),
        (np.zeros((200, 4, 6), bool), "200 masks"),
        (np.array([{"a": 1}], dtype=object), "no NPY file of numbers"),
    ):
        np.save(file, array, allow_pickle=True)
        with pytest.raises(SourceError, match=message):
            read_stack(tmp_path, "a.npy", 4, 6)
    np.save(file, np.zeros((2, 4, 6), np.uint8))
    whole = file.read_bytes()
    claims = whole.replace(b"(2, 4, 6)", b"(9" + b"9" * 6 + b")")
    for data in (claims, whole[:-1], whole[:40], b"", b"PK\x03\x04" + whole, whole + b"more"):
        file.write_bytes(data)
        with pytest.raises(SourceError, match="no NPY file of numbers"):
            read_stack(tmp_path, "a.npy", 4, 6)


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
def test_a_damaged_stack_gives_masks_or_a_sentence(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.eye(6, dtype=np.uint8)[None, :4].repeat(3, axis=0))
    whole = (tmp_path / "a.npy").read_bytes()
    refused = 0
    for n in range(400):
        data = bytearray(whole)
        for k in range(1 + n % 4):
            data[draw(0, "at", str(n), str(k)) % 128] = draw(0, "to", str(n), str(k)) % 256
        (tmp_path / "a.npy").write_bytes(data)
        try:
            assert len(read_stack(tmp_path, "a.npy", 4, 6)) == 3
        except SourceError:
            refused += 1
    assert 0 < refused < 400
