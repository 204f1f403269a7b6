"""Free text gets the evidence that holds it, or is no chain; what gets it passes all checks, and what is wrong does not."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cotgen.chains.checks import check_pair
from cotgen.chains.grounds import grounded
from cotgen.chains.render import ParsedChain, parse
from cotgen.chains.write import write_surgery
from cotgen.records import Finding, Pair, Scene
from cotgen.surgeries.priors import Priors
from cotgen.tasks import TASKS
from tests.chains.conftest import make_scene, make_surgery
from tests.chains.mutants import KINDS
from tests.chains.scenes import FRAMES, frames_of
from tests.chains.test_mutants import IN_THE_EVIDENCE


def written(source: str, priors: Priors, number: int = 12) -> list[tuple[Scene, Pair]]:
    scenes = make_surgery(1)[: 10 * number : 10] if source == "cholec80" else frames_of(source, number)
    found = write_surgery(scenes, tasks=list(TASKS), seed=0, priors=priors)
    return [(scene, pair) for scene, pairs in zip(scenes, found.pairs, strict=True) for pair in pairs]


def again(scene: Scene, pair: Pair, priors: Priors | None, chain: ParsedChain | None = None) -> Pair | Finding:
    """The pair as it is read from its text alone."""
    return grounded(chain or ParsedChain.of(pair), pair.boxes, scene, pair, "policy/1", priors)


def wrong(found: Pair | Finding, scene: Scene, priors: Priors | None) -> str:
    """The first thing that is wrong with it."""
    if isinstance(found, Finding):
        return found.check
    return next((f.check for f in check_pair(found, scene, priors) if f.severity == "hard"), "")


@pytest.mark.parametrize("source", ["cholec80", *FRAMES])
def test_the_text_of_a_template_gets_evidence_and_passes_all_checks(source: str, all_priors: Priors) -> None:
    same = statements = 0
    for scene, pair in written(source, all_priors):
        found = again(scene, pair, all_priors)
        assert not wrong(found, scene, all_priors), (pair.statements, found)
        assert isinstance(found, Pair)
        assert (found.id, found.question, found.answer, found.support) == (
            pair.id, pair.question, pair.answer, pair.support
        )  # fmt: skip
        assert [s.text for s in found.statements] == [_text(s.text, pair, found) for s in pair.statements]
        assert found.writer == "policy/1"
        below = [(a, b) for a, b in zip(pair.statements, found.statements, strict=True) if a.level < 3]
        statements += len(below)
        same += sum(a.basis == b.basis for a, b in below)
    assert same >= 0.95 * statements


def _text(text: str, pair: Pair, found: Pair) -> str:
    """Boxes may be counted in another order."""
    for n, box in enumerate(pair.boxes):
        if box in found.boxes:
            text = text.replace(f"<bbox:{n}>", f"<bbox:#{found.boxes.index(box)}>")
    return text.replace("<bbox:#", "<bbox:")


def test_planted_errors_are_caught_as_before(surgeries: list[list[Scene]], priors: Priors) -> None:
    right = written("cholec80", priors, 30)[::7]
    for name, plant in KINDS.items():
        if name in IN_THE_EVIDENCE:
            continue
        missed = []
        for n, (scene, pair) in enumerate(right):
            planted = plant(pair, scene, n)
            if planted is None:
                continue
            mutant, own = planted
            if any(s.basis == "visual" for s in mutant.statements):
                continue
            if wrong(again(own, mutant, priors), own, priors):
                continue
            missed.append(mutant)
        assert len(missed) <= 0.05 * len(right), (name, [s.text for s in missed[0].statements])


HOOK = make_scene("cholec80/01", 0, "gallbladder_dissection", ["hook"])
RIGHT = ("A hook is in view.", "A hook takes up a little tissue and divides it with current.", "So a hook is there.")


def asked() -> Pair:
    return Pair(
        id="tool.yesno.instrument.hook", task="tool_yesno", question="Is a hook in view?", support="entailed",
        statements=[
            {"level": 1, "text": RIGHT[0], "basis": "label", "evidence": ["fact:cholec80.instrument.0"]}
        ],
        answer="Yes", writer="template/1",
    )  # fmt: skip


def said(one: str, two: str, three: str) -> ParsedChain:
    return parse(f"<think>Level 1: {one}\nLevel 2: {two}\nLevel 3: {three}</think><answer>Yes</answer>")


def test_each_sentence_names_what_it_rests_on() -> None:
    found = again(HOOK, asked(), None, said(*RIGHT))
    assert isinstance(found, Pair)
    assert [(s.basis, s.evidence) for s in found.statements] == [
        ("label", ["fact:cholec80.instrument.0"]),
        ("knowledge", ["knowledge:function.hook"]),
        ("follows", ["statement:0", "fact:cholec80.instrument.0"]),
    ]
    assert found.support == "entailed"
    assert not check_pair(found, HOOK, None)


@pytest.mark.parametrize(
    ("level", "text", "check"),
    [
        (1, "The hook is shiny and straight.", "look"),
        (2, "It is what it is.", "ungrounded"),
        (2, "Hooks are made of steel and are used in many operations.", "ungrounded"),
        (2, "A clip applier serves to close a duct or a vessel, a grasper to hold tissue.", "ungrounded"),
        (2, "A hook is often found in the dissection of the gallbladder.", "ungrounded"),
        (1, "A hook is in view, isn't it? ", "form"),
        (1, "A hook is in view \u202e.", "form"),
        (1, "A hook is in view <bbox:3>.", "box"),
        (1, "A grasper is in view.", "ungrounded"),
        (3, "The answer was given as yes.", "ungrounded"),
    ],
)
def test_what_rests_on_nothing_is_no_chain(level: int, text: str, check: str) -> None:
    """No look without a judge, no free knowledge, none of what is not at hand, no statistics without priors."""
    levels = list(RIGHT)
    levels[level - 1] = f"{levels[level - 1]} {text}"
    assert wrong(again(HOOK, asked(), None, said(*levels)), HOOK, None) == check


def test_a_chain_of_many_sentences_is_none() -> None:
    many = " ".join(f"No {name} is in view." for name in ("clip applier", "irrigator", "specimen bag"))
    found = again(HOOK, asked(), None, said(f"{RIGHT[0]} {many} {many} {many} {many}", *RIGHT[1:]))
    assert isinstance(found, Finding)
    assert found.check == "form"


SENTENCES = sorted(
    {
        statement.text
        for scenes in (make_surgery(1)[:40:10], *(frames_of(source, 6) for source in FRAMES))
        for pairs in write_surgery(scenes, tasks=list(TASKS), seed=1, priors=None).pairs
        for pair in pairs
        for statement in pair.statements
    }
)
SPICE = (
    "is often found in",
    "the phase",
    "in every phase",
    "on the left",
    "one kind",
    "not",
    "thus",
    "<bbox:0>",
    "two",
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(SENTENCES), min_size=3, max_size=6),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12), st.sampled_from(SPICE)), max_size=3),
)
def test_no_text_raises(all_priors: Priors, texts: list[str], spice: list[tuple[int, int, str]]) -> None:
    for n, at, words in spice:
        if n < len(texts):
            parts = texts[n].split(" ")
            texts[n] = " ".join([*parts[:at], words, *parts[at:]])
    chain = said(texts[0], texts[1], " ".join(texts[2:]))
    for scene in (HOOK, frames_of("endovis18", 2)[1], replace(HOOK, facts=())):
        found = again(scene, asked(), all_priors, chain)
        if isinstance(found, Pair):
            check_pair(found, scene, all_priors)
