"""Planted errors are caught, kind by kind: a pooled rate would hide a kind that is never caught."""

from collections import Counter

import pytest

from cotgen.chains.checks import check_chain, check_pair
from cotgen.chains.render import ParsedChain
from cotgen.chains.write import write_surgery
from cotgen.records import Finding, Pair, Scene
from cotgen.surgeries.priors import Priors
from cotgen.tasks import TASKS
from cotgen.tasks.base import Question
from tests.chains.mutants import KINDS

WANTED_PER_KIND = 90
#: What only the declared evidence can show; every other kind has to be caught from the text and the facts alone.
IN_THE_EVIDENCE = {"basis_upgraded", "evidence_that_does_not_resolve", "fact_not_cited", "support_overstated"}


def findings_of(kind: str, pair: Pair, scene: Scene, priors: Priors) -> list[Finding]:
    if kind in IN_THE_EVIDENCE:
        return check_pair(pair, scene, priors)
    return check_chain(ParsedChain.of(pair), scene, Question.of(pair), priors)


def rates(surgeries: list[list[Scene]], priors: Priors) -> tuple[Counter[str], Counter[str]]:
    """(made, caught) per kind; prints what was found, and what was missed."""
    right: list[tuple[Pair, Scene]] = []
    for scenes in surgeries[:2]:
        written = write_surgery(scenes, tasks=list(TASKS), seed=3, priors=priors)
        right += [(pair, scene) for scene, pairs in zip(scenes, written.pairs, strict=True) for pair in pairs]
    made: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    for name, plant in KINDS.items():
        reasons: Counter[str] = Counter()
        missed = []
        for n in range(len(right)):
            if made[name] >= WANTED_PER_KIND:
                break
            pair, scene = right[(n * 97) % len(right)]
            mutant = plant(pair, scene, n)
            if mutant is None:
                continue
            made[name] += 1
            found = [finding for finding in findings_of(name, *mutant, priors) if finding.severity == "hard"]
            reasons.update({finding.check for finding in found})
            caught[name] += bool(found)
            if not found:
                missed.append([s.text for s in mutant[0].statements])
        print(f"{name}: {caught[name]} of {made[name]}, by {dict(reasons)}; missed: {missed[:2]}")
    return made, caught


@pytest.mark.slow
def test_planted_errors_are_caught(
    surgeries: list[list[Scene]], priors: Priors, capsys: pytest.CaptureFixture[str]
) -> None:
    """At least 3,000 mutants; at least 99 % of all and 95 % of each kind."""
    made, caught = rates(surgeries, priors)
    told = capsys.readouterr().out
    assert min(made.values()) >= 30, made
    assert sum(made.values()) >= 3000
    assert [name for name in KINDS if caught[name] < 0.95 * made[name]] == [], told
    assert sum(caught.values()) >= 0.99 * sum(made.values()), told
