"""SAR-RARP50: suturing in 50 robotic prostatectomies, with actions ten times and masks once a second.

Read are the unpacked folders (`train1/video_01/video_left.avi`, `action_discrete.txt`, `segmentation/000000000.png`), with
pictures of `rgb/` where there is no video. The clock has 60 frames a second; actions have a row every 6th frame, masks
lie at every 60th. Masks name classes and not instances: a class has a box only where it is one piece of at least 0.05 %
of the picture, and nothing is said of how many there are. Operations that come in parts (`video_07_1`) are one surgery
with a clock for each part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cotgen.errors import SourceError
from cotgen.ontology import alias
from cotgen.records import SourceTerms
from cotgen.sources.base import (
    FACTS_SCHEMA,
    LABELLED_SCHEMA,
    MEASURED_SCHEMA,
    Description,
    Footage,
    Oddity,
    Scan,
    SurgeryFacts,
    SurgeryFiles,
    inside,
)
from cotgen.sources.files import folders_below, folders_called, is_file, is_folder, names_in, read_integers
from cotgen.sources.masks import area_of, box_of, check_shape, gap_of, pieces_of, read_labels

SECOND, ACTION_STEP = 60, 6
#: A class gets a box only where it is one piece of at least this share of the picture.
LEAST_AREA = 0.0005
#: How deep below the root operations are looked for: root/train1/video_01.
DEPTH = 3

_FOLDER = re.compile(r"video_([0-9]{1,3})(?:_([0-9]{1,2}))?", re.IGNORECASE)
_ZIP = re.compile(r"video_([0-9]{1,3})(?:_([0-9]{1,2}))?\.zip", re.IGNORECASE)
#: Masks are PNG alone: JPEG invents classes at the borders of others.
_MASK = re.compile(r"([0-9]{9})\.png", re.IGNORECASE)
_PICTURE = re.compile(r"([0-9]{9})\.(?:png|jpe?g)", re.IGNORECASE)
_VIDEO = re.compile(r"video_left\.(?:avi|mp4|mkv)", re.IGNORECASE)
_ACTIONS = "action_discrete.txt"


class SarRarp50:
    """Reads SAR-RARP50."""

    name = "sar_rarp50"

    def describe(self) -> Description:
        """Licence, access, layout, levels, splits."""
        return Description(
            terms=SourceTerms(
                name=self.name,
                title="SAR-RARP50",
                licence="not stated with the data; derived sets say CC BY-NC-SA 4.0",
                homepage="https://www.synapse.org/Synapse:syn27618412",
                citation=(
                    "D. Psychogyios et al. SAR-RARP50: Segmentation of surgical instrumentation and Action Recognition on "
                    "Robot-Assisted Radical Prostatectomy Challenge. arXiv:2401.00496, 2023."
                ),
                share_frames=False,
                share_text=True,
            ),
            access="From Synapse (syn27618412) or the UCL research data repository; unpack one zip per video.",
            layout=(
                "train1/video_01/, train2/video_07_1/, test/video_41/ ... (any folders up to three deep)",
                "video_left.avi, or rgb/000000000.png ...",
                "action_discrete.txt: frame at 60 a second and class, every 6th frame",
                "segmentation/000000000.png ...: classes 1 to 9, every 60th frame",
            ),
            levels=(
                "level 1: parts of instruments, needle, thread, suction, clamps, catheter",
                "level 2: which outlines touch",
                "level 3: eight actions with needle and suture",
            ),
            splits=("official",),
            fps="60/1",
            procedure="prostatectomy",
        )

    def scan(self, root: Path) -> Scan | None:
        """What `root` holds; None where no operation has labels.

        Raises:
            SourceError: a folder cannot be listed.
        """
        surgeries: list[SurgeryFiles] = []
        incomplete: list[tuple[str, str]] = []
        oddities: list[Oddity] = []
        recognised = False
        folders, zips = _operations(root)
        known: dict[str, str] = {}
        for number, part, folder in folders:
            surgery = _name(number, part)
            if surgery in known:
                incomplete.append(
                    (surgery, f"{known[surgery]} and {folder} are both of this surgery; keep one of them")
                )
                surgeries = [files for files in surgeries if files.surgery != surgery]
                continue
            known[surgery] = folder
            names = names_in(root, folder)
            actions = next((name for name in names if name.lower() == _ACTIONS), "")
            video = next((f"{folder}/{name}" for name in names if _VIDEO.fullmatch(name)), "")
            masks, twice = _numbered(root, folder, "segmentation", _MASK)
            images, twice_there = ((), "") if video else _numbered(root, folder, "rgb", _PICTURE)
            recognised |= bool(masks or actions)
            if twice or twice_there:
                incomplete.append((surgery, twice or twice_there))
            elif not (masks or actions):
                incomplete.append((surgery, f"{folder} has no {_ACTIONS} and no segmentation/"))
            elif not (video or images):
                incomplete.append((surgery, f"{folder} has no video_left.avi and nothing in rgb/"))
            else:
                roles = [("actions", f"{folder}/{actions}")] if actions else []
                roles += [(f"mask{index:09d}", file) for index, file in masks]
                if not actions or not masks:
                    lacking = _ACTIONS if not actions else "segmentation/"
                    oddities.append(Oddity(folder, f"has no {lacking}: what it labels is not labelled here"))
                surgeries.append(SurgeryFiles(surgery, tuple(roles), video, images))
        if not recognised:
            return None
        for number, part, file in zips:
            if _name(number, part) not in known:
                incomplete.append(
                    (_name(number, part), f"{file} is not unpacked; unpack it into a folder of its name")
                )
        return Scan(self.name, root, tuple(surgeries), tuple(incomplete), tuple(oddities))

    def missing(self, root: Path) -> str:
        """Why `scan` did not recognise `root`."""
        if not is_folder(root):
            return "is not there" if not root.exists() else "is a file, not a folder"
        if zips := [file for _, _, file in _operations(root)[1]]:
            return f"it holds {', '.join(zips[:3])}; unpack each zip of the {len(zips)} into a folder of its name"
        shown = [ascii(name)[1:-1] for name in names_in(root)[:6]]
        return f"no video_01/{_ACTIONS} and no video_01/segmentation/ in it; it holds {', '.join(shown) or 'nothing'}"

    def facts(self, root: Path, files: SurgeryFiles, step: int = SECOND) -> SurgeryFacts:
        """The labels of one clock at the frames 0, step, 2 * step ...: actions at every 6th, outlines at every 60th.

        Raises:
            SourceError: a label file is not as expected.
        """
        if step < 1:
            raise ValueError(f"step is {step}; at least 1 frame was expected")
        roles = dict(files.annotations)
        facts: list[tuple[Any, ...]] = []
        labelled: list[tuple[int, str]] = []
        measured: list[tuple[Any, ...]] = []
        oddities = []
        if "actions" in roles:
            rows = list(_actions(root, roles["actions"]))
            if lost := (rows[-1][0] - rows[0][0]) // ACTION_STEP + 1 - len(rows):
                oddities.append(Oddity(roles["actions"], "rows are left out: these instants have no action", lost))
            for index, id in rows:
                if index % step == 0:
                    facts.append((index, f"{self.name}.action.0", "action", [id], [], 1.0, self.name))
                    labelled.append((index, f"{self.name}.action"))
        pictures = dict(files.images)
        for role, file in files.annotations:
            if role.startswith("mask") and int(role[4:]) % step == 0:
                index = int(role[4:])
                own, numbers = _outlines(root, file, index, pictures.get(index, ""))
                facts += own
                measured += numbers
                labelled.append((index, f"{self.name}.object"))
        table = pl.DataFrame(facts, schema=FACTS_SCHEMA, orient="row").with_row_index("order").sort("index", "order")
        return SurgeryFacts(
            files.surgery,
            table.drop("order"),
            pl.DataFrame(sorted(labelled), schema=LABELLED_SCHEMA, orient="row"),
            tuple(oddities),
            pl.DataFrame(
                sorted(measured, key=lambda row: (row[0], row[1], row[3])), schema=MEASURED_SCHEMA, orient="row"
            ),
        )

    def frames(self, root: Path, files: SurgeryFiles) -> Footage:
        """The video, or the pictures of `rgb/`.

        Raises:
            SourceError: a name leaves the root.
        """
        for file in [files.video] if files.video else [file for _, file in files.images]:
            inside(root, file)
        return Footage(self.name, root, files.video, () if files.video else files.images, "60/1")


def _name(number: int, part: int) -> str:
    return f"sar_rarp50/{number}" + (f"_{part}" if part else "")


def _operations(root: Path) -> tuple[list[tuple[int, int, str]], list[tuple[int, int, str]]]:
    """Number, part or 0, and path of the folders of operations, and of the zips of operations, sorted."""
    folders, zips = [], []
    for under, paths in folders_below(root, DEPTH, _FOLDER):
        for path in paths:
            if match := _FOLDER.fullmatch(path.rpartition("/")[2]):
                folders.append((int(match[1]), int(match[2] or 0), path))
        for name in names_in(root, under):
            path = f"{under}/{name}" if under else name
            if (match := _ZIP.fullmatch(name)) and is_file(root / path):
                zips.append((int(match[1]), int(match[2] or 0), path))
    return sorted(folders), sorted(zips)


def _numbered(
    root: Path, under: str, called: str, pattern: re.Pattern[str]
) -> tuple[tuple[tuple[int, str], ...], str]:
    """(frame, file) of the pictures in the folder of that name, ascending, or what is wrong."""
    found: dict[int, str] = {}
    for folder in folders_called(root, called, under=under):
        for name in names_in(root, folder):
            if (match := pattern.fullmatch(name)) and is_file(root / folder / name):
                if int(match[1]) in found:
                    return (), f"{found[int(match[1])]} and {folder}/{name} are both of one frame; keep one of them"
                found[int(match[1])] = f"{folder}/{name}"
    return tuple(sorted(found.items())), ""


def _actions(root: Path, file: str) -> Iterator[tuple[int, str]]:
    """(frame, action) of each row."""
    ids = alias("sar_rarp50", "action")
    last = -1
    for line, (frame, number) in enumerate(read_integers(root, file, 2), start=1):
        if frame % ACTION_STEP or frame <= last:
            raise SourceError(
                f"frame {frame} stands after frame {last}; frames rise in steps of {ACTION_STEP}", file=file, line=line
            )
        if str(number) not in ids:
            raise SourceError(f"the class is {number}; 0 to 7 exist", file=file, line=line)
        last = frame
        yield frame, ids[str(number)]


def _outlines(root: Path, file: str, index: int, picture: str) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Facts and measures of one mask."""
    labels = read_labels(root, file)
    if picture:
        check_shape(root, file, (labels.shape[1], labels.shape[0]), picture)
    ids = alias("sar_rarp50", "object")
    present = [int(value) for value in np.unique(labels) if value]
    if wrong := [value for value in present if str(value) not in ids]:
        raise SourceError(f"has the value {wrong[0]}; classes 1 to 9 exist", file=file)
    facts: list[tuple[Any, ...]] = []
    measured: list[tuple[Any, ...]] = []
    masks = {}
    for n, value in enumerate(present):
        mask = labels == value
        id = f"sar_rarp50.object.{n}"
        sizes = pieces_of(mask)
        box = box_of(mask) if len(sizes) == 1 and sizes[0] >= LEAST_AREA * mask.size else []
        facts.append((index, id, "object", [ids[str(value)]], box, 1.0, "sar_rarp50"))
        measured.append((index, "area", area_of(mask), [id]))
        masks[id] = mask
    names = sorted(masks)
    for n, one in enumerate(names):
        for other in names[n + 1 :]:
            gap = gap_of(masks[one], masks[other])
            if gap is not None:
                measured.append((index, "gap", gap, [one, other]))
    return facts, measured
