"""Sentences whose wording is closed: what a step or an action is, the criteria of safety by their votes, the camera.

What they say is read from the whole sentence, so no other rule takes such a sentence apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

from cotgen.ontology import terms_of

ClosedKind = Literal[
    "act", "criterion", "criteria", "overall", "camera", "passed", "no_contact", "no_relation", "no_field", "visual"
]
CRITERIA = ("cvs.two_structures", "cvs.hepatocystic_triangle", "cvs.cystic_plate")

_THIRD = r"lower third(?: of the gallbladder)?"
_TRIANGLE = r"(?:hepatocystic )?triangle"
#: Criterion -> patterns for 0, 1, 2 and 3 of three votes.
_VOTES = {
    "cvs.two_structures": (
        r"It is not shown that only two structures enter the gallbladder",
        r"(?:It is probably not shown that only two structures enter the gallbladder"
        r"|That only two structures enter the gallbladder is doubtful, and rather not the case)",
        r"(?:Two structures seem to enter the gallbladder and no more|Only two structures seem to enter the gallbladder)"
        r", with some doubt",
        r"Two structures, and no more, are seen to enter the gallbladder",
    ),
    "cvs.hepatocystic_triangle": (
        rf"The {_TRIANGLE} is not cleared",
        rf"(?:The {_TRIANGLE} is probably not cleared"
        rf"|That the {_TRIANGLE} is cleared is doubtful, and rather not the case)",
        rf"The {_TRIANGLE} seems cleared, with some doubt",
        rf"The {_TRIANGLE} is cleared of fat and fibrous tissue",
    ),
    "cvs.cystic_plate": (
        rf"The {_THIRD} is not shown to be off the liver",
        rf"(?:The {_THIRD} is probably not off the liver"
        rf"|That the {_THIRD} is off the liver is doubtful, and rather not the case)",
        rf"The {_THIRD} seems to be off the liver, with some doubt",
        rf"The {_THIRD} is off the liver, so that the cystic plate shows",
    ),
}
_BY_VOTES = tuple(
    (id, votes, re.compile(rf"{shape}\.", re.IGNORECASE))
    for id, shapes in _VOTES.items()
    for votes, shape in enumerate(shapes)
)
_NUMBERS = {"none": 0, "no": 0, "one": 1, "two": 2, "three": 3, "all": 3, "all three": 3}
_HOW_MANY = r"(?P<{0}>all three|all|none|no|one|two|three)(?: of the(?: three)?)? criteri(?:a|on)"
#: How many criteria are met or missing, alone or before the whole; "all three" is a claim about the whole as well.
_COUNT = (
    rf"(?:with {_HOW_MANY.format('with')} met"
    rf"|{_HOW_MANY.format('number')} (?:are|is) (?:thus |therefore )?(?P<what>met|missing|not met))"
)
_WHOLE = (
    r"(?:the )?critical view(?: of safety)? is (?:thus |therefore |hence )?(?P<not>not )?(?:thus |therefore )?achieved"
    r" in this view"
)
_OVERALL = re.compile(
    rf"(?:{_COUNT}, (?:so |and so |and |therefore )?)?(?:(?:so|therefore|thus|hence|taken together),? )?{_WHOLE}\.",
    re.IGNORECASE,
)
_ONLY_COUNT = re.compile(rf"(?:so |therefore |thus )?{_COUNT}(?: in this view)?\.", re.IGNORECASE)
_ONE = re.compile(
    r"(?:so |therefore |thus )?(?:the|this) criterion is (?:thus |therefore )?(?P<not>not )?met in this view\.",
    re.IGNORECASE,
)
_CAMERA = re.compile(
    r"(?:(?:so|therefore|thus) )?(?:the camera is (?:thus |therefore )?(?P<where>inside|in|outside)|"
    r"(?:this is a view|the view is|this view is) (?:thus )?(?:from )?(?P<from>inside|within|outside))"
    r" (?:of )?the (?:abdomen|body|patient)\.",
    re.IGNORECASE,
)
_PASSED = re.compile(r"The work has passed from one to the other(?: within (?:that|this|one) phase)?\.", re.IGNORECASE)
_NO_CONTACT = re.compile(r"No contact of these(?: things)? with one another is measured\.", re.IGNORECASE)
_NO_RELATION = re.compile(
    r"(?:No relation between them is measured|How they lie to one another is not measured"
    r"|[\w ]+ (?:is|are) not related to another outlined thing here)\.",
    re.IGNORECASE,
)
_NO_FIELD = re.compile(
    r"(?:It holds no operative field in which instrument and tissue could be related"
    r"|There is no operative field in it, and so nothing to relate"
    r"|(?:So )?nothing about the operation (?:is to|can) be read from it"
    r"|(?:So )?the state of the operation cannot be read from it"
    r"|Nothing in it can be related to anything else|No relation can be read from it"
    r"|(?:So )?(?:the|no) operative field is (?:thus )?(?:not )?visible)\.",
    re.IGNORECASE,
)
_LEAD = re.compile(
    r"^(?:At this moment,?|In this view,?|At present,?|Now|Here,?|So|Thus|Therefore) (?=\w)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Closed:
    """What a sentence of closed wording says.

    Attributes:
        kind: `act`: a step, an action or the site of a phase is going on; `criterion`: one by its votes, or the one asked
            about; `criteria`: how many are met; `overall`: the critical view; `camera`: where it is; `passed`: the same
            act was at another structure before; `no_contact`: none of the things named touch; `no_relation`: nor lie to
            one another in a way that can be told; `no_field`: the picture holds
            nothing to read; `visual`: how something looks, or that something unlabelled is seen.
        terms: the step, action or phases that the act may be; the criterion; `()` else.
        value: votes of three, number of criteria met, or 1 and 0 for yes and no; -1 where it says none of these.
        count: beside the whole, how many criteria are told to be met; -1 for none.
    """

    kind: ClosedKind
    terms: tuple[str, ...] = ()
    value: int = -1
    count: int = -1


@cache
def _acts() -> dict[str, tuple[str, ...]]:
    """Sentence in lower case -> the terms of which it is an act."""
    found: dict[str, tuple[str, ...]] = {}
    for kind in ("step", "action", "phase"):
        for item in terms_of(kind):
            for text in item.acts:
                found[text.lower()] = (*found.get(text.lower(), ()), item.id)
    return found


@cache
def act_words() -> frozenset[str]:
    """The words of all sentences that tell steps, actions and sites."""
    return frozenset(word for text in _acts() for word in re.findall(r"[a-z]+", text))


@lru_cache(maxsize=50_000)
def closed(text: str) -> Closed | None:
    """What the sentence says, if its wording is closed; None else."""
    bare = _LEAD.sub("", text).lower()
    acts = _acts()
    for candidate in (text.lower(), bare, re.sub(r"^it is\b", "the needle is", bare)):
        if candidate in acts:
            return Closed("act", acts[candidate], 1)
    for id, votes, pattern in _BY_VOTES:
        if pattern.fullmatch(text):
            return Closed("criterion", (id,), votes)
    if match := _OVERALL.fullmatch(text):
        return Closed("overall", (), int(not match["not"]), _number(match))
    if match := _ONLY_COUNT.fullmatch(text):
        return Closed("criteria", (), _number(match))
    if match := _ONE.fullmatch(text):
        return Closed("criterion", (), int(not match["not"]))
    if match := _CAMERA.fullmatch(text):
        inside = (match["where"] or match["from"]).lower() != "outside"
        return Closed("camera", (), int(inside))
    if _PASSED.fullmatch(text):
        return Closed("passed")
    if _NO_FIELD.fullmatch(text) and not re.match(r"(?:So )?the operative field is (?:thus )?visible", text, re.I):
        return Closed("no_field")
    if _NO_RELATION.fullmatch(text):
        return Closed("no_relation")
    if _NO_CONTACT.fullmatch(text):
        return Closed("no_contact")
    return None


def _number(match: re.Match[str]) -> int:
    if match["with"]:
        return _NUMBERS[match["with"].lower()]
    if not match["number"]:
        return -1
    number = _NUMBERS[match["number"].lower()]
    return number if match["what"].lower() == "met" else 3 - number
