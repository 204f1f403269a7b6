"""Plans for Endoscapes: the critical view of safety by its criteria, and which structures are seen.

A criterion is told in the closed words of its votes and never argued from an outline: of 58 real frames with duct and
artery outlined, 11 meet the first.
"""

from __future__ import annotations

from cotgen.chains.grammar import NUMBER_WORDS, Composer, capital, fill, listed
from cotgen.chains.places import PLACES
from cotgen.chains.plans.words import explain, relate, relations, slots, where
from cotgen.records import Fact
from cotgen.tasks.cvs import CRITERIA, achieved

#: Criterion -> sentences for 0, 1, 2 and 3 of three raters.
BY_VOTES = (
    (
        "cvs.two_structures",
        (
            "It is not shown that only two structures enter the gallbladder.",
            "It is probably not shown that only two structures enter the gallbladder.",
            "Only two structures seem to enter the gallbladder, with some doubt.",
            "Two structures, and no more, are seen to enter the gallbladder.",
        ),
    ),
    (
        "cvs.hepatocystic_triangle",
        (
            "The hepatocystic triangle is not cleared.",
            "The hepatocystic triangle is probably not cleared.",
            "The hepatocystic triangle seems cleared, with some doubt.",
            "The hepatocystic triangle is cleared of fat and fibrous tissue.",
        ),
    ),
    (
        "cvs.cystic_plate",
        (
            "The lower third of the gallbladder is not shown to be off the liver.",
            "The lower third of the gallbladder is probably not off the liver.",
            "The lower third of the gallbladder seems to be off the liver, with some doubt.",
            "The lower third of the gallbladder is off the liver, so that the cystic plate shows.",
        ),
    ),
)
_BY_VOTES = dict(BY_VOTES)
#: Criterion -> the structures that it is about.
_ABOUT = {
    "cvs.two_structures": {"anatomy.cystic_duct", "anatomy.cystic_artery"},
    "cvs.hepatocystic_triangle": {"anatomy.hepatocystic_triangle"},
    "cvs.cystic_plate": {"anatomy.cystic_plate", "anatomy.gallbladder"},
}
_SO_NOT = "the critical view of safety is not achieved in this view."
ACHIEVED = (
    "With all three criteria met, the critical view of safety is achieved in this view.",
    "All three criteria are met, so the critical view of safety is achieved in this view.",
    "So the critical view of safety is achieved in this view.",
)
#: By how many criteria are met.
NOT_ACHIEVED = (
    (
        f"None of the three criteria is met, so {_SO_NOT}",
        f"No criterion is met, and so {_SO_NOT}",
        f"With no criterion met, {_SO_NOT}",
        f"So {_SO_NOT}",
    ),
    (
        f"Two criteria are missing, so {_SO_NOT}",
        f"Two of the three criteria are not met, so {_SO_NOT}",
        f"So {_SO_NOT}",
    ),
    (
        f"One criterion is missing, so {_SO_NOT}",
        f"One of the three criteria is not met, so {_SO_NOT}",
        f"So {_SO_NOT}",
    ),
    # Each criterion has its majority, and no majority holds all of them.
    (f"Taken together, {_SO_NOT}",),
)
NONE_MET = ("None of the three criteria is met.", "No criterion is met in this view.")
CRITERION_MET = ("So the criterion is met in this view.", "This criterion is thus met in this view.")
CRITERION_NOT_MET = ("So the criterion is not met in this view.", "This criterion is thus not met in this view.")
STRUCTURES = ("{List} {are} in view.", "The view shows {list}.", "{List} can be seen.")
PLACED = ("{A} {is} {place} {box}.", "{A} lie{s} {place} {box}.")
NO_STRUCTURE = ("None of the structures asked about is identified.",)
NO_GALLBLADDER = ("Neither the gallbladder nor its duct or artery is identified.",)
NOTHING_RELATED = ("There is thus no structure to relate to another.",)
TO_NAME = ("{Number} {structures} {are} thus to be named.", "So there {are} {number} {structures} to name.")
NONE_TO_NAME = ("So there is no structure to name.",)
INSTRUMENT = ("An instrument is in view.", "The view shows an instrument.")
INSTRUMENTS = ("Instruments are in view.",)
PART = ("part of the", "{Part} shows {place} {box}.")
#: An outline under this share of the picture is a sliver of a triangle, and not the triangle.
SLIVER = 0.004


