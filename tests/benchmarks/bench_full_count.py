"""Pairs of a full set of downloads, one question time a second: counted on real label files, scaled by published counts.

What a build drops later is in: black frames, chains that a check refuses. Endoscapes' judged frames without outlines, which
get no chain, are left out here already.
"""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from cotgen.tasks import TASKS
from tests.benchmarks.real_questions import RealSurgery, real_surgeries

#: What Surg-R1 has, and what a full build is to have at least.
TARGET = 320_000
BOXED = ("localization", "count", "position")


@dataclass(frozen=True)
class Part:
    """Questions of one source whose number is known on some of its instants or surgeries.

    Attributes:
        source: whose labels are asked about.
        tasks: which tasks.
        whole: how many instants or surgeries a full download has, as published.
        unit: what is counted, for the last column.
        of: how many of them the real files of one surgery have; 0 where they have none.
    """

    source: str
    tasks: tuple[str, ...]
    whole: int
    unit: str
    of: Callable[[RealSurgery], int]


def _labelled(kind: str, source: str) -> Callable[[RealSurgery], int]:
    return lambda found: sum(scene.says(kind) == source for scene in found.scenes)


def _boxed(found: RealSurgery) -> int:
    return sum(any(f.box and f.source == "cholect50" and f.kind == "triplet" for f in s.facts) for s in found.scenes)


#: datasets-cholecystectomy.md 1 (184,498 tool rows and, in each of 80 videos, one second more with a phase), 2 (100,863
#: frames; 1,128 key frames with boxes), 3 (1,933 boxed frames), 4.10 (140 videos).
PARTS = (
    Part(
        "cholec80",
        ("phase", "tool_presence", "tool_count", "tool_yesno"),
        184_578,
        "seconds",
        _labelled("phase", "cholec80"),
    ),
    Part("cholect50", ("triplet",), 100_863, "seconds", _labelled("triplet", "cholect50")),
    Part("cholect50 boxes", BOXED, 1_128, "key frames", _boxed),
    Part(
        "endoscapes",
        ("anatomy", "cvs", "localization", "position"),
        1_933,
        "boxed frames",
        _labelled("anatomy", "endoscapes"),
    ),
    Part(
        "multibypass140",
        ("phase", "step", "camera"),
        140,
        "surgeries",
        lambda found: int(found.sources == ("multibypass140",)),
    ),
)

#: Source, task, pairs, runs (0 where nobody published what they could be counted from), and where that is from.
PUBLISHED = (
    # All frames less Cholec80's rows of the 45 shared surgeries; seven phases each.
    (
        "cholect50",
        "phase",
        2 * (100_863 - 90_487),
        5 * 7,
        "published: seconds of the five surgeries that Cholec80 lacks",
    ),
    # surg-r1.md 4.1; two questions about every tenth of the 10 Hz labels.
    ("sar_rarp50", "action", 2 * (108_526 // 10), 0, "published: 108,526 labelled pictures at 10 Hz, a tenth of them"),
    # datasets-robotic.md 1: 8 x 225 and 2 x 300 frames at 2 Hz, an instrument in each.
    ("endovis17", "count", 2_400 // 2, 0, "published: frames at 2 Hz, half of them"),
    ("endovis17", "localization", 2 * 2_400 // 2, 0, "published: the same, all instruments and at least one kind"),
    # datasets-robotic.md 4: 1,560 + 447 frames at 2 Hz, 3,728 states in the 1,560.
    ("endovis18", "count", 2_007 // 2, 0, "published: frames with states at 2 Hz, half of them"),
    (
        "endovis18",
        "triplet",
        (2_007 + 2_007 * 3_728 // 1_560) // 2,
        0,
        "published: the same, and 3,728 states in 1,560",
    ),
    ("endovis18", "localization", (2_007 + 2_007 * 3_728 // 1_560) // 2, 0, "published: the same"),
)


def run() -> str:
    real = os.environ.get("COTGEN_REAL_DATA", "")
    if not real:
        return "COTGEN_REAL_DATA is not set."
    pairs, runs = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    held, surgeries = Counter[str](), Counter[str]()
    for found in real_surgeries(Path(real)):
        asked = Counter(question.task for _, question, _ in found.questions)
        different = Counter(task for task, _ in {(question.task, number) for _, question, number in found.questions})
        for part in PARTS:
            if count := part.of(found):
                held[part.source] += count
                surgeries[part.source] += 1
                for task in part.tasks:
                    pairs[part.source, task] += asked[task]
                    runs[part.source, task] += different[task]
    rows = []
    for part in PARTS:
        scale = Fraction(part.whole, held[part.source])
        made = f"scaled from {held[part.source]:,} of {part.whole:,} {part.unit}"
        if part.unit != "surgeries":
            made += f" ({surgeries[part.source]} with real files)"
        made = "counted" if scale == 1 else made
        for task in TASKS:
            if count := pairs[part.source, task]:
                rows.append((part.source, task, round(count * scale), round(runs[part.source, task] * scale), made))
    rows += PUBLISHED
    lines = ["| labels of | task | pairs | different runs | how |", "|---|---|---:|---:|---|"]
    for source, task, count, different_runs, made in rows:
        lines.append(
            f"| {source} | {task} | {count:,} | {f'{different_runs:,}' if different_runs else 'not known'} | {made} |"
        )
    total, distinct = sum(row[2] for row in rows), sum(row[3] for row in rows)
    lines.append(
        f"| all | | {total:,} | {distinct:,} | at least {TARGET:,} pairs: {'yes' if total >= TARGET else 'no'} |"
    )
    return "\n".join(lines)
