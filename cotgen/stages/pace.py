"""Pace: how long a step takes, by training some steps of the very run and throwing them away."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from cotgen.chains.render import View
from cotgen.errors import CotgenError


@dataclass(frozen=True, slots=True)
class Pace:
    """What was measured.

    Attributes:
        seconds: of a step, the median.
        steps: over how many, the first left out, which compiles and warms up.
        ranks: of the measured run.
        peak_bytes: the most GPU memory that was held; 0 without a GPU.
    """

    seconds: float
    steps: int
    ranks: int
    peak_bytes: int


class _EnoughError(Exception):
    """Ends a measured run before it saves anything."""


def measure_pace(view: View, arguments: Sequence[str], steps: int) -> Pace:
    """Train some steps and end.

    Args:
        view: `vqa`, `cot` or `prompt`: which stage.
        arguments: of the stage.
        steps: how many are measured, after one that is not.

    Raises:
        CotgenError: the run does not begin; the sentence says why.
    """
    from cotgen.stages.grpo import reinforce
    from cotgen.stages.sft import fine_tune

    watch = _watch(steps)
    with tempfile.TemporaryDirectory() as scratch:
        line = [
            *arguments,
            *("--output_dir", scratch, "--max_steps", str(steps + 1), "--save_strategy", "no", "--report_to", "none"),
            *("--resume_from_checkpoint", "false"),
        ]
        try:
            if view == "prompt":
                reinforce("measured", line, callbacks=[watch])
            else:
                fine_tune(view, "measured", line, callbacks=[watch])
        except _EnoughError:
            pass
    if len(watch.ends) < 2:
        raise CotgenError("the run ended before its second step; give it more rows, or a smaller batch")
    times = [after - before for before, after in zip(watch.ends, watch.ends[1:], strict=False)]
    return Pace(median(times), len(times), watch.ranks, watch.peak)


def _watch(steps: int) -> Any:
    from transformers import TrainerCallback

    class Watch(TrainerCallback):  # type: ignore[misc]
        def __init__(self) -> None:
            self.ends: list[float] = []
            self.ranks, self.peak = 1, 0

        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            import torch

            if torch.cuda.is_available():
                torch.cuda.synchronize()
                self.peak = int(torch.cuda.max_memory_allocated())
            self.ends.append(time.perf_counter())
            self.ranks = args.world_size
            if len(self.ends) > steps:
                raise _EnoughError

    return Watch()
