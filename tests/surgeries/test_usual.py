"""What is usual for the instruments in view: counted on train, idle ones too."""

from collections.abc import Callable

import polars as pl
import pytest

from cotgen.errors import CotgenError
from cotgen.sources.base import FACTS_SCHEMA, LABELLED_SCHEMA, SurgeryFacts
from cotgen.surgeries.usual import Usual, count_usual

HOOK, GRASPER = "instrument.hook", "instrument.grasper"
RETRACT = (GRASPER, "verb.retract", "anatomy.gallbladder")
DISSECT = (HOOK, "verb.dissect", "anatomy.gallbladder")
IDLE = (HOOK, "verb.null", "anatomy.null")
SECONDS = ((RETRACT, IDLE), (RETRACT, DISSECT), (RETRACT, IDLE), (DISSECT,))


def acts(surgery: str) -> SurgeryFacts:
    rows = [
        (25 * second, f"cholect50.triplet.{n}", "triplet", list(act), [], 1.0, "cholect50")
        for second, own in enumerate(SECONDS)
        for n, act in enumerate(own)
    ]
    names = [(25 * second, "cholect50.triplet") for second in range(len(SECONDS))]
    return SurgeryFacts(
        surgery,
        pl.DataFrame(rows, schema=FACTS_SCHEMA, orient="row"),
        pl.DataFrame(names, schema=LABELLED_SCHEMA, orient="row"),
    )


def test_the_most_frequent_triplet_of_each_instrument_is_usual() -> None:
    usual = count_usual([[acts("cholec80/1")]], "clean/1")
    assert usual.surgeries == ["cholec80/1"]
    # Of two that are as frequent, the first in CholecT50's list.
    assert usual.triplets == {GRASPER: list(RETRACT), HOOK: list(DISSECT)}
    assert usual.fits([RETRACT, DISSECT]) is True
    assert usual.fits([RETRACT, IDLE]) is False


def test_nothing_in_view_is_what_habit_says_of_nothing_and_an_instrument_never_met_has_no_habit() -> None:
    usual = count_usual([[acts("cholec80/1")]], "clean/1")
    assert usual.fits([]) is True
    assert usual.fits([("instrument.scissors", "verb.cut", "anatomy.cystic_duct")]) is False
    assert Usual().fits([RETRACT]) is None


def test_the_usual_phase_is_that_of_the_exact_instruments(
    make_facts: Callable[..., SurgeryFacts],
) -> None:
    frames = [("calot_triangle_dissection", ["hook"])] * 2 + [("gallbladder_dissection", ["hook"])] * 3
    usual = count_usual([[make_facts("cholec80/1", frames)]], "clean/1")
    assert usual.phases == {HOOK: "phase.gallbladder_dissection"}


def test_only_train_surgeries_are_counted() -> None:
    with pytest.raises(CotgenError, match="statistics come from train surgeries alone"):
        count_usual([[acts("cholec80/73")]], "clean/1")
