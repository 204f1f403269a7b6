"""A look-alike of EndoVis 2018: scene masks in colours, interactions with boxes, and a test sequence of its own."""

from __future__ import annotations

import json
from pathlib import Path

from cotgen.draws import draw
from cotgen.sources.demo.shapes import Thing, blob, colours, extent, paint, rod, save, write
from cotgen.sources.endovis18 import FRAME

SIZE = (640, 512)
FRAMES = 8
SEQUENCES = ("seq_3", "seq_4", "seq_2", "seq_5", "seq_13", "test_data/seq_1")
PALETTE = {
    "background-tissue": (0, 0, 0), "instrument-shaft": (0, 255, 0), "instrument-clasper": (0, 255, 255),
    "instrument-wrist": (125, 255, 12), "kidney-parenchyma": (255, 55, 0), "covered-kidney": (24, 55, 125),
    "thread": (187, 155, 25), "clamps": (0, 255, 125), "suturing-needle": (255, 255, 125),
    "suction-instrument": (123, 15, 175), "small-intestine": (124, 155, 5), "ultrasound-probe": (12, 255, 141),
}  # fmt: skip
TOOLS = ("bipolar_forceps", "monopolar_curved_scissors", "prograsp_forceps", "suction")
#: What each of them does, at times nothing.
STATES = {
    "bipolar_forceps": ("Tissue_Manipulation", "Idle", "Retraction", "Grasping"),
    "monopolar_curved_scissors": ("Cutting", "Tissue_Manipulation", "Cauterization", "Idle"),
    "prograsp_forceps": ("Retraction", "Idle", "Looping", "Tool_Manipulation"),
    "suction": ("Suction", "Idle", "Suction", "Idle"),
}


def make_endovis18(folder: Path, surgeries: int = 5, seed: int = 0) -> None:
    """Write the tree; seq_13 has scene masks and no interactions, as in the real one."""
    rows = [{"name": name, "color": list(colour), "classid": n} for n, (name, colour) in enumerate(PALETTE.items())]
    write(folder / "labels.json", json.dumps(rows))
    for name in SEQUENCES[: max(1, min(surgeries, len(SEQUENCES)))]:
        for n in range(FRAMES):
            organs, tools = _scene(name, n, seed)
            things = [*organs, *(thing for _, parts in tools for thing in parts)]
            save(paint(SIZE, things), folder / name / "left_frames" / f"frame{n:03d}.png")
            save(
                colours(SIZE, things, PALETTE, PALETTE["background-tissue"]),
                folder / name / "labels" / f"frame{n:03d}.png",
            )
            if name != "seq_13":
                write(folder / name / "xml" / f"frame{n:03d}.xml", _xml(organs[0], tools, name, n, seed))


def _scene(name: str, n: int, seed: int) -> tuple[list[Thing], list[tuple[str, list[Thing]]]]:
    move = draw(seed, name, str(n)) % 80 / 1000
    kidney = Thing("kidney-parenchyma", (156, 66, 58), blob(0.36, 0.6 + move, 0.5, 0.5, name, seed=seed))
    bowel = Thing("small-intestine", (210, 158, 140), blob(0.85, 0.85, 0.24, 0.24, name, "bowel", seed=seed))
    tools = []
    for k, tool in enumerate(TOOLS[: 2 + (n + len(name)) % 3]):
        start = (1.02, 0.1 + 0.22 * k) if k % 2 else (-0.02, 0.12 + 0.3 * k)
        tip = (0.3 + 0.16 * k + move, 0.34 + 0.09 * k)
        middle = ((start[0] + 2 * tip[0]) / 3, (start[1] + 2 * tip[1]) / 3)
        kinds = ("suction-instrument",) * 2 if tool == "suction" else ("instrument-shaft", "instrument-clasper")
        tools.append(
            (
                tool,
                [
                    Thing(kinds[0], (92, 94, 102), rod(*start, *middle, 0.06)),
                    Thing(kinds[1], (196, 198, 204), rod(*middle, *tip, 0.05)),
                ],
            )
        )
    return [kidney, bowel], tools


def _xml(kidney: Thing, tools: list[tuple[str, list[Thing]]], name: str, n: int, seed: int) -> str:
    lines = ["<annotation>", _object("kidney", "Idle", extent(FRAME, kidney.shape))]
    for tool, parts in tools:
        boxes = [extent(FRAME, part.shape) for part in parts]
        box = (min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes))
        lines.append(_object(tool, STATES[tool][draw(seed, name, str(n), tool) % 4], box))
    return "\n".join([*lines, "</annotation>"]) + "\n"


def _object(name: str, state: str, box: tuple[int, int, int, int]) -> str:
    x1, y1, x2, y2 = box
    corners = f"<xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
    return f" <objects><name>{name}</name><interaction>{state}</interaction><bndbox>{corners}</bndbox></objects>"
