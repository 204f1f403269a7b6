"""Statistics: the record of the numbers about one folder. Integers are counts; what is derived from them is computed.

Nothing in it tells where the folder lies or when it was looked at, so equal folders have equal bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field

from cotgen.records.base import Record

STATISTICS_SCHEMA: Literal["cotgen/statistics/1"] = "cotgen/statistics/1"
#: Columns and rows of the maps of boxes.
GRID = (32, 18)
#: Upper limits of the classes of box areas, in thousandths of the picture; the last class has none.
AREAS = (5, 10, 20, 50, 100, 200, 500)
#: What the design asks of 1,000 chains with equal facts: bits over plans and skeletons, the largest share of one plan.
PLAN_BITS, SKELETON_BITS, MOST_PLAN = 4.0, 7.0, 0.15
#: Fewer chains cannot have so many bits, so nothing is said about them.
ENOUGH_CHAINS = 500


class PairCount(Record):
    """Pairs of one split, task, writer, support and set of sources."""

    split: str
    task: str
    writer: str
    sources: list[str]
    support: str
    pairs: int


class Balance(Record):
    """How often each class is the answer to one kind of question in one split.

    Attributes:
        task: name of the task.
        kind: kind of question, `triplet.doing`.
        split: train, validation or test.
        pairs: questions.
        many: whether answers are sets: then the counts of the classes add up to more than `pairs`.
        classes: class -> pairs whose answer holds it; 0 for those that only other splits have.
        subjects: what the questions name -> pairs; empty where they name nothing.
        answers: number of different answers.
        commonest: the most frequent whole answer, as classes joined by "; ".
        commonest_pairs: how many pairs have it.
    """

    task: str
    kind: str
    split: str
    pairs: int
    many: bool
    classes: dict[str, int]
    subjects: dict[str, int]
    answers: int
    commonest: str
    commonest_pairs: int

    @property
    def majority(self) -> float:
        """Share of the pairs that the most frequent whole answer would be right for."""
        return self.commonest_pairs / self.pairs if self.pairs else 0.0

    @property
    def uniform(self) -> float:
        """Share of each class if all were equally frequent; 0 for sets, where there is no such share."""
        return 0.0 if self.many or not self.classes else 1 / len(self.classes)

    @property
    def bits(self) -> float:
        """Entropy of the classes; at most log2 of their number. 0 for sets."""
        return 0.0 if self.many else bits_of(self.classes.values())

    def ranked(self) -> list[tuple[str, int]]:
        """Classes with their pairs, the most frequent first."""
        return sorted(self.classes.items(), key=lambda item: (-item[1], item[0]))

    def rare(self, *, pairs: int = 50, per_mille: int = 5) -> list[tuple[str, int]]:
        """Classes under so many pairs or thousandths of the pairs, the rarest first."""
        found = [(name, n) for name, n in self.classes.items() if n < pairs or 1000 * n < per_mille * self.pairs]
        return sorted(found, key=lambda item: (item[1], item[0]))


class Segment(Record):
    """A stretch of one phase, in seconds of the surgery's clock."""

    start_s: float
    end_s: float
    phase: str


class Ribbon(Record):
    """The phases of one surgery as one source labels them, as far as its frames are in the folder."""

    surgery: str
    split: str
    source: str
    segments: list[Segment]


class Together(Record):
    """Things of one kind that one source names in the same frame.

    Attributes:
        source: whose labels.
        kind: `instrument`, `triplet` (its instruments) or `anatomy`.
        frames: frames where the source labels that kind.
        terms: rows and columns, in ontology order.
        counts: frames that have both; on the diagonal, frames that have it.
    """

    source: str
    kind: str
    frames: int
    terms: list[str]
    counts: list[list[int]]

    def expected(self, row: int, column: int) -> float:
        """Frames with both if they were independent of one another."""
        return self.counts[row][row] * self.counts[column][column] / self.frames if self.frames else 0.0


