"""An export: the same bytes each time and after any kill, nothing foreign touched, terms and counts told."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cotgen.chains.boxes import BoxFormat
from cotgen.errors import CotgenError
from cotgen.inspect.export import RECEIPT, WORK, Exported, Wanted, export
from cotgen.inspect.export_rows import FORMATS, LAYOUTS, FormatName
from cotgen.records import Sample
from cotgen.shards.manifest import load
from tests.inspect.handmade import PAIRS, handmade
from tests.shards.samples import Made, make, write_folder

PROJECT = Path(__file__).parents[2]


def wanted(name: FormatName = "sharegpt", **more: Any) -> Wanted:
    layout = LAYOUTS[name]
    return Wanted(**{"layout": layout, "view": "cot", "boxes": BoxFormat(layout.boxes[0]), **more})


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def ids(out: Path, split: str = "train") -> list[str]:
    return [json.loads(line)["id"] for line in (out / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def made() -> Made:
    return make(seconds=10)


@pytest.fixture(scope="module")
def folder(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four surgeries in six shards."""
    return write_folder(made, tmp_path_factory.mktemp("export") / "set")


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """One sample with a pair of each kind, and its key."""
    return handmade(tmp_path_factory.mktemp("one") / "set")


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_input_gives_the_same_bytes(folder: Path, tmp_path: Path, name: FormatName) -> None:
    if name == "parquet":
        pytest.importorskip("pyarrow")
    for out in ("a", "b"):
        assert export(folder, tmp_path / out, wanted(name, asserted=True)).written
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert str(tmp_path).encode() not in b"".join(files(tmp_path / "a").values())


def test_rows_come_in_the_order_of_the_shards_and_a_picture_once(made: Made, folder: Path, tmp_path: Path) -> None:
    counted: list[int] = []
    done = export(folder, tmp_path / "out", wanted(view="vqa"), counted.append)
    stored = {sample.key: sample for sample in made.samples}
    for split in ("train", "validation", "test"):
        found = ids(tmp_path / "out", split)
        keys = list(dict.fromkeys(id.partition("#")[0] for id in found))
        assert found == [f"{key}#{pair.id}" for key in keys for pair in stored[key].pairs]
        assert sorted(keys) == sorted(key for key, sample in stored.items() if sample.split == split)
        assert (done.pairs[split], done.images[split]) == (len(found), len(keys))
    pictures = {Path(name).stem: data for name, data in files(tmp_path / "out" / "images").items()}
    assert pictures == made.pictures
    assert sum(counted) == len(made.samples)


def test_chains_of_templates_without_a_reason_only_on_request(one: tuple[Path, str], tmp_path: Path) -> None:
    folder, key = one
    cot = export(folder, tmp_path / "cot", wanted())
    kept = [pair.id for pair in PAIRS if pair.id != "phase.open"]
    assert ids(tmp_path / "cot") == [f"{key}#{id}" for id in kept]
    assert (cot.pairs, cot.left_out) == ({"train": 5}, {"asserted": 1})
    assert "- left out: 1 pairs whose template chain gives no reason" in (tmp_path / "cot/README.md").read_text()
    for out, more in (("all", {"asserted": True}), ("bare", {"view": "vqa"})):
        assert export(folder, tmp_path / out, wanted(**more)).left_out == {}
        assert len(ids(tmp_path / out)) == len(PAIRS)


def test_filters_and_what_they_left_out(folder: Path, one: tuple[Path, str], tmp_path: Path) -> None:
    train = export(folder, tmp_path / "train", wanted(view="vqa", splits=("train",), tasks=("phase", "tool_count")))
    assert set(train.pairs) == {"train"} and set(train.left_out) == {"split", "task"}
    assert {Path(name).parts[0] for name in files(tmp_path / "train" / "images")} == {"train"}
    assert not (tmp_path / "train" / "test.jsonl").exists()
    total = load(folder).counts["pairs"]
    assert sum(train.pairs.values()) + sum(train.left_out.values()) == total
    assert {id.partition("#")[2].partition(".")[0] for id in ids(tmp_path / "train")} == {"phase", "tool"}
    folder, key = one
    taught = export(folder, tmp_path / "taught", wanted(writers=("teacher",)))
    assert (ids(tmp_path / "taught"), taught.left_out) == ([f"{key}#phase.taught"], {"writer": 5})


