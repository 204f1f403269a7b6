"""Endoscapes2023: anatomy and tools outlined, and the critical view of safety judged by three raters.

Read are the splits' folders with COCO files (`train/annotation_coco.json` with boxes, `annotation_ds_coco.json` with
votes), `all_metadata.csv` with each rater's own row, and the semantic masks of Seg50 (`semseg/5_5900.png`). Picture
`29_13050.jpg` is frame 13050 of video 29 at 25 frames a second. Votes count only at the frames that were judged
(`is_ds_keyframe`); elsewhere the files repeat the last ones. 255 in a mask is judged by nobody, and then nothing is said
to be absent. Boxes and votes were made apart and may contradict one another: neither is argued from the other. Only the
time before the first clip is there, and no kind of tool and no act.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson
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
from cotgen.sources.files import MAX_JSON_BYTES, MAX_TEXT_BYTES, is_file, is_folder, names_in, read_bytes
from cotgen.sources.masks import area_of, box_of, gap_of, pieces_of, read_labels

SPLITS = ("train", "val", "test")
VIDEOS = 201
CLASSES = ("", "cystic_plate", "calot_triangle", "cystic_artery", "cystic_duct", "gallbladder", "tool")
IGNORED = 255
#: A class of a mask has a box where its largest piece holds so much of it.
LEAST_PIECE = 0.9
MOST_IMAGES = 200_000

_IMAGE = re.compile(r"([0-9]{1,3})_([0-9]{1,7})\.jpe?g", re.IGNORECASE)
_MASK = re.compile(r"([0-9]{1,3})_([0-9]{1,7})\.png", re.IGNORECASE)
_COCO = ("annotation_coco.json", "annotation_ds_coco.json")


@dataclass
class _Frame:
    """What the annotation files say of one picture."""

    boxes: list[tuple[str, list[float]]] | None = None
    votes: tuple[float, float, float] | None = None
    raters: tuple[tuple[int, int, int], ...] = field(default=())


class Endoscapes:
    """Reads Endoscapes2023."""

    name = "endoscapes"

    def describe(self) -> Description:
        """Licence, access, layout, levels, splits."""
        return Description(
            terms=SourceTerms(
                name=self.name,
                title="Endoscapes2023",
                licence="CC BY-NC-SA 4.0",
                homepage="https://github.com/CAMMA-public/Endoscapes",
                citation=(
                    "A. Murali, D. Alapatt, P. Mascagni, A. Vardazaryan, A. Garcia, N. Okamoto, G. Costamagna, D. Mutter, "
                    "J. Marescaux, B. Dallemagne, N. Padoy. The Endoscapes Dataset for Surgical Scene Segmentation, Object "
                    "Detection, and Critical View of Safety Assessment. arXiv:2312.12429, 2023."
                ),
                share_frames=True,
                share_text=True,
            ),
            access="A direct download, linked from https://github.com/CAMMA-public/Endoscapes.",
            layout=(
                "train/, val/, test/: 1_29375.jpg ..., annotation_coco.json (boxes), annotation_ds_coco.json (votes)",
                "semseg/5_5900.png ...: 1 to 6 by class, 255 where nobody judged",
                "all_metadata.csv: the raters' own rows",
            ),
            levels=(
                "level 1: gallbladder, cystic duct, artery, plate and hepatocystic triangle, tools, with boxes",
                "level 2: how outlines lie and touch",
                "level 3: three criteria of the critical view of safety, with three raters' votes",
            ),
            splits=("official",),
            fps="25/1",
            procedure="cholecystectomy",
        )

    def scan(self, root: Path) -> Scan | None:
        """What `root` holds; None where no annotation is.

        Raises:
            SourceError: a folder cannot be listed.
        """
        coco = [f"{folder}/{name}" for folder in (*SPLITS, *(f"{s}_seg" for s in SPLITS)) for name in _COCO
                if is_file(root / folder / name)]  # fmt: skip
        masks: dict[int, list[str]] = defaultdict(list)
        for name in names_in(root, "semseg"):
            if match := _MASK.fullmatch(name):
                masks[int(match[1])].append(f"semseg/{name}")
        if not coco and is_file(root / "matches.json"):
            coco = ["matches.json"]
        if not coco and not masks:
            inner = [root / name for name in names_in(root) if is_folder(root / name) and name.lower() not in SPLITS]
            found = [scan for folder in inner if not (folder / "matches").exists() and (scan := self._inner(folder))]
            return found[0] if len(found) == 1 else None
        return self._scan(root, coco, masks)

    def _inner(self, folder: Path) -> Scan | None:
        """One extra top folder is forgiven."""
        wanted = any(is_file(folder / split / name) for split in SPLITS for name in _COCO) or is_folder(
            folder / "semseg"
        )
        return self.scan(folder) if wanted else None

    def _scan(self, root: Path, coco: Sequence[str], masks: dict[int, list[str]]) -> Scan:
        images = _images(root)
        shared = [(f"coco{n}", file) for n, file in enumerate(coco)]
        if is_file(root / "all_metadata.csv"):
            shared.append(("metadata", "all_metadata.csv"))
        oddities = []
        if coco == ["matches.json"]:
            oddities.append(
                Oddity(
                    "matches.json", "stands in for the COCO files, which are not there: no boxes but those of masks"
                )
            )
        surgeries: list[SurgeryFiles] = []
        incomplete: list[tuple[str, str]] = []
        for number in sorted({*images, *masks}):
            surgery = f"{self.name}/{number}"
            own = [(f"mask{_frame(file):07d}", file) for file in sorted(masks.get(number, []), key=_frame)]
            if not 1 <= number <= VIDEOS:
                incomplete.append((surgery, f"Endoscapes has the videos 1 to {VIDEOS}"))
            elif number not in images:
                incomplete.append((surgery, f"{own[0][1]} has no picture in train/, val/ or test/"))
            else:
                surgeries.append(SurgeryFiles(surgery, (*shared, *own), "", tuple(sorted(images[number].items()))))
        return Scan(self.name, root, tuple(surgeries), tuple(incomplete), tuple(oddities))

    def missing(self, root: Path) -> str:
        """Why `scan` did not recognise `root`."""
        if not is_folder(root):
            return "is not there" if not root.exists() else "is a file, not a folder"
        shown = [ascii(name)[1:-1] for name in names_in(root)[:6]]
        return f"no train/{_COCO[0]} and no semseg/ in it; it holds {', '.join(shown) or 'nothing'}"

    def facts(self, root: Path, files: SurgeryFiles, step: int = 1) -> SurgeryFacts:
        """The labels of one video at the frames 0, step, 2 * step ... of its clock.

        Raises:
            SourceError: an annotation file is not as expected.
        """
        if step < 1:
            raise ValueError(f"step is {step}; at least 1 frame was expected")
        number = int(files.surgery.partition("/")[2])
        counts: Counter[str] = Counter()
        frames = _annotated(root, files, number)
        masks = {int(role[4:]): file for role, file in files.annotations if role.startswith("mask")}
        facts: list[tuple[Any, ...]] = []
        labelled: list[tuple[int, str]] = []
        measured: list[tuple[Any, ...]] = []
        for index in sorted({*frames, *masks}):
            if index % step:
                continue
            frame = frames.get(index, _Frame())
            outlined: list[tuple[str, list[float]]] | None = frame.boxes
            shapes: dict[str, Any] = {}
            if index in masks:
                own, ignored = _outlines(root, masks[index])
                measured.append((index, "ignored", ignored, []))
                shapes = {name: mask for name, _, mask in own}
                # Boxes tell instances, masks only classes: where both are there, the boxes are the facts.
                outlined = outlined if outlined is not None else [(name, box) for name, box, _ in own]
            if outlined is not None:
                rows, numbers = _things(index, outlined, shapes)
                facts += rows
                measured += numbers
                labelled += [(index, f"{self.name}.anatomy"), (index, f"{self.name}.instrument")]
            if frame.votes is not None:
                labelled.append((index, f"{self.name}.cvs"))
                for n, (id, value) in enumerate(zip(alias(self.name, "cvs").values(), frame.votes, strict=False)):
                    facts.append((index, f"{self.name}.cvs.{n}", "cvs", [id], [], value, self.name))
                whole = overall(frame.votes, frame.raters)
                if whole is None:
                    counts["judged frames whose raters do not determine the whole"] += 1
                else:
                    labelled.append((index, f"{self.name}.cvs_overall"))
                    id = f"{self.name}.cvs_overall.0"
                    facts.append((index, id, "cvs_overall", ["cvs.critical_view"], [], whole, self.name))
        oddities = tuple(Oddity(files.images[0][1], text, count) for text, count in sorted(counts.items()))
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
        """The pictures.

        Raises:
            SourceError: a name leaves the root.
        """
        for _, file in files.images:
            inside(root, file)
        return Footage(self.name, root, "", files.images, "25/1")


def overall(votes: Sequence[float], raters: Sequence[Sequence[int]] = ()) -> float | None:
    """The share of the three raters who hold all criteria; None where their means do not say.

    With the raters' own rows it is counted. With means alone it lies between max(0, sum of votes - 6) and the least vote
    (of 3); it is determined where the two are equal, and its majority where both lie on one side of a half.
    """
    if len(raters) == 3:
        return sum(all(row) for row in raters) / 3
    counts = [round(3 * vote) for vote in votes]
    least, most = max(0, sum(counts) - 6), min(counts)
    if least == most:
        return least / 3
    return most / 3 if most <= 1 else least / 3 if least >= 2 else None


def _frame(file: str) -> int:
    match = _MASK.fullmatch(file.rpartition("/")[2])
    assert match is not None
    return int(match[2])


def _images(root: Path) -> dict[int, dict[int, str]]:
    """Video -> frame -> picture. The `_seg` folders hold links, or stubs of links, to the same pictures."""
    found: dict[int, dict[int, str]] = defaultdict(dict)
    for folder in SPLITS:
        for name in names_in(root, folder):
            if match := _IMAGE.fullmatch(name):
                found[int(match[1])][int(match[2])] = f"{folder}/{name}"
    return dict(found)


def _annotated(root: Path, files: SurgeryFiles, number: int) -> dict[int, _Frame]:
    """Frame -> what the annotation files say, of one video."""
    found: dict[int, _Frame] = defaultdict(_Frame)
    for role, file in files.annotations:
        if role.startswith("coco"):
            path = inside(root, file)
            status = path.stat()
            for index, frame in _coco(root, file, status.st_mtime_ns, status.st_size).get(number, {}).items():
                own = found[index]
                own.boxes = frame.boxes if frame.boxes is not None else own.boxes
                own.votes = frame.votes or own.votes
        elif role == "metadata":
            status = inside(root, file).stat()
            for index, raters in _metadata(root, file, status.st_mtime_ns, status.st_size).get(number, {}).items():
                found[index].raters = raters
    return dict(found)


@lru_cache(maxsize=12)
def _coco(root: Path, file: str, mtime_ns: int, size: int) -> dict[int, dict[int, _Frame]]:
    """Video -> frame -> boxes and votes of one COCO file."""
    try:
        content = orjson.loads(read_bytes(root, file, MAX_JSON_BYTES))
    except orjson.JSONDecodeError as problem:
        raise SourceError(f"is no JSON ({problem.msg}); get the file again", file=file, line=problem.lineno) from None
    images, boxed = _entries(content, file)
    categories = _categories(content, file) if boxed else {}
    found: dict[int, dict[int, _Frame]] = defaultdict(dict)
    names: dict[Any, tuple[int, int, int, int]] = {}
    for row in images:
        match = _IMAGE.fullmatch(str(row.get("file_name", ""))) if isinstance(row, dict) else None
        if match is None:
            raise SourceError(f"has an image called {ascii(row)[:60]}; VIDEO_FRAME.jpg was expected", file=file)
        video, index = int(match[1]), int(match[2])
        frame = found[video].setdefault(index, _Frame())
        if boxed and row.get("is_det_keyframe", True):
            frame.boxes = []
        if row.get("is_ds_keyframe"):
            frame.votes = _votes(row.get("ds"), file, match.group())
        width, height = row.get("width"), row.get("height")
        if boxed:
            if not (isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0):
                raise SourceError(f"{match.group()} has no width and height", file=file)
            names[row.get("id")] = video, index, width, height
    for row in content.get("annotations", []) if boxed else []:
        key = row.get("image_id") if isinstance(row, dict) else None
        if key not in names or row.get("category_id") not in categories:
            raise SourceError(
                f"has an annotation of an image or category that is not there: {ascii(row)[:60]}", file=file
            )
        video, index, width, height = names[key]
        box = row.get("bbox")
        if not (
            isinstance(box, list)
            and len(box) == 4
            and all(isinstance(v, int | float) and math.isfinite(v) for v in box)
        ):
            raise SourceError(f"has an annotation without four numbers of bbox: {ascii(row)[:60]}", file=file)
        x, y, w, h = box
        own = found[video][index]
        if own.boxes is not None and w > 0 and h > 0:
            corners = [max(x, 0) / width, max(y, 0) / height, min(x + w, width) / width, min(y + h, height) / height]
            own.boxes.append((categories[row["category_id"]], corners))
    return dict(found)


def _entries(content: Any, file: str) -> tuple[list[Any], bool]:
    """The image records, and whether the file has boxes."""
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        rows = list(content.values()) if isinstance(content, dict) else []
        # matches.json of a third party: the image records alone, below each name.
        if rows and all(isinstance(row, dict) and isinstance(row.get("annotations"), list) for row in rows):
            return [record for row in rows for record in row["annotations"]], False
        raise SourceError("has no list of images; a COCO file was expected", file=file)
    if len(content["images"]) > MOST_IMAGES:
        raise SourceError(f"lists more than {MOST_IMAGES:,} images", file=file)
    return content["images"], isinstance(content.get("annotations"), list) and bool(content.get("categories"))


def _categories(content: dict[str, Any], file: str) -> dict[Any, str]:
    """Number -> class, by the names of the file."""
    found = {}
    for row in content["categories"]:
        name = row.get("name") if isinstance(row, dict) else None
        if name == "background":
            continue
        if name not in CLASSES[1:]:
            raise SourceError(f"has the category {ascii(name)[:40]}, which is none of the data set", file=file)
        found[row.get("id")] = name
    return found


def _votes(value: Any, file: str, image: str) -> tuple[float, float, float]:
    """Three means of three raters."""
    if isinstance(value, list) and len(value) == 3:
        counts = [3 * vote if isinstance(vote, int | float) else -1 for vote in value]
        if all(0 <= count <= 3 and abs(count - round(count)) < 0.02 for count in counts):
            one, two, three = (round(count) / 3 for count in counts)
            return one, two, three
    raise SourceError(
        f"{image} has the votes {ascii(value)[:40]}; three of 0, 1/3, 2/3 and 1 were expected", file=file
    )


@lru_cache(maxsize=4)
def _metadata(
    root: Path, file: str, mtime_ns: int, size: int
) -> dict[int, dict[int, tuple[tuple[int, int, int], ...]]]:
    """Video -> frame -> the raters' own rows, where all three are there."""
    text = read_bytes(root, file, MAX_TEXT_BYTES).decode("utf-8-sig", errors="replace")
    reader = csv.DictReader(io.StringIO(text))
    columns = [f"cvs_annotator_{n}" for n in (1, 2, 3)]
    if lost := {"vid", "frame", *columns} - set(reader.fieldnames or ()):
        raise SourceError(f"has no column {sorted(lost)[0]}", file=file, line=1)
    found: dict[int, dict[int, tuple[tuple[int, int, int], ...]]] = defaultdict(dict)
    for line, row in enumerate(reader, start=2):
        rows = []
        for name in columns:
            digits = re.fullmatch(
                r"\[?\s*([01])(?:\.0)?[,\s]+([01])(?:\.0)?[,\s]+([01])(?:\.0)?\s*\]?", (row[name] or "").strip()
            )
            if digits:
                rows.append((int(digits[1]), int(digits[2]), int(digits[3])))
            elif (row[name] or "").strip():
                raise SourceError(
                    f"{name} is {ascii(row[name])[:40]}; three of 0 and 1 were expected", file=file, line=line
                )
        if len(rows) == 3:
            try:
                found[int(float(row["vid"]))][int(float(row["frame"]))] = tuple(rows)
            except (TypeError, ValueError):
                raise SourceError("vid and frame are no whole numbers", file=file, line=line) from None
    return dict(found)