def votes(fact: Fact) -> int:
    """How many of three raters say so."""
    return round(3 * fact.value)


def anatomy(c: Composer) -> list[Fact]:
    """The outlined structures in drawn order."""
    return c.order("anatomy", list(c.scene.of_kind("anatomy")))


def shows_in_part(c: Composer, fact: Fact) -> bool:
    """Whether an outline of the hepatocystic triangle is so small that only part of it shows."""
    if fact.terms[0] != "anatomy.hepatocystic_triangle" or not fact.box:
        return False
    area = c.scene.measure("area", fact.id)
    width, height = c.scene.size
    if area is None:
        x1, y1, x2, y2 = fact.box
        return (x2 - x1) * (y2 - y1) < SLIVER * width * height
    return area < SLIVER


def lie(c: Composer, fact: Fact, slot: str = "placed") -> int:
    """Level 1: a structure or a thing with its box, where it lies or that it is in view."""
    words, n, spot = slots(c, fact.terms[0]), c.box(fact.box), where(c, fact)
    if fact.terms[0] == "instrument.unnamed":
        words = words | {"a": "an instrument"}
    place = PLACES[spot] if spot is not None else ""
    if shows_in_part(c, fact):
        text = fill(PART[1], part=f"{PART[0]} {words['bare']}", place=place, box=f"<bbox:{n}>")
    elif place:
        text = fill(c.pick(f"{slot}:{fact.id}", PLACED), **words, place=place, box=f"<bbox:{n}>")
    else:
        text = f"{capital(words['a'])} {words['is']} in view <bbox:{n}>."
    return c.add(1, text, "measured", [f"fact:{fact.id}", f"box:{n}"])


def show(c: Composer, facts: list[Fact]) -> list[int]:
    """Level 1: structures, each with its box and its place or in a list; that there is none."""
    if not facts:
        tools = c.scene.of_kind("instrument")
        numbers = []
        if tools and c.pick("tools:told", ["yes", "no"]) == "yes":
            text = c.pick("tools", INSTRUMENT if len(tools) == 1 else INSTRUMENTS)
            numbers.append(c.add(1, text, "label", [f"fact:{fact.id}" for fact in tools]))
        shapes = NO_STRUCTURE if c.question.task == "anatomy" else NO_GALLBLADDER
        none = f"none:{c.scene.says('anatomy')}.anatomy"
        return [*numbers, c.add(1, c.pick("no structure", shapes), "label", [none])]
    plans = ["list", "places"] if all(fact.box for fact in facts) else ["list"]
    if c.pick("show", plans) == "places":
        return [lie(c, fact) for fact in facts]
    numbers = [c.box(fact.box) if fact.box else -1 for fact in facts]
    names = [
        (f"{PART[0]} {slots(c, fact.terms[0])['bare']}" if shows_in_part(c, fact) else slots(c, fact.terms[0])["a"])
        + (f" <bbox:{n}>" if n >= 0 else "")
        for fact, n in zip(facts, numbers, strict=True)
    ]
    text = fill(c.pick("structures", STRUCTURES), list=listed(names), are="is" if len(facts) == 1 else "are")
    refs = [f"box:{n}" for n in numbers if n >= 0]
    return [c.add(1, text, "measured" if refs else "label", [*(f"fact:{fact.id}" for fact in facts), *refs])]


def measured(c: Composer, facts: list[Fact]) -> None:
    """Level 2: one or two measured relations of what level 1 named, or that there is none."""
    found = relations(c, facts)
    if not found:
        if not facts:
            c.add(2, c.pick("nothing", NOTHING_RELATED), "follows", [f"statement:{len(c.statements) - 1}"])
        else:
            explain(c, [fact.terms[0] for fact in facts])
        return
    order = c.shuffle("relations", range(len(found)))
    relate(c, found[order[0]], "relate")
    if len(order) > 1 and c.pick("two", ["yes", "no"]) == "yes":
        relate(c, found[order[1]], "relate:2")


