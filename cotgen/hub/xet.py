"""LocalCas: a folder that the xet client takes for its store (`local://`), and what a Hub must know of it.

The client writes chunks and file descriptions there by itself. A Hub only has to tell which xet hash a sha256 has, and
to read a file back. The client locks the store's database while it lives, so it is read beside it, from a copy of the
database and links to the rest.
"""

from __future__ import annotations

import shutil
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_HEADER = 48
_ENTRY = 48
#: The list of files ends with a hash of ones.
_END = b"\xff" * 32
_VERIFIED = 1 << 31
_HAS_SHA256 = 1 << 30
_DAY = 86_400


class LocalCas:
    """A store on disk.

    Attributes:
        folder: where it is; made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        """What a Hub answers as address of the store."""
        return f"local://{self.folder}"

    def hashes(self) -> dict[str, str]:
        """sha256 of a file's bytes -> its xet hash, for all files that were uploaded whole."""
        shards = sorted((self.folder / "xet/xorbs/shards").glob("*.mdb"))
        return {sha256: name for shard in shards for sha256, name in _described(shard.read_bytes())}

    def read(self, sha256: str) -> bytes | None:
        """The bytes of a file, or None where the store has none of that sha256. Needs hf_xet."""
        name = self.hashes().get(sha256)
        if name is None:
            return None
        import hf_xet

        with tempfile.TemporaryDirectory() as scratch:
            store = self.folder / "xet/xorbs"
            beside = Path(scratch) / "xet/xorbs"
            beside.mkdir(parents=True)
            for part in ("shards", "xorbs"):
                (beside / part).symlink_to(store / part)
            for database in store.glob("*.redb"):
                shutil.copy(database, beside)
            group = hf_xet.XetSession().new_download_stream_group(
                endpoint=f"local://{scratch}", token="none", token_expiry_unix_secs=int(time.time()) + _DAY
            )
            return b"".join(bytes(piece) for piece in group.download_stream(hf_xet.XetFileInfo(name, None)))


def _described(shard: bytes) -> Iterator[tuple[str, str]]:
    """(sha256, xet hash) of the files that one description lists; each is four little-endian numbers."""
    at = _HEADER
    while (name := shard[at : at + 32]) and name != _END:
        flags, segments = struct.unpack_from("<II", shard, at + 32)
        at += _ENTRY * (1 + segments * (2 if flags & _VERIFIED else 1))
        if flags & _HAS_SHA256:
            yield _hex(shard[at : at + 32]), _hex(name)
            at += _ENTRY


def _hex(data: bytes) -> str:
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", data))
