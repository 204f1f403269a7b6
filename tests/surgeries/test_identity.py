import pytest

from cotgen.errors import CotgenError
from cotgen.surgeries.identity import aligned, family_of, order_of, surgery_id


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


def test_identity_is_not_alignment() -> None:
    assert aligned(["cholec80", "cholect50", "cholectrack20"])
    assert aligned(["endoscapes"])
    assert not aligned(["cholec80", "endoscapes"])


def test_an_unknown_source_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(CotgenError, match="cholectrack20"):
        family_of("cholec81")


def test_surgeries_sort_by_number() -> None:
    ids = ["endoscapes/12", "cholec80/103", "cholec80/92", "endoscapes/5", "cholec80/7"]
    assert sorted(ids, key=order_of) == ["cholec80/7", "cholec80/92", "cholec80/103", "endoscapes/5", "endoscapes/12"]
