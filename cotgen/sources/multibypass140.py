"""MultiBypass140: phases and steps of 140 gastric bypasses of two centres, Bern and Strasbourg.

Read are the label files of the repository (`labels/bern/labels_by70/BBP01.mp4.json`, times in milliseconds) with the
videos, or with pictures taken once a second (`BernBypass70/frames/BBP01/BBP01_00000001.jpg`, file n is second n - 1).
The clock has 25 frames a second. `out_of_body` and `severe_index` lie over the phases: a second outside the body carries
that and no phase or step; `severe_index` speaks of the patient's course and is never used. The official pickles of one
row per second are not read: unpickling runs code, and the label files say the same.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from cotgen.errors import SourceError
from cotgen.ontology import alias
from cotgen.records import SourceTerms
from cotgen.sources.base import (
    FACTS_SCHEMA,
    LABELLED_SCHEMA,
    Description,
    Footage,
    Oddity,
    Scan,
    SurgeryFacts,
    SurgeryFiles,
    inside,
)
from cotgen.sources.files import is_file, is_folder, names_in, read_bytes, read_json

SECOND = 25
OVERLAYS = {"out_of_body": 12, "severe_index": 13}
OUTSIDE = "view.out_of_body"
#: Longest operation that is read, in milliseconds: two days.
MOST_MS = 2 * 86_400_000
MOST_SEGMENTS = 10_000
#: How deep below the root folders are looked for: root/datasets/MultiBypass140/BernBypass70/frames/BBP01.
DEPTH = 5

_LABEL = re.compile(r"([BS]BP[0-9]{2})(?:\.mp4)?\.json", re.IGNORECASE)
_VIDEO = re.compile(r"([BS]BP[0-9]{2})\.(?:mp4|avi|mkv|mov)", re.IGNORECASE)
_FOLDER = re.compile(r"[BS]BP[0-9]{2}", re.IGNORECASE)
_PICTURE = re.compile(r"[BS]BP[0-9]{2}_([0-9]{8})\.(?:jpe?g|png)", re.IGNORECASE)


class MultiBypass140:
    """Reads MultiBypass140."""

    name = "multibypass140"

    def describe(self) -> Description:
        """Licence, access, layout, levels, splits."""
        return Description(
            terms=SourceTerms(
                name=self.name,
                title="MultiBypass140",
                licence="CC BY-NC-SA 4.0",
                homepage="https://github.com/CAMMA-public/MultiBypass140",
                citation=(
                    "J. L. Lavanchy, S. Ramesh, D. Dall'Alba, C. Gonzalez, P. Fiorini, B. P. Mueller-Stich, P. C. Nett, "
                    "J. Marescaux, D. Mutter, N. Padoy. Challenges in multi-centric generalization: phase and step "
                    "recognition in Roux-en-Y gastric bypass surgery. International Journal of Computer Assisted "
                    "Radiology and Surgery, 2024. doi:10.1007/s11548-024-03166-3"
                ),
                share_frames=True,
                share_text=True,
            ),
            access="Videos and labels: https://github.com/CAMMA-public/MultiBypass140, without a form.",
            layout=(
                "labels/bern/labels_by70/BBP01.mp4.json, labels/strasbourg/labels_by70/SBP01.mp4.json ...",
                "BBP01.mp4 ... in any folder up to five deep (multibypass01/ ...), or",
                "frames/BBP01/BBP01_00000001.jpg ..., file n is second n - 1",
            ),
            levels=(
                "level 1: whether the camera is inside the body",
                "level 2: the step as an act, the phase as a site",
                "level 3: twelve phases, 45 steps",
            ),
            splits=("fold_0",),
            fps="25/1",
            procedure="gastric_bypass",
        )

    def scan(self, root: Path) -> Scan | None:
        """What `root` holds; None where there is no label file.

        Raises:
            SourceError: a folder cannot be listed.
        """
        labels, videos, folders = _look(root)
        if not labels:
            return None
        surgeries, incomplete, oddities = [], [], []
        for name in sorted({*labels, *videos, *folders}):
            surgery = f"{self.name}/{name}"
            if name not in labels:
                first = (videos.get(name) or folders[name])[0]
                incomplete.append((surgery, f"{first} has no labels ({name.upper()}.mp4.json)"))
                continue
            for files in (labels[name], videos.get(name, [])):
                if len(files) > 1:
                    incomplete.append((surgery, f"{' and '.join(files)} are both of this surgery; keep one of them"))
                    break
            else:
                video = videos.get(name, [""])[0]
                images, problem, odd = ((), "", []) if video else _pictures(root, folders.get(name, []))
                oddities += odd
                if problem or not (video or images):
                    incomplete.append((surgery, problem or f"{labels[name][0]} has no video and no pictures"))
                    continue
                surgeries.append(SurgeryFiles(surgery, (("labels", labels[name][0]),), video, images))
        return Scan(self.name, root, tuple(surgeries), tuple(incomplete), tuple(oddities))

    def missing(self, root: Path) -> str:
        """Why `scan` did not recognise `root`."""
        if not is_folder(root):
            return "is not there" if not root.exists() else "is a file, not a folder"
        shown = [ascii(name)[1:-1] for name in names_in(root)[:6]]
        return f"no labels_by70/BBP01.mp4.json in it, up to {DEPTH} folders deep; it holds {', '.join(shown) or 'nothing'}"

    def facts(self, root: Path, files: SurgeryFiles, step: int = SECOND) -> SurgeryFacts:
        """The labels of one surgery at the frames 0, step, 2 * step ... of its clock, from its first to its last label.

        Raises:
            SourceError: the label file is not as expected.
        """
        if step < 1:
            raise ValueError(f"step is {step}; at least 1 frame was expected")
        file = dict(files.annotations)["labels"]
        content = read_json(root, file)
        spans = {kind: _segments(content, f"{kind}s", kind, file) for kind in ("phase", "step")}
        outside = [(start, end) for start, end, name in spans["phase"] if name == "out_of_body"]
        real = {
            "phase": [segment for segment in spans["phase"] if segment[2] not in OVERLAYS],
            "step": spans["step"],
        }
        every = [segment for segments in real.values() for segment in segments]
        if not every:
            raise SourceError(
                "has no phase and no step; segments with start, end and label_name were expected", file=file
            )
        first, last = min(s[0] for s in every), max(s[1] for s in every)
        facts: list[tuple[Any, ...]] = []
        labelled: list[tuple[int, str]] = []
        counts: Counter[str] = Counter()
        for index in range(-(-first * SECOND // 1000 // step) * step, last * SECOND // 1000 + 1, step):
            if index * 1000 < first * SECOND or index * 1000 >= last * SECOND:
                continue
            at = index * 1000
            labelled.append((index, f"{self.name}.view"))
            if any(start * SECOND <= at < end * SECOND for start, end in outside):
                facts.append((index, f"{self.name}.view.0", "view", [OUTSIDE], [], 1.0, self.name))
                continue
            for kind, segments in real.items():
                names = {name for start, end, name in segments if start * SECOND <= at < end * SECOND}
                if len(names) == 1:
                    labelled.append((index, f"{self.name}.{kind}"))
                    id = alias(self.name, kind)[names.pop()]
                    facts.append((index, f"{self.name}.{kind}.0", kind, [id], [], 1.0, self.name))
                elif names:
                    counts[f"instants with two {kind}s at once, not labelled"] += 1
        oddities = [Oddity(file, text, count) for text, count in sorted(counts.items())]
        if _unfixed(root, file):
            oddities.append(
                Oddity(file, "a label file as it was before the correction of September 2025: get the new one")
            )
        return SurgeryFacts(
            files.surgery,
            pl.DataFrame(facts, schema=FACTS_SCHEMA, orient="row"),
            pl.DataFrame(sorted(labelled), schema=LABELLED_SCHEMA, orient="row"),
            tuple(oddities),
        )

    def frames(self, root: Path, files: SurgeryFiles) -> Footage:
        """The video, or the pictures where there is none.

        Raises:
            SourceError: a name leaves the root.
        """
        for file in [files.video] if files.video else [file for _, file in files.images]:
            inside(root, file)
        return Footage(self.name, root, files.video, () if files.video else files.images, "25/1")


def _look(root: Path) -> tuple[dict[str, list[str]], dict[str, list[str]], dict[str, list[str]]]:
    """Name of the surgery -> label files, videos, folders of pictures, all below root."""
    labels: dict[str, list[str]] = defaultdict(list)
    videos: dict[str, list[str]] = defaultdict(list)
    folders: dict[str, list[str]] = defaultdict(list)
    left = [("", 0)]
    while left:
        under, depth = left.pop(0)
        try:
            names = names_in(root, under)
        except SourceError:
            if not under:
                raise
            continue
        for name in names:
            path = f"{under}/{name}" if under else name
            if match := _LABEL.fullmatch(name):
                if is_file(root / path):
                    labels[match[1].lower()].append(path)
            elif match := _VIDEO.fullmatch(name):
                if is_file(root / path):
                    videos[match[1].lower()].append(path)
            elif _FOLDER.fullmatch(name) and is_folder(root / path):
                folders[name.lower()].append(path)
            elif depth < DEPTH and "." not in name and is_folder(root / path):
                left.append((path, depth + 1))
    return dict(labels), dict(videos), dict(folders)


def _pictures(root: Path, folders: Sequence[str]) -> tuple[tuple[tuple[int, str], ...], str, list[Oddity]]:
    """The pictures by their index on the clock, or what is wrong."""
    if len(folders) > 1:
        return (), f"{' and '.join(folders)} are both of this surgery; keep one of them", []
    found: dict[int, str] = {}
    others = 0
    for folder in folders:
        for name in names_in(root, folder):
            match = _PICTURE.fullmatch(name)
            if match is None or name[:5].lower() != folder.rpartition("/")[2].lower():
                others += 1
                continue
            number = int(match[1])
            if number == 0:
                return (
                    (),
                    f"{folder}/{name} is number 0: pictures count from 1 (file n is second n - 1); rename them",
                    [],
                )
            index = SECOND * (number - 1)
            if index in found:
                return (), f"{found[index]} and {folder}/{name} are both of one second; keep one of them", []
            found[index] = f"{folder}/{name}"
    odd = [Oddity(folders[0], "files that are not called BBP01_00000001.jpg, not read", others)] if others else []
    return tuple(sorted(found.items())), "", odd


def _segments(content: dict[str, Any], key: str, kind: str, file: str) -> list[tuple[int, int, str]]:
    """(start, end, name) in milliseconds, checked against the vocabulary."""
    rows = content.get(key)
    if not isinstance(rows, list) or len(rows) > MOST_SEGMENTS:
        raise SourceError(f"has no list of {key}; segments with start, end and label_name were expected", file=file)
    known = {name: number for number, name in enumerate(alias("multibypass140", kind))}
    if kind == "phase":
        known = {name: n for n, name in enumerate(_phase_names())} | OVERLAYS
    found = []
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise SourceError(f"{key} {number} is no object with start, end and label_name", file=file)
        start, end, name, id = (row.get(field) for field in ("start", "end", "label_name", "label_id"))
        if not (isinstance(start, int) and isinstance(end, int) and 0 <= start <= end <= MOST_MS):
            raise SourceError(f"{key} {number} lasts from {ascii(start)[:20]} to {ascii(end)[:20]} ms; "
                              "whole numbers, the first not above the second, were expected", file=file)  # fmt: skip
        if not isinstance(name, str) or name not in known:
            raise SourceError(
                f"{key} {number} is called {ascii(name)[:40]}, which is no {kind} of the data set", file=file
            )
        if id != known[name]:
            raise SourceError(
                f"{key} {number} is called {name} and has the number {ascii(id)[:20]}, not {known[name]}", file=file
            )
        found.append((start, end, name))
    return found


@cache
def _phase_names() -> tuple[str, ...]:
    """The twelve phases in the order of their numbers: the ontology has two of them among those of cholecystectomy."""
    text = (resources.files("cotgen.sources") / "multibypass140.yaml").read_text(encoding="utf-8")
    return tuple(yaml.safe_load(text)["phases"])


@cache
def _before_the_correction() -> frozenset[str]:
    text = (resources.files("cotgen.sources") / "multibypass140.yaml").read_text(encoding="utf-8")
    return frozenset(yaml.safe_load(text)["before_the_correction"])


def _unfixed(root: Path, file: str) -> bool:
    """Whether a Strasbourg label file is one that was corrected later."""
    import hashlib

    if not file.rpartition("/")[2].upper().startswith("SBP"):
        return False
    digest = hashlib.sha256(read_bytes(root, file, 64 * 2**20)).hexdigest()
    return digest[:16] in _before_the_correction()
