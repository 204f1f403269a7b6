"""Fact: what one source says of one frame, in ontology terms."""

from __future__ import annotations

from pydantic import Field

from cotgen.records.base import Record

#: `cholec80.instrument.0`: source, kind, and the running number in the source's own row order.
FACT_ID = r"^[a-z0-9_]+\.[a-z_]+\.[0-9]+$"


class Fact(Record):
    """One flat record for every kind of label.

    Attributes:
        id: `source.kind.n`; n counts in the source's own row order, so joining sources never renumbers it.
        kind: `phase`, `instrument`, `triplet`, `anatomy`, `cvs` ...
        terms: one ontology term, or instrument, verb, target for a triplet.
        box: `[x1, y1, x2, y2]` in pixels of the stored image, x2 and y2 exclusive; `[]` where the source has none.
            The box of a triplet is its instrument's.
        value: share of the raters who say so; 1.0 for a single label.
        source: name of the source that says it.
    """

    id: str = Field(pattern=FACT_ID)
    kind: str
    terms: list[str] = Field(min_length=1)
    box: list[int] = Field(default=[], max_length=4)
    value: float = Field(default=1.0, ge=0.0, le=1.0)
    source: str


class Measured(Record):
    """A number that the pixels give; never a label.

    Attributes:
        name: `brightness` (mean luma, 0-255), `contrast` (standard deviation of luma), `black` (1.0 or 0.0),
            `field` (the lit field of view of the surgery: its box and the share of the picture in it); of
            outlines: `area` (share of the picture), `gap` (pixels between two outlines, 0 where they touch), `ignored`
            (share of the picture that nobody judged) ...
        value: the number, rounded so that it is the same on every machine.
        box: the area it speaks of, in pixels; `[]` for the whole picture.
        of: ids of the facts whose outlines were measured, sorted; `[]` for the picture.
    """

    name: str
    value: float
    box: list[int] = []
    of: list[str] = []
