"""A stand-in video: the right length and frame rate, hardly any picture, for tests that need real lengths."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cotgen.ffmpeg import write_video

_PERIOD = 256


def stand_in_video(path: Path, seconds: int, size: tuple[int, int] = (64, 48), *, extra: int = 1) -> None:
    """Write a 25 fps video of a grey gradient that moves with each frame.

    Args:
        path: the MP4 file; its folder must exist.
        seconds: rows of the tool file that goes with it.
        size: width and height, even numbers.
        extra: frames beyond `25 * seconds`: 1 in nearly all surgeries of Cholec80, 2 in a few.

    Raises:
        CotgenError: ffmpeg failed.
    """
    width, height = size
    levels = (np.arange(_PERIOD + width, dtype=np.int64) * 2 % 256).astype(np.uint8)
    # All pictures of one period are made once and handed out again.
    period = [
        np.ascontiguousarray(np.broadcast_to(levels[shift : shift + width, None], (height, width, 3)))
        for shift in range(_PERIOD)
    ]

    def frames() -> Iterator[npt.NDArray[np.uint8]]:
        for frame in range(25 * seconds + extra):
            yield period[frame % _PERIOD]

    write_video(path, frames(), width=width, height=height, options={"preset": "ultrafast", "crf": 35, "g": 250})
