"""The processor of a model: what it makes of a picture's size, which decides what a box in `resized` pixels means.

Training, serving and evaluation must resize alike. `from_pretrained` ignores some spellings of the budget without a
word, so the budget is not believed but tried, on pictures of known size, before training begins.
"""

from __future__ import annotations

from typing import Any

from PIL import Image

from cotgen.chains.boxes import BoxConvention, BoxFormat
from cotgen.errors import CotgenError

#: Cholec80, EndoVis, full HD, and a size that no patch divides.
TRIED = ((854, 480), (1280, 1024), (1920, 1080), (641, 479))


def box_format(processor: Any, convention: BoxConvention) -> BoxFormat:
    """The convention with the pixel budget of a processor, tried on known pictures.

    Args:
        processor: of transformers, with an `image_processor`; or that itself.
        convention: how boxes are written.

    Raises:
        CotgenError: boxes are to be written in `resized` pixels, and the processor tells no budget or resizes in
            another way than it tells.
    """
    if convention != "resized":
        return BoxFormat.of(convention)
    images = getattr(processor, "image_processor", processor)
    size = getattr(images, "size", None) or {}
    least = getattr(images, "min_pixels", None) or size.get("shortest_edge")
    most = getattr(images, "max_pixels", None) or size.get("longest_edge")
    if not least or not most:
        raise CotgenError(
            f"{type(images).__name__} tells no min_pixels and max_pixels, so nobody knows what a resized pixel is; "
            "write boxes per_mille, or give the processor both"
        )
    boxes = BoxFormat(convention, least, most)
    check_resize(processor, boxes)
    return boxes


def check_resize(processor: Any, boxes: BoxFormat) -> None:
    """Refuse a processor that makes pictures of another size than a box format counts on.

    Args:
        processor: of transformers, with an `image_processor` that gives `image_grid_thw`; or that itself.
        boxes: how boxes are written; only `resized` depends on the processor.

    Raises:
        CotgenError: the sizes differ, or the processor does not tell them.
    """
    if boxes.convention != "resized":
        return
    images = getattr(processor, "image_processor", processor)
    for size in TRIED:
        made = images(images=[Image.new("RGB", size)])
        grid = made.get("image_grid_thw")
        if grid is None:
            raise CotgenError(
                f"{type(images).__name__} does not tell to what size it resizes; write boxes per_mille for this model"
            )
        _, rows, columns = (int(n) for n in grid[0])
        found = columns * images.patch_size, rows * images.patch_size
        if found != boxes.grid(size):
            raise CotgenError(
                f"the processor makes {found[0]} x {found[1]} pixels of {size[0]} x {size[1]}, and boxes are written for "
                f"{boxes.grid(size)[0]} x {boxes.grid(size)[1]}: give the processor min_pixels={boxes.min_pixels} and "
                f"max_pixels={boxes.max_pixels}, or write boxes per_mille for a model whose patches are not Qwen2.5-VL's"
            )
