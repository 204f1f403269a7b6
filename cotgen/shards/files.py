"""Files that are there whole or not at all: a unique temporary name, fsync, rename."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cotgen.errors import CotgenError

_CHUNK = 1 << 20
#: Temporary files start with a dot and end with this, so that a reader never takes one for data and a later run, which
#: holds the folder's lock, can remove those of a killed one.
TEMPORARY = ".tmp"


_ADVICE = {
    errno.ENOSPC: "free some space or choose another folder",
    errno.EDQUOT: "free some space or choose another folder",
    errno.EFBIG: "the file system or a limit allows no file of that size; ask for more shards",
    errno.EROFS: "choose a folder that you may write to",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.ENOTDIR: "a file stands where a folder is needed; choose another folder",
    errno.EEXIST: "a file stands where a folder is needed; choose another folder",
}


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Turn what a user can mend (full disk, read-only folder) into a CotgenError that names the file."""
    try:
        yield
    except OSError as error:
        named = Path(error.filename) if isinstance(error.filename, str) else path
        ours = path.is_relative_to(named) or named.parent == path.parent
        if error.errno not in _ADVICE or not ours:
            raise
        advice = _ADVICE[error.errno]
        raise CotgenError(
            f"{path} cannot be written ({error.strerror}): {advice}, then run the same command again"
        ) from error


def temporary_name(path: Path) -> Path:
    """A name beside `path` that no other process uses."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file for writing; on success it is on disk and has taken the name `path`, else it is gone."""
    temporary = temporary_name(path)
    with writable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def settle(temporary: Path, path: Path) -> None:
    """Give a file that a library wrote under a temporary name its own name, once its bytes are on disk."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Put the names of a folder on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a small file whole or not at all."""
    with replacing(path) as file:
        file.write(data)


def remove_temporaries(folder: Path) -> None:
    """Remove what a killed run left half-written. The caller holds the folder's lock."""
    for path in sorted(folder.glob(f".*{TEMPORARY}")):
        path.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """sha256 of a file's bytes, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()