class TripletCount(Record):
    """Frames of one split in which one source names a triplet."""

    source: str
    split: str
    terms: list[str]
    frames: int


class Boxes(Record):
    """Sizes and places of the boxes of one thing.

    Attributes:
        source: whose boxes.
        term: what is boxed; of a triplet its instrument.
        boxes: how many.
        areas: boxes by area, in the classes that `AREAS` limits.
        cover: for each cell of the picture (18 rows of 32), how many boxes lie over its centre.
    """

    source: str
    term: str
    boxes: int
    areas: list[int]
    cover: list[list[int]]


class Spread(Record):
    """A distribution of whole numbers: quantiles are values that occur (the smallest with at least that share)."""

    total: int
    least: int
    q05: int
    q25: int
    median: int
    q75: int
    q95: int
    most: int

    @classmethod
    def of(cls, counts: Mapping[int, int]) -> Spread:
        """From value -> how often. Raises ValueError if nothing was counted."""
        n = sum(counts.values())
        if not n:
            raise ValueError("nothing was counted")
        values = sorted(counts)

        def quantile(per_cent: int) -> int:
            seen = 0
            for value in values:
                seen += counts[value]
                if 100 * seen >= per_cent * n:
                    return value
            return values[-1]

        cuts = {name: quantile(p) for name, p in (("q05", 5), ("q25", 25), ("median", 50), ("q75", 75), ("q95", 95))}
        return cls(total=sum(v * counts[v] for v in values), least=values[0], most=values[-1], **cuts)


class Length(Record):
    """How long one level of the chains of one task and writer is; a chain without that level counts as 0."""

    task: str
    writer: str
    level: int
    chains: int
    sentences: Spread
    words: Spread


class BasisCount(Record):
    """Sentences of one basis."""

    task: str
    writer: str
    level: int
    basis: str
    sentences: int


class Skeleton(Record):
    """A form of text: terms, boxes and numbers masked, function words removed.

    Attributes:
        text: the form.
        chains: how many of those looked at have it.
        example: `key#id` of one of them.
        sentences: that chain.
    """

    text: str
    chains: int
    example: str
    sentences: list[str]


class Diversity(Record):
    """How varied the chains of one task are: over the task, and where it counts, among chains with equal facts.

    Attributes:
        task: name of the task.
        chains: drawn and looked at, over the whole task.
        skeletons: different ones among them.
        skeleton_bits: entropy over these.
        most: the most frequent ones, with an example each.
        cell: pair id of the most frequent cell of equal facts, question and answer.
        cell_answer: its answer.
        cell_chains: drawn and looked at, of that cell.
        cell_plan_bits: entropy over their plans.
        cell_skeleton_bits: entropy over their skeletons.
        cell_plan_pairs: chains of the most frequent plan.
    """

    task: str
    chains: int
    skeletons: int
    skeleton_bits: float
    most: list[Skeleton]
    cell: str
    cell_answer: str
    cell_chains: int
    cell_plan_bits: float
    cell_skeleton_bits: float
    cell_plan_pairs: int

    @property
    def enough(self) -> bool:
        """Whether the cell has chains enough to be held against the floors."""
        return self.cell_chains >= ENOUGH_CHAINS

    @property
    def plan_share(self) -> float:
        """Share of the most frequent plan in the cell."""
        return self.cell_plan_pairs / self.cell_chains if self.cell_chains else 0.0


class FindingCount(Record):
    """Pairs of one task and writer with a soft finding of one check."""

    check: str
    task: str
    writer: str
    pairs: int


class TermAgreement(Record):
    """Frames in which both, or only one, of two sources name a term."""

    term: str
    both: int
    one_only: int
    other_only: int


