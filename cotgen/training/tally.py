"""Tally: the claims of a chain held against the facts of its frame, counted for its faithfulness.

What pays is a *fact that levels 1 and 2 tell*: a thing of the ontology that is there, an act told whole, a box of the
thing that is named before it; each once. What costs is a claim that the facts contradict, a sentence that claims nothing
or that holds words that nothing can decide, and undecided claims beyond `MOST_UNDECIDED` of all. Undecided is what the
sources are silent about (no box to hold a place against) or say weakly (a grasper that Cholec80 has not). Right places,
contacts, numbers, denials, general knowledge and repeats neither pay nor cost; wrong ones cost.

Faithfulness is the F1 of precision, paid / (paid + all that costs), and recall, paid of the facts *due* / due. Due are
the facts that the answer of this question rests on: all instruments and acts for a phase, the named instrument and its
acts for a question about it, both things for a question of place. So it pays to tell what there is; one safe thing alone
pays nothing where more are due, since `LEAST` facts have to be told. It is None where nothing is due or the sources can
decide fewer than `LEAST` claims: yes or no about one instrument (its "no" has nothing to tell, and "yes" must not be told
for gain), the camera, a thing that is not there, an operation whose facts are its answers. The prompt alone decides that, so
that no completion can choose to be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from cotgen.chains.checks import facts, reasoning
from cotgen.chains.checks.base import BAG, OFTEN_UNLABELLED, Case, Check
from cotgen.chains.checks.look import look
from cotgen.chains.checks.vocabulary import vocabulary
from cotgen.chains.checks.wording import wording
from cotgen.chains.grounds import claims_something
from cotgen.chains.reading import Reading
from cotgen.records import Fact, Scene
from cotgen.tasks.triplet import DOING, SET_ID, TARGET_ID, VERB_ID, YESNO
from cotgen.training.prompts import Row
from cotgen.training.reply import BoxReader, Reply, read_reply

#: ("thing", term), ("act", instrument, verb, target) or ("box", term, x1, y1, x2, y2).
Claim: TypeAlias = tuple[str | int, ...]

#: Claims that the sources have to be able to decide, and facts that have to be told where so many are due.
LEAST = 2
#: Share of all claims that may be undecided and cost nothing, in percent.
MOST_UNDECIDED = 30
_THINGS = ("instrument", "anatomy", "object")
#: Checks of facts whose findings contradict, as far as the sources can decide.
_DECIDED: tuple[tuple[Check, Callable[[Case, Reading], bool]], ...] = (
    (facts.acts, lambda case, reading: _knows_acts(case.scene)),
    (facts.asked_act, lambda case, reading: True),
    (facts.terms_of_the_operation, lambda case, reading: True),
    (facts.safety, lambda case, reading: True),
    (facts.closed_sentences, lambda case, reading: True),
    (facts.field, lambda case, reading: True),
    (facts.context, lambda case, reading: True),
    (facts.boxes, lambda case, reading: any(fact.box for fact in case.scene.facts)),
    (facts.places, lambda case, reading: _is_boxed(case, reading)),
    (facts.relations, lambda case, reading: _is_boxed(case, reading)),
    (facts.counts, lambda case, reading: case.view.counted is not None),
    (facts.kinds, lambda case, reading: case.scene.knows_all_instruments),
    (facts.sight, lambda case, reading: False),
)
#: Checks of facts that also hold at level 3; what it concludes is scored as the answer.
_AT_ANY_LEVEL = frozenset({facts.acts, facts.closed_sentences, facts.safety})
#: Checks of words: what they find nothing can decide.
_WORDS: tuple[Check, ...] = (wording, vocabulary, reasoning.origin, look)


@dataclass(frozen=True, slots=True)
class Tally:
    """The claims of one chain, counted.

    Attributes:
        due: facts that the answer rests on; 0 where faithfulness does not apply.
        told: those of them that levels 1 and 2 tell, each once.
        paid: all facts that levels 1 and 2 tell, each once.
        contradicted: claims that the facts contradict.
        undecided: claims that they do not decide.
        unsupported: sentences of levels 1 and 2 that claim nothing, or more than anything can decide.
        void: whether the answer stands before level 3, or a level holds nothing of its own.
        links: sentences of levels 2 and 3 about this frame.
        linked: those of them that add something, contradict nothing, and name only instruments that level 1 shows.
    """

    due: int
    told: int
    paid: int
    contradicted: int
    undecided: int
    unsupported: int
    void: bool
    links: int
    linked: int

    @property
    def faithfulness(self) -> float | None:
        """F1 in 0..1; None where no facts are due."""
        if not self.due:
            return None
        if self.void or self.told < min(LEAST, self.due):
            return 0.0
        claims = self.paid + self.contradicted + self.undecided + self.unsupported
        beyond = max(0.0, self.undecided - MOST_UNDECIDED * claims / 100)
        precision = self.paid / (self.paid + self.contradicted + self.unsupported + beyond)
        recall = self.told / self.due
        return 2 * precision * recall / (precision + recall)


@lru_cache(maxsize=1024)
def case_of(text: str, row: Row, reader: BoxReader, opened: bool) -> Case:
    """A completion as the checks of chains take it."""
    reply: Reply = read_reply(text, row, reader, opened)
    return Case(reply.chain, row.scene, row.question, None, reply.boxes)


@lru_cache(maxsize=1024)
def tally(text: str, row: Row, reader: BoxReader, opened: bool) -> Tally:
    """Count the claims of one completion; see `read_reply` for the arguments. Never raises on any text."""
    case = case_of(text, row, reader, opened)
    wanted, number = due(case)
    if not number or case.chain.problems:
        return Tally(number, 0, 0, 0, 0, 0, True, 0, 0)
    marks = _Marks(case)
    paid: set[Claim] = set()
    claimed = {n: set(_told(case, case.readings[n])) for n in marks.sound}
    for claims in claimed.values():
        paid |= claims
    shown = {name for n, claims in claimed.items() if case.readings[n].level == 1 for name in _instruments(claims)}
    links = [reading for reading in case.claims if reading.level > 1]
    linked = [
        r for r in links if r.number in marks.own - marks.wrong and set(r.named("instrument")) <= shown | _bags(case)
    ]
    void = any(True for _ in reasoning.early_answer(case)) or not all(
        any(case.readings[n].level == level for n in marks.own) for level in (1, 2, 3)
    )
    told = min(number, len(paid & wanted))
    return Tally(
        number,
        told,
        len(paid),
        len(marks.contradicted),
        len(marks.undecided),
        len(marks.unsupported),
        void,
        len(links),
        len(linked),
    )


class _Marks:
    """What is wrong with the sentences of a chain.

    Attributes:
        contradicted: claims that the facts contradict: a thing, or (sentence, check).
        undecided: likewise, what they do not decide.
        unsupported: numbers of sentences of levels 1 and 2.
        wrong: numbers of sentences that the facts contradict.
        sound: numbers of sentences of levels 1 and 2 that may pay.
        own: numbers of sentences that say something of their own, right or wrong.
    """

    def __init__(self, case: Case) -> None:
        self.contradicted: set[tuple[str | int, str]] = set()
        self.undecided: set[tuple[str | int, str]] = set()
        self.unsupported: set[int] = set()
        self.wrong: set[int] = set()
        for check in _WORDS:
            for finding in check(case):
                reading = case.readings[finding.statement]
                if reading.closed is not None and reading.closed.kind == "visual":
                    self.undecided.add((reading.number, "visual"))
                elif reading.level < 3:
                    self.unsupported.add(reading.number)
        for check, decides in _DECIDED:
            for finding in check(case):
                reading = case.readings[finding.statement]
                if reading.level == 3 and check not in _AT_ANY_LEVEL:
                    continue
                claim = (reading.number, finding.check)
                (self.contradicted if decides(case, reading) else self.undecided).add(claim)
        self._denials(case)
        for reading in case.readings:
            self._things(case, reading)
            if reading.level < 3 and not claims_something(reading):
                self.unsupported.add(reading.number)
        self.wrong |= {n for n, _ in self.contradicted if isinstance(n, int)}
        below = [reading for reading in case.readings if reading.level < 3]
        self.sound = [reading.number for reading in below if reading.number not in self.unsupported]
        earlier: set[str] = set()
        self.own: set[int] = set()
        for reading in case.readings:
            fresh = reading.text not in earlier and reasoning.says_something(reading)
            if fresh and reading.number not in self.unsupported:
                self.own.add(reading.number)
            earlier.add(reading.text)

    def _things(self, case: Case, reading: Reading) -> None:
        """Things that are told to be there, or not to be there."""
        if reading.general or reading.known or reading.closed is not None or reading.past:
            return
        there = _there(case)
        for kind in _THINGS:
            for name in reading.named(kind):
                if name in there:
                    continue
                if _knows_absence(case, kind, name):
                    self.contradicted.add((name, "there"))
                    self.wrong.add(reading.number)
                elif reading.level < 3:
                    self.undecided.add((name, "there"))

    def _denials(self, case: Case) -> None:
        """What is told not to be there, although it is, or although nobody knows."""
        for check in (facts.instruments, facts.things):
            for finding in check(case):
                reading = case.readings[finding.statement]
                if finding.check != "negation" or reading.level == 3:
                    continue
                denied = {name for kind in _THINGS for name in reading.named(kind, negated=True)}
                every = bool(reading.named("any_instrument", negated=True) and case.view.instruments)
                claim = (reading.number, "denied")
                (self.contradicted if denied & _there(case) or every else self.undecided).add(claim)


def _there(case: Case) -> frozenset[str]:
    """All things that the facts hold."""
    view = case.view
    return view.instruments | view.structures | view.things | _bags(case)


def _bags(case: Case) -> frozenset[str]:
    there = BAG in case.view.instruments or "anatomy.specimen_bag" in case.view.structures
    return frozenset({BAG} if there else ())


def _knows_absence(case: Case, kind: str, name: str) -> bool:
    """Whether the sources say that a thing is not there, and can be believed."""
    scene, view = case.scene, case.view
    if kind in scene.disputed or "." not in name:
        return False
    if kind == "object":
        return bool(scene.says("object"))
    if view.deniable(name):
        return True
    return kind == "instrument" and scene.knows_all_instruments and name not in OFTEN_UNLABELLED


def _knows_acts(scene: Scene) -> bool:
    return bool(scene.says("triplet")) and "triplet" not in scene.disputed


def _is_boxed(case: Case, reading: Reading) -> bool:
    """Whether all things of the facts that a sentence names have boxes, so that places can be held against them."""
    names = {name for ref in reading.claims.refs for name in ref.terms} & _there(case)
    return bool(names) and all(case.view.boxed(name) for name in names)


def _told(case: Case, reading: Reading) -> Iterator[Claim]:
    """The facts that a sentence tells."""
    if reading.general or reading.known or reading.closed is not None or reading.past:
        return
    there = _there(case)
    for kind in _THINGS:
        for name in reading.named(kind):
            if name in there:
                yield "thing", name
    for fact in case.acts_of.get(reading.number, ()):
        yield _act(fact)
    for number, ref in reading.claims.boxes:
        if ref is None or number >= len(case.view.boxes):
            continue
        box = tuple(case.view.boxes[number])
        for name in ref.terms:
            if any(tuple(fact.box) == box for fact in case.view.boxed(name)):
                yield "box", name, *box


def _act(fact: Fact) -> Claim:
    return "act", *fact.terms


def _instruments(claims: set[Claim]) -> Iterator[str]:
    yield from (str(claim[1]) for claim in claims if claim[0] == "thing" and str(claim[1]).startswith("instrument."))


def due(case: Case) -> tuple[frozenset[Claim], int]:
    """The facts that may be told for the answer, and how many of them are due; 0 where faithfulness does not apply."""
    wanted = frozenset(_due(case))
    if len(wanted) < LEAST and not _knows_all(case):
        return wanted, 0
    return wanted, min(LEAST, len(wanted)) if case.question.task in _SOME else len(wanted)


def _knows_all(case: Case) -> bool:
    """Whether a source knows of a kind of thing what is there and what is not, so that it decides several claims."""
    view = case.view
    complete = any(view.complete(kind) for kind in ("instrument", "anatomy"))
    return complete or case.scene.knows_all_instruments or bool(case.scene.says("object"))


#: Tasks whose chains show some things of the frame, without a rule which: as many as are due at least.
_SOME = frozenset({"cvs", "action"})
_COUNTED = frozenset({"tool_presence", "tool_count"})


def _due(case: Case) -> Iterator[Claim]:
    view, question = case.view, case.question
    task, subject = question.task, question.subject
    if task == "phase":
        yield from (("thing", name) for name in view.instruments)
        yield from (_act(fact) for fact in view.triplets if fact.terms[1] != "verb.null")
    elif task in _COUNTED:
        yield from (("thing", f.terms[0]) for f in view.instrument_facts if f.terms[0] != BAG or task != "tool_count")
    elif task == "triplet":
        for fact in _asked(case):
            yield "thing", fact.terms[0]
            yield _act(fact)
    elif task in ("localization", "count"):
        for fact in view.facts_of(subject[0]) if subject else view.counted or ():
            yield from _with_box(case, fact.terms[0])
    elif task == "position":
        for name in subject:
            yield from _with_box(case, name)
    elif task in ("anatomy", "cvs"):
        yield from (("thing", name) for name in case.scene.terms("anatomy"))
    elif task == "action":
        yield from (("thing", name) for name in case.scene.terms("object"))


def _with_box(case: Case, name: str) -> Iterator[Claim]:
    yield "thing", name
    for fact in case.view.boxed(name):
        yield "box", name, *fact.box


def _asked(case: Case) -> Iterator[Fact]:
    """The triplets that a question about acts is about."""
    id = case.question.id
    for fact in case.view.triplets:
        if id.startswith((DOING, VERB_ID, TARGET_ID, YESNO)):
            asked = fact.terms[0] == case.question.subject[0]
        else:
            asked = id == SET_ID and (fact.terms[1] != "verb.null" or fact.source == "endovis18")
        if asked:
            yield fact
