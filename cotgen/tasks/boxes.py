"""Boxes in answers: reading them from replies, and the score of a set of boxes against the true one.

A reply gives boxes as `[x1, y1, x2, y2]` in pixels of the stored picture, or as `<bbox:n>`, an index into the boxes of
the pair. A set is scored by the best one-to-one match: the sum of the IoU of matched boxes / max(|said|, |true|), so
twenty wrong boxes around a perfect one score 1/21 and saying nothing scores 0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

Box: TypeAlias = tuple[int, int, int, int]

NOT_VISIBLE = "not visible"
#: More boxes than this are no answer: no frame of the data sets has more than nine instruments.
MOST_BOXES = 64
_NUMBER = r"-?[0-9]{1,6}(?:\.[0-9]{1,6})?"
#: Pattern of `[x1, y1, x2, y2]`, a group for each number.
FOUR_NUMBERS = rf"\[\s*({_NUMBER})\s*,\s*({_NUMBER})\s*,\s*({_NUMBER})\s*,\s*({_NUMBER})\s*\]"
_ONE = re.compile(rf"{FOUR_NUMBERS}|<bbox:([0-9]{{1,3}})>")


def read_boxes(text: str, boxes: Sequence[Box]) -> list[Box] | None:
    """The boxes of a line that holds nothing else but white space and commas between them; None for anything else."""
    found: list[Box] = []
    at = 0
    for match in _ONE.finditer(text):
        if text[at : match.start()].strip(" ,\t"):
            return None
        at = match.end()
        if match[5] is not None:
            if int(match[5]) >= len(boxes):
                return None
            found.append(boxes[int(match[5])])
        else:
            x1, y1, x2, y2 = (round(float(match[n])) for n in range(1, 5))
            if x2 <= x1 or y2 <= y1:
                return None
            found.append((x1, y1, x2, y2))
        if len(found) > MOST_BOXES:
            return None
    return None if text[at:].strip(" ,\t.") or not found else found


def iou(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    areas = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1])
    return shared / (areas - shared)


def match_score(said: Sequence[Box], true: Sequence[Box], least: float = 0.0) -> float:
    """Sum of IoU over the best one-to-one match / max(|said|, |true|); 1 where both are empty.

    An IoU below `least` counts as 0.
    """
    if not said and not true:
        return 1.0
    if not said or not true:
        return 0.0
    fewer, more = sorted((list(said), list(true)), key=len)
    table = tuple(tuple(value if (value := iou(a, b)) >= least else 0.0 for b in more) for a in fewer)
    return _best(table) / len(more)


def all_match(said: Sequence[Box], true: Sequence[Box], least: float) -> bool:
    """Whether there are as many boxes as there should be, and one by one each has an IoU of `least` or more."""
    if len(said) != len(true) or not said:
        return len(said) == len(true)
    hits = tuple(tuple(float(iou(one, other) >= least) for other in true) for one in said)
    return round(_best(hits)) == len(said)


def _best(table: tuple[tuple[float, ...], ...]) -> float:
    """The largest sum with one entry per row and no column twice (Hungarian method with potentials, O(rows^2 columns))."""
    rows, columns = len(table), len(table[0])
    row_price, column_price = [0.0] * (rows + 1), [0.0] * (columns + 1)
    owner, before = [0] * (columns + 1), [0] * (columns + 1)
    for row in range(1, rows + 1):
        owner[0], column = row, 0
        least, used = [float("inf")] * (columns + 1), [False] * (columns + 1)
        while owner[column]:
            used[column] = True
            current, step, following = owner[column], float("inf"), 0
            for other in range(1, columns + 1):
                if used[other]:
                    continue
                cost = -table[current - 1][other - 1] - row_price[current] - column_price[other]
                if cost < least[other]:
                    least[other], before[other] = cost, column
                if least[other] < step:
                    step, following = least[other], other
            for other in range(columns + 1):
                if used[other]:
                    row_price[owner[other]] += step
                    column_price[other] -= step
                else:
                    least[other] -= step
            column = following
        while column:
            owner[column] = owner[before[column]]
            column = before[column]
    return sum(table[owner[column] - 1][column - 1] for column in range(1, columns + 1) if owner[column])


@lru_cache(maxsize=1024)
def as_text(box: Box) -> str:
    """A box as term text of a truth: `277,3,670,98`."""
    return ",".join(map(str, box))
