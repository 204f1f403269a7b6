"""Sentences about what a picture looks like: a closed form, since no label proves them and only little can be measured.

How an entity of the facts looks (colour, shine, shape, fat, blur), what lies over the whole field (smoke, fog,
reflections, blood, without source or amount), and a few things that no data set labels (clip, suture, gauze, port,
drain). Never an act, a purpose, a judgement, a further instrument or a structure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from cotgen.chains.closed import Closed
from cotgen.chains.lexicon import Mention

#: Word of a colour -> the class of pixels that it needs, as `cotgen.frames.colour` measures it.
COLOURS: Mapping[str, str] = {
    "red": "red",
    "reddish": "red",
    "pink": "pink",
    "pinkish": "pink",
    "yellow": "yellow",
    "yellowish": "yellow",
    "brown": "brown",
    "brownish": "brown",
    "white": "white",
    "whitish": "white",
    "pale": "white",
    "grey": "grey",
    "gray": "grey",
    "greyish": "grey",
    "silver": "grey",
    "silvery": "grey",
    "metallic": "grey",
    "black": "black",
    "blackish": "black",
    "dark": "black",
    "green": "green",
    "greenish": "green",
    "blue": "blue",
    "bluish": "blue",
    "purple": "purple",
    "purplish": "purple",
}
#: Things that are seen and that no data set labels.
UNLABELLED = ("clip", "suture", "gauze", "port", "drain")
_COLOUR = rf"(?:(?:light|dark|pale|deep) )?(?:{'|'.join(COLOURS)})"
_LOOK = (
    rf"(?:{_COLOUR}|shiny|glistening|dull|matt|round|rounded|oval|long|thin|broad|flat|straight|curved|tubular|"
    r"irregular|blurred|out of focus|partly out of focus|in shadow|partly in shadow|partly out of the picture|"
    r"fatty|covered (?:with|by|in) (?:yellow )?fat|partly covered (?:with|by|in) (?:yellow )?fat)"
)
_LOOKS = rf"(?:slightly |partly )?{_LOOK}(?:(?:, | and |, and ){_LOOK}){{0,3}}"
#: § stands for what a fact names.
_THING = r"(?:(?:the|a|an|this|one) )?(?:(?:left|right|upper|lower) )?§"
_PART = r"(?:'s)?(?: (?:tip|tips|jaws|shaft|surface|edge|wall|serosa))?"
_OF = r"(?:(?:the )?(?:tip|tips|jaws|shaft|surface|edge|wall) of )?"
_FOG = r"(?:smoke|fog|haze|mist|vapour|glare|blur)"
_SEEN = r"(?:is|are)(?: (?:seen|visible|in view|present))?"
_WHERE = r"(?:in|over|across) the (?:field|view|picture|image)"
_PATTERNS = tuple(
    re.compile(rf"(?:{shape})\.", re.IGNORECASE)
    for shape in (
        rf"{_OF}{_THING}{_PART} (?:is|are|looks?|appears?) {_LOOKS}",
        rf"{_OF}{_THING}{_PART} (?:has|have|shows?) (?:a |an )?{_LOOKS} (?:surface|colour|shine|appearance|wall|look)",
        rf"(?:some |light |thin |dense )?(?:surgical )?{_FOG} {_SEEN} {_WHERE}",
        rf"there (?:is|are) (?:some |light |thin |dense )?{_FOG} {_WHERE}",
        rf"(?:blood|bloody fluid) {_SEEN} (?:{_WHERE}|on {_THING})",
        rf"there is blood (?:{_WHERE}|on {_THING})",
        rf"(?:a )?(?:light )?(?:reflections?|highlights?) {_SEEN} (?:{_WHERE}|on {_OF}{_THING})",
        r"the (?:field|view|picture|image) (?:is|looks|appears) (?:slightly |partly |a little )?"
        # How bright it is is measured, and told of a black picture alone.
        r"(?:blurred|foggy|hazy|smoky|sharp|out of focus)(?: and (?:blurred|foggy|hazy|smoky))?",
        r"(?:yellow |yellowish )?(?:fat|fatty tissue) "
        rf"(?:covers|surrounds|lies (?:on|around|over)|is seen (?:on|around|over)) (?:part of )?{_THING}",
        rf"(?:(?:a|an|the|one|some) )?(?:(?:metal|metallic|plastic|white|silver) )?(?:{'|'.join(UNLABELLED)})s?"
        rf" (?:{_SEEN}|lies?)(?: (?:{_WHERE}|(?:on|at) (?:the (?:end|stump) of )?{_THING}))?",
    )
)
_COLOUR_WORD = re.compile(rf"\b(?:{'|'.join(sorted(COLOURS, key=len, reverse=True))})\b", re.IGNORECASE)
_ENTITIES = frozenset({"instrument", "anatomy", "object"})


@lru_cache(maxsize=50_000)
def visual(text: str, mentions: tuple[Mention, ...]) -> Closed | None:
    """What a sentence about a look says; None where it is no such sentence.

    Args:
        text: the sentence.
        mentions: what it names.

    Returns:
        `Closed("visual", TERMS)` with the things of the facts that it describes.
    """
    # Smoke, fat or a clip are words of the forms themselves; what facts name has a kind before its name.
    things = [mention for mention in mentions if mention.kind in _ENTITIES and "." in mention.term]
    coded, end = "", 0
    for mention in things:
        coded += text[end : mention.start] + "§"
        end = mention.end
    coded += text[end:]
    if any(pattern.fullmatch(re.sub(r" ?<bbox:\d+>", "", coded)) for pattern in _PATTERNS):
        return Closed("visual", tuple(dict.fromkeys(mention.term for mention in things)))
    return None


def colours(text: str) -> tuple[str, ...]:
    """The classes of colour that a sentence claims, in order, without repeats."""
    return tuple(dict.fromkeys(COLOURS[match.group().lower()] for match in _COLOUR_WORD.finditer(text)))


def unlabelled(text: str) -> tuple[str, ...]:
    """The things that a sentence tells of and that no data set labels."""
    return tuple(name for name in UNLABELLED if re.search(rf"\b{name}s?\b", text, re.IGNORECASE))
