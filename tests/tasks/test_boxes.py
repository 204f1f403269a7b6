"""Boxes in replies, and the score of a set of boxes against the true one."""

import itertools

import pytest

from cotgen.draws import draw
from cotgen.tasks.boxes import iou, match_score, read_boxes

TRUE = (100, 100, 200, 200)


def test_boxes_are_read_from_their_own_form_and_from_nothing_else() -> None:
    assert read_boxes("[1, 2, 30, 40]", ()) == [(1, 2, 30, 40)]
    assert read_boxes("[1,2,30.4,40] , <bbox:0>", [TRUE]) == [(1, 2, 30, 40), TRUE]
    for wrong in (
        "",
        "it is at [1, 2, 30, 40]",
        "[1, 2, 30]",
        "[30, 2, 1, 40]",
        "<bbox:1>",
        "1, 2, 30, 40",
        "[1e9,2,3,4]",
    ):
        assert read_boxes(wrong, [TRUE]) is None
    assert read_boxes("[1, 2, 30, 40]" * 65, ()) is None


def test_the_overlap_of_two_boxes() -> None:
    assert iou(TRUE, TRUE) == 1.0
    assert iou(TRUE, (100, 100, 200, 150)) == 0.5
    assert iou(TRUE, (200, 100, 300, 200)) == 0.0


def test_more_boxes_than_there_are_cost() -> None:
    false = [(n, 0, n + 5, 5) for n in range(0, 100, 5)]
    assert match_score([TRUE, *false], [TRUE]) == pytest.approx(1 / 21)
    assert match_score([TRUE] * 20, [TRUE]) == pytest.approx(1 / 20)
    assert match_score([], [TRUE]) == 0.0
    assert match_score([TRUE], []) == 0.0
    assert match_score([], []) == 1.0


def boxes(name: str, count: int) -> list[tuple[int, int, int, int]]:
    found = []
    for n in range(count):
        x, y = (draw(0, name, str(n), axis) % 60 for axis in "xy")
        found.append((x, y, x + 10 + draw(0, name, str(n), "w") % 50, y + 10 + draw(0, name, str(n), "h") % 50))
    return found


def test_the_match_is_the_best_of_all() -> None:
    for n in range(150):
        said, true = boxes(f"s{n}", 1 + n % 5), boxes(f"t{n}", 1 + n % 4)
        fewer, more = sorted((said, true), key=len)
        best = max(
            sum(iou(a, b) for a, b in zip(fewer, order, strict=False)) for order in itertools.permutations(more)
        )
        assert match_score(said, true) == pytest.approx(best / max(len(said), len(true)))
