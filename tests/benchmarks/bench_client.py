"""Asking a model: saturation of a stub of 32 slots at 400 ms, and CPU for each request.

The stub is a process of its own. Each request carries a picture of about 60 kB (854 x 480, made for the model once a
frame, six requests a frame), a prompt of 6 kB and a schema; each reply is checked for its form and committed to the
cache. CPU is user and system time of this process with all of its threads, from the first request to the last reply.
"""

import hashlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cotgen.frames.encode import encode
from cotgen.models.cache import ReplyCache, cache_key
from cotgen.models.endpoint import Endpoint
from cotgen.models.images import ImageMaker
from cotgen.models.request import Reply, Request
from cotgen.models.thread import ClientThread

SLOTS, SERVICE_MS = 32, 400
REQUESTS, A_FRAME = 4800, 6
SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


def frame(number: int) -> bytes:
    """A textured picture of about 60 kB as JPEG, another for each number."""
    rng = np.random.default_rng(number)
    small = Image.fromarray(rng.integers(0, 256, (60, 106, 3), dtype=np.uint8))
    smooth = np.asarray(small.resize((854, 480), Image.Resampling.BICUBIC)).astype(np.int16)
    noise = rng.integers(-4, 5, smooth.shape, dtype=np.int16)
    return encode(np.clip(smooth + noise, 0, 255).astype(np.uint8))


def requests(frames: list[bytes], maker: ImageMaker) -> Iterator[Request]:
    for number in range(REQUESTS):
        at = number // A_FRAME
        stored = frames[at % len(frames)]
        # Frames repeat after a while, their names do not: each is made anew, as in a build.
        pixels = hashlib.sha256(f"{at}".encode()).hexdigest()
        image = maker.image(pixels, lambda stored=stored: stored)  # type: ignore[misc]
        turns = (("system", "Rules. " * 600), ("user", f"Facts and question {number}. " * 80))
        parts = {"pixels": pixels, "size": image.size, "turns": turns, "seed": number}
        yield Request(cache_key(parts), turns, image.url, SCHEMA, number)  # type: ignore[arg-type]


def fits(request: Request, parsed: Any) -> str:
    return "" if isinstance(parsed, dict) and isinstance(parsed.get("text"), str) else "there is no text in it"


def run() -> str:
    command = [sys.executable, "-m", "cotgen.models.stub", "--slots", str(SLOTS), "--service-ms", str(SERVICE_MS)]
    stub = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert stub.stdout
    frames = [frame(number) for number in range(40)]
    maker = ImageMaker()
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            ReplyCache(Path(folder) / "replies.sqlite") as cache,
            ClientThread(Endpoint(stub.stdout.readline().strip(), "stub"), cache, fits) as teacher,
        ):
            cpu, start, ends = time.process_time(), time.perf_counter(), []
            for outcome in teacher.outcomes(requests(frames, maker)):
                assert isinstance(outcome, Reply)
                ends.append(time.perf_counter() - start)
            cpu = time.process_time() - cpu
            cap, kept, size = teacher.client.limit.cap, len(cache), cache.size_bytes
            again = time.process_time()
            assert all(o.cached for o in teacher.outcomes(requests(frames, maker)) if isinstance(o, Reply))
            again = time.process_time() - again
    finally:
        stub.terminate()
        stub.wait()
    best = SLOTS * 1000 / SERVICE_MS
    # The first seconds find the cap; what a long build sees is the rest.
    late = (len(ends) - 800) / (ends[-1] - ends[799])
    rows = [
        ("requests a second, all", f"{len(ends) / ends[-1]:.1f} ({len(ends) / ends[-1] / best:.1%} of {best:.0f})"),
        ("requests a second, after the first 800", f"{late:.1f} ({late / best:.1%})"),
        ("client CPU a request", f"{cpu / REQUESTS * 1000:.2f} ms"),
        ("client CPU a request from the cache, pictures made too", f"{again / REQUESTS * 1000:.2f} ms"),
        ("cap found", f"{cap}"),
        ("pictures made", f"{maker.made} for 2 x {REQUESTS} requests, {sum(map(len, frames)) / 40_000:.1f} kB stored"),
        ("cache", f"{kept} replies, {size / 1e6:.1f} MB"),
    ]
    return "\n".join(["| what | measured |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])
