"""Which kinds of instrument have their tip in view.

The answer is a set of answer names, one a line in ontology order, `none` for the empty set. A kind is named once
however many instruments of it are there: Cholec80 does not label a second one. It counts an instrument as present when
at least half of its tip is visible, and has the specimen bag among the instruments (Twinanda et al. 2017).

Score: F1 of the sets, 2 |said and true| / (|said| + |true|); 1 where both are empty, 0 where one of them is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cotgen.draws import rendezvous
from cotgen.records import Scene
from cotgen.tasks.answers import in_order, parse_set, write_set
from cotgen.tasks.balance import in_hash_order, room_for
from cotgen.tasks.base import Question, names_nothing

ID = "tool.presence"
#: Share of the questions of one surgery whose answer may be `none`, in percent.
MOST_NONE = 5
WORDINGS = (
    "Which kinds of instrument have at least half of their tip in view? A specimen bag counts as one.",
    "Name the kinds of instrument of whose tip at least half is in view, counting a specimen bag as one.",
    "Which kinds of instrument, counting a specimen bag as one, can be seen with at least half of their tip?",
    "List each kind of instrument with at least half of its tip in view; a specimen bag counts.",
    "What kinds of instrument show at least half of their tip in this image? Count a specimen bag as one of them.",
    "Which kinds of instrument are in view with at least half of the tip? A specimen bag counts as one.",
    "Of which kinds of instrument is at least half of the tip in view? A specimen bag counts as a kind.",
    "Which kinds of instrument are in the field with at least half of the tip showing? Count a specimen bag as one.",
    "Give the kinds of instrument that have at least half of their tip in this picture; a specimen bag is one of the kinds.",
    "Which instruments, by kind, have at least half of their tip in view here? A specimen bag counts as a kind.",
    "By kind, which instruments show at least half of their tip in this view? A specimen bag counts as an instrument.",
    "State which kinds of instrument have at least half of their tip in the field of view; a specimen bag is one.",
    "Where at least half of the tip has to show, which kinds of instrument are in view? A specimen bag counts as one.",
    "What kinds of instrument are in view with at least half of their tip? Treat a specimen bag as one of them.",
    "Identify the kinds of instrument with at least half of the tip in the picture; treat a specimen bag as a kind.",
    "Tell by kind which instruments have at least half of their tip in this view. A specimen bag counts as an instrument.",
    "Which kinds of surgical instrument have at least half of their tip in view, a specimen bag taken as one?",
)


class ToolPresence:
    """The task `tool_presence` with the pair id `tool.presence`."""

    name = "tool_presence"
    kinds: tuple[str, ...] = ("instrument",)
    wordings: tuple[str, ...] = WORDINGS

    def questions(self, scenes: Sequence[Scene], seed: int) -> Iterator[tuple[int, Question]]:
        """One question about each frame with labelled instruments; `none` is right in at most 5 % of them."""
        truths = [
            (position, scene, truth)
            for position, scene in enumerate(scenes)
            if (truth := kinds_agreed(scene)) is not None
        ]
        empty = [(scene.key, position) for position, scene, truth in truths if not truth]
        kept = set(in_hash_order(seed, empty, ID)[: room_for(MOST_NONE, len(truths) - len(empty))])
        for position, scene, truth in truths:
            if truth or position in kept:
                text = rendezvous(seed, WORDINGS, scene.key, ID)
                yield position, Question(ID, self.name, text, (), write_set(truth), truth)

    def subject(self, pair_id: str) -> tuple[str, ...]:
        """The question names no term."""
        return names_nothing(pair_id, ID)

    def truth(self, scene: Scene, question: Question) -> tuple[str, ...] | None:
        """The instruments by the scene's facts; None where they were not labelled, or acts name another kind."""
        return kinds_agreed(scene)

    def parse(self, reply: str, question: Question) -> tuple[str, ...] | None:
        """The instruments that the answer lists."""
        return parse_set(reply, "instrument")

    def score(self, reply: str, question: Question) -> float:
        """F1 of the two sets."""
        said = self.parse(reply, question)
        if said is None:
            return 0.0
        if not said and not question.truth:
            return 1.0
        return 2 * len(set(said) & set(question.truth)) / (len(said) + len(question.truth))


def named_by_acts(scene: Scene) -> frozenset[str]:
    """The instruments that the triplets name, and the bag where something is done to it."""
    named = {id for fact in scene.of_kind("triplet") for id in fact.terms}
    bag = {"instrument.specimen_bag"} if "anatomy.specimen_bag" in named else set()
    return frozenset({id for id in named if id.startswith("instrument.")} | bag)


def kinds_agreed(scene: Scene) -> tuple[str, ...] | None:
    """`kinds_in_view`, where no act names a further kind: there the tip may be hidden, and the picture would mislead."""
    kinds = kinds_in_view(scene)
    return None if kinds is None or named_by_acts(scene) - set(kinds) else kinds


def kinds_in_view(scene: Scene) -> tuple[str, ...] | None:
    """The kinds of instrument with their tip in view, in ontology order.

    None where no source labelled the presence of all kinds, where sources contradict one another, and where there is no
    operative field to see them in.
    """
    if not scene.has_field or not scene.knows_all_instruments or "instrument" in scene.disputed:
        return None
    return in_order(scene.terms("instrument"))


TOOL_PRESENCE = ToolPresence()
