"""What a person should look at first: sentences about rare, missing and dominant answers, plans, findings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby

from cotgen.inspect.classes import display
from cotgen.inspect.record import MOST_PLAN, PLAN_BITS, SKELETON_BITS, Balance, Statistics
from cotgen.records import SPLITS

#: A class of train under so many pairs is hard to learn, one of the other splits hard to measure.
LEAST_PAIRS = 50
#: A share of one whole answer from which on it dominates, where there are more than two.
DOMINANT = 0.5
_DOMINANT_OF_TWO = 0.6
#: Pairs with a soft finding that are worth a look, as a share.
_MANY_FINDINGS = 0.05
#: Of a list so many are named, and of what is missing none where it is more than so many.
_NAMED, _MANY = 3, 10


def remarks(statistics: Statistics, *, least: int = LEAST_PAIRS) -> list[str]:
    """Sentences, the gravest first; none where all is well.

    Args:
        statistics: of a folder.
        least: pairs below which a class is called rare.
    """
    if not statistics.total:
        return ["There is not one pair in it."]
    said: dict[str, list[str]] = {}
    for about, text in (
        *_empty_splits(statistics),
        *_dominant(statistics),
        *_plans(statistics),
        *_missing(statistics),
        *_rare(statistics, least),
        *_suspects(statistics),
    ):
        said.setdefault(text, []).append(about)
    # What is true of several kinds of question is one sentence.
    return [f"{', '.join(about)}: {text}" if about[0] else text for text, about in said.items()]


def _empty_splits(statistics: Statistics) -> Iterator[tuple[str, str]]:
    here = statistics.by("split")
    for split in SPLITS:
        if (split,) not in here:
            what = "nothing can be learned from it" if split == "train" else "nothing can be measured on it"
            yield "", f"The {split} split is empty: {what}."


def _missing(statistics: Statistics) -> Iterator[tuple[str, str]]:
    splits = {split for (split,) in statistics.by("split")}
    asked: dict[str, set[str]] = defaultdict(set)
    for row in statistics.balance:
        asked[row.kind].add(row.split)
    absent: dict[str, list[str]] = defaultdict(list)
    for kind, found in asked.items():
        for split in sorted(splits - found, key=SPLITS.index):
            absent[split].append(kind)
    for kinds in dict.fromkeys(map(tuple, absent.values())):
        where = [split for split in SPLITS if tuple(absent.get(split, ())) == kinds]
        have = "has" if len(where) == 1 else "have"
        yield "", f"{' and '.join(where).capitalize()} {have} no question of {_listed(kinds)}, unlike other splits."
    for kind, rows in _by_kind(statistics):
        lacking = []
        for row in rows:
            none = sorted(name for name, n in row.classes.items() if not n)
            if len(none) > _MANY:
                lacking.append(f"{row.split} lacks {len(none)} of {len(row.classes)} classes")
            elif none:
                lacking.append(f"{row.split} lacks {_listed([display(name) for name in none])}")
        if lacking:
            yield kind, f"{'; '.join(lacking)}."


def _dominant(statistics: Statistics) -> Iterator[tuple[str, str]]:
    for kind, rows in _by_kind(statistics):
        found: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            if row.majority > (DOMINANT if row.answers > 2 else _DOMINANT_OF_TWO):
                found[row.commonest].append(f"{100 * row.majority:.0f} % of {row.split}")
        for answer, shares in found.items():
            said = "; ".join(display(name) for name in answer.split("; "))
            yield kind, f"one answer dominates ({said}): {', '.join(shares)}. Always saying it is right that often."


def _plans(statistics: Statistics) -> Iterator[tuple[str, str]]:
    for row in statistics.diversity:
        short = []
        if row.plan_share > MOST_PLAN:
            short.append(f"one plan is {100 * row.plan_share:.0f} % (aim: at most {100 * MOST_PLAN:.0f} %)")
        if row.cell_plan_bits < PLAN_BITS:
            short.append(f"plans have {row.cell_plan_bits:.1f} bits (aim: {PLAN_BITS:g})")
        if row.cell_skeleton_bits < SKELETON_BITS:
            short.append(f"skeletons have {row.cell_skeleton_bits:.1f} bits (aim: {SKELETON_BITS:g})")
        if short and row.enough:
            where = f"among {row.cell_chains:,} chains of {row.cell} with equal facts"
            yield row.task, f"templates show through: {where} {', '.join(short)}."


def _rare(statistics: Statistics, least: int) -> Iterator[tuple[str, str]]:
    for kind, rows in _by_kind(statistics):
        told = []
        for row in rows:
            found = [(name, n) for name, n in row.rare(pairs=least, per_mille=0) if n]
            if found:
                named = _listed([f"{display(name)}: {n}" for name, n in found])
                told.append(f"{row.split} {len(found)} of {len(row.classes)} ({named})")
        if told:
            yield kind, f"classes under {least} pairs: {'; '.join(told)}."


def _by_kind(statistics: Statistics) -> Iterator[tuple[str, list[Balance]]]:
    for kind, rows in groupby(statistics.balance, key=lambda row: row.kind):
        yield kind, list(rows)


def _suspects(statistics: Statistics) -> Iterator[tuple[str, str]]:
    if statistics.found > _MANY_FINDINGS * statistics.total:
        share = 100 * statistics.found / statistics.total
        yield "", f"{share:.0f} % of the pairs have a soft finding: labels that are unlikely beside each other."


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
