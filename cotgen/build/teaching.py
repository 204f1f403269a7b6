"""Teaching: what a build is told about its writer: which model writes or judges, how it is asked, what it may be shown.

What decides the text of a chain is part of the effective configuration (`told`); the server, its key and how patient we
are with it are not, so both may change in the middle of a build.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.models.endpoint import Endpoint, SchemaMode, refuse_leaving
from cotgen.models.images import MAX_PIXELS, MIN_PIXELS
from cotgen.sources import SOURCES

#: The source whose terms nobody but its user knows.
OWN = "table"


class Teaching(BaseModel):
    """Options of the writer, the teacher and the judge.

    Attributes:
        writer: `template`; `teacher`, a model for every chain; `mix`, for the share of `teacher_share`.
        teacher_share: share of the questions whose chains are asked of the teacher, drawn for each by its name.
        teacher_url: base URL of an OpenAI-compatible server, `http://localhost:8000/v1`.
        teacher_model: the model as the server lists it.
        teacher_schema: how the schema of a reply is sent, see `cotgen.models.endpoint.SchemaMode`.
        teacher_max_tokens: of one reply.
        teacher_temperature: of the sampling.
        teacher_timeout: of one request, in seconds.
        teacher_concurrency: the most requests in flight.
        teacher_extra: more fields of each request, as JSON.
        teacher_pixels: the most pixels of a picture as it is sent.
        teacher_fallback: what a question gets whose replies are all refused: its `template` chain, or `none`.
        no_image: whether pictures stay here and text alone is sent.
        send_frames_to: hosts that pictures may be sent to although the terms of a source do not allow it.
        judge_url: as `teacher_url`, for the judge; the teacher's where only a model is given.
        judge_model: the model that judges what rules cannot; "" for none.
        judge_schema: as `teacher_schema`.
        judge_max_tokens: as of the teacher.
        judge_timeout: as of the teacher.
        judge_concurrency: as of the teacher.
        judge_extra: as of the teacher.
        judge_asks: what it judges: `visual` (looks, with the picture), `recover` (whether levels 1 and 2 give the answer),
            `masked` (whether their words alone give it away; two requests).
        judge_threshold: a visual sentence is kept where its score is above; at 0.5 "unsure" is not enough.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    writer: Literal["template", "teacher", "mix"] = "template"
    teacher_share: str = "1/2"
    teacher_url: str = ""
    teacher_model: str = ""
    teacher_schema: SchemaMode = "json_schema"
    teacher_max_tokens: int = Field(default=1024, ge=16, le=1_000_000)
    teacher_temperature: float = Field(default=0.7, ge=0.0, le=2.0)
    teacher_timeout: float = Field(default=180.0, gt=0)
    teacher_concurrency: int = Field(default=256, ge=1, le=4096)
    teacher_extra: dict[str, Any] = {}
    teacher_pixels: int = Field(default=MAX_PIXELS, ge=MIN_PIXELS, le=2**26)
    teacher_fallback: Literal["template", "none"] = "template"
    no_image: bool = False
    send_frames_to: tuple[str, ...] = ()
    judge_url: str = ""
    judge_model: str = ""
    judge_schema: SchemaMode = "json_schema"
    judge_max_tokens: int = Field(default=512, ge=16, le=1_000_000)
    judge_timeout: float = Field(default=180.0, gt=0)
    judge_concurrency: int = Field(default=256, ge=1, le=4096)
    judge_extra: dict[str, Any] = {}
    judge_asks: tuple[Literal["visual", "recover", "masked"], ...] = ("visual", "recover", "masked")
    judge_threshold: float = Field(default=0.5, ge=0.0, lt=1.0)

    @field_validator("teacher_share", mode="before")
    @classmethod
    def _share(cls, value: Any) -> str:
        try:
            share = Fraction(str(value).strip()) if len(str(value)) <= 12 else Fraction(-1)
        except (ValueError, ZeroDivisionError):
            share = Fraction(-1)
        if not 0 < share <= 1:
            raise ValueError(f"'{value}' is no share; give a part of 1, such as 0.3")
        return str(share)

    @field_validator("teacher_extra", "judge_extra", mode="before")
    @classmethod
    def _object(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            parsed = json.loads(value or "{}")
        except ValueError as error:
            raise ValueError(f"it is not JSON ({error})") from None
        if not isinstance(parsed, dict):
            raise ValueError("it must be a JSON object, such as '{\"top_k\": 20}'")
        return parsed

    @field_validator("send_frames_to", "judge_asks", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        items = [value] if isinstance(value, str) else value
        return tuple(part.strip().lower() for item in items for part in str(item).split(",") if part.strip())

    @property
    def taught(self) -> bool:
        """Whether a model writes any chain."""
        return self.writer != "template"

    @property
    def share(self) -> Fraction:
        """Share of the questions that are asked of the teacher."""
        return Fraction(self.teacher_share) if self.writer == "mix" else Fraction(int(self.taught))

    @property
    def teacher_writer(self) -> str:
        """The writer's name in a pair, without the version of the prompt: never a path of this machine."""
        return named(self.teacher_model)

    def teacher(self) -> Endpoint:
        """The teacher's server.

        Raises:
            EndpointError: it cannot be asked as it was named.
        """
        return Endpoint(
            self.teacher_url,
            self.teacher_model,
            schema_mode=self.teacher_schema,
            extra=self.teacher_extra,
            concurrency=self.teacher_concurrency,
            timeout_s=self.teacher_timeout,
        )

    def judge(self) -> Endpoint | None:
        """The judge's server, None where nobody judges.

        Raises:
            EndpointError: it cannot be asked as it was named.
        """
        if not self.judge_model and not self.judge_url:
            return None
        return Endpoint(
            self.judge_url or self.teacher_url,
            self.judge_model,
            role="judge",
            schema_mode=self.judge_schema,
            extra=self.judge_extra,
            concurrency=self.judge_concurrency,
            timeout_s=self.judge_timeout,
        )

    def told(self) -> dict[str, Any]:
        """What the chains depend on, as plain values without a host; empty for templates."""
        from cotgen.chains.teacher import PROMPT_VERSION, prompt_sha256

        if not self.taught:
            return {}
        asked: dict[str, Any] = {
            "writer": self.writer,
            "share": str(self.share),
            "model": named(self.teacher_model),
            "prompt": PROMPT_VERSION,
            "prompt_sha256": prompt_sha256(),
            "max_tokens": self.teacher_max_tokens,
            "temperature": self.teacher_temperature,
            "extra": self.teacher_extra,
            "pixels": 0 if self.no_image else self.teacher_pixels,
            "fallback": self.teacher_fallback,
        }
        if self.send_frames_to and not self.no_image:
            asked["send_frames_to"] = sorted(self.send_frames_to)
        if self.judge_model:
            from cotgen.chains.judge import judge_sha256

            asked["judge"] = {
                "model": named(self.judge_model),
                "prompt_sha256": judge_sha256(),
                "max_tokens": self.judge_max_tokens,
                "extra": self.judge_extra,
                "asks": sorted(set(self.judge_asks)),
                "threshold": self.judge_threshold,
            }
        return asked


def check_teaching(options: Teaching, frames: str, sources: Sequence[str]) -> None:
    """Whether the writer can be asked as it is configured, and whether its pictures may go where they would go.

    Args:
        options: of the build.
        frames: how the build stores frames: `embed`, `reference` or `none`.
        sources: those that the build reads.

    Raises:
        CotgenError: with what to do.
    """
    if not options.taught:
        given = [
            name for name in ("teacher_url", "teacher_model", "judge_url", "judge_model") if getattr(options, name)
        ]
        if given:
            flag = given[0].replace("_", "-")
            raise CotgenError(f"--{flag} is for chains that a model writes: add --writer teacher or --writer mix.")
        return
    if not options.teacher_url:
        raise CotgenError(
            "--writer needs a server: --teacher-url http://localhost:8000/v1 (`cotgen teacher stub` is one without a model)."
        )
    endpoints = [found for found in (options.teacher(), options.judge()) if found]
    if options.no_image:
        return
    if frames != "embed":
        raise CotgenError(
            f"A teacher is sent the pictures, and --frames {frames} stores none: use --frames embed (`cotgen publish "
            "--frames reference` publishes the annotations alone), or --no-image to send text alone."
        )
    closed = [name for name in sources if name == OWN or not SOURCES[name].describe().terms.share_frames]
    for endpoint in endpoints:
        refuse_leaving(endpoint, closed, options.send_frames_to)


def chosen(options: Teaching, seed: int, key: str, id: str) -> bool:
    """Whether the chain of a pair is asked of the teacher: drawn by its name, so that a larger share only adds pairs."""
    share = options.share
    return draw(seed, "teacher", key, id) * share.denominator < share.numerator * 2**64


def named(model: str) -> str:
    """A model's name for records: the last part of a path, and only letters that evidence may hold."""
    name = model.rstrip("/").rpartition("/")[2] if model.startswith(("/", ".", "~")) else model
    return re.sub(r"[^A-Za-z0-9_.:/-]+", "-", name) or "model"
