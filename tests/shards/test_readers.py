"""A folder reads alike through `datasets` (as a stream and not), `webdataset`, `tarfile` and cotgen itself."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import cotgen
from cotgen.records import Finding, Sample
from tests.shards.samples import Made, make, write_folder

datasets = pytest.importorskip("datasets")

Read = dict[str, tuple[dict[str, Any], bytes]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "DOWNLOADED_DATASETS_PATH", tmp_path / "downloads")
    datasets.disable_progress_bars()


@pytest.fixture(scope="module")
def ragged() -> Made:
    """Findings and options are empty in the first samples and filled in the last: what breaks inferred types."""
    made = make(seconds=6)
    finding = Finding(check="frequency", severity="soft", statement=1, text="näher prüfen")
    samples = [*made.samples[:-2]]
    for sample in made.samples[-2:]:
        pairs = [pair.model_copy(update={"findings": [finding], "boxes": [[1, 2, 3, 4]]}) for pair in sample.pairs]
        samples.append(sample.model_copy(update={"pairs": pairs}))
    return Made(samples, made.pictures)


@pytest.fixture(scope="module")
def ragged_folder(ragged: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(ragged, tmp_path_factory.mktemp("ragged") / "set")


def truth(made: Made) -> Read:
    return {sample.key: (json.loads(sample.to_json()), made.pictures[sample.key]) for sample in made.samples}


def by_tarfile(folder: Path) -> Read:
    members: dict[str, bytes] = {}
    for path in (folder / "data").iterdir():
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member)
                assert file is not None
                members[member.name] = file.read()
    keys = [name.removesuffix(".json") for name in members if name.endswith(".json")]
    return {key: (json.loads(members[f"{key}.json"]), members[f"{key}.jpg"]) for key in keys}


def by_webdataset(folder: Path) -> Read:
    webdataset = pytest.importorskip("webdataset")
    shards = [str(path) for path in sorted((folder / "data").iterdir())]
    rows = webdataset.WebDataset(shards, shardshuffle=False)
    return {row["__key__"]: (json.loads(row["json"]), row["jpg"]) for row in rows}


def by_datasets(loaded: Any) -> Read:
    read = {}
    for split in loaded.values():
        for row in split.cast_column("jpg", datasets.Image(decode=False)):
            read[row["__key__"]] = (row["json"], row["jpg"]["bytes"])
    return read


def by_cotgen(folder: Path) -> Read:
    return {sample.key: (json.loads(sample.record.to_json()), sample.jpeg) for sample in cotgen.open(folder)}


def test_all_readers_see_the_same(ragged: Made, ragged_folder: Path) -> None:
    expected = truth(ragged)
    assert by_tarfile(ragged_folder) == expected
    assert by_webdataset(ragged_folder) == expected
    assert by_cotgen(ragged_folder) == expected
    assert by_datasets(datasets.load_dataset(str(ragged_folder))) == expected
    assert by_datasets(datasets.load_dataset(str(ragged_folder), streaming=True)) == expected


def test_splits_and_pictures_are_those_of_the_folder(ragged: Made, ragged_folder: Path) -> None:
    loaded = datasets.load_dataset(str(ragged_folder))
    assert {split: set(rows["__key__"]) for split, rows in loaded.items()} == {
        split: {sample.key for sample in ragged.samples if sample.split == split}
        for split in ("train", "validation", "test")
    }
    row = loaded["train"][0]
    assert row["jpg"].size == Image.open(io.BytesIO(ragged.pictures[row["__key__"]])).size
    Sample.from_json(json.dumps(row["json"]).encode())


def test_features_of_the_package_are_those_of_the_readme(ragged: Made, ragged_folder: Path) -> None:
    loaded = datasets.load_dataset(str(ragged_folder))
    assert loaded["train"].features == cotgen.FEATURES
    files = {"test": str(ragged_folder / "data" / "test-*.tar")}
    for streaming in (False, True):
        bare = datasets.load_dataset("webdataset", data_files=files, features=cotgen.FEATURES, streaming=streaming)
        assert by_datasets(bare) == {k: v for k, v in truth(ragged).items() if v[0]["split"] == "test"}


def test_the_bare_builder_fails_on_empty_first_data(ragged: Made, tmp_path: Path) -> None:
    """Why the README states the features: without them lists that are empty in the first five samples cannot be read."""
    ordered = sorted(ragged.samples, key=lambda sample: bool(sample.pairs[0].findings))
    path = tmp_path / "bare.tar"
    with tarfile.open(path, "w") as tar:
        for sample in ordered:
            for ending, data in (("jpg", ragged.pictures[sample.key]), ("json", sample.to_json())):
                info = tarfile.TarInfo(f"{sample.key}.{ending}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    with pytest.raises(datasets.exceptions.DatasetGenerationError):
        datasets.load_dataset("webdataset", data_files=str(path), split="train")
    read = datasets.load_dataset("webdataset", data_files=str(path), split="train", features=cotgen.FEATURES)
    assert by_datasets({"train": read}) == truth(ragged)


def test_a_folder_without_pictures_loads(ragged: Made, tmp_path: Path) -> None:
    out = write_folder(Made(ragged.samples, dict.fromkeys(ragged.pictures, b"")), tmp_path / "set")
    for streaming in (False, True):
        loaded = datasets.load_dataset(str(out), streaming=streaming)
        read = {row["__key__"]: row["json"] for rows in loaded.values() for row in rows}
        assert read == {key: record for key, (record, _) in truth(ragged).items()}
