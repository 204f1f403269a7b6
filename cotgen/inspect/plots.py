"""Pictures of the numbers: for a paper, for the card, for the report.

Each function gives the bytes of one picture, SVG or PNG, on white; b"" where there is nothing to show. With `beside`, the
numbers of another folder, rows and scale are those of both, so that two pictures can be held beside each other.

Within one version of matplotlib equal numbers give equal bytes: no date, no random names, fonts that come with matplotlib,
text as outlines. Splits and levels differ by shape as well as by colour (Okabe and Ito's), so they can be told in grey.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from cotgen.errors import CotgenError
from cotgen.inspect.balance import split_order, task_order
from cotgen.inspect.classes import display, words
from cotgen.inspect.record import (
    AREAS,
    ENOUGH_CHAINS,
    GRID,
    PLAN_BITS,
    SKELETON_BITS,
    Balance,
    Boxes,
    Ribbon,
    Statistics,
    Together,
)
from cotgen.ontology import terms_of
from cotgen.records import LEVEL_NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Form = Literal["svg", "png"]

#: Okabe and Ito 2008, Color Universal Design.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#555555")
_SPLITS = {"train": ("#0072B2", "o"), "validation": ("#E69F00", "s"), "test": ("#009E73", "^")}
_LEVELS = {1: ("#56B4E9", "o"), 2: ("#0072B2", "s"), 3: ("#D55E00", "^")}
_GREY, _LINE = "#555555", "#d0d0d0"
#: Width in inches: the text of a two-column page.
_WIDTH = 7.0
_ROW = 0.24
#: Classes that a picture shows; the others are counted below it.
MOST_CLASSES = 24
#: Surgeries in one picture.
MOST_RIBBONS = 40
_STYLE: dict[str, Any] = {
    "svg.hashsalt": "cotgen",
    "svg.fonttype": "path",
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8,
    "axes.edgecolor": "#888888",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
    "axes.prop_cycle": "cycler('color', ['#0072B2'])",
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.0,
    "figure.dpi": 100,
    "savefig.dpi": 160,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "text.color": "#222222",
    "axes.labelcolor": "#222222",
    "xtick.color": "#222222",
    "ytick.color": "#222222",
    "path.simplify": False,
    # Ends that project, matplotlib's default, would tell of values that do not occur.
    "lines.solid_capstyle": "butt",
}


def overview(statistics: Statistics, form: Form = "svg", beside: Statistics | None = None) -> bytes:
    """Pairs of each task, by split."""
    counts = statistics.by("task", "split")
    totals = _together(lambda numbers: numbers.by("task"), statistics, beside)
    tasks = sorted({task for (task,) in totals}, key=task_order)
    splits = [name for name in _SPLITS if any(split == name for _, split in counts)]
    if not tasks:
        return b""

    def draw(figure: Figure) -> None:
        axes = _axes(figure)
        left = [0] * len(tasks)
        for split in splits:
            widths = [counts.get((task, split), 0) for task in tasks]
            axes.barh(range(len(tasks)), widths, left=left, height=0.66, color=_SPLITS[split][0], label=split)
            left = [a + b for a, b in zip(left, widths, strict=True)]
        for n, total in enumerate(left):
            axes.annotate(f"{total:,}", (total, n), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)
        axes.set_xlim(0, 1.14 * max(totals.values()))
        _rows(axes, [words(task) for task in tasks])
        _thousands(axes)
        axes.set_xlabel("pairs")
        _legend(axes)

    return _picture(draw, len(tasks), form)


def class_balance(
    statistics: Statistics, task: str, form: Form = "svg", kind: str = "", beside: Statistics | None = None
) -> bytes:
    """The share of each class of the answers to one kind of question, by split.

    Args:
        statistics: of a folder.
        task: name of the task.
        form: `svg` or `png`.
        kind: kind of question; by default that of the task which has the most classes.
        beside: of another folder.
    """
    rows = balance_of(statistics, task, kind)
    if not rows:
        return b""
    also = balance_of(beside, task, rows[0].kind) if beside else []
    asked = _is_asked(rows + also)
    total: dict[str, int] = {}
    most = 0.0
    for row in rows + also:
        for name, n in (row.subjects if asked else row.classes).items():
            total[name] = total.get(name, 0) + n
            most = max(most, 100 * n / row.pairs)
    ranked = sorted(total, key=lambda name: (-total[name], name))
    shown = ranked[:MOST_CLASSES]

    def draw(figure: Figure) -> None:
        axes = _axes(figure)
        for row in rows:
            colour, marker = _SPLITS.get(row.split, (_GREY, "D"))
            counts = row.subjects if asked else row.classes
            shares = [100 * counts.get(name, 0) / row.pairs for name in shown]
            axes.scatter(
                shares, range(len(shown)), s=26, color=colour, marker=marker, label=row.split, zorder=3, clip_on=False
            )
        for n, name in enumerate(shown):
            values = [100 * (row.subjects if asked else row.classes).get(name, 0) / row.pairs for row in rows]
            axes.plot([min(values), max(values)], [n, n], color=_LINE, linewidth=2, zorder=2)
        uniform = 0 if asked else max(row.uniform for row in rows)
        if uniform:
            axes.axvline(100 * uniform, color=_GREY, linewidth=0.8, linestyle=(0, (4, 3)), label="uniform", zorder=1)
        axes.set_xlim(0, 1.06 * max(most, 1))
        _rows(axes, [display(name) for name in shown])
        what = "pairs that ask about it" if asked else "pairs with it in the answer" if rows[0].many else "pairs"
        more = f"; {len(ranked) - len(shown)} rarer classes not shown" if len(ranked) > len(shown) else ""
        axes.set_xlabel(f"{what}, % of a split{more}")
        _counts(axes, [[(row.subjects if asked else row.classes).get(name, 0) for row in rows] for name in shown])
        _legend(axes)

    return _picture(draw, len(shown), form)


def balance_of(statistics: Statistics, task: str, kind: str = "") -> list[Balance]:
    """The balance of one kind of question, by split: by default of the kind of a task that has the most classes."""
    rows = [row for row in statistics.balance if row.task == task]
    if not kind:
        sizes = {row.kind: (-len(row.classes), row.kind) for row in rows}
        kind = min(sizes, key=lambda name: sizes[name], default="")
    return sorted((row for row in rows if row.kind == kind), key=lambda row: split_order(row.split))


def _is_asked(rows: Sequence[Balance]) -> bool:
    """Whether what is asked about tells more than the answers, which are yes and no in equal parts."""
    return all(set(row.classes) <= {"yes", "no"} and row.subjects for row in rows)


def chain_lengths(statistics: Statistics, form: Form = "svg", beside: Statistics | None = None) -> bytes:
    """Words of each level of the chains, by task and writer: median, middle half, and 5 to 95 %."""
    everyone = [*statistics.lengths, *(beside.lengths if beside else [])]
    rows = sorted({(row.task, row.writer) for row in everyone}, key=lambda row: (task_order(row[0]), row[1]))
    most = max((row.words.q95 for row in everyone), default=0)
    writers = {writer for _, writer in rows}
    if not rows:
        return b""

    def draw(figure: Figure) -> None:
        axes = _axes(figure)
        for level, (colour, marker) in _LEVELS.items():
            for row in statistics.lengths:
                if row.level == level:
                    y = rows.index((row.task, row.writer)) + (level - 2) * 0.26
                    spread = row.words
                    # Ends that project, matplotlib's default, would tell of words that no chain has.
                    line: dict[str, Any] = {"color": colour, "zorder": 2, "solid_capstyle": "butt"}
                    axes.plot([spread.q05, spread.q95], [y, y], linewidth=1.0, **line)
                    axes.plot([spread.q25, spread.q75], [y, y], linewidth=4.0, alpha=0.55, **line)
                    axes.scatter([spread.median], [y], s=20, color=colour, marker=marker, zorder=3, clip_on=False)
            axes.scatter([], [], s=26, color=colour, marker=marker, label=f"{level} {LEVEL_NAMES[level]}")
        axes.set_xlim(0, 1.04 * max(most, 1))
        _rows(axes, [words(task) if len(writers) == 1 else f"{words(task)} · {writer}" for task, writer in rows])
        axes.set_xlabel("words a chain has at a level: median, middle half, 5 to 95 %")
        _legend(axes)

    return _picture(draw, 2 * len(rows), form)


def skeleton_entropy(statistics: Statistics, form: Form = "svg", beside: Statistics | None = None) -> bytes:
    """Bits over plans and skeletons among chains with equal facts, by task, with the design's floors."""
    rows = [row for row in statistics.diversity if row.cell_chains]
    everyone = [*rows, *(row for row in (beside.diversity if beside else []) if row.cell_chains)]
    tasks = sorted({row.task for row in everyone}, key=task_order)
    if not rows:
        return b""

    def draw(figure: Figure) -> None:
        axes = _axes(figure)
        series = (("plans", "#0072B2", "o", PLAN_BITS), ("skeletons", "#D55E00", "s", SKELETON_BITS))
        for name, colour, marker, floor in series:
            for row in rows:
                n = tasks.index(row.task)
                bits = row.cell_plan_bits if name == "plans" else row.cell_skeleton_bits
                face = colour if row.enough else "white"
                axes.scatter(
                    [bits], [n], s=34, marker=marker, facecolor=face, edgecolor=colour, zorder=3, clip_on=False
                )
            axes.scatter([], [], s=34, marker=marker, color=colour, label=name)
            axes.axvline(floor, color=colour, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1, label=f"floor, {name}")
        if not all(row.enough for row in rows):
            axes.scatter([], [], s=34, facecolor="white", edgecolor=_GREY, label=f"under {ENOUGH_CHAINS} chains")
        axes.set_xlim(0, 1.06 * max(SKELETON_BITS + 1, *(row.cell_skeleton_bits for row in everyone)))
        _rows(axes, [words(task) for task in tasks])
        axes.set_xlabel("entropy in bits among chains with equal facts, question and answer")
        chains = {row.task: row.cell_chains for row in rows}
        _counts(axes, [[chains.get(task, 0)] for task in tasks])
        _legend(axes)

    return _picture(draw, len(tasks), form)


