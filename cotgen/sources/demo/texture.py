"""Drawing of soft things: noise, masks of curved shapes, and the shading that makes a mask look like wet tissue.

Arrays see only + - * / and square roots, which round alike on every processor, and random bytes come from hashes: a
picture is the same wherever it is drawn.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from cotgen.draws import draw
from cotgen.sources.demo.look import RGB, Look

Floats = npt.NDArray[np.float32]
Point = tuple[float, float]
#: Left, top, right, bottom in pixels.
Window = tuple[int, int, int, int]

#: How far the drawn scene reaches beyond the picture on each side, in picture heights: room for the camera to move.
MARGIN = 0.08
#: Masks are drawn this much larger and reduced.
_FINER = 2


class Canvas:
    """A scene in colour, `pixels` (height x width x 3, 0..255 as float32), larger than the picture by MARGIN.

    Points are in picture heights from the centre of the picture, x to the right, y down. `front` is the mask of bodies
    that later ones may pass behind.
    """

    def __init__(self, size: tuple[int, int], look: Look) -> None:
        self.look = look
        self.scale = size[1]
        self.margin = round(MARGIN * size[1])
        self.width = size[0] + 2 * self.margin
        self.height = size[1] + 2 * self.margin
        self.pixels: Floats = np.zeros((self.height, self.width, 3), np.float32)
        self.front = Image.new("L", (self.width, self.height), 0)

    def copy(self) -> Canvas:
        """The same scene, to be painted over."""
        twin = Canvas((self.width - 2 * self.margin, self.height - 2 * self.margin), self.look)
        twin.pixels = self.pixels.copy()
        twin.front = self.front.copy()
        return twin

    def pixel(self, x: float, y: float) -> Point:
        """Where a point lies on the canvas."""
        return (self.width / 2 + x * self.scale, self.height / 2 + y * self.scale)

    def image(self) -> Image.Image:
        """The scene as an RGB image."""
        return Image.fromarray(np.clip(self.pixels, 0, 255).astype(np.uint8), "RGB")

    def tube(self, points: Sequence[Point], radii: Sequence[float]) -> Image.Image:
        """The mask of a round body along a smooth line through `points`, with these radii."""
        mask, draw_on = self._mask()
        line = smooth([(*point, radius) for point, radius in zip(points, radii, strict=True)])
        factor = self.scale * _FINER
        for (x0, y0, r0), (x1, y1, r1) in pairwise(line):
            (px, py), (qx, qy) = self.pixel(x0, y0), self.pixel(x1, y1)
            px, py, qx, qy = (value * _FINER for value in (px, py, qx, qy))
            length = math.hypot(qx - px, qy - py) or 1.0
            nx, ny = (qy - py) / length, (px - qx) / length
            a, b = r0 * factor, r1 * factor
            draw_on.ellipse((px - a, py - a, px + a, py + a), fill=255)
            corners = [(px + nx * a, py + ny * a), (qx + nx * b, qy + ny * b)]
            corners += [(qx - nx * b, qy - ny * b), (px - nx * a, py - ny * a)]
            draw_on.polygon(corners, fill=255)
        (x0, y0, r0) = line[-1]
        (px, py), a = self.pixel(x0, y0), r0 * factor
        draw_on.ellipse((px * _FINER - a, py * _FINER - a, px * _FINER + a, py * _FINER + a), fill=255)
        return mask.reduce(_FINER)

    def blob(
        self, x: float, y: float, rx: float, ry: float, rough: float, name: str, turn: float = 0.0
    ) -> Image.Image:
        """The mask of an ellipse with a wavy border; `rough` is the share by which its radius varies."""
        waves = [
            (n, self.look.between(-rough, rough, name, f"a{n}") / n, self.look.between(0, math.tau, name, f"p{n}"))
            for n in range(2, 8)
        ]
        c, s = math.cos(turn), math.sin(turn)
        points = []
        for step in range(96):
            angle = math.tau * step / 96
            radius = 1 + sum(a * math.sin(n * angle + p) for n, a, p in waves) * 2
            u, v = rx * radius * math.cos(angle), ry * radius * math.sin(angle)
            px, py = self.pixel(x + c * u - s * v, y + s * u + c * v)
            points.append((px * _FINER, py * _FINER))
        mask, draw_on = self._mask()
        draw_on.polygon(points, fill=255)
        return mask.reduce(_FINER)

    def whole(self) -> Image.Image:
        """The mask of everything."""
        return Image.new("L", (self.width, self.height), 255)

    def _mask(self) -> tuple[Image.Image, ImageDraw.ImageDraw]:
        mask = Image.new("L", (self.width * _FINER, self.height * _FINER), 0)
        return mask, ImageDraw.Draw(mask)

    def noise(self, cell: float, name: str, octaves: int = 3, window: Window | None = None) -> Floats:
        """Smooth noise, 0..1, with spots about `cell` picture heights across, and finer ones in further octaves.

        Args:
            cell: size of the largest spots.
            name: of the noise; the same name gives the same noise.
            octaves: how many sizes of spots, each half as large and half as strong as the one before.
            window: the part of the canvas that is wanted; the whole by default.
        """
        left, top, right, bottom = window or (0, 0, self.width, self.height)
        total = np.zeros((bottom - top, right - left), np.float32)
        weight = 0.0
        for octave in range(octaves):
            share = 0.5**octave
            size = cell * self.scale * share
            if size < 1.5 and octave:
                # Finer than the picture.
                break
            size = max(size, 1.5)
            columns, rows = math.ceil(self.width / size) + 3, math.ceil(self.height / size) + 3
            raw = random_bytes(self.look.seed, columns * rows, self.look.key, name, str(octave))
            grid = Image.frombytes("L", (columns, rows), raw).convert("F")
            box = (1 + left / size, 1 + top / size, 1 + right / size, 1 + bottom / size)
            layer = grid.resize((right - left, bottom - top), Image.Resampling.BICUBIC, box)
            total += np.asarray(layer, np.float32) * np.float32(share / 255)
            weight += share
        return total / np.float32(weight)

    def paint(
        self,
        mask: Image.Image,
        colour: RGB,
        *,
        bulge: float,
        name: str,
        bumps: float = 0.0,
        cell: float = 0.05,
        mottle: float = 0.18,
        gloss: float = 0.5,
        shadow: float = 0.35,
        vessels: int = 0,
        vessel_colour: RGB = (150, 40, 40),
        alpha: float = 1.0,
        soft: float = 0.0,
        front: bool = False,
        behind: bool = False,
    ) -> None:
        """Paint a soft body: a mask that bulges towards the camera, lit from beside it.

        Args:
            mask: of the canvas' size.
            colour: of the surface where it faces the light.
            bulge: how far from its border a body curves, in picture heights; 0 for a flat one.
            name: of its noise.
            bumps: how uneven the surface is.
            cell: size of its largest spots and bumps, in picture heights.
            mottle: by how much its colour varies, as a share.
            gloss: strength of reflections of the light.
            shadow: how dark its shadow on what lies behind is.
            vessels: how many branching vessels run over it.
            vessel_colour: their colour.
            alpha: 1 for an opaque body.
            soft: over how many picture heights its border fades into what lies behind.
            front: later bodies may pass behind this one.
            behind: this one passes behind those in front.
        """
        if soft:
            mask = mask.filter(ImageFilter.GaussianBlur(soft * self.scale))
        if behind:
            mask = ImageChops.subtract(mask, self.front)
        if front:
            self.front = ImageChops.lighter(self.front, mask)
        bounds = mask.getbbox()
        if bounds is None:
            return
        if shadow:
            self._cast(mask, shadow)
        window = self._padded(bounds, 0.02)
        left, top, right, bottom = window
        part = mask.crop(window)
        noise = self.noise(cell, name, 3, window)
        fine = self.noise(0.022, name + ".fine", 2, window)
        height = (noise - np.float32(0.5)) * np.float32(bumps) + (fine - np.float32(0.5)) * np.float32(bumps * 0.05)
        if bulge:
            height = height + self._dome(part, bulge)
        shade, shine = _lit(height * np.float32(self.scale))
        variation = (
            1 + (noise - np.float32(0.5)) * np.float32(2 * mottle) + (fine - np.float32(0.5)) * np.float32(mottle)
        )
        surface = variation[..., None] * np.asarray(colour, np.float32)
        if vessels:
            lines = np.asarray(self._vessels(mask, vessels, name).crop(window), np.float32)[..., None] / np.float32(
                255
            )
            surface = surface * (1 - lines) + np.asarray(vessel_colour, np.float32) * lines
        surface = surface * shade[..., None] + (shine * np.float32(255 * gloss))[..., None]
        cover = np.asarray(part, np.float32)[..., None] * np.float32(alpha / 255)
        pixels = self.pixels[top:bottom, left:right]
        pixels += (surface - pixels) * cover

    def _padded(self, bounds: Window, pad: float) -> Window:
        wide = math.ceil(pad * self.scale)
        left, top, right, bottom = bounds
        return max(0, left - wide), max(0, top - wide), min(self.width, right + wide), min(self.height, bottom + wide)

    def _cast(self, mask: Image.Image, strength: float) -> None:
        """Darken what lies behind a body, below and to the right of it."""
        step, soft = round(0.012 * self.scale), 0.022
        moved = Image.new("L", mask.size, 0)
        moved.paste(mask, (step, 2 * step))
        bounds = moved.getbbox()
        if bounds is None:
            return
        left, top, right, bottom = self._padded(bounds, 3 * soft)
        blurred = moved.crop((left, top, right, bottom)).filter(ImageFilter.GaussianBlur(soft * self.scale))
        self.pixels[top:bottom, left:right] *= 1 - np.asarray(blurred, np.float32)[..., None] * np.float32(
            strength / 255
        )

    def _dome(self, part: Image.Image, bulge: float) -> Floats:
        # Blurs of a mask at several widths add up to a cheap dome: steep at the border, flat in the middle. They are
        # made small and enlarged as real numbers, else their 256 levels show as terraces.
        smallest = abs(bulge) * self.scale / 4
        factor = 4 if smallest >= 8 else 2 if smallest >= 3 else 1
        small = part.reduce(factor)
        total = np.zeros((small.height, small.width), np.float32)
        for share, weight in ((1.0, 0.5), (0.5, 0.3), (0.25, 0.2)):
            blurred = small.filter(ImageFilter.GaussianBlur(abs(bulge) * share * self.scale / factor))
            total += np.asarray(blurred, np.float32) * np.float32(weight / 255)
        box = (0.0, 0.0, part.width / factor, part.height / factor)
        large = Image.fromarray(total).resize(part.size, Image.Resampling.BICUBIC, box)
        return np.asarray(large, np.float32) * np.float32(bulge * 1.6)

    def _vessels(self, mask: Image.Image, count: int, name: str) -> Image.Image:
        lines, draw_on = self._mask()
        left, top, right, bottom = mask.getbbox() or (0, 0, 1, 1)
        for n in range(count):
            x = self.look.between(left, right, name, f"vessel{n}.x") * _FINER
            y = self.look.between(top, bottom, name, f"vessel{n}.y") * _FINER
            heading = self.look.between(0, math.tau, name, f"vessel{n}.turn")
            self._branch(draw_on, (x, y), heading, 0.007, 3, f"{name}.vessel{n}")
        return lines.reduce(_FINER).filter(ImageFilter.GaussianBlur(0.6))

    def _branch(
        self, draw_on: ImageDraw.ImageDraw, start: Point, heading: float, wide: float, depth: int, name: str
    ) -> None:
        points = [start]
        step = 0.022 * self.scale * _FINER
        for n in range(7):
            heading += self.look.between(-0.45, 0.45, name, str(n))
            x, y = points[-1]
            points.append((x + step * math.cos(heading), y + step * math.sin(heading)))
        draw_on.line(points, fill=90 + 35 * depth, width=max(1, round(wide * self.scale * _FINER)), joint="curve")
        if depth > 1:
            for side in (-1, 1):
                turned = heading + side * self.look.between(0.3, 0.8, name, f"side{side}")
                self._branch(draw_on, points[-1], turned, wide * 0.65, depth - 1, f"{name}{side}")


def smooth(points: Sequence[tuple[float, ...]], steps: int = 10) -> list[tuple[float, ...]]:
    """A Catmull-Rom curve through points of any dimension."""
    if len(points) < 3:
        return list(points)
    padded = [points[0], *points, points[-1]]
    curve = []
    for before, start, end, after in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        for step in range(steps):
            t = step / steps
            curve.append(
                tuple(
                    0.5
                    * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t * t * t)
                    for a, b, c, d in zip(before, start, end, after, strict=True)
                )
            )
    return [*curve, tuple(points[-1])]


def random_bytes(seed: int, count: int, *names: str) -> bytes:
    """Bytes drawn for these names."""
    start = draw(seed, *names)
    blocks = (hashlib.blake2b((start + n).to_bytes(9, "big")).digest() for n in range(-(-count // 64)))
    return b"".join(blocks)[:count]


def _lit(height: Floats) -> tuple[Floats, Floats]:
    """Diffuse brightness and reflection of a surface given as heights in pixels."""
    down, right = np.gradient(height)
    norm = 1 / np.sqrt(down * down + right * right + np.float32(1))
    # The light sits a little above and left of the camera.
    facing = np.maximum((right * np.float32(0.34) + down * np.float32(0.42) + np.float32(0.84)) * norm, 0)
    shade = np.float32(0.36) + np.float32(0.90) * facing
    half = np.maximum((right * np.float32(0.177) + down * np.float32(0.219) + np.float32(0.959)) * norm, 0)
    shine = half
    for _ in range(6):
        shine = shine * shine
    # Only what reflects nearly straight back, so that a flat surface does not turn white.
    shine = np.maximum(shine - np.float32(0.80), 0) * np.float32(4.2)
    return shade, shine
