"""`cotgen export`: from a finished folder to what a trainer reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

if TYPE_CHECKING:
    from cotgen.inspect.export import Exported, Wanted


def export(
    folder: Annotated[Path, typer.Argument(help="A finished data set, with pictures.")],
    format: Annotated[str, typer.Option(help="For whom: swift, llava, trl, sharegpt or parquet.")],
    out: Annotated[Path, typer.Option(help="A new folder to write; its README.md says how it is loaded.")],
    view: Annotated[
        str, typer.Option(help="cot: chain and answer. vqa: bare answer. prompt: the question, for rewards.")
    ] = "cot",
    boxes: Annotated[
        str,
        typer.Option(
            help="How boxes are written: pixels (default), of the stored picture; resized, pixels as Qwen2.5-VL resizes "
            "it; per_mille, 0 to 1000 (Qwen2-VL, Qwen3-VL); normalised, 0 to 1; bare (swift alone, its default)."
        ),
    ] = "",
    min_pixels: Annotated[
        int | None, typer.Option(help="With --boxes resized: of the processor. Default: 3136.")
    ] = None,
    max_pixels: Annotated[
        int | None, typer.Option(help="With --boxes resized: of the processor. Default: 1003520.")
    ] = None,
    split: Annotated[list[str] | None, typer.Option(help="Only this one; may be repeated.")] = None,
    task: Annotated[list[str] | None, typer.Option(help="Only these, separated by commas; may be repeated.")] = None,
    writer: Annotated[
        list[str] | None, typer.Option(help="Only chains by template or teacher; may be repeated.")
    ] = None,
    asserted: Annotated[
        bool, typer.Option("--asserted", help="Take chains of templates that give no reason into view cot as well.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Write a data set for a trainer. ms-swift, LLaVA, TRL, LLaMA-Factory, or Parquet with pictures.

    Run the same command again after an interruption: what is finished stays.
    """
    from rich.progress import Progress

    from cotgen.build.files import hold
    from cotgen.cli.console import make_console
    from cotgen.inspect.export import export as run
    from cotgen.shards.manifest import load

    wanted = _wanted(format, view, boxes, min_pixels, max_pixels, split, task, writer, asserted)
    samples = sum(shard.samples for shard in load(folder).shards if not wanted.splits or shard.split in wanted.splits)
    target = out.resolve()
    console = make_console()
    with (
        Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bars,
        hold(target, target.parent),
    ):
        bar = bars.add_task("samples", total=samples)
        done = run(folder.resolve(), target, wanted, lambda count: bars.update(bar, advance=count))
    if not quiet:
        _tell(out, wanted, done)


def _wanted(
    format: str,
    view: str,
    boxes: str,
    min_pixels: int | None,
    max_pixels: int | None,
    split: list[str] | None,
    task: list[str] | None,
    writer: list[str] | None,
    asserted: bool,
) -> Wanted:
    from cotgen.chains.boxes import BoxFormat
    from cotgen.chains.render import VIEWS, View
    from cotgen.inspect.export import Wanted
    from cotgen.inspect.export_rows import LAYOUTS, FormatName

    if format not in LAYOUTS:
        raise typer.BadParameter(f"is one of {', '.join(LAYOUTS)}", param_hint="--format")
    if view not in VIEWS:
        raise typer.BadParameter(f"is one of {', '.join(VIEWS)}", param_hint="--view")
    layout = LAYOUTS[cast(FormatName, format)]
    convention = boxes or layout.boxes[0]
    if convention not in layout.boxes:
        raise typer.BadParameter(f"is one of {', '.join(layout.boxes)} for {format}", param_hint="--boxes")
    budget = {
        name: value for name, value in (("min_pixels", min_pixels), ("max_pixels", max_pixels)) if value is not None
    }
    if budget and convention != "resized":
        raise typer.BadParameter("goes with --boxes resized", param_hint="--min-pixels, --max-pixels")
    written = BoxFormat(convention, **budget)
    if not 0 < written.min_pixels <= written.max_pixels:
        raise typer.BadParameter("are positive, the least no larger than the most", param_hint="--min/max-pixels")
    splits, tasks, writers = _names(split, "--split"), _names(task, "--task"), _names(writer, "--writer")
    return Wanted(layout, cast(View, view), written, splits, tasks, writers, asserted)


def _names(given: list[str] | None, option: str) -> tuple[str, ...]:
    names = {name.strip() for part in given or [] for name in part.split(",")} - {""}
    if given and not names:
        # An empty variable of a script would else export everything.
        raise typer.BadParameter("names nothing; leave it out for all", param_hint=option)
    return tuple(sorted(names))


def _tell(out: Path, wanted: Wanted, done: Exported) -> None:
    from cotgen.inspect.export_readme import WHY, box_sentence

    if not done.written:
        typer.echo(f"Nothing to do: {out} holds this export.")
        return
    pairs = ", ".join(f"{split} {count:,}" for split, count in done.pairs.items())
    typer.echo(f"{sum(done.pairs.values()):,} pairs ({pairs}) of {sum(done.images.values()):,} pictures are in {out}.")
    for why, count in done.left_out.items():
        typer.echo(f"Left out: {count:,} pairs {WHY[why]}.")
    typer.echo(box_sentence(wanted.boxes))
    typer.echo(f"{out / 'README.md'} says how {wanted.layout.reader} loads it.")
