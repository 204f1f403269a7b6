"""Checks of what a chain claims of its frame against what the sources say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from cotgen.chains.checks.base import BAG, OFTEN_UNLABELLED, Case, found
from cotgen.chains.claims import Act, Count, Ref
from cotgen.chains.closed import CRITERIA, Closed
from cotgen.chains.lexicon import called
from cotgen.chains.places import compared, touching
from cotgen.chains.reading import Reading
from cotgen.records import Fact, Finding
from cotgen.tasks import TASKS
from cotgen.tasks.cvs import achieved

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven")
KINDS = re.compile(rf"\b({'|'.join(_NUMBERS)}|a single|single)(?: \w+)? kinds?\b", re.IGNORECASE)
_AN_INSTRUMENT = re.compile(r"\b(?:an|the|\w+s|another) instruments?\b|^instruments\b", re.IGNORECASE)
_ASKED = re.compile(
    r"\b(?:(?:the|this) act (?:asked about )?is (?:thus )?(?P<no>not )?(?:the one that is )?|"
    r"(?P<other>another act) is (?:thus )?)going on|\bthat is (?P<unlike>not )?the act asked about\b",
    re.I,
)
#: Tasks whose answer lists what is there, and the words that there is nothing to list.
_LISTS = frozenset({"localization", "anatomy", "tool_presence"})
_NONE_LEFT = re.compile(
    r"\b(?:nothing|(?:no|none) (?:such )?(?:of the )?(?:kinds?|structures?|instruments?|things?)) "
    r"(?:(?:is|are) )?(?:thus |therefore )?(?:to (?:be )?(?:mark|name)(?:e?d)?|named|marked)\b",
    re.IGNORECASE,
)
_ON_WHICH = re.compile(r"\bon which (?:they|it|these) (?:\w+ )?works?\b", re.IGNORECASE)

#: "The target of the grasper is the gallbladder": one instrument with what it acts on, without a word for the act.
_ACTS_ON = re.compile(r"\b(?:what (?:\w[\w-]* ){1,5}acts? on|targets? of|(?:its|their) targets?)\b", re.IGNORECASE)


def _open(case: Case) -> Iterator[Reading]:
    """The claims that are taken apart: those of closed wording are decided as a whole."""
    yield from (reading for reading in case.claims if reading.closed is None)


def instruments(case: Case) -> Iterator[Finding]:
    """Each instrument that is asserted is labelled in the frame; each that is denied is labelled as not there."""
    scene, view = case.scene, case.view
    source = scene.says("instrument")
    labelled = source or scene.says("triplet") or scene.says("boxed_triplet")
    for reading in _open(case):
        asserted, denied = reading.named("instrument"), reading.named("instrument", negated=True)
        every = "instrument" in reading.named("any_instrument", negated=True)
        if (asserted or denied or every) and not labelled:
            yield found("entity", reading, "instruments are not labelled in this frame, so text leaves them out")
            continue
        if asserted and {"instrument", "triplet"} & scene.disputed and not view.instruments:
            yield found("entity", reading, "the sources of this frame name different instruments")
            continue
        there = _earlier(case) if reading.past else view.instruments | _bags(case)
        for name in asserted:
            if name not in there:
                yield found("entity", reading, f"'{called(name)}' is not in the facts of this frame")
        for name in denied:
            if name in view.instruments | _bags(case):
                yield found("negation", reading, f"'{called(name)}' is denied, but it is labelled in this frame")
            elif name in OFTEN_UNLABELLED and not view.deniable(name):
                yield found("negation", reading, f"'{called(name)}' is often there unlabelled; do not deny it")
            elif not scene.knows_all_instruments and not view.deniable(name):
                yield found("negation", reading, f"no source says that '{called(name)}' is not there")
        if every:
            at_work = "at work" in reading.text or "such instrument" in reading.text
            if (view.working if at_work else view.instruments) and not _nothing_else(reading):
                yield found("negation", reading, "instruments are denied, but some are labelled in this frame")
        some = reading.named("any_instrument") and _AN_INSTRUMENT.search(reading.text)
        if some and labelled and not view.instruments and not every and reading.claims.sights:
            yield found("entity", reading, "an instrument is told of, but none is labelled in this frame")
        elif reading.named("any_instrument") and reading.claims.sights and not labelled:
            yield found("entity", reading, "instruments are not labelled in this frame, so text leaves them out")


def _bags(case: Case) -> frozenset[str]:
    """The bag, where it is in view or acted on."""
    there = BAG in case.scene.terms("instrument") or "anatomy.specimen_bag" in case.view.structures
    return frozenset({BAG} if there else ())


def _earlier(case: Case) -> frozenset[str]:
    facts = [fact for context in case.scene.context for fact in context.facts]
    bag = {BAG} if any("anatomy.specimen_bag" in fact.terms for fact in facts) else set()
    return frozenset({fact.terms[0] for fact in facts} | bag)


def _nothing_else(reading: Reading) -> bool:
    """ "No second instrument", "no instrument to relate it to": not that there is none."""
    return bool(re.search(r"\bno (?:second|other|such)\b", reading.text, re.IGNORECASE))


def sight(case: Case) -> Iterator[Finding]:
    """What only a triplet names is at work and not in view; what is idle is in view and not at work."""
    view = case.view
    for reading in _open(case):
        if reading.past:
            continue
        for ref, seen in reading.claims.sights:
            for name in ref.terms:
                if name not in view.instruments:
                    continue
                if seen and name not in view.sighted:
                    yield found(
                        "sight", reading, f"'{called(name)}' is told as seen, but only an act names it: 'at work'"
                    )
                elif (
                    not seen
                    and view.triplets
                    and name not in view.working
                    and name in {f.terms[0] for f in view.triplets}
                ):
                    yield found("sight", reading, f"'{called(name)}' is told as at work, but it is labelled as idle")


def things(case: Case) -> Iterator[Finding]:
    """A structure, a part or a thing is claimed of the frame only where a source labels it."""
    view = case.view
    earlier = {t for context in case.scene.context for fact in context.facts for t in fact.terms}
    for reading in _open(case):
        there = view.structures | earlier if reading.past else view.structures
        for name in reading.named("anatomy"):
            if name not in there:
                yield found("entity", reading, f"'{called(name)}' is not labelled in this frame")
        for name in reading.named("anatomy", negated=True):
            if name in view.structures:
                if not _act_denied(reading):
                    yield found("negation", reading, f"'{called(name)}' is denied, but it is labelled in this frame")
            elif not view.deniable(name):
                yield found("negation", reading, f"no source says that '{called(name)}' is not there")
        for name in (*reading.named("object"), *reading.named("object", negated=True)):
            if name not in view.things:
                yield found(
                    "entity", reading, f"'{called(name)}' is named as seen or not seen, but nobody labelled it"
                )
        for kind in ("part", "locus"):
            for name in (*reading.named(kind), *reading.named(kind, negated=True)):
                yield found(
                    "entity", reading, f"'{called(name)}' is named as seen or not seen, but nobody labelled it"
                )
        if _ON_WHICH.search(reading.text):
            acted = {fact.terms[2] for fact in view.triplets}
            for name in reading.named("anatomy"):
                if name not in acted:
                    yield found("act", reading, f"'{called(name)}' is told as acted on, but no label holds that")
        if _ACTS_ON.search(reading.text):
            by = set(reading.named("instrument"))
            acted = {fact.terms[2] for fact in view.triplets if fact.terms[0] in by}
            for name in reading.named("anatomy"):
                if name not in acted:
                    yield found("act", reading, f"'{called(name)}' is told as what another instrument acts on")


def _act_denied(reading: Reading) -> bool:
    return any(act.negated for act in reading.claims.acts)


def acts(case: Case) -> Iterator[Finding]:
    """Whoever is told to do something to something is labelled to do that, as a whole and as the instance named."""
    view = case.view
    labelled = case.scene.says("triplet") or case.scene.says("boxed_triplet")
    one: list[str] = []
    for reading in _open(case):
        facts: Sequence[Fact] = view.triplets
        if reading.past:
            facts = [f for c in case.scene.context for f in c.facts if f.kind in ("triplet", "boxed_triplet")]
        for act in reading.claims.acts:
            verb = act.verb.partition(".")[2]
            if act.verb == "act.other" or not labelled:
                yield found("act", reading, f"an act ({act.word}) is told that no label of this frame holds")
                continue
            if act.negated:
                yield found("act", reading, f"that an act ({act.word}) is not going on is no label of this frame")
                continue
            if act.verb == "verb.null" and not act.subjects:
                if view.working:
                    yield found("act", reading, "acts are denied, but some are labelled in this frame")
                continue
            yield from _worded(reading, act)
            another = one if any(ref.which in ("another", "other") for ref in act.subjects) else []
            hits = view.acting(act, facts, another)
            if not hits:
                yield found("act", reading, f"no label of this frame holds this act ({verb}) by and on what is named")
            elif any(ref.which == "one" for ref in act.subjects):
                one.append(hits[0].id)


def asked_act(case: Case) -> Iterator[Finding]:
    """That the act asked about is going on, or is not, is what the labels say."""
    asked = tuple(case.question.subject)
    for reading in _open(case):
        if (match := _ASKED.search(reading.text)) and len(asked) == 3:
            going_on = asked in {tuple(fact.terms) for fact in case.view.triplets}
            if going_on == bool(match["no"] or match["other"] or match["unlike"]):
                yield found("act", reading, "whether the act asked about is going on is told the other way round")


def left_out(case: Case) -> Iterator[Finding]:
    """That there is nothing to mark or to name is concluded only where the labels say so."""
    task = case.question.task
    truth = TASKS[task].truth(case.scene, case.question) if task in _LISTS else None
    for reading in _open(case):
        if truth and reading.level == 3 and (match := _NONE_LEFT.search(reading.text)):
            yield found("negation", reading, f"'{match.group()}' is concluded, but the labels hold something")


def _worded(reading: Reading, act: Act) -> Iterator[Finding]:
    """Words that change an act: only scissors divide, and duct and artery are dissected at."""
    scissors = ("instrument.scissors", "instrument.monopolar_curved_scissors")
    if act.word.startswith("divid") and act.subjects and not set(act.subjects[0].terms) <= set(scissors):
        yield found("act", reading, "only scissors divide; another instrument cuts")
    if act.verb == "verb.dissect" and re.fullmatch(r"dissect(?:s|ing|ed)?", act.word):
        direct = re.search(
            r"\bdissect(?:s|ing|ed)? (?:the )?(?:cystic )?(?:duct|artery)\b|"
            r"\b(?:duct|artery) (?:is|are) (?:being )?dissected\b(?! at)",
            reading.text,
            re.IGNORECASE,
        )
        if direct:
            yield found("act", reading, "a duct or an artery is dissected at or around, since it is not opened")


def terms_of_the_operation(case: Case) -> Iterator[Finding]:
    """A phase, a step or an action that is said of this frame is labelled in it."""
    for kind in ("phase", "step", "action"):
        labelled = case.scene.terms(kind) if kind not in case.scene.disputed else ()
        for reading in _open(case):
            for name in reading.named(kind):
                if name not in labelled:
                    yield found(kind, reading, f"'{called(name)}' is not the {kind} of this frame")
            for name in reading.named(kind, negated=True):
                if name in labelled:
                    yield found(kind, reading, f"'{called(name)}' is denied, but it is the {kind} of this frame")


def closed_sentences(case: Case) -> Iterator[Finding]:
    """A sentence of closed wording says what is labelled: an act, a criterion by its votes, where the camera is."""
    for reading in case.claims:
        if reading.closed is not None and reading.closed.kind != "visual":
            yield from _CLOSED[reading.closed.kind](case, reading, reading.closed)


def _stated(case: Case, reading: Reading, told: Closed) -> Iterator[Finding]:
    kind = told.terms[0].partition(".")[0]
    if not set(told.terms) & set(case.scene.terms(kind)):
        yield found(kind, reading, f"this is not what the {kind} of this frame is")


def _criterion(case: Case, reading: Reading, told: Closed) -> Iterator[Finding]:
    facts = {fact.terms[0]: fact for fact in case.scene.of_kind("cvs")}
    names = told.terms or tuple(id for id in case.question.subject if id in CRITERIA)
    if not names or names[0] not in facts:
        yield found("cvs", reading, "a criterion of safety is judged, but nobody judged it in this frame")
        return
    votes = round(3 * facts[names[0]].value)
    if told.terms and told.value != votes:
        yield found("cvs", reading, f"these are the words for {told.value} of three votes, and there are {votes}")
    if not told.terms and bool(told.value) != (votes >= 2):
        yield found("cvs", reading, "the criterion is told the other way round")


def _met(case: Case) -> int:
    return sum(round(3 * fact.value) >= 2 for fact in case.scene.of_kind("cvs"))


def _criteria(case: Case, reading: Reading, told: Closed) -> Iterator[Finding]:
    number = told.value if told.kind == "criteria" else told.count
    if len(case.scene.of_kind("cvs")) != 3:
        yield found("cvs", reading, "criteria of safety are counted, but not all are judged in this frame")
    elif number >= 0 and number != _met(case):
        yield found("cvs", reading, f"{number} criteria are told as met, and it is {_met(case)}")
    elif number == 3 and not achieved(case.scene):
        yield found("cvs", reading, "each criterion has its majority, but nobody says that one holds all three")


def _overall(case: Case, reading: Reading, told: Closed) -> Iterator[Finding]:
    whole = achieved(case.scene)
    if whole is None:
        yield found("cvs", reading, "the critical view is judged as a whole, but the votes do not settle it")
    elif bool(told.value) != whole:
        yield found("cvs", reading, "the critical view is told the other way round")
    if told.count >= 0:
        yield from _criteria(case, reading, told)


def _camera(case: Case, reading: Reading, told: Closed) -> Iterator[Finding]:
    if not case.scene.says("view"):
        yield found("view", reading, "where the camera is was not labelled in this frame")
    elif bool(told.value) == ("view.out_of_body" in case.scene.terms("view")):
        yield found("view", reading, "the camera is told to be elsewhere than it is labelled")


def _passed(case: Case, reading: Reading, told: Closed) -> Iterator[Finding]:
    """The same instrument does the same to another structure than in the seconds before."""
    before = {tuple(fact.terms) for context in case.scene.context for fact in context.facts if fact.kind == "triplet"}
    now = {tuple(fact.terms) for fact in case.view.triplets}
    if not any(a[:2] == b[:2] and a[2] != b[2] for a in before for b in now):
        yield found("context", reading, "nothing shows that the work has passed from one structure to another")


def _no_contact(case: Case, reading: Reading, told: Closed) -> Iterator[Finding]:
    facts = _shown_facts(case)
    if any(touching(case.scene, a.id, b.id) for a in facts for b in facts if a.id != b.id):
        yield found("relation", reading, "contact is denied, but it was measured")


def _no_relation(case: Case, reading: Reading, told: Closed) -> Iterator[Finding]:
    """Neither contact nor a difference of places, among different things that level 1 shows."""
    facts = _shown_facts(case)
    pairs = [(a, b) for a in facts for b in facts if a.terms[0] != b.terms[0] and a.source == b.source]
    if any(touching(case.scene, a.id, b.id) or compared(a.box, b.box, case.view.field) for a, b in pairs):
        yield found("relation", reading, "a relation is denied, but one was measured")


def _shown_facts(case: Case) -> list[Fact]:
    """The facts of what level 1 shows."""
    boxes = [tuple(box) for _, box in case.boxed]
    shown = {t for reading in case.claims if reading.level == 1 for ref in reading.claims.refs for t in ref.terms}
    facts = {fact.id: fact for t in sorted(shown) for fact in case.view.facts_of(t)}
    return [fact for fact in facts.values() if not boxes or not fact.box or tuple(fact.box) in boxes]


def _no_field(case: Case, reading: Reading, told: Closed) -> Iterator[Finding]:
    if case.scene.has_field and "view.out_of_body" not in case.scene.terms("view"):
        yield found(
            "view", reading, "nothing is told to be read from the picture, but it is neither black nor from outside"
        )


_CLOSED = {
    "act": _stated, "criterion": _criterion, "criteria": _criteria, "overall": _overall, "camera": _camera,
    "passed": _passed, "no_contact": _no_contact, "no_relation": _no_relation,
    "no_field": _no_field,
}  # fmt: skip


def safety(case: Case) -> Iterator[Finding]:
    """The critical view and its criteria are told in closed words alone, never argued from what is outlined."""
    for reading in _open(case):
        if reading.named("cvs") or reading.named("cvs", negated=True):
            yield found("cvs", reading, "the critical view of safety is told in other words than the closed ones")


def kinds(case: Case) -> Iterator[Finding]:
    """A number of kinds equals the number of labelled kinds; the bag is no kind of instrument."""
    there = [name for name in case.scene.terms("instrument") if name != BAG]
    for reading in case.claims:
        match = KINDS.search(reading.text)
        if match is None:
            continue
        word = match[1].lower().removeprefix("a ").replace("single", "one")
        if _NUMBERS.index(word) != len(there):
            yield found("counting", reading, f"'{match.group()}' is not the number of kinds labelled in this frame")


def counts(case: Case) -> Iterator[Finding]:
    """A number of instruments, structures or acts is that of the labels, where they can give one."""
    for reading in _open(case):
        for told in reading.claims.counts:
            number = _number_of(case, told)
            if number is None:
                yield found("counting", reading, f"'{told.word}' counts what is not labelled one by one")
            elif number < told.number if told.at_least else number != told.number:
                yield found("counting", reading, f"'{told.word}' is not the number labelled in this frame ({number})")


def _number_of(case: Case, told: Count) -> int | None:
    view = case.view
    if told.what == "act":
        named = {tuple(f.terms) for f in view.triplets if f.terms[1] != "verb.null" or f.source == "endovis18"}
        return len(named) if case.scene.says("triplet") else None
    if told.what == "structure":
        return len(set(case.scene.terms("anatomy"))) if case.scene.says("anatomy") else None
    if told.what == "listed":
        return len(told.listed)
    if told.what == "instrument":
        return None if view.counted is None else len(view.counted)
    if view.counted is not None:
        return sum(fact.terms[0] == told.what for fact in view.counted)
    own = view.facts_of(told.what)
    if told.at_least and len(own) > 1 and told.what in view.working:
        return len(own)
    return len(view.boxed(told.what)) if own and all(fact.box for fact in own) else None


def field(case: Case) -> Iterator[Finding]:
    """Nothing is seen in a black picture."""
    if case.scene.has_field:
        return
    kinds_seen = ("instrument", "phase", "step", "action", "anatomy", "object", "act")
    for reading in case.claims:
        closed = reading.closed is not None and reading.closed.kind != "no_field"
        if (any(reading.named(kind) for kind in kinds_seen) and reading.closed is None) or closed:
            yield found("pixels", reading, "something is claimed to be seen, but the picture is black")


def boxes(case: Case) -> Iterator[Finding]:
    """`<bbox:n>` is a box of this pair, and of the thing that is named before it."""
    view = case.view
    for reading in case.readings:
        told = reading.claims.boxes
        if not told and "<bbox:" in reading.text:
            yield found("box", reading, "a box stands in a sentence that does not speak of the frame")
        for number, ref in told:
            if ref is None or not ref.terms:
                yield found("box", reading, f"box {number} follows no name, so nobody knows whose box it is")
            elif number >= len(view.boxes):
                yield found("box", reading, f"box {number} is no box of this pair")
            elif not any(tuple(fact.box) == tuple(view.boxes[number]) for t in ref.terms for fact in view.boxed(t)):
                yield found("box", reading, f"box {number} is not the box of '{called(ref.terms[0])}'")


def places(case: Case) -> Iterator[Finding]:
    """Where something is told to be is where the centre of its box is in the lit field."""
    view = case.view
    for reading in _open(case):
        for told in reading.claims.places:
            if not view.lies(told):
                what = " ".join(told.words) or "near the centre"
                yield found("position", reading, f"'{what}' is not where a box of this frame is")
        for ref in reading.claims.refs:
            if ref.side and len(view.meant(ref)) != 1:
                yield found("position", reading, f"'{ref.side}' does not tell one '{_name(ref.terms)}' from another")
        if reading.claims.area is not None:
            ref, than, (part, whole) = reading.claims.area
            areas = [case.scene.measure("area", fact.id) for t in ref.terms for fact in view.facts_of(t)]
            known = [area for area in areas if area is not None]
            if not any(area * whole > part if than == "more" else area * whole < part for area in known):
                yield found("position", reading, "how much of the picture it takes up was not measured so")


def _name(terms: Sequence[str]) -> str:
    return called(terms[0]) if terms else "one"


def relations(case: Case) -> Iterator[Finding]:
    """How two things lie or touch was measured so."""
    view = case.view
    shown = {box for _, box in case.boxed}
    for reading in _open(case):
        for told in reading.claims.relations:
            if not view.holds(told, shown):
                yield found("relation", reading, f"'{told.what}' was not measured of what is named")
        axis, more = reading.claims.apart
        if axis and not _lie_apart(case, axis, more):
            yield found("relation", reading, "the centres were not measured to lie so")
        if reading.claims.rank is not None and not _ranks(case, *reading.claims.rank):
            yield found("relation", reading, "the one of the two was not measured to lie so to the other")


def _lie_apart(case: Case, axis: str, more: bool) -> bool:
    """Whether the centres of the two things asked about differ so."""
    facts = [fact for id in case.question.subject[:2] for fact in case.view.boxed(id)]
    left, top, right, bottom = case.view.field
    if len(facts) != 2 or right <= left or bottom <= top:
        return False
    across, down = (abs(sum(facts[0].box[n::2]) - sum(facts[1].box[n::2])) for n in (0, 1))
    # Shares of the field, twice, so that halves stay integers.
    wide, high = 100 * across * (bottom - top), 100 * down * (right - left)
    whole = 2 * (right - left) * (bottom - top)
    own, other = (wide, high) if axis == "across" else (high, wide)
    return own > other if more else own >= 15 * whole


def _ranks(case: Case, ref: Ref, word: str) -> bool:
    """Whether one of the two things asked about lies so to the other one."""
    asked = case.question.subject[:2]
    if len(asked) != 2 or len(ref.terms) != 1 or ref.terms[0] not in asked:
        return False
    own, other = (case.view.boxed(id) for id in (ref.terms[0], asked[asked.index(ref.terms[0]) - 1]))
    return bool(own and other) and all(word in compared(a.box, b.box, case.view.field) for a in own for b in other)


def context(case: Case) -> Iterator[Finding]:
    """The seconds before are told only where they are given."""
    for reading in case.claims:
        if reading.past and not case.scene.context:
            yield found("context", reading, "the seconds before are told, but nothing of them is given")
        elif reading.past and not reading.claims.acts:
            yield found("context", reading, "the seconds before are told without an act that is labelled there")
