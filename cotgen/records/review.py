"""Review: what a person says of one sentence of a chain, or of the chain as a whole."""

from __future__ import annotations

import hashlib
import re
from typing import Literal, get_args

from pydantic import Field

from cotgen.records.base import Record, canonical_json
from cotgen.records.pair import Pair, Support
from cotgen.records.statement import Basis

REVIEW_SCHEMA: Literal["cotgen/review/1"] = "cotgen/review/1"
#: `withdrawn` takes an earlier mark back.
Verdict = Literal["right", "wrong", "unsure", "withdrawn"]
VERDICTS: tuple[str, ...] = get_args(Verdict)
#: The number that stands for the chain as a whole.
WHOLE_CHAIN = -1
LONGEST_NOTE = 4000

_BOX = re.compile(r"<bbox:([0-9]+)>")


class Review(Record):
    """One mark. A later one of the same reviewer on the same thing takes its place.

    A mark holds the hash of what was read, so that a chain that is written anew does not inherit it, and what that was,
    so that marks can be counted without the data set.

    Attributes:
        schema_: always `cotgen/review/1`; called `schema` on disk.
        pair: `key#id`.
        statement: number of the sentence (0-based, in reading order), -1 for the chain as a whole.
        sha256: `marked_sha256` of what was read.
        verdict: right, wrong, unsure, or withdrawn.
        note: in the reviewer's words.
        reviewer: who says so.
        level: of the sentence; 0 for the chain.
        basis: of the sentence; "" for the chain.
        task: of the pair.
        writer: of the pair.
        support: of the pair.
    """

    schema_: Literal["cotgen/review/1"] = Field(default=REVIEW_SCHEMA, alias="schema")
    pair: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*#[a-z0-9_]+(\.[a-z0-9_]+)+$")
    statement: int = Field(ge=WHOLE_CHAIN)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    verdict: Verdict
    note: str = Field(default="", max_length=LONGEST_NOTE)
    reviewer: str = Field(min_length=1, max_length=80)
    level: Literal[0, 1, 2, 3]
    basis: Basis | Literal[""]
    task: str
    writer: str
    support: Support

    @classmethod
    def of(cls, key: str, pair: Pair, statement: int, verdict: Verdict, reviewer: str, note: str = "") -> Review:
        """The mark of one reviewer on a sentence of a stored pair, or on its chain.

        Raises:
            IndexError: the chain has no such sentence.
        """
        sentence = None if statement == WHOLE_CHAIN else pair.statements[statement]
        return cls(
            pair=f"{key}#{pair.id}",
            statement=statement,
            sha256=marked_sha256(pair, statement),
            verdict=verdict,
            note=note,
            reviewer=reviewer,
            level=sentence.level if sentence else 0,
            basis=sentence.basis if sentence else "",
            task=pair.task,
            writer=pair.writer,
            support=pair.support,
        )


def marked_sha256(pair: Pair, statement: int) -> str:
    """sha256 of what a mark speaks of: a sentence with the boxes that it names, or question, chain and answer.

    Raises:
        IndexError: the chain has no such sentence.
    """
    if statement == WHOLE_CHAIN:
        texts = [sentence.text for sentence in pair.statements]
        read: list[object] = [pair.question, pair.options, pair.boxes, texts, pair.answer]
    else:
        text = pair.statements[statement].text
        read = [text, [pair.boxes[n] for n in map(int, _BOX.findall(text)) if n < len(pair.boxes)]]
    return hashlib.sha256(canonical_json(read)).hexdigest()
