"""Masks: pictures whose pixels name classes, read with bounds, and what their outlines give: boxes, areas, pieces, gaps."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from cotgen.errors import SourceError
from cotgen.sources.base import inside
from cotgen.sources.files import is_file, read_bytes

Mask: TypeAlias = NDArray[np.bool_]
Labels: TypeAlias = NDArray[np.uint8]

MAX_MASK_BYTES = 64 * 2**20
#: Pixels of the largest mask: 8K video.
MAX_PIXELS = 7680 * 4320
#: Gaps are measured up to this distance, in pixels; outlines further apart have none.
FARTHEST = 50
#: Border pixels are compared with those of their own and the neighbouring squares of this side, which hold all that are
#: near enough.
_SQUARE = FARTHEST + 2


def read_labels(root: Path, file: str) -> Labels:
    """The class of each pixel, from a grey or palette PNG or one with equal channels.

    Returns:
        uint8 array of height, width.

    Raises:
        SourceError: it is no such picture.
    """
    found = _picture(root, file)
    # The alpha channel of a mask says nothing; the numbers of a palette are the classes.
    array = np.asarray(found.convert({"RGBA": "RGB", "LA": "L", "PA": "P"}.get(found.mode, found.mode)))
    if found.mode in ("P", "PA"):
        palette = np.array(found.getpalette("RGB") or [0, 0, 0], dtype=np.uint8).reshape(-1, 3)
        used = np.unique(array)
        # Grey values saved with a palette have been numbered anew, most frequent first: the values are the classes.
        if used.max(initial=0) < len(palette) and (palette == palette[:, :1]).all():
            values = palette[used, 0]
            array = palette[array, 0] if len(np.unique(values)) == len(used) else array
    if array.dtype.kind not in "biu":
        raise SourceError("holds fractions; a mask of classes was expected", file=file)
    if array.ndim == 2:
        if array.dtype not in (np.uint8, np.bool_) and (array.min(initial=0) < 0 or array.max(initial=0) > 255):
            raise SourceError("holds values over 255; a mask of classes was expected", file=file)
        return array.astype(np.uint8)
    first = array[:, :, 0]
    if array.shape[2] != 3 or not ((array[:, :, 1] == first).all() and (array[:, :, 2] == first).all()):
        raise SourceError("has channels that differ; a mask with one class per pixel was expected", file=file)
    return np.ascontiguousarray(first)


def read_colours(root: Path, file: str) -> NDArray[np.uint8]:
    """The colour of each pixel, uint8 array of height, width, 3.

    Raises:
        SourceError: it is no picture.
    """
    return np.asarray(_picture(root, file).convert("RGB"))


def size_of(root: Path, file: str) -> tuple[int, int]:
    """Width and height of a picture, from its header.

    Raises:
        SourceError: it is no picture.
    """
    try:
        if not is_file(inside(root, file)):
            raise SourceError("is no plain file; a picture was expected", file=file)
        with inside(root, file).open("rb") as handle, Image.open(handle) as picture:
            return picture.size
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        raise SourceError("is no readable picture; get it again", file=file) from None


#: Two pictures have one shape where their sides have the same ratio within so much percent.
SAME_SHAPE = 1


def check_shape(
    root: Path, file: str, size: tuple[int, int], picture: str, crop: tuple[int, int] | None = None
) -> None:
    """Refuse labels whose width and height are not of the shape of their picture: they are of another one, or of a part.

    Labels of the same shape and another size fit, since boxes are shares of the sides.

    Args:
        root: folder of the source.
        file: the labels, for the message.
        size: their width and height.
        picture: the picture, relative to root.
        crop: width and height of what is kept of the picture, where that is not all.

    Raises:
        SourceError: names both files and sizes.
    """
    try:
        own = crop or size_of(root, picture)
    except SourceError:
        return  # its frame is left out when the pictures are read
    one, other = size[0] * own[1], size[1] * own[0]
    if 100 * abs(one - other) > SAME_SHAPE * max(one, other):
        raise SourceError(
            f"is of {size[0]} x {size[1]} pixels and {picture} has {own[0]} x {own[1]}: another shape, so its outlines "
            "would lie elsewhere; get the two of one release",
            file=file,
        )


def _picture(root: Path, file: str) -> Image.Image:
    data = read_bytes(root, file, MAX_MASK_BYTES)
    try:
        picture = Image.open(io.BytesIO(data))
        if picture.width * picture.height > MAX_PIXELS:
            raise SourceError(
                f"is {picture.width} x {picture.height}; no picture of the data sets is so large", file=file
            )
        picture.load()
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise SourceError("is no readable picture; get it again", file=file) from None
    return picture


def box_of(mask: Mask) -> list[float]:
    """The bounding box of a mask, x1, y1, x2, y2 in 0..1 of its size, x2 and y2 exclusive; [] for an empty mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return []
    height, width = mask.shape
    return [
        float(columns[0] / width), float(rows[0] / height), float((columns[-1] + 1) / width), float((rows[-1] + 1) / height),
    ]  # fmt: skip


