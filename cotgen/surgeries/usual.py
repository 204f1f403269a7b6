"""Usual: what is done, and which phase it is, most often where these instruments are; counted over train surgeries.

A model that answers with what is usual is right in 40 % of CholecT50's frames without a look at the picture. A balanced
build holds such frames down, so it has to know them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from cotgen.ontology.triplets import Triplet, rank_of
from cotgen.records import Record
from cotgen.sources.base import SurgeryFacts
from cotgen.surgeries.priors import PHASE_BY_SET, count_priors

#: Whose acts are counted: the text, which has all of a frame.
_ACTS = "cholect50.triplet"


class Usual(Record):
    """The most frequent triplet and phase by what is in view.

    Attributes:
        surgeries: the train surgeries that were counted.
        triplets: instrument -> its most frequent triplet, idle ones counted.
        phases: instruments in view as `given_set` writes them -> their most frequent phase.
    """

    surgeries: list[str] = []
    triplets: dict[str, list[str]] = {}
    phases: dict[str, str] = {}

    def fits(self, acts: Collection[Triplet]) -> bool | None:
        """Whether the usual triplet of each instrument that acts or idles here gives this set; None if none is known."""
        if not self.triplets:
            return None
        usual = {tuple(self.triplets.get(instrument, ())) for instrument, _, _ in acts}
        return usual == set(acts)


def count_usual(facts: Iterable[Sequence[SurgeryFacts]], split_table: str) -> Usual:
    """Count over train surgeries; of two that are equally frequent, the first in the data set's list or by name.

    Args:
        facts: for each surgery the facts of its sources.
        split_table: the name of a `SplitPlan`.

    Raises:
        CotgenError: as `count_priors`.
    """
    acts: Counter[Triplet] = Counter()

    def counted() -> Iterator[Sequence[SurgeryFacts]]:
        for items in facts:
            for item in items:
                for source, kind, terms in item.facts.select("source", "kind", "terms").iter_rows():
                    if f"{source}.{kind}" == _ACTS:
                        acts[terms[0], terms[1], terms[2]] += 1
            yield items

    priors = count_priors(counted(), split_table)
    triplets: dict[str, list[str]] = {}
    for triplet, _ in sorted(acts.items(), key=lambda entry: (-entry[1], rank_of(entry[0]), entry[0])):
        triplets.setdefault(triplet[0], list(triplet))
    phases = {
        given: min(row.items(), key=lambda entry: (-entry[1][0], entry[0]))[0]
        for given, row in priors.tables[PHASE_BY_SET].items()
    }
    return Usual(surgeries=priors.surgeries, triplets=triplets, phases=phases)
