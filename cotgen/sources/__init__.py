"""The data sets that cotgen reads: one module each, one line here."""

from cotgen.errors import CotgenError
from cotgen.sources.base import Source
from cotgen.sources.cholec80 import Cholec80

SOURCES: dict[str, Source] = {"cholec80": Cholec80()}


def source(name: str) -> Source:
    """The source of that name.

    Raises:
        CotgenError: there is none; lists those there are.
    """
    if name not in SOURCES:
        raise CotgenError(f"There is no source {name!r}; known are: {', '.join(sorted(SOURCES))}.")
    return SOURCES[name]
