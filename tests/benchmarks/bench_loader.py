"""Loader: rows a second beside JPEG decoding alone, and what going on in the middle of an epoch costs.

A look-alike build (frames of 854x480), one process, its train split. Decoding alone turns the same pictures in the same
order, held in memory, to RGB and keeps a batch of them. The loader finds, seeks, reads, checks, renders and decodes
them; the stream hands them through `datasets` with declared types. With `cotgen[train]` the image processor of Qwen-VL
follows on both sides, at the pixel budget of the recipes' configurations, as in training. Rounds take turns, in CPU
seconds of the process, since others use this machine. Going on: opening the data set, putting it to batch n and the
first batch of 8 rows.
"""

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from cotgen.training.adapters import sft_stream
from cotgen.training.loader import Loader
from cotgen.training.selection import Selection
from cotgen.training.views import picture

ROUNDS = 5
BATCH = 8
#: Of `recipes/configs/stage1/qwen3_vl_8b.yaml`.
MIN_PIXELS, MAX_PIXELS = 65_536, 1_310_720
#: Rows that go through the processor, which takes most of the time.
PROCESSED = 800


def built(folder: Path) -> Path:
    """A look-alike of Cholec80, built."""
    cotgen = [sys.executable, "-m", "cotgen"]
    data, out = folder / "demo", folder / "build"
    quiet = {"check": True, "stdout": subprocess.DEVNULL}
    subprocess.run([*cotgen, "demo", str(data)], **quiet)  # type: ignore[call-overload]
    subprocess.run(
        [*cotgen, "build", "--source", "cholec80", "--root", str(data), "--out", str(out)],
        **quiet,  # type: ignore[call-overload]
    )
    return out


def opened(data: Path) -> Loader:
    return Loader([data], Selection(view="cot", asserted=True), batch_size=BATCH, epochs=1)


def cpu(act: Callable[[], object]) -> float:
    start = time.process_time()
    act()
    return time.process_time() - start


def decoded(jpegs: list[bytes]) -> Iterator[object]:
    return (picture(jpeg, "") for jpeg in jpegs)


def all_of(rows: Iterator[object]) -> None:
    """Take all, holding the last batch, as a trainer does: memory that is freed at once would be used again."""
    deque(rows, maxlen=BATCH)


def processor() -> Callable[[object], object] | None:
    """Picture -> patches; None without `cotgen[train]`."""
    if importlib.util.find_spec("transformers") is None:
        return None
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    images = Qwen2VLImageProcessorPil(min_pixels=MIN_PIXELS, max_pixels=MAX_PIXELS, patch_size=16)
    return lambda image: images(images=[image])


def first_batch(data: Path, batches: int) -> None:
    loader = opened(data)
    loader.resume(loader.state(batches))
    all_of(islice(loader, BATCH))


def measure(data: Path) -> str:
    loader = opened(data)
    rows = loader.rows or 0
    jpegs = [loader.encoded_row(int(pair))["images"][0] for pair in loader.order.slice(0, rows)]
    acts: dict[str, Callable[[], object]] = {
        "JPEG decoding alone": lambda: all_of(decoded(jpegs)),
        "loader": lambda: all_of(iter(opened(data))),
        "loader through datasets": lambda: all_of(iter(sft_stream(opened(data)))),
    }
    compared = dict.fromkeys(acts, "JPEG decoding alone")
    if process := processor():
        few = jpegs[:PROCESSED]
        with_processor: dict[str, Callable[[], object]] = {
            "JPEG decoding and processor": lambda: all_of(process(image) for image in decoded(few)),
            "loader and processor": lambda: all_of(
                process(row["images"][0]) for row in islice(opened(data), PROCESSED)
            ),
        }
        acts |= with_processor
        compared |= dict.fromkeys(with_processor, "JPEG decoding and processor")
    taken: dict[str, list[float]] = {name: [] for name in acts}
    going_on: dict[int, list[float]] = {0: [], loader.batches() // 2: []}
    for _ in range(ROUNDS):
        for name, act in acts.items():
            taken[name].append(cpu(act))
        for batches, seconds in going_on.items():
            seconds.append(cpu(lambda done=batches: first_batch(data, done)))  # type: ignore[misc]
    medians = {name: statistics.median(seconds) for name, seconds in taken.items()}
    epoch = medians["loader"]
    lines = ["| one process | rows a CPU second | of the same without the loader |", "|---|---:|---:|"]
    for name, median in medians.items():
        number = min(rows, PROCESSED) if "processor" in name else rows
        lines.append(f"| {name} | {number / median:,.0f} | {medians[compared[name]] / median:.1%} |")
    lines.append("")
    for batches, seconds in going_on.items():
        median = statistics.median(seconds)
        lines.append(f"Opening, batch {batches:,} and its rows: {median:.3f} s, {median / epoch:.2%} of an epoch.")
    size = sum(map(len, jpegs)) / len(jpegs) / 1000
    lines.append(f"{rows:,} rows, {size:.0f} kB a picture, {ROUNDS} rounds on {os.cpu_count()} cores.")
    return "\n".join(lines)


def run() -> str:
    with tempfile.TemporaryDirectory() as folder:
        return measure(built(Path(folder)))
