"""Extracts the wanted frames of one surgery into a sealed frame store.

What is good is kept. A wanted frame that cannot be had is listed with the reason, and no bad file stops the others:
the only errors are those of writing. The same footage, frames and settings give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from cotgen.frames.decode import decode, decoder_version, fit
from cotgen.frames.encode import QUALITY, encode, encoder_version, pixels_sha256
from cotgen.frames.index import VideoError, index_video, open_video
from cotgen.frames.measure import measure
from cotgen.frames.store import ExtractReport, FrameRow, Mode, StoreWriter, writing

if TYPE_CHECKING:
    from cotgen.sources.base import Footage

__all__ = ["FRAMES_VERSION", "ExtractReport", "extract"]

#: Counts up whenever the bytes of a frame store change for the same input.
FRAMES_VERSION = 3

#: Why a frame between others is missing where the source gives pictures and no video.
NO_IMAGE = "The source has no image of this frame."

_EXIF_ORIENTATION = 0x0112


def extract(
    footage: Footage,
    wanted: Sequence[int],
    mode: Mode,
    out: Path,
    *,
    quality: int = QUALITY,
    max_side: int = 0,
    progress: Callable[[int], None] | None = None,
) -> ExtractReport:
    """Write the wanted frames of one surgery to `out`.

    Args:
        footage: the video or the images; where it has a crop, only that part of each picture is kept, and sizes are its.
        wanted: frame numbers on the surgery's clock, in any order; doubles count once.
        mode: `embed` stores JPEGs; `reference` decodes for hashes and measures and stores none; `none` decodes nothing
            and takes the size from the header of the file.
        out: the sealed file; its folder must exist. An older one is replaced when the new one is whole.
        quality: of the JPEG, 1 to 100. A JPEG source of the wanted size goes in byte for byte whatever its quality.
        max_side: scale down until the longer side has at most so many pixels; 0 keeps the size.
        progress: called with the number of frames so far, after each.

    Returns:
        The report, which is also in the store.

    Raises:
        CotgenError: `out` cannot be written.
        ValueError: a wanted number is negative.
    """
    numbers = sorted({int(number) for number in wanted})
    if numbers and numbers[0] < 0:
        raise ValueError(f"frame {numbers[0]} is wanted; frame numbers start at 0")
    with writing(out) as writer:
        task = _Extraction(writer, mode, quality, max_side, progress)
        if footage.kind == "images":
            report = task.images(footage, numbers)
        elif mode == "none":
            report = task.header(footage, numbers)
        else:
            report = task.video(footage, numbers)
        writer.seal(report)
    return report


class _Extraction:
    """The settings of one call and what it has written so far."""

    def __init__(
        self, writer: StoreWriter, mode: Mode, quality: int, max_side: int, progress: Callable[[int], None] | None
    ) -> None:
        self._writer = writer
        self._mode = mode
        self._quality = quality
        self._max_side = max_side
        self._progress = progress

    def video(self, footage: Footage, numbers: Sequence[int]) -> ExtractReport:
        """Decode a video once."""
        path = footage.root / footage.video
        done: set[int] = set()
        try:
            index = index_video(path)
        except VideoError as error:
            return self._report(dict.fromkeys(numbers, error.message), "", "")
        native = (index.width, index.height)
        if problem := _outside(footage.crop, native, path.name):
            return self._report(dict.fromkeys(numbers, problem), "", "")
        crop = _kept(footage.crop, native)
        reason = f"{path.name} ends before this frame."
        try:
            # A picture is cropped before it is scaled, so that the stored size is that of what is kept.
            for number, rgb in decode(path, numbers, index, 0 if footage.crop else self._max_side):
                kept = self._cut(rgb, crop) if footage.crop else rgb
                self._picture(number, footage.video, number, crop, kept, encode(kept, self._quality))
                done.add(number)
        except VideoError as error:
            reason = error.message
        missing = {number: reason for number in numbers if number not in done}
        notes = _rate_notes(path.name, index.fps, footage.fps)
        return self._report(missing, index.mode, index.reason, notes)

    def header(self, footage: Footage, numbers: Sequence[int]) -> ExtractReport:
        """Take the size and the number of frames from the header of a video."""
        path = footage.root / footage.video
        try:
            with open_video(path) as (_, stream):
                native = (stream.width, stream.height)
                frames = stream.frames
                rate = stream.average_rate
        except VideoError as error:
            return self._report(dict.fromkeys(numbers, error.message), "", "")
        if problem := _outside(footage.crop, native, path.name):
            return self._report(dict.fromkeys(numbers, problem), "", "")
        crop = _kept(footage.crop, native)
        width, height = fit(crop[2] - crop[0], crop[3] - crop[1], self._max_side)
        notes = _rate_notes(path.name, f"{rate.numerator}/{rate.denominator}" if rate else "0/1", footage.fps)
        if not frames:
            notes = (*notes, f"The header of {path.name} does not say how many frames it has: none was left out.")
        missing = {}
        for number in numbers:
            if frames and number >= frames:
                missing[number] = f"{path.name} ends before this frame."
            else:
                self._row(FrameRow(number, footage.video, number, width, height, crop))
        return self._report(missing, "header", "", notes)

    def images(self, footage: Footage, numbers: Sequence[int]) -> ExtractReport:
        """Read image files, each for one frame."""
        files = dict(footage.images)
        last = max(files, default=-1)
        missing = {}
        for number in numbers:
            file = files.get(number)
            if file is None:
                # Extraction tools leave out the last instant as a rule, so that is no damage; a gap may be.
                after = f"{Path(files[last]).parent} ends before this frame." if files and number > last else ""
                missing[number] = after or NO_IMAGE
                continue
            try:
                self._image(number, file, footage.root / file, footage.crop)
            except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
                # Pillow reports damaged PNG chunks as SyntaxError.
                # A picture of no known format is named by its address in memory, which differs from run to run.
                plain = "" if isinstance(error, UnidentifiedImageError) else str(error).partition(str(footage.root))[0]
                words = getattr(error, "strerror", None) or plain.strip(" '") or "it is no picture"
                missing[number] = f"{file} cannot be read ({words}); copy or extract it again."
        return self._report(missing, "images", "")

    def _image(self, number: int, file: str, path: Path, part: tuple[int, ...]) -> None:
        data = path.read_bytes()
        digits = re.findall(r"[0-9]+", path.stem)
        native_index = int(digits[-1]) if digits else number
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data))
        native = picture.size
        if problem := _outside(part, native, ""):
            raise ValueError(problem)
        crop = _kept(part, native)
        size = fit(crop[2] - crop[0], crop[3] - crop[1], self._max_side)
        if self._mode == "none":
            self._row(FrameRow(number, file, native_index, *size, crop))
            return
        as_it_is = (
            picture.format == "JPEG"
            and picture.mode in {"RGB", "L"}
            and size == native
            and picture.getexif().get(_EXIF_ORIENTATION, 1) == 1
        )
        whole = picture.convert("RGB")
        rgb = np.asarray(whole) if not part else self._cut(np.asarray(whole), crop)
        if size != native and not part:
            rgb = np.asarray(whole.resize(size, Image.Resampling.BICUBIC))
        self._picture(number, file, native_index, crop, rgb, data if as_it_is else encode(rgb, self._quality))

    def _cut(self, rgb: npt.NDArray[np.uint8], crop: tuple[int, int, int, int]) -> npt.NDArray[np.uint8]:
        """The part of a picture that is kept, in the size that is stored."""
        x1, y1, x2, y2 = crop
        kept = np.ascontiguousarray(rgb[y1:y2, x1:x2])
        size = fit(x2 - x1, y2 - y1, self._max_side)
        if size != (x2 - x1, y2 - y1):
            kept = np.asarray(Image.fromarray(kept).resize(size, Image.Resampling.BICUBIC))
        return kept

    def _picture(
        self,
        number: int,
        file: str,
        native_index: int,
        crop: tuple[int, int, int, int],
        rgb: npt.NDArray[np.uint8],
        image: bytes,
    ) -> None:
        offset, length = self._writer.append(image) if self._mode == "embed" else (0, 0)
        height, width = rgb.shape[:2]
        digest = hashlib.sha256(image).hexdigest()
        measured = tuple(measure(rgb))
        self._row(
            FrameRow(
                number, file, native_index, width, height, crop, pixels_sha256(rgb), digest, offset, length, measured
            )
        )

    def _row(self, row: FrameRow) -> None:
        self._writer.add(row)
        if self._progress:
            self._progress(len(self._writer))

    def _report(
        self, missing: dict[int, str], index_mode: str, index_reason: str, notes: tuple[str, ...] = ()
    ) -> ExtractReport:
        decoded = self._mode != "none"
        return ExtractReport(
            mode=self._mode,
            frames=len(self._writer),
            missing=missing,
            index_mode=index_mode,
            index_reason=index_reason,
            notes=notes,
            decoder=decoder_version() if decoded else "",
            encoder=f"{encoder_version()}, quality {self._quality}" if decoded else "",
        )


def _kept(crop: tuple[int, ...], native: tuple[int, int]) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 of the part that is kept."""
    return (crop[0], crop[1], crop[2], crop[3]) if crop else (0, 0, *native)


def _outside(crop: tuple[int, ...], native: tuple[int, int], name: str) -> str:
    """Why that part of a picture cannot be kept, or ""."""
    if not crop or (len(crop) == 4 and 0 <= crop[0] < crop[2] <= native[0] and 0 <= crop[1] < crop[3] <= native[1]):
        return ""
    words = f"is {native[0]}x{native[1]}, and the part {list(crop)} that is labelled is not inside it"
    return f"{name} {words}; use the files as they were released." if name else f"it {words}"


def _rate_notes(name: str, found: str, clock: str) -> tuple[str, ...]:
    """A note where the video's frame rate is more than 1 % away from the surgery's clock."""
    rate, expected = Fraction(found), Fraction(clock)
    if rate == 0 or abs(rate - expected) * 100 <= expected:
        return ()
    return (
        f"{name} has {float(rate):.2f} frames a second, the labels count {float(expected):.2f}: its frames were taken "
        f"by number, so labels and pictures drift apart if it was converted to another rate.",
    )
