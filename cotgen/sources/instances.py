"""Instances: one mask for each thing, from COCO run lengths or from a stack of masks in an NPY file."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

from cotgen.errors import SourceError
from cotgen.sources.files import read_bytes
from cotgen.sources.masks import MAX_PIXELS, Mask

MAX_STACK_BYTES = 256 * 2**20
#: Instances of one picture; the releases read here have less than twenty.
MOST_INSTANCES = 100


@dataclass(frozen=True, slots=True)
class Runs:
    """A mask as COCO keeps it: lengths of runs down the columns, the first of them outside the mask.

    Attributes:
        file: the file that holds it, for messages.
        height: of the picture, in pixels.
        width: of the picture, in pixels.
        counts: the lengths, or their compressed text.
    """

    file: str
    height: int
    width: int
    counts: str | tuple[int, ...]


def mask_of(runs: Runs) -> Mask:
    """The mask, bool array of height, width.

    Raises:
        SourceError: the run lengths do not fill the picture.
    """
    lengths = _lengths(runs) if isinstance(runs.counts, str) else runs.counts
    pixels = runs.height * runs.width
    if pixels > MAX_PIXELS or any(n < 0 for n in lengths) or sum(lengths) != pixels:
        raise SourceError(
            f"has an outline whose run lengths do not fill {runs.width} x {runs.height} pixels; get the file again",
            file=runs.file,
        )
    inside = np.arange(len(lengths)) % 2 == 1
    return np.ascontiguousarray(np.repeat(inside, lengths).reshape(runs.width, runs.height).T)


def _lengths(runs: Runs) -> Sequence[int]:
    """Lengths of the compressed text: five bits a character from `0` on, lowest first; the sixth says that more follow.

    From the fourth on a length is told as the difference to the last but one.
    """
    found: list[int] = []
    value = shift = 0
    for character in str(runs.counts):
        code = ord(character) - 48
        if not 0 <= code < 64 or shift > 40:
            raise SourceError("has an outline that is no COCO run-length text; get the file again", file=runs.file)
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        found.append(value + found[-2] if len(found) > 2 else value)
        value = shift = 0
    if shift:
        raise SourceError("has an outline whose run-length text is cut off; get the file again", file=runs.file)
    return found


def read_stack(root: Path, file: str, height: int, width: int) -> list[Mask]:
    """The masks of an NPY file of (height, width, instances) or (instances, height, width).

    Raises:
        SourceError: it is no such array, of another size, or needs unpickling.
    """
    stack = _array(root, file)
    if stack.ndim != 3:
        raise SourceError(f"has {stack.ndim} axes; height, width and instances were expected", file=file)
    if stack.shape[:2] == (height, width):
        stack = np.moveaxis(stack, 2, 0)
    elif stack.shape[1:] != (height, width):
        raise SourceError(f"is {' x '.join(map(str, stack.shape))}; the picture is {height} x {width}", file=file)
    if len(stack) > MOST_INSTANCES:
        raise SourceError(f"has {len(stack)} masks; at most {MOST_INSTANCES} were expected", file=file)
    return [np.ascontiguousarray(layer != 0) for layer in stack]


def _array(root: Path, file: str) -> np.ndarray[Any, np.dtype[Any]]:
    data = io.BytesIO(read_bytes(root, file, MAX_STACK_BYTES))
    try:
        version = np.lib.format.read_magic(data)
        if version not in ((1, 0), (2, 0)):
            raise ValueError
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = read(data)
        # The header is held against the file before anything of the size that it claims is allocated.
        if kind.kind not in "biuf" or math.prod(shape) * kind.itemsize != len(data.getbuffer()) - data.tell():
            raise ValueError
        data.seek(0)
        array: np.ndarray[Any, np.dtype[Any]] = np.load(data, allow_pickle=False)
    except (
        ValueError,
        OSError,
        EOFError,
        TypeError,
        KeyError,
        OverflowError,
        SyntaxError,
        RecursionError,
        TokenError,
    ):
        raise SourceError("is no NPY file of numbers; get it again", file=file) from None
    return array
