"""How many kinds of instrument have their tip in view, the specimen bag apart.

Kinds, never instruments: a second grasper is not labelled. The answer is written in digits. Score: 1 if right, else 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cotgen.draws import rendezvous
from cotgen.records import Scene
from cotgen.tasks.answers import parse_count
from cotgen.tasks.balance import in_hash_order, room_for
from cotgen.tasks.base import Question, names_nothing
from cotgen.tasks.tool_presence import kinds_agreed

ID = "tool.count"
NOT_COUNTED = "instrument.specimen_bag"
#: Share of the questions of one surgery whose answer may be 0, in percent.
MOST_ZERO = 5
WORDINGS = (
    "How many kinds of instrument have at least half of their tip in view, a specimen bag not counted?",
    "How many different kinds of instrument are in view with at least half of their tip? Leave out a specimen bag.",
    "Leaving a specimen bag aside, how many kinds of instrument show at least half of their tip here?",
    "Count the kinds of instrument with at least half of the tip in view; a specimen bag does not count.",
    "What is the number of kinds of instrument with at least half of the tip in this image, apart from a specimen bag?",
    "Apart from a specimen bag, how many kinds of instrument have at least half of their tip in the field?",
    "How many kinds of instrument can be seen with at least half of their tip? A specimen bag does not count as one.",
    "How many kinds of surgical instrument show at least half of their tip in this view, not counting a specimen bag?",
    "Give the number of kinds of instrument that have at least half of their tip in the picture, without a specimen bag.",
    "Not counting a specimen bag, of how many kinds of instrument is at least half of the tip in view?",
    "Each kind counts once, a specimen bag not at all: how many kinds have at least half of their tip in view?",
    "How many kinds of instrument, other than a specimen bag, have at least half of their tip in view?",
    "State how many kinds of instrument have at least half of their tip in view, leaving out a specimen bag.",
    "In this view, how many kinds of instrument have at least half of their tip showing, a specimen bag aside?",
    "How many kinds of instrument have at least half of their tip in view? A specimen bag does not count.",
    "Counting each kind once and no specimen bag, how many kinds of instrument have at least half of their tip in view?",
)


class ToolCount:
    """The task `tool_count` with the pair id `tool.count`."""

    name = "tool_count"
    kinds: tuple[str, ...] = ("instrument",)
    wordings: tuple[str, ...] = WORDINGS

    def questions(self, scenes: Sequence[Scene], seed: int) -> Iterator[tuple[int, Question]]:
        """One question about each frame with labelled instruments; 0 is right in at most 5 % of them."""
        counts = [
            (position, scene, count) for position, scene in enumerate(scenes) if (count := _count(scene)) is not None
        ]
        empty = [(scene.key, position) for position, scene, count in counts if count == 0]
        kept = set(in_hash_order(seed, empty, ID)[: room_for(MOST_ZERO, len(counts) - len(empty))])
        for position, scene, count in counts:
            if count or position in kept:
                text = rendezvous(seed, WORDINGS, scene.key, ID)
                yield position, Question(ID, self.name, text, (), str(count), (str(count),))

    def subject(self, pair_id: str) -> tuple[str, ...]:
        """The question names the specimen bag, but only to leave it out."""
        return names_nothing(pair_id, ID)

    def truth(self, scene: Scene, question: Question) -> tuple[str, ...] | None:
        """The number of kinds by the scene's facts; None where instruments were not labelled."""
        count = _count(scene)
        return None if count is None else (str(count),)

    def parse(self, reply: str, question: Question) -> tuple[str, ...] | None:
        """The number as digits."""
        found = parse_count(reply)
        return None if found is None else (found,)

    def score(self, reply: str, question: Question) -> float:
        """1.0 for the right number, else 0.0."""
        return float(self.parse(reply, question) == question.truth)


def _count(scene: Scene) -> int | None:
    kinds = kinds_agreed(scene)
    return None if kinds is None else len([id for id in kinds if id != NOT_COUNTED])


TOOL_COUNT = ToolCount()
