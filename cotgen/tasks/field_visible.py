"""Whether the operative field is visible: asked in equal parts of black frames and of others, and rarely.

It is the one question about a frame that was measured to be black. Its partner is a frame of the same surgery in which
an instrument is labelled: a picture taken outside the body is not black either. Both partners get the same wording,
drawn by rendezvous from seed, surgery and couple number (see `tool_yesno`). Score: 1 if right, else 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cotgen.draws import rendezvous
from cotgen.records import Scene
from cotgen.tasks.answers import parse_yes_no
from cotgen.tasks.balance import in_hash_order
from cotgen.tasks.base import Question, names_nothing

ID = "field.visible"
#: Share of all questions of one surgery, in percent; `plan_questions` holds it.
MOST = 1
WORDINGS = (
    "Is the operative field visible?",
    "Can the operative field be seen?",
    "Is the operative field in view?",
    "Does this image show the operative field?",
    "Is there a view of the operative field in this image?",
    "Does the camera show the operative field here?",
    "Can you see the operative field in this picture?",
    "Is the operative field shown in this image?",
    "Looking at this picture, is the operative field visible?",
    "Is the surgical field visible in this image?",
    "Does the laparoscope show the operative field in this image?",
    "In this image, can the surgical field be seen?",
    "Yes or no: is the operative field visible?",
    "Do you have a view of the surgical field in this image?",
    "Is the surgical field to be seen in this picture?",
    "Does this picture give a view of the surgical field?",
    "Say whether the operative field is visible.",
)


class FieldVisible:
    """The task `field_visible` with the pair id `field.visible`."""

    name = "field_visible"
    kinds: tuple[str, ...] = ()
    wordings: tuple[str, ...] = WORDINGS

    def questions(self, scenes: Sequence[Scene], seed: int, most: int | None = None) -> Iterator[tuple[int, Question]]:
        """Couples of a black frame and another one, in hash order.

        Args:
            scenes: the frames of one surgery in time order.
            seed: of the draws.
            most: at most so many questions; None for as many as there are couples.
        """
        black = [(scene.key, position) for position, scene in enumerate(scenes) if not scene.has_field]
        if not black:
            return
        clear = [
            (scene.key, position)
            for position, scene in enumerate(scenes)
            if scene.measure("black") == 0.0 and scene.terms("instrument")
        ]
        couples = list(zip(in_hash_order(seed, black, ID), in_hash_order(seed, clear, ID), strict=False))
        for number, (no, yes) in enumerate(couples[: None if most is None else most // 2]):
            text = rendezvous(seed, WORDINGS, scenes[no].surgery, ID, str(number))
            yield yes, Question(ID, self.name, text, (), "Yes", ("yes",), couple=scenes[yes].key)
            yield no, Question(ID, self.name, text, (), "No", ("no",), couple=scenes[yes].key)

    def subject(self, pair_id: str) -> tuple[str, ...]:
        """The question names no term."""
        return names_nothing(pair_id, ID)

    def truth(self, scene: Scene, question: Question) -> tuple[str, ...] | None:
        """Yes or no by what was measured; None where nothing was."""
        black = scene.measure("black")
        return None if black is None else (("no",) if black == 1.0 else ("yes",))

    def parse(self, reply: str, question: Question) -> tuple[str, ...] | None:
        """Yes or no."""
        found = parse_yes_no(reply)
        return None if found is None else (found,)

    def score(self, reply: str, question: Question) -> float:
        """1.0 if right, else 0.0."""
        return float(self.parse(reply, question) == question.truth)


FIELD_VISIBLE = FieldVisible()