def findings(statistics: Statistics, form: Form = "svg") -> bytes:
    """Pairs with a soft finding, by check."""
    counts: dict[str, int] = {}
    for row in statistics.findings:
        counts[row.check] = counts.get(row.check, 0) + row.pairs
    names = sorted(counts, key=lambda name: (-counts[name], name))
    if not names:
        return b""

    def draw(figure: Figure) -> None:
        axes = _axes(figure)
        axes.barh(range(len(names)), [counts[name] for name in names], height=0.62, color="#0072B2")
        for n, name in enumerate(names):
            share = 100 * counts[name] / statistics.total
            text = f"{counts[name]:,} ({share:.2f} %)"
            axes.annotate(text, (counts[name], n), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)
        axes.set_xlim(0, 1.3 * max(counts.values()))
        _rows(axes, [words(name) for name in names])
        _thousands(axes)
        axes.set_xlabel(f"pairs with a soft finding, of {statistics.total:,}")

    return _picture(draw, len(names), form)


def support(statistics: Statistics, form: Form = "svg") -> bytes:
    """How far levels 1 and 2 carry the answers, by task."""
    names = ("entailed", "strong", "weak", "asserted")
    colours = ("#084C7C", "#0072B2", "#7FB9DB", "#DDDDDD")
    return _shares(statistics.by("task", "support"), names, colours, "% of the pairs of a task", form)


