"""Sentences that many plans share: what is seen where, who does what, what touches what.

The verb of sight follows the evidence: a box lies somewhere, presence is in view, an instrument that only a triplet names
is at work.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from cotgen.chains.grammar import ALSO, NUMBER_WORDS, Composer, capital, fill, listed
from cotgen.chains.places import PLACES, compared, field_of, mainly, place, touching
from cotgen.ontology import term
from cotgen.ontology.knowledge import entries
from cotgen.records import Fact
from cotgen.tasks.triplet import target

Sight = Literal["box", "view", "work"]

#: Per verb: {The} and {the} the subject, {t} the target, {s} and {is} agree with the subject.
ACTS = (
    ("verb.grasp", ("{The} grasp{s} {t}.", "{The} {has} hold of {t}.", "{The} grip{s} {t}.")),
    (
        "verb.retract",
        (
            "{The} retract{s} {t}.",
            "{The} keep{s} {t} retracted.",
            "{The} keep{s} {t} on traction.",
            "{The} hold{s} {t} aside.",
        ),
    ),
    (
        "verb.dissect",
        ("{The} {is} dissecting at {t}.", "{The} {is} dissecting around {t}.", "{The} work{s} in dissection at {t}."),
    ),
    ("verb.coagulate", ("{The} {is} coagulating {t}.", "{The} {is} coagulating at {t}.")),
    (
        "verb.clip",
        ("{The} {is} setting a clip on {t}.", "{The} {is} placing a clip on {t}.", "{The} {is} clipping {t}."),
    ),
    ("verb.cut", ("{The} {is} cutting {t}.",)),
    ("verb.aspirate", ("{The} {is} aspirating {t}.", "{The} suck{s} {t}.")),
    ("verb.irrigate", ("{The} {is} irrigating {t}.", "{The} rins{es} {t}.")),
    ("verb.pack", ("{The} {is} putting {t} into the bag.",)),
    ("verb.null", ("{The} {is} idle.",)),
)
#: The same for EndoVis 2018, where every act is one at the kidney and not upon it.
STATES = (
    ("verb.grasp", ("{The} {is} grasping.",)),
    ("verb.retract", ("{The} {is} retracting.",)),
    ("verb.manipulate_tissue", ("{The} {is} handling tissue.", "{The} handle{s} tissue.")),
    ("verb.manipulate_tool", ("{The} {is} handling another instrument.", "{The} handle{s} another instrument.")),
    ("verb.cut", ("{The} {is} cutting.",)),
    ("verb.cauterise", ("{The} {is} cauterising.",)),
    ("verb.suction", ("{The} {is} applying suction.",)),
    ("verb.loop", ("{The} {is} looping thread.", "{The} {is} looping.")),
    ("verb.suture", ("{The} {is} suturing.",)),
    ("verb.clip", ("{The} {is} clipping at the kidney.",)),
    ("verb.staple", ("{The} {is} stapling at the kidney.",)),
    ("verb.sense", ("{The} {is} scanning with ultrasound.",)),
    ("verb.null", ("{The} {is} idle.", "{The} {is} not acting.")),
)
#: An act as a noun, for statistics.
NOUNS = (
    ("verb.grasp", "a grip on {t}"),
    ("verb.retract", "traction on {t}"),
    ("verb.dissect", "dissection at {t}"),
    ("verb.coagulate", "coagulation at {t}"),
    ("verb.clip", "clipping of {t}"),
    ("verb.cut", "cutting of {t}"),
    ("verb.aspirate", "aspiration of {t}"),
    ("verb.irrigate", "irrigation of {t}"),
    ("verb.pack", "packing of {t}"),
)
_ACTS, _STATES, _NOUNS = dict(ACTS), dict(STATES), dict(NOUNS)

LIES = ("{A} lie{s} {place} {box}.", "{A} {is} {place} {box}.", "{A} can be seen {place} {box}.")
LIES_ANYWHERE = ("{A} {is} in view {box}.", "{A} can be seen {box}.")
LIE_TWO = (
    "{A} lie{s} {place} {box}, {b} {place_b} {box_b}.",
    "{A} {is} {place} {box}, and {b} {is_b} {place_b} {box_b}.",
)
LIE_SAME = ("Two {many} are in view, one {place} {box}, the other {place_b} {box_b}.",)
LIE_SAME_HERE = ("Two {many} are in view {box} {box_b}.",)
WORKS = ("{A} {is} at work.",)
WORKS_TOO = ("{A} {is} at work as well.", "{A} {is} at work too.")
WORK_SEVERAL = ("{List} are at work.",)
WORK_SEVERAL_TOO = ("{List} are at work as well.",)
TOUCHES = ("{The} touch{es} {the_b}.", "{The} and {the_b} touch.")
COMPARED = (
    ("left", ("{The} lie{s} to the left of {the_b}.", "{The} {is} to the left of {the_b}.")),
    ("right", ("{The} lie{s} to the right of {the_b}.", "{The} {is} to the right of {the_b}.")),
    ("above", ("{The} lie{s} above {the_b} in the picture.", "{The} {is} above {the_b} in the picture.")),
    ("below", ("{The} lie{s} below {the_b} in the picture.", "{The} {is} below {the_b} in the picture.")),
)
_COMPARED = dict(COMPARED)
#: What the one of two is called that lies so to the other.
_CALLED = {"above": "upper", "below": "lower"}


def noun(triplet: Sequence[str]) -> str:
    """An act as a noun: `dissection at the cystic duct`."""
    return fill(_NOUNS[triplet[1]], t=target(triplet[2], triplet[1]))


@dataclass(frozen=True, slots=True)
class Seen:
    """One instance that a chain can point at or name.

    Attributes:
        id: its term.
        fact: the fact that it rests on.
        how: what that fact lets one say.
    """

    id: str
    fact: Fact
    how: Sight


def agree(many: bool) -> dict[str, str]:
    """Slots that agree with a subject in number."""
    if many:
        return {"is": "are", "s": "", "es": "", "has": "have"}
    return {"is": "is", "s": "s", "es": "es", "has": "has"}


def slots(c: Composer, id: str) -> dict[str, str]:
    """Slots for one term: `a`, `the`, `bare`, `many` and what agrees with it."""
    item = term(id)
    name = c.name(id)
    plural = item.number == "plural"
    if item.kind == "anatomy":
        phrase = target(id)
    elif plural or id == "object.thread":
        phrase = name
    else:
        phrase = f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
    return {"a": phrase, "the": f"the {name}", "bare": name, "many": item.plural or name, **agree(plural)}


def instruments(c: Composer, *, first: str = "") -> list[Seen]:
    """The instruments of the frame, boxed ones first: each boxed instance, then kinds in view, then kinds at work.

    Args:
        c: the chain.
        first: an instrument that stands first among those of its kind of sight.
    """
    scene = c.scene
    boxed = [Seen(fact.terms[0], fact, "box") for fact in boxed_instruments(c)]
    known = {seen.id for seen in boxed}
    shown = [
        Seen(fact.terms[0], fact, "view")
        for fact in scene.of_kind("instrument")
        if not fact.box and fact.terms[0] not in known
    ]
    known |= {seen.id for seen in shown}
    work: dict[str, Seen] = {}
    acting = {fact.terms[0] for fact in scene.of_kind("triplet") if fact.terms[1] != "verb.null"}
    for fact in scene.of_kind("triplet"):
        id = fact.terms[0]
        if id in known or id in work or any(item.id == id for item in shown):
            continue
        # An idle instrument is labelled because it is seen; one that acts may be hidden.
        if id in acting:
            work[id] = Seen(id, fact, "work")
        else:
            shown.append(Seen(id, fact, "view"))
    groups = [boxed, shown, list(work.values())]
    found = []
    for number, group in enumerate(groups):
        drawn = [group[n] for n in c.shuffle(f"order:{number}", range(len(group)))]
        found += sorted(drawn, key=lambda seen: seen.id != first) if first else drawn
    return found


def boxed_instruments(c: Composer) -> list[Fact]:
    """The facts that give an instrument a box: instrument facts, else those of triplets, one per box."""
    own = [fact for fact in c.scene.of_kind("instrument") if fact.box]
    if own:
        return own
    found: dict[tuple[str, tuple[int, ...]], Fact] = {}
    for fact in c.scene.of_kind("triplet") or c.scene.of_kind("boxed_triplet"):
        if fact.box:
            found.setdefault((fact.terms[0], tuple(fact.box)), fact)
    return list(found.values())


def where(c: Composer, fact: Fact) -> tuple[str, ...] | None:
    """The place of a fact's box; None where it has none."""
    return place(fact.box, field_of(c.scene))


