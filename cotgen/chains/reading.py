"""Reading: what a sentence claims of the picture, found from its words alone.

Checks work on this and on the facts, so that the text of a template, a teacher and a policy gets the same findings. A
sentence either speaks of this frame or in general; what it says in general may name what the frame does not show.
A sentence counts as general only on positive evidence (known wording, a word of frequency, or a generic subject, and
no word that points at the picture): whatever is unclear is held to be a claim about the frame. A claim is taken apart by
`cotgen.chains.claims`, or by `cotgen.chains.closed` where its wording is a closed one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeAlias

from cotgen.chains.claims import NO_CLAIMS, Claims, Memory, claims
from cotgen.chains.closed import Closed, closed
from cotgen.chains.lexicon import Mention, mentions
from cotgen.chains.render import ParsedChain
from cotgen.chains.visual import visual
from cotgen.ontology.knowledge import known_sentences

#: Words that point at the picture. "is there to" states what something is for.
POINTER = re.compile(
    r"\b(?:in view|(?:this|that|the|present) (?:view|picture|image|frame|scene|moment|instant)|(?:this|that) one|here|"
    r"visible|"
    r"(?:is|are|be|being) (?:clearly )?(?:seen|shown)|(?:it|they|what|that) shows?|"
    r"lies?|at work|in the field of view|(?:is|are) (?:also )?(?:there|present)(?! to\b)|there (?:is|are)|"
    r"(?:is|are) (?:now )?(?:not )?(?:acting|working|retracting|grasping|gripping|holding|keeping|dissecting|coagulating|"
    r"clipping|cutting|dividing|aspirating|sucking|irrigating|rinsing|packing|setting|placing|putting|pulling|pushing|"
    r"lifting|opening|closing|exposing|burning|freeing|being)|this is|these are|now|at present|currently)\b|<bbox:",
    re.IGNORECASE,
)
FREQUENCY = re.compile(
    r"\b(?:almost always|typically|often|sometimes|rarely|usually|commonly|seldom|frequently|generally|in general|"
    r"mostly|every phase|several phases|settles? nothing|(?:does|do) not tell|tells? (?:them|nothing))\b",
    re.IGNORECASE,
)
#: More words that tie a sentence to the picture or to one thing in it, unless its wording is known.
_TIED = re.compile(
    r"\b(?:this|these|such views|so (?:large|pale)|as (?:it|in)\b|it does|it is the one|do(?:es)? so|like so|just so|"
    r"is (?:out|missing|held|brought)|appears?|shows?|sits?|hangs?|stands?|shown|follow|made out|tell of|near|rim|edge|"
    r"(?<!of )(?:the|its) (?:cystic |common |bile |hepatic )*"
    r"(?:duct|artery|vessels?|gallbladder|liver(?! bed)|organ|wall|structure))\b",
    re.IGNORECASE,
)
_GENERIC = re.compile(
    r"^(?:An? [\w' -]+? (?:\w+s|can)\b|Scissors \w+|Bipolar forceps \w+|Graspers \w+|Hooks \w+|Clip appliers \w+|"
    r"Irrigators \w+|Specimen bags \w+|Clips are\b|Preparation is\b(?! the best)|"
    r"The two (?:together )?(?:work|mark|go|belong)\b|"
    r"(?:In|On|With|For|Between|Before|After) (?:an?\b|scissors|bipolar|dissection|calot|clipping|cleaning|preparation|"
    r"gallbladder|the liver bed|clips))",
    re.IGNORECASE,
)
_OFTEN = r"(?:almost always|typically|often|sometimes|rarely|usually|mostly)"
_STRUCTURE = r"(?:cystic )?(?:duct|artery|plate|pedicle)"
#: Forms that are general although a word in them would point at the picture elsewhere.
_ALWAYS_GENERAL = re.compile(
    rf"^(?:An? [\w -]+ in view is {_OFTEN}\b"
    r"|(?:Scissors|Forceps|Graspers|Hooks|Instruments|Needle drivers) that \w+"
    rf"|The {_STRUCTURE} (?:(?:most )?(?:often|usually) )?(?:leads|runs|drains|arises|joins)\b"
    rf"|(?:The )?{_STRUCTURE}(?: and (?:the )?{_STRUCTURE})? (?:is|are)(?: both)? "
    r"(?:clipped|cut|dissected|divided|coagulated) (?:in|while|during|when|before)\b"
    r"(?=.*(?:phase|dissection|triangle|clipping|preparation|packaging|extraction|liver bed))"
    rf"|(?:An? grip|Traction|Dissection|Coagulation|Clipping|Cutting|Aspiration|Irrigation|Packing) (?:on|at|of|around) "
    rf"[\w' ]+? (?:is {_OFTEN} (?:found|met|seen)|goes on through|comes up in)\b"
    rf"|(?:Work of this kind|Such work|This kind of work) is {_OFTEN} (?:found|met|seen|part)\b"
    r"|This closure belongs to .+ and to no other phase\b"
    r"|The (?:pouch|bypass|join|limb) (?:takes|needs|has)\b)",
    re.IGNORECASE,
)
_HERE = re.compile(
    r"\b(?:this|these|that|such) (?:view|picture|image|frame|one|moment(?!\.))\b|\bhere\b|<bbox:", re.IGNORECASE
)
#: An instant before this one, the only past that a chain may tell.
_BEFORE = re.compile(r"^In the (?:few )?seconds? before,? ", re.IGNORECASE)
_DEFINITE = re.compile(
    r"\b(?:the|this|that|its|their) (?:\w+ )?(?:grasper|hook|scissors|clip applier|clipper|irrigator|suction-irrigator|"
    r"bipolar|forceps|specimen bag|bag|instrument|tip|jaws|blades)\b",
    re.IGNORECASE,
)
_NEGATION = re.compile(r"\b(?:no|not|without|neither|nor|never|lacks?|lacking|missing|except|cannot)\b|n't\b", re.I)
_NEGATED_AFTER = re.compile(
    r"^(?:\s+(?:is|are|was|were)|'s)?(?: clearly| also| thus| therefore)? "
    r"(?:not|absent|missing|nowhere|out of view|neither)\b",
    re.I,
)
_IDLE = re.compile(r"\bnot (?=acting\b)|\bno (?=act\b)", re.IGNORECASE)
_CLAUSE = re.compile(r"[;:]|,(?! (?:and|or)\b)|\b(?:but|while|whereas|although|though|yet|so)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reading:
    """One sentence as read.

    Attributes:
        number: position of the sentence in the chain, from 0.
        level: 1, 2 or 3.
        text: the sentence.
        general: whether it speaks in general and not of this frame.
        known: id of the knowledge entry whose wording it is, or "".
        closed: what it says, where its wording is a closed one.
        past: whether it tells of the seconds before.
        claims: who does what to what, where, and how many; empty for what is general, known or closed.
        mentions: what it names.
        asserted: kind -> terms that it asserts, in order and without repeats.
        denied: kind -> terms that it denies.
    """

    number: int
    level: int
    text: str
    general: bool
    known: str
    mentions: tuple[Mention, ...]
    asserted: Mapping[str, tuple[str, ...]]
    denied: Mapping[str, tuple[str, ...]]
    closed: Closed | None = None
    past: bool = False
    claims: Claims = NO_CLAIMS

    def named(self, kind: str, *, negated: bool = False) -> tuple[str, ...]:
        """Terms of one kind that the sentence asserts, or denies."""
        return (self.denied if negated else self.asserted).get(kind, ())


def _is_negated(text: str, mention: Mention) -> bool:
    """Denied by a negation before it in its clause, or by "is not" right after it; an idle instrument is not denied."""
    text = _IDLE.sub(lambda match: "-" * len(match.group()), text)
    start = max((m.end() for m in _CLAUSE.finditer(text, 0, mention.start)), default=0)
    return bool(_NEGATION.search(text, start, mention.start) or _NEGATED_AFTER.match(text[mention.end :]))


_Terms: TypeAlias = dict[str, tuple[str, ...]]


@lru_cache(maxsize=50_000)
def _words(text: str) -> tuple[bool, str, tuple[Mention, ...]]:
    """Whether a sentence is general, the knowledge it words, and what it names."""
    found = tuple(mentions(text))
    known = known_sentences().get(text, "")
    pointed = bool(POINTER.search(text) or (not known and _TIED.search(text)))
    general = bool(known) or (not pointed and bool(FREQUENCY.search(text)))
    if not general and _ALWAYS_GENERAL.match(text) and not _HERE.search(text):
        general = True
    if not general and not pointed and not _DEFINITE.search(text):
        general = bool(_GENERIC.match(text))
    return general, known, found


@lru_cache(maxsize=50_000)
def _sides(text: str, found: tuple[Mention, ...]) -> tuple[_Terms, _Terms]:
    """What a sentence asserts and what it denies, by kind."""
    asserted: _Terms = {}
    denied: _Terms = {}
    for mention in found:
        terms = denied if _is_negated(text, mention) else asserted
        terms[mention.kind] = tuple(dict.fromkeys((*terms.get(mention.kind, ()), mention.term)))
    return asserted, denied


def read(chain: ParsedChain, resolve: Callable[[Mention, str], Mention] | None = None) -> tuple[Reading, ...]:
    """All sentences of a chain. Level 1 is what can be pointed at, so nothing there counts as general.

    Args:
        chain: the text as parsed.
        resolve: from a mention and its words to what it names in this frame, where several terms share a word.
    """
    readings = []
    memory = Memory()
    for number, (level, text) in enumerate(chain.sentences):
        general, known, found = _words(text)
        if resolve is not None:
            found = tuple(resolve(mention, text[mention.start : mention.end]) for mention in found)
        asserted, denied = _sides(text, found)
        general = general and level > 1
        form = None if known else closed(text) or visual(text, found)
        past = bool(_BEFORE.match(text))
        reading = Reading(number, level, text, general and form is None, known, found, asserted, denied, form, past)
        said = claims(text, found, memory)
        readings.append(reading if reading.general or form else replace(reading, claims=said))
    return tuple(readings)
