"""Cholec80: 80 laparoscopic cholecystectomies with seven phases at 25 frames a second and seven tools once a second.

Read are the original release (`videos/`, `phase_annotations/`, `tool_annotations/`) and pictures extracted from it
once a second (`frames/video01/video01_000001.png`: file n is second n - 1), which stand in where there is no video.
The clock of a surgery counts frames of the video at 25 a second: phases have a row for each, tools for every 25th and
none for the last second. Phases that do not occur or come in another order, and surgeries with one kind of label, are
read as they are.
"""

from __future__ import annotations

import os
import re
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cache
from importlib import resources
from itertools import pairwise
from pathlib import Path

import polars as pl
import yaml

from cotgen.errors import CotgenError, SourceError
from cotgen.ontology import alias, term
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
from cotgen.sources.frame_table import FRAME, FrameTable, read_frame_table

#: Frames of the clock in a second, which is also the distance of two tool rows.
SECOND = 25
SURGERIES = 80
#: How many seconds the last picture of `frames/` may lie from the last label: extraction rounds a video's length.
_SLACK = 2

_PHASES, _TOOLS, _VIDEOS, _FRAMES = "phase_annotations", "tool_annotations", "videos", "frames"
_FILES = {
    "phase": (_PHASES, re.compile(r"video([0-9]{1,4})[-_]phase\.txt", re.IGNORECASE)),
    "tool": (_TOOLS, re.compile(r"video([0-9]{1,4})[-_]tool\.txt", re.IGNORECASE)),
    "video": (_VIDEOS, re.compile(r"video([0-9]{1,4})\.(?:mp4|avi|mkv|mov)", re.IGNORECASE)),
    "frames": (_FRAMES, re.compile(r"video([0-9]{1,4})", re.IGNORECASE)),
}
_PICTURE = re.compile(r"video([0-9]{1,4})_([0-9]{1,9})\.(?:png|jpe?g)", re.IGNORECASE)


