"""What a build keeps on disk between runs: sealed files, remembered hashes, locks and a folder for unfinished work.

A *sealed file* is some payloads, a JSON footer, its length and a mark; it is written under another name, flushed to the
disk and renamed, so a file of that name is whole or not there. Nothing here trusts a process id: what an earlier run
left behind is recognised by its lock, which the system drops when the process is gone.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import orjson

from cotgen.errors import CotgenError
from cotgen.records import canonical_json

_MARK = b"cotgen.sealed.1\n"
_TAIL = 8 + len(_MARK)
_CHUNK = 1 << 20
#: How much of either end of a video stands for it where nothing is decoded: enough for the container's headers.
_ENDS = 4 << 20
#: Errors that every later unit would meet as well.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})


class DiskError(CotgenError):
    """The file system refused to take something; every later unit would fail the same way, so the run stops."""


def explain(error: OSError, path: Path | str = "") -> DiskError | None:
    """The sentence for an error of the file system that concerns the whole run; None where it is something else."""
    where = str(error.filename or path or "the output")
    again = "Then run the same command again: what is finished is kept."
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        what = {errno.ENOSPC: "The disk is full", errno.EDQUOT: "The disk quota is used up"}
        text = what.get(error.errno, "The file system or a limit (ulimit -f) does not allow a file of this size")
        return DiskError(
            f"{text}: {where} could not be written. Free some space or choose another --work or --out. {again}"
        )
    if error.errno == errno.EROFS:
        return DiskError(f"{where} is on a read-only file system. Choose another --out or --work. {again}")
    if error.errno in (errno.EACCES, errno.EPERM):
        return DiskError(
            f"You have no permission to use {where}. Choose another --out or --work, or change it. {again}"
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return DiskError(f"{where} cannot be made, because a part of that path is a file. Choose another folder.")
    if error.errno == errno.EIO:
        return DiskError(f"The disk reports an error at {where}. Check the disk. {again}")
    return None


def make_folder(folder: Path) -> Path:
    """Make a folder with its parents. Raises DiskError with the reason in words."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, folder) or error from error
    return folder


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut, where the file system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def move_into_place(part: Path, final: Path) -> None:
    """Give a finished file its name; one that is there already is replaced."""
    final.parent.mkdir(parents=True, exist_ok=True)
    part.replace(final)
    sync_folder(final.parent)


def write_whole(final: Path, data: bytes, part: Path) -> None:
    """Write a small file so that it is whole under its name or not there."""
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    move_into_place(part, final)


class SealedWriter:
    """Writes a sealed file under a temporary name; `seal` makes it whole, the caller gives it its name.

    Left without `seal`, the temporary file is removed.
    """

    def __init__(self, part: Path) -> None:
        self._path = part
        part.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = part.open("wb")
        self._sealed = False
        self.offset = 0

    def __enter__(self) -> SealedWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if not self._sealed:
            self._path.unlink(missing_ok=True)

    def write(self, data: bytes) -> tuple[int, int]:
        """Append a payload; returns its offset and length in bytes."""
        place = (self.offset, len(data))
        self._file.write(data)
        self.offset += len(data)
        return place

    def seal(self, footer: Mapping[str, Any]) -> None:
        """Write the footer and flush everything to the disk."""
        data = canonical_json(dict(footer))
        self._file.write(data)
        self._file.write(len(data).to_bytes(8, "little"))
        self._file.write(_MARK)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._sealed = True


