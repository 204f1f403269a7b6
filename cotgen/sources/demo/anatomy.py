"""The scene behind the instruments: what each phase shows, painted once per surgery and stage.

The drawing tells the phase as a real picture does: in preparation the gallbladder lies under the liver's edge; in the
dissection of the triangle it is lifted and its neck is cleared of fat; in clipping and cutting duct and artery lie
free, then carry clips, then end in stumps; in the dissection of the gallbladder it hangs off its raw bed; in
packaging it is off (and in the bag, where one is in view); in cleaning the empty bed is wet; in retraction the view
has turned to the abdominal wall and the port.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from PIL import Image

from cotgen.sources.demo.look import RGB, Look
from cotgen.sources.demo.texture import Canvas, Point

#: Stages, by the phase that shows them; the order within a phase is the order in time.
STAGES: dict[int, tuple[str, ...]] = {
    0: ("overview",),
    1: ("covered triangle", "open triangle"),
    2: ("free duct", "clipped duct", "clipped artery", "cut"),
    3: ("half on the bed", "nearly off the bed"),
    4: ("gallbladder off", "gallbladder in the bag"),
    5: ("empty bed",),
    6: ("port",),
}
#: Where the port is in the last phase.
PORT: Point = (0.16, -0.26)

_BLOOD: RGB = (112, 12, 14)
_PERITONEUM: RGB = (214, 178, 142)
_ARTERY_RED: RGB = (206, 106, 94)

#: Centre lines in the view of the triangle, from the gallbladder to where they pass behind fat and liver.
_DUCT: list[Point] = [(-0.03, 0.06), (0.00, 0.15), (0.05, 0.25), (0.13, 0.37)]
_ARTERY: list[Point] = [(0.03, -0.04), (0.11, 0.03), (0.20, 0.07), (0.36, 0.08)]
_LIFTED: tuple[list[Point], list[float]] = (
    [(-0.16, -0.62), (-0.13, -0.38), (-0.07, -0.18), (-0.03, -0.02), (-0.03, 0.08)],
    [0.15, 0.165, 0.130, 0.085, 0.050],
)
#: The gallbladder in the views of its bed.
_HANGING: dict[str, tuple[list[Point], list[float]]] = {
    "half on the bed": ([(-0.02, -0.50), (0.0, -0.30), (-0.02, -0.10), (-0.09, 0.05)], [0.20, 0.20, 0.15, 0.07]),
    "nearly off the bed": ([(0.06, -0.40), (-0.06, -0.36), (-0.19, -0.27), (-0.29, -0.14)], [0.15, 0.17, 0.14, 0.065]),
    "gallbladder off": ([(-0.30, 0.20), (-0.16, 0.27), (-0.02, 0.33), (0.06, 0.36)], [0.13, 0.14, 0.10, 0.05]),
}


class Anatomy:
    """The scenes of one surgery.

    Args:
        size: width and height of the picture.
        look: the surgery's.
    """

    def __init__(self, size: tuple[int, int], look: Look) -> None:
        self.size = size
        self.look = look
        # What the stages of a view share is painted once; one view is kept, since a surgery seldom goes back.
        self._view = lru_cache(maxsize=1)(self._paint_view)

    def scene(self, stage: str) -> Canvas:
        """The scene of one of STAGES."""
        if stage in STAGES[1] or stage in STAGES[2]:
            canvas = self._view("triangle").copy()
            self._triangle(canvas, stage)
        elif stage == "overview":
            canvas = self._overview()
        elif stage == "port":
            canvas = self._port()
        else:
            canvas = self._view("bed").copy()
            self._bed(canvas, stage)
        return canvas

    def _paint_view(self, name: str) -> Canvas:
        canvas = Canvas(self.size, self.look)
        if name == "triangle":
            self._behind(canvas, -0.74)
            plate = self._blob(canvas, 0.12, 0.10, 0.25, 0.23, 0.12, "plate")
            canvas.paint(plate, (170, 108, 90), bulge=0.03, bumps=0.03, cell=0.06, gloss=0.8, name="plate", soft=0.015)
            self._strands(canvas)
            self._lobe(canvas, 0.52, -0.24, 0.36, 0.40, "lobe")
            self._fat(canvas, 0.05, 0.56, 0.80, 0.24, "omentum")
        else:
            self._behind(canvas, -0.80)
            self._lobe(canvas, -0.50, -0.10, 0.34, 0.48, "left lobe")
            rim = self._blob(canvas, 0.02, -0.06, 0.245, 0.335, 0.10, "bed")
            canvas.paint(
                rim,
                _PERITONEUM,
                bulge=0.02,
                bumps=0.03,
                cell=0.05,
                mottle=0.4,
                gloss=0.6,
                name="rim",
                shadow=0.15,
                soft=0.012,
            )
            raw = self._blob(canvas, 0.02, -0.06, 0.215, 0.305, 0.10, "bed")
            canvas.paint(
                raw,
                (100, 30, 24),
                bulge=-0.04,
                bumps=0.04,
                cell=0.06,
                mottle=0.5,
                gloss=0.8,
                name="raw",
                shadow=0,
                soft=0.010,
            )
            self._lobe(canvas, 0.55, -0.22, 0.34, 0.42, "lobe")
            self._fat(canvas, 0.08, 0.58, 0.85, 0.24, "omentum")
            # The stumps below the bed, with the clips that stay.
            self._tube(
                canvas, [(0.04, 0.26), (0.09, 0.33), (0.20, 0.46)], [0.028, 0.032, 0.036], self._duct_colour, "duct"
            )
            self._tube(
                canvas, [(0.20, 0.20), (0.28, 0.23), (0.46, 0.24)], [0.018, 0.020, 0.022], _ARTERY_RED, "artery"
            )
            self._clip(canvas, 0.060, 0.290, 0.95)
            self._clip(canvas, 0.090, 0.330, 0.90)
            self._clip(canvas, 0.235, 0.215, 0.35)
        return canvas

    def _overview(self) -> Canvas:
        """The gallbladder's fundus under the edge of the liver, omentum below."""
        canvas = Canvas(self.size, self.look)
        self._behind(canvas, -0.62)
        self._fat(canvas, 0.10, 0.48, 0.75, 0.30, "omentum")
        self._gallbladder(canvas, [(0.02, -0.16), (0.06, 0.02), (0.10, 0.16)], [0.11, 0.135, 0.095])
        self._lobe(canvas, -0.16, -0.44, 0.72, 0.34, "edge")
        self._fat(canvas, 0.32, 0.42, 0.30, 0.20, "fold")
        return canvas

    def _triangle(self, canvas: Canvas, stage: str) -> None:
        """The gallbladder lifted upwards, duct and artery running from its neck to the lower right."""
        if stage == "covered triangle":
            self._gallbladder(canvas, *_LIFTED)
            self._fat(canvas, 0.13, 0.14, 0.20, 0.17, "cover")
            self._fat(canvas, 0.00, 0.26, 0.16, 0.12, "cover below")
            return
        for points, radius, colour, name in (
            (_ARTERY, 0.019, _ARTERY_RED, "artery"),
            (_DUCT, 0.034, self._duct_colour, "duct"),
        ):
            if stage == "cut":
                # Divided between the clips: two stumps with a gap.
                near, far = _along(points, 0.44), _along(points, 0.60)
                self._tube(canvas, [points[0], points[1], near], [radius * 1.3, radius, radius], colour, name)
                self._tube(canvas, [far, points[2], points[3]], [radius, radius, radius * 1.2], colour, name)
            else:
                self._tube(canvas, points, [radius * 1.4, radius, radius, radius * 1.2], colour, name)
        self._gallbladder(canvas, *_LIFTED)
        if stage in ("clipped duct", "clipped artery", "cut"):
            for share in (0.34, 0.68, 0.79):
                self._clip(canvas, *_along(_DUCT, share), _slope(_DUCT, share))
        if stage in ("clipped artery", "cut"):
            for share in (0.34, 0.68):
                self._clip(canvas, *_along(_ARTERY, share), _slope(_ARTERY, share))

    def _bed(self, canvas: Canvas, stage: str) -> None:
        """The liver with the raw bed of the gallbladder."""
        if stage in _HANGING:
            self._gallbladder(canvas, *_HANGING[stage])
        elif stage == "empty bed":
            pool = self._blob(canvas, -0.10, 0.30, 0.28, 0.085, 0.14, "pool")
            canvas.paint(
                pool,
                _BLOOD,
                bulge=0.012,
                bumps=0.012,
                cell=0.12,
                mottle=0.12,
                gloss=1.0,
                shadow=0.2,
                alpha=0.9,
                soft=0.004,
                name="pool",
            )

    def _port(self) -> Canvas:
        """The abdominal wall from inside, with the port through which the bag leaves."""
        canvas = Canvas(self.size, self.look)
        canvas.paint(
            canvas.whole(),
            self.look.wall,
            bulge=0,
            bumps=0.10,
            cell=0.5,
            mottle=0.22,
            gloss=0.35,
            name="inner wall",
            vessels=16,
        )
        self._lobe(canvas, -0.20, 0.66, 0.95, 0.30, "low liver")
        self._fat(canvas, 0.55, 0.52, 0.40, 0.20, "low fat")
        for radius, colour, name in (
            (0.135, (150, 92, 80), "cut wall"),
            (0.100, (150, 156, 160), "port"),
            (0.070, (18, 16, 18), "lumen"),
        ):
            rough = 0.03 if name == "cut wall" else 0.0
            mask = self._blob(canvas, *PORT, radius, radius * 0.82, rough, name)
            canvas.paint(mask, colour, bulge=0.03, bumps=0.004, mottle=0.08, gloss=0.6, name=name, shadow=0.25)
        return canvas

    @property
    def _duct_colour(self) -> RGB:
        red, green, blue = (
            round(0.4 * g + 0.6 * p) for g, p in zip(self.look.gallbladder, (216, 204, 160), strict=True)
        )
        return (red, green, blue)

    def _blob(self, canvas: Canvas, x: float, y: float, rx: float, ry: float, rough: float, name: str) -> Image.Image:
        px, py = self.look.place(x, y)
        return canvas.blob(px, py, rx, ry, rough, name, self.look.turn)

    def _tube(
        self, canvas: Canvas, points: list[Point], radii: list[float], colour: RGB, name: str, **more: Any
    ) -> None:
        """A body along a line of the usual anatomy."""
        look = self.look
        mask = canvas.tube([look.place(*p) for p in points], [r * look.zoom for r in radii])
        settings: dict[str, Any] = {"bulge": max(radii) * 0.9, "bumps": 0.006, "mottle": 0.10, "behind": True, **more}
        canvas.paint(mask, colour, name=name, **settings)

    def _behind(self, canvas: Canvas, liver_y: float) -> None:
        """Abdominal wall far behind, and the liver in front of it below `liver_y`."""
        look = self.look
        canvas.paint(
            canvas.whole(), look.wall, bulge=0, bumps=0.05, cell=0.45, mottle=0.25, gloss=0.25, name="wall", vessels=9
        )
        x, y = look.place(0.0, liver_y + 0.75)
        liver = canvas.blob(x, y, 1.35, 0.78, 0.05, "liver", look.turn + look.between(-0.15, 0.15, "liver.turn"))
        canvas.paint(liver, look.liver, bulge=0.16, bumps=0.030, cell=0.20, mottle=0.16, gloss=0.75, name="liver")

    def _lobe(self, canvas: Canvas, x: float, y: float, rx: float, ry: float, name: str) -> None:
        mask = self._blob(canvas, x, y, rx, ry, 0.05, name)
        canvas.paint(
            mask, self.look.liver, bulge=0.14, bumps=0.022, cell=0.14, mottle=0.14, gloss=0.7, name=name, front=True
        )

    def _fat(self, canvas: Canvas, x: float, y: float, rx: float, ry: float, name: str) -> None:
        """Omentum: yellow, lobulated, with fine vessels."""
        mask = self._blob(canvas, x, y, rx, ry, 0.10, name)
        canvas.paint(
            mask,
            self.look.fat,
            bulge=0.08,
            bumps=0.065,
            cell=0.085,
            mottle=0.16,
            gloss=0.6,
            name=name,
            vessels=5,
            vessel_colour=(186, 100, 62),
            front=True,
        )

    def _strands(self, canvas: Canvas) -> None:
        """Pale strands of peritoneum from the neck of the gallbladder over the liver."""
        for n in range(5):
            y = -0.25 + 0.11 * n
            reach = self.look.between(0.14, 0.32, "strand", str(n))
            points = [
                (-0.05, y),
                (-0.05 - reach / 2, y + 0.06),
                (-0.05 - reach, y + self.look.between(0.05, 0.2, "end", str(n))),
            ]
            self._tube(
                canvas,
                points,
                [0.030, 0.012, 0.003],
                _PERITONEUM,
                f"strand{n}",
                alpha=0.42,
                soft=0.006,
                shadow=0.1,
                gloss=1.0,
            )

    def _gallbladder(self, canvas: Canvas, points: list[Point], radii: list[float]) -> None:
        look = self.look
        mask = canvas.tube([look.place(*p) for p in points], [r * look.zoom * look.plump for r in radii])
        canvas.paint(
            mask,
            look.gallbladder,
            bulge=0.11,
            bumps=0.020,
            cell=0.11,
            mottle=0.16,
            gloss=0.9,
            name="gallbladder",
            vessels=7,
            vessel_colour=(150, 58, 62),
        )

    def _clip(self, canvas: Canvas, x: float, y: float, angle: float) -> None:
        """A closed clip across a tube that runs at `angle`."""
        c, s = math.cos(angle), math.sin(angle)
        ends = [(x - s * 0.040, y + c * 0.040), (x, y), (x + s * 0.040, y - c * 0.040)]
        settings = {"gloss": 1.0, "mottle": 0.0, "bumps": 0.0, "bulge": 0.02, "behind": False}
        self._tube(canvas, ends, [0.011, 0.012, 0.011], self.look.clip, "clip", **settings)


def _along(points: list[Point], share: float) -> Point:
    at = share * (len(points) - 1)
    n = min(int(at), len(points) - 2)
    (x0, y0), (x1, y1) = points[n], points[n + 1]
    return (x0 + (x1 - x0) * (at - n), y0 + (y1 - y0) * (at - n))


def _slope(points: list[Point], share: float) -> float:
    (x0, y0), (x1, y1) = _along(points, max(0.0, share - 0.1)), _along(points, min(1.0, share + 0.1))
    return math.atan2(y1 - y0, x1 - x0)