def test_what_is_not_there_cannot_be_asked_for(folder: Path, tmp_path: Path) -> None:
    for more, message in (
        ({"splits": ("trian",)}, "no split 'trian'; it has test, train, validation; choose with --split"),
        ({"tasks": ("triplet",)}, "no task 'triplet'"),
        ({"writers": ("teacher",)}, "no writer 'teacher'; it has template, template/1"),
        ({"tasks": ("phase",)}, r"nothing is left to export \(left out: asserted .*--asserted"),
        ({"layout": LAYOUTS["llava"], "view": "prompt"}, "LLaVA trains on answers"),
        ({"boxes": BoxFormat("bare")}, "LLaMA-Factory does not read boxes as 'bare'; use --boxes pixels, resized"),
    ):
        with pytest.raises(CotgenError, match=message):
            export(folder, tmp_path / "out", wanted(**more))
    assert not (tmp_path / "out").exists()


def test_a_data_set_without_pictures_is_refused(made: Made, tmp_path: Path) -> None:
    bare = write_folder(Made(made.samples, dict.fromkeys(made.pictures, b"")), tmp_path / "bare")
    with pytest.raises(CotgenError, match=r"stores no pictures.*`cotgen hydrate"):
        export(bare, tmp_path / "out", wanted())


def test_terms_and_fingerprint_travel(folder: Path, tmp_path: Path) -> None:
    export(folder, tmp_path / "out", wanted())
    text = (tmp_path / "out" / "README.md").read_text()
    for part in (
        load(folder).fingerprint,
        "CC BY-NC-SA 4.0",
        "Twinanda et al., EndoNet, 2017",
        "dataset=cotgen_train",
    ):
        assert part in text
    receipt = json.loads((tmp_path / "out" / RECEIPT).read_bytes())
    assert (receipt["data_set"], receipt["format"], receipt["view"]) == (load(folder).fingerprint, "sharegpt", "cot")


def test_a_second_call_does_nothing_and_notices_what_is_gone(folder: Path, tmp_path: Path) -> None:
    first = export(folder, tmp_path / "out", wanted())
    before = files(tmp_path / "out")
    second = export(folder, tmp_path / "out", wanted())
    assert second == Exported(first.pairs, first.images, first.left_out, first.files, written=False)
    assert files(tmp_path / "out") == before
    next((tmp_path / "out" / "images").rglob("*.jpg")).unlink()
    with pytest.raises(CotgenError, match="images was changed or removed after the export"):
        export(folder, tmp_path / "out", wanted())


