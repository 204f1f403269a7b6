"""Pass rate: how often a policy answers each prompt right, with the picture and without it, and what to train on after that.

A reply passes where the reward of its answer (`answer`, `boxes`, `set_f1` or `cvs`, see `rewards.covering`) reaches the
threshold of that reward and its form is whole. A cut reply does not pass. From the rates follows which prompts are kept:

- Those that are passed by none or all of the samples teach nothing, since all completions of a group earn the same; by
  default those passed in over 0.8 are left out too. TRL samples no others in their place, so this is done beforehand.
- What is passed as often without the picture is answered from the question. It counts as such from the rate that is the
  lower end of Wilson's interval (1927, Journal of the American Statistical Association 22) of the rate with the picture:
  of 8 samples, by default, 5 passed with it and 4 without are as often, 5 and 3 are not. A share of these may be kept.
- The answers `not visible`, `none` and `No` and the most frequent answer of each task are each at most so many of the kept
  prompts of their task, since a policy that has found an answer which mostly pays says it whatever it sees. An equal
  share of all answers is always left to each: a half of yes and no.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from statistics import NormalDist
from typing import Any

import polars as pl
from pydantic import Field

from cotgen.chains.boxes import named_boxes
from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.records.base import Record
from cotgen.tasks import TASKS
from cotgen.tasks.answers import NONE
from cotgen.tasks.boxes import NOT_VISIBLE
from cotgen.training.prompts import Row
from cotgen.training.rewards import Scorer, covering
from cotgen.training.sampler import Sampled

#: A row for each prompt, sorted by name. `Selection.difficulty` takes those with `kept`.
SCHEMA: dict[str, Any] = {
    "name": pl.String,
    "task": pl.String,
    "source": pl.String,
    "answer": pl.String,
    "passed": pl.Int64,
    "samples": pl.Int64,
    "blind_passed": pl.Int64,
    "blind_samples": pl.Int64,
    "difficulty": pl.Float64,
    "kept": pl.Boolean,
    "why": pl.String,
}
#: Why a prompt is not kept.
NO_REPLY = "no reply"
NONE_PASS = "passed by none"
ALL_PASS = "passed by all"
SELDOM = "passed too seldom"
OFTEN = "passed too often"
BLIND = "as often without the picture"
HELD = "answer held at its share"
REASONS = (NO_REPLY, NONE_PASS, SELDOM, OFTEN, ALL_PASS, BLIND, HELD)
_HELD_ANSWERS = frozenset({NOT_VISIBLE, NONE, "no"})
#: Scores are sums of floats, so that four fifths may be a little less.
_SLACK = 1e-9


class Thresholds(Record):
    """From which reward on an answer passes, each above 0."""

    answer: float = Field(default=1.0, gt=0.0, le=1.0)
    boxes: float = Field(default=0.5, gt=0.0, le=1.0)
    set_f1: float = Field(default=0.8, gt=0.0, le=1.0)
    cvs: float = Field(default=1.0, gt=0.0, le=1.0)


@dataclass(frozen=True, slots=True)
class Rules:
    """Which prompts are kept.

    Attributes:
        least: a prompt is passed by more than this share of its samples.
        most: and by at most this one.
        blind_confidence: of Wilson's interval, below 1; at 0 it is the rate itself.
        blind_share: of the prompts that are passed as often without the picture, how many are kept all the same.
        held_share: the most that each held answer has of the kept prompts of its task.
        seed: of the draws.
    """

    least: Fraction = Fraction(0)
    most: Fraction = Fraction(4, 5)
    blind_confidence: float = 0.8
    blind_share: Fraction = Fraction(0)
    held_share: Fraction = Fraction(3, 10)
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises CotgenError for what means nothing."""
        if not 0 <= self.least < self.most <= 1:
            raise CotgenError("the pass rates that are kept go from 0 or more to at most 1, the lower one first")
        if not 0 <= self.blind_confidence < 1:
            raise CotgenError("blind_confidence is 0 or more and below 1")
        if not (0 <= self.blind_share <= 1 and 0 < self.held_share <= 1):
            raise CotgenError("blind_share is from 0 to 1, and held_share above 0 and at most 1")


@dataclass(frozen=True, slots=True)
class Rate:
    """What came of one prompt.

    Attributes:
        name: `key#id`.
        task: name of the task.
        source: whose labels it asks about.
        answer: as stored.
        passed: replies that pass.
        samples: all replies, cut ones among them; 0 where there was none.
        blind_passed: replies that pass without the picture.
        blind_samples: all replies without the picture; 0 where none was asked for.
        why: why it is not kept; "" where it is.
    """

    name: str
    task: str
    source: str
    answer: str
    passed: int
    samples: int
    blind_passed: int = 0
    blind_samples: int = 0
    why: str = ""

    @property
    def row(self) -> tuple[Any, ...]:
        """As a row of the table; the difficulty is the share that does not pass."""
        counts = (self.passed, self.samples, self.blind_passed, self.blind_samples)
        hard = 1.0 - self.passed / self.samples if self.samples else 1.0
        return (self.name, self.task, self.source, self.answer, *counts, hard, not self.why, self.why)


