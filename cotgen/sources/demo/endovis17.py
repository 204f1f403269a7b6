"""A look-alike of EndoVis 2017: part masks with one folder per instrument, raw pictures with a border, a test sequence."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from cotgen.draws import draw
from cotgen.sources.demo.shapes import Shape, Thing, classes, paint, rod, save, write
from cotgen.sources.endovis17 import CROP, RAW

FRAMES = 6
#: Sequence -> folders of its instruments, as the release has them.
SEQUENCES = (
    (1, ("Left_Prograsp_Forceps_labels", "Maryland_Bipolar_Forceps_labels", "Other_labels")),
    (4, ("Large_Needle_Driver_Left_labels", "Large_Needle_Driver_Right_labels", "Prograsp_Forceps_labels")),
    (7, ("Left_Bipolar_Forceps", "Right_Vessel_Sealer")),
    (9, ()),
    (10, ()),
)
GREYS = {"shaft": (90, 92, 100), "wrist": (140, 142, 150), "claspers": (196, 198, 204)}
PARTS = {"shaft": 10, "wrist": 20, "claspers": 30}
INNER = (CROP[2] - CROP[0], CROP[3] - CROP[1])


def make_endovis17(folder: Path, surgeries: int = 4, seed: int = 0) -> None:
    """Write the tree; the first sequence has raw pictures of 1920 x 1080, the others are cut already."""
    write(folder / "mappings.json", json.dumps({"Shaft": 10, "Wrist": 20, "Claspers": 30, "Probe": 40}))
    for number, names in SEQUENCES[: max(1, min(surgeries, len(SEQUENCES)))]:
        where = folder / f"instrument_dataset_{number}"
        for n in range(FRAMES):
            scenes = [_instrument(number, n, k, seed) for k in range(len(names) or 2)]
            shown = paint(INNER, [thing for scene in scenes for thing in scene])
            save(_framed(shown, "RGB") if number == 1 else shown, where / "left_frames" / f"frame{n:03d}.png")
            for k, name in enumerate(names):
                # The last instrument leaves the picture at times, and then its mask is empty.
                own = scenes[k] if k < len(names) - 1 or n % 3 else []
                mask = classes(INNER, own, PARTS)
                save(_framed(mask, "L") if number == 1 else mask, where / "ground_truth" / name / f"frame{n:03d}.png")
            if not names:
                types = {f"{k}:{part}": 1 + (number + k) % 6 for k in range(2) for part in PARTS}
                marked = [
                    Thing(f"{k}:{thing.name}", thing.colour, thing.shape) for k in range(2) for thing in scenes[k]
                ]
                save(classes(INNER, marked, types), where / "gt" / "TypeSegmentation" / f"frame{n:03d}.png")


def _framed(picture: Image.Image, mode: str) -> Image.Image:
    """The picture with the black border of the release."""
    found = Image.new(mode, RAW, 0)
    found.paste(picture, CROP[:2])
    return found


def _instrument(number: int, n: int, k: int, seed: int) -> list[Thing]:
    """Shaft, wrist and claspers; the shaft of one instrument is hidden in the middle, so that it falls into two parts."""
    move = draw(seed, str(number), str(n), str(k)) % 80 / 1000
    start = (-0.02, 0.85 - 0.3 * k) if k % 2 == 0 else (1.02, 0.9)
    tip = (0.3 + 0.25 * k + move, 0.4 + 0.1 * k)
    shapes: list[tuple[str, Shape]] = []
    ends = [(0.0, 0.35), (0.45, 0.7)] if k == 0 and n % 2 else [(0.0, 0.7)]
    for a, b in ends:
        shapes.append(("shaft", rod(*_between(start, tip, a), *_between(start, tip, b), 0.07)))
    shapes.append(("wrist", rod(*_between(start, tip, 0.7), *_between(start, tip, 0.85), 0.06)))
    shapes.append(("claspers", rod(*_between(start, tip, 0.85), *tip, 0.05)))
    return [Thing(name, GREYS[name], shape) for name, shape in shapes]


def _between(start: tuple[float, float], end: tuple[float, float], share: float) -> tuple[float, float]:
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share
