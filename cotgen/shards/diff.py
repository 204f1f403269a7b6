"""Comparing two data sets: which samples and pairs came, went or changed, and in what."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pydantic

from cotgen.errors import CotgenError
from cotgen.records import Pair, Sample
from cotgen.shards.index import scan_index
from cotgen.shards.stored import Place, StoredRecords

#: Field of a pair or sample -> what a change of it is called.
CHANGES = {
    "question": "wording",
    "options": "options",
    "boxes": "boxes",
    "support": "support",
    "statements": "chain",
    "answer": "answer",
    "writer": "writer",
    "findings": "findings",
    "task": "task",
}
#: Names that are listed for each kind of change.
LISTED = 10


@dataclass
class Change:
    """How many came, went and changed."""

    added: int = 0
    removed: int = 0
    changed: int = 0


@dataclass
class Diff:
    """What is different in `b`, seen from `a`.

    Attributes:
        samples: samples by key; a sample is changed when anything in its record is.
        pairs: pairs by key and id.
        tasks: pairs by task.
        changes: what changed -> in how many pairs (`wording`, `options`, `boxes`, `support`, `chain`, `answer`,
            `writer`, `findings`, `task`, `order of pairs`) or samples (`frame`, `facts`, `labelled` ...).
        examples: `added`, `removed` or what changed -> up to ten names (`key` or `key#id`), in the order of the
            shards.
    """

    samples: Change = field(default_factory=Change)
    pairs: Change = field(default_factory=Change)
    tasks: dict[str, Change] = field(default_factory=dict)
    changes: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    @property
    def same(self) -> bool:
        """Whether both hold the same samples, whatever their order and shards."""
        return self.samples == Change()

    def _name(self, what: str, name: str) -> None:
        listed = self.examples.setdefault(what, [])
        if len(listed) < LISTED:
            listed.append(name)

    def _changed(self, what: str, name: str) -> None:
        self.changes[what] = self.changes.get(what, 0) + 1
        self._name(what, name)

    def _task(self, task: str) -> Change:
        return self.tasks.setdefault(task, Change())


def diff(a: Path, b: Path) -> Diff:
    """Compare two finished folders, record by record; pictures are compared by their hashes in the records.

    Raises:
        CotgenError: one of them is no finished folder or is damaged.
    """
    found = Diff()
    with StoredRecords(a) as left, StoredRecords(b) as right:
        in_right = {place.key: place for place in right.places()}
        common: set[str] = set()
        for place in left.places():
            other = in_right.get(place.key)
            if other is None:
                found.samples.removed += 1
                found._name("removed", place.key)
                continue
            common.add(place.key)
            before, after = left.record(place)[0], right.record(other)[0]
            if before != after:
                _compare(found, _sample(left, place, before), _sample(right, other, after))
        for place in in_right.values():
            if place.key not in common:
                found.samples.added += 1
                found._name("added", place.key)
        shared = pl.LazyFrame({"key": sorted(common)}, schema={"key": pl.String})
        for task, count in _tasks_beside(a, shared):
            found.pairs.removed += count
            found._task(task).removed += count
        for task, count in _tasks_beside(b, shared):
            found.pairs.added += count
            found._task(task).added += count
    found.tasks = {task: found.tasks[task] for task in sorted(found.tasks)}
    return found


def _tasks_beside(folder: Path, shared: pl.LazyFrame) -> list[tuple[str, int]]:
    """(task, pairs) of the samples that the other folder does not have."""
    own = scan_index(folder).select("key", "task").join(shared, on="key", how="anti")
    return own.group_by("task").len().sort("task").collect().rows()


def _sample(records: StoredRecords, place: Place, json: bytes) -> Sample:
    try:
        return Sample.from_json(json)
    except pydantic.ValidationError as error:
        raise CotgenError(
            f"the record of '{place.key}' in {records.folder / place.shard} is damaged; "
            f"run `cotgen verify {records.folder}`"
        ) from error


def _compare(found: Diff, before: Sample, after: Sample) -> None:
    found.samples.changed += 1
    for name in Sample.model_fields:
        if name != "pairs" and getattr(before, name) != getattr(after, name):
            found._changed(name.rstrip("_"), before.key)
    old = {pair.id: pair for pair in before.pairs}
    new = {pair.id: pair for pair in after.pairs}
    for id, pair in old.items():
        if id not in new:
            found.pairs.removed += 1
            found._task(pair.task).removed += 1
            found._name("removed", f"{before.key}#{id}")
        elif pair != new[id]:
            found.pairs.changed += 1
            found._task(pair.task).changed += 1
            for what in _differences(pair, new[id]):
                found._changed(what, f"{before.key}#{id}")
    for id, pair in new.items():
        if id not in old:
            found.pairs.added += 1
            found._task(pair.task).added += 1
            found._name("added", f"{before.key}#{id}")
    kept = [id for id in new if id in old]
    if kept != [id for id in old if id in new]:
        found._changed("order of pairs", before.key)


def _differences(before: Pair, after: Pair) -> list[str]:
    return [what for name, what in CHANGES.items() if getattr(before, name) != getattr(after, name)]
