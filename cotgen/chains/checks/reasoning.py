"""Checks of how a chain argues: form, order of levels, strength of conclusions, and the answer itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cotgen.chains.checks.base import BAG, REASONED, Case, found
from cotgen.chains.checks.wording import QUANTITY
from cotgen.chains.closed import closed
from cotgen.chains.lexicon import HEADS, called
from cotgen.chains.reading import FREQUENCY, Reading
from cotgen.ontology import term
from cotgen.ontology.knowledge import entries
from cotgen.records import Finding
from cotgen.surgeries.priors import (
    PHASE_BY_ONE,
    PHASE_BY_SET,
    PHASE_BY_STEP,
    PHASE_BY_TRIPLET,
    given_set,
    given_triplet,
)
from cotgen.tasks import TASKS

#: Words that only an entailed or strong conclusion may use.
STRONG = re.compile(
    r"\b(?:so|therefore|thus|hence|consequently|accordingly|means?|must|proves?|certainly|definitely|clearly|surely|"
    r"decides?|implies|no doubt|undoubtedly|because|confirms?|establish(?:es)?|"
    r"has to be|nothing but|shows? that|makes it|which makes|and this is it|"
    r"^(?:since|as|given|with)\b.*, (?:this|it) is)\b",
    re.IGNORECASE,
)
#: Words of a conclusion that needs at least weak support.
WEAK = re.compile(
    r"\b(?:fits?\b.{0,60}\bbest|best fit|(?:most )?likely|probabl[ey]|suggests?|points? to|presumably|"
    r"indicates?|consistent with)\b",
    re.IGNORECASE,
)
FREQUENCY_WORDS = ("almost always", "typically", "often", "sometimes", "rarely")
FREQUENCY_WORD = re.compile(rf"\b({'|'.join(FREQUENCY_WORDS)})\b", re.IGNORECASE)
_RARELY_ELSE = re.compile(r"\brarely\b.{0,40}\b(?:other|else|except|outside)\b", re.IGNORECASE)
_BEFORE_PHASE = re.compile(r"\b(?:in|of|during|throughout|all|for)\b[\w ']*$", re.IGNORECASE)


def form(case: Case) -> Iterator[Finding]:
    """Three levels in order, none empty, one answer."""
    for problem in case.chain.problems:
        yield found("form", None, problem)


def answer(case: Case) -> Iterator[Finding]:
    """The answer is what the labels say; a part of a set is not the set."""
    task = TASKS[case.question.task]
    truth = task.truth(case.scene, case.question)
    if truth is None:
        yield found("answer", None, "the labels of this frame do not answer the question")
    elif task.parse(case.chain.answer, case.question) != truth:
        yield found("answer", None, f"the answer '{case.chain.answer[:80]}' is not what the labels say")


def empty(case: Case) -> Iterator[Finding]:
    """No sentence stands twice, and each level says something."""
    texts = [reading.text for reading in case.readings]
    for reading in case.readings:
        if reading.text in texts[: reading.number]:
            yield found("empty", reading, "the same sentence stands earlier in the chain")
    for level in (1, 2, 3):
        own = [reading for reading in case.readings if reading.level == level]
        if own and not any(says_something(reading) for reading in own):
            yield found("empty", own[0], f"level {level} says nothing")


def says_something(reading: Reading) -> bool:
    """Whether a sentence is more than a few words that name nothing."""
    return bool(reading.known or reading.closed or reading.mentions or len(reading.text.split()) > 3)


def carries(case: Case) -> Iterator[Finding]:
    """The chain carries its answer: no sentence twice, level 1 shows what the answer rests on, level 3 concludes."""
    yield from empty(case)
    task = case.question.task
    if task in REASONED:
        truth = TASKS[task].truth(case.scene, case.question) or ()
        said = {t for r in case.readings if r.level == 3 and not r.known for t in (*r.named(task), *_closed_terms(r))}
        claimed = any(r.level == 3 for r in case.claims)
        if not (set(truth) <= said and claimed):
            yield found("empty", None, f"level 3 does not name the {task} of this frame")
    elif case.support == "asserted" and task != "field_visible":
        yield found("support", None, "levels 1 and 2 do not show what the answer rests on")


def _closed_terms(reading: Reading) -> tuple[str, ...]:
    return reading.closed.terms if reading.closed is not None else ()


_KIND_WORD = re.compile(r"\bkinds?\b")
_COMPARES = frozenset({"left", "right", "above", "below"})


def early_answer(case: Case) -> Iterator[Finding]:
    """What is asked for is not named before level 3."""
    task = case.question.task
    for reading in case.readings:
        if reading.level == 3:
            continue
        said = reading.claims
        if task == "phase" and any(m.kind in ("phase", "locus") for m in reading.mentions):
            yield found("early_answer", reading, "a phase is named before level 3")
        elif task in ("step", "action"):
            acts = [t for t in _closed_terms(reading) if t.startswith(f"{task}.")]
            if acts or any(m.kind == task for m in reading.mentions):
                yield found("early_answer", reading, f"the {task} is told before level 3")
        elif task == "cvs" and (any(m.kind == "cvs" for m in reading.mentions) or _judges(reading)):
            yield found("early_answer", reading, "a criterion of safety is judged before level 3")
        elif task == "tool_count" and not reading.general and _KIND_WORD.search(reading.text):
            yield found("early_answer", reading, "the number of kinds is told before level 3")
        elif task == "count" and any(count.what == "instrument" for count in said.counts):
            yield found("early_answer", reading, "the number of instruments is told before level 3")
        elif task == "position" and any(
            relation.what in _COMPARES
            and {*relation.one.terms, *relation.other.terms} >= set(case.question.subject[:2])
            for relation in said.relations
        ):
            yield found("early_answer", reading, "how the two lie to one another is told before level 3")


def _judges(reading: Reading) -> bool:
    form = closed(reading.text)
    return form is not None and form.kind in ("criterion", "criteria", "overall")


def monotone(case: Case) -> Iterator[Finding]:
    """Levels 2 and 3 claim nothing of an instrument that level 1 did not show; a denied mention shows nothing.

    The bag is a structure where it is acted on, and may first be named as a target.
    """
    shown = case.shown(1)
    if "anatomy.specimen_bag" in case.view.structures:
        shown |= {BAG}
    for reading in case.claims:
        if reading.level == 1:
            continue
        for name in reading.named("instrument"):
            if name not in shown:
                yield found("monotone", reading, f"'{called(name)}' is claimed, but level 1 does not show it")


def _concludes(case: Case, reading: Reading) -> bool:
    """A sentence of level 3 that says what the phase of this frame is, or draws it from something in general."""
    if reading.level != 3 or reading.known:
        return False
    named = any(reading.named(kind) for kind in ("phase", "locus", "step", "action")) or bool(_closed_terms(reading))
    pointed = bool(_THAT_PHASE.search(reading.text))
    return pointed or (named and (not reading.general or bool(STRONG.search(reading.text))))


_THAT_PHASE = re.compile(r"\b(?:that|this) is (?:thus |therefore )?the (?:phase|step|action)\b", re.IGNORECASE)


def support(case: Case) -> Iterator[Finding]:
    """The words of a conclusion are no stronger than its support (design 3)."""
    if case.question.task not in REASONED:
        return
    level = case.support
    for reading in case.readings:
        if not _concludes(case, reading):
            continue
        strong, weak = STRONG.search(reading.text), WEAK.search(reading.text)
        if strong and level not in ("entailed", "strong"):
            yield found("support", reading, f"'{strong.group()}' concludes more than levels 1 and 2 carry ({level})")
        elif weak and level == "asserted":
            yield found("support", reading, f"'{weak.group()}' gives a reason where there is none ({level})")


def reversed_conditional(case: Case) -> Iterator[Finding]:
    """How common a view is within a phase says nothing of how likely the phase is, given the view."""
    for n, reading in enumerate(case.readings):
        if reading.level != 3 or reading.known:
            continue
        phase = next((m for m in reading.mentions if m.kind in ("phase", "locus")), None)
        seen = next((m for m in reading.mentions if m.kind in ("instrument", "any_instrument")), None)
        if not (phase and seen and phase.start < seen.start and _BEFORE_PHASE.search(reading.text[: phase.start])):
            continue
        follow = case.readings[n + 1].text if n + 1 < len(case.readings) else ""
        frequent = FREQUENCY.search(reading.text) or QUANTITY.search(reading.text)
        argued = STRONG.search(reading.text[seen.start :]) or STRONG.match(follow) or WEAK.search(follow)
        if frequent and argued:
            yield found("reversed", reading, "argues from how common a view is within a phase, the wrong way round")


def frequency(case: Case) -> Iterator[Finding]:
    """A word of frequency between what is seen and a phase is the one that the train surgeries give."""
    if case.priors is None:
        return
    for reading in case.readings:
        if reading.known or not reading.general:
            continue
        places = [m for m in reading.mentions if m.kind == "phase"]
        if _NO_OTHER.search(reading.text) and places:
            steps = case.scene.terms("step")
            if not steps or case.priors.support(PHASE_BY_STEP, steps[0], places[0].term) != "strong":
                yield found("frequency", reading, "'no other' is more than the train surgeries show")
            continue
        spoken = list(FREQUENCY_WORD.finditer(reading.text))
        if _WHILE.search(reading.text) and not spoken:
            yield from _timed(case, reading)
            continue
        if not spoken or not places:
            continue
        givens = list(givens_of_sentence(case, reading))
        if not givens:
            if FREQUENCY.search(reading.text) and not _ABOUT_NOTHING.search(reading.text):
                yield found("frequency", reading, "no statistic of the train surgeries holds this")
            continue
        wrong = [problem for table, given in givens if (problem := wrong_word(case, reading, table, given))]
        if len(wrong) == len(givens):
            yield found("frequency", reading, wrong[0])


_NO_OTHER = re.compile(r"\bno other (?:phase|step)\b", re.IGNORECASE)
_WHILE = re.compile(
    r"\b(?:is|are)(?: both)? (?:clipped|cut|dissected|divided|coagulated) (?:in|while|during|when)\b", re.IGNORECASE
)
#: Statistics of a view without instruments, whose key is the empty set.
_ABOUT_NOTHING = re.compile(r"\bviews? without\b", re.IGNORECASE)


def givens_of_sentence(case: Case, reading: Reading) -> Iterator[tuple[str, str]]:
    """(table, key) for what a general sentence may speak of: instruments, acts of this frame, or its step."""
    names, verbs = reading.named("instrument"), reading.named("act")
    if re.match(r"(?:Work of this kind|Such work|This kind of work)\b", reading.text):
        yield from ((PHASE_BY_STEP, step) for step in case.scene.terms("step"))
    elif verbs and not names:
        targets = set(reading.named("anatomy"))
        for fact in case.view.triplets:
            if fact.terms[1] in verbs and fact.terms[2] in targets:
                yield PHASE_BY_TRIPLET, given_triplet(fact.terms)
    elif names:
        one = len(names) == 1 and not re.search(r"\b(?:alone|without)\b", reading.text)
        yield (PHASE_BY_ONE, names[0]) if one else (PHASE_BY_SET, given_set(names))


def wrong_word(case: Case, reading: Reading, table: str, given: str) -> str:
    """What is wrong with the words of frequency by one table; "" where they are right."""
    assert case.priors is not None
    spoken = list(FREQUENCY_WORD.finditer(reading.text))
    places = [m for m in reading.mentions if m.kind == "phase"]
    if _RARELY_ELSE.search(reading.text):
        strong = case.priors.support(table, given, places[0].term) == "strong"
        return "" if strong else "'rarely' at other times is more than the train surgeries show"
    grouped: dict[str, list[str]] = {}
    for spot in places:
        before = [m[1].lower() for m in spoken if m.start() < spot.start] or [spoken[0][1].lower()]
        grouped.setdefault(before[-1], []).append(spot.term)
    for word, terms in grouped.items():
        try:
            true = case.priors.word(table, given, terms)
        except KeyError:
            return "the train surgeries never show this"
        if word != true:
            return f"'{word}' should be '{true}' by the train surgeries"
    return ""


def _timed(case: Case, reading: Reading) -> Iterator[Finding]:
    """ "The cystic artery is dissected while Calot's triangle is opened": most of such acts are of that phase."""
    assert case.priors is not None
    phases = {m.term for m in reading.mentions if m.kind in ("phase", "locus")}
    verbs, targets = reading.named("act"), reading.named("anatomy")
    rows = case.priors.tables.get(PHASE_BY_TRIPLET, {})
    for target in targets:
        own = [row for given, row in rows.items() if given.endswith(f"+{target}") and given.split("+")[1] in verbs]
        total = sum(frames for row in own for frames, _ in row.values())
        here = sum(row.get(phase, [0])[0] for row in own for phase in phases)
        if total and 2 * here < total:
            yield found("frequency", reading, f"most of such acts at '{called(target)}' are of other phases")


def origin(case: Case) -> Iterator[Finding]:
    """Knowledge, phases, steps and actions are those of the operation at hand."""
    for reading in case.readings:
        if reading.known and entries()[reading.known].procedure != case.scene.procedure:
            yield found("procedure", reading, "this is knowledge of another operation")
        for mention in reading.mentions:
            if mention.kind in ("phase", "step", "action"):
                item = term(mention.term)
                if not {_PROCEDURE_OF.get(name, "") for name in item.aliases} & {case.scene.procedure}:
                    yield found("procedure", reading, f"'{item.name}' belongs to another operation")
            elif mention.kind == "instrument" and mention.term not in HEADS:
                known = _INSTRUMENTS_OF.get(case.scene.procedure)
                if known is not None and not known & set(term(mention.term).aliases):
                    yield found("procedure", reading, f"'{called(mention.term)}' is no instrument of this operation")


#: Operation -> the data sets that say which instruments it has.
_INSTRUMENTS_OF = {
    "cholecystectomy": {"cholec80", "cholect50"},
    "robotic_surgery": {"endovis17"},
    "nephrectomy": {"endovis18"},
}
#: Data set -> the operation whose phases, steps and actions it labels.
_PROCEDURE_OF = {
    "cholec80": "cholecystectomy", "cholect50": "cholecystectomy", "multibypass140": "gastric_bypass",
    "sar_rarp50": "prostatectomy",
}  # fmt: skip
