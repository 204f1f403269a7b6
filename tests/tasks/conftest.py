"""Look-alike surgeries: phases in order, in each of them the instruments that it is likely to show."""

from collections.abc import Callable, Sequence

import pytest

from cotgen.draws import draw
from cotgen.records import Fact, Measured, Scene, sample_key

#: Phase -> instrument -> share of its seconds in percent.
LIKELY = {
    "preparation": {"grasper": 40, "bipolar": 2},
    "calot_triangle_dissection": {"grasper": 60, "hook": 75, "bipolar": 5, "irrigator": 4},
    "clipping_and_cutting": {"grasper": 60, "clipper": 35, "scissors": 15, "hook": 10, "irrigator": 3},
    "gallbladder_dissection": {"grasper": 55, "hook": 80, "bipolar": 6, "irrigator": 4},
    "gallbladder_packaging": {"grasper": 70, "specimen_bag": 75},
    "cleaning_and_coagulation": {"grasper": 40, "irrigator": 40, "bipolar": 25, "specimen_bag": 20},
    "gallbladder_extraction": {"grasper": 60, "specimen_bag": 50},
}

SceneOf = Callable[..., Scene]
SurgeryOf = Callable[..., list[Scene]]


def scene(
    surgery: str,
    second: int,
    phase: str = "",
    instruments: Sequence[str] = (),
    black: float | None = 0.0,
    labelled: Sequence[str] = ("cholec80.instrument",),
) -> Scene:
    """A frame; `black=None` stands for a picture that was never decoded."""
    terms = [("phase", phase)] * bool(phase) + [("instrument", name) for name in instruments]
    facts = tuple(
        Fact(id=f"cholec80.{kind}.{n}", kind=kind, terms=[f"{kind}.{name}"], source="cholec80")
        for n, (kind, name) in enumerate(terms)
    )
    return Scene(
        key=sample_key(surgery, 25 * second),
        surgery=surgery,
        index=25 * second,
        labelled=frozenset([*labelled, *["cholec80.phase"] * bool(phase)]),
        facts=facts,
        measured=() if black is None else (Measured(name="black", value=black),),
    )


def surgery(name: str = "cholec80/1", seconds: int = 1400, black_every: int = 100) -> list[Scene]:
    """`seconds` frames, a seventh of them in each phase; every `black_every`-th is black and shows nothing."""
    scenes = []
    for second in range(seconds):
        phase = list(LIKELY)[second * 7 // seconds]
        there = [tool for tool, share in LIKELY[phase].items() if draw(0, name, str(second), tool) % 100 < share]
        black = second % black_every == black_every - 1
        scenes.append(scene(name, second, phase, [] if black else there, float(black)))
    return scenes


@pytest.fixture
def make_scene() -> SceneOf:
    return scene


@pytest.fixture
def make_surgery() -> SurgeryOf:
    return surgery


@pytest.fixture(scope="session")
def corpus() -> list[list[Scene]]:
    """Four look-alike surgeries, about 25,000 questions."""
    return [surgery(f"cholec80/{number}") for number in (1, 2, 4, 5)]
