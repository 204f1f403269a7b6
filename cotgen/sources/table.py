"""Table: one's own labels, a CSV or Parquet file beside videos or pictures, read through a small `mapping.yaml`.

The mapping says which columns name the surgery and the instant, where the pictures are, and what each other column means
in terms of the ontology. A word that it does not map is never guessed: it is listed with the nearest terms, and the
surgery is not read until the mapping names it, if only as `ignore`. `first_mapping` writes a mapping to begin with. A
blank cell labels nothing. Which instruments are in view is asked only where every kind of the operation has a column with
`present` and a 1 or 0 in it: a table of graspers does not say that there is no hook.

    procedure: cholecystectomy
    clock: 25/1                       # frames a second of the videos, or pictures a second
    labels: labels.csv                # or a list of files
    surgery: case                     # column
    time: {column: second, unit: second}            # or unit: frame, an index on the clock
    pictures: {video: "videos/{surgery}.mp4"}       # or {images: "frames/{surgery}/{index}.jpg"}
    columns:
      Phase: {kind: phase, words: {Calot: phase.calot_triangle_dissection, Other: ignore}}
      Grasper: {kind: instrument, present: instrument.grasper}
    split: {column: split}            # optional: train, validation, test
"""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import polars as pl
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cotgen.errors import CotgenError, SourceError
from cotgen.ontology import WORDS_OF, terms_of, vocabulary
from cotgen.ontology.terms import KINDS
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

MAPPING = "mapping.yaml"
IGNORE = "ignore"
#: Bounds of what is read. A million instants are 11 days at one a second.
MAX_MAPPING_BYTES = 2**20
MAX_LABEL_BYTES = 512 * 2**20
MAX_ROWS = 5_000_000
#: How many unknown words a message lists.
LISTED = 12
#: Columns with more different words than this are no labels.
MOST_WORDS = 200

#: Labelled beside `instrument` where every kind of it is said to be there or not.
PRESENCE = "presence"
#: Kinds of which an instant has one.
ONE_AT_ONCE = frozenset({"phase", "step", "action"})

_SURGERY = re.compile(r"[^a-z0-9]+")
_YES, _NO = {"1", "true", "yes"}, {"0", "false", "no"}


class Time(BaseModel):
    """How a row tells its instant.

    Attributes:
        column: its column.
        unit: `second`, or `frame`, an index on the clock.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str
    unit: Literal["second", "frame"] = "second"


class Pictures(BaseModel):
    """Where the pictures are: one of both, below the root, with `{surgery}` and, for images, `{index}`.

    Attributes:
        video: `videos/{surgery}.mp4`.
        images: `frames/{surgery}/{index}.jpg`; `{index}` stands for a whole number, with or without leading zeros.
        first: the number of the picture that is instant 0 of the clock.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    video: str = ""
    images: str = ""
    first: int = 0


