"""`cotgen stats`: what is in a folder and whether it is balanced, in the terminal, as JSON, as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cotgen.cli.console import make_console

if TYPE_CHECKING:
    from rich.console import Console

    from cotgen.inspect.against import Difference
    from cotgen.inspect.record import Statistics

#: Remarks and changes that the terminal shows; the others are in the HTML file and the JSON.
_SHOWN = 12


def stats(
    folder: Annotated[Path, typer.Argument(help="A finished data set.")],
    html: Annotated[
        Path | None, typer.Option(help="Write a report with pictures: one file that needs nothing else.")
    ] = None,
    against: Annotated[Path | None, typer.Option(help="Another data set, put beside it with the differences.")] = None,
    reviews: Annotated[
        Path | None, typer.Option(help="Marks of reviewers. Default: DIR.reviews.jsonl beside DIR, where it is.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON: all numbers, keys sorted.")] = False,
    least: Annotated[int, typer.Option(help="Pairs below which a class is called rare.")] = 50,
) -> None:
    """Say what is in a data set and whether it is balanced. Classes, chains, findings, and what to look at first."""
    from cotgen.errors import CotgenError
    from cotgen.inspect.against import differences
    from cotgen.inspect.remarks import remarks
    from cotgen.inspect.report import report
    from cotgen.records.base import canonical_json
    from cotgen.shards.files import write_bytes

    if html is not None and html.is_dir():
        raise CotgenError(f"{html} is a folder; give a file, such as {html / 'report.html'}")
    for sealed in (folder, *([against] if against else [])):
        if html is not None and html.resolve().is_relative_to(sealed.resolve()):
            raise CotgenError(f"{html} is in {sealed}, which is sealed; give a file outside of it")
    console = make_console()
    numbers = _count(console, folder, reviews)
    other = _count(console, against) if against else None
    said = remarks(numbers, least=least)
    names = _names(folder, against)
    if html is not None:
        write_bytes(html, report(numbers, other, names, least=least).encode())
    if as_json:
        found: dict[str, Any] = {"statistics": numbers.model_dump(by_alias=True), "remarks": said}
        if other is not None:
            changes = [row.model_dump() for row in differences(numbers, other)]
            found |= {"against": other.model_dump(by_alias=True), "differences": changes}
        print(canonical_json(found).decode())
        return
    _show(console, folder, numbers, said)
    if other is not None:
        _show_changes(console, numbers, other, names)
    if html is not None:
        console.print(f"The report is in {html}.", markup=False, highlight=False, soft_wrap=True)


def _names(folder: Path, against: Path | None) -> tuple[str, str]:
    one = folder.resolve().name
    other = against.resolve().name if against else ""
    return (one, other) if one != other else (f"{one} (1)", f"{other} (2)")


def _count(console: Console, folder: Path, reviews: Path | None = None) -> Statistics:
    from rich.progress import Progress

    from cotgen.inspect.statistics import statistics

    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task(f"reading {folder.name}")

        def moved(done: int, total: int) -> None:
            if done % 500 == 0:
                bars.update(bar, completed=done, total=total)

        return statistics(folder, reviews=reviews, progress=moved)


def _show(console: Console, folder: Path, numbers: Statistics, said: Sequence[str]) -> None:
    from cotgen.cli.tables import _print, _row, _table
    from cotgen.inspect.balance import task_order
    from cotgen.inspect.reviews import CHAIN
    from cotgen.records import SPLITS

    surgeries = [numbers.surgeries.get(split, 0) for split in SPLITS]
    frames = sum(numbers.samples.values())
    _print(
        console,
        f"{folder}: {numbers.total:,} pairs about {frames:,} frames of {sum(surgeries):,} surgeries "
        f"({' / '.join(f'{n:,}' for n in surgeries)} in train / validation / test, {numbers.split_table}).",
    )
    if numbers.total:
        counts, totals = numbers.by("task", "split"), numbers.by("task")
        words, bits, support = _words(numbers), _bits(numbers), numbers.by("task", "support")
        table = _table("task", *SPLITS, "classes", "top answer", "rarest", "words", "bits", "asserted")
        for (task,), total in sorted(totals.items(), key=lambda item: task_order(item[0][0])):
            asserted = 100 * support.get((task, "asserted"), 0) / total
            cells = [f"{counts.get((task, split), 0):,}" for split in SPLITS]
            _row(table, task, *cells, *_classes(numbers, task), words[task], bits[task], f"{asserted:.0f} %")
        console.print(table)
        _print(
            console,
            "Of the kind of question with the most classes, in train: its classes, the share of the most frequent answer "
            "(of equal shares), the rarest class. Words: median of levels 1 / 2 / 3. Bits: plans / skeletons of chains "
            "with equal facts.",
        )
    if numbers.read < frames:
        _print(console, f"Chains, labels and boxes: of {numbers.read:,} frames, drawn.")
    for row in numbers.reviews:
        if not row.right + row.wrong:
            continue
        share = f"{100 * row.share:.0f} % ({100 * row.low:.0f} to {100 * row.high:.0f} %)"
        what = "Chains as a whole" if row.basis == CHAIN else f"Sentences of basis {row.basis}"
        _print(console, f"{what} by {row.writer}: reviewers accepted {share} of {row.right + row.wrong:,}.")
    if said:
        _print(console, "\nWorth a look:")
        for line in said[:_SHOWN]:
            _print(console, f"- {line}")
        if len(said) > _SHOWN:
            _print(console, f"- and {len(said) - _SHOWN} more; --html FILE shows all.")


def _classes(numbers: Statistics, task: str) -> tuple[str, str, str]:
    from cotgen.inspect.classes import display
    from cotgen.inspect.plots import balance_of

    rows = balance_of(numbers, task)
    row = next((row for row in rows if row.split == "train"), rows[0])
    top = f"{100 * row.majority:.0f} %{f' ({100 * row.uniform:.0f} %)' if row.uniform else ''}"
    name, n = row.ranked()[-1]
    return f"{len(row.classes):,}", top, f"{display(name)} ({n:,})"


def _words(numbers: Statistics) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for row in numbers.lengths:
        found.setdefault(row.task, []).append(f"{row.words.median}")
    # Of several writers the first three levels are those of the first.
    return {task: " / ".join(medians[:3]) for task, medians in found.items()}


def _bits(numbers: Statistics) -> dict[str, str]:
    return {
        row.task: f"{row.cell_plan_bits:.1f} / {row.cell_skeleton_bits:.1f}" if row.enough else "few chains"
        for row in numbers.diversity
    }


def _digits(row: Difference) -> int:
    return 0 if row.unit in ("pairs", "words") else 1


def _show_changes(console: Console, one: Statistics, other: Statistics, names: tuple[str, str]) -> None:
    from cotgen.cli.tables import _print, _row, _table
    from cotgen.inspect.against import differences
    from cotgen.inspect.classes import display

    changed = [row for row in differences(one, other) if round(row.change, _digits(row))]
    # The classes of sets have no distance, so that only their shares tell that they differ.
    shares = [row for row in changed if row.group == "share of a class"]
    changed = [row for row in changed if row.group != "share of a class"] or shares[:_SHOWN]
    if not changed:
        _print(console, f"\n{names[0]} and {names[1]} have the same numbers.")
        return
    table = _table("what", "of", names[0], names[1], "difference", "")
    for row in changed:
        digits = _digits(row)
        values = [f"{value:,.{digits}f}" for value in (row.one, row.other)]
        if row.group == "distance of classes":
            values = ["", ""]
        name = ": ".join(display(part) for part in row.name.split(": "))
        _row(table, row.group, name, *values, f"{row.change:+,.{digits}f}", row.unit)
    console.print(table)
