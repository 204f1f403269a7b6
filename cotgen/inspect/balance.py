"""What the index alone tells: pairs, balance of classes, findings. Polars streams it, so its size takes no memory."""

from __future__ import annotations

from collections import Counter, defaultdict

import polars as pl

from cotgen.inspect.classes import classes_of
from cotgen.inspect.record import Balance, FindingCount, PairCount
from cotgen.records import SPLITS
from cotgen.tasks import TASKS

_ORDER = {name: n for n, name in enumerate(TASKS)}


def task_order(task: str) -> tuple[int, str]:
    """Sorts tasks as `TASKS` has them, those that this version does not know at the end by name."""
    return _ORDER.get(task, len(_ORDER)), task


def split_order(split: str) -> int:
    """Sorts splits: train, validation, test."""
    return SPLITS.index(split) if split in SPLITS else len(SPLITS)


def pair_counts(index: pl.LazyFrame) -> list[PairCount]:
    """Pairs by split, task, writer, sources and support."""
    columns = ["split", "task", "writer", "sources", "support"]
    joined = index.with_columns(pl.col("sources").list.join("\n"))
    rows = joined.group_by(columns).len().collect(engine="streaming").rows()
    counts = [
        PairCount(
            split=split,
            task=task,
            writer=writer,
            sources=sources.split("\n") if sources else [],
            support=support,
            pairs=pairs,
        )
        for split, task, writer, sources, support, pairs in rows
    ]
    return sorted(counts, key=lambda c: (task_order(c.task), split_order(c.split), c.writer, c.sources, c.support))


def balances(index: pl.LazyFrame) -> list[Balance]:
    """The classes of each kind of question and split; classes that only other splits have are there with 0."""
    rows = index.group_by("split", "task", "id", "answer").len().collect(engine="streaming")
    found: dict[tuple[str, str, str], _Tally] = defaultdict(_Tally)
    known: dict[tuple[str, str], tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for split, task, id, answer, pairs in rows.iter_rows():
        classes = classes_of(task, id, answer)
        found[task, classes.kind, split].add(classes.names, classes.subject, pairs, classes.many)
        names, subjects = known[task, classes.kind]
        names.update(classes.names)
        subjects.update({classes.subject} - {""})
    return [
        found[task, kind, split].balance(task, kind, split, *known[task, kind])
        for task, kind, split in sorted(found, key=lambda key: (task_order(key[0]), key[1], split_order(key[2])))
    ]


class _Tally:
    def __init__(self) -> None:
        self.pairs = 0
        self.many = False
        self.classes = Counter[str]()
        self.subjects = Counter[str]()
        self.answers = Counter[str]()

    def add(self, names: tuple[str, ...], subject: str, pairs: int, many: bool) -> None:
        self.pairs += pairs
        self.many = self.many or many
        self.answers["; ".join(names)] += pairs
        for name in names:
            self.classes[name] += pairs
        if subject:
            self.subjects[subject] += pairs

    def balance(self, task: str, kind: str, split: str, names: set[str], subjects: set[str]) -> Balance:
        commonest, pairs = min(self.answers.items(), key=lambda item: (-item[1], item[0]))
        return Balance(
            task=task,
            kind=kind,
            split=split,
            pairs=self.pairs,
            many=self.many,
            classes={name: self.classes[name] for name in sorted(names)},
            subjects={name: self.subjects[name] for name in sorted(subjects)},
            answers=len(self.answers),
            commonest=commonest,
            commonest_pairs=pairs,
        )


def finding_counts(index: pl.LazyFrame) -> tuple[list[FindingCount], int]:
    """Pairs by check, task and writer, and the pairs that have any; a check that speaks twice of a pair counts once."""
    suspect = index.filter(pl.col("findings").list.len() > 0)
    rows = (
        suspect.select("task", "writer", pl.col("findings").list.unique())
        .explode("findings", empty_as_null=False, keep_nulls=False)
        .group_by("findings", "task", "writer")
        .len()
        .collect(engine="streaming")
        .rows()
    )
    counts = [FindingCount(check=check, task=task, writer=writer, pairs=n) for check, task, writer, n in rows]
    total = suspect.select(pl.len()).collect(engine="streaming").item()
    return sorted(counts, key=lambda c: (c.check, task_order(c.task), c.writer)), total
