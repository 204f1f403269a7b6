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
FRAMES_VERSION = 2

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
        footage: the video or the images.
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
        crop = (0, 0, index.width, index.height)
        reason = f"{path.name} ends before this frame."
        try:
            for number, rgb in decode(path, numbers, index, self._max_side):
                self._picture(number, footage.video, number, crop, rgb, encode(rgb, self._quality))
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
        width, height = fit(*native, self._max_side)
        notes = _rate_notes(path.name, f"{rate.numerator}/{rate.denominator}" if rate else "0/1", footage.fps)
        if not frames:
            notes = (*notes, f"The header of {path.name} does not say how many frames it has: none was left out.")
        missing = {}
        for number in numbers:
            if frames and number >= frames:
                missing[number] = f"{path.name} ends before this frame."
            else:
                self._row(FrameRow(number, footage.video, number, width, height, (0, 0, *native)))
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
                missing[number] = after or "The source has no image of this frame."
                continue
            try:
                self._image(number, file, footage.root / file)
            except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
                # Pillow reports damaged PNG chunks as SyntaxError.
                # A picture of no known format is named by its address in memory, which differs from run to run.
                plain = "" if isinstance(error, UnidentifiedImageError) else str(error).partition(str(footage.root))[0]
                words = getattr(error, "strerror", None) or plain.strip(" '") or "it is no picture"
                missing[number] = f"{file} cannot be read ({words}); copy or extract it again."
        return self._report(missing, "images", "")

    def _image(self, number: int, file: str, path: Path) -> None:
        data = path.read_bytes()
        digits = re.findall(r"[0-9]+", path.stem)
        native_index = int(digits[-1]) if digits else number
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data))
        native = picture.size
        crop = (0, 0, *native)
        size = fit(*native, self._max_side)
        if self._mode == "none":
            self._row(FrameRow(number, file, native_index, *size, crop))
            return
        as_it_is = (
            picture.format == "JPEG"
            and picture.mode in {"RGB", "L"}
            and size == native
            and picture.getexif().get(_EXIF_ORIENTATION, 1) == 1
        )
        rgb = np.asarray(picture.convert("RGB"))
        if size != native:
            rgb = np.asarray(picture.convert("RGB").resize(size, Image.Resampling.BICUBIC))
        self._picture(number, file, native_index, crop, rgb, data if as_it_is else encode(rgb, self._quality))

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


def _rate_notes(name: str, found: str, clock: str) -> tuple[str, ...]:
    """A note where the video's frame rate is more than 1 % away from the surgery's clock."""
    rate, expected = Fraction(found), Fraction(clock)
    if rate == 0 or abs(rate - expected) * 100 <= expected:
        return ()
    return (
        f"{name} has {float(rate):.2f} frames a second, the labels count {float(expected):.2f}: its frames were taken "
        f"by number, so labels and pictures drift apart if it was converted to another rate.",
    )
