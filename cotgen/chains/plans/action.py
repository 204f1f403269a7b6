"""Plans for SAR-RARP50: what is outlined, what touches what, and the action as it is labelled."""

from __future__ import annotations

from cotgen.chains.grammar import Composer, capital, fill, listed
from cotgen.chains.places import PLACES
from cotgen.chains.plans.words import relate, relations, slots, where
from cotgen.ontology import term
from cotgen.ontology.knowledge import entries
from cotgen.records import Fact

_PARTS = {"object.clasper", "object.wrist", "object.shaft"}
_BEHIND = {"object.wrist", "object.shaft"}
_NEEDLE, _THREAD = "object.needle", "object.thread"
_PASSED = {"action.position_needle_tip", "action.push_needle", "action.pull_needle"}
#: What is known in general -> the acts that it has something to do with.
_BEARS_ON = {"needle.at_jaws": _PASSED, "needle.thread": _PASSED | {"action.tie_knot"}}
IN_VIEW = ("{List} are in view.", "{List} can be seen.", "The view shows {list}.")
AT_THIS_MOMENT = ("At this moment {act}", "{Act}", "In this view {act}")
ALONE = ("There is thus no second thing to relate {the} to.", "So there is no second thing to relate {the} to.")
MOST = 3


def action(c: Composer) -> None:
    """The action; no reason is claimed, since one picture does not tell the seven apart."""
    own = c.scene.of_kind("action")[0]
    things = c.order("order", list(c.scene.of_kind("object")))
    if not things:
        return
    # What the question is about comes before wrist and shaft, which take part in no act.
    things = sorted(things, key=lambda thing: (thing.terms[0] != _NEEDLE, thing.terms[0] in _BEHIND))[:MOST]
    things = c.order("shown", things)
    _show(c, things)
    # That the parts of one instrument hang together says nothing.
    found = [item for item in relations(c, things) if not {item[1].terms[0], item[2].terms[0]} <= _PARTS]
    touching = [item for item in found if item[0] == "touches"]
    drawn = touching or found
    if drawn:
        order = c.shuffle("relation", range(len(drawn)))
        relate(c, drawn[order[0]], "relate")
        if touching and len(order) > 1 and c.pick("second", ["yes", "no"]) == "yes":
            relate(c, drawn[order[1]], "relate:2")
    elif len(things) == 1:
        text = fill(c.pick("alone", ALONE), the=slots(c, things[0].terms[0])["the"])
        c.add(2, text, "follows", ["statement:0"])
    else:
        return  # nothing was measured between them, and a chain does not say so
    ids = {thing.terms[0] for thing in things}
    known = [
        name for name, item in entries().items()
        if item.usable and item.procedure == c.scene.procedure and name.startswith("needle.") and set(item.about) <= ids
        and own.terms[0] in _BEARS_ON[name]
    ]  # fmt: skip
    if known and c.pick("know", ["yes", "no"]) == "yes":
        c.know(3, c.pick("known", known))
    # What level 1 calls a thread is no suture at level 3.
    acts = term(own.terms[0]).acts
    sentence = acts[-1] if _THREAD in ids else acts[0]
    shape = c.pick("act", AT_THIS_MOMENT if own.terms[0] != "action.other" else ("{Act}",))
    text = shape.replace("{act}", sentence[:1].lower() + sentence[1:]).replace("{Act}", sentence)
    c.add(3, text, "label", [f"fact:{own.id}"])


def _show(c: Composer, things: list[Fact]) -> list[int]:
    numbers = []
    plain: list[Fact] = []
    for thing in things:
        place = where(c, thing) if thing.box else None
        if thing.box and place is not None:
            words = slots(c, thing.terms[0])
            n = c.box(thing.box)
            text = f"{capital(words['a'])} {words['is']} {PLACES[place]} <bbox:{n}>."
            numbers.append(c.add(1, text, "measured", [f"fact:{thing.id}", f"box:{n}"]))
        else:
            plain.append(thing)
    if plain:
        names = listed([slots(c, thing.terms[0])["a"] for thing in plain])
        if len(plain) == 1:
            text = f"{capital(names)} {slots(c, plain[0].terms[0])['is']} in view."
        else:
            text = c.pick("view", IN_VIEW).replace("{List}", capital(names)).replace("{list}", names)
        numbers.append(c.add(1, text, "label", [f"fact:{thing.id}" for thing in plain]))
    return numbers
