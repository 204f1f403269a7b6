"""CholecT50: triplets of instrument, verb and target once a second in 50 cholecystectomies, 45 of them Cholec80's.

Read are the JSON release (`labels/VID01.json`), the text release of CholecT45 and older copies (`triplet/VID01.txt` with
`instrument/`, `verb/`, `target/`), and the JSON of the challenge validation, the only one with boxes; in one folder or in
folders of it. Frame n is second n, index 25 n on the clock of Cholec80.

The challenge's JSON names only instruments with a visible tip, fewer than the text in about half of the frames: its
triplets alone are `boxed_triplet`, a part and never a whole set. Where the release or the text is there too, the set is
theirs and the challenge gives the boxes. Two graspers that do the same are one line of text and two vectors of JSON.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl

from cotgen.errors import SourceError
from cotgen.ontology import alias
from cotgen.ontology.triplets import legal_triplets
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
from cotgen.sources.files import folders_called, is_folder, names_in, read_integers, read_json

#: Frames of the clock in a second.
SECOND = 25
#: How many vectors a frame may have: the release has at most four.
MOST_VECTORS = 20
#: Longest operation that is read, in seconds.
MOST_SECONDS = 200_000

_VIDEO = re.compile(r"VID([0-9]{2,4})", re.IGNORECASE)
_LABEL = re.compile(r"VID([0-9]{2,4})\.(json|txt)", re.IGNORECASE)
_PICTURE = re.compile(r"([0-9]{6})\.(?:png|jpe?g)", re.IGNORECASE)
_TEXT = {"triplet": 100, "instrument": 6, "verb": 10, "target": 15}
_PICTURES = ("videos", "data", "rgb")

#: (number of the triplet or -1, box in 0..1 or [], phase or -1)
_Vector: TypeAlias = tuple[int, list[float], int]


class CholecT50:
    """Reads CholecT50, CholecT45 and the challenge validation."""

    name = "cholect50"

    def describe(self) -> Description:
        """Licence, access, layout, levels, splits."""
        return Description(
            terms=SourceTerms(
                name=self.name,
                title="CholecT50",
                licence="CC BY-NC-SA 4.0",
                homepage="https://github.com/CAMMA-public/cholect50",
                citation=(
                    "C. I. Nwoye, T. Yu, C. Gonzalez, B. Seeliger, P. Mascagni, D. Mutter, J. Marescaux, N. Padoy. "
                    "Rendezvous: Attention Mechanisms for the Recognition of Surgical Action Triplets in Endoscopic "
                    "Videos. Medical Image Analysis 78:102433, 2022. doi:10.1016/j.media.2022.102433"
                ),
                # Handed out on request, as Cholec80.
                share_frames=False,
                share_text=True,
            ),
            access=(
                "Fill in the request form for CholecT50 or CholecT45, linked from "
                "https://github.com/CAMMA-public/cholect50; the challenge validation is a direct download there."
            ),
            layout=(
                "labels/VID01.json ... and videos/VID01/000000.png ... (release, and challenge validation with boxes)",
                "triplet/VID01.txt, instrument/, verb/, target/ and data/ or rgb/VID01/000000.png ... (CholecT45)",
                "each in the folder itself or in one folder below it; picture n is second n",
                "labels without pictures are enough where another source has the pictures (--source cholec80)",
            ),
            levels=(
                "level 1: instruments at work; boxes in the challenge validation",
                "level 2: 100 triplets of instrument, verb and target, six of them idle instruments",
                "level 3: seven phases (JSON only)",
            ),
            splits=("rdv",),
            fps="25/1",
            procedure="cholecystectomy",
        )

    def scan(self, root: Path) -> Scan | None:
        """What `root` and the folders in it hold; None where there is no label file of CholecT50.

        Raises:
            SourceError: a folder of the layout cannot be listed.
        """
        labels, pictures = _look(root)
        if not labels:
            return None
        surgeries, incomplete, oddities = [], [], []
        for number in sorted({*labels, *pictures}):
            surgery = f"cholec80/{number}"
            found = labels.get(number, {})
            if not found:
                incomplete.append((surgery, f"{pictures[number][0]} has no labels (labels/VID{number:02d}.json)"))
                continue
            double = [files for role, files in found.items() if role != "json" and len(files) > 1]
            if double or len(found.get("json", [])) > 2:
                files = double[0] if double else found["json"]
                incomplete.append((surgery, f"{' and '.join(files)} are both of this surgery; keep one of them"))
                continue
            images, problem, odd = _images(root, pictures.get(number, []))
            oddities += odd
            if problem:
                incomplete.append((surgery, problem))
                continue
            if not images:
                first = next(iter(found.values()))[0]
                oddities.append(Oddity(first, "no pictures beside it: of use where another source has them"))
            roles = [(role if not n else f"{role}2", file) for role in found for n, file in enumerate(found[role])]
            surgeries.append(SurgeryFiles(surgery, tuple(roles), "", images))
        return Scan(self.name, root, tuple(surgeries), tuple(incomplete), tuple(oddities))

    def missing(self, root: Path) -> str:
        """Why `scan` did not recognise `root`."""
        if not is_folder(root):
            return "is not there" if not root.exists() else "is a file, not a folder"
        shown = [ascii(name)[1:-1] for name in names_in(root)[:6]]
        return f"no labels/VIDnn.json and no triplet/VIDnn.txt in it or in a folder of it; it holds {', '.join(shown)}"

    def facts(self, root: Path, files: SurgeryFiles, step: int = SECOND) -> SurgeryFacts:
        """The labels of one surgery at the frames 0, step, 2 * step ... of its clock.

        Raises:
            SourceError: a file is not as expected.
        """
        if step < 1:
            raise ValueError(f"step is {step}; at least 1 frame was expected")
        oddities: list[Oddity] = []
        roles = dict(files.annotations)
        whole: dict[int, list[_Vector]] = {}
        boxed: dict[int, list[_Vector]] = {}
        for role in ("json", "json2"):
            if role not in roles:
                continue
            frames, challenge, odd = _read_json(root, roles[role], int(files.surgery.partition("/")[2]))
            oddities += odd
            if boxed if challenge else whole:
                raise SourceError("is the second file of its kind for this surgery; keep one", file=roles[role])
            (boxed if challenge else whole).update(frames)
        phases = {second: vectors[0][2] for second, vectors in {**boxed, **whole}.items() if vectors[0][2] >= 0}
        if not whole and "triplet" in roles:
            whole, odd = _read_text(root, roles)
            oddities += odd
        elif "triplet" in roles:
            oddities.append(Oddity(roles["triplet"], "not used, since the JSON of the release is there"))
        rows, names, odd = _rows(whole, boxed, phases, roles, step)
        return SurgeryFacts(files.surgery, rows, names, (*oddities, *odd))

    def frames(self, root: Path, files: SurgeryFiles) -> Footage:
        """The pictures of `videos/`, `data/` or `rgb/`.

        Raises:
            SourceError: a name leaves the root.
        """
        for _, file in files.images:
            inside(root, file)
        return Footage(self.name, root, "", files.images, "25/1")


def _look(root: Path) -> tuple[dict[int, dict[str, list[str]]], dict[int, list[str]]]:
    """Number -> role -> label files, and number -> folders of pictures."""
    labels: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    pictures: dict[int, list[str]] = defaultdict(list)
    inner = [name for name in names_in(root) if is_folder(root / name)]
    for under in ["", *inner]:
        try:
            for role, folder in [("json", "labels"), *((name, name) for name in _TEXT)]:
                for where in folders_called(root, folder, under=under):
                    for name in names_in(root, where):
                        match = _LABEL.fullmatch(name)
                        if match and (match[2].lower() == "json") == (role == "json"):
                            labels[int(match[1])][role].append(f"{where}/{name}")
            for where in folders_called(root, *_PICTURES, under=under):
                for name in names_in(root, where):
                    match = _VIDEO.fullmatch(name)
                    if match and is_folder(root / where / name):
                        pictures[int(match[1])].append(f"{where}/{name}")
        except SourceError:
            if not under:
                raise
            continue  # a neighbour that may not be listed
    # The text without the triplet columns says less than a whole label, so it is no label of its own.
    return {n: dict(found) for n, found in labels.items() if found.keys() & {"json", "triplet"}}, dict(pictures)


def _images(root: Path, folders: Sequence[str]) -> tuple[tuple[tuple[int, str], ...], str, list[Oddity]]:
    """The pictures by their index on the clock, or what is wrong; the folder with most of them where there are two."""
    oddities = []
    best: dict[int, str] = {}
    for folder in folders:
        found: dict[int, str] = {}
        others = 0
        for name in names_in(root, folder):
            match = _PICTURE.fullmatch(name)
            if match is None:
                others += 1
            elif (index := SECOND * int(match[1])) in found:
                return (), f"{found[index]} and {folder}/{name} are both of one second; keep one of them", []
            else:
                found[index] = f"{folder}/{name}"
        if others:
            oddities.append(Oddity(folder, "files that are not called NNNNNN.png, not read", others))
        if len(found) > len(best):
            best = found
    return tuple(sorted(best.items())), "", oddities


@cache
def _vocabularies() -> dict[str, dict[int, str]]:
    """What the JSON must say of its ids."""
    kinds = {"instrument": "instrument", "verb": "verb", "target": "anatomy"}
    found = {name: dict(enumerate(alias("cholect50", kind))) for name, kind in kinds.items()}
    # The release misspells one phase; both spellings stand in the ontology, the release's first.
    by_term: dict[str, str] = {}
    for spelling, id in alias("cholect50", "phase").items():
        by_term.setdefault(id, spelling)
    found["phase"] = dict(enumerate(by_term.values()))
    words = {kind: {id: word for word, id in alias("cholect50", kind).items()} for kind in set(kinds.values())}
    found["triplet"] = {
        n: f"{words['instrument'][i]},{words['verb'][v]},{words['anatomy'][t]}"
        for n, (i, v, t) in enumerate(legal_triplets())
    }
    return found


def _check_categories(content: dict[str, Any], file: str) -> None:
    categories = content.get("categories")
    if not isinstance(categories, dict):
        raise SourceError("has no `categories`; the words for its numbers were expected", file=file)
    for name, expected in _vocabularies().items():
        own = categories.get(name)
        if not isinstance(own, dict):
            raise SourceError(f"has no categories.{name}", file=file)
        for key, word in own.items():
            number = int(key) if isinstance(key, str) and re.fullmatch(r"-?[0-9]{1,4}", key) else None
            if number is None or not isinstance(word, str):
                raise SourceError(f"categories.{name} has {ascii(key)[:40]}; a number was expected", file=file)
            if number < 0:
                continue
            known = expected.get(number, "")
            same = word == known or (
                name == "phase" and alias("cholect50", "phase").get(word) == alias("cholect50", "phase").get(known)
            )
            if not same:
                raise SourceError(
                    f"categories.{name} calls {number} {ascii(word)[:40]}, the release calls it '{known}'; "
                    "the numbers of this file mean something else, so it is not read",
                    file=file,
                )
        if lost := [str(number) for number in expected if str(number) not in own]:
            raise SourceError(f"categories.{name} lacks {', '.join(lost[:5])}", file=file)


def _read_json(root: Path, file: str, video: int) -> tuple[dict[int, list[_Vector]], bool, list[Oddity]]:
    """Second -> vectors; whether it is the challenge's; what was unusual."""
    content = read_json(root, file)
    _check_categories(content, file)
    if content.get("video") != video:
        raise SourceError(f"says it is of video {ascii(content.get('video'))[:20]}; {video} was expected", file=file)
    if content.get("fps") != 1:
        raise SourceError(f"says it has {ascii(content.get('fps'))[:20]} frames a second; 1 was expected", file=file)
    annotations = content.get("annotations")
    if not isinstance(annotations, dict) or not annotations:
        raise SourceError("has no `annotations`; vectors by second were expected", file=file)
    info = content.get("info")
    challenge = isinstance(info, dict) and "validation" in str(info.get("dataset", "")).lower()
    frames: dict[int, list[_Vector]] = {}
    counts: Counter[str] = Counter()
    for key, vectors in annotations.items():
        if not re.fullmatch(r"[0-9]{1,6}", key) or int(key) > MOST_SECONDS:
            raise SourceError(f"annotations has the key {ascii(key)[:40]}; a second was expected", file=file)
        if not isinstance(vectors, list) or not 1 <= len(vectors) <= MOST_VECTORS:
            raise SourceError(f"second {key} holds no list of vectors", file=file)
        if int(key) in frames:
            raise SourceError(f"second {int(key)} is there twice", file=file)
        frames[int(key)] = [_vector(vector, file, key, counts) for vector in vectors]
        if len({vector[2] for vector in frames[int(key)]}) > 1:
            raise SourceError(f"the vectors of second {key} name different phases", file=file)
    return frames, challenge, [Oddity(file, text, count) for text, count in sorted(counts.items())]


