"""The types that TRL takes: `datasets` splits and types them as the trainers do. The trainers themselves: test_trainers."""

import math
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cotgen.errors import CotgenError
from cotgen.training.adapters import (
    checkpoint_callback,
    grpo_rows,
    refuse_settings,
    set_length,
    sft_features,
    sft_stream,
    trainer_settings,
)
from cotgen.training.loader import Loader
from cotgen.training.selection import Selection
from tests.shards.samples import SIZE, make, write_folder
from tests.training.test_loader import VQA, boxed, names

datasets = pytest.importorskip("datasets")
PROMPT = Selection(view="prompt")


def shown(stream: Any, rows: int = 10_000) -> list[str]:
    return [row["name"] for row in stream.take(rows)]


def test_a_stream_has_typed_rows_with_decoded_pictures(folder: Path) -> None:
    loader = Loader([folder], VQA, epochs=1)
    stream = sft_stream(loader)
    assert stream.features == sft_features()
    assert stream.column_names == ["images", "prompt", "completion", "name"]
    for row, plain in zip(stream, Loader([folder], VQA, epochs=1), strict=True):
        assert {name: row[name] for name in ("name", "prompt", "completion")} == {
            name: plain[name] for name in ("name", "prompt", "completion")
        }
        assert [(image.size, image.mode) for image in row["images"]] == [(SIZE, "RGB")]
        assert row["images"][0].tobytes() == plain["images"][0].tobytes()
        stored = stream.features.encode_example(row)
        assert {name: stored[name] for name in ("prompt", "completion")} == {
            name: row[name] for name in ("prompt", "completion")
        }


