"""Whether the camera is inside the patient: MultiBypass140 labels the seconds when it is not.

Asked in equal parts of both, in couples of one surgery in hash order, and of a second outside nothing else is asked.
Pair id `camera.inside`. Score: 1 if right, else 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cotgen.draws import rendezvous
from cotgen.records import Scene
from cotgen.tasks.answers import parse_yes_no
from cotgen.tasks.balance import in_hash_order
from cotgen.tasks.base import Question, names_nothing

ID = "camera.inside"
OUTSIDE = "view.out_of_body"
WORDINGS = (
    "Is the camera inside the patient?",
    "Is this a view from inside the body?",
    "Was this picture taken inside the patient?",
    "Is the camera in the abdomen?",
    "Does this image show the inside of the patient?",
    "Yes or no: is the camera inside the patient?",
    "Is the laparoscope inside the body?",
    "Is this view from inside the abdomen?",
    "Looking at this picture, is the camera inside the patient?",
    "Is the laparoscope in the abdomen at this moment?",
    "Does the camera show the inside of the abdomen?",
    "Is the camera in the body of the patient here?",
    "Was this image taken with the laparoscope in the patient?",
    "Say whether the camera is inside the patient.",
    "At this moment, is the camera inside the body?",
)


class Camera:
    """The task `camera`."""

    name = "camera"
    kinds: tuple[str, ...] = ("view",)
    wordings: tuple[str, ...] = WORDINGS

    def questions(self, scenes: Sequence[Scene], seed: int) -> Iterator[tuple[int, Question]]:
        """Couples of a second outside and one inside."""
        outside = [(s.key, n) for n, s in enumerate(scenes) if _truth(s) == ("no",)]
        inside = [(s.key, n) for n, s in enumerate(scenes) if _truth(s) == ("yes",)]
        for no, yes in zip(in_hash_order(seed, outside, ID), in_hash_order(seed, inside, ID), strict=False):
            text = rendezvous(seed, WORDINGS, scenes[yes].key, ID)
            yield yes, Question(ID, self.name, text, (), "Yes", ("yes",), couple=scenes[yes].key)
            yield no, Question(ID, self.name, text, (), "No", ("no",), couple=scenes[yes].key)

    def subject(self, pair_id: str) -> tuple[str, ...]:
        """The question names no term."""
        return names_nothing(pair_id, ID)

    def truth(self, scene: Scene, question: Question) -> tuple[str, ...] | None:
        """Yes or no by the scene's labels; None where nobody labelled the view."""
        return _truth(scene)

    def parse(self, reply: str, question: Question) -> tuple[str, ...] | None:
        """Yes or no."""
        found = parse_yes_no(reply)
        return None if found is None else (found,)

    def score(self, reply: str, question: Question) -> float:
        """1.0 if right, else 0.0."""
        return float(self.parse(reply, question) == question.truth)


def _truth(scene: Scene) -> tuple[str, ...] | None:
    if not scene.says("view"):
        return None
    return ("no",) if OUTSIDE in scene.terms("view") else ("yes",)


CAMERA = Camera()
