"""Tables of the commands."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cotgen.cli.console import harmless

if TYPE_CHECKING:
    from cotgen.evaluation.blind import BlindScore
    from cotgen.shards.diff import Diff
    from cotgen.shards.near import NearReport
    from cotgen.shards.verify import VerifyReport
    from cotgen.sources.base import Source
    from cotgen.surgeries.overlaps import Overlap


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _row(table: Table, *cells: str) -> None:
    # Plain text: a cell may hold brackets, which rich would take for its own marks.
    table.add_row(*(Text(harmless(cell)) for cell in cells))


def _print(console: Console, text: str) -> None:
    console.print(harmless(text), markup=False, highlight=False, soft_wrap=True)


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


def show_near(console: Console, report: NearReport) -> None:
    """Operations of different splits whose pictures look alike."""
    looked = f"Compared {report.pictures:,} pictures, and left out {report.plain:,} that show nothing"
    if not report.alike:
        _print(console, f"{looked}: none of one split looks like one of another.")
        return
    table = _table("one", "other", "pairs of pictures alike", "for example", "bits of 256 that differ")
    for item in report.alike:
        one, other = (f"{surgery} ({split})" for surgery, split in zip(item.surgeries, item.splits, strict=True))
        _row(table, one, other, f"{item.pairs:,}", " and ".join(item.keys), str(item.bits))
    console.print(table)
    _print(
        console,
        f"{looked}. Look at these pictures with `cotgen show`: if two surgeries are one operation, keep one of them out "
        "with --exclude.",
    )


def show_blind(console: Console, scores: Sequence[BlindScore], as_json: bool) -> None:
    """A row per task and kind of question, in percent; JSON as the manifest has it."""
    import orjson

    if as_json:
        rows = {score.name: score.plain() for score in scores}
        print(orjson.dumps(rows, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode())
        return
    table = _table("questions", "train", "validation", "operations", "constant", "blind", "gain", "")
    notes = {"ok": "", "leaks": "more than 2 points", "few": "too few to say"}
    for score in scores:
        name = score.name if score.name == score.task else f"  {score.name}"
        counts = [f"{count:,}" for count in (score.train, score.validation, score.surgeries)]
        shares = [f"{100 * share:.1f}" for share in (score.constant, score.blind)]
        gain = f"{100 * score.gain:+.1f}" + (f" ± {100 * score.margin:.1f}" if score.verdict != "few" else "")
        _row(table, name, *counts, *shares, gain, notes[score.verdict])
    console.print(table)
    _print(
        console,
        "Mean score on validation in percent: of the answer that is most frequent in train (constant), and of a count model "
        "that sees wording, named terms and options but no picture (blind). Gain: points, with its 95 % interval over "
        "operations; above 2 points the questions tell something of their answers.",
    )


def show_sources(console: Console, roots: Sequence[str]) -> None:
    """All sources, one a line, and which of them are found below these roots, `$COTGEN_DATA` and `./data`."""
    from cotgen.sources import SOURCES

    table = _table("name", "title", "found", "licence", "operation", "share frames", "share text")
    problems = []
    for name, source in SOURCES.items():
        described = source.describe()
        terms = described.terms
        shared = ("yes" if terms.share_frames else "no", "yes" if terms.share_text else "no")
        found, problem = _found(source, roots)
        problems += [problem] if problem else []
        _row(table, name, terms.title, found, terms.licence, described.procedure or "any", *shared)
    console.print(table)
    for problem in dict.fromkeys(problems):
        _print(console, problem)
    _print(console, "More about one: cotgen sources NAME. Where they lie: --root DIR, or $COTGEN_DATA.")


def _found(source: Source, roots: Sequence[str]) -> tuple[str, str]:
    """How much of a source there is, and what is wrong with a folder that should be it."""
    from cotgen.errors import CotgenError
    from cotgen.sources.roots import SourceNotFound, find_root

    try:
        scan = find_root(source, roots, Path.cwd(), os.environ)
    except SourceNotFound as problem:
        return ("missing", str(problem).splitlines()[0]) if problem.named else ("missing", "")
    except CotgenError as problem:
        return "not readable", str(problem)
    count = f"{len(scan.surgeries):,} {'surgery' if len(scan.surgeries) == 1 else 'surgeries'}"
    return f"{count}, {len(scan.incomplete):,} incomplete" if scan.incomplete else count, ""


def show_overlaps(console: Console, name: str, as_json: bool) -> None:
    """Which surgery of one data set is which of another: a row per operation, or JSON with one per source and surgery.

    Args:
        console: where the table goes; JSON is printed as it is.
        name: only what concerns this source; "" for all.
        as_json: print JSON.

    Raises:
        CotgenError: the surgeries of that source are not known.
    """
    import dataclasses

    import orjson

    from cotgen.surgeries.identity import family_of, untraced
    from cotgen.surgeries.overlaps import overlaps
    from cotgen.surgeries.splits import CLEAN_1

    if name:
        family_of(name)
    rows = [row for row in overlaps() if name in ("", row.source)]
    if as_json:
        records = [{**dataclasses.asdict(row), "split": row.split or ""} for row in rows]
        print(orjson.dumps(records, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode())
        return
    table = _table("operation", f"split by {CLEAN_1}", "same clock", "same operation only", "perhaps")
    # One line says it for all sources of an operation: that of a source whose clock most of them share.
    fullest: dict[str, Overlap] = {}
    sets: dict[tuple[str, tuple[str, ...], str], list[str]] = {}
    for row in rows:
        operation = row.operations[0]
        if len(row.operations) > 1:
            sets.setdefault((row.source, row.operations, row.split or "none"), []).append(row.name)
        elif operation not in fullest or len(row.same_clock) > len(fullest[operation].same_clock):
            fullest[operation] = row
    for operation, row in fullest.items():
        number = operation.partition("/")[2]
        clock, only = (
            ", ".join(id.removesuffix(f"/{number}") for id in ids)
            for ids in ((f"{row.source}/{row.name}", *row.same_clock), row.same_operation)
        )
        _row(table, operation, row.split or "none", clock, only, ", ".join(row.perhaps))
    if fullest:
        console.print(table)
    for (source, operations, split), names in sets.items():
        known = f"{source} {', '.join(names)} are, in an order nobody published, {', '.join(operations)}"
        _print(console, f"{known}; split: {split}")
    for source, entry in untraced().items() if not name else ():
        _print(console, f"{source}: {entry.what} are from {entry.of}, nobody published which is which; split: none")
    if not rows:
        _print(console, f"No other data set is known to show a surgery of {name}.")


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