def area_of(mask: Mask) -> float:
    """The share of the picture that a mask covers, rounded to 0.0001."""
    return round(int(np.count_nonzero(mask)) / mask.size, 4)


def pieces_of(mask: Mask) -> list[int]:
    """The sizes of the connected pieces of a mask in pixels, largest first (neighbours by edge or corner)."""
    return [size for size, _ in _pieces(mask)]


def box_of_main(mask: Mask, least: float) -> list[float]:
    """The bounding box, as `box_of`, of the pieces that hold at least this share of a mask.

    Stray pixels of an outline, and bits of it behind something else, do not widen it. The largest piece always counts.
    """
    found = _pieces(mask)
    if not found:
        return []
    whole = sum(size for size, _ in found)
    kept = [box for n, (size, box) in enumerate(found) if n == 0 or size >= least * whole]
    height, width = mask.shape
    return [
        min(box[0] for box in kept) / width, min(box[1] for box in kept) / height,
        max(box[2] for box in kept) / width, max(box[3] for box in kept) / height,
    ]  # fmt: skip


def _pieces(mask: Mask) -> list[tuple[int, tuple[int, int, int, int]]]:
    """(size, box in pixels) of the connected pieces of a mask, largest first.

    Runs of each row are joined with those that they touch in the row above.
    """
    parent: list[int] = []
    size: list[int] = []
    boxes: list[tuple[int, int, int, int]] = []

    def root(n: int) -> int:
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    above: list[tuple[int, int, int]] = []
    for y, row in enumerate(mask):
        edges = np.flatnonzero(np.diff(np.concatenate(([0], row.view(np.int8), [0]))))
        current: list[tuple[int, int, int]] = []
        at = 0
        for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            own = len(parent)
            parent.append(own)
            size.append(end - start)
            boxes.append((start, y, end, y + 1))
            while at < len(above) and above[at][1] < start:
                at += 1
            other = at
            while other < len(above) and above[other][0] <= end:
                a, b = root(own), root(above[other][2])
                if a != b:
                    parent[b] = a
                    size[a] += size[b]
                    one, two = boxes[a], boxes[b]
                    boxes[a] = min(one[0], two[0]), min(one[1], two[1]), max(one[2], two[2]), max(one[3], two[3])
                other += 1
            current.append((start, end, own))
        above = current
    return sorted(
        ((size[n], boxes[n]) for n in range(len(parent)) if parent[n] == n), key=lambda piece: (-piece[0], piece[1])
    )


def gap_of(one: Mask, other: Mask) -> float | None:
    """Pixels between two masks, edge to edge: 0 where they touch or overlap, None over `FARTHEST`; to 0.1.

    The distance is that of the nearest pixel centres, less one.
    """
    boxes = [(np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))) for mask in (one, other)]
    if any(not len(rows) for rows, _ in boxes):
        return None
    for axis in (0, 1):
        a, b = boxes[0][axis], boxes[1][axis]
        if max(a[0], b[0]) - min(a[-1], b[-1]) > FARTHEST + 1:
            return None
    if (one & other).any():
        return 0.0
    first, second = _squares(_border(one)), _squares(_border(other))
    least = math.inf
    for (y, x), part in first.items():
        near = [second[there] for a in (-1, 0, 1) for b in (-1, 0, 1) if (there := (y + a, x + b)) in second]
        if not near:
            continue
        others = np.concatenate(near)[None, :, :]
        for start in range(0, len(part), 256):
            delta = part[start : start + 256, None, :] - others
            least = min(least, float((delta**2).sum(axis=2).min()))
        if least <= 1:
            return 0.0
    if least == math.inf:
        return None
    distance = max(0.0, math.sqrt(least) - 1)
    return round(distance, 1) if distance <= FARTHEST else None


def _border(mask: Mask) -> NDArray[np.int32]:
    """The pixels of a mask that have a neighbour outside it; all of a mask that fills the picture."""
    inner = mask.copy()
    inner[1:, :] &= mask[:-1, :]
    inner[:-1, :] &= mask[1:, :]
    inner[:, 1:] &= mask[:, :-1]
    inner[:, :-1] &= mask[:, 1:]
    found = np.argwhere(mask & ~inner).astype(np.int32)
    return found if len(found) else np.argwhere(mask).astype(np.int32)


def _squares(points: NDArray[np.int32]) -> dict[tuple[int, int], NDArray[np.int32]]:
    """The points of each square of the picture."""
    squares = points // _SQUARE
    order = np.lexsort((squares[:, 1], squares[:, 0]))
    ends = np.flatnonzero(np.diff(squares[order], axis=0).any(axis=1)) + 1
    return {(int(part[0, 0]) // _SQUARE, int(part[0, 1]) // _SQUARE): part for part in np.split(points[order], ends)}
