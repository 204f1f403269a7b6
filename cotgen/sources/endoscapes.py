"""Endoscapes2023: anatomy and tools outlined, and the critical view of safety judged by three raters.

Read are the splits' folders with COCO files (`train/annotation_coco.json` with boxes, `annotation_ds_coco.json` with
votes; those of `train_seg/` and others with outlines of instances), `all_metadata.csv` with each rater's own row, and of
Seg50 the semantic masks (`semseg/5_5900.png`) and the stacks of instances (`insseg/5_5900.npy`). Picture `29_13050.jpg`
is frame 13050 of video 29 at 25 frames a second; the numbers of images are looked up, never taken apart. Votes count
only at the frames that were judged (`is_ds_keyframe`); elsewhere the files repeat the last ones. 255 in a mask is judged
by nobody, and then nothing is said to be absent: `ignored` is measured, and forbids "all" and "not visible". Boxes and
votes were made apart and may contradict one another: neither is argued from the other. Only the time before the first
clip is there, and no kind of tool and no act.

The things of a frame come from the first that has it: boxes of the COCO files (with their own outlines, else those of
the mask where a class is there once), instances of the stack, classes of the mask. A class of a mask is one structure and
has one box; tools of a mask have one only where they are one piece, since two of them may share the class. The folds
`12_5/` and `25/` repeat the train folder and are not read.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from cotgen.errors import CotgenError, SourceError
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
from cotgen.sources.instances import MOST_INSTANCES, Runs, mask_of, read_stack
from cotgen.sources.masks import (
    Labels,
    Mask,
    area_of,
    box_of,
    box_of_main,
    check_shape,
    gap_of,
    pieces_of,
    read_labels,
    size_of,
)

SPLITS = ("train", "val", "test")
VIDEOS = 201
CLASSES = ("", "cystic_plate", "calot_triangle", "cystic_artery", "cystic_duct", "gallbladder", "tool")
IGNORED = 255
#: Pieces of a structure that hold less of it are strays of the outline, or bits behind something else: in no box.
LEAST_PIECE = 0.1
#: The share of an instance that must lie in a class of the semantic mask for the two to agree.
LEAST_AGREEMENT = 0.5
MOST_IMAGES = 200_000
#: A link that was unpacked as a text of its target has some 20 bytes; no picture is so small.
LEAST_PICTURE_BYTES = 512

_IMAGE = re.compile(r"([0-9]{1,3})_([0-9]{1,7})\.jpe?g", re.IGNORECASE)
_MASK = re.compile(r"([0-9]{1,3})_([0-9]{1,7})\.png", re.IGNORECASE)
_STACK = re.compile(r"([0-9]{1,3})_([0-9]{1,7})\.npy", re.IGNORECASE)
_BOXES, _VOTES = "annotation_coco.json", "annotation_ds_coco.json"
_COCO = (_BOXES, _VOTES)
_STAND_IN = "matches.json"


@dataclass(frozen=True, slots=True)
class _Thing:
    """One outlined thing: its class, its box or [], its outline where there is one."""

    name: str
    box: list[float]
    runs: Runs | None = None
    mask: Mask | None = None


@dataclass
class _Frame:
    """What the annotation files say of one picture.

    Attributes:
        size: width and height; (0, 0) where no file says.
        things: None where nobody drew boxes; [] where somebody looked and drew none.
        votes: shares of the raters for the three criteria, where the frame was judged.
        raters: the raters' own rows.
        lost: boxes that lie outside the picture or have no extent.
    """

    size: tuple[int, int] = (0, 0)
    things: list[_Thing] | None = None
    votes: tuple[float, float, float] | None = None
    raters: tuple[tuple[int, int, int], ...] = field(default=())
    lost: int = 0


@dataclass
class _Records:
    """One annotation file: video -> frame -> what it says; and what is wrong in single videos."""

    frames: dict[int, dict[int, _Frame]] = field(default_factory=lambda: defaultdict(dict))
    broken: dict[int, SourceError] = field(default_factory=dict)


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
                "train_seg/, val_seg/, test_seg/: annotation_coco.json with outlines; their pictures, and those of all/, "
                "only where the three folders lack them",
                "semseg/5_5900.png ...: 1 to 6 by class, 255 where nobody judged",
                "insseg/5_5900.npy ... with .csv: a mask for each thing, where no COCO file has it",
                "all_metadata.csv: the raters' own rows",
                "a part of it is enough: pictures with boxes, votes or masks",
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
        """What `root`, or a single folder in it, holds; None where no annotation is.

        Raises:
            CotgenError: several folders in `root` hold Endoscapes.
            SourceError: a folder cannot be listed.
        """
        scan = self._scan(root)
        if scan is None:
            own = {*SPLITS, *(f"{split}_seg" for split in SPLITS), "semseg", "insseg", "all", "12_5", "25"}
            inner = [root / name for name in names_in(root) if name.lower() not in own and is_folder(root / name)]
            found = [scan for folder in inner if (scan := self._scan(folder)) is not None]
            if len(found) > 1:
                raise CotgenError(
                    f"{root} holds Endoscapes more than once: {', '.join(item.root.name for item in found)}. "
                    f"Name one of them: --root {self.name}={found[0].root}"
                )
            scan = found[0] if found else None
        return scan

    def _scan(self, root: Path) -> Scan | None:
        names = {name.lower(): name for name in reversed(names_in(root))}
        coco: dict[str, list[str]] = {}
        for split in SPLITS:
            folders = [names[name] for name in (split, f"{split}_seg") if name in names]
            coco[split] = [f"{f}/{name}" for f in folders for name in _COCO if is_file(root / f / name)]
        masks = _numbered(root, names.get("semseg", ""), _MASK)
        images = _images(root, names)
        if not any(coco.values()):
            if _STAND_IN in names and images:
                coco = {split: [names[_STAND_IN]] for split in SPLITS}
            elif not masks:
                return None
        metadata = names.get("all_metadata.csv", "")
        stacks = _numbered(root, names.get("insseg", ""), _STACK)
        surgeries: list[SurgeryFiles] = []
        incomplete: list[tuple[str, str]] = []
        for number in sorted({*images, *masks}):
            surgery = f"{self.name}/{number}"
            own = images.get(number, {})
            where = {file.partition("/")[0].lower().removesuffix("_seg") for file in own.values()}
            # Pictures of `all/` say no split, and then any file may speak of them.
            shared = [file for split in SPLITS if split in where or "all" in where for file in coco[split]]
            if not 1 <= number <= VIDEOS:
                incomplete.append((surgery, f"Endoscapes has the videos 1 to {VIDEOS}"))
            elif not own:
                incomplete.append(
                    (surgery, f"{min(masks[number].items())[1]} has no picture in train/, val/ or test/")
                )
            elif not shared and number not in masks and not metadata:
                incomplete.append((surgery, f"{min(where)}/ has neither {_BOXES} nor {_VOTES}"))
            else:
                roles = [(f"coco{n}", file) for n, file in enumerate(dict.fromkeys(shared))]
                roles += [("metadata", metadata)] if metadata else []
                roles += [(f"mask{n:07d}", file) for n, file in sorted(masks.get(number, {}).items())]
                for n, file in sorted(stacks.get(number, {}).items()):
                    roles.append((f"stack{n:07d}", file))
                    if is_file(root / (labels := f"{file[:-4]}.csv")):
                        roles.append((f"classes{n:07d}", labels))
                surgeries.append(SurgeryFiles(surgery, tuple(roles), "", tuple(sorted(own.items()))))
        return Scan(self.name, root, tuple(surgeries), tuple(incomplete), tuple(_noticed(coco, metadata)))

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
        counts: Counter[str] = Counter()
        frames = _annotated(root, files, counts)
        roles = dict(files.annotations)
        outlined = {int(role[-7:]) for role in roles if role.startswith(("mask", "stack"))}
        facts: list[tuple[Any, ...]] = []
        labelled: list[tuple[int, str]] = []
        measured: list[tuple[Any, ...]] = []
        for index in sorted({*frames, *outlined}):
            if index % step:
                continue
            frame = frames.get(index, _Frame())
            things, ignored = _outlined(root, files, index, frame, roles, counts)
            if ignored is not None:
                measured.append((index, "ignored", ignored, []))
            if things is not None:
                rows, numbers = _things(index, things)
                facts += rows
                measured += numbers
                labelled += [(index, f"{self.name}.anatomy"), (index, f"{self.name}.instrument")]
            if frame.votes is not None:
                labelled.append((index, f"{self.name}.cvs"))
                for n, (id, value) in enumerate(zip(alias(self.name, "cvs").values(), frame.votes, strict=False)):
                    facts.append((index, f"{self.name}.cvs.{n}", "cvs", [id], [], value, self.name))
                whole = overall(frame.votes, frame.raters)
                if whole is None:
                    counts["judged frames whose raters do not determine the whole: nothing is said of it"] += 1
                else:
                    labelled.append((index, f"{self.name}.cvs_overall"))
                    id = f"{self.name}.cvs_overall.0"
                    facts.append((index, id, "cvs_overall", ["cvs.critical_view"], [], whole, self.name))
        where = files.images[0][1] if files.images else files.annotations[0][1]
        oddities = tuple(Oddity(where, text, count) for text, count in sorted(counts.items()))
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
    (of 3), and is determined where the two are equal.
    """
    if len(raters) == 3:
        return sum(all(row) for row in raters) / 3
    counts = [round(3 * vote) for vote in votes]
    least, most = max(0, sum(counts) - 6), min(counts)
    return least / 3 if least == most else None


