"""Drawn scenes for the look-alikes whose labels are outlines: each thing is a filled shape, and its mask the same shape."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

from cotgen.draws import draw

#: Corners of a polygon in 0..1 of the picture.
Shape = tuple[tuple[float, float], ...]
TISSUE = (150, 72, 62)


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing of a scene: what it is, its colour, its shape."""

    name: str
    colour: tuple[int, int, int]
    shape: Shape


def blob(x: float, y: float, width: float, height: float, *names: str, seed: int = 0, corners: int = 14) -> Shape:
    """A rounded shape around a centre, its border uneven by what `names` draw."""
    found = []
    for n in range(corners):
        angle = 2 * math.pi * n / corners
        reach = 0.85 + (draw(seed, *names, str(n)) % 31) / 100
        found.append((x + width / 2 * reach * math.cos(angle), y + height / 2 * reach * math.sin(angle)))
    return tuple(found)


def rod(x: float, y: float, to_x: float, to_y: float, width: float) -> Shape:
    """A straight shaft from one point to another."""
    length = math.hypot(to_x - x, to_y - y) or 1.0
    across, down = -(to_y - y) / length * width / 2, (to_x - x) / length * width / 2
    return (x + across, y + down), (to_x + across, to_y + down), (to_x - across, to_y - down), (x - across, y - down)


def paint(size: tuple[int, int], things: Sequence[Thing], *, ground: tuple[int, int, int] = TISSUE) -> Image.Image:
    """The picture of a scene, later things over earlier ones."""
    picture = Image.new("RGB", size, ground)
    pen = ImageDraw.Draw(picture)
    for thing in things:
        pen.polygon(_pixels(thing.shape, size), fill=thing.colour)
    return picture.filter(ImageFilter.GaussianBlur(1))


def classes(size: tuple[int, int], things: Sequence[Thing], values: Mapping[str, int]) -> Image.Image:
    """A grey picture with the value of each thing; later things hide earlier ones."""
    mask = Image.new("L", size, 0)
    pen = ImageDraw.Draw(mask)
    for thing in things:
        pen.polygon(_pixels(thing.shape, size), fill=values.get(thing.name, 0))
    return mask


def colours(
    size: tuple[int, int],
    things: Sequence[Thing],
    values: Mapping[str, tuple[int, int, int]],
    ground: tuple[int, int, int],
) -> Image.Image:
    """A coloured mask."""
    mask = Image.new("RGB", size, ground)
    pen = ImageDraw.Draw(mask)
    for thing in things:
        pen.polygon(_pixels(thing.shape, size), fill=values.get(thing.name, ground))
    return mask


def extent(size: tuple[int, int], shape: Shape) -> tuple[int, int, int, int]:
    """The bounding box of a shape in pixels, clipped to the picture."""
    points = _pixels(shape, size)
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return max(min(xs), 0), max(min(ys), 0), min(max(xs) + 1, size[0]), min(max(ys) + 1, size[1])


def save(picture: Image.Image, path: Path) -> None:
    """Write a PNG or JPEG with the same bytes each time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        picture.save(path, compress_level=6)
    else:
        picture.save(path, quality=90, subsampling=2)


def write(path: Path, text: str) -> None:
    """Write a text file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def _pixels(shape: Shape, size: tuple[int, int]) -> list[tuple[int, int]]:
    return [(round(x * (size[0] - 1)), round(y * (size[1] - 1))) for x, y in shape]
