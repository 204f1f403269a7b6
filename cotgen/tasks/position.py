"""How two boxed things lie to one another: left, right, above or below, measured and with a dead zone.

Pair id `position.ONE.OTHER` (terms without their dots: `position.anatomy.cystic_duct.anatomy.gallbladder`). Asked along
the axis in which the centres differ more, where they differ by at least 15 % of the field and the other axis by at most
half of that, so that one answer is right; the four options are always the same. Things that occur twice are not asked.
Score: 1 if right, else 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cotgen.draws import rendezvous, shuffled
from cotgen.ontology import term, terms_of
from cotgen.records import Scene
from cotgen.tasks.answers import LETTERS, fold
from cotgen.tasks.base import Question
from cotgen.tasks.boxes import Box
from cotgen.tasks.localization import boxed

PREFIX = "position."
#: Percent of the field: least difference along the axis that is asked, most along the other.
LEAST, MOST = 15, 7
OPTIONS = ("left", "right", "above", "below")
WORDINGS = (
    "In the picture, where {is} {a} in relation to {b}?",
    "How {does} {a} lie relative to {b} in the picture?",
    "Where does the picture show {a}, relative to {b}?",
    "Which word tells where {a} {is} relative to {b} in the picture?",
    "From {b}, in which direction {is} {a} in the image?",
    "Which of these places {does} {a} have in this picture, relative to {b}?",
    "Relative to {b}, where {is} {a} in the image?",
    "In this view, where {does} {a} lie relative to {b}?",
    "Choose where in the picture {a} {is}, relative to {b}.",
    "Compared with {b}, where in the picture {is} {a}?",
    "Which option tells where in the picture {a} {is}, relative to {b}?",
    "Tell where in the picture {a} {is}, compared with {b}.",
    "Where in the picture {is} {a}, compared with {b}?",
    "Pick the word for the place of {a} relative to {b} in the picture.",
    "What is the place of {a} relative to {b} in the image?",
)


class Position:
    """The task `position`."""

    name = "position"
    kinds: tuple[str, ...] = ()
    wordings: tuple[str, ...] = WORDINGS

    def questions(self, scenes: Sequence[Scene], seed: int) -> Iterator[tuple[int, Question]]:
        """One couple of things of each frame that has one with a clear answer, drawn by its key."""
        for n, scene in enumerate(scenes):
            couples = [(one, other) for one in single(scene) for other in single(scene) if _how(scene, one, other)]
            if not couples:
                continue
            ids = sorted(PREFIX + f"{one}.{other}" for one, other in couples)
            id = rendezvous(seed, ids, scene.key, self.name)
            one, other = self.subject(id)
            truth = _how(scene, one, other)
            text = _asked(rendezvous(seed, WORDINGS, scene.key, id), one, other)
            options = tuple(shuffled(seed, OPTIONS, scene.key, id))
            yield n, Question(id, self.name, text, options, truth, (truth,), (one, other))

    def subject(self, pair_id: str) -> tuple[str, ...]:
        """The two things that the id names."""
        parts = pair_id.removeprefix(PREFIX).split(".")
        known = {item.id for kind in ("instrument", "anatomy") for item in terms_of(kind)}
        found = (".".join(parts[:2]), ".".join(parts[2:]))
        if not pair_id.startswith(PREFIX) or len(parts) != 4 or not set(found) <= known:
            raise ValueError(f"'{pair_id}' is no question about two places")
        return found

    def truth(self, scene: Scene, question: Question) -> tuple[str, ...] | None:
        """The direction by the boxes; None in the dead zone and where one of the two is not there once."""
        found = _how(scene, *question.subject)
        return (found,) if found else None

    def parse(self, reply: str, question: Question) -> tuple[str, ...] | None:
        """The direction that the answer names, or chooses by its letter."""
        text = fold(reply)
        if text is None:
            return None
        if text in OPTIONS:
            return (text,)
        letter = text.strip("()").upper()
        if len(letter) == 1 and letter in LETTERS[: len(question.options)]:
            return (question.options[LETTERS.index(letter)],)
        return None

    def score(self, reply: str, question: Question) -> float:
        """1.0 if right, else 0.0."""
        return float(self.parse(reply, question) == question.truth)


def single(scene: Scene) -> dict[str, Box]:
    """The things that are there once, with their boxes."""
    return {id: boxes[0] for id, boxes in boxed(scene).items() if len(boxes) == 1} if scene.has_field else {}


def _how(scene: Scene, one: str, other: str) -> str:
    """`left`, `right`, `above`, `below`; "" where no answer is clear."""
    things = single(scene)
    left, top, right, bottom = scene.lit_field
    width, height = right - left, bottom - top
    if one == other or one not in things or other not in things or width <= 0 or height <= 0:
        return ""
    a, b = things[one], things[other]
    # Twice the distance of the centres, so that halves stay integers.
    across, down = (a[0] + a[2]) - (b[0] + b[2]), (a[1] + a[3]) - (b[1] + b[3])
    wide, high = 100 * abs(across) / (2 * width), 100 * abs(down) / (2 * height)
    if wide >= LEAST and high <= MOST:
        return "left" if across < 0 else "right"
    if high >= LEAST and wide <= MOST:
        return "above" if down < 0 else "below"
    return ""


def _asked(wording: str, one: str, other: str) -> str:
    item = term(one)
    many = item.number == "plural"
    slots = {
        "a": f"the {item.name}",
        "b": f"the {term(other).name}",
        "is": "are" if many else "is",
        "does": "do" if many else "does",
    }
    return wording.format_map(slots)


POSITION = Position()
