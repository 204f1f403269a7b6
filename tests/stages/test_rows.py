"""Boxes go into text and back, for the sizes of the field's cameras and each convention; percentiles are of real values."""

import pytest

from cotgen.chains.boxes import BoxFormat
from cotgen.stages.rows import percentiles, round_trip, sizes_to_try

SIZES = sizes_to_try([(854, 480), (700, 576)])
FORMATS = {
    "qwen3_vl": BoxFormat("per_mille"),
    "qwen2_5_vl": BoxFormat("resized", 200704, 1003520),
    "qwen2_5_vl small": BoxFormat("resized", 3136, 128 * 28 * 28),
    "pixels": BoxFormat("pixels"),
    "normalised": BoxFormat("normalised"),
}


@pytest.mark.parametrize("boxes", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_box_comes_back_exactly_or_within_what_the_grid_can_tell(boxes: BoxFormat, size: tuple[int, int]) -> None:
    trip = round_trip(boxes, size)
    grid = boxes.grid(size)
    assert trip.boxes > 300
    assert trip.off <= trip.allowed
    if all(lines >= side for lines, side in zip(grid, size, strict=True)):
        assert trip.exact and trip.allowed == 0
    else:
        assert trip.least > 0.5


def test_the_sizes_of_the_issue_are_tried_and_an_odd_one() -> None:
    assert {(854, 480), (1280, 1024), (1920, 1080), (641, 479)} <= set(SIZES)


def test_boxes_that_are_read_by_another_budget_are_found_out() -> None:
    class Wrong(BoxFormat):
        def read(self, text: str, size: tuple[int, int]) -> str:
            return BoxFormat("resized", 3136, 512 * 28 * 28).read(text, size)

    trip = round_trip(Wrong("resized", 200704, 1003520), (1920, 1080))
    assert trip.off > trip.allowed and trip.least < 0.7


def test_a_box_that_the_parser_does_not_read_counts_as_lost() -> None:
    assert round_trip(BoxFormat("index"), (854, 480), [(10, 10, 20, 20)]).least == -1.0


def test_percentiles_are_values_that_so_many_do_not_exceed() -> None:
    assert percentiles(range(1, 101)) == [50, 90, 99]
    assert percentiles([7]) == [7, 7, 7]
    assert percentiles([3, 1, 2], (1, 100)) == [1, 3]
