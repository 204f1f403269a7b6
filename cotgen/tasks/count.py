"""How many instruments there are: asked only where every instance has a box and all sources agree on the number.

Pair id `count.instruments`; the answer is in digits. Score: 1 if right, else 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cotgen.draws import rendezvous
from cotgen.records import Scene
from cotgen.tasks.answers import parse_count
from cotgen.tasks.base import Question, names_nothing
from cotgen.tasks.localization import every_instrument

ID = "count.instruments"
WORDINGS = (
    "How many instruments are in view?",
    "What is the number of instruments in this image?",
    "Count the instruments.",
    "How many instruments does this picture show?",
    "Give the number of instruments in view.",
    "How many instruments can be seen?",
    "State how many instruments there are.",
    "In this view, how many instruments are there?",
    "How many surgical instruments are shown?",
    "Count all instruments in this image.",
    "What number of instruments is to be seen here?",
    "How many instruments does the camera show?",
    "Tell the number of instruments in the field.",
    "How many instruments are in the operative field?",
    "Looking at this image, how many instruments do you count?",
)


class Count:
    """The task `count`."""

    name = "count"
    kinds: tuple[str, ...] = ()
    wordings: tuple[str, ...] = WORDINGS

    def questions(self, scenes: Sequence[Scene], seed: int) -> Iterator[tuple[int, Question]]:
        """One question about each frame whose instruments are complete."""
        for n, scene in enumerate(scenes):
            seen = every_instrument(scene)
            if seen:
                number = str(len(seen))
                yield n, Question(ID, self.name, rendezvous(seed, WORDINGS, scene.key, ID), (), number, (number,))

    def subject(self, pair_id: str) -> tuple[str, ...]:
        """The question names no term."""
        return names_nothing(pair_id, ID)

    def truth(self, scene: Scene, question: Question) -> tuple[str, ...] | None:
        """The number by the scene's boxes; None where they are not complete."""
        seen = every_instrument(scene)
        return (str(len(seen)),) if seen else None

    def parse(self, reply: str, question: Question) -> tuple[str, ...] | None:
        """The number as digits."""
        found = parse_count(reply)
        return None if found is None else (found,)

    def score(self, reply: str, question: Question) -> float:
        """1.0 for the right number, else 0.0."""
        return float(self.parse(reply, question) == question.truth)


COUNT = Count()