def test_a_stream_split_by_the_trainer_gives_each_rank_its_rows(folder: Path) -> None:
    """accelerate calls `shard` on every rank; the first row is looked at before that."""
    unsplit = shown(sft_stream(Loader([folder], VQA, batch_size=2, rank=1, world_size=3, epochs=1)))
    ranks = []
    for rank in range(3):
        loader = Loader([folder], VQA, batch_size=2, rank=rank, world_size=3, epochs=1)
        stream = sft_stream(loader)
        assert shown(stream, 1) == unsplit[:1]
        assert stream.num_shards >= 3
        ranks.append(shown(stream.shard(num_shards=3, index=rank)))
        assert ranks[-1] == names(loader)
    interleaved = [rows[2 * batch : 2 * batch + 2] for batch in range(len(ranks[0]) // 2 + 1) for rows in ranks]
    assert [name for rows in interleaved for name in rows] == unsplit


def test_a_stream_that_is_split_twice_or_for_others_is_refused(folder: Path) -> None:
    from datasets.distributed import split_dataset_by_node

    for rank in range(2):
        stream = sft_stream(Loader([folder], VQA, rank=rank, world_size=2))
        split = stream.shard(num_shards=2, index=rank)
        with pytest.raises(CotgenError, match="split twice, which would lose rows"):
            split.shard(num_shards=2, index=rank)
        presplit = split_dataset_by_node(stream, rank=rank, world_size=2)
        assert shown(presplit, 3) == shown(split, 3), "one split, by whichever way, is right"
        with pytest.raises(CotgenError, match="split twice, which would lose rows"):
            shown(presplit.shard(num_shards=2, index=rank), 1)
        with pytest.raises(CotgenError, match=f"was made for rank {rank} of 2; make the loader where RANK"):
            stream.shard(num_shards=2, index=1 - rank)
        with pytest.raises(CotgenError, match="was made for rank"):
            stream.shard(num_shards=4, index=rank)
    alone = sft_stream(Loader([folder], VQA))
    with pytest.raises(CotgenError, match="was made for rank 0 of 1"):
        alone.shard(num_shards=2, index=0)


def test_a_stream_goes_to_spawned_workers(folder: Path) -> None:
    stream = sft_stream(Loader([folder], VQA, rank=1, world_size=2, epochs=1)).shard(num_shards=2, index=1)
    there = pickle.loads(pickle.dumps(stream))
    assert shown(there) == shown(stream)
    with pytest.raises(CotgenError, match="split twice"):
        there.shard(num_shards=2, index=1)


def test_later_epochs_of_a_trainer_do_not_disturb_the_order(folder: Path) -> None:
    stream = sft_stream(Loader([folder], VQA, epochs=2))
    wanted = shown(stream)
    stream.set_epoch(3)
    assert shown(stream) == wanted


def test_a_resumed_stream_is_the_rest(folder: Path) -> None:
    whole = shown(sft_stream(Loader([folder], VQA, batch_size=4, epochs=1)))
    loader = Loader([folder], VQA, batch_size=4, epochs=1)
    loader.resume(loader.state(9))
    assert shown(sft_stream(loader)) == whole[36:]


def test_rows_for_grpo_are_numbers_until_they_are_asked_for(folder: Path) -> None:
    loader = Loader([folder], PROMPT, epochs=2)
    reads = []
    once = loader.pool.read
    loader.pool.read = lambda number: (reads.append(number), once(number))[1]  # type: ignore[method-assign]
    rows = grpo_rows(loader)
    assert len(rows) == loader.rows
    assert not reads
    table = rows.with_format(None)
    assert table.column_names == ["pair"]
    assert [loader.pool.name(row["pair"]) for row in table] == names(loader)
    batch = rows[[5, 5, 5, 0, 0, 0]]
    assert batch["name"] == [names(loader)[n] for n in (5, 5, 5, 0, 0, 0)]
    assert len(reads) == 2, "a repeated prompt is read once"
    assert {*batch} >= {"images", "prompt", "answer", "options", "boxes", "facts", "labelled", "size", "task", "id"}


def test_ragged_facts_arrive_as_they_are(tmp_path: Path) -> None:
    """Empty lists first, then boxes and terms: what inferred types drop or crash on."""
    made = boxed(make(["cholec80/01"], 12))
    rows = grpo_rows(Loader([write_folder(made, tmp_path / "set")], PROMPT, epochs=1))
    facts = {sample.key: [fact.model_dump() for fact in sample.facts] for sample in made.samples}
    lengths = {len(fact["box"]) for found in facts.values() for fact in found}
    assert lengths == {0, 4}
    assert any(not found for found in facts.values())
    for row in rows:
        assert row["facts"] == facts[row["name"].partition("#")[0]]
        assert row["boxes"] == [[4, 3, 40, 30]]
    for row in sft_stream(Loader([tmp_path / "set"], VQA, boxes="index", epochs=1)):
        assert row["completion"] == [{"role": "assistant", "content": "<bbox:0>"}]


def test_views_and_trainers_that_do_not_go_together_are_refused(folder: Path) -> None:
    with pytest.raises(CotgenError, match="TRL mixes the prompts of a group; use grpo_rows"):
        sft_stream(Loader([folder], PROMPT))
    with pytest.raises(CotgenError, match="use sft_stream"):
        grpo_rows(Loader([folder], VQA, epochs=1))
    with pytest.raises(CotgenError, match="give the loader a number of epochs"):
        grpo_rows(Loader([folder], PROMPT))


@dataclass
class Sft:
    """The fields of SFTConfig that decide, right for a loader of batches of 2."""

    world_size: int = 1
    per_device_train_batch_size: int = 2
    gradient_accumulation_steps: int = 4
    max_length: int | None = None
    ignore_data_skip: bool = True
    completion_only_loss: bool | None = None
    num_train_epochs: float = 1
    max_steps: int = -1


@dataclass
class Grpo:
    """Those of GRPOConfig."""

    world_size: int = 1
    per_device_train_batch_size: int = 2
    gradient_accumulation_steps: int = 4
    num_generations: int = 8
    num_iterations: int = 2
    steps_per_generation: int = 4
    shuffle_dataset: bool = False
    remove_unused_columns: bool = False
    num_train_epochs: float = 1
    max_steps: int = -1
    save_strategy: str = "steps"
    save_steps: int = 10
    reward_weights: list[float] = field(default_factory=list)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"max_length": 1024}, "max_length must be None: it cuts answers off"),
        ({"ignore_data_skip": False}, "ignore_data_skip must be True"),
        ({"completion_only_loss": False}, "completion_only_loss must not be False"),
        ({"per_device_train_batch_size": 8}, "per_device_train_batch_size is 8 and the loader's batch 2"),
        ({"world_size": 4}, "the trainer has 4 ranks and the loader 1"),
    ],
)
def test_settings_under_which_sft_rows_are_lost_or_cut_are_refused(
    folder: Path, change: dict[str, Any], words: str
) -> None:
    loader = Loader([folder], VQA, batch_size=2)
    refuse_settings(loader, Sft(), resumed=True)
    with pytest.raises(CotgenError, match=words):
        refuse_settings(loader, Sft(**change), resumed=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shuffle_dataset": True}, "shuffle_dataset must be False"),
        ({"remove_unused_columns": True}, "remove_unused_columns must be False"),
        ({"num_train_epochs": 3}, "num_train_epochs must be 1"),
        ({"save_steps": 5}, "must be a multiple of 8: a checkpoint between two generations"),
    ],
)
def test_settings_under_which_grpo_rows_are_lost_or_mixed_are_refused(
    folder: Path, change: dict[str, Any], words: str
) -> None:
    loader = Loader([folder], PROMPT, batch_size=2, epochs=1)
    refuse_settings(loader, Grpo(), resumed=False)
    with pytest.raises(CotgenError, match=words):
        refuse_settings(loader, Grpo(**change), resumed=False)


