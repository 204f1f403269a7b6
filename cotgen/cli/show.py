"""One sample in the terminal: what every sentence says, and in words what it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from cotgen import dataset
from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.ontology import term
from cotgen.ontology.knowledge import entry
from cotgen.records import LEVEL_NAMES, EvidenceRef, Fact, Pair, Sample
from cotgen.shards.manifest import load_priors
from cotgen.surgeries.priors import Priors


def show_sample(console: Console, folder: Path, key: str, seed: int) -> None:
    """Print one sample.

    Args:
        console: where to.
        folder: a finished data set.
        key: its key; "" draws one.
        seed: of the draw.

    Raises:
        CotgenError: the folder is no finished data set, or has no such sample.
    """
    found = dataset.open(folder)
    if not key:
        keys = found.keys()
        if not keys:
            raise CotgenError(f"{folder} holds no sample.")
        key = min(keys, key=lambda name: (draw(seed, "show", name), name))
    priors = load_priors(folder)
    for style, line in lines_of(found[key].record, priors):
        console.print(Text(line, style=style), soft_wrap=True)


def lines_of(sample: Sample, priors: Priors | None) -> Iterator[tuple[str, str]]:
    """(style, line) of a sample."""
    frame = sample.frame
    yield "bold", f"{sample.key}  ({sample.surgery}, {sample.split}, {frame.time_s:g} s, {frame.width}x{frame.height})"
    for name in sample.labelled:
        said = [_fact(fact) for fact in sample.facts if f"{fact.source}.{fact.kind}" == name]
        yield "", f"  {name}: {', '.join(said) or 'none'}"
    for measured in sample.measured:
        yield "dim", f"  measured {measured.name}: {measured.value:g}{f' {measured.box}' if measured.box else ''}"
    for pair in sample.pairs:
        yield "", ""
        yield from _pair(pair, sample, priors)


def _pair(pair: Pair, sample: Sample, priors: Priors | None) -> Iterator[tuple[str, str]]:
    yield "bold", f"{pair.id}  ({pair.support}, {pair.writer})"
    yield "", f"  Q: {pair.question}"
    for option in pair.options:
        yield "", f"     - {option}"
    level = 0
    for number, statement in enumerate(pair.statements):
        if statement.level != level:
            level = statement.level
            yield "cyan", f"  Level {level}: {LEVEL_NAMES[level]}"
        yield "", f"    [{number}] {statement.text}"
        for reference in statement.references():
            yield "dim", f"        {statement.basis}: {spell(reference, sample.facts, pair, priors)}"
    yield "green", f"  A: {' / '.join(pair.answer.splitlines())}"
    for finding in pair.findings:
        yield "yellow", f"  {finding.severity} finding, {finding.check}: {finding.text}"


def spell(reference: EvidenceRef, facts: Sequence[Fact], pair: Pair, priors: Priors | None) -> str:
    """One reference in words; one that leads nowhere says so."""
    target = reference.target
    match reference.kind:
        case "fact":
            fact = next((fact for fact in facts if fact.id == target), None)
            return f"{fact.source} says {fact.kind} {_fact(fact)}" if fact else _lost(reference)
        case "none":
            name, _, absent = target.partition("/")
            source, _, kind = name.partition(".")
            return f"{source} labels {kind}, and names {f'no {_name(absent)}' if absent else 'none'}"
        case "all":
            name, _, apart = target.partition("/")
            source, _, kind = name.partition(".")
            but = f", {_name(apart)} apart" if apart else ""
            return f"{source} labels {kind}, and these are all that it names{but}"
        case "box":
            at = int(target)
            return f"box {at}: {pair.boxes[at]}" if at < len(pair.boxes) else _lost(reference)
        case "pixel":
            name, _, value = target.partition("=")
            return f"measured {name} is {value}"
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
        case _:
            return f"{reference.kind} {target}"


def _prior(name: str, priors: Priors | None) -> str:
    if priors is None:
        return ""
    try:
        frames, total, surgeries = priors.resolve(name)
    except KeyError:
        return ""
    table, _, rest = name.partition("=")
    given, _, answer = rest.partition(">")
    seen = " and ".join(_name(item) for item in given.split("+"))
    share = f"{100 * frames // total} %" if total else "none"
    where = "alone" if table == "phase|instruments" else "among others"
    return f"in train, {_name(answer)} in {share} of {total:,} frames with {seen} {where} ({surgeries} surgeries)"


def _lost(reference: EvidenceRef) -> str:
    return f"{reference.kind}:{reference.target} leads nowhere; run `cotgen verify`"


def _fact(fact: Fact) -> str:
    words = ", ".join(_name(item) for item in fact.terms)
    return f"{words} at {fact.box}" if fact.box else words


def _name(item: str) -> str:
    try:
        return term(item).name
    except KeyError:
        return item
