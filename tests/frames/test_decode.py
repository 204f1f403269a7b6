"""The frame with number n is the n-th frame of the video, whatever the container does with time."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cotgen.frames.decode import Converter, VideoError, _Ranked, decode, fit
from cotgen.frames.index import index_video

B_FRAMES: dict[str, str | int] = {"preset": "veryfast", "bf": 3, "g": 50}
SPARSE = [3, 4, 99, 100, 101, 203, 255]

#: name -> how it is rendered, and how its frames are found.
VIDEOS: dict[str, tuple[Callable[[Any], Path], str]] = {
    "H.264 with B-frames in MP4": (lambda film: film.plain(), "rank"),
    "H.264 without B-frames": (lambda film: film.render("nob.mp4", preset="ultrafast", bf=0), "rank"),
    "open groups of pictures": (
        lambda film: film.render("open.mp4", **B_FRAMES, **{"x264-params": "open-gop=1"}),
        "rank",
    ),
    "intra refresh, no key frames": (
        lambda film: film.render("intra.mp4", **B_FRAMES, **{"x264-params": "intra-refresh=1"}),
        "rank",
    ),
    "variable frame rate": (
        lambda film: film.ffmpeg(
            "vfr.mp4",
            *("-i", film.plain(), "-vf", "setpts=(N+floor(N/3)+2*floor(N/7))/25/TB", "-fps_mode", "vfr"),
            *("-c:v", "libx264", "-bf", "3", "-g", "50", "-threads", "1"),
        ),
        "rank",
    ),
    "fragmented MP4": (lambda film: film.render("frag.mp4", **B_FRAMES, movflags="+frag_keyframe+empty_moov"), "rank"),
    "MPEG-4 with B-frames in MP4": (lambda film: film.render("m4.mp4", "mpeg4", g=50, bf=2, qscale=3), "rank"),
    "HEVC": (
        lambda film: film.render(
            "hevc.mp4", "libx265", preset="ultrafast", **{"x265-params": "keyint=50:bframes=3:log-level=none"}
        ),
        "rank",
    ),
    "VP9": (lambda film: film.render("vp9.webm", "libvpx-vp9", g=50, deadline="realtime", crf=30), "rank"),
    "transport stream": (lambda film: film.render("b.ts", **B_FRAMES), "rank"),
    "Matroska": (lambda film: film.render("b.mkv", **B_FRAMES), "rank"),
    "H.264 in AVI": (lambda film: film.render("b.avi", **B_FRAMES), "count"),
    "MPEG-4 in AVI": (lambda film: film.render("m4.avi", "mpeg4", g=50, bf=2, qscale=3), "count"),
    "MPEG-4 in AVI, packed": (
        lambda film: film.ffmpeg("pack.avi", "-i", film.render("m4.avi", "mpeg4", g=50, bf=2, qscale=3), "-c", "copy"),
        "count",
    ),
}


def numbers(film: Any, path: Path, wanted: Sequence[int]) -> tuple[list[tuple[int, int]], VideoError | None]:
    """(number asked for, number read from the picture) for each frame, and the error at the end."""
    found = []
    try:
        for number, rgb in decode(path, wanted, index_video(path)):
            found.append((number, film.number(rgb)))
    except VideoError as error:
        return found, error
    return found, None


def all_frames(path: Path) -> list[Any]:
    """A plain decoder: every packet, every frame, in the order in which they come."""
    with av.open(str(path)) as container:
        return list(container.decode(container.streams.video[0]))


@pytest.mark.parametrize("name", VIDEOS)
def test_each_frame_is_the_one_with_its_number(film: Any, name: str) -> None:
    make, mode = VIDEOS[name]
    path = make(film)
    index = index_video(path)
    assert (index.mode, index.frames, index.damage) == (mode, film.frames, "")
    assert bool(index.reason) == (mode == "count")
    for wanted in (range(film.frames), range(0, film.frames, 25), SPARSE, [film.frames - 1]):
        found, error = numbers(film, path, wanted)
        assert found == [(n, n) for n in wanted]
        assert error is None


@pytest.mark.parametrize("name", VIDEOS)
def test_pixels_do_not_depend_on_what_was_left_out(film: Any, name: str) -> None:
    path = VIDEOS[name][0](film)
    convert = Converter()
    expected = [convert(frame) for frame in all_frames(path)]
    for wanted in (range(0, film.frames, 25), SPARSE, [120]):
        for number, rgb in decode(path, wanted, index_video(path)):
            assert np.array_equal(rgb, expected[number]), number


@pytest.mark.parametrize(
    "name", ["H.264 with B-frames in MP4", "MPEG-4 with B-frames in MP4", "HEVC", "open groups of pictures"]
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=st.lists(st.integers(0, 259), max_size=12))
def test_any_choice_of_frames_is_exact(film: Any, name: str, wanted: list[int]) -> None:
    path = VIDEOS[name][0](film)
    found, error = numbers(film, path, wanted)
    assert found == [(n, n) for n in sorted(set(wanted))]
    assert error is None


def test_trimmed_mp4_counts_from_the_first_frame_that_is_shown(film: Any) -> None:
    """`-ss` with `-c copy` keeps the packets from the key frame on and hides them by an edit list."""
    path = film.ffmpeg("trim.mp4", "-ss", "3.3", "-i", film.plain(), "-c", "copy")
    index = index_video(path)
    assert (index.mode, index.frames) == ("rank", film.frames - 83)
    found, error = numbers(film, path, range(index.frames))
    assert found == [(n, n + 83) for n in range(index.frames)]
    assert error is None
    found, _ = numbers(film, path, [0, 60, 140])
    assert found == [(0, 83), (60, 143), (140, 223)]


def joined(data: bytes) -> bytes:
    """A transport stream twice, one after the other, with the packet counters running on."""
    last: dict[bytes, int] = {}
    out = bytearray(data * 2)
    for at in range(0, len(out), 188):
        pid = bytes((out[at + 1] & 0x1F, out[at + 2]))
        if out[at + 3] & 0x10:
            last[pid] = (last.get(pid, -1) + 1) % 16
        out[at + 3] = out[at + 3] & 0xF0 | last.get(pid, 0)
    return bytes(out)


def test_stamps_that_start_again_are_not_believed(film: Any) -> None:
    """Two recordings joined into one file: by time stamp their frames would be shuffled."""
    path = film.folder / "twice.ts"
    path.write_bytes(joined(film.render("b.ts", **B_FRAMES).read_bytes()))
    index = index_video(path)
    assert (index.mode, index.reason) == ("count", "the time stamps run backwards")
    found, _ = numbers(film, path, [0, 100, film.frames, film.frames + 100])
    assert found == [(0, 0), (100, 100), (film.frames, 0), (film.frames + 100, 100)]


def test_a_hole_in_a_stream_ends_what_is_certain(film: Any) -> None:
    """Where a container lists no packets, nobody knows how many are gone."""
    data = film.render("b.ts", **B_FRAMES).read_bytes()
    path = film.folder / "hole.ts"
    path.write_bytes(data[: 188 * (len(data) // 376)] + data[188 * (len(data) // 376 + 40) :])
    found, error = numbers(film, path, range(film.frames))
    assert all(asked == read for asked, read in found)
    assert len(found) > 80
    assert error is not None
    assert error.last_good == found[-1][0]


def test_long_gaps_are_not_decoded(film: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    give = _Ranked._give
    monkeypatch.setattr(_Ranked, "_give", lambda self, frame: seen.append(frame.pts) or give(self, frame))
    path = film.plain()
    index = index_video(path)
    assert [n for n, _ in decode(path, [5, 205], index)] == [5, 205]
    assert len(seen) < 30
    seen.clear()
    assert len(list(decode(path, range(0, 260, 25), index))) == 11
    assert len(seen) < 0.7 * film.frames


def test_wanted_numbers_may_be_doubled_unsorted_or_beyond_the_end(film: Any) -> None:
    path = film.plain()
    index = index_video(path)
    assert [n for n, _ in decode(path, [50, 7, 50, 7], index)] == [7, 50]
    assert [n for n, _ in decode(path, [259, 260, 10**9], index)] == [259]
    assert list(decode(path, [], index)) == []
    assert sum(1 for _ in decode(path, range(1_000_000), index)) == film.frames
    with pytest.raises(ValueError, match="start at 0"):
        list(decode(path, [-1], index))


@pytest.mark.parametrize(
    ("name", "size", "codec", "options"),
    [
        ("odd sizes", (163, 97), "libx264", {"pix_fmt": "yuv444p"}),
        ("full range", (160, 96), "libx264", {"pix_fmt": "yuvj420p"}),
        ("ten bits", (160, 96), "libx264", {"pix_fmt": "yuv420p10le"}),
        ("grey", (160, 96), "libx264", {"pix_fmt": "gray"}),
        ("BT.709", (160, 96), "libx264", {"colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709"}),
        ("motion JPEG", (160, 96), "mjpeg", {"pix_fmt": "yuvj422p", "qscale": 3}),
    ],
)
def test_pixels_are_those_of_ffmpeg(
    film: Any, name: str, size: tuple[int, int], codec: str, options: dict[str, str]
) -> None:
    from cotgen.ffmpeg import write_video

    path = film.folder / f"{name}.mov"
    write_video(path, film.pictures(12, *size), width=size[0], height=size[1], codec=codec, options=options)
    expected = film.rgb(path, size=size, chroma="center" if codec == "mjpeg" else "left")
    found = [rgb for _, rgb in decode(path, range(12), index_video(path))]
    assert np.array_equal(np.stack(found), expected)


def test_scaling_is_that_of_ffmpeg_in_one_step(film: Any) -> None:
    path = film.plain()
    expected = film.rgb(path, "-frames:v", "5", size=(100, 60))
    found = [rgb for _, rgb in decode(path, range(5), index_video(path), max_side=100)]
    assert np.array_equal(np.stack(found), expected)


def test_fit_keeps_the_shape_and_never_enlarges() -> None:
    assert fit(854, 480, 0) == (854, 480)
    assert fit(854, 480, 854) == (854, 480)
    assert fit(854, 480, 2000) == (854, 480)
    assert fit(854, 480, 512) == (512, 288)
    assert fit(480, 854, 512) == (288, 512)
    assert fit(4000, 2, 100) == (100, 1)


def test_rotation_metadata_is_ignored(film: Any) -> None:
    path = film.ffmpeg("turned.mp4", "-display_rotation", "90", "-i", film.plain(), "-c", "copy")
    index = index_video(path)
    assert (index.width, index.height) == (160, 96)
    found, _ = numbers(film, path, [0, 77])
    assert found == [(0, 0), (77, 77)]


@pytest.mark.parametrize("part", [0.35, 0.6, 0.97])
@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("H.264 with B-frames in MP4", 0.8),
        ("fragmented MP4", 0.7),
        ("transport stream", 0.8),
        ("Matroska", 0.7),
        ("H.264 in AVI", 0.8),
        ("MPEG-4 in AVI", 0.8),
    ],
)
def test_a_broken_off_file_gives_what_is_certain(film: Any, name: str, least: float, part: float) -> None:
    path = film.cut(VIDEOS[name][0](film), part)
    found, error = numbers(film, path, range(film.frames))
    assert all(asked == read for asked, read in found)
    assert len(found) > least * part * film.frames
    if error is not None:
        # Everything up to the last good frame came, and the message names it.
        assert [asked for asked, _ in found][: error.last_good + 1] == list(range(error.last_good + 1))
        assert f"the last good frame is {error.last_good}" in str(error)
    elif name not in {"transport stream", "Matroska"}:
        assert len(found) == film.frames, "a container that lists its packets shows that some are gone"


def test_a_broken_off_file_is_no_error_for_the_frames_before_the_break(film: Any) -> None:
    path = film.cut(film.plain(), 0.6)
    found, error = numbers(film, path, [0, 50, 100])
    assert found == [(0, 0), (50, 50), (100, 100)]
    assert error is None


def test_damage_inside_costs_the_frames_up_to_the_next_key_frame(film: Any) -> None:
    whole = film.plain()
    convert = Converter()
    expected = [convert(frame) for frame in all_frames(whole)]
    with av.open(str(whole)) as container:
        stream = container.streams.video[0]
        entry = [(e.pos, e.size) for e in stream.index_entries][108]
        hit = [p.pts for p in container.demux(stream)][108]
    data = bytearray(whole.read_bytes())
    data[entry[0] + 8 : entry[0] + entry[1]] = bytes(entry[1] - 8)
    path = film.folder / "hit.mp4"
    path.write_bytes(data)

    index = index_video(path)
    assert (index.mode, index.frames) == ("rank", film.frames)
    rank = index.pts.index(hit)
    given_frames = []
    with pytest.raises(VideoError, match="cannot be decoded") as error:
        for number, rgb in decode(path, range(film.frames), index):
            assert np.array_equal(rgb, expected[number]), number
            given_frames.append(number)
    lost = sorted(set(range(film.frames)) - set(given_frames))
    assert rank in lost
    assert 100 <= error.value.last_good == lost[0] - 1 <= rank
    assert lost[-1] < 150
    assert lost == list(range(lost[0], lost[-1] + 1)) or len(lost) <= 50
    assert f"the last good frame is {error.value.last_good}" in str(error.value)


def test_errors_of_decoding_never_hang(film: Any) -> None:
    """Sixteen damaged copies: each ends, and no picture comes under another one's number."""
    data = film.plain().read_bytes()
    for seed, part in itertools.product(range(4), (0.1, 0.4, 0.7, 0.9)):
        broken = bytearray(data)
        rng = np.random.default_rng(seed)
        at = int(len(data) * part)
        broken[at : at + 200] = rng.integers(0, 256, 200, dtype=np.uint8).tobytes()
        path = film.folder / "noise.mp4"
        path.write_bytes(broken)
        found, _ = numbers(film, path, range(0, film.frames, 5))
        assert len(found) > 30
