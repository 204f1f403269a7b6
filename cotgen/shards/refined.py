"""Refined: a shard set of chains that a model wrote for the train samples of other sets.

Pictures, facts, keys and pair ids are those of the parents; the chains are new, and a sample without one is left out. A
pair id says what is asked and comes once in a sample, since predictions, reviews and pass rates name pairs by it: a second
chain of one question is in a set of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson
import pydantic

import cotgen
from cotgen.chains.checks import case_of, check_pair
from cotgen.errors import CotgenError
from cotgen.records import LeftOut, Manifest, Pair, Sample, Scene, SourceTerms, canonical_json
from cotgen.shards.manifest import is_sealed, load_priors, seal
from cotgen.shards.pack import PACK_VERSION, Entry, pack
from cotgen.shards.stored import Place, StoredRecords
from cotgen.surgeries.identity import order_of
from cotgen.surgeries.priors import Priors

#: Goes up when the same chains make other records.
REFINED_VERSION = 1
_LISTED = 10


class Chains:
    """Chains in a file of lines, found by the key of their sample; memory holds a number for each.

    A line is a JSON object with `key`, `rank` (0 for the best chain of its question) and `pair`.

    Args:
        files: written whole, in the order in which their chains stand in a sample.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = list(files)
        self._places: dict[int, dict[str, list[tuple[int, int]]]] = {}
        for number, path in enumerate(self._files):
            with path.open("rb") as file:
                at = 0
                for line in file:
                    row = orjson.loads(line)
                    self._places.setdefault(row["rank"], {}).setdefault(row["key"], []).append((number, at))
                    at += len(line)

    @property
    def ranks(self) -> list[int]:
        """The ranks that have chains."""
        return sorted(self._places)

    def keys(self, rank: int) -> list[str]:
        """The samples that have chains of a rank."""
        return sorted(self._places.get(rank, {}))

    def of(self, rank: int, key: str) -> list[Pair]:
        """The chains of one sample, in the order of the files."""
        found = []
        for number, at in self._places.get(rank, {}).get(key, []):
            with self._files[number].open("rb") as file:
                file.seek(at)
                found.append(Pair.model_validate(orjson.loads(file.readline())["pair"]))
        return found

    @staticmethod
    def line(key: str, rank: int, pair: Pair) -> bytes:
        """One line of a file."""
        return canonical_json({"key": key, "rank": rank, "pair": pair.model_dump()}) + b"\n"

    def sha256(self) -> str:
        """sha256 over all of the files."""
        digest = hashlib.sha256()
        for path in self._files:
            digest.update(path.read_bytes())
        return digest.hexdigest()


def refine(
    parents: Sequence[Path],
    out: Path,
    chains: Chains,
    rank: int,
    *,
    config: Mapping[str, Any],
    counts: Mapping[str, Any],
    left_out: Sequence[LeftOut] = (),
    seed: int = 0,
    shards: int | None = None,
) -> Manifest:
    """Write the chains of one rank as a finished folder of kind `refined`.

    A call that was killed goes on when it is made again, and writes the same bytes.

    Args:
        parents: the finished folders that the prompts came from.
        out: a new folder, or one that this call left unfinished.
        chains: what was kept.
        rank: 0 for the best chain of each question.
        config: what the chains were made by: models, samples, options; no paths.
        counts: what was asked and what was refused.
        left_out: questions without a chain, by why.
        seed: of the order of the samples.
        shards: how many, or None for the power of two nearest to their bytes / 500 MB.

    Returns:
        The manifest.

    Raises:
        CotgenError: the parents do not go together, hold no such samples or are damaged; `out` is not free.
    """
    unfinished = out.parent / f".{out.name}.refined"
    if is_sealed(out):
        raise CotgenError(f"{out} holds a finished data set; give another folder, or remove it first")
    with ExitStack() as stack:
        stored = [stack.enter_context(StoredRecords(folder)) for folder in parents]
        manifests = [item.manifest for item in stored]
        priors = shared_priors(parents)
        if len({manifest.split_table for manifest in manifests}) != 1:
            raise CotgenError("the data sets use different split tables; build all with the same --split")
        source = _Source(stored, chains, rank, priors)
        if not source.entries:
            raise CotgenError("no chain was kept, so there is nothing to write")
        parts = [m.fingerprint for m in manifests]
        body = [
            "refined",
            REFINED_VERSION,
            PACK_VERSION,
            parts,
            chains.sha256(),
            rank,
            seed,
            shards,
            dict(config),
            dict(counts),
        ]
        fingerprint = hashlib.sha256(canonical_json(body)).hexdigest()
        packed = pack(
            out, source.entries, source.read, fingerprint=fingerprint, seed=seed, shards=shards, receipts=unfinished
        )
        surgeries = sorted(source.surgeries, key=order_of)
        manifest = Manifest(
            kind="refined",
            parents=parts,
            fingerprint=fingerprint,
            config={**config, "seed": seed, "shards": shards or 0, "parents": [m.config for m in manifests]},
            split_table=manifests[0].split_table,
            splits={"train": surgeries},
            shards=packed.shards,
            counts={**packed.counts, "refined": dict(counts)},
            left_out=[*left_out, *source.left_out()],
            sources=_sources(manifests),
            versions=_versions(manifests),
        )
    sealed = seal(out, manifest, priors)
    for path in unfinished.iterdir():
        path.unlink()
    unfinished.rmdir()
    return sealed


