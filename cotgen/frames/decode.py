"""Decodes wanted frames of a video: one pass, in order, and not more than they need.

Two things are left out, neither of which can change a pixel of a wanted frame: pictures that no other picture refers
to and nobody asked for (the decoder's `skip_frame`, set for each packet), and whole stretches between the last wanted
frame and the key frame before the next one. Frames are told apart by their time stamp, never by counting what comes
out, so leaving out cannot shift them. Where frames have to be counted (`FrameIndex.mode`), everything is decoded.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation, VideoReformatter

from cotgen.frames.index import STRICT, FrameIndex, VideoError, open_video, packets_of

__all__ = ["VideoError", "decode", "decoder_version", "fit"]

#: Bicubic with exact rounding and full chroma: the same bytes whatever vector units the processor has. Chroma is placed
#: where the stream says (4:2:0 of H.264: to the left), as ffmpeg does when told `in_chroma_loc=left`.
_SCALER = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.BITEXACT


def decoder_version() -> str:
    """What pixels depend on: the versions of PyAV, libavcodec and libswscale."""
    parts = [f"PyAV {av.__version__}"]
    for library in ("libavcodec", "libswscale"):
        parts.append(f"{library} {'.'.join(str(part) for part in av.library_versions[library])}")
    return ", ".join(parts)


def fit(width: int, height: int, max_side: int) -> tuple[int, int]:
    """The size with its longer side at most `max_side` (0: no limit), in whole pixels rounded half up; never enlarged."""
    longer = max(width, height)
    if max_side <= 0 or longer <= max_side:
        return width, height
    return tuple(max(1, (2 * side * max_side + longer) // (2 * longer)) for side in (width, height))  # type: ignore[return-value]


class Converter:
    """Turns decoded pictures into RGB of one size. It keeps the scaler's tables from frame to frame."""

    def __init__(self, max_side: int = 0) -> None:
        self._max_side = max_side
        self._scaler = VideoReformatter()

    def __call__(self, frame: Any) -> npt.NDArray[np.uint8]:
        """RGB uint8, height x width x 3."""
        width, height = fit(frame.width, frame.height, self._max_side)
        # Planar output takes the vector path; the same flags to rgb24 give the same values in four times the time.
        rgb = self._scaler.reformat(frame, width=width, height=height, format="gbrp", interpolation=_SCALER, threads=1)
        return np.asarray(rgb.to_ndarray(), dtype=np.uint8)


def decode(
    path: Path, wanted: Sequence[int], index: FrameIndex, max_side: int = 0
) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """The wanted frames, each once, ascending.

    Args:
        path: the video that `index` was made from.
        wanted: frame numbers in any order; doubles count once. Numbers at or above `index.frames` are left out.
        index: what `index_video` returned for this file.
        max_side: scale down until the longer side has at most so many pixels; 0 keeps the size.

    Yields:
        (frame number, RGB uint8 of height x width x 3).

    Raises:
        VideoError: after all good frames were given, if the file is damaged where a wanted frame lies, or breaks off
            before one; `last_good` is the number of the last frame before the first damage.
        ValueError: a wanted number is negative.
    """
    numbers = sorted({int(number) for number in wanted})
    if numbers and numbers[0] < 0:
        raise ValueError(f"frame {numbers[0]} is wanted; frame numbers start at 0")
    if not numbers:
        return
    convert = Converter(max_side)
    run = _Ranked(path, numbers, index) if index.mode == "rank" else _Counted(path, numbers, index)
    for number, frame in run.frames():
        yield number, convert(frame)
    if run.message:
        raise VideoError(run.message, last_good=run.last_good)


