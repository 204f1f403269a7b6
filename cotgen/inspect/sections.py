"""What a report says, section by section: pictures with words that stand for them, and the tables behind them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from cotgen.inspect import plots
from cotgen.inspect.against import differences
from cotgen.inspect.balance import split_order, task_order
from cotgen.inspect.classes import display, words
from cotgen.inspect.record import AREAS, MOST_PLAN, PLAN_BITS, SKELETON_BITS, Balance, Ribbon, Statistics, Together
from cotgen.inspect.remarks import LEAST_PAIRS, remarks
from cotgen.records import LEVEL_NAMES, SPLITS

#: Rows of a table of classes or triplets, pairs of things, changes between two folders.
_ROWS, _PAIRS, _CHANGES = 200, 40, 60


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph, or a heading inside a section."""

    text: str
    kind: Literal["text", "heading"] = "text"


@dataclass(frozen=True, slots=True)
class Remarks:
    """Lines that stand out."""

    lines: tuple[str, ...]
    kind: Literal["remarks"] = "remarks"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in the file itself, with the words that stand for it."""

    uri: str
    alt: str
    caption: str


@dataclass(frozen=True, slots=True)
class Figures:
    """One picture, or several beside each other."""

    figures: tuple[Picture, ...]
    kind: Literal["figures"] = "figures"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table; the first cell is its heading. A flag marks what there is little of."""

    cells: tuple[str, ...]
    flag: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `texts` are the numbers of the columns that hold words, the first apart."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    texts: tuple[int, ...] = ()
    kind: Literal["table"] = "table"


@dataclass(frozen=True, slots=True)
class Form:
    """A form of text and a chain that has it."""

    share: str
    text: str
    name: str
    example: str


@dataclass(frozen=True, slots=True)
class Forms:
    """The most frequent forms of text."""

    forms: tuple[Form, ...]
    kind: Literal["forms"] = "forms"


