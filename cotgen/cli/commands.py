"""The commands of `cotgen`. What a command needs is imported when it runs, so that `cotgen --help` is quick."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cotgen import __version__
from cotgen.cli import options
from cotgen.cli.console import make_console as _console
from cotgen.cli.export import export
from cotgen.cli.hub import publish
from cotgen.cli.hydrate import hydrate, pull
from cotgen.cli.stats import stats
from cotgen.cli.teacher import teacher_app
from cotgen.cli.view import view

if TYPE_CHECKING:
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


def _say(text: str) -> None:
    _console().print(text, markup=False, highlight=False, soft_wrap=True)


def _insist(warnings: Sequence[str]) -> None:
    """Say even to who wants silence that something was to be left out and is not there: it may be a slip of the pen."""
    for text in warnings:
        if text.startswith("--exclude"):
            typer.echo(f"Note: {text}", err=True)


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
    pixels: Annotated[
        str | None,
        typer.Option(help="Whose pictures are stored where several have some: cholec80,cholect50 (default)."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The folder to write: what can be published.")] = None,
    work: Work = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML file with these options as keys; the command line wins.")
    ] = None,
    fps: Annotated[
        list[str] | None,
        typer.Option(
            help="Frames a second to ask about: 1 (default), 1/5 ...; NAME=RATE for one source; may be repeated."
        ),
    ] = None,
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
    exclude_reviewed_wrong: Annotated[
        Path | None,
        typer.Option(help="Leave out chains that reviewers marked wrong: a reviews.jsonl of `cotgen view`."),
    ] = None,
    sample: Annotated[
        str | None,
        typer.Option(help="all (default), or changes:10 for each change of labels and every 10th second."),
    ] = None,
    context: Annotated[
        str | None,
        typer.Option(help="Tell the labelled instants of so many seconds before each frame: 3s. Default: none."),
    ] = None,
    priors: Annotated[
        str | None,
        typer.Option(help="auto (default) counts them over the train surgeries, none, or a file of `cotgen priors`."),
    ] = None,
    quality: Annotated[int | None, typer.Option(help="Of the JPEG, 1 to 95. Default: 90.")] = None,
    balance: Annotated[
        bool | None,
        typer.Option(
            "--balance", help="Thin out train: caps for frequent answers, one in 5 s, exceptions to the usual."
        ),
    ] = None,
    replace: Annotated[
        bool | None, typer.Option("--replace", help="Replace a build of another configuration in OUT.")
    ] = None,
    writer: options.Writer = None,
    teacher_share: options.Share = None,
    teacher_url: options.TeacherUrl = None,
    teacher_model: options.TeacherModel = None,
    teacher_schema: options.TeacherSchema = None,
    teacher_max_tokens: options.TeacherTokens = None,
    teacher_temperature: options.TeacherTemperature = None,
    teacher_timeout: options.TeacherTimeout = None,
    teacher_concurrency: options.TeacherConcurrency = None,
    teacher_extra: options.TeacherExtra = None,
    teacher_pixels: options.TeacherPixels = None,
    teacher_fallback: options.TeacherFallback = None,
    no_image: options.NoImage = None,
    send_frames_to: options.SendFramesTo = None,
    judge_url: options.JudgeUrl = None,
    judge_model: options.JudgeModel = None,
    judge_schema: options.JudgeSchema = None,
    judge_max_tokens: options.JudgeTokens = None,
    judge_timeout: options.JudgeTimeout = None,
    judge_concurrency: options.JudgeConcurrency = None,
    judge_extra: options.JudgeExtra = None,
    judge_asks: options.JudgeAsks = None,
    judge_threshold: options.JudgeThreshold = None,
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
        "pixels": pixels,
        "out": out,
        "work": work,
        "fps": fps or None,
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
        "exclude_reviewed_wrong": exclude_reviewed_wrong,
        "sample": sample,
        "context": context,
        "priors": priors,
        "quality": quality,
        "balance": balance,
        "replace": replace,
        "writer": writer,
        "teacher_share": teacher_share,
        "teacher_url": teacher_url,
        "teacher_model": teacher_model,
        "teacher_schema": teacher_schema,
        "teacher_max_tokens": teacher_max_tokens,
        "teacher_temperature": teacher_temperature,
        "teacher_timeout": teacher_timeout,
        "teacher_concurrency": teacher_concurrency,
        "teacher_extra": teacher_extra,
        "teacher_pixels": teacher_pixels,
        "teacher_fallback": teacher_fallback,
        "no_image": no_image,
        "send_frames_to": send_frames_to or None,
        "judge_url": judge_url,
        "judge_model": judge_model,
        "judge_schema": judge_schema,
        "judge_max_tokens": judge_max_tokens,
        "judge_timeout": judge_timeout,
        "judge_concurrency": judge_concurrency,
        "judge_extra": judge_extra,
        "judge_asks": judge_asks,
        "judge_threshold": judge_threshold,
    }
    settings = _config(config, given)
    console = _console()
    reporter = Reporter(None if quiet else console)
    if dry_run:
        show_estimate(console, estimate(settings, reporter))
        return
    outcome = run(settings, reporter)
    if quiet:
        _insist(outcome.warnings)
    if not quiet or outcome.exit_code:
        show_outcome(console, outcome)
    raise typer.Exit(outcome.exit_code)


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where to write it; a look-alike goes into FOLDER/SOURCE.")],
    source: Annotated[
        list[str] | None,
        typer.Option(help="Of which data set: cholec80 (default) or another; may be repeated; all."),
    ] = None,
    surgeries: Annotated[int | None, typer.Option(help="How many; for cholec80 8 (default), 1 to 80.")] = None,
    seconds: Annotated[int, typer.Option(help="Mean length of a surgery of cholec80.")] = 60,
    seed: Annotated[int, typer.Option(help="Of all draws.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Make a look-alike of a download. Same files and formats, rendered pictures, nothing real in it."""
    from rich.progress import Progress

    from cotgen.sources.demo.look_alikes import chosen, make_look_alike

    names = chosen(source or ["cholec80"])
    console = _console()
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bars:
        bar = bars.add_task("rendering", total=None)
        for name in names:
            bars.update(bar, description=f"rendering {name}", completed=0, total=None)
            make_look_alike(
                name,
                folder,
                surgeries=surgeries,
                seconds=seconds,
                seed=seed,
                progress=lambda done, total: bars.update(bar, completed=done, total=total),
            )
    if not quiet:
        options = " ".join(f"--source {name}" for name in names)
        _say(f"The look-alike is in {folder}. Build from it:")
        _say(f"  cotgen build {options} --root {folder} --out OUT")


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="A finished data set.")],
    workers: Annotated[int, typer.Option(help="Processes.")] = 1,
    near: Annotated[
        bool,
        typer.Option("--near-duplicates", help="Look for pictures of different splits that look alike as well."),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Check a data set again from its files alone. Exits with 1 and a table where anything is wrong."""
    from rich.progress import Progress

    from cotgen.cli.tables import show_near, show_verification
    from cotgen.shards.near import near_duplicates
    from cotgen.shards.verify import verify as run

    console = _console()
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bars:
        bar = bars.add_task("shards", total=None)
        report = run(folder, workers=workers, progress=lambda done: bars.update(bar, advance=done))
        found = None
        if near and report.ok:
            bar = bars.add_task("near duplicates", total=None)
            found = near_duplicates(folder, workers=workers, progress=lambda done: bars.update(bar, advance=done))
    if not quiet or not report.ok:
        show_verification(console, folder, report)
    if found is not None and (not quiet or found.alike):
        show_near(console, found)
    raise typer.Exit(1 if not report.ok or (found is not None and found.alike) else 0)


@app.command()
def blind(
    folder: Annotated[Path, typer.Argument(help="A finished data set.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Say how far questions give away their answers. A count model sees wording, named terms and options, no picture."""
    from cotgen.cli.tables import show_blind
    from cotgen.evaluation.blind import blind_scores
    from cotgen.shards.manifest import load

    load(folder)
    show_blind(_console(), blind_scores(folder), as_json)


@app.command()
def sources(
    name: Annotated[str, typer.Argument(help="One source in full.")] = "",
    overlaps: Annotated[
        bool, typer.Option("--overlaps", help="Which surgery of one data set is which of another, and its split.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --overlaps: as JSON.")] = False,
    root: Root = None,
    init: Annotated[
        Path | None, typer.Option(help="With `table`: write a first mapping.yaml beside the labels in this folder.")
    ] = None,
) -> None:
    """List the data sets that cotgen reads, or say all about one. Which are found; files, licence, labels, splits."""
    from cotgen.cli.tables import show_overlaps, show_source, show_sources

    if overlaps:
        show_overlaps(_console(), name, as_json)
    elif as_json:
        raise typer.BadParameter("--json goes with --overlaps", param_hint="--json")
    elif init is not None:
        if name != "table":
            raise typer.BadParameter(
                "goes with one's own tables: cotgen sources table --init DIR", param_hint="--init"
            )
        _say(f"{_first_mapping(init)} is a first mapping. Check every line of it and fill in each TODO, then build:")
        _say(f"  cotgen build --source table --root table={init} --out OUT")
    elif name:
        show_source(_console(), name)
    else:
        show_sources(_console(), root or [])


def _first_mapping(folder: Path) -> Path:
    from cotgen.errors import CotgenError
    from cotgen.sources.table import MAPPING, first_mapping

    text = first_mapping(folder)
    try:
        # A mapping that somebody else wrote meanwhile is not written over.
        with (folder / MAPPING).open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise CotgenError(f"{folder / MAPPING} cannot be written ({error.strerror}); check the folder") from error
    return folder / MAPPING


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(help="A finished data set.")],
    key: Annotated[str, typer.Argument(help="A sample key; without one, a sample is drawn.")] = "",
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
) -> None:
    """Show one sample in the terminal. Its labels, questions and chains, and what every sentence rests on."""
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
    """Count the statistics that chains argue with. How often answers go with what is in view, in train surgeries alone."""
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
    outcome = count(_config(None, given), out.resolve(), Reporter(None if quiet else _console()))
    if quiet:
        _insist(outcome.warnings)
    else:
        _say(f"The priors are in {out}.")


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
    from cotgen.evaluation.blind import blind_counts
    from cotgen.shards.merge import check_outside
    from cotgen.shards.merge import merge as run

    target = out.resolve()
    check_outside(target, [a, b])
    with hold(target, target.parent):
        manifest = run(a, b, target, seed=seed, shards=shards, count=blind_counts)
    if not quiet:
        _say(f"{manifest.counts['samples']:,} samples with {manifest.counts['pairs']:,} pairs are in {out}.")


@app.command()
def diff(
    a: Annotated[Path, typer.Argument(help="A finished data set.")],
    b: Annotated[Path, typer.Argument(help="A later one.")],
) -> None:
    """Say what is different in B, seen from A. Exits with 1 where anything is."""
    from cotgen.cli.tables import show_diff
    from cotgen.shards.diff import diff as run

    found = run(a, b)
    show_diff(_console(), found)
    raise typer.Exit(0 if found.same else 1)


app.command()(view)
app.command()(stats)
app.command()(export)
app.command()(publish)
app.command()(pull)
app.command()(hydrate)
app.add_typer(teacher_app)
