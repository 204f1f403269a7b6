"""Planned: a trainer's configuration as it will be on so many GPUs, on a machine that need not have them."""

from __future__ import annotations

from typing import Any


def planned(config: type, gpus: int) -> Any:
    """The same class of configuration, for a run on that many ranks.

    Sizes of batches are checked against the number of ranks when the configuration is made, so it must be told before.

    Args:
        config: TRL's `SFTConfig` or `GRPOConfig`.
        gpus: ranks of the run.
    """

    class Planned(config):  # type: ignore[misc]
        @property
        def world_size(self) -> int:
            return gpus

    Planned.__name__ = Planned.__qualname__ = config.__name__
    return Planned
