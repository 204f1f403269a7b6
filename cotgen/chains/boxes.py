"""BoxFormat: how a text writes boxes for one kind of model, and how its replies are read back.

Each convention is a grid laid over the picture. A stored edge is written as the nearest line of the grid and read as
the nearest pixel, so it comes back exactly where the grid is at least as fine as the picture. On a coarser grid it is
off by at most half a step and the rounding to pixels: by 1 pixel for 1920 x 1080 in thousandths or in the 1316 x 728
pixels that Qwen2.5-VL makes of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from cotgen.models.images import MAX_PIXELS, MIN_PIXELS, target_size
from cotgen.tasks.boxes import FOUR_NUMBERS

#: `index`: as stored, `<bbox:n>`; `bare`: `<bbox>`, whose numbers stand beside the text (ms-swift); `pixels`: of the
#: stored picture; `resized`: pixels of the picture as Qwen2.5-VL's processor resizes it; `per_mille`: 0 to 1000 of width
#: and height (Qwen2-VL, Qwen3-VL, InternVL); `normalised`: 0 to 1, four decimals.
BoxConvention = Literal["index", "bare", "pixels", "resized", "per_mille", "normalised"]
BOX_CONVENTIONS: tuple[BoxConvention, ...] = get_args(BoxConvention)

Size: TypeAlias = tuple[int, int]

_BEGIN = "<bbox:"
_STORED = re.compile(r"<bbox:([0-9]{1,4})>")
_WRITTEN = re.compile(FOUR_NUMBERS)
_MILLE = 1000
_DECIMALS = 4


def named_boxes(text: str) -> list[int]:
    """The numbers n of the `<bbox:n>` in a text, in its order; one that comes twice is twice in it."""
    return [int(number) for number in _STORED.findall(text)] if _BEGIN in text else []


@dataclass(frozen=True, slots=True)
class BoxFormat:
    """A convention, with the pixel budget of the model's processor where it depends on that.

    Attributes:
        convention: how boxes are written.
        min_pixels: of the processor, for `resized`.
        max_pixels: of the processor, for `resized`; training, serving and evaluation must have the same.
    """

    convention: BoxConvention = "pixels"
    min_pixels: int = MIN_PIXELS
    max_pixels: int = MAX_PIXELS

    @classmethod
    def of(cls, given: BoxConvention | BoxFormat) -> BoxFormat:
        """The format itself, or that of a convention with the default budget. Raises ValueError for an unknown name."""
        if isinstance(given, BoxFormat):
            return given
        if given not in BOX_CONVENTIONS:
            raise ValueError(f"'{given}' is no way to write boxes; use one of {', '.join(BOX_CONVENTIONS)}")
        return cls(given)

    def grid(self, size: Size) -> Size:
        """Steps of the grid across the width and down the height of a stored picture of `size` pixels.

        Raises:
            CotgenError: `resized`, and the picture is too narrow for the processor.
        """
        if self.convention == "resized":
            return target_size(*size, min_pixels=self.min_pixels, max_pixels=self.max_pixels)
        if self.convention == "per_mille":
            return _MILLE, _MILLE
        if self.convention == "normalised":
            return 10**_DECIMALS, 10**_DECIMALS
        return size

    def write(self, text: str, boxes: Sequence[Sequence[int]], size: Size) -> str:
        """Replace each `<bbox:n>` by box n as `[x1, y1, x2, y2]`, which keeps at least one step of width and height.

        Args:
            text: text with `<bbox:n>`.
            boxes: `[x1, y1, x2, y2]` in pixels of the stored picture.
            size: width and height of the stored picture in pixels.

        Raises:
            IndexError: the text names a box that is not there.
        """
        if self.convention == "index" or _BEGIN not in text:
            return text
        if self.convention == "bare":
            return _STORED.sub("<bbox>", text)
        grid = self.grid(size)

        def one(match: re.Match[str]) -> str:
            box = boxes[int(match[1])]
            if grid != size:
                box = _on_grid(box, size, grid)
            if self.convention == "normalised":
                return f"[{', '.join(f'{value / 10**_DECIMALS:.{_DECIMALS}f}' for value in box)}]"
            return f"[{', '.join(map(str, box))}]"

        return _STORED.sub(one, text)

    def read(self, text: str, size: Size) -> str:
        """A reply with its boxes in pixels of the stored picture, as the parsers of the tasks take them.

        Args:
            text: text with boxes of this convention; what is no box is left as it is.
            size: width and height of the stored picture in pixels.
        """
        if self.convention in ("index", "bare", "pixels") or "[" not in text:
            return text
        grid = (1, 1) if self.convention == "normalised" else self.grid(size)

        def one(match: re.Match[str]) -> str:
            values = (round(float(match[n + 1]) * size[n % 2] / grid[n % 2]) for n in range(4))
            return f"[{', '.join(map(str, values))}]"

        return _WRITTEN.sub(one, text)


def _on_grid(box: Sequence[int], size: Size, grid: Size) -> list[int]:
    """The nearest lines of the grid; edges that would fall together are moved one step apart."""
    x1, y1, x2, y2 = (round(value * grid[n % 2] / size[n % 2]) for n, value in enumerate(box))
    if x1 == x2:
        x1, x2 = (x1, x2 + 1) if x2 < grid[0] else (x1 - 1, x2)
    if y1 == y2:
        y1, y2 = (y1, y2 + 1) if y2 < grid[1] else (y1 - 1, y2)
    return [x1, y1, x2, y2]
