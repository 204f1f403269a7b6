"""A look-alike of SAR-RARP50: actions ten times and masks once a second, one operation in two parts."""

from __future__ import annotations

from pathlib import Path

from cotgen.draws import draw
from cotgen.sources.demo.shapes import Thing, classes, paint, rod, save, write

SIZE = (480, 270)
FOLDERS = (
    "train1/video_01",
    "train1/video_07_1",
    "train1/video_07_2",
    "train2/video_36",
    "test/video_41",
    "test/video_42",
)
SECONDS = 16
VALUES = {"clasper": 1, "wrist": 2, "shaft": 3, "needle": 4, "thread": 5, "suction": 6, "clamps": 8}
COLOURS = {
    "clasper": (190, 192, 198), "wrist": (150, 152, 160), "shaft": (96, 98, 106), "needle": (228, 230, 236),
    "thread": (88, 64, 150), "suction": (120, 122, 128), "clamps": (170, 172, 180),
}  # fmt: skip
ACTIONS = (0, 1, 2, 3, 3, 4, 5, 5, 6, 7)


def make_sar_rarp50(folder: Path, surgeries: int = 5, seed: int = 0) -> None:
    """Write the tree: `surgeries` folders of 16 seconds, pictures of `rgb/` in the place of the video."""
    for name in FOLDERS[: max(1, min(surgeries, len(FOLDERS)))]:
        rows = []
        for tenth in range(10 * SECONDS):
            rows.append(f"{6 * tenth},{ACTIONS[tenth * len(ACTIONS) // (10 * SECONDS)]}")
        write(folder / name / "action_discrete.txt", "\n".join(rows) + "\n")
        for second in range(SECONDS):
            things = _scene(name, second, seed)
            save(paint(SIZE, things), folder / name / "rgb" / f"{60 * second:09d}.png")
            save(classes(SIZE, things, VALUES), folder / name / "segmentation" / f"{60 * second:09d}.png")


def _scene(name: str, second: int, seed: int) -> list[Thing]:
    """One or two instruments, needle at the jaws or apart, thread, at times a suction tube."""
    move = draw(seed, name, str(second)) % 100 / 1000
    x, y = 0.42 + move, 0.5 + move
    found = [
        ("shaft", rod(-0.02, 0.9, x - 0.2, y + 0.2, 0.09)),
        ("wrist", rod(x - 0.2, y + 0.2, x - 0.08, y + 0.08, 0.07)),
        ("clasper", rod(x - 0.08, y + 0.08, x, y, 0.05)),
    ]
    if second % 5 != 4:
        near = 0.0 if second % 3 else 0.12
        found.append(("needle", rod(x + near, y, x + near + 0.08, y - 0.06, 0.02)))
        found.append(("thread", rod(x + near + 0.08, y - 0.06, 0.9, 0.3 + move, 0.012)))
    if second % 4 == 2:
        found.append(("suction", rod(1.02, 0.05, 0.75, 0.4, 0.06)))
    if second % 7 == 5:
        found.append(("clamps", rod(0.6, 0.9, 0.66, 0.8, 0.04)))
    return [Thing(name, COLOURS[name], shape) for name, shape in found]
