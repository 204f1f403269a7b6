"""Statement: one sentence of a chain, with its level, its basis and its evidence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

from pydantic import Field, field_validator

from cotgen.records.base import Record

#: Strongest first: a fact of this frame; computed from boxes, masks or pixels; from earlier statements; a statistic of
#: the train split; general knowledge; seen by a model and unproven.
Basis = Literal["label", "measured", "follows", "prior", "knowledge", "visual"]
BASES: tuple[str, ...] = get_args(Basis)

Level = Literal[1, 2, 3]

LEVEL_NAMES = {1: "Perceptual Grounding", 2: "Relational Understanding", 3: "Contextual Reasoning"}

_REF = {
    "fact": re.compile(r"^[a-z0-9_]+\.[a-z_]+\.[0-9]+$"),
    "none": re.compile(r"^[a-z0-9_]+\.[a-z_]+(/[a-z0-9_.]+)?$"),
    "all": re.compile(r"^[a-z0-9_]+\.[a-z_]+(/[a-z0-9_.]+)?$"),
    "box": re.compile(r"^[0-9]+$"),
    "pixel": re.compile(r"^[a-z_]+(/[a-z0-9_.+]+)?=-?[0-9.]+$"),
    "statement": re.compile(r"^[0-9]+$"),
    "prior": re.compile(r"^.+$"),
    "knowledge": re.compile(r"^[a-z0-9_.]+$"),
    "seen": re.compile(r"^[A-Za-z0-9_.:/-]+$"),
    "judged": re.compile(r"^[A-Za-z0-9_.:/-]+=(?:0\.[0-9]{2}|1\.00)$"),
    "context": re.compile(r"^[0-9]+/[a-z0-9_]+\.[a-z_]+\.[0-9]+$"),
}


@dataclass(frozen=True, slots=True)
class EvidenceRef:
    """One reference of a statement.

    `fact:ID`; `none:SOURCE.KIND` (labelled, and nothing there) or `none:SOURCE.KIND/TERM` (labelled, and this term is
    not there); `all:SOURCE.KIND` (labelled, and the facts cited beside it are all there are) or
    `all:SOURCE.KIND/TERM` (all but for this term, which does not count here); `box:N`;
    `pixel:NAME=VALUE` or, of outlines, `pixel:NAME/FACT_ID+FACT_ID=VALUE`; `statement:N` (0-based, earlier in the same
    chain); `prior:NAME`; `knowledge:ID`; `context:K/FACT_ID`; `seen:WRITER` (a model says that the picture shows it);
    `judged:JUDGE=SCORE` beside it (how far a judge saw it too, 0.00 to 1.00).
    """

    kind: str
    target: str

    @classmethod
    def parse(cls, text: str) -> EvidenceRef:
        """Raises ValueError if `text` is not one of the forms above."""
        return _parsed(text)


@lru_cache(maxsize=20_000)
def _parsed(text: str) -> EvidenceRef:
    kind, separator, target = text.partition(":")
    if not separator or kind not in _REF or not _REF[kind].match(target):
        raise ValueError(f"'{text}' is no evidence reference; use one of {', '.join(k + ':…' for k in _REF)}")
    return EvidenceRef(kind, target)


class Statement(Record):
    """One sentence. Its basis is that of its weakest evidence; a claim as seen and a piece of knowledge are two."""

    level: Level
    text: str = Field(min_length=1)
    basis: Basis
    evidence: list[str] = Field(min_length=1)

    @field_validator("evidence")
    @classmethod
    def _known_forms(cls, value: list[str]) -> list[str]:
        for text in value:
            EvidenceRef.parse(text)
        return value

    def references(self) -> list[EvidenceRef]:
        """The evidence, taken apart."""
        return [EvidenceRef.parse(text) for text in self.evidence]