def _vector(vector: Any, file: str, key: str, counts: Counter[str]) -> _Vector:
    if not isinstance(vector, list) or len(vector) != 15:
        raise SourceError(f"second {key} has a vector that is no list of 15 numbers", file=file)
    if not all(
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) for value in vector
    ):
        raise SourceError(f"second {key} has a vector with something that is no number", file=file)
    triplet, instrument, verb, target, phase = (vector[n] for n in (0, 1, 7, 8, 14))
    if triplet not in range(-1, 100) or phase not in range(-1, 7):
        raise SourceError(
            f"second {key} names the triplet {triplet} and the phase {phase}; 0-99 and 0-6 exist", file=file
        )
    if triplet == -1:
        if instrument != -1:
            counts["an instrument without a triplet, left out"] += 1
        return -1, [], int(phase)
    names = [
        _number(kind, id)
        for kind, id in zip(("instrument", "verb", "target"), legal_triplets()[int(triplet)], strict=True)
    ]
    if instrument not in (-1, names[0]) or verb not in (-1, names[1]) or target not in (-1, names[2]):
        raise SourceError(
            f"second {key}: triplet {triplet} and its instrument, verb or target do not agree", file=file
        )
    return int(triplet), _box(vector[3:7], counts), int(phase)


@cache
def _number(kind: str, id: str) -> int:
    """The number of a term in its list."""
    spellings = alias("cholect50", "anatomy" if kind == "target" else kind)
    return next(n for n, word in _vocabularies()[kind].items() if spellings[word] == id)


