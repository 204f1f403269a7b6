"""EndoVis 2018: robotic porcine nephrectomy, outlined (scene segmentation) and with interactions of each instrument.

Read are the release's sequences (`seq_1/left_frames/frame000.png`, `labels/frame000.png` in the colours of `labels.json`),
the interactions (`seq_1/xml/frame000.xml`) and the instrument types of ISINet (`instrument_labels_2017/` or
`instrument_labels/frame000_class1_inst2.png`), in any folders up to three deep; `test_data/seq_1` is another operation
than `seq_1`. The clock has 2 pictures a second, picture n is index n. Interactions are acts at the kidney; idle is no act.
Positions of the question-answering texts contradict one another and are never read.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

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
from cotgen.sources.files import folders_below, is_file, is_folder, names_in, read_bytes
from cotgen.sources.masks import area_of, box_of, check_shape, pieces_of, read_colours, read_labels, size_of

DEPTH = 3
#: Boxes of interactions are in pixels of the release's pictures, also beside copies of another size.
FRAME = (1280, 1024)
#: Train sequences have the pictures 0 to 148, test sequences 249 or 250.
LAST_OF_TRAIN = 148
MAX_XML_BYTES = 2**20
MOST_OBJECTS = 50
#: Numbers of ISINet's types: its own of 2018, and those that agree with 2017, by the name of the folder.
TYPES_2018 = (
    "Bipolar Forceps", "Prograsp Forceps", "Large Needle Driver", "Monopolar Curved Scissors", "Ultrasound Probe",
    "Suction Instrument", "Clip Applier",
)  # fmt: skip
TYPES_2017 = (
    "Bipolar Forceps", "Prograsp Forceps", "Large Needle Driver", "Vessel Sealer", "Grasping Retractor",
    "Monopolar Curved Scissors", "Ultrasound Probe", "Suction Instrument", "Clip Applier",
)  # fmt: skip
#: Classes of the scene masks that say something here. The shaft, wrist and clasper of all instruments share a class.
ORGANS = ("kidney-parenchyma", "covered-kidney", "small-intestine")
THINGS = ("thread", "clamps", "suturing-needle", "instrument-clasper", "instrument-wrist", "instrument-shaft")
LEAST_PIECE = 0.97

#: A folder of the challenge's test sequences; `latest` is none.
_TEST = re.compile(r"(?<![a-z])test(?:ing|set)?(?![a-z])", re.IGNORECASE)
_SEQUENCE = re.compile(r"seq_?([0-9]{1,2})", re.IGNORECASE)
_FRAME = re.compile(r"frame([0-9]{3,6})\.(?:png|jpe?g|bmp)", re.IGNORECASE)
_XML = re.compile(r"frame([0-9]{3,6})\.xml", re.IGNORECASE)
_INSTANCE = re.compile(r"frame([0-9]{3,6})_class([0-9]{1,2})_inst([0-9]{1,2})\.png", re.IGNORECASE)


class EndoVis18:
    """Reads EndoVis 2018."""

    name = "endovis18"

    def describe(self) -> Description:
        """Licence, access, layout, levels, splits."""
        return Description(
            terms=SourceTerms(
                name=self.name,
                title="EndoVis 2018 (robotic scene segmentation) with instrument interactions",
                licence="challenge terms; not stated for the interactions",
                homepage="https://endovissub2018-roboticscenesegmentation.grand-challenge.org/",
                citation=(
                    "M. Allan et al. 2018 Robotic Scene Segmentation Challenge. arXiv:2001.11190, 2020. M. Islam et al. "
                    "Learning and Reasoning with the Graph Structure Representation in Robotic Surgery. MICCAI 2020."
                ),
                share_frames=False,
                share_text=True,
            ),
            access="Register at the challenge's page for the frames; the interactions are linked by their authors.",
            layout=(
                "seq_1/left_frames/frame000.png ... (also below miccai_challenge_release_N/), test_data/seq_1/ ...",
                "seq_1/labels/frame000.png ... in the colours of labels.json",
                "seq_1/xml/frame000.xml ...: instruments with boxes and interactions",
                "seq_1/instrument_labels/frame000_class1_inst1.png ... (instrument_labels_2017/: numbers of 2017)",
            ),
            levels=(
                "level 1: instruments with boxes, kidney, small bowel, needle, thread, clamps",
                "level 2: the state of each instrument at the kidney",
                "level 3: what is asked of them",
            ),
            splits=("clean", "isinet", "vqa"),
            fps="2/1",
            procedure="nephrectomy",
        )

    def scan(self, root: Path) -> Scan | None:
        """What `root` holds; None where no sequence has labels.

        Raises:
            SourceError: a folder cannot be listed.
        """
        found = _sequences(root)
        surgeries: list[SurgeryFiles] = []
        incomplete: list[tuple[str, str]] = []
        oddities: list[Oddity] = []
        colours = _colours_file(root)
        for name, folders in sorted(found.items(), key=lambda item: (item[0].startswith("test"), _digits(item[0]))):
            surgery = f"{self.name}/{name}"
            images: dict[int, str] = {}
            roles: list[tuple[str, str]] = []
            for folder in folders:
                images |= dict(_frames(root, f"{folder}/left_frames"))
                roles += _roles(root, folder)
            if any(role.startswith("scene") for role, _ in roles):
                if not colours:
                    oddities.append(
                        Oddity(folders[0], "labels/ without labels.json, which gives the colours: not read")
                    )
                    roles = [entry for entry in roles if not entry[0].startswith("scene")]
                else:
                    roles.append(("colours", colours))
            if not roles:
                incomplete.append((surgery, f"{folders[0]} has no labels/, xml/ or instrument_labels/"))
            elif not images:
                incomplete.append((surgery, f"{folders[0]} has no left_frames/frame000.png"))
            elif len({role for role, _ in roles}) < len(roles):
                incomplete.append((surgery, f"{' and '.join(folders)} label the same frames; keep one of them"))
            else:
                surgeries.append(SurgeryFiles(surgery, tuple(roles), "", tuple(sorted(images.items()))))
        if not surgeries and not any("has no left_frames" in why for _, why in incomplete):
            return None
        return Scan(self.name, root, tuple(surgeries), tuple(incomplete), tuple(oddities))

    def missing(self, root: Path) -> str:
        """Why `scan` did not recognise `root`."""
        if not is_folder(root):
            return "is not there" if not root.exists() else "is a file, not a folder"
        shown = [ascii(name)[1:-1] for name in names_in(root)[:6]]
        return f"no seq_N/ with xml/, labels/ or instrument_labels/ in it; it holds {', '.join(shown) or 'nothing'}"

    def facts(self, root: Path, files: SurgeryFiles, step: int = 1) -> SurgeryFacts:
        """The labels of one sequence at the pictures 0, step, 2 * step ...

        Raises:
            SourceError: a label file is not as expected.
        """
        if step < 1:
            raise ValueError(f"step is {step}; at least 1 picture was expected")
        by_frame: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        colours = {}
        for role, file in files.annotations:
            if role == "colours":
                colours = _colours(root, file)
                continue
            kind, number = role.split(":", 1)
            by_frame[int(number.partition("_")[0])][kind].append(file)
        pictures = dict(files.images)
        facts: list[tuple[Any, ...]] = []
        labelled: list[tuple[int, str]] = []
        measured: list[tuple[Any, ...]] = []
        counts: Counter[str] = Counter()
        for index in sorted(by_frame):
            if index % step:
                continue
            own = by_frame[index]
            rows: dict[str, list[tuple[list[str], list[float]]]] = defaultdict(list)
            for file in [*own["instances"], *own["scene"]] if index in pictures else []:
                check_shape(root, file, size_of(root, file), pictures[index])
            if own["xml"]:
                if index in pictures:
                    check_shape(root, own["xml"][0], FRAME, pictures[index])
                rows |= _interactions(root, own["xml"][0], counts)
                if own["instances"] and len(own["instances"]) != len(rows["instrument"]):
                    counts["frames whose outlines and interactions have another number of instruments; "
                           "the interactions are used"] += 1  # fmt: skip
            elif own["instances"]:
                rows["instrument"] = [_instance(root, file) for file in sorted(own["instances"])]
            if own["scene"]:
                for kind, found in _scene(root, own["scene"][0], colours).items():
                    if kind not in rows:
                        rows[kind] = [(terms, box) for terms, box, _ in found]
                        for n, (_, _, area) in enumerate(found):
                            measured.append((index, "area", area, [f"{self.name}.{kind}.{n}"]))
            for kind in sorted(rows):
                labelled.append((index, f"{self.name}.{kind}"))
                for n, (terms, box) in enumerate(rows[kind]):
                    facts.append((index, f"{self.name}.{kind}.{n}", kind, terms, box, 1.0, self.name))
        oddities = tuple(Oddity(files.annotations[0][1], text, count) for text, count in sorted(counts.items()))
        return SurgeryFacts(
            files.surgery,
            pl.DataFrame(facts, schema=FACTS_SCHEMA, orient="row"),
            pl.DataFrame(sorted(set(labelled)), schema=LABELLED_SCHEMA, orient="row"),
            oddities,
            pl.DataFrame(
                sorted(measured, key=lambda row: (row[0], row[1], row[3])), schema=MEASURED_SCHEMA, orient="row"
            ),
        )

    def frames(self, root: Path, files: SurgeryFiles) -> Footage:
        """The left pictures.

        Raises:
            SourceError: a name leaves the root.
        """
        for _, file in files.images:
            inside(root, file)
        return Footage(self.name, root, "", files.images, "2/1")


def _digits(name: str) -> int:
    return int(name.removeprefix("test"))


def _sequences(root: Path) -> dict[str, list[str]]:
    """`1`, `test1` ... -> its folders: frames and labels may lie in different downloads."""
    found: dict[str, list[str]] = defaultdict(list)
    for under, paths in folders_below(root, DEPTH, _SEQUENCE):
        for path in paths:
            if match := _SEQUENCE.fullmatch(path.rpartition("/")[2]):
                test = bool(_TEST.search(under)) or _is_test(root, path)
                found[f"{'test' if test else ''}{int(match[1])}"].append(path)
    return dict(found)


def _is_test(root: Path, folder: str) -> bool:
    """Whether a sequence has more pictures than those of train: `test_data` itself may be the root, or be renamed."""
    return max((index for index, _ in _frames(root, f"{folder}/left_frames")), default=0) > LAST_OF_TRAIN


def _colours_file(root: Path) -> str:
    """labels.json in the root or a folder of it."""
    for under in ["", *(name for name in names_in(root) if is_folder(root / name))]:
        path = f"{under}/labels.json" if under else "labels.json"
        if is_file(root / path):
            return path
    return ""


def _frames(root: Path, folder: str) -> Iterator[tuple[int, str]]:
    for name in names_in(root, folder):
        if match := _FRAME.fullmatch(name):
            yield int(match[1]), f"{folder}/{name}"


def _roles(root: Path, folder: str) -> list[tuple[str, str]]:
    """`xml:12`, `scene:12`, `instances:12_3_1` -> file."""
    found = []
    for name in names_in(root, f"{folder}/xml"):
        if match := _XML.fullmatch(name):
            found.append((f"xml:{int(match[1])}", f"{folder}/xml/{name}"))
    found += [(f"scene:{index}", file) for index, file in _frames(root, f"{folder}/labels")]
    kinds = [
        name for name in names_in(root, folder) if name.lower() in ("instrument_labels", "instrument_labels_2017")
    ]
    for inner in kinds[:1]:
        for name in names_in(root, f"{folder}/{inner}"):
            if match := _INSTANCE.fullmatch(name):
                found.append((f"instances:{int(match[1])}_{match[2]}_{match[3]}", f"{folder}/{inner}/{name}"))
    return found


def _colours(root: Path, file: str) -> dict[tuple[int, int, int], str]:
    """Colour -> class, from labels.json."""
    try:
        rows = orjson.loads(read_bytes(root, file, MAX_XML_BYTES))
    except orjson.JSONDecodeError as problem:
        raise SourceError(f"is no JSON ({problem.msg}); get the file again", file=file, line=problem.lineno) from None
    found: dict[tuple[int, int, int], str] = {}
    for row in rows if isinstance(rows, list) else []:
        name, colour = (row.get("name"), row.get("color")) if isinstance(row, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(colour, list) or len(colour) != 3:
            raise SourceError("holds an entry without `name` and three numbers of `color`", file=file)
        if not all(isinstance(value, int) and 0 <= value <= 255 for value in colour):
            raise SourceError(f"the colour of {ascii(name)[:40]} is not three numbers from 0 to 255", file=file)
        found[colour[0], colour[1], colour[2]] = name
    known = {"background-tissue", "suction-instrument", "ultrasound-probe", *ORGANS, *THINGS}
    if strange := sorted(set(found.values()) - known):
        raise SourceError(f"has the class {ascii(strange[0])[:40]}, which the release does not have", file=file)
    if not found:
        raise SourceError("names no class; a list of `name` and `color` was expected", file=file)
    return found


def _interactions(root: Path, file: str, counts: Counter[str]) -> dict[str, list[tuple[list[str], list[float]]]]:
    """Kind -> (terms, box) of one XML."""
    data = read_bytes(root, file, MAX_XML_BYTES)
    if b"<!" in data:
        raise SourceError("holds a declaration (<!...>); plain elements were expected", file=file)
    try:
        tree = ElementTree.fromstring(data)
    except ElementTree.ParseError as problem:
        raise SourceError(f"is no XML ({problem})", file=file, line=problem.position[0]) from None
    objects = list(tree.iter("objects"))
    if not objects or len(objects) > MOST_OBJECTS:
        raise SourceError(f"has {len(objects)} <objects>; the kidney and its instruments were expected", file=file)
    found: dict[str, list[tuple[list[str], list[float]]]] = {"anatomy": [], "instrument": [], "triplet": []}
    tools, states = alias("endovis18", "instrument"), alias("endovis18", "verb")
    for entry in objects:
        name = (entry.findtext("name") or "").strip()
        state = (entry.findtext("interaction") or "").strip()
        box = _xml_box(entry, file, counts)
        if name == "kidney":
            found["anatomy"].append((["anatomy.kidney"], box))
            continue
        if name not in tools:
            raise SourceError(f"has the object {ascii(name)[:40]}, which is none of the data set", file=file)
        if state not in states:
            raise SourceError(f"has the interaction {ascii(state)[:40]}, which is none of the data set", file=file)
        target = "anatomy.null" if states[state] == "verb.null" else "anatomy.kidney"
        found["instrument"].append(([tools[name]], box))
        found["triplet"].append(([tools[name], states[state], target], box))
    return found


def _xml_box(entry: ElementTree.Element, file: str, counts: Counter[str]) -> list[float]:
    """The box in 0..1; [] for one without an area."""
    node = entry.find("bndbox")
    values = []
    for key in ("xmin", "ymin", "xmax", "ymax"):
        text = (node.findtext(key) or "").strip() if node is not None else ""
        if not re.fullmatch(r"-?[0-9]{1,5}(?:\.[0-9]{1,6})?", text):
            raise SourceError(f"has a <bndbox> whose {key} is {ascii(text)[:20]}; a number was expected", file=file)
        values.append(float(text))
    x1, y1, x2, y2 = values
    width, height = FRAME
    if x2 <= x1 or y2 <= y1 or x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0:
        counts["boxes without an area in the picture, left out"] += 1
        return []
    return [max(x1, 0) / width, max(y1, 0) / height, min(x2, width) / width, min(y2, height) / height]


def _instance(root: Path, file: str) -> tuple[list[str], list[float]]:
    """Term and box of one instance mask."""
    match = _INSTANCE.fullmatch(file.rpartition("/")[2])
    assert match is not None
    types = TYPES_2017 if "/instrument_labels_2017/" in file.lower() else TYPES_2018
    number = int(match[2])
    if not 1 <= number <= len(types):
        raise SourceError(f"has the type {number}; 1 to {len(types)} exist", file=file)
    mask = read_labels(root, file) > 0
    if not mask.any():
        raise SourceError("is empty; the outline of an instrument was expected", file=file)
    return [alias("endovis18", "instrument")[types[number - 1]]], box_of(mask)


def _scene(
    root: Path, file: str, colours: dict[tuple[int, int, int], str]
) -> dict[str, list[tuple[list[str], list[float], float]]]:
    """Kind -> (terms, box where it is one piece, area) of one scene mask."""
    picture = read_colours(root, file).astype(np.int32)
    coded = picture[:, :, 0] << 16 | picture[:, :, 1] << 8 | picture[:, :, 2]
    names = {r << 16 | g << 8 | b: name for (r, g, b), name in colours.items()}
    values = np.unique(coded).tolist()
    if strange := [value for value in values if value not in names]:
        red, green, blue = strange[0] >> 16, strange[0] >> 8 & 255, strange[0] & 255
        raise SourceError(f"has the colour {red}, {green}, {blue}, which labels.json does not name", file=file)
    found: dict[str, list[tuple[list[str], list[float], float]]] = {"anatomy": [], "object": []}
    for kind, classes, ids in (
        ("anatomy", ORGANS, alias("endovis18", "anatomy")),
        ("object", THINGS, alias("endovis18", "object")),
    ):
        by_term: dict[str, list[int]] = defaultdict(list)
        for value in values:
            if names[value] in classes:
                by_term[ids[names[value]]].append(value)
        for id in sorted(by_term):
            mask = np.isin(coded, by_term[id])
            one = pieces_of(mask)[0] >= LEAST_PIECE * int(mask.sum())
            found[kind].append(([id], box_of(mask) if one else [], area_of(mask)))
    return found
