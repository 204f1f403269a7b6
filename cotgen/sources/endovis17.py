"""EndoVis 2017: robotic instruments, each outlined by kind in 10 porcine operations, two pictures a second.

Read are the train sequences (`instrument_dataset_1/left_frames/frame000.png` with one folder of masks per instrument below
`ground_truth/`) and the test sequences (`gt/TypeSegmentation/`), in any folders up to three deep. Pictures of 1920 x 1080
have a black border and are cut to 1280 x 1024 at (320, 28), and boxes are of what is kept. A file of `ground_truth/` is one
instrument even where it falls into two parts. The folder's name gives its kind and the side of the arm. Type masks name
kinds and not instances: their kinds are `instrument_type`, never a complete set of instruments. In the test sequence 9 some
releases have the two forceps exchanged, so its kinds are not read.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
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
from cotgen.sources.files import folders_below, is_folder, names_in
from cotgen.sources.masks import Labels, Mask, area_of, box_of, check_shape, read_labels, size_of

DEPTH = 3
RAW, CROP = (1920, 1080), (320, 28, 1600, 1052)
#: A part of the folder's name -> kind, longest first.
KINDS = (
    ("monopolar_curved_scissors", "Monopolar Curved Scissors"),
    ("large_needle_driver", "Large Needle Driver"),
    ("grasping_retractor", "Grasping Retractor"),
    ("bipolar_forceps", "Bipolar Forceps"),
    ("prograsp_forceps", "Prograsp Forceps"),
    ("vessel_sealer", "Vessel Sealer"),
    ("other", "Other"),
)
TYPES = (
    "Bipolar Forceps", "Prograsp Forceps", "Large Needle Driver", "Vessel Sealer", "Grasping Retractor",
    "Monopolar Curved Scissors", "Other",
)  # fmt: skip
PARTS = (10, 20, 30, 40)
#: Its forceps are exchanged in some releases.
SWAPPED = 9

_SEQUENCE = re.compile(r"instrument_dataset_([0-9]{1,2})", re.IGNORECASE)
_FRAME = re.compile(r"frame([0-9]{3,6})\.(?:png|jpe?g|bmp)", re.IGNORECASE)


class EndoVis17:
    """Reads EndoVis 2017."""

    name = "endovis17"

    def describe(self) -> Description:
        """Licence, access, layout, levels, splits."""
        return Description(
            terms=SourceTerms(
                name=self.name,
                title="EndoVis 2017 (robotic instrument segmentation)",
                licence="challenge terms",
                homepage="https://endovissub2017-roboticinstrumentsegmentation.grand-challenge.org/",
                citation="M. Allan et al. 2017 Robotic Instrument Segmentation Challenge. arXiv:1902.06426, 2019.",
                share_frames=False,
                share_text=True,
            ),
            access="Register at the challenge's page; train and test come as separate archives.",
            layout=(
                "instrument_dataset_1/left_frames/frame000.png ...",
                "instrument_dataset_1/ground_truth/Left_Prograsp_Forceps_labels/frame000.png ...: 10, 20, 30, 40 by part",
                "instrument_dataset_9/gt/TypeSegmentation/frame000.png ...: 1 to 7 by kind",
            ),
            levels=(
                "level 1: kinds of instrument, boxes, side of the arm",
                "level 2: where they lie",
                "level 3: how many",
            ),
            splits=("official",),
            fps="2/1",
            procedure="robotic_surgery",
        )

    def scan(self, root: Path) -> Scan | None:
        """What `root` holds; None where no sequence has masks.

        Raises:
            SourceError: a folder cannot be listed.
        """
        surgeries: list[SurgeryFiles] = []
        incomplete: list[tuple[str, str]] = []
        found = _sequences(root)
        for number, folders in sorted(found.items()):
            surgery = f"{self.name}/{number}"
            images: dict[int, str] = {}
            roles: list[tuple[str, str]] = []
            for folder in folders:
                images |= dict(_frames(root, f"{folder}/left_frames"))
                roles += _roles(root, folder)
            if not roles:
                incomplete.append((surgery, f"{folders[0]} has no ground_truth/ and no gt/TypeSegmentation/"))
            elif not images:
                incomplete.append((surgery, f"{folders[0]} has no left_frames/frame000.png"))
            elif len({role for role, _ in roles}) < len(roles):
                incomplete.append((surgery, f"{' and '.join(folders)} label the same frames; keep one of them"))
            else:
                surgeries.append(SurgeryFiles(surgery, tuple(roles), "", tuple(sorted(images.items()))))
        if not surgeries and not any("left_frames" in why for _, why in incomplete):
            return None
        return Scan(self.name, root, tuple(surgeries), tuple(incomplete))

    def missing(self, root: Path) -> str:
        """Why `scan` did not recognise `root`."""
        if not is_folder(root):
            return "is not there" if not root.exists() else "is a file, not a folder"
        shown = [ascii(name)[1:-1] for name in names_in(root)[:6]]
        return f"no instrument_dataset_N/ with ground_truth/ or gt/ in it; it holds {', '.join(shown) or 'nothing'}"

    def facts(self, root: Path, files: SurgeryFiles, step: int = 1) -> SurgeryFacts:
        """The labels of one sequence at the pictures 0, step, 2 * step ...

        Raises:
            SourceError: a mask is not as expected.
        """
        if step < 1:
            raise ValueError(f"step is {step}; at least 1 picture was expected")
        by_frame: dict[int, list[tuple[str, str]]] = defaultdict(list)
        for role, file in files.annotations:
            kind, _, number = role.rpartition(":")
            by_frame[int(number)].append((kind, file))
        facts: list[tuple[Any, ...]] = []
        labelled: set[tuple[int, str]] = set()
        measured: list[tuple[Any, ...]] = []
        counts: Counter[str] = Counter()
        pictures = dict(files.images)
        folders = {kind for kind, _ in (role.rsplit(":", 1) for role, _ in files.annotations)} - {"type"}
        raw = self._is_raw(root, files)
        for index in sorted(by_frame):
            if index % step:
                continue
            instances = [(kind, file) for kind, file in by_frame[index] if kind != "type"]
            types = [file for kind, file in by_frame[index] if kind == "type"]
            numbers: Counter[str] = Counter()

            def add(
                kind: str, terms: list[str], box: list[float], index: int = index, n: Counter[str] = numbers
            ) -> str:
                id = f"{self.name}.{kind}.{n[kind]}"
                n[kind] += 1
                facts.append((index, id, kind, terms, box, 1.0, self.name))
                return id

            if instances and len(instances) < len(folders):
                counts["frames without a mask of each instrument of the sequence, not labelled"] += 1
                instances = []
            if instances:
                labelled |= {(index, f"{self.name}.{kind}") for kind in ("instrument", "side", "object")}
            for folder, file in sorted(instances):
                instrument, side = name_of(folder)
                if not instrument:
                    raise SourceError(
                        f"lies in {ascii(folder)[:60]}, whose name tells no kind of instrument", file=file
                    )
                mask = _kept(root, file, pictures.get(index, ""), raw)
                if set(np.unique(mask).tolist()) - {0, *PARTS}:
                    raise SourceError(
                        "has values other than 0, 10, 20, 30 and 40; a mask of parts was expected", file=file
                    )
                whole: Mask = mask > 0
                if not whole.any():
                    continue  # the instrument is out of the picture
                id = add("instrument", [instrument], box_of(whole))
                measured.append((index, "area", area_of(whole), [id]))
                if side:
                    add("side", [instrument, side], box_of(whole))
                for value in PARTS:
                    part: Mask = mask == value
                    if part.any():
                        add("object", [alias(self.name, "object")[str(value)], instrument], box_of(part))
            for file in types:
                if files.surgery.endswith(f"/{SWAPPED}"):
                    counts["type masks of the sequence whose forceps are exchanged in some releases, not read"] += 1
                    continue
                values = [
                    value for value in np.unique(_kept(root, file, pictures.get(index, ""), raw)).tolist() if value
                ]
                if strange := [value for value in values if value > len(TYPES)]:
                    raise SourceError(f"has the value {strange[0]}; kinds 1 to {len(TYPES)} exist", file=file)
                labelled.add((index, f"{self.name}.instrument_type"))
                for value in values:
                    add("instrument_type", [alias(self.name, "instrument")[TYPES[value - 1]]], [])
        oddities = tuple(Oddity(files.annotations[0][1], text, count) for text, count in sorted(counts.items()))
        return SurgeryFacts(
            files.surgery,
            pl.DataFrame(facts, schema=FACTS_SCHEMA, orient="row"),
            pl.DataFrame(sorted(labelled), schema=LABELLED_SCHEMA, orient="row"),
            oddities,
            pl.DataFrame(
                sorted(measured, key=lambda row: (row[0], row[1], row[3])), schema=MEASURED_SCHEMA, orient="row"
            ),
        )

    def frames(self, root: Path, files: SurgeryFiles) -> Footage:
        """The left pictures, cut where they are raw.

        Raises:
            SourceError: a name leaves the root, or no picture can be read.
        """
        for _, file in files.images:
            inside(root, file)
        return Footage(self.name, root, "", files.images, "2/1", CROP if self._is_raw(root, files) else ())

    def _is_raw(self, root: Path, files: SurgeryFiles) -> bool:
        """Whether the pictures have the black border of the release, by the first of them that can be read."""
        problem: SourceError | None = None
        for _, file in files.images:
            try:
                return size_of(root, file) == RAW
            except SourceError as error:
                problem = problem or error
        assert problem is not None  # a surgery without pictures is not built
        raise problem


def name_of(folder: str) -> tuple[str, str]:
    """Kind and side that a folder's name tells: `Large_Needle_Driver_Left_labels`; "" for what it does not tell."""
    text = folder.lower().replace(" ", "_")
    kind = next((word for part, word in KINDS if part in text), "")
    words = text.split("_")
    sides = [alias("endovis17", "side")[side.capitalize()] for side in ("left", "right") if side in words]
    return alias("endovis17", "instrument").get(kind, ""), sides[0] if len(sides) == 1 else ""


