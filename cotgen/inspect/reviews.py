"""Reviews: the marks of reviewers, a canonical JSON line each, in a file that is only ever added to.

Any number of servers and people may write at once: a line goes in whole, under a lock, and is on disk before the reviewer
is told so. What a killed writer left half-written is passed over and counted, and the next line begins on a line of its own.
By default the file lies beside the folder that it speaks of, `OUT.reviews.jsonl`, so that a sealed folder stays sealed.
"""

from __future__ import annotations

import fcntl
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import orjson
import polars as pl
import pydantic

from cotgen.errors import CotgenError
from cotgen.records import BASES, Pair, Review, Sample, marked_sha256
from cotgen.records.review import WHOLE_CHAIN
from cotgen.shards.files import writable
from cotgen.shards.index import scan_index
from cotgen.shards.stored import Place, StoredRecords

#: The row of a table of shares that speaks of chains as a whole.
CHAIN = "chain"
#: 97.5 % of the normal distribution: a 95 % interval has both its ends.
_Z = 1.959964
#: So many of the last bytes that were read tell whether it is still the same file.
_KNOWN_BY = 4096
#: (statement, sha256 of what was read): the thing that a mark of a pair speaks of.
Thing: TypeAlias = tuple[int, str]


def reviews_file(folder: Path) -> Path:
    """Where the marks of a folder lie by default: `OUT.reviews.jsonl` beside OUT."""
    folder = folder.resolve()
    return folder.with_name(f"{folder.name}.reviews.jsonl")


