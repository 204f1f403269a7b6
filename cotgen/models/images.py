"""ModelImage: a stored frame as a model is sent it, made once for all requests of the frame.

Qwen2.5-VL resizes every picture to multiples of 28 pixels within a budget (`smart_resize` in transformers'
`image_processing_qwen2_vl`, Apache-2.0). We resize to the same size before sending: the processor then changes nothing,
boxes in a prompt are in the pixels that the model sees, and less is sent. Other models take the same picture.
"""

from __future__ import annotations

import base64
import io
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, UnidentifiedImageError

from cotgen.errors import CotgenError
from cotgen.frames.encode import encode

#: Side of a visual token of Qwen2.5-VL, in pixels (patch of 14, merged 2 x 2). Qwen3-VL: 32.
FACTOR = 28
#: The budget: 1280 tokens at most, as transformers' default, and 4 at least.
MIN_PIXELS = 4 * FACTOR**2
MAX_PIXELS = 1280 * FACTOR**2


def target_size(
    width: int, height: int, min_pixels: int = MIN_PIXELS, max_pixels: int = MAX_PIXELS, factor: int = FACTOR
) -> tuple[int, int]:
    """Width and height that `smart_resize` gives a picture: multiples of `factor`, the product within the budget.

    854 x 480 gives 840 x 476 (510 tokens), 1280 x 1024 gives 1120 x 896, 1920 x 1080 gives 1316 x 728.

    Raises:
        CotgenError: one side is over 200 times the other, which Qwen's processor refuses.
    """
    if max(width, height) > 200 * min(width, height):
        raise CotgenError(f"A picture of {width} x {height} pixels is too narrow for a model; leave its frames out.")
    columns, rows = (max(factor, round(side / factor) * factor) for side in (width, height))
    if columns * rows > max_pixels:
        shrink = math.sqrt(width * height / max_pixels)
        columns, rows = (max(factor, math.floor(side / shrink / factor) * factor) for side in (width, height))
    elif columns * rows < min_pixels:
        grow = math.sqrt(min_pixels / (width * height))
        columns, rows = (math.ceil(side * grow / factor) * factor for side in (width, height))
    return columns, rows


@dataclass(frozen=True, slots=True)
class ModelImage:
    """A picture ready to be sent.

    Attributes:
        width: in pixels.
        height: in pixels.
        url: the JPEG as a data URL. It takes no part in cache keys: `frame.pixels` and the size do.
    """

    width: int
    height: int
    url: str = field(repr=False)

    @property
    def size(self) -> list[int]:
        """Width and height, as a cache key takes them."""
        return [self.width, self.height]


class ImageMaker:
    """Makes each frame's picture once, and keeps the last few.

    Args:
        max_pixels: the budget of the model; its processor must have the same (vLLM: --mm-processor-kwargs).
        min_pixels: the least.
        factor: the multiple of both sides.
        keep: how many pictures are kept. Requests of a frame come one after the other, so a few are enough.
    """

    def __init__(
        self,
        max_pixels: int = MAX_PIXELS,
        min_pixels: int = MIN_PIXELS,
        factor: int = FACTOR,
        keep: int = 16,
    ) -> None:
        self.made = 0
        self._budget = (min_pixels, max_pixels, factor)
        self._keep = keep
        self._kept: OrderedDict[str, ModelImage] = OrderedDict()

    def size(self, width: int, height: int) -> tuple[int, int]:
        """What `image` will make of a stored picture of this size, without making it."""
        return target_size(width, height, *self._budget)

    def image(self, pixels: str, load: Callable[[], bytes]) -> ModelImage:
        """The picture of a frame.

        Args:
            pixels: `frame.pixels`, which names the picture.
            load: gives the stored JPEG; called only where the picture is not at hand.

        Raises:
            CotgenError: what `load` gives is no picture.
        """
        if pixels in self._kept:
            self._kept.move_to_end(pixels)
            return self._kept[pixels]
        made = self._make(load())
        self.made += 1
        self._kept[pixels] = made
        if len(self._kept) > self._keep:
            self._kept.popitem(last=False)
        return made

    def _make(self, jpeg: bytes) -> ModelImage:
        try:
            with Image.open(io.BytesIO(jpeg)) as stored:
                size = self.size(*stored.size)
                if size != stored.size:
                    resized = stored.convert("RGB").resize(size, Image.Resampling.BICUBIC)
                    jpeg = encode(np.asarray(resized))
        except (UnidentifiedImageError, OSError) as error:
            raise CotgenError(f"A stored frame is no whole JPEG ({error}); run cotgen verify.") from error
        return ModelImage(*size, "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii"))
