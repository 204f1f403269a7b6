"""FrameTable: a text file with one row per frame, as Cholec80 and m2cai16 write their labels.

The first line names the columns, one of them `Frame`; every other line holds a frame number and the values of that
frame. Frame numbers start at 0 and rise by a fixed step, so a lost, doubled or moved line is found. Fields stand
between single tabs, or between spaces as third-party copies have them. Columns are found by their names.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cotgen.errors import SourceError
from cotgen.sources.base import Oddity, inside

#: Bounds of what is read. The longest file of the releases has 149,826 rows and 4.2 MB; 11 hours at 25 a second fit.
MAX_BYTES = 32 * 2**20
MAX_LINES = 1_000_000
MAX_LINE_BYTES = 1000

FRAME = "Frame"
_SEPARATOR = r"(?: *\t *| +)"
_NUMBER = r"[0-9]{1,9}"
_BLANKS = " \t"


@dataclass(frozen=True, slots=True)
class FrameTable:
    """A table that was read.

    Attributes:
        rows: column `Frame` (Int64: 0, step, 2 * step ...) and a String column per label, in the order asked for.
        oddities: what was unusual in the form of the file and changes nothing.
    """

    rows: pl.DataFrame
    oddities: tuple[Oddity, ...]


def read_frame_table(root: Path, file: str, columns: Mapping[str, Sequence[str]], step: int) -> FrameTable:
    """Read one table.

    Args:
        root: folder of the source.
        file: the table, relative to root.
        columns: label column -> the values it may hold.
        step: distance between two frame numbers.

    Raises:
        SourceError: the file is not such a table; names the first line that is wrong and what was expected there.
    """
    lines, oddities = _lines(root, file)
    names, form = _header(file, lines[0], columns)
    oddities += form
    pattern = _SEPARATOR.join(f"({_cell(columns.get(name))})" for name in names)
    body = pl.DataFrame({"text": lines}).with_row_index("line", offset=1).slice(1)
    blank = pl.col("text").str.strip_chars(_BLANKS) == ""
    rows = (
        body.filter(~blank)
        .with_columns(
            pl.col("text").str.extract_groups(f"^ *{pattern}[ \t]*$").struct.rename_fields(names).alias("cells")
        )
        .unnest("cells")
        .with_columns(pl.col(FRAME).cast(pl.Int64), pl.int_range(0, pl.len() * step, step).alias("expected"))
    )
    wrong = rows.filter(pl.col(FRAME).ne_missing(pl.col("expected"))).head(1)
    if len(wrong):
        line, text, expected = wrong.select("line", "text", "expected").row(0)
        raise SourceError(_explain(text, names, columns, expected, step), file=file, line=line)
    if rows.is_empty():
        raise SourceError("the file ends after its header; a row for frame 0 was expected", file=file, line=2)
    if skipped := len(body) - len(rows):
        oddities.append(Oddity(file, "blank lines, skipped", skipped))
    if trailing := rows.filter(pl.col("text").str.contains(r"[ \t]$")).height:
        oddities.append(Oddity(file, "blanks at the ends of lines, ignored", trailing))
    if "\t" not in rows["text"][0]:
        oddities.append(Oddity(file, "spaces between the columns where the release has tabs"))
    return FrameTable(rows.select(FRAME, *columns), tuple(oddities))


def _lines(root: Path, file: str) -> tuple[pl.Series, list[Oddity]]:
    """The lines of the file without their ends, and what was unusual in its encoding."""
    data = _read(root, file)
    oddities = []
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SourceError("is UTF-16; save it as plain text in UTF-8", file=file, line=1)
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
        oddities.append(Oddity(file, "a byte order mark, skipped"))
    if (at := data.find(b"\0")) >= 0:
        raise SourceError(
            "holds a NUL byte; the file is damaged or not text, get it again", file=file, line=_line_at(data, at)
        )
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
        if (at := data.find(b"\r")) >= 0:
            raise SourceError(
                "holds a carriage return that ends no line; lines end in LF or CRLF",
                file=file,
                line=_line_at(data, at),
            )
        oddities.append(Oddity(file, "lines end in CRLF"))
    if data.count(b"\n") > MAX_LINES:
        raise SourceError(
            f"has more than {MAX_LINES:,} lines; one row per frame of one operation was expected", file=file
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise SourceError(
            f"holds the byte 0x{data[problem.start]:02x}, which is not UTF-8; the file is damaged, get it again",
            file=file,
            line=_line_at(data, problem.start),
        ) from None
    if not text.strip():
        raise SourceError(
            "is empty; a header line and a row per frame were expected, get the file again", file=file, line=1
        )
    if text.endswith("\n"):
        text = text[:-1]
    else:
        oddities.append(Oddity(file, "no line end after the last row"))
    lines = pl.Series("text", [text]).str.split("\n").explode()
    long = lines.str.len_bytes() > MAX_LINE_BYTES
    if long.any():
        raise SourceError(
            f"the line has more than {MAX_LINE_BYTES:,} bytes; a frame number and its labels were expected",
            file=file,
            line=int(long.arg_true()[0]) + 1,
        )
    return lines, oddities


def _read(root: Path, file: str) -> bytes:
    path = inside(root, file)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise SourceError("is a folder; a text file was expected", file=file)
        if not stat.S_ISREG(status.st_mode):
            raise SourceError("is not a plain file; a text file was expected", file=file)
        with path.open("rb") as handle:
            data = handle.read(MAX_BYTES + 1)
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        raise SourceError(f"cannot be read ({reason}); check the file and its rights", file=file) from None
    if len(data) > MAX_BYTES:
        raise SourceError(
            f"is larger than {MAX_BYTES // 2**20} MiB; a row per frame of one operation was expected", file=file
        )
    return data


def _line_at(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


def _cell(values: Sequence[str] | None) -> str:
    return _NUMBER if values is None else "|".join(map(re.escape, values))


def _fields(text: str) -> list[str]:
    return re.split(_SEPARATOR, text.lstrip(" ").rstrip(_BLANKS))


def _header(file: str, text: str, columns: Mapping[str, Sequence[str]]) -> tuple[list[str], list[Oddity]]:
    """The column names in the order of the file."""
    names = _fields(text)
    wanted = [FRAME, *columns]
    expected = f"the header {' '.join(wanted)} was expected"
    for name in names:
        if name not in wanted:
            raise SourceError(f"the header has {_quoted(name)}; {expected}", file=file, line=1)
        if names.count(name) > 1:
            raise SourceError(f"the header has {name} twice; {expected}", file=file, line=1)
    if missing := [name for name in wanted if name not in names]:
        raise SourceError(f"the header lacks {', '.join(missing)}; {expected}", file=file, line=1)
    if names == wanted:
        return names, []
    return names, [Oddity(file, "columns in another order than the release's, read by their names")]


def _explain(text: str, names: list[str], columns: Mapping[str, Sequence[str]], expected: int, step: int) -> str:
    """What is wrong with the first row that is wrong, in words."""
    fields = _fields(text)
    if len(fields) != len(names):
        return f"{_quoted(text)} has {len(fields)} fields; {len(names)} were expected: {', '.join(names)}"
    row = dict(zip(names, fields, strict=True))
    frame = row[FRAME]
    if not re.fullmatch(_NUMBER, frame):
        return f"the frame number is {_quoted(frame)}; a whole number from 0 on was expected, here {expected}"
    for name, values in columns.items():
        if row[name] not in values:
            known = " or ".join(values) if len(values) < 3 else f"one of {', '.join(values)}"
            return f"{name} is {_quoted(row[name])}; {known} was expected"
    number = int(frame)
    if number % step:
        return f"frame {number} is no multiple of {step}; a row every {step} frames was expected, here {expected}"
    if number > expected:
        return f"frame {number} stands where frame {expected} was expected; rows are missing before it"
    if expected and number == expected - step:
        return f"frame {number} is there twice; frame {expected} was expected"
    return f"frame {number} stands where frame {expected} was expected; frame numbers rise by {step}"


def _quoted(text: str) -> str:
    """The text as it can stand in a message: short and without control characters."""
    return ascii(text if len(text) <= 60 else text[:57] + "...")
