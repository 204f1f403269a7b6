"""What masks give: boxes, areas, pieces and gaps, against slow definitions."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cotgen.draws import draw
from cotgen.errors import SourceError
from cotgen.sources.masks import area_of, box_of, box_of_main, check_shape, gap_of, pieces_of, read_labels


def noise(
    name: str, percent: int, size: tuple[int, int] = (12, 17)
) -> "np.ndarray[tuple[int, int], np.dtype[np.bool_]]":
    rows = [[draw(0, name, str(y), str(x)) % 100 < percent for x in range(size[1])] for y in range(size[0])]
    return np.array(rows, dtype=bool)


def slow_pieces(mask: "np.ndarray[tuple[int, int], np.dtype[np.bool_]]") -> list[int]:
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    sizes = []
    while left:
        stack, size = [left.pop()], 0
        while stack:
            y, x = stack.pop()
            size += 1
            near = {(y + a, x + b) for a in (-1, 0, 1) for b in (-1, 0, 1)} & left
            left -= near
            stack += near
        sizes.append(size)
    return sorted(sizes, reverse=True)


def test_pieces_are_joined_by_edges_and_corners() -> None:
    for n in range(120):
        mask = noise(f"p{n}", 10 + n % 60)
        assert pieces_of(mask) == slow_pieces(mask)
    assert pieces_of(np.zeros((3, 3), bool)) == []


def test_boxes_and_areas() -> None:
    mask = np.zeros((10, 20), bool)
    mask[2:5, 4:8] = True
    assert box_of(mask) == [0.2, 0.2, 0.4, 0.5]
    assert area_of(mask) == 0.06
    assert box_of(np.zeros((3, 3), bool)) == []


def test_the_gap_is_that_of_the_nearest_pixels() -> None:
    for n in range(80):
        one, other = noise(f"a{n}", 3, (30, 40)), noise(f"b{n}", 3, (30, 40))
        if not one.any() or not other.any():
            continue
        pairs = np.argwhere(one)[:, None, :] - np.argwhere(other)[None, :, :]
        least = float(np.sqrt((pairs.astype(float) ** 2).sum(axis=2).min()))
        assert gap_of(one, other) == round(max(0.0, least - 1), 1)
    far = np.zeros((10, 200), bool)
    near = far.copy()
    far[0, 0], near[0, 150] = True, True
    assert gap_of(far, near) is None
    assert gap_of(far, far) == 0.0


def test_long_borders_are_measured_as_exactly() -> None:
    """A comb of 200 teeth, and a rod that touches or misses one of them."""
    comb = np.zeros((400, 1700), bool)
    for x in range(50, 1650, 8):
        comb[:300, x : x + 4] = True
    for x in range(51, 1640, 97):
        rod = np.zeros_like(comb)
        rod[300:, x] = True
        across = int(np.abs(np.flatnonzero(comb[299]) - x).min())
        assert gap_of(comb, rod) == gap_of(rod, comb) == round(float(np.hypot(across, 1)) - 1, 1)
    whole, inner = np.ones((300, 300), bool), np.zeros((300, 300), bool)
    inner[150, 150] = True
    assert gap_of(whole, inner) == 0.0, "one inside the other, with both borders far apart"


def test_masks_are_read_from_any_channel_layout_and_nothing_else(tmp_path: Path) -> None:
    values = np.array([[0, 3], [255, 6]], np.uint8)
    Image.fromarray(values).save(tmp_path / "grey.png")
    Image.fromarray(np.stack([values] * 3, axis=2)).save(tmp_path / "rgb.png")
    for name in ("grey.png", "rgb.png"):
        assert (read_labels(tmp_path, name) == values).all()
    Image.fromarray(np.stack([values, values, values + 1], axis=2)).save(tmp_path / "colour.png")
    with pytest.raises(SourceError, match="channels that differ"):
        read_labels(tmp_path, "colour.png")
    (tmp_path / "no.png").write_bytes(b"no picture")
    with pytest.raises(SourceError, match="no readable picture"):
        read_labels(tmp_path, "no.png")
    with pytest.raises(SourceError, match="cannot be read"):
        read_labels(tmp_path, "gone.png")


def test_the_box_of_the_main_pieces_leaves_out_strays() -> None:
    mask = np.zeros((10, 20), bool)
    mask[2:6, 4:9], mask[9, 19], mask[8, 2:4] = True, True, True
    assert box_of_main(mask, 0.1) == [0.2, 0.2, 0.45, 0.6]
    assert box_of_main(mask, 0.05) == [0.1, 0.2, 0.45, 0.9]
    assert box_of_main(mask, 0.0) == box_of(mask)
    scattered = np.zeros((9, 9), bool)
    scattered[::2, ::2] = True
    assert len(box_of_main(scattered, 0.5)) == 4, "the largest piece counts, however small"
    assert box_of_main(np.zeros((3, 3), bool), 0.1) == []
    for n in range(60):
        some = noise(f"m{n}", 5 + n)
        assert box_of_main(some, 0.0) == box_of(some)


def test_alpha_says_nothing_and_palettes_are_numbers(tmp_path: Path) -> None:
    values = np.array([[0, 3], [255, 6]], np.uint8)
    Image.fromarray(np.stack([values, values], axis=2), "LA").save(tmp_path / "alpha.png")
    palette = Image.fromarray(values, "P")
    palette.putpalette([7] * 768)
    palette.save(tmp_path / "palette.png")
    for name in ("alpha.png", "palette.png"):
        assert (read_labels(tmp_path, name) == values).all()


def test_grey_values_that_were_numbered_anew_keep_their_meaning(tmp_path: Path) -> None:
    values = np.full((6, 8), 6, np.uint8)
    values[:2, :3], values[5, 5] = 3, 255
    grey = Image.fromarray(np.stack([values] * 3, axis=2), "RGB").quantize(8)
    assert not (np.asarray(grey) == values).all(), "the palette numbers them by their frequency"
    grey.save(tmp_path / "grey.png")
    assert (read_labels(tmp_path, "grey.png") == values).all()


@pytest.mark.parametrize("mode", ["I;16", "F"])
def test_masks_of_more_than_a_byte_are_whole_numbers_under_256(tmp_path: Path, mode: str) -> None:
    name = "mask.tif" if mode == "F" else "mask.png"
    values = np.array([[0, 3], [2, 1]], np.float32 if mode == "F" else np.uint16)
    Image.fromarray(values).save(tmp_path / name)
    if mode == "F":
        with pytest.raises(SourceError, match="holds fractions"):
            read_labels(tmp_path, name)
        return
    assert read_labels(tmp_path, name).tolist() == [[0, 3], [2, 1]]
    Image.fromarray(values + 256).save(tmp_path / name)
    with pytest.raises(SourceError, match="values over 255"):
        read_labels(tmp_path, name)


@pytest.mark.parametrize(("size", "fits"), [((854, 480), True), ((427, 240), True), ((512, 512), False)])
def test_labels_of_another_shape_than_their_picture_are_refused(
    tmp_path: Path, size: tuple[int, int], fits: bool
) -> None:
    Image.new("RGB", (854, 480)).save(tmp_path / "picture.png")
    if fits:
        check_shape(tmp_path, "mask.png", size, "picture.png")
    else:
        with pytest.raises(SourceError, match="another shape"):
            check_shape(tmp_path, "mask.png", size, "picture.png")
    check_shape(tmp_path, "mask.png", size, "gone.png")  # it is told of where the pictures are read
    os.mkfifo(tmp_path / "pipe.png")
    check_shape(tmp_path, "mask.png", size, "pipe.png")
