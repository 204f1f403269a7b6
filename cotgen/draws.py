"""Draws that depend on names alone.

Every choice cotgen makes (a wording, the order of options, which frame is kept) is a blake2b hash of a seed and the
names of what is chosen for. It is the same on every machine, for any number of workers and in any order of work, and
one pair can be written again without writing the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def draw(seed: int, *names: str) -> int:
    """A 64-bit integer, uniform over `names`, for this seed."""
    text = "\x1f".join((str(seed), *names)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def rendezvous(seed: int, items: Sequence[str], *names: str) -> str:
    """The item with the highest hash (rendezvous hashing): adding an item changes only the draws that it wins.

    Raises:
        ValueError: `items` is empty.
    """
    if not items:
        raise ValueError("nothing to draw from")
    if len(items) == 1:
        return items[0]
    # The same hash as draw(seed, *names, item), with the common prefix hashed once.
    prefix = hashlib.blake2b("\x1f".join((str(seed), *names, "")).encode(), digest_size=8)
    best, winner = (b"", ""), items[0]
    for item in items:
        digest = prefix.copy()
        digest.update(item.encode())
        rank = (digest.digest(), item)
        if rank > best:
            best, winner = rank, item
    return winner


def shuffled(seed: int, items: Sequence[T], *names: str) -> list[T]:
    """All items in an order drawn from their positions."""
    return [item for _, _, item in sorted((draw(seed, *names, str(i)), i, item) for i, item in enumerate(items))]
