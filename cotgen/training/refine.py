"""Refine: which of a policy's own chains are kept, prompt by prompt.

A sample is kept where its answer is right, its form whole, every sentence has evidence (`cotgen.chains.grounds`), every
check of a stored chain passes, the chain carries its answer (support `asserted` is no reasoning), and it tells of the
facts that are due. Of those the one with the best claim F1 comes first, then the one nearest to the median length; another
one of the same prompt is kept where both its plan and its words differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cotgen.chains.checks import check_pair
from cotgen.chains.diversity import entropy_bits, plan, skeleton
from cotgen.chains.grounds import grounded
from cotgen.chains.render import render_levels
from cotgen.errors import CotgenError
from cotgen.records import Finding, Pair
from cotgen.surgeries.priors import Priors
from cotgen.tasks import TASKS
from cotgen.tasks.localization import LOCALIZATION
from cotgen.training.prompts import Row
from cotgen.training.reply import BoxReader, Reply, read_reply
from cotgen.training.tally import tally


@dataclass(frozen=True, slots=True)
class Keeping:
    """What is kept.

    Attributes:
        reader: how the policy writes boxes: the `read` of its box format.
        opened: whether the chat template ends the prompt with `<think>`.
        least_iou: from which IoU on a box of an answer is right.
        distinct: the most chains of a prompt.
        most_right: a prompt of which a larger share of samples is right teaches nothing new and is left out.
    """

    reader: BoxReader
    opened: bool = False
    least_iou: float = 0.5
    distinct: int = 1
    most_right: float = 1.0

    def __post_init__(self) -> None:
        """Raises CotgenError for a value that means nothing."""
        if not 0 < self.least_iou <= 1:
            raise CotgenError("least_iou is above 0 and at most 1")
        if self.distinct < 1:
            raise CotgenError("distinct is 1 or more: the most chains of a prompt")
        if not 0 < self.most_right <= 1:
            raise CotgenError("most_right is a share of samples, above 0 and at most 1")


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of the samples of one prompt.

    Attributes:
        pairs: the chains that are kept, the best first.
        right: samples with the right answer.
        refused: why each other sample is not kept: `lost` (no text came), `answer`, `form`, `repeated`, `asserted`,
            `faithfulness`, `easy`, `beyond` (others of the prompt were better), or the check that it did not pass.
    """

    pairs: tuple[Pair, ...]
    right: int
    refused: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Chain:
    pair: Pair
    faithfulness: float
    length: int


def judge(
    texts: Sequence[str | None], row: Row, asked: Pair, writer: str, priors: Priors | None, keeping: Keeping
) -> Judged:
    """Judge the samples of one prompt.

    Args:
        texts: as the policy wrote them; None for one that was cut or lost.
        row: the prompt, as rewards see it.
        asked: the stored pair of that prompt.
        writer: `policy/1`.
        priors: statistics of the train surgeries, or None.
        keeping: what is kept.
    """
    refused: Counter[str] = Counter()
    sound: dict[str, _Chain] = {}
    right = 0
    for text in texts:
        if text is None:
            refused["lost"] += 1
            continue
        reply = read_reply(text, row, keeping.reader, keeping.opened)
        if not is_right(reply, row, keeping.least_iou):
            refused["answer" if reply.answer is not None else "form"] += 1
            continue
        right += 1
        found = _sound(text, reply, row, asked, writer, priors, keeping)
        if isinstance(found, str):
            refused[found] += 1
        elif (words := render_levels(found.pair.statements)) in sound:
            refused["repeated"] += 1
        else:
            sound[words] = found
    easy = right > keeping.most_right * len(texts)
    best = [] if easy else _best(list(sound.values()), keeping.distinct)
    if more := len(sound) - len(best):
        refused["easy" if easy else "beyond"] += more
    return Judged(tuple(chain.pair for chain in best), right, refused)


def is_right(reply: Reply, row: Row, least_iou: float) -> bool:
    """Whether an answer is wholly right: score 1 by its task; of boxes, each one of the truth and no other."""
    if reply.answer is None:
        return False
    if row.task == LOCALIZATION.name:
        return LOCALIZATION.right(reply.answer, row.question, least_iou)
    return TASKS[row.task].score(reply.answer, row.question) == 1.0


def _sound(
    text: str, reply: Reply, row: Row, asked: Pair, writer: str, priors: Priors | None, keeping: Keeping
) -> _Chain | str:
    """The chain of a right sample, or the check that it does not pass."""
    if not reply.whole:
        return "form"
    pair = grounded(reply.chain, reply.boxes, row.scene, asked, writer, priors)
    if isinstance(pair, Finding):
        return pair.check
    findings = check_pair(pair, row.scene, priors)
    if hard := next((finding.check for finding in findings if finding.severity == "hard"), ""):
        return hard
    if pair.support == "asserted":
        return "asserted"
    faithfulness = tally(text, row, keeping.reader, keeping.opened).faithfulness
    if faithfulness == 0:
        return "faithfulness"
    pair = pair.model_copy(update={"findings": findings}) if findings else pair
    # Whether facts are due depends on the prompt, so it is None for all of its samples or for none.
    return _Chain(pair, 0.0 if faithfulness is None else faithfulness, len(render_levels(pair.statements)))


def _best(chains: Sequence[_Chain], most: int) -> list[_Chain]:
    """The best ones, of which no two share their plan or their words."""
    lengths = sorted(chain.length for chain in chains)
    # Twice the median, so that it is an integer.
    median = lengths[len(lengths) // 2] + lengths[(len(lengths) - 1) // 2] if lengths else 0
    ranked = sorted(chains, key=lambda chain: (-chain.faithfulness, abs(2 * chain.length - median)))
    chosen: list[_Chain] = []
    plans, words = set(), set()
    for chain in ranked:
        if len(chosen) == most:
            break
        if plan(chain.pair) not in plans and skeleton(chain.pair) not in words:
            chosen.append(chain)
            plans.add(plan(chain.pair))
            words.add(skeleton(chain.pair))
    return chosen


class Account:
    """What became of the samples of many prompts.

    Attributes:
        prompts, samples, right, kept, chains: numbers; `right` counts samples, `kept` prompts with a chain.
        unanswered: prompts without a right sample.
        refused: samples that are not kept, by why.
    """

    def __init__(self) -> None:
        self.prompts = self.samples = self.right = self.kept = self.chains = self.unanswered = 0
        self.refused: Counter[str] = Counter()

    def add(self, judged: Judged, samples: int) -> None:
        """Take in one prompt."""
        self.prompts += 1
        self.samples += samples
        self.right += judged.right
        self.kept += bool(judged.pairs)
        self.chains += len(judged.pairs)
        self.unanswered += not judged.right
        self.refused += judged.refused

    def told(self) -> dict[str, Any]:
        """All of it as plain values."""
        names = ("prompts", "samples", "right", "kept", "chains", "unanswered")
        return {**{name: getattr(self, name) for name in names}, "refused": dict(sorted(self.refused.items()))}


def variety(pairs: Iterable[Pair]) -> dict[str, float]:
    """Bits of entropy of the plans of chains and of their masked words: a policy whose rounds lose bits narrows."""
    plans, words = [], []
    for pair in pairs:
        plans.append(plan(pair))
        words.append(skeleton(pair))
    return {"plan_bits": round(entropy_bits(plans), 2), "skeleton_bits": round(entropy_bits(words), 2)}
