"""Export for trainers: speed beside a plain copy of the shards and beside unpacking them, and memory, by format.

2,400 frames of four surgeries with the chains of the template writer in a shard a split, pictures of 854x480 at
quality 90, each different. The shards are copied as they are; unpacked with tar, a file a member, which is what any
folder with a file a picture costs; and exported. All take turns in each round, start with the shards in memory, end
when their bytes are on the disk, and write to a folder of their own that is removed after the last round: new files
were seen to be made many times more slowly where as many had just been removed. CPU is user and system time, which
says more than the clock on a machine that does other things. Memory is the peak of a process of its own, for a
twentieth of the frames and for all.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cotgen.chains.boxes import BoxFormat
from cotgen.frames.encode import encode
from cotgen.inspect.export import Wanted, export
from cotgen.inspect.export_rows import LAYOUTS
from tests.benchmarks.bench_frames import scene
from tests.shards.samples import Made, make, write_folder

ROUNDS = 3
PICTURES = 40
PEAK = """
import resource, sys
from pathlib import Path
from cotgen.chains.boxes import BoxFormat
from cotgen.inspect.export import Wanted, export
from cotgen.inspect.export_rows import LAYOUTS
layout = LAYOUTS[sys.argv[3]]
export(Path(sys.argv[1]), Path(sys.argv[2]), Wanted(layout, "cot", BoxFormat(layout.boxes[0])))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def data_set(out: Path, seconds: int) -> Path:
    made = make(seconds=seconds)
    pictures = [encode(np.ascontiguousarray(rgb)) for rgb in scene(PICTURES)]
    keys = {sample.key: _own(pictures[n % PICTURES], n) for n, sample in enumerate(made.samples)}
    return write_folder(Made(made.samples, keys), out, shards=1)


def _own(jpeg: bytes, number: int) -> bytes:
    """The same picture with a number as a comment, so that its bytes are no other sample's."""
    return jpeg[:2] + b"\xff\xfe\x00\x06" + number.to_bytes(4, "big") + jpeg[2:]


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and seconds of CPU."""
    os.sync()
    start, before = time.perf_counter(), os.times()
    work()
    os.sync()
    return time.perf_counter() - start, sum(os.times()[:4]) - sum(before[:4])


def run() -> str:
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch)
        folder, small = data_set(base / "set", 600), data_set(base / "small", 30)
        shards = sorted((folder / "data").iterdir())
        size = sum(path.stat().st_size for path in shards)
        best: dict[str, tuple[float, float]] = {}

        def copy(out: Path) -> None:
            out.mkdir()
            for path in shards:
                shutil.copyfile(path, out / path.name)

        def unpack(out: Path) -> None:
            out.mkdir()
            for path in shards:
                subprocess.run(["tar", "-xf", str(path), "-C", str(out)], check=True)

        for turn in range(ROUNDS):
            works: dict[str, Callable[[Path], object]] = {"copy": copy, "unpack": unpack}
            for name, layout in LAYOUTS.items():
                wanted = Wanted(layout, "cot", BoxFormat(layout.boxes[0]))
                works[name] = lambda out, wanted=wanted: export(folder, out, wanted)  # type: ignore[misc]
            for name, work in works.items():
                out = base / f"{name}-{turn}"
                taken = timed(lambda work=work, out=out: work(out))  # type: ignore[misc]
                best[name] = min(best.get(name, taken), taken)
        for out in base.glob("*-[0-9]"):
            shutil.rmtree(out)
        lines = [
            f"{size / 1e6:,.0f} MB in {len(shards)} shards, {folder_pairs(folder):,} pairs.",
            "",
            "| | seconds | CPU, seconds | MB/s | speed of the copy | of unpacking | memory of 120 and 2,400 frames, MB |",
            "|---|---|---|---|---|---|---|",
        ]
        for name, (seconds, cpu) in best.items():
            peaks = "" if name not in LAYOUTS else " and ".join(str(peak(at, base, name)) for at in (small, folder))
            of = f"{best['copy'][0] / seconds:.2f} | {best['unpack'][0] / seconds:.2f}"
            lines.append(f"| {name} | {seconds:.2f} | {cpu:.2f} | {size / seconds / 1e6:,.0f} | {of} | {peaks} |")
    return "\n".join(lines)


def folder_pairs(folder: Path) -> int:
    from cotgen.shards.manifest import load

    return int(load(folder).counts["pairs"])


def peak(folder: Path, base: Path, name: str) -> int:
    out = base / f"{name}-{folder.name}-peak"
    call = [sys.executable, "-c", PEAK, str(folder), str(out), name]
    found = subprocess.run(call, capture_output=True, text=True, check=True)
    shutil.rmtree(out)
    return int(found.stdout)
