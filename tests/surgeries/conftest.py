"""A surgery's facts from a line of text per frame, as the Cholec80 source writes them."""

from collections.abc import Callable, Sequence

import polars as pl
import pytest

from cotgen.sources.base import FACTS_SCHEMA, LABELLED_SCHEMA, SurgeryFacts


def facts_of(surgery: str, frames: Sequence[tuple[str, Sequence[str]]], source: str = "cholec80") -> SurgeryFacts:
    """One frame a second; each is (phase, instruments), both without their prefix."""
    facts, labelled = [], []
    for second, (phase, instruments) in enumerate(frames):
        index = 25 * second
        rows = [("phase", f"phase.{phase}")] * bool(phase) + [("instrument", f"instrument.{i}") for i in instruments]
        numbers = {"phase": 0, "instrument": 0}
        for kind, term in rows:
            name = f"{source}.{kind}.{numbers[kind]}"
            numbers[kind] += 1
            facts.append((index, name, kind, [term], [], 1.0, source))
        labelled += [(index, f"{source}.{kind}") for kind in ("instrument", "phase") if kind != "phase" or phase]
    return SurgeryFacts(
        surgery,
        pl.DataFrame(facts, schema=FACTS_SCHEMA, orient="row"),
        pl.DataFrame(labelled, schema=LABELLED_SCHEMA, orient="row"),
    )


@pytest.fixture
def make_facts() -> Callable[..., SurgeryFacts]:
    return facts_of
