"""Checks: what must hold before a chain reaches a shard. One check is one function from a case to findings.

The first group works on text as parsed and the facts, whoever wrote it; the second on the evidence that a stored chain
declares. Adding a check is a function in one of these modules and a line here.
"""

from __future__ import annotations

from cotgen.chains.checks import evidence, facts, reasoning
from cotgen.chains.checks.base import Case, Check, support_of
from cotgen.chains.checks.labels import suspects
from cotgen.chains.checks.look import look
from cotgen.chains.checks.vocabulary import vocabulary
from cotgen.chains.checks.wording import wording
from cotgen.chains.render import ParsedChain
from cotgen.records import Finding, Pair, Sample, Scene
from cotgen.surgeries.priors import Priors
from cotgen.tasks.base import Question

CONTENT_CHECKS: tuple[Check, ...] = (
    reasoning.form,
    reasoning.answer,
    reasoning.carries,
    facts.instruments,
    facts.sight,
    facts.things,
    facts.acts,
    facts.asked_act,
    facts.left_out,
    facts.terms_of_the_operation,
    facts.closed_sentences,
    facts.safety,
    facts.kinds,
    facts.counts,
    facts.field,
    facts.boxes,
    facts.places,
    facts.relations,
    facts.context,
    look,
    reasoning.early_answer,
    reasoning.monotone,
    reasoning.support,
    reasoning.reversed_conditional,
    reasoning.frequency,
    reasoning.origin,
    wording,
    vocabulary,
    suspects,
)

__all__ = [
    "CONTENT_CHECKS",
    "Case",
    "case_of",
    "check_case",
    "check_chain",
    "check_pair",
    "check_sample",
    "support_of",
]


def check_chain(chain: ParsedChain, scene: Scene, question: Question, priors: Priors | None) -> list[Finding]:
    """Findings of all content checks on parsed text, in the order of the checks."""
    case = Case(chain, scene, question, priors)
    return [finding for check in CONTENT_CHECKS for finding in check(case)]


def check_pair(pair: Pair, scene: Scene, priors: Priors | None, question: Question | None = None) -> list[Finding]:
    """Findings of all checks on a stored pair: its text as parsed, then its declared evidence."""
    return check_case(case_of(pair, scene, priors, question), pair)


def case_of(pair: Pair, scene: Scene, priors: Priors | None, question: Question | None = None) -> Case:
    """A stored pair as a case, read from its rendered text."""
    boxes = tuple(tuple(box) for box in pair.boxes)
    visual = frozenset(n for n, statement in enumerate(pair.statements) if statement.basis == "visual")
    return Case(ParsedChain.of(pair), scene, question or Question.of(pair), priors, boxes, visual)


def check_case(case: Case, pair: Pair) -> list[Finding]:
    """The same, for a pair that was parsed already."""
    found = [finding for check in CONTENT_CHECKS for finding in check(case)]
    return [*found, *evidence.declared(case, pair)]


def check_sample(sample: Sample, priors: Priors | None, scene: Scene | None = None) -> list[tuple[str, Finding]]:
    """(pair id, finding) for all pairs of a sample, and for pairs that contradict one another."""
    scene = scene or Scene.of(sample)
    found: list[tuple[str, Finding]] = []
    said: dict[str, str] = {}
    denied: dict[str, str] = {}
    for pair in sample.pairs:
        case = case_of(pair, scene, priors)
        found += [(pair.id, finding) for finding in check_case(case, pair)]
        said |= dict.fromkeys(case.shown(1), pair.id)
        denied |= dict.fromkeys(case.denied(1), pair.id)
    for name in sorted(said.keys() & denied.keys()):
        text = f"'{name}' is asserted in {said[name]} and denied in {denied[name]}"
        found.append((denied[name], Finding(check="contradiction", text=text)))
    return found
