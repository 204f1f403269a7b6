"""Growing files of an export: rows as JSON that go on at a remembered byte, and Parquet that holds the pictures."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

from cotgen.chains.render import View
from cotgen.errors import CotgenError
from cotgen.records import canonical_json
from cotgen.shards.files import settle, temporary_name, writable

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows of a group: a reader holds one group, and `datasets` advises 100 for pictures.
_GROUP_ROWS = 100
#: A dictionary of pictures may grow to this; beyond it each row would hold its picture again.
_DICTIONARY_BYTES = 1 << 30
#: Threads that make files, pictures that one takes at a time, and such batches that may wait for them.
_THREADS = 2
_BATCH = 16
_WAITING = 4
#: Rows are handed to the system in pieces of so many bytes.
_BUFFER = 1 << 20
_PICTURE = "images.list.element.bytes"
_LEAVES = {name: [f"{name}.list.element.{part}" for part in ("role", "content")] for name in ("prompt", "completion")}


class RowsFile:
    """Rows of JSON after those that a file holds already: lines, or elements of one array.

    Args:
        path: the file; it is cut after `begin` bytes first, so that rows of a killed run do not stay.
        begin: how many bytes of it are known to be whole.
        array: one JSON array instead of lines.

    Attributes:
        position: bytes so far.
    """

    def __init__(self, path: Path, begin: int, array: bool) -> None:
        self.position = begin
        self._array = array
        with writable(path):
            self._file: BinaryIO = path.open("r+b" if begin else "wb", buffering=_BUFFER)
        self._file.truncate(begin)
        self._file.seek(begin)

    def __enter__(self) -> RowsFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, row: Mapping[str, Any], picture: bytes) -> None:
        """Write one row; the picture lies beside the file and is not in it."""
        data = canonical_json(row)
        if self._array:
            self._put((b",\n" if self.position else b"[\n") + data)
        else:
            self._put(data + b"\n")

    def finish(self, last: bool) -> None:
        """Put what was written on the disk; after the last row of an array comes its end."""
        if last and self._array and self.position:
            self._put(b"\n]\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self.position += len(data)


class Pictures:
    """Pictures of a split as files. Making a file is mostly waiting, so a few threads do it beside the rows.

    They are not flushed to the disk here: all are at the end of the export, before its receipt.

    Args:
        folder: where they go.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: set[str] = set()
        self._batch: list[tuple[str, bytes]] = []
        self._waiting: deque[Future[None]] = deque()
        self._threads = ThreadPoolExecutor(_THREADS)

    def __enter__(self) -> Pictures:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(cancel_futures=True)

    def add(self, name: str, jpeg: bytes) -> None:
        """Write one picture, soon. Raises CotgenError where this or an earlier one cannot be written."""
        parent = name.rpartition("/")[0]
        if parent not in self._made:
            path = self._folder / name
            with writable(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(parent)
        self._batch.append((f"{self._folder}/{name}", jpeg))
        if len(self._batch) == _BATCH:
            self._hand_over()
        if len(self._waiting) > _WAITING:
            self._waiting.popleft().result()

    def finish(self) -> None:
        """Wait for the last ones. Raises CotgenError where one cannot be written."""
        self._hand_over()
        while self._waiting:
            self._waiting.popleft().result()

    def _hand_over(self) -> None:
        self._waiting.append(self._threads.submit(_write, self._batch))
        self._batch = []


def _write(files: Sequence[tuple[str, bytes]]) -> None:
    for path, data in files:
        with writable(Path(path)):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            try:
                written = 0
                while written < len(data):
                    written += os.write(handle, memoryview(data)[written:])
            finally:
                os.close(handle)


def need_pyarrow() -> None:
    """Raises CotgenError where it is not installed; said before a folder is begun."""
    if find_spec("pyarrow") is None:
        raise CotgenError("The format parquet needs pyarrow: pip install 'cotgen[hub]'")


class ParquetFile:
    """The rows of one shard with their pictures; it takes its name in `finish`.

    A picture is stored once in a group of rows, by Parquet's dictionary, though each row of its sample has it.
    """

    def __init__(self, path: Path, view: View) -> None:
        need_pyarrow()
        import pyarrow.parquet as pq

        self.position = 0
        self._path = path
        self._temporary = temporary_name(path)
        self._texts = texts_of(view)
        self._rows: list[Mapping[str, Any]] = []
        self._names: list[str] = []
        # By their bytes: two samples may show the same, and a dictionary with repeats is written out row by row.
        self._pictures: dict[bytes, int] = {}
        self._numbers: list[int] = []
        # One group is written while the rows of the next are made.
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None
        compressed = [leaf for name in self._texts for leaf in _LEAVES.get(name, [name])]
        with writable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(
                self._temporary,
                self._group().schema,
                # JPEG does not get smaller.
                compression={_PICTURE: "NONE", **dict.fromkeys(compressed, "ZSTD")},
                use_dictionary=[_PICTURE],
                dictionary_pagesize_limit=_DICTIONARY_BYTES,
                write_statistics=False,
                # Readers are to see plain columns, not our dictionary.
                store_schema=False,
            )
            self._writer.add_key_value_metadata(
                {"huggingface": canonical_json({"info": {"features": features_of(view)}})}
            )

    def __enter__(self) -> ParquetFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown()
        if self._writer.is_open:
            self._writer.close()
        self._temporary.unlink(missing_ok=True)

    def add(self, row: Mapping[str, Any], picture: bytes) -> None:
        """Write one row with its picture. Rows of one sample come one after the other."""
        name = f"{row['id'].partition('#')[0]}.jpg"
        if len(self._rows) >= _GROUP_ROWS and name != self._names[-1]:
            self._flush()
        self._names.append(name)
        self._rows.append(row)
        self._numbers.append(self._pictures.setdefault(picture, len(self._pictures)))

    def finish(self, last: bool) -> None:
        """Put the file on the disk under its name; a shard without rows has none."""
        if self._rows:
            self._flush()
        self._wait()
        self._writer.close()
        if self.position:
            with writable(self._path):
                self.position = self._temporary.stat().st_size
                settle(self._temporary, self._path)

    def _group(self) -> pa.Table:
        """The rows so far as columns; each picture is in memory once."""
        import pyarrow as pa

        numbers = pa.array(self._numbers, pa.int32())
        names = pa.array(self._names, pa.string())
        pictures = pa.DictionaryArray.from_arrays(numbers, pa.array(list(self._pictures), pa.binary()))
        lone = pa.array(range(len(self._numbers) + 1), pa.int32())
        columns = {
            "images": pa.ListArray.from_arrays(lone, pa.StructArray.from_arrays([pictures, names], ["bytes", "path"]))
        }
        for name, kind in self._texts.items():
            if name in _LEAVES:
                turns = [turn for row in self._rows for turn in row[name]]
                parts = [pa.array([turn[part] for turn in turns], pa.string()) for part in ("role", "content")]
                turn = pa.StructArray.from_arrays(parts, fields=list(kind.value_type))
                columns[name] = pa.ListArray.from_arrays(lone, turn, type=kind)
            else:
                columns[name] = pa.array([row[name] for row in self._rows], kind)
        return pa.table(columns)

    def _flush(self) -> None:
        self._wait()
        self._writing = self._thread.submit(self._write, self._group())
        self.position += len(self._rows)
        self._rows, self._names, self._pictures, self._numbers = [], [], {}, []

    def _write(self, group: pa.Table) -> None:
        with writable(self._path):
            self._writer.write_table(group)

    def _wait(self) -> None:
        if self._writing is not None:
            self._writing.result()


def texts_of(view: View) -> dict[str, pa.DataType]:
    """The columns of a view beside `images`, with their types."""
    import pyarrow as pa

    text = pa.string()
    turn = pa.list_(pa.struct([("role", text), ("content", text)]))
    if view == "prompt":
        number = pa.int64()
        return {"id": text, "prompt": turn, "task": text, "solution": text, "width": number, "height": number}
    return {"id": text, "prompt": turn, "completion": turn}


def features_of(view: View) -> dict[str, Any]:
    """The columns as `datasets.Features.to_dict` writes them."""
    text = {"dtype": "string", "_type": "Value"}
    turn = {"feature": {"role": text, "content": text}, "_type": "List"}
    images = {"images": {"feature": {"_type": "Image"}, "_type": "List"}}
    if view == "prompt":
        number = {"dtype": "int64", "_type": "Value"}
        columns = {"id": text, "prompt": turn, "task": text, "solution": text, "width": number, "height": number}
        return columns | images
    return {"id": text, "prompt": turn, "completion": turn} | images
