"""Options that several commands share: of the model that writes, and of the one that judges."""

from __future__ import annotations

from typing import Annotated

import typer

Writer = Annotated[
    str | None,
    typer.Option(help="Who writes the chains: template (default), teacher (a model), mix (a share of them)."),
]
Share = Annotated[str | None, typer.Option(help="With --writer mix: the teacher's share, 0.5 by default.")]
TeacherUrl = Annotated[
    str | None,
    typer.Option(
        help="Base URL of an OpenAI-compatible server, http://localhost:8000/v1. A key is taken from $COTGEN_API_KEY."
    ),
]
TeacherModel = Annotated[str | None, typer.Option(help="The model, as the server lists it.")]
TeacherSchema = Annotated[
    str | None,
    typer.Option(
        help="How the reply's schema is sent: json_schema (default), json_object (llama-cpp-python), prompt (not)."
    ),
]
TeacherTokens = Annotated[int | None, typer.Option(help="Tokens of one reply. Default: 1024.")]
TeacherTemperature = Annotated[float | None, typer.Option(help="Of the sampling. Default: 0.7.")]
TeacherTimeout = Annotated[float | None, typer.Option(help="Seconds for one request. Default: 180.")]
TeacherConcurrency = Annotated[int | None, typer.Option(help="The most requests in flight. Default: 256.")]
TeacherExtra = Annotated[str | None, typer.Option(help="JSON object of more fields for each request.")]
TeacherPixels = Annotated[
    int | None,
    typer.Option(help="The most pixels of a picture as it is sent. Default: 1003520, as Qwen's."),
]
TeacherFallback = Annotated[
    str | None,
    typer.Option(help="What a question gets whose replies are refused: template (default), or none."),
]
NoImage = Annotated[bool | None, typer.Option("--no-image", help="Send text alone, never a picture.")]
SendFramesTo = Annotated[
    list[str] | None,
    typer.Option(
        help="Hosts that pictures may be sent to against the default of their licence; recorded in the manifest."
    ),
]
JudgeUrl = Annotated[str | None, typer.Option(help="Server of a judge. Default: the teacher's.")]
JudgeModel = Annotated[
    str | None,
    typer.Option(help="A model that judges what no rule can. Default: nobody judges."),
]
JudgeSchema = Annotated[str | None, typer.Option(help="As --teacher-schema.")]
JudgeTokens = Annotated[int | None, typer.Option(help="As --teacher-max-tokens.")]
JudgeTimeout = Annotated[float | None, typer.Option(help="As --teacher-timeout.")]
JudgeConcurrency = Annotated[int | None, typer.Option(help="As --teacher-concurrency.")]
JudgeExtra = Annotated[str | None, typer.Option(help="As --teacher-extra.")]
JudgeAsks = Annotated[
    str | None,
    typer.Option(
        help="What is judged: visual,recover,masked (default), or some of these. All take up to four requests a chain."
    ),
]
JudgeThreshold = Annotated[
    float | None,
    typer.Option(help="A visual sentence is kept where its score is above. Default: 0.5."),
]
