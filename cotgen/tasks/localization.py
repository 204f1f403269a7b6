"""Where things are: one named thing, or all instruments.

Pair ids: `loc.TERM`, one structure or kind of instrument, "if it can be seen" in every wording, answered with its box or
boxes, or with `not visible` in 10 to 15 % of the questions about a term, only where its kind is outlined exhaustively;
`loc.all`, every instrument, one `name <bbox:n>` a line, only where every instance has a box. Truth and reply hold a box as
`x1,y1,x2,y2` in pixels. Score: sum of IoU of the best match / max(|said|, |true|), for `loc.all` within each name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from cotgen.draws import rendezvous
from cotgen.ontology import term, terms_of
from cotgen.records import Fact, Scene
from cotgen.tasks.answers import fold, spellings
from cotgen.tasks.balance import in_hash_order
from cotgen.tasks.base import Question
from cotgen.tasks.boxes import NOT_VISIBLE, Box, as_text, match_score, read_boxes

PREFIX, ALL_ID = "loc.", "loc.all"
#: Of seven questions about a thing that is there, one is about a frame without it: 12.5 %.
ABSENT_OF = 7
#: Sources that outline every instance of a kind.
COMPLETE = {"instrument": frozenset({"endovis17", "endovis18"}), "anatomy": frozenset({"endoscapes"})}
ONE = (
    "Locate {the} if {it} can be seen.",
    "Find {the}, if {it} can be seen.",
    "If {it} can be seen, where {is} {the}?",
    "Mark {the} if {it} can be seen.",
    "Give the box of {the}, if {it} can be seen.",
    "Where {is} {the}, provided {it} can be seen?",
    "Point out {the} if {it} can be seen in this image.",
    "If {the} can be seen, give {its} box.",
    "Draw a box around {the} if {it} can be seen.",
    "Show where {the} {is}, if {it} can be seen.",
    "Should {the} be seen, where {is} {it}?",
    "Localize {the} if {it} can be seen here.",
    "In this view, locate {the} if {it} can be seen.",
    "State where {the} {is} in the picture, if {it} can be seen.",
    "Look for {the} and give {its} box if {it} can be seen.",
)
EVERY = (
    "Locate every instrument.",
    "Give the box of each instrument.",
    "Find all instruments and name them.",
    "Mark each instrument with its name.",
    "Where are the instruments? Give name and box of each.",
    "List every instrument with its box.",
    "Draw a box around each instrument and name it.",
    "Name and locate all instruments in this image.",
    "For each instrument, give its name and its box.",
    "Point out every instrument in this view.",
    "Localize all instruments.",
    "State name and place of each instrument.",
    "Which instruments are where? Give their boxes.",
    "Show where each instrument is.",
    "Identify every instrument and give its box.",
)


class Localization:
    """The task `localization`."""

    name = "localization"
    kinds: tuple[str, ...] = ()
    wordings: tuple[str, ...] = ONE + EVERY

    def questions(self, scenes: Sequence[Scene], seed: int) -> Iterator[tuple[int, Question]]:
        """Each boxed thing of each frame, some that are not there, and all instruments where they are complete."""
        there: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for n, scene in enumerate(scenes):
            if not scene.has_field:
                continue
            for id in boxed(scene):
                there[id].append((scene.key, n))
            seen = every_instrument(scene)
            if seen:
                text = rendezvous(seed, EVERY, scene.key, ALL_ID)
                yield n, _all_question(self.name, text, seen, scene)
        for id, frames in sorted(there.items(), key=lambda item: (term(item[0]).kind, term(item[0]).order)):
            pair_id = PREFIX + id
            for _, n in frames:
                boxes = boxed(scenes[n])[id]
                marks = " ".join(f"<bbox:{k}>" for k in range(len(boxes)))
                truth = tuple(as_text(box) for box in boxes)
                text = _asked(rendezvous(seed, ONE, scenes[n].key, pair_id), id)
                yield n, Question(pair_id, self.name, text, (), marks, truth, (id,), tuple(boxes))
            absent = [(scene.key, n) for n, scene in enumerate(scenes) if is_absent(scene, id)]
            for n in in_hash_order(seed, absent, pair_id)[: len(frames) // ABSENT_OF]:
                text = _asked(rendezvous(seed, ONE, scenes[n].key, pair_id), id)
                yield n, Question(pair_id, self.name, text, (), NOT_VISIBLE, (), (id,))

    def subject(self, pair_id: str) -> tuple[str, ...]:
        """The thing that the id names; nothing for all instruments."""
        if pair_id == ALL_ID:
            return ()
        id = pair_id.removeprefix(PREFIX)
        known = {item.id for kind in ("instrument", "anatomy") for item in terms_of(kind)}
        if not pair_id.startswith(PREFIX) or id not in known:
            raise ValueError(f"'{pair_id}' is no question about a place")
        return (id,)

    def truth(self, scene: Scene, question: Question) -> tuple[str, ...] | None:
        """Boxes as text, `name=box` for all instruments; empty where the thing is not there; None where nobody knows."""
        if not scene.has_field:
            return None
        if not question.subject:
            seen = every_instrument(scene)
            return _named(seen) if seen else None
        id = question.subject[0]
        if id in boxed(scene):
            return tuple(as_text(box) for box in boxed(scene)[id])
        return () if is_absent(scene, id) else None

    def parse(self, reply: str, question: Question) -> tuple[str, ...] | None:
        """As the truth."""
        text = fold(reply)
        if text is None:
            return None
        if question.subject:
            if text == NOT_VISIBLE:
                return ()
            found = read_boxes(text.replace("\n", " "), question.boxes)
            return None if found is None else tuple(as_text(box) for box in sorted(found))
        said: list[tuple[str, Box]] = []
        for line in text.split("\n"):
            name, mark, rest = _split(line)
            id = spellings("instrument").get(name)
            boxes = read_boxes(mark + rest, question.boxes) if mark else None
            if id is None or boxes is None or len(boxes) != 1:
                return None
            said.append((id, boxes[0]))
        return _named(said)

    def score(self, reply: str, question: Question) -> float:
        """Sum of IoU of the best match / max(|said|, |true|); for all instruments a box counts under its name only."""
        said = self.parse(reply, question)
        if said is None:
            return 0.0
        if question.subject:
            return match_score(_boxes(said), _boxes(question.truth))
        mine, true = _by_name(said), _by_name(question.truth)
        total = sum(
            match_score(mine[name], true[name]) * max(len(mine[name]), len(true[name]))
            for name in mine.keys() & true.keys()
        )
        return total / max(sum(map(len, mine.values())), sum(map(len, true.values())))


def boxed(scene: Scene) -> dict[str, list[Box]]:
    """Term -> boxes of structures and instruments that can be asked for, in ascending order."""
    found: dict[str, list[Box]] = defaultdict(list)
    kinds = ["anatomy"] if "anatomy" not in scene.disputed else []
    kinds += ["instrument"] if "instrument" not in scene.disputed else []
    for kind in kinds:
        # Another one of the same name without a box would be a second right answer.
        without = {fact.terms[0] for fact in scene.of_kind(kind) if not fact.box} | {"instrument.unnamed"}
        for fact in scene.of_kind(kind):
            if fact.terms[0] not in without:
                found[fact.terms[0]].append(_box(fact))
    if "instrument" in kinds and not any(id.startswith("instrument.") for id in found):
        twins = defaultdict(list)
        for fact in scene.of_kind("triplet"):
            twins[fact.terms[0]].append(fact)
        for id, facts in twins.items():
            if all(fact.box for fact in facts):
                found[id] = [_box(fact) for fact in facts]
    return {id: sorted(set(boxes)) for id, boxes in found.items()}


def is_absent(scene: Scene, id: str) -> bool:
    """Whether a thing is known not to be there: its kind is outlined exhaustively, and it is not among it."""
    kind = term(id).kind
    if not scene.has_field or scene.says(kind) not in COMPLETE.get(kind, frozenset()) or scene.measure("ignored"):
        return False
    rows = scene.of_kind(kind)
    unnamed = any(fact.terms[0] == "instrument.unnamed" for fact in rows)
    return id not in {fact.terms[0] for fact in rows} and not unnamed


def every_instrument(scene: Scene) -> list[tuple[str, Box]]:
    """All instruments with their boxes where every instance of the frame has one and all sources agree; else none."""
    if not scene.has_field or scene.disputed & {"instrument", "triplet"}:
        return []
    own = [fact for fact in scene.of_kind("instrument") if fact.source in COMPLETE["instrument"]]
    if own:
        complete = all(fact.box for fact in own) and all(fact.terms[0] != "instrument.unnamed" for fact in own)
        return sorted((fact.terms[0], _box(fact)) for fact in own) if complete else []
    acting = scene.of_kind("triplet")
    if scene.says("triplet") != "cholect50" or not acting or not all(fact.box for fact in acting):
        return []
    kinds = {fact.terms[0] for fact in acting}
    seen = set(scene.terms("instrument")) if scene.says("instrument") == "cholec80" else kinds
    return sorted({(fact.terms[0], _box(fact)) for fact in acting}) if kinds == seen else []


def _box(fact: Fact) -> Box:
    x1, y1, x2, y2 = fact.box
    return x1, y1, x2, y2


def _all_question(task: str, text: str, seen: Sequence[tuple[str, Box]], scene: Scene) -> Question:
    source = scene.says("instrument") or scene.says("triplet")
    ordered = sorted(seen, key=lambda item: (term(item[0]).order, item[1]))
    lines = [f"{term(id).answer_in(source)} <bbox:{n}>" for n, (id, _) in enumerate(ordered)]
    boxes = tuple(box for _, box in ordered)
    return Question(ALL_ID, task, text, (), "\n".join(lines), _named(seen), (), boxes)


def _named(seen: Sequence[tuple[str, Box]]) -> tuple[str, ...]:
    ordered = sorted(seen, key=lambda item: (term(item[0]).order, item[1]))
    return tuple(f"{id}={as_text(box)}" for id, box in ordered)


def _boxes(truth: Sequence[str]) -> list[Box]:
    found = []
    for text in truth:
        x1, y1, x2, y2 = map(int, text.split(","))
        found.append((x1, y1, x2, y2))
    return found


def _by_name(truth: Sequence[str]) -> dict[str, list[Box]]:
    found: dict[str, list[Box]] = defaultdict(list)
    for entry in truth:
        name, _, text = entry.partition("=")
        found[name] += _boxes([text])
    return found


def _split(line: str) -> tuple[str, str, str]:
    """`grasper [1, 2, 3, 4]` -> name, the opening mark, the rest."""
    at = min((place for mark in ("[", "<") if (place := line.find(mark)) >= 0), default=-1)
    return (line.strip(), "", "") if at < 0 else (line[:at].strip(" :"), line[at], line[at + 1 :])


def _asked(wording: str, id: str) -> str:
    item = term(id)
    many = item.number == "plural"
    slots = {
        "the": f"the {item.name}",
        "it": "they" if many else "it",
        "is": "are" if many else "is",
        "its": "their" if many else "its",
    }
    return wording.format_map(slots)


LOCALIZATION = Localization()
