"""What a check gets: a chain as parsed, the facts of its frame, and its question."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from cotgen.chains.reading import Reading, read
from cotgen.chains.render import ParsedChain
from cotgen.records import Finding, Scene, Support
from cotgen.surgeries.priors import PHASE_BY_SET, Priors, given_set
from cotgen.tasks import TASKS
from cotgen.tasks.base import Question

#: Kinds of instrument that are told apart; the bag is no instrument when kinds are counted.
BAG = "instrument.specimen_bag"
#: Often in the picture without a label (17.6 % of CholecT50's graspers have Cholec80's grasper at 0), so its absence is
#: never claimed.
OFTEN_UNLABELLED = frozenset({"instrument.grasper"})


@dataclass(frozen=True)
class Case:
    """One chain to be checked.

    Attributes:
        chain: the text as parsed; template, teacher and policy look the same from here.
        scene: the facts of the frame.
        question: what was asked. Its `truth` is not trusted: checks take the truth from the scene.
        priors: statistics of the train surgeries, or None.
    """

    chain: ParsedChain
    scene: Scene
    question: Question
    priors: Priors | None = None

    @cached_property
    def readings(self) -> tuple[Reading, ...]:
        """The sentences as read."""
        return read(self.chain)

    @cached_property
    def claims(self) -> tuple[Reading, ...]:
        """The sentences that speak of this frame."""
        return tuple(reading for reading in self.readings if not reading.general)

    def shown(self, level: int) -> frozenset[str]:
        """Instruments that the claims of a level assert."""
        return frozenset(t for r in self.claims if r.level == level for t in r.named("instrument"))

    def denied(self, level: int) -> frozenset[str]:
        """Instruments that the claims of a level deny; `instrument` where all are denied at once."""
        found = {t for r in self.claims if r.level == level for t in r.named("instrument", negated=True)}
        found |= {t for r in self.claims if r.level == level for t in r.named("any_instrument", negated=True)}
        return frozenset(found)

    @cached_property
    def given(self) -> str:
        """What level 1 shows, as the key of the tables of priors; "" where it says nothing about instruments."""
        if shown := self.shown(1):
            return given_set(shown)
        return "none" if "instrument" in self.denied(1) else ""

    @cached_property
    def support(self) -> Support:
        """How far levels 1 and 2 carry the true answer, from what they say."""
        return support_of(self)


Check = Callable[[Case], Iterator[Finding]]


def support_of(case: Case) -> Support:
    """Support from levels 1 and 2 (design 3): tool questions are entailed by what level 1 shows, phases by priors."""
    task = case.question.task
    truth = TASKS[task].truth(case.scene, case.question)
    if truth is None:
        return "asserted"
    if task == "phase":
        if case.priors is None or not case.given:
            return "asserted"
        return case.priors.support(PHASE_BY_SET, case.given, truth[0])
    if task == "field_visible":
        return "entailed" if case.chain.level(1) else "asserted"
    if task == "tool_yesno":
        subject = case.question.subject[0]
        denied = case.denied(1)
        told = subject in case.shown(1) if truth == ("yes",) else subject in denied or "instrument" in denied
        return "entailed" if told else "asserted"
    # The bag is no instrument that is counted, so a count stands whether or not level 1 shows it.
    apart = {BAG} if task == "tool_count" else set()
    facts = set(case.scene.terms("instrument"))
    return "entailed" if case.shown(1) - apart == facts - apart else "asserted"


def found(check: str, reading: Reading | None, text: str) -> Finding:
    """A hard finding at a sentence, or at the whole chain."""
    return Finding(check=check, statement=reading.number if reading else -1, text=text)
