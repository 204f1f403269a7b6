"""The critical view of safety in one view: each criterion by the votes of three raters, and the whole.

Pair ids: `cvs.criteria`, all three with the whole where the raters determine it, one a line:

    two structures: yes
    hepatocystic triangle: no
    cystic plate: no
    critical view: not achieved

and `cvs.one.CRITERION`, yes or no in equal parts. A criterion is met where two of three say so; the whole where a
majority of raters holds all three, which is not what three majorities say. Score: the share of the criteria asked that
are right, the whole counted as one of them; yes or no: 1 if right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cotgen.draws import rendezvous
from cotgen.ontology import term
from cotgen.records import Scene
from cotgen.tasks.answers import fold, parse_yes_no
from cotgen.tasks.balance import in_hash_order
from cotgen.tasks.base import Question

ALL_ID, ONE = "cvs.criteria", "cvs.one."
CRITERIA = ("cvs.two_structures", "cvs.hepatocystic_triangle", "cvs.cystic_plate")
WHOLE = "cvs.critical_view"
_STATES = {True: "achieved", False: "not achieved"}
WORDINGS = (
    "Which criteria of the critical view of safety does this view meet?",
    "Is the critical view of safety achieved in this view? Judge each criterion.",
    "Judge each criterion of the critical view of safety in this image.",
    "For this view, say of each criterion of the critical view of safety whether it is met.",
    "Assess the three criteria of the critical view of safety.",
    "Go through the criteria of the critical view of safety: which are met here?",
    "State for each criterion of the critical view of safety whether this image shows it.",
    "How does this view stand with the criteria of the critical view of safety?",
    "Of the criteria of the critical view of safety, which does this picture meet?",
    "Rate the critical view of safety in this image, criterion by criterion.",
    "Tell whether each criterion of the critical view of safety is met in this view.",
    "Two structures, hepatocystic triangle, cystic plate: which criteria are met in this view?",
    "Give a yes or no for each criterion of the critical view of safety.",
    "Check the critical view of safety in this image, one criterion at a time.",
    "Criterion by criterion, is the critical view of safety met in this view?",
)
_MEANING = {
    "cvs.two_structures": "that two structures, and no more, enter the gallbladder",
    "cvs.hepatocystic_triangle": "that the hepatocystic triangle is cleared of fat and fibrous tissue",
    "cvs.cystic_plate": "that the lower third of the gallbladder is off the liver, with the cystic plate showing",
}
SINGLE = (
    "Does this view show {that}?",
    "Is it shown {that}?",
    "Can it be seen in this view {that}?",
    "Yes or no: does the image show {that}?",
    "Does the picture show {that}?",
    "Is it seen here {that}?",
    "Judge one criterion of the critical view of safety: does this view show {that}?",
    "Looking at this view, is it shown {that}?",
    "Say whether this image shows {that}.",
    "In this view, is it to be seen {that}?",
    "Does this image meet one criterion of the critical view of safety, {that}?",
    "Can you see {that}?",
    "Would you say that this view shows {that}?",
    "Is the criterion met {that}?",
    "Of the critical view of safety, is this shown: {that}?",
)


class Cvs:
    """The task `cvs`."""

    name = "cvs"
    kinds: tuple[str, ...] = ("cvs",)
    wordings: tuple[str, ...] = WORDINGS + SINGLE

    def questions(self, scenes: Sequence[Scene], seed: int) -> Iterator[tuple[int, Question]]:
        """All criteria of each judged frame, and couples of yes and no for each criterion."""
        judged = [(n, scene, votes) for n, scene in enumerate(scenes) if (votes := met(scene)) is not None]
        for n, scene, votes in judged:
            truth = _all(scene, votes)
            text = rendezvous(seed, WORDINGS, scene.key, ALL_ID)
            yield n, Question(ALL_ID, self.name, text, (), _written(truth), truth)
        for criterion in CRITERIA:
            id = ONE + criterion.partition(".")[2]
            # A frame without outlines gets no chain from a template: a couple of one of each would lose its other half.
            for outlined in (True, False):
                own = [(scene.key, n, votes) for n, scene, votes in judged if bool(scene.says("anatomy")) == outlined]
                yes = [(key, n) for key, n, votes in own if votes[criterion]]
                no = [(key, n) for key, n, votes in own if not votes[criterion]]
                for a, b in zip(in_hash_order(seed, yes, id), in_hash_order(seed, no, id), strict=False):
                    text = rendezvous(seed, SINGLE, scenes[a].key, id).format(that=_MEANING[criterion])
                    yield a, Question(id, self.name, text, (), "Yes", ("yes",), (criterion,))
                    yield b, Question(id, self.name, text, (), "No", ("no",), (criterion,))

    def subject(self, pair_id: str) -> tuple[str, ...]:
        """The criterion that the id names."""
        if pair_id == ALL_ID:
            return ()
        found = f"cvs.{pair_id.removeprefix(ONE)}"
        if not pair_id.startswith(ONE) or found not in CRITERIA:
            raise ValueError(f"'{pair_id}' is no question about the critical view of safety")
        return (found,)

    def truth(self, scene: Scene, question: Question) -> tuple[str, ...] | None:
        """`cvs.two_structures=yes` and so on; None where nobody judged the frame."""
        votes = met(scene)
        if votes is None:
            return None
        if question.subject:
            return ("yes",) if votes[question.subject[0]] else ("no",)
        return _all(scene, votes)

    def parse(self, reply: str, question: Question) -> tuple[str, ...] | None:
        """The lines of the answer in their order, each once, or yes or no."""
        if question.subject:
            found = parse_yes_no(reply)
            return None if found is None else (found,)
        text = fold(reply)
        if text is None:
            return None
        said = []
        names = {term(id).answer: id for id in (*CRITERIA, WHOLE)}
        for line in text.split("\n"):
            name, colon, value = (part.strip() for part in line.partition(":"))
            id = names.get(name, "")
            words = ("achieved", "not achieved") if id == WHOLE else ("yes", "no")
            if not colon or not id or value not in words:
                return None
            said.append((id, "yes" if value in ("yes", "achieved") else "no"))
        ids = [id for id, _ in said]
        if ids not in ([*CRITERIA], [*CRITERIA, WHOLE]):
            return None
        return tuple(f"{id}={value}" for id, value in said)

    def score(self, reply: str, question: Question) -> float:
        """The share of what is asked that is right."""
        said = self.parse(reply, question)
        if said is None:
            return 0.0
        if question.subject:
            return float(said == question.truth)
        return len(set(said) & set(question.truth)) / max(len(question.truth), len(said))


def met(scene: Scene) -> dict[str, bool] | None:
    """Criterion -> whether two of three raters say so; None where the frame was not judged."""
    if not scene.has_field or not scene.says("cvs"):
        return None
    votes = {fact.terms[0]: round(3 * fact.value) >= 2 for fact in scene.of_kind("cvs")}
    return votes if set(votes) == set(CRITERIA) else None


def achieved(scene: Scene) -> bool | None:
    """Whether a majority of the raters holds all three criteria; None where that is not known.

    Where the raters were not counted one by one, between max(0, sum of votes - 6) and the least vote of them do: that
    leaves one answer where both lie on one side of a half.
    """
    whole = scene.of_kind("cvs_overall")
    if whole:
        return 2 * whole[0].value >= 1
    counts = {fact.terms[0]: round(3 * fact.value) for fact in scene.of_kind("cvs")}
    if set(counts) != set(CRITERIA):
        return None
    least, most = sum(counts.values()) - 6, min(counts.values())
    return False if most <= 1 else True if least >= 2 else None


def _all(scene: Scene, votes: dict[str, bool]) -> tuple[str, ...]:
    said = [f"{id}={'yes' if votes[id] else 'no'}" for id in CRITERIA]
    whole = achieved(scene)
    if whole is not None:
        said.append(f"{WHOLE}={'yes' if whole else 'no'}")
    return tuple(said)


def _written(truth: Sequence[str]) -> str:
    lines = []
    for entry in truth:
        id, _, value = entry.partition("=")
        lines.append(f"{term(id).answer}: {_STATES[value == 'yes'] if id == WHOLE else value}")
    return "\n".join(lines)


CVS = Cvs()
