import builtins
import shutil
import sys
from pathlib import Path

import polars as pl
import pytest

import cotgen
from cotgen.dataset import Dataset
from cotgen.errors import CotgenError
from cotgen.shards.index import INDEX
from cotgen.training.prompts import COLUMNS
from cotgen.training.rewards import RANGES, RewardConfig, reward_funcs
from tests.shards.samples import SIZE, Made, make, write_folder


@pytest.fixture(scope="module")
def made() -> Made:
    return make(seconds=6)


@pytest.fixture(scope="module")
def folder(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(made, tmp_path_factory.mktemp("data") / "set")


@pytest.fixture
def ds(folder: Path) -> Dataset:
    return cotgen.open(folder)


def test_samples_by_key_and_by_position(made: Made, ds: Dataset) -> None:
    assert len(ds) == len(made.samples)
    assert ds.pairs == sum(len(sample.pairs) for sample in made.samples)
    assert sorted(ds.keys()) == sorted(sample.key for sample in made.samples)
    for sample in made.samples:
        assert ds[sample.key].record == sample
    assert [sample.key for sample in ds] == ds.keys()
    assert ds[0].key == ds.keys()[0]
    assert ds[-1].key == ds.keys()[-1]
    assert made.samples[0].key in ds
    assert "nothing" not in ds


def test_unknown_samples_are_errors_in_words(ds: Dataset) -> None:
    with pytest.raises(KeyError, match="has no sample 'nothing'"):
        ds["nothing"]
    with pytest.raises(CotgenError):
        ds["nothing"]
    with pytest.raises(IndexError):
        ds[len(ds)]


def test_filters_go_by_the_index(made: Made, ds: Dataset) -> None:
    train = ds.filter(split="train")
    assert sorted(train.keys()) == sorted(sample.key for sample in made.samples if sample.split == "train")
    counted = train.filter(task="tool_count")
    wanted = [
        f"{sample.key}#{pair.id}"
        for sample in made.samples
        for pair in sample.pairs
        if sample.split == "train" and pair.task == "tool_count"
    ]
    assert counted.pairs == len(wanted)
    assert sorted(pair.name for sample in counted for pair in sample.pairs) == sorted(wanted)
    assert len(ds.filter(surgery="cholec80/73")) == sum(s.surgery == "cholec80/73" for s in made.samples)
    assert len(ds.filter(source="cholec80")) == len(ds)
    assert len(ds.filter(source="cholect50")) == 0


def test_no_shard_is_opened_before_a_sample_is_read(made: Made, folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "set"))
    shutil.rmtree(copy / "data")
    ds = cotgen.open(copy)
    assert len(ds.filter(split="test", task="phase")) > 0
    assert made.samples[0].key in ds
    with pytest.raises(CotgenError, match="copy or build the data set again"):
        ds[0]


def test_the_picture_and_a_drawing_of_its_facts(made: Made, ds: Dataset) -> None:
    sample = ds[made.samples[0].key]
    assert sample.jpeg == made.pictures[sample.key]
    assert (sample.image().size, sample.image().mode) == (SIZE, "RGB")
    drawn = sample.draw()
    assert drawn.width == SIZE[0]
    assert drawn.height > SIZE[1]
    assert drawn.crop((0, SIZE[1], *drawn.size)).getextrema() != ((0, 0),) * 3


def test_boxes_are_drawn_where_they_are(made: Made, tmp_path: Path) -> None:
    first = made.samples[0]
    boxed = first.model_copy(
        update={"facts": [fact.model_copy(update={"box": [10, 8, 40, 30]}) for fact in first.facts[:1]]}
    )
    sample = cotgen.open(write_folder(Made([boxed], made.pictures), tmp_path / "set"))[0]
    before, after = sample.image(), sample.draw()
    assert all(after.getpixel(place) == (255, 212, 0) for place in ((10, 28), (39, 28), (30, 8), (30, 29)))
    assert all(after.getpixel(place) == before.getpixel(place) for place in ((9, 28), (40, 28), (30, 30), (4, 4)))


def test_pairs_render_as_the_task_needs_it(ds: Dataset) -> None:
    pair = ds.filter(task="phase")[0].pairs[0]
    cot, vqa = pair.render("cot"), pair.render("vqa")
    assert cot["prompt"].startswith(pair.question)
    assert cot["response"].startswith("<think>Level 1: ")
    assert cot["response"].endswith(f"<answer>{pair.answer}</answer>")
    assert vqa["response"] == pair.answer


def test_the_prompt_has_what_rewards_read_and_the_right_chain_earns_it(ds: Dataset) -> None:
    for sample in ds:
        for pair in sample.pairs:
            prompt = pair.render("prompt", boxes="per_mille")
            assert set(prompt) == {"prompt", *COLUMNS}
            assert prompt["answer"] == pair.answer
            assert prompt["facts"] == [fact.model_dump() for fact in sample.facts]
            columns = {name: [value] for name, value in prompt.items() if name != "prompt"}
            answer = pair.render("cot")["response"]
            for reward in reward_funcs(RewardConfig()):
                [value] = reward(prompts=[prompt["prompt"]], completions=[answer], **columns)
                assert value in (None, RANGES[reward.__name__][1])


def test_without_stored_frames_the_error_says_what_to_do(made: Made, tmp_path: Path) -> None:
    bare = Made(made.samples, dict.fromkeys(made.pictures, b""))
    sample = cotgen.open(write_folder(bare, tmp_path / "set"))[0]
    for act in (sample.image, sample.draw):
        with pytest.raises(CotgenError, match="hydrate the data set from your own copy"):
            act()


def test_what_is_no_finished_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "set"))
    pl.DataFrame({"key": ["a"]}).write_parquet(copy / INDEX)
    with pytest.raises(CotgenError, match="other columns"):
        cotgen.open(copy)
    (copy / INDEX).write_text("no table")
    with pytest.raises(CotgenError, match="cannot be read"):
        cotgen.open(copy)
    (copy / INDEX).unlink()
    with pytest.raises(CotgenError, match="cannot be read"):
        cotgen.open(copy)
    with pytest.raises(CotgenError, match="is not there"):
        cotgen.open(tmp_path / "nowhere")


def test_an_index_that_points_elsewhere_is_noticed(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "set"))
    index = pl.read_parquet(copy / INDEX)
    for offset in (512, 1 << 40, 7):
        index.with_columns(offset=pl.lit(offset)).write_parquet(copy / INDEX)
        with pytest.raises(CotgenError):
            cotgen.open(copy)[0]
    index.with_columns(key=pl.col("key").reverse()).write_parquet(copy / INDEX)
    with pytest.raises(CotgenError, match=r"run `cotgen verify .*set`"):
        cotgen.open(copy)[0]


def test_features_need_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: object) -> object:
        if name == "datasets":
            raise ImportError(name)
        return real(name, *arguments)  # type: ignore[arg-type]

    monkeypatch.delitem(sys.modules, "datasets", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(CotgenError, match=r"pip install 'cotgen\[hub\]'"):
        _ = cotgen.FEATURES
    with pytest.raises(AttributeError):
        _ = cotgen.NOTHING
