"""The commands of `cotgen`. What a command needs is imported when it runs, so that `cotgen --help` is quick."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cotgen import __version__

if TYPE_CHECKING:
    from rich.console import Console

    from cotgen.build.config import BuildConfig

app = typer.Typer(
    name="cotgen",
    help="Three-level chain-of-thought data sets from surgical video annotations, every sentence checked.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Root = Annotated[
    list[str] | None,
    typer.Option(help="Where the source lies: DIR or NAME=DIR; may be repeated. Else $COTGEN_DATA, then ./data."),
]
Work = Annotated[
    Path | None, typer.Option(help="Folder of what builds share. Default: $COTGEN_WORK, then OUT.work beside OUT.")
]
Split = Annotated[
    list[str] | None,
    typer.Option(help="Split table: clean/1 (default), or such as cholec80=camma_40_8_32; may be repeated."),
]
Workers = Annotated[int | None, typer.Option(help="Processes. Default: one per processor.")]
Exclude = Annotated[
    Path | None, typer.Option(help="File of surgeries and sample keys that must never be in, one a line.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]


def _console() -> Console:
    from rich.console import Console

    # A log keeps its lines whole; a terminal decides for itself.
    return Console() if os.isatty(1) else Console(width=160, highlight=False)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"cotgen {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def _config(file: Path | None, given: dict[str, Any]) -> BuildConfig:
    from cotgen.build.config import load_config

    return load_config(file, given)


@app.command()
def build(
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="What to build from; may be repeated, `all` takes all that are found; `cotgen sources` lists the names."
        ),
    ] = None,
    root: Root = None,
    out: Annotated[Path | None, typer.Option(help="The folder to write: what can be published.")] = None,
    work: Work = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML file with these options as keys; the command line wins.")
    ] = None,
    fps: Annotated[str | None, typer.Option(help="Frames a second to ask about: 1 (default), 0.2, 1/5 ...")] = None,
    tasks: Annotated[str | None, typer.Option(help="Tasks, separated by commas. Default: all that apply.")] = None,
    split: Split = None,
    seed: Annotated[int | None, typer.Option(help="Of every draw. Default: 0.")] = None,
    workers: Workers = None,
    shards: Annotated[
        int | None, typer.Option(help="Shards per split. Default: the power of two nearest to its size / 500 MB.")
    ] = None,
    frames: Annotated[
        str | None,
        typer.Option(help="embed (default) stores pictures, reference only their hashes, none decodes nothing."),
    ] = None,
    surgeries: Annotated[str | None, typer.Option(help="Only these: 1-5,73 or cholec80/73.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many frames, spread evenly: for a first look.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be made, and how long it takes.")] = False,
    max_side: Annotated[int | None, typer.Option(help="Longest side of stored pictures in pixels.")] = None,
    exclude: Exclude = None,
    sample: Annotated[
        str | None,
        typer.Option(help="all (default), or changes:10 for each change of labels and every 10th second."),
    ] = None,
    priors: Annotated[
        str | None,
        typer.Option(help="auto (default) counts them over the train surgeries, none, or a file of `cotgen priors`."),
    ] = None,
    quality: Annotated[int | None, typer.Option(help="Of the JPEG, 1 to 95. Default: 90.")] = None,
    replace: Annotated[
        bool | None, typer.Option("--replace", help="Replace a build of another configuration in OUT.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Build a data set from a source, or bring one up to date.

    Run the same command again after an interruption, a correction or an update: only what changed is done anew.
    """
    from cotgen.build.report import Reporter, show_estimate, show_outcome
    from cotgen.build.run import build as run
    from cotgen.build.run import estimate

    given = {
        "source": source or None,
        "root": root or None,
        "out": out,
        "work": work,
        "fps": fps,
        "tasks": tasks,
        "split": split or None,
        "seed": seed,
        "workers": workers,
        "shards": shards,
        "frames": frames,
        "surgeries": surgeries,
        "limit": limit,
        "max_side": max_side,
        "exclude": exclude,
        "sample": sample,
        "priors": priors,
        "quality": quality,
        "replace": replace,
    }
    settings = _config(config, given)
    console = _console()
    reporter = Reporter(None if quiet else console)
    if dry_run:
        show_estimate(console, estimate(settings, reporter))
        return
    outcome = run(settings, reporter)
    if not quiet or outcome.exit_code:
        show_outcome(console, outcome)
    raise typer.Exit(outcome.exit_code)


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where to write it; the look-alike goes into FOLDER/cholec80.")],
    surgeries: Annotated[int, typer.Option(help="How many, 1 to 80.")] = 8,
    seconds: Annotated[int, typer.Option(help="Mean length of a surgery.")] = 60,
    seed: Annotated[int, typer.Option(help="Of all draws.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Make a look-alike of the Cholec80 download: same files and formats, rendered video, nothing real in it."""
    from rich.progress import Progress

    from cotgen.sources.demo import make_demo

    console = _console()
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bars:
        bar = bars.add_task("rendering", total=None)
        make_demo(
            folder,
            surgeries=surgeries,
            seconds=seconds,
            seed=seed,
            progress=lambda done, total: bars.update(bar, completed=done, total=total),
        )
    if not quiet:
        typer.echo(f"The look-alike is in {folder}. Build from it:")
        typer.echo(f"  cotgen build --source cholec80 --root {folder} --out OUT")


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="A finished data set.")],
    workers: Annotated[int, typer.Option(help="Processes.")] = 1,
    quiet: Quiet = False,
) -> None:
    """Check a data set again from its files alone; exits with 1 and a table where anything is wrong."""
    from rich.progress import Progress

    from cotgen.cli.tables import show_verification
    from cotgen.shards.verify import verify as run

    console = _console()
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bars:
        bar = bars.add_task("shards", total=None)
        report = run(folder, workers=workers, progress=lambda done: bars.update(bar, advance=done))
    if not quiet or not report.ok:
        show_verification(console, folder, report)
    raise typer.Exit(0 if report.ok else 1)


