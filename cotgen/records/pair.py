"""Pair: one question about a frame, with its chain of statements and its answer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cotgen.records.base import Record
from cotgen.records.statement import Statement

#: How far levels 1 and 2 carry the answer: they contain it; P(answer given their facts) >= 0.9 in at least 5 train
#: surgeries; 0.5 to 0.9; less.
Support = Literal["entailed", "strong", "weak", "asserted"]
Severity = Literal["hard", "soft"]

PAIR_ID = r"^[a-z0-9_]+(\.[a-z0-9_]+)+$"


class Finding(Record):
    """What a check found. A hard finding keeps a chain out of every shard; a soft one is a list of suspects.

    Attributes:
        check: name of the check.
        severity: `hard` or `soft`.
        statement: number of the sentence (0-based, in reading order), -1 for the chain as a whole.
        text: what is wrong, in words.
    """

    check: str
    severity: Severity = "hard"
    statement: int = Field(default=-1, ge=-1)
    text: str


class Pair(Record):
    """A question, its chain and its answer.

    Attributes:
        id: what is asked (`phase.open`, `tool.yesno.instrument.clipper`); unique in its sample.
        task: name of the task, whose module has the parser and the score.
        question: the wording, without the options.
        options: the choices in the order shown, `[]` for an open question.
        boxes: `[x1, y1, x2, y2]` in pixels of the stored image; `<bbox:n>` in a text is an index into this list.
        support: how far levels 1 and 2 carry the answer.
        statements: the chain, in reading order.
        answer: the answer name; a set has one item a line, in ontology order.
        writer: who wrote the chain: `template/1`, `teacher/...`.
        findings: the soft findings; a chain with a hard one is not stored.
    """

    id: str = Field(pattern=PAIR_ID)
    task: str
    question: str = Field(min_length=1)
    options: list[str] = []
    boxes: list[list[int]] = []
    support: Support
    statements: list[Statement] = Field(min_length=1)
    answer: str = Field(min_length=1)
    writer: str
    findings: list[Finding] = []
