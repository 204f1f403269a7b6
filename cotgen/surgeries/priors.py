"""Priors: how often an answer goes with what is seen, counted over train surgeries.

A prior speaks in one direction, P(said | seen): of the frames that show these instruments, how many are of this phase.
All comparisons are of integers, so a share on a border falls on the same side on every machine.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

from pydantic import Field

from cotgen.errors import CotgenError
from cotgen.ontology import terms_of
from cotgen.records import Record
from cotgen.sources.base import SurgeryFacts
from cotgen.surgeries.identity import canonical, order_of
from cotgen.surgeries.splits import SplitPlan

#: Given the exact set of instruments in view: ids in ontology order joined by `+`, `none` for the empty set.
PHASE_BY_SET = "phase|instruments"
#: Given one instrument in view, whatever else is.
PHASE_BY_ONE = "phase|instrument"
NO_INSTRUMENT = "none"
#: A share says nothing of operations in general unless the answer was seen with it in so many of them.
LEAST_SURGERIES = 5

_Counts: TypeAlias = dict[str, dict[str, dict[str, list[int]]]]


class Priors(Record):
    """Counts over the train surgeries of one split table.

    Attributes:
        schema_: `cotgen/priors/1`; called `schema` on disk.
        source: the source whose labels were counted.
        split_table: the split whose train surgeries were counted, `clean/1`.
        surgeries: those surgeries, sorted.
        tables: table -> what is seen -> what is said -> [frames, surgeries].
    """

    schema_: Literal["cotgen/priors/1"] = Field(default="cotgen/priors/1", alias="schema")
    source: str
    split_table: str
    surgeries: list[str]
    tables: _Counts

    def counts(self, table: str, given: str, answer: str) -> tuple[int, int, int]:
        """Frames with `given` and `answer`, frames with `given`, surgeries that have both. (0, 0, 0) if never seen."""
        row = self.tables.get(table, {}).get(given, {})
        frames, surgeries = row.get(answer, [0, 0])
        return frames, sum(entry[0] for entry in row.values()), surgeries

    def support(self, table: str, given: str, answer: str) -> Literal["strong", "weak", "asserted"]:
        """How far `given` carries `answer`.

        `strong`: at least 90 % of the frames, and seen together in at least five surgeries; `weak`: at least half of
        the frames; else `asserted`.
        """
        frames, total, surgeries = self.counts(table, given, answer)
        if total and 100 * frames >= 90 * total and surgeries >= LEAST_SURGERIES:
            return "strong"
        return "weak" if total and 2 * frames >= total else "asserted"

    def word(self, table: str, given: str, answers: Sequence[str]) -> str:
        """How often one of `answers` goes with `given`, as a word; the number stays in the file.

        `almost always` from 95 % (one of the answers in at least five surgeries), `typically` from 75, `often` from
        40, `sometimes` from 10, else `rarely`.

        Raises:
            KeyError: `given` was never seen, so no word is true.
        """
        found = [self.counts(table, given, answer) for answer in dict.fromkeys(answers)]
        total = sum(entry[0] for entry in self.tables.get(table, {}).get(given, {}).values())
        if not total:
            raise KeyError(f"{table}={given}")
        frames = sum(entry[0] for entry in found)
        surgeries = max((entry[2] for entry in found), default=0)
        if 100 * frames >= 95 * total and surgeries >= LEAST_SURGERIES:
            return "almost always"
        for least, word in ((75, "typically"), (40, "often"), (10, "sometimes")):
            if 100 * frames >= least * total:
                return word
        return "rarely"

    def resolve(self, name: str) -> tuple[int, int, int]:
        """The counts that `TABLE=GIVEN>ANSWER`, the name in `prior:` evidence, stands for.

        Raises:
            KeyError: the name is not of that form, or `GIVEN` was never seen.
        """
        table, equals, rest = name.partition("=")
        given, arrow, answer = rest.partition(">")
        if not (equals and arrow and answer) or given not in self.tables.get(table, {}):
            raise KeyError(name)
        return self.counts(table, given, answer)


def prior_name(table: str, given: str, answer: str) -> str:
    """The name that `Priors.resolve` reads."""
    return f"{table}={given}>{answer}"


def given_set(instruments: Iterable[str]) -> str:
    """Term ids -> the key of `PHASE_BY_SET`: ontology order, joined by `+`, `none` for the empty set."""
    wanted = set(instruments)
    return "+".join(item.id for item in terms_of("instrument") if item.id in wanted) or NO_INSTRUMENT


def count_priors(facts: Iterable[SurgeryFacts], split_table: str) -> Priors:
    """Count over train surgeries, one at a time.

    Frames count where both instruments and phase are labelled.

    Args:
        facts: one source's facts, one entry per surgery; read once, so a generator keeps memory flat.
        split_table: the name of a `SplitPlan`, `clean/1`.

    Raises:
        CotgenError: a surgery is not a train surgery of that table or comes twice, or sources are mixed.
    """
    plan = SplitPlan.parse(split_table.split("+"))
    surgeries: list[str] = []
    sources: set[str] = set()
    tables: dict[str, dict[str, dict[str, list[int]]]] = {PHASE_BY_SET: {}, PHASE_BY_ONE: {}}
    for item in facts:
        split = plan.of(item.surgery)
        if split != "train":
            raise CotgenError(
                f"{item.surgery} is {f'a {split} surgery' if split else 'not'} in {plan.name}; statistics come from "
                "train surgeries alone, so leave it out"
            )
        if canonical(item.surgery) in map(canonical, surgeries):
            raise CotgenError(f"{item.surgery} was given twice; count each surgery once")
        surgeries.append(item.surgery)
        sources |= {name.partition(".")[0] for name in item.labelled["name"].unique()}
        if len(sources) > 1:
            raise CotgenError(f"priors are counted from one source, not from {', '.join(sorted(sources))} together")
        _add(tables, _count(item))
    return Priors(
        source="".join(sources),
        split_table=plan.name,
        surgeries=sorted(surgeries, key=order_of),
        tables=tables,
    )


def _count(item: SurgeryFacts) -> dict[tuple[str, str, str], int]:
    """(table, given, answer) -> frames of one surgery."""
    kinds: dict[int, set[str]] = defaultdict(set)
    for index, name in item.labelled.select("index", "name").iter_rows():
        kinds[index].add(name.partition(".")[2])
    seen: dict[str, dict[int, list[str]]] = {"phase": defaultdict(list), "instrument": defaultdict(list)}
    for index, kind, terms in item.facts.select("index", "kind", "terms").iter_rows():
        if kind in seen:
            seen[kind][index].append(terms[0])
    found: dict[tuple[str, str, str], int] = defaultdict(int)
    for index, labelled in kinds.items():
        phases = seen["phase"].get(index, [])
        if not {"phase", "instrument"} <= labelled or len(phases) != 1:
            continue
        instruments = seen["instrument"].get(index, [])
        found[PHASE_BY_SET, given_set(instruments), phases[0]] += 1
        for instrument in set(instruments):
            found[PHASE_BY_ONE, instrument, phases[0]] += 1
    return found


def _add(tables: _Counts, found: dict[tuple[str, str, str], int]) -> None:
    for (table, given, answer), frames in found.items():
        entry = tables[table].setdefault(given, {}).setdefault(answer, [0, 0])
        entry[0] += frames
        entry[1] += 1
