"""Every overlap that is known, written down here a second time, from what the owners of the data sets published."""

from itertools import combinations

import pytest

from cotgen.surgeries.identity import canonical, known_sources, members, surgery_id, untraced
from cotgen.surgeries.overlaps import Overlap, overlaps
from cotgen.surgeries.splits import SplitPlan

ROWS = overlaps()
CLEAN = SplitPlan.parse(["clean/1"])
CHOLECT45 = [
    1, 2, 4, 5, 6, 8, 10, 12, 13, 14, 15, 18, 22, 23, 25, 26, 27, 29, 31, 32, 35, 36, 40, 42, 43, 47, 48, 49, 50, 51, 52,
    56, 57, 60, 62, 65, 66, 68, 70, 73, 74, 75, 78, 79, 80,
]  # fmt: skip
OUTSIDE = [92, 96, 103, 110, 111]
#: (one source, another) -> pairs of their numbers that are one operation: all that are known.
KNOWN: dict[tuple[str, str], list[tuple[int, int]]] = {
    ("cholec80", "cholect50"): [(n, n) for n in CHOLECT45],
    ("cholec80", "cholect45"): [(n, n) for n in CHOLECT45],
    ("cholect45", "cholect50"): [(n, n) for n in CHOLECT45],
    ("cholec80", "endoscapes"): [(67, 1), (68, 2), (70, 3), (71, 4), (72, 7), (66, 121)],
    ("cholect50", "endoscapes"): [(68, 2), (70, 3), (96, 10), (110, 33), (66, 121), (103, 127)],
    ("cholect50", "cholecseg8k"): [(n, n) for n in (1, 12, 18, 25, 26, 27, 35, 43, 48, 52)],
    ("cholec80", "cholectrack20"): [(n, n) for n in (1, 2, 4, 6, 7, 11, 12, 13, 17, 23, 25, 30, 31, 37, 39)],
    ("cholect50", "cholectrack20"): [(n, n) for n in (1, 2, 4, 6, 12, 13, 23, 25, 31, *OUTSIDE)],
    ("cholectrack20", "endoscapes"): [(96, 10), (110, 33), (103, 127)],
    ("cholec80", "cholec80boxes"): [(n, n) for n in range(41, 46)],
    ("cholect45", "ssgvqa"): [(n, n) for n in CHOLECT45],
    ("grasp", "psi_ava"): [(n, n) for n in (1, 2, 3, 4, 7, 14, 15, 21)],
}


@pytest.mark.parametrize(("one", "other"), KNOWN)
def test_a_known_overlap_is_one_operation_with_one_split(one: str, other: str) -> None:
    known = KNOWN[one, other]
    shared = {surgery_id(one, n) for n in members(one)} & {surgery_id(other, n) for n in members(other)}
    assert {surgery_id(one, n) for n, _ in known} == {surgery_id(other, n) for _, n in known} == shared
    assert [CLEAN.of(f"{one}/{n}") for n, _ in known] == [CLEAN.of(f"{other}/{n}") for _, n in known]


@pytest.mark.parametrize(("one", "other"), list(combinations(known_sources(), 2)))
def test_both_sides_of_every_overlap_have_one_split(one: str, other: str) -> None:
    """For every pair of sources: no operation of the one is in another split in the other."""
    named = {source: {f"{source}/{n}" for n in members(source)} for source in (one, other)}
    split = {source: {canonical(name): CLEAN.of(name) for name in named[source]} for source in (one, other)}
    for operation in split[one].keys() & split[other].keys():
        assert split[one][operation] == split[other][operation]


def test_the_test_surgeries_of_endoscapes_are_nobody_elses() -> None:
    assert not {row.name for row in ROWS if row.source == "endoscapes"} & {str(n) for n in range(162, 202)}


def row(source: str, name: str) -> Overlap:
    return next(row for row in ROWS if (row.source, row.name) == (source, name))


def test_a_row_tells_the_clock_from_the_operation() -> None:
    found = row("cholect50", "68")
    assert found.operations == ("cholec80/68",) and found.split == "train"
    assert found.same_clock == ("cholec80/68", "cholect45/68", "cholecinstanceseg/68")
    assert found.same_operation == ("cholec80cvs/68", "ssgvqa/68", "endoscapes/2")
    assert found.perhaps == ("m2cai16_tool", "m2cai16_tool_locations")
    its = row("endoscapes", "2")
    assert its.same_clock == () and "cholect50/68" in its.same_operation and its.split == "train"


def test_rows_are_mutual() -> None:
    others = {f"{row.source}/{row.name}": {*row.same_clock, *row.same_operation} for row in ROWS}
    for name, its in others.items():
        assert all(name in others[other] for other in its)


def test_what_is_known_as_a_set_is_shown_as_one() -> None:
    found = row("m2cai16_tool", "11")
    assert found.operations == ("cholec80/61", "cholec80/62", "cholec80/64", "cholec80/65", "cholec80/66")
    assert found.split is None and found.same_operation == ("m2cai16_tool_locations/11",)
    assert row("cholec80", "61").perhaps == ("m2cai16_tool", "m2cai16_tool_locations")
    assert "m2cai16_workflow" in row("cholec80", "77").perhaps
    assert {"m2cai16_workflow", "lapgyn4"} <= untraced().keys()


def test_rows_follow_the_split_that_is_given() -> None:
    halves = overlaps(SplitPlan.parse(["cholec80=40_40"]))
    assert {row.split for row in halves if row.source == "m2cai16_tool"} == {"test"}
    assert {row.split for row in halves if row.operations == ("cholec80/111",)} == {None}


def test_a_surgery_that_nobody_shares_has_no_row() -> None:
    assert {row.source for row in ROWS} & {"multibypass140", "sar_rarp50"} == set()
    assert not any(row.source == "endoscapes" and row.name == "5" for row in ROWS)