def see(c: Composer, seen: Sequence[Seen], slot: str = "see") -> list[int]:
    """Level 1: sentences that assert all of `seen`, in their order of sight. Returns their numbers."""
    boxed = [item for item in seen if item.how == "box"]
    shown = [item for item in seen if item.how == "view"]
    work = [item for item in seen if item.how == "work"]
    numbers: list[int] = []
    left = list(boxed)
    kinds = [item.id for item in boxed]
    while left:
        # "Two graspers" would be wrong of three, and "a grasper" beside another one a riddle.
        many = kinds.count(left[0].id) > 2
        if many:
            own = [item for item in left if item.id == left[0].id]
            left = [item for item in left if item.id != left[0].id]
            numbers.append(_several(c, own))
            continue
        joint = (
            len(left) >= 2
            and kinds.count(left[1].id) <= 2
            and c.pick(f"{slot}:joint:{len(left)}", ["joint", "apart"]) == "joint"
        )
        take, left = (left[:2], left[2:]) if joint else (left[:1], left[1:])
        numbers.append(_lie(c, take, f"{slot}:{len(left)}"))
    if shown:
        numbers += c.show(f"{slot}:view", [item.fact for item in shown]) if not numbers else [_also(c, shown, slot)]
    if work:
        numbers.append(_work(c, work, slot, too=bool(numbers)))
    return numbers