class ReviewFile:
    """The marks of one file: reads what was added since, by whomever, and adds to it.

    Attributes:
        path: the file; it need not exist.
        torn: lines that a killed writer left half-written.
        version: changes whenever `marks` finds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.torn = 0
        self.version = 0
        self._read = 0
        self._breaks = 0
        self._last = b""
        self._marks: dict[tuple[str, str, int, str], Review] = {}

    def marks(self) -> list[Review]:
        """The last mark of each reviewer on each thing, withdrawn ones left out, in the order of the file.

        Raises:
            CotgenError: the file cannot be read, or a line is no mark.
        """
        self._take_in()
        return [mark for mark in self._marks.values() if mark.verdict != "withdrawn"]

    def add(self, mark: Review) -> None:
        """Add a line; it is on disk when this returns.

        Raises:
            CotgenError: the file cannot be written.
        """
        line = mark.to_json() + b"\n"
        with writable(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                size = os.fstat(handle).st_size
                if size and os.pread(handle, 1, size - 1) != b"\n":
                    line = b"\n" + line
                while line:
                    line = line[os.write(handle, line) :]
                os.fsync(handle)
            finally:
                os.close(handle)

    def _take_in(self) -> None:
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, self._read - len(self._last)))
                if file.read(len(self._last)) != self._last:
                    # It is another file: somebody put another copy in its place, shorter or longer.
                    self._forget()
                    file.seek(0)
                data = file.read()
        except FileNotFoundError:
            self._forget()
            return
        except OSError as error:
            raise CotgenError(f"{self.path} cannot be read ({error.strerror}); check the file") from error
        # What follows the last line break is being written, or was when its writer was killed; unless it is whole, as in
        # a file that was written by something else.
        end = data.rfind(b"\n") + 1
        if _is_json(data[end:]):
            end = len(data)
        whole = data[:end]
        try:
            for number, line in enumerate(whole.split(b"\n"), start=self._breaks + 1):
                if line.strip():
                    self._one(line, number)
        except CotgenError:
            # The line may be mended, and then all is read again.
            self._forget()
            raise
        if whole:
            self._read += len(whole)
            self._breaks += whole.count(b"\n")
            self._last = whole[-_KNOWN_BY:]
            self.version += 1

    def _forget(self) -> None:
        self.version += bool(self._read)
        self._read = self._breaks = self.torn = 0
        self._last = b""
        self._marks.clear()

    def _one(self, line: bytes, number: int) -> None:
        if not _is_json(line):
            self.torn += 1
            return
        try:
            mark = Review.from_json(line)
        except pydantic.ValidationError as error:
            wrong = ", ".join(sorted({str(item["loc"][0]) for item in error.errors() if item["loc"]})) or "the line"
            raise CotgenError(
                f"{self.path}:{number}: this is no mark of a reviewer (wrong: {wrong}); correct or remove the line"
            ) from None
        name = (mark.reviewer, mark.pair, mark.statement, mark.sha256)
        # The one that takes its place stands at its own place in the order.
        self._marks.pop(name, None)
        self._marks[name] = mark


def _is_json(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except ValueError:
        return False
    return True


def read_reviews(path: Path) -> list[Review]:
    """The last mark of each reviewer on each thing, withdrawn ones left out, in the order of the file.

    Raises:
        CotgenError: the file is not there or cannot be read, or a line is no mark.
    """
    if not path.is_file():
        raise CotgenError(f"{path} is not there; `cotgen view` writes such a file when a sentence is marked")
    return ReviewFile(path).marks()


@dataclass(frozen=True, slots=True)
class Share:
    """How much of what one writer wrote on one basis reviewers accept.

    A thing that several have marked counts once: as wrong where one of them says so, else as right where one does.

    Attributes:
        basis: of the sentences, or `chain`.
        writer: who wrote them.
        right: accepted.
        wrong: not accepted.
        unsure: nobody who marked it could tell.
    """

    basis: str
    writer: str
    right: int
    wrong: int
    unsure: int

    @property
    def share(self) -> float:
        """Right among right and wrong; 0 where there are none."""
        decided = self.right + self.wrong
        return self.right / decided if decided else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of `share` after Wilson; (0, 1) where nothing is decided."""
        return wilson(self.right, self.right + self.wrong)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What the marks on a folder come to.

    Attributes:
        shares: by basis, strongest first, `chain` last, then by writer.
        reviewers: name -> things marked.
        stale: marks on sentences or chains that the folder no longer has.
        shared: things that two or more reviewers decided.
        agreed: those among them on which all said the same.
    """

    shares: tuple[Share, ...]
    reviewers: Mapping[str, int] = field(default_factory=dict)
    stale: int = 0
    shared: int = 0
    agreed: int = 0


def acceptance(folder: Path, file: Path | None = None) -> Acceptance:
    """Count the marks on what a folder holds now; only samples with a mark are read.

    Args:
        folder: a finished data set.
        file: the marks; by default `reviews_file(folder)`, and where that is not there, there are none.

    Raises:
        CotgenError: the folder or the file cannot be read.
    """
    marks = read_reviews(file) if file else ReviewFile(reviews_file(folder)).marks()
    stored = pairs_of(folder, {mark.pair for mark in marks})
    current = [mark for mark in marks if is_current(mark, stored.get(mark.pair))]
    said: dict[tuple[str, int], list[Review]] = {}
    for mark in current:
        said.setdefault((mark.pair, mark.statement), []).append(mark)
    counts: dict[tuple[str, str], Counter[str]] = {}
    shared = agreed = 0
    for own in said.values():
        verdicts = [mark.verdict for mark in own if mark.verdict != "unsure"]
        shared += len(verdicts) > 1
        agreed += len(verdicts) > 1 and len(set(verdicts)) == 1
        verdict = "wrong" if "wrong" in verdicts else "right" if verdicts else "unsure"
        # The same words may rest on something else now, and be of another writer, than when they were marked.
        pair, number = stored[own[0].pair], own[0].statement
        basis = CHAIN if number == WHOLE_CHAIN else pair.statements[number].basis
        counts.setdefault((basis, pair.writer), Counter())[verdict] += 1
    order = [*BASES, CHAIN]
    return Acceptance(
        shares=tuple(
            Share(basis, writer, found["right"], found["wrong"], found["unsure"])
            for (basis, writer), found in sorted(counts.items(), key=lambda row: (order.index(row[0][0]), row[0][1]))
        ),
        reviewers=dict(sorted(Counter(mark.reviewer for mark in current).items())),
        stale=len(marks) - len(current),
        shared=shared,
        agreed=agreed,
    )


def is_current(mark: Review, pair: Pair | None) -> bool:
    """Whether a pair still has what a mark speaks of."""
    if pair is None or mark.statement >= len(pair.statements):
        return False
    return marked_sha256(pair, mark.statement) == mark.sha256


def pairs_of(folder: Path, names: Iterable[str]) -> dict[str, Pair]:
    """`key#id` -> pair as stored, for those of these names that the folder has; their samples alone are read.

    Raises:
        CotgenError: the folder cannot be read.
    """
    wanted = set(names)
    keys = sorted({name.partition("#")[0] for name in wanted})
    found: dict[str, Pair] = {}
    with StoredRecords(folder) as stored:
        rows = scan_index(folder).filter(pl.col("key").is_in(keys)).select("key", "split", "shard", "offset")
        for row in rows.unique(subset=["key"], keep="first", maintain_order=True).collect().iter_rows():
            place = Place(*row)
            try:
                sample = Sample.from_json(stored.record(place)[0])
            except pydantic.ValidationError as error:
                raise CotgenError(f"the record of '{place.key}' is damaged; run `cotgen verify {folder}`") from error
            found |= {name: pair for pair in sample.pairs if (name := f"{sample.key}#{pair.id}") in wanted}
    return found


def wrong_things(path: Path) -> dict[str, frozenset[Thing]]:
    """`key#id` -> what is marked wrong of it: by any reviewer whose last word on it that is.

    Raises:
        CotgenError: the file is not there or cannot be read, or a line is no mark.
    """
    found: dict[str, set[Thing]] = {}
    for mark in read_reviews(path):
        if mark.verdict == "wrong":
            found.setdefault(mark.pair, set()).add((mark.statement, mark.sha256))
    return {name: frozenset(things) for name, things in sorted(found.items())}


def is_wrong(pair: Pair, things: Iterable[Thing]) -> bool:
    """Whether a chain still has any of what was marked wrong."""
    return any(
        statement < len(pair.statements) and marked_sha256(pair, statement) == sha256 for statement, sha256 in things
    )


def wilson(right: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927); (0, 1) of nothing."""
    if not total:
        return 0.0, 1.0
    share, square = right / total, _Z * _Z
    middle = (share + square / (2 * total)) / (1 + square / total)
    reach = _Z * math.sqrt(share * (1 - share) / total + square / (4 * total * total)) / (1 + square / total)
    return max(0.0, middle - reach), min(1.0, middle + reach)
