"""Errors planted in chains about triplets, boxes, structures, steps, actions and safety are caught, kind by kind."""

from collections import Counter

import pytest

from cotgen.chains.checks import check_chain, check_pair
from cotgen.chains.render import ParsedChain
from cotgen.chains.write import write_surgery
from cotgen.records import Finding, Pair, Scene
from cotgen.surgeries.priors import Priors
from cotgen.tasks import TASKS
from cotgen.tasks.base import Question
from tests.chains.label_mutants import LABEL_KINDS
from tests.chains.mutants import KINDS, Planter
from tests.chains.scenes import FRAMES, frames_of

#: Kinds of `mutants.py` that need nothing of Cholec80.
ANYWHERE = (
    "leak_phrase", "future", "hidden_past_or_future", "act_told_as_done", "colour_without_a_measurement",
    "unlabelled_thing_denied", "entry_direction", "purpose", "judgement", "operator", "part_not_labelled",
    "other_language_or_markup", "number_in_the_text", "level_missing", "thing_told_as_visual",
)  # fmt: skip
#: What only the declared evidence can show.
IN_THE_EVIDENCE = {"evidence_of_a_box_or_a_number", "fact_of_an_act_not_cited"}
ALL: dict[str, Planter] = LABEL_KINDS | {name: KINDS[name] for name in ANYWHERE}


def findings_of(kind: str, right: Pair, pair: Pair, scene: Scene, priors: Priors) -> list[Finding]:
    if kind in IN_THE_EVIDENCE:
        return check_pair(pair, scene, priors)
    question = Question.of(right)
    return check_chain(ParsedChain.of(pair), scene, question, priors)


def rates(number: int, wanted: int, priors: Priors) -> tuple[Counter[str], Counter[str]]:
    """(made, caught) per kind among mutants of all sources; prints what was found, and what was missed."""
    right: list[tuple[Pair, Scene]] = []
    for source in FRAMES:
        scenes = frames_of(source, number)
        written = write_surgery(scenes, tasks=list(TASKS), seed=3, priors=priors)
        right += [(pair, scene) for scene, pairs in zip(scenes, written.pairs, strict=True) for pair in pairs]
    made: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    for name, plant in ALL.items():
        reasons: Counter[str] = Counter()
        missed = []
        for n in range(len(right)):
            if made[name] >= wanted:
                break
            pair, scene = right[(n * 97) % len(right)]
            mutant = plant(pair, scene, n)
            if mutant is None:
                continue
            made[name] += 1
            found = [finding for finding in findings_of(name, pair, *mutant, priors) if finding.severity == "hard"]
            reasons.update({finding.check for finding in found})
            caught[name] += bool(found)
            if not found:
                missed.append([s.text for s in mutant[0].statements])
        print(f"{name}: {caught[name]} of {made[name]}, by {dict(reasons)}; missed: {missed[:2]}")
    return made, caught


def check_rates(made: Counter[str], caught: Counter[str], told: str) -> None:
    assert min(made[name] for name in ALL) >= 20, made
    assert [name for name in ALL if caught[name] < 0.95 * made[name]] == [], told
    assert sum(caught.values()) >= 0.99 * sum(made.values()), told


@pytest.mark.slow
def test_planted_errors_are_caught(all_priors: Priors, capsys: pytest.CaptureFixture[str]) -> None:
    """At least 99 % of all and 95 % of each kind."""
    made, caught = rates(50, 40, all_priors)
    check_rates(made, caught, capsys.readouterr().out)
    assert sum(made.values()) >= 2000


@pytest.mark.slow
def test_many_planted_errors_are_caught(all_priors: Priors, capsys: pytest.CaptureFixture[str]) -> None:
    made, caught = rates(400, 400, all_priors)
    check_rates(made, caught, capsys.readouterr().out)
    assert sum(made.values()) >= 20_000