def _outlines(root: Path, file: str) -> tuple[list[tuple[str, list[float], Any]], float]:
    """(class, box or [], mask) of a semantic mask, and the share that nobody judged."""
    labels = read_labels(root, file)
    values = np.unique(labels).tolist()
    if strange := [value for value in values if value not in (*range(len(CLASSES)), IGNORED)]:
        raise SourceError(f"has the value {strange[0]}; classes 0 to 6 and 255 exist", file=file)
    found = []
    for value in values:
        if not 0 < value < len(CLASSES):
            continue
        mask = labels == value
        one = pieces_of(mask)[0] >= LEAST_PIECE * int(mask.sum())
        # A structure is one thing even in pieces; two tools may share a class.
        found.append((CLASSES[value], box_of(mask) if one or CLASSES[value] != "tool" else [], mask))
    return found, area_of(labels == IGNORED)


def _things(
    index: int, outlined: Sequence[tuple[str, list[float]]], shapes: dict[str, Any]
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Facts of structures and tools, and what their outlines give."""
    facts: list[tuple[Any, ...]] = []
    measured: list[tuple[Any, ...]] = []
    numbers: Counter[str] = Counter()
    ids: dict[str, str] = {}
    for name, box in outlined:
        kind = "instrument" if name == "tool" else "anatomy"
        id = f"endoscapes.{kind}.{numbers[kind]}"
        numbers[kind] += 1
        facts.append((index, id, kind, [alias("endoscapes", kind)[name]], box, 1.0, "endoscapes"))
        ids[name] = "" if name in ids else id
    for name, mask in shapes.items():
        if ids.get(name):
            measured.append((index, "area", area_of(mask), [ids[name]]))
    for one, other in _couples(sorted(name for name in shapes if ids.get(name))):
        gap = gap_of(shapes[one], shapes[other])
        if gap is not None:
            measured.append((index, "gap", gap, sorted((ids[one], ids[other]))))
    return facts, measured


def _couples(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for n, one in enumerate(names):
        for other in names[n + 1 :]:
            yield one, other