class Cholec80:
    """Reads Cholec80."""

    name = "cholec80"

    def describe(self) -> Description:
        """Licence, access, layout, levels, splits."""
        return Description(
            terms=SourceTerms(
                name=self.name,
                title="Cholec80",
                licence="CC BY-NC-SA 4.0",
                homepage="https://camma.unistra.fr/datasets/",
                citation=(
                    "A. P. Twinanda, S. Shehata, D. Mutter, J. Marescaux, M. de Mathelin, N. Padoy. EndoNet: A Deep "
                    "Architecture for Recognition Tasks on Laparoscopic Videos. IEEE Transactions on Medical Imaging "
                    "36(1):86-97, 2017. doi:10.1109/TMI.2016.2593957"
                ),
                # The licence lets frames be shared alike, but its owners hand the videos out on request alone.
                share_frames=False,
                share_text=True,
            ),
            access=(
                "Fill in the request form for Cholec80 at https://camma.unistra.fr/datasets/; "
                "the download link comes by mail."
            ),
            layout=(
                "videos/video01.mp4 ... video80.mp4 (or .avi, .mkv, .mov)",
                "phase_annotations/video01-phase.txt ... : header 'Frame Phase', one row per frame at 25 a second",
                "tool_annotations/video01-tool.txt ... : header 'Frame' and seven tools, one row every 25 frames",
                "frames/video01/video01_000001.png ... (or .jpg), file n is second n - 1: where there is no video",
                "a part of it is enough: phases or tools or both, and a video or frames (or another source's)",
            ),
            levels=(
                "level 1: seven kinds of instrument, each in view when at least half of its tip is visible",
                "level 2: no label; what such instruments serve for in general",
                "level 3: seven phases",
            ),
            splits=("40_40", "32_8_40", "camma_40_8_32"),
            fps="25/1",
            procedure="cholecystectomy",
        )

    def scan(self, root: Path) -> Scan | None:
        """What `root`, or a single folder in it, holds; None where there is no annotation file of Cholec80.

        Raises:
            CotgenError: several folders in `root` hold Cholec80.
            SourceError: a folder of the layout cannot be listed.
        """
        if not _recognised(root):
            inner = _inner(root)
            if len(inner) > 1:
                raise CotgenError(
                    f"{root} holds Cholec80 more than once: {', '.join(folder.name for folder in inner)}. "
                    f"Name one of them: --root cholec80={inner[0]}"
                )
            if not inner:
                return None
            root = inner[0]
        found = _by_number(root)
        surgeries, incomplete, oddities = [], [], []
        for number in sorted(found):
            surgery = f"{self.name}/{number}"
            files, problem, odd = _surgery_files(root, surgery, number, found[number])
            oddities += odd
            if files:
                surgeries.append(files)
            else:
                incomplete.append((surgery, problem))
        return Scan(self.name, root, tuple(surgeries), tuple(incomplete), tuple(oddities))

    def missing(self, root: Path) -> str:
        """Why `scan` did not recognise `root`."""
        try:
            names = sorted(os.listdir(root))  # noqa: PTH208
        except NotADirectoryError:
            return "is a file, not a folder"
        except FileNotFoundError:
            return "is not there"
        except OSError as problem:
            return f"cannot be listed ({problem.strerror})"
        wanted = f"no {_PHASES}/videoNN-phase.txt and no {_TOOLS}/videoNN-tool.txt in it or in one folder below it"
        if any(name.lower().endswith(".tfrecord") or ".tfrecord-" in name.lower() for name in names):
            return (
                f"{wanted}; it holds TFRecords, which are not read: the text files of the original release are needed"
            )
        shown = [ascii(name)[1:-1] for name in names[:6]] + (["..."] if len(names) > 6 else [])
        return f"{wanted}; it holds {', '.join(shown) or 'nothing'}"

    def facts(self, root: Path, files: SurgeryFiles, step: int = SECOND) -> SurgeryFacts:
        """The labels of one surgery at the frames 0, step, 2 * step ... of its clock.

        Phases are labelled at every frame, tools at every 25th: a step below 25 gives instants with a phase alone.

        Raises:
            SourceError: an annotation file is not as expected, or the pictures of `frames/` are not one a second.
            ValueError: `step` is below 1.
        """
        if step < 1:
            raise ValueError(f"step is {step}; at least 1 frame was expected")
        paths = dict(files.annotations)
        oddities: list[Oddity] = []
        facts: list[pl.DataFrame] = []
        labelled: list[pl.DataFrame] = []
        tables: dict[str, FrameTable] = {}
        if "phase" in paths:
            tables["phase"] = read_frame_table(root, paths["phase"], {"Phase": list(alias(self.name, "phase"))}, 1)
            oddities += tables["phase"].oddities
            oddities += _phase_oddities(paths["phase"], tables["phase"].rows)
            rows = tables["phase"].rows.filter(pl.col(FRAME) % step == 0)
            facts.append(_phase_facts(rows))
            labelled.append(rows.select(index=FRAME, name=pl.lit("cholec80.phase")))
        if "tool" in paths:
            tools = list(alias(self.name, "instrument"))
            tables["tool"] = read_frame_table(root, paths["tool"], dict.fromkeys(tools, ("0", "1")), SECOND)
            oddities += tables["tool"].oddities
            rows = tables["tool"].rows.filter(pl.col(FRAME) % step == 0)
            facts.append(_tool_facts(rows, tools))
            labelled.append(rows.select(index=FRAME, name=pl.lit("cholec80.instrument")))
        ends = {role: int(table.rows[FRAME][-1]) // SECOND for role, table in tables.items()}
        oddities += _end_oddities(int(files.surgery.partition("/")[2]), paths, tables, ends)
        if not files.video and files.images:
            _check_pictures(files, max(ends.values(), default=0))
        return SurgeryFacts(
            files.surgery,
            pl.concat([pl.DataFrame(schema=FACTS_SCHEMA).with_columns(order=pl.lit(0, pl.Int64)), *facts])
            .sort("index", "order")
            .drop("order"),
            pl.concat([pl.DataFrame(schema=LABELLED_SCHEMA), *labelled]).sort("index", "name"),
            tuple(oddities),
        )

    def frames(self, root: Path, files: SurgeryFiles) -> Footage:
        """The video, or the pictures of `frames/` where there is none.

        Raises:
            SourceError: a name leaves the root.
        """
        for file in [files.video] if files.video else [file for _, file in files.images]:
            inside(root, file)
        return Footage(self.name, root, files.video, () if files.video else files.images, self.describe().fps)


def _names(root: Path, folder: str = "") -> list[str]:
    """The sorted names in root or in a folder of it; none where it is no folder.

    Raises:
        SourceError: it cannot be listed.
    """
    try:
        return sorted(os.listdir(root / folder))  # noqa: PTH208 - a list of names, several times as fast for 180,000 pictures
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as problem:
        raise SourceError(
            f"cannot be listed ({problem.strerror}); check its rights", file=folder or str(root)
        ) from None


def _is(test: Callable[[int], bool], path: Path) -> bool:
    """Whether the path is there, links followed, and of that kind (`stat.S_ISDIR`, `stat.S_ISREG`)."""
    try:
        return test(path.stat().st_mode)
    except OSError:
        return False


def _folders(root: Path, name: str) -> list[str]:
    """The folders of that name in `root`, whatever their letter case."""
    return [entry for entry in _names(root) if entry.lower() == name and _is(stat.S_ISDIR, root / entry)]


def _recognised(root: Path) -> bool:
    """Whether `root` itself has an annotation folder with a file of Cholec80."""
    for folder, pattern in (_FILES["phase"], _FILES["tool"]):
        for name in _folders(root, folder):
            if any(pattern.fullmatch(file) for file in _names(root, name)):
                return True
    return False


def _inner(root: Path) -> list[Path]:
    """The folders in `root` that hold Cholec80: one extra top folder is forgiven."""
    found = []
    for name in _names(root):
        try:
            if _recognised(root / name):
                found.append(root / name)
        except SourceError:  # a neighbour that may not be listed
            continue
    return found


def _by_number(root: Path) -> dict[int, dict[str, list[str]]]:
    """Number of the surgery -> role -> files (for `frames`: folders) relative to root."""
    found: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for role, (folder, pattern) in _FILES.items():
        for name in _folders(root, folder):
            for file in _names(root, name):
                if match := pattern.fullmatch(file):
                    found[int(match[1])][role].append(f"{name}/{file}")
    return found


def _surgery_files(
    root: Path, surgery: str, number: int, found: dict[str, list[str]]
) -> tuple[SurgeryFiles | None, str, list[Oddity]]:
    """The files of one surgery, or what keeps it from being built, and what was noticed."""
    oddities: list[Oddity] = []
    if not 1 <= number <= SURGERIES:
        return None, f"Cholec80 has the videos 1 to {SURGERIES}; {_first(found)} is none of them", oddities
    for files in found.values():
        if len(files) > 1:
            return None, f"{' and '.join(files)} are both of this surgery; keep one of them", oddities
    annotations = tuple((role, found[role][0]) for role in ("phase", "tool") if role in found)
    if not annotations:
        file = _first(found)
        return (
            None,
            f"{file} has no annotation ({_PHASES}/video{number:02d}-phase.txt or {_TOOLS}/...-tool.txt)",
            oddities,
        )
    video = found["video"][0] if "video" in found else ""
    if video and not _is(stat.S_ISREG, root / video):
        return None, f"{video} is a folder or a broken link; a video was expected", oddities
    images: tuple[tuple[int, str], ...] = ()
    if video and "frames" in found:
        oddities.append(Oddity(found["frames"][0], "not used, since there is a video"))
    elif "frames" in found:
        images, problem, oddities = _pictures(root, found["frames"][0], number)
        if problem:
            return None, problem, oddities
    if not video and not images:
        where = f"there is no {_VIDEOS}/video{number:02d}.mp4 and nothing in {_FRAMES}/video{number:02d}/"
        oddities.append(Oddity(_first(found), f"no pictures: {where}; of use where another source has them"))
    for role, other in (("phase", "tools"), ("tool", "phases")):
        if [name for name, _ in annotations] == [role]:
            oddities.append(Oddity(annotations[0][1], f"the only annotation of its surgery: {other} are not labelled"))
    return SurgeryFiles(surgery, annotations, video, images), "", oddities


def _first(found: dict[str, list[str]]) -> str:
    return next(files[0] for files in found.values())


def _pictures(root: Path, folder: str, number: int) -> tuple[tuple[tuple[int, str], ...], str, list[Oddity]]:
    """The pictures of one folder by their index on the clock, or what is wrong with them."""
    found: dict[int, str] = {}
    others = 0
    for name in _names(root, folder):
        match = _PICTURE.fullmatch(name)
        if match is None or int(match[1]) != number:
            others += 1
            continue
        second = int(match[2])
        if second == 0:
            return (
                (),
                f"{folder}/{name} is number 0: pictures count from 1 (file n is second n - 1); rename them",
                [],
            )
        if second in found:
            return (), f"{found[second]} and {folder}/{name} are both of one second; keep one of them", []
        found[second] = f"{folder}/{name}"
    odd = (
        [Oddity(folder, f"files that are not called video{number:02d}_NNNNNN.png or .jpg, not read", others)]
        if others
        else []
    )
    return tuple((SECOND * (second - 1), found[second]) for second in sorted(found)), "", odd


def _check_pictures(files: SurgeryFiles, end: int) -> None:
    """Refuse pictures that cannot be one a second: they would get the labels of other instants.

    `end` is the last labelled second.
    """
    index, file = files.images[-1]
    if abs(index // SECOND - end) > _SLACK:
        raise SourceError(
            f"is the last picture and so second {index // SECOND}, but the labels end at second {end}: "
            "the pictures are cut or not one a second; extract them again at 1 a second",
            file=file,
        )


def _phase_facts(rows: pl.DataFrame) -> pl.DataFrame:
    name = pl.col("Phase").replace_strict(alias("cholec80", "phase"), return_dtype=pl.String)
    return _facts(rows.select(FRAME, term=name, order=pl.lit(-1, pl.Int64), n=pl.lit(0, pl.Int64)), "phase")


def _tool_facts(rows: pl.DataFrame, tools: list[str]) -> pl.DataFrame:
    """One fact per positive tool. Numbers count in the release's column order, however the columns of a copy stand."""
    positives = (
        rows.unpivot(on=tools, index=FRAME, variable_name="tool")
        .filter(pl.col("value") == "1")
        .with_columns(
            order=pl.col("tool").replace_strict({tool: i for i, tool in enumerate(tools)}, return_dtype=pl.Int64)
        )
        .sort(FRAME, "order")
        .with_columns(n=pl.int_range(pl.len()).over(FRAME))
    )
    name = pl.col("tool").replace_strict(alias("cholec80", "instrument"), return_dtype=pl.String)
    return _facts(positives.select(FRAME, "order", "n", term=name), "instrument")


def _facts(rows: pl.DataFrame, kind: str) -> pl.DataFrame:
    """Rows of FACTS_SCHEMA and `order`, from Frame, term, n, order."""
    return rows.select(
        index=FRAME,
        id=pl.format("cholec80.{}.{}", pl.lit(kind), "n"),
        kind=pl.lit(kind),
        terms=pl.concat_list("term"),
        box=pl.lit([], dtype=pl.List(pl.Float64)),
        value=pl.lit(1.0),
        source=pl.lit("cholec80"),
        order="order",
    )


def _phase_oddities(file: str, rows: pl.DataFrame) -> Iterable[Oddity]:
    seen = rows["Phase"].rle().struct.field("value").to_list()
    usual = list(alias("cholec80", "phase"))
    for phase in usual:
        if phase not in seen:
            yield Oddity(file, f"the phase {term(alias('cholec80', 'phase')[phase]).answer} does not occur")
    places = [usual.index(phase) for phase in seen]
    if any(after < before for before, after in pairwise(places)):
        yield Oddity(file, "the phases come in another order than in most surgeries")
    if int(rows[FRAME][-1]) % SECOND:
        yield Oddity(file, "phase rows go on after the last whole second")


def _end_oddities(
    number: int, paths: dict[str, str], tables: dict[str, FrameTable], ends: dict[str, int]
) -> Iterable[Oddity]:
    """Whether the tables end as those of the release do: tools one second before phases."""
    if len(tables) == 2:
        if ends["phase"] - ends["tool"] == 1:
            yield Oddity(
                paths["tool"], "no row for the last second, which has a phase: its instruments are not labelled"
            )
        elif ends["phase"] != ends["tool"]:
            short = "tool" if ends["tool"] < ends["phase"] else "phase"
            other = paths["phase" if short == "tool" else "tool"]
            text = f"ends at second {ends[short]}, but {other} at second {max(ends.values())}"
            yield Oddity(paths[short], f"{text}: it may be cut{_release(number, short, tables[short])}")
    else:
        for role, table in tables.items():
            if release := _release(number, role, table):
                yield Oddity(paths[role], f"may be cut{release}")


def _release(number: int, role: str, table: FrameTable) -> str:
    """`; it has 5 rows, the release 1,733` where the table is shorter than in the release."""
    rows = _release_rows()[number][0 if role == "phase" else 1]
    return f": it has {len(table.rows):,} rows, the release {rows:,}" if len(table.rows) < rows else ""


@cache
def _release_rows() -> dict[int, tuple[int, int]]:
    """Number of the surgery -> rows of its phase and tool file in the release."""
    text = (resources.files("cotgen.sources") / "cholec80.yaml").read_text(encoding="utf-8")
    return {number: (phases, tools) for number, (phases, tools) in yaml.safe_load(text).items()}
