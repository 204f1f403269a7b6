"""Plans where acts are labelled: which triplets, what one instrument is doing, and the phase told by an act."""

from __future__ import annotations

from collections.abc import Sequence

from cotgen.chains.grammar import ASSERTED, NUMBER_WORDS, STRONG, WEAK, Composer, capital, fill
from cotgen.chains.plans import context
from cotgen.chains.plans.words import acts, instruments, noun, see, slots, subjects_of
from cotgen.ontology.knowledge import entries
from cotgen.records import Fact, Support
from cotgen.surgeries.priors import PHASE_BY_SET, PHASE_BY_TRIPLET, given_triplet, prior_name
from cotgen.tasks.phase import CONTEXT_ID
from cotgen.tasks.triplet import ACTING, acting

ACTS_TO_NAME = (
    "{Number} {acts} {is} thus to be named.",
    "So there {is} {number} {acts} to name.",
    "That makes {number} {acts}.",
)
NO_ACT = ("No act is labelled.",)
NOTHING_DONE = ("So there is no act to name.", "No act is thus to be named.")
NO_WORK = ("No instrument is at work.",)
#: What an instrument is made for; the knowledge of its use is no ground for another act of it.
USUAL = {
    "instrument.grasper": {"verb.grasp", "verb.retract"},
    "instrument.hook": {"verb.dissect", "verb.coagulate"},
    "instrument.bipolar": {"verb.coagulate"},
    "instrument.scissors": {"verb.cut"},
    "instrument.clipper": {"verb.clip"},
    "instrument.irrigator": {"verb.aspirate", "verb.irrigate"},
}
#: The phase that a clip or a cut belongs to; its knowledge has the same name.
CLIPPING = "phase.clipping_and_cutting"
NO_STRUCTURE = ("There is thus no act on a structure.", "No structure is thus acted on.")
EVERY_STATE = ("So each instrument is told with its state.", "That is the state of each instrument.")
THIS_ACT = ("So {the} {is} {act}.", "{The} {is} thus {act}.")
#: EndoVis 2018 has other verbs, with one target.
THIS_STATE = ("So this is what {the} {is} doing.", "That is thus the act of {the}.")
IDLE = ("So {the} {has} no act at this moment.", "{The} thus {has} no act to name.")
ACT_SEEN = ("So the act asked about is going on.", "This act is thus going on.")
ACT_NOT_SEEN = ("So the act asked about is not the one that is going on.", "Another act is thus going on.")
ACT_PRIOR = ("{Noun} {is} {word} found in {phase}.", "{Noun} {is} {word} met in {phase}.")
ACT_COMMON = (
    "{Noun} goes on through several phases and settles nothing by itself.",
    "{Noun} comes up in several phases and does not tell them apart.",
)


def _facts(c: Composer) -> tuple[Fact, ...]:
    return c.scene.of_kind("triplet")


def _label(c: Composer) -> str:
    return f"{c.scene.says('triplet')}.triplet"


def _know(c: Composer, facts: Sequence[Fact], slot: str) -> None:
    """A piece of knowledge about instruments that are put to their usual use, where there is one for this operation."""
    ids = {fact.terms[0] for fact in facts}
    ids -= {fact.terms[0] for fact in facts if fact.terms[1] not in USUAL.get(fact.terms[0], {fact.terms[1]})}
    names = [
        name
        for name, item in entries().items()
        if item.usable and item.procedure == c.scene.procedure and name.startswith(("act.", "function."))
        if item.about and set(item.about) <= ids
    ]
    if names:
        c.know(3, c.pick(slot, names))


def triplet_set(c: Composer) -> None:
    """All acts of the frame; none, where it is labelled so."""
    facts = _facts(c)
    every = f"all:{_label(c)}"
    if not facts:
        c.add(1, c.pick("none", NO_WORK), "label", [f"none:{_label(c)}"])
        c.add(2, c.pick("none:2", NO_STRUCTURE), "follows", ["statement:0"])
        c.add(3, c.pick("none:3", NOTHING_DONE), "follows", ["statement:0", f"none:{_label(c)}"])
        return
    see(c, instruments(c))
    told = acts(c, facts)
    idle_counts = facts[0].source == "endovis18"
    named = {tuple(fact.terms) for fact in facts if idle_counts or fact.terms[1] != "verb.null"}
    before = c.pick("know", ["before", "after", "none"])
    if before == "before":
        _know(c, facts, "known")
    grounds = [*(f"statement:{n}" for n in told), *(f"fact:{fact.id}" for fact in facts), every]
    if idle_counts:
        c.add(3, c.pick("close", EVERY_STATE), "follows", grounds)
    elif not named:
        c.add(3, c.pick("close", NOTHING_DONE), "follows", grounds)
    else:
        text = fill(c.pick("close", ACTS_TO_NAME), number=NUMBER_WORDS[min(len(named), 7)], **_acts(len(named)))
        c.add(3, text, "follows", grounds)
    if before == "after":
        _know(c, facts, "known")


def _acts(count: int) -> dict[str, str]:
    return {"acts": "act" if count == 1 else "acts", "is": "is" if count == 1 else "are"}


