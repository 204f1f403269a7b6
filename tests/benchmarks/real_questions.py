"""The questions of the real label files below COTGEN_REAL_DATA, without any picture."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cotgen.records import Scene
from cotgen.records.scene import PROCEDURES
from cotgen.sources import source
from cotgen.sources.base import SurgeryFacts, SurgeryFiles
from cotgen.surgeries.join import PRECEDENCE, scenes
from cotgen.tasks import TASKS, Question, plan_questions
from cotgen.tasks.runs import with_runs

#: Pixels of the pictures of the releases; label files do not say it.
SIZE = (854, 480)


@dataclass(frozen=True)
class RealSurgery:
    """A surgery, the sources that label it, its labelled instants, and (instant, question, number of its run)."""

    surgery: str
    sources: tuple[str, ...]
    scenes: list[Scene]
    questions: list[tuple[int, Question, int]]


def real_surgeries(real: Path) -> Iterator[RealSurgery]:
    """All surgeries of Cholec80 with phases and tools, CholecT50, Endoscapes and MultiBypass140, joined on one clock."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("cholect50-challenge-val", "cholect50-challenge-train"):
            (root / name).symlink_to(real / name)
        found: dict[str, list[SurgeryFacts]] = {}
        names: dict[str, list[str]] = {}
        for name, base, files in _files(real, root):
            facts = source(name).facts(base, files)
            if PROCEDURES[files.surgery.partition("/")[0]] == "gastric_bypass":
                # Half a million seconds: one surgery at a time, since nothing is joined with them.
                yield _asked(files.surgery, [name], [facts])
            else:
                found.setdefault(files.surgery, []).append(facts)
                names.setdefault(files.surgery, []).append(name)
        for surgery, together in found.items():
            yield _asked(surgery, names[surgery], together)


def _files(real: Path, joined: Path) -> Iterator[tuple[str, Path, SurgeryFiles]]:
    for path in sorted((real / "cholec80/phase_annotations").glob("video*-phase.txt")):
        video = path.name.partition("-")[0]
        roles = tuple((kind, f"{kind}_annotations/{video}-{kind}.txt") for kind in ("phase", "tool"))
        yield "cholec80", real / "cholec80", SurgeryFiles(f"cholec80/{int(video[5:])}", roles)
    for name, base in (("cholect50", joined), ("endoscapes", real / "endoscapes")):
        scan = source(name).scan(base)
        assert scan is not None, f"{base} holds no {name}"
        yield from ((name, scan.root, files) for files in scan.surgeries)
    base = real / "multibypass140"
    for path in sorted(base.glob("labels/*/labels_by70/*.json")):
        files = SurgeryFiles(
            f"multibypass140/{path.name[:5].lower()}", (("labels", path.relative_to(base).as_posix()),)
        )
        yield "multibypass140", base, files


def _asked(surgery: str, names: list[str], facts: list[SurgeryFacts]) -> RealSurgery:
    indices = {index for item in facts for index in item.labelled["index"].unique().to_list()}
    native = dict.fromkeys(names, SIZE)
    procedure = PROCEDURES[surgery.partition("/")[0]]
    found = scenes(facts, {}, dict.fromkeys(sorted(indices), SIZE), procedure, PRECEDENCE, None, native)
    return RealSurgery(surgery, tuple(names), found, list(with_runs(found, plan_questions(found, TASKS, 0))))
