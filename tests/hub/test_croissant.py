"""croissant.json holds for the folder beside it, and `mlcroissant` takes it and reads by it without a network."""

import hashlib
import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from cotgen.records import SPLITS
from cotgen.shards.index import scan_index
from cotgen.shards.manifest import load
from cotgen.shards.stored import StoredRecords


@pytest.fixture(scope="session")
def told(carded: Path) -> dict[str, Any]:
    found = orjson.loads((carded / "croissant.json").read_bytes())
    assert isinstance(found, dict)
    return found


def test_every_file_that_it_names_is_there_with_its_sum(carded: Path, told: dict[str, Any]) -> None:
    files = [item for item in told["distribution"] if item["@type"] == "cr:FileObject"]
    shards = {shard.file for shard in load(carded).shards}
    previews = {f"preview/{split}.{ending}" for split in SPLITS for ending in ("tar", "parquet")}
    assert {item["contentUrl"] for item in files} == {"index.parquet", *shards, *previews}
    for item in files:
        assert hashlib.sha256((carded / item["contentUrl"]).read_bytes()).hexdigest() == item["sha256"]


def test_it_tells_version_licence_citations_and_origin_and_no_date(told: dict[str, Any]) -> None:
    assert (told["name"], told["version"]) == ("lab__set", "1.0.0")
    assert told["url"] == "https://huggingface.co/datasets/lab/set"
    assert told["license"] == "https://creativecommons.org/licenses/by-nc-sa/4.0/"
    assert "arXiv:2312.12429" in told["citeAs"]
    assert [item["@id"] for item in told["prov:wasDerivedFrom"]] == ["https://github.com/CAMMA-public/Endoscapes"]
    build, check = told["prov:wasGeneratedBy"]
    assert build["prov:wasAssociatedWith"][0]["prov:label"].startswith("cotgen ")
    assert "checks" in check["prov:label"]
    assert all(told[f"rai:{name}"] for name in ("dataCollection", "dataUseCases", "dataLimitations", "dataBiases"))
    assert "date" not in " ".join(told).lower()


@pytest.mark.slow
def test_mlcroissant_accepts_it_and_reads_the_folder_by_it(carded: Path, tmp_path: Path) -> None:
    """One warning is left: no `datePublished`, since a date would make each publication other bytes."""
    pytest.importorskip("mlcroissant")
    program = Path(sys.executable).parent / "mlcroissant"
    command = [program, "validate", "--jsonld", carded / "croissant.json"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "HOME": str(tmp_path)})
    assert (done.returncode, "1 warning(s)" in done.stderr, "datePublished" in done.stderr) == (0, True, True)
    code = _READ.format(file=str(carded / "croissant.json"))
    # Where there is no network it must be read all the same, and the cache must not be the user's.
    read = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "HOME": str(tmp_path),
            "http_proxy": "http://127.0.0.1:1",
            "https_proxy": "http://127.0.0.1:1",
        },
    )
    assert read.returncode == 0, read.stderr
    rows = orjson.loads(read.stdout)
    index = scan_index(carded).collect()
    assert (rows["index"]["count"], rows["preview-train"]["count"]) == (
        index.height,
        index.filter(split="train").height,
    )
    assert rows["index"]["first"]["index/id"] == index["id"][0]
    assert rows["splits"]["count"] == 3
    assert rows["preview-train"]["first"]["preview-train/chain"].startswith("<think>Level 1: ")
    assert rows["preview-train"]["first"]["preview-train/thumbnail"].startswith("<PIL.JpegImagePlugin")
    with StoredRecords(carded) as stored:
        records = {place.key: stored.read(place).json for place in itertools.islice(stored.places(), 100)}
    assert rows["records"]["count"] == rows["frames"]["count"] == len(records)
    first = rows["records"]["first"]
    assert records[first["records/key"]].decode() == first["records/json"]
    assert rows["frames"]["first"]["frames/image"].startswith("<PIL.JpegImagePlugin")


_READ = """
import json, mlcroissant
found = dict()
data = mlcroissant.Dataset({file!r})
for name in ("index", "splits", "preview-train", "records", "frames"):
    rows = list(data.records(name))
    text = lambda value: value.decode() if isinstance(value, bytes) else str(value)
    found[name] = dict(count=len(rows), first={{key: text(value) for key, value in rows[0].items()}})
print(json.dumps(found))
"""
