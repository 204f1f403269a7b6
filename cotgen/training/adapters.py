"""Adapters: a Loader as the types that TRL's trainers take. `datasets` and `transformers` are imported when used.

`sft_stream` is a stream for SFTTrainer, `grpo_rows` an addressable table for GRPOTrainer (on a stream TRL 1.16 mixes the
prompts of a group where there are several ranks), `checkpoint_callback` writes `loader.json` beside each checkpoint and
refuses settings under which rows would be lost, cut or repeated unnoticed.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Iterator
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

from cotgen.errors import CotgenError
from cotgen.training.loader import Loader
from cotgen.training.views import Row

#: How many parts a stream says it has for each rank: no trainer has more workers.
_PARTS = 1024
#: What decides how batches become steps; a checkpoint goes on with the same.
_STEPS = (
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "num_generations",
    "num_iterations",
    "steps_per_generation",
)


def sft_features() -> Any:
    """The column types of `sft_stream`, as `datasets.Features`: told, never inferred from the first rows."""
    datasets = _datasets()
    text = datasets.Value("string")
    turns = datasets.List({"role": text, "content": text})
    return datasets.Features(
        {"images": datasets.List(datasets.Image()), "prompt": turns, "completion": turns, "name": text}
    )


def sft_stream(loader: Loader) -> Any:
    """A `datasets.IterableDataset` of rows for SFTTrainer, from where the loader is; JPEG until a row is used.

    Hand it to the trainer as it is: the trainer splits it between its ranks and their workers, and the rows of a rank
    are the same for any number of workers. A second split is refused. It goes on past the end of an epoch, so give the
    trainer `max_steps`, and `ignore_data_skip=True`: a resumed loader starts at its batch.

    Args:
        loader: of view `vqa` or `cot`.

    Raises:
        CotgenError: `datasets` is not installed, or the view is `prompt`. In iteration: the stream was split twice, or
            for other ranks than the loader's.
    """
    if loader.pool.selection.view == "prompt":
        raise CotgenError(
            "rows of view prompt are for GRPO, which needs an addressable data set: on a stream TRL mixes the prompts "
            "of a group; use grpo_rows"
        )
    return _datasets().IterableDataset(_stream(loader), info=_datasets().DatasetInfo(features=sft_features()))


@functools.cache
def _stream_class() -> Any:
    """The class of what a stream iterates over; made on use, since its base is of `datasets`."""
    from datasets.iterable_dataset import _BaseExamplesIterable

    types = sft_features()

    class Stream(_BaseExamplesIterable):  # type: ignore[misc]
        """The rows of all ranks, of one, or of one worker of it; knows how it was split, as a generator cannot."""

        def __init__(self, loader: Loader, ranked: bool, worker: tuple[int, int] | None) -> None:
            super().__init__()
            self.loader, self.ranked, self.worker = loader, ranked, worker

        def __reduce__(self) -> Any:
            return _stream, (self.loader, self.ranked, self.worker)

        @property
        def is_typed(self) -> bool:
            """Rows are of these types already; `datasets` would decode each picture of a list twice to make them so."""
            return True

        @property
        def features(self) -> Any:
            return types

        @property
        def num_shards(self) -> int:
            return _PARTS if self.ranked else _PARTS * self.loader.world_size

        @property
        def sleep_on_threads_shutdown(self) -> bool:
            return False

        def _init_state_dict(self) -> dict[str, Any]:
            self._state_dict = {"type": "cotgen"}
            return self._state_dict

        def shuffle_data_sources(self, generator: Any) -> Any:
            """The order is the loader's, which differs from epoch to epoch."""
            return self

        def reshard_data_sources(self) -> Any:
            return self

        def shard_data_sources(self, num_shards: int, index: int, contiguous: bool = True) -> Any:
            alone = self.loader.world_size == 1
            if (self.ranked or alone) and self.worker is None and (index, num_shards) == _worker():
                return _stream(self.loader, self.ranked, (index, num_shards))
            if alone and num_shards == 1:
                return self
            if self.ranked or self.worker is not None:
                raise CotgenError(
                    "the stream was split twice, which would lose rows without a word; hand it to the trainer as it is, "
                    "without split_dataset_by_node or shard"
                )
            if (index, num_shards) != (self.loader.rank, self.loader.world_size):
                raise CotgenError(
                    f"the stream is split for rank {index} of {num_shards}, and its loader was made for rank "
                    f"{self.loader.rank} of {self.loader.world_size}; make the loader where RANK and WORLD_SIZE are set, "
                    "and hand the stream to the trainer as it is"
                )
            return _stream(self.loader, ranked=True)

        def __iter__(self) -> Iterator[tuple[str, dict[str, Any]]]:
            first, step = self.worker or (0, 1)
            ranks = 1 if self.ranked else self.loader.world_size
            for number in count(self.loader.batches_done * ranks + first, step):
                batch, rank = (number, self.loader.rank) if self.ranked else divmod(number, ranks)
                pairs = self.loader.pairs_of(batch, rank)
                if not pairs:
                    return
                for row in self.loader.rows_of(pairs):
                    yield row["name"], row

    return Stream


