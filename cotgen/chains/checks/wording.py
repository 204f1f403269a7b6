"""Checks of a sentence alone: words that no label of a single frame can support.

Each rule has a scope: `all` sentences, or only `claim`s about this frame (general knowledge may say what something is
for). The wordings of the knowledge base are reviewed as a whole and are not checked word by word; neither are sentences of
closed wording, nor the words of a claim that the checks of facts decide (a place, a contact, a number).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal, TypeAlias

from cotgen.chains.checks.base import Case, found
from cotgen.chains.reading import FREQUENCY, Reading
from cotgen.records import Finding

Spans: TypeAlias = tuple[tuple[int, int], ...]
#: `claim`: about this frame; `look`: unless a word of frequency shows that it speaks of many views; `all`: always.
Scope = Literal["all", "claim", "look"]


def _words(*alternatives: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-])(?:{'|'.join(alternatives)})(?![\w-])", re.IGNORECASE)


_NUMBER = r"(?:two|three|four|five|six|seven|several|many|multiple|\d+)"
_THING = (
    r"(?:surgical |laparoscopic )?(?:instruments?|tools?|graspers?|hooks?|clip appliers?|clippers?|irrigators?|"
    r"bipolars?|pairs? of scissors|specimen bags?|devices?|forceps|scissors)"
)

#: name of the check -> (scope, pattern, what to say)
RULES: dict[str, tuple[Scope, re.Pattern[str], str]] = {
    "leak": (
        "all",
        _words(
            r"ground[- ]?truth",
            r"annotat(?:ed|ions?|ors?|es?|ing)",
            r"label(?:l?ed|s|l?ing)?",
            r"raters?",
            r"metadata",
            r"according to the \w+",
            r"(?:as )?(?:given|provided|stated|mentioned) in the \w+",
            r"the (?:correct|given|provided|expected|right) answer",
            r"the answer (?:is|must be|should be)",
            r"data ?sets?",
            r"challenge (?:says|defines)",
            r"bounding box(?:es)?",
            r"(?:triplet|class) id \d+",
            r"GT",
            r"since the answer",
            r"we (?:know|are told)(?: that)?",
            r"I (?:was|am) (?:told|given)",
            r"hints?",
            r"frame (?:number|id|index)? ?\d+",
            r"video ?\d+",
            r"cholec ?(?:t?\d+|80)",
            r"endoscapes",
            r"as an AI",
            r"(?:the )?prompt",
            r"option [A-G]",
            r"json",
            r"csv",
        ),
        "points at the labels or the task instead of the picture",
    ),
    "time": (
        "all",
        _words(
            r"will",
            r"going to",
            r"about to",
            r"not yet",
            r"yet to",
            r"still",
            r"already",
            r"continu(?:e|es|ed|ing)",
            r"soon",
            r"in a moment",
            r"shortly",
            r"afterwards?",
            r"later",
            r"eventually",
            r"next step",
            r"no longer",
            r"remains? to be",
            r"resum\w+",
            r"(?:begins?|starts?|began|started|finish(?:es|ed)|complet(?:e|es|ed|ing)) to",
            r"has begun",
            r"just now",
            r"previously",
            r"earlier",
            r"so far",
            r"upcoming",
            r"at last",
        ),
        "tells past or future, which one frame does not show",
    ),
    "done": (
        "claim",
        re.compile(
            r"\b(?:has|have|had|having) (?:\w+ )?(?:been )?\w+(?:ed|en|ut|un|t)\b|\b(?:was|were)\b|"
            r"\b(?:clipped|divided|freed|detached|transected|ligated|dissected|resected|exposed|coagulated|cleared|"
            r"mobilised|mobilized|severed|removed|opened) (?:cystic |bile )?"
            r"(?:duct|artery|gallbladder|vessel|liver|bed|structure|tissue|triangle|stump)",
            re.IGNORECASE,
        ),
        "tells an act as done",
    ),
    "purpose": (
        "claim",
        _words(
            r"in order to",
            r"so as to",
            r"so that(?! is (?:the|thus)\b)",
            r"for (?:better|the purpose of|clear\w*|exposure|access)",
            r"(?:to|and thereby|thereby|thus|for) (?:expos|improv|gain|obtain|allow|enabl|facilitat|protect|avoid|reach|"
            r"clear|secur|provid|prepare|keep clear|ensur|prevent|creat|get|help|assist|control|stop|achiev)\w*",
            r"aim(?:s|ed|ing)? (?:to|at)",
            r"intend\w*",
            r"tr(?:y|ies|ying) to",
            r"meant to",
        ),
        "names a purpose, which no label holds",
    ),
    "judgement": (
        "all",
        _words(
            r"safe(?:ly|ty)?",
            r"careful(?:ly)?",
            r"adequate(?:ly)?",
            r"inadequate(?:ly)?",
            r"(?<!as )well",
            r"good",
            r"proper(?:ly)?",
            r"correct(?:ly)?",
            r"skil\w*",
            r"gentl[ey]",
            r"excellent",
            r"poor(?:ly)?",
            r"sufficient(?:ly)?",
            r"success\w*",
            r"effective(?:ly)?",
            r"precise(?:ly)?",
            r"optimal(?:ly)?",
            r"nicely",
            r"appropriate(?:ly)?",
            r"efficient(?:ly)?",
            r"risky?",
            r"danger\w*",
            r"unsafe",
            r"meticulous\w*",
            r"smooth\w*",
            r"delicate\w*",
            r"perfect\w*",
            r"satisfactor\w*",
            r"ideal\w*",
            r"(?:view|field|picture|image) is clear",
            r"critical view",
        ),
        "judges",
    ),
    "operator": (
        "all",
        _words(
            r"surgeons?(?:'s)?",
            r"assistants?(?:'s)?",
            r"operators?(?:'s)?",
            r"(?:left|right)[- ]hand(?:ed)?",
            r"hands?",
            r"nurses?",
            r"the team",
            r"camera holder",
            r"doctors?",
            r"trainees?",
            r"patients?(?:'s)?",
            r"we",
            r"I",
        ),
        "names a person",
    ),
    "completeness": (
        "claim",
        _words(
            r"only",
            r"sole(?:ly)?",
            r"alone",
            r"nothing (?:else|more)",
            r"no other",
            r"none other",
            r"no further",
            r"no more",
            r"exclusively",
            r"(?:all|every|each)(?: of)?(?: the)? (?:visible )?(?:instruments?|tools?)",
            r"the (?:one|single) (?:instrument|tool)",
            r"without any other",
            r"no additional",
            r"just",
            r"merely",
            r"single",
            r"complete list",
            r"by itself",
        ),
        "claims completeness that the labels do not give",
    ),
    "counting": (
        "claim",
        _words(
            rf"{_NUMBER} (?:different |visible |further |other )?{_THING}",
            r"a pair of (?:graspers|instruments|tools)",
            rf"(?:another|a second|the second|a third|one more|a further|an additional) {_THING}",
            r"(?:both|the two) (?:instruments|tools|graspers|hooks)",
            rf"one {_THING}",
            r"a couple of \w+",
        ),
        "counts instruments where only kinds are labelled",
    ),
    "relation": (
        "claim",
        _words(
            r"beside",
            r"besides",
            r"next to",
            r"between",
            r"behind",
            r"in front of",
            r"above",
            r"below",
            r"beneath",
            r"underneath",
            r"under(?! way)",
            r"over",
            r"touch(?:es|ed|ing)?",
            r"against",
            r"near(?:by)?",
            r"close to",
            r"adjacent",
            r"alongside",
            r"across",
            r"opposite",
            r"on top of",
            r"around",
            r"inside",
            r"outside",
            r"in contact with",
            r"contact",
            r"overlap\w*",
            r"facing",
            r"towards?",
            r"far from",
            r"surround\w*",
        ),
        "places things relative to one another without a measurement",
    ),
    "direction": (
        "claim",
        _words(
            r"enter(?:s|ed|ing)?",
            r"com(?:e|es|ing) (?:in )?from",
            r"introduc\w+",
            r"insert\w*",
            r"advanc\w+",
            r"withdraw\w*",
            r"withdrawn",
            r"retreat\w*",
            r"reach(?:es|ing) (?:in|into)",
            r"through the \w+",
            r"from (?:the )?(?:left|right|top|bottom|side|above|below|upper|lower)\b[\w ]*",
            r"approach\w*",
            r"mov(?:e|es|ing)",
        ),
        "tells a movement or an entry",
    ),
    "visual": (
        "look",
        _words(
            r"(?:blu|green|brown|redd?|yellow|whit|pink|purpl|grey|gray|black|dark|pal|silver)(?:e|ish|y|en|er|ened)?",
            r"metallic",
            r"shin[ye]\w*",
            r"gleam\w*",
            r"glisten\w*",
            r"bright\w*",
            r"translucent",
            r"transparent",
            r"blur\w*",
            r"smok[ey]\w*",
            r"fog\w*",
            r"hazy",
            r"haze",
            r"fatty",
            r"bloody",
            r"bleed\w*",
            r"blood",
            r"inflam\w*",
            r"swollen",
            r"thick\w*",
            r"distended",
            r"wet",
            r"reflect\w*",
            r"glare",
            r"charr\w*",
            r"dilated",
            r"tense",
            r"healthy",
            r"normal",
            r"curved",
            r"serrated",
            r"colou?r\w*",
        ),
        "describes a look without a measurement",
    ),
    "number": (
        "all",
        re.compile(r"(?<![\w:<])\d+(?:\.\d+)?(?![\w>])|\bper ?cent\b|%", re.IGNORECASE),
        "gives a number; text carries words",
    ),
    "phase_word": (
        "all",
        _words(
            r"(?:gallbladder )?retraction phase", r"gallbladder retraction", r"phase of retraction", r"packing phase"
        ),
        "confuses a phase with an act: the phase is called gallbladder extraction",
    ),
    "part": (
        "claim",
        _words(
            r"infundibulum", r"fundus", r"hartmann'?s? pouch", r"neck of the gallbladder", r"gallbladder (?:neck|body)"
        ),
        "names a part that no source labels",
    ),
    "language": (
        "all",
        re.compile(r"[^\x20-\x7e\u2019]|[*_#`]{1,}|\b(?:http|www)\b|```|\\\w"),
        "is not plain English text",
    ),
}

#: Words of other operations. Each procedure's own words are left out when it is checked.
PROCEDURE_WORDS: dict[str, re.Pattern[str]] = {
    "gastric_bypass": _words(
        r"gastric (?:bypass|pouch|sleeve)", r"jejun\w+", r"gastrojejun\w+", r"anastomos[ie]s", r"petersen\w*", r"bypass",
        r"staple lines?", r"roux\w*", r"biliopancreatic", r"alimentary limb",
    ),
    "prostatectomy": _words(r"prostat\w+", r"dorsal (?:vein|vascular) \w+", r"urethr\w+", r"bladder neck", r"seminal"),
    "nephrectomy": _words(r"nephrectom\w+", r"kidneys?", r"renal", r"ureters?"),
    "hysterectomy": _words(r"hysterectom\w+", r"uter(?:us|ine)", r"ovar\w+", r"vagin\w+"),
    "appendectomy": _words(r"append(?:ix|ectomy|iceal)"),
    "cholecystectomy": _words(
        r"cholecystectom\w+", r"gallbladder", r"calot\w*(?:'s)?", r"cystic (?:duct|artery|plate)", r"hepatocystic",
    ),
}  # fmt: skip

#: A sentence pattern that reverses a conditional: P(seen | phase) told where P(phase | seen) is needed.
QUANTITY = re.compile(
    r"\b(?:half|most|many|a (?:third|quarter|fifth)|the majority|few|nearly all|almost all)\b", re.IGNORECASE
)


POSITION = _words(
    r"upper", r"lower", r"left(?! out)(?:most)?", r"right(?:most)?", r"top", r"bottom", r"cent(?:re|er|ral)", r"middle",
    r"corner", r"quadrant", r"(?:left|right|far|near) side", r"foreground", r"background", r"edge", r"periphery",
)  # fmt: skip


#: What instruments, things, structures and acts of the operation are called may hold words that mean more elsewhere.
_NAMES = frozenset({"instrument", "anatomy", "object", "step", "action"})


@lru_cache(maxsize=100_000)
def sentence_problems(text: str, general: bool, names: Spans, decided: Spans) -> tuple[tuple[str, str], ...]:
    """(check, message) for each rule that a sentence breaks.

    Args:
        text: the sentence.
        general: whether it speaks in general.
        names: spans of words that are names.
        decided: spans of words that other checks decide.
    """
    rest = blank(text, decided)
    bare = blank(rest, names)
    problems = []
    for name, (scope, pattern, message) in RULES.items():
        if general and (scope == "claim" or (scope == "look" and FREQUENCY.search(text))):
            continue
        if match := pattern.search(text if name in _WHOLE else bare if name in _NAMELESS else rest):
            problems.append((name, f"'{match.group().strip()}' {message}"))
    if not general and (match := POSITION.search(bare)):
        problems.append(("position", f"'{match.group()}' gives a position that no box supports"))
    return tuple(problems)


#: Rules that look at decided words as well, and rules that do not look at names.
_WHOLE = frozenset({"leak", "phase_word", "part", "language"})
_NAMELESS = frozenset({"visual", "direction", "relation"})


def blank(text: str, spans: Spans) -> str:
    """The text with a placeholder in place of these spans, as long as it was."""
    for start, end in spans:
        text = text[:start] + "\u00b7" * (end - start) + text[end:]
    return text


def names_in(reading: Reading) -> Spans:
    """The spans of a sentence that are names of the ontology."""
    return tuple(
        (m.start, m.end) for m in reading.mentions if m.kind in _NAMES and (m.kind != "object" or "." in m.term)
    )


def decided(case: Case, reading: Reading) -> Spans:
    """The spans of a sentence whose words the checks of facts decide."""
    spans = list(reading.claims.spans)
    if not reading.general and (match := _ONLY.search(reading.text)) and _are_all(case, reading):
        spans.append(match.span())
    if reading.past and (match := _WERE.search(reading.text)):
        spans += [match.span(), (0, reading.text.find(",") + 1 or len("In the seconds before"))]
    return tuple(spans)


_WERE = re.compile(r"\b(?:was|were)\b")
_ONLY = re.compile(
    r"\b(?:only|alone|nothing else|no other instrument|sole|(?:each|every|all(?: the)?) instruments?)\b", re.IGNORECASE
)


def _are_all(case: Case, reading: Reading) -> bool:
    """Whether every instrument in view is outlined, and all of them are named in this sentence or at level 1."""
    counted = case.view.instrument_facts
    if not case.view.complete("instrument"):
        return False
    told = set(reading.named("instrument")) or set(case.shown(1))
    shown = max(len(told), len(set(case.boxed)))
    return {fact.terms[0] for fact in counted} == told and len(counted) <= shown


def wording(case: Case) -> Iterator[Finding]:
    """All rules above, and words of another procedure."""
    for reading in case.readings:
        if reading.known:
            continue
        if reading.closed is None:
            for name, message in sentence_problems(
                reading.text, reading.general, names_in(reading), decided(case, reading)
            ):
                if name == "visual" and _is_measured(case, reading.text):
                    continue
                yield found(name, reading, message)
        for procedure, message in foreign_words(reading.text, case.scene.procedure):
            yield found("procedure", reading, f"'{message}' belongs to another operation ({procedure})")


def _is_measured(case: Case, text: str) -> bool:
    """A black picture may be called black or dark where its pixels were measured to be."""
    return not case.scene.has_field and bool(re.fullmatch(r"(?:The picture|It) is (?:black|dark)\.", text))


@lru_cache(maxsize=100_000)
def foreign_words(text: str, procedure: str) -> tuple[tuple[str, str], ...]:
    """(procedure, word) for each word of an operation that is not the one at hand."""
    hits = ((name, pattern.search(text)) for name, pattern in PROCEDURE_WORDS.items() if name != procedure)
    return tuple((name, match.group()) for name, match in hits if match)