@dataclass
class PassRates:
    """Counts passes and applies the rules. Memory holds a line for each prompt, and no reply.

    Attributes:
        scorer: of the run that will be trained, with the box format of the model.
        thresholds: from which reward on an answer passes.
        rules: which prompts are kept.
    """

    scorer: Scorer
    thresholds: Thresholds = field(default_factory=Thresholds)
    rules: Rules = field(default_factory=Rules)

    def table(
        self, sampled: Iterable[Sampled], blind: Callable[[Collection[str]], Iterable[Sampled]] | None = None
    ) -> pl.DataFrame:
        """The table of all prompts, by `SCHEMA`.

        Args:
            sampled: replies with the picture.
            blind: gives replies without the picture to the prompts of these names, the only ones that are still in
                question; None asks for none.
        """
        rates = {rate.name: rate for rate in map(self._rate, sampled)}
        if blind is not None:
            for found in blind({name for name, rate in rates.items() if not rate.why}):
                rates[found.prompt.name] = self._with_blind(rates[found.prompt.name], found)
        kept = [rates[name] for name in sorted(rates)]
        rows = [rate.row for rate in self._held(kept)]
        return pl.DataFrame(rows, schema=SCHEMA, orient="row")

    def passes(self, text: str | None, row: Row) -> bool:
        """Whether a reply passes; None is a cut one."""
        if text is None or self.scorer.one("format", text, row) != 1.0:
            return False
        name = covering(row)
        least: float = getattr(self.thresholds, name)
        return (self.scorer.one(name, text, row) or 0.0) >= least - _SLACK

    def _rate(self, found: Sampled) -> Rate:
        prompt = found.prompt
        passed, samples = self._counted(found)
        rate = Rate(prompt.name, prompt.row.task, prompt.row.source, prompt.pair.answer, passed, samples)
        return replace(rate, why=self._by_rate(rate))

    def _counted(self, found: Sampled) -> tuple[int, int]:
        return sum(self.passes(text, found.prompt.row) for text in found.texts), len(found.texts)

    def _by_rate(self, rate: Rate) -> str:
        if not rate.samples:
            return NO_REPLY
        share = Fraction(rate.passed, rate.samples)
        if not self.rules.least < share <= self.rules.most:
            if share in (0, 1):
                return ALL_PASS if share else NONE_PASS
            return OFTEN if share > self.rules.most else SELDOM
        return ""

    def _with_blind(self, rate: Rate, found: Sampled) -> Rate:
        passed, samples = self._counted(found)
        rate = replace(rate, blind_passed=passed, blind_samples=samples)
        if not samples:
            return replace(rate, why=NO_REPLY)
        often = as_often(rate.passed, rate.samples, passed, samples, self.rules.blind_confidence)
        return replace(rate, why=BLIND if often and not self._drawn("blind", rate.name) else "")

    def _drawn(self, what: str, name: str) -> bool:
        share = self.rules.blind_share
        return draw(self.rules.seed, what, name) * share.denominator < share.numerator * 2**64

    def _held(self, rates: list[Rate]) -> Iterator[Rate]:
        """The rates, with those prompts dropped whose answer would have more than its share."""
        by_task: dict[str, list[Rate]] = defaultdict(list)
        for rate in rates:
            if not rate.why:
                by_task[rate.task].append(rate)
        dropped: set[str] = set()
        for same in by_task.values():
            dropped |= self._over(same)
        return (replace(rate, why=HELD) if rate.name in dropped else rate for rate in rates)

    def _over(self, rates: list[Rate]) -> set[str]:
        """Names of the prompts of one task that are over the share of their answer."""
        counts = Counter(rate.answer for rate in rates if not named_boxes(rate.answer))
        with_boxes = len(rates) - counts.total()
        # Each box is another one, so that boxes are as many answers.
        share = max(self.rules.held_share, Fraction(1, max(1, len(counts) + with_boxes)))
        usual = min(counts, key=lambda answer: (-counts[answer], answer), default="")
        held = sorted(answer for answer in counts if answer == usual or answer.strip().lower() in _HELD_ANSWERS)
        free = len(rates) - sum(counts[answer] for answer in held)
        total, before = len(rates), -1
        while total != before:
            most = math.floor(share * total)
            before, total = total, free + sum(min(counts[answer], most) for answer in held)
        over = set()
        for answer in held:
            names = [rate.name for rate in rates if rate.answer == answer]
            names.sort(key=lambda name: (draw(self.rules.seed, "held", name), name))
            over |= set(names[math.floor(share * total) :])
        return over


def as_often(passed: int, samples: int, blind_passed: int, blind_samples: int, confidence: float) -> bool:
    """Whether a rate without the picture reaches the lower end of Wilson's interval of the rate with it.

    Args:
        passed: of `samples`, with the picture, at least 1.
        samples: at least 1.
        blind_passed: of `blind_samples`, without it.
        blind_samples: at least 1.
        confidence: of the interval, two-sided, from 0 to below 1.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate = passed / samples
    middle = rate + z * z / (2 * samples)
    half = z * math.sqrt(rate * (1 - rate) / samples + z * z / (4 * samples * samples))
    return blind_passed / blind_samples >= (middle - half) / (1 + z * z / samples)


def summary(table: pl.DataFrame) -> pl.DataFrame:
    """A row for each task and one for all: prompts, mean rates, how many are kept, and how many are not for which reason.

    Args:
        table: as `PassRates.table` gives it.

    Returns:
        `task`, `prompts`, `rate` and `blind_rate` (mean over replies, null without any), `kept`, and a column for each of
        `REASONS`; tasks in their order, `all` last.
    """
    reasons = [(pl.col("why") == why).sum().alias(why) for why in REASONS]
    counts = [
        pl.len().alias("prompts"),
        _share("passed", "samples").alias("rate"),
        _share("blind_passed", "blind_samples").alias("blind_rate"),
        pl.col("kept").sum(),
        *reasons,
    ]
    order = pl.col("task").replace_strict({name: n for n, name in enumerate(TASKS)}, default=len(TASKS))
    by_task = table.group_by("task").agg(counts).sort(order)
    return pl.concat([by_task, table.select(pl.lit("all").alias("task"), *counts).head(1)])


def _share(passed: str, samples: str) -> pl.Expr:
    total = pl.col(samples).sum()
    return pl.when(total > 0).then(pl.col(passed).sum() / total)