def _several(c: Composer, items: Sequence[Seen]) -> int:
    """Three or more of one kind, each with its box."""
    boxes = [c.box(item.fact.box) for item in items]
    name = slots(c, items[0].id)["many"]
    text = f"{capital(NUMBER_WORDS[min(len(items), 7)])} {name} are in view {' '.join(f'<bbox:{n}>' for n in boxes)}."
    return c.add(1, text, "measured", [*(f"fact:{item.fact.id}" for item in items), *(f"box:{n}" for n in boxes)])


def _lie(c: Composer, items: Sequence[Seen], slot: str) -> int:
    evidence = [f"fact:{item.fact.id}" for item in items]
    boxes = [c.box(item.fact.box) for item in items]
    evidence += [f"box:{n}" for n in boxes]
    marks = [f"<bbox:{n}>" for n in boxes]
    places = [where(c, item.fact) for item in items]
    words = slots(c, items[0].id)
    if len(items) == 1:
        if places[0] is None:
            text = fill(c.pick(slot, LIES_ANYWHERE), **words, box=marks[0])
        else:
            text = fill(c.pick(slot, LIES), **words, place=PLACES[places[0]], box=marks[0])
        return c.add(1, text, "measured", evidence)
    other = slots(c, items[1].id)
    if items[0].id == items[1].id:
        if places[0] is None or places[1] is None or places[0] == places[1]:
            text = fill(c.pick(slot, LIE_SAME_HERE), many=words["many"], box=marks[0], box_b=marks[1])
        else:
            text = fill(
                c.pick(slot, LIE_SAME), many=words["many"], place=PLACES[places[0]], place_b=PLACES[places[1]],
                box=marks[0], box_b=marks[1],
            )  # fmt: skip
        return c.add(1, text, "measured", evidence)
    if places[0] is None or places[1] is None:
        parts = []
        for item, mark, spot in zip(items, marks, places, strict=True):
            own = slots(c, item.id)
            parts.append(f"{own['a']} {own['is']} {PLACES[spot] if spot is not None else 'in view'} {mark}")
        return c.add(1, capital(f"{parts[0]}, and {parts[1]}."), "measured", evidence)
    text = fill(
        c.pick(slot, LIE_TWO), **words, b=other["a"], is_b=other["is"], place=PLACES[places[0]], place_b=PLACES[places[1]],
        box=marks[0], box_b=marks[1],
    )  # fmt: skip
    return c.add(1, text, "measured", evidence)


