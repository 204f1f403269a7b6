"""Plans where things have boxes: where one thing is, all instruments, how many there are, and how two things lie."""

from __future__ import annotations

from cotgen.chains.grammar import NUMBER_WORDS, Composer, capital, fill
from cotgen.chains.places import PLACES
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
    where,
)
from cotgen.ontology import term
from cotgen.records import Fact

MARKED = ("So this is where {it} {is} to be marked.", "{It} {is} thus to be marked there.")
NOT_IDENTIFIED = ("{The} {is} not identified.", "{The} {is} not identified in this view.")
NOTHING_TO_MARK = (
    "So there is nothing to mark.",
    "No such {thing} is identified in this view, so there is nothing to mark.",
)
ALL_MARKED = ("{Number} {things} {are} thus to be marked.", "So there {are} {number} {things} to mark.")
ALL_COUNTED = ("So there {are} {number} {things}.", "That makes {number} {things}.")
ALONE = ("There is thus no second one to relate it to.",)
NOTHING_ELSE = ("There is thus nothing to relate it to.",)
CENTRES = (
    (
        "across",
        ("Their centres differ more from side to side than in height.", "Their centres lie apart from side to side."),
    ),
    ("down", ("Their centres differ more in height than from side to side.", "Their centres lie apart in height.")),
)
_CENTRES = dict(CENTRES)
RELATION = (
    ("left", ("So {the} is to the left of {the_b}.", "{The} is thus to the left of {the_b}.")),
    ("right", ("So {the} is to the right of {the_b}.", "{The} is thus to the right of {the_b}.")),
    ("above", ("So {the} is above {the_b} in the picture.", "{The} is thus above {the_b} in the picture.")),
    ("below", ("So {the} is below {the_b} in the picture.", "{The} is thus below {the_b} in the picture.")),
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


def _lie(c: Composer, fact: Fact) -> int:
    words, n, spot = slots(c, fact.terms[0]), c.box(fact.box), where(c, fact)
    if fact.terms[0] == "instrument.unnamed":
        words = words | {"a": "an instrument"}
    text = f"{capital(words['a'])} {words['is']} {PLACES[spot] if spot is not None else 'in view'} <bbox:{n}>."
    return c.add(1, text, "measured", [f"fact:{fact.id}", f"box:{n}"])


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
        shown = [_lie(c, fact) for fact in own]
    extra = others[:1]
    shown += [_lie(c, fact) for fact in extra]
    doing = [fact for fact in c.scene.of_kind("triplet") if fact.terms[0] == subject]
    found = relations(c, [*own[:1], *extra])
    if doing and (not found or c.pick("level2", ["act", "relation"]) == "act"):
        acts(c, doing)
    elif found:
        relate(c, found[c.shuffle("relation", range(len(found)))[0]], "relate")
    elif not explain(c, [subject, *(fact.terms[0] for fact in extra)]):
        if extra or unclear(c, own):
            c.statements.clear()
            return
        c.add(2, c.pick("nothing", NOTHING_ELSE), "follows", [f"statement:{shown[-1]}"])
    text = fill(c.pick("close", MARKED), it=words["the"], **{"is": words["is"]})
    c.add(3, text, "follows", [f"statement:{n}" for n in shown[: len(own)]])


def _absent(c: Composer, subject: str, others: list[Fact]) -> None:
    kind = term(subject).kind
    absent = f"none:{c.scene.says(kind)}.{kind}/{subject}"
    shown = [_lie(c, fact) for fact in others[:2]]
    denial = fill(c.pick("denial", NOT_IDENTIFIED), **slots(c, subject))
    denied = c.add(1, denial, "label", [absent])
    found = relations(c, others[:2])
    if found:
        relate(c, found[c.shuffle("relation", range(len(found)))[0]], "relate")
    elif not explain(c, [subject, *(fact.terms[0] for fact in others[:2])]):
        if shown:
            c.statements.clear()
            return
        c.add(2, c.pick("nothing", NOTHING_ELSE), "follows", [f"statement:{denied}"])
    thing = "instrument" if kind == "instrument" else "structure"
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
    found = relations(c, facts)
    if doing and (not found or c.pick("level2", ["act", "relation"]) == "act"):
        acts(c, doing)
    elif found:
        relate(c, found[c.shuffle("relation", range(len(found)))[0]], "relate")
    elif not explain(c, [fact.terms[0] for fact in facts]):
        if len(facts) > 1:
            c.statements.clear()
            return
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
    shown = [_lie(c, fact) for fact in c.order("shown", [first[0], second[0]])]
    words, other = slots(c, first[0].terms[0]), slots(c, second[0].terms[0])
    answer = c.question.truth[0].rpartition(".")[2]
    axis = "across" if answer in ("left", "right") else "down"
    refs = [f"box:{c.box(first[0].box)}", f"box:{c.box(second[0].box)}"]
    c.add(2, c.pick("centres", _CENTRES[axis][1:]), "measured", [f"fact:{first[0].id}", f"fact:{second[0].id}", *refs])
    text = fill(c.pick("close", _RELATION[answer]), **words, the_b=other["the"])
    c.add(3, text, "follows", [*(f"statement:{n}" for n in shown), *refs])


def side(c: Composer) -> None:
    """On which side of the field one thing lies."""
    own = _of(c, c.question.subject[0])[0]
    words = slots(c, own.terms[0])
    n = c.box(own.box)
    c.add(1, f"{capital(words['a'])} {words['is']} in view <bbox:{n}>.", "measured", [f"fact:{own.id}", f"box:{n}"])
    others = _others(c, own.terms[0])[:1]
    found = [item for item in relations(c, [own, *others]) if item[0] == "touches"]
    doing = [fact for fact in c.scene.of_kind("triplet") if fact.terms[0] == own.terms[0]]
    if found:
        relate(c, found[0], "relate")
    elif doing:
        acts(c, doing)
    else:
        c.add(2, c.pick("nothing", NOTHING_ELSE), "follows", ["statement:0"])
    spot = where(c, own) or ()
    text = f"So {words['the']} {words['is']} {PLACES[spot]}."
    c.add(3, text, "measured", [f"fact:{own.id}", f"box:{n}"])
