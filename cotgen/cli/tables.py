"""Tables of the commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from cotgen.shards.diff import Diff
    from cotgen.shards.verify import VerifyReport


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _row(table: Table, *cells: str) -> None:
    # Plain text: a cell may hold brackets, which rich would take for its own marks.
    table.add_row(*(Text(cell) for cell in cells))


def _print(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def show_verification(console: Console, folder: Path, report: VerifyReport) -> None:
    """What was looked at, and what is wrong."""
    looked = ", ".join(f"{count:,} {what}" for what, count in report.counts.items())
    if report.ok:
        _print(console, f"{folder} is whole: {looked}.")
        return
    table = _table("kind", "where", "what is wrong")
    for problem in report.problems:
        place = problem.key or problem.file
        _row(table, problem.kind, f"{place}#{problem.pair}" if problem.pair else place, problem.what)
    console.print(table)
    totals = ", ".join(f"{kind} {count:,}" for kind, count in sorted(report.found.items()))
    _print(console, f"{folder} is not whole: {totals}. Looked at {looked or 'nothing else'}.")


def show_sources(console: Console) -> None:
    """All sources, one a line."""
    from cotgen.sources import SOURCES

    table = _table("name", "title", "licence", "operation", "share frames", "share text")
    for name, source in sorted(SOURCES.items()):
        described = source.describe()
        terms = described.terms
        shared = ("yes" if terms.share_frames else "no", "yes" if terms.share_text else "no")
        _row(table, name, terms.title, terms.licence, described.procedure, *shared)
    console.print(table)
    _print(console, "More about one: cotgen sources NAME")


def show_source(console: Console, name: str) -> None:
    """All about one source.

    Raises:
        CotgenError: there is no such source.
    """
    from cotgen.sources import source

    described = source(name).describe()
    terms = described.terms
    parts = {
        "Title": [terms.title],
        "Operation": [described.procedure],
        "Licence": [terms.licence],
        "Frames may be shared": ["yes" if terms.share_frames else "no"],
        "Text may be shared": ["yes" if terms.share_text else "no"],
        "Homepage": [terms.homepage],
        "How to get it": [described.access],
        "What is read": list(described.layout),
        "What the labels feed": list(described.levels),
        "Splits": ["clean/1", *(f"{name}={split}" for split in described.splits)],
        "Clock": [f"{described.fps} frames a second"],
        "Cite": [terms.citation],
    }
    for title, lines in parts.items():
        _print(console, f"{title}: {lines[0]}" if len(lines) == 1 else f"{title}:")
        for line in lines if len(lines) > 1 else []:
            _print(console, f"  {line}")


def show_diff(console: Console, found: Diff) -> None:
    """What came, went and changed."""
    if found.same:
        _print(console, "Both hold the same samples.")
        return
    table = _table("", "added", "removed", "changed")
    for name, change in (("samples", found.samples), ("pairs", found.pairs), *sorted(found.tasks.items())):
        label = name if name in ("samples", "pairs") else f"  {name}"
        _row(table, label, f"{change.added:,}", f"{change.removed:,}", f"{change.changed:,}")
    console.print(table)
    for what, count in sorted(found.changes.items()):
        _print(console, f"{what}: {count:,}, e.g. {', '.join(found.examples.get(what, [])[:3])}")
    for what in ("added", "removed"):
        if names := found.examples.get(what):
            _print(console, f"{what}: e.g. {', '.join(names[:3])}")
