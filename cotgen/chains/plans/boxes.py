"""Plans where things have boxes: where one thing is, all instruments, how many there are, and how two things lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cotgen.chains.grammar import NUMBER_WORDS, Composer, fill, listed
from cotgen.chains.places import compared
from cotgen.chains.plans.cvs import lie
from cotgen.chains.plans.words import (
    Seen,
    acts,
    boxed_instruments,
    explain,
    instruments,
    relate,
    relations,
    see,
    slots,
    unclear,
)
from cotgen.ontology import term
from cotgen.records import Fact
from cotgen.tasks.localization import COMPLETE

MARKED = ("So the box of {it} is {boxes}.", "{It} {is} thus to be marked at {boxes}.")
ALL_OF_KIND_MARKED = ("So the boxes of the {many} are {boxes}.", "The {many} are thus to be marked at {boxes}.")
NOT_IDENTIFIED = ("{The} {is} not identified.", "{The} {is} not identified in this view.")
NOT_IN_VIEW = ("No {bare} {is} in view.", "There {is} no {bare} in view.", "No {bare} can be seen.")
RELATED_TO_NONE = ("So {the_b} {is} related to no such {thing}.", "{The_b} {is} thus related to no such {thing}.")
NOTHING_TO_MARK = (
    "So there is nothing to mark.",
    "No such {thing} is identified in this view, so there is nothing to mark.",
)
ALL_MARKED = ("{Number} {things} {are} thus to be marked.", "So there {are} {number} {things} to mark.")
ALL_COUNTED = ("So there {are} {number} {things}.", "That makes {number} {things}.")
ALONE = ("There is thus no second one to relate it to.",)
#: Two or more of one kind and nothing else.
OF_ONE_KIND = (
    "There is thus no other instrument to relate them to.",
    "So there is no other instrument to relate them to.",
)
NOTHING_ELSE = ("There is thus nothing to relate it to.",)
#: How one of two things lies, by its centre.
RANK = (
    ("left", ("{The} {is} further to the left.",)),
    ("right", ("{The} {is} further to the right.",)),
    ("above", ("{The} {is} the higher of the two.",)),
    ("below", ("{The} {is} the lower of the two.",)),
)
_RANK = dict(RANK)
_OPPOSITE = {"left": "right", "right": "left", "above": "below", "below": "above"}
RELATION = (
    (
        "left",
        (
            "So {the} {is} to the left of {the_b} in the picture.",
            "{The} {is} thus to the left of {the_b} in the picture.",
        ),
    ),
    (
        "right",
        (
            "So {the} {is} to the right of {the_b} in the picture.",
            "{The} {is} thus to the right of {the_b} in the picture.",
        ),
    ),
    ("above", ("So {the} {is} above {the_b} in the picture.", "{The} {is} thus above {the_b} in the picture.")),
    ("below", ("So {the} {is} below {the_b} in the picture.", "{The} {is} thus below {the_b} in the picture.")),
)
_RELATION = dict(RELATION)


def _of(c: Composer, id: str) -> list[Fact]:
    """The boxed facts of one term."""
    if term(id).kind == "instrument":
        return [fact for fact in boxed_instruments(c) if fact.terms[0] == id]
    return [fact for fact in c.scene.of_kind(term(id).kind) if fact.terms[0] == id and fact.box]


def _others(c: Composer, subject: str) -> list[Fact]:
    """Boxed things beside the one that is asked for, structures and instruments, in drawn order."""
    found = [
        fact for fact in (*c.scene.of_kind("anatomy"), *boxed_instruments(c)) if fact.box and fact.terms[0] != subject
    ]
    return c.order("others", found)


def _beside(c: Composer, others: list[Fact], most: int) -> tuple[list[Fact], list[int]]:
    """Level 1: up to so many kinds of other things, those that are there once first; all of a kind that is there twice.

    Returns what was shown, and the numbers of the sentences.
    """
    kinds = [fact.terms[0] for fact in others]
    chosen = sorted(dict.fromkeys(kinds), key=lambda id: kinds.count(id) > 1)[:most]
    facts: list[Fact] = []
    numbers: list[int] = []
    for id in chosen:
        own = [fact for fact in others if fact.terms[0] == id]
        if len(own) > 1 and term(id).kind == "instrument" and id != "instrument.unnamed":
            numbers += see(c, [Seen(id, fact, "box") for fact in own], f"beside:{id}")
        else:
            own = own[:1]
            numbers.append(lie(c, own[0]))
        facts += own
    return facts, numbers


def _related(c: Composer, facts: list[Fact]) -> list[tuple[str, Fact, Fact]]:
    """What was measured between these, without what their names say: the left one of two is to the left of the other."""
    return [
        item for item in relations(c, facts)
        if item[1].terms[0] != item[2].terms[0] or item[0] not in compared(item[1].box, item[2].box, c.scene.lit_field)[:1]
    ]  # fmt: skip


def one(c: Composer) -> None:
    """Where a named thing is, or that it is not identified."""
    subject = c.question.subject[0]
    own, others = _of(c, subject), _others(c, subject)
    words = slots(c, subject)
    if not own:
        _absent(c, subject, others)
        return
    if term(subject).kind == "instrument":
        shown = see(c, [Seen(fact.terms[0], fact, "box") for fact in own])
    else:
        shown = [lie(c, fact) for fact in own]
    shown_own = list(shown)
    extra, beside = _beside(c, others, 1)
    shown += beside
    doing = [fact for fact in c.scene.of_kind("triplet") if fact.terms[0] == subject]
    found = _related(c, [*own[:1], *extra])
    if doing and (not found or c.pick("level2", ["act", "relation"]) == "act"):
        acts(c, doing)
    elif found:
        relate(c, found[c.shuffle("relation", range(len(found)))[0]], "relate")
    elif not explain(c, [subject, *(fact.terms[0] for fact in extra)]):
        if len(own) > 1 and _alone(c, own):
            c.add(2, c.pick("alone", OF_ONE_KIND), "follows", [f"statement:{n}" for n in shown])
        elif extra or unclear(c, own):
            c.statements.clear()
            return
        else:
            c.add(2, c.pick("nothing", NOTHING_ELSE), "follows", [f"statement:{shown[-1]}"])
    grounds = [*(f"statement:{n}" for n in shown_own), *(f"fact:{fact.id}" for fact in own)]
    c.add(3, marked(c, own, words), "follows", [*grounds, *(f"box:{c.box(fact.box)}" for fact in own)])


def marked(c: Composer, own: Sequence[Fact], words: Mapping[str, str]) -> str:
    """The boxes of one kind of thing, as the conclusion tells them."""
    boxes = listed([f"<bbox:{c.box(fact.box)}>" for fact in own])
    if len(own) > 1:
        return fill(c.pick("close", ALL_OF_KIND_MARKED), many=words["many"], boxes=boxes)
    return fill(c.pick("close", MARKED), it=words["the"], boxes=boxes, **{"is": words["is"]})


def _alone(c: Composer, facts: list[Fact]) -> bool:
    """Whether these are all instruments of a frame whose every instrument is outlined, and of one kind."""
    whole = [fact for fact in c.scene.of_kind("instrument") if fact.source in COMPLETE["instrument"]]
    return len({fact.terms[0] for fact in whole}) == 1 and len(whole) == len(facts)


def _absent(c: Composer, subject: str, others: list[Fact]) -> None:
    kind = term(subject).kind
    absent = f"none:{c.scene.says(kind)}.{kind}/{subject}"
    words = slots(c, subject)
    shapes = NOT_IN_VIEW if kind == "instrument" else NOT_IDENTIFIED
    thing = "instrument" if kind == "instrument" else "structure"
    others, shown = _beside(c, others, 2)
    denied = c.add(1, fill(c.pick("denial", shapes), **words), "label", [absent])
    found = _related(c, others)
    doing = [fact for fact in c.scene.of_kind("triplet") if fact.terms[0] in {other.terms[0] for other in others}]
    if found:
        relate(c, found[c.shuffle("relation", range(len(found)))[0]], "relate")
    elif doing:
        acts(c, doing[:1])
    elif explain(c, [subject, *(fact.terms[0] for fact in others)]):
        pass
    elif others:
        other = slots(c, others[0].terms[0])
        many = sum(fact.terms[0] == others[0].terms[0] for fact in others) > 1
        the, verb = (f"the {other['many']}", "are") if many else (other["the"], other["is"])
        text = fill(c.pick("nothing", RELATED_TO_NONE), the_b=the, thing=thing, **{"is": verb})
        c.add(2, text, "follows", [f"statement:{denied}", f"statement:{shown[0]}"])
    else:
        c.add(2, c.pick("nothing", NOTHING_ELSE), "follows", [f"statement:{denied}"])
    c.add(3, fill(c.pick("close", NOTHING_TO_MARK), thing=thing), "follows", [f"statement:{denied}", absent])


def every(c: Composer) -> None:
    """Each instrument with its box."""
    _all(c, ALL_MARKED)


def count(c: Composer) -> None:
    """How many instruments there are."""
    _all(c, ALL_COUNTED)


def _all(c: Composer, shapes: tuple[str, ...]) -> None:
    seen = [item for item in instruments(c) if item.how == "box"]
    kind = "instrument" if any(fact.box for fact in c.scene.of_kind("instrument")) else "triplet"
    label = f"{c.scene.says(kind)}.{kind}"
    if not seen:
        c.add(1, c.pick("none", NO_INSTRUMENT), "label", [f"none:{label}"])
        c.add(2, c.pick("none:2", NOTHING_TO_RELATE), "follows", ["statement:0"])
        c.add(3, c.pick("none:3", NOTHING_TO_COUNT), "follows", ["statement:0", f"none:{label}"])
        return
    shown = see(c, seen)
    facts = [item.fact for item in seen]
    doing = list(c.scene.of_kind("triplet"))
    found = _related(c, facts)
    if doing and (not found or c.pick("level2", ["act", "relation"]) == "act"):
        acts(c, doing)
    elif found:
        relate(c, found[c.shuffle("relation", range(len(found)))[0]], "relate")
    elif not explain(c, [fact.terms[0] for fact in facts]):
        if len(facts) > 1 and _alone(c, facts):
            c.add(2, c.pick("alone", OF_ONE_KIND), "follows", [f"statement:{n}" for n in shown])
        elif len(facts) > 1:
            c.statements.clear()
            return
        else:
            c.add(2, c.pick("nothing", ALONE), "follows", [f"statement:{shown[0]}"])
    number = len(facts)
    text = fill(
        c.pick("close", shapes),
        number=NUMBER_WORDS[min(number, 7)],
        things="instrument" if number == 1 else "instruments",
        are="is" if number == 1 else "are",
    )
    grounds = [*(f"statement:{n}" for n in shown), *(f"fact:{fact.id}" for fact in facts), f"all:{label}"]
    c.add(3, text, "follows", grounds)


NO_INSTRUMENT = ("No instrument is in view.",)
NOTHING_TO_RELATE = ("There is thus no instrument to relate to a structure.",)
NOTHING_TO_COUNT = ("So there is no instrument to mark or to count.",)


def position(c: Composer) -> None:
    """How two boxed things lie to one another, from their places."""
    first, second = (_of(c, id) for id in c.question.subject[:2])
    shown = [lie(c, fact) for fact in c.order("shown", [first[0], second[0]])]
    words, other = slots(c, first[0].terms[0]), slots(c, second[0].terms[0])
    answer = c.question.truth[0]
    refs = [f"box:{c.box(first[0].box)}", f"box:{c.box(second[0].box)}"]
    # Either of the two may be told of, so that level 2 does not give the answer's own word.
    if c.pick("of", ["first", "second"]) == "first":
        ranked = fill(c.pick("rank", _RANK[answer]), **words)
    else:
        ranked = fill(c.pick("rank", _RANK[_OPPOSITE[answer]]), **other)
    told = c.add(2, ranked, "measured", [f"fact:{first[0].id}", f"fact:{second[0].id}", *refs])
    text = fill(c.pick("close", _RELATION[answer]), **words, the_b=other["the"])
    c.add(3, text, "follows", [*(f"statement:{n}" for n in (*shown, told)), *refs])
