"""Overlaps: which surgery of one data set is which of another, and the one split of both."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from cotgen.records import Split
from cotgen.surgeries.identity import (
    aligned,
    candidates,
    canonical,
    family_of,
    known_sources,
    members,
    numbers,
    order_of,
    untraced,
)
from cotgen.surgeries.splits import SplitPlan


@dataclass(frozen=True, slots=True)
class Overlap:
    """One surgery of one source, and what others call it.

    Attributes:
        source: name of the source.
        name: its own number or name of the surgery, `73`, `bbp01`.
        operations: the operation that it is; several where only sets are known to be the same.
        same_clock: `source/number` of other sources that label the operation on the same clock, so that facts are joined.
        same_operation: those that show the operation with frames of their own: they share the split and nothing else.
        perhaps: sources that may show it, under a number that nobody published.
        split: None where the tables hold none, or candidates of several.
    """

    source: str
    name: str
    operations: tuple[str, ...]
    same_clock: tuple[str, ...]
    same_operation: tuple[str, ...]
    perhaps: tuple[str, ...]
    split: Split | None


def overlaps(plan: SplitPlan | None = None) -> list[Overlap]:
    """A row for each surgery of each source that another source shows too or may show, by operation.

    Args:
        plan: what gives the splits; `clean/1` where it is not given.
    """
    splits = plan or SplitPlan.parse([])
    shown_by: dict[str, list[tuple[str, str]]] = defaultdict(list)
    perhaps: dict[str, set[str]] = defaultdict(set)
    for source in known_sources():
        for number in members(source):
            surgery = canonical(f"{family_of(source)}/{number}")
            shown_by[surgery].append((source, str(number)))
            if (found := candidates(surgery)) != (surgery,):
                for operation in found:
                    perhaps[operation].add(source)
    for source, entry in untraced().items():
        for number in numbers(entry.operations):
            perhaps[canonical(f"{entry.of}/{number}")].add(source)
    rows = []
    for surgery, names in shown_by.items():
        operations = candidates(surgery)
        maybe = {other for one in operations for other in perhaps[one]}
        for source, name in names:
            others = [its for its in names if its != (source, name)]
            also = tuple(sorted(maybe - {source, *(other for other, _ in others)}))
            if others or also:
                clock = {other: aligned((source, other)) for other, _ in others}
                rows.append(
                    Overlap(
                        source=source,
                        name=name,
                        operations=operations,
                        same_clock=tuple(f"{other}/{its}" for other, its in others if clock[other]),
                        same_operation=tuple(f"{other}/{its}" for other, its in others if not clock[other]),
                        perhaps=also,
                        split=splits.of(surgery),
                    )
                )
    return sorted(rows, key=lambda row: (order_of(row.operations[0]), row.source, order_of(f"x/{row.name}")))
