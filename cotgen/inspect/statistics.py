"""Numbers about a finished folder: from its index, which is streamed, and from the records in its shards.

Pictures are never read. Of more frames than `MOST_FRAMES` so many are drawn, by their keys alone; the record says how many
were read. Memory does not depend on the number of pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson
import polars as pl
import pydantic

from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.inspect.balance import balances, finding_counts, pair_counts
from cotgen.inspect.frames import FrameCounts
from cotgen.inspect.record import ReviewShare, Statistics
from cotgen.inspect.reviews import acceptance
from cotgen.inspect.variety import Variety
from cotgen.shards.index import INDEX, checked_index
from cotgen.shards.stored import StoredRecords

__all__ = ["MOST_FRAMES", "Statistics", "statistics"]

#: Frames that are read at most, about.
MOST_FRAMES = 200_000


def statistics(
    folder: Path,
    *,
    most: int = MOST_FRAMES,
    reviews: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Statistics:
    """Count what is in a folder.

    Args:
        folder: a finished data set, with or without pictures.
        most: frames that are read in the shards, about; of more, so many are drawn.
        reviews: the marks of reviewers; by default those beside the folder, where there are any.
        progress: called with the frames looked at and their number.

    Raises:
        CotgenError: the folder is not finished, or its index or a shard is damaged.
    """
    with StoredRecords(folder) as stored:
        index = checked_index(folder)
        samples = sum(shard.samples for shard in stored.manifest.shards)
        share = min(1.0, most / samples) if samples else 1.0
        limit = int(share * (1 << 64))
        frames, variety, pictures = FrameCounts(), None, 0
        try:
            variety = Variety(index, share)
            for done, place in enumerate(stored.places()):
                progress(done, samples)
                if draw(0, "statistics", place.key) >= limit:
                    continue
                json, picture = stored.record(place)
                record = orjson.loads(json)
                pictures += picture > 0
                frames.add(record)
                variety.add(record, json)
            pairs, balance = pair_counts(index), balances(index)
            findings, found = finding_counts(index)
            counted = dict(
                index.select("split", "shard", "offset").unique().group_by("split").len().collect().iter_rows()
            )
        except (OSError, pl.exceptions.PolarsError) as error:
            raise CotgenError(f"{folder / INDEX} cannot be read; run `cotgen verify {folder}`") from error
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, pydantic.ValidationError) as error:
            raise CotgenError(
                f"{folder} has a record that is damaged ({error}); run `cotgen verify {folder}`"
            ) from error
    manifest = stored.manifest
    return Statistics(
        fingerprint=manifest.fingerprint,
        build=manifest.kind,
        split_table=manifest.split_table,
        titles={source.name: source.title for source in manifest.sources},
        surgeries={split: len(names) for split, names in manifest.splits.items()},
        samples=counted,
        pictures=pictures,
        read=frames.read,
        pairs=pairs,
        balance=balance,
        ribbons=frames.ribbons(),
        together=frames.together(),
        triplets=frames.triplets(),
        boxes=frames.boxes(),
        lengths=frames.lengths(),
        bases=frames.bases(),
        diversity=variety.diversity(),
        findings=findings,
        found=found,
        disputed={kind: int(n) for kind, n in sorted(manifest.counts.get("disputed", {}).items())},
        agreement=frames.agreement(),
        reviews=_reviews(folder, reviews),
    )


def _reviews(folder: Path, file: Path | None) -> list[ReviewShare]:
    return [
        ReviewShare(
            basis=share.basis,
            writer=share.writer,
            right=share.right,
            wrong=share.wrong,
            unsure=share.unsure,
            low=round(share.interval[0], 6),
            high=round(share.interval[1], 6),
        )
        for share in acceptance(folder, file).shares
    ]
