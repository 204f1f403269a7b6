"""Damaged downloads of every data set: facts, or a SourceError in words; never anything else, and never a hang."""

import importlib
import shutil
import time
from pathlib import Path

import pytest

from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.sources import source

NAMES = ("endoscapes", "multibypass140", "sar_rarp50", "endovis17", "endovis18")
ROUNDS = 25


#: Their annotations are pictures, a great many of them.
MASKS = ("sar_rarp50", "endovis17", "endovis18")


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=[pytest.mark.slow] * (name in MASKS)) for name in NAMES]
)
def download(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    getattr(importlib.import_module(f"cotgen.sources.demo.{request.param}"), f"make_{request.param}")(
        folder, surgeries=2
    )
    return request.param, folder


def damaged(data: bytes, name: str, n: int) -> bytes:
    """One of a few kinds of damage, drawn."""

    def at(what: str, most: int) -> int:
        return draw(0, what, name, str(n)) % max(1, most)

    kind, place = at("kind", 8), at("place", len(data))
    noise = bytes(draw(0, "noise", name, str(n), str(k)) % 256 for k in range(8))
    return (
        data[:place],
        b"",
        data[:place] + noise + data[place + 8 :],
        data[:place] + data[place + at("cut", 40) :],
        data[:place] + data[place : place + 30] * 3 + data[place + 30 :],
        data.replace(b"1", b"-1", 3),
        data.replace(b",", b";", 1 + at("commas", 5)),
        b"\x00" * 64 + data,
    )[kind]


def test_a_damaged_file_gives_facts_or_a_sentence(download: tuple[str, Path], tmp_path: Path) -> None:
    name, folder = download
    reader = source(name)
    refused = 0
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    labels = [file for file in files if file.rpartition(".")[2] in ("json", "csv", "txt", "xml", "png")]
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    started = time.monotonic()
    for n in range(ROUNDS):
        file = labels[draw(0, "file", name, str(n)) % len(labels)]
        whole = (folder / file).read_bytes()
        # A new name for the round, so that nothing remembered of the whole file can hide the damage.
        (copy / file).write_bytes(damaged(whole, name, n))
        try:
            scan = reader.scan(copy)
            for files_ in scan.surgeries if scan else ():
                found = reader.facts(scan.root, files_, 1)
                assert set(found.facts["kind"].unique()) <= {
                    name.partition(".")[2] for name in found.labelled["name"].unique()
                }
        except CotgenError as problem:
            refused += 1
            assert len(str(problem)) > 20 and "Traceback" not in str(problem)
        (copy / file).write_bytes(whole)
    assert 0 < refused <= ROUNDS
    assert time.monotonic() - started < 120