def _also(c: Composer, items: Sequence[Seen], slot: str) -> int:
    evidence = [f"fact:{item.fact.id}" for item in items]
    if len(items) == 1:
        return c.add(1, fill(c.pick(f"{slot}:also", ALSO), **c.words(items[0].id)), "label", evidence)
    text = f"{capital(listed([c.words(item.id)['a'] for item in items]))} are in view as well."
    return c.add(1, text, "label", evidence)


def _work(c: Composer, items: Sequence[Seen], slot: str, *, too: bool) -> int:
    evidence = [f"fact:{item.fact.id}" for item in items]
    if len(items) == 1:
        single = WORKS_TOO if too else WORKS
        return c.add(1, fill(c.pick(f"{slot}:work", single), **slots(c, items[0].id)), "label", evidence)
    shapes = WORK_SEVERAL_TOO if too else WORK_SEVERAL
    text = fill(c.pick(f"{slot}:work", shapes), list=listed([slots(c, item.id)["a"] for item in items]))
    return c.add(1, text, "label", evidence)


def acts(c: Composer, facts: Iterable[Fact], slot: str = "acts", level: int = 2) -> list[int]:
    """Sentences that tell what each of these triplets is: one each, or two joined. Returns their numbers."""
    given = list(facts)
    left = [given[n] for n in c.shuffle(f"{slot}:order", range(len(given)))]
    numbers = []
    while left:
        joint = len(left) >= 2 and c.pick(f"{slot}:joint:{len(left)}", ["joint", "joint", "apart"]) == "joint"
        take, left = (left[:2], left[2:]) if joint else (left[:1], left[1:])
        subjects = subjects_of(c, take)
        texts = [act(c, fact, subject, f"{slot}:{fact.id}") for fact, subject in zip(take, subjects, strict=True)]
        text = texts[0]
        if len(texts) == 2:
            link = c.pick(f"{slot}:link:{len(left)}", ["; ", ", and ", " while "])
            text = texts[0].removesuffix(".") + link + texts[1][:1].lower() + texts[1][1:]
        evidence = [f"fact:{fact.id}" for fact in take]
        numbers.append(c.add(level, text, "label", evidence))
    return numbers


def subjects_of(c: Composer, facts: Sequence[Fact]) -> list[str]:
    """How each acting instrument is called: `the hook`; `the upper grasper` and `the lower grasper`; `one grasper`."""
    every = c.scene.of_kind("triplet") or c.scene.of_kind("boxed_triplet")
    found = []
    for fact in facts:
        name = c.name(fact.terms[0])
        twins = [other for other in every if other.terms[0] == fact.terms[0] and other.id != fact.id]
        if not twins:
            found.append(f"the {name}")
            continue
        words = compared(fact.box, twins[0].box, field_of(c.scene)) if len(twins) == 1 else ()
        if words:
            found.append(f"the {_CALLED.get(words[0], words[0])} {name}")
        else:
            before = any(other.terms[0] == fact.terms[0] for other in facts[: len(found)])
            found.append(f"another {name}" if before else f"one {name}")
    return found


