"""What the pixels of one frame say without a label.

Luma is (299 R + 587 G + 114 B) / 1000 (ITU-R BT.601), at every fourth pixel of every fourth row: enough for a
mean, at a small part of the cost of a JPEG. All sums are of integers, so the numbers are the same on every machine.
"""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

import numpy as np
import numpy.typing as npt

from cotgen.records import Measured

_STEP = 4
#: A picture is black where both mean and standard deviation of its luma lie below this.
BLACK_BELOW = 5
_SCALE = 1000


def measure(rgb: npt.NDArray[np.uint8]) -> list[Measured]:
    """`brightness`, `contrast`, `black` and `sharpness` of a picture.

    Args:
        rgb: uint8, height x width x 3, not empty.

    Returns:
        brightness: mean luma, 0 to 255, to a tenth.
        contrast: standard deviation of luma, to a tenth.
        black: 1.0 where there is no picture (`BLACK_BELOW`), else 0.0.
        sharpness: mean absolute second difference of luma along the row, to a hundredth; low where the picture is out
            of focus or smeared by motion. 0.0 for pictures under three pixels wide.
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
    ]


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
