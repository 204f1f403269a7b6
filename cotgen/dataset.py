"""Dataset: a finished folder, read through its index.

Length, filters and positions come from `index.parquet`; a shard is opened when a sample of it is asked for, and only
that sample is read.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
from PIL import Image, ImageDraw, ImageFont

from cotgen.chains.boxes import BoxConvention, BoxFormat
from cotgen.chains.render import View, render
from cotgen.errors import CotgenError
from cotgen.ontology import term
from cotgen.records import Fact, Manifest, Pair, Sample, Statement
from cotgen.shards.index import checked_index
from cotgen.shards.manifest import load
from cotgen.shards.readme import FEATURES
from cotgen.shards.stored import read_stored
from cotgen.training.prompts import reward_columns

_COLOURS = ("#ffd400", "#00c8ff", "#ff6ad5", "#7dff6a", "#ff8c1a", "#b48cff")
_LINE = 14


class UnknownSampleError(CotgenError, KeyError):
    """The data set has no sample of that key."""

    __str__ = Exception.__str__


def open(folder: str | Path) -> Dataset:
    """Open a finished folder.

    Raises:
        CotgenError: the folder has no manifest, or its index cannot be read.
    """
    folder = Path(folder)
    manifest = load(folder)
    return Dataset(folder, manifest, checked_index(folder), filtered=False)


def features() -> Any:
    """The column types of a folder with stored frames, as `datasets.Features`.

    Pass them to `load_dataset("webdataset", features=...)`; `load_dataset(FOLDER)` reads them from the README.

    Raises:
        CotgenError: `datasets` is not installed.
    """
    try:
        import datasets
    except ImportError as error:
        raise CotgenError("cotgen.FEATURES needs the package datasets: pip install 'cotgen[hub]'") from error
    types = {"image": datasets.Image(), "json": datasets.Json(), "string": datasets.Value("string")}
    return datasets.Features({name: types[dtype] for name, dtype in FEATURES.items()})


class Dataset:
    """The samples of a folder, or those that a filter left.

    `ds[0]`, `ds[-1]` and `ds["cholec80-73-018475"]` are samples; iteration goes through all in the order of the
    shards, which is that of `index.parquet`.

    Attributes:
        folder: where it is.
        manifest: what it holds and how it was made.
    """

    def __init__(self, folder: Path, manifest: Manifest, index: pl.LazyFrame, *, filtered: bool) -> None:
        self.folder = folder
        self.manifest = manifest
        self._index = index
        self._filtered = filtered

    @cached_property
    def _samples(self) -> pl.DataFrame:
        """key, shard, offset: a row per sample, in the order of the shards."""
        columns = self._index.select("key", pl.col("shard").cast(pl.Categorical), "offset")
        return columns.unique(subset=["key"], keep="first", maintain_order=True).collect()

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {key: row for row, key in enumerate(self._samples["key"])}

    @cached_property
    def pairs(self) -> int:
        """Number of pairs."""
        return int(self._index.select(pl.len()).collect().item())

    def __len__(self) -> int:
        """Number of samples."""
        return self._samples.height

    def __repr__(self) -> str:
        return f"Dataset({str(self.folder)!r}, samples={len(self)}, pairs={self.pairs})"

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def keys(self) -> list[str]:
        """The keys, in the order of the shards."""
        return self._samples["key"].to_list()

    def index(self) -> pl.DataFrame:
        """The rows of `index.parquet` for these samples and pairs."""
        return self._index.collect()

    def filter(
        self, *, task: str = "", split: str = "", source: str = "", surgery: str = "", support: str = ""
    ) -> Dataset:
        """The pairs for which all that is given holds, and the samples that have any; no shard is opened.

        Args:
            task: name of a task, `phase`.
            split: `train`, `validation` or `test`.
            source: a source that says something of the frame, `cholec80`.
            surgery: `cholec80/73`.
            support: `entailed`, `strong`, `weak` or `asserted`.
        """
        index = self._index
        for column, value in (("task", task), ("split", split), ("surgery", surgery), ("support", support)):
            if value:
                index = index.filter(pl.col(column) == value)
        if source:
            index = index.filter(pl.col("sources").list.contains(source))
        return Dataset(self.folder, self.manifest, index, filtered=True)

    def __getitem__(self, which: str | int) -> StoredSample:
        """One sample, by key or position.

        Raises:
            UnknownSampleError: no sample has that key.
            IndexError: the position is out of range.
            CotgenError: the shard is missing or damaged.
        """
        if isinstance(which, str):
            if which not in self._rows:
                raise UnknownSampleError(f"{self.folder} has no sample '{which}'; see index.parquet or ds.keys()")
            which = self._rows[which]
        elif not -len(self) <= which < len(self):
            raise IndexError(f"sample {which} of a data set of {len(self)}")
        key, shard, offset = self._samples.row(which)
        return self._read(key, shard, offset)

    def __iter__(self) -> Iterator[StoredSample]:
        for key, shard, offset in self._samples.iter_rows():
            yield self._read(key, shard, offset)

    def _read(self, key: str, shard: str, offset: int) -> StoredSample:
        item = read_stored(self.folder, shard, offset, key)
        try:
            record = Sample.from_json(item.json)
        except ValueError as error:
            raise CotgenError(
                f"{self.folder / shard}: the record of '{key}' is damaged; run `cotgen verify`"
            ) from error
        return StoredSample(record, item.jpg, self._pairs_of(record))

    def _pairs_of(self, record: Sample) -> tuple[StoredPair, ...]:
        size = record.frame.width, record.frame.height
        pairs = tuple(StoredPair(pair, record.key, size, record) for pair in record.pairs)
        if not self._filtered:
            return pairs
        wanted = self._wanted.get(record.key, frozenset())
        return tuple(pair for pair in pairs if pair.record.id in wanted)

    @cached_property
    def _wanted(self) -> dict[str, frozenset[str]]:
        """key -> ids of the pairs that the filter left."""
        rows = self._index.select("key", "id").group_by("key").agg("id").collect().iter_rows()
        return {key: frozenset(ids) for key, ids in rows}


@dataclass(frozen=True, slots=True)
class StoredPair:
    """A question of a stored sample.

    Attributes:
        record: the pair as stored: question, options, statements, answer.
        key: key of its sample.
        size: width and height of the stored picture in pixels.
        sample: the sample that it is of.
    """

    record: Pair
    key: str
    size: tuple[int, int]
    sample: Sample

    @property
    def name(self) -> str:
        """`key#id`, by which predictions and reviews call it."""
        return f"{self.key}#{self.record.id}"

    @property
    def id(self) -> str:
        """What is asked, `phase.open`."""
        return self.record.id

    @property
    def task(self) -> str:
        """Name of the task."""
        return self.record.task

    @property
    def question(self) -> str:
        """The wording, without the options."""
        return self.record.question

    @property
    def answer(self) -> str:
        """The answer name."""
        return self.record.answer

    @property
    def statements(self) -> list[Statement]:
        """The chain, each sentence with its evidence."""
        return self.record.statements

    def render(
        self, view: View = "cot", boxes: BoxConvention | BoxFormat = "pixels", without: Collection[str] = ()
    ) -> Any:
        """The pair as a use needs it; see `cotgen.chains.render.render`.

        View `prompt` has the columns that rewards read beside the prompt; see `cotgen.training.prompts`.

        Args:
            view: what it is for.
            boxes: how boxes are written; a `BoxFormat` where the pixel budget of the model is not the default.
            without: bases whose sentences are left out: `("visual",)` for none of those that no label proves.
        """
        kept = [statement for statement in self.record.statements if statement.basis not in without]
        record = self.record.model_copy(update={"statements": kept}) if without else self.record
        rendered = render(record, view, boxes, self.size)
        return rendered | reward_columns(self.sample, record) if view == "prompt" else rendered


@dataclass(frozen=True, slots=True)
class StoredSample:
    """One frame with its facts and its pairs.

    Attributes:
        record: the sample as stored.
        jpeg: the bytes of the picture; b"" where frames are not stored.
        pairs: its pairs, or those that the filter left.
    """

    record: Sample
    jpeg: bytes
    pairs: tuple[StoredPair, ...]

    @property
    def key(self) -> str:
        """`cholec80-73-018475`."""
        return self.record.key

    @property
    def split(self) -> str:
        """`train`, `validation` or `test`."""
        return self.record.split

    @property
    def surgery(self) -> str:
        """`cholec80/73`."""
        return self.record.surgery

    @property
    def facts(self) -> list[Fact]:
        """All that the sources say of the frame."""
        return self.record.facts

    def image(self) -> Image.Image:
        """The picture, RGB.

        Raises:
            CotgenError: the data set was built without frames, or the picture is damaged.
        """
        if not self.jpeg:
            raise CotgenError(
                f"the picture of '{self.key}' is not stored in this data set, which only refers to its source; "
                "hydrate the data set from your own copy of the source, or build it with --frames embed"
            )
        try:
            return Image.open(io.BytesIO(self.jpeg), formats=["JPEG"]).convert("RGB")
        except (OSError, SyntaxError, ValueError) as error:
            raise CotgenError(f"the picture of '{self.key}' cannot be decoded; run `cotgen verify`") from error

    def draw(self) -> Image.Image:
        """The picture with the boxes of its facts, and below it a line for each source and kind of label.

        Raises:
            CotgenError: as `image`.
        """
        picture = self.image()
        lines = self._lines(picture.width)
        sheet = Image.new("RGB", (picture.width, picture.height + _LINE * len(lines) + 6), "black")
        sheet.paste(picture)
        pen = ImageDraw.Draw(sheet)
        font = ImageFont.load_default(size=11)
        boxed = [fact for fact in self.record.facts if fact.box]
        for number, fact in enumerate(boxed):
            colour = _COLOURS[number % len(_COLOURS)]
            left, top, right, bottom = fact.box
            pen.rectangle((left, top, right - 1, bottom - 1), outline=colour, width=2)
            pen.text((left + 4, top + 2), _name(fact), fill=colour, font=font, stroke_width=1, stroke_fill="black")
        for number, line in enumerate(lines):
            pen.text((6, picture.height + 3 + _LINE * number), line, fill="white", font=font)
        return sheet

    def _lines(self, width: int) -> list[str]:
        """`cholec80 instrument: grasper, clip applier`; `none` where it is labelled and nothing is there."""
        lines = []
        for name in self.record.labelled:
            named = [_name(fact) for fact in self.record.facts if f"{fact.source}.{fact.kind}" == name]
            lines.append(f"{name.replace('.', ' ', 1)}: {', '.join(named) or 'none'}")
        longest = max(20, width // 6)
        return [line if len(line) <= longest else line[: longest - 3] + "..." for line in lines]


def _name(fact: Fact) -> str:
    """The terms of a fact in words; ids of terms that this version does not know stay as they are."""
    names = []
    for item in fact.terms:
        try:
            names.append(term(item).name)
        except KeyError:
            names.append(item)
    return ", ".join(names)
