"""Viewer: what the page asks, answered with plain values: filters, samples, evidence, marks, a second build, replies.

It opens at once, whatever the size: the index says where everything is, and a sample is read when it is asked for.
"""

from __future__ import annotations

import io
import threading
import unicodedata
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from cotgen.errors import CotgenError
from cotgen.inspect.catalogue import FACETS, Catalogue, Filter, Mask, Rows, words_in
from cotgen.inspect.explain import explain
from cotgen.inspect.predictions import Predictions, read_reply
from cotgen.inspect.reviews import ReviewFile, is_current
from cotgen.inspect.text import TextIndex
from cotgen.inspect.words import name_of
from cotgen.ontology.knowledge import known_sentences
from cotgen.records import BASES, VERDICTS, Pair, Review, Sample, marked_sha256
from cotgen.records.review import LONGEST_NOTE
from cotgen.shards.index import INDEX
from cotgen.shards.manifest import MANIFEST, load, load_priors
from cotgen.shards.stored import read_stored
from cotgen.shards.tar import TarSample

#: What the strata of a queue may be made of.
STRATA = ("task", "writer", "support", "source", "basis")
ORDERS = ("stored", "time", "draw")
#: Filters that are no facet of the index, and what they may be.
REVIEWED = ("todo", "mine", "right", "wrong", "unsure", "disputed")
REPLIES = ("same", "other", "none")
DIFFERENCES = ("both", "only", "answer", "support", "writer", "chain")
#: Signs without a shape of their own that names of some languages need.
_JOINERS = dict.fromkeys((0x200C, 0x200D))
_PAGE = 200
_MOST_WORDS = 64
_REACH = 6
_KEPT_RESULTS = 24
_THUMBNAIL = (216, 162)
_KEPT_THUMBNAILS = 600


class UnknownError(CotgenError):
    """The page asks for something that is not there."""


class Folder:
    """One finished folder, opened for looking.

    Attributes:
        path: where it is.
        name: what the page calls it.
        catalogue: its index.
        text: what its chains say.
        fetch: brings a shard that is not there yet; None where all are.
    """

    def __init__(
        self, path: Path, text: Path | None, fetch: Callable[[str], None] | None = None, name: str = ""
    ) -> None:
        self.path = path
        self.name = name or path.resolve().name
        self.manifest = load(path)
        self.catalogue = Catalogue(path)
        self.priors = load_priors(path)
        self.text = TextIndex(path, text, len(self.catalogue.keys)) if text else None
        self.fetch = fetch
        self._seen = (0, 0)
        if foreign := set(self.catalogue.shards) - {shard.file for shard in self.manifest.shards}:
            raise CotgenError(
                f"{path / INDEX} names {min(foreign)[:200]!r}, which is no shard of this data set; copy it again"
            )

    def is_here(self, key: str) -> bool:
        """Whether the shard of a sample is on this machine. Raises KeyError."""
        return (self.path / self.catalogue.place(self.catalogue.sample(key))[1]).is_file()

    def read(self, key: str) -> TarSample:
        """Record and picture of a sample.

        Raises:
            UnknownError: there is none of this key.
            CotgenError: its shard is damaged, or the folder is another one than was opened.
        """
        try:
            number = self.catalogue.sample(key)
        except KeyError:
            raise UnknownError(f"{self.name} has no sample '{key}'") from None
        self._check_same()
        found = self._read(key, *self.catalogue.place(number)[1:])
        self._check_same()
        return found

    def _check_same(self) -> None:
        """The index in memory speaks of the shards that were there when it was read, and of no others."""
        try:
            stat = (self.path / MANIFEST).stat()
            if (stat.st_ino, stat.st_mtime_ns) == self._seen:
                return
            now = load(self.path)
        except (OSError, CotgenError):
            now = None
        # A new card changes the manifest as well, and nothing that is looked at here.
        if now is None or (now.fingerprint, now.shards) != (self.manifest.fingerprint, self.manifest.shards):
            raise CotgenError(
                f"{self.path} was built anew, or has gone, since it was opened; end `cotgen view` and begin it again. "
                "All marks are kept"
            )
        self._seen = stat.st_ino, stat.st_mtime_ns

    def _read(self, key: str, shard: str, offset: int) -> TarSample:
        if self.fetch and not (self.path / shard).is_file():
            self.fetch(shard)
        return read_stored(self.path, shard, offset, key)

    def record(self, key: str) -> tuple[Sample, bool]:
        """A sample, and whether its picture is stored. Raises as `read`."""
        found = self.read(key)
        try:
            return Sample.from_json(found.json), bool(found.jpg)
        except ValueError as error:
            raise CotgenError(f"the record of '{key}' is damaged; run `cotgen verify {self.path}`") from error


