"""`cotgen pull` and `cotgen hydrate`: from the Hub to a folder, and from a folder without pictures to one with them."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cotgen.cli.console import hide_hub_bars, make_console
from cotgen.errors import CotgenError

if TYPE_CHECKING:
    from rich.console import Console

    from cotgen.build.hydrate import Gap, Hydration
    from cotgen.hub.pull import Pulled

#: Rows of the table of what is not put in.
_LISTED = 40


def pull(
    data: Annotated[str, typer.Argument(metavar="ORG/NAME[@REVISION]", help="On the Hub; main without a revision.")],
    out: Annotated[Path, typer.Option(help="A new folder.")],
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Download a data set from the Hugging Face Hub. Pinned to a commit, compared with its checksums, a plain folder.

    Run the same command again after an interruption. HF_TOKEN or `hf auth login` says who you are.
    """
    from cotgen.hub.pull import named

    name = named(data)
    if name is None:
        raise CotgenError(f"{data!r} names no data set on the Hub; write ORG/NAME or ORG/NAME@v1.0.0")
    done = _pull(name, out.resolve(), quiet)
    if not quiet:
        new = f"{done.files:,} files downloaded" if done.files else "nothing to do"
        typer.echo(f"{out} is {done.repo} at revision {done.revision}: {new}.")
        for line in done.loading:
            typer.echo(line)


def _pull(name: tuple[str, str], out: Path, quiet: bool) -> Pulled:
    from cotgen.build.files import hold
    from cotgen.cli.hub import discreetly
    from cotgen.hub.pull import Pulling

    hide_hub_bars(quiet)
    say = _silent if quiet else typer.echo
    pulling = Pulling(*name, out, say=say)
    with discreetly(), hold(out, out.parent), hold(pulling.coming, out.parent):
        return pulling.pull()


def _silent(text: str) -> None:
    pass


def hydrate(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DIR|ORG/NAME[@REVISION]", help="A data set without pictures: a folder, or on the Hub."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    root: Annotated[
        list[str] | None,
        typer.Option(
            help="Where your download lies: DIR or NAME=DIR; may be repeated. Else $COTGEN_DATA, then ./data."
        ),
    ] = None,
    work: Annotated[
        Path | None, typer.Option(help="Folder of unfinished work. Default: $COTGEN_WORK, then OUT.work beside OUT.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes. Default: one per processor.", show_default=False)] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is found and what is missing.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace another data set of cotgen's in OUT.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Put the pictures back into a data set without them. They come from your own download of the videos.

    Every picture is proved by the hash in its record. With the same decoder and encoder the shards are those of the
    build, bit for bit. Run the same command again after an interruption; it exits with 1 where pictures are missing.
    """
    from cotgen.build.hydrate import Hydrating, preview
    from cotgen.build.hydrate import hydrate as run
    from cotgen.build.report import Reporter

    folder = _folder(data, out.resolve(), work, quiet)
    what = Hydrating(folder, tuple(root or ()), out, work, workers, replace)
    console = make_console()
    reporter = Reporter(None if quiet else console)
    found = (preview if dry_run else run)(what, reporter)
    if not quiet or found.exit_code:
        show_hydration(console, found, dry=dry_run)
    raise typer.Exit(found.exit_code)


def _folder(data: str, out: Path, work: Path | None, quiet: bool) -> Path:
    """The folder without pictures; one on the Hub is pulled into the work folder first."""
    from cotgen.hub.pull import named
    from cotgen.hub.remote import Remote

    if Path(data).is_dir():
        return Path(data)
    name = named(data)
    if name is None:
        raise CotgenError(f"{data} is no folder, and names no data set on the Hub; those are called ORG/NAME@v1.0.0")
    chosen = str(work or "") or os.environ.get("COTGEN_WORK", "")
    base = Path(chosen).resolve() if chosen else out.with_name(f"{out.name}.work")
    try:
        # The folder is called by the commit, so that a branch that has moved on is another one.
        commit = Remote(name[0]).head(name[1])
        target = base / "pulled" / f"{name[0].replace('/', '--')}-{commit[:12]}"
        return _pull((name[0], commit), target, quiet).folder
    except CotgenError as error:
        raise CotgenError(f"{data} is no folder here. {error}") from None


def show_hydration(console: Console, found: Hydration, *, dry: bool) -> None:
    """What was put in or would be, what is missing and what to do."""
    from cotgen.build.hydrate import NOT_FOUND, OTHER, advice
    from cotgen.build.report import clock

    outcome = found.outcome

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    if dry:
        say(f"{found.placed:,} of {found.samples:,} pictures have their file here:")
        for surgery, path in sorted(found.found.items()):
            say(f"  {surgery}: {path}")
    if found.gaps:
        _show_gaps(console, found.gaps)
    if any(gap.reason == NOT_FOUND for gap in found.gaps):
        say("Looked below:")
        for place in found.looked:
            say(f"  {place}")
    if any(gap.reason == OTHER for gap in found.gaps):
        say(advice(found))
    if found.listing:
        say(f"Each of these pictures, with the reason: {found.listing}")
    if dry:
        say("Nothing was decoded and nothing was written to the output.")
        return
    if found.changed:
        made = found.tools.get("encoder")
        how = f": the set was encoded by {made[0] or 'an unknown encoder'}, here is {made[1]}" if made else ""
        say(
            f"{found.changed:,} pictures have the right pixels and other bytes of JPEG{how}. Their records have the new "
            "frame.sha256, so these shards have checksums of their own."
        )
    if outcome.unchanged:
        say(f"Nothing to do: {outcome.out} is up to date.")
    else:
        out = shlex.quote(str(outcome.out))
        say(f"{found.placed:,} of {found.samples:,} samples are in {outcome.out} ({clock(outcome.wall_s)}).")
        say(f"Check it: cotgen verify {out}    Look at it: cotgen view {out}")
    if found.closed:
        say(f"Its frames may not be passed on under the terms of {' and '.join(found.closed)}.")
    if found.gaps:
        say("Add what is missing and run the same command again: what is decoded is kept.")


def _show_gaps(console: Console, gaps: list[Gap]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title="Not put in", title_justify="left", box=box.SIMPLE)
    for column in ("surgery", "frames", "file", "why"):
        table.add_column(column, justify="right" if column == "frames" else "left", overflow="fold")
    for gap in gaps[:_LISTED]:
        which = "" if gap.all else f" ({', '.join(gap.keys[:2])}{' ...' if gap.frames > 2 else ''})"
        cells = (gap.surgery, f"{gap.frames:,}", gap.file, f"{gap.why}{which}")
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
    if len(gaps) > _LISTED:
        console.print(f"and {len(gaps) - _LISTED} more rows", markup=False, highlight=False)