class Agreement(Record):
    """Two sources that label the same kind of thing in the same frames.

    Attributes:
        kind: `phase` or `instrument`.
        one: a source.
        other: another one.
        frames: frames that both label.
        equal: frames in which they name the same terms of those that both know.
        terms: term by term.
    """

    kind: str
    one: str
    other: str
    frames: int
    equal: int
    terms: list[TermAgreement]

    def kappa(self, term: TermAgreement) -> float:
        """Cohen's kappa of one term: agreement beyond that of independent sources; 0 where it is not defined."""
        n = self.frames
        a, b = term.both + term.one_only, term.both + term.other_only
        observed = n - term.one_only - term.other_only
        by_chance = a * b + (n - a) * (n - b)
        return (n * observed - by_chance) / (n * n - by_chance) if n * n != by_chance else 0.0


class ReviewShare(Record):
    """What people said of the sentences of one basis and writer.

    Attributes:
        basis: of the sentences, or `chain` for whole chains.
        writer: who wrote them.
        right: accepted.
        wrong: not accepted.
        unsure: nobody who marked it could tell.
        low: lower end of the 95 % interval of the share of right among right and wrong (Wilson 1927).
        high: upper end.
    """

    basis: str
    writer: str
    right: int
    wrong: int
    unsure: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """Right among right and wrong; 0 where there are none."""
        decided = self.right + self.wrong
        return self.right / decided if decided else 0.0


class Statistics(Record):
    """The numbers about one folder.

    Attributes:
        fingerprint: of the folder, as its manifest has it.
        build: `build`, `hydrated`, `refined` or `merged`.
        split_table: name of the split.
        titles: source -> title.
        surgeries: split -> operations.
        samples: split -> frames.
        pictures: frames whose picture is stored.
        read: frames that were read in the shards; counts of `pairs`, `balance` and `findings` are of all.
        pairs: pairs by split, task, writer, sources and support.
        balance: classes of answers.
        ribbons: phases over time.
        together: what is named in the same frame.
        triplets: who does what to what.
        boxes: sizes and places.
        lengths: how long chains are.
        bases: what sentences rest on.
        diversity: how varied chains are.
        findings: soft findings by check.
        found: pairs with any soft finding.
        disputed: kind of fact -> frames where sources contradict one another, of which nothing is asked.
        agreement: labels of two sources side by side.
        reviews: what people accepted; empty where nobody looked.
    """

    schema_: Literal["cotgen/statistics/1"] = Field(default=STATISTICS_SCHEMA, alias="schema")
    fingerprint: str
    build: str
    split_table: str
    titles: dict[str, str]
    surgeries: dict[str, int]
    samples: dict[str, int]
    pictures: int
    read: int
    pairs: list[PairCount]
    balance: list[Balance]
    ribbons: list[Ribbon]
    together: list[Together]
    triplets: list[TripletCount]
    boxes: list[Boxes]
    lengths: list[Length]
    bases: list[BasisCount]
    diversity: list[Diversity]
    findings: list[FindingCount]
    found: int
    disputed: dict[str, int]
    agreement: list[Agreement]
    reviews: list[ReviewShare] = []

    def by(self, *columns: str) -> dict[tuple[str, ...], int]:
        """Pairs by some of `split`, `task`, `writer`, `source`, `support`; a pair of two sources counts for both."""
        found: dict[tuple[str, ...], int] = {}
        for row in self.pairs:
            names: Iterable[str] = row.sources if "source" in columns else [""]
            for source in names:
                values: Mapping[str, Any] = {**row.model_dump(), "source": source}
                key = tuple(values[column] for column in columns)
                found[key] = found.get(key, 0) + row.pairs
        return found

    @property
    def total(self) -> int:
        """All pairs."""
        return sum(row.pairs for row in self.pairs)

    def tasks(self) -> list[str]:
        """The tasks that have pairs, in the order of the counts of `pairs`."""
        return list(dict.fromkeys(row.task for row in self.pairs))


def bits_of(counts: Iterable[int]) -> float:
    """Shannon entropy in bits of these frequencies, summed in their order of size so that it is the same everywhere."""
    sizes = sorted(n for n in counts if n)
    total = sum(sizes)
    return math.fsum(-n / total * math.log2(n / total) for n in sizes) if total else 0.0
