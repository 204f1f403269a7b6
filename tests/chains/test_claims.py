"""What a sentence says, taken apart: who does what to what, where, what touches what, and how many."""

import pytest

from cotgen.chains.claims import Claims, Memory, Ref, claims
from cotgen.chains.closed import closed
from cotgen.chains.grammar import ASSERTED, STRONG, WEAK
from cotgen.chains.lexicon import mentions
from cotgen.chains.reading import read
from cotgen.chains.render import parse


def said(text: str, *before: str) -> Claims:
    memory = Memory()
    for sentence in before:
        claims(sentence, mentions(sentence), memory)
    return claims(text, mentions(text), memory)


def short(ref: Ref | None) -> str:
    """`upper grasper`, `cystic_duct#1`."""
    if ref is None:
        return ""
    names = "/".join(term.rpartition(".")[2] for term in ref.terms)
    words = [ref.side, ref.which, names + (f"#{ref.box}" if ref.box >= 0 else "")]
    return " ".join(word for word in words if word)


@pytest.mark.parametrize(
    ("text", "acts"),
    [
        ("The hook is dissecting at the cystic artery.", ["hook dissect cystic_artery"]),
        ("On the cystic duct the clip applier is setting a clip.", ["clipper clip cystic_duct"]),
        ("The gallbladder is being retracted by the grasper.", ["grasper retract gallbladder"]),
        ("The grasper keeps the gallbladder on traction.", ["grasper retract gallbladder"]),
        ("The grasper holds the liver aside.", ["grasper retract liver"]),
        ("The grasper is putting the gallbladder into the bag.", ["grasper pack gallbladder"]),
        (
            "The lower grasper has hold of the gallbladder, the upper one of the bag.",
            ["lower grasper grasp gallbladder", "upper grasper grasp specimen_bag"],
        ),
        (
            "The clip applier is clipping at the kidney, and the scissors are idle.",
            ["clipper clip kidney", "scissors null"],
        ),
        (
            "The grasper grips the gallbladder and retracts the liver.",
            ["grasper grasp gallbladder", "grasper retract liver"],
        ),
        ("The forceps are handling another instrument.", ["forceps manipulate_tool"]),
    ],
)
def test_acts_have_a_subject_a_verb_and_targets(text: str, acts: list[str]) -> None:
    found = [
        " ".join([*map(short, act.subjects), act.verb.partition(".")[2], *map(short, act.targets)])
        for act in said(text).acts
    ]
    assert found == acts


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("A grasper lies in the upper part of the field <bbox:0>.", ["grasper upper 0"]),
        ("In the lower left of the field is a hook <bbox:1>.", ["hook#1 lower left 1"]),
        (
            "Two graspers are in view, one on the left <bbox:0>, the other on the right <bbox:1>.",
            ["one grasper left 0", "other grasper right 1"],
        ),
        (
            "Instrument jaws <bbox:0> and the needle <bbox:1> are near the centre; thread is on the right <bbox:2>.",
            ["clasper#0  0", "needle#1  1", "thread right 2"],
        ),
    ],
)
def test_places_belong_to_a_thing_and_a_box(text: str, places: list[str]) -> None:
    assert [f"{short(item.ref)} {' '.join(item.words)} {item.box}" for item in said(text).places] == places


@pytest.mark.parametrize(
    ("text", "relations"),
    [
        ("The artery lies above the duct in the picture.", ["cystic_artery above cystic_duct"]),
        ("The grasper and the gallbladder touch.", ["grasper touches gallbladder"]),
        (
            "The needle touches the jaws, and the thread touches the needle.",
            ["needle touches clasper", "thread touches needle"],
        ),
        (
            "The artery lies above the duct; both touch the gallbladder.",
            [
                "cystic_artery above cystic_duct",
                "cystic_artery touches gallbladder",
                "cystic_duct touches gallbladder",
            ],
        ),
        ("The cystic duct is on the left <bbox:0>, the gallbladder above it.", ["gallbladder above cystic_duct"]),
        (
            "The duct lies at the edge of the gallbladder, to its right.",
            ["cystic_duct touches gallbladder", "cystic_duct right gallbladder"],
        ),
        ("Scissors are on the right <bbox:0>, with the kidney to their left <bbox:1>.", ["kidney left scissors"]),
        (
            "An instrument <bbox:1> touches the duct from the right.",
            ["instrument#1 touches cystic_duct", "instrument#1 right cystic_duct"],
        ),
        ("The jaws of the left one are higher than those of the right one.", ["left jaws above right"]),
    ],
)
def test_relations_have_two_ends(text: str, relations: list[str]) -> None:
    found = [f"{short(item.one)} {item.what} {short(item.other)}".strip() for item in said(text).relations]
    assert [" ".join(text.split()) for text in found] == relations


def test_pronouns_stand_for_what_was_named_before() -> None:
    hook = "A hook is in the lower right of the field <bbox:0>."
    (act,) = said("It is not acting on any structure.", hook).acts
    assert (act.verb, short(act.subjects[0])) == ("verb.null", "hook")
    (act,) = said("They are cutting the cystic duct.", "Scissors and a grasper are at work.").acts
    assert short(act.subjects[0]) == "scissors"


def test_numbers_are_of_instruments_structures_or_acts() -> None:
    assert [(c.number, c.what) for c in said("Two instruments are thus to be marked.").counts] == [(2, "instrument")]
    assert [(c.number, c.what) for c in said("So there are three acts to name.").counts] == [(3, "act")]
    assert said("Both a hook and a grasper are in view.").counts == ()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("At this moment it is being pushed through the tissue.", ("act", ("action.push_needle",), 1)),
        ("The triangle seems cleared, with some doubt.", ("criterion", ("cvs.hepatocystic_triangle",), 2)),
        ("The critical view of safety is thus not achieved in this view.", ("overall", (), 0)),
        ("The camera is inside the abdomen.", ("camera", (), 1)),
        ("All three criteria are met.", ("criteria", (), 3)),
    ],
)
def test_sentences_of_closed_wording(text: str, what: tuple[str, tuple[str, ...], int]) -> None:
    found = closed(text)
    assert found is not None
    assert (found.kind, found.terms, found.value) == what


def test_a_sentence_of_other_words_is_not_closed() -> None:
    assert closed("The critical view of safety is achieved.") is None
    assert closed("The triangle is cleared.") is None


@pytest.mark.parametrize("shape", (*STRONG, *WEAK, *ASSERTED))
@pytest.mark.parametrize("name", ["preparation", "the dissection of Calot's triangle", "clipping and cutting"])
def test_a_conclusion_speaks_of_the_frame_in_every_form(shape: str, name: str) -> None:
    text = shape.format(phase=name, Phase=f"{name[0].upper()}{name[1:]}")
    chain = parse(f"<think>Level 1: A grasper is in view.\nLevel 2: \nLevel 3: {text}</think><answer>x</answer>")
    assert not read(chain)[-1].general


@pytest.mark.parametrize(
    "text",
    ["A \u00a4\ue005 is in view.", "Two \u00a4\ue000 touch the other one \u00a3\uf8ff.", "The \u00a5\ue003 grasper.",
     "\u0130\u0130 a grasper is dissecting the \u0130 gallbladder \u0130 on the left."],
)  # fmt: skip
def test_signs_that_the_code_of_a_sentence_uses_are_only_signs(text: str) -> None:
    """A reply may hold anything; such a sign names nothing, and what follows keeps its place."""
    found = said(text)
    assert all(
        text[ref.start : ref.end].lower().startswith(("a ", "the ", "gr", "ga", "the other")) for ref in found.refs
    )