@pytest.mark.parametrize("epochs", [0.1, 0.5, 1, 1.5, 2])
def test_a_run_on_a_stream_has_the_steps_of_its_epochs_and_of_parts_of_them(folder: Path, epochs: float) -> None:
    loader, args = Loader([folder], VQA, batch_size=2), Sft(num_train_epochs=epochs)
    steps = set_length(loader, args)
    assert args.max_steps == steps
    assert 0 <= 8 * steps - epochs * len(loader.pool) < 8 + 1
    assert set_length(loader, Sft(num_train_epochs=epochs, max_steps=7)) == 7


def test_a_run_on_prompts_goes_into_the_next_epoch_and_shows_none_again_before(folder: Path) -> None:
    loader = Loader([folder], PROMPT, batch_size=2)
    pairs = len(loader.pool)
    assert set_length(loader, Grpo()) == 2 * pairs
    assert loader.rows == pairs
    args = Grpo(max_steps=2 * pairs + 2)
    assert set_length(loader, args) == args.max_steps
    assert (loader.rows, args.num_train_epochs) == (2 * pairs, 1)
    args = Grpo(num_train_epochs=1.5)
    assert set_length(loader, args) == args.max_steps == 2 * math.ceil(1.5 * pairs)
    with pytest.raises(CotgenError, match="a run without steps learns nothing"):
        set_length(loader, Grpo(num_train_epochs=0))
    with pytest.raises(CotgenError, match=f"the run has {pairs} prompts and one generation takes {pairs + 1}"):
        set_length(loader, Grpo(steps_per_generation=4 * (pairs + 1)))


def test_a_checkpoint_between_two_generations_is_not_gone_on_from(folder: Path) -> None:
    pytest.importorskip("transformers")
    loader = Loader([folder], PROMPT, batch_size=2, epochs=1)
    loader.batches_done = 4
    with pytest.raises(CotgenError, match="checkpoint-1 lies between two generations"):
        checkpoint_callback(loader).on_train_begin(Grpo(), SimpleNamespace(global_step=1), None)


def test_what_decides_the_steps_is_kept_with_the_state() -> None:
    assert trainer_settings(Sft()) == {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}
    assert trainer_settings(Grpo())["num_generations"] == 8
