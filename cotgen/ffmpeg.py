"""Writes video: finds the ffmpeg binary and drives it through ffmpeg-python.

The same frames and options give the same bytes with the same binary: one encoder thread, bit-exact flags, no creation
time and no encoder tag.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

import ffmpeg
import imageio_ffmpeg
import numpy as np
import numpy.typing as npt

from cotgen.errors import CotgenError

#: How many of ffmpeg's last lines an error shows.
_ERROR_LINES = 8


@lru_cache(maxsize=1)
def ffmpeg_exe() -> str:
    """The ffmpeg on the PATH, else the one that the wheel imageio-ffmpeg brings.

    Raises:
        CotgenError: there is neither.
    """
    found = shutil.which("ffmpeg")
    if found:
        return found
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise CotgenError(
            "There is no ffmpeg on the PATH and the package imageio-ffmpeg brings none for this platform; "
            "install ffmpeg and try again."
        ) from error


def write_video(
    path: Path,
    frames: Iterable[npt.NDArray[np.uint8]],
    *,
    width: int,
    height: int,
    fps: str = "25",
    codec: str = "libx264",
    options: Mapping[str, str | int] | None = None,
) -> None:
    """Encode RGB frames into one video file; the container follows from the suffix of `path`.

    Args:
        path: the file; it appears under this name only when it is whole. Its folder must exist.
        frames: RGB pictures, uint8, `height` x `width` x 3, in order.
        width: pixels. 4:2:0 formats ask for even sizes.
        height: pixels.
        fps: frames a second, a whole number or a fraction such as `30000/1001`.
        codec: the name of an ffmpeg video encoder.
        options: further ffmpeg output options, e.g. `{"preset": "veryfast", "bf": 3, "crf": 23}`. They win over the
            defaults (`pix_fmt` yuv420p, `threads` 1, bit-exact flags, no metadata).

    Raises:
        CotgenError: ffmpeg failed (its last lines are in the message) or a frame has another shape.
    """
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    output: dict[str, str | int] = {
        "vcodec": codec,
        "pix_fmt": "yuv420p",
        "threads": 1,
        "sws_flags": "bicubic+accurate_rnd+full_chroma_int+bitexact",
        "fflags": "+bitexact",
        "flags:v": "+bitexact",
        "map_metadata": -1,
        **(options or {}),
    }
    stream = ffmpeg.input("pipe:", format="rawvideo", pix_fmt="rgb24", s=f"{width}x{height}", framerate=fps)
    stream = stream.output(str(part), **output).global_args("-hide_banner", "-nostdin", "-loglevel", "error")
    command = stream.overwrite_output().compile(cmd=ffmpeg_exe())
    try:
        _feed(command, frames, (height, width, 3), path)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _feed(command: list[str], frames: Iterable[npt.NDArray[np.uint8]], shape: tuple[int, ...], path: Path) -> None:
    # ffmpeg's complaints go to a file, not a pipe: a full pipe that nobody reads would block it while we write to it.
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=complaints)
        assert process.stdin is not None
        try:
            for number, frame in enumerate(frames):
                if frame.shape != shape or frame.dtype != np.uint8:
                    raise CotgenError(
                        f"Frame {number} for {path.name} is {frame.dtype} {frame.shape}; it must be uint8 {shape}."
                    )
                process.stdin.write(np.ascontiguousarray(frame).data)
        except BrokenPipeError:
            # ffmpeg gave up; its exit status and its last lines say why.
            pass
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            _close(process)
        if process.wait() != 0:
            complaints.seek(0)
            lines = complaints.read().decode("utf-8", errors="replace").strip().splitlines()
            raise CotgenError(f"ffmpeg could not write {path.name}: {' | '.join(lines[-_ERROR_LINES:])}")


def _close(process: subprocess.Popen[bytes]) -> None:
    """Close ffmpeg's input; what is still in the buffer may meet a process that is gone."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
