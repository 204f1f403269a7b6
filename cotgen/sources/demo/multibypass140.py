"""A look-alike of MultiBypass140: label files of two centres, a picture a second, seconds outside the body."""

from __future__ import annotations

import json
from pathlib import Path

from cotgen.draws import draw
from cotgen.sources.demo.shapes import Thing, blob, paint, save, write
from cotgen.sources.multibypass140 import OVERLAYS, _phase_names

SIZE = (320, 180)
SURGERIES = ("BBP01", "BBP05", "BBP06", "BBP07", "SBP01", "SBP02", "BBP12", "SBP09", "BBP02", "SBP06")
SECOND = 1000
#: Phase -> its steps with their numbers, and how many seconds each lasts.
COURSE = (
    ("preparation", ((1, "cavity_exploration", 6), (2, "trocar_placement", 8))),
    ("gastric_pouch_creation", ((5, "his_angle_dissection", 6), (6, "horizontal_stapling", 5), (8, "vertical_stapling", 7))),
    (
        "gastrojejunal_anastomosis",
        ((17, "jejunum_opening", 5), (18, "gastrojejunal_stapling", 6), (19, "gastrojejunal_defect_closing", 9)),
    ),
    ("anastomosis_test", ((22, "gastric_tube_placement", 4), (24, "ink_injection", 5))),
    ("jejunojejunal_anastomosis", ((32, "jejunojejunal_stapling", 6), (33, "jejunojejunal_defect_closing", 9))),
    ("closure_mesenteric_defect", ((37, "mesenteric_defect_closing", 7),)),
    ("cleaning_coagulation", ((40, "irrigation_aspiration", 5),)),
    ("disassembling", ((42, "trocar_removal", 5),)),
)  # fmt: skip


def make_multibypass140(folder: Path, surgeries: int = 6, seed: int = 0) -> None:
    """Write the tree: about 95 seconds an operation, each step in a colour of its own."""
    numbers = {name: n for n, name in enumerate(_phase_names())} | OVERLAYS
    for name in SURGERIES[: max(1, min(surgeries, len(SURGERIES)))]:
        phases: list[dict[str, object]] = []
        steps: list[dict[str, object]] = []
        at = 2_301
        looks: list[tuple[str, int]] = [("", 0)] * 3
        for phase, parts in COURSE:
            start = at
            for number, step, seconds in parts:
                long = SECOND * (seconds + draw(seed, name, step) % 3)
                steps.append({"start": at, "end": at + long, "label_name": f"s{number}_{step}", "label_id": number})
                at += long
                looks += [(step, number)] * (at // SECOND + 1 - len(looks))
            phases.append({"start": start, "end": at, "label_name": phase, "label_id": numbers[phase]})
        centre, other = ("bern", "BernBypass70") if name.startswith("B") else ("strasbourg", "StrasBypass70")
        outside = [(at // 3 // SECOND, 4), (2 * at // 3 // SECOND, 3)]
        for second, seconds in outside:
            span = {"start": SECOND * second, "end": SECOND * (second + seconds)}
            phases.append({**span, "label_name": "out_of_body", "label_id": OVERLAYS["out_of_body"]})
            for k in range(second, second + seconds):
                looks[k] = ("out", 0)
        if centre == "bern":
            # Before the first phase the camera is cleaned: a second outside the body that no phase holds.
            phases.append({"start": 0, "end": 1_400, "label_name": "out_of_body", "label_id": OVERLAYS["out_of_body"]})
            looks[0] = looks[1] = ("out", 0)
            phases.append(
                {
                    "start": at // 2,
                    "end": at // 2 + 900,
                    "label_name": "severe_index",
                    "label_id": OVERLAYS["severe_index"],
                }
            )
        phases.sort(key=lambda row: (row["start"], row["end"]))
        write(
            folder / "labels" / centre / "labels_by70" / f"{name}.mp4.json",
            json.dumps({"phases": phases, "steps": steps}),
        )
        for second, (step, number) in enumerate(looks):
            picture = (
                paint(SIZE, [], ground=(214, 218, 222))
                if step == "out"
                else paint(SIZE, _field(name, second, number, seed))
            )
            save(picture, folder / other / "frames" / name / f"{name}_{second + 1:08d}.jpg")


def _field(name: str, second: int, number: int, seed: int) -> list[Thing]:
    """Tissue whose colour tells the step."""
    colour = (120 + number * 37 % 110, 60 + number * 53 % 120, 50 + number * 29 % 110)
    drift = draw(seed, name, str(second)) % 100 / 1000
    return [
        Thing("organ", colour, blob(0.4 + drift, 0.5, 0.5, 0.6, name, "organ", seed=seed)),
        Thing("bowel", (206, 150, 132), blob(0.75, 0.7 - drift, 0.3, 0.3, name, "bowel", seed=seed)),
    ]
