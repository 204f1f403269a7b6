from collections import Counter
from importlib import resources

import pytest
import yaml

from cotgen.errors import CotgenError
from cotgen.surgeries.identity import order_of, surgery_id
from cotgen.surgeries.make_clean_1 import text
from cotgen.surgeries.published import camma_combined_test, numbers, published_split
from cotgen.surgeries.splits import SplitPlan, known_splits

CLEAN = SplitPlan.parse(["clean/1"])
CHOLECT50 = sorted(published_split("cholect50", "rdv").table)


def sizes(source: str, ids: list[int]) -> tuple[int, int, int]:
    found = Counter(CLEAN.of(surgery_id(source, number)) for number in ids)
    assert sum(found.values()) == len(ids)
    return found["train"], found["validation"], found["test"]


def test_clean_1_is_what_its_script_writes() -> None:
    committed = (resources.files("cotgen.surgeries") / "clean-1.yaml").read_text(encoding="utf-8")
    assert committed == text()


def test_clean_1_has_the_sizes_of_the_design() -> None:
    assert sizes("cholec80", list(range(1, 81))) == (51, 9, 20)
    assert sizes("cholect50", [int(surgery.partition("/")[2]) for surgery in CHOLECT50]) == (35, 5, 10)
    assert sizes("endoscapes", list(range(1, 202))) == (122, 39, 40)


def test_all_fifteen_test_surgeries_of_the_combined_split_are_in_test() -> None:
    assert len(camma_combined_test()) == 15
    assert {CLEAN.of(surgery) for surgery in camma_combined_test()} == {"test"}


def test_clean_1_lists_each_surgery_once_in_order() -> None:
    content = yaml.safe_load(text())
    listed = [
        (family, n) for split in ("train", "validation", "test") for family, ns in content[split].items() for n in ns
    ]
    assert len(listed) == len(set(listed)) == 80 + 5 + 201 - 9 + 140 + 50 + 10 + 19
    for split in ("train", "validation", "test"):
        for names in content[split].values():
            assert names == sorted(names, key=lambda name: order_of(f"x/{name}"))


def test_clean_1_keeps_every_official_test_set_of_cholect50_and_endoscapes() -> None:
    for source, name in (("cholect50", "rdv"), ("endoscapes", "official")):
        table = published_split(source, name).table
        assert {CLEAN.of(surgery) for surgery, split in table.items() if split == "test"} == {"test"}


def test_a_surgery_that_endoscapes_and_cholec80_share_has_one_split() -> None:
    assert surgery_id("endoscapes", 1) == "cholec80/67"
    assert published_split("cholec80", "camma_40_8_32").table["cholec80/67"] == "test"
    assert CLEAN.of("cholec80/67") == "train"


def test_training_on_rdv_and_testing_on_cholec80_41_to_80_is_refused_with_the_list() -> None:
    plan = SplitPlan.parse(["cholec80=40_40", "cholect50=rdv"])
    shared = [43, 47, 48, 49, 52, 56, 57, 60, 62, 65, 66, 68, 70, 75, 79]
    train_of_one = [f"cholec80/{number}" for number in shared]
    with pytest.raises(CotgenError, match="24 surgeries") as error:
        plan.check()
    listed = "test by cholec80=40_40, train by cholect50=rdv: " + ", ".join(train_of_one)
    assert listed in str(error.value)
    with pytest.raises(CotgenError, match="1 surgery "):
        plan.check(["cholec80/3", "cholec80/43"])
    with pytest.raises(CotgenError, match="two splits"):
        plan.of("cholec80/43")


def test_leading_zeros_do_not_hide_a_surgery() -> None:
    assert CLEAN.of("cholec80/06") == CLEAN.of("cholec80/6") == "test"
    with pytest.raises(CotgenError, match="cholec80/6"):
        SplitPlan.parse(["cholec80=40_40", "cholect50=rdv"]).of("cholec80/06")


def test_a_combination_is_judged_on_the_surgeries_it_is_used_for() -> None:
    plan = SplitPlan.parse(["cholec80=40_40", "cholect50=rdv"])
    plan.check(["cholec80/1", "cholec80/3", "cholec80/42", "cholec80/111"])
    assert plan.of("cholec80/111") == "test"


def test_cholec80_against_endoscapes_is_refused_too() -> None:
    with pytest.raises(CotgenError, match="cholec80/67, cholec80/68, cholec80/70, cholec80/71, cholec80/72"):
        SplitPlan.parse(["cholec80=40_40", "endoscapes=official"]).check()


@pytest.mark.parametrize("spec", known_splits())
def test_every_single_split_holds_together(spec: str) -> None:
    SplitPlan.parse([spec]).check()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("40_40", (40, 0, 40)), ("endonet", (40, 0, 40)), ("32_8_40", (32, 8, 40)), ("camma_40_8_32", (40, 8, 32))],
)
def test_named_splits_of_cholec80(name: str, expected: tuple[int, int, int]) -> None:
    plan = SplitPlan.parse([f"cholec80={name}"])
    found = Counter(plan.of(f"cholec80/{number}") for number in range(1, 81))
    assert (found["train"], found["validation"], found["test"]) == expected
    assert plan.of("cholec80/92") is None


def test_an_alias_gives_the_name_it_stands_for() -> None:
    assert SplitPlan.parse(["cholec80=endonet"]).name == "cholec80=40_40"
    assert SplitPlan.parse([]).name == "clean/1"


@pytest.mark.parametrize("spec", ["clean/2", "cholec80", "cholec80=", "cholec80=rdv", "=", "", "clean/1=x"])
def test_an_unknown_split_is_refused_with_the_known_ones(spec: str) -> None:
    with pytest.raises(CotgenError, match="camma_40_8_32"):
        SplitPlan.parse([spec])


def test_two_splits_for_one_source_are_refused() -> None:
    with pytest.raises(CotgenError, match="two splits"):
        SplitPlan.parse(["cholec80=40_40", "cholec80=32_8_40"])


def test_ranges_are_inclusive() -> None:
    assert numbers([7, "1-3"]) == [7, 1, 2, 3]
