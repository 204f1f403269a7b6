"""Merging two data sets: how one grows from v1.0 to v1.1.

A key that both hold becomes one sample with the pairs of both. That needs the same frame and the same facts on both
sides, and the same pair where both ask the same; everything else is a conflict, and conflicts are listed, not resolved.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pydantic

import cotgen
from cotgen.errors import CotgenError
from cotgen.records import SPLITS, LeftOut, Manifest, Sample, SourceTerms, Split, canonical_json
from cotgen.shards.manifest import PRIORS, is_sealed, load_priors, seal
from cotgen.shards.pack import Entry, pack
from cotgen.shards.stored import Place, StoredRecords
from cotgen.shards.whole import whole
from cotgen.surgeries.identity import order_of
from cotgen.surgeries.priors import Priors

_LISTED = 10


def merge(
    a: Path,
    b: Path,
    out: Path,
    *,
    seed: int = 0,
    shards: int | None = None,
    count: Callable[[Path], Mapping[str, Any]] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Manifest:
    """Write the union of two finished folders to a third.

    The pairs of a sample that both hold are those of `a`, then those that only `b` has. A merge that was interrupted
    goes on when the same command is run again.

    Args:
        a: a finished folder.
        b: a finished folder.
        out: a new or empty folder.
        seed: of the order of the samples.
        shards: number per split, or None for the power of two nearest to its bytes / 500 MB.
        count: gives more counts of the union, from its index and shards, for the manifest.
        progress: called with the number of samples that are newly in place.

    Returns:
        The manifest of the new folder; its kind is `merged`. What only a build can count (what a teacher was asked,
        what a balance left out) stands in `counts.parents`, for each parent.

    Raises:
        CotgenError: the folders contradict one another (splits, priors, facts, pairs: listed), one of them is
            damaged, or `out` is not free.
    """
    unfinished = out.parent / f".{out.name}.merge"
    _check_free(out, unfinished, (a, b))
    with StoredRecords(a) as left, StoredRecords(b) as right:
        _check_compatible(left, right)
        priors = _one_priors(left, right)
        # What is damaged would get new checksums here, and count as whole for ever.
        for folder in (a, b):
            whole(folder)
        union = _Union(left, right)
        parents = [left.manifest.fingerprint, right.manifest.fingerprint]
        fingerprint = hashlib.sha256(canonical_json(["merged", parents, seed, shards])).hexdigest()
        packed = pack(
            out,
            union.entries,
            union.read,
            fingerprint=fingerprint,
            seed=seed,
            shards=shards,
            receipts=unfinished,
            progress=progress,
        )
        manifest = Manifest(
            kind="merged",
            parents=parents,
            fingerprint=fingerprint,
            config={"seed": seed, "shards": shards or 0, "parents": [left.manifest.config, right.manifest.config]},
            split_table=left.manifest.split_table,
            splits=_splits(left.manifest, right.manifest),
            shards=packed.shards,
            counts={
                **packed.counts,
                **(count(out) if count else {}),
                "parents": [_told_of(item.manifest, packed.counts) for item in (left, right)],
            },
            left_out=_left_out(left.manifest, right.manifest),
            sources=_sources(left.manifest, right.manifest),
            versions=_versions(left.manifest, right.manifest),
        )
    sealed = seal(out, manifest, priors)
    shutil.rmtree(unfinished)
    return sealed


class _Union:
    """The samples of both folders as entries of a pack; records are read when they are needed."""

    def __init__(self, left: StoredRecords, right: StoredRecords) -> None:
        self._left = left
        self._right = right
        self._in_left = {place.key: place for place in left.places()}
        self._in_right = {place.key: place for place in right.places()}
        self.entries: list[Entry] = []
        conflicts: list[str] = []
        for key, place in self._in_left.items():
            json, picture = left.record(place)
            if other := self._in_right.get(key):
                united = _unite(json, right.record(other)[0])
                if isinstance(united, str):
                    conflicts.append(f"{key} ({united})")
                    continue
                json = united
            self._enter(place, len(json), picture)
        for key, place in self._in_right.items():
            if key not in self._in_left:
                json, picture = right.record(place)
                self._enter(place, len(json), picture)
        if conflicts:
            more = f" and {len(conflicts) - _LISTED} more" if len(conflicts) > _LISTED else ""
            raise CotgenError(
                f"{len(conflicts)} samples are in both folders and contradict one another: "
                f"{', '.join(conflicts[:_LISTED])}{more}. Build both with the same labels, options and version of "
                "cotgen, or leave these samples out of one with --exclude"
            )

    def _enter(self, place: Place, json_bytes: int, picture: int) -> None:
        self.entries.append(Entry(place.key, cast(Split, place.split), picture, json_bytes, (0, 0)))

    def read(self, entry: Entry) -> tuple[bytes, bytes]:
        """Record and picture for the pack."""
        here, there = self._in_left.get(entry.key), self._in_right.get(entry.key)
        if here is None:
            assert there is not None
            item = self._right.read(there)
            return item.json, item.jpg
        item = self._left.read(here)
        if there is None:
            return item.json, item.jpg
        united = _unite(item.json, self._right.record(there)[0])
        if isinstance(united, str):
            raise CotgenError(f"sample '{entry.key}' changed while it was merged ({united}); run the command again")
        return united, item.jpg


def _unite(left: bytes, right: bytes) -> bytes | str:
    """The record with the pairs of both, or why there is none."""
    if left == right:
        return left
    try:
        a, b = Sample.from_json(left), Sample.from_json(right)
    except pydantic.ValidationError:
        return "a record is damaged"
    for name in Sample.model_fields:
        if name != "pairs" and getattr(a, name) != getattr(b, name):
            return f"another {name}"
    mine = {pair.id: pair for pair in a.pairs}
    for pair in b.pairs:
        if pair.id in mine and mine[pair.id] != pair:
            return f"another {pair.id}"
    return a.model_copy(update={"pairs": [*a.pairs, *(pair for pair in b.pairs if pair.id not in mine)]}).to_json()


def check_outside(out: Path, parents: Iterable[Path]) -> None:
    """Raise a CotgenError where `out` is one of the folders to be merged, or in one."""
    for parent in parents:
        if out.resolve() == parent.resolve():
            raise CotgenError(f"{out} is one of the folders to be merged; give a new one as --out")
        if out.resolve().is_relative_to(parent.resolve()):
            raise CotgenError(
                f"{out} is in {parent}, one of the folders to be merged; give a new one outside as --out"
            )


def _check_free(out: Path, unfinished: Path, parents: Sequence[Path]) -> None:
    check_outside(out, parents)
    if is_sealed(out):
        raise CotgenError(f"{out} holds a finished data set; give a new folder as --out, or remove it first")
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not unfinished.is_dir())):
        raise CotgenError(f"{out} is not empty and no merge was begun there; give a new folder as --out")


def _check_compatible(left: StoredRecords, right: StoredRecords) -> None:
    a, b = left.manifest, right.manifest
    if a.split_table != b.split_table:
        raise CotgenError(
            f"{left.folder} uses the split table {a.split_table}, {right.folder} uses {b.split_table}; build both "
            "with the same --split, so that no operation is in two splits"
        )
    here = {surgery: split for split, names in a.splits.items() for surgery in names}
    there = {surgery: split for split, names in b.splits.items() for surgery in names}
    clashes = sorted(surgery for surgery in here.keys() & there.keys() if here[surgery] != there[surgery])
    if clashes:
        named = ", ".join(f"{name} ({here[name]}, {there[name]})" for name in clashes[:_LISTED])
        raise CotgenError(f"{len(clashes)} operations are in another split in each folder: {named}; build one again")
    whole = [bool(manifest.counts.get("images")) for manifest in (a, b)]
    if whole[0] != whole[1]:
        without = right.folder if whole[0] else left.folder
        raise CotgenError(f"{without} has no pictures and the other folder has; build both with the same --frames")


def _one_priors(left: StoredRecords, right: StoredRecords) -> Priors | None:
    a, b = load_priors(left.folder), load_priors(right.folder)
    if a == b:
        return a
    if a is None or b is None:
        with_, without = (left, right) if b is None else (right, left)
        raise CotgenError(
            f"{with_.folder} has statistics of train surgeries and {without.folder} has none, so a sentence or a degree "
            f"of support that holds in one does not hold in the other; build {without.folder} again with --replace "
            f"--priors {with_.folder / PRIORS}, or both with --replace --priors none, then merge them"
        )
    raise CotgenError(
        f"{left.folder} and {right.folder} cite different statistics; count them once with `cotgen priors` over the "
        "sources of both, and build both with that file"
    )


def _splits(a: Manifest, b: Manifest) -> dict[str, list[str]]:
    both = {split: {*a.splits.get(split, []), *b.splits.get(split, [])} for split in SPLITS}
    return {split: sorted(names, key=order_of) for split, names in both.items() if names}


def _told_of(parent: Manifest, counted: Mapping[str, Any]) -> dict[str, Any]:
    """What the manifest of a parent counts and that of the union cannot: neither the numbers of its index nor scores."""
    return {name: value for name, value in parent.counts.items() if name not in {*counted, "blind"}}


def _left_out(a: Manifest, b: Manifest) -> list[LeftOut]:
    """What either left out; equal entries of both are one."""
    return [*a.left_out, *(item for item in b.left_out if item not in a.left_out)]


def _sources(a: Manifest, b: Manifest) -> list[SourceTerms]:
    named = {source.name: source for source in a.sources}
    for source in b.sources:
        if named.setdefault(source.name, source) != source:
            raise CotgenError(f"the two folders state different terms for {source.name}; build the older one again")
    return [named[name] for name in sorted(named)]


def _versions(a: Manifest, b: Manifest) -> dict[str, str]:
    """Versions of both, those of this cotgen for the merge itself; two values are joined by "; "."""
    names = sorted(a.versions.keys() | b.versions.keys())
    found: dict[str, Any] = {
        name: "; ".join(dict.fromkeys(m.versions[name] for m in (a, b) if name in m.versions)) for name in names
    }
    return {**found, "merge": cotgen.__version__}
