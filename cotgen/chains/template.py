"""The template writer: one plan per task, drawn move by move.

Level 1 asserts what is labelled; level 2 says what such instruments serve for, or that there is nothing to relate;
level 3 argues with the strength that `support` allows and names what was asked for. Every sentence carries its evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from cotgen.chains.checks.base import BAG
from cotgen.chains.grammar import (
    ALSO,
    ASSERTED,
    BAG_APART,
    BLACK,
    COUNTED,
    EXCEPTION,
    IS_NOT_THERE,
    IS_THERE,
    LIT,
    NAMED,
    NONE,
    NONE_COUNTED,
    NONE_NAMED,
    NOT,
    NOT_IMPLIED,
    NOTHING_TO_RELATE,
    NUMBER_WORDS,
    STRONG,
    WEAK,
    Composer,
    fill,
    listed,
)
from cotgen.chains.plans import action, boxes, bypass, cvs, triplet
from cotgen.ontology import term
from cotgen.ontology.knowledge import Knowledge, entries
from cotgen.records import Fact, Scene, Statement, Support
from cotgen.surgeries.priors import PHASE_BY_SET, Priors
from cotgen.tasks.base import Question

WRITER = "template/1"


def write(scene: Scene, question: Question, priors: Priors | None, seed: int) -> list[Statement]:
    """The statements of `compose`."""
    return compose(scene, question, priors, seed).statements


def compose(scene: Scene, question: Question, priors: Priors | None, seed: int) -> Composer:
    """The chain for one question, from the facts alone. Deterministic in (seed, key, pair id) and its inputs.

    Returns:
        The chain with its boxes; without statements where the labels give level 1 nothing to point at.
    """
    composer = Composer(scene, question, priors, seed, boxes=[list(box) for box in question.boxes])
    plan = _plan_of(scene, question)
    if plan is not None:
        plan(composer)
    levels = {statement.level for statement in composer.statements}
    return composer if levels == {1, 2, 3} else Composer(scene, question, priors, seed)


def _plan_of(scene: Scene, question: Question) -> Callable[[Composer], None] | None:
    """Whose plan writes the chain: by the task, and for phases by what is labelled beside them."""
    if question.task != "phase":
        return _PLANS.get(question.task)
    if scene.disputed:
        # Nothing may be told of the instruments there, and so nothing that the phase could rest on.
        return None
    if scene.of_kind("triplet"):
        return triplet.phase
    if scene.knows_all_instruments:
        return _phase
    return bypass.phase if scene.says("step") else None


def _instruments(c: Composer) -> list[Fact]:
    """The labelled instruments in drawn order."""
    return c.order("order", sorted(c.facts.values(), key=lambda fact: term(fact.terms[0]).order))


def _show_all(c: Composer, extra: Sequence[str] = ()) -> tuple[list[int], bool]:
    """Level 1: all labelled instruments, or that there is none. Returns the sentences, and whether it took one."""
    facts = _instruments(c)
    if not facts:
        return [c.add(1, c.pick("none", NONE), "label", [f"none:{c.source}"])], True
    numbers = c.show("show", facts, extra)
    return numbers, len(numbers) == 1


def _relate(c: Composer, shown: Sequence[int], ids: Sequence[str]) -> list[str]:
    """Level 2: what such instruments serve for. Returns the ids of the knowledge told, so that level 3 tells other.

    What is told depends on the instruments alone: a choice by the phase would carry the phase without citing it.
    """
    if not ids:
        c.add(2, c.pick("nothing", NOTHING_TO_RELATE), "follows", [f"statement:{shown[0]}"])
        return []
    single = [f"function.{_short(id)}" for id in ids]
    moves = [[name] for name in _about("pair.", ids)] if len(ids) > 1 else [[name] for name in single]
    moves += [[a, b] for a in single for b in single if a != b]
    drawn = c.pick("relate", [" ".join(move) for move in moves]).split()
    for name in drawn:
        c.know(2, name)
    return drawn


def _short(id: str) -> str:
    return id.partition(".")[2]


def _about(prefix: str, ids: Sequence[str]) -> list[str]:
    """Knowledge of one family that is about nothing but `ids`."""
    return [name for name, item in _family(prefix) if set(item.about) <= set(ids)]


@cache
def _family(prefix: str) -> tuple[tuple[str, Knowledge], ...]:
    return tuple((name, item) for name, item in entries().items() if name.startswith(prefix) and item.usable)


def _phase(c: Composer) -> None:
    shown, _ = _show_all(c)
    ids = [fact.terms[0] for fact in _instruments(c)]
    _relate(c, shown, ids)
    phase = c.question.truth[0]
    support: Support = c.priors.support(PHASE_BY_SET, c.set_given, phase) if c.priors else "asserted"
    known = bool(c.shares(PHASE_BY_SET, c.set_given))
    common = next((id for id in (ids or [""]) if c.tells_nothing(id)), None)
    moves = []
    if support == "asserted":
        moves = ["state"] + (["common state"] if common is not None else [])
        if (
            known
            and _usual(c) != phase
            and c.priors
            and c.priors.support(PHASE_BY_SET, c.set_given, _usual(c)) != "asserted"
        ):
            moves = ["usual except"]
    else:
        moves = ["set conclude", "content set conclude", "set content conclude"]
        if common is not None:
            moves += ["common set conclude", "set common conclude"]
        if c.decider(phase):
            moves += ["decider conclude", "content decider conclude"]
    reasons: list[int] = []
    for move in c.pick("argue", moves).split():
        if move == "set" and known:
            reasons.append(c.set_prior(phase))
        elif move == "decider":
            reasons.append(c.one_prior(c.decider(phase), phase))
        elif move == "common" and common is not None:
            c.common(common)
        elif move == "content":
            c.know(3, f"phase.{_short(phase)}")
        elif move == "usual":
            c.set_prior(_usual(c))
        elif move == "except":
            fact = c.scene.of_kind("phase")[0]
            text = fill(c.pick("except", EXCEPTION), phase=c.phase_name(phase, "conclude"))
            c.add(3, text, "label", [f"fact:{fact.id}"])
        elif move in ("conclude", "state"):
            _conclude(c, phase, support, [*shown, *reasons])


def _usual(c: Composer) -> str:
    """The most frequent phase of exactly these instruments."""
    return c.shares(PHASE_BY_SET, c.set_given)[0][1]


def _conclude(c: Composer, phase: str, support: Support, grounds: Sequence[int]) -> None:
    fact = next(fact for fact in c.scene.of_kind("phase") if fact.terms[0] == phase)
    shapes = {"strong": STRONG, "entailed": STRONG, "weak": WEAK}.get(support, ASSERTED)
    text = fill(c.pick("conclude", shapes), phase=c.phase_name(phase, "conclude"))
    if support == "asserted":
        c.add(3, text, "label", [f"fact:{fact.id}"])
    else:
        c.add(3, text, "follows", [*(f"statement:{n}" for n in grounds), f"fact:{fact.id}"])


def _argue_use(c: Composer, ids: Sequence[str], told: Sequence[str], close: Callable[[], None]) -> None:
    """Level 3 of the questions about instruments: the conclusion from level 1, and what is usual, where it is so here."""
    # No statistic of phases is told here: choosing one that fits the frame would carry its phase without citing it, and
    # choosing without regard to it misleads.
    left = [f for id in ids for f in _about("look.", [id]) if f not in told]
    moves = ["close", *(f"know:{name} close" for name in left)]
    for move in c.pick("argue", moves).split():
        if move == "close":
            close()
        else:
            c.know(3, move.partition(":")[2])


def _named(c: Composer, ids: Sequence[str]) -> dict[str, str]:
    """Slots for a closing sentence that lists instruments in ontology order."""
    ordered = sorted(ids, key=lambda id: term(id).order)
    words = [c.words(id) for id in ordered]
    one = len(words) == 1
    many = not one or words[0]["is"] == "are"
    return {
        "list": words[0]["a"] if one else listed([w["bare"] for w in words]),
        "bare": listed([w["bare"] for w in words]),
        "are": "are" if many else "is",
        "kinds_are": "is" if one else "are",
        "make": "are" if not one else words[0]["is"],
        "kinds": "kind" if one else "kinds",
        "number": NUMBER_WORDS[len(words)],
    }


def _presence(c: Composer) -> None:
    every = f"all:{c.source}"
    shown, _ = _show_all(c, [every])
    facts = _instruments(c)
    ids = [fact.terms[0] for fact in facts]
    told = _relate(c, shown, ids)

    def close() -> None:
        grounds = [f"statement:{n}" for n in shown]
        if not facts:
            c.add(3, c.pick("close", NONE_NAMED), "follows", [*grounds, f"none:{c.source}"])
            return
        kinds = _named(c, ids)
        shape = c.pick("close", NAMED)
        evidence = [*grounds, *(f"fact:{fact.id}" for fact in facts), every]
        c.add(3, fill(shape, **kinds), "follows", evidence)

    _argue_use(c, ids, told, close)


def _count(c: Composer) -> None:
    shown, _ = _show_all(c)
    facts = _instruments(c)
    ids = [fact.terms[0] for fact in facts]
    told = _relate(c, shown, ids)
    counted = [id for id in ids if id != BAG]
    every = [f"all:{c.source}/{BAG}"] if facts else [f"none:{c.source}"]

    def close() -> None:
        evidence = [*(f"statement:{n}" for n in shown), *(f"fact:{fact.id}" for fact in facts), *every]
        bag_first = BAG in ids and c.pick("bag", ["before", "after"]) == "before"
        bag = [f"fact:{c.facts[BAG].id}"] if BAG in ids else []
        if bag_first:
            c.add(3, c.pick("apart", BAG_APART), "label", bag)
        if counted:
            c.add(3, fill(c.pick("close", COUNTED), **_named(c, counted)), "follows", evidence)
        else:
            c.add(3, c.pick("close", NONE_COUNTED), "follows", evidence)
        if bag and not bag_first:
            c.add(3, c.pick("apart", BAG_APART), "label", bag)

    _argue_use(c, ids, told, close)


def _yesno(c: Composer) -> None:
    subject = c.question.subject[0]
    others = [fact for fact in _instruments(c) if fact.terms[0] != subject]
    yes = c.question.truth == ("yes",)
    shown = _yesno_level_1(c, subject, others, yes=yes)
    # What level 1 does not show is not told of, or it would sound as if it were there.
    seen = {ref for n in shown for ref in c.statements[n].evidence}
    ids = [subject, *(fact.terms[0] for fact in others if f"fact:{fact.id}" in seen)]
    told = _relate(c, shown, ids)
    words = c.words(subject)

    def close() -> None:
        grounds = [f"statement:{n}" for n in shown]
        if yes:
            text, ref = fill(c.pick("close", IS_THERE), **words), f"fact:{c.facts[subject].id}"
        else:
            text, ref = fill(c.pick("close", IS_NOT_THERE), **words), f"none:{c.source}/{subject}"
        c.add(3, text, "follows", [*grounds, ref])

    def contrast() -> None:
        other = c.words(others[0].terms[0])
        slots = words | {"o": other["a"], "is_o": other["is"], "do": "do" if other["is"] == "are" else "does"}
        text = fill(c.pick("contrast", NOT_IMPLIED), **slots)
        evidence = [*(f"statement:{n}" for n in shown), f"fact:{others[0].id}", f"none:{c.source}/{subject}"]
        c.add(3, text, "follows", evidence)

    left = [name for name in _about("look.", [subject]) if name not in told]
    moves = ["close", *(f"know:{name} close" for name in left)]
    if not yes and any(f"fact:{fact.id}" in c.statements[n].evidence for n in shown for fact in others[:1]):
        moves = ["contrast close", *(f"know:{name} contrast close" for name in left)]
    for move in c.pick("argue", moves).split():
        if move == "close":
            close()
        elif move == "contrast":
            contrast()
        else:
            c.know(3, move.partition(":")[2])


def _yesno_level_1(c: Composer, subject: str, others: Sequence[Fact], *, yes: bool) -> list[int]:
    if yes:
        facts = [c.facts[subject], *others]
        plan = c.pick("level1", ["alone"] if not others else ["all", "subject_first", "subject_last", "alone"])
        if plan == "alone":
            return c.show("show", facts[:1])
        if plan == "all":
            return c.show("show", c.order("yes", facts))
        first, rest = (facts[:1], facts[1:]) if plan == "subject_first" else (facts[1:], facts[:1])
        numbers = c.show("show", first)
        for n, fact in enumerate(rest):
            text = fill(c.pick(f"also:{n}", ALSO), **c.words(fact.terms[0]))
            numbers.append(c.add(1, text, "label", [f"fact:{fact.id}"]))
        return numbers
    absent = [f"none:{c.source}/{subject}"]
    denial = fill(c.pick("not", NOT), **c.words(subject))
    if not others:
        plan = c.pick("level1", ["none_not", "not_none", "not"])
        numbers = []
        for part in plan.split("_"):
            if part == "none":
                numbers.append(c.add(1, c.pick("none", NONE), "label", [f"none:{c.source}"]))
            else:
                numbers.append(c.add(1, denial, "label", absent))
        return numbers
    plan = c.pick("level1", ["others_not", "not_others", "not"])
    numbers = []
    for part in plan.split("_"):
        if part == "others":
            numbers += c.show("show", others)
        else:
            numbers.append(c.add(1, denial, "label", absent))
    return numbers


def _field(c: Composer) -> None:
    value = c.scene.measure("brightness")
    pixel = f"pixel:brightness={value}"
    yes = c.question.truth == ("yes",)
    shapes = LIT if yes else BLACK
    if yes:
        fact = _instruments(c)[0]
        first = fill(c.pick("level1", shapes[0]), **c.words(fact.terms[0]))
        c.add(1, first, "measured", [pixel, f"fact:{fact.id}"])
    else:
        c.add(1, c.pick("level1", shapes[0]), "measured", [pixel, "pixel:black=1.0"])
    c.add(2, c.pick("level2", shapes[1]), "follows", ["statement:0"])
    c.add(3, c.pick("level3", shapes[2]), "follows", ["statement:0"])


def _triplet(c: Composer) -> None:
    """The plan of a question about acts, by its id."""
    what = c.question.id.split(".")[1]
    {"set": triplet.triplet_set, "yesno": triplet.yesno}.get(what, triplet.doing)(c)


def _cvs(c: Composer) -> None:
    (cvs.criterion if c.question.subject else cvs.cvs)(c)


def _localization(c: Composer) -> None:
    (boxes.one if c.question.subject else boxes.every)(c)


_PLANS: dict[str, Callable[[Composer], None]] = {
    "phase": _phase,
    "tool_presence": _presence,
    "tool_count": _count,
    "tool_yesno": _yesno,
    "field_visible": _field,
    "triplet": _triplet,
    "step": bypass.step,
    "camera": bypass.camera,
    "action": action.action,
    "cvs": _cvs,
    "anatomy": cvs.presence,
    "localization": _localization,
    "count": boxes.count,
    "position": boxes.position,
}
