"""The words by which text names terms, acts and things: one closed list for every check.

A mention is found by its longest spelling, so "gallbladder dissection" is a phase and not an organ with an act. A word that
several terms share ("the forceps") names its head here; `cotgen.chains.checks.base.Case` finds which of them a frame has.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

from cotgen.ontology import term, terms_of
from cotgen.ontology.terms import KINDS

MentionKind = Literal[
    "instrument", "any_instrument", "phase", "step", "action", "locus", "anatomy", "act", "object", "part", "cvs"
]

#: Words that several instruments share, and which instruments those are.
HEADS = {
    "instrument.forceps": ("instrument.bipolar", "instrument.prograsp_forceps"),
    "instrument.scissors": ("instrument.scissors", "instrument.monopolar_curved_scissors"),
}
#: Word of an act -> other acts that it names as well: EndoVis 2018 has its own verb for suction.
SAME_WORD = {"suck": "verb.suction", "suct": "verb.suction"}


@dataclass(frozen=True, slots=True)
class Mention:
    """One mention in a sentence: what it names and where it stands."""

    kind: MentionKind
    term: str
    start: int
    end: int


#: Acts that hold several words or a word that is a thing elsewhere; they are looked for before anything else.
_PHRASES = {
    "verb.clip": r"(?:set(?:s|ting)?|plac(?:es?|ing)) (?:a )?clips?(?: on| at)?|clips?(?= on\b)|"
    r"clips(?= (?:the|an?|it|them)\b)",
    "verb.pack": r"put(?:s|ting)?(?= [\w ]{0,30}?into (?:the|a) (?:specimen )?bag)|into (?:the|a) (?:specimen )?bag",
    "verb.retract": r"keep(?:s|ing)?(?= [\w ]{0,40}?(?:on traction|retracted))|"
    r"hold(?:s|ing)?(?= [\w ]{0,40}?aside)|on traction",
    "verb.null": r"not acting(?: on any structure)?|no act(?= (?:at this moment|to name))|idle",
    "verb.manipulate_tool": r"handl(?:es?|ing) another instrument",
    "verb.manipulate_tissue": r"handl(?:es?|ing) tissue",
    "verb.suction": r"appl(?:y|ies|ying) suction",
    "verb.sense": r"scan(?:s|ning)? with ultrasound",
}
#: Acts as whole words, per verb of the triplet vocabularies; `act.other` holds words that no vocabulary has.
_ACTS = {
    "verb.grasp": r"grasp(?:s|ed|ing)?|grip(?:s|ped|ping)?|(?:has|have|having|takes?|taking) hold of|hold(?:s|ing)?|held",
    "verb.retract": r"retract(?:s|ed|ing)?|retraction|traction",
    "verb.dissect": r"dissect(?:s|ed|ing)?|dissection",
    "verb.coagulate": r"coagulat(?:e|es|ed|ing|ion)",
    "verb.clip": r"clip(?:s|ped|ping)?",
    "verb.cut": r"cut(?:s|ting)?|divid(?:e|es|ed|ing)",
    "verb.aspirate": r"aspirat(?:e|es|ed|ing|ion)|suck(?:s|ed|ing)?|suction(?:s|ing)?",
    "verb.irrigate": r"irrigat(?:e|es|ed|ing|ion)|rins(?:e|es|ed|ing)",
    "verb.pack": r"pack(?:s|ed|ing)?",
    "verb.cauterise": r"cauteri[sz](?:e|es|ed|ing|ation)",
    "verb.loop": r"loop(?:s|ed|ing)?(?: thread)?",
    "verb.suture": r"sutur(?:ed|ing)",
    "verb.staple": r"stapl(?:es|ed|ing)",
    "act.other": r"expos(?:e|es|ed|ing)|strip(?:s|ped|ping)?|free(?:s|d|ing)|push(?:es|ed|ing)?|appl(?:y|ies) current"
    r"|stretch(?:es|ed|ing)?|separat(?:e|es|ed|ing)|open(?:s|ed|ing)|clos(?:e|es|ed|ing)|remov(?:e|es|ed|ing)"
    r"|manipulat(?:e|es|ed|ing)|handl(?:e|es|ed|ing)|secur(?:e|es|ed|ing)|work(?:s|ing) (?:on|at)"
    r"|pull(?:s|ed|ing)?|lift(?:s|ed|ing)?|burn(?:s|ed|ing|t)?|seal(?:s|ed|ing)?|ligat(?:e|es|ed|ing)|occlud(?:e|es|ed|ing)"
    r"|transect(?:s|ed|ing)?|wash(?:es|ed|ing)?|bagg(?:ed|ing)|pinch(?:es|ed|ing)?|tent(?:s|ed|ing)|drain(?:ing|ed)"
    r"|scan(?:s|ned|ning)?|t(?:ie|ies|ying|ied)|pick(?:s|ed|ing) up|position(?:s|ed|ing)|drop(?:s|ped|ping)",
}
_ACT_PATTERNS = (*_PHRASES.items(), *_ACTS.items())

#: Things in the picture that no source labels, and anatomy outside the vocabularies.
_OBJECTS = (
    r"clips?|sutures?|stitch(?:es)?|gauze|drains?|trocars?|ports?|sponges?|swabs?|cannulas?|knots?|loops?|"
    r"bleeding|blood|bile|smoke|fog|pus|stones?|fat|stumps?|lymph node|tumou?rs?|lesions?|"
    r"(?:common )?bile duct|(?:common )?hepatic (?:duct|artery)|portal vein|hepatic vein|renal (?:artery|vein)|ureter|"
    r"duodenum|colon|stomach|diaphragm|prostate|bladder|urethra|jejunum|mesentery|arteries|vessels|vein|spleen"
)
_PHASE_EXTRA = {"phase.calot_triangle_dissection": ("calot triangle dissection",)}
#: Shorter words for structures and things that are labelled under a longer name.
_SHORT = {
    "anatomy.cystic_duct": ("duct",),
    "anatomy.cystic_artery": ("artery",),
    "anatomy.cystic_plate": ("plate",),
    "anatomy.hepatocystic_triangle": ("triangle",),
    "anatomy.adhesion": ("adhesions",),
    "anatomy.small_intestine": ("small bowel", "small intestine"),
    "object.clasper": ("instrument jaws", "jaws", "claspers"),
    "object.needle": ("needle",),
    "object.shaft": ("shaft", "shafts", "instrument shafts"),
    "object.wrist": ("wrist", "wrists", "instrument wrists"),
    "instrument.large_needle_driver": ("needle drivers",),
    "instrument.specimen_bag": ("bag",),
    "instrument.forceps": ("forceps",),
}
#: Names of steps that are acts elsewhere: `Case` reads them as a step where steps are labelled.
STEP_WORDS = {"coagulation": "step.coagulation"}


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
    for item in terms_of("step"):
        if item.id != "step.null_step" and item.name not in STEP_WORDS:
            add("step", item.id, item.answer, *item.names)
    for item in terms_of("action"):
        if item.id != "action.other":
            add("action", item.id, item.answer, *item.names, *item.aliases.get("reply", ()))
    for item in terms_of("instrument"):
        if item.id != "instrument.unnamed":
            add("instrument", item.id, *item.names, item.plural, item.answer, *item.aliases.get("reply", ()))
    add("any_instrument", "instrument", "instrument", "instruments", "instrument tip", "tool", "tools")
    add("locus", "phase.calot_triangle_dissection", "calot's triangle", "calot triangle")
    add("locus", "phase.gallbladder_dissection", "liver bed", "gallbladder bed")
    for item in terms_of("anatomy"):
        if item.id not in ("anatomy.specimen_bag", "anatomy.null"):
            add("anatomy", item.id, *item.names, item.answer)
            add("part", item.id, *item.parts)
    for item in terms_of("object"):
        add("object", item.id, *item.names, item.answer)
    for id, spellings in _SHORT.items():
        kind: MentionKind = "instrument" if id.startswith("instrument.") else "object"
        add("anatomy" if id.startswith("anatomy.") else kind, id, *spellings)
    add("part", "anatomy.gallbladder", "infundibulum", "fundus", "neck of the gallbladder", "hartmann pouch")
    add("cvs", "cvs", "criterion", "criteria", "critical view of safety", "critical view")
    # An ordinary word in other sentences.
    del literal["suction"]
    spellings_longest_first = sorted(literal, key=lambda s: (-len(s), s))
    phrases = "|".join(f"(?P<a{n}>{body})" for n, body in enumerate(_PHRASES.values()))
    acts = "|".join(f"(?P<a{n}>{body})" for n, body in enumerate(_ACTS.values(), start=len(_PHRASES)))
    words = "|".join(map(re.escape, spellings_longest_first))
    text = rf"(?<![\w-])(?:{phrases}|(?P<lit>{words})|(?P<obj>{_OBJECTS})|{acts})(?![\w-])"
    return re.compile(text, re.IGNORECASE), literal


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
            kind, id = "act", _ACT_PATTERNS[int(group[1:])][0]
        found.append(Mention(kind, id, match.start(), match.end()))
    return found


def called(name: str) -> str:
    """The display name of what a mention names: that of its term, or its own word."""
    kind, dot, word = name.partition(".")
    if name == "instrument.forceps":
        return word
    return term(name).name if dot and kind in KINDS else name
