"""`cotgen teacher`: what is needed around chains that a model writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cotgen.cli import options

teacher_app = typer.Typer(
    name="teacher",
    help="Try out a model that shall write chains, or estimate its cost.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@teacher_app.command()
def check(
    teacher_url: options.TeacherUrl = None,
    teacher_model: options.TeacherModel = None,
    teacher_schema: options.TeacherSchema = None,
    teacher_max_tokens: options.TeacherTokens = None,
    teacher_temperature: options.TeacherTemperature = None,
    teacher_timeout: options.TeacherTimeout = None,
    teacher_extra: options.TeacherExtra = None,
    teacher_pixels: options.TeacherPixels = None,
    no_image: options.NoImage = None,
) -> None:
    """Send one request as a build would. Says what would refuse it and which flag mends that, and exits with 2 then.

    What is sent is made up: no frame and no label of a data set leaves this machine.
    """
    from cotgen.build.config import validated
    from cotgen.build.preflight import preflight
    from cotgen.build.teaching import Teaching
    from cotgen.errors import CotgenError

    given = {
        "writer": "teacher",
        "teacher_url": teacher_url,
        "teacher_model": teacher_model,
        "teacher_schema": teacher_schema,
        "teacher_max_tokens": teacher_max_tokens,
        "teacher_temperature": teacher_temperature,
        "teacher_timeout": teacher_timeout,
        "teacher_extra": teacher_extra,
        "teacher_pixels": teacher_pixels,
        "no_image": no_image,
    }
    settings = validated(Teaching, {name: value for name, value in given.items() if value is not None})
    found = preflight(settings, settings.teacher())
    for line in found.lines:
        typer.echo(line)
    if found.problem:
        raise CotgenError(found.problem)


@teacher_app.command()
def estimate(
    source: Annotated[list[str] | None, typer.Option(help="What would be built from, as of `cotgen build`.")] = None,
    root: Annotated[list[str] | None, typer.Option(help="Where it lies, as of `cotgen build`.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML file with the options of a build; the command line wins.")
    ] = None,
    work: Annotated[Path | None, typer.Option(help="Folder of what builds share.")] = None,
    fps: Annotated[list[str] | None, typer.Option(help="As of `cotgen build`.")] = None,
    tasks: Annotated[str | None, typer.Option(help="As of `cotgen build`.")] = None,
    surgeries: Annotated[str | None, typer.Option(help="As of `cotgen build`.")] = None,
    limit: Annotated[int | None, typer.Option(help="As of `cotgen build`.")] = None,
    balance: Annotated[bool | None, typer.Option("--balance", help="As of `cotgen build`.")] = None,
    writer: options.Writer = None,
    teacher_share: options.Share = None,
    teacher_pixels: options.TeacherPixels = None,
    no_image: options.NoImage = None,
    price_in: Annotated[float | None, typer.Option(help="Price of a million tokens that the model reads.")] = None,
    price_out: Annotated[float | None, typer.Option(help="Price of a million tokens that it writes.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but the table.")] = False,
) -> None:
    """Say how many requests and tokens a build would cost. Nothing is decoded and nothing is sent."""
    from cotgen.build.config import load_config
    from cotgen.build.report import Reporter, show_questions
    from cotgen.build.run import estimate as run
    from cotgen.cli.console import make_console

    given = {
        "source": source or None,
        "root": root or None,
        "work": work,
        "fps": fps or None,
        "tasks": tasks,
        "surgeries": surgeries,
        "limit": limit,
        "balance": balance,
        "writer": writer,
        "teacher_share": teacher_share,
        "teacher_pixels": teacher_pixels,
        "no_image": no_image,
    }
    settings = load_config(config, given)
    if not settings.taught:
        settings = settings.model_copy(update={"writer": "teacher"})
    # An estimate sends nothing, so it needs no server.
    nowhere = {"teacher_url": "http://localhost/v1", "teacher_model": settings.teacher_model or "model"}
    console = make_console()
    found = run(settings.model_copy(update=nowhere), Reporter(None if quiet else console)).teacher
    assert found
    prices = None if price_in is None and price_out is None else (price_in or 0.0, price_out or 0.0)
    show_questions(console, found, prices)


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
    doubt: Annotated[
        list[str] | None,
        typer.Option(help="Asked to judge, it says no to a look that holds this word; may be repeated."),
    ] = None,
    priors: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Asked to judge, it knows these statistics: priors.json of a build."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the faults and the errors.")] = 0,
    log: Annotated[Path | None, typer.Option(help="A line of JSON for each reply, with what was planted.")] = None,
) -> None:
    """Serve a stand-in for a teacher and a judge. It answers from the text of each request, until interrupted.

    The first line printed is the base URL, for `--teacher-url`.
    """
    import asyncio
    from contextlib import suppress

    from cotgen.chains.judge_standin import StandInJudge
    from cotgen.chains.planted import Planted
    from cotgen.chains.stand_in import answering
    from cotgen.errors import CotgenError
    from cotgen.models.stub import Asked, Faults, StubServer
    from cotgen.surgeries.priors import Priors

    urls: list[str] = []
    known = Priors.from_json(priors.read_bytes()) if priors else None
    judge = StandInJudge(known, doubts=doubt or ())

    def judged(asked: Asked) -> Mapping[str, Any]:
        return judge.reply(asked.turns[0][1], asked.text) or {}

    def listening(url: str) -> None:
        urls.append(url)
        print(url, flush=True)

    server = StubServer(
        answering(Planted(_rates(planted, "--planted"), seed, stubborn=stubborn, log=log), judged),
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
