"""Reading small text files of data sets: bounded, and with errors that name the place."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from cotgen.errors import SourceError
from cotgen.sources.base import inside

#: Bounds of what is read: the largest JSON of the releases read here has 15 MB, the largest text 4 MB.
MAX_JSON_BYTES = 256 * 2**20
MAX_TEXT_BYTES = 64 * 2**20


def read_bytes(root: Path, file: str, most: int) -> bytes:
    """The whole of a plain file below root.

    Raises:
        SourceError: it cannot be read, is no plain file or is larger than `most` bytes.
    """
    path = inside(root, file)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise SourceError("is not a plain file; a file was expected", file=file)
        with path.open("rb") as handle:
            data = handle.read(most + 1)
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        raise SourceError(f"cannot be read ({reason}); check the file and its rights", file=file) from None
    if len(data) > most:
        raise SourceError(f"is larger than {most // 2**20} MiB; the labels of one operation were expected", file=file)
    return data


def read_json(root: Path, file: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        SourceError: the file is not readable or holds no JSON object; names the line where it breaks.
    """
    data = read_bytes(root, file, MAX_JSON_BYTES)
    try:
        content = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as problem:
        raise SourceError(f"is no JSON ({problem.msg}); get the file again", file=file, line=problem.lineno) from None
    if not isinstance(content, dict):
        raise SourceError("holds no JSON object; `{...}` was expected", file=file, line=1)
    return content


def read_integers(root: Path, file: str, columns: int) -> list[list[int]]:
    """The rows of a header-less file of whole numbers with commas between them; blank lines are skipped.

    Raises:
        SourceError: a line has another number of columns or something that is no whole number.
    """
    data = read_bytes(root, file, MAX_TEXT_BYTES).removeprefix(b"\xef\xbb\xbf")
    rows: list[list[int]] = []
    for number, raw in enumerate(data.replace(b"\r\n", b"\n").split(b"\n"), start=1):
        text = raw.strip()
        if not text:
            continue
        cells = text.split(b",")
        if len(cells) != columns:
            raise SourceError(
                f"the line has {len(cells)} columns; {columns} whole numbers with commas between were expected",
                file=file,
                line=number,
            )
        try:
            row = [int(cell) for cell in cells] if len(text) < 10_000 else None
        except ValueError:
            row = None
        if row is None or any(abs(value) > 10**9 for value in row):
            shown = ascii(text[:40].decode("latin-1"))
            raise SourceError(f"{shown} holds something that is no whole number", file=file, line=number)
        rows.append(row)
    if not rows:
        raise SourceError("is empty; a row per frame was expected", file=file, line=1)
    return rows


def names_in(root: Path, folder: str = "") -> list[str]:
    """The sorted names in root or in a folder of it; none where it is no folder.

    Raises:
        SourceError: it cannot be listed.
    """
    try:
        return sorted(os.listdir(root / folder))  # noqa: PTH208 - several times as fast for 100,000 pictures
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as problem:
        raise SourceError(
            f"cannot be listed ({problem.strerror}); check its rights", file=folder or str(root)
        ) from None


def folders_below(root: Path, depth: int, closed: re.Pattern[str]) -> Iterator[tuple[str, list[str]]]:
    """(path below root, its folders) of root and the folders up to `depth` deep; each folder once, also behind links.

    Folders that are called like `closed` are not looked into, and those that may not be listed are passed over.

    Raises:
        SourceError: root itself cannot be listed.
    """
    left, seen = [("", 0)], {os.path.realpath(root)}
    while left:
        under, level = left.pop(0)
        try:
            names = names_in(root, under)
        except SourceError:
            if not under:
                raise
            continue
        own = []
        for name in names:
            path = f"{under}/{name}" if under else name
            if is_folder(root / path) and (real := os.path.realpath(root / path)) not in seen:
                seen.add(real)
                own.append(path)
                left += [(path, level + 1)] if level < depth and not closed.fullmatch(name) else []
        yield under, own


def folders_called(root: Path, *names: str, under: str = "") -> list[str]:
    """The folders of these names in root, or in a folder of it, whatever their letter case, as paths below root."""
    wanted = {name.lower() for name in names}
    before = f"{under}/" if under else ""
    return [
        before + name for name in names_in(root, under) if name.lower() in wanted and is_folder(root / before / name)
    ]


def is_folder(path: Path) -> bool:
    """Whether the path is a folder, links followed."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Whether the path is a plain file, links followed."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False
