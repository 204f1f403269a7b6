"""Checks of what a chain claims of its frame against what the sources say."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cotgen.chains.checks.base import BAG, OFTEN_UNLABELLED, Case, found
from cotgen.chains.reading import Reading
from cotgen.ontology import term
from cotgen.records import Finding

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven")
_KINDS = re.compile(rf"\b({'|'.join(_NUMBERS)}|a single|single)(?: \w+)? kinds?\b", re.IGNORECASE)
_BOX = re.compile(r"<bbox:([0-9]+)>")


def instruments(case: Case) -> Iterator[Finding]:
    """Each instrument that is asserted is labelled in the frame; each that is denied is labelled as not there."""
    source = case.scene.says("instrument")
    there = set(case.scene.terms("instrument"))
    for reading in case.claims:
        asserted, denied = reading.named("instrument"), reading.named("instrument", negated=True)
        every = "instrument" in reading.named("any_instrument", negated=True)
        if (asserted or denied or every) and not source:
            yield found("entity", reading, "instruments are not labelled in this frame, so text leaves them out")
            continue
        for name in asserted:
            if name not in there:
                yield found("entity", reading, f"'{term(name).name}' is not in the facts of this frame")
        for name in denied:
            if name in there:
                yield found("negation", reading, f"'{term(name).name}' is denied, but it is labelled in this frame")
            elif name in OFTEN_UNLABELLED:
                yield found("negation", reading, f"'{term(name).name}' is often there unlabelled; do not deny it")
        if every and there:
            yield found("negation", reading, "instruments are denied, but some are labelled in this frame")


def acts_and_things(case: Case) -> Iterator[Finding]:
    """An act, a structure, a part or a thing is claimed of the frame only where a source labels it."""
    triplets = [fact.terms for fact in case.scene.of_kind("triplet")]
    verbs = {terms[1] for terms in triplets}
    anatomy = {terms[2] for terms in triplets} | set(case.scene.terms("anatomy"))
    for reading in case.claims:
        for name in (*reading.named("act"), *reading.named("act", negated=True)):
            if name not in verbs:
                yield found(
                    "act", reading, f"an act ({name.partition('.')[2]}) is told that no label of this frame holds"
                )
        for name in (*reading.named("anatomy"), *reading.named("anatomy", negated=True)):
            if name not in anatomy:
                yield found("entity", reading, f"'{term(name).name}' is not labelled in this frame")
        for kind in ("object", "part", "locus"):
            for name in (*reading.named(kind), *reading.named(kind, negated=True)):
                what = term(name).name if kind != "object" else name
                yield found("entity", reading, f"'{what}' is named as seen or not seen, but nobody labelled it")


def phases(case: Case) -> Iterator[Finding]:
    """A phase that is said of this frame is its phase."""
    labelled = case.scene.terms("phase")
    for reading in case.claims:
        for name in reading.named("phase"):
            if name not in labelled:
                yield found("phase", reading, f"'{term(name).answer}' is not the phase of this frame")
        for name in reading.named("phase", negated=True):
            if name in labelled:
                yield found("phase", reading, f"'{term(name).answer}' is denied, but it is the phase of this frame")


def kinds(case: Case) -> Iterator[Finding]:
    """A number of kinds equals the number of labelled kinds; the bag is no kind of instrument."""
    there = [name for name in case.scene.terms("instrument") if name != BAG]
    for reading in case.claims:
        match = _KINDS.search(reading.text)
        if match is None:
            continue
        word = match[1].lower().removeprefix("a ").replace("single", "one")
        if _NUMBERS.index(word) != len(there):
            yield found("counting", reading, f"'{match.group()}' is not the number of kinds labelled in this frame")


def field(case: Case) -> Iterator[Finding]:
    """Nothing is seen in a black picture."""
    if case.scene.has_field:
        return
    for reading in case.claims:
        if reading.named("instrument") or reading.named("phase") or reading.named("anatomy"):
            yield found("pixels", reading, "something is claimed to be seen, but the picture is black")


def boxes(case: Case) -> Iterator[Finding]:
    """`<bbox:n>` after an instrument is a box of that instrument."""
    for reading in case.claims:
        for match in _BOX.finditer(reading.text):
            before = [m for m in reading.mentions if m.end <= match.start() and m.kind in ("instrument", "anatomy")]
            if not before:
                yield found("box", reading, f"'{match.group()}' follows no name, so nobody knows whose box it is")
            elif not _owns(case, reading, before[-1].term):
                yield found("box", reading, f"'{term(before[-1].term).name}' has no box in the facts of this frame")


def _owns(case: Case, reading: Reading, name: str) -> bool:
    return any(fact.box and name in fact.terms for fact in case.scene.facts)
