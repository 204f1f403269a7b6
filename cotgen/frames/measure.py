"""What the pixels of one frame say without a label, and what those of a whole surgery say of its lit field of view.

Luma is (299 R + 587 G + 114 B) / 1000 (ITU-R BT.601), at every fourth pixel of every fourth row: enough for a
mean, at a small part of the cost of a JPEG. All sums are of integers, so the numbers are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import isqrt

import numpy as np
import numpy.typing as npt

from cotgen.records import Measured

_STEP = 4
#: A picture is black where both mean and standard deviation of its luma lie below this.
BLACK_BELOW = 5
_SCALE = 1000
#: A pixel is lit from this luma on: the border of real endoscopes reaches 15 (video black is 16 of 235), tissue at the
#: edge of the light is brighter. A row or column is lit where at least 5 % of its pixels are.
LIT_FROM, LIT_PERCENT = 20, 5
#: Of ten frames one may reach further than the field: light that spills over the border, a menu of the camera.
_BEYOND = 10


def measure(rgb: npt.NDArray[np.uint8]) -> list[Measured]:
    """`brightness`, `contrast`, `black`, `sharpness` and `lit` of a picture.

    Args:
        rgb: uint8, height x width x 3, not empty.

    Returns:
        brightness: mean luma, 0 to 255, to a tenth.
        contrast: standard deviation of luma, to a tenth.
        black: 1.0 where there is no picture (`BLACK_BELOW`), else 0.0.
        sharpness: mean absolute second difference of luma along the row, to a hundredth; low where the picture is out
            of focus or smeared by motion. 0.0 for pictures under three pixels wide.
        lit: the share of the picture in the box of its lit rows and columns (`LIT_FROM`), with that box, to four pixels;
            left out where none is lit.
    """
    middle = rgb[::_STEP, 1:-1:_STEP] if rgb.shape[1] >= 3 else rgb[::_STEP, ::_STEP]
    luma = _luma(middle)
    count = luma.size
    total = int(luma.sum(dtype=np.int64))
    squares = int(np.square(luma, dtype=np.int64).sum())
    mean = Fraction(total, count * _SCALE)
    variance = Fraction(squares, count * _SCALE**2) - mean**2
    black = mean < BLACK_BELOW and variance < BLACK_BELOW**2
    if rgb.shape[1] >= 3:
        left, right = _luma(rgb[::_STEP, :-2:_STEP]), _luma(rgb[::_STEP, 2::_STEP])
        sharpness = Fraction(int(np.abs(left + right - 2 * luma).sum(dtype=np.int64)), count * _SCALE)
    else:
        sharpness = Fraction(0)
    return [
        Measured(name="brightness", value=_tenths(mean)),
        Measured(name="contrast", value=_root_in_tenths(variance)),
        Measured(name="black", value=1.0 if black else 0.0),
        Measured(name="sharpness", value=_rounded(sharpness, 100)),
        *_lit(luma, rgb.shape[1], rgb.shape[0]),
    ]


def _lit(luma: npt.NDArray[np.int32], width: int, height: int) -> list[Measured]:
    bright = luma >= LIT_FROM * _SCALE
    rows, columns = (np.flatnonzero(100 * bright.sum(axis=n) >= LIT_PERCENT * bright.shape[n]) for n in (1, 0))
    if not len(rows) or not len(columns):
        return []
    # The last sampled row or column stands for the rest of the side.
    right, bottom = int(columns[-1]) + 1, int(rows[-1]) + 1
    far = [
        width if right == bright.shape[1] else _STEP * right,
        height if bottom == bright.shape[0] else _STEP * bottom,
    ]
    return [_boxed("lit", [_STEP * int(columns[0]), _STEP * int(rows[0]), *far], width, height)]


def _boxed(name: str, box: list[int], width: int, height: int) -> Measured:
    share = Fraction((box[2] - box[0]) * (box[3] - box[1]), width * height)
    return Measured(name=name, value=_rounded(share, 1000), box=box)


def field_of_view(frames: Sequence[tuple[Sequence[Measured], int, int]]) -> Measured | None:
    """`field`, the lit field of view of one surgery, as a box with its share of the picture.

    Dark tissue hides the edge in many frames and none shows more than the field but for spilled light, so each side is the
    outermost that a tenth of the lit frames reaches.

    Args:
        frames: what `measure` says of each frame, with width and height of the stored picture.

    Returns:
        None where no frame is lit, where pictures differ in size, or where the light covers less than half of a side: then
        nothing says how far the field goes.
    """
    sizes = {(width, height) for _, width, height in frames}
    boxes = [m.box for measured, _, _ in frames for m in measured if m.name == "lit"]
    if len(sizes) != 1 or not boxes:
        return None
    (width, height) = sizes.pop()
    beyond = (len(boxes) - 1) // _BEYOND
    x1, y1, x2, y2 = (sorted(box[n] for box in boxes)[beyond if n < 2 else -1 - beyond] for n in range(4))
    if 2 * (x2 - x1) < width or 2 * (y2 - y1) < height:
        return None
    return _boxed("field", [x1, y1, x2, y2], width, height)


def _luma(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """Luma times 1000, of a picture or of a part of its pixels."""
    # Channel by channel: converting the interleaved picture at once takes five times as long.
    red, green, blue = (rgb[..., channel].astype(np.int32) for channel in range(3))
    luma: npt.NDArray[np.int32] = red * 299 + green * 587 + blue * 114
    return luma


def _tenths(value: Fraction) -> float:
    return _rounded(value, 10)


def _rounded(value: Fraction, parts: int) -> float:
    """To the nearest 1/`parts`, halves up, by whole numbers."""
    return (2 * value.numerator * parts + value.denominator) // (2 * value.denominator) / parts


def _root_in_tenths(value: Fraction) -> float:
    """The square root to the nearest tenth, by whole numbers."""
    return ((isqrt(400 * value.numerator // value.denominator) + 1) // 2) / 10