class _Ranked:
    """One pass that knows frames by their time stamp. `message` is set afterwards if wanted frames were lost."""

    def __init__(self, path: Path, numbers: Sequence[int], index: FrameIndex) -> None:
        self.message = ""
        self.last_good = index.frames - 1
        self._path = path
        self._numbers = numbers[: bisect_right(numbers, index.frames - 1)]
        self._beyond = len(numbers) - len(self._numbers)
        self._index = index
        self._wanted = {index.pts[number]: number for number in self._numbers}
        self._first_bad = index.frames
        self._last_given = -1
        self._bad: set[int | None] = set()

    def frames(self) -> Iterator[tuple[int, Any]]:
        """(frame number, decoded picture), ascending."""
        missing = set(self._numbers)
        if missing:
            with open_video(self._path, {} if self._index.lenient else STRICT) as (container, stream):
                for number, frame in self._pass(container, stream):
                    missing.discard(number)
                    yield number, frame
        if missing:
            first = min(missing)
            self.last_good = min(self._first_bad, first) - 1
            self.message = (
                f"{self._path.name} is damaged: {len(missing)} of the wanted frames cannot be decoded, the first is "
                f"frame {first}; the last good frame is {self.last_good}. Copy or download it again."
            )
        elif self._beyond and self._index.damage:
            self.message = f"{self._index.damage}; the last good frame is {self.last_good}. Copy or download it again."

    def _pass(self, container: Any, stream: Any) -> Iterator[tuple[int, Any]]:
        codec = stream.codec_context
        keys = {self._index.pts[number]: number for number in self._index.keyframes}
        sent: set[int] = set()
        at = 0  # the first wanted frame that was not sent to the decoder is self._numbers[at]
        passed = -1  # the last clean key frame that was sent
        waiting = False  # nothing is sent until the clean key frame before the next wanted frame
        damaged = False  # it waits because of damage
        for packet in _until_break(container, stream):
            while at < len(self._numbers) and self._numbers[at] in sent:
                at += 1
            if at == len(self._numbers):
                break
            shown = not packet.is_discard
            key = keys.get(packet.pts) if shown else None
            if waiting and key is not None:
                while at < len(self._numbers) and self._numbers[at] < key:
                    at += 1
                if at == len(self._numbers):
                    break
            start = self._start_of(self._numbers[at])
            if waiting:
                if key is None or key != start:
                    if damaged and key is None and shown:
                        self._mark_bad(packet.pts)
                    damaged = damaged and key is None
                    continue
                waiting = damaged = False
            elif start > passed and key != start:
                yield from self._drain(codec)
                codec.flush_buffers()
                waiting = True
                continue
            passed = key if key is not None else passed
            number = self._wanted.get(packet.pts) if shown else None
            codec.skip_frame = "NONREF" if number is None else "DEFAULT"
            try:
                frames = codec.decode(packet)
                sound = True
            except av.error.FFmpegError:
                frames = []
                sound = False
                self._mark_bad(packet.pts)
            if number is not None:
                sent.add(number)
            for frame in frames:
                sound = sound and not frame.is_corrupt
                yield from self._give(frame)
            if not sound:
                yield from self._drain(codec)
                codec.flush_buffers()
                waiting = damaged = True
        yield from self._drain(codec)

    def _start_of(self, number: int) -> int:
        """The clean key frame from which a frame is decoded; -1 is the start of the file."""
        at = bisect_right(self._index.keyframes, number)
        return self._index.keyframes[at - 1] if at else -1

    def _give(self, frame: Any) -> Iterator[tuple[int, Any]]:
        if frame.is_corrupt:
            self._mark_bad(frame.pts)
            return
        number = self._wanted.get(frame.pts)
        if number is not None and frame.pts not in self._bad and number > self._last_given:
            self._last_given = number
            yield number, frame

    def _drain(self, codec: Any) -> Iterator[tuple[int, Any]]:
        """What is still in the decoder. Damage shows as frames that never come."""
        try:
            frames = codec.decode(None)
        except av.error.FFmpegError:
            frames = []
        for frame in frames:
            yield from self._give(frame)

    def _mark_bad(self, stamp: int | None) -> None:
        self._bad.add(stamp)
        if stamp is not None:
            self._first_bad = min(self._first_bad, bisect_right(self._index.pts, stamp) - 1)


class _Counted:
    """One pass that decodes every frame and counts. It ends at the first damage: behind it the count is unknown."""

    def __init__(self, path: Path, numbers: Sequence[int], index: FrameIndex) -> None:
        self.message = ""
        self.last_good = -1
        self._path = path
        self._numbers = numbers
        self._index = index
        self._broken = False

    def frames(self) -> Iterator[tuple[int, Any]]:
        """(frame number, decoded picture), ascending."""
        wanted = set(self._numbers)
        count = 0
        with open_video(self._path, {} if self._index.lenient else STRICT) as (container, stream):
            for frame in self._pass(container, stream):
                if count in wanted:
                    yield count, frame
                count += 1
                if count > self._numbers[-1]:
                    return
        if self._broken or self._index.damage:
            self.last_good = count - 1
            left = sum(number >= count for number in self._numbers)
            self.message = (
                f"{self._path.name} is damaged: {left} of the wanted frames cannot be decoded; the last good frame is "
                f"{self.last_good}. Copy or download it again."
            )

    def _pass(self, container: Any, stream: Any) -> Iterator[Any]:
        codec = stream.codec_context
        begun = False
        for packet in _until_break(container, stream):
            try:
                frames = codec.decode(packet)
            except av.error.FFmpegError:
                # What precedes the first picture (a cut in the middle of a group) never had a number.
                self._broken = begun
                frames = []
            for frame in frames:
                self._broken = self._broken or (begun and frame.is_corrupt)
                if self._broken:
                    return
                if not frame.is_corrupt:
                    begun = True
                    yield frame
            if self._broken:
                return
        if not self._index.damage:
            # Behind a break, pictures wait in the decoder for others that are gone: their number is unknown.
            try:
                yield from codec.decode(None)
            except av.error.FFmpegError:
                self._broken = True


def _until_break(container: Any, stream: Any) -> Iterator[Any]:
    """The packets up to the end or to where the file breaks off; the index already says that it does."""
    packets = packets_of(container, stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:
            return
        if packet is None or packet.is_corrupt:
            return
        yield packet