Part = Text | Remarks | Figures | Table | Forms


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report with a heading."""

    id: str
    title: str
    parts: tuple[Part, ...]


def sections(
    numbers: Statistics, other: Statistics | None, names: tuple[str, str], least: int = LEAST_PAIRS
) -> list[Section]:
    """The sections that have something to say.

    Args:
        numbers: of the folder.
        other: of the folder it is compared with.
        names: what both are called.
        least: pairs below which a class is called rare.
    """
    found = (
        ("first", "What to look at first", _first(numbers, least)),
        ("pairs", "Pairs", _pairs(numbers)),
        ("against", f"{names[0]} and {names[1]}", _against(numbers, other, names) if other else iter(())),
        ("balance", "Balance of the answers", _balance(numbers, least)),
        ("phases", "Phases over time", _phases(numbers)),
        ("together", "What is seen together", _together(numbers)),
        ("acts", "Who does what to what", _acts(numbers)),
        ("boxes", "Boxes", _boxes(numbers)),
        ("length", "Length of the chains", _lengths(numbers)),
        ("support", "What the chains rest on", _support(numbers)),
        ("variety", "Variety of the text", _variety(numbers)),
        ("findings", "Findings", _findings(numbers)),
        ("sources", "Sources side by side", _sources(numbers)),
        ("reviews", "What reviewers accepted", _reviews(numbers)),
    )
    made = [Section(id, title, tuple(parts)) for id, title, parts in found]
    return [section for section in made if section.parts]


def _first(numbers: Statistics, least: int) -> Iterator[Part]:
    lines = tuple(remarks(numbers, least=least))
    if lines:
        yield Remarks(lines)
    else:
        yield Text(
            f"Nothing stands out: no split is empty, no class is under {least} pairs, no answer and no plan dominates."
        )


def _pairs(numbers: Statistics) -> Iterator[Part]:
    yield from _figure(
        plots.overview(numbers),
        "Bars: pairs of each task, divided by split.",
        "Pairs of each task, by split.",
    )
    splits = _splits(numbers)
    counts = numbers.by("task", "split")
    rows = [
        Row((words(task), *_numbers([counts.get((task, split), 0) for split in splits]), f"{n:,}"))
        for (task,), n in sorted(numbers.by("task").items(), key=lambda item: task_order(item[0][0]))
    ]
    by_split = numbers.by("split")
    rows.append(Row(("all", *_numbers([by_split[(split,)] for split in splits]), f"{numbers.total:,}")))
    yield Table("Pairs by task and split", ("task", *splits, "all"), tuple(rows))
    by = numbers.by("source", "split")
    sources = sorted({source for source, _ in by})
    if len(sources) > 1:
        yield Table(
            "Pairs about frames of which a source says something; a frame of two sources counts for both",
            ("source", *splits),
            tuple(
                Row((numbers.titles.get(s, s), *_numbers([by.get((s, split), 0) for split in splits])))
                for s in sources
            ),
        )
    writers = numbers.by("writer", "split")
    if len({writer for writer, _ in writers}) > 1:
        yield Table(
            "Pairs by writer and split",
            ("writer", *splits),
            tuple(
                Row((w, *_numbers([writers.get((w, split), 0) for split in splits])))
                for w in sorted({writer for writer, _ in writers})
            ),
        )


def _balance(numbers: Statistics, least: int) -> Iterator[Part]:
    if not numbers.balance:
        return
    yield Text(
        f"'few' stands where a split has under {least} pairs of a class, or under 0.5 %. The share of the most frequent "
        "whole answer is what a model reaches that never looks; it must be compared with that, and with equal shares."
    )
    for task, group in groupby(numbers.balance, key=lambda row: row.task):
        rows = list(group)
        yield Text(words(task).capitalize(), "heading")
        shown = plots.balance_of(numbers, task)
        if shown:
            kind = shown[0].kind
            top = shown[0].ranked()[0] if shown[0].classes else ("", 0)
            yield from _figure(
                plots.class_balance(numbers, task),
                f"Dots: share of each class of {kind} in each split. In {shown[0].split} the most frequent is "
                f"{display(top[0])} with {top[1]:,} of {shown[0].pairs:,} pairs.",
                f"{kind}: share of each class, by split; at the right, pairs of {' / '.join(r.split for r in shown)}.",
            )
        yield from _class_tables(rows, least)


def _class_tables(rows: Sequence[Balance], least: int) -> Iterator[Part]:
    """A table for each kind of question; kinds with equal counts share one."""
    by_kind: dict[str, list[Balance]] = {}
    for row in rows:
        by_kind.setdefault(row.kind, []).append(row)
    alike: dict[tuple[tuple[str, tuple[tuple[str, int], ...]], ...], list[str]] = {}
    for kind, found in by_kind.items():
        key = tuple((row.split, tuple(sorted({**row.classes, **row.subjects}.items()))) for row in found)
        alike.setdefault(key, []).append(kind)
    for kinds in alike.values():
        yield _class_table(", ".join(kinds), sorted(by_kind[kinds[0]], key=lambda row: split_order(row.split)), least)


def _class_table(title: str, found: Sequence[Balance], least: int) -> Table:
    total: dict[str, int] = {}
    for row in found:
        for name, n in row.classes.items():
            total[name] = total.get(name, 0) + n
    rare = {name for row in found for name, _ in row.rare(pairs=least)}
    ranked = sorted(total, key=lambda name: (-total[name], name))
    asked = {name: sum(row.subjects.get(name, 0) for row in found) for row in found for name in row.subjects}
    if asked == total:
        asked = {}
    # What shares must be compared with stands first, where no one has to scroll for it.
    lines = [Row(("all", *(c for row in found for c in (f"{row.pairs:,}", ""))))]
    cells = [c for row in found for c in _count(row.commonest_pairs, row.pairs)]
    lines.append(Row(("the most frequent whole answer", *cells)))
    if not found[0].many:
        lines.append(Row(("equal shares", *(c for row in found for c in ("", f"{100 * row.uniform:.1f} %")))))
    lines += [
        Row((display(name), *(c for row in found for c in _count(row.classes.get(name, 0), row.pairs))), name in rare)
        for name in ranked[:_ROWS]
    ]
    if len(ranked) > _ROWS:
        rest = [sum(row.classes.get(name, 0) for name in ranked[_ROWS:]) for row in found]
        cells = [c for n, row in zip(rest, found, strict=True) for c in _count(n, row.pairs)]
        lines.append(Row((f"{len(ranked) - _ROWS:,} more", *cells)))
    lines += [
        Row(
            (
                f"asks about {display(name)}",
                *(c for row in found for c in _count(row.subjects.get(name, 0), row.pairs)),
            )
        )
        for name in sorted(asked, key=lambda name: (-asked[name], name))[:_ROWS]
    ]
    columns = ("class", *(c for row in found for c in (row.split, "share")))
    note = "; an answer may hold several classes" if found[0].many else ""
    return Table(f"{title}: pairs by class and split{note}", columns, tuple(lines))


def _phases(numbers: Statistics) -> Iterator[Part]:
    for family, group in groupby(numbers.ribbons, key=lambda row: row.surgery.partition("/")[0]):
        rows = list(group)
        for first in range(0, len(rows), plots.MOST_RIBBONS):
            part = rows[first : first + plots.MOST_RIBBONS]
            yield from _figure(
                plots.ribbons(part),
                f"Ribbons: the phases of {len({row.surgery for row in part})} surgeries of {family} over minutes.",
                f"Phases over time, {_from_to(part)}. White: no label, or no frame in the folder.",
            )
        # A surgery that two sources label has two ribbons, which need not agree.
        for source in sorted({row.source for row in rows}):
            labelled = f"Phases of {family}, labelled by {numbers.titles.get(source, source)}"
            title = f"{labelled}; minutes that frames of the folder show, half a minute each at most"
            yield _minutes([row for row in rows if row.source == source], title)


def _from_to(rows: Sequence[Ribbon]) -> str:
    first, last = rows[0].surgery, rows[-1].surgery
    return first if first == last else f"{first} to {last}"


def _minutes(rows: Sequence[Ribbon], title: str) -> Table:
    """How long the phases are, by the ribbons of one source: one for each surgery."""
    minutes: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        for segment in row.segments:
            found = minutes.setdefault(segment.phase, {}).setdefault(row.surgery, [])
            found.append((segment.end_s - segment.start_s) / 60)
    lines = []
    for phase in sorted(minutes, key=plots.phase_order):
        sums = sorted(sum(stretches) for stretches in minutes[phase].values())
        lines.append(
            Row((
                display(phase), f"{len(sums):,} of {len(rows):,}",
                f"{sums[len(sums) // 2]:.1f}", f"{sums[0]:.1f} to {sums[-1]:.1f}",
                f"{sum(map(len, minutes[phase].values())) / len(sums):.1f}",
            ))
        )  # fmt: skip
    columns = ("phase", "surgeries that have it", "median minutes", "minutes", "stretches in each")
    return Table(title, columns, tuple(lines))


def _together(numbers: Statistics) -> Iterator[Part]:
    for row in numbers.together:
        if len(row.terms) < 2:
            continue
        title = numbers.titles.get(row.source, row.source)
        what = {"triplet": "instruments at work", "instrument": "instruments in view"}.get(row.kind, "structures")
        most = max(((row.counts[n][n], name) for n, name in enumerate(row.terms)), default=(0, ""))
        yield from _figure(
            plots.co_occurrence(row),
            f"Matrix of {what} by {title}: frames that have both. The most frequent is {display(most[1])}, "
            f"in {most[0]:,} of {row.frames:,} frames.",
            f"{what.capitalize()} by {title}, in {row.frames:,} frames: frames with both; on the diagonal, with that one.",
        )
        yield _pairs_table(row, what, title)


def _pairs_table(row: Together, what: str, title: str) -> Table:
    pairs = [
        (row.counts[a][b], row.expected(a, b), display(row.terms[a]), display(row.terms[b]))
        for a in range(len(row.terms))
        for b in range(a + 1, len(row.terms))
    ]
    pairs.sort(key=lambda item: (-item[0], item[2], item[3]))
    rows = tuple(
        Row((f"{one} with {other}", f"{n:,}", f"{by_chance:,.0f}", f"{n / by_chance:.2f}" if by_chance else ""))
        for n, by_chance, one, other in pairs[:_PAIRS]
    )
    columns = ("pair", "frames", "if independent", "ratio")
    return Table(f"{what.capitalize()} by {title}: the most frequent pairs", columns, rows)


def _acts(numbers: Statistics) -> Iterator[Part]:
    splits = _splits(numbers)
    for source in sorted({row.source for row in numbers.triplets}):
        title = numbers.titles.get(source, source)
        counts: dict[str, dict[str, int]] = {}
        for row in numbers.triplets:
            if row.source == source:
                counts.setdefault(",".join(row.terms), {})[row.split] = row.frames
        names = sorted(counts, key=lambda name: (-sum(counts[name].values()), name))
        top = f"{display(names[0])} in {sum(counts[names[0]].values()):,} frames"
        yield from _figure(
            plots.triplets(numbers, source),
            f"Bars: frames of the most frequent triplets of {title}, by split. The first is {top}.",
            f"Triplets of {title}: instrument – act – target, in frames; idle instruments are counted.",
        )
        yield Table(
            f"{len(names):,} triplets of {title}, in frames",
            ("triplet", *splits),
            tuple(
                Row((display(name), *_numbers([counts[name].get(split, 0) for split in splits])))
                for name in names[:_ROWS]
            ),
        )


def _boxes(numbers: Statistics) -> Iterator[Part]:
    limits = [f"under {limit / 10:g} %" for limit in AREAS] + [f"over {AREAS[-1] / 10:g} %"]
    for source, group in groupby(numbers.boxes, key=lambda row: row.source):
        rows = list(group)
        title = numbers.titles.get(source, source)
        yield from _figure(
            plots.box_maps(rows),
            f"Maps: where the boxes of {title} lie in the picture, for {min(12, len(rows))} things.",
            f"Boxes of {title}: how many % of the boxes of a thing lie over each place of the picture; median: of the share "
            "of the picture that a box takes.",
        )
        yield Table(
            f"Boxes of {title} by the share of the picture that they take",
            ("thing", "boxes", *limits),
            tuple(Row((display(row.term), f"{row.boxes:,}", *_numbers(row.areas))) for row in rows),
        )


def _lengths(numbers: Statistics) -> Iterator[Part]:
    yield from _figure(
        plots.chain_lengths(numbers),
        "Ranges: words of the three levels of the chains of each task.",
        "Words of each level, by task: median, middle half (thick) and 5 to 95 % (thin).",
    )
    if numbers.lengths:
        yield Table(
            "Words and sentences of a level",
            ("task", "writer", "level", "chains", "words: median", "5 to 95 %", "most", "sentences: mean"),
            tuple(
                Row((
                    words(row.task), row.writer, f"{row.level} {LEVEL_NAMES.get(row.level, '')}", f"{row.chains:,}",
                    f"{row.words.median:,}", f"{row.words.q05:,} to {row.words.q95:,}", f"{row.words.most:,}",
                    f"{row.sentences.total / row.chains:.2f}",
                ))
                for row in numbers.lengths
            ),
            (1, 2),
        )  # fmt: skip


def _support(numbers: Statistics) -> Iterator[Part]:
    yield from _figure(
        plots.support(numbers),
        "Bars: share of entailed, strong, weak and asserted pairs of each task.",
        "Support: how far levels 1 and 2 carry the answer.",
    )
    yield from _figure(
        plots.basis(numbers),
        "Bars: share of the sentences of each basis, by task.",
        "Basis: what sentences rest on.",
    )
    counts = numbers.by("task", "support")
    names = ("entailed", "strong", "weak", "asserted")
    totals = numbers.by("task")
    if totals:
        yield Table(
            "Support by task",
            ("task", *(c for name in names for c in (name, "share"))),
            tuple(
                Row((words(task), *(c for name in names for c in _count(counts.get((task, name), 0), total))))
                for (task,), total in sorted(totals.items(), key=lambda item: task_order(item[0][0]))
            ),
        )


def _variety(numbers: Statistics) -> Iterator[Part]:
    if not numbers.diversity:
        return
    yield Text(
        "Terms, boxes and numbers are masked and function words removed: what is left is the skeleton of a chain. A plan is "
        "which facts it tells, in which order, with which move. Where it counts, among chains with equal facts, question "
        f"and answer, the aim is {PLAN_BITS:g} bits of plans, {SKELETON_BITS:g} bits of skeletons, and no plan over "
        f"{100 * MOST_PLAN:g} %."
    )
    yield from _figure(
        plots.skeleton_entropy(numbers),
        "Dots: bits of plans and skeletons of each task beside the aims of 4 and 7 bits.",
        "Entropy among chains with equal facts; at the right, how many of them were looked at.",
    )
    yield Table(
        "Variety by task",
        ("task", "question", "chains", "plans: bits", "skeletons: bits", "top plan", "all chains", "skeletons: bits"),
        tuple(
            Row((
                words(row.task), row.cell, f"{row.cell_chains:,}", f"{row.cell_plan_bits:.2f}",
                f"{row.cell_skeleton_bits:.2f}", f"{100 * row.plan_share:.1f} %", f"{row.chains:,}",
                f"{row.skeleton_bits:.2f}",
            ))
            for row in numbers.diversity
        ),
        (1,),
    )  # fmt: skip
    for row in numbers.diversity:
        if row.most:
            yield Text(
                f"{words(row.task).capitalize()}: the most frequent skeletons of {row.chains:,} chains", "heading"
            )
            yield Forms(
                tuple(
                    Form(
                        f"{100 * form.chains / row.chains:.1f} % ({form.chains:,})",
                        form.text,
                        form.example,
                        " ".join(form.sentences),
                    )
                    for form in row.most
                )
            )


def _findings(numbers: Statistics) -> Iterator[Part]:
    if not numbers.total:
        return
    if not numbers.findings:
        yield Text("No pair has a soft finding.")
        return
    yield Text(
        f"{numbers.found:,} of {numbers.total:,} pairs ({100 * numbers.found / numbers.total:.2f} %) have a soft finding: "
        "labels that are unlikely beside each other. A chain with a hard finding is never stored."
    )
    yield from _figure(plots.findings(numbers), "Bars: pairs with a soft finding of each check.", "Findings by check.")
    totals = numbers.by("task", "writer")
    yield Table(
        "Findings by check, task and writer",
        ("check", "task", "writer", "pairs", "of the task's"),
        tuple(
            Row((
                words(row.check), words(row.task), row.writer, f"{row.pairs:,}",
                f"{100 * row.pairs / totals[row.task, row.writer]:.2f} %",
            ))
            for row in numbers.findings
        ),
        (1, 2),
    )  # fmt: skip


def _sources(numbers: Statistics) -> Iterator[Part]:
    if numbers.disputed:
        told = ", ".join(f"{kind}: {n:,} frames" for kind, n in numbers.disputed.items())
        yield Text(f"Sources contradict one another, so that nothing is asked of it ({told}).")
    for row in numbers.agreement:
        one, other = (numbers.titles.get(name, name) for name in (row.one, row.other))
        share = f"{100 * row.equal / row.frames:.1f} %" if row.frames else ""
        yield Table(
            f"{row.kind.capitalize()}s by {one} and {other}: {row.frames:,} frames that both label, {share} alike. Kappa is "
            "the agreement beyond that of sources which know nothing of each other: 0 none, 1 all",
            ("term", "both", f"{one} only", f"{other} only", "kappa"),
            tuple(
                Row((display(t.term), *_numbers([t.both, t.one_only, t.other_only]), f"{row.kappa(t):.3f}"))
                for t in row.terms
            ),
        )


def _reviews(numbers: Statistics) -> Iterator[Part]:
    if numbers.reviews:
        yield Table(
            "Sentences that reviewers marked, by basis and writer; 95 % intervals after Wilson",
            ("basis", "writer", "right", "wrong", "unsure", "right of decided", "95 % interval"),
            tuple(
                Row((
                    row.basis, row.writer, f"{row.right:,}", f"{row.wrong:,}", f"{row.unsure:,}",
                    *((f"{100 * row.share:.1f} %", f"{100 * row.low:.1f} to {100 * row.high:.1f} %")
                      if row.right + row.wrong else ("–", "–")),
                ))
                for row in numbers.reviews
            ),
            (1,),
        )  # fmt: skip


def _against(numbers: Statistics, other: Statistics, names: tuple[str, str]) -> Iterator[Part]:
    """The main pictures of both beside each other, and the numbers with their differences."""
    tasks = sorted({*numbers.tasks(), *other.tasks()}, key=task_order)
    shown = [("pairs by task and split", plots.overview(numbers, beside=other), plots.overview(other, beside=numbers))]
    for task in tasks:
        # The same kind of question on both sides, where both ask it.
        asked = plots.balance_of(numbers, task)
        if asked and plots.balance_of(other, task, asked[0].kind):
            left, right = (
                plots.class_balance(one, task, kind=asked[0].kind, beside=two)
                for one, two in ((numbers, other), (other, numbers))
            )
            shown.append((f"balance of {asked[0].kind}", left, right))
    shown.append(
        ("words of each level", plots.chain_lengths(numbers, beside=other), plots.chain_lengths(other, beside=numbers))
    )
    shown.append(
        (
            "entropy with equal facts",
            plots.skeleton_entropy(numbers, beside=other),
            plots.skeleton_entropy(other, beside=numbers),
        )
    )
    for what, left, right in shown:
        figures = tuple(
            Picture(_uri(svg), f"{name}: {what}", f"{name}: {what}")
            for name, svg in zip(names, (left, right), strict=True)
            if svg
        )
        if figures:
            yield Figures(figures)
    rows = differences(numbers, other)
    for group in dict.fromkeys(row.group for row in rows):
        found = [row for row in rows if row.group == group]
        digits = 0 if found[0].unit in ("pairs", "words") else 2
        if group == "distance of classes":
            yield Table(
                "How far the shares of classes are apart: half the sum of the differences, from 0 % to 100 %",
                ("question, split", "distance"),
                tuple(Row((row.name, f"{row.one:.2f} %")) for row in found),
            )
            continue
        more = f"; {len(found) - _CHANGES:,} smaller changes not shown" if len(found) > _CHANGES else ""
        yield Table(
            f"{group.capitalize()}, in {found[0].unit}{more}",
            (group, names[0], names[1], "difference"),
            tuple(
                Row((
                    ": ".join(display(part) for part in row.name.split(": ")), f"{row.one:,.{digits}f}",
                    f"{row.other:,.{digits}f}", f"{row.change:+,.{digits}f}" if row.change else "0",
                ))
                for row in found[:_CHANGES]
            ),
        )  # fmt: skip


def _figure(svg: bytes, alt: str, caption: str) -> Iterator[Part]:
    if svg:
        yield Figures((Picture(_uri(svg), alt, caption),))


def _uri(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


def _splits(numbers: Statistics) -> list[str]:
    here = {split for (split,) in numbers.by("split")}
    return [split for split in SPLITS if split in here]


def _count(n: int, total: int) -> tuple[str, str]:
    return f"{n:,}", f"{100 * n / total:.1f} %" if total else ""


def _numbers(counts: Sequence[int]) -> tuple[str, ...]:
    return tuple(f"{n:,}" for n in counts)
