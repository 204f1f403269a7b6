"""Check of what a model says that it sees: marked as such, of what a fact names, in colours that the pixels bear out."""

from __future__ import annotations

from collections.abc import Iterator

from cotgen.chains.checks.base import Case, found
from cotgen.chains.lexicon import called
from cotgen.chains.visual import colours
from cotgen.frames.colour import LEAST_SHARE
from cotgen.records import Finding


def look(case: Case) -> Iterator[Finding]:
    """A look is told at level 1 by a sentence that is declared as visual; it names nothing new, and its colours hold."""
    view = case.view
    for reading in case.claims:
        if reading.closed is None or reading.closed.kind != "visual":
            if reading.number in case.visual:
                yield found(
                    "visual", reading, "says more of the picture than how something looks, in the closed forms"
                )
            continue
        if reading.number not in case.visual:
            yield found("visual", reading, "tells a look, which only a sentence of basis 'visual' may")
        if reading.level != 1:
            yield found("visual", reading, "tells a look at another level than the first")
        for name in reading.closed.terms:
            if name not in view.instruments | view.structures | view.things:
                yield found(
                    "entity", reading, f"the look of '{called(name)}' is told, but no fact of this frame names it"
                )
        if reading.closed.terms:
            yield from _colours(case, reading.number)


def _colours(case: Case, number: int) -> Iterator[Finding]:
    reading = case.readings[number]
    terms = reading.closed.terms if reading.closed else ()
    facts = [fact for fact in case.scene.facts if fact.terms[0] in terms]
    for colour in colours(reading.text):
        shares = [case.scene.measure(f"colour_{colour}", fact.id) for fact in facts]
        known = [share for share in shares if share is not None]
        if not known:
            yield found("colour", reading, f"a colour ({colour}) is told of what no box or outline shows")
        elif max(known) < LEAST_SHARE:
            yield found("colour", reading, f"a colour ({colour}) is told that hardly any pixel of its box has")
