"""The rows of all ranks are one sequence: what it holds, what it depends on, how it goes on, and what is refused."""

import os
import pickle
import shutil
from collections import Counter
from itertools import islice, pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cotgen.chains.render import render
from cotgen.errors import CotgenError
from cotgen.records import Sample
from cotgen.shards.index import INDEX
from cotgen.training.loader import Loader
from cotgen.training.prompts import COLUMNS, reward_columns
from cotgen.training.selection import Selection
from cotgen.training.state import STATE, LoaderState
from tests.shards.samples import SIZE, Made, make, write_folder
from tests.training.conftest import names_of

VQA = Selection(view="vqa")


def names(loader: Loader) -> list[str]:
    """The names of the rows that are left, without reading them."""
    batches = range(loader.batches_done, loader.batches())
    return [loader.pool.name(pair) for batch in batches for pair in loader.pairs_of(batch, loader.rank)]


def read(loader: Loader) -> list[str]:
    """The names of the rows that are left, each read."""
    return [row["name"] for row in loader]


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
def test_each_pair_once_an_epoch_over_all_ranks(made: Made, folder: Path, ranks: int, batch: int) -> None:
    """Ranks have equal numbers of rows; where those do not divide, the last rows are the first of the next epoch."""
    wanted = names_of(made)
    shown = [
        names(Loader([folder], VQA, rank=rank, world_size=ranks, batch_size=batch, epochs=1)) for rank in range(ranks)
    ]
    assert {len(rows) for rows in shown} == {-(-len(wanted) // ranks)}
    counted = Counter(name for rows in shown for name in rows)
    assert sorted(counted) == wanted
    assert counted.total() - len(wanted) == -len(wanted) % ranks
    following = names(Loader([folder], VQA, epochs=2))[len(wanted) :]
    assert sorted(counted - Counter(wanted)) == sorted(following[: -len(wanted) % ranks])


def test_an_epoch_that_ends_within_a_batch_is_followed_by_the_next_one(made: Made, folder: Path) -> None:
    wanted = names_of(made)
    shown = names(Loader([folder], VQA, batch_size=7, epochs=3))
    assert len(wanted) % 7
    for epoch in range(3):
        assert sorted(shown[epoch * len(wanted) : (epoch + 1) * len(wanted)]) == wanted


@given(ranks=st.integers(1, 9), batch=st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_a_global_batch_is_the_same_rows_for_any_number_of_ranks(folder: Path, ranks: int, batch: int) -> None:
    alone = Loader([folder], VQA, batch_size=ranks * batch)
    together = Loader([folder], VQA, batch_size=batch, world_size=ranks, rank=0)
    for number in range(4):
        rows = [pair for rank in range(ranks) for pair in together.pairs_of(number, rank)]
        assert rows == alone.pairs_of(number, 0)


def test_neighbours_are_different_pictures_and_pairs_of_one_are_spread_evenly(made: Made, folder: Path) -> None:
    for seed in range(5):
        keys = [name.partition("#")[0] for name in names(Loader([folder], VQA, seed=seed, epochs=1))]
        assert all(a != b for a, b in pairwise(keys))
        for key, pairs in Counter(keys).items():
            places = [place for place, shown in enumerate(keys) if shown == key]
            gaps = [b - a for a, b in pairwise([*places, places[0] + len(keys)])]
            assert all(abs(gap - len(keys) / pairs) <= len(keys) / 6 for gap in gaps)


def test_every_stretch_is_a_fair_draw_of_the_tasks(made: Made, folder: Path) -> None:
    shown = [name.partition("#")[2].partition(".")[0] for name in names(Loader([folder], VQA, epochs=20))]
    whole = Counter(shown)
    for start in range(0, len(shown) - 200, 200):
        part = Counter(shown[start : start + 200])
        assert all(abs(part[task] / 200 - count / len(shown)) < 0.15 for task, count in whole.items())


def test_the_order_depends_on_seed_and_epoch_and_on_nothing_else(made: Made, folder: Path, tmp_path: Path) -> None:
    wanted = len(names_of(made))
    shown = names(Loader([folder], VQA, seed=1, epochs=2))
    assert shown == names(Loader([folder], VQA, seed=1, epochs=2))
    assert shown[:wanted] != shown[wanted:]
    assert names(Loader([folder], VQA, seed=2, epochs=1)) != shown[:wanted]
    elsewhere = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    assert names(Loader([elsewhere], VQA, seed=1, epochs=2)) == shown


def test_rows_are_those_that_a_pair_renders(made: Made, folder: Path) -> None:
    samples = {sample.key: sample for sample in made.samples}
    pairs = {f"{key}#{pair.id}": pair for key, sample in samples.items() for pair in sample.pairs}
    for view in ("vqa", "cot"):
        for row in Loader([folder], Selection(view=view), instruction="Look.", epochs=1):  # type: ignore[arg-type]
            rendered = render(pairs[row["name"]], view, "pixels", SIZE)  # type: ignore[arg-type]
            assert row["prompt"] == [
                {"role": "system", "content": "Look."},
                {"role": "user", "content": rendered["prompt"]},
            ]
            assert row["completion"] == [{"role": "assistant", "content": rendered["response"]}]
            assert [(image.size, image.mode) for image in row["images"]] == [(SIZE, "RGB")]
    for row in Loader([folder], Selection(view="prompt"), epochs=1):
        sample = samples[row["name"].partition("#")[0]]
        pair = pairs[row["name"]]
        assert row["prompt"][-1]["content"] == render(pair, "prompt", "pixels", SIZE)["prompt"]
        columns = reward_columns(sample, pair)
        assert {name: row[name] for name in columns} == columns
        assert set(row) == {"name", "prompt", "images", *COLUMNS}


def boxed(made: Made) -> Made:
    """The first samples with a box in question and answer, and facts that are empty in the first and ragged then."""
    samples: list[Sample] = []
    for number, sample in enumerate(made.samples):
        pair = sample.pairs[0].model_copy(
            update={"boxes": [[4, 3, 40, 30]], "question": "What is at <bbox:0>?", "answer": "<bbox:0>"}
        )
        facts = [fact.model_copy(update={"box": [1, 2, 30, 20][: 4 * (number % 2)]}) for fact in sample.facts]
        samples.append(sample.model_copy(update={"pairs": [pair], "facts": facts[: number % 3]}))
    return Made(samples, made.pictures)


def test_boxes_are_written_for_the_model_when_a_row_is_read(tmp_path: Path) -> None:
    folder = write_folder(boxed(make(["cholec80/01"], 6)), tmp_path / "set")
    for boxes, written in (("pixels", "[4, 3, 40, 30]"), ("per_mille", "[83, 83, 833, 833]"), ("index", "<bbox:0>")):
        row = next(iter(Loader([folder], VQA, boxes=boxes, instruction="")))  # type: ignore[arg-type]
        assert row["prompt"][0]["content"] == f"What is at {written}?"
        assert row["completion"][0]["content"] == written


@pytest.mark.parametrize("done", [0, 1, 5, 23, 41])
def test_going_on_at_any_batch_gives_the_rest_of_an_undisturbed_run(folder: Path, done: int) -> None:
    whole = names(Loader([folder], VQA, batch_size=3, world_size=2, rank=1, epochs=2))
    first = Loader([folder], VQA, batch_size=3, world_size=2, rank=1, epochs=2)
    for _ in islice(first, 3 * done):
        pass
    second = Loader([folder], VQA, batch_size=3, world_size=2, rank=1, epochs=2)
    second.load_state_dict(first.state_dict())
    assert second.batches_done == done
    assert read(second) == whole[3 * done :]


def test_nothing_of_what_was_done_is_read_again(folder: Path, tmp_path: Path) -> None:
    first = Loader([folder], VQA, batch_size=4, epochs=1)
    rest = names(Loader([folder], VQA, batch_size=4, epochs=1))[4 * 20 :]
    for _ in islice(first, 4 * 20):
        pass
    first.state().write(tmp_path)
    second = Loader([folder], VQA, batch_size=4, epochs=1)
    second.resume(LoaderState.read(tmp_path))
    reads = []
    once = second.pool.read
    second.pool.read = lambda number: (reads.append(number), once(number))[1]  # type: ignore[method-assign]
    assert read(second) == rest
    assert len(reads) == len(rest)


def test_a_row_of_an_unfinished_batch_is_seen_again_after_a_stop_and_not_within_a_run(folder: Path) -> None:
    loader = Loader([folder], VQA, batch_size=4, epochs=1)
    whole = names(Loader([folder], VQA, batch_size=4, epochs=1))
    taken = [row["name"] for row in islice(loader, 6)]
    assert (loader.state().batches, taken) == (1, whole[:6])
    assert [row["name"] for row in loader] == whole[6:]
    assert loader.state().epoch == 1


def test_other_ranks_data_or_configuration_are_refused_in_a_sentence(folder: Path, tmp_path: Path) -> None:
    kept = Loader([folder], VQA, batch_size=4, world_size=2, seed=1).state(10, trainer={"num_generations": 8})
    other = write_folder(make(seconds=9), tmp_path / "other", shards=3)

    def refused(data: list[object], selection: Selection = VQA, **changed: object) -> str:
        options = {"batch_size": 4, "world_size": 2, "seed": 1} | changed
        with pytest.raises(CotgenError, match=r"cannot go on with other rows: .*, or start anew$") as error:
            Loader(data, selection, **options).resume(kept)  # type: ignore[arg-type]
        return str(error.value)

    assert "the number of ranks was 2 and is 4" in refused([folder], world_size=4)
    assert "the batch of a rank was 4 and is 8" in refused([folder], batch_size=8)
    assert "the seed was 1 and is 2" in refused([folder], seed=2)
    assert "data set 1 has other shards (data/train-00000-of-00003.tar" in refused([other])
    assert "the number of data sets" in refused([folder, other])
    assert "view was 'vqa' and is 'cot'" in refused([folder], Selection())
    assert "caps was {} and is {'task': 3}" in refused([folder], Selection(view="vqa", caps={"task": 3}))
    assert "boxes was {'convention': 'pixels'" in refused([folder], boxes="per_mille")
    assert "instruction was" in refused([folder], instruction="Look.")
    same = Loader([folder], VQA, batch_size=4, world_size=2, seed=1, rank=1)
    with pytest.raises(CotgenError, match="the trainer's num_generations was 8 and is 4"):
        same.resume(kept, {"num_generations": 4})
    same.resume(kept, {"num_generations": 8})
    assert same.batches_done == 10


def test_the_state_lies_beside_the_checkpoint_without_paths(folder: Path, tmp_path: Path) -> None:
    state = Loader([folder], VQA, batch_size=2).state(7)
    state.write(tmp_path)
    assert LoaderState.read(tmp_path) == state
    assert str(folder.parent) not in (tmp_path / STATE).read_text()
    (tmp_path / STATE).write_text("{")
    with pytest.raises(CotgenError, match="cannot be read"):
        LoaderState.read(tmp_path)
    with pytest.raises(CotgenError, match="nobody knows which rows this checkpoint has seen"):
        LoaderState.read(tmp_path / "none")


def test_a_loader_reads_on_in_another_process(folder: Path) -> None:
    """Forked workers must not share the positions of open files, spawned ones get none."""
    loader = Loader([folder], VQA, epochs=1)
    wanted = names(loader)
    assert read(pickle.loads(pickle.dumps(loader))) == wanted
    loader.row(0)
    child = os.fork()
    if child == 0:
        os._exit(0 if read(loader) == wanted else 1)
    here = read(loader)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert here == wanted


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "set"))


def test_a_shard_that_is_cut_off_or_missing_is_refused_before_training(copy: Path) -> None:
    shard = copy / "data" / "train-00001-of-00003.tar"
    os.truncate(shard, shard.stat().st_size - 512)
    with pytest.raises(CotgenError, match=r"train-00001-of-00003.tar has .* bytes where manifest.json says"):
        Loader([copy])
    shard.unlink()
    with pytest.raises(CotgenError, match="copy the data set again"):
        Loader([copy])


def test_shards_of_other_splits_need_not_be_there(made: Made, copy: Path) -> None:
    for shard in (copy / "data").glob("test-*"):
        shard.unlink()
    assert len(names(Loader([copy], VQA, epochs=1))) == len(names_of(made))


@pytest.mark.parametrize("what", ["picture", "record", "header"])
def test_a_changed_shard_of_the_same_size_is_refused_where_it_is_read(copy: Path, what: str) -> None:
    for shard in (copy / "data").glob("train-*"):
        data = bytearray(shard.read_bytes())
        at = {"picture": 512 + 200, "record": data.index(b'"pairs"'), "header": 3}[what]
        data[at] ^= 1
        shard.write_bytes(data)
    with pytest.raises(CotgenError, match=r"verify|damaged|expected KEY"):
        read(Loader([copy], VQA, epochs=1))


def test_another_index_is_refused(copy: Path) -> None:
    table = pl.read_parquet(copy / INDEX)
    table.with_columns(offset=pl.col("offset").shift(1, fill_value=0)).write_parquet(copy / INDEX)
    with pytest.raises(CotgenError, match=r"is not the one of manifest.json; copy the data set again"):
        Loader([copy])


def test_folders_without_pictures_are_refused(made: Made, tmp_path: Path) -> None:
    bare = write_folder(Made(made.samples, dict.fromkeys(made.pictures, b"")), tmp_path / "set")
    with pytest.raises(CotgenError, match="hydrate it from your own copy"):
        Loader([bare])


def test_ranks_and_runs_that_cannot_be_are_refused(folder: Path) -> None:
    for options in ({"rank": 2, "world_size": 2}, {"batch_size": 0}, {"epochs": 0}, {"world_size": 0, "rank": 0}):
        with pytest.raises(CotgenError):
            Loader([folder], VQA, **options)  # type: ignore[arg-type]
    with pytest.raises(CotgenError, match="endless run"):
        Loader([folder], VQA).batches()
    with pytest.raises(CotgenError, match="no data set is given"):
        Loader([])


def test_rank_and_world_come_from_the_launcher(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "3")
    loader = Loader([folder], VQA)
    assert (loader.rank, loader.world_size) == (2, 3)