def test_what_is_not_this_export_is_left_alone(folder: Path, made: Made, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(CotgenError, match=r"no export wrote \(thesis.tex\); nothing in it was touched"):
        export(folder, tmp_path / "mine", wanted())
    export(folder, tmp_path / "out", wanted())
    before = files(tmp_path / "out")
    for more in ({"view": "vqa"}, {"boxes": BoxFormat("resized")}, {"tasks": ("tool_count",)}):
        with pytest.raises(CotgenError, match="another export, or one with other options"):
            export(folder, tmp_path / "out", wanted(**more))
    other = write_folder(made, tmp_path / "other", fingerprint="a" * 64)
    with pytest.raises(CotgenError, match="another version of the data set"):
        export(other, tmp_path / "out", wanted())
    assert files(tmp_path / "out") == before and list(files(tmp_path / "mine")) == ["thesis.tex"]
    for inside in (folder, folder / "swift"):
        with pytest.raises(CotgenError, match="give a folder outside of it"):
            export(folder, inside, wanted())
    assert not (folder / "swift").exists()


#: Exports in a process that kills itself after so many samples.
KILLED = """
import os, signal, sys
from pathlib import Path
from cotgen.chains.boxes import BoxFormat
from cotgen.inspect.export import Wanted, export
from cotgen.inspect.export_rows import LAYOUTS
folder, out, name, left = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
def progress(count):
    global left
    left -= count
    if left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
layout = LAYOUTS[name]
export(folder, out, Wanted(layout, "cot", BoxFormat(layout.boxes[0])), progress)
"""


@pytest.mark.parametrize("name", ["llava", "parquet"])
def test_killed_at_random_samples_it_goes_on_and_gives_the_same_bytes(
    made: Made, folder: Path, tmp_path: Path, name: FormatName
) -> None:
    if name == "parquet":
        pytest.importorskip("pyarrow")
    out, samples = tmp_path / "out", len(made.samples)
    moments = random.Random(name)
    for first, last in ((1, samples // 2), (samples // 2, samples)):
        command = [sys.executable, "-c", KILLED, str(folder), str(out), name, str(moments.randint(first, last))]
        killed = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(PROJECT)}, check=False)
        assert killed.returncode == -signal.SIGKILL
        assert (out / WORK).is_dir() and not (out / RECEIPT).exists()
    kept = json.loads((out / WORK / "state.json").read_bytes())["done"]
    assert kept, "the shards before the kill are finished"
    begun: list[int] = []
    export(folder, out, wanted(name), begun.append)
    assert begun[: len(kept)] == [shard.samples for shard in load(folder).shards[: len(kept)]], "and not read again"
    export(folder, tmp_path / "whole", wanted(name))
    assert files(out) == files(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["swift", "llava", "trl", "parquet"])
def test_killed_at_random_moments_it_goes_on_and_gives_the_same_bytes(tmp_path: Path, name: FormatName) -> None:
    folder, out = write_folder(make(seconds=300), tmp_path / "set", shards=4), tmp_path / "out"
    command = [sys.executable, "-m", "cotgen", "export", str(folder), "--format", name, "--out", str(out), "-q"]
    moments, killed = random.Random(name), 0
    for n in range(8):
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(PROJECT)})
        # Until it writes, imports take a second, and longer on a busy machine.
        until = time.monotonic() + 30
        while process.poll() is None and not (out / WORK).exists() and time.monotonic() < until:
            time.sleep(0.005)
        # The first ones come soon, since a fast machine is done in a blink.
        time.sleep(moments.uniform(0, 0.05 * n))
        process.kill()
        killed += process.wait() == -signal.SIGKILL
    assert killed >= 2
    assert subprocess.run(command, env={**os.environ, "PYTHONPATH": str(PROJECT)}, check=False).returncode == 0
    export(folder, tmp_path / "whole", wanted(name))
    assert files(out) == files(tmp_path / "whole")


def test_killed_between_the_last_rows_and_the_receipt(folder: Path, tmp_path: Path) -> None:
    """Rows that took their names already stay where they are."""
    for out in ("out", "whole"):
        export(folder, tmp_path / out, wanted("trl"))
    out = tmp_path / "out"
    receipt = out / RECEIPT
    fingerprint = json.loads(receipt.read_bytes())["fingerprint"]
    shutil.rmtree(out)
    with pytest.raises(KeyboardInterrupt):
        export(folder, out, wanted("trl"), _stops_at(len(list((tmp_path / "whole" / "images").rglob("*.jpg")))))
    assert json.loads((out / WORK / "state.json").read_bytes())["fingerprint"] == fingerprint
    (out / WORK / "test").replace(out / "images" / "test" / "metadata.jsonl")
    export(folder, out, wanted("trl"))
    assert files(out) == files(tmp_path / "whole")


def _stops_at(samples: int) -> Any:
    left = [samples]

    def progress(count: int) -> None:
        left[0] -= count
        if left[0] <= 0:
            raise KeyboardInterrupt

    return progress


def test_a_damaged_shard_is_named_and_the_same_call_goes_on_once_it_is_mended(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "set"))
    shard = sorted((copy / "data").iterdir())[-1]
    whole = shard.read_bytes()
    shard.write_bytes(whole[:3000])
    with pytest.raises(CotgenError, match=shard.name):
        export(copy, tmp_path / "out", wanted())
    shard.write_bytes(whole)
    export(copy, tmp_path / "out", wanted())
    export(folder, tmp_path / "whole", wanted())
    assert files(tmp_path / "out") == files(tmp_path / "whole")


@pytest.mark.parametrize(
    "pair",
    [
        {"answer": "hook <bbox:7>"},
        {"answer": ""},
        {"question": ""},
        {"boxes": [[1, 2, 3]]},
        {"statements": []},
        {"support": "proven"},
    ],
)
def test_a_damaged_record_is_a_sentence_and_never_a_row(tmp_path: Path, pair: dict[str, Any]) -> None:
    """Though an export looks at less of a record than a verification does."""
    damaged = PAIRS[0].model_copy(update=pair)
    folder, _ = handmade(tmp_path / "set", pairs=[damaged, *PAIRS[1:]])
    for name in ("swift", "llava", "parquet"):
        if name == "parquet":
            pytest.importorskip("pyarrow")
        with pytest.raises(CotgenError, match="run `cotgen verify"):
            export(folder, tmp_path / name, wanted(name))
        assert not (tmp_path / name / RECEIPT).exists()


