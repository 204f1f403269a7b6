"""MultiBypass140: phases and steps of 140 gastric bypasses of two centres, Bern and Strasbourg.

Read are the label files of the repository (`labels/bern/labels_by70/BBP01.mp4.json`, times in milliseconds) with the
videos, or with pictures taken once a second (`BernBypass70/frames/BBP01/BBP01_00000001.jpg`, file n is second n - 1).
The clock has 25 frames a second. `out_of_body` and `severe_index` lie over the phases: a second outside the body carries
that and no phase or step, also where it lies before the first phase or after the last; `severe_index` speaks of the
patient's course and is never used. The official pickles of one row per second leave out the seconds outside the body;
they are read only for an operation whose label file is missing, and only as plain data (`pickles.py`).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
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
from cotgen.sources.files import MAX_JSON_BYTES, is_file, is_folder, names_in, read_bytes, read_json
from cotgen.sources.pickles import read_plain_pickle

SECOND = 25
#: Milliseconds between two frames of the clock.
FRAME_MS = 1000 // SECOND
OVERLAYS = {"out_of_body": 12, "severe_index": 13}
OUTSIDE = "view.out_of_body"
#: Bounds of one label file: a day, and ten times the segments of the longest real one.
MOST_MS = 86_400_000
MOST_SEGMENTS = 2_000
#: How deep below the root folders are looked for: root/MultiBypass140/labels/bern/labels_by70_splits/labels/train.
DEPTH = 6

_LABEL = re.compile(r"([BS]BP[0-9]{2})(?:\.mp4)?\.json", re.IGNORECASE)
_VIDEO = re.compile(r"([BS]BP[0-9]{2})\.(?:mp4|avi|mkv|mov)", re.IGNORECASE)
_FOLDER = re.compile(r"[BS]BP[0-9]{2}", re.IGNORECASE)
_PICTURE = re.compile(r"[BS]BP[0-9]{2}_([0-9]{8})\.(?:jpe?g|png)", re.IGNORECASE)
#: The pickles of a fold with all rows; those with adverse events count other frames.
_PICKLE = re.compile(r"1fps(?:_100)?_([0-4])\.pickle", re.IGNORECASE)
_FRAME = re.compile(r"([BS]BP[0-9]{2})_([0-9]{8})", re.IGNORECASE)
#: Names that end like this are files: no folder is looked for behind them.
_ENDING = re.compile(r".*\.[a-z][a-z0-9]{1,5}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Found:
    """What lies below a root: name of the surgery -> files or folders; the pickles of each centre, `b` and `s`."""

    labels: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    videos: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    folders: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    pickles: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    closed: list[str] = field(default_factory=list)


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
                "without these: labels/bern/labels_by70_splits/labels/train/1fps_100_0.pickle ..., as plain data",
                f"BBP01.mp4 ... in any folder up to {DEPTH} deep (multibypass01/ ...), or",
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
        """What `root` holds; None where there is no label file and no pickle of labels.

        Raises:
            SourceError: a folder cannot be listed.
        """
        found = _look(root)
        if not (found.labels or found.pickles):
            return None
        surgeries, incomplete = [], []
        oddities = [Oddity(folder, "a folder that may not be listed, not looked into") for folder in found.closed]
        for name in sorted({*found.labels, *found.videos, *found.folders}):
            surgery = f"{self.name}/{name}"
            labels, videos = found.labels.get(name, []), found.videos.get(name, [])
            pickles = [] if labels else _one_fold(found.pickles.get(name[0], []))
            if not (labels or pickles):
                first = (videos or found.folders[name])[0]
                incomplete.append((surgery, f"{first} has no labels ({name.upper()}.mp4.json)"))
                continue
            if twice := next((files for files in (labels, videos) if len(files) > 1), []):
                incomplete.append((surgery, f"{' and '.join(twice)} are both of this surgery; keep one of them"))
                continue
            images, problem, odd = ((), "", []) if videos else _pictures(root, found.folders.get(name, []))
            oddities += odd
            if problem or not (videos or images):
                incomplete.append((surgery, problem or f"{(labels or pickles)[0]} has no video and no pictures"))
                continue
            roles = [("labels", file) for file in labels] + [(f"pickle{n}", file) for n, file in enumerate(pickles)]
            surgeries.append(SurgeryFiles(surgery, tuple(roles), videos[0] if videos else "", images))
        return Scan(self.name, root, tuple(surgeries), tuple(incomplete), tuple(oddities))

    def missing(self, root: Path) -> str:
        """Why `scan` did not recognise `root`."""
        if not is_folder(root):
            return "is not there" if not root.exists() else "is a file, not a folder"
        shown = [ascii(name)[1:-1] for name in names_in(root)[:6]]
        return f"no labels_by70/BBP01.mp4.json in it, up to {DEPTH} folders deep; it holds {', '.join(shown) or 'nothing'}"

    def facts(self, root: Path, files: SurgeryFiles, step: int = SECOND) -> SurgeryFacts:
        """The labels of one surgery at the frames 0, step, 2 * step ... of its clock that a phase, step or overlay holds.

        Raises:
            SourceError: a label file is not as expected.
        """
        if step < 1:
            raise ValueError(f"step is {step}; at least 1 frame was expected")
        roles = dict(files.annotations)
        if "labels" not in roles:
            return self._of_pickles(root, files, step)
        file = roles["labels"]
        content = read_json(root, file)
        spans = {kind: _segments(content, f"{kind}s", kind, file) for kind in ("phase", "step")}
        outside = [segment for segment in spans["phase"] if segment[2] == "out_of_body"]
        real = {"phase": [s for s in spans["phase"] if s[2] not in OVERLAYS], "step": spans["step"]}
        if not any(real.values()):
            raise SourceError(
                "has no phase and no step; segments with start, end and label_name were expected", file=file
            )
        count = _first(max(end for segments in (*real.values(), outside) for _, end, _ in segments), step)
        out = _at_once(outside, step, count)[0] >= 0
        held = out.copy()
        facts: list[tuple[Any, ...]] = [
            (int(k) * step, f"{self.name}.view.0", "view", [OUTSIDE], [], 1.0, self.name) for k in np.flatnonzero(out)
        ]
        labelled: list[tuple[int, str]] = []
        oddities = []
        between = np.zeros(count, dtype=bool)
        between[
            min(_first(start, step) for segments in real.values() for start, _, _ in segments) :
            max(_first(end, step) for segments in real.values() for _, end, _ in segments)
        ] = True  # fmt: skip
        for kind, segments in real.items():
            names, twice = _at_once(segments, step, count)
            held |= names >= 0
            ids = [alias(self.name, kind)[name] for _, _, name in segments]
            for k in np.flatnonzero((names >= 0) & ~twice & ~out):
                index = int(k) * step
                labelled.append((index, f"{self.name}.{kind}"))
                facts.append((index, f"{self.name}.{kind}.0", kind, [ids[int(names[k])]], [], 1.0, self.name))
            for text, odd in (
                (f"instants with two {kind}s at once, not labelled", twice & ~out),
                (f"instants without a {kind} between the first label and the last", between & (names < 0) & ~out),
            ):
                if odd.any():
                    oddities.append(Oddity(file, text, int(np.count_nonzero(odd))))
        labelled += [(int(k) * step, f"{self.name}.view") for k in np.flatnonzero(held)]
        if file.rpartition("/")[2].lower().startswith("s"):
            oddities += _correction(root, file)
        return _surgery_facts(files.surgery, facts, labelled, oddities)

    def _of_pickles(self, root: Path, files: SurgeryFiles, step: int) -> SurgeryFacts:
        """The rows of a surgery in the first pickle that has it; whether the camera is outside is not told there."""
        name = files.surgery.rpartition("/")[2]
        for _, file in files.annotations:
            rows = next((rows for video, rows in _videos_of(root, file).items() if str(video).lower() == name), None)
            if rows is None:
                continue
            if not isinstance(rows, list):
                raise SourceError(f"holds no list of rows for {name.upper()}, one of each second", file=file)
            facts: list[tuple[Any, ...]] = []
            labelled: list[tuple[int, str]] = []
            last = 0
            skipped = 0
            for number, row in enumerate(rows, start=1):
                second, phase, act = _row(row, name, number, file)
                if second <= last:
                    raise SourceError(
                        f"row {number} of {name.upper()} is picture {second} after picture {last}; rising numbers from "
                        "1 were expected", file=file)  # fmt: skip
                last = second
                index = SECOND * (second - 1)
                if index % step:
                    continue
                if phase in OVERLAYS:
                    skipped += 1
                    continue
                for kind, label in (("phase", phase), ("step", act)):
                    labelled.append((index, f"{self.name}.{kind}"))
                    id = alias(self.name, kind)[label]
                    facts.append((index, f"{self.name}.{kind}.0", kind, [id], [], 1.0, self.name))
            oddities = [
                Oddity(file, f"read for {name.upper()}, whose label file is missing: nothing outside the body")
            ]
            if skipped:
                oddities.append(Oddity(file, "rows with an overlay in the place of the phase, not labelled", skipped))
            return _surgery_facts(files.surgery, facts, labelled, oddities)
        raise SourceError(
            f"and the {len(files.annotations) - 1} other pickles of the centre have no {name.upper()}; get the label file "
            f"{name.upper()}.mp4.json", file=files.annotations[0][1])  # fmt: skip

    def frames(self, root: Path, files: SurgeryFiles) -> Footage:
        """The video, or the pictures where there is none.

        Raises:
            SourceError: a name leaves the root.
        """
        for file in [files.video] if files.video else [file for _, file in files.images]:
            inside(root, file)
        return Footage(self.name, root, files.video, () if files.video else files.images, "25/1")


def _look(root: Path) -> _Found:
    """All files and folders of surgeries below root, each once: the release's own guide links `frames` twice."""
    found = _Found()
    left, seen = [("", 0)], {os.path.realpath(root)}
    while left:
        under, depth = left.pop(0)
        try:
            names = names_in(root, under)
        except SourceError:
            if not under:
                raise
            found.closed.append(under)
            continue
        for name in names:
            path = f"{under}/{name}" if under else name
            if match := _LABEL.fullmatch(name):
                kind, key, fits = found.labels, match[1].lower(), is_file
            elif match := _VIDEO.fullmatch(name):
                kind, key, fits = found.videos, match[1].lower(), is_file
            elif _FOLDER.fullmatch(name):
                kind, key, fits = found.folders, name.lower(), is_folder
            elif _PICKLE.fullmatch(name) and (centre := re.search(r"bern|stras", under, re.IGNORECASE)):
                kind, key, fits = found.pickles, centre[0][0].lower(), is_file
            else:
                if depth < DEPTH and not _ENDING.fullmatch(name) and is_folder(root / path):
                    real = os.path.realpath(root / path)
                    if real not in seen:
                        seen.add(real)
                        left.append((path, depth + 1))
                continue
            if fits(root / path) and os.path.realpath(root / path) not in seen:
                seen.add(os.path.realpath(root / path))
                kind[key].append(path)
    return found


