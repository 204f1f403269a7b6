"""Checks of declared evidence: for stored chains, where each sentence names what it rests on."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cotgen.chains.checks.base import Case, found, support_of
from cotgen.chains.reading import FREQUENCY, POINTER, Reading
from cotgen.ontology.knowledge import entries
from cotgen.records import BASES, Fact, Finding, Pair, Statement

#: The basis that each form of evidence can give.
BASIS_OF = {
    "fact": "label",
    "none": "label",
    "all": "label",
    "context": "label",
    "box": "measured",
    "pixel": "measured",
    "statement": "follows",
    "prior": "prior",
    "knowledge": "knowledge",
    "seen": "visual",
    "judged": "visual",
}
#: Evidence that only says where something is, and so does not weaken the label that says what it is.
_PLACES = {"box"}


def basis_of(evidence: list[str]) -> str:
    """The basis of the weakest piece of evidence."""
    return max((BASIS_OF[text.partition(":")[0]] for text in evidence), key=BASES.index)


def declared(case: Case, pair: Pair) -> Iterator[Finding]:
    """Every reference resolves in this frame, the basis is that of the weakest, and the sentence says no more."""
    facts = {fact.id: fact for fact in case.scene.facts}
    for reading, statement in zip(case.readings, pair.statements, strict=False):
        weakest = basis_of(statement.evidence)
        if statement.basis != weakest:
            yield found("basis", reading, f"the basis is '{statement.basis}', but the weakest evidence is '{weakest}'")
        for problem in unresolved(case, pair, statement, reading.number, facts):
            yield found("evidence", reading, problem)
        yield from _covers(case, reading, statement, facts)
    if len(case.readings) != len(pair.statements):
        yield found("evidence", None, "the text has another number of sentences than the chain has statements")
    elif pair.support != (expected := support_of(case)):
        yield found("support", None, f"support is declared as '{pair.support}', but it is '{expected}'")


def unresolved(case: Case, pair: Pair, statement: Statement, number: int, facts: dict[str, Fact]) -> Iterator[str]:
    """What is wrong with the references of one statement, in words."""
    cited = [ref.target for ref in statement.references() if ref.kind == "fact"]
    for ref in statement.references():
        text = f"{ref.kind}:{ref.target}"
        if ref.kind == "fact" and ref.target not in facts:
            yield f"'{text}' is no fact of this frame"
        elif ref.kind in ("none", "all"):
            name, _, term = ref.target.partition("/")
            source, _, kind = name.partition(".")
            rows = [fact for fact in facts.values() if fact.source == source and fact.kind == kind]
            if name not in case.scene.labelled:
                yield f"'{text}': {name} is not labelled in this frame"
            elif ref.kind == "none" and any(not term or fact.terms[0] == term for fact in rows):
                yield f"'{text}', but it is labelled in this frame"
            elif ref.kind == "all" and {fact.id for fact in rows if fact.terms[0] != term} - set(cited):
                yield f"'{text}', but the frame has more facts of that kind than are cited"
        elif ref.kind == "box" and int(ref.target) >= len(pair.boxes):
            yield f"'{text}' is no box of this pair"
        elif ref.kind == "box":
            owners = [fact.id for fact in facts.values() if fact.box and fact.box == pair.boxes[int(ref.target)]]
            if not owners:
                yield f"'{text}' is the box of no fact of this frame"
            elif cited and not set(owners) & set(cited):
                yield f"'{text}' is the box of {owners[0]}, which the sentence does not cite"
        elif ref.kind == "pixel":
            what, _, value = ref.target.partition("=")
            measure, _, of = what.partition("/")
            measured = case.scene.measure(measure, *(of.split("+") if of else ()))
            if measured is None or str(measured) != value:
                yield f"'{text}' is not what was measured"
        elif ref.kind == "context":
            position, _, id = ref.target.partition("/")
            earlier = case.scene.context[int(position)].facts if int(position) < len(case.scene.context) else []
            if id not in {fact.id for fact in earlier}:
                yield f"'{text}' is no fact of an earlier instant"
        elif ref.kind == "statement" and int(ref.target) >= number:
            yield f"'{text}' does not stand earlier in the chain"
        elif ref.kind == "knowledge":
            item = entries().get(ref.target)
            if item is None or not item.usable:
                yield f"'{text}' is no knowledge that may be stated"
            elif item.procedure != case.scene.procedure:
                yield f"'{text}' is true of another operation ({item.procedure})"
        elif ref.kind == "seen" and ref.target != pair.writer:
            yield f"'{text}' names another model than the writer of the chain"
        elif ref.kind == "judged" and not any(other.kind == "seen" for other in statement.references()):
            yield f"'{text}' scores what no model says that it sees"
        elif ref.kind == "prior" and case.priors is not None:
            try:
                case.priors.resolve(ref.target)
            except KeyError:
                yield f"'{text}' is no entry of the priors"
        elif ref.kind == "prior":
            yield f"'{text}' needs the priors of the build"


def _covers(case: Case, reading: Reading, statement: Statement, facts: dict[str, Fact]) -> Iterator[Finding]:
    """A sentence does not say more than its evidence holds."""
    refs = statement.references()
    if statement.basis in ("knowledge", "prior") and POINTER.search(reading.text) and not reading.known:
        yield found("basis", reading, f"a sentence of basis '{statement.basis}' points at the picture")
    if statement.basis == "knowledge":
        wordings = {text for ref in refs if ref.kind == "knowledge" for text in _texts(ref.target)}
        if case_is_template(statement) and reading.text not in wordings:
            yield found("evidence", reading, "the sentence is no wording of the knowledge that it cites")
    for ref in refs:
        if ref.kind == "prior" and not _speaks_of(reading, ref.target):
            yield found("evidence", reading, f"'prior:{ref.target}' is a statistic of something else")
    if (
        reading.general
        and not reading.known
        and reading.level > 1
        and statement.basis not in ("prior", "knowledge")
        and FREQUENCY.search(reading.text)
    ):
        yield found("evidence", reading, "a word of frequency needs a statistic of the train surgeries")
    if statement.basis == "visual" and reading.closed is not None and reading.closed.kind == "visual":
        cited = {
            term for ref in refs if ref.kind == "fact" and ref.target in facts for term in facts[ref.target].terms
        }
        for name in reading.closed.terms:
            if name not in cited:
                yield found("evidence", reading, f"the look of '{name}' is told without the fact that names it")
    if statement.basis not in ("label", "measured"):
        return
    yield from _cites(case, reading, statement, facts)


def _speaks_of(reading: Reading, prior: str) -> bool:
    """Whether a statistic is of what the sentence names; a sentence that names neither tool nor act may mean any."""
    given = re.findall(r"\b(instrument|verb|anatomy)\.(\w+)", prior.partition(">")[0])
    for kind, what in (("instrument", "instrument"), ("verb", "act"), ("anatomy", "anatomy")):
        named = reading.named(what)
        ids = [f"{kind}.{name}" for form, name in given if form == kind]
        if ids and named and not set(ids) <= set(named):
            return False
    return True


def _cites(case: Case, reading: Reading, statement: Statement, facts: dict[str, Fact]) -> Iterator[Finding]:
    """What a sentence asserts is held by a fact that it cites, and what it denies by a reference to what is not there."""
    refs = statement.references()
    own = [facts[ref.target] for ref in refs if ref.kind == "fact" and ref.target in facts]
    for ref in refs:
        if ref.kind == "context":
            position, _, id = ref.target.partition("/")
            if int(position) < len(case.scene.context):
                own += [fact for fact in case.scene.context[int(position)].facts if fact.id == id]
    cited = {_SAME.get(term, term) for fact in own for term in fact.terms}
    absent = [ref.target.partition("/") for ref in refs if ref.kind == "none"]
    every = any(ref.kind == "all" for ref in refs) or any(not term for _, _, term in absent)
    if reading.named("any_instrument", negated=True) and not (every or reading.closed):
        yield found("evidence", reading, "instruments are denied without a 'none:' reference")
    for kind in ("instrument", "phase", "step", "action", "anatomy", "object"):
        for name in reading.named(kind):
            if kind == "object" and ("." not in name or reading.closed):
                continue
            if _SAME.get(name, name) not in cited and not (kind == "anatomy" and reading.closed):
                yield found("evidence", reading, f"'{name}' is asserted, but no cited fact holds it")
        for name in reading.named(kind, negated=True):
            if reading.closed or (kind == "anatomy" and name in cited):
                continue
            if not any(term in ("", name) and what.endswith(f".{kind}") for what, _, term in absent):
                yield found("evidence", reading, f"'{name}' is denied without a 'none:' reference")
    for act in reading.claims.acts:
        if act.subjects and not act.negated and not case.view.acting(act, own):
            yield found("evidence", reading, f"an act ({act.word}) is told, but no cited fact holds it")
    if reading.closed is not None and reading.closed.kind == "camera":
        outside = any(fact.kind == "view" for fact in own)
        if not (any(what.endswith(".view") for what, _, _ in absent) if reading.closed.value else outside):
            yield found("evidence", reading, "where the camera is is told without what labels it")
    told = reading.closed.terms if reading.closed is not None else ()
    if told and not set(told) & cited:
        yield found("evidence", reading, f"'{told[0]}' is told, but no cited fact holds it")


#: The bag is an instrument in view and a structure that is acted on.
_SAME = {"anatomy.specimen_bag": "instrument.specimen_bag"}


def case_is_template(statement: Statement) -> bool:
    """Template text of basis `knowledge` is always a wording of the knowledge base; other writers phrase it freely."""
    return all(ref.kind == "knowledge" for ref in statement.references())


def _texts(id: str) -> tuple[str, ...]:
    return entries()[id].texts if id in entries() else ()
