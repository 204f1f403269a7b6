"""How much of a box has which colour: what a word such as "yellow" is held against.

Classes overlap as words do (dark red is red, and brown to some), so a share is no part of a whole. All comparisons are of
whole numbers, so the shares are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

#: A word of colour needs this share of the box at least: a structure seldom fills its box.
LEAST_SHARE = 0.15
_STEP = 2


def colour_shares(rgb: npt.NDArray[np.uint8], box: Sequence[int]) -> dict[str, float]:
    """Share of a box's pixels in each class of colour, to a hundredth.

    Args:
        rgb: uint8, height x width x 3.
        box: x1, y1, x2, y2 in its pixels, x2 and y2 exclusive, not empty.

    Returns:
        Class -> share. Hue is in degrees, value (the largest channel) 0 to 255, saturation is (max - min) / max:
        red: hue 330 to 25, saturation over 0.3; pink: hue 300 to 25, saturation 0.15 to 0.55, value over 120; brown: hue 5
        to 45, value 40 to 170, saturation over 0.3; yellow: hue 25 to 70, saturation over 0.3, value over 80; green, blue,
        purple: hue 70 to 170, 170 to 260, 260 to 330, saturation over 0.2; white: saturation under 0.25, value over 150;
        grey: saturation under 0.3, value 50 to 255; black: value under 70.
    """
    part = rgb[box[1] : box[3] : _STEP, box[0] : box[2] : _STEP].astype(np.int32).reshape(-1, 3)
    red, green, blue = part[:, 0], part[:, 1], part[:, 2]
    top, low = part.max(axis=1), part.min(axis=1)
    chroma = top - low
    safe = np.maximum(chroma, 1)
    # Hue times chroma stays whole: sixths of the circle, as 60 * difference // chroma.
    hue = np.where(
        top == red,
        (60 * (green - blue)) // safe,
        np.where(top == green, 120 + (60 * (blue - red)) // safe, 240 + (60 * (red - green)) // safe),
    )
    hue = hue % 360

    def saturated(percent: int) -> npt.NDArray[np.bool_]:
        over: npt.NDArray[np.bool_] = 100 * chroma > percent * top
        return over

    reddish = (hue >= 330) | (hue < 25)
    classes = {
        "red": reddish & saturated(30),
        "pink": ((hue >= 300) | (hue < 25)) & saturated(15) & ~saturated(55) & (top > 120),
        "brown": (hue >= 5) & (hue < 45) & saturated(30) & (top > 40) & (top <= 170),
        "yellow": (hue >= 25) & (hue < 70) & saturated(30) & (top > 80),
        "green": (hue >= 70) & (hue < 170) & saturated(20) & (top > 40),
        "blue": (hue >= 170) & (hue < 260) & saturated(20) & (top > 40),
        "purple": (hue >= 260) & (hue < 330) & saturated(20) & (top > 40),
        "white": ~saturated(25) & (top > 150),
        "grey": ~saturated(30) & (top >= 50),
        "black": top < 70,
    }
    total = len(part)
    return {name: ((200 * int(hits.sum()) + total) // (2 * total)) / 100 for name, hits in classes.items()}
