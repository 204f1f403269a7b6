"""A folder is made, damaged in one way, and looked at again."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import psutil
import pytest

from cotgen.errors import CotgenError
from cotgen.records import Sample
from cotgen.shards.files import sha256_of
from cotgen.shards.index import INDEX
from cotgen.shards.manifest import MANIFEST, load, seal
from cotgen.shards.pack import Entry
from cotgen.shards.verify import LISTED, VerifyReport, verify
from cotgen.surgeries.priors import Priors
from tests.shards.samples import Made, make, write_folder

Change = Callable[[Sample], Sample]


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "set"))


def changed(made: Made, tmp_path: Path, change: Change, key: str = "") -> VerifyReport:
    """The report on a folder in which one sample was changed before it was packed, so that all sums are right."""
    key = key or made.samples[0].key
    samples = [change(sample) if sample.key == key else sample for sample in made.samples]
    return verify(write_folder(Made(samples, made.pictures), tmp_path / "changed"))


def kinds(report: VerifyReport) -> set[str]:
    return set(report.found)


def test_a_folder_as_built_has_no_problem(made: Made, folder: Path) -> None:
    report = verify(folder)
    assert report.problems == []
    assert report.ok
    pairs = [pair for sample in made.samples for pair in sample.pairs]
    assert report.counts["samples"] == report.counts["images"] == len(made.samples)
    assert report.counts["pairs"] == len(pairs)
    assert report.counts["references"] == sum(len(s.evidence) for pair in pairs for s in pair.statements)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four samples in two shards."""
    return write_folder(make(("cholec80/01",), seconds=4), tmp_path_factory.mktemp("small") / "set")


@pytest.mark.slow
def test_every_flipped_byte_is_reported(small: Path, tmp_path: Path) -> None:
    """One random bit in each file in turn, 120 times."""
    folder = small
    draws = random.Random(5)
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    missed = []
    for number in range(120):
        copy = Path(shutil.copytree(folder, tmp_path / str(number)))
        path = copy / files[number % len(files)]
        data = bytearray(path.read_bytes())
        position = draws.randrange(len(data))
        data[position] ^= 1 << draws.randrange(8)
        path.write_bytes(data)
        report = verify(copy)
        if not any(path.name in f"{problem.file} {problem.what}" for problem in report.problems):
            missed.append((path.name, position))
        shutil.rmtree(copy)
    assert missed == []


@pytest.mark.parametrize("damage", [b"", b"\0" * 3000, b"not what it was", b"{}", b"[" * 100_000])
def test_files_of_another_kind_are_problems_and_no_traceback(small: Path, tmp_path: Path, damage: bytes) -> None:
    for number, name in enumerate(path.relative_to(small) for path in sorted(small.rglob("*")) if path.is_file()):
        copy = Path(shutil.copytree(small, tmp_path / str(number)))
        (copy / name).write_bytes(damage)
        assert not verify(copy).ok, name


def test_missing_files_are_named(small: Path, tmp_path: Path) -> None:
    for number, name in enumerate(path.relative_to(small) for path in sorted(small.rglob("*")) if path.is_file()):
        copy = Path(shutil.copytree(small, tmp_path / str(number)))
        (copy / name).unlink()
        assert name.as_posix() in {problem.file for problem in verify(copy).problems}


def test_files_too_many_are_named(copy: Path) -> None:
    (copy / "data" / "notes.txt").write_text("hello")
    (copy / "data" / ".hidden").write_text("left alone")
    assert [(p.kind, p.file) for p in verify(copy).problems] == [("folder", "data/notes.txt")]


def test_no_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CotgenError, match="is not there"):
        verify(tmp_path / "nowhere")


def test_an_index_of_another_data_set_is_noticed_where_all_sums_are_right(made: Made, tmp_path: Path) -> None:
    """Rows swapped, an answer edited, a row too few: each under a manifest that was sealed over it."""
    edits: list[Callable[[pl.DataFrame], pl.DataFrame]] = [
        lambda index: index.reverse(),
        lambda index: index.with_columns(answer=pl.lit("Preparation")),
        lambda index: index.head(-1),
        lambda index: index.drop("writer"),
        lambda index: index.with_columns(pl.col("offset").cast(pl.Int32)),
        lambda index: index.with_columns(shard=pl.lit("data/other.tar")),
        lambda index: pl.concat([index, index.head(1)]),
    ]
    out = write_folder(made, tmp_path / "set")
    original = pl.read_parquet(out / INDEX)
    for edit in edits:
        edit(original).write_parquet(out / INDEX)
        seal(out, load(out).model_copy(update={"files": {}}))
        assert "index" in kinds(verify(out))


