"""Checks of declared evidence: for stored chains, where each sentence names what it rests on."""

from __future__ import annotations

from collections.abc import Iterator

from cotgen.chains.checks.base import Case, found, support_of
from cotgen.chains.reading import POINTER, Reading
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
        if statement.basis not in ("visual", weakest):
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
        elif ref.kind == "pixel":
            measure, _, value = ref.target.partition("=")
            if case.scene.measure(measure) is None or str(case.scene.measure(measure)) != value:
                yield f"'{text}' is not what was measured"
        elif ref.kind == "statement" and int(ref.target) >= number:
            yield f"'{text}' does not stand earlier in the chain"
        elif ref.kind == "knowledge":
            item = entries().get(ref.target)
            if item is None or not item.usable:
                yield f"'{text}' is no knowledge that may be stated"
            elif item.procedure != case.scene.procedure:
                yield f"'{text}' is true of another operation ({item.procedure})"
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
    if statement.basis == "visual" and (
        reading.named("instrument") or reading.named("act") or reading.named("object")
    ):
        yield found("basis", reading, "a visual sentence may describe what the facts name and add nothing")
    if statement.basis != "label":
        return
    cited = {t for ref in refs if ref.kind == "fact" and ref.target in facts for t in facts[ref.target].terms}
    absent = {ref.target.partition("/") for ref in refs if ref.kind == "none"}
    for kind in ("instrument", "phase"):
        for name in reading.named(kind):
            if name not in cited:
                yield found("evidence", reading, f"'{name}' is asserted, but no cited fact holds it")
        for name in reading.named(kind, negated=True):
            if not any(term in ("", name) and what.endswith(f".{kind}") for what, _, term in absent):
                yield found("evidence", reading, f"'{name}' is denied without a 'none:' reference")


def case_is_template(statement: Statement) -> bool:
    """Template text of basis `knowledge` is always a wording of the knowledge base; other writers phrase it freely."""
    return all(ref.kind == "knowledge" for ref in statement.references())


def _texts(id: str) -> tuple[str, ...]:
    return entries()[id].texts if id in entries() else ()