def basis(statistics: Statistics, form: Form = "svg") -> bytes:
    """What sentences rest on, by task."""
    names = ("label", "measured", "follows", "prior", "knowledge", "visual")
    counts: dict[tuple[str, ...], int] = {}
    for row in statistics.bases:
        counts[row.task, row.basis] = counts.get((row.task, row.basis), 0) + row.sentences
    colours = ("#0072B2", "#56B4E9", "#009E73", "#F0E442", "#E69F00", "#CC79A7")
    return _shares(counts, names, colours, "% of the sentences of a task", form)


def _shares(
    counts: dict[tuple[str, ...], int], names: Sequence[str], colours: Sequence[str], label: str, form: Form
) -> bytes:
    tasks = sorted({task for task, _ in counts}, key=task_order)
    if not tasks:
        return b""

    def draw(figure: Figure) -> None:
        axes = _axes(figure)
        left = [0.0] * len(tasks)
        totals = [sum(n for (name, _), n in counts.items() if name == task) for task in tasks]
        for name, colour in zip(names, colours, strict=True):
            widths = [100 * counts.get((task, name), 0) / total for task, total in zip(tasks, totals, strict=True)]
            if any(widths):
                axes.barh(
                    range(len(tasks)), widths, left=left, height=0.66, color=colour, edgecolor="white", linewidth=0.6,
                    label=name,
                )  # fmt: skip
            left = [a + b for a, b in zip(left, widths, strict=True)]
        axes.set_xlim(0, 100)
        _rows(axes, [words(task) for task in tasks])
        axes.set_xlabel(label)
        _legend(axes)

    return _picture(draw, len(tasks), form)


