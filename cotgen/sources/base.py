"""Source: one data set as it lies on disk, read into facts and pictures.

A source is a module with one class. `scan` is cheap and looks only at names; `facts` reads the annotation files of one
surgery; `frames` says where its pictures are. Bad input is a `SourceError` that names file and line; what can be read
in spite of an oddity is read, and the oddity is counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal, Protocol

import polars as pl

from cotgen.errors import SourceError
from cotgen.records import SourceTerms

#: Version of what `facts` returns, for all sources together: raised when the same files give other rows.
FACTS_VERSION = 4
#: One row per fact. `box` is normalised x1, y1, x2, y2 in 0..1 of the native picture, or empty.
FACTS_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "index": pl.Int64,
    "id": pl.String,
    "kind": pl.String,
    "terms": pl.List(pl.String),
    "box": pl.List(pl.Float64),
    "value": pl.Float64,
    "source": pl.String,
}
#: One row per frame and kind of label that was given for it: `name` is `source.kind`.
LABELLED_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {"index": pl.Int64, "name": pl.String}
#: One row per number that outlines give (`Measured`): `of` are fact ids of that frame, sorted.
MEASURED_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "index": pl.Int64,
    "name": pl.String,
    "value": pl.Float64,
    "of": pl.List(pl.String),
}


@dataclass(frozen=True, slots=True)
class Oddity:
    """Something unusual that was handled: a file, what was found, what was done, how often."""

    file: str
    text: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Description:
    """What a user must know before using a source.

    Attributes:
        terms: licence, citation, whether frames and derived text may be shared.
        access: how to get it.
        layout: the folders and files that are read, a line each.
        levels: which labels feed which level, a line each.
        splits: names of the official splits.
        fps: the surgery clock, `25/1`.
        procedure: which operation, `cholecystectomy`.
    """

    terms: SourceTerms
    access: str
    layout: tuple[str, ...]
    levels: tuple[str, ...]
    splits: tuple[str, ...]
    fps: str
    procedure: str


@dataclass(frozen=True, slots=True)
class SurgeryFiles:
    """The files of one surgery, relative to the root.

    Attributes:
        surgery: whose clock the labels count on, `cholec80/73`. It begins the sample keys; sources whose labels share a
            clock give the same one. The operation that it belongs to, `canonical(surgery)`, may be another
            (`endoscapes/2` is `cholec80/68`, `sar_rarp50/7_1` is `sar_rarp50/7`).
        annotations: role -> file, e.g. `phase`, `tool`.
        video: the video file, or "".
        images: index on the surgery clock -> image file, sorted; used where there is no video. Where there is neither,
            the labels are of use where another source has the pictures.
    """

    surgery: str
    annotations: tuple[tuple[str, str], ...]
    video: str = ""
    images: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Scan:
    """What a root holds.

    Attributes:
        source: name of the source.
        root: the folder that was recognised.
        surgeries: those that can be built, sorted by number.
        incomplete: surgery -> what is missing, in words.
        oddities: what was noticed and handled.
        procedure: which operation it is, where the folder decides and not the source; "" else.
        splits: surgery -> split, where the folder itself names them.
    """

    source: str
    root: Path
    surgeries: tuple[SurgeryFiles, ...]
    incomplete: tuple[tuple[str, str], ...] = ()
    oddities: tuple[Oddity, ...] = ()
    procedure: str = ""
    splits: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Footage:
    """Where the pictures of one surgery are.

    Attributes:
        source: name of the source.
        root: folder below which all files lie.
        video: file relative to root, or "" where there are images.
        images: (index, file relative to root), sorted by index.
        fps: the surgery clock; frame `index` of it is frame `index` of the video.
        crop: `(x1, y1, x2, y2)` of the native picture that is kept, `()` for all; boxes are of what is kept.
    """

    source: str
    root: Path
    video: str = ""
    images: tuple[tuple[int, str], ...] = ()
    fps: str = "25/1"
    crop: tuple[int, ...] = ()

    @property
    def kind(self) -> Literal["video", "images"]:
        """Whether frames come from a video or from image files."""
        return "video" if self.video else "images"


@dataclass(frozen=True, slots=True)
class SurgeryFacts:
    """All that one source says of one surgery.

    Attributes:
        surgery: `cholec80/73`.
        facts: rows of FACTS_SCHEMA, sorted by index and row order.
        labelled: rows of LABELLED_SCHEMA, sorted by index and name. Its indices are the frames to ask about.
        oddities: what was unusual and handled.
        measured: rows of MEASURED_SCHEMA, sorted by index, name and of: what outlines give.
    """

    surgery: str
    facts: pl.DataFrame
    labelled: pl.DataFrame
    oddities: tuple[Oddity, ...] = field(default=())
    measured: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=MEASURED_SCHEMA))


class Source(Protocol):
    """The contract of a source module."""

    name: str

    def describe(self) -> Description:
        """Licence, access, layout, levels, splits."""
        ...

    def scan(self, root: Path) -> Scan | None:
        """What `root` holds, or None where nothing of this source is recognised. Reads names, not files."""
        ...

    def missing(self, root: Path) -> str:
        """Why `scan` did not recognise `root`, in words for the error message."""
        ...

    def facts(self, root: Path, files: SurgeryFiles, step: int = 25) -> SurgeryFacts:
        """Read the annotations of one surgery at the indices 0, step, 2 * step ... of its clock.

        A finer step than a kind of label has leaves that kind unlabelled in between.

        Raises:
            SourceError: bad input, with file and line.
        """
        ...

    def frames(self, root: Path, files: SurgeryFiles) -> Footage:
        """Where the pictures are."""
        ...


def inside(root: Path, file: str) -> Path:
    """The path of `file`, which is relative to root with `/` between its parts.

    Symlinks are followed, since the user made them; a name that leaves the root by itself is not.

    Raises:
        SourceError: `file` is absolute or climbs out of the root.
    """
    relative = PurePosixPath(file)
    if not file or relative.is_absolute() or ".." in relative.parts or "\\" in file or "\0" in file:
        raise SourceError("is no path below the root of the source; correct the file that names it", file=file)
    return root / relative
