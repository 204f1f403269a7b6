"""Frame extraction: every 25th frame as JPEG, in CPU seconds.

The video is H.264, 854x480, 25 frames a second, 75 s, x264 veryfast with three B-frames: a moving picture with fine
texture and sensor noise, about as many bits as Cholec80. Each program takes the same 75 frames: ours stores them sealed,
with two hashes and the measured values of each frame; the others only write JPEG files. CPU is user and system time
of the process and its children. The programs take turns within each round; the table has the medians of all rounds.

ffmpeg's `-q:v 2` and OpenCV's quality 90 give about the bytes of ours. OpenCV runs twice: reading every frame with
`grab` and converting only the wanted ones is its fastest exact way.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cotgen.ffmpeg import ffmpeg_exe, write_video

WIDTH, HEIGHT, SECONDS, FPS, STEP = 854, 480, 75, 25, 25
ROUNDS = 7
OPTIONS = {"preset": "veryfast", "bf": 3, "crf": 23}

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
cv2.setNumThreads(int(sys.argv[4]))
video = cv2.VideoCapture(sys.argv[1], cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, int(sys.argv[4])])
for n in range(int(sys.argv[3])):
    assert video.grab()
    if n % 25 == 0:
        cv2.imwrite(f"{sys.argv[2]}/{n}.jpg", video.retrieve()[1], [cv2.IMWRITE_JPEG_QUALITY, 90])
"""


def scene(frames: int) -> Iterator[npt.NDArray[np.uint8]]:
    """A textured picture that drifts and turns slowly, with a moving bright bar and sensor noise."""
    rng = np.random.default_rng(5)
    small = rng.integers(40, 200, (HEIGHT // 8 + 40, WIDTH // 8 + 60, 3)).astype(np.uint8)
    large = np.kron(small, np.ones((8, 8, 1), np.uint8)).astype(np.int16)
    for _ in range(3):
        large = (large + np.roll(large, 3, 0) + np.roll(large, 3, 1) + np.roll(large, 5, 0)) // 4
    large += rng.integers(-14, 15, large.shape, dtype=np.int16)
    noise = [rng.integers(-3, 4, (HEIGHT, WIDTH, 1), dtype=np.int16) for _ in range(8)]
    for n in range(frames):
        y, x = int(120 + 110 * np.sin(n / 60)), int(180 + 170 * np.sin(n / 83))
        picture = large[y : y + HEIGHT, x : x + WIDTH] + noise[n * 5 % 8]
        bar = int(WIDTH / 2 + WIDTH / 3 * np.sin(n / 17))
        picture[150:330, bar : bar + 40] += 60
        yield np.clip(picture, 0, 255).astype(np.uint8)


def programs(video: Path, out: Path) -> dict[str, list[str]]:
    """Name -> command. Each writes the same frames below `out`."""
    frames = str(SECONDS * FPS)

    def ffmpeg(threads: int) -> list[str]:
        return [
            *(ffmpeg_exe(), "-y", "-nostdin", "-loglevel", "error", "-threads", str(threads), "-i", str(video)),
            *("-vf", f"select=not(mod(n\\,{STEP}))", "-fps_mode", "passthrough", "-threads", str(threads)),
            *("-q:v", "2", str(out / "%05d.jpg")),
        ]

    def python(code: str, *more: str) -> list[str]:
        return [sys.executable, "-c", code, str(video), str(out), frames, *more]

    found = {"cotgen": python(OURS), "ffmpeg, 1 thread": ffmpeg(1), "ffmpeg, 2 threads": ffmpeg(2)}
    try:
        import cv2  # noqa: F401
    except ImportError:
        return found
    return found | {"OpenCV, 1 thread": python(OPENCV, "1"), "OpenCV, 2 threads": python(OPENCV, "2")}


def timed(command: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of one command."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - start
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def same_rounds(commands: dict[str, list[str]], clear: Callable[[], int]) -> dict[str, list[tuple[float, float, int]]]:
    """Each program once per round, in turns: (CPU, wall, bytes written)."""
    results: dict[str, list[tuple[float, float, int]]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            cpu, wall = timed(command)
            results[name].append((cpu, wall, clear()))
    return results


def run() -> str:
    with tempfile.TemporaryDirectory() as folder:
        video, out = Path(folder) / "bench.mp4", Path(folder) / "out"
        out.mkdir()
        frames = SECONDS * FPS
        write_video(video, scene(frames), width=WIDTH, height=HEIGHT, options=OPTIONS)
        rate = video.stat().st_size * 8 / SECONDS / 1000

        def clear() -> int:
            files = list(out.iterdir())
            size = sum(file.stat().st_size for file in files)
            for file in files:
                file.unlink()
            return size

        results = same_rounds(programs(video, out), clear)
    lines = ["| program | CPU s | wall s | kB a frame |", "|---|---|---|---|"]
    median = {name: statistics.median(cpu for cpu, _, _ in rows) for name, rows in results.items()}
    for name, rows in results.items():
        wall = statistics.median(wall for _, wall, _ in rows)
        lines.append(f"| {name} | {median[name]:.2f} | {wall:.2f} | {rows[0][2] / 1000 / (frames // STEP):.1f} |")
    best = min(value for name, value in median.items() if name != "cotgen")
    ratios = [
        rows[0] / min(others)
        for rows, others in zip(
            results["cotgen"],
            zip(*([cpu for cpu, _, _ in results[name]] for name in results if name != "cotgen"), strict=True),
            strict=True,
        )
    ]
    lines.append("")
    lines.append(
        f"cotgen / best other: {median['cotgen'] / best:.2f} of the medians; by round {min(ratios):.2f} to "
        f"{max(ratios):.2f} ({ROUNDS} rounds, {os.cpu_count()} cores, video of {rate:.0f} kbit/s)."
    )
    return "\n".join(lines)
