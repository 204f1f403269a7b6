"""What a check gets: a chain as parsed, the facts of its frame, and its question."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from cotgen.chains.checks.matching import BAG, View
from cotgen.chains.closed import CRITERIA
from cotgen.chains.lexicon import HEADS, STEP_WORDS, Mention
from cotgen.chains.reading import Reading, read
from cotgen.chains.render import ParsedChain
from cotgen.records import Fact, Finding, Scene, Support
from cotgen.surgeries.priors import PHASE_BY_SET, PHASE_BY_STEP, PHASE_BY_TRIPLET, Priors, given_set, given_triplet
from cotgen.tasks import TASKS
from cotgen.tasks.base import Question

__all__ = ["BAG", "OFTEN_UNLABELLED", "REASONED", "Case", "Check", "found", "given_of", "support_of"]

#: Often in the picture without a label (17.6 % of CholecT50's graspers have Cholec80's grasper at 0), so its absence is
#: never claimed.
OFTEN_UNLABELLED = frozenset({"instrument.grasper"})
#: Tasks whose answer no first level carries: a phase has its statistics, a step and an action have nothing.
REASONED = frozenset({"phase", "step", "action"})


@dataclass(frozen=True)
class Case:
    """One chain to be checked.

    Attributes:
        chain: the text as parsed; template, teacher and policy look the same from here.
        scene: the facts of the frame.
        question: what was asked. Its `truth` is not trusted: checks take the truth from the scene.
        priors: statistics of the train surgeries, or None.
        visual: numbers of the sentences that are declared to be of basis `visual`.
        boxes: the boxes of the pair, which `<bbox:n>` counts; those of the question where none are given.
    """

    chain: ParsedChain
    scene: Scene
    question: Question
    priors: Priors | None = None
    boxes: tuple[tuple[int, ...], ...] = ()
    visual: frozenset[int] = frozenset()

    @cached_property
    def view(self) -> View:
        """The facts as claims need them."""
        return View(self.scene, self.boxes or self.question.boxes)

    @cached_property
    def readings(self) -> tuple[Reading, ...]:
        """The sentences as read."""
        return read(self.chain, self._resolve)

    def _resolve(self, mention: Mention, word: str) -> Mention:
        if mention.term in HEADS:
            return replace(mention, term=self.view.resolve(mention.term))
        if mention.kind == "act" and word.lower() in STEP_WORDS and self.scene.says("step"):
            return replace(mention, kind="step", term=STEP_WORDS[word.lower()])
        return mention

    @cached_property
    def claims(self) -> tuple[Reading, ...]:
        """The sentences that speak of this frame."""
        return tuple(reading for reading in self.readings if not reading.general)

    def shown(self, level: int) -> frozenset[str]:
        """Instruments that the claims of a level assert."""
        return frozenset(t for r in self.claims if r.level == level for t in r.named("instrument"))

    def denied(self, level: int) -> frozenset[str]:
        """Instruments and structures that a level denies; `instrument` where all instruments are denied at once."""
        kinds = ("instrument", "any_instrument", "anatomy")
        return frozenset(
            t for r in self.claims if r.level == level for kind in kinds for t in r.named(kind, negated=True)
        )

    @cached_property
    def given(self) -> str:
        """What level 1 shows, as the key of the tables of priors; "" where it says nothing about instruments."""
        if shown := self.shown(1):
            return given_set(shown)
        return "none" if "instrument" in self.denied(1) else ""

    @cached_property
    def acts_of(self) -> dict[int, tuple[Fact, ...]]:
        """Number of a sentence of levels 1 and 2 -> the triplets that it tells whole: instrument, verb and target."""
        ids: list[str] = []
        found: dict[int, tuple[Fact, ...]] = {}
        for reading in self.claims:
            if reading.level == 3 or reading.past:
                continue
            before = len(ids)
            for act in reading.claims.acts:
                if act.negated or not act.subjects:
                    continue
                another = [id for id in ids if any(ref.which in ("another", "other") for ref in act.subjects)]
                for fact in self.view.acting(act, self.view.triplets, another):
                    # EndoVis 2018 knows one target, which need not be said.
                    if act.targets or fact.terms[1] == "verb.null" or fact.source == "endovis18":
                        ids.append(fact.id)
                        if any(ref.which == "one" for ref in act.subjects):
                            break
            own = ids[before:]
            found[reading.number] = tuple(fact for fact in self.view.triplets if fact.id in own)
        return found

    @cached_property
    def told(self) -> tuple[Fact, ...]:
        """The triplets that levels 1 and 2 tell whole."""
        ids = {fact.id for facts in self.acts_of.values() for fact in facts}
        return tuple(fact for fact in self.view.triplets if fact.id in ids)

    @cached_property
    def boxed(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """(term, box) for each thing that level 1 shows with a box of this pair."""
        pairs = []
        for reading in self.claims:
            if reading.level == 1:
                for number, ref in reading.claims.boxes:
                    if ref is not None and ref.terms and number < len(self.view.boxes):
                        pairs.append((ref.terms[0], tuple(self.view.boxes[number])))
        return tuple(pairs)

    @cached_property
    def support(self) -> Support:
        """How far levels 1 and 2 carry the true answer, from what they say."""
        return support_of(self)


Check = Callable[[Case], Iterator[Finding]]


def given_of(case: Case) -> Iterator[tuple[str, str]]:
    """(table, key) for each statistic that levels 1 and 2 give something to."""
    # A set of instruments is one of those in view, which only a source of presence lists.
    partial = case.scene.says("instrument") or case.scene.says("triplet")
    if case.given and (case.scene.knows_all_instruments or not partial):
        sighted = case.shown(1) & case.view.sighted
        yield PHASE_BY_SET, given_set(sighted) if case.scene.says("triplet") and sighted else case.given
    for fact in case.told:
        if fact.terms[1] != "verb.null":
            yield PHASE_BY_TRIPLET, given_triplet(fact.terms)
    for reading in case.claims:
        if reading.level < 3 and reading.closed is not None and reading.closed.kind == "act":
            yield from ((PHASE_BY_STEP, term) for term in reading.closed.terms if term in case.scene.terms("step"))


def support_of(case: Case) -> Support:
    """Support from levels 1 and 2 (design 3).

    What level 1 shows entails an answer about it, what level 2 tells one about acts; the criteria of safety stand at level
    3 in the words of their votes. A phase has the best of its statistics; steps and actions have none.
    """
    task = case.question.task
    truth = TASKS[task].truth(case.scene, case.question)
    if truth is None:
        return "asserted"
    if task == "phase":
        if case.priors is None:
            return "asserted"
        order: tuple[Support, ...] = ("asserted", "weak", "strong")
        found = [case.priors.support(table, given, truth[0]) for table, given in given_of(case)]
        return max(found, key=order.index, default="asserted")
    entailed = _ENTAILED.get(task)
    return "entailed" if entailed is not None and entailed(case, truth) else "asserted"


def _first_level(case: Case, truth: tuple[str, ...]) -> bool:
    return bool(case.chain.level(1))


def _named_instrument(case: Case, truth: tuple[str, ...]) -> bool:
    subject, denied = case.question.subject[0], case.denied(1)
    return subject in case.shown(1) if truth == ("yes",) else subject in denied or "instrument" in denied


def _all_kinds(case: Case, truth: tuple[str, ...]) -> bool:
    # The bag is no instrument that is counted, so a count stands whether or not level 1 shows it.
    apart = {BAG} if case.question.task == "tool_count" else set()
    facts = set(case.scene.terms("instrument"))
    return case.shown(1) - apart == facts - apart


def _acts(case: Case, truth: tuple[str, ...]) -> bool:
    """Each triplet asked about is told; where there is none, that no instrument is at work."""
    instrument = next((id for id in case.question.subject if id.startswith("instrument.")), "")
    asked = [fact for fact in case.view.triplets if instrument in ("", fact.terms[0])]
    told = {tuple(fact.terms) for fact in case.told}
    nothing = "instrument" in case.denied(1) or instrument in case.denied(1)
    return bool(asked) and {tuple(fact.terms) for fact in asked} <= told if asked else nothing


def _place(case: Case, truth: tuple[str, ...]) -> bool:
    """Level 1 has the box of each instance asked for, or says that the thing is not identified."""
    if not case.question.subject:
        return _every_instrument(case, truth)
    subject = case.question.subject[0]
    shown = set(case.boxed)
    facts = case.view.boxed(subject)
    if facts:
        return all((subject, tuple(fact.box)) in shown or (_ANY, tuple(fact.box)) in shown for fact in facts)
    return subject in case.denied(1)


def _every_instrument(case: Case, truth: tuple[str, ...]) -> bool:
    facts = case.view.counted
    if facts is None:
        return False
    if not facts:
        return "instrument" in case.denied(1)
    shown = {box for _, box in case.boxed}
    return all(tuple(fact.box) in shown or not fact.box for fact in facts) and case.shown(1) | {_UNNAMED} >= {
        fact.terms[0] for fact in facts
    }


def _both(case: Case, truth: tuple[str, ...]) -> bool:
    shown = {term for term, _ in case.boxed}
    return all(subject in shown or (subject == _UNNAMED and _ANY in shown) for subject in case.question.subject)


def _structures(case: Case, truth: tuple[str, ...]) -> bool:
    shown = {t for r in case.claims if r.level == 1 for t in r.named("anatomy")}
    asked = [id for id in case.question.subject if id.startswith("anatomy.")]
    if asked:
        return all(id in shown or id in case.denied(1) for id in asked)
    facts = set(case.scene.terms("anatomy"))
    return shown == facts if facts else bool(case.chain.level(1))


def _criteria(case: Case, truth: tuple[str, ...]) -> bool:
    """Level 3 tells each criterion asked for in the words of its votes."""
    asked = [id for id in case.question.subject if id in CRITERIA] or list(CRITERIA)
    told = {
        t for r in case.claims if r.level == 3 and r.closed and r.closed.kind == "criterion" for t in r.closed.terms
    }
    return set(asked) <= told


def _camera(case: Case, truth: tuple[str, ...]) -> bool:
    return any(r.level == 1 and r.closed is not None and r.closed.kind == "camera" for r in case.claims)


_ANY = "instrument"
_UNNAMED = "instrument.unnamed"
_ENTAILED: dict[str, Callable[[Case, tuple[str, ...]], bool]] = {
    "field_visible": _first_level,
    "tool_yesno": _named_instrument,
    "tool_presence": _all_kinds,
    "tool_count": _all_kinds,
    "triplet": _acts,
    "localization": _place,
    "count": _every_instrument,
    "position": _both,
    "anatomy": _structures,
    "cvs": _criteria,
    "camera": _camera,
}


def found(check: str, reading: Reading | None, text: str) -> Finding:
    """A hard finding at a sentence, or at the whole chain."""
    return Finding(check=check, statement=reading.number if reading else -1, text=text)
