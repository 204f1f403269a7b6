"""Portion: a data set of a mixture and its share of the rows, `--data A --data B=0.3`.

A set without a number is shown whole, each of its pairs once an epoch. A number is the share of all rows: with
`A` and `B=0.3`, three rows of ten are of B, whatever its size; where B is too small for that its pairs come more than
once an epoch, where it is larger the next epoch goes on with those that this one has not shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from cotgen.errors import CotgenError


@dataclass(frozen=True, slots=True)
class Portion:
    """A folder and its share.

    Attributes:
        folder: a finished data set.
        share: of all rows, above 0 and at most 1; None for the whole set, once an epoch.
    """

    folder: Path
    share: Fraction | None = None

    @classmethod
    def parse(cls, text: str) -> Portion:
        """Read `DIR` or `DIR=SHARE`. Raises CotgenError where the share is none."""
        folder, equals, number = text.rpartition("=")
        if not equals or not folder:
            return cls(Path(text))
        try:
            share = Fraction(number)
        except (ValueError, ZeroDivisionError):
            if Path(text).exists():
                return cls(Path(text))
            raise CotgenError(
                f"'{text}': '{number}' is no share; write DIR, or DIR=0.3 for three rows of ten"
            ) from None
        if Path(text).exists() and not Path(folder).exists():
            # A folder whose name ends so, as `sweep/lr=0.5`.
            return cls(Path(text))
        if not 0 < share <= 1:
            raise CotgenError(f"'{text}': a share is above 0 and at most 1; write DIR alone for the whole set")
        return cls(Path(folder), share)


def epoch_rows(sizes: Sequence[Fraction], shares: Sequence[Fraction | None]) -> list[Fraction]:
    """How many rows of an epoch each set has.

    Args:
        sizes: rows that each set has by itself.
        shares: as `Portion.share`.

    Returns:
        With a set that has no share: those are whole, and the others are as large as their shares ask. With shares
        alone: as many as no set has to repeat.

    Raises:
        CotgenError: the shares leave no room for the other sets, or do not add up to 1 where there are none.
    """
    given = sum((share for share in shares if share is not None), Fraction(0))
    whole = sum((size for size, share in zip(sizes, shares, strict=True) if share is None), Fraction(0))
    if any(share is None for share in shares):
        if given >= 1:
            raise CotgenError(
                f"the shares add up to {float(given):g} and leave no room for the sets without one; lower them"
            )
        total = whole / (1 - given)
    else:
        if given != 1:
            raise CotgenError(f"the shares add up to {float(given):g}; make that 1, or leave one set without a share")
        total = min(size / share for size, share in zip(sizes, shares, strict=True) if share)
    return [size if share is None else share * total for size, share in zip(sizes, shares, strict=True)]
