"""Which licence holds for a data set that several sources made: all restrictions of all of them together."""

from __future__ import annotations

from collections.abc import Sequence

#: Licences that the Hub knows by name, as sources state them.
HUB_LICENCES = {
    "cc by 4.0": "cc-by-4.0",
    "cc by-sa 4.0": "cc-by-sa-4.0",
    "cc by-nc 4.0": "cc-by-nc-4.0",
    "cc by-nc-sa 4.0": "cc-by-nc-sa-4.0",
    "cc by-nd 4.0": "cc-by-nd-4.0",
    "cc by-nc-nd 4.0": "cc-by-nc-nd-4.0",
    "cc0": "cc0-1.0",
    "cc0 1.0": "cc0-1.0",
}
_PARTS = ("by", "nc", "sa", "nd")


def parts_of(stated: str) -> frozenset[str] | None:
    """What a licence asks for, of `by`, `nc`, `sa` and `nd`; None for one that is not known, which allows nothing."""
    name = HUB_LICENCES.get(stated.strip().lower())
    return None if name is None else frozenset(name.split("-")) & frozenset(_PARTS)


def strictest(stated: Sequence[str]) -> str:
    """The Hub's name for all restrictions of these licences together, or "" where one of them is not known."""
    found = [parts_of(licence) for licence in stated]
    asked: set[str] = set()
    for parts in found:
        if parts is None:
            return ""
        asked |= parts
    if not found:
        return ""
    return "-".join(["cc", *(part for part in _PARTS if part in asked), "4.0"]) if asked else "cc0-1.0"