def _one_fold(pickles: Sequence[str]) -> Sequence[str]:
    """Train, validation and test of the first fold that is complete, which are all operations of a centre; else all."""
    folds: dict[str, list[str]] = defaultdict(list)
    for file in pickles:
        if match := _PICKLE.fullmatch(file.rpartition("/")[2]):
            folds[match[1]].append(file)
    return next((folds[fold] for fold in sorted(folds) if len(folds[fold]) == 3), pickles)


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
        if not (type(start) is int and type(end) is int and 0 <= start <= end <= MOST_MS):
            raise SourceError(f"{key} {number} lasts from {_shown(start)} to {_shown(end)} ms; "
                              "whole numbers, the first not above the second, were expected", file=file)  # fmt: skip
        if not isinstance(name, str) or name not in known:
            raise SourceError(
                f"{key} {number} is called {_shown(name)}, which is no {kind} of the data set", file=file
            )
        if type(id) is not int or id != known[name]:
            raise SourceError(
                f"{key} {number} is called {name} and has the number {_shown(id)}, not {known[name]}", file=file
            )
        found.append((start, end, name))
    return found


def _shown(value: Any) -> str:
    """A value in an error message; of lists and tables, which may be deep, only what they are."""
    return ascii(value)[:40] if value is None or isinstance(value, str | int | float) else f"a {type(value).__name__}"


