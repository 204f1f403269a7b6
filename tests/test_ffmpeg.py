"""Writing video: the same frames are the same bytes, and a failure is a sentence."""

import re
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from cotgen.errors import CotgenError
from cotgen.ffmpeg import ffmpeg_exe, write_video


def pictures(count: int, height: int = 48, width: int = 64) -> Iterator[npt.NDArray[np.uint8]]:
    return (np.full((height, width, 3), 10 * number % 256, np.uint8) for number in range(count))


def test_the_binary_is_there() -> None:
    assert Path(ffmpeg_exe()).is_file()


@pytest.mark.parametrize("suffix", ["mp4", "avi", "ts", "mkv"])
def test_the_same_frames_are_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    options = {"preset": "veryfast", "bf": 3}
    for name in ("a", "b"):
        write_video(tmp_path / f"{name}.{suffix}", pictures(30), width=64, height=48, options=options)
    data = (tmp_path / f"a.{suffix}").read_bytes()
    assert data == (tmp_path / f"b.{suffix}").read_bytes()
    assert not re.search(rb"Lav[cf][0-9]", data)


def test_size_rate_and_number_of_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, pictures(7), width=64, height=48, fps="30000/1001", codec="mpeg4")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, str(stream.average_rate)) == (64, 48, "30000/1001")
        assert [frame.pts for frame in container.decode(stream)] == list(range(0, 7 * 1001, 1001))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"codec": "nothing"}, "Unknown encoder 'nothing'"),
        ({"options": {"preset": "nothing"}}, "could not write a.mp4"),
        ({"width": 63}, r"Frame 0 for a.mp4 is uint8 \(48, 64, 3\); it must be uint8 \(48, 63, 3\)"),
    ],
)
def test_a_failure_is_a_sentence_and_leaves_nothing(tmp_path: Path, arguments: dict[str, object], words: str) -> None:
    settings = {"width": 64, "height": 48, **arguments}
    with pytest.raises(CotgenError, match=words):
        write_video(tmp_path / "a.mp4", pictures(200), **settings)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_frames_stops_ffmpeg(tmp_path: Path) -> None:
    def broken() -> Iterator[npt.NDArray[np.uint8]]:
        yield from pictures(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / "a.mp4", broken(), width=64, height=48)
    assert list(tmp_path.iterdir()) == []