def _noticed(coco: Mapping[str, Sequence[str]], metadata: str) -> list[Oddity]:
    """What of the download is not there, and what that means."""
    files = [file for split in SPLITS for file in coco[split]]
    if files and files[0].lower() == _STAND_IN:
        return [Oddity(_STAND_IN, "stands in for the COCO files, which are not there: no boxes but those of masks")]
    found = []
    for split in SPLITS:
        names = {file.rpartition("/")[2] for file in coco[split]}
        if names == {_BOXES}:
            found.append(Oddity(f"{split}/{_VOTES}", "is not there: votes come from the other files alone"))
        elif names == {_VOTES}:
            found.append(Oddity(f"{split}/{_BOXES}", "is not there: boxes come from the other files alone"))
    if files and not metadata:
        text = "is not there: the critical view as a whole is told only where the means of the votes settle it"
        found.append(Oddity("all_metadata.csv", text))
    return found


def _numbered(root: Path, folder: str, pattern: re.Pattern[str]) -> dict[int, dict[int, str]]:
    """Video -> frame -> file of that folder."""
    found: dict[int, dict[int, str]] = defaultdict(dict)
    for name in names_in(root, folder) if folder else ():
        if match := pattern.fullmatch(name):
            found[int(match[1])].setdefault(int(match[2]), f"{folder}/{name}")
    return dict(found)


