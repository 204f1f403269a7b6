"""Scene: what is known of one frame, in memory, for tasks, writers and checks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from cotgen.records.fact import Fact, Measured
from cotgen.records.sample import Context, Sample

#: Family of a surgery -> which operation it is.
PROCEDURES = {
    "cholec80": "cholecystectomy",
    "endoscapes": "cholecystectomy",
    "multibypass140": "gastric_bypass",
    "sar_rarp50": "prostatectomy",
    "endovis17": "robotic_surgery",
    "endovis18": "nephrectomy",
}
#: Among Cholec80's instruments, and no instrument of CholecT50.
BAG = "instrument.specimen_bag"


@dataclass(frozen=True, slots=True)
class Scene:
    """The facts of one frame and what was labelled at all.

    *Not labelled* and *labelled as none* differ: ask `says(kind)` first.

    Attributes:
        key: sample key.
        surgery: `cholec80/73`.
        index: frame number on the surgery's clock.
        labelled: `source.kind` entries.
        facts: all facts, sources side by side.
        measured: what the pixels and outlines give; empty where nothing was decoded and nothing is outlined.
        disputed: kinds of fact that sources of this frame contradict one another in, so that nothing is asked of them.
        context: earlier instants, where asked for.
        size: width and height of the stored picture in pixels; (0, 0) where it is not known.
        procedure: which operation it is, so that knowledge of another one is never used.
        precedence: for each kind of fact, the sources in the order in which a chain may use them.
    """

    key: str
    surgery: str
    index: int
    labelled: frozenset[str]
    facts: tuple[Fact, ...]
    measured: tuple[Measured, ...] = ()
    procedure: str = "cholecystectomy"
    precedence: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    size: tuple[int, int] = (0, 0)
    disputed: frozenset[str] = frozenset()
    context: tuple[Context, ...] = ()

    @classmethod
    def of(cls, sample: Sample, precedence: Mapping[str, tuple[str, ...]] | None = None) -> Scene:
        """The scene of a stored sample."""
        return cls(
            key=sample.key,
            surgery=sample.surgery,
            index=sample.frame.index,
            labelled=frozenset(sample.labelled),
            facts=tuple(sample.facts),
            measured=tuple(sample.measured),
            procedure=PROCEDURES.get(sample.surgery.partition("/")[0], "cholecystectomy"),
            context=tuple(sample.context),
            precedence=precedence or {},
            size=(sample.frame.width, sample.frame.height),
            disputed=disputes(sample.facts, sample.labelled),
        )

    def says(self, kind: str) -> str:
        """The source whose labels of this kind a chain uses: first by precedence, then by name; "" if none labels it."""
        candidates = sorted(name.partition(".")[0] for name in self.labelled if name.partition(".")[2] == kind)
        for source in self.precedence.get(kind, ()):
            if source in candidates:
                return source
        return candidates[0] if candidates else ""

    def of_kind(self, kind: str) -> tuple[Fact, ...]:
        """The facts of that kind by the source that `says` names, in row order."""
        source = self.says(kind)
        return tuple(fact for fact in self.facts if fact.kind == kind and fact.source == source)

    def terms(self, kind: str) -> tuple[str, ...]:
        """The first term of each fact of that kind, without repeats, in row order."""
        return tuple(dict.fromkeys(fact.terms[0] for fact in self.of_kind(kind)))

    def measure(self, name: str, *of: str) -> float | None:
        """A measured number of the whole picture, or of the outlines of these facts; None where it was not measured."""
        wanted = sorted(of)
        return next((m.value for m in self.measured if m.name == name and m.of == wanted and not m.box), None)

    @property
    def knows_all_instruments(self) -> bool:
        """Whether the source of instruments says of every kind that it knows whether it is in view.

        Cholec80 does; one's own table does where it labels `presence` beside them.
        """
        source = self.says("instrument")
        return source == "cholec80" or f"{source}.presence" in self.labelled

    @property
    def lit_field(self) -> tuple[int, int, int, int]:
        """The lit field of view in pixels: as measured, else the whole picture; (0, 0, 0, 0) where neither is known."""
        x1, y1, x2, y2 = next(
            (m.box for m in self.measured if m.name == "field" and len(m.box) == 4), (0, 0, *self.size)
        )
        return x1, y1, x2, y2

    @property
    def has_field(self) -> bool:
        """Whether there is an operative field to ask about: False only where the picture was measured to be black."""
        return self.measure("black") != 1.0


def disputes(facts: Sequence[Fact], labelled: Collection[str]) -> frozenset[str]:
    """The kinds of fact in which the sources of a frame contradict one another, so that no chain may rest on them.

    `instrument` and `triplet`: Cholec80 and CholecT50 each name an instrument that the other lacks. That one names more
    is no contradiction: a tip may be hidden where an act is labelled, and an idle instrument need not be. The bag is no
    instrument of CholecT50. `instrument` alone: no instrument is in view by Cholec80 and one acts by CholecT50. `phase`: two
    sources name different phases.
    """
    found: set[str] = set()
    seen = {fact.terms[0] for fact in facts if fact.kind == "instrument" and fact.source == "cholec80"} - {BAG}
    acting = {
        fact.terms[0] for fact in facts if fact.kind in ("triplet", "boxed_triplet") and fact.source == "cholect50"
    }
    both = "cholec80.instrument" in labelled and not {"cholect50.triplet", "cholect50.boxed_triplet"}.isdisjoint(
        labelled
    )
    if both and seen - acting and acting - seen:
        found |= {"instrument", "triplet"}
    elif both and acting and not seen:
        found.add("instrument")
    phases = {fact.source: fact.terms[0] for fact in facts if fact.kind == "phase"}
    if len(set(phases.values())) > 1:
        found.add("phase")
    return frozenset(found)
