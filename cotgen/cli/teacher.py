"""`cotgen teacher`: what has to do with the model that writes chains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

teacher_app = typer.Typer(help="The model that writes chains, and its stand-in.", no_args_is_help=True)


@teacher_app.callback()
def _teacher() -> None:
    """The model that writes chains, and its stand-in."""


@teacher_app.command()
def stub(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 for a free one.")] = 0,
    model: Annotated[str, typer.Option(help="Name of the model that is served.")] = "stub",
    slots: Annotated[int, typer.Option(min=1, help="Requests served at a time; the others wait in line.")] = 32,
    service_ms: Annotated[float, typer.Option(min=0.0, help="How long one takes in its slot.")] = 0.0,
    fault: Annotated[
        list[str] | None, typer.Option(help="NAME=RATE of what goes wrong on the wire, as 503=0.1; may be repeated.")
    ] = None,
    planted: Annotated[
        list[str] | None,
        typer.Option(help="NAME=RATE of errors in the replies, as hallucination=0.1; may be repeated."),
    ] = None,
    stubborn: Annotated[bool, typer.Option("--stubborn", help="Asked again, the same error comes again.")] = False,
    seed: Annotated[int, typer.Option(help="Of the faults and the errors.")] = 0,
    log: Annotated[Path | None, typer.Option(help="A line of JSON for each reply, with what was planted.")] = None,
) -> None:
    """Serve a stand-in for a teacher, which answers from the facts of each request, until interrupted.

    The first line printed is the base URL, for `--teacher-url`.
    """
    import asyncio
    from contextlib import suppress

    from cotgen.chains.planted import Planted
    from cotgen.chains.stand_in import answering
    from cotgen.errors import CotgenError
    from cotgen.models.stub import Faults, StubServer

    urls: list[str] = []

    def listening(url: str) -> None:
        urls.append(url)
        print(url, flush=True)

    server = StubServer(
        answering(Planted(_rates(planted, "--planted"), seed, stubborn=stubborn, log=log)),
        faults=Faults(_rates(fault, "--fault"), seed=seed),
        model=model,
        slots=slots,
        service_s=service_ms / 1000,
        host=host,
        port=port,
    )
    with suppress(KeyboardInterrupt):
        asyncio.run(server.serve(listening))
        if not urls:
            raise CotgenError(f"The stub cannot listen on {host}:{port}; choose another --port, or 0 for a free one.")


def _rates(given: Sequence[str] | None, option: str) -> dict[str, float]:
    """`["503=0.1"]` as numbers."""
    found = {}
    for text in given or ():
        name, _, rate = text.partition("=")
        try:
            found[name] = float(rate)
        except ValueError:
            raise typer.BadParameter(f"'{text}' is not NAME=RATE, such as 503=0.1", param_hint=option) from None
    return found
