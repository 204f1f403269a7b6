"""The same data set without its pictures: what may be published where frames may not.

The records stay as they are, with both hashes of every frame, so whoever has the videos can put the pictures back.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import cast

from cotgen.errors import CotgenError
from cotgen.records import Manifest, Split, canonical_json
from cotgen.shards.index import INDEX
from cotgen.shards.manifest import (
    CROISSANT,
    PICTURES,
    PREVIEW,
    PRIORS,
    README,
    SUMS,
    finish_card,
    is_sealed,
    load,
    load_priors,
    seal,
)
from cotgen.shards.pack import DATA, Entry, pack
from cotgen.shards.stored import StoredRecords
from cotgen.shards.whole import whole

#: What a folder may hold that an earlier call left unfinished.
_OURS = {DATA, INDEX, PRIORS, SUMS, README, CROISSANT, PREVIEW, PICTURES}
#: Goes up when the same folder gives other bytes.
STRIP_VERSION = 1


def without_pictures(folder: Path, out: Path) -> Manifest:
    """Write `folder` to `out` without pictures; does nothing where that is done, goes on where it was interrupted.

    Args:
        folder: a finished folder.
        out: a new folder, or the one that an earlier call wrote; anything of cotgen's in it is replaced.

    Returns:
        The manifest of `out`; its only parent is `folder`, its configuration says `frames: reference`.

    Raises:
        CotgenError: `folder` is not finished or is damaged, or `out` holds something else.
    """
    unfinished = out.parent / f".{out.name}.strip"
    with StoredRecords(folder) as stored:
        parent = stored.manifest
        made_of = [STRIP_VERSION, parent.fingerprint, [shard.sha256 for shard in parent.shards]]
        fingerprint = hashlib.sha256(canonical_json(["reference", *made_of])).hexdigest()
        finish_card(out)
        if is_sealed(out):
            found = load(out)
            if found.fingerprint == fingerprint:
                return found
            if found.config.get("frames") != "reference" or len(found.parents) != 1:
                raise CotgenError(f"{out} is another data set; move it away, the version without pictures goes there")
        elif out.exists() and not {path.name for path in out.iterdir()} <= _OURS:
            raise CotgenError(f"{out} is not empty; move it away, the version without pictures goes there")
        # A record that was damaged would get new checksums here, and count as whole for ever.
        whole(folder)
        places = list(stored.places())
        entries = [
            Entry(place.key, cast(Split, place.split), 0, len(stored.record(place)[0]), (number, 0))
            for number, place in enumerate(places)
        ]
        config = {**parent.config, "frames": "reference"}
        packed = pack(
            out,
            entries,
            lambda entry: (stored.record(places[entry.where[0]])[0], b""),
            fingerprint=fingerprint,
            seed=int(config.get("seed", 0)),
            shards=int(config.get("shards") or 0) or None,
            receipts=unfinished,
        )
    manifest = parent.model_copy(
        update={
            "parents": [parent.fingerprint],
            "fingerprint": fingerprint,
            "config": config,
            "shards": packed.shards,
            "counts": {**parent.counts, **packed.counts},
        }
    )
    sealed = seal(out, manifest, load_priors(folder))
    shutil.rmtree(unfinished)
    return sealed
