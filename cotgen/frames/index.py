"""FrameIndex: which frame of a video has which number.

A frame's index is the rank of its time stamp among the packets that are shown: packets that an edit list discards
(a trimmed MP4) have no index. Where time stamps cannot carry this, every frame is decoded and counted (`mode` count)
and `reason` says why: the container stores no presentation stamps (AVI), stamps are missing, double or run backwards,
or the first frames do not leave the decoder in the order of the ranks.

Only what is certain gets an index. A file that breaks off (`damage`) loses the frames behind the break, and also those
before it whose rank could depend on a packet that is gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import av

from cotgen.errors import CotgenError

#: So many decoded frames are compared with the ranks before the ranks are believed.
CHECKED_FRAMES = 250
#: With this option the decoder refuses a damaged picture instead of inventing the missing part.
STRICT = {"err_detect": "explode"}

#: Codecs in which no picture shown after a key frame refers to one before it. In H.264 this holds for IDR pictures
#: only, see `_is_idr`.
_CLEAN_KEYFRAMES = frozenset({"mpeg4", "hevc", "vp9"})
_NAL_IDR = 5


class VideoError(CotgenError):
    """A video that cannot be read, or only up to a point.

    Attributes:
        message: the sentence.
        last_good: index of the last good frame before the first damage; -1 where there is none.
    """

    def __init__(self, message: str, *, last_good: int = -1) -> None:
        self.message = message
        self.last_good = last_good
        super().__init__(message)

    def __reduce__(self) -> tuple[object, ...]:
        """Keep `last_good` when a worker process hands the error to its parent."""
        return (_rebuild_video_error, (self.message, self.last_good))


def _rebuild_video_error(message: str, last_good: int) -> VideoError:
    return VideoError(message, last_good=last_good)


@dataclass(frozen=True, slots=True)
class FrameIndex:
    """The frames of one video.

    Attributes:
        mode: `rank` (by time stamp) or `count` (by decoding every frame).
        pts: time stamps in presentation order, in the stream's time base; empty for `count`.
        frames: number of frames. For `count` it is the number of packets: an upper bound until all is decoded.
        width: pixels of the coded picture. Rotation metadata and non-square pixels are ignored: the frame is stored as
            it was coded, which is what annotation tools of surgical data sets showed.
        height: pixels.
        fps: average frame rate of the stream as a fraction, "0/1" where unknown.
        reason: why frames are counted; "" for `rank`.
        keyframes: ranks, ascending, from which decoding can begin without any earlier packet; empty for `count`.
        damage: where and why the file breaks off before its end, as a clause; else "".
        lenient: the decoder complains about sound frames of this file, so its complaints are not taken for damage.
    """

    mode: Literal["rank", "count"]
    pts: tuple[int, ...]
    frames: int
    width: int
    height: int
    fps: str
    reason: str
    keyframes: tuple[int, ...] = ()
    damage: str = ""
    lenient: bool = False


@dataclass(slots=True)
class _Packets:
    """What one pass over the packets gives, in decoding order, up to the first break."""

    pts: list[int]
    dts: list[int]
    clean: list[int]
    unstamped: int
    total: int
    broken: str


def index_video(path: Path) -> FrameIndex:
    """Read all packets of a video and decode its first frames.

    Args:
        path: any file that libavformat reads; its first real video stream counts (no cover pictures).

    Returns:
        The index; for a file that breaks off, that of its good part, with `damage` set.

    Raises:
        VideoError: there is no such file, it is no video, or not one frame of it can be indexed.
    """
    with open_video(path) as (container, stream):
        name = path.name
        avi = container.format.name == "avi"
        # A table of all packets exists before the first is read in MP4; a fragmented one grows while it is read.
        listed_first = len(stream.index_entries)
        packets = _read_packets(container, stream)
        listed = len(stream.index_entries)
        announced = max(listed, stream.frames) if avi else listed
        has_table = not avi and "mp4" in container.format.name and listed_first == listed
        width, height, fps = stream.width, stream.height, _fraction(stream.average_rate)

    damage = packets.broken
    if not damage and packets.total < announced and (avi or "mp4" in container.format.name):
        damage = f"it lists {announced} packets and holds {packets.total}"
    if damage:
        damage = f"{name} breaks off ({damage})"

    def counted(reason: str) -> FrameIndex:
        total = len(packets.pts) + packets.unstamped
        if total == 0:
            raise VideoError(f"{damage or name + ' holds no video frames'}; copy or download it again.")
        checked = min(total, CHECKED_FRAMES)
        strict, tolerant = (_first_frames(path, checked, options)[1] for options in (STRICT, {}))
        lenient = strict < tolerant == checked
        return FrameIndex("count", (), total, width, height, fps, reason, damage=damage, lenient=lenient)

    if avi:
        return counted("AVI stores no presentation time stamps")
    if packets.unstamped:
        return counted(f"{packets.unstamped} packets have no time stamp")
    pts = sorted(packets.pts)
    if any(a > b for a, b in pairwise(packets.dts)):
        return counted("the time stamps run backwards")
    if any(a == b for a, b in pairwise(pts)):
        return counted("several packets have the same time stamp")
    if not has_table or damage:
        pts = pts[: _certain(pts, packets.dts, strict=bool(damage))]
    if not pts:
        raise VideoError(f"{damage or name + ' holds no video frames'}; copy or download it again.")
    order, lenient = _check_order(path, pts)
    if order:
        return counted(order)
    clean = sorted(set(packets.clean) & set(pts))
    ranks = {stamp: rank for rank, stamp in enumerate(pts)}
    keyframes = tuple(ranks[stamp] for stamp in clean)
    return FrameIndex("rank", tuple(pts), len(pts), width, height, fps, "", keyframes, damage, lenient)


@contextmanager
def open_video(path: Path, options: dict[str, str] | None = None) -> Iterator[tuple[Any, Any]]:
    """The container and its video stream, one decoding thread; closed at the end.

    One thread costs the least CPU; surgeries are what runs in parallel.

    Raises:
        VideoError: there is no such file, or no video in it.
    """
    if not path.is_file():
        raise VideoError(f"There is no video {path.name}; check the folder of the source.")
    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VideoError(
            f"{path.name} is not a video that can be read ({_words(error)}); copy or download it again."
        ) from error
    with container:
        stream = container.streams.best("video")
        if stream is None:
            raise VideoError(f"{path.name} has no video stream; copy or download it again.")
        codec = stream.codec_context
        if codec is None:
            raise VideoError(f"{path.name} has a video stream that no decoder here can read; convert it to H.264.")
        codec.thread_count = 1
        codec.options = dict(options or {})
        yield container, stream


def packets_of(container: Any, stream: Any) -> Iterator[Any]:
    """The packets of a stream without the empty one at the end. Errors of libavformat pass through."""
    for packet in container.demux(stream):
        if packet.size or packet.pts is not None or packet.dts is not None:
            yield packet


def _read_packets(container: Any, stream: Any) -> _Packets:
    found = _Packets([], [], [], 0, 0, "")
    codec = stream.codec_context
    is_clean = _is_idr(codec) if codec.name == "h264" else lambda _: codec.name in _CLEAN_KEYFRAMES
    try:
        for packet in packets_of(container, stream):
            if packet.is_corrupt:
                found.broken = f"packet {found.total} is damaged"
                break
            found.total += 1
            if packet.dts is not None:
                found.dts.append(packet.dts)
            if packet.is_discard:
                continue
            if packet.pts is None:
                found.unstamped += 1
                continue
            found.pts.append(packet.pts)
            if packet.is_keyframe and is_clean(packet):
                found.clean.append(packet.pts)
    except av.error.FFmpegError as error:
        found.broken = f"after packet {found.total} it cannot be read ({_words(error)})"
    return found


def _is_idr(codec: Any) -> Any:
    """A test for H.264 packets: is there an IDR picture (ITU-T H.264 7.4.1.2.4)? Other key frames may not be clean."""
    extra = bytes(codec.extradata or b"")
    length_size = (extra[4] & 3) + 1 if len(extra) > 4 and extra[0] == 1 else 0

    def test(packet: Any) -> bool:
        data = bytes(packet)
        if not length_size:
            return any(data[match.end()] & 31 == _NAL_IDR for match in re.finditer(b"\x00\x00\x01(?=.)", data, re.S))
        at = 0
        while at + length_size < len(data):
            if data[at + length_size] & 31 == _NAL_IDR:
                return True
            at += length_size + int.from_bytes(data[at : at + length_size], "big")
        return False

    return test


def _certain(pts: Sequence[int], dts: Sequence[int], *, strict: bool) -> int:
    """How many of the sorted stamps have a certain rank where the end of the file may be missing.

    A packet is never shown before its decoding stamp, and decoding stamps rise. So a packet behind the end is shown
    after the last decoding stamp, and everything up to that is complete. Behind it, `strict` believes
    nothing; else the stamps are believed up to the first gap that is wider than any before it.
    """
    last = dts[-1] if dts else (pts[0] if pts else 0)
    sure = sum(stamp <= last for stamp in pts)
    if strict or sure < 2:
        return sure if strict else len(pts)
    widest = max(b - a for a, b in pairwise(pts[:sure]))
    for at in range(sure, len(pts)):
        if pts[at] - pts[at - 1] > widest:
            return at
    return len(pts)


def _check_order(path: Path, pts: Sequence[int]) -> tuple[str, bool]:
    """Why the ranks cannot be believed ("" if they can), and whether the decoder's complaints are to be ignored."""
    expected = list(pts[:CHECKED_FRAMES])
    stamps, sound = _first_frames(path, len(expected), STRICT)
    if stamps == expected:
        return "", False
    complained = sound < len(stamps) or len(stamps) < len(expected)
    if complained and _first_frames(path, len(expected), {}) == (expected, len(expected)):
        return "", True
    # Damage within the first frames says nothing against the ranks of those before it.
    if 0 < sound < len(expected) and stamps[:sound] == expected[:sound]:
        return "", False
    return f"the first {CHECKED_FRAMES} decoded frames do not come in the order of their time stamps", False