def read_footer(path: Path) -> dict[str, Any]:
    """The footer of a sealed file.

    Raises:
        ValueError: the file is not whole, or no sealed file.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size < _TAIL:
            raise ValueError(f"{path} is not whole")
        file.seek(size - _TAIL)
        tail = file.read(_TAIL)
        length = int.from_bytes(tail[:8], "little")
        if tail[8:] != _MARK or length > size - _TAIL:
            raise ValueError(f"{path} is not whole")
        file.seek(size - _TAIL - length)
        footer: dict[str, Any] = orjson.loads(file.read(length))
    return footer


def read_payload(path: Path, place: Sequence[int]) -> bytes:
    """One payload of a sealed file, by offset and length."""
    with path.open("rb") as file:
        file.seek(place[0])
        return file.read(place[1])


# What a file's content is remembered by. A file that changed without a trace in these is not noticed.
def stamp(path: Path) -> str:
    """Size, times of change of content and of status, and inode of a file.

    The second time is the system's own: a file that was replaced by one with an old date is noticed by it.
    """
    status = path.stat()
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_ino}"


def stamp_of_set(paths: Sequence[Path]) -> str:
    """One stamp for many files."""
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        digest.update(stamp(path).encode() + b"\n")
    return f"{len(paths)}:{digest.hexdigest()}"


@dataclass(frozen=True, slots=True)
class Seen:
    """Files as they were when their content was hashed.

    Attributes:
        paths: the files.
        mark: their stamp, or that of the set where they are several.
    """

    paths: tuple[Path, ...]
    mark: str

    @classmethod
    def now(cls, paths: Sequence[Path]) -> Seen:
        """The files as they are. Raises OSError where one cannot be read."""
        return cls(tuple(paths), stamp(paths[0]) if len(paths) == 1 else stamp_of_set(paths))

    def same(self) -> bool:
        """Whether they are still those."""
        try:
            return Seen.now(self.paths).mark == self.mark
        except OSError:
            return False

    def check(self) -> None:
        """Raise a CotgenError where they are not: what was made of them would stand under the name of others."""
        if not self.same():
            more = f" or one of {len(self.paths) - 1} beside it" if len(self.paths) > 1 else ""
            raise CotgenError(
                f"{self.paths[0]}{more} changed while it was read. Wait until it is complete, then build again."
            )


def hash_file(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """sha256 of a file's content. `progress` gets the bytes read since its last call."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(_CHUNK):
            digest.update(block)
            if progress:
                progress(len(block))
    return digest.hexdigest()


def hash_ends(path: Path) -> str:
    """sha256 over the size and both ends of a file: what stands for a video of which only the header is read."""
    with path.open("rb", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        digest = hashlib.sha256(f"{size}\n".encode() + file.read(_ENDS))
        file.seek(max(0, size - _ENDS))
        digest.update(file.read(_ENDS))
    return digest.hexdigest()


class HashCache:
    """Remembers sha256 of files by path and stamp, in a small database in the work folder.

    Several builds may use one work folder, and any may be killed: a database that is locked or damaged costs time,
    never a wrong answer.
    """

    #: A file younger than this may still change without a new time stamp, so its hash is not remembered.
    YOUNG_NS = 2_000_000_000

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, tuple[str, str]] = {}
        self._new: dict[str, tuple[str, str]] = {}
        with contextlib.suppress(sqlite3.Error):
            self._load()

    def _load(self) -> None:
        if not self._path.exists():
            return
        with contextlib.closing(sqlite3.connect(self._path, timeout=10)) as database:
            rows = database.execute("SELECT path, stamp, sha256 FROM hashes")
            self._known = {path: (mark, sha256) for path, mark, sha256 in rows}

    def get(self, name: str, mark: str) -> str:
        """The remembered hash, or "" where there is none for this stamp."""
        known, sha256 = self._known.get(name, ("", ""))
        return sha256 if known == mark else ""

    def put(self, name: str, mark: str, sha256: str, newest_ns: int) -> None:
        """Remember a hash. `newest_ns` is the time of change of the (newest) file."""
        self._known[name] = (mark, sha256)
        if time.time_ns() - newest_ns > self.YOUNG_NS:
            self._new[name] = (mark, sha256)

    def file(self, path: Path) -> str:
        """sha256 of a small file, remembered."""
        mark = stamp(path)
        found = self.get(str(path), mark)
        if not found:
            found = hash_file(path)
            self.put(str(path), mark, found, path.stat().st_mtime_ns)
        return found

    def save(self) -> None:
        """Write what is new. A damaged database is made anew; a locked one is left alone."""
        if not self._new:
            return
        rows = [(name, mark, sha256) for name, (mark, sha256) in sorted(self._new.items())]
        for attempt in (1, 2):
            try:
                with contextlib.closing(sqlite3.connect(self._path, timeout=10)) as database, database:
                    database.execute(
                        "CREATE TABLE IF NOT EXISTS hashes (path TEXT PRIMARY KEY, stamp TEXT, sha256 TEXT)"
                    )
                    database.executemany("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?)", rows)
                self._new.clear()
                return
            except sqlite3.OperationalError:
                return
            except sqlite3.DatabaseError:
                if attempt == 1:
                    self._path.unlink(missing_ok=True)


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN):
            return False
        raise
    return True


