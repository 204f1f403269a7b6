"""ReplyCache: every reply that was paid for, in one SQLite file that several processes may use at once.

A row is committed before its reply is handed on, so after `kill -9` no request whose reply was used is sent again.
Replies that come at the same time share one transaction; each waits for its commit. The first row of a key stays: a
process that comes second is handed the row of the first, so that all build from the same text. Rows are synced to the
disk (WAL, `synchronous=FULL`), as a power cut costs money too.

Only replies of use are kept. A failure is not: it is asked again by the next run, when the server may be mended.
The file must lie on a disk of this machine, not on a network file system, where SQLite's WAL does not work.
"""

from __future__ import annotations

import hashlib
import queue
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from cotgen.errors import CotgenError
from cotgen.models.request import Choice, Problem, Usage
from cotgen.records import canonical_json

_FORMAT = 1
_APPLICATION = 0x436F7447
_BUSY_S = 60.0
_BATCH = 512
_TABLE = """
CREATE TABLE IF NOT EXISTS reply (
  key TEXT PRIMARY KEY,
  model TEXT NOT NULL,
  choices BLOB NOT NULL,
  prompt_tokens INTEGER NOT NULL,
  completion_tokens INTEGER NOT NULL
)"""
_SELECT = "SELECT model, choices, prompt_tokens, completion_tokens FROM reply WHERE key = ?"


class CacheError(CotgenError):
    """The cache cannot be read or written."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What the cache keeps of a reply: all of it but the request, the endpoint and the time."""

    choices: tuple[Choice, ...]
    usage: Usage
    model: str


def cache_key(parts: Mapping[str, Any]) -> str:
    """sha256, in hex, of the canonical JSON of all that a reply depends on.

    Design 5: pixels (their sha256) and target size, facts, labelled, task, pair id, question and options as shown,
    answer, knowledge, prompt, schema, model, sampling, seed. Never the encoded image, the endpoint or the API key.

    Raises:
        ValueError: a part holds an encoded image.
    """
    text = canonical_json(dict(parts))
    if b"data:image/" in text:
        raise ValueError("a cache key is made of the pixels' hash and the target size, never of the encoded image")
    return hashlib.sha256(text).hexdigest()


