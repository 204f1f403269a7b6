"""ExportRecord: what an export reads of a stored record, as plain values.

Only this part is read, and it is checked as strictly as `Sample` checks it, by the same library but without the objects
and without what no row holds (facts, evidence, findings): an export meets every record once, and `cotgen verify` is what
proves a whole record.
"""

from __future__ import annotations

from typing import Annotated, NotRequired

import pydantic
from pydantic import ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict

from cotgen.records import Split
from cotgen.records.pair import PAIR_ID, Support
from cotgen.records.sample import KEY, SURGERY
from cotgen.records.statement import Level

_PART = ConfigDict(strict=True, extra="ignore")
_Text = Annotated[str, Field(min_length=1)]
_Pixels = Annotated[int, Field(gt=0)]
_Box = Annotated[list[int], Field(min_length=4, max_length=4)]


@pydantic.with_config(_PART)
class ExportSentence(TypedDict):
    """A sentence of a chain; see `Statement`."""

    level: Level
    text: _Text


@pydantic.with_config(_PART)
class ExportPair(TypedDict):
    """A pair; see `Pair`."""

    id: Annotated[str, Field(pattern=PAIR_ID)]
    task: str
    question: _Text
    options: NotRequired[list[str]]
    boxes: NotRequired[list[_Box]]
    support: Support
    statements: Annotated[list[ExportSentence], Field(min_length=1)]
    answer: _Text
    writer: str


@pydantic.with_config(_PART)
class ExportFrame(TypedDict):
    """Width and height of the stored picture in pixels; see `Frame`."""

    width: _Pixels
    height: _Pixels


@pydantic.with_config(_PART)
class ExportRecord(TypedDict):
    """A sample; see `Sample`."""

    key: Annotated[str, Field(pattern=KEY)]
    surgery: Annotated[str, Field(pattern=SURGERY)]
    split: Split
    frame: ExportFrame
    pairs: list[ExportPair]


_RECORD = TypeAdapter(ExportRecord)


def export_record(json: bytes) -> ExportRecord:
    """The part of a stored record that rows are made of. Raises `pydantic.ValidationError` on anything else."""
    return _RECORD.validate_json(json)