def test_counts_and_shards_of_the_manifest_are_counted_again(folder: Path, copy: Path) -> None:
    manifest = load(copy)
    shard = manifest.shards[0]
    edits = [
        ("counts", {"counts": {**manifest.counts, "pairs": 1}}),
        ("counts", {"counts": {}}),
        ("shard", {"shards": [shard.model_copy(update={"pairs": 1}), *manifest.shards[1:]]}),
        ("shard", {"shards": [shard.model_copy(update={"bytes": 1}), *manifest.shards[1:]]}),
        ("index", {"shards": manifest.shards[1:]}),
        ("manifest", {"shards": [shard.model_copy(update={"file": "../x.tar"}), *manifest.shards[1:]]}),
        ("manifest", {"shards": manifest.shards[::-1]}),
        ("split", {"splits": {**manifest.splits, "test": manifest.splits["train"]}}),
        ("split", {"splits": {"train": ["cholec80/73"], "test": ["cholec80/01"]}}),
        ("split", {"split_table": "nonsense"}),
    ]
    for kind, update in edits:
        seal(copy, manifest.model_copy(update=update))
        assert kind in kinds(verify(copy)), update


def test_a_surgery_in_another_split_than_the_table_says_is_noticed(made: Made, tmp_path: Path) -> None:
    moved = [sample.model_copy(update={"split": "train"}) for sample in made.samples if sample.split == "test"]
    report = verify(write_folder(Made(moved, made.pictures), tmp_path / "set"))
    assert report.found["split"] == len(moved) + 1
    assert any("cholec80/73 is in train, but test by clean/1" in problem.what for problem in report.problems)


def test_the_split_of_ones_own_surgery_is_what_its_folder_says(tmp_path: Path) -> None:
    """By its name alone `table/ward1` would be in train."""
    made = make(("cholec80/1", "table/ward1"), seconds=3)
    named = [sample.model_copy(update={"split": "test"} if "table" in sample.key else {}) for sample in made.samples]
    assert {sample.split for sample in made.samples} == {"train"}
    assert verify(write_folder(Made(named, made.pictures), tmp_path / "set")).ok
    both = [sample.model_copy(update={"split": "test"}) if n else sample for n, sample in enumerate(made.samples[-3:])]
    report = verify(write_folder(Made([*made.samples[:-3], *both], made.pictures), tmp_path / "both"))
    assert any("table/ward1 is listed more than once: test, train" in problem.what for problem in report.problems)


def test_statistics_of_test_surgeries_are_noticed(copy: Path) -> None:
    priors = Priors(source="cholec80", split_table="clean/1", surgeries=["cholec80/01", "cholec80/73"], tables={})
    seal(copy, load(copy), priors)
    assert [(p.kind, p.what) for p in verify(copy).problems] == [
        ("priors", "counts surgeries that are not in train: cholec80/73")
    ]


def edit_pair(**update: object) -> Change:
    return lambda sample: sample.model_copy(
        update={"pairs": [sample.pairs[0].model_copy(update=update), *sample.pairs[1:]]}
    )


def edit_statement(**update: object) -> Change:
    def change(sample: Sample) -> Sample:
        pair = sample.pairs[0]
        statements = [pair.statements[0].model_copy(update=update), *pair.statements[1:]]
        return edit_pair(statements=statements)(sample)

    return change


def edit_frame(**update: object) -> Change:
    return lambda sample: sample.model_copy(update={"frame": sample.frame.model_copy(update=update)})


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("record", lambda s: s.model_copy(update={"facts": [s.facts[0], *s.facts]})),
        ("record", lambda s: s.model_copy(update={"labelled": ["cholec80.instrument"]})),
        ("record", lambda s: s.model_copy(update={"sources": ["cholect50"]})),
        ("record", lambda s: s.model_copy(update={"sources": ["cholec80", "my_hospital"]})),
        ("record", edit_frame(source="my_hospital")),
        ("record", lambda s: s.model_copy(update={"pairs": [*s.pairs, s.pairs[0]]})),
        ("record", edit_pair(boxes=[[0, 0, 400, 400]])),
        ("record", edit_pair(question="What is at <bbox:0>?")),
        ("record", edit_frame(time_s=1.23)),
        ("record", edit_frame(index=26)),
        ("image", edit_frame(sha256="0" * 64)),
        ("image", edit_frame(width=49)),
        ("schema", edit_pair(support="certain")),
        ("schema", edit_pair(statements=[])),
        ("schema", lambda s: s.model_copy(update={"surgery": "73"})),
        ("evidence", edit_statement(evidence=["fact:cholec80.instrument.9"])),
        ("evidence", edit_statement(evidence=["knowledge:function.nonsense"])),
        ("check", edit_pair(answer="Gallbladder retraction")),
        ("check", edit_statement(text="An irrigator is in view.")),
        ("check", edit_pair(task="nonsense")),
        ("check", lambda s: s.model_copy(update={"facts": []})),
    ],
)
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_a_sample_that_is_wrong_in_itself_is_named(made: Made, tmp_path: Path, kind: str, change: Change) -> None:
    report = changed(made, tmp_path, change)
    assert {problem.key for problem in report.problems if problem.kind == kind} == {made.samples[0].key}


