"""The words by which text names terms, acts and things: one closed list for every check.

A mention is found by its longest spelling, so "gallbladder dissection" is a phase and not an organ with an act.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

from cotgen.ontology import terms_of

MentionKind = Literal["instrument", "any_instrument", "phase", "locus", "anatomy", "act", "object", "part"]


@dataclass(frozen=True, slots=True)
class Mention:
    """One mention in a sentence: what it names and where it stands."""

    kind: MentionKind
    term: str
    start: int
    end: int


#: Acts as whole words, per verb of the triplet vocabulary; `act.other` holds words that no vocabulary has.
_ACTS = {
    "verb.grasp": r"grasp(?:s|ed|ing)?|grip(?:s|ped|ping)?|(?:has|have|having|takes?|taking) hold of|hold(?:s|ing)?|held",
    "verb.retract": r"retract(?:s|ed|ing)?|retraction|(?:keeps?|keeping) [\w ]{0,30}?on traction|"
    r"traction|pull(?:s|ed|ing)|lift(?:s|ed|ing)?",
    "verb.dissect": r"dissect(?:s|ed|ing)?|dissection",
    "verb.coagulate": r"coagulat(?:e|es|ed|ing|ion)|cauteri[sz](?:e|es|ed|ing)|burn(?:s|ed|ing|t)?|seal(?:s|ed|ing)?",
    "verb.clip": r"clip(?:s|ped|ping)?|ligat(?:e|es|ed|ing)",
    "verb.cut": r"cut(?:s|ting)?|divid(?:e|es|ed|ing)|transect(?:s|ed|ing)?",
    "verb.aspirate": r"aspirat(?:e|es|ed|ing)|suck(?:s|ed|ing)?|suction(?:s|ing)?",
    "verb.irrigate": r"irrigat(?:e|es|ed|ing)|rins(?:e|es|ed|ing)|wash(?:es|ed|ing)?",
    "verb.pack": r"pack(?:s|ed|ing)?|bagg(?:ed|ing)",
    "act.other": r"expos(?:e|es|ed|ing)|strip(?:s|ped|ping)?|free(?:s|d|ing)|push(?:es|ed|ing)?|appl(?:y|ies) current"
    r"|stretch(?:es|ed|ing)?|separat(?:e|es|ed|ing)|open(?:s|ed|ing)|clos(?:e|es|ed|ing)|remov(?:e|es|ed|ing)"
    r"|manipulat(?:e|es|ed|ing)|handl(?:e|es|ed|ing)|secur(?:e|es|ed|ing)|work(?:s|ing) (?:on|at)",
}

#: Things in the picture that Cholec80's family labels nowhere, and anatomy outside the triplet vocabulary.
_OBJECTS = (
    r"clips?|sutures?|gauze|drains?|trocars?|ports?|needles?|thread|staplers?|sponges?|swabs?|"
    r"bleeding|blood|bile|smoke|fog|fluid|pus|stones?|fat|adhesions?|stumps?|lymph node|tumou?rs?|lesions?|"
    r"bile duct|common bile duct|hepatic artery|hepatic duct|portal vein|hepatic vein|duodenum|colon|stomach|diaphragm|"
    r"duct|artery|arteries|vessels?|vein|peritoneum|bowel|kidney|spleen"
)

_PHASE_EXTRA = {
    "phase.calot_triangle_dissection": ("calot triangle dissection",),
}


@cache
def _pattern() -> tuple[re.Pattern[str], dict[str, tuple[MentionKind, str]]]:
    """One alternation, longest spelling first, and what each literal spelling names."""
    literal: dict[str, tuple[MentionKind, str]] = {}

    def add(kind: MentionKind, id: str, *spellings: str) -> None:
        for spelling in spellings:
            literal.setdefault(spelling.lower().removeprefix("the "), (kind, id))

    for item in terms_of("phase"):
        add("phase", item.id, item.answer, *item.names, *item.aliases.get("reply", ()))
        add("phase", item.id, *_PHASE_EXTRA.get(item.id, ()))
    for item in terms_of("instrument"):
        if item.id == "instrument.unnamed":
            continue
        add("instrument", item.id, *item.names, item.plural, item.answer, *item.aliases.get("reply", ()))
    add("any_instrument", "instrument", "instrument", "instruments", "instrument tip", "tool", "tools")
    add("locus", "phase.calot_triangle_dissection", "calot's triangle", "calot triangle", "hepatocystic triangle")
    add("locus", "phase.gallbladder_dissection", "liver bed", "gallbladder bed")
    for item in terms_of("anatomy"):
        if item.id == "anatomy.specimen_bag":
            continue
        add("anatomy", item.id, *item.names, item.answer)
        add("part", item.id, *item.parts)
    add("part", "anatomy.gallbladder", "infundibulum", "fundus", "neck of the gallbladder", "hartmann pouch")
    spellings = sorted(literal, key=lambda s: (-len(s), s))
    acts = "|".join(f"(?P<a{n}>{body})" for n, body in enumerate(_ACTS.values()))
    text = rf"(?<![\w-])(?:(?P<lit>{'|'.join(map(re.escape, spellings))})|(?P<obj>{_OBJECTS})|{acts})(?![\w-])"
    return re.compile(text, re.IGNORECASE), literal


_ACT_IDS = tuple(_ACTS)


def mentions(sentence: str) -> list[Mention]:
    """All mentions of a sentence, left to right, without overlaps."""
    pattern, literal = _pattern()
    found: list[Mention] = []
    for match in pattern.finditer(sentence):
        group = match.lastgroup or ""
        if group == "lit":
            kind, id = literal[match.group().lower()]
        elif group == "obj":
            kind, id = "object", match.group().lower()
        else:
            kind, id = "act", _ACT_IDS[int(group[1:])]
        found.append(Mention(kind, id, match.start(), match.end()))
    return found
