"""Chains, checks and packing without decoding: pairs a second on one core."""

import tempfile
import time
from pathlib import Path

from cotgen.chains.write import write_surgery
from cotgen.records import Frame, Sample, Scene
from cotgen.shards.pack import Entry, pack
from cotgen.surgeries.priors import count_priors
from cotgen.tasks import TASKS
from tests.chains.conftest import as_facts, make_surgery

ROUNDS = 3


def sample_of(scene: Scene, pairs: list) -> Sample:  # type: ignore[type-arg]
    frame = Frame(
        index=scene.index, fps="25/1", time_s=scene.index / 25, width=0, height=0, source="cholec80", file="",
        native_index=scene.index, crop=[], pixels="", sha256="",
    )  # fmt: skip
    return Sample(
        key=scene.key, surgery=scene.surgery, split="train", sources=["cholec80"], frame=frame,
        labelled=sorted(scene.labelled), facts=list(scene.facts), measured=list(scene.measured), pairs=pairs,
    )  # fmt: skip


def once(surgeries: list[list[Scene]]) -> dict[str, float]:
    """CPU seconds of each step over all surgeries, and the number of pairs."""
    priors = count_priors((as_facts(scenes) for scenes in surgeries), "clean/1")
    start = time.process_time()
    written = [write_surgery(scenes, tasks=list(TASKS), seed=0, priors=priors) for scenes in surgeries]
    chains = time.process_time()
    blobs = [
        sample_of(scene, pairs).to_json()
        for scenes, result in zip(surgeries, written, strict=True)
        for scene, pairs in zip(scenes, result.pairs, strict=True)
        if pairs
    ]
    keys = [Sample.from_json(blob).key for blob in blobs]
    records = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        entries = [
            Entry(key, "train", 0, len(blob), (0, n)) for n, (key, blob) in enumerate(zip(keys, blobs, strict=True))
        ]
        out = Path(folder) / "out"
        out.mkdir()
        pack(
            out,
            entries,
            lambda entry: (blobs[entry.where[1]], b""),
            seed=0,
            shards=2,
            receipts=Path(folder) / "receipts",
            fingerprint="x",
        )
    end = time.process_time()
    pairs = sum(len(found) for result in written for found in result.pairs)
    return {
        "pairs": pairs,
        "chains": chains - start,
        "records": records - chains,
        "pack": end - records,
        "all": end - start,
    }


def run() -> str:
    surgeries = [make_surgery(number) for number in (1, 2, 4, 5, 13, 15)]
    once(surgeries[:1])
    best = min((once(surgeries) for _ in range(ROUNDS)), key=lambda result: result["all"])
    rows = [
        f"| {name} | {best[name]:.2f} | {best['pairs'] / best[name]:,.0f} |"
        for name in ("chains", "records", "pack", "all")
    ]
    return "\n".join([
        f"{best['pairs']:,.0f} pairs of {len(surgeries)} surgeries, best of {ROUNDS} rounds, one process.",
        "", "| step | CPU s | pairs a second |", "|---|---|---|", *rows,
    ])  # fmt: skip
