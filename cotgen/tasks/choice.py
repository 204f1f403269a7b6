"""What the tasks with one answer from a closed list share: an open question and a choice among options.

The list is that of the data set, so options come from a fixed family before the truth is looked at. Score: 1 if right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from cotgen.draws import rendezvous, shuffled
from cotgen.ontology import Term, term
from cotgen.records import Scene
from cotgen.tasks.answers import parse_choice, parse_term
from cotgen.tasks.base import Question, names_nothing, offered


class ChoiceTask:
    """A task with the pair ids `NAME.open` and `NAME.choice`.

    Attributes:
        name: of the task.
        kind: kind of fact whose one term is the answer.
        opens: wordings of the open question.
        choices: wordings of the choice.
        family: the options for a scene; all terms of its data set where None.
        asked: whether an answer is asked at all.
    """

    def __init__(
        self,
        name: str,
        kind: str,
        opens: tuple[str, ...],
        choices: tuple[str, ...],
        *,
        family: Callable[[Scene], Sequence[Term]] | None = None,
        asked: Callable[[Scene], bool] = lambda scene: True,
    ) -> None:
        """Takes the attributes."""
        self.name, self.kind, self.opens, self.choices = name, kind, opens, choices
        self.kinds: tuple[str, ...] = (kind,)
        self.wordings: tuple[str, ...] = opens + choices
        self._family, self._asked = family, asked

    def questions(self, scenes: Sequence[Scene], seed: int) -> Iterator[tuple[int, Question]]:
        """Both questions about each frame with one answer. The order of the options is drawn from seed and key."""
        for position, scene in enumerate(scenes):
            truth = self._truth(scene)
            if truth is None:
                continue
            answer = term(truth[0]).answer
            id = f"{self.name}.open"
            yield position, Question(id, self.name, rendezvous(seed, self.opens, scene.key, id), (), answer, truth)
            id = f"{self.name}.choice"
            names = [item.answer for item in self.family(scene)]
            if answer in names and len(names) > 1:
                options = tuple(shuffled(seed, names, scene.key, id))
                text = rendezvous(seed, self.choices, scene.key, id)
                yield position, Question(id, self.name, text, options, answer, truth)

    def family(self, scene: Scene) -> Sequence[Term]:
        """The terms that a choice about this scene offers."""
        return self._family(scene) if self._family else offered(scene, self.kind)

    def subject(self, pair_id: str) -> tuple[str, ...]:
        """The question names no term."""
        return names_nothing(pair_id, f"{self.name}.open", f"{self.name}.choice")

    def truth(self, scene: Scene, question: Question) -> tuple[str, ...] | None:
        """The term by the scene's facts; None where there is not just one."""
        return self._truth(scene)

    def parse(self, reply: str, question: Question) -> tuple[str, ...] | None:
        """The term that the answer names or, among options, chooses."""
        found = parse_choice(reply, question.options, self.kind) if question.options else parse_term(reply, self.kind)
        return None if found is None else (found,)

    def score(self, reply: str, question: Question) -> float:
        """1.0 if right, else 0.0."""
        return float(self.parse(reply, question) == question.truth)

    def _truth(self, scene: Scene) -> tuple[str, ...] | None:
        if not scene.has_field or not self._asked(scene):
            return None
        found = scene.terms(self.kind)
        return found if len(found) == 1 else None
