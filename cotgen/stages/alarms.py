"""Alarms of reinforcement learning: what shows early that a run learns nothing, or learns to cheat.

- groups whose completions all earn the same teach nothing (`frac_reward_zero_std`);
- completions that are cut at the limit of length (`completions/clipped_ratio`);
- a reward that is no higher than that of a completion which never looks at the picture (`cotgen.training.null_rewards`);
- an answer that is said far more often than it is true (`AnswerShares`).
"""

from __future__ import annotations

import warnings
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

from cotgen.chains.render import render
from cotgen.errors import CotgenError
from cotgen.records import Sample
from cotgen.tasks import TASKS
from cotgen.tasks.answers import NONE, extract_answer
from cotgen.training.loader import Loader
from cotgen.training.null_rewards import null_rewards
from cotgen.training.prompts import read_rows, reward_columns
from cotgen.training.reply import text_of
from cotgen.training.rewards import Reward, RewardConfig

#: Completions over which shares of answers are taken, and fewer of which say nothing.
WINDOW = 2048
LEAST_SAID = 30
#: How many times its share an answer may be said.
MOST_OVER = 1.5
#: Steps over which the others are averaged.
STEPS = 10
MOST_EQUAL = 0.8
MOST_CLIPPED = 0.5
#: Prompts from which the null rewards are counted.
COUNTED = 400
#: Name of the metric.
OVER = "answers/most_over"


class AnswerShares:
    """How often each answer was said of late, and how often it was true.

    A policy that has found one answer which mostly pays says it whatever the picture shows: its share rises over that of
    the labels long before the reward tells.
    """

    def __init__(self, window: int = WINDOW) -> None:
        self._last: deque[tuple[str, str, str]] = deque(maxlen=window)

    def observe(self, task: str, said: str, true: str) -> None:
        """Take in one completion."""
        self._last.append((task, said.strip().lower(), true.strip().lower()))

    def worst(self) -> tuple[float, str, str]:
        """(how many times its share, task, answer) of the answer that is most above it; (0, "", "") without one."""
        said = Counter((task, answer) for task, answer, _ in self._last)
        true = Counter((task, answer) for task, _, answer in self._last)
        # One more in each: an answer that is never true would be infinitely above its share.
        ratios = [
            ((count + 1) / (true[which] + 1), *which)
            for which, count in said.items()
            if count >= LEAST_SAID and which[1]
        ]
        return max(ratios, default=(0.0, "", ""))


def watched(rewards: Sequence[Reward], shares: AnswerShares) -> list[Reward]:
    """The same rewards; the first one also feeds the shares of answers, and logs the worst ratio."""
    first, *others = rewards

    def reward(
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Sequence[int]] | None = None,
        trainer_state: Any = None,
        log_extra: Any = None,
        log_metric: Any = None,
        **columns: Any,
    ) -> list[float | None]:
        for row, completion in zip(read_rows(columns, len(completions)), completions, strict=True):
            said = extract_answer(text_of(completion)) or ""
            # By what it means: "hook, grasper" is no other answer than "Grasper" and "Hook" on two lines.
            terms = TASKS[row.task].parse(said, row.question)
            shares.observe(row.task, said if terms is None else _meant(terms), _meant(row.question.truth))
        if log_metric is not None:
            log_metric(OVER, shares.worst()[0])
        return first(
            prompts,
            completions,
            completion_ids=completion_ids,
            trainer_state=trainer_state,
            log_extra=log_extra,
            log_metric=log_metric,
            **columns,
        )

    reward.__name__ = first.__name__
    return [reward, *others]


def _meant(terms: Sequence[str]) -> str:
    return ", ".join(terms) or NONE


def null_reward(loader: Loader, config: RewardConfig, most: int = COUNTED) -> dict[str, float]:
    """Mean weighted reward of each null completion over the first prompts of a run.

    Args:
        loader: of view `prompt`.
        config: of the run.
        most: prompts that are counted.
    """
    rows = []
    for number in loader.order.slice(0, min(most, loader.rows or most)):
        record, pair, _ = loader.pool.read(int(number))
        columns = reward_columns(Sample.model_validate(record), pair)
        [row] = read_rows({name: [value] for name, value in columns.items()}, 1)
        rows.append((row, render(pair, "cot", "pixels", row.size)["response"]))
    table = null_rewards(rows, config)
    totals: dict[str, float] = {}
    for completion in ("majority", "safe claim", "empty", "gold"):
        part = table.filter(table["completion"] == completion)
        if part.height:
            totals[completion] = float((part["total"] * part["rows"]).sum()) / int(part["rows"].sum())
    return totals


def alarm_callback(null: dict[str, float], shares: AnswerShares, mode: str) -> Any:
    """A `transformers.TrainerCallback` that warns, or stops the run, where an alarm goes off.

    Args:
        null: as `null_reward` gives it.
        shares: as the rewards feed it.
        mode: `warn`, `stop` or `off`.

    Raises:
        CotgenError: there is no such mode.
    """
    from transformers import TrainerCallback

    if mode not in ("warn", "stop", "off"):
        raise CotgenError(f"alarms: '{mode}' is none of warn, stop, off")
    last: dict[str, deque[float]] = {}
    told: set[str] = set()

    def mean(logs: dict[str, Any], name: str) -> float | None:
        value = logs.get(name)
        if value is None:
            return None
        kept = last.setdefault(name, deque(maxlen=STEPS))
        kept.append(float(value))
        return sum(kept) / STEPS if len(kept) == STEPS else None

    def alarms(logs: dict[str, Any]) -> list[tuple[str, str]]:
        found = []
        equal = mean(logs, "frac_reward_zero_std")
        if equal is not None and equal > MOST_EQUAL:
            found.append(
                (
                    "equal",
                    f"{equal:.0%} of the groups of the last {STEPS} logs have equal rewards, which teach nothing; choose "
                    "prompts by pass rate (python -m recipes.pass_rate), or raise temperature",
                )
            )
        clipped = mean(logs, "completions/clipped_ratio")
        if clipped is not None and clipped > MOST_CLIPPED:
            found.append(
                (
                    "clipped",
                    f"{clipped:.0%} of the completions are cut at max_completion_length; raise it, or start from a "
                    "checkpoint that ends its answers",
                )
            )
        reward = mean(logs, "reward")
        floor = max((null[name] for name in ("majority", "safe claim") if name in null), default=None)
        if reward is not None and floor is not None and reward <= floor:
            found.append(
                (
                    "null",
                    f"the reward of the last {STEPS} logs, {reward:.3f}, is no more than {floor:.3f}, what completions "
                    "earn that never look at the picture",
                )
            )
        over = mean(logs, OVER)
        if over is not None and over > MOST_OVER:
            _, task, answer = shares.worst()
            which = f": of {task} it is '{answer}'" if task else ""
            found.append(("over", f"an answer is said {over:.1f} times as often as it is true{which}"))
        return found

    class Alarms(TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **rest: Any) -> None:
            if mode == "off" or not logs:
                return
            for kind, text in alarms(logs):
                if kind not in told and state.is_world_process_zero:
                    warnings.warn(f"step {state.global_step}: {text}", stacklevel=2)
                told.add(kind)
                if mode == "stop" and kind != "null":
                    control.should_training_stop = True

    return Alarms()
