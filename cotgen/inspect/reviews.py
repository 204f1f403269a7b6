"""What people said of chains: accepted shares with their intervals, by basis and writer."""

from __future__ import annotations

import math
from collections.abc import Iterable

from cotgen.inspect.record import ReviewShare

#: Standard normal, 97.5 %.
_Z = 1.959963984540054


def wilson(accepted: int, reviewed: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, J. Am. Stat. Assoc. 1927), which holds for few reviews and extreme shares.

    Returns:
        Its ends, in 0..1; (0.0, 1.0) where nothing was reviewed.
    """
    if not reviewed:
        return 0.0, 1.0
    share, square = accepted / reviewed, _Z * _Z / reviewed
    centre = (share + square / 2) / (1 + square)
    half = _Z / (1 + square) * math.sqrt(share * (1 - share) / reviewed + square / (4 * reviewed))
    return round(max(0.0, centre - half), 6), round(min(1.0, centre + half), 6)


def review_shares(judged: Iterable[tuple[str, str, bool]]) -> list[ReviewShare]:
    """Shares by basis and writer from (basis or `chain`, writer, accepted), one for each judgement."""
    counts: dict[tuple[str, str], list[int]] = {}
    for basis, writer, accepted in judged:
        found = counts.setdefault((basis, writer), [0, 0])
        found[0] += 1
        found[1] += accepted
    shares = []
    for (basis, writer), (reviewed, good) in sorted(counts.items()):
        low, high = wilson(good, reviewed)
        shares.append(ReviewShare(basis=basis, writer=writer, reviewed=reviewed, accepted=good, low=low, high=high))
    return shares