def _box(values: Sequence[float], counts: Counter[str]) -> list[float]:
    """x, y, width, height in 0..1 -> x1, y1, x2, y2; [] for the null box of -1."""
    x, y, width, height = values
    if -1 in (x, y, width, height):
        return []
    if width <= 0 or height <= 0 or max(x, y) >= 1 or min(x + width, y + height) <= 0 or max(width, height) > 2:
        counts["boxes without an area in the picture, left out"] += 1
        return []
    if min(x, y) < 0 or max(x + width, y + height) > 1:
        counts["boxes over the border, clipped"] += 1
    return [min(max(value, 0.0), 1.0) for value in (x, y, x + width, y + height)]


def _read_text(root: Path, roles: dict[str, str]) -> tuple[dict[int, list[_Vector]], list[Oddity]]:
    """Second -> vectors of the text release."""
    tables = {
        role: {row[0]: row[1:] for row in _text_rows(root, roles[role], role)} for role in _TEXT if role in roles
    }
    oddities = []
    frames: dict[int, list[_Vector]] = {}
    for second, bits in tables["triplet"].items():
        frames[second] = [(n, [], -1) for n, bit in enumerate(bits) if bit] or [(-1, [], -1)]
    for place, role in enumerate(("instrument", "verb", "target")):
        if role not in tables:
            continue
        wrong = 0
        for second, vectors in frames.items():
            own = {_number(role, legal_triplets()[n][place]) for n, _, _ in vectors if n >= 0}
            said = {n for n, bit in enumerate(tables[role].get(second, [])) if bit}
            wrong += own != said
        if wrong:
            oddities.append(
                Oddity(roles[role], "frames that do not agree with triplet/, whose columns are used", wrong)
            )
    return frames, oddities


