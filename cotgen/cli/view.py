"""`cotgen view`: a finished folder in the browser."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from cotgen.errors import CotgenError


def view(
    folder: Annotated[str, typer.Argument(help="A finished data set, or ORG/NAME[@REVISION] on the Hub.")],
    other: Annotated[str, typer.Argument(help="Another one, shown beside it.")] = "",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8765,
    host: Annotated[
        str,
        typer.Option(help="Address to listen on. Any but loopback needs the token in the address that is printed."),
    ] = "127.0.0.1",
    reviewer: Annotated[str, typer.Option(help="Who reviews; the page asks where it is not given.")] = "",
    reviews: Annotated[
        Path | None, typer.Option(help="Where marks are kept. Default: FOLDER.reviews.jsonl beside FOLDER.")
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            help='A model\'s replies: JSON lines {"pair": "key#id", "response": "..."}, or the folder of completions that '
            "stage 3 writes."
        ),
    ] = None,
    step: Annotated[
        int | None, typer.Option(help="Of such a folder: this step alone. Default: the last completion of each pair.")
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option(help="Where searchable text is kept. Default: $COTGEN_WORK, FOLDER.work, or the user's cache."),
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Look at a data set in the browser, and review it. Frames, chains and what each sentence rests on."""
    from cotgen.inspect.predictions import Predictions
    from cotgen.inspect.reviews import ReviewFile, reviews_file
    from cotgen.inspect.server import ViewServer
    from cotgen.inspect.text import cache_file
    from cotgen.inspect.viewer import Folder, Viewer

    folders = []
    for name in [folder, *([other] if other else [])]:
        path, fetch = located(name)
        # The chains of a repository are not read for a search: that would bring all of its shards here.
        folders.append(
            Folder(path, None if fetch else cache_file(path, os.environ, work), fetch, name if fetch else "")
        )
    first = folders[0]
    marks = reviews or (
        Path(f"{folder.replace('/', '--')}.reviews.jsonl") if first.fetch else reviews_file(first.path)
    )
    for opened in folders:
        if marks.resolve().is_relative_to(opened.path.resolve()):
            raise CotgenError(f"{marks} is in {opened.path}, which is sealed; give a file outside of it as --reviews")
    marks_file = ReviewFile(marks)
    # What is wrong with a line of it is better said now than at the first sample.
    marks_file.marks()
    if step is not None and predictions is None:
        raise CotgenError("--step is of the completions after --predictions; name their folder")
    replies = Predictions(predictions, step) if predictions else None
    viewer = Viewer(folders, marks_file, reviewer, replies)
    with ViewServer(viewer, host, port) as server:
        typer.echo(server.url)
        if server.token:
            typer.echo(
                "Whoever has this address can look and mark. It is not encrypted: on a network of others use an SSH tunnel."
            )
        typer.echo(f"Marks are kept in {marks}. Ctrl-C ends the viewer.")
        if replies is not None:
            pairs = viewer.catalogue.pairs
            typer.echo(f"Of {len(replies):,} replies {viewer.replied:,} are to one of the {pairs:,} pairs here.")
        if open_browser:
            import webbrowser

            webbrowser.open(server.url)
        with contextlib.suppress(KeyboardInterrupt):
            # Waits in pieces: where another thread is handed the signal, nothing else would wake this one.
            while True:
                time.sleep(0.5)


def located(name: str) -> tuple[Path, Callable[[str], None] | None]:
    """The folder of a data set, and what brings a shard of it that is not here yet; None where all are."""
    from cotgen.cli.hub import discreetly, tokens
    from cotgen.hub.browse import is_repository, open_repository
    from cotgen.hub.discretion import discreet

    if Path(name).exists() or not is_repository(name):
        return Path(name), None
    try:
        with discreetly():
            path, fetch = open_repository(name)
    except CotgenError as error:
        raise CotgenError(f"{name} is no folder here. {error}") from None

    def bring(shard: str) -> None:
        # The server shows what it does not know with its traceback, and a request in it may hold a token.
        try:
            fetch(shard)
        except CotgenError:
            raise
        except Exception as error:
            raise CotgenError(f"{shard} of {name} was not downloaded: {discreet(repr(error), tokens())}") from None

    return path, bring