def _stream(loader: Loader, ranked: bool = False, worker: tuple[int, int] | None = None) -> Any:
    return _stream_class()(loader, ranked, worker)


def grpo_rows(loader: Loader) -> Any:
    """A `datasets.Dataset` of rows for GRPOTrainer: all of the run in its order, each read when it is asked for.

    Memory holds a number for each row. The order is the loader's, so the trainer gets `shuffle_dataset=False`,
    `num_train_epochs=1` and `remove_unused_columns=False`; it skips what is done by itself, without reading it.

    Args:
        loader: of view `prompt`, with a number of epochs.

    Raises:
        CotgenError: `datasets` is not installed, the view is another, or the run is endless.
    """
    if loader.pool.selection.view != "prompt":
        raise CotgenError("GRPO takes rows of view prompt; select that view, or use sft_stream")
    if loader.rows is None:
        raise CotgenError("GRPO needs the number of rows; give the loader a number of epochs")
    datasets = _datasets()
    features = datasets.Features({"pair": datasets.Value("int64")})
    table = datasets.Dataset.from_dict({"pair": loader.order.slice(0, loader.rows)}, features=features)
    return table.with_transform(_Rows(loader))


class _Rows:
    """Numbers of pairs to rows, column by column; the rows of the last call are kept, since GRPO repeats its prompts."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._last: dict[int, Row] = {}

    def __call__(self, columns: dict[str, list[int]]) -> dict[str, list[Any]]:
        pairs = columns["pair"]
        self._last = {pair: self._last.get(pair) or self._loader.row(pair) for pair in dict.fromkeys(pairs)}
        rows = [self._last[pair] for pair in pairs]
        return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}

    def __reduce__(self) -> Any:
        return _Rows, (self._loader,)


def checkpoint_callback(loader: Loader) -> Any:
    """A `transformers.TrainerCallback` that writes `loader.json` into each checkpoint.

    When training begins it raises CotgenError, in a sentence, where the trainer's settings do not go with the loader:
    another batch size or number of ranks, rows that would be cut (`max_length`), shuffled or replayed; and where the
    checkpoint that it goes on from is not the one that the loader was told of.
    """
    from transformers import TrainerCallback

    addressed = loader.pool.selection.view == "prompt"

    class Checkpoints(TrainerCallback):  # type: ignore[misc]
        def __init__(self) -> None:
            self.began = (0, loader.batches_done)

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            refuse_settings(loader, args, resumed=state.global_step > 0)
            done = state.global_step * args.gradient_accumulation_steps
            if state.global_step and done != loader.batches_done:
                raise CotgenError(
                    f"the trainer goes on after {done} batches and the loader after {loader.batches_done}; give both the "
                    "same checkpoint: loader.resume(LoaderState.read(CHECKPOINT)) and resume_from_checkpoint=CHECKPOINT"
                )
            if not state.global_step and loader.batches_done and not addressed:
                raise CotgenError(
                    "the loader goes on in the middle of a run that the trainer starts anew; pass both the checkpoint"
                )
            if addressed and done % (args.steps_per_generation * args.num_iterations):
                raise CotgenError(
                    f"checkpoint-{state.global_step} lies between two generations and cannot go on exactly; go on from "
                    "an earlier one"
                )
            self.began = (state.global_step, loader.batches_done)

        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.is_world_process_zero:
                step, batches = self.began
                batches += (state.global_step - step) * args.gradient_accumulation_steps
                folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
                prompts = _prompts(loader, args, batches) if addressed else None
                loader.state(batches, rows=prompts, trainer=trainer_settings(args)).write(folder)

    return Checkpoints()


def set_length(loader: Loader, args: Any) -> int:
    """Make a run as long as its trainer's arguments say, and give both what follows from that; returns its steps.

    For a stream `max_steps` is set where there is none, so that the run holds `num_train_epochs`, a part of one too. For
    prompts the loader gets as many epochs as the steps need: the trainer would show those of the first one again, in the
    same order, and what a cap holds back never.

    Raises:
        CotgenError: there is no step; there are fewer prompts than one generation takes, so that nothing would be learnt.
    """
    epochs = Fraction(str(args.num_train_epochs))
    if args.max_steps <= 0 and epochs <= 0:
        raise CotgenError("a run without steps learns nothing; set num_train_epochs above 0, or max_steps")
    whole = int(epochs)
    begin, end = loader.order.start(whole), loader.order.start(whole + 1)
    rows = begin + math.ceil((epochs - whole) * (end - begin))
    a_step = loader.batch_size * loader.world_size * args.gradient_accumulation_steps
    if loader.pool.selection.view != "prompt":
        if args.max_steps <= 0:
            args.max_steps = -(-rows // a_step)
        return int(args.max_steps)
    # The epochs are the loader's: its rows are those of the whole run.
    args.num_train_epochs = 1
    prompts = _prompts(loader, args, args.steps_per_generation * args.num_iterations)
    uses = args.steps_per_generation * args.num_iterations
    if args.max_steps > 0:
        generations = -(-args.max_steps * args.gradient_accumulation_steps // uses)
        loader.epochs = loader.order.locate(generations * prompts - 1) + 1
        return int(args.max_steps)
    if rows < prompts:
        raise CotgenError(
            f"the run has {rows} prompts and one generation takes {prompts}, so it would end without a step; choose more "
            "prompts, more epochs, or a smaller batch"
        )
    loader.epochs = math.ceil(epochs)
    steps = -(-(rows // prompts) * uses // args.gradient_accumulation_steps)
    if epochs != whole:
        args.max_steps = steps
    return int(steps)


def trainer_settings(args: Any) -> dict[str, int]:
    """Of a trainer's arguments, those that decide how batches become steps."""
    return {name: value for name in _STEPS if isinstance(value := getattr(args, name, None), int)}


