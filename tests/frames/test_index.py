"""What is refused as a video, and what the index says of one."""

import pickle
from pathlib import Path
from typing import Any

import pytest

from cotgen.frames.index import FrameIndex, VideoError, _certain, index_video


def test_the_index_of_a_video(film: Any) -> None:
    index = index_video(film.plain())
    assert isinstance(index, FrameIndex)
    assert (index.width, index.height, index.fps, index.frames) == (160, 96, "25/1", 260)
    assert list(index.pts) == sorted(set(index.pts))
    assert index.keyframes == (0, 50, 100, 150, 200, 250)


def test_key_frames_that_later_pictures_reach_across_are_not_used(film: Any) -> None:
    path = film.render("open.mp4", preset="veryfast", bf=3, g=50, **{"x264-params": "open-gop=1"})
    assert index_video(path).keyframes == (0,)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"Frame\tPhase\n0\tPreparation\n" * 50, "not a video that can be read"),
        (b"", "not a video that can be read"),
        (bytes(5000), "not a video that can be read"),
    ],
)
def test_what_is_no_video_is_refused_with_a_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "video01.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=words) as error:
        index_video(path)
    assert str(error.value).startswith("video01.mp4")
    assert str(tmp_path) not in str(error.value)
    assert error.value.last_good == -1


def test_a_missing_file_a_folder_and_sound_alone(tmp_path: Path, film: Any) -> None:
    with pytest.raises(VideoError, match=r"no video video01\.mp4"):
        index_video(tmp_path / "video01.mp4")
    with pytest.raises(VideoError, match="no video"):
        index_video(tmp_path)
    sound = film.ffmpeg("sound.mp4", "-f", "lavfi", "-i", "sine=duration=1")
    with pytest.raises(VideoError, match="no video stream"):
        index_video(sound)


def test_a_video_without_frames(film: Any) -> None:
    """The head of a fragmented file: a video stream is announced and none of its packets is there."""
    whole = film.render("frag.mp4", preset="veryfast", bf=3, g=50, movflags="+frag_keyframe+empty_moov")
    data = whole.read_bytes()
    path = film.folder / "empty.mp4"
    path.write_bytes(data[: data.index(b"moof") - 4])
    with pytest.raises(VideoError, match=r"empty\.mp4"):
        index_video(path)


def test_a_broken_off_file_says_so(film: Any) -> None:
    index = index_video(film.cut(film.plain(), 0.5))
    assert "breaks off" in index.damage
    assert 100 < index.frames < 140


def test_the_error_survives_a_worker_process() -> None:
    error = pickle.loads(pickle.dumps(VideoError("broken.", last_good=7)))
    assert (str(error), error.last_good) == ("broken.", 7)


def test_which_ranks_are_certain_at_an_open_end() -> None:
    # Shown at 0 1 2 3 4; decoded 0 4 2 1 3: all there.
    assert _certain([0, 1, 2, 3, 4], [-2, -1, 0, 1, 2], strict=False) == 5
    # The packet shown at 3 is gone: 4 is not the fourth frame.
    assert _certain([0, 1, 2, 4], [-2, -1, 0, 1], strict=False) == 3
    assert _certain([0, 1, 2, 4], [-2, -1, 0, 1], strict=True) == 2
