"""Check of the words of a claim: what speaks of the frame consists of words whose meaning the other checks decide.

Lists of forbidden words always miss one; so a claim may hold mentions (terms, acts and things, which are checked against
the facts) and a closed set of words around them. Any other word says something that nothing here can decide, and counts
as unsupported. General sentences are free to use other words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache

from cotgen.chains import grammar
from cotgen.chains.checks.base import Case, found
from cotgen.chains.lexicon import mentions
from cotgen.records import Finding

#: Words of claims besides those of the grammar: of sight, of place in the chain, of conclusion, and of measured relations.
_MORE_TEXT = """
a all an and any appear appears are as at be being belong belongs both but by can cannot do does either field fit fits
fitting for from frame given has have here hook image in instrument instruments is it its itself kind kinds like list made
make makes most named names neither nor not of off on one operation operative or phase picture present read reads scene see
seen seven several show showing shown shows side so such than that the their them then there therefore these they this
those thus tip tips to together too tool tools two type types under up via view visible was way well what when where which
while who with within without yes left right upper lower part centre top bottom middle above below lies lie work likely
probably presumably suggests suggest points means mean must clearly certainly hence consequently accordingly case answer
question state nothing anything something else only
"""
_MORE = frozenset(_MORE_TEXT.split())
_WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")
_SLOT = re.compile(r"\{\w+\}")
_BOX = re.compile(r"<bbox:\d+>")


@cache
def _known_words() -> frozenset[str]:
    """The words of all shapes of the grammar, and the list above."""
    shapes: list[str] = []
    for value in vars(grammar).values():
        if isinstance(value, tuple):
            shapes += [text for part in value for text in (part if isinstance(part, tuple) else (part,))]
    words = {word.lower() for text in shapes for word in _WORD.findall(_SLOT.sub(" ", text))}
    return frozenset(words | _MORE)


@lru_cache(maxsize=100_000)
def unknown_words(text: str) -> tuple[str, ...]:
    """Words of a sentence that are neither part of a mention nor in the closed set."""
    spans = [(mention.start, mention.end) for mention in mentions(text)]
    blank = _BOX.sub(lambda match: " " * len(match.group()), text)
    for start, end in spans:
        blank = blank[:start] + " " * (end - start) + blank[end:]
    known = _known_words()
    return tuple(word for word in _WORD.findall(blank) if word.lower() not in known)


def vocabulary(case: Case) -> Iterator[Finding]:
    """A claim about the frame uses no word that nothing can decide."""
    for reading in case.claims:
        if reading.known:
            continue
        if words := unknown_words(reading.text):
            yield found("unparsed", reading, f"'{words[0]}' says something of the frame that nothing here can decide")
