import hashlib
import os
import resource
import subprocess
import sys
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.shards.index import INDEX, INDEX_SCHEMA
from cotgen.shards.manifest import is_sealed
from cotgen.shards.pack import Entry, PackResult, pack, plan_shards, shard_count
from cotgen.shards.tar import read_shard
from tests.shards.samples import Made, write_folder


def sums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def run(made: Made, out: Path, read: object = None, **options: object) -> PackResult:
    settings = {"fingerprint": "f", "seed": 0, "shards": 2, "receipts": out.parent / "receipts", **options}
    return pack(out, made.entries(), read or made.read, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("megabytes", "samples", "wanted", "count"),
    [
        (0, 1, None, 1),
        (700, 9000, None, 1),
        (800, 9000, None, 2),
        (1600, 9000, None, 4),
        (15_000, 9000, None, 32),
        (15_000, 20, None, 16),
        (10, 3, 8, 3),
        (10, 9000, 6, 6),
    ],
)
def test_shard_count_is_the_power_of_two_nearest_to_500_mb_and_never_leaves_one_empty(
    megabytes: int, samples: int, wanted: int | None, count: int
) -> None:
    assert shard_count(megabytes * 1_000_000, samples, wanted) == count


def test_shards_are_contiguous_ranges_of_the_drawn_order_with_equal_counts() -> None:
    entries = [Entry(f"cholec80-01-{i:06d}", "train", 1, 1, (0, i)) for i in range(1000)]
    planned = plan_shards(entries[::-1], seed=7, shards=16)
    assert [file for file, _, _ in planned] == [f"data/train-{n:05d}-of-00016.tar" for n in range(16)]
    assert {len(chosen) for _, _, chosen in planned} == {62, 63}
    order = [entry.key for _, _, chosen in planned for entry in chosen]
    assert order == sorted(order, key=lambda key: draw(7, key))
    assert len(set(order)) == 1000


def test_each_shard_is_a_fair_draw_of_its_split() -> None:
    """Chi-square of surgery by shard stays near its degrees of freedom, 15 * 9 = 135 (sd 16)."""
    entries = [Entry(f"cholec80-{i % 10:02d}-{i:06d}", "train", 1, 1, (0, i)) for i in range(8000)]
    planned = plan_shards(entries, seed=0, shards=16)
    chi = sum((n - 50) ** 2 / 50 for _, _, c in planned for n in Counter(e.key[:11] for e in c).values())
    assert 135 - 4 * 16 < chi < 135 + 4 * 16


def test_index_has_a_row_per_pair_that_leads_to_its_sample(made: Made, folder: Path) -> None:
    index = pl.read_parquet(folder / INDEX)
    assert dict(index.schema) == INDEX_SCHEMA
    stored = {(p.name, i.offset): i for p in (folder / "data").iterdir() for i in read_shard(p)}
    pairs = {(s.key, p.id): (s, p) for s in made.samples for p in s.pairs}
    assert index.height == len(pairs)
    for row in index.iter_rows(named=True):
        sample, pair = pairs[row["key"], row["id"]]
        assert stored[row["shard"].removeprefix("data/"), row["offset"]].json == sample.to_json()
        assert (row["surgery"], row["split"], row["sources"]) == (sample.surgery, sample.split, ["cholec80"])
        assert (row["task"], row["writer"], row["answer"]) == (pair.task, pair.writer, pair.answer)
        assert row["terms"] == sorted({term for fact in sample.facts for term in fact.terms})
    place = index.select("shard", "offset")
    assert place.equals(place.sort("shard", "offset", maintain_order=True))


def test_a_pack_that_was_interrupted_goes_on_and_gives_the_same_bytes(made: Made, tmp_path: Path) -> None:
    run(made, tmp_path / "whole", receipts=tmp_path / "other")
    calls: list[str] = []

    def failing(limit: int) -> object:
        def read(entry: Entry) -> tuple[bytes, bytes]:
            calls.append(entry.key)
            if len(calls) > limit:
                raise KeyboardInterrupt
            return made.read(entry)

        return read

    for limit in (5, 6, 20):
        calls.clear()
        with pytest.raises(KeyboardInterrupt):
            run(made, tmp_path / "out", failing(limit))
        assert not [path for path in (tmp_path / "out").rglob("*") if path.name.startswith(".")]
    finished = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out/data").iterdir()}
    assert finished
    result = run(made, tmp_path / "out")
    assert sums(tmp_path / "out") == sums(tmp_path / "whole")
    assert {name: (tmp_path / "out/data" / name).stat().st_mtime_ns for name in finished} == finished
    assert result.written == 6 - len(finished)
    assert run(made, tmp_path / "out").written == 0


def test_a_receipt_is_trusted_only_for_the_same_inputs_and_a_file_of_its_size(made: Made, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(made, out).written == 6
    assert run(made, out, fingerprint="other labels").written == 6
    with (out / "data/test-00000-of-00002.tar").open("ab") as file:
        file.write(b"x")
    assert run(made, out, fingerprint="other labels").written == 1
    (tmp_path / "receipts/test-00001-of-00002.json").write_text("{")
    assert run(made, out, fingerprint="other labels").written == 1


def test_leftovers_of_earlier_runs_go(made: Made, folder: Path, tmp_path: Path) -> None:
    out = write_folder(made, tmp_path / "set")
    (out / "data/.train-00000-of-00002.tar.1-aa.tmp").write_text("half")
    assert is_sealed(out)
    run(made, out, shards=1)
    assert not is_sealed(out)
    names = ["index.parquet", "README.md", *(f"data/{s}-00000-of-00001.tar" for s in ("train", "validation", "test"))]
    assert sorted(sums(out)) == sorted(names)


def test_without_pictures_there_is_no_jpg_member(made: Made, tmp_path: Path) -> None:
    bare = Made(made.samples, dict.fromkeys(made.pictures, b""))
    assert run(bare, tmp_path / "out").counts["images"] == 0
    assert all(not item.jpg for path in (tmp_path / "out/data").iterdir() for item in read_shard(path))


def test_records_that_are_not_those_of_their_entries_are_refused(made: Made, tmp_path: Path) -> None:
    other = made.samples[0].to_json()
    twice = Made([*made.samples, made.samples[0]], made.pictures)
    empty = made.samples[0].model_copy(update={"pairs": []}).to_json()
    for bad, read, sentence in (
        (made, lambda entry: (other, b""), "is the record of"),
        (made, lambda entry: (b"{", b""), "is no sample record"),
        (made, lambda entry: (b"[]", b""), "is no sample record"),
        (Made(made.samples[:1], made.pictures), lambda entry: (empty, b""), "has no question"),
        (twice, made.read, "1 keys come twice"),
    ):
        with pytest.raises(CotgenError, match=sentence):
            run(bad, tmp_path / "out", read)


def test_a_full_disk_gives_a_sentence_and_leaves_nothing_half_written(made: Made, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(CotgenError, match="ask for more shards"):
            run(made, tmp_path / "out", shards=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "out/data").iterdir()) == []


def test_same_bytes_under_other_hash_seeds_and_numbers_of_threads(tmp_path: Path) -> None:
    code = "import sys; from tests.shards.samples import *; write_folder(make(), Path(sys.argv[1]))"
    for name, hash_seed, threads in (("a", "0", "1"), ("b", "4242", "2")):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "POLARS_MAX_THREADS": threads}
        command = [sys.executable, "-c", code, str(tmp_path / name)]
        subprocess.run(command, check=True, env=environment, cwd=Path(__file__).parents[2])
    assert sums(tmp_path / "a") == sums(tmp_path / "b")