def _same_file(handle: int, path: Path) -> bool:
    try:
        now = path.stat()
    except OSError:
        return False
    held = os.fstat(handle)
    return (now.st_ino, now.st_dev) == (held.st_ino, held.st_dev)


@contextlib.contextmanager
def hold(out: Path, locks: Path) -> Iterator[None]:
    """Hold an output folder for this process; the system lets go of it when the process ends, however it ends.

    The lock is on the folder itself, so that builds with different work folders see each other; where the file system
    has no locks on folders (NFS), it is on a file in the work folder.

    Raises:
        CotgenError: another process holds it.
        DiskError: the folder cannot be made.
    """
    busy = CotgenError(f"Another cotgen is writing to {out} right now. Wait until it ends, or choose another --out.")
    while True:
        made = not out.exists()
        make_folder(out)
        handle = os.open(out, os.O_RDONLY)
        try:
            try:
                held = _lock(handle)
            except OSError:
                os.close(handle)
                name = hashlib.sha256(str(out.resolve()).encode()).hexdigest()[:32]
                handle = os.open(make_folder(locks) / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o644)
                held = _lock(handle)
            else:
                if held and not _same_file(handle, out):
                    # Its last holder removed the empty folder between our opening and locking it.
                    continue
            if not held:
                raise busy
            try:
                yield
            finally:
                if made:
                    with contextlib.suppress(OSError):
                        out.rmdir()
            return
        finally:
            os.close(handle)


@contextlib.contextmanager
def run_folder(work: Path) -> Iterator[Path]:
    """A folder for the unfinished files of this run; those of runs that are gone are removed first.

    Raises:
        DiskError: the work folder cannot be written.
    """
    base = make_folder(work / "tmp")
    sweep(base)
    try:
        while True:
            name = f"{os.getpid()}-{secrets.token_hex(6)}"
            mark = base / f"{name}.lock"
            handle = os.open(mark, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
            # Another run may sweep between the two calls; then it has the lock or the file is gone.
            if _lock(handle) and _same_file(handle, mark):
                break
            os.close(handle)
        folder = base / name
        folder.mkdir()
    except OSError as error:
        raise explain(error, base) or error from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        mark.unlink(missing_ok=True)
        os.close(handle)


def sweep(base: Path) -> int:
    """Remove the unfinished files of runs that are gone; returns how many runs they were."""
    swept = 0
    for mark in sorted(base.glob("*.lock")):
        try:
            handle = os.open(mark, os.O_RDWR)
        except OSError:
            continue
        try:
            if _lock(handle) and _same_file(handle, mark):
                shutil.rmtree(base / mark.stem, ignore_errors=True)
                mark.unlink(missing_ok=True)
                swept += 1
        except OSError:
            continue
        finally:
            os.close(handle)
    return swept


def fingerprint(values: Mapping[str, Any]) -> str:
    """32 hex digits over plain values: the name under which a unit's result is kept."""
    return hashlib.sha256(canonical_json(dict(values))).hexdigest()[:32]