def _text_rows(root: Path, file: str, role: str) -> list[list[int]]:
    rows = read_integers(root, file, 1 + _TEXT[role])
    for line, row in enumerate(rows, start=1):
        if row[0] != line - 1:
            raise SourceError(f"frame {row[0]} stands where frame {line - 1} was expected", file=file, line=line)
        if set(row[1:]) - {0, 1}:
            raise SourceError("the columns after the frame are 0 or 1", file=file, line=line)
    return rows


def _rows(
    whole: dict[int, list[_Vector]],
    boxed: dict[int, list[_Vector]],
    phases: dict[int, int],
    roles: dict[str, str],
    step: int,
) -> tuple[pl.DataFrame, pl.DataFrame, list[Oddity]]:
    """The tables of facts and of what is labelled."""
    counts: Counter[str] = Counter()
    facts: list[tuple[Any, ...]] = []
    labelled: list[tuple[int, str]] = []
    names = _vocabularies()["phase"]
    for second in sorted({*whole, *boxed, *phases}):
        index = SECOND * second
        if index % step:
            continue
        if second in phases:
            id = alias("cholect50", "phase")[names[phases[second]]]
            facts.append((index, "cholect50.phase.0", "phase", [id], [], 1.0, "cholect50"))
            labelled.append((index, "cholect50.phase"))
        if second in whole:
            vectors, kind = _with_boxes(whole[second], boxed.get(second, []), counts), "triplet"
        elif second in boxed and not whole:
            vectors, kind = boxed[second], "boxed_triplet"
        else:
            continue
        labelled.append((index, f"cholect50.{kind}"))
        facts += _triplets(index, kind, vectors)
    file = roles.get("json") or roles.get("triplet", "")
    odd = [Oddity(file, text, count) for text, count in sorted(counts.items())]
    table = pl.DataFrame(facts, schema=FACTS_SCHEMA, orient="row")
    return table, pl.DataFrame(sorted(labelled), schema=LABELLED_SCHEMA, orient="row"), odd


def _triplets(index: int, kind: str, vectors: Iterable[_Vector]) -> Iterable[tuple[Any, ...]]:
    acting = [vector for vector in vectors if vector[0] >= 0]
    for n, (triplet, box, _) in enumerate(acting):
        yield index, f"cholect50.{kind}.{n}", kind, list(legal_triplets()[triplet]), box, 1.0, "cholect50"


def _with_boxes(vectors: list[_Vector], boxed: list[_Vector], counts: Counter[str]) -> list[_Vector]:
    """The whole set with the boxes of the challenge: each box goes to the first triplet of its kind without one."""
    found = list(vectors)
    for triplet, box, phase in boxed:
        if triplet < 0:
            continue
        place = next((n for n, vector in enumerate(found) if vector[0] == triplet and not vector[1]), None)
        if place is not None:
            found[place] = (triplet, box, found[place][2])
        elif any(vector[0] == triplet for vector in found):
            after = max(n for n, vector in enumerate(found) if vector[0] == triplet) + 1
            found.insert(after, (triplet, box, phase))
            counts["a second instrument that does the same, known by its box, added"] += 1
        else:
            counts["boxes of triplets that the whole set does not have, left out"] += 1
    return found
