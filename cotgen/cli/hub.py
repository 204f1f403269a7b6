"""`cotgen publish`: from a finished folder to the Hub."""

from __future__ import annotations

import os
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cotgen.cli.console import hide_hub_bars

if TYPE_CHECKING:
    from cotgen.hub.remote import Visibility


def publish(
    folder: Annotated[Path, typer.Argument(help="A finished data set.")],
    repo: Annotated[str, typer.Option(help="ORG/NAME on the Hub; made, private, where it is missing.")],
    tag: Annotated[str, typer.Option(help="Of this release, such as v1.0.0; it is set once and never moved.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and change nothing.")] = False,
    frames: Annotated[
        str,
        typer.Option(
            help="embed: as the folder is. reference: without its pictures, from FOLDER-reference beside it."
        ),
    ] = "embed",
    private: Annotated[bool, typer.Option("--private", help="Leave it private at the end.")] = False,
    have_the_right: Annotated[
        bool,
        typer.Option(
            "--i-have-the-right", help="Your word that data of unknown terms, as your own, may be published."
        ),
    ] = False,
    workers: Annotated[int, typer.Option(help="Processes of the verification.")] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but the result.")] = False,
) -> None:
    """Publish a data set on the Hugging Face Hub. Verified first, into a pull request, checked, merged, tagged.

    Run the same command again after an interruption. Where nothing is new, nothing is committed. HF_TOKEN or
    `hf auth login` says who you are.
    """
    from cotgen.hub.publish import Publication

    if frames not in ("embed", "reference"):
        raise typer.BadParameter("is embed or reference", param_hint="--frames")
    visibility: Visibility = "private" if private else "public"
    say = _silent if quiet else typer.echo
    hide_hub_bars(quiet)
    with discreetly(), _ready(folder, frames, dry_run) as taken:
        wanted = Publication(taken, repo, tag, visibility, have_the_right, workers=workers, say=say)
        if dry_run:
            for step in wanted.plan():
                typer.echo(step)
            return
        done = wanted.publish()
    new = f"{done.files:,} files new or changed" if done.files else "nothing new"
    typer.echo(f"{done.repo} is at revision {done.revision}{f', tag {done.tag}' if done.tag else ''}: {new}.")
    for line in done.loading:
        typer.echo(line)


def _silent(text: str) -> None:
    pass


@contextmanager
def discreetly() -> Iterator[None]:
    """What goes wrong in this block may quote requests: not even a defect of cotgen shows a token."""
    from cotgen.errors import CotgenError
    from cotgen.hub.discretion import discreet

    try:
        yield
    except CotgenError:
        raise
    except KeyboardInterrupt:
        typer.echo("Stopped. What was done stays done; run the same command again.", err=True)
        raise typer.Exit(130) from None
    except Exception as error:
        typer.echo(discreet("".join(traceback.format_exception(error)), tokens()), err=True, nl=False)
        raise typer.Exit(1) from None


def tokens() -> list[str]:
    """The tokens of the environment, whatever they look like."""
    return [os.environ.get(name, "") for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")]


@contextmanager
def _ready(folder: Path, frames: str, dry_run: bool) -> Iterator[Path]:
    """The folder to publish: the given one, or beside it the same without pictures."""
    from cotgen.build.files import hold
    from cotgen.shards.manifest import finish_card, load
    from cotgen.shards.strip import without_pictures

    target = folder.resolve()
    if not dry_run and target.is_dir():
        with hold(target, target.parent):
            finish_card(target)
    bare = load(folder).counts.get("images") and frames == "reference"
    if bare:
        target = target.with_name(f"{target.name}-reference")
    if not dry_run:
        with ExitStack() as held:
            held.enter_context(hold(target, target.parent))
            if bare:
                # A build must not exchange its shards while they are read.
                held.enter_context(hold(folder.resolve(), target.parent))
                without_pictures(folder, target)
            yield target
    elif bare:
        with tempfile.TemporaryDirectory() as scratch:
            without_pictures(folder, Path(scratch) / target.name)
            yield Path(scratch) / target.name
    else:
        yield target
