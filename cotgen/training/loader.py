"""Loader: from finished data sets to the rows of one rank, torch-free, exact, and cheap to resume.

All ranks share one endless sequence of pairs (`cotgen.training.order`), which a run goes through in global batches of
`batch_size * world_size` rows; rank r takes the r-th equal range of each. So all ranks have equal numbers of rows at any
time, nothing is left out and nothing comes twice: where an epoch ends within a batch, the next epoch fills it. A run of a
fixed number of epochs ends with a batch that is shorter, equally on all ranks; if its rows do not divide by the ranks, up
to `world_size - 1` rows of the following epoch are added.

Continuing at batch n is arithmetic: no shard is read, nothing is decoded for what was done. A shard is read by seeking
to one sample at a time; pictures stay JPEG until they are asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

from cotgen.chains.boxes import BoxConvention, BoxFormat
from cotgen.errors import CotgenError
from cotgen.shards.index import INDEX
from cotgen.training.order import ORDER_VERSION
from cotgen.training.pool import Pool
from cotgen.training.portions import Portion
from cotgen.training.selection import Selection
from cotgen.training.state import LoaderState, ReadFrom
from cotgen.training.views import INSTRUCTIONS, Row, picture, row_of


class Loader:
    """Rows of one rank.

    Iteration yields rows, from where the run is; `state_dict` and `load_state_dict` say and set where that is, by whole
    batches. Rows are those of `cotgen.training.views.row_of`, with `images`: a list of one RGB picture.

    Attributes:
        pool: the pairs.
        seed: of all draws.
        batch_size: rows of a batch on one rank.
        rank: this one, from 0.
        world_size: number of ranks.
        epochs: how many epochs a run has; None for an endless one.
        boxes: how boxes are written.
        instruction: what the model is told before the question.
        batches_done: batches that each rank has had.
    """

    def __init__(
        self,
        data: Sequence[Portion | Path | str],
        selection: Selection | None = None,
        *,
        boxes: BoxConvention | BoxFormat = "pixels",
        instruction: str | None = None,
        seed: int = 0,
        batch_size: int = 1,
        rank: int | None = None,
        world_size: int | None = None,
        epochs: int | None = None,
    ) -> None:
        """Open the data sets.

        Args:
            data: local folders, or portions of them.
            selection: which pairs and how often; by default chains of the train split.
            boxes: how boxes are written; for `resized` what `cotgen.training.processor.box_format` gives.
            instruction: what the model is told first; by default that of the view.
            seed: of all draws.
            batch_size: rows of a batch on one rank.
            rank: this one; by default $RANK, as torchrun and accelerate set it, else 0.
            world_size: number of ranks; by default $WORLD_SIZE, else 1.
            epochs: how many epochs a run has; None for an endless one.

        Raises:
            CotgenError: a data set is no finished one, was changed, or nothing of it is left.
        """
        selection = selection or Selection()
        self.rank = int(os.environ.get("RANK", 0)) if rank is None else rank
        self.world_size = int(os.environ.get("WORLD_SIZE", 1)) if world_size is None else world_size
        if batch_size < 1 or self.world_size < 1 or not 0 <= self.rank < self.world_size:
            raise CotgenError(
                f"rank {self.rank} of {self.world_size} with {batch_size} rows a batch cannot be; ranks count from 0"
            )
        if epochs is not None and epochs < 1:
            raise CotgenError("a run has at least one epoch; leave the number out for an endless one")
        self.pool = Pool([part if isinstance(part, Portion) else Portion(Path(part)) for part in data], selection)
        self.seed, self.batch_size, self.epochs = seed, batch_size, epochs
        self.boxes = BoxFormat.of(boxes)
        self.instruction = INSTRUCTIONS[selection.view] if instruction is None else instruction
        self.order = self.pool.order(seed)
        self.batches_done = 0
        self._rows_of_batch = 0

    @property
    def rows(self) -> int | None:
        """Rows of the run, over all ranks; None where it is endless."""
        return None if self.epochs is None else self.order.start(self.epochs)

    def batches(self, epochs: int | None = None) -> int:
        """How many batches each rank has in so many epochs, by default in the run.

        Raises:
            CotgenError: the run is endless and no number is given.
        """
        epochs = self.epochs if epochs is None else epochs
        if epochs is None:
            raise CotgenError("an endless run has no number of batches; say of how many epochs")
        return -(-self.order.start(epochs) // (self.batch_size * self.world_size))

    def __iter__(self) -> Iterator[Row]:
        """The rows of this rank, from where the run is; state is kept as rows are taken."""
        skip = self._rows_of_batch
        for number in count(self.batches_done):
            pairs = self.pairs_of(number, self.rank)
            if not pairs:
                return
            for place, row in enumerate(self.rows_of(pairs[skip:]), start=skip + 1):
                self._rows_of_batch = place % len(pairs)
                self.batches_done = number + (place == len(pairs))
                yield row
            skip = 0

    def pairs_of(self, batch: int, rank: int) -> list[int]:
        """The pair numbers of one batch of one rank; none after the end of the run."""
        start = batch * self.batch_size * self.world_size
        size = self.batch_size
        if self.rows is not None:
            size = min(size, -(-max(0, self.rows - start) // self.world_size))
        begin = start + rank * size
        return [int(pair) for pair in self.order.slice(begin, begin + size)]

    def row(self, pair: int) -> Row:
        """The row of a pair, its picture decoded. Raises CotgenError where the shard is damaged."""
        return next(self.rows_of([pair]))

    def rows_of(self, pairs: Sequence[int]) -> Iterator[Row]:
        """The rows of a batch: all are read, then one picture at a time is decoded, which is faster than in turns."""
        for row in [self.encoded_row(pair) for pair in pairs]:
            yield row | {"images": [picture(jpeg, row["name"]) for jpeg in row["images"]]}

    def encoded_row(self, pair: int) -> Row:
        """The row of a pair with the bytes of its JPEG. Raises CotgenError where the shard is damaged."""
        record, stored, jpeg = self.pool.read(pair)
        return row_of(record, stored, self.pool.selection.view, self.boxes, self.instruction) | {"images": [jpeg]}

    def state(
        self, batches: int | None = None, *, rows: int | None = None, trainer: dict[str, int] | None = None
    ) -> LoaderState:
        """The state after so many batches.

        Args:
            batches: that each rank has had; by default those that were taken here.
            rows: that all ranks have had, where a batch is not `batch_size` of them.
            trainer: settings of the trainer, see `cotgen.training.adapters.trainer_settings`.
        """
        batches = self.batches_done if batches is None else batches
        rows = batches * self.batch_size * self.world_size if rows is None else rows
        data = [
            ReadFrom(
                fingerprint=manifest.fingerprint,
                share=_written(portion.share),
                index=manifest.files[INDEX],
                shards={s.file: s.sha256 for s in manifest.shards if s.split in self.pool.selection.splits},
            )
            for portion, manifest in zip(self.pool.portions, self.pool.manifests, strict=True)
        ]
        return LoaderState(
            seed=self.seed,
            epoch=self.order.locate(rows),
            batches=batches,
            batch_size=self.batch_size,
            world_size=self.world_size,
            data=data,
            config={
                **self.pool.selection.config(),
                "boxes": asdict(self.boxes),
                "instruction": self.instruction,
                "order": ORDER_VERSION,
            },
            trainer=trainer or {},
        )

    def resume(self, state: LoaderState, trainer: dict[str, int] | None = None) -> None:
        """Go on where a run of the same data, ranks and configuration stopped.

        Args:
            state: `LoaderState.read(CHECKPOINT)`.
            trainer: settings of the trainer, where they are to be compared too.

        Raises:
            CotgenError: this run would see other rows.
        """
        state.refuse_unless_same(self.state(trainer=trainer))
        self.batches_done, self._rows_of_batch = state.batches, 0

    def state_dict(self) -> dict[str, Any]:
        """The state as plain values."""
        return self.state().model_dump(by_alias=True)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As `resume`."""
        self.resume(LoaderState.model_validate(state))


def _written(share: Fraction | None) -> str:
    return "" if share is None else str(share)
