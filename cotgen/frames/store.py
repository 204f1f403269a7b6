"""FrameStore: the frames of one surgery in one sealed file.

Layout: a 16-byte mark, the JPEGs one after the other, a JSON footer (sorted keys; the report, and a column for each
field of `FrameRow`), the footer's length (8 bytes, little-endian), its sha256 (32 bytes), and the mark again. The file
appears under its name only when it is whole, holds no time and no path of this machine, and is therefore the same for
the same frames. A file that was cut or is something else is refused; every image is checked against its sha256.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, Literal

import orjson

from cotgen.errors import CotgenError
from cotgen.records import Measured, canonical_json

Mode = Literal["embed", "reference", "none"]

_MARK = b"cotgen-frames-1\n"
_TAIL = 8 + 32 + len(_MARK)


@dataclass(frozen=True, slots=True)
class FrameRow:
    """One frame of the store.

    Attributes:
        index: frame number on the surgery's clock.
        file: the source's file below its root.
        native_index: frame number in that video (0-based), or the number in the image's name.
        width: width of the stored picture in pixels.
        height: height in pixels.
        crop: x1, y1, x2, y2 of the native picture that was kept.
        pixels: `encode.pixels_sha256` of the stored size; "" where nothing was decoded.
        sha256: that of the JPEG; "" where nothing was decoded.
        offset: where the JPEG begins in the sealed file; 0 where none is stored.
        length: bytes of the JPEG; 0 where none is stored.
        measured: what `measure` says; empty where nothing was decoded.
    """

    index: int
    file: str
    native_index: int
    width: int
    height: int
    crop: tuple[int, int, int, int]
    pixels: str = ""
    sha256: str = ""
    offset: int = 0
    length: int = 0
    measured: tuple[Measured, ...] = ()


@dataclass(frozen=True, slots=True)
class ExtractReport:
    """What came of extracting one surgery.

    Attributes:
        mode: `embed`, `reference` or `none`.
        frames: number of frames in the store.
        missing: wanted frame number -> why it is not there, ascending.
        index_mode: `rank` or `count` (`frames.index`), `images`, or `header` where nothing was decoded.
        index_reason: why frames were counted, else "".
        notes: what else a user should know, a sentence each.
        decoder: versions that the pixels depend on; "" where nothing was decoded.
        encoder: versions that the JPEG bytes depend on; "" where nothing was encoded.
    """

    mode: Mode
    frames: int
    missing: dict[int, str]
    index_mode: str
    index_reason: str = ""
    notes: tuple[str, ...] = ()
    decoder: str = ""
    encoder: str = ""


class FrameStore:
    """A sealed file, open for reading. Use as a context manager, or call `close`."""

    def __init__(self, path: Path, file: BinaryIO, report: ExtractReport, columns: dict[str, list[Any]]) -> None:
        self.path = path
        self.report = report
        self._file = file
        self._columns = columns
        self._at = {index: at for at, index in enumerate(columns["index"])}

    @classmethod
    def open(cls, path: Path) -> FrameStore:
        """Open a sealed file.

        Raises:
            CotgenError: it is not there, was cut, or is not a frame store.
        """
        try:
            file = path.open("rb")
        except OSError as error:
            raise CotgenError(f"The frame store {path.name} cannot be opened: {error.strerror}.") from error
        try:
            footer = orjson.loads(_footer(file))
            report = footer["report"]
            report["missing"] = {n: why for why, numbers in report["missing"] for n in numbers}
            report["missing"] = dict(sorted(report["missing"].items()))
            report["notes"] = tuple(report["notes"])
            return cls(path, file, ExtractReport(**report), footer["rows"])
        except (ValueError, KeyError, TypeError, OSError) as error:
            file.close()
            raise CotgenError(
                f"{path.name} is not a whole frame store ({error}); delete it and run the same command again."
            ) from error

    def __len__(self) -> int:
        return len(self._at)

    def __enter__(self) -> FrameStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def indices(self) -> list[int]:
        """The frame numbers, ascending."""
        return list(self._at)

    def row(self, index: int) -> FrameRow:
        """One row. Raises KeyError if the frame is not in the store."""
        at = self._at[index]
        values = {name: column[at] for name, column in self._columns.items()}
        values["crop"] = tuple(values["crop"])
        values["measured"] = tuple(
            Measured(name=name, value=value, box=box) for name, value, box in values["measured"]
        )
        return FrameRow(**values)

    def rows(self) -> dict[int, FrameRow]:
        """All rows by frame number, ascending."""
        return {index: self.row(index) for index in self._at}

    def image(self, index: int) -> bytes:
        """The JPEG of a frame.

        Raises:
            KeyError: the frame is not in the store.
            CotgenError: the store holds no images, or the bytes on disk changed.
        """
        at = self._at[index]
        offset, length = self._columns["offset"][at], self._columns["length"][at]
        if not length:
            raise CotgenError(f"{self.path.name} was made with --frames {self.report.mode}: it holds no images.")
        data = os.pread(self._file.fileno(), length, offset)
        if hashlib.sha256(data).hexdigest() != self._columns["sha256"][at]:
            raise CotgenError(
                f"Frame {index} in {self.path.name} is damaged; delete the file and run the same command again."
            )
        return data


def _footer(file: BinaryIO) -> bytes:
    """The bytes of the footer. Raises ValueError with what is wrong."""
    size = file.seek(0, os.SEEK_END)
    if size < len(_MARK) + _TAIL:
        raise ValueError("it is too short")
    file.seek(0)
    head = file.read(len(_MARK))
    file.seek(size - _TAIL)
    tail = file.read(_TAIL)
    if head != _MARK or not tail.endswith(_MARK):
        raise ValueError("its mark is missing")
    length = int.from_bytes(tail[:8], "little")
    if length > size - _TAIL - len(_MARK):
        raise ValueError("its footer is cut")
    file.seek(size - _TAIL - length)
    footer = file.read(length)
    if hashlib.sha256(footer).digest() != tail[8:40]:
        raise ValueError("its footer changed")
    return footer


class StoreWriter:
    """Writes a frame store from front to back; see `writing`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._rows: list[FrameRow] = []
        self._end = file.write(_MARK)

    def __len__(self) -> int:
        return len(self._rows)

    def append(self, image: bytes) -> tuple[int, int]:
        """Store a JPEG; returns its offset and length."""
        offset = self._end
        self._end += self._file.write(image)
        return offset, len(image)

    def add(self, row: FrameRow) -> None:
        """Add a row; numbers must rise."""
        if self._rows and row.index <= self._rows[-1].index:
            raise ValueError(f"frame {row.index} after frame {self._rows[-1].index}")
        self._rows.append(row)

    def seal(self, report: ExtractReport) -> None:
        """Write the footer."""
        columns: dict[str, list[Any]] = {
            f.name: [getattr(row, f.name) for row in self._rows] for f in fields(FrameRow)
        }
        columns["measured"] = [[[m.name, m.value, m.box] for m in row.measured] for row in self._rows]
        by_reason: dict[str, list[int]] = {}
        for number in sorted(report.missing):
            by_reason.setdefault(report.missing[number], []).append(number)
        described = asdict(report) | {"missing": sorted(by_reason.items())}
        footer = canonical_json({"report": described, "rows": columns})
        self._file.write(footer)
        self._file.write(len(footer).to_bytes(8, "little"))
        self._file.write(hashlib.sha256(footer).digest())
        self._file.write(_MARK)


@contextmanager
def writing(out: Path) -> Iterator[StoreWriter]:
    """A writer whose file gets its name when the block ends without an error; else nothing is left.

    Raises:
        CotgenError: the folder cannot be written to, or the disk is full.
    """
    part = out.with_name(f".{out.name}.{uuid.uuid4().hex}.part")
    try:
        try:
            with part.open("xb") as file:
                yield StoreWriter(file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(out)
            _sync_folder(out.parent)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise CotgenError(
            f"The frames {out.name} cannot be written ({error.strerror}); free space or choose another --work folder."
        ) from error


def _sync_folder(folder: Path) -> None:
    """Make a rename durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
