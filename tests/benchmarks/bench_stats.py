"""`cotgen stats` on 300,000 pairs of real label files: seconds, and the memory of all its processes."""

import os
import subprocess
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

import psutil

from cotgen.chains.write import write_surgery
from cotgen.records import Frame, Manifest, Sample, Split
from cotgen.shards.manifest import seal
from cotgen.shards.pack import Entry, pack
from cotgen.surgeries.splits import SplitPlan
from cotgen.tasks import TASKS
from tests.benchmarks.real_questions import SIZE, real_surgeries

PAIRS = 300_000


def write_folder(real: Path, out: Path, pairs: int = PAIRS) -> int:
    """A folder of that many pairs, without pictures or statistics of train surgeries; gives their number."""
    plan = SplitPlan.parse(["clean/1"])
    entries: list[Entry] = []
    places: list[tuple[int, int]] = []
    splits: dict[Split, set[str]] = {}
    made, numbers = 0, count()
    scratch = out.with_name("records")
    with scratch.open("w+b") as file:
        for found in real_surgeries(real):
            split = plan.of(found.surgery)
            if split is None:
                continue
            splits.setdefault(split, set()).add(found.surgery)
            written = write_surgery(found.scenes, tasks=list(TASKS), seed=0, priors=None)
            for scene, own in zip(found.scenes, written.pairs, strict=True):
                if not own:
                    continue
                frame = Frame(
                    index=scene.index, fps="25/1", time_s=scene.index / 25, width=SIZE[0], height=SIZE[1],
                    source=found.sources[0], file="", native_index=scene.index, crop=[], pixels="", sha256="",
                )  # fmt: skip
                sample = Sample(
                    key=scene.key, surgery=found.surgery, split=split, sources=list(found.sources), frame=frame,
                    labelled=sorted(scene.labelled), facts=list(scene.facts), measured=list(scene.measured), pairs=own,
                )  # fmt: skip
                json = sample.to_json()
                places.append((file.tell(), len(json)))
                file.write(json)
                entries.append(Entry(sample.key, split, 0, len(json), (0, next(numbers))))
                made += len(own)
            if made >= pairs:
                break

        def read(entry: Entry) -> tuple[bytes, bytes]:
            start, size = places[entry.where[1]]
            file.seek(start)
            return file.read(size), b""

        out.mkdir()
        receipts = out.with_name("receipts")
        packed = pack(out, entries, read, fingerprint="f" * 64, seed=0, shards=None, receipts=receipts)
    seal(
        out,
        Manifest(
            kind="build",
            fingerprint="f" * 64,
            config={"seed": 0, "frames": "none"},
            split_table="clean/1",
            splits={split: sorted(names) for split, names in splits.items()},
            shards=packed.shards,
            counts=packed.counts,
            versions={"cotgen": "benchmark"},
        ),
    )
    return made


def measured(*arguments: str) -> tuple[float, float]:
    """Seconds of a command, and the peak of the resident memory of all its processes in megabytes."""
    start, peak = time.perf_counter(), 0
    process = subprocess.Popen([sys.executable, "-m", "cotgen", *arguments], stdout=subprocess.DEVNULL)
    while process.poll() is None:
        try:
            family = psutil.Process(process.pid)
            peak = max(peak, sum(p.memory_info().rss for p in [family, *family.children(recursive=True)]))
        except psutil.Error:
            # One of them ended between being listed and being read.
            continue
        time.sleep(0.05)
    assert process.returncode == 0
    return time.perf_counter() - start, peak / 1e6


def run() -> str:
    real = os.environ.get("COTGEN_REAL_DATA", "")
    if not real:
        return "COTGEN_REAL_DATA is not set."
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "out"
        pairs = write_folder(Path(real), out)
        rows = {
            "cotgen stats DIR": measured("stats", str(out)),
            "cotgen stats DIR --html FILE": measured("stats", str(out), "--html", f"{scratch}/report.html"),
        }
    lines = [f"{pairs:,} pairs.", "", "| command | seconds | MB, all processes |", "|---|---:|---:|"]
    return "\n".join(lines + [f"| `{name}` | {took:.1f} | {peak:,.0f} |" for name, (took, peak) in rows.items()])
