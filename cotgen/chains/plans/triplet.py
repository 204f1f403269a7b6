"""Plans where acts are labelled: which triplets, what one instrument is doing, and the phase told by an act."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cotgen.chains.grammar import ASSERTED, NUMBER_WORDS, STRONG, WEAK, Composer, capital, fill, listed
from cotgen.chains.plans import context
from cotgen.chains.plans.words import acts, instruments, noun, see, slots, subjects_of
from cotgen.ontology import term
from cotgen.ontology.knowledge import entries
from cotgen.records import Fact, Support
from cotgen.surgeries.priors import PHASE_BY_SET, PHASE_BY_TRIPLET, given_triplet, prior_name
from cotgen.tasks.phase import CONTEXT_ID
from cotgen.tasks.triplet import acting, target

#: A structure that is acted on is seen: labelled as the target, and not hidden as the instrument may be.
WORKED_ON = (
    "{Targets}, on which {it} work{s}, {are} in view.",
    "{Targets}, on which {it} work{s}, can be seen.",
)
#: Targets that are no structure with a place: nothing to show before the act.
_NO_STRUCTURE = {"anatomy.null", "anatomy.fluid", "anatomy.abdominal_wall_cavity", "anatomy.specimen_bag"}
#: Where knowledge may stand: around the acts of level 2, before the conclusion, which is the last word.
_PLACES = ("2before", "2after", "3before")
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
    "instrument.grasper": {"verb.grasp", "verb.retract", "verb.pack"},
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
ONE_STATE = ("So the instrument is told with its state.", "That is the state of the instrument.")
#: What is asked of one instrument is told in other words than those of level 2: the kind of its act, what it acts on.
THIS_ACT = ("So {the} {is} {act}.", "{The} {is} thus {act}.")
THIS_DEED = ("So the action of {the} is {deed}.", "The action of {the} is thus {deed}.")
THIS_TARGET = ("So the target of {the} is {t}.", "The target of {the} is thus {t}.")
BOTH_PARTS = (
    "So the action of {the} is {deed}, and {its} target is {t}.",
    "The action of {the} is thus {deed}, and {its} target is {t}.",
)
DEEDS = {
    "verb.grasp": "grasping",
    "verb.retract": "retraction",
    "verb.dissect": "dissection",
    "verb.coagulate": "coagulation",
    "verb.clip": "clipping",
    "verb.cut": "cutting",
    "verb.aspirate": "aspiration",
    "verb.irrigate": "irrigation",
    "verb.pack": "packing",
}
#: The same for EndoVis 2018, where every act is one at the kidney and not upon it.
DEEDS_AT_KIDNEY = {
    "verb.grasp": "grasping",
    "verb.retract": "retraction",
    "verb.manipulate_tissue": "handling tissue",
    "verb.manipulate_tool": "handling another instrument",
    "verb.cut": "cutting",
    "verb.cauterise": "cauterising",
    "verb.suction": "suction",
    "verb.loop": "looping",
    "verb.suture": "suturing",
    "verb.clip": "clipping",
    "verb.staple": "stapling",
    "verb.sense": "scanning with ultrasound",
}
#: What an idle instrument does, by whether level 2 has called it idle.
IDLE = ("So {the} {is} not acting on any structure.", "{The} {is} thus not acting on any structure.")
NOT_ACTING = ("So {the} {is} idle.", "{The} {is} thus idle.")
ACT_SEEN = ("That is the act asked about.", "So the act asked about is going on.")
ACT_NOT_SEEN = ("That is not the act asked about.", "So the act asked about is not going on.")
ACT_PRIOR = ("{Noun} {is} {word} found in {phase}.", "{Noun} {is} {word} met in {phase}.")
ACT_COMMON = (
    "{Noun} goes on through several phases and settles nothing by itself.",
    "{Noun} comes up in several phases and does not tell them apart.",
)


def _facts(c: Composer) -> tuple[Fact, ...]:
    return c.scene.of_kind("triplet")


def _label(c: Composer) -> str:
    return f"{c.scene.says('triplet')}.triplet"


def _known(c: Composer, facts: Sequence[Fact], *families: str) -> list[str]:
    """Knowledge of these families about instruments of `facts`, where there is some for this operation.

    What an instrument or an act serves for is told of those that are put to their usual use.
    """
    ids = {fact.terms[0] for fact in facts}
    usual = ids - {fact.terms[0] for fact in facts if fact.terms[1] not in USUAL.get(fact.terms[0], {fact.terms[1]})}
    verbs = {fact.terms[1] for fact in facts}
    return [
        name
        for name, item in entries().items()
        if item.usable and item.procedure == c.scene.procedure and name.startswith(families)
        if item.about and set(item.about) <= ((ids if name.startswith("look.") else usual) | verbs)
    ]


def _worked_on(c: Composer, facts: Sequence[Fact]) -> bool:
    """Level 1: the structures that all these instruments work on; False where one of them works on none."""
    targets = list(dict.fromkeys(target(fact.terms[2], fact.terms[1]) for fact in facts))
    if len(targets) > 2 or any(fact.terms[2] in _NO_STRUCTURE or fact.source == "endovis18" for fact in facts):
        return False
    one = len(facts) == 1 and term(facts[0].terms[0]).number != "plural"
    named = targets[0] if len(targets) == 1 else listed([words.removeprefix("the ") for words in targets])
    shown = {"targets": named, "are": "is" if len(targets) == 1 else "are", "it": "it" if one else "they"}
    text = fill(c.pick("targets:text", WORKED_ON), **shown, s="s" if one else "")
    c.add(1, text, "label", [f"fact:{fact.id}" for fact in facts])
    return True


def _knowledge(c: Composer, facts: Sequence[Fact]) -> Callable[[str], None]:
    """Draws what is known of instruments and acts, and where it stands; what is returned tells it at a place.

    The places are `2before`, `2after` and `3before`: before or after the acts, and before the conclusion. Two pieces stand
    in one chain only where one says what an instrument is for and the other how it is recognised.
    """
    uses, looks = _known(c, facts, "act.", "function."), _known(c, facts, "look.")
    moves = ["", *(f"{place}={known}" for known in (*uses, *looks) for place in _PLACES)]
    moves += [
        f"{a}={one} 3before={other}"
        for a in _PLACES[:2]
        for use in uses
        for look in looks
        for one, other in ((use, look), (look, use))
    ]
    drawn = dict(move.split("=") for move in c.pick("know", moves).split())

    def tell(place: str) -> None:
        if place in drawn:
            c.know(int(place[0]), drawn[place])

    return tell


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
    if c.pick("targets", ["shown", "silent"]) == "shown":
        _worked_on(c, facts)
    know = _knowledge(c, facts)
    know("2before")
    told = acts(c, facts)
    know("2after")
    know("3before")
    idle_counts = facts[0].source == "endovis18"
    named = {tuple(fact.terms) for fact in facts if idle_counts or fact.terms[1] != "verb.null"}
    grounds = [*(f"statement:{n}" for n in told), *(f"fact:{fact.id}" for fact in facts), every]
    if idle_counts:
        c.add(3, c.pick("close", EVERY_STATE if len(facts) > 1 else ONE_STATE), "follows", grounds)
    elif not named:
        c.add(3, c.pick("close", NOTHING_DONE), "follows", grounds)
    else:
        text = fill(c.pick("close", ACTS_TO_NAME), number=NUMBER_WORDS[min(len(named), 7)], **_acts(len(named)))
        c.add(3, text, "follows", grounds)


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
    know = _knowledge(c, own)
    know("2before")
    told = acts(c, [*own, *others] if first else own)
    know("2after")
    know("3before")
    text = conclusion(c, own[0], " ".join(c.statements[n].text for n in told), c.question.id.split(".")[1])
    c.add(3, text, "follows", [*(f"statement:{n}" for n in told), f"fact:{own[0].id}"])


def conclusion(c: Composer, fact: Fact, said: str, asked: str) -> str:
    """What one instrument is doing, as it is asked for.

    Args:
        c: the chain.
        fact: what the instrument does.
        said: the text of level 2, whose words are not said again.
        asked: `verb`, `target`, or anything else for both.
    """
    _, verb, what = fact.terms
    words = slots(c, fact.terms[0]) | {"the": subjects_of(c, [fact])[0]}
    words["its"] = "their" if words["is"] == "are" else "its"
    if verb == "verb.null":
        return fill(c.pick("close", IDLE if "idle" in said else NOT_ACTING), **words)
    if fact.source == "endovis18":
        return fill(c.pick("close", THIS_DEED), **words, deed=DEEDS_AT_KIDNEY[verb])
    whole = BOTH_PARTS if term(verb).names[0] in said else (*THIS_ACT, *BOTH_PARTS)
    shapes = {"verb": THIS_DEED, "target": THIS_TARGET}.get(asked, whole)
    return fill(c.pick("close", shapes), **words, act=acting(fact.terms), deed=DEEDS[verb], t=target(what, verb))


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
    c.add(3, asked_about(c, own, yes=yes), "follows", list(dict.fromkeys(grounds)))


def asked_about(c: Composer, told: Sequence[Fact], *, yes: bool) -> str:
    """Whether the act asked about is going on, after the acts that were told."""
    # "That" is one act: not two that were told, and none of an idle instrument.
    one = len(told) == 1 and told[0].terms[1] != "verb.null"
    return c.pick("close", (ACT_SEEN if yes else ACT_NOT_SEEN)[0 if one else 1 :])


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
        reasons.append(c.set_prior(answer, others_at_work=any(item.how == "work" for item in instruments(c))))
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
