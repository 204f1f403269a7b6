"""Where things are in the picture: the one definition of left, right, upper, lower, above, below and touching.

A position is that of a box's centre in the lit field of view, as a share of its width and height, in the picture and
never in the body. Left or right is said where the centre is more than a tenth of the field off the middle line, upper or
lower likewise; nothing is said of a box over 30 % of the field. Two things are compared where their centres differ by
15 % of the field. They touch where their outlines are at most 3 pixels apart. All comparisons are of integers.
"""

from __future__ import annotations

from collections.abc import Sequence

from cotgen.records import Scene

#: Percent of the field: off the middle line, of a box that is too large to have a place, between two centres.
DEAD, LARGE, APART = 10, 30, 15
#: Pixels between two outlines that touch.
TOUCHING = 3

PLACES = {
    (): "near the centre of the field",
    ("left",): "on the left",
    ("right",): "on the right",
    ("upper",): "in the upper part of the field",
    ("lower",): "in the lower part of the field",
    ("upper", "left"): "in the upper left of the field",
    ("upper", "right"): "in the upper right of the field",
    ("lower", "left"): "in the lower left of the field",
    ("lower", "right"): "in the lower right of the field",
}


def field_of(scene: Scene) -> tuple[int, int, int, int]:
    """The lit field of view as a box in pixels; see `Scene.lit_field`."""
    return scene.lit_field


def place(box: Sequence[int], field: Sequence[int]) -> tuple[str, ...] | None:
    """`("upper", "left")`, `("right",)`, `()` near the centre; None for a box or a field without a place.

    Args:
        box: x1, y1, x2, y2 in pixels.
        field: the field of view, likewise.
    """
    width, height = field[2] - field[0], field[3] - field[1]
    if len(box) != 4 or width <= 0 or height <= 0:
        return None
    if 100 * (box[2] - box[0]) * (box[3] - box[1]) > LARGE * width * height:
        return None
    # Twice the offset of the centre from the middle line, so that halves stay integers.
    across = (box[0] + box[2]) - (field[0] + field[2])
    down = (box[1] + box[3]) - (field[1] + field[3])
    words = []
    if 100 * abs(down) > 2 * DEAD * height:
        words.append("upper" if down < 0 else "lower")
    if 100 * abs(across) > 2 * DEAD * width:
        words.append("left" if across < 0 else "right")
    return tuple(words)


def compared(box: Sequence[int], other: Sequence[int], field: Sequence[int]) -> tuple[str, ...]:
    """How `box` lies to `other`: of `left`, `right`, `above`, `below`, those in which the centres differ enough."""
    width, height = field[2] - field[0], field[3] - field[1]
    if len(box) != 4 or len(other) != 4 or width <= 0 or height <= 0:
        return ()
    across = (box[0] + box[2]) - (other[0] + other[2])
    down = (box[1] + box[3]) - (other[1] + other[3])
    words = []
    if 100 * abs(across) >= 2 * APART * width:
        words.append("left" if across < 0 else "right")
    if 100 * abs(down) >= 2 * APART * height:
        words.append("above" if down < 0 else "below")
    return tuple(words)


def mainly(box: Sequence[int], other: Sequence[int], field: Sequence[int]) -> str:
    """The word of `compared` along which the centres differ most, as a share of the field; "" where there is none.

    What lies obliquely above is not called "to the left": it would be true and look false.
    """
    words = compared(box, other, field)
    if len(words) < 2:
        return "".join(words)
    across = abs((box[0] + box[2]) - (other[0] + other[2])) * (field[3] - field[1])
    down = abs((box[1] + box[3]) - (other[1] + other[3])) * (field[2] - field[0])
    return words[0] if across >= down else words[1]


def touching(scene: Scene, first: str, second: str) -> bool:
    """Whether the outlines of two facts were measured to touch."""
    gap = scene.measure("gap", first, second)
    return gap is not None and gap <= TOUCHING