def doing(c: Composer) -> None:
    """What one instrument does, and to what."""
    subject = c.question.subject[0]
    own = [fact for fact in _facts(c) if fact.terms[0] == subject]
    others = [fact for fact in _facts(c) if fact.terms[0] != subject]
    seen = instruments(c, first=subject)
    alone = c.pick("level1", ["alone", "all"]) == "alone"
    see(c, [item for item in seen if item.id == subject or not alone])
    first = not alone and bool(others) and c.pick("level2", ["own", "both"]) == "both"
    told = acts(c, [*own, *others] if first else own)
    knows = c.pick("know", ["before", "after", "none"])
    if knows == "before":
        _know(c, own, "known")
    called = subjects_of(c, own[:1])[0]
    words = slots(c, subject) | {"the": called}
    idle = own[0].terms[1] == "verb.null"
    if idle:
        shapes: tuple[str, ...] = IDLE
    elif own[0].source != "endovis18" and own[0].terms[1] in ACTING:
        shapes, words = THIS_ACT, words | {"act": acting(own[0].terms)}
    else:
        shapes = THIS_STATE
    text = fill(c.pick("close", shapes), **words)
    c.add(3, text, "follows", [*(f"statement:{n}" for n in told), f"fact:{own[0].id}"])
    if knows == "after":
        _know(c, own, "known")


def yesno(c: Composer) -> None:
    """Whether a named triplet is going on: what the instrument does instead, or just that."""
    subject = c.question.subject[0]
    own = [fact for fact in _facts(c) if fact.terms[0] == subject]
    see(c, [item for item in instruments(c, first=subject) if item.id == subject])
    told = acts(c, own)
    yes = c.question.truth == ("yes",)
    grounds = [*(f"statement:{n}" for n in told), *(f"fact:{fact.id}" for fact in own)]
    if not yes:
        grounds.append(f"all:{_label(c)}" if len(own) == len(_facts(c)) else f"statement:{told[0]}")
    # An idle instrument does no other act.
    idle = all(fact.terms[1] == "verb.null" for fact in own)
    shapes = ACT_SEEN if yes else ACT_NOT_SEEN[:1] if idle else ACT_NOT_SEEN
    c.add(3, c.pick("close", shapes), "follows", list(dict.fromkeys(grounds)))


def phase(c: Composer) -> None:
    """The phase from what is done: the act that decides is named, a common one is said to settle nothing."""
    own = c.scene.of_kind("phase")[0]
    answer = own.terms[0]
    facts = [fact for fact in _facts(c) if fact.terms[1] != "verb.null"]
    shown = see(c, instruments(c))
    told = acts(c, _facts(c))
    earlier = context.before(c) if c.question.id == CONTEXT_ID else None
    support: Support = "asserted"
    best: Fact | None = None
    if c.priors is not None:
        ranked = []
        for fact in facts:
            given = given_triplet(fact.terms)
            strength = c.priors.support(PHASE_BY_TRIPLET, given, answer)
            frames, total, _ = c.priors.counts(PHASE_BY_TRIPLET, given, answer)
            ranked.append(
                (("asserted", "weak", "strong").index(strength), frames / max(total, 1), fact.id, fact, strength)
            )
        if ranked:
            top = max(ranked, key=lambda entry: entry[:3])
            support, best = top[4], top[3]
    reasons: list[int] = []
    by_set = _by_set(c, answer) if support == "asserted" else "asserted"
    if by_set != "asserted":
        support = by_set
        reasons.append(c.set_prior(answer))
    elif best is not None and c.priors is not None and support != "asserted":
        common = [
            fact for fact in facts
            if fact.id != best.id and _settles_nothing(c, fact)
        ]  # fmt: skip
        if common and c.pick("common", ["yes", "no"]) == "yes":
            _common(c, common[0])
        given = given_triplet(best.terms)
        word = c.priors.word(PHASE_BY_TRIPLET, given, [answer])
        text = fill(
            c.pick("prior", ACT_PRIOR),
            noun=noun(best.terms),
            is_="is",
            word=word,
            phase=c.phase_name(answer),
            **{"is": "is"},
        )
        reasons.append(c.add(3, text, "prior", [f"prior:{prior_name(PHASE_BY_TRIPLET, given, answer)}"]))
    elif facts and c.priors is not None and _settles_nothing(c, facts[0]):
        _common(c, facts[0])
    if (
        support == "asserted"
        and answer == CLIPPING
        and any(fact.terms[1] in ("verb.clip", "verb.cut") for fact in facts)
    ):
        c.know(3, CLIPPING)
    if earlier is not None and earlier[1]:
        context.passed(c, earlier[0])
    shapes = {"strong": STRONG, "weak": WEAK}.get(support, ASSERTED)
    text = fill(c.pick("conclude", shapes), phase=c.phase_name(answer, "conclude"))
    if support == "asserted":
        c.add(3, text, "label", [f"fact:{own.id}"])
    else:
        grounds = [f"statement:{n}" for n in (*shown, *told, *reasons)]
        c.add(3, text, "follows", [*grounds, f"fact:{own.id}"])


def _by_set(c: Composer, answer: str) -> Support:
    """How far the kinds in view carry the phase, where a source of presence lists all that level 1 shows as seen."""
    seen = {item.id for item in instruments(c) if item.how != "work"}
    if c.priors is None or not c.scene.knows_all_instruments or seen != set(c.facts) or not seen:
        return "asserted"
    return c.priors.support(PHASE_BY_SET, c.set_given, answer)


def _settles_nothing(c: Composer, fact: Fact) -> bool:
    assert c.priors is not None
    shares = c.shares(PHASE_BY_TRIPLET, given_triplet(fact.terms))
    return len(shares) >= 3 and 4 * shares[0][0] < 3 * sum(n for n, _ in shares)


def _common(c: Composer, fact: Fact) -> None:
    given = given_triplet(fact.terms)
    evidence = [f"prior:{prior_name(PHASE_BY_TRIPLET, given, p)}" for n, p in c.shares(PHASE_BY_TRIPLET, given) if n]
    c.add(3, capital(fill(c.pick("common:text", ACT_COMMON), noun=noun(fact.terms))), "prior", evidence)
