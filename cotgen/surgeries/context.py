"""Context: the labelled instants of the last seconds before a frame, on its surgery's clock.

Never later ones, none across a gap of the labels, none beyond an instant whose sources contradict one another, and none that
was withdrawn. Boxes are left out: they are of pictures that the sample does not hold.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from fractions import Fraction

from cotgen.records import Context, Fact, Scene, disputes
from cotgen.sources.base import SurgeryFacts


def with_context(
    scenes: Sequence[Scene],
    facts: Sequence[SurgeryFacts],
    *,
    seconds: int,
    clock: str,
    every: int,
    without: Collection[int] = (),
) -> list[Scene]:
    """The same scenes, each with what was labelled in the seconds before it, the earliest instant first.

    Args:
        scenes: of one surgery.
        facts: one entry per source, at `every` frames of the clock from one instant to the next.
        seconds: how far back.
        clock: frames a second of the surgery's clock, `25/1`.
        every: frames of the clock between two instants that follow one another; a longer step is a gap.
        without: frames that must not be told of.
    """
    rate = Fraction(clock)
    labelled: dict[int, set[str]] = defaultdict(set)
    found: dict[int, list[Fact]] = defaultdict(list)
    hidden = set(without)
    for item in sorted(facts, key=lambda item: sorted(item.labelled["name"].unique())):
        for index, name in item.labelled.select("index", "name").iter_rows():
            if index not in hidden:
                labelled[index].add(name)
        for index, id, kind, terms, value, source in item.facts.select(
            "index", "id", "kind", "terms", "value", "source"
        ).iter_rows():
            if index not in hidden:
                found[index].append(Fact(id=id, kind=kind, terms=terms, box=[], value=value, source=source))
    instants = sorted(labelled)
    result = []
    for scene in scenes:
        earliest = scene.index - seconds * rate
        told: list[Context] = []
        later = scene.index
        for index in reversed(instants[: bisect_left(instants, scene.index)]):
            if index < earliest or later - index > every or disputes(found[index], labelled[index]):
                break
            told.append(Context(offset_s=float((index - scene.index) / rate), facts=found[index]))
            later = index
        result.append(replace(scene, context=tuple(reversed(told))))
    return result