class ReplyCache:
    """An open cache. Use as a context manager, or call `close`. Open it anew in each process; threads may share it.

    Args:
        path: the file; it and its folder are made where they are not there.

    Raises:
        CacheError: the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        #: How many lookups of this process found a row, and how many did not.
        self.hits = self.misses = 0
        self._lock = threading.Lock()
        self._todo: queue.SimpleQueue[tuple[str, Stored, Future[Stored]] | None] = queue.SimpleQueue()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CacheError(f"The folder of the replies, {path.parent}, cannot be made: {error.strerror}.") from error
        with self._explained():
            self._reader = self._open()
        self._writer = threading.Thread(target=self._write, name="reply cache", daemon=True)
        self._writer.start()
        self._closed = False

    def __enter__(self) -> ReplyCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """How many replies are kept."""
        with self._explained(), self._lock:
            count: int = self._reader.execute("SELECT count(*) FROM reply").fetchone()[0]
            return count

    @property
    def size_bytes(self) -> int:
        """Size of the file and its log."""
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def get(self, key: str) -> Stored | None:
        """The reply of a key, or None."""
        with self._explained(), self._lock:
            row = self._reader.execute(_SELECT, (key,)).fetchone()
            self.hits += row is not None
            self.misses += row is None
        return _stored(row) if row else None

    def put(self, key: str, stored: Stored) -> Stored:
        """Keep a reply; returns once it is committed, with the row that stands: that of the process that was first.

        Raises:
            CacheError: it cannot be kept.
        """
        return self.put_soon(key, stored).result()

    def put_soon(self, key: str, stored: Stored) -> Future[Stored]:
        """As `put`, for those who cannot wait here: the future is done when the row is committed."""
        future: Future[Stored] = Future()
        if self._closed:
            raise CacheError(f"{self.path.name} is closed.")
        self._todo.put((key, stored, future))
        return future

    def close(self) -> None:
        """Commit what waits, and close the file."""
        if self._closed:
            return
        self._closed = True
        self._todo.put(None)
        self._writer.join()
        with self._lock:
            self._reader.close()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            if mode != "wal":
                raise CacheError(
                    f"{self.path} lies where SQLite's WAL does not work; put it on a disk of this machine."
                )
            connection.execute("PRAGMA synchronous=FULL")
            known = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
            if known not in ([0, 0], [_APPLICATION, _FORMAT]):
                raise CacheError(f"{self.path} is not a cache of this version of cotgen; name another file.")
            if known == [0, 0]:
                if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    raise CacheError(f"{self.path} is a database of something else; name another file.")
                self._create(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _create(self, connection: sqlite3.Connection) -> None:
        """Make the table; two processes may do so at once."""
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_TABLE)
        connection.execute(f"PRAGMA application_id={_APPLICATION}")
        connection.execute(f"PRAGMA user_version={_FORMAT}")
        connection.execute("COMMIT")

    def _write(self) -> None:
        """The writer's thread: one transaction for all that waits."""
        connection: sqlite3.Connection | None = None
        last = False
        while not last:
            batch = [self._todo.get()]
            while len(batch) < _BATCH and not self._todo.empty():
                batch.append(self._todo.get())
            last = None in batch
            rows = [row for row in batch if row is not None]
            # From here on a future cannot be cancelled; a row whose asker is gone is kept all the same.
            waited_for = [future.set_running_or_notify_cancel() for _, _, future in rows]
            if not rows:
                continue
            try:
                with self._explained():
                    connection = connection or self._open()
                    standing = self._commit(connection, rows)
            except Exception as error:
                for (_, _, future), awaited in zip(rows, waited_for, strict=True):
                    if awaited:
                        future.set_exception(error)
            else:
                for (_, _, future), awaited, stands in zip(rows, waited_for, standing, strict=True):
                    if awaited:
                        future.set_result(stands)
        if connection:
            connection.close()

    def _commit(self, connection: sqlite3.Connection, rows: list[tuple[str, Stored, Future[Stored]]]) -> list[Stored]:
        """Write rows in one transaction; the rows that stand under their keys."""
        standing = []
        connection.execute("BEGIN IMMEDIATE")
        try:
            for key, stored, _ in rows:
                values = (key, stored.model, _choices_json(stored.choices), *_tokens(stored.usage))
                written = connection.execute("INSERT OR IGNORE INTO reply VALUES (?, ?, ?, ?, ?)", values).rowcount
                standing.append(stored if written else _stored(connection.execute(_SELECT, (key,)).fetchone()))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return standing

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """SQLite's errors as sentences."""
        try:
            yield
        except sqlite3.Error as error:
            raise CacheError(self._sentence(error)) from error

    def _sentence(self, error: sqlite3.Error) -> str:
        said, path = str(error), self.path
        if "locked" in said or "busy" in said:
            return (
                f"{path} has been held by another process for {_BUSY_S:.0f} s ({said}); end that process, or put the file "
                "on a disk of this machine, and run the same command again."
            )
        if "full" in said:
            return f"The disk of {path} is full; free space and run the same command again: no reply that was kept is lost."
        if "unable to open" in said or "readonly" in said or "disk I/O" in said:
            return f"{path} cannot be written ({said}); see that the folder is yours and on a disk of this machine."
        return (
            f"{path} is damaged ({said}). `sqlite3 {path.name} .recover` may save its rows; else move it away together "
            f"with {path.name}-wal and {path.name}-shm and run the same command: its requests are sent again."
        )


def _tokens(usage: Usage) -> tuple[int, int]:
    return usage.prompt_tokens, usage.completion_tokens


def _choices_json(choices: tuple[Choice, ...]) -> bytes:
    return canonical_json(
        [
            {
                "text": choice.text,
                "finish": choice.finish,
                "parsed": choice.parsed,
                "problem": [choice.problem.kind, choice.problem.text] if choice.problem else [],
            }
            for choice in choices
        ]
    )


def _stored(row: tuple[str, bytes, int, int]) -> Stored:
    model, choices, prompt_tokens, completion_tokens = row
    entries = orjson.loads(choices)
    return Stored(
        tuple(
            Choice(e["text"], e["finish"], e["parsed"], Problem(*e["problem"]) if e["problem"] else None)
            for e in entries
        ),
        Usage(prompt_tokens, completion_tokens),
        model,
    )