def _first(milliseconds: int, step: int) -> int:
    """The first multiple of `step` frames that is not before a time, in steps."""
    return -(-milliseconds // (FRAME_MS * step))


def _at_once(
    segments: Sequence[tuple[int, int, str]], step: int, count: int
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.bool_]]]:
    """For each of `count` instants the number of a segment that holds it, -1 for none, and whether others differ."""
    found = np.full(count, -1, dtype=np.int64)
    twice = np.zeros(count, dtype=bool)
    names = [name for _, _, name in segments]
    same = np.array([names.index(name) for name in names], dtype=np.int64)
    for number, (start, end, _) in enumerate(segments):
        part = slice(_first(start, step), _first(end, step))
        twice[part] |= (found[part] >= 0) & (found[part] != same[number])
        found[part] = same[number]
    return found, twice


def _surgery_facts(
    surgery: str, facts: list[tuple[Any, ...]], labelled: list[tuple[int, str]], oddities: Sequence[Oddity]
) -> SurgeryFacts:
    return SurgeryFacts(
        surgery,
        pl.DataFrame(sorted(facts, key=lambda row: (row[0], row[1])), schema=FACTS_SCHEMA, orient="row"),
        pl.DataFrame(sorted(labelled), schema=LABELLED_SCHEMA, orient="row"),
        tuple(oddities),
    )


