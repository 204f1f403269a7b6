"""Pickles: plain data comes back whole, anything else is refused before it is made."""

import collections
import os
import pickle
import time
from pathlib import Path

import numpy as np
import pytest

from cotgen.draws import draw
from cotgen.errors import SourceError
from cotgen.sources import pickles
from cotgen.sources.pickles import read_plain_pickle

ROWS = {
    "BBP01": [{"Frame_id": "BBP01_00000001", "Phase_gt": 3, "share": 0.5, "none": None, "far": 2**70, "yes": True}] * 3
}


class Trap:
    """Makes a folder where it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_data_comes_back_whole(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "a.pickle").write_bytes(pickle.dumps(ROWS, protocol=protocol))
    assert read_plain_pickle(tmp_path, "a.pickle") == ROWS


@pytest.mark.parametrize("protocol", range(6))
def test_nothing_is_ever_run(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "a.pickle").write_bytes(pickle.dumps({**ROWS, "x": Trap(tmp_path / "made")}, protocol=protocol))
    with pytest.raises(SourceError, match="which can run code: it is not read"):
        read_plain_pickle(tmp_path, "a.pickle")
    assert not (tmp_path / "made").exists()
    pickle.loads((tmp_path / "a.pickle").read_bytes())
    assert (tmp_path / "made").exists(), "the trap is one"


@pytest.mark.parametrize("content", [np.int64(3), (1, 2), {1, 2}, b"bytes", {3: 4}, collections.OrderedDict(a=1), len])
def test_other_data_is_refused(tmp_path: Path, content: object) -> None:
    (tmp_path / "a.pickle").write_bytes(pickle.dumps({"a": content}))
    with pytest.raises(SourceError, match="holds more than dictionaries, lists, names and numbers"):
        read_plain_pickle(tmp_path, "a.pickle")


@pytest.mark.parametrize(
    "data", [b"", b"\x80\x04", b"\x80\x04r\xff\xff\xff\xff.", b"\x95" + b"\xff" * 8, b"\x80\x04a."]
)
def test_damage_is_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.pickle").write_bytes(data)
    with pytest.raises(SourceError, match="is no whole pickle"):
        read_plain_pickle(tmp_path, "a.pickle")


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "MOST_MADE", 1000)
    for instruction in (b"]", b"}", b"(", b"\x94"):
        (tmp_path / "a.pickle").write_bytes(b"\x80\x04]" + instruction * 1001 + b".")
        with pytest.raises(SourceError, match="it is not read"):
            read_plain_pickle(tmp_path, "a.pickle")
    monkeypatch.setattr(pickles, "MAX_PICKLE_BYTES", 2**20)
    (tmp_path / "a.pickle").write_bytes(bytes(2**20 + 1))
    with pytest.raises(SourceError, match="is larger than 1 MiB"):
        read_plain_pickle(tmp_path, "a.pickle")


def test_any_damage_gives_plain_data_or_a_sentence(tmp_path: Path) -> None:
    whole = pickle.dumps(ROWS)
    refused = 0
    started = time.monotonic()
    for n in range(400):
        data = bytearray(whole)
        for k in range(1 + n % 3):
            data[draw(0, "place", str(n), str(k)) % len(data)] = draw(0, "value", str(n), str(k)) % 256
        (tmp_path / "a.pickle").write_bytes(bytes(data))
        try:
            assert plain(read_plain_pickle(tmp_path, "a.pickle"))
        except SourceError as problem:
            refused += 1
            assert len(str(problem)) < 300
    assert 100 < refused < 400
    assert time.monotonic() - started < 30


def plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(type(key) is str and plain(item) for key, item in value.items())
    return (
        all(map(plain, value)) if isinstance(value, list) else value is None or type(value) in (str, int, float, bool)
    )
