"""A chain set beside another frame's facts is refused if, and only if, a fact that it cites is missing there.

What is missing is decided here from the declared evidence alone; the checks see only the text as parsed and the facts.
"""

import pytest

from cotgen.chains.checks import check_chain
from cotgen.chains.render import ParsedChain
from cotgen.chains.write import write_surgery
from cotgen.draws import draw
from cotgen.records import Pair, Scene
from cotgen.surgeries.priors import Priors
from cotgen.tasks import TASKS
from cotgen.tasks.base import Question


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


def test_transplants(surgeries: list[list[Scene]], priors: Priors) -> None:
    refused, kept = transplant(surgeries[:2], priors, 1000)
    assert refused > 500 and kept > 30


@pytest.mark.slow
def test_ten_thousand_chains_and_ten_thousand_transplants(surgeries: list[list[Scene]], priors: Priors) -> None:
    """No chain is refused before the filter, and no transplant is judged differently by the two sides."""
    refused, kept = transplant(surgeries, priors, 10_000)
    print(f"{refused} refused, {kept} kept")
    assert kept > 300
