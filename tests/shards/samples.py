"""Small data sets made of real records: scenes with facts, chains by the template writer, pictures by the encoder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cotgen.chains.write import write_surgery
from cotgen.draws import draw
from cotgen.frames.encode import encode, pixels_sha256
from cotgen.frames.measure import measure
from cotgen.ontology import vocabulary
from cotgen.records import Fact, Frame, Manifest, Sample, Scene, SourceTerms, sample_key
from cotgen.shards.manifest import seal
from cotgen.shards.pack import Entry, PackResult, pack
from cotgen.surgeries.splits import SplitPlan
from cotgen.tasks import TASKS

#: Two surgeries of train, one of validation and one of test by clean/1.
SURGERIES = ("cholec80/01", "cholec80/02", "cholec80/08", "cholec80/73")
SIZE = (48, 36)
TERMS = SourceTerms(
    name="cholec80",
    title="Cholec80",
    licence="CC BY-NC-SA 4.0",
    homepage="https://example.org/cholec80",
    citation="Twinanda et al., EndoNet, 2017",
    share_frames=True,
    share_text=True,
)


@dataclass
class Made:
    """Samples with their pictures, and how a packer reads them."""

    samples: list[Sample]
    pictures: dict[str, bytes]

    def entries(self) -> list[Entry]:
        return [
            Entry(s.key, s.split, len(self.pictures[s.key]), len(s.to_json()), (0, i))
            for i, s in enumerate(self.samples)
        ]

    def read(self, entry: Entry) -> tuple[bytes, bytes]:
        return self.samples[entry.where[1]].to_json(), self.pictures[entry.key]


def scene_of(surgery: str, second: int) -> tuple[Scene, bytes, str]:
    """One labelled second: some instruments, a phase, and a picture whose colour is its own."""
    key = sample_key(surgery, 25 * second)
    instruments = [t.id for t in vocabulary("cholec80", "instrument") if draw(0, key, t.id) % 4 == 0]
    phases = [t.id for t in vocabulary("cholec80", "phase")]
    named = [("phase", phases[draw(0, key, "phase") % len(phases)]), *(("instrument", name) for name in instruments)]
    numbers = {"phase": 0, "instrument": 0}
    facts = []
    for kind, name in named:
        facts.append(Fact(id=f"cholec80.{kind}.{numbers[kind]}", kind=kind, terms=[name], source="cholec80"))
        numbers[kind] += 1
    rgb = np.full((SIZE[1], SIZE[0], 3), [60 + draw(0, key, c) % 120 for c in "rgb"], np.uint8)
    scene = Scene(
        key=key,
        surgery=surgery,
        index=25 * second,
        labelled=frozenset({"cholec80.phase", "cholec80.instrument"}),
        facts=tuple(facts),
        measured=tuple(measure(rgb)),
    )
    return scene, encode(rgb), pixels_sha256(rgb)


def make(
    surgeries: Sequence[str] = SURGERIES,
    seconds: int = 8,
    *,
    tasks: Sequence[str] = tuple(TASKS),
    frames: bool = True,
    seed: int = 0,
) -> Made:
    """Samples of a few surgeries, in time order."""
    plan = SplitPlan.parse(["clean/1"])
    samples, pictures = [], {}
    for surgery in surgeries:
        found = [scene_of(surgery, second) for second in range(seconds)]
        written = write_surgery([scene for scene, _, _ in found], tasks=tasks, seed=seed, priors=None)
        for (scene, jpg, pixels), pairs in zip(found, written.pairs, strict=True):
            if not pairs:
                continue
            frame = Frame(
                index=scene.index,
                fps="25/1",
                time_s=scene.index / 25,
                width=SIZE[0],
                height=SIZE[1],
                source="cholec80",
                file=f"videos/video{surgery.partition('/')[2]:0>2}.mp4",
                native_index=scene.index,
                crop=[0, 0, *SIZE],
                pixels=pixels,
                sha256=hashlib.sha256(jpg).hexdigest(),
            )
            split = plan.of(surgery)
            assert split is not None
            samples.append(
                Sample(
                    key=scene.key,
                    surgery=surgery,
                    split=split,
                    sources=["cholec80"],
                    frame=frame,
                    labelled=sorted(scene.labelled),
                    facts=list(scene.facts),
                    measured=list(scene.measured),
                    pairs=pairs,
                )
            )
            pictures[scene.key] = jpg if frames else b""
    return Made(samples, pictures)


def manifest_of(made: Made, packed: PackResult, fingerprint: str = "f" * 64) -> Manifest:
    splits: dict[str, list[str]] = {}
    for sample in made.samples:
        names = splits.setdefault(sample.split, [])
        if sample.surgery not in names:
            names.append(sample.surgery)
    return Manifest(
        kind="build",
        fingerprint=fingerprint,
        config={"seed": 0, "frames": "embed"},
        split_table="clean/1",
        splits={split: sorted(names) for split, names in splits.items()},
        shards=packed.shards,
        counts=packed.counts,
        sources=[TERMS],
        versions={"cotgen": "test"},
    )


def damage_a_record(folder: Path) -> str:
    """Exchange a digit of a hash in the first shard, so that its records are still of the schema. Returns its name."""
    shard = min((folder / "data").iterdir())
    data = bytearray(shard.read_bytes())
    at = data.find(b'"pixels":"') + len(b'"pixels":"')
    data[at] = ord("0") if data[at] != ord("0") else ord("1")
    shard.write_bytes(data)
    return f"data/{shard.name}"


def write_folder(made: Made, out: Path, *, shards: int | None = 2, seed: int = 0, fingerprint: str = "f" * 64) -> Path:
    """A sealed folder of these samples."""
    packed = pack(
        out,
        made.entries(),
        made.read,
        fingerprint=fingerprint,
        seed=seed,
        shards=shards,
        receipts=out.parent / f"{out.name}.receipts",
    )
    seal(out, manifest_of(made, packed, fingerprint))
    return out