def act(c: Composer, fact: Fact, subject: str, slot: str) -> str:
    """One act as a sentence: `The grasper retracts the gallbladder.`"""
    instrument, verb, what = fact.terms
    shapes: tuple[str, ...] = (_STATES if fact.source == "endovis18" else _ACTS)[verb]
    if instrument == "instrument.scissors" and verb == "verb.cut":
        shapes = (*shapes, "{The} {is} dividing {t}.")
    if instrument == "instrument.irrigator":
        # A tube pushes tissue aside; it has no jaws to pull with.
        shapes = tuple(shape for shape in shapes if "traction" not in shape)
    numbered = agree(term(instrument).number == "plural" and not subject.startswith(("one ", "another ")))
    aim = "" if what == "anatomy.null" else target(what, verb)
    return fill(c.pick(slot, shapes), the=subject, t=aim, **numbered)


def relations(c: Composer, facts: Sequence[Fact]) -> list[tuple[str, Fact, Fact]]:
    """What was measured between two outlined things: (`touches`, `left`, `above` ..., one, other)."""
    field = field_of(c.scene)
    found = []
    # Of things that cannot be told apart nobody would know which is meant.
    known = [fact for fact in facts if called(c, fact)]
    for n, fact in enumerate(known):
        for other in known[n + 1 :]:
            if touching(c.scene, fact.id, other.id):
                found.append(("touches", fact, other))
            if word := mainly(fact.box, other.box, field):
                found.append((word, fact, other))
    return found


def explain(c: Composer, ids: Iterable[str], slot: str = "explain") -> bool:
    """Level 2 where nothing is labelled or measured between things: what is known of one of them; False for none.

    Silence, not ignorance: a chain never says that something was not measured.
    """
    there = set(ids)
    names = [
        name
        for name, item in entries().items()
        if item.usable and item.procedure == c.scene.procedure and name.startswith(("place.", "function."))
        if set(item.about) <= there
    ]
    if names:
        c.know(2, c.pick(slot, names))
    return bool(names)


def unclear(c: Composer, facts: Sequence[Fact]) -> bool:
    """Whether something was measured between these that cannot be told, since one of them cannot be named clearly."""
    field = field_of(c.scene)
    every = [
        fact for fact in (*c.scene.of_kind("anatomy"), *c.scene.of_kind("object"), *boxed_instruments(c)) if fact.box
    ]
    return any(
        touching(c.scene, fact.id, other.id) or compared(fact.box, other.box, field)
        for fact in facts
        for other in every
        if other.id != fact.id
    )


def called(c: Composer, fact: Fact) -> str:
    """How one outlined thing is called: `the cystic duct`; of two of a kind `the left grasper`; "" where it is not clear."""
    every = [*c.scene.of_kind("anatomy"), *c.scene.of_kind("object"), *boxed_instruments(c)]
    twins = [other for other in every if other.terms[0] == fact.terms[0] and other.id != fact.id]
    name = slots(c, fact.terms[0])["bare"]
    if not twins:
        return f"the {name}"
    words = compared(fact.box, twins[0].box, field_of(c.scene)) if len(twins) == 1 else ()
    return f"the {_CALLED.get(words[0], words[0])} {name}" if words else ""


def relate(c: Composer, relation: tuple[str, Fact, Fact], slot: str, level: int = 2) -> int:
    """A measured relation as a sentence."""
    word, fact, other = relation
    words = slots(c, fact.terms[0]) | {"the": called(c, fact)}
    second = {"the": called(c, other)}
    if word == "touches":
        value = c.scene.measure("gap", fact.id, other.id)
        both = "+".join(sorted((fact.id, other.id)))
        evidence = [f"pixel:gap/{both}={value}", f"fact:{fact.id}", f"fact:{other.id}"]
        text = fill(c.pick(slot, TOUCHES), **words, the_b=second["the"])
    else:
        evidence = [f"fact:{fact.id}", f"fact:{other.id}", f"box:{c.box(fact.box)}", f"box:{c.box(other.box)}"]
        text = fill(c.pick(slot, _COMPARED[word]), **words, the_b=second["the"])
    return c.add(level, text, "measured", evidence)
