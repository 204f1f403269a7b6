"""Checks of how a chain argues: form, order of levels, strength of conclusions, and the answer itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cotgen.chains.checks.base import Case, found
from cotgen.chains.checks.wording import QUANTITY
from cotgen.chains.reading import FREQUENCY, Reading
from cotgen.ontology import term
from cotgen.records import Finding
from cotgen.surgeries.priors import PHASE_BY_ONE, PHASE_BY_SET, given_set
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
_FREQUENCY_WORDS = ("almost always", "typically", "often", "sometimes", "rarely")
_FREQUENCY_WORD = re.compile(rf"\b({'|'.join(_FREQUENCY_WORDS)})\b", re.IGNORECASE)
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


def carries(case: Case) -> Iterator[Finding]:
    """The chain carries its answer: no sentence twice, level 1 shows what the answer rests on, level 3 concludes."""
    texts = [reading.text for reading in case.readings]
    for reading in case.readings:
        if reading.text in texts[: reading.number]:
            yield found("empty", reading, "the same sentence stands earlier in the chain")
    task = case.question.task
    for level in (1, 2, 3):
        own = [reading for reading in case.readings if reading.level == level]
        if own and not any(reading.known or reading.mentions or len(reading.text.split()) > 3 for reading in own):
            yield found("empty", own[0], f"level {level} says nothing")
    if task == "phase":
        truth = TASKS[task].truth(case.scene, case.question) or ()
        said = {t for r in case.claims if r.level == 3 for t in r.named("phase")}
        if not set(truth) <= said:
            yield found("empty", None, "level 3 does not name the phase of this frame")
    elif case.support == "asserted" and task != "field_visible":
        yield found("support", None, "level 1 does not show what the answer rests on")


def early_answer(case: Case) -> Iterator[Finding]:
    """What is asked for is not named before level 3."""
    task = case.question.task
    for reading in case.readings:
        if reading.level == 3:
            continue
        if task == "phase" and any(m.kind in ("phase", "locus") for m in reading.mentions):
            yield found("early_answer", reading, "a phase is named before level 3")
        if task == "tool_count" and not reading.general and re.search(r"\bkinds?\b", reading.text):
            yield found("early_answer", reading, "the number of kinds is told before level 3")


def monotone(case: Case) -> Iterator[Finding]:
    """Levels 2 and 3 claim nothing of an instrument that level 1 did not show; a denied mention shows nothing."""
    shown = case.shown(1)
    for reading in case.claims:
        if reading.level == 1:
            continue
        for name in reading.named("instrument"):
            if name not in shown:
                yield found("monotone", reading, f"'{term(name).name}' is claimed, but level 1 does not show it")


def _concludes(case: Case, reading: Reading) -> bool:
    """A sentence of level 3 that says what the phase of this frame is, or draws it from something in general."""
    if reading.level != 3 or reading.known:
        return False
    named = bool(reading.named("phase") or reading.named("locus"))
    return named and (not reading.general or bool(STRONG.search(reading.text)))


def support(case: Case) -> Iterator[Finding]:
    """The words of a conclusion are no stronger than its support (design 3)."""
    if case.question.task != "phase":
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
    """A word of frequency between instruments and phases is the one that the train surgeries give."""
    if case.priors is None:
        return
    for reading in case.readings:
        if reading.known or not reading.general:
            continue
        names = reading.named("instrument")
        spoken = list(_FREQUENCY_WORD.finditer(reading.text))
        places = [m for m in reading.mentions if m.kind == "phase"]
        if not names or not spoken or not places:
            continue
        one = len(names) == 1 and not re.search(r"\b(?:alone|without)\b", reading.text)
        table, given = (PHASE_BY_ONE, names[0]) if one else (PHASE_BY_SET, given_set(names))
        if _RARELY_ELSE.search(reading.text):
            if case.priors.support(table, given, places[0].term) != "strong":
                yield found("frequency", reading, "'rarely' at other times is more than the train surgeries show")
            continue
        grouped: dict[str, list[str]] = {}
        for place in places:
            before = [m[1].lower() for m in spoken if m.start() < place.start] or [spoken[0][1].lower()]
            grouped.setdefault(before[-1], []).append(place.term)
        for word, terms in grouped.items():
            try:
                true = case.priors.word(table, given, terms)
            except KeyError:
                yield found("frequency", reading, "the train surgeries never show these instruments together")
                break
            if word != true:
                yield found("frequency", reading, f"'{word}' should be '{true}' by the train surgeries")
