"""TextIndex: what questions and chains say, made searchable while the viewer is open already.

A process of its own reads the records once and writes an SQLite file (FTS5, without the texts themselves) into a cache
folder, under the fingerprint of the data set, so that the next viewer has it at once. Until it is there, a search goes by
what the index holds. The process ends with its parent.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from cotgen.errors import CotgenError
from cotgen.records import BASES, canonical_json
from cotgen.shards.files import temporary_name
from cotgen.shards.manifest import load
from cotgen.shards.stored import StoredRecords

#: Raised when the file is laid out otherwise.
_FORMAT = 1
_TOLD_EVERY = 2000


def cache_file(folder: Path, env: Mapping[str, str], work: Path | None = None) -> Path:
    """Where the text of a data set is kept: in the work folder that there is, else in the user's cache."""
    with StoredRecords(folder) as stored:
        manifest = stored.manifest
    mark = [_FORMAT, manifest.fingerprint, [shard.sha256 for shard in manifest.shards]]
    name = hashlib.sha256(canonical_json(mark)).hexdigest()[:32]
    beside = folder.resolve().with_name(f"{folder.resolve().name}.work")
    if work or env.get("COTGEN_WORK"):
        base = work or Path(env["COTGEN_WORK"])
    elif beside.is_dir() and os.access(beside, os.W_OK):
        base = beside
    else:
        base = Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cotgen"
    return base / "text" / f"{name}.sqlite"


class TextIndex:
    """The texts of one folder.

    Attributes:
        file: where they are kept.
        done: samples read so far.
        total: samples there are.
        problem: why there will be none, in words; "" where all is well.
        bases: for each pair the bases of its sentences, bit n for the n-th of `BASES`; None until it is ready.
        chains: for each pair a hash of the sentences of its chain; None until it is ready.
    """

    def __init__(self, folder: Path, file: Path, samples: int) -> None:
        self.file = file
        self.done = 0
        self.total = samples
        self.problem = ""
        self.bases: NDArray[np.uint8] | None = None
        self.chains: NDArray[np.uint64] | None = None
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    @property
    def ready(self) -> bool:
        """Whether chains can be searched."""
        return self.bases is not None

    def start(self) -> None:
        """Open the file, or have it written in the background."""
        if self.file.is_file():
            try:
                self._open()
                return
            except (sqlite3.Error, CotgenError, ValueError, KeyError):
                self.file.unlink(missing_ok=True)
        threading.Thread(target=self._make, daemon=True).start()

    def close(self) -> None:
        """End the process that reads, if there is one."""
        with self._lock:
            if self._process and self._process.poll() is None:
                self._process.kill()

    def _make(self) -> None:
        command = [sys.executable, "-m", "cotgen.inspect.text", str(self._folder), str(self.file)]
        with self._lock:
            # What it says on stderr is for the log of the server; its stdin closes when the server is gone.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        assert self._process.stdout and self._process.stderr
        for line in self._process.stdout:
            self.done = int(line)
        said = self._process.stderr.read().decode(errors="replace").strip()
        if self._process.wait() == 0:
            self._open()
        else:
            self.problem = said.splitlines()[-1] if said else "the process that reads the chains was ended"

    def _open(self) -> None:
        with contextlib.closing(self._connect()) as db:
            found = dict(db.execute("SELECT name, value FROM facts"))
        if int(found["format"]) != _FORMAT:
            raise CotgenError("another format")
        self.done = self.total
        self.chains = np.frombuffer(found["chains"], dtype=np.uint64)
        self.bases = np.frombuffer(found["bases"], dtype=np.uint8)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self.file.resolve().as_uri()}?mode=ro", uri=True)

    def search(self, word: str) -> NDArray[np.bool_] | None:
        """The rows in whose question or chain a word, or words side by side, are found; the beginning of the last will do.

        None if not ready.
        """
        if self.bases is None:
            return None
        mask = np.zeros(len(self.bases), dtype=bool)
        phrase = f'"{word.replace(chr(34), " ")}"*'
        with contextlib.suppress(sqlite3.OperationalError), contextlib.closing(self._connect()) as db:
            # Words that are nothing but signs are no query, and found nowhere.
            # One string instead of 300,000 rows: a quarter of the time for a common word.
            (found,) = db.execute("SELECT group_concat(rowid) FROM text WHERE text MATCH ?", (phrase,)).fetchone()
            if found:
                mask[np.fromstring(found, dtype=np.int64, sep=",")] = True
        return mask

    def with_basis(self, bases: Iterable[str]) -> NDArray[np.bool_] | None:
        """The rows with a sentence of any of these bases; None if not ready."""
        if self.bases is None:
            return None
        bits = sum(1 << BASES.index(basis) for basis in set(bases) & set(BASES))
        found: NDArray[np.bool_] = (self.bases & bits) != 0
        return found


def write_text(folder: Path, file: Path) -> None:
    """Read all records and write the file, whole or not at all; prints the number of samples read from time to time.

    Raises:
        CotgenError: the folder cannot be read.
    """
    part = temporary_name(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    bases = bytearray()
    chains: list[int] = []
    try:
        with contextlib.closing(sqlite3.connect(part)) as db, StoredRecords(folder) as stored:
            db.execute("PRAGMA synchronous=OFF")
            db.execute("PRAGMA journal_mode=OFF")
            db.execute("CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB)")
            db.execute("CREATE VIRTUAL TABLE text USING fts5(question, chain, content='', columnsize=0)")
            for number, place in enumerate(stored.places(), start=1):
                rows = []
                for pair in orjson.loads(stored.record(place)[0])["pairs"]:
                    chain = " ".join(statement["text"] for statement in pair["statements"])
                    question = "\n".join([pair["question"], *pair["options"], pair["answer"]])
                    rows.append((len(bases), question, chain))
                    bits = 0
                    for statement in pair["statements"]:
                        bits |= 1 << BASES.index(statement["basis"])
                    bases.append(bits)
                    chains.append(int.from_bytes(hashlib.blake2b(chain.encode(), digest_size=8).digest(), "little"))
                db.executemany("INSERT INTO text (rowid, question, chain) VALUES (?, ?, ?)", rows)
                if number % _TOLD_EVERY == 0:
                    print(number, flush=True)
            facts = {
                "format": str(_FORMAT),
                "bases": bytes(bases),
                "chains": np.array(chains, dtype=np.uint64).tobytes(),
            }
            db.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())
            db.commit()
            if load(folder).shards != stored.manifest.shards:
                raise CotgenError("the data set was built anew while its chains were read")
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def _end_with_parent(file: Path) -> None:
    """Nobody waits for the result once whoever asked for it is gone; what is half-written goes too."""
    # Not sys.stdin: its lock would be held when the interpreter ends.
    while os.read(0, 1 << 10):
        pass
    for part in file.parent.glob(f".{file.name}.{os.getpid()}-*"):
        part.unlink(missing_ok=True)
    os._exit(1)


def main() -> None:
    """`python -m cotgen.inspect.text FOLDER FILE`."""
    folder, file = Path(sys.argv[1]), Path(sys.argv[2])
    threading.Thread(target=_end_with_parent, args=(file,), daemon=True).start()
    os.nice(10)
    try:
        write_text(folder, file)
    except (CotgenError, OSError, sqlite3.Error) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