def _videos_of(root: Path, file: str) -> dict[Any, Any]:
    """The rows of each video of a pickle."""
    content = read_plain_pickle(root, file)
    if not isinstance(content, dict):
        raise SourceError("holds no table of videos; BBP01 -> rows of one second each was expected", file=file)
    return content


def _row(row: Any, name: str, number: int, file: str) -> tuple[int, str, str]:
    """Number of the picture, phase and step of one row of a pickle, checked against the vocabulary."""
    where = f"row {number} of {name.upper()}"
    if not isinstance(row, dict):
        raise SourceError(f"{where} is no row with Frame_id, Phase_gt and Step_gt", file=file)
    match = _FRAME.fullmatch(row["Frame_id"]) if isinstance(row.get("Frame_id"), str) else None
    if match is None or match[1].lower() != name or int(match[2]) == 0:
        raise SourceError(
            f"{where} has Frame_id {_shown(row.get('Frame_id'))}; {name.upper()}_00000001 or later was expected",
            file=file,
        )
    labels = []
    for key, names in (
        ("Phase_gt", [*_phase_names(), *OVERLAYS]),
        ("Step_gt", list(alias("multibypass140", "step"))),
    ):
        value = row.get(key)
        if type(value) is not int or not 0 <= value < len(names):
            raise SourceError(f"{where} has {key} {_shown(value)}; 0 to {len(names) - 1} exist", file=file)
        labels.append(names[value])
    return int(match[2]), labels[0], labels[1]


@cache
def _phase_names() -> tuple[str, ...]:
    """The twelve phases in the order of their numbers: the ontology has two of them among those of cholecystectomy."""
    text = (resources.files("cotgen.sources") / "multibypass140.yaml").read_text(encoding="utf-8")
    return tuple(yaml.safe_load(text)["phases"])


@cache
def _before_the_correction() -> dict[str, str]:
    text = (resources.files("cotgen.sources") / "multibypass140.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text)["before_the_correction"])


def _correction(root: Path, file: str) -> list[Oddity]:
    """Whether a label file of Strasbourg is the one that its owners gave another surgery's video later, where known."""
    known = _before_the_correction().get(file.rpartition("/")[2][:5].lower())
    if known is None:
        text = "it is not known whether this is the label file before or after the correction of September 2025"
        return [Oddity(file, f"{text}; compare its end with the length of the video")]
    if hashlib.sha256(read_bytes(root, file, MAX_JSON_BYTES)).hexdigest()[:16] != known:
        return []
    return [Oddity(file, "a label file as it was before the correction of September 2025: get the new one")]
