"""Boxes in text: written for a model, read back from its reply, the same box again as far as the convention allows."""

import random

import pytest

from cotgen.chains.boxes import BoxConvention, BoxFormat, named_boxes
from cotgen.chains.render import render_boxes
from cotgen.errors import CotgenError
from cotgen.tasks.boxes import Box, iou, read_boxes

SIZES = [(854, 480), (1280, 1024), (1920, 1080), (853, 479), (333, 777), (48, 36), (4096, 2304)]
QWEN_CEILING = BoxFormat("resized", max_pixels=12_845_056)
SMALL = BoxFormat("resized", max_pixels=512 * 28 * 28)


def boxes_of(size: tuple[int, int]) -> list[Box]:
    """The whole picture, its corners, the smallest boxes there are, and 500 drawn ones."""
    width, height = size
    draw = random.Random(f"{width} x {height}")
    drawn: list[Box] = [(0, 0, width, height), (0, 0, 2, 2), (width - 2, height - 2, width, height)]
    for _ in range(500):
        x, y = draw.randrange(width - 2), draw.randrange(height - 2)
        drawn.append((x, y, draw.randint(x + 2, width), draw.randint(y + 2, height)))
    return drawn


def again(box: Box, boxes: BoxFormat, size: tuple[int, int]) -> Box:
    """A stored box, written in an answer, as the parser of a task reads it."""
    answer = boxes.write("grasper <bbox:0>", [box], size)
    found = read_boxes(boxes.read(answer, size).removeprefix("grasper "), [])
    assert found is not None and len(found) == 1
    return found[0]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "boxes",
    [BoxFormat("pixels"), BoxFormat("normalised"), BoxFormat("per_mille"), BoxFormat("resized"), QWEN_CEILING, SMALL],
    ids=lambda boxes: f"{boxes.convention}-{boxes.max_pixels}",
)
def test_a_box_comes_back(boxes: BoxFormat, size: tuple[int, int]) -> None:
    grid = boxes.grid(size)
    for box in boxes_of(size):
        found = again(box, boxes, size)
        for n in range(4):
            step = size[n % 2] / grid[n % 2]
            if box[n - 2 if n > 1 else n + 2] - box[n] in (2, -2) and step > 2:
                continue  # the smallest boxes are kept one step wide on a grid that is coarser than they are
            assert abs(found[n] - box[n]) <= (0 if step <= 1 else (step + 1) / 2)
        if grid[0] >= size[0] and grid[1] >= size[1]:
            assert found == box and iou(found, box) == 1.0


@pytest.mark.parametrize(
    ("convention", "size", "exact"),
    [
        ("pixels", (1920, 1080), True),
        ("normalised", (1920, 1080), True),
        ("per_mille", (854, 480), True),
        ("per_mille", (1280, 1024), False),
        ("resized", (854, 480), False),
        ("resized", (1280, 1024), False),
    ],
)
def test_which_conventions_are_exact_for_which_pictures(
    convention: BoxConvention, size: tuple[int, int], exact: bool
) -> None:
    boxes = BoxFormat(convention)
    assert all(again(box, boxes, size) == box for box in boxes_of(size)) == exact
    off = [abs(a - b) for box in boxes_of(size) for a, b in zip(box, again(box, boxes, size), strict=True)]
    assert max(off) <= 1


def test_the_numbers_are_those_of_each_model() -> None:
    box = [(273, 16, 670, 143)]
    for boxes, text in (
        (BoxFormat("index"), "at <bbox:0>"),
        (BoxFormat("bare"), "at <bbox>"),
        (BoxFormat("pixels"), "at [273, 16, 670, 143]"),
        (BoxFormat("resized"), "at [269, 16, 659, 142]"),  # 840 x 476
        (BoxFormat("per_mille"), "at [320, 33, 785, 298]"),
        (BoxFormat("normalised"), "at [0.3197, 0.0333, 0.7845, 0.2979]"),
    ):
        assert boxes.write("at <bbox:0>", box, (854, 480)) == text
        assert render_boxes("at <bbox:0>", box, boxes, (854, 480)) == text


def test_the_pixel_budget_decides_what_a_box_of_a_resized_picture_means() -> None:
    box, size = [(0, 0, 1920, 1080)], (1920, 1080)
    assert BoxFormat("resized").write("<bbox:0>", box, size) == "[0, 0, 1316, 728]"
    assert SMALL.write("<bbox:0>", box, size) == "[0, 0, 840, 448]"
    assert QWEN_CEILING.write("<bbox:0>", box, size) == "[0, 0, 1932, 1092]"


def test_a_thin_box_keeps_a_step_of_the_grid_so_that_it_stays_a_box() -> None:
    size = (4096, 2304)
    assert BoxFormat("per_mille").write("<bbox:0>", [(100, 100, 102, 102)], size) == "[24, 43, 25, 44]"
    assert BoxFormat("per_mille").write("<bbox:0>", [(4094, 2302, 4096, 2304)], size) == "[999, 999, 1000, 1000]"


def test_replies_of_models_are_read_with_what_stands_around_the_boxes() -> None:
    reply = '<think>at [0,0,500,500] or [1]</think><answer>{"bbox_2d": [250, 250, 1000.0, 1000]}</answer>'
    read = BoxFormat("per_mille").read(reply, (48, 36))
    assert read == '<think>at [0, 0, 24, 18] or [1]</think><answer>{"bbox_2d": [12, 9, 48, 36]}</answer>'
    for left in ("index", "bare", "pixels"):
        assert BoxFormat.of(left).read(reply, (48, 36)) == reply  # type: ignore[arg-type]


def test_which_boxes_a_text_names() -> None:
    assert named_boxes("a <bbox:2> and <bbox:0>, <bbox:2>; <bbox> [1, 2, 3, 4]") == [2, 0, 2]


def test_what_cannot_be_written_is_an_error() -> None:
    with pytest.raises(IndexError):
        BoxFormat("pixels").write("<bbox:1>", [(1, 2, 3, 4)], (48, 36))
    with pytest.raises(ValueError, match="no way to write boxes; use one of index, bare, pixels"):
        BoxFormat.of("yxyx")  # type: ignore[arg-type]
    with pytest.raises(CotgenError, match="too narrow"):
        BoxFormat("resized").write("<bbox:0>", [(1, 2, 3, 4)], (3000, 10))
