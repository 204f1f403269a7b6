"""A look-alike of CholecT50: triplets of the operations of Cholec80's look-alike, drawn with the same instruments.

The same seed and the same number of surgeries give the same operations as the look-alike of Cholec80, so the two can be
joined. Half of the operations are written as the JSON release, half as the text of CholecT45.
"""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from cotgen.draws import draw
from cotgen.ontology import alias
from cotgen.ontology.triplets import Triplet, legal_triplets
from cotgen.sources.cholect50 import _vocabularies
from cotgen.sources.demo.course import PHASES, Course, courses
from cotgen.sources.demo.film import PICTURES, Film
from cotgen.sources.demo.shapes import save, write

#: Cholec80's operations that CholecT50 has not.
NOT_THERE = frozenset({3, 7, 9, 11})
SIZE = (854, 480)
SECONDS = 60
#: Instrument and phase (by its place in the usual order) -> what it may do there.
_ACTS: dict[str, tuple[tuple[str, str], ...]] = {
    "Grasper": (("retract", "gallbladder"), ("retract", "liver"), ("grasp", "gallbladder"), ("null", "null")),
    "Hook": (("dissect", "gallbladder"), ("dissect", "cystic_duct"), ("dissect", "cystic_plate"), ("null", "null")),
    "Bipolar": (("coagulate", "liver"), ("coagulate", "gallbladder"), ("null", "null")),
    "Scissors": (("cut", "cystic_duct"), ("cut", "cystic_artery"), ("null", "null")),
    "Clipper": (("clip", "cystic_duct"), ("clip", "cystic_artery"), ("null", "null")),
    "Irrigator": (("aspirate", "fluid"), ("irrigate", "abdominal_wall_cavity"), ("null", "null")),
}  # fmt: skip


def make_cholect50(folder: Path, surgeries: int = 8, seed: int = 0) -> None:
    """Write the tree: labels and a picture a second of the operations that both data sets have."""
    for course in courses(surgeries, seed, SECONDS, SIZE):
        if course.number in NOT_THERE:
            continue
        name = f"VID{course.number:02d}"
        acts = [_acts(course, second, seed) for second in range(course.seconds)]
        as_json = course.rank % 2 == 0
        if as_json:
            write(folder / "labels" / f"{name}.json", _json(course, acts))
        else:
            write(folder / "triplet" / f"{name}.txt", _text(acts))
        film = Film(course, seed)
        where = folder / ("videos" if as_json else "data") / name
        for second in range(course.seconds):
            picture = Image.fromarray(film.picture(PICTURES * second)).resize((SIZE[0] // 2, SIZE[1] // 2))
            save(picture, where / f"{second:06d}.png")


def _acts(course: Course, second: int, seed: int) -> list[Triplet]:
    """What the instruments in view do; a second outside the body has none."""
    if second < course.black:
        return []
    found = []
    for tool in sorted(course.tools[second] & _ACTS.keys()):
        # An act lasts some seconds.
        name = (str(course.number), tool, str(second // 4))
        verb, target = _ACTS[tool][draw(seed, "act", *name) % len(_ACTS[tool])]
        instrument = alias("cholec80", "instrument")[tool]
        found.append((instrument, f"verb.{verb}", f"anatomy.{target}"))
    return sorted(found, key=legal_triplets().index)


def _json(course: Course, acts: list[list[Triplet]]) -> str:
    """The file of the release: fifteen numbers an instance, -1 where there is nothing."""
    known = _vocabularies()
    numbers = {kind: {word: n for n, word in words.items()} for kind, words in known.items()}
    phases = list(PHASES)
    rows = {}
    for second, found in enumerate(acts):
        id = alias("cholec80", "phase")[phases[course.phases[second]]]
        phase = next(n for n, word in known["phase"].items() if alias("cholect50", "phase")[word] == id)
        vectors = []
        for triplet in found:
            words = known["triplet"][legal_triplets().index(triplet)].split(",")
            i, v, t = (numbers[kind][word] for kind, word in zip(("instrument", "verb", "target"), words, strict=True))
            vectors.append([legal_triplets().index(triplet), i, 1, *[-1] * 4, v, t, *[-1] * 5, phase])
        rows[str(second)] = vectors or [[*[-1] * 14, phase]]
    categories = {kind: {str(n): word for n, word in words.items()} for kind, words in known.items()}
    content = {
        "info": {"dataset": "a look-alike"}, "categories": categories, "video": course.number, "fps": 1,
        "num_frames": course.seconds, "annotations": rows,
    }  # fmt: skip
    return json.dumps(content)


def _text(acts: list[list[Triplet]]) -> str:
    """The columns of the text release."""
    lines = []
    for second, found in enumerate(acts):
        bits = [str(int(triplet in found)) for triplet in legal_triplets()]
        lines.append(",".join([str(second), *bits]))
    return "\n".join(lines) + "\n"
