"""Instruments, drawn so that a person can tell them apart.

Each is drawn once per surgery and pose, with its tip at the origin and its shaft to the right, then turned and set
into a picture. Sources of the shapes: the descriptions of the instruments in the ontology, and what the real ones look
like: a grasper has two blunt jaws with a slot, a hook a bare L behind a white sleeve, a clip applier parallel jaws with
a clip between them, scissors crossed blades, bipolar forceps two fine insulated tips on a blue shaft, an irrigator is
a straight tube with side holes, a specimen bag a pale pouch with a string.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFilter

from cotgen.sources.demo.look import RGB, Look
from cotgen.sources.demo.texture import Point, smooth

#: How many poses (jaws from nearly closed to open) each instrument is drawn in.
POSES = 3

_FINER = 2
_BLUE: RGB = (88, 128, 214)
_WHITE: RGB = (236, 234, 226)
_DARK: RGB = (26, 24, 26)


@dataclass(frozen=True, slots=True)
class Sprite:
    """A drawn instrument: a picture whose colours are multiplied by its alpha (RGBa), and where in it the tip lies."""

    image: Image.Image
    tip: Point


class _Pen:
    """Draws in picture heights around the tip onto an enlarged RGBA picture."""

    def __init__(self, scale: int, left: float, right: float, half: float) -> None:
        self.factor = scale * _FINER
        self.left, self.half = left, half
        self.image = Image.new("RGBA", (round((left + right) * self.factor), round(2 * half * self.factor)))
        self.draw = ImageDraw.Draw(self.image)

    def at(self, x: float, y: float) -> Point:
        return ((x + self.left) * self.factor, (y + self.half) * self.factor)

    def tube(self, points: Sequence[Point], radii: Sequence[float], colour: RGB, *, shine: float = 0.55) -> None:
        """A round rod along a smooth line, lit from above: drawn as thin strips side by side."""
        line = smooth([(*point, radius) for point, radius in zip(points, radii, strict=True)])
        sides = _normals(line)
        # An outline keeps pale rods apart from pale tissue.
        self._strip(line, sides, -1.08, 1.08, _mixed(colour, 0.28))
        strips = 14
        for n in range(strips):
            low, high = -1 + 2 * n / strips, -1 + 2 * (n + 1.2) / strips
            middle = (low + high) / 2
            # Brightest a third of the way down from the upper border.
            facing = math.sqrt(max(0.0, 1 - min(1.0, abs(middle + 0.30) / 1.32) ** 2))
            tone = 0.22 + 0.80 * facing
            glare = max(0.0, 1 - abs(middle + 0.38) / 0.22) * shine
            shaded = _mixed(colour, tone)
            shaded = tuple(round(c + (255 - c) * glare) for c in shaded)  # type: ignore[assignment]
            self._strip(line, sides, low, min(1.0, high), shaded)

    def _strip(
        self, line: Sequence[tuple[float, ...]], sides: Sequence[Point], low: float, high: float, colour: RGB
    ) -> None:
        upper = [self.at(x + nx * r * low, y + ny * r * low) for (x, y, r), (nx, ny) in zip(line, sides, strict=True)]
        lower = [
            self.at(x + nx * r * high, y + ny * r * high) for (x, y, r), (nx, ny) in zip(line, sides, strict=True)
        ]
        self.draw.polygon([*upper, *reversed(lower)], fill=(*colour, 255))

    def plate(self, points: Sequence[Point], colour: RGB, *, edge: RGB | None = None, width: float = 0.006) -> None:
        """A flat piece with an outline."""
        corners = [self.at(*point) for point in points]
        self.draw.polygon(corners, fill=(*colour, 255))
        if edge is not None:
            closed = [*corners, corners[0], corners[1]]
            self.draw.line(closed, fill=(*edge, 255), width=max(1, round(width * self.factor)), joint="curve")

    def disc(self, x: float, y: float, rx: float, ry: float, colour: RGB) -> None:
        px, py = self.at(x, y)
        a, b = rx * self.factor, ry * self.factor
        self.draw.ellipse((px - a, py - b, px + a, py + b), fill=(*colour, 255))

    def line(self, points: Sequence[Point], colour: RGB, width: float) -> None:
        pixels = [self.at(*point) for point in points]
        self.draw.line(pixels, fill=(*colour, 255), width=max(1, round(width * self.factor)), joint="curve")

    def cut_out(self, points: Sequence[Point]) -> None:
        """A window through which the tissue behind is seen."""
        self.draw.polygon([self.at(*point) for point in points], fill=(0, 0, 0, 0))


def draw_instrument(tool: str, look: Look, scale: int, pose: int) -> Sprite:
    """Draw a tool of the tool files.

    Args:
        tool: its name there, e.g. `Hook`.
        look: the surgery's.
        scale: picture height in pixels.
        pose: 0 to POSES - 1, from nearly closed to open.
    """
    if tool == "SpecimenBag":
        return _bag(look, scale)
    pen = _Pen(scale, 0.12, 1.35, 0.20)
    _DRAWERS[tool](pen, look, pose / (POSES - 1))
    small = pen.image.reduce(_FINER)
    return Sprite(_with_shadow(small, scale), (0.12 * scale, 0.20 * scale))


def _shaft(pen: _Pen, colour: RGB, start: float, radius: float = 0.044) -> None:
    """The shaft grows wider towards the camera."""
    pen.tube([(start, 0), (0.6, 0), (1.35, 0)], [radius, radius * 1.45, radius * 2.1], colour, shine=0.35)


def _jaw(
    length: float, width: float, tip: float, side: int, turn: float, root: float
) -> Callable[[float, float], Point]:
    """Maps a point along and across a jaw that is hinged at x = `root` to the plane."""
    c, s = math.cos(turn), math.sin(turn) * side

    def at(along: float, across: float) -> Point:
        u, v = -along * length, side * across * (width + (tip - width) * along)
        return (root + u * c - v * s * -1, -u * s + v * c)

    return at


def _grasper(pen: _Pen, look: Look, open_: float) -> None:
    metal = look.metal
    _shaft(pen, look.shaft, 0.22, 0.040)
    pen.tube([(0.17, 0), (0.25, 0)], [0.036, 0.040], metal)
    turn = 0.16 + 0.26 * open_
    for side in (1, -1):
        at = _jaw(0.19, 0.040, 0.034, side, turn, 0.18)
        outline = [at(0, -0.1), at(0, 0.9), at(0.5, 1.0), at(0.9, 1.0), at(1.0, 0.7), at(1.02, 0.3), at(0.98, 0.0)]
        # Teeth along the inner side.
        teeth = [at(0.96 - 0.06 * n, 0.0 if n % 2 else -0.16) for n in range(13)]
        tone = 1.0 if side < 0 else 0.80
        pen.plate([*outline, *teeth], _mixed(metal, tone), edge=_mixed(metal, 0.35))
        pen.line([at(0.1, 0.72), at(0.9, 0.80)], _mixed(metal, 1.22), 0.008)
        pen.cut_out([at(0.30, 0.34), at(0.30, 0.64), at(0.82, 0.66), at(0.86, 0.5), at(0.82, 0.36)])
    pen.disc(0.18, 0, 0.020, 0.020, _mixed(metal, 0.55))
    pen.disc(0.18, 0, 0.011, 0.011, _mixed(metal, 1.15))


def _hook(pen: _Pen, look: Look, open_: float) -> None:
    _shaft(pen, look.shaft, 0.25, 0.046)
    pen.tube([(0.085, 0), (0.17, 0), (0.27, 0)], [0.018, 0.030, 0.047], _WHITE, shine=0.5)
    foot = 0.062 + 0.006 * open_
    metal = _mixed(look.metal, 1.05)
    wire = [(0.10, 0.0), (0.05, 0.0), (0.014, 0.002), (0.0, 0.016), (0.0, foot)]
    pen.tube(wire, [0.0125, 0.0125, 0.0125, 0.012, 0.011], metal, shine=0.8)


def _clipper(pen: _Pen, look: Look, open_: float) -> None:
    metal = look.metal
    _shaft(pen, metal, 0.30, 0.050)
    pen.tube([(0.19, 0), (0.25, 0), (0.31, 0)], [0.040, 0.048, 0.052], _mixed(metal, 0.92))
    for x in (0.34, 0.37):
        pen.line([(x, -0.050), (x, 0.050)], _mixed(metal, 0.45), 0.008)
    gap = 0.030 + 0.012 * open_
    for side in (1, -1):
        jaw = [(0.22, side * 0.012), (0.17, side * gap), (0.0, side * gap), (-0.006, side * (gap + 0.010))]
        jaw += [(0.0, side * (gap + 0.024)), (0.16, side * (gap + 0.026)), (0.23, side * 0.040)]
        pen.plate(jaw, _mixed(metal, 1.05 if side < 0 else 0.78), edge=_mixed(metal, 0.35))
        pen.line([(0.02, side * (gap + 0.014)), (0.16, side * (gap + 0.015))], _mixed(metal, 0.6), 0.005)
    # The open clip between the jaws: a V with its bend towards the shaft.
    clip = [(0.004, -gap + 0.004), (0.09, -gap + 0.008), (0.135, 0.0), (0.09, gap - 0.008), (0.004, gap - 0.004)]
    pen.line(clip, _mixed(look.clip, 0.35), 0.024)
    pen.line(clip, look.clip, 0.015)


def _scissors(pen: _Pen, look: Look, open_: float) -> None:
    metal = look.metal
    _shaft(pen, look.shaft, 0.26, 0.040)
    pen.tube([(0.20, 0), (0.28, 0)], [0.034, 0.040], metal)
    turn = 0.26 + 0.20 * open_
    for side in (1, -1):
        # A curved pointed blade and, behind the pivot, its tang on the other side: the blades cross.
        at = _jaw(0.20, 0.040, 0.040, side, turn, 0.17)
        blade = [at(-0.32, 1.0), at(-0.36, 0.3), at(0, -0.45), at(0.5, -0.10), at(1.0, 0.18)]
        blade += [at(0.72, 0.62), at(0.4, 0.82), at(0.08, 0.85), at(-0.1, 0.7)]
        pen.plate(blade, _mixed(metal, 1.12 if side < 0 else 0.82), edge=_mixed(metal, 0.30))
        pen.line([at(0.05, -0.30), at(0.5, -0.02), at(0.97, 0.19)], (250, 250, 250), 0.007)
    pen.disc(0.17, 0, 0.022, 0.022, _mixed(metal, 0.40))
    pen.disc(0.17, 0, 0.014, 0.014, _mixed(metal, 1.0))
    pen.line([(0.161, -0.008), (0.179, 0.008)], _mixed(metal, 0.3), 0.006)


def _bipolar(pen: _Pen, look: Look, open_: float) -> None:
    _shaft(pen, _BLUE, 0.27, 0.040)
    pen.tube([(0.23, 0), (0.30, 0)], [0.034, 0.041], _mixed(_BLUE, 0.8))
    spread = 0.030 + 0.022 * open_
    for side in (1, -1):
        arm = [(0.26, side * 0.014), (0.16, side * (spread + 0.020)), (0.07, side * (spread + 0.004))]
        pen.tube(arm, [0.016, 0.015, 0.013], _BLUE, shine=0.5)
        tip = [(0.08, side * (spread + 0.006)), (0.035, side * spread * 0.75), (0.0, side * spread * 0.40)]
        pen.tube(tip, [0.011, 0.010, 0.007], look.metal, shine=0.8)


def _irrigator(pen: _Pen, look: Look, open_: float) -> None:
    metal = _mixed(look.metal, 1.04)
    pen.tube([(0.0, 0), (0.5, 0), (1.35, 0)], [0.040, 0.054, 0.084], metal, shine=0.7)
    # Its open end, a ring seen at a slant, and the side holes behind it.
    pen.disc(0.002, 0, 0.017, 0.041, _mixed(metal, 0.8))
    pen.disc(0.000, 0, 0.011, 0.031, _DARK)
    for n in range(3):
        for y, size in ((-0.016, 0.010), (0.014, 0.010)):
            pen.disc(0.055 + 0.045 * n + (0.022 if y > 0 else 0), y, size, size * 0.8, _DARK)
    pen.line([(0.20, -0.044), (0.20, 0.044)], _mixed(metal, 0.5), 0.006)


_DRAWERS: dict[str, Callable[[_Pen, Look, float], None]] = {
    "Grasper": _grasper,
    "Bipolar": _bipolar,
    "Hook": _hook,
    "Scissors": _scissors,
    "Clipper": _clipper,
    "Irrigator": _irrigator,
}


def _bag(look: Look, scale: int) -> Sprite:
    """A pouch hanging from its rim, the gallbladder seen in the opening; its tip is the middle of the rim."""
    left, half = 0.30, 0.46
    pen = _Pen(scale, left, left, half)
    pale: RGB = (226, 224, 208)
    fold = [look.between(-0.03, 0.03, "bag", str(n)) for n in range(6)]
    body = [(-0.19, 0.0), (-0.20 + fold[0], 0.12), (-0.155 + fold[1], 0.25), (-0.05, 0.335 + fold[2])]
    body += [(0.06, 0.33 + fold[3]), (0.16 + fold[4], 0.24), (0.20 + fold[5], 0.11), (0.19, 0.0)]
    outline = [(x, y) for x, y in smooth(body)]
    pen.plate(outline, pale, edge=_mixed(pale, 0.55), width=0.008)
    # Folds from the rim downwards.
    for n in range(7):
        x = -0.15 + 0.05 * n
        bend = look.between(-0.03, 0.03, "bag.fold", str(n))
        end = look.between(0.15, 0.27, "bag.fold.end", str(n)) * (1 - abs(x) * 1.8)
        tone = 0.80 if n % 2 else 1.10
        curve = smooth([(x, 0.03), (x * 0.9 + bend, end * 0.6), (x * 0.7, end)])
        pen.line([(p[0], p[1]) for p in curve], _mixed(pale, tone), 0.012)
    pen.disc(0, 0, 0.195, 0.072, _mixed(pale, 0.50))
    # What is in it.
    inside = look.gallbladder
    pen.disc(0.01, 0.014, 0.125, 0.050, _mixed(inside, 0.55))
    pen.disc(0.00, 0.006, 0.110, 0.040, _mixed(inside, 0.85))
    pen.disc(-0.03, -0.004, 0.030, 0.010, _mixed(inside, 1.35))
    front = [(0.192 * math.cos(a), 0.068 * math.sin(a)) for a in (math.pi * n / 24 for n in range(25))]
    back = [(0.192 * math.cos(a), -0.068 * math.sin(a)) for a in (math.pi * n / 24 for n in range(25))]
    pen.line(back, _mixed(pale, 0.92), 0.016)
    pen.line(front, _mixed(pale, 1.10), 0.022)
    # The drawstring along the rim, and its tail.
    string: RGB = (44, 70, 140)
    pen.line(front, string, 0.006)
    tail = smooth([(0.188, 0.0), (0.215, -0.14), (0.16, -0.30), (0.20, -0.46)])
    pen.line([(p[0], p[1]) for p in tail], string, 0.008)
    small = pen.image.reduce(_FINER)
    return Sprite(_with_shadow(_sheer(small), scale), (left * scale, half * scale))


def _sheer(image: Image.Image) -> Image.Image:
    """A little see-through."""
    image.putalpha(image.getchannel("A").point(lambda value: round(value * 0.95)))
    return image


def _with_shadow(image: Image.Image, scale: int) -> Image.Image:
    """The picture over its own soft shadow."""
    alpha = image.getchannel("A")
    soft = alpha.filter(ImageFilter.GaussianBlur(0.014 * scale)).point(lambda value: round(value * 0.5))
    shadow = Image.new("L", image.size, 0)
    step = round(0.016 * scale)
    shadow.paste(soft, (step // 2, step))
    under = Image.merge("RGBA", (*(Image.new("L", image.size, level) for level in (12, 4, 4)), shadow))
    under.alpha_composite(image)
    return under.convert("RGBa")


def _normals(line: Sequence[tuple[float, ...]]) -> list[Point]:
    """Unit vectors across a line at each of its points."""
    normals = []
    for n in range(len(line)):
        (x0, y0, *_), (x1, y1, *_) = line[max(0, n - 1)], line[min(len(line) - 1, n + 1)]
        length = math.hypot(x1 - x0, y1 - y0) or 1.0
        # Pointing down the picture for a line to the right, so that the light always comes from above.
        normals.append((-(y1 - y0) / length, (x1 - x0) / length))
    return normals


def _mixed(colour: RGB, tone: float) -> RGB:
    red, green, blue = (max(0, min(255, round(c * tone))) for c in colour)
    return (red, green, blue)


def place(sprite: Sprite, onto: Image.Image, x: float, y: float, angle: float) -> None:
    """Set a sprite into a picture.

    Args:
        sprite: what to draw.
        onto: an RGB picture, changed in place.
        x: pixel of the tip from the left.
        y: pixel of the tip from the top.
        angle: direction in which the shaft leads away from the tip, radians from right to down.
    """
    width, height = sprite.image.size
    c, s = math.cos(angle), math.sin(angle)
    tx, ty = sprite.tip
    corners = [
        (x + c * (u - tx) - s * (v - ty), y + s * (u - tx) + c * (v - ty)) for u in (0, width) for v in (0, height)
    ]
    left = max(0, math.floor(min(px for px, _ in corners)))
    top = max(0, math.floor(min(py for _, py in corners)))
    right = min(onto.width, math.ceil(max(px for px, _ in corners)))
    bottom = min(onto.height, math.ceil(max(py for _, py in corners)))
    if left >= right or top >= bottom:
        return
    # Pixel of the part of the picture -> pixel of the sprite.
    dx, dy = left - x, top - y
    matrix = (c, s, c * dx + s * dy + tx, -s, c, -s * dx + c * dy + ty)
    part = sprite.image.transform(
        (right - left, bottom - top), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    )
    shown = part.convert("RGBA")
    onto.paste(shown, (left, top), shown)