def _first_frames(path: Path, count: int, options: dict[str, str]) -> tuple[list[int], int]:
    """The time stamps of the first sound frames as they are decoded, and how many came before the first complaint."""
    stamps: list[int] = []
    sound = -1
    # Only the order matters here, so pictures are left unsmoothed: a fifth of the cost.
    with open_video(path, {**options, "skip_loop_filter": "all"}) as (container, stream):
        codec = stream.codec_context
        packets = packets_of(container, stream)
        at_end = False
        while len(stamps) < count and not at_end:
            try:
                packet = next(packets, None)
                at_end = packet is None
                frames = codec.decode(packet)
            except av.error.FFmpegError:
                sound = len(stamps) if sound < 0 else sound
                continue
            for frame in frames:
                if frame.is_corrupt:
                    sound = len(stamps) if sound < 0 else sound
                else:
                    stamps.append(frame.pts)
    stamps = stamps[:count]
    return stamps, len(stamps) if sound < 0 else min(sound, len(stamps))


def _fraction(rate: Fraction | None) -> str:
    return f"{rate.numerator}/{rate.denominator}" if rate else "0/1"


def _words(error: Exception) -> str:
    """What libavformat says, without error numbers and paths."""
    return str(getattr(error, "strerror", None) or type(error).__name__)