def shared_priors(folders: Sequence[Path]) -> Priors | None:
    """The statistics that all of these folders cite. Raises CotgenError where they cite different ones."""
    found = [load_priors(folder) for folder in folders]
    if any(item != found[0] for item in found):
        raise CotgenError(
            "the data sets cite different statistics of train surgeries, so a sentence that holds in one does not hold in "
            "another; count them once with `cotgen priors` and build all with that file, or refine each set alone"
        )
    return found[0]


class _Source:
    """The samples with chains, as a packer reads them."""

    def __init__(self, stored: Sequence[StoredRecords], chains: Chains, rank: int, priors: Priors | None) -> None:
        self._stored, self._chains, self._rank, self._priors = stored, chains, rank, priors
        self._places: dict[str, tuple[int, Place]] = {}
        self._dropped: dict[str, set[str]] = {}
        self.entries: list[Entry] = []
        self.surgeries: set[str] = set()
        wanted = set(chains.keys(rank))
        there: dict[str, list[tuple[int, Place]]] = {}
        for number, item in enumerate(stored):
            for place in item.places():
                if place.key in wanted and place.split == "train":
                    there.setdefault(place.key, []).append((number, place))
        #: Samples of several parents, whose pairs and facts may differ.
        self._several = {key for key, places in there.items() if len(places) > 1}
        self._places = {key: self._fullest(key, places) for key, places in there.items()}
        if lost := sorted(wanted - self._places.keys()):
            raise CotgenError(
                f"{len(lost)} samples with chains are no train samples of the data sets, e.g. {lost[0]}; name the data "
                "sets that were sampled from"
            )
        for key, (number, place) in self._places.items():
            json, picture = stored[number].record(place)
            sample = self._sample(key, json)
            if sample is not None:
                self.surgeries.add(sample.surgery)
                self.entries.append(Entry(key, "train", picture, len(sample.to_json()), (number, 0)))

    def _fullest(self, key: str, places: Sequence[tuple[int, Place]]) -> tuple[int, Place]:
        """The first of the parents that ask most of the questions that have chains: a refined parent asks few."""
        if len(places) == 1:
            return places[0]
        answered = {pair.id for pair in self._chains.of(self._rank, key)}

        def asked(at: tuple[int, Place]) -> int:
            json, _ = self._stored[at[0]].record(at[1])
            return len(answered & {pair["id"] for pair in orjson.loads(json)["pairs"]})

        return max(places, key=asked)

    def read(self, entry: Entry) -> tuple[bytes, bytes]:
        """Record and picture for the pack."""
        number, place = self._places[entry.key]
        item = self._stored[number].read(place)
        sample = self._sample(entry.key, item.json)
        assert sample is not None
        return sample.to_json(), item.jpg

    def _sample(self, key: str, json: bytes) -> Sample | None:
        """The sample with its new chains; None where none of them can stand."""
        try:
            old = Sample.from_json(json)
        except pydantic.ValidationError as error:
            raise CotgenError(f"the record of '{key}' is damaged; run `cotgen verify`") from error
        order = {pair.id: number for number, pair in enumerate(old.pairs)}
        scene = Scene.of(old)
        pairs: list[Pair] = []
        said: set[str] = set()
        denied: set[str] = set()
        for pair in sorted(self._chains.of(self._rank, key), key=lambda pair: order.get(pair.id, len(order))):
            case = case_of(pair, scene, self._priors)
            if pair.id not in order:
                several = "its question is asked in another data set of this frame; merge them first"
                self._drop(several if key in self._several else "its question is no longer asked", f"{key}#{pair.id}")
            elif key in self._several and any(f.severity == "hard" for f in check_pair(pair, scene, self._priors)):
                self._drop("the data sets label its frame differently; merge them first", f"{key}#{pair.id}")
            elif case.shown(1) & denied or case.denied(1) & said:
                self._drop("it contradicts another chain of its frame", f"{key}#{pair.id}")
            else:
                pairs.append(pair)
                said |= case.shown(1)
                denied |= case.denied(1)
        return old.model_copy(update={"pairs": pairs}) if pairs else None

    def _drop(self, reason: str, name: str) -> None:
        self._dropped.setdefault(reason, set()).add(name)

    def left_out(self) -> list[LeftOut]:
        """Chains that were kept and cannot stand here."""
        return [
            LeftOut(what="pair", reason=reason, count=len(names), examples=sorted(names)[:_LISTED])
            for reason, names in sorted(self._dropped.items())
        ]


def _versions(manifests: Sequence[Manifest]) -> dict[str, str]:
    """What made the pictures and facts of the parents, and this; values that differ are joined by "; "."""
    names = sorted({name for manifest in manifests for name in manifest.versions} - {"chains", "blind"})
    found = {
        name: "; ".join(dict.fromkeys(m.versions[name] for m in manifests if name in m.versions)) for name in names
    }
    return {**found, "cotgen": cotgen.__version__, "pack": str(PACK_VERSION), "refined": str(REFINED_VERSION)}


def _sources(manifests: Sequence[Manifest]) -> list[SourceTerms]:
    named: dict[str, SourceTerms] = {}
    for manifest in manifests:
        for source in manifest.sources:
            if named.setdefault(source.name, source) != source:
                raise CotgenError(f"the data sets state different terms for {source.name}; build the older one again")
    return [named[name] for name in sorted(named)]
