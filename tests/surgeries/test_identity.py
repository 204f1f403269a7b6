import pytest

from cotgen.errors import CotgenError
from cotgen.surgeries.identity import (
    aligned,
    candidates,
    canonical,
    clock_of,
    family_of,
    known_sources,
    members,
    numbers,
    order_of,
    surgery_id,
)


def test_one_operation_has_one_id_whatever_labels_it() -> None:
    assert surgery_id("cholec80", 73) == surgery_id("cholect50", 73) == surgery_id("cholecseg8k", 73) == "cholec80/73"
    assert surgery_id("cholec80", 1) == "cholec80/1"
    assert surgery_id("cholect50", 111) == "cholec80/111"


def test_endoscapes_has_numbers_of_its_own_but_for_the_mapped_ones() -> None:
    mapped = {n: surgery_id("endoscapes", n) for n in range(1, 202) if surgery_id("endoscapes", n)[:6] == "cholec"}
    assert {n: int(surgery.partition("/")[2]) for n, surgery in mapped.items()} == {
        1: 67, 2: 68, 3: 70, 4: 71, 7: 72, 10: 96, 33: 110, 121: 66, 127: 103,
    }  # fmt: skip
    assert surgery_id("endoscapes", 5) == "endoscapes/5"


@pytest.mark.parametrize(
    ("surgery", "operation"),
    [
        ("endoscapes/2", "cholec80/68"),
        ("cholec80/073", "cholec80/73"),
        ("cholect50/073", "cholec80/73"),
        ("cholec80cvs/5", "cholec80/5"),
        ("sar_rarp50/7_1", "sar_rarp50/7"),
        ("sar_rarp50/07_12", "sar_rarp50/7"),
        ("multibypass140/BBP01", "multibypass140/bbp01"),
        ("endovis18/test1", "endovis18/test1"),
        ("psi_ava/1", "grasp/1"),
        ("table/ward_7_1", "table/ward_7_1"),
    ],
)
def test_the_operation_of_a_clock(surgery: str, operation: str) -> None:
    assert canonical(surgery) == operation
    assert canonical(operation) == operation


def test_identity_is_not_alignment() -> None:
    assert aligned(["cholec80", "cholect50", "cholectrack20"])
    assert aligned(["endoscapes"])
    assert not aligned(["cholec80", "endoscapes"])
    assert not aligned(["cholec80", "cholec80cvs"])
    assert not aligned(["endovis17", "endovis18"])
    assert clock_of("cholect50/73") == "cholec80/73" and clock_of("endoscapes/2") == "endoscapes/2"


def test_what_is_known_as_a_set_may_be_any_of_it() -> None:
    assert candidates("m2cai16_tool/11") == ("cholec80/61", "cholec80/62", "cholec80/64", "cholec80/65", "cholec80/66")
    assert candidates("m2cai16_tool_locations/1") == tuple(f"cholec80/{number}" for number in range(67, 77))
    assert candidates("endoscapes/2") == ("cholec80/68",)


def test_an_unknown_source_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(CotgenError, match="cholectrack20"):
        family_of("cholec81")


def test_a_source_whose_pictures_nobody_traced_is_an_error_that_says_so() -> None:
    with pytest.raises(CotgenError, match=r"'lapgyn4' can be in no split: some of its pictures .* are from cholec80"):
        surgery_id("lapgyn4", 3)


def test_each_source_has_as_many_surgeries_as_its_owners_say() -> None:
    counts = {source: len(members(source)) for source in known_sources()}
    assert counts == {
        "cholec80": 80, "cholect45": 45, "cholect50": 50, "cholecseg8k": 17, "cholectrack20": 20,
        "cholecinstanceseg": 85, "cholec80cvs": 80, "cholec80boxes": 5, "cholec80vqa": 40, "ssgvqa": 45,
        "endoscapes": 201, "m2cai16_tool": 15, "m2cai16_tool_locations": 15, "multibypass140": 140,
        "sar_rarp50": 50, "endovis17": 10, "endovis17_vqla": 10, "endovis18": 19, "endovis18_isinet": 15,
        "endovis18_vqa": 14, "endovis18_vqla": 14, "grasp": 13, "psi_ava": 8,
    }  # fmt: skip


def test_ranges_are_inclusive() -> None:
    assert numbers([7, "1-3"]) == [7, 1, 2, 3]
    assert numbers(["bbp08-10", "test1"]) == ["bbp08", "bbp09", "bbp10", "test1"]


def test_surgeries_sort_by_number() -> None:
    ids = ["endoscapes/12", "cholec80/103", "cholec80/92", "endoscapes/5", "cholec80/7"]
    assert sorted(ids, key=order_of) == ["cholec80/7", "cholec80/92", "cholec80/103", "endoscapes/5", "endoscapes/12"]


def test_names_sort_by_their_letters_and_then_by_their_number() -> None:
    names = ["x/test2", "x/sbp01", "x/8", "x/7_1", "x/test1", "x/bbp10", "x/bbp9", "x/7", "x/10"]
    expected = ["x/7", "x/7_1", "x/8", "x/10", "x/bbp9", "x/bbp10", "x/sbp01", "x/test1", "x/test2"]
    assert sorted(names, key=order_of) == expected