@app.command()
def sources(name: Annotated[str, typer.Argument(help="One source in full.")] = "") -> None:
    """List the data sets that cotgen reads, or say all about one: files, licence, what its labels feed."""
    from cotgen.cli.tables import show_source, show_sources

    if name:
        show_source(_console(), name)
    else:
        show_sources(_console())


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(help="A finished data set.")],
    key: Annotated[str, typer.Argument(help="A sample key; without one, a sample is drawn.")] = "",
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
) -> None:
    """Show one sample: its labels, questions and chains, and what every sentence rests on."""
    from cotgen.cli.show import show_sample

    show_sample(_console(), folder, key, seed)


@app.command()
def priors(
    source: Annotated[
        list[str], typer.Option(help="What to count; may be repeated; `cotgen sources` lists the names.")
    ],
    out: Annotated[Path, typer.Option(help="The JSON file to write.")],
    root: Root = None,
    work: Work = None,
    split: Split = None,
    exclude: Exclude = None,
    workers: Workers = None,
    quiet: Quiet = False,
) -> None:
    """Count how often answers go with what is in view, over the train surgeries alone."""
    from cotgen.build.report import Reporter
    from cotgen.build.run import count

    given = {
        "source": source,
        "root": root or None,
        "work": work,
        "split": split or None,
        "exclude": exclude,
        "workers": workers,
    }
    count(_config(None, given), out.resolve(), Reporter(None if quiet else _console()))
    if not quiet:
        typer.echo(f"The priors are in {out}.")


@app.command()
def merge(
    a: Annotated[Path, typer.Argument(help="A finished data set.")],
    b: Annotated[Path, typer.Argument(help="Another one.")],
    out: Annotated[Path, typer.Option(help="A new folder for their union.")],
    seed: Annotated[int, typer.Option(help="Of the order of the samples.")] = 0,
    shards: Annotated[
        int | None, typer.Option(help="Shards per split. Default: the power of two nearest to its size / 500 MB.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Write the union of two data sets to a third."""
    from cotgen.build.files import hold
    from cotgen.shards.merge import merge as run

    target = out.resolve()
    with hold(target, target.parent):
        manifest = run(a, b, target, seed=seed, shards=shards)
    if not quiet:
        typer.echo(f"{manifest.counts['samples']:,} samples with {manifest.counts['pairs']:,} pairs are in {out}.")


@app.command()
def diff(
    a: Annotated[Path, typer.Argument(help="A finished data set.")],
    b: Annotated[Path, typer.Argument(help="A later one.")],
) -> None:
    """Say what is different in B, seen from A; exits with 1 where anything is."""
    from cotgen.cli.tables import show_diff
    from cotgen.shards.diff import diff as run

    found = run(a, b)
    show_diff(_console(), found)
    raise typer.Exit(0 if found.same else 1)
