"""Sample: one frame with its facts and all its pairs; the picture is stored once."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cotgen.records.base import Record
from cotgen.records.fact import Fact, Measured
from cotgen.records.frame import Frame
from cotgen.records.pair import Pair

SAMPLE_SCHEMA: Literal["cotgen/sample/1"] = "cotgen/sample/1"
KEY = r"^[a-z0-9][a-z0-9_-]*$"
SURGERY = r"^[a-z0-9_]+/[a-z0-9_]+$"
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def sample_key(surgery: str, index: int) -> str:
    """`cholec80/73`, 18475 -> `cholec80-73-018475`. The same in every build, so caches and reviews can use it."""
    return f"{surgery.replace('/', '-')}-{index:06d}"


def surgery_of_key(key: str) -> str:
    """`cholec80-73-018475` -> `cholec80/73`: whose clock the frame of a sample counts on."""
    return "/".join(key.rsplit("-", 1)[0].split("-", 1))


class Context(Record):
    """An earlier instant of the same surgery.

    Attributes:
        offset_s: seconds from the frame; negative.
        facts: what its sources say.
    """

    offset_s: float
    facts: list[Fact] = []


class Sample(Record):
    """What one member pair (`{key}.jpg`, `{key}.json`) of a shard holds. No value is ever null.

    Attributes:
        schema_: always `cotgen/sample/1`; called `schema` on disk.
        key: the name of both members.
        surgery: family and number, `cholec80/73`; the unit of splits and joins.
        split: train, validation or test.
        sources: the sources that say something of this frame.
        frame: the picture.
        labelled: `source.kind` for each kind of label that was given for this frame, even if it says "none".
        facts: all that the sources say, side by side.
        measured: what the pixels give.
        context: earlier instants, where asked for.
        pairs: the questions.
    """

    schema_: Literal["cotgen/sample/1"] = Field(default=SAMPLE_SCHEMA, alias="schema")
    key: str = Field(pattern=KEY)
    surgery: str = Field(pattern=SURGERY)
    split: Split
    sources: list[str]
    frame: Frame
    labelled: list[str]
    facts: list[Fact]
    measured: list[Measured] = []
    context: list[Context] = []
    pairs: list[Pair]
