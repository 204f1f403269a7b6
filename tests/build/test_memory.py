"""Memory: the whole family of processes stays under a limit, and ten times the surgeries take no more."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from cotgen.sources.demo import stand_in_video, write_annotations

LIMIT_MB = 700
#: Both sizes are measured on a busy machine; what grew with the surgeries would grow by far more.
SLACK_MB = 60


def write_download(root: Path, surgeries: int, seconds: int) -> None:
    """A look-alike of real labels, with one stand-in video under many names."""
    write_annotations(root, surgeries=surgeries, seconds=seconds)
    base = root / "cholec80"
    (base / "videos").mkdir()
    tools = sorted((base / "tool_annotations").iterdir())
    longest = max(len(path.read_text().splitlines()) for path in tools)
    film = base / "film.mp4"
    stand_in_video(film, longest)
    for path in tools:
        (base / "videos" / path.name.replace("-tool.txt", ".mp4")).hardlink_to(film)


def peak_mb(root: Path, out: Path) -> float:
    """Peak of the resident memory of a build with two workers, summed over its processes."""
    call = [sys.executable, "-m", "cotgen", "build", "--source", "cholec80", "--root", str(root), "--out", str(out)]
    process = subprocess.Popen([*call, "--workers", "2", "--quiet"])
    peak = 0
    while process.poll() is None:
        total = 0
        try:
            family = psutil.Process(process.pid)
            for member in [family, *family.children(recursive=True)]:
                total += member.memory_info().rss
        except psutil.Error:
            # One of them ended between being listed and being read.
            continue
        peak = max(peak, total)
        time.sleep(0.05)
    assert process.returncode == 0
    return peak / 1e6


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_surgeries(tmp_path: Path) -> None:
    peaks = {}
    for surgeries in (5, 50):
        write_download(tmp_path / f"data{surgeries}", surgeries, 120)
        peaks[surgeries] = peak_mb(tmp_path / f"data{surgeries}", tmp_path / f"out{surgeries}")
    print(f"peak of all processes: {peaks}")
    assert max(peaks.values()) < LIMIT_MB
    assert peaks[50] < peaks[5] + SLACK_MB
