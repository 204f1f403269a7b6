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
from cotgen.sources.files import is_file, is_folder, names_in, read_integers
from cotgen.sources.masks import area_of, box_of, gap_of, pieces_of, read_labels

SECOND, ACTION_STEP = 60, 6
#: A class gets a box only where its largest piece is this share of the picture and of itself.
LEAST_AREA, MOST_OF_CLASS = 0.0005, 0.97
#: How deep below the root operations are looked for: root/train1/video_01.
DEPTH = 3

_FOLDER = re.compile(r"video_([0-9]{1,3})(?:_([0-9]{1,2}))?", re.IGNORECASE)
_PNG = re.compile(r"([0-9]{9})\.(?:png|jpe?g)", re.IGNORECASE)
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
        known: dict[str, str] = {}
        for folder, number, part in _operations(root):
            surgery = f"{self.name}/{number}" + (f"_{part}" if part else "")
            names = names_in(root, folder)
            masks = tuple(_numbered(root, f"{folder}/segmentation"))
            actions = next((name for name in names if name.lower() == _ACTIONS), "")
            recognised |= bool(masks or actions)
            if surgery in known:
                incomplete.append(
                    (surgery, f"{known[surgery]} and {folder} are both of this surgery; keep one of them")
                )
                surgeries = [files for files in surgeries if files.surgery != surgery]
                continue
            known[surgery] = folder
            video = next((f"{folder}/{name}" for name in names if _VIDEO.fullmatch(name)), "")
            images = () if video else tuple(_numbered(root, f"{folder}/rgb"))
            if not (masks or actions):
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
        return Scan(self.name, root, tuple(surgeries), tuple(incomplete), tuple(oddities))

    def missing(self, root: Path) -> str:
        """Why `scan` did not recognise `root`."""
        if not is_folder(root):
            return "is not there" if not root.exists() else "is a file, not a folder"
        names = names_in(root)
        if any(name.lower().endswith(".zip") and _FOLDER.fullmatch(name[:-4]) for name in names):
            return "it holds zip files of the videos; unpack each of them into a folder of its name"
        shown = [ascii(name)[1:-1] for name in names[:6]]
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
        if "actions" in roles:
            for index, id in _actions(root, roles["actions"]):
                if index % step == 0:
                    facts.append((index, f"{self.name}.action.0", "action", [id], [], 1.0, self.name))
                    labelled.append((index, f"{self.name}.action"))
        for role, file in files.annotations:
            if role.startswith("mask") and int(role[4:]) % step == 0:
                index = int(role[4:])
                own, numbers = _outlines(root, file, index)
                facts += own
                measured += numbers
                labelled.append((index, f"{self.name}.object"))
        table = pl.DataFrame(facts, schema=FACTS_SCHEMA, orient="row").with_row_index("order").sort("index", "order")
        return SurgeryFacts(
            files.surgery,
            table.drop("order"),
            pl.DataFrame(sorted(labelled), schema=LABELLED_SCHEMA, orient="row"),
            (),
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


def _operations(root: Path) -> Iterator[tuple[str, int, int]]:
    """(folder, number, part or 0), by number and part."""
    found = []
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
            if not is_folder(root / path):
                continue
            if match := _FOLDER.fullmatch(name):
                found.append((path, int(match[1]), int(match[2] or 0)))
            elif depth < DEPTH:
                left.append((path, depth + 1))
    return iter(sorted(found, key=lambda item: (item[1], item[2], item[0])))


def _numbered(root: Path, folder: str) -> Iterator[tuple[int, str]]:
    """(frame, file) of the pictures of a folder, ascending."""
    for name in names_in(root, folder):
        if (match := _PNG.fullmatch(name)) and is_file(root / folder / name):
            yield int(match[1]), f"{folder}/{name}"


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


def _outlines(root: Path, file: str, index: int) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Facts and measures of one mask."""
    labels = read_labels(root, file)
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
        largest = pieces_of(mask)[0]
        whole = largest >= MOST_OF_CLASS * np.count_nonzero(mask) and largest >= LEAST_AREA * mask.size
        box = box_of(mask) if whole else []
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
