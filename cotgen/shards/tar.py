"""Tar files with one byte form: the same samples in the same order are the same file, wherever and whenever written.

Format: USTAR, mode 0644, owner and group 0 without names, time 0. A sample is `{key}.jpg` (absent where frames are not
stored) and then `{key}.json`, side by side, so that WebDataset, `datasets` and `tar` read it alike. The file ends with
two zero blocks and is filled up to 10,240 bytes, as tar does.

The reader takes nothing else: a header must be the one that the writer gives a member of that name and size, filling
must be zero, the end must be there. So a flipped byte outside the members is always noticed; one inside them is what
the sha256 of the picture and of the shard are for.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cotgen.errors import CotgenError
from cotgen.shards.files import replacing

BLOCK = 512
_RECORD = 20 * BLOCK
_LONGEST_NAME = 100
#: What all headers have in common: mode, owner and group before the size; time after it; after the checksum, which is
#: counted as blanks, a file of USTAR.
_OWNER = b"0000644\0" + 2 * b"0000000\0"
_TIME = b"%011o\0" % 0
_KIND = b"0" + bytes(100) + b"ustar\x0000" + bytes(64 + 16 + 155 + 12)
_SUM_OF_THE_REST = sum(_OWNER + _TIME + b" " * 8 + _KIND)
_MEMBER = re.compile(rb"([a-z0-9][a-z0-9_-]*)\.(jpg|json)")
_SIZE = re.compile(rb"([0-7]{11})\0")


class ShardError(CotgenError):
    """A tar file that is not what cotgen writes: names the file, the byte and what is wrong there."""

    def __init__(self, message: str, *, file: str, offset: int) -> None:
        self.message = message
        self.file = file
        self.offset = offset
        super().__init__(f"{file}, byte {offset}: {message}")

    def __reduce__(self) -> tuple[object, ...]:
        """Keep file and byte when a worker process hands the error to its parent."""
        return (_rebuild, (self.message, self.file, self.offset))


def _rebuild(message: str, file: str, offset: int) -> ShardError:
    return ShardError(message, file=file, offset=offset)


@dataclass(frozen=True, slots=True)
class TarSample:
    """The members of one key.

    Attributes:
        key: the name of both members without its ending.
        offset: first byte of the header of the first member.
        json: the record.
        jpg: the picture; empty where frames are not stored.
    """

    key: str
    offset: int
    json: bytes
    jpg: bytes


class ShardWriter:
    """Takes the samples of one shard, in the order of the file.

    Attributes:
        sha256: of the whole file; "" until it stands under its name.
        position: bytes so far; at the end the size of the file.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.sha256 = ""
        self.position = 0
        self._file = file
        self._name = name
        self._digest = hashlib.sha256()
        self._keys: set[str] = set()

    @property
    def samples(self) -> int:
        """Number of samples so far."""
        return len(self._keys)

    def add(self, key: str, json: bytes, jpg: bytes) -> int:
        """Write one sample; an empty `jpg` gives no member. Returns the offset of its first header.

        Raises:
            CotgenError: a key twice, or a key or picture that does not fit a tar header.
        """
        if key in self._keys:
            raise CotgenError(f"{self._name}: sample '{key}' comes twice; keys must be unique in a data set")
        self._keys.add(key)
        offset = self.position
        for ending, data in (("jpg", jpg), ("json", json)):
            if data or ending == "json":
                self._put(_header(f"{key}.{ending}", len(data)))
                self._put(data)
                self._put(bytes(-len(data) % BLOCK))
        return offset

    def finish(self) -> None:
        """Write the end of the archive."""
        self._put(bytes(2 * BLOCK))
        self._put(bytes(-self.position % _RECORD))
        self.sha256 = self._digest.hexdigest()

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)
        self.position += len(data)


@contextmanager
def writing_shard(path: Path) -> Iterator[ShardWriter]:
    """Write one shard whole or not at all: it takes its name when the block ends without an error.

    Raises:
        CotgenError: nothing was written, or the folder does not take the file.
    """
    with replacing(path) as file:
        writer = ShardWriter(file, path.name)
        yield writer
        if not writer.samples:
            raise CotgenError(f"{path.name} would hold no sample; leave it out")
        writer.finish()


def _header(name: str, size: int) -> bytes:
    """The 512 bytes before a member (POSIX.1-1988 ustar)."""
    encoded = name.encode()
    if len(encoded) > _LONGEST_NAME or size >= 8**11:
        raise CotgenError(f"'{name}' ({size} bytes) does not fit a tar header: at most 100 letters and 8 GiB")
    octal = b"%011o\0" % size
    checksum = b"%06o\0 " % (sum(encoded) + sum(octal) + _SUM_OF_THE_REST)
    return b"".join((encoded.ljust(100, b"\0"), _OWNER, octal, _TIME, checksum, _KIND))


