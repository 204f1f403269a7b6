"""Manifest: what a finished folder holds and how it was made. It is written last: where it stands, the build is whole."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from cotgen.records.base import Record
from cotgen.records.sample import Split

MANIFEST_SCHEMA: Literal["cotgen/manifest/1"] = "cotgen/manifest/1"


class Shard(Record):
    """One tar file. `file` is relative to the folder, e.g. `data/train-00000-of-00016.tar`."""

    file: str
    split: Split
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)
    samples: int = Field(ge=0)
    pairs: int = Field(ge=0)


class LeftOut(Record):
    """Something that is not in the shards, why, and how often.

    Attributes:
        what: `surgery`, `frame` or `pair`.
        reason: in words, with what to do where something can be done.
        count: how many.
        examples: up to ten names (surgeries, keys or pair ids).
    """

    what: Literal["surgery", "frame", "pair"]
    reason: str
    count: int = Field(ge=0)
    examples: list[str] = Field(default=[], max_length=10)


class SourceTerms(Record):
    """The licence of a source, as its owners state it."""

    name: str
    title: str
    licence: str
    homepage: str
    citation: str
    share_frames: bool
    share_text: bool


class Manifest(Record):
    """The manifest of one folder.

    Attributes:
        schema_: `cotgen/manifest/1`; called `schema` on disk.
        kind: how the folder came to be.
        parents: fingerprints of the builds it was made from (merged, hydrated, refined).
        fingerprint: sha256 over all that the content depends on.
        config: the effective configuration, without paths or hosts.
        split_table: name of the split, `clean/1`.
        splits: split -> surgeries, sorted.
        shards: in name order.
        files: the other files of the folder -> sha256.
        counts: samples, pairs, pairs per task, per split, per support, findings by kind.
        left_out: what is missing and why.
        sources: licences.
        versions: cotgen, step versions, encoder, decoder.
    """

    schema_: Literal["cotgen/manifest/1"] = Field(default=MANIFEST_SCHEMA, alias="schema")
    kind: Literal["build", "hydrated", "refined", "merged"]
    parents: list[str] = []
    fingerprint: str
    config: dict[str, Any]
    split_table: str
    splits: dict[str, list[str]]
    shards: list[Shard]
    files: dict[str, str] = {}
    counts: dict[str, Any]
    left_out: list[LeftOut] = []
    sources: list[SourceTerms] = []
    versions: dict[str, str]

    @model_validator(mode="after")
    def _can_be_written(self) -> Manifest:
        try:
            self.to_json()
        except TypeError as error:
            # Numbers of more than 64 bits, for one: they can be read, and every command would fail on them later.
            raise ValueError(f"holds what cotgen does not write: {error}") from error
        return self