def refuse_settings(loader: Loader, args: Any, *, resumed: bool) -> None:
    """Raise CotgenError where a trainer's arguments do not go with a loader; see `checkpoint_callback`."""
    addressed = loader.pool.selection.view == "prompt"
    problems = []
    if args.world_size != loader.world_size:
        problems.append(f"the trainer has {args.world_size} ranks and the loader {loader.world_size}")
    if args.per_device_train_batch_size != loader.batch_size:
        problems.append(
            f"per_device_train_batch_size is {args.per_device_train_batch_size} and the loader's batch {loader.batch_size}"
        )
    if addressed:
        if getattr(args, "shuffle_dataset", False):
            problems.append("shuffle_dataset must be False: the rows are in the loader's order")
        if args.max_steps <= 0 and args.num_train_epochs != 1:
            problems.append("num_train_epochs must be 1: the epochs are the loader's")
        whole = args.steps_per_generation * args.num_iterations
        if args.save_strategy == "steps" and args.save_steps * args.gradient_accumulation_steps % whole:
            problems.append(
                f"save_steps * gradient_accumulation_steps must be a multiple of {whole}: a checkpoint between two "
                "generations cannot go on exactly"
            )
        if args.remove_unused_columns:
            problems.append("remove_unused_columns must be False: rewards need the columns")
    else:
        if getattr(args, "max_length", None) is not None:
            problems.append("max_length must be None: it cuts answers off, and the loss becomes 0 without a word")
        if getattr(args, "completion_only_loss", None) is False:
            problems.append("completion_only_loss must not be False: the questions would be learnt with the answers")
        if resumed and not args.ignore_data_skip:
            problems.append("ignore_data_skip must be True: the loader starts at its batch by itself")
    if problems:
        raise CotgenError(f"the trainer and the loader do not go together: {'; '.join(problems)}")


def _prompts(loader: Loader, args: Any, batches: int) -> int:
    """Prompts that all ranks together have had after so many batches of completions."""
    generations = batches // (args.steps_per_generation * args.num_iterations)
    completions = args.per_device_train_batch_size * loader.world_size * args.steps_per_generation
    return int(generations * completions // args.num_generations)


def _worker() -> tuple[int, int] | None:
    """(number, count) of the DataLoader worker that this process is; None in a process that is none."""
    data = sys.modules.get("torch.utils.data")
    info = data.get_worker_info() if data else None
    return (info.id, info.num_workers) if info else None


def _datasets() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise CotgenError("rows for TRL need the package datasets: pip install 'cotgen[train]'") from error
    return datasets