def _kept(root: Path, file: str, picture: str, raw: bool) -> Labels:
    """What is kept of a mask.

    Raises:
        SourceError: it is no mask, or not of the shape of what is kept of its picture.
    """
    mask = read_labels(root, file)
    x1, y1, x2, y2 = CROP
    if mask.shape == (RAW[1], RAW[0]):
        mask = mask[y1:y2, x1:x2]
    if picture:
        check_shape(root, file, (mask.shape[1], mask.shape[0]), picture, (x2 - x1, y2 - y1) if raw else None)
    return mask


def _sequences(root: Path) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for _, paths in folders_below(root, DEPTH, _SEQUENCE):
        for path in paths:
            if match := _SEQUENCE.fullmatch(path.rpartition("/")[2]):
                found[int(match[1])].append(path)
    return dict(found)


def _frames(root: Path, folder: str) -> Iterator[tuple[int, str]]:
    for name in names_in(root, folder):
        if match := _FRAME.fullmatch(name):
            yield int(match[1]), f"{folder}/{name}"


def _roles(root: Path, folder: str) -> list[tuple[str, str]]:
    """`FOLDER:12` or `type:12` -> file."""
    found = []
    for inner in names_in(root, f"{folder}/ground_truth"):
        found += [(f"{inner}:{index}", file) for index, file in _frames(root, f"{folder}/ground_truth/{inner}")]
    found += [(f"type:{index}", file) for index, file in _frames(root, f"{folder}/gt/TypeSegmentation")]
    return found
