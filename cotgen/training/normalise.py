"""Normaliser: rewards of different tasks and sources on one scale.

MedGRPO (arXiv 2512.06581) found that plain training on mixed data sets collapses, since their rewards differ in scale,
and maps each by r = 1 / (1 + exp(-k (x - median) / IQR)), so that the median of every data set and task is a half. Take
the statistics from the policy that training starts from, over its own samples, and keep the file with the run. Within
one prompt an affine map changes no advantage, so it is the bend of the curve that acts, and nothing acts on answers that
are only right or wrong.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from statistics import quantiles

from pydantic import Field

from cotgen.errors import CotgenError
from cotgen.records.base import Record

#: Fewer rewards than this are no statistic.
LEAST_REWARDS = 20
#: A smaller spread is taken for this one: else a task with hardly any spread would have its noise amplified.
LEAST_IQR = 0.1


class Scale(Record):
    """The rewards of one task and source.

    Attributes:
        median: of them.
        iqr: distance of the quartiles, at least `LEAST_IQR`.
        count: how many there were.
    """

    median: float = Field(ge=0.0, le=1.0)
    iqr: float = Field(ge=LEAST_IQR, le=1.0)
    count: int = Field(ge=LEAST_REWARDS)


class Normaliser(Record):
    """The logistic map of each task and source; plain values, so a checkpoint or a file can hold it.

    Attributes:
        steepness: k of the curve.
        scales: `task/source` -> its scale; what has none keeps its rewards.
    """

    steepness: float = Field(default=1.0, gt=0.0, le=20.0)
    scales: dict[str, Scale] = {}

    @classmethod
    def fit(cls, rewards: Iterable[tuple[str, str, float]], steepness: float = 1.0) -> Normaliser:
        """Scales from rewards of the policy that training starts from.

        Args:
            rewards: (task, source, reward in 0..1). Of a task and source with less than `LEAST_REWARDS` of them, or where
                all are equal, there is nothing to learn, and it gets no scale.
            steepness: k of the curve.

        Raises:
            CotgenError: a reward is not in 0..1.
        """
        grouped: dict[str, list[float]] = defaultdict(list)
        for task, source, reward in rewards:
            if not 0.0 <= reward <= 1.0:
                raise CotgenError(f"{reward} is no reward of {task} in 0..1; fit the scales on raw rewards")
            grouped[f"{task}/{source}"].append(reward)
        scales = {}
        for name, values in sorted(grouped.items()):
            if len(values) < LEAST_REWARDS or min(values) == max(values):
                continue
            low, median, high = quantiles(sorted(values), n=4, method="inclusive")
            scales[name] = Scale(median=median, iqr=max(high - low, LEAST_IQR), count=len(values))
        return cls(steepness=steepness, scales=scales)

    def __call__(self, reward: float, task: str, source: str) -> float:
        """The reward on the common scale, 0..1; a higher reward never gets less."""
        scale = self.scales.get(f"{task}/{source}")
        if scale is None:
            return reward
        return 1 / (1 + math.exp(-self.steepness * (reward - scale.median) / scale.iqr))
