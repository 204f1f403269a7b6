"""Order: the one endless sequence of pairs that all ranks share, epoch after epoch, by arithmetic on the index.

An epoch is read in rounds: the n pairs of a picture lie 1/n of the epoch apart, beginning at hash(seed, epoch, key). So
neighbours are different pictures, every stretch of an epoch is a fair draw of it, and no buffer is needed. The pairs of
a picture that comes in several data sets count together.

A cell that is not shown whole (cap, temperature, share) is a ring that the epochs go round: what one did not show, the
next ones do. Its rows of an epoch differ by at most one from what was asked, and add up to it over the epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from cotgen.draws import draw

#: Goes up when the same index, selection and seed give another sequence.
ORDER_VERSION = 1

Pairs = npt.NDArray[np.int64]
_UNIT = 1 << 20
_MILLE = 1000
#: How far a neighbour of the same picture is moved at most.
_REACH = 64


class Order:
    """The sequence of pair numbers.

    Args:
        keys: the key of each picture.
        picture: of each pair, the number of its picture.
        cell: of each pair, the number of its cell.
        names: of each cell, what it is called in draws.
        rows: of each cell, how many rows of an epoch it has.
        seed: of all draws.
        hard: of each pair, its rank by difficulty.
        curriculum: from 0 to 1, how far the first epoch goes by `hard`.
    """

    def __init__(
        self,
        keys: pl.Series,
        picture: npt.NDArray[np.uint32],
        cell: npt.NDArray[np.uint32],
        names: Sequence[str],
        rows: Sequence[Fraction],
        *,
        seed: int,
        hard: npt.NDArray[np.uint32],
        curriculum: float = 0.0,
    ) -> None:
        self._keys, self._picture, self._cell, self._seed = keys, picture, cell, seed
        self._hard, self._curriculum = hard, round(_MILLE * curriculum)
        self._sizes = np.bincount(cell, minlength=len(names)).astype(np.int64)
        self._rows = np.array([max(1, round(amount * _UNIT)) for amount in rows], np.int64)
        phases = [draw(seed, "phase", name) % _UNIT for name in names]
        self._phases = np.where(self._rows % _UNIT, np.array(phases, np.int64), 0)
        self._place = self._places(names)
        self._epochs: dict[int, Pairs] = {}

    def _places(self, names: Sequence[str]) -> npt.NDArray[np.int64]:
        """Of each pair, its place on the ring of its cell."""
        if (self._rows == self._sizes * _UNIT).all():
            by = np.lexsort((self._cell,))
        else:
            base = self._drawn(self._keys, "ring")
            turned = np.array([draw(self._seed, "ring", name) for name in names], np.uint64)
            by = np.lexsort((base[self._picture] + turned[self._cell], self._cell))
        place = np.empty(len(by), np.int64)
        place[by] = np.arange(len(by)) - (np.cumsum(self._sizes) - self._sizes)[self._cell[by]]
        return place

    def _drawn(self, keys: pl.Series, *names: str) -> npt.NDArray[np.uint64]:
        return np.fromiter((draw(self._seed, *names, key) for key in keys), np.uint64, len(keys))

    def _before(self, epoch: int) -> npt.NDArray[np.int64]:
        """Rows of each cell in all epochs before this one."""
        return np.asarray((epoch * self._rows + self._phases) // _UNIT)

    def start(self, epoch: int) -> int:
        """Position of the first row of an epoch."""
        return int((self._before(epoch) - self._before(0)).sum())

    def locate(self, position: int) -> int:
        """The epoch that a position lies in."""
        epoch = position * _UNIT // int(self._rows.sum())
        while self.start(epoch) > position:
            epoch -= 1
        while self.start(epoch + 1) <= position:
            epoch += 1
        return epoch

    def epoch(self, number: int) -> Pairs:
        """The pairs of one epoch, in order. The last two that were asked for are kept."""
        if number not in self._epochs:
            while len(self._epochs) > 1:
                del self._epochs[next(iter(self._epochs))]
            self._epochs[number] = self._ordered(self._shown(number), number)
        return self._epochs[number]

    def slice(self, start: int, stop: int) -> Pairs:
        """The pairs at positions `start` to `stop`, of as many epochs as they lie in."""
        parts: list[Pairs] = []
        while start < stop:
            number = self.locate(start)
            first = self.start(number)
            part = self.epoch(number)[start - first : stop - first]
            parts.append(part)
            start += len(part)
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def _shown(self, epoch: int) -> Pairs:
        """The pairs of an epoch, one that comes n times n times, in the order of the index."""
        begin, end = self._before(epoch)[self._cell], self._before(epoch + 1)[self._cell]
        size = self._sizes[self._cell]
        times = (end - 1 - self._place) // size - (begin - 1 - self._place) // size
        return np.repeat(np.arange(len(times), dtype=np.int64), times)

    def _ordered(self, shown: Pairs, epoch: int) -> Pairs:
        picture = self._picture[shown]
        by_picture = np.argsort(picture, kind="stable")
        pictures, first, counts = np.unique(picture[by_picture], return_index=True, return_counts=True)
        begins = self._drawn(self._keys[pictures], "epoch", str(epoch))
        number = np.arange(len(shown), dtype=np.uint64) - np.repeat(first, counts).astype(np.uint64)
        gap = np.uint64(2**64 - 1) // counts.astype(np.uint64)
        # Unsigned numbers run over at 2^64, which is the end of the epoch and its beginning.
        at = number * np.repeat(gap, counts) + np.repeat(begins, counts)
        shown = shown[by_picture]
        if self._curriculum and epoch == 0:
            hard = self._hard[shown].astype(np.uint64) * np.uint64((2**64 - 1) // max(1, len(self._hard)))
            easy_first = np.uint64(self._curriculum)
            at = at // np.uint64(_MILLE) * (np.uint64(_MILLE) - easy_first) + hard // np.uint64(_MILLE) * easy_first
        ordered = shown[np.argsort(at, kind="stable")]
        _part(ordered, self._picture)
        return ordered


def _part(pairs: Pairs, picture: npt.NDArray[Any]) -> None:
    """Exchange pairs, in place, until no two neighbours are of one picture, where that can be done nearby."""
    shown = picture[pairs]

    def fits(place: int, number: int, leaving: int) -> bool:
        return all(
            shown[beside] != number
            for beside in (place - 1, place + 1)
            if 0 <= beside < len(shown) and beside != leaving
        )

    for place in (np.flatnonzero(shown[1:] == shown[:-1]) + 1).tolist():
        if shown[place] != shown[place - 1]:
            continue
        for other in (*range(place + 1, place + _REACH), *range(place - 2, place - _REACH, -1)):
            if not 0 <= other < len(shown) or shown[other] == shown[place]:
                continue
            if fits(place, shown[other], other) and fits(other, shown[place], place):
                pairs[[place, other]] = pairs[[other, place]]
                shown[[place, other]] = shown[[other, place]]
                break
