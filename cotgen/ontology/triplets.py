"""Triplets: which instrument can do what to what, as CholecT50 lists it (S2: Nwoye et al. 2022)."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TypeAlias

import yaml

from cotgen.ontology.terms import alias

Triplet: TypeAlias = tuple[str, str, str]


@cache
def legal_triplets() -> tuple[Triplet, ...]:
    """The 100 triplets as term ids (instrument, verb, target), at the place of their id in the data set."""
    text = (resources.files("cotgen.ontology") / "triplets.yaml").read_text(encoding="utf-8")
    kinds = [alias("cholect50", kind) for kind in ("instrument", "verb", "anatomy")]
    found = []
    for entry in yaml.safe_load(text):
        instrument, verb, target = (kind[word] for kind, word in zip(kinds, entry.split(","), strict=True))
        found.append((instrument, verb, target))
    return tuple(found)


@cache
def rank_of(triplet: Triplet) -> int:
    """Where a triplet stands in the list; those that are not in it stand last. The order in which answers list them."""
    legal = legal_triplets()
    return legal.index(triplet) if triplet in legal else len(legal)
