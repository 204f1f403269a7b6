"""The film of one look-alike surgery: what its course says, drawn.

At frame 25*s exactly the kinds of instrument that the tool file names for second s have their tips in the lit field,
and no others; in between they slide in and out. Five pictures a second are drawn and each is shown for five frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops

from cotgen.draws import draw
from cotgen.sources.demo.anatomy import PORT, STAGES, Anatomy
from cotgen.sources.demo.course import TOOLS, Course, runs
from cotgen.sources.demo.instruments import POSES, Sprite, draw_instrument, place
from cotgen.sources.demo.look import Look, look_of
from cotgen.sources.demo.texture import Point

Picture = npt.NDArray[np.uint8]

#: Pictures drawn for each second of 25 frames.
PICTURES = 5
#: How far out of the field an instrument is when it is not in view, in picture heights.
_AWAY = 1.5
#: How near to the border of the field, or of the picture, a tip may come.
_BORDER = 0.13

#: Where a grasper holds in each stage, in the usual anatomy; one of these places in each stretch.
_GRASPER: dict[str, tuple[Point, ...]] = {
    "overview": ((0.01, 0.06), (0.03, 0.13), (-0.01, 0.00)),
    "covered triangle": ((-0.07, -0.14), (-0.04, -0.02), (-0.09, -0.22)),
    "open triangle": ((-0.07, -0.14), (-0.04, -0.02), (-0.09, -0.22)),
    "free duct": ((-0.07, -0.14), (-0.04, -0.04), (-0.09, -0.20)),
    "clipped duct": ((-0.07, -0.14), (-0.04, -0.04), (-0.09, -0.20)),
    "clipped artery": ((-0.07, -0.14), (-0.04, -0.04), (-0.09, -0.20)),
    "cut": ((-0.07, -0.14), (-0.04, -0.04), (-0.09, -0.20)),
    "half on the bed": ((-0.09, -0.02), (-0.08, -0.10), (-0.11, -0.18)),
    "nearly off the bed": ((-0.22, -0.18), (-0.20, -0.22), (-0.24, -0.14)),
    "gallbladder off": ((-0.18, 0.20), (-0.20, 0.15), (-0.14, 0.22)),
    "gallbladder in the bag": ((-0.14, 0.07), (-0.15, 0.09), (-0.13, 0.05)),
    "empty bed": ((-0.24, -0.10), (-0.28, -0.02), (-0.22, 0.08)),
    "port": ((-0.12, -0.02), (-0.16, 0.04), (-0.10, 0.08)),
}
#: Where the tool in the other hand works in each phase.
_WORKING: dict[int, tuple[Point, ...]] = {
    0: ((0.14, 0.12), (0.20, 0.18), (0.10, 0.20)),
    1: ((0.10, 0.12), (0.14, 0.06), (0.07, 0.18)),
    2: ((0.04, 0.22), (0.08, 0.15), (0.13, 0.06)),
    3: ((0.05, -0.02), (0.02, -0.12), (0.08, 0.08)),
    4: ((0.20, 0.05), (0.22, 0.12), (0.18, 0.10)),
    5: ((0.05, 0.00), (0.10, 0.10), (0.08, -0.10)),
    6: ((0.16, 0.05), (0.20, 0.10), (0.12, 0.12)),
}
#: Scissors work between the clips on the duct, so that no clip seems to lie between their blades.
_CUTTING: tuple[Point, ...] = ((0.020, 0.195), (0.025, 0.205), (0.015, 0.190))
#: The middle of the bag's rim; no bag is seen before packaging.
_BAG: dict[int, Point] = {4: (0.00, 0.06), 5: (-0.04, 0.12), 6: (PORT[0] - 0.06, PORT[1] + 0.22)}
#: From there to where a grasper holds the rim, in picture heights: the bag is not turned with the anatomy.
_RIM: Point = (-0.13, 0.015)


class Film:
    """Draws the pictures of one surgery.

    Args:
        course: what happens.
        seed: of the look and all movements.
    """

    def __init__(self, course: Course, seed: int) -> None:
        self.course = course
        self.look: Look = look_of(course, seed)
        self.scale = course.size[1]
        self._anatomy = Anatomy(course.size, self.look)
        self._stages = _stages(course)
        self._runs = {tool: runs(course, tool) for tool in TOOLS}
        self._light = _light(course.size, self.look)
        dark = self._light.getchannel("G").point(lambda level: 0 if level else 255)
        self._surround = Image.new("RGB", course.size)
        self._surround.paste(self.look.surround, mask=dark)
        self._scene = lru_cache(maxsize=2)(self._paint_scene)
        self._sprite = lru_cache(maxsize=None)(self._draw_sprite)

    def picture(self, number: int, tools: frozenset[str] | None = None) -> Picture:
        """Picture `number`, PICTURES a second, as RGB.

        Args:
            number: 0 shows frame 0, PICTURES * s frame 25 * s.
            tools: draw these instruments, fully in view, in place of those of the course.
        """
        course = self.course
        last = course.seconds - 1
        second, step = divmod(number, PICTURES)
        if second < course.black:
            return np.zeros((course.size[1], course.size[0], 3), np.uint8)
        # The instant after the last row of tools shows them still.
        second = min(second, last)
        scene, margin = self._scene(self._stages[second])
        scene = scene.copy()
        time = number / PICTURES
        for tool in reversed(TOOLS):
            if tools is not None:
                self._set_in(scene, tool, second, time, 1.0 if tool in tools else 0.0)
            else:
                self._set_in(scene, tool, second, time, self._reach(tool, second, step))
        if tools is None:
            self._second_grasper(scene, second, time, step)
        dx, dy = self._drift(time, margin)
        box = (margin + dx, margin + dy, margin + dx + course.size[0], margin + dy + course.size[1])
        return np.asarray(ImageChops.add(ImageChops.multiply(scene.crop(box), self._light), self._surround))

    def _paint_scene(self, stage: str) -> tuple[Image.Image, int]:
        canvas = self._anatomy.scene(stage)
        return canvas.image(), canvas.margin

    def _draw_sprite(self, tool: str, pose: int) -> Sprite:
        return draw_instrument(tool, self.look, self.scale, pose)

    def _drift(self, time: float, margin: int) -> tuple[int, int]:
        look = self.look
        x = math.sin(time / look.between(1.7, 2.6, "drift.x") + look.between(0, 6, "drift.x0"))
        y = math.sin(time / look.between(1.3, 2.1, "drift.y") + look.between(0, 6, "drift.y0"))
        return round(0.8 * margin * x), round(0.6 * margin * y)

    def _reach(self, tool: str, second: int, step: int) -> float:
        """How far in a tool is: 1 at work, 0 outside. Where it comes or goes it moves within the second."""
        now = tool in self.course.tools[second]
        after = min(second + 1, self.course.seconds - 1)
        same_phase = self.course.phases[after] == self.course.phases[second]
        then = tool in self.course.tools[after] if same_phase else now
        share = step / PICTURES
        if now and then:
            return 1.0
        if now:
            return _eased(1 - share / 0.6)
        if then:
            return _eased((share - 0.4) / 0.6)
        return 0.0

    def _set_in(self, scene: Image.Image, tool: str, second: int, time: float, reach: float) -> None:
        if reach <= 0:
            return
        (x, y), angle = self._pose(tool, second, time)
        away = _AWAY * (1 - reach)
        if tool == "SpecimenBag":
            # The bag comes in from above and hangs upright.
            self._put(scene, self._sprite(tool, 0), (x + 0.3 * away, y - away), angle)
            return
        pose = int(POSES * (0.5 + 0.49 * math.sin(time * 1.7 + self.look.between(0, 6, tool, "jaws"))))
        self._put(scene, self._sprite(tool, pose), (x + away * math.cos(angle), y + away * math.sin(angle)), angle)

    def _second_grasper(self, scene: Image.Image, second: int, time: float, step: int) -> None:
        """A second grasper holds the gallbladder up in some runs; the tool file has one column for both."""
        phase = self.course.phases[second]
        start = self._start("Grasper", second)
        if phase not in (1, 2, 3) or start is None or self.look.unit("second grasper", str(start)) > 0.35:
            return
        reach = self._reach("Grasper", second, step)
        if reach <= 0:
            return
        x, y = self._inside(*self.look.place(0.02 * math.sin(time * 0.7), -0.22))
        angle = -1.35 + self.look.between(-0.3, 0.3, "second grasper", str(start)) + 0.05 * math.sin(time * 0.9)
        away = _AWAY * (1 - reach)
        self._put(scene, self._sprite("Grasper", 0), (x + away * math.cos(angle), y + away * math.sin(angle)), angle)

    def _put(self, scene: Image.Image, sprite: Sprite, tip: Point, angle: float) -> None:
        place(sprite, scene, scene.width / 2 + tip[0] * self.scale, scene.height / 2 + tip[1] * self.scale, angle)

    def _start(self, tool: str, second: int) -> int | None:
        """The second in which the stretch with this tool begins, or will begin."""
        for first, end in self._runs[tool]:
            if second < end:
                return first
        return None

    def _pose(self, tool: str, second: int, time: float) -> tuple[Point, float]:
        """Tip and direction of a tool: an own place in each stretch, and a slow movement about it."""
        look = self.look
        phase = self.course.phases[second]
        start = str(self._start(tool, second))
        u = math.sin(time * 1.1 + look.between(0, 6, tool, start, "u"))
        v = math.sin(time * 0.8 + look.between(0, 6, tool, start, "v"))
        if tool == "SpecimenBag":
            x, y = look.place(*_BAG.get(phase, _BAG[5]))
            return self._inside(x + 0.02 * u, y + 0.012 * v), 0.06 * v
        if tool == "Scissors" and phase == 2:
            places = _CUTTING
        elif tool != "Grasper":
            places = _WORKING[phase]
        elif "SpecimenBag" in self.course.tools[second]:
            (x, y), angle = self._pose("SpecimenBag", second, time)
            return (x + _RIM[0], y + _RIM[1]), math.pi - 0.15 + angle
        else:
            places = _GRASPER[self._stages[second]]
        x, y = look.place(*places[draw(look.seed, look.key, tool, start, "place") % len(places)])
        tip = self._inside(x + 0.030 * u, y + 0.024 * v)
        swing = look.between(-0.18, 0.18, tool, start, "swing") + 0.06 * v
        if tool == "Grasper":
            return tip, math.pi - 0.10 + swing
        if tool == "Bipolar" and "Irrigator" in self.course.tools[second]:
            # Two working instruments: this one comes from above.
            return (tip[0] + 0.02, max(tip[1] - 0.16, -0.5 + _BORDER)), -0.62 + swing
        return tip, 0.48 + swing

    def _inside(self, x: float, y: float) -> Point:
        """The nearest point that is well inside both field and picture, wherever the camera has drifted."""
        look = self.look
        y = max(-0.5 + _BORDER, min(0.5 - _BORDER, y))
        dx, dy = x - look.field_x, y - look.field_y
        far = math.hypot(dx, dy)
        limit = look.field - 0.08 - _BORDER
        if far > limit:
            dx, dy = dx * limit / far, dy * limit / far
        return look.field_x + dx, look.field_y + dy


def film(course: Course, seed: int, second_done: Callable[[], None] | None = None) -> Iterator[Picture]:
    """The pictures of a surgery in order, PICTURES a second; the last one begins at the end of its last second.

    Args:
        course: what happens.
        seed: of the look and all movements.
        second_done: called after each second.
    """
    drawn = Film(course, seed)
    for number in range(course.seconds * PICTURES + 1):
        yield drawn.picture(number)
        if second_done is not None and number % PICTURES == PICTURES - 1:
            second_done()


def _stages(course: Course) -> list[str]:
    """The stage that each second shows."""
    stages: list[str] = []
    for second, phase in enumerate(course.phases):
        first = course.phases.index(phase)
        share = (second - first) / course.phases.count(phase)
        before = course.tools[first:second]
        if phase == 2:
            clips = sum("Clipper" in seen for seen in course.tools[first : first + course.phases.count(phase)])
            placed = sum("Clipper" in seen for seen in before)
            if any("Scissors" in seen for seen in before):
                stages.append("cut")
            elif placed and placed >= (clips + 1) // 2:
                stages.append("clipped artery")
            else:
                stages.append("clipped duct" if placed else "free duct")
        elif phase == 4:
            stages.append(STAGES[4]["SpecimenBag" in course.tools[second]])
        else:
            stages.append(STAGES[phase][min(int(share * len(STAGES[phase])), len(STAGES[phase]) - 1)])
    return stages


def _light(size: tuple[int, int], look: Look) -> Image.Image:
    """The light that reaches each pixel and channel, 255 for full light, 0 outside the field."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x = (x + np.float32(0.5 - width / 2)) / np.float32(height)
    y = (y + np.float32(0.5 - height / 2)) / np.float32(height)
    fx, fy = x - np.float32(look.field_x), y - np.float32(look.field_y)
    far = np.sqrt(fx * fx + fy * fy)
    lx, ly = fx - np.float32(look.light_x), fy - np.float32(look.light_y)
    fall = 1 - np.float32(0.62) * (lx * lx + ly * ly) / np.float32(look.field**2)
    # A border of about two pixels between light and dark.
    edge = np.clip((np.float32(look.field) - far) * np.float32(height / 2.0), 0, 1)
    level = np.maximum(fall, np.float32(0.16)) * edge
    channels = [np.floor(level * np.float32(255 * power) + np.float32(0.5)) for power in look.light]
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))


def _eased(share: float) -> float:
    share = max(0.0, min(1.0, share))
    return share * share * (3 - 2 * share)