def cvs(c: Composer) -> None:
    """All three criteria in the words of their votes, and the whole where it is determined."""
    facts = {fact.terms[0]: fact for fact in c.scene.of_kind("cvs")}
    if not c.scene.says("anatomy"):
        return  # judged and not outlined: there is nothing that level 1 could point at
    things = anatomy(c)[: int(c.pick("most", ["4", "3", "2"]))]
    show(c, things)
    measured(c, things)
    met = [id for id in CRITERIA if votes(facts[id]) >= 2]
    every = [f"fact:{facts[id].id}" for id in CRITERIA]
    if not met and c.pick("lead", ["none", "each"]) == "none":
        c.add(3, c.pick("none met", NONE_MET), "label", every)
    told = []
    for n in c.shuffle("criteria", range(len(CRITERIA))):
        id = CRITERIA[n]
        told.append(c.add(3, _BY_VOTES[id][votes(facts[id])], "label", [f"fact:{facts[id].id}"]))
    whole = achieved(c.scene)
    if whole is None:
        return
    if met and len(met) < len(CRITERIA) and c.pick("all", ["yes", "no"]) == "yes":
        c.know(3, "cvs.all")
    overall = [f"fact:{fact.id}" for fact in c.scene.of_kind("cvs_overall")]
    if not whole and len(met) == len(CRITERIA):
        # It does not follow from the criteria, so no word says that it does.
        c.add(3, c.pick("overall", NOT_ACHIEVED[len(met)]), "label", overall)
        return
    shapes = ACHIEVED if whole else NOT_ACHIEVED[len(met)]
    if any(c.statements[-n - 1].text in NONE_MET for n in range(len(told) + 1)):
        shapes = shapes[-1:]  # that none is met has been said
    c.add(3, c.pick("overall", shapes), "follows", [*(f"statement:{n}" for n in told), *overall])


def criterion(c: Composer) -> None:
    """One criterion, asked by name.

    Where all raters agree, the words of the votes are the answer, and to conclude it from them would be a circle.
    """
    subject = c.question.subject[0]
    fact = next(fact for fact in c.scene.of_kind("cvs") if fact.terms[0] == subject)
    if not c.scene.says("anatomy"):
        return
    # What the criterion is about comes first; which of it is outlined argues for neither answer.
    things = sorted(anatomy(c), key=lambda thing: thing.terms[0] not in _ABOUT[subject])[
        : int(c.pick("most", ["3", "2"]))
    ]
    show(c, things)
    measured(c, things)
    if c.pick("meaning", ["yes", "no"]) == "yes":
        c.know(3, subject)
    told = c.add(3, _BY_VOTES[subject][votes(fact)], "label", [f"fact:{fact.id}"])
    if votes(fact) in (1, 2):
        shapes = CRITERION_MET if c.question.truth == ("yes",) else CRITERION_NOT_MET
        c.add(3, c.pick("close", shapes), "follows", [f"statement:{told}", f"fact:{fact.id}"])


def presence(c: Composer) -> None:
    """Which structures are seen."""
    things = anatomy(c)
    shown = show(c, things)
    measured(c, things)
    every = f"all:{c.scene.says('anatomy')}.anatomy"
    kinds = list(dict.fromkeys(fact.terms[0] for fact in things))
    if not kinds:
        none = f"none:{c.scene.says('anatomy')}.anatomy"
        c.add(3, c.pick("close", NONE_TO_NAME), "follows", [*(f"statement:{n}" for n in shown), none])
        return
    text = fill(
        c.pick("close", TO_NAME),
        number=NUMBER_WORDS[len(kinds)],
        structures="structure" if len(kinds) == 1 else "structures",
        are="is" if len(kinds) == 1 else "are",
    )
    c.add(3, text, "follows", [*(f"statement:{n}" for n in shown), *(f"fact:{fact.id}" for fact in things), every])