class Viewer:
    """One session on one folder, or on two beside one another.

    Attributes:
        folders: the folder and, where two are compared, the other one.
        reviews: the marks.
        reviewer: who marks, if that was said on the command line.
    """

    def __init__(
        self,
        folders: Sequence[Folder],
        reviews: ReviewFile,
        reviewer: str = "",
        predictions: Predictions | None = None,
    ) -> None:
        self.folders = list(folders)
        self.reviews = reviews
        self.reviewer = reviewer
        self.predictions = predictions
        self._lock = threading.Lock()
        self._results: OrderedDict[Any, tuple[Rows, dict[str, Mask], Mask]] = OrderedDict()
        self._orders: dict[str, Rows] = {}
        self._thumbnails: OrderedDict[tuple[int, str], bytes] = OrderedDict()
        self._marks: tuple[int, dict[str, list[Review]]] = (-1, {})
        self._hashes: dict[str, frozenset[tuple[int, str]]] = {}

    @property
    def catalogue(self) -> Catalogue:
        """The index of the first folder: what is filtered and stepped through."""
        return self.folders[0].catalogue

    def start(self) -> None:
        """Begin in the background what the first sample will need, and to read the texts."""
        threading.Thread(target=_warm, daemon=True).start()
        for folder in self.folders:
            if folder.text:
                folder.text.start()

    def close(self) -> None:
        """End what is done in the background."""
        for folder in self.folders:
            if folder.text:
                folder.text.close()

    # What the page asks.

    def about(self) -> dict[str, Any]:
        """What there is: the folders, who reviews, what can be asked."""
        return {
            "folders": [
                {
                    "name": folder.name,
                    "kind": folder.manifest.kind,
                    "pairs": folder.catalogue.pairs,
                    "samples": len(folder.catalogue.keys),
                    "version": folder.manifest.fingerprint[:12],
                }
                for folder in self.folders
            ],
            "reviewer": self.reviewer,
            "reviews": self.reviews.path.name,
            "predictions": self.predictions.title if self.predictions else "",
            "strata": list(STRATA),
            "bases": list(BASES),
            "torn": self.reviews.torn,
        }

    def text(self) -> dict[str, Any]:
        """How far the texts are read."""
        text = self.folders[0].text
        if text is None:
            return {"ready": False, "done": 0, "total": 0, "problem": "the chains of a repository are not searched"}
        return {"ready": text.ready, "done": text.done, "total": text.total, "problem": text.problem}

    def page(self, asked: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """A page of the pairs that a filter leaves.

        Args:
            asked: the filter, and `offset` and `limit`, or `key` and `id` of the pair that the page shall hold.

        Returns:
            `total`, `offset`, `rows`, and `at`: where the named pair stands, -1 if the filter leaves it out.
        """
        rows, _, _ = self._found(asked)
        at = self._position(rows, asked)
        limit = min(_PAGE, _number(asked, "limit", 60))
        offset = _number(asked, "offset", 0)
        if at >= 0 and "offset" not in asked:
            offset = max(0, at - at % max(1, limit))
        page = [self.catalogue.describe(int(row)) for row in rows[offset : offset + limit]]
        _, marks = self._marks_by_pair()
        for entry in page:
            name = f"{entry['key']}#{entry['id']}"
            entry["marks"] = sorted({mark.verdict for mark in self._current(name, marks.get(name, []))})
        return {"total": len(rows), "offset": offset, "at": at, "rows": page}

    def _position(self, rows: Rows, asked: Mapping[str, Sequence[str]]) -> int:
        key, id = _one(asked, "key"), _one(asked, "id")
        try:
            row = self.catalogue.row(key, id) if id else int(self.catalogue.first[self.catalogue.sample(key)])
        except KeyError:
            return -1
        found = np.flatnonzero(rows == row)
        return int(found[0]) if len(found) else -1

    def facets(self, asked: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """Facet -> its values with the number of pairs that all other filters leave; `basis` where it is known."""
        _, masks, others = self._found(asked)
        found: dict[str, Any] = dict(self.catalogue.facets(masks, others))
        text = self.folders[0].text
        if text is not None and text.bases is not None:
            left = others.copy()
            for name, mask in masks.items():
                if name != "basis":
                    left &= mask
            bases = text.bases[left]
            found["basis"] = [
                (basis, int(np.count_nonzero(bases & (1 << number)))) for number, basis in enumerate(BASES)
            ]
        return found

    def sample(self, build: int, key: str) -> dict[str, Any]:
        """One sample with its evidence, its marks, the replies to it, and what it is called in an address."""
        folder = self._folder(build)
        record, stored = folder.record(key)
        shown = explain(record, folder.priors)
        _, marks = self._marks_by_pair()
        for pair, plain in zip(record.pairs, shown["pairs"], strict=True):
            name = f"{key}#{pair.id}"
            plain["marks"] = [_told(mark) for mark in marks.get(name, []) if is_current(mark, pair)]
            if self.predictions and not build:
                reply = self.predictions.response(name)
                plain["reply"] = read_reply(pair, reply) if reply is not None else None
        shown["stored"] = stored
        return shown

    def strip(self, build: int, key: str) -> list[dict[str, Any]]:
        """The instants of the same surgery around one, in time order."""
        catalogue = self._folder(build).catalogue
        try:
            number = catalogue.sample(key)
        except KeyError:
            raise UnknownError(f"there is no sample '{key}'") from None
        return [
            {
                "key": catalogue.keys[other],
                "id": catalogue.value("id", int(catalogue.first[other])),
                "index": int(catalogue.keys[other].rpartition("-")[2]),
                "label": catalogue.label(other),
                "here": other == number,
            }
            for other in catalogue.around(number, _REACH)
        ]

    def picture(self, build: int, key: str) -> bytes:
        """The JPEG of a sample. Raises UnknownError where it is not stored."""
        data = self._folder(build).read(key).jpg
        if not data:
            raise UnknownError(f"the picture of '{key}' is not stored in this data set")
        return data

    def thumbnail(self, build: int, key: str) -> bytes:
        """A small JPEG of a sample. Raises as `picture`."""
        from PIL import Image

        with self._lock:
            if (build, key) in self._thumbnails:
                self._thumbnails.move_to_end((build, key))
                return self._thumbnails[build, key]
        try:
            with Image.open(io.BytesIO(self.picture(build, key)), formats=["JPEG"]) as image:
                image.draft("RGB", _THUMBNAIL)
                small = image.convert("RGB")
        except (OSError, SyntaxError, ValueError) as error:
            raise CotgenError(f"the picture of '{key}' cannot be decoded; run `cotgen verify`") from error
        small.thumbnail(_THUMBNAIL)
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=80)
        with self._lock:
            self._thumbnails[build, key] = buffer.getvalue()
            while len(self._thumbnails) > _KEPT_THUMBNAILS:
                self._thumbnails.popitem(last=False)
        return buffer.getvalue()

    def progress(self, reviewer: str, by: str) -> dict[str, Any]:
        """What one reviewer has marked, in all and by stratum, and who else has."""
        _, marks = self._marks_by_pair()
        mine = [
            mark
            for name, own in marks.items()
            for mark in self._current(name, [mark for mark in own if mark.reviewer == reviewer])
        ]
        pairs = {mark.pair for mark in mine}
        done: Counter[str] = Counter()
        by = by if by in STRATA else "task"
        if by == "basis":
            done.update(mark.basis for mark in mine if mark.basis)
        else:
            for name in pairs:
                key, _, id = name.partition("#")
                try:
                    row = self.catalogue.row(key, id)
                except KeyError:
                    continue
                done.update(self.catalogue.listed(by, row) if by == "source" else [self.catalogue.value(by, row)])
        names = BASES if by == "basis" else self.catalogue.values(by)
        return {
            "pairs": len(pairs),
            "statements": sum(mark.statement >= 0 for mark in mine),
            "chains": sum(mark.statement < 0 for mark in mine),
            "verdicts": dict(sorted(Counter(mark.verdict for mark in mine).items())),
            "strata": [[name, done[name]] for name in names],
            "reviewers": sorted({mark.reviewer for own in marks.values() for mark in own}),
        }

    def mark(self, body: Any) -> dict[str, Any]:
        """Take in a mark; it is on disk when this returns.

        Args:
            body: `pair`, `statement`, `sha256` as `sample` told it, `verdict`, `note`, `reviewer`.

        Raises:
            UnknownError: the mark is not of that form, or speaks of something that is not there.
        """
        fields = {"pair": str, "statement": int, "sha256": str, "verdict": str, "note": str, "reviewer": str}
        if not isinstance(body, dict) or any(type(body.get(name)) is not kind for name, kind in fields.items()):
            raise UnknownError(f"a mark has {', '.join(fields)}")
        # One name however it was typed: machines compose letters differently.
        reviewer = " ".join(unicodedata.normalize("NFC", body["reviewer"]).split())
        note = body["note"].strip()
        seen = reviewer.translate(_JOINERS)
        if not seen or len(reviewer) > 80 or not seen.isprintable():
            raise UnknownError("say who reviews, in at most 80 letters, without signs that cannot be seen")
        if body["verdict"] not in VERDICTS or len(note) > LONGEST_NOTE:
            raise UnknownError(f"a verdict is {', '.join(VERDICTS)}, a note has at most {LONGEST_NOTE:,} letters")
        key, _, id = body["pair"].partition("#")
        record, _ = self.folders[0].record(key)
        pair = next((pair for pair in record.pairs if pair.id == id), None)
        if pair is None or not -1 <= body["statement"] < len(pair.statements):
            raise UnknownError(f"{body['pair']} has no statement {body['statement']}")
        mark = Review.of(key, pair, body["statement"], body["verdict"], reviewer, note)
        if mark.sha256 != body["sha256"]:
            raise UnknownError("the chain is another one now; load the page again")
        try:
            self.reviews.add(mark)
        except CotgenError as error:
            raise CotgenError(f"{error}. Or begin `cotgen view` with --reviews FILE") from error
        return {"marks": self.marks_of(body["pair"], pair)}

    def marks_of(self, name: str, pair: Pair) -> Any:
        """The marks on a pair as it is now."""
        return [_told(mark) for mark in self._marks_by_pair()[1].get(name, []) if is_current(mark, pair)]

    # Filters.

    def _folder(self, build: int) -> Folder:
        if not 0 <= build < len(self.folders):
            raise UnknownError(f"there is no data set {build}")
        return self.folders[build]

    def _marks_by_pair(self) -> tuple[int, dict[str, list[Review]]]:
        """All marks by pair, and the version of the file that they are of."""
        with self._lock:
            marks = self.reviews.marks()
            if self._marks[0] != self.reviews.version:
                found: dict[str, list[Review]] = {}
                for mark in marks:
                    found.setdefault(mark.pair, []).append(mark)
                self._marks = (self.reviews.version, found)
            return self._marks

    def _current(self, name: str, marks: Sequence[Review]) -> list[Review]:
        """Those of the marks on a pair that speak of what it says now; of a shard that is elsewhere all count."""
        if marks and name not in self._hashes:
            key, _, id = name.partition("#")
            folder = self.folders[0]
            try:
                if folder.fetch and not folder.is_here(key):
                    return list(marks)
                # Thousands are read before a queue is there: no more of a record than it takes.
                stored = orjson.loads(folder.read(key).json)["pairs"]
                pairs = [Pair.model_validate(pair) for pair in stored if pair["id"] == id]
            except (KeyError, TypeError, ValueError, CotgenError):
                pairs = []
            self._hashes[name] = frozenset(
                (number, marked_sha256(pair, number)) for pair in pairs for number in range(-1, len(pair.statements))
            )
        return [mark for mark in marks if (mark.statement, mark.sha256) in self._hashes[name]]

    def _found(self, asked: Mapping[str, Sequence[str]]) -> tuple[Rows, dict[str, Mask], Mask]:
        """The rows in their order, the mask of each facet, and that of all other filters."""
        wanted = Filter(
            {facet: tuple(sorted(asked[facet])) for facet in FACETS if asked.get(facet)},
            _one(asked, "q").strip(),
            _one(asked, "order") if _one(asked, "order") in ORDERS else "stored",
            _one(asked, "by") if _one(asked, "by") in STRATA else "task",
        )
        more = tuple(_one(asked, name) for name in ("review", "reply", "differ"))
        bases = tuple(sorted(asked.get("basis", ())))
        text = self.folders[0].text
        version, marks = self._marks_by_pair() if more[0] else (0, {})
        state = (text is not None and text.ready, version, _one(asked, "reviewer"))
        name = (tuple(sorted(wanted.values.items())), wanted.query, wanted.order, wanted.by, more, bases, state)
        with self._lock:
            if name in self._results:
                self._results.move_to_end(name)
                return self._results[name]
        masks = {facet: self.catalogue.mask(facet, values) for facet, values in wanted.values.items()}
        others = np.ones(self.catalogue.pairs, dtype=bool)
        if wanted.query:
            others &= self._searched(wanted.query)
        if bases and text and (mask := text.with_basis(bases)) is not None:
            masks["basis"] = mask
        if more[0] in REVIEWED:
            others &= self._reviewed(more[0], _one(asked, "reviewer"), marks)
        if more[1] in REPLIES and self.predictions:
            others &= self._replied(more[1])
        if more[2] in DIFFERENCES and len(self.folders) > 1:
            others &= self._differing(more[2])
        left = others.copy()
        for mask in masks.values():
            left &= mask
        order = self._order(wanted)
        rows = np.flatnonzero(left).astype(np.uint32) if order is None else order[left[order]]
        with self._lock:
            self._results[name] = rows, masks, others
            while len(self._results) > _KEPT_RESULTS:
                self._results.popitem(last=False)
        return rows, masks, others

    def _searched(self, query: str) -> Mask:
        words = list(dict.fromkeys(words_in(query)))
        if len(words) > _MOST_WORDS:
            raise UnknownError(f"a search has at most {_MOST_WORDS} words; put a sentence between quotes")
        text = self.folders[0].text
        mask = np.ones(self.catalogue.pairs, dtype=bool)
        for word in words:
            found = self.catalogue.search(word)
            if text is not None and (said := text.search(word)) is not None:
                found |= said
            mask &= found
        return mask

    def _order(self, wanted: Filter) -> Rows | None:
        if wanted.order == "stored":
            return None
        if wanted.order == "time":
            return self.catalogue.by_time
        text = self.folders[0].text
        by = wanted.by
        if by == "basis" and (text is None or not text.ready):
            by = "task"
        if by not in self._orders:
            if by == "basis" and text is not None:
                strata = [mask for basis in BASES if (mask := text.with_basis([basis])) is not None]
            else:
                strata = self.catalogue.strata(by)
            self._orders[by] = self.catalogue.drawn(strata)
        return self._orders[by]

    @property
    def replied(self) -> int:
        """How many pairs of the first folder a prediction is for."""
        return int(self._rows_named(self.predictions.answers).sum()) if self.predictions else 0

    def _rows_named(self, names: Mapping[str, Any]) -> Mask:
        mask = np.zeros(self.catalogue.pairs, dtype=bool)
        for name in names:
            key, _, id = name.partition("#")
            try:
                mask[self.catalogue.row(key, id)] = True
            except KeyError:
                continue
        return mask

    def _reviewed(self, what: str, reviewer: str, marks: Mapping[str, Sequence[Review]]) -> Mask:
        def meant(own: Sequence[Review]) -> list[Review]:
            if what in ("todo", "mine"):
                return [mark for mark in own if mark.reviewer == reviewer]
            return list(own) if what == "disputed" else [mark for mark in own if mark.verdict == what]

        found = {name: self._current(name, meant(own)) for name, own in marks.items()}
        chosen = {name: own for name, own in found.items() if own and (what != "disputed" or _disputed(own))}
        return ~self._rows_named(chosen) if what == "todo" else self._rows_named(chosen)

    def _replied(self, what: str) -> Mask:
        assert self.predictions
        if what == "none":
            return ~self._rows_named(self.predictions.answers)
        catalogue = self.catalogue
        chosen = {}
        for name, answer in self.predictions.answers.items():
            key, _, id = name.partition("#")
            try:
                same = catalogue.value("answer", catalogue.row(key, id)) == answer
            except KeyError:
                continue
            if same == (what == "same"):
                chosen[name] = 1
        return self._rows_named(chosen)

    @cached_property
    def _twins(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """For each row of the first folder that of the same pair in the other one; -1 where it has none."""
        tables = [
            pl.DataFrame(
                {
                    "key": pl.Series(folder.catalogue.keys, dtype=pl.String).gather(folder.catalogue.sample_of),
                    "id": pl.Series(column.values, dtype=pl.String).gather(column.codes),
                    "row": np.arange(folder.catalogue.pairs, dtype=np.int64),
                }
            )
            for folder in self.folders
            for column in [folder.catalogue.columns["id"]]
        ]
        joined = tables[0].join(tables[1], on=["key", "id"], how="left", suffix="_there", maintain_order="left")
        return joined["row_there"].fill_null(-1).to_numpy()

    def _differing(self, what: str) -> Mask:
        here, there = self.folders
        twins = self._twins
        both: Mask = twins >= 0
        if what in ("both", "only"):
            return both if what == "both" else ~both
        mask = np.zeros(len(twins), dtype=bool)
        rows = np.flatnonzero(both)
        if what == "chain":
            if here.text and there.text and here.text.chains is not None and there.text.chains is not None:
                mask[rows] = here.text.chains[rows] != there.text.chains[twins[rows]]
            return mask
        mine, theirs = here.catalogue.columns[what], there.catalogue.columns[what]
        number = {value: code for code, value in enumerate(mine.values)}
        as_mine = np.array([number.get(value, -1) for value in theirs.values], dtype=np.int64)
        mask[rows] = mine.codes[rows] != as_mine[theirs.codes[twins[rows]]]
        return mask


def _warm() -> None:
    """Terms and knowledge are read when they are first asked for, a third of a second of work."""
    name_of("")
    known_sentences()


def _disputed(marks: Sequence[Review]) -> bool:
    """Whether reviewers contradict one another on any one thing."""
    said: dict[tuple[int, str], set[str]] = {}
    for mark in marks:
        said.setdefault((mark.statement, mark.sha256), set()).add(mark.verdict)
    return any({"right", "wrong"} <= verdicts for verdicts in said.values())


def _told(mark: Review) -> dict[str, Any]:
    return mark.model_dump(include={"statement", "verdict", "note", "reviewer"})


def _one(asked: Mapping[str, Sequence[str]], name: str) -> str:
    return asked[name][0] if asked.get(name) else ""


def _number(asked: Mapping[str, Sequence[str]], name: str, default: int) -> int:
    text = _one(asked, name)
    return int(text) if text.isdecimal() and len(text) < 10 else default
