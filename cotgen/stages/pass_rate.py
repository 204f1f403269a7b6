"""Pass rates of a served policy: which prompts stage 3 can learn from, as a table that `--difficulty` takes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pydantic

from cotgen.build.report import Reporter
from cotgen.errors import CotgenError
from cotgen.shards.index import write_part
from cotgen.stages.asking import Asking, PolicyArguments, PromptArguments, Told, console, say, show_table
from cotgen.stages.flags import flag, parse_flags
from cotgen.training.pass_rate import REASONS, PassRates, Rules, Thresholds, summary
from cotgen.training.rewards import RewardConfig, Scorer
from cotgen.training.sampler import Sampled

if TYPE_CHECKING:
    from rich.console import Console


@dataclass
class PassRateArguments:
    """How often each prompt is asked, and which prompts are kept."""

    out: str = flag("the table, a .parquet file")
    samples: int = flag("replies to each prompt with the picture", 8)
    blind_samples: int = flag("replies to each prompt without the picture, where it is still in question; 0: none", 8)
    temperature: float = flag("of the sampling; that of stage 3", 1.0)
    answer: float = flag("reward from which an answer passes", 1.0)
    boxes_from: float = flag("reward (IoU) from which boxes pass", 0.5)
    set_f1: float = flag("reward (F1) from which a set passes", 0.8)
    cvs: float = flag("reward (share of criteria) from which the criteria of safety pass", 1.0)
    above: str = flag("prompts are kept that are passed in more than this share of their samples", "0")
    up_to: str = flag("and in at most this one", "0.8")
    blind_confidence: float = flag("of Wilson's interval that a rate without the picture must stay below", 0.8)
    blind_share: str = flag("share that is kept of what is passed as often without the picture", "0")
    held_share: str = flag(
        "the most that 'not visible', 'none', 'No' and the most frequent answer each have of the kept prompts of a task",
        "0.3",
    )

    def thresholds(self) -> Thresholds:
        """From which reward on an answer passes. Raises CotgenError for what means nothing."""
        try:
            return Thresholds(answer=self.answer, boxes=self.boxes_from, set_f1=self.set_f1, cvs=self.cvs)
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            raise CotgenError(f"the threshold of {first['loc'][0]}: {first['msg']}") from error

    def rules(self, seed: int) -> Rules:
        """Which prompts are kept. Raises CotgenError for what means nothing."""
        least, most, blind, held = (
            _share(text) for text in (self.above, self.up_to, self.blind_share, self.held_share)
        )
        return Rules(least, most, self.blind_confidence, blind, held, seed)


def pass_rate(arguments: Sequence[str] | None = None) -> int:
    """Ask a policy, write the table, show what is kept.

    Args:
        arguments: without, those of the command line.

    Returns:
        The exit status: 1 where some prompts have no reply.

    Raises:
        CotgenError: something cannot be read or written, or the server refuses.
    """
    classes = (PromptArguments, PolicyArguments, PassRateArguments)
    which, policy, rates = parse_flags(classes, __doc__ or "", arguments)
    out = Path(rates.out)
    if out.suffix != ".parquet":
        raise CotgenError("name the table with --out FILE.parquet")
    thresholds, rules = rates.thresholds(), rates.rules(which.seed)
    asking = Asking(which, policy, "prompt")
    endpoint = policy.endpoint()
    seeing = policy.sampling(endpoint, rates.samples, rates.temperature, which.seed)
    scorer = Scorer(RewardConfig(think_opened=policy.think_opened), asking.boxes.read)
    found, told = PassRates(scorer, thresholds, rules), Told()
    screen = console()
    with asking.cache(out) as cache, Reporter(screen) as reporter:

        def blind(names: Collection[str]) -> Iterable[Sampled]:
            asked = (prompt for prompt in asking.prompts() if prompt.name in names)
            sampling = policy.sampling(endpoint, rates.blind_samples, rates.temperature, which.seed, image=False)
            return told.shown("blind", len(names), asking.ask(asked, cache, sampling, endpoint), reporter)

        number = asking.number()
        replies = told.shown("prompts", number, asking.ask(asking.prompts(), cache, seeing, endpoint), reporter)
        table = found.table(replies, blind if rates.blind_samples else None)
    write_part(table, out)
    _show(screen, table)
    if not table["kept"].any():
        say(screen, "Nothing is left to train on; ask more samples, or widen --above and --up-to.")
    say(screen, f"{out}: give it to stage 3 with --difficulty {out}")
    return told.end(screen, policy.policy_max_tokens)


def _show(screen: Console, table: pl.DataFrame) -> None:
    def percent(value: float | None) -> str:
        return "" if value is None else f"{value:.1%}"

    columns = ("task", "prompts", "passed", "passed blind", "kept")
    counted = summary(table)
    reasons = [why for why in REASONS if counted[why].sum()]
    rows = [
        (
            row["task"],
            f"{row['prompts']:,}",
            percent(row["rate"]),
            percent(row["blind_rate"]),
            f"{row['kept']:,}",
            *(f"{row[why]:,}" for why in reasons),
        )
        for row in counted.iter_rows(named=True)
    ]
    show_table(screen, (*columns, *reasons), rows)


def _share(text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise CotgenError(f"'{text}' is no share; write it as 0.3 or 3/10") from None
