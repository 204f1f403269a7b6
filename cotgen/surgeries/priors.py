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
#: Given one acting triplet, `instrument.hook+verb.dissect+anatomy.cystic_duct`, whatever else is done.
PHASE_BY_TRIPLET = "phase|triplet"
#: Given the step.
PHASE_BY_STEP = "phase|step"
TABLES = (PHASE_BY_SET, PHASE_BY_ONE, PHASE_BY_TRIPLET, PHASE_BY_STEP)
NO_INSTRUMENT = "none"
#: A share says nothing of operations in general unless the answer was seen with it in so many of them.
LEAST_SURGERIES = 5

_Counts: TypeAlias = dict[str, dict[str, dict[str, list[int]]]]


class Priors(Record):
    """Counts over the train surgeries of one split table.

    Attributes:
        schema_: `cotgen/priors/1`; called `schema` on disk.
        source: the sources whose labels were counted, joined by `+`.
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
        50, `sometimes` from 10, else `rarely`.

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
        for least, word in ((75, "typically"), (50, "often"), (10, "sometimes")):
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


def given_triplet(terms: Sequence[str]) -> str:
    """Instrument, verb and target -> the key of `PHASE_BY_TRIPLET`."""
    return "+".join(terms)


def count_priors(facts: Iterable[SurgeryFacts | Sequence[SurgeryFacts]], split_table: str) -> Priors:
    """Count over train surgeries, one at a time.

    A frame counts in a table where both of its kinds are labelled: instruments in view by Cholec80 alone, since no other
    source labels the presence of every kind; phases by the first source of the list below that has them.

    Args:
        facts: one entry per surgery, the facts of one source or of all that share its clock; read once, so a generator
            keeps memory flat.
        split_table: the name of a `SplitPlan`, `clean/1`.

    Raises:
        CotgenError: a surgery is not a train surgery of that table or comes twice, or an entry mixes surgeries.
    """
    plan = SplitPlan.parse(split_table.split("+"))
    surgeries: list[str] = []
    known: set[str] = set()
    sources: set[str] = set()
    tables: dict[str, dict[str, dict[str, list[int]]]] = {table: {} for table in TABLES}
    for entry in facts:
        items = [entry] if isinstance(entry, SurgeryFacts) else list(entry)
        surgery = items[0].surgery
        if any(item.surgery != surgery for item in items):
            raise CotgenError(
                f"{', '.join(item.surgery for item in items)} were given as one surgery; count each alone"
            )
        split = plan.of(surgery)
        if split != "train":
            raise CotgenError(
                f"{surgery} is {f'a {split} surgery' if split else 'not'} in {plan.name}; statistics come from "
                "train surgeries alone, so leave it out"
            )
        if canonical(surgery) in known:
            raise CotgenError(f"{surgery} was given twice; count each surgery once")
        known.add(canonical(surgery))
        surgeries.append(surgery)
        for item in items:
            sources |= {name.partition(".")[0] for name in item.labelled["name"].unique()}
        _add(tables, _count(items))
    return Priors(
        source="+".join(sorted(sources)),
        split_table=plan.name,
        surgeries=sorted(surgeries, key=order_of),
        tables=tables,
    )


#: Whose phases are counted where several sources label them.
_PHASES_OF = ("cholec80", "cholect50", "multibypass140")


def _count(items: Sequence[SurgeryFacts]) -> dict[tuple[str, str, str], int]:
    """(table, given, answer) -> frames of one surgery."""
    labelled: dict[int, set[str]] = defaultdict(set)
    said: dict[int, dict[str, list[list[str]]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        for index, name in item.labelled.select("index", "name").iter_rows():
            labelled[index].add(name)
        for index, source, kind, terms in item.facts.select("index", "source", "kind", "terms").iter_rows():
            said[index][f"{source}.{kind}"].append(terms)
    found: dict[tuple[str, str, str], int] = defaultdict(int)
    for index, names in labelled.items():
        facts = said.get(index, {})
        source = next((source for source in _PHASES_OF if f"{source}.phase" in names), "")
        phases = facts.get(f"{source}.phase", [])
        if len(phases) != 1:
            continue
        phase = phases[0][0]
        if "cholec80.instrument" in names:
            instruments = [terms[0] for terms in facts.get("cholec80.instrument", [])]
            found[PHASE_BY_SET, given_set(instruments), phase] += 1
            for instrument in set(instruments):
                found[PHASE_BY_ONE, instrument, phase] += 1
        for given in {given_triplet(terms) for terms in facts.get("cholect50.triplet", []) if terms[1] != "verb.null"}:
            found[PHASE_BY_TRIPLET, given, phase] += 1
        for given in {terms[0] for terms in facts.get("multibypass140.step", [])}:
            found[PHASE_BY_STEP, given, phase] += 1
    return found


def _add(tables: _Counts, found: dict[tuple[str, str, str], int]) -> None:
    for (table, given, answer), frames in found.items():
        entry = tables[table].setdefault(given, {}).setdefault(answer, [0, 0])
        entry[0] += frames
        entry[1] += 1
