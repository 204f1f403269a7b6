"""A chain set beside another frame's facts is refused if, and only if, a fact that it cites is missing there.

What is missing is decided here from the declared evidence alone; the checks see only the text as parsed and the facts.
"""

import pytest

from cotgen.chains.checks import check_chain
from cotgen.chains.render import ParsedChain
from cotgen.chains.write import write_surgery
from cotgen.draws import draw
from cotgen.records import Fact, Pair, Scene
from cotgen.surgeries.priors import Priors
from cotgen.tasks import TASKS
from cotgen.tasks.base import Question
from tests.chains.scenes import FRAMES, frames_of


def cited_facts_hold(pair: Pair, home: Scene, other: Scene) -> bool:
    """Whether everything that the evidence cites of `home` is true of `other` as well."""
    at_home = {fact.id: (fact.source, fact.kind, tuple(fact.terms)) for fact in home.facts}
    there = {(fact.source, fact.kind, tuple(fact.terms)) for fact in other.facts}
    for statement in pair.statements:
        cited = {at_home[text[5:]] for text in statement.evidence if text.startswith("fact:")}
        if not cited <= there:
            return False
        for text in statement.evidence:
            form, _, rest = text.partition(":")
            if form not in ("none", "all"):
                continue
            name, _, term = rest.partition("/")
            source, kind = name.split(".")
            rows = {row for row in there if row[:2] == (source, kind)}
            if name not in other.labelled:
                return False
            if form == "none" and any(not term or row[2][0] == term for row in rows):
                return False
            if form == "all" and not {row for row in rows if row[2][0] != term} <= cited:
                return False
    return True


def transplant(surgeries: list[list[Scene]], priors: Priors, wanted: int) -> tuple[int, int]:
    """(refused, kept) of `wanted` transplants; fails at the first that the two sides judge differently."""
    scenes = [scene for surgery in surgeries for scene in surgery]
    pairs = []
    for surgery in surgeries:
        written = write_surgery(surgery, tasks=list(TASKS), seed=11, priors=priors)
        assert not written.refused
        pairs += [(pair, scene) for scene, found in zip(surgery, written.pairs, strict=True) for pair in found]
    refused = kept = 0
    for n in range(wanted):
        pair, home = pairs[draw(1, "pair", str(n)) % len(pairs)]
        other = scenes[draw(1, "frame", str(n)) % len(scenes)]
        findings = check_chain(ParsedChain.of(pair), other, Question.of(pair), priors)
        holds = cited_facts_hold(pair, home, other)
        assert (not findings) == holds, (pair, other.facts, findings)
        refused, kept = refused + (not holds), kept + holds
    return refused, kept


@pytest.mark.slow
def test_transplants(surgeries: list[list[Scene]], priors: Priors) -> None:
    refused, kept = transplant(surgeries[:2], priors, 1000)
    assert refused > 500 and kept > 30


@pytest.mark.slow
def test_ten_thousand_chains_and_ten_thousand_transplants(surgeries: list[list[Scene]], priors: Priors) -> None:
    """No chain is refused before the filter, and no transplant is judged differently by the two sides."""
    refused, kept = transplant(surgeries, priors, 10_000)
    print(f"{refused} refused, {kept} kept")
    assert kept > 300


def holds_there(pair: Pair, home: Scene, other: Scene) -> bool:
    """Whether all that is cited of `home`, boxes, votes and what was measured with it, is so in `other` as well."""

    def form(fact: Fact) -> tuple[object, ...]:
        return (fact.source, fact.kind, tuple(fact.terms), tuple(fact.box), fact.value)

    at_home = {fact.id: fact for fact in home.facts}
    there = {form(fact) for fact in other.facts}
    named = {form(fact)[:3] for fact in other.facts}
    # A box shows an instrument as well as a label of presence does, so the sentence stays true with that alone.
    seen = {fact.terms[0] for fact in other.facts if fact.kind == "triplet" and fact.box}
    for statement in pair.statements:
        for text in statement.evidence:
            kind, _, rest = text.partition(":")
            name, _, term = rest.partition("/")
            placed = any(item.startswith(("box:", "pixel:")) for item in statement.evidence)
            # Where a sentence tells no place, the same label with another box is the same.
            if kind == "fact" and not (
                form(at_home[rest]) in there or (not placed and form(at_home[rest])[:3] in named)
            ):
                if at_home[rest].kind == "instrument" and not at_home[rest].box and at_home[rest].terms[0] in seen:
                    continue
                return False
            if kind in ("none", "all") and name not in other.labelled:
                return False
            if kind == "none" and any(
                f"{f.source}.{f.kind}" == name and term in ("", f.terms[0]) for f in other.facts
            ):
                return False
    return True


@pytest.mark.parametrize("source", FRAMES)
@pytest.mark.slow
def test_a_chain_is_refused_where_something_that_it_cites_is_missing(source: str, all_priors: Priors) -> None:
    """For the sources with acts, boxes, votes and steps; that all is there does not make a chain right elsewhere."""
    scenes = frames_of(source, 60)
    written = write_surgery(scenes, tasks=list(TASKS), seed=11, priors=all_priors)
    pairs = [(pair, scene) for scene, found in zip(scenes, written.pairs, strict=True) for pair in found]
    kept = []
    moved = 0
    for n in range(1200):
        pair, home = pairs[draw(1, "pair", str(n)) % len(pairs)]
        other = scenes[draw(1, "frame", str(n)) % len(scenes)]
        if holds_there(pair, home, other):
            continue
        moved += 1
        if not check_chain(ParsedChain.of(pair), other, Question.of(pair), all_priors):
            kept.append((pair.id, [s.text for s in pair.statements], [f.terms for f in other.facts]))
    assert moved > 600
    assert kept == []
