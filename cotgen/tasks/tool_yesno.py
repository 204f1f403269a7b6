"""Whether one named instrument is in view: yes and no in equal parts, exactly, for each instrument and wording.

Asked of every instrument but the grasper, which is often there unlabelled, so that "no" would be a guess. Within one
surgery and phase, the frames with the instrument and those without are each put into hash order and matched one to
one; what is left over of either is not asked. So neither the question nor the scene around the instrument tells the
answer. A frame without a phase cannot be matched and is not asked.

Both frames of a match get the same wording, drawn by rendezvous from seed, instrument and the key of the frame with
it: so each wording has exactly as many "yes" as "no" (no mutual information at any corpus size), where a draw for each
frame would have that only on average.

Score: 1 if right, else 0.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from cotgen.draws import rendezvous
from cotgen.ontology import Term, terms_of
from cotgen.records import Scene
from cotgen.tasks.answers import parse_yes_no
from cotgen.tasks.balance import in_hash_order
from cotgen.tasks.base import Question, offered
from cotgen.tasks.tool_presence import kinds_in_view, named_by_acts

PREFIX = "tool.yesno."
NOT_ASKED = "instrument.grasper"
#: `{Is}` and `{is}` agree with the instrument that the question names, never with the answer.
WORDINGS = (
    "{Is} {subject} in view?",
    "{Is} {subject} visible in this image?",
    "Can {subject} be seen in this picture?",
    "Do you see {subject} in this view?",
    "Does this image show {subject}?",
    "Does the picture show {subject}?",
    "{Is} {subject} in the operative field?",
    "{Is} {subject} shown here?",
    "In this image, {is} {subject} in view?",
    "Yes or no: {is} {subject} in view?",
    "{Is} there {subject} in this view?",
    "Looking at this view, {is} {subject} to be seen?",
    "{Is} {subject} present in the field of view?",
    "Can you see {subject} in the operative field?",
    "At this moment, {is} {subject} in view?",
    "{Is} {subject} in the picture?",
    "Does the laparoscope show {subject} in this image?",
    "Say whether {subject} {is} in view.",
)


class ToolYesNo:
    """The task `tool_yesno` with a pair id for each instrument, `tool.yesno.instrument.clipper`."""

    name = "tool_yesno"
    kinds: tuple[str, ...] = ("instrument", "phase")
    wordings: tuple[str, ...] = WORDINGS

    def questions(self, scenes: Sequence[Scene], seed: int) -> Iterator[tuple[int, Question]]:
        """All matches, instrument by instrument."""
        by_phase: dict[str, list[tuple[str, int, tuple[str, ...]]]] = defaultdict(list)
        for position, scene in enumerate(scenes):
            kinds, phases = kinds_in_view(scene), scene.terms("phase")
            if kinds is not None and len(phases) == 1:
                by_phase[phases[0]].append((scene.key, position, kinds))
        asked = {item.id: item for scene in scenes for item in offered(scene, "instrument")}
        for item in sorted(asked.values(), key=lambda item: item.order):
            if item.id == NOT_ASKED:
                continue
            id = PREFIX + item.id
            for _, frames in sorted(by_phase.items()):
                there = [(key, position) for key, position, kinds in frames if item.id in kinds]
                # An instrument that acts by another source may be there, hidden or with less than half of its tip.
                absent = [
                    (key, position)
                    for key, position, kinds in frames
                    if item.id not in kinds and item.id not in named_by_acts(scenes[position])
                ]
                couples = zip(in_hash_order(seed, there, id), in_hash_order(seed, absent, id), strict=False)
                for yes, no in couples:
                    wording = rendezvous(seed, WORDINGS, scenes[yes].key, id)
                    text = _fill(wording, item)
                    yield yes, Question(id, self.name, text, (), "Yes", ("yes",), (item.id,))
                    yield no, Question(id, self.name, text, (), "No", ("no",), (item.id,))

    def subject(self, pair_id: str) -> tuple[str, ...]:
        """The instrument that the id names."""
        named = [item.id for item in terms_of("instrument") if PREFIX + item.id == pair_id]
        if not named:
            raise ValueError(f"'{pair_id}' is not {PREFIX} and an instrument")
        return (named[0],)

    def truth(self, scene: Scene, question: Question) -> tuple[str, ...] | None:
        """Yes or no by the scene's facts; None where instruments were not labelled, and for the grasper."""
        kinds = kinds_in_view(scene)
        if kinds is None or NOT_ASKED in question.subject:
            return None
        return ("yes",) if question.subject[0] in kinds else ("no",)

    def parse(self, reply: str, question: Question) -> tuple[str, ...] | None:
        """Yes or no."""
        found = parse_yes_no(reply)
        return None if found is None else (found,)

    def score(self, reply: str, question: Question) -> float:
        """1.0 if right, else 0.0."""
        return float(self.parse(reply, question) == question.truth)


def _fill(wording: str, item: Term) -> str:
    verb = "are" if item.number == "plural" else "is"
    return wording.format_map({"subject": item.phrase, "is": verb, "Is": verb.capitalize()})


TOOL_YESNO = ToolYesNo()