def triplets(statistics: Statistics, source: str, form: Form = "svg") -> bytes:
    """The most frequent acts of a source, in frames, by split."""
    counts: dict[tuple[str, str], int] = {}
    total: dict[str, int] = {}
    for row in statistics.triplets:
        if row.source == source:
            name = ",".join(row.terms)
            counts[name, row.split] = row.frames
            total[name] = total.get(name, 0) + row.frames
    names = sorted(total, key=lambda name: (-total[name], name))
    shown = names[:MOST_CLASSES]
    if not shown:
        return b""

    def draw(figure: Figure) -> None:
        axes = _axes(figure)
        left = [0] * len(shown)
        for split, (colour, _) in _SPLITS.items():
            widths = [counts.get((name, split), 0) for name in shown]
            if any(widths):
                axes.barh(range(len(shown)), widths, left=left, height=0.66, color=colour, label=split)
            left = [a + b for a, b in zip(left, widths, strict=True)]
        for n, name in enumerate(shown):
            axes.annotate(
                f"{total[name]:,}",
                (total[name], n),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        axes.set_xlim(0, 1.14 * max(total.values()))
        _rows(axes, [display(name) for name in shown])
        _thousands(axes)
        more = f"; {len(names) - len(shown)} rarer ones not shown" if len(names) > len(shown) else ""
        axes.set_xlabel(f"frames{more}")
        _legend(axes)

    return _picture(draw, len(shown), form)


def ribbons(rows: Sequence[Ribbon], form: Form = "svg") -> bytes:
    """Phases over time: a ribbon for each surgery and source, at most `MOST_RIBBONS` of them."""
    rows = list(rows)[:MOST_RIBBONS]
    names = {segment.phase for row in rows for segment in row.segments}
    if not names:
        return b""
    phases = sorted(names, key=phase_order)
    colours = dict(zip(phases, _colours(len(phases)), strict=True))
    sources = {row.source for row in rows}

    def draw(figure: Figure) -> None:
        axes = _axes(figure)
        for n, row in enumerate(rows):
            for segment in row.segments:
                width = (segment.end_s - segment.start_s) / 60
                axes.barh(n, width, left=segment.start_s / 60, height=0.74, color=colours[segment.phase], linewidth=0)
        for phase in phases:
            axes.barh(0, 0, color=colours[phase], label=display(phase))
        axes.set_xlim(0, max(segment.end_s for row in rows for segment in row.segments) / 60)
        axes.margins(x=0)
        labels = [f"{row.surgery}{f' · {row.source}' if len(sources) > 1 else ''} · {row.split}" for row in rows]
        _rows(axes, labels)
        axes.grid(visible=False)
        axes.set_xlabel("minutes")
        figure.legend(loc="outside upper left", ncols=3, frameon=False, handlelength=1.4, columnspacing=1.2)

    return _picture(draw, len(rows), form, above=0.16 * -(-len(phases) // 3))


def phase_order(name: str) -> tuple[int, str]:
    """Sorts phases as the ontology has them, unknown ones at the end."""
    order = {item.id: item.order for item in terms_of("phase")}
    return order.get(name, len(order)), name


def co_occurrence(together: Together, form: Form = "svg") -> bytes:
    """Frames that name two things of a kind, as a matrix; on the diagonal, frames that name one."""
    terms = together.terms
    if not terms:
        return b""
    labels = [display(name) for name in terms]

    def draw(figure: Figure) -> None:
        from matplotlib.colors import LogNorm

        axes = _axes(figure)
        axes.spines[:].set_visible(False)
        most = max(max(row) for row in together.counts)
        values = [[float(n) if n else float("nan") for n in row] for row in together.counts]
        axes.imshow(values, cmap="Blues", norm=LogNorm(vmin=1, vmax=max(2, most)), aspect="auto")
        for y, row in enumerate(together.counts):
            for x, n in enumerate(row):
                # Where the blue is dark, on a scale of logarithms.
                dark = n > max(2, most) ** 0.62
                weight = "bold" if x == y else "normal"
                axes.annotate(
                    f"{n:,}" if n else "–", (x, y), ha="center", va="center", fontsize=7.5, fontweight=weight,
                    color="white" if dark else "#222222",
                )  # fmt: skip
        axes.set_xticks(range(len(terms)), labels, rotation=35, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(terms)), labels)
        axes.tick_params(length=0)

    return _picture(draw, 1.3 * len(terms) + 3, form)


def box_maps(rows: Sequence[Boxes], form: Form = "svg") -> bytes:
    """Where boxes lie: for each thing the share of its boxes over each place of the picture, and their median size."""
    rows = sorted((row for row in rows if row.boxes), key=lambda row: (-row.boxes, row.term))[:12]
    if not rows:
        return b""
    columns = min(3, len(rows))
    lines = -(-len(rows) // columns)

    def draw(figure: Figure) -> None:
        for n, row in enumerate(rows):
            axes = figure.add_subplot(lines, columns, n + 1)
            shares = [[100 * cell / row.boxes for cell in line] for line in row.cover]
            image = axes.imshow(
                shares, cmap="cividis", vmin=0, vmax=max(1.0, *(max(line) for line in shares)), aspect="auto",
                extent=(0, 100, 100, 0), interpolation="nearest",
            )  # fmt: skip
            axes.set_title(f"{display(row.term)}\n{row.boxes:,} boxes, {_median_area(row)}", fontsize=8)
            axes.set_xticks([0, 50, 100], ["0", "50", "100 %"], fontsize=7)
            axes.set_yticks([0, 50, 100], ["0", "50", "100 %"], fontsize=7)
            axes.set_box_aspect(GRID[1] / GRID[0])
            bar = figure.colorbar(image, ax=axes, fraction=0.035, pad=0.03)
            bar.ax.tick_params(labelsize=7, width=0.5)
            bar.outline.set_visible(False)

    return _picture(draw, 6.6 * lines - 2, form)


def _median_area(row: Boxes) -> str:
    seen = 0
    for n, count in enumerate(row.areas):
        seen += count
        if 2 * seen >= row.boxes:
            if n == len(AREAS):
                return f"median > {AREAS[-1] / 10:g} %"
            low = AREAS[n - 1] / 10 if n else 0
            return f"median {low:g}–{AREAS[n] / 10:g} %"
    return ""


def _picture(draw: Callable[[Figure], None], rows: float, form: Form, above: float = 0.0) -> bytes:
    """Draw with our style alone, whatever the user's own says, and give the bytes."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError as error:
        raise CotgenError("Pictures need matplotlib: pip install 'cotgen[inspect]'") from error

    with _styled():
        figure = Figure(figsize=(_WIDTH, round(0.95 + above + _ROW * rows, 2)), layout="constrained")
        canvas = FigureCanvasSVG(figure) if form == "svg" else FigureCanvasAgg(figure)
        draw(figure)
        out = io.BytesIO()
        nothing: dict[str, Any] = {"Date": None, "Creator": None} if form == "svg" else {"Software": None}
        canvas.print_figure(out, format=form, metadata=nothing)
    return out.getvalue()


@contextmanager
def _styled() -> Iterator[None]:
    from matplotlib import rc_context, rcParamsDefault

    # Without the backend: to set it would look for a display.
    style: dict[Any, Any] = {n: value for n, value in rcParamsDefault.items() if not n.startswith("backend")}
    with rc_context(style | _STYLE):
        yield


def _together(
    counts: Callable[[Statistics], dict[tuple[str, ...], int]], one: Statistics, other: Statistics | None
) -> dict[tuple[str, ...], int]:
    """What either has, with the larger of both counts."""
    found = counts(one)
    for key, n in (counts(other) if other else {}).items():
        found[key] = max(n, found.get(key, 0))
    return found


def _axes(figure: Figure) -> Axes:
    return figure.add_subplot()


def _rows(axes: Axes, labels: Sequence[str]) -> None:
    """A row for each label, the first at the top, with faint lines down from the scale."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.45, -0.55)
    axes.grid(axis="x", color="#e6e6e6", linewidth=0.6)
    axes.spines["left"].set_visible(False)


def _thousands(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _counts(axes: Axes, rows: Sequence[Sequence[int]]) -> None:
    """Whole numbers at the right edge, a column for each split."""
    for n, counts in enumerate(rows):
        text = " / ".join(f"{count:,}" for count in counts)
        axes.annotate(
            text, (1.0, n), xycoords=("axes fraction", "data"), xytext=(5, 0), textcoords="offset points",
            va="center", fontsize=7.5, color=_GREY,
        )  # fmt: skip


def _legend(axes: Axes) -> None:
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1.0), ncols=5, frameon=False, borderaxespad=0.2,
        handletextpad=0.4, columnspacing=1.2, handlelength=1.4,
    )  # fmt: skip


def _colours(n: int) -> Sequence[str]:
    """Colours of things with an order; many of them are taken from a scale that grows lighter."""
    if n <= len(_COLOURS):
        return _COLOURS[:n]
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    scale = colormaps["turbo"]
    return [to_hex(scale((k + 0.5) / n)) for k in range(n)]
