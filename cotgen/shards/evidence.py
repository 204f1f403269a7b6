"""Resolving evidence: what each reference of a stored statement points at must be there and say what it is cited for.

This reads the stored sample alone and shares no code with the checks of chains, so that one error cannot hide in both.
"""

from __future__ import annotations

from collections.abc import Callable

from cotgen.ontology.knowledge import entry
from cotgen.records import EvidenceRef, Pair, Sample
from cotgen.surgeries.priors import Priors


def resolve_evidence(sample: Sample, pair: Pair, statement: int, priors: Priors | None) -> list[str]:
    """What is wrong with the evidence of one statement, in words; empty where all of it resolves.

    Args:
        sample: the sample as stored.
        pair: one of its pairs.
        statement: position of the statement in the pair, from 0.
        priors: the folder's priors, or None where it has none.
    """
    references = pair.statements[statement].references()
    cited = {reference.target for reference in references if reference.kind == "fact"}
    return [
        f"'{reference.kind}:{reference.target}' {problem}"
        for reference in references
        if (problem := _RESOLVERS[reference.kind](_Place(sample, pair, statement, cited, priors), reference))
    ]


class _Place:
    """Where a reference stands."""

    def __init__(self, sample: Sample, pair: Pair, statement: int, cited: set[str], priors: Priors | None) -> None:
        self.sample = sample
        self.pair = pair
        self.statement = statement
        self.cited = cited
        self.priors = priors


def _fact(at: _Place, reference: EvidenceRef) -> str:
    there = any(fact.id == reference.target for fact in at.sample.facts)
    return "" if there else "is no fact of this frame"


def _none(at: _Place, reference: EvidenceRef) -> str:
    name, _, term = reference.target.partition("/")
    if name not in at.sample.labelled:
        return f"cites an absence, but {name} is not labelled in this frame"
    facts = [fact for fact in at.sample.facts if f"{fact.source}.{fact.kind}" == name]
    there = [fact.id for fact in facts if not term or term in fact.terms]
    return f"cites an absence, but {there[0]} says that it is there" if there else ""


def _all(at: _Place, reference: EvidenceRef) -> str:
    name, _, apart = reference.target.partition("/")
    if name not in at.sample.labelled:
        return f"says that these are all, but {name} is not labelled in this frame"
    facts = [fact for fact in at.sample.facts if f"{fact.source}.{fact.kind}" == name]
    more = sorted({fact.id for fact in facts if fact.terms != [apart]} - at.cited)
    return f"says that the cited facts are all, but there is {more[0]} too" if more else ""


def _box(at: _Place, reference: EvidenceRef) -> str:
    number = int(reference.target)
    if number >= len(at.pair.boxes):
        return f"is no box of this pair, which has {len(at.pair.boxes)}"
    owners = {fact.id for fact in at.sample.facts if fact.box and fact.box == at.pair.boxes[number]}
    if not owners:
        return f"is {at.pair.boxes[number]}, which is the box of no fact"
    if at.cited and not owners & at.cited:
        return f"is the box of {min(owners)}, which the sentence does not cite"
    return ""


def _pixel(at: _Place, reference: EvidenceRef) -> str:
    name, _, value = reference.target.partition("=")
    measure, _, ids = name.partition("/")
    of = ids.split("+") if ids else []
    measured = [item.value for item in at.sample.measured if item.name == measure and item.of == of]
    if not measured:
        return f"cites a number, but '{name}' was not measured in this frame"
    try:
        same = float(value) in measured
    except ValueError:
        same = False
    return "" if same else f"is not what was measured ({', '.join(map(str, measured))})"


def _statement(at: _Place, reference: EvidenceRef) -> str:
    return "" if int(reference.target) < at.statement else "does not stand earlier in the chain"


def _prior(at: _Place, reference: EvidenceRef) -> str:
    if at.priors is None:
        return "cites a statistic, but the folder has no priors.json"
    try:
        at.priors.resolve(reference.target)
    except KeyError:
        return "is no entry of priors.json"
    return ""


def _knowledge(at: _Place, reference: EvidenceRef) -> str:
    try:
        entry(reference.target)
    except KeyError:
        return "is no entry of the knowledge base"
    return ""


def _context(at: _Place, reference: EvidenceRef) -> str:
    number, _, fact_id = reference.target.partition("/")
    if int(number) >= len(at.sample.context):
        return f"names an earlier instant that is not stored ({len(at.sample.context)} are)"
    there = any(fact.id == fact_id for fact in at.sample.context[int(number)].facts)
    return "" if there else "is no fact of that earlier instant"


def _seen(at: _Place, reference: EvidenceRef) -> str:
    return "" if reference.target == at.pair.writer else f"names another model than the writer, {at.pair.writer}"


def _judged(at: _Place, reference: EvidenceRef) -> str:
    seen = any(text.startswith("seen:") for text in at.pair.statements[at.statement].evidence)
    return "" if seen else "scores a sentence that no model says it sees"


_RESOLVERS: dict[str, Callable[[_Place, EvidenceRef], str]] = {
    "fact": _fact,
    "none": _none,
    "all": _all,
    "box": _box,
    "pixel": _pixel,
    "statement": _statement,
    "prior": _prior,
    "knowledge": _knowledge,
    "context": _context,
    "seen": _seen,
    "judged": _judged,
}