def test_texts_are_unicode(one: tuple[Path, str], tmp_path: Path) -> None:
    export(one[0], tmp_path / "out", wanted("llava"))
    assert "Näher: what is in view – “all”?".encode() in (tmp_path / "out" / "train.json").read_bytes()


def test_an_index_of_other_shards_is_noticed(made: Made, folder: Path, tmp_path: Path) -> None:
    fewer = write_folder(Made(made.samples[:-1], made.pictures), tmp_path / "fewer")
    copy = Path(shutil.copytree(folder, tmp_path / "set"))
    shutil.copy(fewer / "index.parquet", copy / "index.parquet")
    with pytest.raises(CotgenError, match="run `cotgen verify`"):
        export(copy, tmp_path / "out", wanted(view="vqa"))


@pytest.mark.parametrize("name", ["trl", "parquet"])
@pytest.mark.parametrize("view", ["cot", "prompt"])
def test_datasets_loads_the_folder_with_its_pictures(
    made: Made, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: FormatName, view: Any
) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    export(folder, tmp_path / "out", wanted(name, view=view, asserted=True))
    for streaming in (False, True):
        loaded = datasets.load_dataset(str(tmp_path / "out"), streaming=streaming, cache_dir=str(tmp_path / "cache"))
        for split, rows in loaded.items():
            samples = {sample.key: sample for sample in made.samples if sample.split == split}
            seen = 0
            for row in rows:
                key, _, id = row["id"].partition("#")
                (picture,) = row["images"]
                assert picture.size == (48, 36)
                _holds(row, samples[key], id, view)
                seen += 1
            assert seen == sum(len(sample.pairs) for sample in samples.values())


def _holds(row: dict[str, Any], sample: Sample, id: str, view: str) -> None:
    (pair,) = (pair for pair in sample.pairs if pair.id == id)
    ((role, question),) = ((turn["role"], turn["content"]) for turn in row["prompt"])
    assert role == "user" and question.startswith(pair.question)
    if view == "prompt":
        assert (row["solution"], row["task"], row["width"]) == (pair.answer, pair.task, 48)
    else:
        assert row["completion"][0]["content"].endswith(f"<answer>{pair.answer}</answer>")


def test_parquet_loads_without_the_readme_and_holds_a_picture_once_in_a_group(
    made: Made, folder: Path, tmp_path: Path
) -> None:
    datasets, pq = pytest.importorskip("datasets"), pytest.importorskip("pyarrow.parquet")
    datasets.disable_progress_bars()
    export(folder, tmp_path / "out", wanted("parquet", view="vqa"))
    paths = sorted(map(str, (tmp_path / "out" / "data").glob("train-*.parquet")))
    loaded = datasets.load_dataset("parquet", data_files=paths, split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.features["images"] == datasets.List(datasets.Image())
    assert loaded[0]["images"][0].size == (48, 36)
    once = sum(len(made.pictures[sample.key]) for sample in made.samples if sample.split == "train")
    held = 0
    for path in paths:
        about = pq.ParquetFile(path).metadata
        columns = [about.row_group(g).column(c) for g in range(about.num_row_groups) for c in range(about.num_columns)]
        held += sum(c.total_uncompressed_size for c in columns if c.path_in_schema == "images.list.element.bytes")
    assert once < held < 1.5 * once


def test_parquet_holds_a_picture_that_two_samples_share_once_in_a_group(made: Made, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    noise = random.Random(0).randbytes(100_000)
    folder = write_folder(Made(made.samples, dict.fromkeys(made.pictures, noise)), tmp_path / "set", shards=1)
    done = export(folder, tmp_path / "out", wanted("parquet", view="vqa"))
    size = sum(path.stat().st_size for path in (tmp_path / "out" / "data").iterdir())
    groups = -(-sum(done.pairs.values()) // 100) + len(done.pairs)
    assert size < groups * 1.2 * len(noise)