class _Reader:
    """Reads blocks of one file and says where something is wrong."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.file = file
        self.name = name
        self.position = file.tell()
        self.end_of_file = os.fstat(file.fileno()).st_size

    def fail(self, message: str, offset: int) -> ShardError:
        return ShardError(message, file=self.name, offset=offset)

    def take(self, size: int) -> bytes:
        missing = self.position + size - self.end_of_file
        if missing > 0:
            raise self.fail(f"the file ends {missing} bytes too early; copy or build it again", self.position)
        data = self.file.read(size)
        self.position += size
        return data

    def header(self) -> tuple[str, str, int] | None:
        """(key, ending, size) of the next member; None at a zero block."""
        offset = self.position
        block = self.take(BLOCK)
        if not any(block):
            return None
        name, _, _ = block[:100].partition(b"\0")
        match = _MEMBER.fullmatch(name)
        if match is None:
            raise self.fail(f"a member named {name[:80]!r}; expected KEY.jpg and KEY.json", offset)
        octal = _SIZE.fullmatch(block[124:136])
        size = int(octal[1], 8) if octal else 0
        if octal is None or block != _header(name.decode(), size):
            raise self.fail(f"the header of {name.decode()} is not one that cotgen writes; it is damaged", offset)
        return match[1].decode(), match[2].decode(), size

    def skip(self, size: int) -> None:
        self.position = self.file.seek(self.position + size + -size % BLOCK)

    def content(self, size: int) -> bytes:
        data = self.take(size)
        offset = self.position
        if any(self.take(-size % BLOCK)):
            raise self.fail("the filling after a member is not zero; the file is damaged", offset)
        return data

    def sample(self, first: tuple[str, str, int], offset: int) -> TarSample:
        key, ending, size = first
        jpg = b""
        if ending == "jpg":
            jpg = self.content(size)
            if not jpg:
                raise self.fail(f"{key}.jpg is empty", offset)
            start = self.position
            second = self.header()
            if second is None or second[:2] != (key, "json"):
                found = "the end" if second is None else f"{second[0]}.{second[1]}"
                raise self.fail(f"{key}.jpg is followed by {found}; expected {key}.json", start)
            size = second[2]
        return TarSample(key, offset, self.content(size), jpg)

    def end(self, offset: int) -> None:
        """Check what follows the first zero block at `offset`."""
        rest = self.file.read(_RECORD + 1)
        expected = BLOCK + -(offset + 2 * BLOCK) % _RECORD
        if len(rest) < expected:
            raise self.fail("the end of the archive is cut off; copy or build it again", offset)
        if len(rest) > expected or any(rest):
            raise self.fail("something follows the end of the archive", offset)


def read_shard(path: Path) -> Iterator[TarSample]:
    """The samples of a shard in file order, one in memory at a time.

    Raises:
        ShardError: the file is cut off or damaged, a key comes twice, the members of a key are not side by side, or
            there is a member that is not of a sample.
    """
    seen: set[str] = set()
    with path.open("rb") as file:
        reader = _Reader(file, path.name)
        while True:
            offset = reader.position
            header = reader.header()
            if header is None:
                reader.end(offset)
                return
            if header[0] in seen:
                raise reader.fail(f"a second sample '{header[0]}', or its members are not side by side", offset)
            sample = reader.sample(header, offset)
            seen.add(sample.key)
            yield sample


def read_sample(file: BinaryIO, name: str, offset: int) -> TarSample:
    """The sample whose first header stands at `offset`. Raises ShardError where there is none."""
    file.seek(offset)
    reader = _Reader(file, name)
    header = reader.header()
    if header is None:
        raise reader.fail("no sample stands here; the index does not belong to this shard", offset)
    return reader.sample(header, offset)


def read_record(file: BinaryIO, name: str, offset: int) -> tuple[str, bytes, int]:
    """(key, json, size of the picture in bytes) of the sample at `offset`; the picture itself is not read."""
    file.seek(offset)
    reader = _Reader(file, name)
    header = reader.header()
    picture = 0
    if header is not None and header[1] == "jpg":
        picture = header[2]
        reader.skip(picture)
        header = reader.header()
    if header is None or header[1] != "json":
        raise reader.fail("no sample stands here; the index does not belong to this shard", offset)
    return header[0], reader.content(header[2]), picture
