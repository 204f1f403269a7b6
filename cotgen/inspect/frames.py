"""What only the records tell: labels over time and together, boxes, the length of chains and what sentences rest on.

`FrameCounts.add` takes the plain values of one record; what is kept are counters over terms, tasks and surgeries, and
eight bytes for each frame with a phase.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from cotgen.inspect.balance import split_order, task_order
from cotgen.inspect.record import (
    AREAS,
    GRID,
    Agreement,
    BasisCount,
    Boxes,
    Length,
    Ribbon,
    Segment,
    Spread,
    TermAgreement,
    Together,
    TripletCount,
)
from cotgen.ontology import terms_of, vocabulary
from cotgen.records import BASES
from cotgen.surgeries.identity import order_of

#: Kinds of fact -> what of them is counted together.
_TOGETHER = ("instrument", "triplet", "anatomy")
#: A stretch of a ribbon goes on over a gap of so many times the usual distance of two frames, but of no more than so many
#: seconds; nor does one frame tell of more than half of that. A few frames of an hour would else fill it.
_GAP, _LONGEST_GAP_S = 10, 60


class FrameCounts:
    """Counts over records; the order in which these come changes nothing."""

    def __init__(self) -> None:
        self.read = 0
        self._phases: dict[tuple[str, str, str, str], tuple[array[int], array[int]]] = {}
        self._terms: dict[str, int] = {}
        self._labelled = Counter[tuple[str, str]]()
        self._pairs = Counter[tuple[str, str, str, str]]()
        self._triplets = Counter[tuple[str, str, tuple[str, ...]]]()
        self._areas: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * (len(AREAS) + 1))
        self._cover: dict[tuple[str, str], npt.NDArray[np.int64]] = {}
        self._words: dict[tuple[str, str, int], Counter[int]] = defaultdict(Counter)
        self._sentences: dict[tuple[str, str, int], Counter[int]] = defaultdict(Counter)
        self._bases = Counter[tuple[str, str, int, str]]()
        self._beside = Counter[tuple[str, str, str, bool]]()
        self._agreed = Counter[tuple[str, str, str, str, bool, bool]]()

    def add(self, record: dict[str, Any]) -> None:
        """Count one record. Raises KeyError, TypeError or ValueError if it is none."""
        self.read += 1
        named: dict[tuple[str, str], dict[str, None]] = {}
        for name in record["labelled"]:
            source, _, kind = name.partition(".")
            named[source, kind] = {}
        frame = record["frame"]
        boxes: dict[tuple[str, str, tuple[int, ...]], None] = {}
        for fact in record["facts"]:
            key = fact["source"], fact["kind"]
            terms = fact["terms"]
            named.setdefault(key, {})[terms[0]] = None
            if fact["kind"] == "triplet" and len(terms) == 3:
                self._triplets[fact["source"], record["split"], tuple(terms)] += 1
            if fact["box"] and frame["width"] and frame["height"]:
                # One outline, whether it is told as an instrument, by its side or by its act.
                boxes[fact["source"], terms[0], tuple(fact["box"])] = None
        for source, thing, box in boxes:
            self._box(source, thing, box, frame["width"], frame["height"])
        for (source, kind), found in named.items():
            if kind == "phase":
                self._phase(record, source, found)
            elif kind in _TOGETHER:
                self._together(source, kind, found)
        self._compare(named)
        for pair in record["pairs"]:
            self._chain(pair)

    def _phase(self, record: dict[str, Any], source: str, found: dict[str, None]) -> None:
        key = record["surgery"], record["split"], source, record["frame"]["fps"]
        places, codes = self._phases.setdefault(key, (array("l"), array("h")))
        for phase in found:
            places.append(record["frame"]["index"])
            codes.append(self._terms.setdefault(phase, len(self._terms)))

    def _together(self, source: str, kind: str, found: dict[str, None]) -> None:
        self._labelled[source, kind] += 1
        names = sorted(found)
        for n, one in enumerate(names):
            for other in names[n:]:
                self._pairs[source, kind, one, other] += 1

    def _box(self, source: str, term: str, box: Sequence[int], width: int, height: int) -> None:
        x1, y1, x2, y2 = box
        thousandths = 1000 * (x2 - x1) * (y2 - y1)
        place = sum(thousandths >= limit * width * height for limit in AREAS)
        self._areas[source, term][place] += 1
        cover = self._cover.get((source, term))
        if cover is None:
            cover = self._cover[source, term] = np.zeros((GRID[1], GRID[0]), np.int64)
        # Cells whose centre is inside: x1 <= (n + 1/2) * width / columns < x2.
        left, right = (-((-2 * x * GRID[0] + width) // (2 * width)) for x in (x1, x2))
        top, bottom = (-((-2 * y * GRID[1] + height) // (2 * height)) for y in (y1, y2))
        cover[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] += 1

    def _compare(self, named: dict[tuple[str, str], dict[str, None]]) -> None:
        """Phases of two sources, and the instruments in view by one with those at work by another."""
        phases = {source: found for (source, kind), found in named.items() if kind == "phase"}
        tools: dict[str, dict[str, None]] = {}
        for (source, kind), found in named.items():
            if kind in ("instrument", "triplet"):
                tools[source] = {**tools.get(source, {}), **found}
        for kind, says in (("phase", phases), ("instrument", tools)):
            for one, other in combinations(sorted(says), 2):
                both = _shared(one, other, kind)
                a, b = says[one], says[other]
                if both is not None:
                    a, b = {t: None for t in a if t in both}, {t: None for t in b if t in both}
                self._beside[kind, one, other, a.keys() == b.keys()] += 1
                for term in sorted({*a, *b}):
                    self._agreed[kind, one, other, term, term in a, term in b] += 1

    def _chain(self, pair: dict[str, Any]) -> None:
        task, writer = pair["task"], pair["writer"]
        words, sentences = [0, 0, 0], [0, 0, 0]
        for statement in pair["statements"]:
            level, text = statement["level"], statement["text"]
            words[level - 1] += text.count(" ") + 1 - text.count("<bbox:")
            sentences[level - 1] += 1
            self._bases[task, writer, level, statement["basis"]] += 1
        for level in (1, 2, 3):
            self._words[task, writer, level][words[level - 1]] += 1
            self._sentences[task, writer, level][sentences[level - 1]] += 1

    def ribbons(self) -> list[Ribbon]:
        """The phases over time, by surgery and source."""
        codes = list(self._terms)
        found = []
        keys = sorted(self._phases, key=lambda key: (order_of(key[0]), key[2]))
        for surgery, split, source, fps in keys:
            places, phases = self._phases[surgery, split, source, fps]
            rows = sorted(zip(places, (codes[code] for code in phases), strict=True))
            found.append(Ribbon(surgery=surgery, split=split, source=source, segments=_segments(rows, fps)))
        return found

    def together(self) -> list[Together]:
        """What is named in the same frame, by source and kind."""
        rank = {item.id: n for kind in ("instrument", "anatomy") for n, item in enumerate(terms_of(kind))}
        found = []
        for (source, kind), frames in sorted(self._labelled.items()):
            pairs = {key[2:]: n for key, n in self._pairs.items() if key[:2] == (source, kind)}
            terms = sorted({name for pair in pairs for name in pair}, key=lambda name: (rank.get(name, 0), name))
            counts = [[pairs.get((min(a, b), max(a, b)), 0) for b in terms] for a in terms]
            found.append(Together(source=source, kind=kind, frames=frames, terms=terms, counts=counts))
        return found

    def triplets(self) -> list[TripletCount]:
        """Who does what to what, the most frequent first."""
        rows = [
            TripletCount(source=source, split=split, terms=list(terms), frames=n)
            for (source, split, terms), n in self._triplets.items()
        ]
        return sorted(rows, key=lambda row: (row.source, split_order(row.split), -row.frames, row.terms))

    def boxes(self) -> list[Boxes]:
        """Sizes and places, by source and thing."""
        return [
            Boxes(source=source, term=term, boxes=sum(areas), areas=areas, cover=self._cover[source, term].tolist())
            for (source, term), areas in sorted(self._areas.items())
        ]

    def lengths(self) -> list[Length]:
        """How long chains are, by task, writer and level."""
        keys = sorted(self._words, key=lambda key: (task_order(key[0]), *key[1:]))
        return [
            Length(
                task=key[0],
                writer=key[1],
                level=key[2],
                chains=self._words[key].total(),
                sentences=Spread.of(self._sentences[key]),
                words=Spread.of(self._words[key]),
            )
            for key in keys
        ]

    def bases(self) -> list[BasisCount]:
        """What sentences rest on, by task, writer and level."""
        rows = [
            BasisCount(task=task, writer=writer, level=level, basis=basis, sentences=n)
            for (task, writer, level, basis), n in self._bases.items()
        ]
        rank = {basis: n for n, basis in enumerate(BASES)}
        return sorted(rows, key=lambda row: (task_order(row.task), row.writer, row.level, rank.get(row.basis, 9)))

    def agreement(self) -> list[Agreement]:
        """Labels of two sources side by side."""
        found = []
        for kind, one, other in sorted({key[:3] for key in self._beside}):
            equal, unlike = (self._beside[kind, one, other, same] for same in (True, False))
            names = sorted({key[3] for key in self._agreed if key[:3] == (kind, one, other)})

            def count(term: str, a: bool, b: bool, key: tuple[str, str, str] = (kind, one, other)) -> int:
                return self._agreed[(*key, term, a, b)]

            terms = [
                TermAgreement(
                    term=name,
                    both=count(name, True, True),
                    one_only=count(name, True, False),
                    other_only=count(name, False, True),
                )
                for name in names
            ]
            found.append(Agreement(kind=kind, one=one, other=other, frames=equal + unlike, equal=equal, terms=terms))
        return found


def _shared(one: str, other: str, kind: str) -> frozenset[str] | None:
    """The terms that both sources know; None where one of them has no list of its own."""
    lists = [frozenset(item.id for item in vocabulary(source, kind)) for source in (one, other)]
    return lists[0] & lists[1] if all(lists) else None


def _segments(rows: Iterable[tuple[int, str]], fps: str) -> list[Segment]:
    """Stretches of one phase from (frame index, phase) in time order."""
    rows = list(rows)
    frames, _, seconds = fps.partition("/")
    steps = sorted(b[0] - a[0] for a, b in pairwise(rows) if b[0] > a[0])
    longest = _LONGEST_GAP_S * int(frames) // int(seconds)
    step = max(1, min(steps[len(steps) // 2] if steps else int(frames) // int(seconds), longest // 2))
    gap = max(step, min(_GAP * step, longest))

    def time(index: int) -> float:
        return round(index * int(seconds) / int(frames), 2)

    found: list[tuple[int, int, str]] = []
    for index, phase in rows:
        if found:
            start, end, last = found[-1]
            joined = index - (end - step) <= gap
            if joined:
                found[-1] = (start, index if phase != last else index + step, last)
            if joined and phase == last:
                continue
        found.append((index, index + step, phase))
    return [Segment(start_s=time(start), end_s=time(end), phase=phase) for start, end, phase in found]
