"""Frame extraction: every 25th frame as JPEG, in CPU seconds.

Ten minutes of H.264, 854x480, 25 frames a second, B-frames (x264 veryfast, bf 3): a textured picture that drifts, with
something bright moving across and sensor noise, 75 s repeated without encoding it again. Where COTGEN_REAL_DATA is set,
one of its real clips too, repeated likewise. Each program takes the same frames at JPEG quality 90; ffmpeg's steps are
coarse, and `-q:v 2` is the one below it, in its favour. Ours stores them sealed with two hashes and the measured values
of each; the others only write files. CPU is user and system time of the process and its children, from its start, so
imports count. The programs take turns in each round, each with one decoding thread: with more, both others use more
CPU. OpenCV decodes all with `grab` and converts only what is wanted: its fastest exact way.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from cotgen.ffmpeg import ffmpeg_exe, write_video
from cotgen.frames.index import index_video

WIDTH, HEIGHT, STEP = 854, 480, 25
RENDERED, LENGTH = 75 * 25, 600 * 25
ROUNDS = 5

OURS = """
import sys
from pathlib import Path
from cotgen.frames.extract import extract
from cotgen.sources.base import Footage
video, out = Path(sys.argv[1]), Path(sys.argv[2])
report = extract(Footage("bench", video.parent, video=video.name), range(0, int(sys.argv[3]), 25), "embed", out / "s")
assert not report.missing
"""
OPENCV = """
import sys, cv2
cv2.setNumThreads(1)
video = cv2.VideoCapture(sys.argv[1], cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
for n in range(int(sys.argv[3])):
    assert video.grab()
    if n % 25 == 0:
        cv2.imwrite(f"{sys.argv[2]}/{n}.jpg", video.retrieve()[1], [cv2.IMWRITE_JPEG_QUALITY, 90])
"""


def texture(rng: np.random.Generator, cell: int) -> npt.NDArray[np.int16]:
    """Smooth random colours, `cell` pixels from one to the next, with room to move."""
    width, height = WIDTH // cell + 60, HEIGHT // cell + 60
    small = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    return np.asarray(small.resize((width * cell, height * cell), Image.Resampling.BICUBIC)).astype(np.int16)


def scene(frames: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Two layers of texture that drift apart, a bright bar, noise that differs from frame to frame."""
    rng = np.random.default_rng(5)
    coarse, fine = texture(rng, 48), texture(rng, 6)
    noise = rng.integers(-3, 4, (HEIGHT + 64, WIDTH + 64, 1), dtype=np.int16)

    def part(layer: npt.NDArray[np.int16], y: int, x: int) -> npt.NDArray[np.int16]:
        return layer[y : y + HEIGHT, x : x + WIDTH]

    for n in range(frames):
        picture = part(coarse, int(150 + 140 * np.sin(n / 60)), int(150 + 140 * np.sin(n / 83))) * 3 // 5 + 40
        picture = picture + part(fine, int(150 + 140 * np.sin(n / 37)), int(150 + 140 * np.cos(n / 53))) // 8
        picture = picture + part(noise, n * 37 % 64, n * 23 % 64)
        bar = int(WIDTH / 2 + WIDTH / 3 * np.sin(n / 17))
        picture[150:330, bar : bar + 40] += 60
        yield np.clip(picture, 0, 255).astype(np.uint8)


def repeat(source: Path, target: Path) -> Path:
    """The video again and again, up to about `LENGTH` frames, without encoding it."""
    times = LENGTH // index_video(source).frames
    command = [ffmpeg_exe(), "-nostdin", "-loglevel", "error", "-stream_loop", str(times - 1), "-i", str(source)]
    subprocess.run([*command, "-c", "copy", "-an", str(target)], check=True)
    return target


def videos(folder: Path) -> Iterator[tuple[str, Path]]:
    rendered = folder / "rendered.mp4"
    options = {"preset": "veryfast", "bf": 3, "crf": 23}
    write_video(rendered, scene(RENDERED), width=WIDTH, height=HEIGHT, options=options)
    yield "rendered", repeat(rendered, folder / "long.mp4")
    real = Path(os.environ.get("COTGEN_REAL_DATA", "")) / "cholect50-clips-cctpg"
    if real.is_dir() and os.environ.get("COTGEN_REAL_DATA"):
        yield "real clip", repeat(min(real.rglob("*.mp4")), folder / "real.mp4")


def programs(video: Path, out: Path, frames: int) -> dict[str, list[str]]:
    """Name -> command. Each writes the same frames below `out`."""
    ffmpeg = [
        *(ffmpeg_exe(), "-y", "-nostdin", "-loglevel", "error", "-threads", "1", "-i", str(video)),
        *("-vf", f"select=not(mod(n\\,{STEP}))", "-fps_mode", "passthrough", "-threads", "1"),
        *("-q:v", "2", str(out / "%05d.jpg")),
    ]

    def python(code: str) -> list[str]:
        return [sys.executable, "-c", code, str(video), str(out), str(frames)]

    return {"cotgen": python(OURS), "ffmpeg -vf select": ffmpeg, "OpenCV": python(OPENCV)}


def timed(command: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of one command."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - start
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def measured(video: Path, out: Path, frames: int) -> dict[str, list[tuple[float, float, float]]]:
    """Each program once in each round: CPU s, wall s, kB for each frame."""
    results: dict[str, list[tuple[float, float, float]]] = {}
    for _ in range(ROUNDS):
        for name, command in programs(video, out, frames).items():
            cpu, wall = timed(command)
            files = list(out.iterdir())
            size = sum(file.stat().st_size for file in files) / 1000 / len(range(0, frames, STEP))
            for file in files:
                file.unlink()
            results.setdefault(name, []).append((cpu, wall, size))
    return results


def run() -> str:
    lines = ["| video | program | CPU s | wall s | kB a frame | CPU, cotgen = 1 |", "|---|---|---|---|---|---|"]
    notes = []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        out.mkdir()
        for title, video in videos(Path(folder)):
            # A few frames short of the end: OpenCV stops where a repeated file has its last reordered frames.
            frames = index_video(video).frames - STEP
            results = measured(video, out, frames)
            median = {
                name: [statistics.median(column) for column in zip(*rows, strict=True)]
                for name, rows in results.items()
            }
            ours = median["cotgen"][0]
            for name, (cpu, wall, size) in median.items():
                lines.append(f"| {title} | {name} | {cpu:.2f} | {wall:.2f} | {size:.1f} | {cpu / ours:.2f} |")
            best = min(cpu for name, (cpu, _, _) in median.items() if name != "cotgen")
            rounds = [
                ours[0] / min(row[0] for row in others)
                for ours, *others in zip(
                    results["cotgen"], *(results[n] for n in results if n != "cotgen"), strict=True
                )
            ]
            rate = video.stat().st_size * 8 / (frames / 25) / 1e6
            notes.append(
                f"{title} ({frames} frames, {rate:.1f} Mbit/s): cotgen / best other = {ours / best:.2f} of the medians, "
                f"{min(rounds):.2f} to {max(rounds):.2f} by round."
            )
    return "\n".join([*lines, "", *notes, f"{ROUNDS} rounds on {os.cpu_count()} cores."])
