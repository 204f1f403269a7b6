"""Plans for Endoscapes: the critical view of safety by its criteria, and which structures are seen.

A criterion is told in the closed words of its votes and never argued from an outline: of 58 real frames with duct and
artery outlined, 11 meet the first.
"""

from __future__ import annotations

from cotgen.chains.grammar import NUMBER_WORDS, Composer, capital, fill, listed
from cotgen.chains.places import PLACES
from cotgen.chains.plans.words import explain, relate, relations, slots, where
from cotgen.records import Fact

CRITERIA = ("cvs.two_structures", "cvs.hepatocystic_triangle", "cvs.cystic_plate")
#: Criterion -> sentences for 0, 1, 2 and 3 of three raters.
BY_VOTES = (
    (
        "cvs.two_structures",
        (
            "It is not shown that only two structures enter the gallbladder.",
            "That only two structures enter the gallbladder is doubtful, and rather not the case.",
            "Two structures seem to enter the gallbladder and no more, with some doubt.",
            "Two structures, and no more, are seen to enter the gallbladder.",
        ),
    ),
    (
        "cvs.hepatocystic_triangle",
        (
            "The hepatocystic triangle is not cleared.",
            "That the hepatocystic triangle is cleared is doubtful, and rather not the case.",
            "The hepatocystic triangle seems cleared, with some doubt.",
            "The hepatocystic triangle is cleared of fat and fibrous tissue.",
        ),
    ),
    (
        "cvs.cystic_plate",
        (
            "The lower third of the gallbladder is not shown to be off the liver.",
            "That the lower third of the gallbladder is off the liver is doubtful, and rather not the case.",
            "The lower third of the gallbladder seems to be off the liver, with some doubt.",
            "The lower third of the gallbladder is off the liver, so that the cystic plate shows.",
        ),
    ),
)
_BY_VOTES = dict(BY_VOTES)
ACHIEVED = (
    "With all three criteria met, the critical view of safety is achieved in this view.",
    "So the critical view of safety is achieved in this view.",
)
NOT_ACHIEVED = (
    "So the critical view of safety is not achieved in this view.",
    "The critical view of safety is thus not achieved in this view.",
)
ONE_MISSING = ("One criterion is missing, so the critical view of safety is not achieved in this view.",)
CRITERION_MET = ("So the criterion is met in this view.", "This criterion is thus met in this view.")
CRITERION_NOT_MET = ("So the criterion is not met in this view.", "This criterion is thus not met in this view.")
STRUCTURES = ("{List} {are} in view.", "In view {are} {list}.", "The view shows {list}.")
NO_STRUCTURE = ("None of the structures asked about is identified.",)
NOTHING_RELATED = ("There is thus no structure to relate to another.",)
TO_NAME = ("{Number} {structures} {are} thus to be named.", "So there {are} {number} {structures} to name.")
NONE_TO_NAME = ("So there is no structure to name.",)
INSTRUMENT = ("An instrument is in view.", "The view shows an instrument.")
INSTRUMENTS = ("Instruments are in view.",)


def votes(fact: Fact) -> int:
    """How many of three raters say so."""
    return round(3 * fact.value)


def anatomy(c: Composer) -> list[Fact]:
    """The outlined structures in drawn order."""
    return c.order("anatomy", list(c.scene.of_kind("anatomy")))


def show(c: Composer, facts: list[Fact], most: int = 4) -> list[int]:
    """Level 1: structures, each with its box and its place or in a list."""
    if not facts:
        tools = c.scene.of_kind("instrument")
        if tools:
            text = c.pick("tools", INSTRUMENT if len(tools) == 1 else INSTRUMENTS)
            return [c.add(1, text, "label", [f"fact:{fact.id}" for fact in tools])]
        if c.scene.says("anatomy"):
            return [
                c.add(1, c.pick("no structure", NO_STRUCTURE), "label", [f"none:{c.scene.says('anatomy')}.anatomy"])
            ]
        return []
    taken = facts[:most]
    plans = ["list", "places"] if all(fact.box for fact in taken) else ["list"]
    if c.pick("show", plans) == "list":
        numbers = [c.box(fact.box) if fact.box else -1 for fact in taken]
        names = [
            slots(c, fact.terms[0])["a"] + (f" <bbox:{n}>" if n >= 0 else "")
            for fact, n in zip(taken, numbers, strict=True)
        ]
        text = fill(c.pick("structures", STRUCTURES), list=listed(names), are="is" if len(taken) == 1 else "are")
        refs = [f"box:{n}" for n in numbers if n >= 0]
        return [c.add(1, text, "measured" if refs else "label", [*(f"fact:{fact.id}" for fact in taken), *refs])]
    written = []
    for fact in taken:
        spot, n = where(c, fact), c.box(fact.box)
        words = slots(c, fact.terms[0])
        text = f"{capital(words['a'])} is {PLACES[spot] if spot is not None else 'in view'} <bbox:{n}>."
        written.append(c.add(1, text, "measured", [f"fact:{fact.id}", f"box:{n}"]))
    return written


def measured(c: Composer, facts: list[Fact]) -> None:
    """Level 2: one or two measured relations of what level 1 named, or that there is none."""
    found = relations(c, facts)
    if not found:
        if not facts:
            c.add(2, c.pick("nothing", NOTHING_RELATED), "follows", ["statement:0"])
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
    things = anatomy(c)[:4]
    show(c, things)
    measured(c, things)
    told = []
    for criterion in CRITERIA:
        fact = facts[criterion]
        told.append(c.add(3, _BY_VOTES[criterion][votes(fact)], "label", [f"fact:{fact.id}"]))
    overall = c.scene.of_kind("cvs_overall")
    if not overall:
        return
    met = [criterion for criterion in CRITERIA if votes(facts[criterion]) >= 2]
    yes = 3 * overall[0].value >= 1.5
    shapes = ACHIEVED if yes else ONE_MISSING + NOT_ACHIEVED if len(met) == 2 else NOT_ACHIEVED
    grounds = [*(f"statement:{n}" for n in told), f"fact:{overall[0].id}"]
    c.add(3, c.pick("overall", shapes if not yes or len(met) == 3 else ACHIEVED[1:]), "follows", grounds)


def criterion(c: Composer) -> None:
    """One criterion, asked by name."""
    subject = c.question.subject[0]
    fact = next(fact for fact in c.scene.of_kind("cvs") if fact.terms[0] == subject)
    if not c.scene.says("anatomy"):
        return
    things = anatomy(c)[:3]
    show(c, things)
    measured(c, things)
    told = c.add(3, _BY_VOTES[subject][votes(fact)], "label", [f"fact:{fact.id}"])
    shapes = CRITERION_MET if c.question.truth == ("yes",) else CRITERION_NOT_MET
    c.add(3, c.pick("close", shapes), "follows", [f"statement:{told}", f"fact:{fact.id}"])


def presence(c: Composer) -> None:
    """Which structures are seen."""
    things = anatomy(c)
    shown = show(c, things, most=9)
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
