"""Join: what all sources say of one surgery, frame by frame, on the surgery's one clock."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from cotgen.errors import CotgenError
from cotgen.records import Fact, Measured, Scene, disputes, sample_key
from cotgen.sources.base import SurgeryFacts
from cotgen.surgeries.identity import aligned

#: For each kind of fact, the sources in the order in which a chain uses them: presence is Cholec80's, acts CholecT50's.
PRECEDENCE: dict[str, tuple[str, ...]] = {
    "instrument": ("cholec80",),
    "phase": ("cholec80", "cholect50"),
    "triplet": ("cholect50",),
}
#: Two pictures have one aspect ratio where they differ by no more than this, in percent.
SAME_ASPECT = 1
#: Smaller boxes are dropped: under 2 pixels there is nothing to point at.
LEAST_PIXELS = 2


def pixels_of(box: Sequence[float], width: int, height: int) -> list[int]:
    """A normalised box in pixels of a picture of that size.

    Args:
        box: x1, y1, x2, y2 in 0..1, or empty.
        width: in pixels.
        height: in pixels.

    Returns:
        `[x1, y1, x2, y2]`, each rounded to the nearest pixel edge and clipped to the picture, x2 and y2 exclusive;
        `[]` where the box is empty, has a side under `LEAST_PIXELS` or is not of finite numbers.
    """
    if len(box) != 4 or not all(math.isfinite(value) for value in box):
        return []
    inside = [min(max(value, 0.0), 1.0) for value in box]
    x1, x2 = (math.floor(inside[n] * width + 0.5) for n in (0, 2))
    y1, y2 = (math.floor(inside[n] * height + 0.5) for n in (1, 3))
    return [x1, y1, x2, y2] if min(x2 - x1, y2 - y1) >= LEAST_PIXELS else []


def scenes(
    facts: Sequence[SurgeryFacts],
    measured: Mapping[int, Sequence[Measured]],
    size: Mapping[int, tuple[int, int]],
    procedure: str,
    precedence: Mapping[str, tuple[str, ...]],
    counts: Counter[str] | None = None,
    native: Mapping[str, tuple[int, int]] | None = None,
) -> list[Scene]:
    """The scenes of one surgery in time order: one for each frame that is labelled and has a picture.

    Sources stay side by side; nothing is renumbered or merged, and the order in which they are given changes nothing.

    Args:
        facts: one entry per source, all of the same surgery and of aligned sources.
        measured: frame index -> what its pixels give; a frame may be missing.
        size: frame index -> (width, height) of the stored picture; a labelled frame that is not here gets no scene.
        procedure: which operation it is.
        precedence: kind of fact -> sources in the order in which a chain may use them.
        counts: where given, `box_dropped`, `box_of_other_aspect`, `frame_without_picture` and `disputed_KIND` are added.
        native: source -> (width, height) of its own pictures, where they are not those that are stored: its boxes are
            mapped where the aspect ratios agree within 1 %, else left out.

    Raises:
        CotgenError: the facts are of several surgeries, or of sources that do not share a clock.
    """
    surgeries = sorted({item.surgery for item in facts})
    if len(surgeries) > 1:
        raise CotgenError(f"facts of several surgeries cannot be joined: {', '.join(surgeries)}")
    sources = sorted({name.partition(".")[0] for item in facts for name in item.labelled["name"].unique()})
    if not aligned(sources):
        raise CotgenError(
            f"the clocks of {', '.join(sources)} in {surgeries[0]} are not known to agree, so their facts cannot be "
            "joined; build them as separate data sets with the same --split and use cotgen merge"
        )
    counted = counts if counts is not None else Counter[str]()
    labelled: dict[int, set[str]] = defaultdict(set)
    outlined: dict[int, list[Measured]] = defaultdict(list)
    found: dict[int, list[Fact]] = defaultdict(list)
    for item in sorted(facts, key=lambda item: sorted(item.labelled["name"].unique())):
        for index, name in item.labelled.select("index", "name").iter_rows():
            labelled[index].add(name)
        for index, name, value, of in item.measured.select("index", "name", "value", "of").iter_rows():
            outlined[index].append(Measured(name=name, value=value, of=of))
        columns = item.facts.select("index", "id", "kind", "terms", "box", "value", "source")
        for index, id, kind, terms, box, value, source in columns.iter_rows():
            if index not in size:
                continue
            if box and not _same_aspect((native or {}).get(source), size[index]):
                counted["box_of_other_aspect"] += 1
                box = []
            pixels = pixels_of(box, *size[index]) if box else []
            counted["box_dropped"] += bool(box) and not pixels
            found[index].append(Fact(id=id, kind=kind, terms=terms, box=pixels, value=value, source=source))
    joined = []
    for index in sorted(labelled):
        if index not in size:
            counted["frame_without_picture"] += 1
            continue
        disputed = disputes(found[index], labelled[index])
        counted.update(f"disputed_{kind}" for kind in disputed)
        joined.append(
            Scene(
                key=sample_key(surgeries[0], index),
                surgery=surgeries[0],
                index=index,
                labelled=frozenset(labelled[index]),
                facts=tuple(found[index]),
                measured=(*measured.get(index, ()), *outlined.get(index, ())),
                procedure=procedure,
                precedence=precedence,
                size=size[index],
                disputed=disputed,
            )
        )
    return joined


def _same_aspect(native: tuple[int, int] | None, stored: tuple[int, int]) -> bool:
    if native is None or not all((*native, *stored)):
        return True
    one, other = native[0] * stored[1], native[1] * stored[0]
    return 100 * abs(one - other) <= SAME_ASPECT * max(one, other)
