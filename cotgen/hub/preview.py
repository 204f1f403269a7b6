"""Preview: a few pairs of each split with their chains as text and small pictures, for whoever wants to look first.

The same rows come in two forms. `datasets` reads all configurations of a repository with one builder, that of the first
configuration (`datasets.load.HubDatasetModuleFactory`, 5.2), so beside shards in tar files a configuration of Parquet
files cannot be loaded: the configuration `preview` is made of tar files as well (`jpg`, and the columns in `json`). The
Parquet table holds the columns side by side, for pandas, polars, duckdb and `load_dataset("parquet", ...)`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl
from PIL import Image

from cotgen.chains.render import render_boxes, render_chain
from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.records import SPLITS, Pair, Sample, canonical_json
from cotgen.shards.index import scan_index
from cotgen.shards.manifest import PREVIEW
from cotgen.shards.stored import Place, StoredRecords
from cotgen.shards.tar import ShardWriter

#: Pairs of each split.
LIMIT = 200
#: Longest side of a small picture in pixels, and its JPEG quality.
SIDE = 320
_QUALITY = 80
#: Rows of the index that are looked at together.
_BLOCK = 1 << 16

#: The text columns and `options`, in the order of the table, and the one with a picture.
COLUMNS = ("key", "id", "task", "question", "options", "chain", "answer", "support", "writer", "surgery")
THUMBNAIL = "thumbnail"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A pair that was drawn, with its sample.

    Attributes:
        sample: as stored.
        pair: one of its pairs.
        jpeg: the stored picture; b"" where frames are not stored.
    """

    sample: Sample
    pair: Pair
    jpeg: bytes

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the stored picture in pixels."""
        return self.sample.frame.width, self.sample.frame.height


def draw_pairs(index: pl.LazyFrame, limit: int, *names: str) -> pl.DataFrame:
    """At most so many rows of an index for each split, spread evenly over its tasks.

    Rows are ordered by a draw of key and id within each task, and taken from the tasks in turn. The index is read in
    blocks, and so many rows of each task are kept.

    Args:
        index: as `scan_index` gives it.
        limit: how many.
        names: what the draw is for.

    Returns:
        key, id, shard, offset, split, task: split by split in the order train, validation, test, and in a split in the
        order in which they were drawn.
    """
    index = index.select("key", "id", "shard", "offset", "split", "task")
    kept: list[pl.DataFrame] = []
    for start in range(0, index.select(pl.len()).collect().item(), _BLOCK):
        block = index.slice(start, _BLOCK).collect()
        ranks = [draw(0, *names, key, pair) for key, pair in block.select("key", "id").iter_rows()]
        rows = pl.concat([*kept, block.with_columns(pl.Series("rank", ranks, dtype=pl.UInt64))])
        best = rows.sort("rank", "key", "id").group_by("split", "task", maintain_order=True).head(limit)
        kept = [best.select(rows.columns)]
    if not kept:
        return index.collect()
    return (
        kept[0]
        .with_columns(pl.col("split").cast(pl.Enum(SPLITS)))
        .sort("split", "task", "rank", "key", "id")
        .with_columns(pl.int_range(pl.len()).over("split", "task").alias("turn"))
        .sort("split", "turn", "task")
        .group_by("split", maintain_order=True)
        .head(limit)
        .select(index.collect_schema().names())
    )


def read_pairs(stored: StoredRecords, pairs: pl.DataFrame, *, pictures: bool) -> Iterator[Drawn]:
    """The pairs of these rows of the index, in their order; a shard is read where they lie.

    Raises:
        CotgenError: a shard is damaged.
    """
    found: dict[tuple[str, str], Drawn] = {}
    wanted = pairs.select("shard", "offset", "key", "split", "id").sort("shard", "offset", "id")
    for shard, offset, key, split, pair_id in wanted.iter_rows():
        place = Place(key, split, shard, offset)
        if pictures:
            item = stored.read(place)
            record, jpeg = item.json, item.jpg
        else:
            record, jpeg = stored.record(place)[0], b""
        sample = Sample.from_json(record)
        pair = next(pair for pair in sample.pairs if pair.id == pair_id)
        found[key, pair_id] = Drawn(sample, pair, jpeg)
    yield from (found[name] for name in pairs.select("key", "id").iter_rows())


def thumbnail(jpeg: bytes) -> bytes:
    """A small JPEG of a stored one."""
    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as picture:
        small = picture.convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=_QUALITY, subsampling="4:2:0")
    return out.getvalue()


@dataclass(frozen=True, slots=True)
class Preview:
    """The preview of a folder.

    Attributes:
        files: name -> bytes, a tar and a Parquet file for each split.
        rows: split -> number of pairs.
    """

    files: dict[str, bytes]
    rows: dict[str, int]


def preview(stored: StoredRecords) -> Preview:
    """Make it.

    Raises:
        CotgenError: a shard is damaged.
    """
    pictures = bool(stored.manifest.counts.get("images"))
    found = Preview({}, {})
    for chosen in draw_pairs(scan_index(stored.folder), LIMIT, "preview").partition_by("split", maintain_order=True):
        split = str(chosen["split"][0])
        drawn = list(read_pairs(stored, chosen, pictures=pictures))
        rows = [_row(item) for item in drawn]
        stored_jpegs = {item.sample.key: item.jpeg for item in drawn} if pictures else {}
        small = {key: thumbnail(jpeg) for key, jpeg in stored_jpegs.items()}
        found.files[f"{PREVIEW}/{split}.tar"] = _tar(split, rows, small)
        found.files[f"{PREVIEW}/{split}.parquet"] = _parquet(rows, small)
        found.rows[split] = len(rows)
    return found


def preview_header(made: Preview, *, pictures: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """The entries of `configs` and of `dataset_info` for the head of the card."""
    config = {
        "config_name": PREVIEW,
        "data_files": [{"split": split, "path": f"{PREVIEW}/{split}.tar"} for split in made.rows],
    }
    columns = [
        {"name": name, "list": "string"} if name == "options" else {"name": name, "dtype": "string"}
        for name in COLUMNS
    ]
    features: list[dict[str, Any]] = [{"name": "jpg", "dtype": "image"}] if pictures else []
    features += [{"name": "json", "struct": columns}]
    features += [{"name": name, "dtype": "string"} for name in ("__key__", "__url__")]
    splits = [
        {"name": split, "num_bytes": len(made.files[f"{PREVIEW}/{split}.tar"]), "num_examples": count}
        for split, count in made.rows.items()
    ]
    return config, {"config_name": PREVIEW, "features": features, "splits": splits}


def _row(item: Drawn) -> dict[str, Any]:
    pair = item.pair
    return {
        "key": item.sample.key,
        "id": pair.id,
        "task": pair.task,
        "question": _shown(item, pair.question),
        "options": list(pair.options),
        "chain": _shown(item, render_chain(pair)),
        "answer": _shown(item, pair.answer),
        "support": pair.support,
        "writer": pair.writer,
        "surgery": item.sample.surgery,
    }


def _shown(item: Drawn, text: str) -> str:
    # Thousandths hold for the stored picture and for the small one.
    return render_boxes(text, item.pair.boxes, "per_mille", item.size)


def _tar(split: str, rows: Sequence[dict[str, Any]], small: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    writer = ShardWriter(out, split)
    for number, row in enumerate(rows):
        writer.add(f"{number:04d}", canonical_json(row), small.get(row["key"], b""))
    writer.finish()
    return out.getvalue()


def _parquet(rows: Sequence[dict[str, Any]], small: dict[str, bytes]) -> bytes:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise CotgenError("The preview needs pyarrow: pip install 'cotgen[hub]'") from error

    columns: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in COLUMNS}
    types: dict[str, Any] = {name: pa.list_(pa.string()) if name == "options" else pa.string() for name in COLUMNS}
    features: dict[str, Any] = {name: {"dtype": "string", "_type": "Value"} for name in COLUMNS}
    features["options"] = {"feature": features["options"], "_type": "List"}
    if small:
        columns[THUMBNAIL] = [{"bytes": small[row["key"]], "path": f"{row['key']}.jpg"} for row in rows]
        types[THUMBNAIL] = pa.struct({"bytes": pa.binary(), "path": pa.string()})
        features[THUMBNAIL] = {"_type": "Image"}
    # Where `datasets` looks for the types of columns; polars would write them where it does not.
    told = {"huggingface": orjson.dumps({"info": {"features": features}})}
    table = pa.table(columns, schema=pa.schema(list(types.items()), metadata=told))
    out = io.BytesIO()
    # 100 rows in a group: viewers read no more than a group at once.
    pq.write_table(table, out, row_group_size=100)
    return out.getvalue()
