"""Draws over one surgery: wordings, caps and equal parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from cotgen.draws import draw

T = TypeVar("T")


def room_for(percent: int, others: int) -> int:
    """How many more questions beside `others` are at most `percent` of the whole, rounded down.

    The whole is counted with them: beside 19 others there is room for one at 5 %, beside 18 for none.
    """
    return percent * others // (100 - percent)


def in_hash_order(seed: int, keyed: Sequence[tuple[str, T]], *names: str) -> list[T]:
    """The values in an order drawn from their keys, which no other key changes."""
    drawn = [(draw(seed, *names, key), key, value) for key, value in keyed]
    return [value for _, _, value in sorted(drawn, key=lambda entry: entry[:2])]
