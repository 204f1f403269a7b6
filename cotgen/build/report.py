"""What a user sees of a build: how far it is, and at the end what there is, what is missing and why."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cotgen.records import LeftOut, Manifest

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID
    from rich.table import Table

    from cotgen.build.taught import Tally
    from cotgen.models.client import Client

#: Seconds between two lines about the same step in a log; the first comes early, so that a log shows life.
_FIRST_LINE_S = 5.0
_LINE_S = 30.0

#: Step -> what it counts, in the order in which steps are shown.
STEPS = {
    "check": "bytes",
    "facts": "surgeries",
    "priors": "surgeries",
    "tally": "surgeries",
    "balance": "builds",
    "count": "surgeries",
    "hash": "bytes",
    "frames": "frames",
    "ask": "frames",
    "chains": "frames",
    "pack": "samples",
    "prompts": "prompts",
    "blind": "prompts",
}


@dataclass
class _Meter:
    total: int = 0
    done: int = 0
    start: float = 0.0
    said: float = 0.0
    finished: bool = False


class Reporter:
    """Shows progress: bars with rates and the time left on a terminal, a line now and then in a log.

    Args:
        console: where to; None shows nothing.
    """

    def __init__(self, console: Console | None) -> None:
        self._console = console
        self._meters: dict[str, _Meter] = {}
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._watched: dict[str, Callable[[], list[str]]] = {}

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def say(self, text: str) -> None:
        """A sentence in between."""
        if self._console:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def expect(self, step: str, amount: int) -> None:
        """So much more is to be done in a step."""
        meter = self._meters.setdefault(step, _Meter(start=time.monotonic(), said=time.monotonic()))
        meter.total += amount
        meter.finished = False
        if self._live:
            self._show(step, meter)

    def advance(self, step: str, amount: int) -> None:
        """So much of it is done."""
        meter = self._meters.get(step)
        if meter is None:
            return
        meter.done = min(meter.total, meter.done + amount)
        if self._live:
            self._show(step, meter)
        else:
            self._line(step, meter)

    def watch(self, step: str, lines: Callable[[], list[str]]) -> None:
        """Show lines about a step below the bars, made anew each time; in a log the first of them follows the step's."""
        self._watched[step] = lines

    @property
    def _live(self) -> bool:
        return self._console is not None and self._console.is_terminal

    def _show(self, step: str, meter: _Meter) -> None:
        if self._bars is None:
            from rich.console import RenderableType
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
            from rich.text import Text

            watched = self._watched

            class Bars(Progress):
                """The bars, and below them what is watched."""

                def get_renderables(self) -> Iterable[RenderableType]:
                    yield from super().get_renderables()
                    for lines in list(watched.values()):
                        yield Text("\n".join(f"         {line}" for line in lines()))

            self._bars = Bars(
                TextColumn("{task.description:<8}"),
                BarColumn(bar_width=30),
                TextColumn("{task.fields[amount]:>28}"),
                TextColumn("{task.fields[rate]:>14}"),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._bars.start()
        if step not in self._tasks:
            self._tasks[step] = self._bars.add_task(step, total=None, amount="", rate="")
        self._bars.update(
            self._tasks[step],
            total=meter.total,
            completed=meter.done,
            amount=_amount(step, meter),
            rate=_rate(step, meter),
        )

    def _line(self, step: str, meter: _Meter) -> None:
        now = time.monotonic()
        # A step that waits for its next surgery has done all that it knows of, so it seems to end many times.
        ended = meter.done >= meter.total and not meter.finished and now - meter.said > _FIRST_LINE_S
        first = meter.said == meter.start and now - meter.start > _FIRST_LINE_S
        if not ended and not first and now - meter.said < _LINE_S:
            return
        meter.said = now
        meter.finished = ended
        self.say(f"{time.strftime('%H:%M:%S')} {step}: {_amount(step, meter)}, {_rate(step, meter)}, {_left(meter)}")
        if step in self._watched:
            self.say("; ".join(self._watched[step]()))


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit in ("B", "kB") else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _amount(step: str, meter: _Meter) -> str:
    if STEPS[step] == "bytes":
        return f"{_size(meter.done)} of {_size(meter.total)}"
    return f"{meter.done:,} of {meter.total:,} {STEPS[step]}"


def _rate(step: str, meter: _Meter) -> str:
    rate = meter.done / max(time.monotonic() - meter.start, 1e-3)
    return f"{_size(rate)}/s" if STEPS[step] == "bytes" else f"{rate:,.1f}/s"


def _left(meter: _Meter) -> str:
    if not meter.done:
        return "no estimate yet"
    return f"{clock((meter.total - meter.done) * (time.monotonic() - meter.start) / meter.done)} left"


def clock(seconds: float) -> str:
    """A duration for people: `8 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def teaching_lines(tally: Tally, clients: Sequence[Client], start: float) -> list[str]:
    """What the live panel says of a teacher at work.

    Args:
        tally: of the questions that are answered.
        clients: the teacher's, and the judge's where there is one.
        start: `time.monotonic()` when it began.
    """
    seconds = max(time.monotonic() - start, 1e-3)
    answered = tally.accepted + tally.refused
    lines = []
    for client in clients:
        counts = client.counts
        tokens = counts.prompt_tokens + counts.completion_tokens
        lines.append(
            f"{client.endpoint.role}: {client.limit.in_flight} requests in flight of at most {client.limit.cap}, "
            f"{counts.replies / seconds:,.1f} replies/s, {counts.cached:,} from the cache, {tokens:,} tokens "
            f"({tokens / seconds:,.0f}/s)"
        )
    lines.append(
        f"{tally.accepted:,} of {answered:,} chains accepted ({_percent(tally.accepted, answered)}), "
        f"{tally.reasked:,} asked again, {tally.mended:,} of them mended, {tally.given_up:,} given up"
    )
    if tally.reasons:
        lines.append("refused for: " + ", ".join(f"{name} {count:,}" for name, count in tally.reasons.most_common(6)))
    retries = sum((client.counts.retries for client in clients), Counter[str]())
    if retries:
        lines.append("retries: " + ", ".join(f"{name} {count:,}" for name, count in retries.most_common(6)))
    return lines


def asked_of(clients: Sequence[Client]) -> str:
    """What clients have sent, a sentence each."""
    return " ".join(
        f"The {client.endpoint.role} was sent {counts.sent:,} requests ({counts.cached:,} replies were in the cache), read "
        f"{counts.prompt_tokens:,} tokens and wrote {counts.completion_tokens:,}."
        for client in clients
        for counts in [client.counts]
    )


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "none yet"


@dataclass
class Outcome:
    """What came of a build.

    Attributes:
        out: where it is.
        manifest: what it holds; None where nothing could be written.
        unchanged: whether OUT was already up to date.
        failed: surgery -> why it failed.
        damaged: surgery -> what is wrong with its pictures; what is good of it is in.
        warnings: sentences that were said on the way.
        notes: file or surgery, what was unusual and handled, how often; first what the folders themselves show.
        executed: step -> units that were run; shards for `pack`.
        reused: step -> units that were done already.
        seconds: step -> seconds of work, over all processes.
        wall_s: seconds from start to end.
        traces: where the details of defects are.
        teacher: what a teacher was asked and what came of it; None where templates write all.
        rejected: where the refused replies are.
        requests: what was sent in this run, in a sentence; "" where nothing was.
    """

    out: Path
    manifest: Manifest | None = None
    unchanged: bool = False
    failed: dict[str, str] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    notes: list[tuple[str, str, int]] = field(default_factory=list)
    executed: dict[str, int] = field(default_factory=dict)
    reused: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    wall_s: float = 0.0
    traces: Path | None = None
    teacher: Tally | None = None
    rejected: Path | None = None
    requests: str = ""

    @property
    def exit_code(self) -> int:
        """0, or 1 where a surgery failed, its pictures are damaged, or a server left questions unanswered."""
        return 1 if self.failed or self.damaged or (self.teacher and self.teacher.given_up) else 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a build would make.

    Attributes:
        surgeries: split -> surgeries.
        frames: number of frames, those that turn out black or missing included.
        pairs: task -> questions.
        distinct: task -> (surgery, run of equal facts) that it asks about: see `cotgen.tasks.runs`.
        by_source: source whose labels are asked about -> task -> questions.
        bytes: of the finished folder, estimated.
        seconds: from start to end, estimated.
        left_out: surgeries that are not built, and pairs that reviewers marked wrong.
        failed: surgery -> why its labels cannot be read.
        notes: file or surgery, what was unusual and handled, how often.
        teacher: what a teacher would be asked; None where templates write all.
    """

    surgeries: Mapping[str, Sequence[str]]
    frames: int
    pairs: Mapping[str, int]
    distinct: Mapping[str, int]
    by_source: Mapping[str, Mapping[str, int]]
    bytes: int
    seconds: float
    left_out: Sequence[LeftOut]
    failed: Mapping[str, str]
    notes: Sequence[tuple[str, str, int]] = ()
    teacher: Questions | None = None


@dataclass(frozen=True, slots=True)
class Questions:
    """What a teacher would be asked.

    Attributes:
        requests: one for each question; a share of them is asked a second time.
        text_tokens: of all prompts, estimated from their characters.
        image_tokens: of all pictures, at one for 28 x 28 pixels as Qwen2.5-VL counts them.
        reply_tokens: of all replies, estimated from the templates' chains in the same form.
        judged: requests to a judge, at most; short ones, all but those about looks without a picture.
    """

    requests: int
    text_tokens: int
    image_tokens: int
    reply_tokens: int
    judged: int = 0

    @property
    def prompt_tokens(self) -> int:
        """Tokens that the model reads."""
        return self.text_tokens + self.image_tokens


def show_questions(console: Console, questions: Questions, prices: tuple[float, float] | None = None) -> None:
    """The table of `cotgen teacher estimate`.

    Args:
        console: where to.
        questions: what would be asked.
        prices: of a million tokens read, and of a million written; None where they are not known.
    """
    table = _table("A teacher would be asked", "", "")
    _row(table, "requests", f"{questions.requests:,}")
    _row(table, "tokens of text, about", f"{questions.text_tokens:,}")
    _row(table, "tokens of pictures, about", f"{questions.image_tokens:,}")
    _row(table, "tokens of replies, about", f"{questions.reply_tokens:,}")
    if questions.judged:
        _row(table, "requests to the judge, at most", f"{questions.judged:,}")
    if prices:
        cost = (questions.prompt_tokens * prices[0] + questions.reply_tokens * prices[1]) / 1e6
        _row(table, "cost, about", f"{cost:,.2f}")
    console.print(table)
    _print(
        console,
        "Each refused reply is asked for once more, with a prompt about a third longer. Servers that cache the common "
        "beginning of prompts read far fewer tokens.",
    )


def show_outcome(console: Console, outcome: Outcome) -> None:
    """The table at the end."""
    manifest = outcome.manifest
    if manifest is not None:
        if outcome.unchanged:
            _print(console, f"Nothing to do: {outcome.out} is up to date.")
        else:
            _contents(console, outcome, manifest)
    if manifest is not None:
        for name, row in sorted(manifest.counts.get("blind", {}).items()):
            if row["verdict"] == "leaks":
                _print(
                    console,
                    f"Warning: {name}: wording, named terms and options alone score {100 * row['gain']:.1f} points more "
                    f"than the constant answer ({100 * row['blind']:.1f} against {100 * row['constant']:.1f}).",
                )
    if manifest is not None and manifest.left_out:
        table = _table("Left out", "what", "count", "why", "e.g.")
        for item in manifest.left_out:
            _row(table, item.what, f"{item.count:,}", item.reason, ", ".join(item.examples[:3]))
        console.print(table)
    _unusual(console, outcome.notes)
    if outcome.teacher is not None:
        _teacher(console, outcome, outcome.teacher)
    if outcome.failed or outcome.damaged:
        table = _table("Failed", "surgery", "why")
        for surgery, why in sorted([*outcome.failed.items(), *outcome.damaged.items()]):
            _row(table, surgery, why)
        console.print(table)
        if outcome.traces:
            _print(console, f"Some failures are defects of cotgen; please report them with {outcome.traces}.")
        _print(console, "Correct the input and run the same command again: only what failed is done anew.")
    if manifest is not None and not outcome.unchanged:
        out = shlex.quote(str(outcome.out))
        _print(console, f"The data set is in {outcome.out} ({clock(outcome.wall_s)}).")
        _print(console, f"Check it: cotgen verify {out}    Look at it: cotgen view {out}")


def _teacher(console: Console, outcome: Outcome, tally: Tally) -> None:
    """What a teacher's replies came to, and why they were refused."""
    answered = tally.accepted + tally.refused
    _print(
        console,
        f"Teacher: {tally.accepted:,} of {answered:,} chains accepted ({_percent(tally.accepted, answered)}), "
        f"{tally.mended:,} of them after a second request. {outcome.requests}",
    )
    rows = tally.plain()["by_basis"]
    if rows:
        table = _table("Sentences of the teacher by basis", "basis", "written", "without a finding", "share", "kept")
        for basis, row in rows.items():
            written, sound = row["written"], row["sound"]
            _row(table, basis, f"{written:,}", f"{sound:,}", _percent(sound, written), f"{row['kept']:,}")
        console.print(table)
    if tally.reasons:
        table = _table("Why replies were refused", "check", "replies")
        for name, count in sorted(tally.reasons.items(), key=lambda item: (-item[1], item[0])):
            _row(table, name, f"{count:,}")
        console.print(table)
        _print(console, f"Every refused reply, with its reasons: {outcome.rejected}")
    if tally.judged:
        from cotgen.chains.judge import told

        for line in told(tally.judged):
            _print(console, line)
    if tally.given_up:
        _print(
            console,
            f"{tally.given_up:,} questions have no reply since the server failed; they have what --teacher-fallback "
            "says. Run the same command again to ask them, and nothing else.",
        )


def _unusual(console: Console, notes: Sequence[tuple[str, str, int]]) -> None:
    if notes:
        table = _table("Unusual and handled", "what", "times", "where")
        for text, (count, where) in _grouped(notes).items():
            _row(table, text, f"{count:,}", _few(where))
        console.print(table)


def _contents(console: Console, outcome: Outcome, manifest: Manifest) -> None:
    counts = manifest.counts
    splits = [split for split in ("train", "validation", "test") if manifest.splits.get(split)]
    table = _table("Built", "", *splits, "all")

    def row(name: str, values: Mapping[str, int]) -> None:
        _row(table, name, *(f"{values.get(split, 0):,}" for split in splits), f"{sum(values.values()):,}")

    row("surgeries", {split: len(manifest.splits[split]) for split in splits})
    row("frames", counts["samples_by_split"])
    row("pairs", counts["pairs_by_split"])
    by_task: dict[str, dict[str, int]] = {}
    for split, tasks in counts["pairs_by_split_and_task"].items():
        for task, count in tasks.items():
            by_task.setdefault(task, {})[split] = count
    for task, values in sorted(by_task.items()):
        row(f"  {task}", values)
    console.print(table)
    _by_source(console, counts.get("pairs_by_source_and_task", {}))
    total = max(1, counts["pairs"])
    shares = [
        f"{name} {count:,} ({100 * count // total} %)" for name, count in sorted(counts["pairs_by_support"].items())
    ]
    _print(console, f"Support: {', '.join(shares)}")
    findings = [f"{name} {count:,}" for name, count in sorted(counts["findings"].items())]
    _print(console, f"Findings: {', '.join(findings) or 'none'}")
    size = sum(shard.bytes for shard in manifest.shards)
    _print(console, f"Shards: {len(manifest.shards)}, {_size(size)}")
    table = _table("Work", "step", "done now", "done before", "time")
    for step in STEPS:
        if step in outcome.executed or step in outcome.reused:
            now, before = outcome.executed.get(step, 0), outcome.reused.get(step, 0)
            _row(table, step, f"{now:,}", f"{before:,}", clock(outcome.seconds.get(step, 0.0)))
    console.print(table)


def _by_source(console: Console, pairs: Mapping[str, Mapping[str, int]]) -> None:
    """Questions by the source whose labels they ask about, where there are several."""
    if not pairs:
        return
    table = _table("Pairs by source", "", *sorted(pairs))
    for task in sorted({task for row in pairs.values() for task in row}):
        _row(table, task, *(f"{pairs[name].get(task, 0):,}" for name in sorted(pairs)))
    _row(table, "all", *(f"{sum(pairs[name].values()):,}" for name in sorted(pairs)))
    console.print(table)


def show_estimate(console: Console, estimate: Estimate) -> None:
    """The table of --dry-run."""
    table = _table("This build would make", "", "")
    for split, surgeries in estimate.surgeries.items():
        _row(table, f"{split} surgeries", f"{len(surgeries):,}")
    _row(table, "frames, at most", f"{estimate.frames:,}")
    _row(table, "pairs, at most", f"{sum(estimate.pairs.values()):,}")
    for name, tasks in estimate.by_source.items():
        if len(estimate.by_source) > 1:
            _row(table, f"  {name}", f"{sum(tasks.values()):,}")
        for task, count in tasks.items():
            _row(table, f"    {task}" if len(estimate.by_source) > 1 else f"  {task}", f"{count:,}")
    _row(table, "of different runs of equal facts", f"{sum(estimate.distinct.values()):,}")
    for task, count in estimate.distinct.items():
        _row(table, f"  {task}", f"{count:,}")
    _row(table, "size, about", _size(estimate.bytes))
    _row(table, "time, about", clock(estimate.seconds))
    console.print(table)
    _unusual(console, estimate.notes)
    for item in estimate.left_out:
        _print(console, f"Left out: {item.count} {item.what}: {item.reason} ({', '.join(item.examples[:3])})")
    for surgery, why in estimate.failed.items():
        _print(console, f"Would fail: {surgery}: {why}")
    if estimate.teacher:
        show_questions(console, estimate.teacher)
    _print(console, "Nothing was decoded and nothing was written to the output.")


def _print(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _table(title: str, *columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE, show_header=any(columns))
    for position, column in enumerate(columns):
        text = column in {"what", "why", "where", "e.g.", "surgery", "step"} or position == 0
        table.add_column(column, justify="left" if text else "right", overflow="fold")
    return table


def _row(table: Table, *cells: str) -> None:
    # Plain text: a reason may hold brackets, which rich would take for its own marks.
    from rich.text import Text

    table.add_row(*(Text(cell) for cell in cells))


def _grouped(notes: Sequence[tuple[str, str, int]]) -> dict[str, tuple[int, list[str]]]:
    found: dict[str, tuple[int, list[str]]] = {}
    for where, text, count in notes:
        before, places = found.get(text, (0, []))
        found[text] = (before + count, [*places, where])
    return dict(sorted(found.items()))


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