def _images(root: Path, names: Mapping[str, str]) -> dict[int, dict[int, str]]:
    """Video -> frame -> picture.

    The `_seg` folders and `all/` hold links to the pictures of the three, or texts of 20 bytes where links were unpacked
    as such: they count only where the three lack a picture, and only where they are one.
    """
    found: dict[int, dict[int, str]] = defaultdict(dict)
    for folder in (*SPLITS, *(f"{split}_seg" for split in SPLITS), "all"):
        for number, pictures in _numbered(root, names.get(folder, ""), _IMAGE).items():
            for index, file in pictures.items():
                if index not in found.get(number, {}) and (folder in SPLITS or _is_picture(root / file)):
                    found[number][index] = file
    return dict(found)


def _is_picture(path: Path) -> bool:
    try:
        return path.stat().st_size >= LEAST_PICTURE_BYTES
    except OSError:
        return False


def _annotated(root: Path, files: SurgeryFiles, counts: Counter[str]) -> dict[int, _Frame]:
    """Frame -> what the annotation files say together, of one video.

    Raises:
        SourceError: a file is not as expected, as a whole or for this video.
    """
    number = int(files.surgery.partition("/")[2])
    found: dict[int, _Frame] = defaultdict(_Frame)
    for role, file in files.annotations:
        if not role.startswith(("coco", "metadata")):
            continue
        read = _coco if role.startswith("coco") else _metadata
        records = read(root, file, *_stamp(root, file))
        if number in records.broken:
            raise records.broken[number]
        for index, frame in records.frames.get(number, {}).items():
            own = found[index]
            own.size = frame.size if frame.size != (0, 0) else own.size
            own.things = _better(own.things, frame.things)
            own.lost = max(own.lost, frame.lost)
            own.raters = frame.raters or own.raters
            # The votes of the COCO files come first; each rater's own row stands in for them.
            own.votes = own.votes or frame.votes
    for frame in found.values():
        if frame.lost:
            # Without all of its boxes a frame cannot say what is not there.
            frame.things = None
            counts["frames with a box outside the picture or without extent: their boxes are left out"] += 1
        if frame.votes and frame.raters:
            shares = tuple(sum(row[n] for row in frame.raters) for n in range(3))
            if shares != tuple(round(3 * vote) for vote in frame.votes):
                frame.raters = ()
                counts["judged frames whose raters' rows contradict the votes: the votes are used alone"] += 1
    return dict(found)


