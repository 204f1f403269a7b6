"""Where things are: one structure, one kind of instrument, or all instruments.

Pair ids: `loc.TERM`, answered with its box or boxes. Where its kind is outlined exhaustively, every wording has "if it can
be seen", and 10 to 15 % of the answers are `not visible`; elsewhere nobody knows that a thing is not there, and no wording
has it. A structure is asked for where it is outlined once, an instrument always as every one of its kind, so that the
wording does not tell how many there are. `loc.all`, every instrument, one `name <bbox:n>` a line, only where every instance
has a box. Truth and reply hold a box as `x1,y1,x2,y2` in pixels. Score: sum of IoU of the best match / max(|said|, |true|),
for `loc.all` within each name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from cotgen.draws import rendezvous
from cotgen.ontology import term, terms_of, vocabulary
from cotgen.records import Fact, Scene
from cotgen.tasks.answers import fold, spellings
from cotgen.tasks.balance import in_hash_order
from cotgen.tasks.base import Question
from cotgen.tasks.boxes import NOT_VISIBLE, Box, all_match, as_text, match_score, read_boxes

PREFIX, ALL_ID = "loc.", "loc.all"
#: For seven questions about a thing that is there, one is about a frame without it: 12.5 %.
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
    "If {the} can be seen, where {is} {it}?",
    "Localize {the} if {it} can be seen here.",
    "In this view, locate {the} if {it} can be seen.",
    "State where {the} {is} in the picture, if {it} can be seen.",
    "Look for {the} and give {its} box if {it} can be seen.",
)
#: Kinds that may be asked for where a surgery has not one of them. Of the others a data set has so few that their name
#: would give the answer away.
COMMON = frozenset(
    {
        "instrument.bipolar",
        "instrument.prograsp_forceps",
        "instrument.large_needle_driver",
        "instrument.monopolar_curved_scissors",
        "instrument.ultrasound_probe",
        "instrument.suction_instrument",
        "instrument.clipper",
    }
)
#: Instruments of sources that outline every one: {every} is `every hook` or `the bipolar forceps`.
EACH_IF = (
    "Locate {every}, if {one} can be seen.",
    "Find {every}, if {one} can be seen.",
    "Mark {every}, if {one} can be seen.",
    "Give the box of {every}, if {one} can be seen.",
    "Point out {every} in this image, if {one} can be seen.",
    "Draw a box around {every}, if {one} can be seen.",
    "Localize {every} here, if {one} can be seen.",
    "In this view, locate {every}, if {one} can be seen.",
    "Look for {every} and give {its} box, if {one} can be seen.",
    "Give a box for {every}, if {one} can be seen.",
    "If {one} can be seen, locate {every}.",
    "If {one} can be seen, mark {every} with a box.",
    "If {one} can be seen, give the box of {every}.",
    "If {one} can be seen in this picture, find {every}.",
    "State the box of {every}, if {one} can be seen.",
)
#: Instruments of sources that box some, whose absence nobody knows.
EACH = (
    "Locate {every}.",
    "Find {every} in this image.",
    "Mark {every}.",
    "Give the box of {every}.",
    "Point out {every} in this image.",
    "Draw a box around {every}.",
    "Localize {every} here.",
    "In this view, locate {every}.",
    "Look for {every} and give {its} box.",
    "Give a box for {every}.",
    "Mark {every} with a box.",
    "Show with a box where {every} {is}.",
    "State the box of {every} in this picture.",
    "Tell by {its} box where in this picture {every} {is}.",
    "Box {every} in this view.",
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
    wordings: tuple[str, ...] = ONE + EACH_IF + EACH + EVERY

    def questions(self, scenes: Sequence[Scene], seed: int) -> Iterator[tuple[int, Question]]:
        """Each boxed thing of each frame, some that are not there, and all instruments where they are complete."""
        there: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for n, scene in enumerate(scenes):
            if not scene.has_field:
                continue
            for id, boxes in boxed(scene).items():
                if len(boxes) == 1 or term(id).kind == "instrument":
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
                text = _worded(seed, scenes[n], id)
                yield n, Question(pair_id, self.name, text, (), marks, truth, (id,), tuple(boxes))
        for id, n in _absent(scenes, there, seed):
            yield n, Question(PREFIX + id, self.name, _worded(seed, scenes[n], id), (), NOT_VISIBLE, (), (id,))

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

    def score(self, reply: str, question: Question, least: float = 0.0) -> float:
        """Sum of IoU of the best match / max(|said|, |true|); for all instruments a box counts under its name only.

        An IoU below `least` counts as 0.
        """
        said = self.parse(reply, question)
        if said is None:
            return 0.0
        if question.subject:
            return match_score(_boxes(said), _boxes(question.truth), least)
        mine, true = _by_name(said), _by_name(question.truth)
        total = sum(
            match_score(mine[name], true[name], least) * max(len(mine[name]), len(true[name]))
            for name in mine.keys() & true.keys()
        )
        return total / max(sum(map(len, mine.values())), sum(map(len, true.values())))

    def right(self, reply: str, question: Question, least: float) -> bool:
        """Whether each true box, and no other, is said with an IoU of `least` or more, under its name."""
        said = self.parse(reply, question)
        if said is None:
            return False
        if question.subject:
            return all_match(_boxes(said), _boxes(question.truth), least)
        mine, true = _by_name(said), _by_name(question.truth)
        return mine.keys() == true.keys() and all(all_match(mine[name], true[name], least) for name in true)


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


def _absent(
    scenes: Sequence[Scene], there: Mapping[str, Sequence[tuple[str, int]]], seed: int
) -> Iterator[tuple[str, int]]:
    """(term, position) of the questions about things that are not there: one for each seven about a thing that is.

    For each term as many as its own questions call for, as far as it is missing in some frame; an instrument that is there
    all the time leaves its share to the others of the surgery, and to those that the data set names elsewhere.
    """
    for kind in ("anatomy", "instrument"):
        asked = [id for id in there if term(id).kind == kind]
        room = {id: len(there[id]) // ABSENT_OF for id in asked}
        left: list[tuple[str, tuple[str, int]]] = []
        # To the nearest whole number: a surgery of a few frames has its share as well.
        short = (2 * sum(len(there[id]) for id in asked) + ABSENT_OF) // (2 * ABSENT_OF)
        sources = {scenes[n].says(kind) for id in asked for _, n in there[id]} & COMPLETE[kind]
        if not sources:
            continue
        others = {item.id for source in sources for item in vocabulary(source, kind)} & COMMON - set(asked)
        for id in (*sorted(asked), *sorted(others if kind == "instrument" else ())):
            found = in_hash_order(
                seed, [(scene.key, n) for n, scene in enumerate(scenes) if is_absent(scene, id)], PREFIX + id
            )
            taken = found[: room.get(id, 0)]
            short -= len(taken)
            yield from ((id, n) for n in taken)
            left += [(f"{scenes[n].key} {id}", (id, n)) for n in found[len(taken) :]]
        if kind == "instrument":
            yield from in_hash_order(seed, left, PREFIX + NOT_VISIBLE)[: max(0, short)]


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


def _worded(seed: int, scene: Scene, id: str) -> str:
    """The wording, drawn from a pool that the source decides and not the answer."""
    pool = ONE
    if term(id).kind == "instrument":
        pool = EACH_IF if scene.says("instrument") in COMPLETE["instrument"] else EACH
    return _asked(rendezvous(seed, pool, scene.key, PREFIX + id), id)


def _asked(wording: str, id: str) -> str:
    item = term(id)
    many = item.number == "plural"
    slots = {
        "the": f"the {item.name}",
        "every": f"the {item.name}" if many else f"every {item.name}",
        "one": "they" if many else "one",
        "it": "they" if many else "it",
        "is": "are" if many else "is",
        "its": "their" if many else "its",
    }
    return wording.format_map(slots)


LOCALIZATION = Localization()
