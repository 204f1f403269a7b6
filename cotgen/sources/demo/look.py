"""Look: what makes one look-alike surgery differ from the next: colours, light, camera, anatomy, the kind of clip."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cotgen.draws import draw
from cotgen.sources.demo.course import Course

RGB = tuple[int, int, int]

_LIVERS: tuple[RGB, ...] = ((146, 66, 54), (160, 82, 66), (132, 60, 54), (152, 90, 74), (128, 66, 52))
_GALLBLADDERS: tuple[RGB, ...] = (
    (152, 160, 174),
    (150, 158, 132),
    (206, 138, 130),
    (190, 176, 140),
    (170, 130, 142),
    (164, 176, 168),
)
_FATS: tuple[RGB, ...] = ((228, 184, 92), (232, 196, 126), (216, 164, 84), (236, 206, 150))
_WALLS: tuple[RGB, ...] = ((206, 158, 104), (204, 138, 116), (190, 150, 128), (214, 172, 126))
_CLIPS: tuple[RGB, ...] = ((214, 216, 222), (150, 90, 190), (236, 236, 230), (210, 190, 110))
_METALS: tuple[RGB, ...] = ((196, 200, 206), (180, 184, 190), (206, 204, 198))
_SHAFTS: tuple[RGB, ...] = ((72, 76, 82), (54, 58, 66), (92, 94, 98))
_SURROUNDS: tuple[RGB, ...] = ((0, 0, 0), (12, 0, 0), (0, 0, 0), (11, 11, 12), (3, 2, 4))


@dataclass(frozen=True, slots=True)
class Look:
    """One surgery's look. Lengths are in picture heights, angles in radians, colours in 0..255.

    Attributes:
        key: names the surgery in every draw.
        seed: of every draw.
        liver: colour of the liver; the other tissues likewise.
        surround: colour outside the lit field.
        field: radius of the lit field.
        field_x: its centre, to the right of the picture's.
        field_y: its centre, below the picture's.
        light: brightness of the three colour channels, at most 1.
        light_x: where the light is brightest, relative to the centre of the field.
        light_y: the same, downwards.
        turn: how far the anatomy is turned in the picture.
        zoom: how much larger it is than usual.
        shift_x: how far it lies to the right.
        shift_y: how far it lies below.
        plump: how much wider the gallbladder is than usual.
    """

    key: str
    seed: int
    liver: RGB
    gallbladder: RGB
    fat: RGB
    wall: RGB
    clip: RGB
    metal: RGB
    shaft: RGB
    surround: RGB
    field: float
    field_x: float
    field_y: float
    light: tuple[float, float, float]
    light_x: float
    light_y: float
    turn: float
    zoom: float
    shift_x: float
    shift_y: float
    plump: float

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the usual anatomy lies in this surgery."""
        c, s = math.cos(self.turn), math.sin(self.turn)
        return (
            self.zoom * (c * x - s * y) + self.shift_x + self.field_x,
            self.zoom * (s * x + c * y) + self.shift_y + self.field_y,
        )

    def unit(self, *names: str) -> float:
        """A number in 0..1 drawn for these names."""
        return unit(self.seed, self.key, *names)

    def between(self, low: float, high: float, *names: str) -> float:
        """A number in low..high drawn for these names."""
        return low + (high - low) * self.unit(*names)


def unit(seed: int, *names: str) -> float:
    """A number in 0..1 drawn for these names."""
    return draw(seed, *names) / 2**64


def look_of(course: Course, seed: int) -> Look:
    """The look of a surgery; neighbours in the order of surgeries get other colours."""
    key = f"video{course.number:02d}"

    def between(low: float, high: float, name: str) -> float:
        return low + (high - low) * unit(seed, key, "look", name)

    def nth(palette: tuple[RGB, ...], name: str) -> RGB:
        # Palettes have different lengths, so the combinations differ even where one colour comes back.
        base = palette[(draw(seed, "look", name) + course.rank) % len(palette)]
        strength = 5 if palette in (_LIVERS, _GALLBLADDERS, _FATS, _WALLS) else 2
        tint = [round(between(-strength, strength, f"{name}.{channel}")) for channel in range(3)]
        return tuple(max(0, min(255, c + t)) for c, t in zip(base, tint, strict=True))  # type: ignore[return-value]

    warmth = between(-0.07, 0.07, "warmth")
    power = between(0.84, 0.98, "power")
    return Look(
        key=key,
        seed=seed,
        liver=nth(_LIVERS, "liver"),
        gallbladder=nth(_GALLBLADDERS, "gallbladder"),
        fat=nth(_FATS, "fat"),
        wall=nth(_WALLS, "wall"),
        clip=nth(_CLIPS, "clip"),
        metal=nth(_METALS, "metal"),
        shaft=nth(_SHAFTS, "shaft"),
        surround=_SURROUNDS[(draw(seed, "look", "surround") + course.rank) % len(_SURROUNDS)],
        field=between(0.60, 0.78, "field"),
        field_x=between(-0.07, 0.07, "field_x"),
        field_y=between(-0.03, 0.03, "field_y"),
        light=(min(1.0, power * (1 + warmth)), power, min(1.0, power * (1 - warmth))),
        light_x=between(-0.12, 0.12, "light_x"),
        light_y=between(-0.10, 0.10, "light_y"),
        turn=between(-0.42, 0.42, "turn"),
        zoom=between(0.86, 1.16, "zoom"),
        shift_x=between(-0.08, 0.08, "shift_x"),
        shift_y=between(-0.05, 0.04, "shift_y"),
        plump=between(0.78, 1.22, "plump"),
    )