class Column(BaseModel):
    """What a column says.

    Attributes:
        kind: kind of fact.
        words: word -> term, or `ignore`; a row without a word labels nothing there.
        present: the term that a 1 (true, yes) means; 0 (false, no) says that it is not there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    words: dict[str, str] = {}
    present: str = ""

    @field_validator("words", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        return {str(key): item for key, item in value.items()} if isinstance(value, dict) else value


class Table(BaseModel):
    """A whole mapping; see the module."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    procedure: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    clock: str = "25/1"
    labels: tuple[str, ...] = Field(min_length=1)
    surgery: str
    time: Time
    pictures: Pictures
    columns: dict[str, Column] = Field(min_length=1)
    split: dict[str, str] = {}

    @field_validator("labels", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("clock", mode="before")
    @classmethod
    def _fraction(cls, value: Any) -> str:
        clock = _number(str(value)) or Fraction(0)
        if clock <= 0 or clock > 1000:
            raise ValueError(f"'{value}' is no rate; give frames a second as 25/1")
        return f"{clock.numerator}/{clock.denominator}"


class TableSource:
    """Reads one's own tables."""

    name = "table"

    def describe(self) -> Description:
        """Whose data it is only the user knows: nothing of it may be shared unless they say so."""
        return Description(
            terms=SourceTerms(
                name=self.name,
                title="One's own table",
                licence="not stated; its owner decides",
                homepage="",
                citation="",
                share_frames=False,
                share_text=False,
            ),
            access="Your own data: `cotgen sources table --init DIR` writes a first mapping.yaml beside your labels.",
            layout=(
                f"{MAPPING}: what the columns and words mean",
                "a CSV or Parquet file, a row per instant",
                "videos or pictures, one video or folder per surgery",
            ),
            levels=("whatever the columns say",),
            splits=(),
            fps="25/1",
            procedure="",
        )

    def scan(self, root: Path) -> Scan | None:
        """The surgeries of the label files; None where there is no mapping.

        Raises:
            SourceError: the mapping or a label file is wrong.
        """
        if not (root / MAPPING).is_file():
            return None
        mapping = read_mapping(root)
        rows = _rows(root, mapping)
        surgeries, incomplete = [], []
        ids = _ids(rows[mapping.surgery].unique().sort().to_list(), mapping)
        for word, surgery in ids.items():
            video, images, problem = _pictures(root, mapping, word)
            if problem:
                incomplete.append((surgery, problem))
                continue
            annotations = (("mapping", MAPPING), *((f"labels{n}", file) for n, file in enumerate(mapping.labels)))
            surgeries.append(SurgeryFiles(surgery, annotations, video, images))
        return Scan(
            self.name,
            root,
            tuple(surgeries),
            tuple(incomplete),
            procedure=mapping.procedure,
            splits=tuple(sorted(self.split_of(root).items())),
        )

    def missing(self, root: Path) -> str:
        """Why `scan` did not recognise `root`."""
        return f"no {MAPPING} in it; `cotgen sources table --init {root}` writes a first one"

    def facts(self, root: Path, files: SurgeryFiles, step: int = 25) -> SurgeryFacts:
        """The labels of one surgery at the frames 0, step, 2 * step ... of its clock; rows between them are left out.

        Raises:
            SourceError: a word is not mapped, an instant comes twice, or a value is wrong.
        """
        if step < 1:
            raise ValueError(f"step is {step}; at least 1 frame was expected")
        mapping = read_mapping(root)
        rows = _rows(root, mapping)
        ids = _ids(rows[mapping.surgery].unique().sort().to_list(), mapping)
        word = next((word for word, surgery in ids.items() if surgery == files.surgery), None)
        if word is None:
            raise SourceError(f"has no row of {files.surgery}; scan the folder again", file=mapping.labels[0])
        own = rows.filter(pl.col(mapping.surgery) == word)
        return _facts(own, mapping, files.surgery, step)

    def frames(self, root: Path, files: SurgeryFiles) -> Footage:
        """Where the pictures are.

        Raises:
            SourceError: a name leaves the root.
        """
        for file in [files.video] if files.video else [file for _, file in files.images]:
            inside(root, file)
        return Footage(self.name, root, files.video, () if files.video else files.images, read_mapping(root).clock)

    def split_of(self, root: Path) -> dict[str, str]:
        """Surgery -> split where the mapping names a column of splits.

        Raises:
            SourceError: a surgery stands in two splits, or a word is no split.
        """
        mapping = read_mapping(root)
        column = mapping.split.get("column", "")
        if not column:
            return {}
        rows = _rows(root, mapping)
        names = {
            "train": "train",
            "val": "validation",
            "valid": "validation",
            "validation": "validation",
            "test": "test",
        }
        found: dict[str, str] = {}
        ids = _ids(rows[mapping.surgery].unique().sort().to_list(), mapping)
        for word, split in rows.select(mapping.surgery, column).unique().sort(mapping.surgery, column).iter_rows():
            name = names.get(str(split).strip().lower(), "")
            if not name:
                raise SourceError(f"'{split}' is no split; use train, validation or test", file=mapping.labels[0])
            if found.setdefault(ids[word], name) != name:
                raise SourceError(f"{word} stands in two splits; give each surgery one", file=mapping.labels[0])
        return found


def read_mapping(root: Path) -> Table:
    """The mapping of a folder.

    Raises:
        SourceError: it is missing, no YAML, or says something that is not known; unknown terms are listed with the
            nearest ones.
    """
    path = root / MAPPING
    try:
        status = path.stat()
    except OSError as problem:
        raise SourceError(f"cannot be read ({problem.strerror})", file=MAPPING) from None
    return _mapping(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=16)
def _mapping(path: Path, mtime_ns: int, size: int) -> Table:
    if size > MAX_MAPPING_BYTES:
        raise SourceError(
            f"is larger than {MAX_MAPPING_BYTES // 2**20} MiB; a short mapping was expected", file=MAPPING
        )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as problem:
        raise SourceError(f"is not readable as YAML ({str(problem).splitlines()[0]})", file=MAPPING) from None
    if not isinstance(content, dict):
        raise SourceError("must hold `key: value` lines such as `procedure: cholecystectomy`", file=MAPPING)
    try:
        mapping = Table.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise SourceError(f"{where or 'it'}: {first['msg'].removeprefix('Value error, ')}", file=MAPPING) from None
    _check(mapping)
    return mapping


def _check(mapping: Table) -> None:
    """What pydantic cannot know: kinds, terms, patterns."""
    for name, column in mapping.columns.items():
        if column.kind not in KINDS:
            raise SourceError(
                f"columns.{name}: '{column.kind}' is no kind; use one of {', '.join(KINDS)}", file=MAPPING
            )
        if bool(column.words) == bool(column.present):
            raise SourceError(f"columns.{name}: give either `words` or `present`", file=MAPPING)
        known = {item.id for item in terms_of(column.kind)}
        for id in [*column.words.values(), *([column.present] if column.present else [])]:
            if id not in known and id != IGNORE:
                near = difflib.get_close_matches(str(id), sorted(known), n=3, cutoff=0.4)
                hint = f"; near are {', '.join(near)}" if near else ""
                raise SourceError(f"columns.{name}: '{id}' is no term of the kind {column.kind}{hint}", file=MAPPING)
    pictures = mapping.pictures
    if bool(pictures.video) == bool(pictures.images):
        raise SourceError("pictures: give either `video` or `images`", file=MAPPING)
    if "{surgery}" not in (pictures.video or pictures.images):
        raise SourceError("pictures: the pattern needs {surgery}", file=MAPPING)
    if pictures.images and pictures.images.rpartition("/")[2].count("{index}") != 1:
        raise SourceError("pictures.images: the file name needs {index} once", file=MAPPING)
    if set(mapping.split) - {"column"}:
        raise SourceError("split: only `column` is known there", file=MAPPING)


def _rows(root: Path, mapping: Table) -> pl.DataFrame:
    """All rows as text, in the order of the files."""
    needed = [mapping.surgery, mapping.time.column, *mapping.columns, *mapping.split.values()]
    tables = [_table(root, file, tuple(dict.fromkeys(needed))) for file in mapping.labels]
    rows = pl.concat(tables)
    if len(rows) > MAX_ROWS:
        raise SourceError(f"has more than {MAX_ROWS:,} rows; split it", file=mapping.labels[0])
    if rows.is_empty():
        raise SourceError("has no row", file=mapping.labels[0])
    return rows


def _table(root: Path, file: str, needed: tuple[str, ...]) -> pl.DataFrame:
    path = inside(root, file)
    try:
        status = path.stat()
    except OSError as problem:
        raise SourceError(f"cannot be read ({problem.strerror}); check `labels` in {MAPPING}", file=file) from None
    if not stat.S_ISREG(status.st_mode):
        raise SourceError("is not a plain file; a CSV or Parquet file was expected", file=file)
    if status.st_size > MAX_LABEL_BYTES:
        raise SourceError(f"is larger than {MAX_LABEL_BYTES // 2**20} MiB; split it", file=file)
    return _read_table(path, file, needed, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def _read_table(path: Path, file: str, needed: tuple[str, ...], mtime_ns: int, size: int) -> pl.DataFrame:
    try:
        if path.suffix.lower() == ".parquet":
            table = pl.read_parquet(path)
        else:
            text = path.read_bytes().decode("utf-8-sig")
            separator = max("\t;,", key=lambda mark: text.partition("\n")[0].count(mark))
            table = pl.read_csv(text.encode(), separator=separator, infer_schema=False)
    except UnicodeDecodeError:
        raise SourceError("is not UTF-8; save it so", file=file) from None
    except (pl.exceptions.PolarsError, OSError) as problem:
        raise SourceError(f"cannot be read as a table ({str(problem).splitlines()[0]})", file=file) from None
    for name in needed:
        if name not in table.columns:
            near = difflib.get_close_matches(name, table.columns, n=3, cutoff=0.4)
            hint = f"; it has {', '.join(near or table.columns[:LISTED])}"
            raise SourceError(f"has no column '{name}', which {MAPPING} names{hint}", file=file)
    try:
        return table.select(
            *(pl.col(name).cast(pl.String).str.strip_chars().fill_null("") for name in needed),
        ).with_row_index("_line", offset=2)
    except pl.exceptions.PolarsError as problem:
        raise SourceError(
            f"holds values that are no text or number ({str(problem).splitlines()[0]})", file=file
        ) from None


def _ids(words: Sequence[str], mapping: Table) -> dict[str, str]:
    """Word of the surgery column -> surgery id; two words that give one id are refused."""
    found: dict[str, str] = {}
    for word in words:
        id = _SURGERY.sub("_", word.lower()).strip("_")
        if not id:
            raise SourceError(f"'{word}' in the column {mapping.surgery} names no surgery", file=mapping.labels[0])
        surgery = f"table/{id}"
        if surgery in found.values():
            other = next(name for name, value in found.items() if value == surgery)
            raise SourceError(
                f"'{other}' and '{word}' cannot be told apart as surgeries; rename one", file=mapping.labels[0]
            )
        found[word] = surgery
    return found


def _pictures(root: Path, mapping: Table, surgery: str) -> tuple[str, tuple[tuple[int, str], ...], str]:
    """Video, or images by index, or what is missing."""
    pictures = mapping.pictures
    if ".." in surgery or "/" in surgery or "\\" in surgery:
        return "", (), f"'{surgery}' cannot be part of a file name"
    if pictures.video:
        file = pictures.video.replace("{surgery}", surgery)
        return (file, (), "") if inside(root, file).is_file() else ("", (), f"{file} is not there")
    folder, _, name = pictures.images.replace("{surgery}", surgery).rpartition("/")
    before, _, after = name.partition("{index}")
    pattern = re.compile(re.escape(before) + "([0-9]{1,9})" + re.escape(after))
    where = inside(root, folder) if folder else root
    try:
        names = sorted(os.listdir(where))  # noqa: PTH208
    except OSError:
        return "", (), f"{folder or '.'} is not there"
    found: dict[int, str] = {}
    for entry in names:
        if match := pattern.fullmatch(entry):
            index = int(match[1]) - pictures.first
            if index < 0:
                return "", (), f"{entry} lies before the first picture, number {pictures.first}"
            if index in found:
                return "", (), f"{found[index]} and {entry} are both of one instant; keep one of them"
            found[index] = f"{folder}/{entry}" if folder else entry
    if not found:
        return "", (), f"no picture {name} in {folder or '.'}"
    return "", tuple(sorted(found.items())), ""


def _facts(rows: pl.DataFrame, mapping: Table, surgery: str, step: int) -> SurgeryFacts:
    file = mapping.labels[0]
    clock = Fraction(mapping.clock)
    facts: list[tuple[Any, ...]] = []
    labelled: set[tuple[int, str]] = set()
    seen: dict[int, int] = {}
    between = 0
    counts: Counter[str] = Counter()
    unknown: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows.iter_rows(named=True):
        line = row["_line"]
        index = _index(row[mapping.time.column], mapping, clock, file, line)
        if index is None or index % step:
            between += 1
            continue
        if index in seen:
            raise SourceError(f"the instant {row[mapping.time.column]} of {surgery} stands in line {seen[index]} too",
                              file=file, line=line)  # fmt: skip
        seen[index] = line
        said: dict[str, dict[str, str]] = defaultdict(dict)
        for name, column in mapping.columns.items():
            id = _term(row[name], name, column, unknown, file, line) if row[name] else IGNORE
            if id != IGNORE:
                said[column.kind][name] = id
        for kind, own in said.items():
            ids = list(dict.fromkeys(id for id in own.values() if id))
            if kind in ONE_AT_ONCE and len(ids) > 1:
                counts[f"instants with two words of the kind {kind} at once, not labelled"] += 1
                continue
            labelled.add((index, f"table.{kind}"))
            if kind == "instrument" and _is_whole(own, mapping):
                labelled.add((index, f"table.{PRESENCE}"))
            facts += [(index, f"table.{kind}.{n}", kind, [id], [], 1.0, "table") for n, id in enumerate(ids)]
    if unknown:
        raise SourceError(_unknown(unknown, mapping), file=MAPPING)
    if between:
        counts["rows between the instants that are asked about, left out"] += between
    if lacking := _lacking(mapping):
        counts[f"no column says whether there is {', '.join(lacking)}: no question asks for all instruments"] += 1
    oddities = [Oddity(file, text, count) for text, count in sorted(counts.items())]
    table = pl.DataFrame(facts, schema=FACTS_SCHEMA, orient="row").with_row_index("order").sort("index", "order")
    names = pl.DataFrame(sorted(labelled), schema=LABELLED_SCHEMA, orient="row")
    return SurgeryFacts(surgery, table.drop("order"), names, tuple(oddities))


def _index(value: str, mapping: Table, clock: Fraction, file: str, line: int) -> int | None:
    """The instant on the clock; None where it lies between two frames."""
    number = _number(value)
    if number is None or number < 0 or number > 10**9:
        raise SourceError(
            f"'{value[:40]}' in the column {mapping.time.column} is no instant from 0 on", file=file, line=line
        )
    index = number * clock if mapping.time.unit == "second" else number
    return int(index) if index.denominator == 1 else None


def _lacking(mapping: Table) -> list[str]:
    """The instruments of the operation that no column of its own says to be there or not; none without such a column."""
    asked = {column.present for column in mapping.columns.values() if column.kind == "instrument" and column.present}
    if not any(column.kind == "instrument" for column in mapping.columns.values()):
        return []
    known = vocabulary(WORDS_OF.get(mapping.procedure, ""), "instrument")
    return [item.answer for item in known if item.id not in asked] if known else ["each kind of instrument"]


def _is_whole(said: Mapping[str, str], mapping: Table) -> bool:
    """Whether each kind of instrument of the operation is said to be there or not: a blank cell says neither."""
    columns = [name for name, column in mapping.columns.items() if column.kind == "instrument"]
    return not _lacking(mapping) and all(name in said for name in columns)


def _number(text: str) -> Fraction | None:
    """A number such as 12, 0.5 or 25/1; None for anything else. An exponent can ask for more digits than memory has."""
    try:
        return Fraction(text) if len(text) <= 20 and "e" not in text.lower() else None
    except (ValueError, ZeroDivisionError):
        return None


def _term(value: str, name: str, column: Column, unknown: dict[str, Counter[str]], file: str, line: int) -> str:
    """The term that a value stands for; "" for labelled and not there."""
    if column.present:
        if value.lower() in _YES:
            return column.present
        if value.lower() in _NO:
            return ""
        raise SourceError(f"'{value[:40]}' in the column {name} is neither 1 nor 0", file=file, line=line)
    if value not in column.words:
        unknown[name][value] += 1
        return IGNORE
    return column.words[value]


def _unknown(unknown: Mapping[str, Counter[str]], mapping: Table) -> str:
    lines = []
    for name, words in sorted(unknown.items()):
        for word, count in sorted(words.items())[:LISTED]:
            near = nearest(word, mapping.columns[name].kind)
            hint = f"near are {', '.join(near)}" if near else "no term is near"
            lines.append(f"'{word[:60]}' ({count} rows) in the column {name}: {hint}")
        if len(words) > LISTED:
            lines.append(f"and {len(words) - LISTED} more words in the column {name}")
    return "does not map these words; add them, or map them to `ignore`:\n  " + "\n  ".join(lines)


def nearest(word: str, kind: str, count: int = 3) -> list[str]:
    """The terms of a kind whose spellings are nearest to a word, best first; for people to choose from."""
    spellings: dict[str, str] = {}
    for item in terms_of(kind):
        every = (item.answer, *item.names, *(s for a in item.aliases.values() for s in a), item.id.partition(".")[2])
        for spelling in every:
            spellings.setdefault(_plain(spelling), item.id)
    found = difflib.get_close_matches(_plain(word), sorted(spellings), n=3 * count, cutoff=0.5)
    return list(dict.fromkeys(spellings[name] for name in found))[:count]


def _plain(text: str) -> str:
    """Lower case with single spaces, words in camel case taken apart."""
    return re.sub(r"[\W_]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)).strip().lower()


def first_mapping(root: Path) -> str:
    """A mapping to begin with, from the first label file of a folder: exact words are mapped, others listed to fill in.

    Raises:
        CotgenError: there is no CSV or Parquet file, or a mapping already.
    """
    if (root / MAPPING).exists():
        raise CotgenError(f"{root / MAPPING} is there already; move it away to begin anew")
    files = sorted(path for path in root.glob("*") if path.suffix.lower() in (".csv", ".tsv", ".parquet"))
    if not files:
        raise CotgenError(f"{root} holds no CSV or Parquet file; put your labels there")
    file = files[0]
    status = file.stat()
    _read_table(
        file, file.name, (), status.st_mtime_ns, status.st_size
    )  # says what is wrong with a file, with its line
    whole = _whole(file)
    surgery = _first(whole.columns, ("surgery", "case", "video", "patient", "id")) or whole.columns[0]
    time = _first(whole.columns, ("second", "time", "frame", "index")) or whole.columns[min(1, len(whole.columns) - 1)]
    unit = "frame" if "frame" in time.lower() or "index" in time.lower() else "second"
    lines = [
        "# A first mapping: check every line, fill in each TODO, delete columns that are no labels.",
        "procedure: cholecystectomy  # TODO: which operation",
        "clock: 25/1  # TODO: frames a second of the videos",
        f"labels: {_quote(file.name)}",
        f"surgery: {_quote(surgery)}",
        f"time: {{column: {_quote(time)}, unit: {unit}}}",
        'pictures: {video: "videos/{surgery}.mp4"}  # TODO',
        "columns:",
    ]
    for name in whole.columns:
        if name not in (surgery, time):
            lines += _suggest(name, whole[name].drop_nulls().unique().sort().to_list())
    return "\n".join(lines) + "\n"


def _whole(file: Path) -> pl.DataFrame:
    """All columns as text.

    Raises:
        SourceError: it is no readable table.
    """
    try:
        return _columns(file)
    except UnicodeDecodeError:
        raise SourceError("is not UTF-8; save it so", file=file.name) from None
    except (pl.exceptions.PolarsError, OSError) as problem:
        raise SourceError(f"cannot be read as a table ({str(problem).splitlines()[0]})", file=file.name) from None


def _columns(file: Path) -> pl.DataFrame:
    if file.suffix.lower() == ".parquet":
        return pl.read_parquet(file).select(pl.all().cast(pl.String))
    text = file.read_bytes().decode("utf-8-sig")
    separator = max("\t;,", key=lambda mark: text.partition("\n")[0].count(mark))
    return pl.read_csv(text.encode(), separator=separator, infer_schema=False)


def _first(columns: Sequence[str], words: Sequence[str]) -> str:
    return next((name for word in words for name in columns if word in name.lower()), "")


def _suggest(name: str, values: Sequence[str]) -> list[str]:
    """Lines for one column."""
    if {value.lower() for value in values} <= _YES | _NO:
        exact = _exact(name, "instrument")
        hint = exact or "TODO"
        near = "" if exact else f"  # near are {', '.join(nearest(name, 'instrument')) or 'none'}"
        return [f"  {_quote(name)}: {{kind: instrument, present: {hint}}}{near}"]
    if len(values) > MOST_WORDS:
        return [f"  # {name}: {len(values)} different values, left out"]
    kinds = {kind: sum(bool(_exact(value, kind)) for value in values) for kind in KINDS}
    kind = max(kinds, key=lambda item: kinds[item])
    if not kinds[kind]:
        kind = "phase" if "phase" in name.lower() else "step" if "step" in name.lower() else kind
        if not any(nearest(value, kind) for value in values):
            return [f"  # {name}: no word is near a term ({', '.join(values[:3])}), left out"]
    lines = [f"  {_quote(name)}:", f"    kind: {kind}", "    words:"]
    for value in values:
        exact = _exact(value, kind)
        near = "" if exact else f"  # near are {', '.join(nearest(value, kind)) or 'none'}; or ignore"
        lines.append(f"      {_quote(value)}: {exact or 'TODO'}{near}")
    return lines


def _exact(word: str, kind: str) -> str:
    """The one term that has exactly this spelling, letter case and separators apart."""
    found = {
        item.id
        for item in terms_of(kind)
        if _plain(word)
        in {_plain(s) for s in (item.answer, *item.names, *(s for a in item.aliases.values() for s in a))}
    }
    return found.pop() if len(found) == 1 else ""


def _quote(text: str) -> str:
    return yaml.safe_dump(text, default_style='"', width=10_000, allow_unicode=True).strip()
