"""Two folders beside each other: the same numbers of both, and how far they are apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from cotgen.inspect.record import Balance, Statistics
from cotgen.records.base import Record


class Difference(Record):
    """One number of two folders.

    Attributes:
        group: what kind of number it is: `pairs`, `distance of classes`, `share of a class` ...
        name: of what.
        unit: `pairs`, `%`, `bits`, `words`.
        one: in the first folder; 0 where it has none. Words and bits are compared where both have them.
        other: in the second.
    """

    group: str
    name: str
    unit: str
    one: float
    other: float

    @property
    def change(self) -> float:
        """From the second folder to the first."""
        return self.one - self.other


def differences(one: Statistics, other: Statistics) -> list[Difference]:
    """The numbers of both, group by group; those of classes only where they differ, the largest change first."""
    groups: tuple[tuple[str, str, Mapping[str, float], Mapping[str, float]], ...] = (
        ("pairs", "pairs", _pairs(one), _pairs(other)),
        ("support", "%", _support(one), _support(other)),
        ("pairs with a soft finding", "%", _findings(one), _findings(other)),
        ("median words of a level", "words", *_of_both(_words(one), _words(other))),
        ("entropy with equal facts", "bits", *_of_both(_bits(one), _bits(other))),
        ("sentences of a basis", "%", _bases(one), _bases(other)),
    )
    found = [
        Difference(group=group, name=name, unit=unit, one=left.get(name, 0.0), other=right.get(name, 0.0))
        for group, unit, left, right in groups
        for name in dict.fromkeys((*left, *right))
    ]
    return found + list(_classes(one, other))


def _share(n: int, total: int) -> float:
    return round(100 * n / total, 4) if total else 0.0


def _pairs(numbers: Statistics) -> dict[str, float]:
    rows = {f"{task}, {split}": float(n) for (task, split), n in numbers.by("task", "split").items()}
    return {**rows, "all": float(numbers.total)}


def _support(numbers: Statistics) -> dict[str, float]:
    return {name: _share(n, numbers.total) for (name,), n in sorted(numbers.by("support").items())}


def _findings(numbers: Statistics) -> dict[str, float]:
    counts: dict[str, int] = defaultdict(int)
    for row in numbers.findings:
        counts[row.check] += row.pairs
    return {"any": _share(numbers.found, numbers.total)} | {
        name: _share(n, numbers.total) for name, n in sorted(counts.items())
    }


def _of_both(left: Mapping[str, float], right: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """What only one has is no difference in length or variety."""
    return (
        {name: left[name] for name in left if name in right},
        {name: right[name] for name in right if name in left},
    )


def _words(numbers: Statistics) -> dict[str, float]:
    """By task and level where one writer wrote all chains of a task, so that writers can be compared; else by writer too."""
    writers: dict[str, set[str]] = defaultdict(set)
    for row in numbers.lengths:
        writers[row.task].add(row.writer)
    return {
        f"{row.task}, {f'{row.writer}, ' if len(writers[row.task]) > 1 else ''}level {row.level}": float(
            row.words.median
        )
        for row in numbers.lengths
    }


def _bits(numbers: Statistics) -> dict[str, float]:
    return {
        f"{row.task}, {what}": bits
        for row in numbers.diversity
        if row.enough
        for what, bits in (("plans", row.cell_plan_bits), ("skeletons", row.cell_skeleton_bits))
    }


def _bases(numbers: Statistics) -> dict[str, float]:
    counts: dict[str, int] = defaultdict(int)
    for row in numbers.bases:
        counts[row.basis] += row.sentences
    total = sum(counts.values())
    return {name: _share(n, total) for name, n in sorted(counts.items())}


def _classes(one: Statistics, other: Statistics) -> Iterator[Difference]:
    """The total variation distance of the classes of each kind and split, and each share that changed."""
    left, right = _by_kind(one), _by_kind(other)
    changed = []
    for key in sorted(left.keys() & right.keys()):
        a, b = left[key], right[key]
        shares = {
            name: (_share(a.classes.get(name, 0), a.pairs), _share(b.classes.get(name, 0), b.pairs))
            for name in sorted({*a.classes, *b.classes})
        }
        kind = ", ".join(key)
        if not a.many:
            apart = round(sum(abs(x - y) for x, y in shares.values()) / 2, 4)
            yield Difference(group="distance of classes", name=kind, unit="%", one=apart, other=0.0)
        changed += [
            Difference(group="share of a class", name=f"{kind}: {name}", unit="%", one=x, other=y)
            for name, (x, y) in shares.items()
            if x != y
        ]
    yield from sorted(changed, key=lambda row: (-abs(row.change), row.name))


def _by_kind(numbers: Statistics) -> dict[tuple[str, str], Balance]:
    return {(row.kind, row.split): row for row in numbers.balance}
