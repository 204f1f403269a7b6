"""Which of the outlined structures are seen: Endoscapes' five, where the outlines of a frame are complete.

The answer is a set of answer names, one a line in ontology order, `none` for the empty set (at most 5 %). Not asked where
some pixels were judged by nobody, since a structure may be there. Score: F1 of the sets, as in `tool_presence`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cotgen.draws import rendezvous
from cotgen.records import Scene
from cotgen.tasks.answers import in_order, parse_set, write_set
from cotgen.tasks.balance import in_hash_order, room_for
from cotgen.tasks.base import Question, names_nothing

ID = "anatomy.presence"
MOST_NONE = 5
#: Sources that outline every instance of the structures they know.
OUTLINED = frozenset({"endoscapes"})
_OF = "gallbladder, cystic duct, cystic artery, cystic plate and hepatocystic triangle"
WORDINGS = (
    f"Of {_OF}, which can be identified in this view?",
    f"Which of {_OF} are seen?",
    f"Name those of {_OF} that this image shows.",
    f"Which structures among {_OF} are in view?",
    f"List what can be identified of {_OF}.",
    f"Of {_OF}, which does this picture show?",
    f"State which of {_OF} are visible.",
    f"Which of these are identified here: {_OF}?",
    f"Looking at this view, which of {_OF} can be made out?",
    f"Give those of {_OF} that can be identified.",
    f"Identify which of {_OF} are in view.",
    f"Which of the following does the image show: {_OF}?",
    f"Among {_OF}, what can be seen in this view?",
    f"Tell which of {_OF} are to be seen.",
    f"From {_OF}, name what this view shows.",
)


class Anatomy:
    """The task `anatomy` with the pair id `anatomy.presence`."""

    name = "anatomy"
    kinds: tuple[str, ...] = ("anatomy",)
    wordings: tuple[str, ...] = WORDINGS

    def questions(self, scenes: Sequence[Scene], seed: int) -> Iterator[tuple[int, Question]]:
        """One question about each frame with complete outlines."""
        found = [(n, scene, truth) for n, scene in enumerate(scenes) if (truth := outlined(scene)) is not None]
        empty = [(scene.key, n) for n, scene, truth in found if not truth]
        kept = set(in_hash_order(seed, empty, ID)[: room_for(MOST_NONE, len(found) - len(empty))])
        for n, scene, truth in found:
            if truth or n in kept:
                text = rendezvous(seed, WORDINGS, scene.key, ID)
                yield n, Question(ID, self.name, text, (), write_set(truth), truth)

    def subject(self, pair_id: str) -> tuple[str, ...]:
        """The question names all of them."""
        return names_nothing(pair_id, ID)

    def truth(self, scene: Scene, question: Question) -> tuple[str, ...] | None:
        """The structures by the scene's outlines; None where they are not complete."""
        return outlined(scene)

    def parse(self, reply: str, question: Question) -> tuple[str, ...] | None:
        """The structures that the answer lists."""
        return parse_set(reply, "anatomy")

    def score(self, reply: str, question: Question) -> float:
        """F1 of the two sets."""
        said = self.parse(reply, question)
        if said is None:
            return 0.0
        if not said and not question.truth:
            return 1.0
        return 2 * len(set(said) & set(question.truth)) / (len(said) + len(question.truth))


def outlined(scene: Scene) -> tuple[str, ...] | None:
    """The structures that are outlined, in ontology order; None where the outlines of a frame are not complete."""
    if not scene.has_field or scene.says("anatomy") not in OUTLINED or scene.measure("ignored"):
        return None
    return in_order(scene.terms("anatomy"))


ANATOMY = Anatomy()
