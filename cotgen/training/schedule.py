"""Schedules of the IoU from which a box counts: dense at first, stricter later.

A fixed threshold of 0.5 leaves whole groups at 0 on medical pictures, so that nothing is learned (MedLoc-R1,
arXiv 2603.28120, which tightens it as the success rate of a sliding window rises). `Stages` depends on the progress of
the run alone and is the same on every rank; `SuccessWindow` follows the success rate, and its state goes into the
checkpoint. Both only say a threshold: a reward stays a pure function of what it is given.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from pydantic import Field, model_validator

from cotgen.errors import CotgenError
from cotgen.records.base import Record

#: Dense first, then as the usual measures of localization.
LEVELS = (0.0, 0.3, 0.5, 0.7)


class Threshold(Protocol):
    """The least IoU that counts."""

    def at(self, progress: float) -> float:
        """The threshold at this share of the run, 0..1."""
        ...


class Stage(Record):
    """A threshold and when it begins.

    Attributes:
        begins: share of the run, 0..1.
        least: IoU from which a box counts, 0..1; 0 for all.
    """

    begins: float = Field(ge=0.0, le=1.0)
    least: float = Field(ge=0.0, lt=1.0)


class Stages(Record):
    """A threshold that depends on the progress of the run alone. By default every IoU counts, all the time.

    Attributes:
        stages: in the order of `begins`, the first from 0.
    """

    stages: list[Stage] = Field(default=[Stage(begins=0.0, least=0.0)], min_length=1)

    @model_validator(mode="after")
    def _ordered(self) -> Stages:
        begins = [stage.begins for stage in self.stages]
        if begins[0] != 0.0 or begins != sorted(set(begins)):
            raise ValueError("the first stage begins at 0, and each other one later than the one before it")
        return self

    @classmethod
    def even(cls, levels: Sequence[float] = LEVELS) -> Stages:
        """These thresholds one after the other, for equal parts of the run."""
        return cls(stages=[Stage(begins=n / len(levels), least=least) for n, least in enumerate(levels)])

    def at(self, progress: float) -> float:
        """The threshold of the last stage that has begun."""
        return max((stage for stage in self.stages if stage.begins <= progress), key=lambda s: s.begins).least


class SuccessWindow:
    """A threshold that rises by one level when the success rate at the next one holds over a window, and never falls.

    Feed `observe` the same numbers on every rank, such as a metric that the trainer has gathered, and store
    `state_dict()` beside each checkpoint.
    """

    def __init__(self, levels: Sequence[float] = LEVELS, window: int = 50, rate: float = 0.6) -> None:
        """Begins at the first level.

        Args:
            levels: thresholds in ascending order, 0 <= level < 1.
            window: steps whose rates are averaged; after each rise they are collected anew.
            rate: mean success rate from which the next level begins.

        Raises:
            CotgenError: the levels are not ascending, or the window or the rate is out of range.
        """
        levels = tuple(levels)
        if not levels or list(levels) != sorted(set(levels)) or not 0.0 <= levels[0] <= levels[-1] < 1.0:
            raise CotgenError("levels of an IoU schedule are ascending numbers from 0 to below 1, each once")
        if window < 1 or not 0.0 < rate <= 1.0:
            raise CotgenError("the window of an IoU schedule is at least 1 step, its rate above 0 and at most 1")
        self.levels, self.window, self.rate = levels, window, rate
        self._level = 0
        self._rates: deque[float] = deque(maxlen=window)

    @property
    def following(self) -> float:
        """The threshold at which success is to be measured: the next level, or the last one."""
        return self.levels[min(self._level + 1, len(self.levels) - 1)]

    def at(self, progress: float) -> float:
        """The threshold now."""
        return self.levels[self._level]

    def observe(self, rate: float) -> None:
        """Take in the share of the boxes of one step that reach `following`.

        Raises:
            CotgenError: it is no share.
        """
        if not 0.0 <= rate <= 1.0:  # also what is not a number
            raise CotgenError(f"{rate} is no success rate; it is a share from 0 to 1")
        self._rates.append(rate)
        full = len(self._rates) == self.window
        if full and sum(self._rates) / self.window >= self.rate and self._level + 1 < len(self.levels):
            self._level += 1
            self._rates.clear()

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint has to hold; plain values."""
        return {"level": self._level, "rates": list(self._rates), "levels": list(self.levels)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint.

        Raises:
            CotgenError: it is of a schedule with other levels.
        """
        if list(state["levels"]) != list(self.levels):
            raise CotgenError(
                f"the checkpoint has the IoU levels {state['levels']}, this run {list(self.levels)}; "
                "resume with the levels that it was begun with"
            )
        self._level = int(state["level"])
        self._rates = deque(state["rates"], maxlen=self.window)