def _better(one: list[_Thing] | None, other: list[_Thing] | None) -> list[_Thing] | None:
    """Of two lists of boxes the one that has some, and of these the one with outlines: files of votes may list none."""
    if not one or not other:
        return one or (one if other is None else other)
    return other if any(t.runs for t in other) and not any(t.runs for t in one) else one


def _stamp(root: Path, file: str) -> tuple[int, int]:
    """Time and size, by which a file that was read is known again."""
    try:
        status = inside(root, file).stat()
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        raise SourceError(f"cannot be read ({reason}); check the file and its rights", file=file) from None
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=12)
def _coco(root: Path, file: str, mtime_ns: int, size: int) -> _Records:
    """Boxes and votes of one COCO file.

    Raises:
        SourceError: it is no COCO file of this data set. What is wrong with the records of one video is in `broken`.
    """
    try:
        content = orjson.loads(read_bytes(root, file, MAX_JSON_BYTES).removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as problem:
        raise SourceError(f"is no JSON ({problem.msg}); get the file again", file=file, line=problem.lineno) from None
    images, annotations = _entries(content, file)
    boxed = annotations is not None
    categories = _categories(content.get("categories"), file) if annotations else {}
    found = _Records()
    known: dict[int | str, tuple[int, int]] = {}
    for row in images:
        name = row.get("file_name") if isinstance(row, dict) else None
        match = _IMAGE.fullmatch(name) if isinstance(name, str) else None
        if match is None:
            raise SourceError(f"has an image called {ascii(name)[:60]}; VIDEO_FRAME.jpg was expected", file=file)
        video, index = int(match[1]), int(match[2])
        if boxed:
            key = row.get("id")
            if not isinstance(key, int | str) or known.setdefault(key, (video, index)) != (video, index):
                raise SourceError(
                    f"{match.group()} has the id {ascii(key)[:40]}, or shares it; it was to be unique", file=file
                )
        try:
            _image(found.frames[video].setdefault(index, _Frame()), row, file, match.group(), boxed)
        except SourceError as problem:
            found.broken.setdefault(video, problem)
    for row in annotations or ():
        key, kind = (row.get("image_id"), row.get("category_id")) if isinstance(row, dict) else (None, None)
        if (
            not isinstance(key, int | str)
            or key not in known
            or not isinstance(kind, int | str)
            or kind not in categories
        ):
            raise SourceError(
                f"has an annotation of an image or category that is not there: {ascii(row)[:60]}", file=file
            )
        video, index = known[key]
        if video in found.broken:
            continue
        try:
            _annotation(found.frames[video][index], row, categories[kind], file, f"{video}_{index}.jpg")
        except SourceError as problem:
            found.broken.setdefault(video, problem)
    return found


def _entries(content: Any, file: str) -> tuple[list[Any], list[Any] | None]:
    """The image records, and the annotations: None where the file is none of boxes."""
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        rows = list(content.values()) if isinstance(content, dict) else []
        # matches.json of a third party: the image records alone, below each name.
        if rows and all(isinstance(row, dict) and isinstance(row.get("annotations"), list) for row in rows):
            return [record for row in rows for record in row["annotations"]], None
        raise SourceError("has no list of images; a COCO file was expected", file=file)
    if len(content["images"]) > MOST_IMAGES:
        raise SourceError(f"lists more than {MOST_IMAGES:,} images", file=file)
    annotations = content.get("annotations") or []
    if not isinstance(annotations, list) or len(annotations) > MOST_IMAGES:
        raise SourceError(f"has no list of at most {MOST_IMAGES:,} annotations", file=file)
    # A file of votes that lists no box at all says nothing of boxes; in a file of boxes none is a negative.
    return content["images"], annotations if annotations or file.endswith(f"/{_BOXES}") else None


def _categories(rows: Any, file: str) -> dict[int | str, str]:
    """Number -> class, by the names of the file."""
    found: dict[int | str, str] = {}
    for row in rows if isinstance(rows, list) else ():
        name, key = (row.get("name"), row.get("id")) if isinstance(row, dict) else (None, None)
        if name == "background":
            continue
        if not isinstance(name, str) or name not in CLASSES[1:] or not isinstance(key, int | str):
            raise SourceError(
                f"has the category {ascii(name)[:40]}, which is none of the data set: {', '.join(CLASSES[1:])}",
                file=file,
            )
        if key in found:
            raise SourceError(f"has two categories of the number {key}", file=file)
        found[key] = name
    if not found:
        raise SourceError("has boxes and no list of categories; names of their classes were expected", file=file)
    return found


def _image(frame: _Frame, row: dict[str, Any], file: str, image: str, boxed: bool) -> None:
    """Read one image record into `frame`."""
    if row.get("is_ds_keyframe"):
        frame.votes = _votes(row.get("ds"), file, image)
    if boxed:
        width, height = row.get("width"), row.get("height")
        if not (isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0):
            raise SourceError(f"{image} has no width and height; whole numbers over 0 were expected", file=file)
        frame.size = width, height
        if row.get("is_det_keyframe", True):
            frame.things = []


def _annotation(frame: _Frame, row: dict[str, Any], name: str, file: str, image: str) -> None:
    """Read one annotation into `frame`; one of a frame whose boxes are no labels is left alone."""
    if frame.things is None:
        return
    box = row.get("bbox")
    if not (isinstance(box, list) and len(box) == 4 and all(_is_number(value) for value in box)):
        raise SourceError(f"{image} has an annotation without four numbers of bbox: {ascii(box)[:60]}", file=file)
    x, y, w, h = box
    width, height = frame.size
    x1, y1, x2, y2 = max(x, 0), max(y, 0), min(x + w, width), min(y + h, height)
    if not (x1 < x2 and y1 < y2):
        frame.lost += 1
        return
    if len(frame.things) >= MOST_INSTANCES:
        raise SourceError(f"{image} has more than {MOST_INSTANCES} annotations", file=file)
    runs = _runs(row.get("segmentation"), frame.size, file, image)
    frame.things.append(_Thing(name, [x1 / width, y1 / height, x2 / width, y2 / height], runs))


def _runs(value: Any, size: tuple[int, int], file: str, image: str) -> Runs | None:
    """The outline of an annotation where it is one of run lengths; corners of polygons give a box and no more."""
    if not isinstance(value, dict):
        return None
    width, height = size
    counts = value.get("counts")
    if isinstance(counts, list) and all(isinstance(n, int) for n in counts):
        counts = tuple(counts)
    if value.get("size") != [height, width] or not isinstance(counts, str | tuple):
        raise SourceError(f"{image} has an outline that is not of {height} x {width} run lengths", file=file)
    return Runs(file, height, width, counts)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _votes(value: Any, file: str, image: str) -> tuple[float, float, float]:
    """Three means of three raters."""
    if isinstance(value, list) and len(value) == 3 and all(_is_number(vote) for vote in value):
        counts = [3 * vote for vote in value]
        if all(-0.02 < count < 3.02 and abs(count - round(count)) < 0.02 for count in counts):
            one, two, three = (round(count) / 3 for count in counts)
            return one, two, three
    raise SourceError(
        f"{image} has the votes {ascii(value)[:40]}; three of 0, 1/3, 2/3 and 1 were expected", file=file
    )


@lru_cache(maxsize=4)
def _metadata(root: Path, file: str, mtime_ns: int, size: int) -> _Records:
    """The raters' own rows, where all three are there, and their shares.

    Raises:
        SourceError: it is no such table. What is wrong with the rows of one video is in `broken`.
    """
    text = read_bytes(root, file, MAX_TEXT_BYTES).decode("utf-8-sig", errors="replace")
    reader = csv.DictReader(io.StringIO(text, newline=""))
    columns = [f"cvs_annotator_{n}" for n in (1, 2, 3)]
    found = _Records()
    try:
        if lost := {"vid", "frame", *columns} - set(reader.fieldnames or ()):
            raise SourceError(f"has no column {sorted(lost)[0]}", file=file, line=1)
        for row in reader:
            video, index = _whole(row["vid"]), _whole(row["frame"])
            if video is None or index is None:
                raise SourceError("vid and frame are no whole numbers", file=file, line=reader.line_num)
            try:
                rows = tuple(_rater(row, name, file, reader.line_num) for name in columns)
            except SourceError as problem:
                found.broken.setdefault(video, problem)
                continue
            one, two, three = rows
            if one and two and three:
                shares = [sum(column) / 3 for column in zip(one, two, three, strict=True)]
                judged = (row.get("is_ds_keyframe") or "").strip().lower() in ("true", "1", "1.0")
                votes = (shares[0], shares[1], shares[2]) if judged else None
                found.frames[video][index] = _Frame(votes=votes, raters=(one, two, three))
    except csv.Error as problem:
        raise SourceError(
            f"is no table of commas ({problem}); get the file again", file=file, line=max(1, reader.line_num)
        ) from None
    return found


def _whole(text: str | None) -> int | None:
    """The whole number of a cell; numbers of the release may have a point, as `5.0` and `5.000e+00`."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return int(value) if value.is_integer() and 0 <= value < 10**7 else None


def _rater(row: Mapping[str, str | None], name: str, file: str, line: int) -> tuple[int, int, int] | None:
    """The three criteria of one rater, from `[0, 1, 0]`; None where the cell is empty."""
    text = (row[name] or "").strip()
    if not text:
        return None
    digits = re.fullmatch(r"\[?\s*([01])(?:\.0?)?[,\s]+([01])(?:\.0?)?[,\s]+([01])(?:\.0?)?\s*\]?", text)
    if digits is None:
        raise SourceError(f"{name} is {ascii(text)[:40]}; three of 0 and 1 were expected", file=file, line=line)
    return int(digits[1]), int(digits[2]), int(digits[3])


def _outlined(
    root: Path, files: SurgeryFiles, index: int, frame: _Frame, roles: Mapping[str, str], counts: Counter[str]
) -> tuple[list[_Thing] | None, float | None]:
    """The things of a frame, None where nobody outlined it; and the share of its mask that nobody judged.

    Raises:
        SourceError: an outline or a mask is not as expected.
    """
    mask, stack = roles.get(f"mask{index:07d}"), roles.get(f"stack{index:07d}")
    labels = _labels(root, mask) if mask else None
    if mask and labels is not None:
        size = labels.shape[1], labels.shape[0]
        if frame.size not in ((0, 0), size):
            raise SourceError(
                f"is of {size[0]} x {size[1]} pixels; the boxes of its picture are of {frame.size[0]} x {frame.size[1]}",
                file=mask,
            )
        if picture := dict(files.images).get(index):
            check_shape(root, mask, size, picture)
    ignored = None if labels is None else area_of(labels == IGNORED)
    things = frame.things
    if things:
        things = [_Thing(t.name, t.box, mask=mask_of(t.runs)) if t.runs else t for t in things]
        if labels is not None:
            names = Counter(thing.name for thing in things)
            things = [
                _Thing(t.name, t.box, mask=labels == CLASSES.index(t.name))
                if t.mask is None and names[t.name] == 1
                else t
                for t in things
            ]
    elif stack:
        things = _instances(root, files, index, frame, stack, roles.get(f"classes{index:07d}"), labels, counts)
    if not things and labels is not None:
        things = _classes(labels)
    return things, ignored


def _labels(root: Path, file: str) -> Labels:
    labels = read_labels(root, file)
    if strange := [value for value in np.unique(labels).tolist() if value not in (*range(len(CLASSES)), IGNORED)]:
        raise SourceError(f"has the value {strange[0]}; classes 0 to 6 and 255 exist", file=file)
    return labels


def _classes(labels: Labels) -> list[_Thing]:
    """What a semantic mask shows: a structure is one thing even in pieces; two tools may share a class."""
    found = []
    for value, name in enumerate(CLASSES):
        mask = labels == value
        if not name or not mask.any():
            continue
        if name == "tool":
            box = box_of(mask) if len(pieces_of(mask)) == 1 else []
        else:
            box = box_of_main(mask, LEAST_PIECE)
        found.append(_Thing(name, box, mask=mask))
    return found


def _instances(
    root: Path, files: SurgeryFiles, index: int, frame: _Frame, stack: str, table: str | None, labels: Labels | None,
    counts: Counter[str],
) -> list[_Thing] | None:  # fmt: skip
    """The instances of a stack; None where their classes, or the size of their picture, are not sure.

    The table beside the stack may number the classes from 0 or from 1: it is believed where it names them, and the
    semantic mask decides where it does not. Where names and mask differ, neither is taken.
    """
    picture = dict(files.images).get(index)
    if labels is not None:
        height, width = labels.shape
    else:
        width, height = frame.size if frame.size != (0, 0) or picture is None else size_of(root, picture)
    masks = read_stack(root, stack, height, width) if width else []
    told = _told(root, table, len(masks)) if table else None
    seen = [_class_below(mask, labels) for mask in masks] if labels is not None else None
    names = told or seen or []
    if "" in names or (told and seen and any(b not in ("", a) for a, b in zip(told, seen, strict=True))):
        names = []
    if not names:
        counts["stacks of instances whose classes are not sure: left out"] += 1
        return None
    return [_Thing(name, box_of(mask), mask=mask) for name, mask in zip(names, masks, strict=True) if mask.any()]


def _class_below(mask: Mask, labels: Labels) -> str:
    """The class that most of an instance has in the semantic mask; "" where none holds half of it."""
    numbers = np.bincount(labels[mask], minlength=IGNORED + 1)[1 : len(CLASSES)]
    most = int(numbers.argmax())
    least = max(1, LEAST_AGREEMENT * int(np.count_nonzero(mask)))
    return CLASSES[most + 1] if int(numbers[most]) >= least else ""


def _told(root: Path, table: str, number: int) -> list[str] | None:
    """The class names of a stack's table, where one column of it names a class for each instance; None else."""
    text = read_bytes(root, table, MAX_TEXT_BYTES).decode("utf-8-sig", errors="replace")
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if any(cell.strip() for cell in row)]
    except csv.Error as problem:
        raise SourceError(f"is no table of commas ({problem}); get the file again", file=table) from None
    for column in range(min((len(row) for row in rows), default=0)):
        cells = [row[column].strip().lower() for row in rows]
        for own in (cells, cells[1:]):
            if own and len(own) == number and all(cell in CLASSES[1:] for cell in own):
                return own
    return None


def _things(index: int, things: Sequence[_Thing]) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Facts of structures and tools, and what their outlines give."""
    facts: list[tuple[Any, ...]] = []
    measured: list[tuple[Any, ...]] = []
    numbers: Counter[str] = Counter()
    shapes: list[tuple[str, Mask]] = []
    for thing in things:
        kind = "instrument" if thing.name == "tool" else "anatomy"
        id = f"endoscapes.{kind}.{numbers[kind]}"
        numbers[kind] += 1
        facts.append((index, id, kind, [alias("endoscapes", kind)[thing.name]], thing.box, 1.0, "endoscapes"))
        if thing.mask is not None and thing.mask.any():
            measured.append((index, "area", area_of(thing.mask), [id]))
            shapes.append((id, thing.mask))
    for (one, mask), (other, second) in combinations(shapes, 2):
        gap = gap_of(mask, second)
        if gap is not None:
            measured.append((index, "gap", gap, sorted((one, other))))
    return facts, measured
