"""LoaderState: how far a run has read, and what it read from, written beside a checkpoint.

A run goes on only where all that decides its rows is the same; what differs is told in a sentence.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pydantic
from pydantic import Field

from cotgen.errors import CotgenError
from cotgen.records.base import Record
from cotgen.shards.files import write_bytes

STATE = "loader.json"
STATE_SCHEMA: Literal["cotgen/loader/1"] = "cotgen/loader/1"


class ReadFrom(Record):
    """One data set of a run.

    Attributes:
        fingerprint: of its manifest.
        share: of all rows; "" where it is shown whole.
        index: sha256 of `index.parquet`.
        shards: file -> sha256 of the shards of the chosen splits.
    """

    fingerprint: str
    share: str
    index: str
    shards: dict[str, str]


class LoaderState(Record):
    """Where a run is, by whole batches.

    Attributes:
        schema_: `cotgen/loader/1`; called `schema` on disk.
        seed: of all draws.
        epoch: the epoch, from 0, of the next row.
        batches: batches that each rank has had since the run began.
        batch_size: rows of a batch on one rank.
        world_size: number of ranks.
        data: the data sets, in the order given.
        config: selection, view, boxes, instruction and version of the order.
        trainer: settings of the trainer that decide how batches become steps; {} where none was told.
    """

    schema_: Literal["cotgen/loader/1"] = Field(default=STATE_SCHEMA, alias="schema")
    seed: int
    epoch: int = Field(ge=0)
    batches: int = Field(ge=0)
    batch_size: int = Field(ge=1)
    world_size: int = Field(ge=1)
    data: list[ReadFrom]
    config: dict[str, Any]
    trainer: dict[str, int] = {}

    def write(self, checkpoint: Path) -> None:
        """Write `loader.json` into the folder of a checkpoint, whole or not at all."""
        write_bytes(checkpoint / STATE, self.to_json() + b"\n")

    @classmethod
    def read(cls, checkpoint: Path) -> LoaderState:
        """The state beside a checkpoint. Raises CotgenError where there is none or it is damaged."""
        path = checkpoint / STATE
        try:
            return cls.from_json(path.read_bytes())
        except FileNotFoundError:
            raise CotgenError(
                f"{path} is not there, so nobody knows which rows this checkpoint has seen; go on from a checkpoint "
                "that has one, or start anew"
            ) from None
        except (OSError, pydantic.ValidationError) as error:
            raise CotgenError(f"{path} cannot be read; go on from another checkpoint, or start anew") from error

    def refuse_unless_same(self, now: LoaderState) -> None:
        """Raise CotgenError, in a sentence, where a run of the state `now` would see other rows than this one."""
        differences = list(_differences(self, now))
        if differences:
            raise CotgenError(
                f"this checkpoint cannot go on with other rows: {'; '.join(differences)}. Take what it had, or start anew"
            )


def _differences(then: LoaderState, now: LoaderState) -> list[str]:
    told = []
    for what, before, after in (
        ("the number of ranks was", then.world_size, now.world_size),
        ("the batch of a rank was", then.batch_size, now.batch_size),
        ("the seed was", then.seed, now.seed),
        ("the number of data sets was", len(then.data), len(now.data)),
    ):
        if before != after:
            told.append(f"{what} {before} and is {after}")
    for number, (before_data, after_data) in enumerate(zip(then.data, now.data, strict=False), start=1):
        if before_data.shards != after_data.shards or before_data.index != after_data.index:
            files = sorted(
                name
                for name in {*before_data.shards, *after_data.shards}
                if before_data.shards.get(name) != after_data.shards.get(name)
            )
            shown = ", ".join(files[:3]) + (" ..." if len(files) > 3 else "") or "its index"
            told.append(f"data set {number} has other shards ({shown})")
        if before_data.share != after_data.share:
            told.append(
                f"the share of data set {number} was {before_data.share or 'all'} and is {after_data.share or 'all'}"
            )
    for names, before_map, after_map in (
        ("", then.config, now.config),
        ("the trainer's ", then.trainer, now.trainer if then.trainer and now.trainer else then.trainer),
    ):
        for name in sorted({*before_map, *after_map}):
            if before_map.get(name) != after_map.get(name):
                told.append(f"{names}{name} was {before_map.get(name)!r} and is {after_map.get(name)!r}")
    return told