def test_a_picture_that_is_none_is_named(made: Made, tmp_path: Path) -> None:
    key = made.samples[3].key
    report = verify(write_folder(Made(made.samples, {**made.pictures, key: b"\xff\xd8no"}), tmp_path / "set"))
    assert [(p.kind, p.key) for p in report.problems] == [("image", key)] * 2
    assert "cannot be decoded" in report.problems[1].what


def test_a_key_in_two_shards_is_named(made: Made, tmp_path: Path) -> None:
    """Each half is sound; the key that both hold is not."""
    out = write_folder(Made(made.samples[:8], made.pictures), tmp_path / "a", shards=1)
    other = write_folder(Made(made.samples[7:8], made.pictures), tmp_path / "b", shards=1)
    for number, source in enumerate((out, other)):
        shutil.copy(source / "data/train-00000-of-00001.tar", out / f"data/train-{number:05d}-of-00002.tar")
    (out / "data/train-00000-of-00001.tar").unlink()
    manifest = load(out)
    shards = [
        load(source).shards[0].model_copy(update={"file": f"data/train-{number:05d}-of-00002.tar"})
        for number, source in enumerate((out, other))
    ]
    seal(out, manifest.model_copy(update={"shards": shards}))
    assert [(p.key, p.file) for p in verify(out).problems if p.kind == "key"] == [
        (made.samples[7].key, "data/train-00001-of-00002.tar")
    ]


def test_problems_of_one_kind_are_listed_up_to_a_limit_and_counted(tmp_path: Path) -> None:
    made = make(("cholec80/01",), seconds=30)
    wrong = [edit_frame(sha256="0" * 64)(sample) for sample in made.samples]
    report = verify(write_folder(Made(wrong, made.pictures), tmp_path / "set"))
    assert report.found == {"image": len(made.samples)}
    assert len(report.problems) == LISTED < len(made.samples)


def test_two_workers_give_the_same_report(copy: Path) -> None:
    shards = sorted((copy / "data").iterdir())
    shards[0].write_bytes(shards[0].read_bytes()[:5000])
    shards[3].unlink()
    one, two = verify(copy), verify(copy, workers=2)
    assert (one.problems, one.counts, one.found) == (two.problems, two.counts, two.found)
    assert {"shard", "checksum"} <= kinds(one)


@pytest.mark.slow
def test_no_worker_outlives_a_killed_verify(tmp_path: Path) -> None:
    made = make(("cholec80/01", "cholec80/02"), seconds=400)
    out = write_folder(made, tmp_path / "set", shards=16)
    code = "import pathlib, sys; from cotgen.shards.verify import *; verify(pathlib.Path(sys.argv[1]), workers=2)"
    parent = subprocess.Popen([sys.executable, "-c", code, str(out)])
    deadline = time.monotonic() + 30
    children: list[psutil.Process] = []
    while len(children) < 2 and time.monotonic() < deadline:
        children = [c for c in psutil.Process(parent.pid).children() if "spawn_main" in " ".join(c.cmdline())]
        time.sleep(0.05)
    assert len(children) == 2
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    # A worker may still be importing, on a machine that has much else to do.
    deadline = time.monotonic() + 60
    while any(is_at_work(child) for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(is_at_work(child) for child in children)


def is_at_work(process: psutil.Process) -> bool:
    """Ended processes may stay listed until someone asks for their exit code."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_reading_leaves_the_folder_as_it_was(folder: Path) -> None:
    before = {path: sha256_of(path) for path in folder.rglob("*") if path.is_file()}
    verify(folder)
    assert {path: sha256_of(path) for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("value", [b"1" + b"0" * 30, b'"\\ud800"'])
def test_a_manifest_with_values_that_nobody_writes_is_a_problem_and_a_sentence(copy: Path, value: bytes) -> None:
    raw = (copy / MANIFEST).read_bytes()
    (copy / MANIFEST).write_bytes(raw.replace(b'"counts":{', b'"counts":{"a":%s,' % value))
    assert kinds(verify(copy)) == {"manifest"}
    with pytest.raises(CotgenError, match="cannot be read"):
        load(copy)


def test_a_manifest_of_another_schema_says_so(copy: Path) -> None:
    raw = (copy / MANIFEST).read_bytes()
    (copy / MANIFEST).write_bytes(raw.replace(b"cotgen/manifest/1", b"cotgen/manifest/2"))
    with pytest.raises(CotgenError, match="is of schema 'cotgen/manifest/2', and this cotgen reads"):
        load(copy)


class Numbered(Made):
    """A frame number that no integer of 64 bits holds, in the first record."""

    def read(self, entry: Entry) -> tuple[bytes, bytes]:
        json, jpg = super().read(entry)
        return (json.replace(b'"native_index":', b'"native_index":1' + b"0" * 30) if not entry.where[1] else json), jpg


def test_a_number_that_nobody_writes_is_named(made: Made, tmp_path: Path) -> None:
    report = verify(write_folder(Numbered(made.samples, made.pictures), tmp_path / "set"))
    (problem,) = report.problems
    assert (problem.kind, problem.key) == ("schema", made.samples[0].key)
