"""Evidence in words: what a reference of a sentence stands for, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterable

from cotgen.ontology import term
from cotgen.ontology.knowledge import entry
from cotgen.records import EvidenceRef, Fact, Pair, Sample
from cotgen.surgeries.priors import Priors


def name_of(item: str) -> str:
    """The display name of a term; the id of one that this version does not know stays as it is."""
    try:
        return term(item).name
    except KeyError:
        return item


def words_of(fact: Fact) -> str:
    """`grasper, retract, gallbladder at [273, 16, 670, 143]`."""
    words = ", ".join(name_of(item) for item in fact.terms)
    return f"{words} at {fact.box}" if fact.box else words


def spell(reference: EvidenceRef, sample: Sample, pair: Pair, priors: Priors | None) -> str:
    """One reference in words; one that leads nowhere says so."""
    target = reference.target
    match reference.kind:
        case "fact":
            return _says(target, sample.facts) or _lost(reference)
        case "none":
            name, _, absent = target.partition("/")
            source, _, kind = name.partition(".")
            return f"{source} labels {kind}, and names {f'no {name_of(absent)}' if absent else 'none'}"
        case "all":
            name, _, apart = target.partition("/")
            source, _, kind = name.partition(".")
            but = f", {name_of(apart)} apart" if apart else ""
            return f"{source} labels {kind}, and these are all that it names{but}"
        case "box":
            at = int(target)
            return f"box {at}: {pair.boxes[at]}" if at < len(pair.boxes) else _lost(reference)
        case "pixel":
            name, _, value = target.partition("=")
            measure, _, ids = name.partition("/")
            of = " and ".join(_outlined(item, sample.facts) for item in ids.split("+")) if ids else ""
            return f"measured {measure}{f' of {of}' if of else ''} is {value}"
        case "statement":
            at = int(target)
            return f"follows from [{at}]" if at < len(pair.statements) else _lost(reference)
        case "prior":
            return _prior(target, priors) or _lost(reference)
        case "knowledge":
            try:
                known = entry(target)
            except KeyError:
                return _lost(reference)
            return f"general knowledge {target} ({', '.join(known.sources)})"
        case "context":
            number, _, fact_id = target.partition("/")
            if int(number) >= len(sample.context):
                return _lost(reference)
            earlier = sample.context[int(number)]
            said = _says(fact_id, earlier.facts)
            return f"{-earlier.offset_s:g} s earlier {said}" if said else _lost(reference)
        case "seen":
            return f"{target} says that the picture shows it; no label proves it"
        case "judged":
            judge, _, score = target.rpartition("=")
            return f"{judge} was shown the picture, and saw it too with {score} of 1"
        case _:
            return f"{reference.kind} {target}"


def _says(fact_id: str, facts: Iterable[Fact]) -> str:
    fact = next((fact for fact in facts if fact.id == fact_id), None)
    return f"{fact.source} says {fact.kind} {words_of(fact)}" if fact else ""


def _outlined(fact_id: str, facts: Iterable[Fact]) -> str:
    return next((", ".join(map(name_of, fact.terms)) for fact in facts if fact.id == fact_id), fact_id)


def _prior(name: str, priors: Priors | None) -> str:
    if priors is None:
        return ""
    try:
        frames, total, surgeries = priors.resolve(name)
    except KeyError:
        return ""
    table, _, rest = name.partition("=")
    given, _, answer = rest.partition(">")
    seen = " and ".join(name_of(item) for item in given.split("+"))
    share = f"{100 * frames // total} %" if total else "none"
    where = "alone" if table == "phase|instruments" else "among others"
    return f"in train, {name_of(answer)} in {share} of {total:,} frames with {seen} {where} ({surgeries} surgeries)"


def _lost(reference: EvidenceRef) -> str:
    return f"{reference.kind}:{reference.target} leads nowhere; run `cotgen verify`"
