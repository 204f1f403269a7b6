"""Near duplicates: pictures of different splits that look alike, whatever their surgeries are called.

Splits hold by the names of surgeries; this looks at the pictures, and so finds an operation that lies in two splits under
names that nobody knew to be one. Each stored JPEG gets a perceptual hash: it survives another size, another encoder and
another quality, not a crop or a mirror. Two pictures are alike where their 64-bit hashes differ in at most `MOST_BITS`
bits and their 256-bit hashes in at most `MOST_FINE_BITS`. On 281 real pictures from four data sets, the same picture
encoded anew in six sizes and qualities differed in at most 4 and 18 bits, the 20,143 pairs of pictures of different
groups in at least 12 and 90.

Only pictures that agree in a band of bits are compared: where at most four bits differ, one of five bands is equal.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from cotgen.errors import CotgenError
from cotgen.records import SPLITS, Shard
from cotgen.shards.helpers import in_processes
from cotgen.shards.manifest import load
from cotgen.shards.pack import SHARD_FILE
from cotgen.shards.tar import read_shard
from cotgen.surgeries.identity import canonical

#: Bits of the 64 in which two pictures that are alike may differ.
MOST_BITS = 4
#: Bits of the 256 in which they may.
MOST_FINE_BITS = 24
#: A picture whose gray values have a smaller standard deviation shows nothing by which it could be known again.
PLAIN_BELOW = 10
_SIDE = 32
_BANDS = MOST_BITS + 1
#: Pairs that are compared at once.
_BLOCK = 1 << 22

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Alike:
    """Two operations of different splits with pictures that look alike.

    Attributes:
        surgeries: the two operations, by split.
        splits: their splits.
        pairs: how many pairs of their pictures are alike.
        keys: the samples of the pair that is most alike.
        bits: in how many bits of 256 these differ.
    """

    surgeries: tuple[str, str]
    splits: tuple[str, str]
    pairs: int
    keys: tuple[str, str]
    bits: int


@dataclass(frozen=True, slots=True)
class NearReport:
    """What was looked at and what was found.

    Attributes:
        pictures: how many were compared.
        plain: how many were not, since they show nothing (black, white, one colour).
        alike: pairs of operations, those with the most pictures first.
    """

    pictures: int
    plain: int
    alike: tuple[Alike, ...]


@dataclass(frozen=True)
class _Hashed:
    keys: list[str]
    words: Words
    plain: int


def near_duplicates(out: Path, *, workers: int = 1, progress: Callable[[int], None] | None = None) -> NearReport:
    """Look for pictures of different splits that look alike.

    About 110 bytes are held for each picture.

    Args:
        out: a finished data set whose pictures are stored.
        workers: processes; the report does not depend on their number.
        progress: called with the number of shards that are newly done.

    Raises:
        CotgenError: there is no such data set, a shard cannot be read, or no pictures are stored.
    """
    shards = [shard for shard in load(out).shards if SHARD_FILE.fullmatch(shard.file)]
    keys: list[str] = []
    words: list[Words] = []
    splits: list[npt.NDArray[np.int64]] = []
    plain = 0
    for shard, found in zip(shards, in_processes(_hash_shard, out, shards, workers), strict=True):
        if isinstance(found, str):
            raise CotgenError(f"{out / shard.file}: {found}")
        keys += found.keys
        words.append(found.words)
        splits.append(np.full(len(found.keys), SPLITS.index(shard.split)))
        plain += found.plain
        if progress:
            progress(1)
    if not keys and not plain:
        raise CotgenError(f"{out} stores no pictures to compare; build it with --frames embed")
    owners = [canonical("/".join(key.rsplit("-", 1)[0].split("-", 1))) for key in keys]
    rows = np.concatenate(words) if words else np.empty((0, 5), np.uint64)
    where = np.concatenate(splits) if splits else np.empty(0, np.int64)
    counts: Counter[tuple[str, str, str, str]] = Counter()
    closest: dict[tuple[str, str, str, str], tuple[int, str, str]] = {}
    for one, other, bits in _pairs(rows, where):
        for i, j, differ in zip(one.tolist(), other.tolist(), bits.tolist(), strict=True):
            between = (owners[i], owners[j], SPLITS[where[i]], SPLITS[where[j]])
            pair = (differ, keys[i], keys[j])
            counts[between] += 1
            closest[between] = min(closest.get(between, pair), pair)
    alike = [
        Alike((a, b), (first, second), counts[a, b, first, second], (key, other_key), differ)
        for (a, b, first, second), (differ, key, other_key) in closest.items()
    ]
    return NearReport(len(keys), plain, tuple(sorted(alike, key=lambda item: (-item.pairs, item.keys))))


def hash_picture(jpg: bytes) -> Words | None:
    """The perceptual hash of a picture: five words, the first for 64 bits, the others for 256.

    Bits are signs of the low frequencies of the gray picture (discrete cosine transform) against their median, in
    integers, so that they are the same on every machine. None where the picture is plain.

    Raises:
        CotgenError: it cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(jpg), formats=["JPEG"]) as picture:
            picture.draft("L", (4 * _SIDE, 4 * _SIDE))
            gray = picture.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    except Exception as error:
        # Pillow raises many kinds on damaged files; each of them means the same here.
        raise CotgenError(f"a picture cannot be decoded ({type(error).__name__}: {error})") from error
    values = np.asarray(gray, np.int64)
    if values.std() < PLAIN_BELOW:
        return None
    waves = _COSINES @ values @ _COSINES.T
    return np.concatenate([_words(waves[:8, :8]), _words(waves)])


