"""Check of the words of a claim: what speaks of the frame consists of words whose meaning the other checks decide.

Lists of forbidden words always miss one; so a claim may hold mentions (terms, acts and things, which are checked against
the facts) and a closed set of words around them. Any other word says something that nothing here can decide, and counts
as unsupported. General sentences are free to use other words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib import import_module
from pkgutil import iter_modules

from cotgen.chains import grammar, plans
from cotgen.chains.checks.base import Case, found
from cotgen.chains.checks.wording import blank, decided
from cotgen.chains.lexicon import Mention
from cotgen.records import Finding

#: Words of claims besides those of the shapes: of sight, of place in the chain, of conclusion.
_MORE_TEXT = """
a accordingly act action acts all along an and answer any anything appear appears are as aside at be being belong
belongs both but by can cannot case certainly clearly consequently decide decides do does each either exception field
fit fits fitting for frame from given has have hence here idle image in instrument instruments is it its itself jaws
kind kinds lie lies like likely list made make makes mean means most must named names neither nor not nothing of off
on one operation operative or organ other part phase picture points present presumably probably question rarer read
reads same scene see seen seven several show showing shown shows side so something state step structure structures
such suggest suggests task than that the their them then there therefore these they this those thus tip tips tissue to
together too tool tools two type types under up use via view visible was way well what when where which while who with
within without work works yes
"""
_MORE = frozenset(_MORE_TEXT.split())
#: Words of shapes that mean something only where a check of places, contacts or numbers has decided them.
_DECIDED_TEXT = """
left right upper lower above below touch touches higher centre centres middle top bottom only alone height
"""
_DECIDED_ELSEWHERE = frozenset(_DECIDED_TEXT.split())
_WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")
_SLOT = re.compile(r"\{\w+\}")
_NAMED = r"[\w' -]+"
_AGREEING = (
    "(?:[Nn]o|[Oo]ne|[Tt]wo|[Tt]hree|[Ff]our|[Ff]ive|[Ss]ix|[Ss]even|[Ii]t|[Tt]hey|is|are|acts?|structures?|instruments?|"
    "kinds?|things?)"
)
_BOX = re.compile(r"<bbox:\d+>")


@cache
def _known_words() -> frozenset[str]:
    """The words of all shapes of the grammar and of the plans, and the list above."""
    words: set[str] = set(_MORE)
    for shape in _every_shape():
        words.update(word.lower() for word in _WORD.findall(_SLOT.sub(" ", shape)))
    return frozenset(words - _DECIDED_ELSEWHERE)


@cache
def closings(*, named: bool = False) -> re.Pattern[str]:
    """How a chain may close without a claim: the sentences of the grammar and of the plans.

    Args:
        named: whether names may fill their slots; else numbers and words of agreement alone.
    """
    filled = _NAMED if named else _AGREEING
    shapes = sorted({shape for shape in _every_shape() if shape.endswith(".")})
    return re.compile("|".join(filled.join(map(re.escape, _SLOT.split(shape))) for shape in shapes))


def _every_shape() -> Iterator[str]:
    modules = [grammar, *(import_module(f"{plans.__name__}.{item.name}") for item in iter_modules(plans.__path__))]
    return (shape for module in modules for value in vars(module).values() for shape in _shapes(value))


def _shapes(value: object) -> Iterator[str]:
    """The sentences in a tuple of shapes, however deep; names of terms among them are no words."""
    if isinstance(value, tuple):
        for part in value:
            if isinstance(part, str) and " " in part:
                yield part
            else:
                yield from _shapes(part)


@lru_cache(maxsize=100_000)
def unknown_words(text: str, mentions: tuple[Mention, ...], spans: tuple[tuple[int, int], ...]) -> tuple[str, ...]:
    """Words of a sentence that are no part of a mention, decided nowhere else, and not in the closed set."""
    bare = _BOX.sub(lambda match: " " * len(match.group()), text)
    bare = blank(bare, (*((mention.start, mention.end) for mention in mentions), *spans))
    known = _known_words()
    return tuple(word for word in _WORD.findall(bare) if word.lower() not in known)


def vocabulary(case: Case) -> Iterator[Finding]:
    """A claim about the frame uses no word that nothing can decide."""
    for reading in case.claims:
        if reading.known or reading.closed is not None:
            continue
        if words := unknown_words(reading.text, reading.mentions, decided(case, reading)):
            yield found("unparsed", reading, f"'{words[0]}' says something of the frame that nothing here can decide")