def _words(waves: npt.NDArray[np.int64]) -> Words:
    # The first is the mean of the picture, which says nothing of what it shows.
    flat = waves.ravel()[1:]
    bits = np.append(flat > np.median(flat), False)
    return np.packbits(bits).view(np.uint64)


def _cosines() -> npt.NDArray[np.int64]:
    place = np.arange(_SIDE)
    angles = np.pi * (2 * place[None, :] + 1) * np.arange(16)[:, None] / (2 * _SIDE)
    return np.asarray(np.rint(np.cos(angles) * 1024), np.int64)


_COSINES = _cosines()


def _hash_shard(out: Path, shard: Shard) -> _Hashed | str:
    """The hashes of one shard, or what is wrong with it."""
    keys: list[str] = []
    words: list[Words] = []
    plain = 0
    try:
        for item in read_shard(out / shard.file):
            if not item.jpg:
                continue
            found = hash_picture(item.jpg)
            if found is None:
                plain += 1
                continue
            keys.append(item.key)
            words.append(found)
    except OSError as error:
        return f"cannot be read ({error.strerror}); copy the data set again"
    except CotgenError as error:
        return f"{error}; run `cotgen verify` without --near-duplicates to see all that is wrong"
    return _Hashed(keys, np.array(words, np.uint64).reshape(-1, 5), plain)


def _pairs(
    rows: Words, splits: npt.NDArray[np.int64]
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """(rows of one split, rows of a later one, differing bits of 256) of all pairs that are alike, each pair once."""
    # Bits are dealt to the bands in turn: the lowest frequencies, in which most pictures agree, do not fill one band.
    masks = [np.uint64(sum(1 << bit for bit in range(band, 64, _BANDS))) for band in range(_BANDS)]
    coarse = rows[:, 0]
    for band, mask in enumerate(masks):
        order = np.lexsort((splits, coarse & mask))
        starts = np.flatnonzero(np.diff(coarse[order] & mask, prepend=~coarse[order[:1]])) if len(order) else order
        for bucket in np.split(order, starts[1:]):
            own = [bucket[splits[bucket] == split] for split in range(len(SPLITS))]
            for left, right in combinations([rows_of for rows_of in own if len(rows_of)], 2):
                step = max(1, _BLOCK // len(right))
                for at in range(0, len(left), step):
                    part = left[at : at + step]
                    differ = coarse[part][:, None] ^ coarse[right][None, :]
                    near = np.bitwise_count(differ) <= MOST_BITS
                    for earlier in masks[:band]:  # a pair that an earlier band has shown is not shown again
                        near &= (differ & earlier) != 0
                    one, other = (index[place] for index, place in zip((part, right), near.nonzero(), strict=True))
                    bits = np.bitwise_count(rows[one, 1:] ^ rows[other, 1:]).sum(axis=1, dtype=np.int64)
                    keep = bits <= MOST_FINE_BITS
                    if keep.any():
                        yield one[keep], other[keep], bits[keep]
