from collections import Counter
from collections.abc import Sequence
from importlib import resources
from itertools import pairwise

import pytest
import yaml

from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.records import SPLITS
from cotgen.surgeries.identity import members, order_of, surgery_id
from cotgen.surgeries.make_clean_1 import text
from cotgen.surgeries.published import camma_combined_test, published_split
from cotgen.surgeries.splits import SplitPlan, known_splits, left_out_frames

CLEAN = SplitPlan.parse(["clean/1"])
CHOLECT50 = sorted(published_split("cholect50", "rdv").table)


def sizes(source: str, ids: Sequence[int | str]) -> tuple[int, int, int]:
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


def named(source: str, split: str) -> set[str]:
    table = published_split(source, NAMES[source]).table
    return {surgery.partition("/")[2] for surgery, its in table.items() if its == split}


NAMES = {"multibypass140": "fold_0", "sar_rarp50": "official", "endovis17": "official", "endovis18": "clean"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("multibypass140", (75, 20, 45)),
        ("sar_rarp50", (35, 5, 10)),
        ("endovis17", (8, 0, 2)),
        ("endovis18", (9, 3, 7)),
    ],
)
def test_every_surgery_of_the_other_sources_has_a_split(source: str, expected: tuple[int, int, int]) -> None:
    assert sizes(source, members(source)) == expected


def test_clean_1_of_the_robotic_sources() -> None:
    assert {CLEAN.of(f"sar_rarp50/{number}") for number in range(41, 51)} == {"test"}
    assert CLEAN.of("sar_rarp50/41_1") == "test" and CLEAN.of("sar_rarp50/7_2") == CLEAN.of("sar_rarp50/7") == "train"
    assert named("endovis17", "test") == {"9", "10"}
    assert named("endovis18", "test") == {"1", "5", "16", "test1", "test2", "test3", "test4"}
    assert named("endovis18", "validation") == {"2", "9", "15"}


def bypass(center: str, text: str) -> set[str]:
    return {f"{center}{number}" for number in text.split()}


BERN_TESTS = [
    bypass("bbp", "02 03 04 07 15 16 17 27 28 32 34 37 39 43 52 53 55 56 62 70"),
    bypass("bbp", "03 07 12 13 15 17 19 25 27 28 30 35 43 49 52 53 56 57 68 69"),
    bypass("bbp", "06 12 13 14 18 19 24 25 30 35 36 41 44 49 57 61 64 67 68 69"),
    bypass("bbp", "01 06 08 14 18 23 24 36 41 44 46 47 48 59 60 61 63 64 65 67"),
]
BERN_VALIDATIONS = [
    bypass("bbp", "03 12 17 25 27 28 35 49 56 69"),
    bypass("bbp", "12 18 25 35 36 41 44 49 67 69"),
    bypass("bbp", "08 18 23 36 41 44 47 48 60 67"),
    bypass("bbp", "05 08 22 23 31 38 47 48 51 60"),
    bypass("bbp", "05 22 29 31 33 38 45 51 54 58"),
]
STRASBOURG_VALIDATIONS = [
    bypass("sbp", "09 20 31 33 41 43 50 55 60 61"),
    bypass("sbp", "05 09 33 34 36 41 42 43 60 67"),
    bypass("sbp", "05 08 17 34 35 36 40 42 48 67"),
    bypass("sbp", "04 08 15 17 35 37 39 40 48 65"),
    bypass("sbp", "04 12 15 25 30 37 38 39 46 65"),
]


def test_the_published_folds_of_bern_rotate_in_blocks_of_ten() -> None:
    """The test of fold k is blocks k and k + 1 of seven, its validation is half of each of blocks k + 2 and k + 3."""
    second, third, fourth = (one & other for one, other in pairwise(BERN_TESTS))
    assert [len(block) for block in (second, third, fourth)] == [10, 10, 10]
    assert BERN_TESTS[1] == second | third and BERN_TESTS[2] == third | fourth
    fifth = BERN_TESTS[3] - fourth
    for validation, blocks in zip(BERN_VALIDATIONS, pairwise((second, third, fourth, fifth)), strict=False):
        assert [len(validation & block) for block in blocks] == [5, 5]


def test_train_of_bern_holds_no_surgery_that_may_be_a_test_of_fold_0() -> None:
    first = BERN_TESTS[0] - BERN_TESTS[1]
    of_block_0 = BERN_VALIDATIONS[4] - BERN_VALIDATIONS[3]
    placed = set().union(*BERN_TESTS, *BERN_VALIDATIONS)
    unplaced = {str(name) for name in members("multibypass140") if str(name).startswith("bbp")} - placed
    assert (len(first), len(of_block_0), len(unplaced)) == (10, 5, 10)
    bern = {split: {n for n in named("multibypass140", split) if n.startswith("bbp")} for split in SPLITS}
    assert bern["validation"] == BERN_VALIDATIONS[0]
    assert bern["test"] == first | of_block_0 | unplaced


def test_the_test_of_strasbourg_is_what_is_known_of_fold_0_and_our_draw() -> None:
    known = STRASBOURG_VALIDATIONS[4] - STRASBOURG_VALIDATIONS[3]
    placed = set().union(*STRASBOURG_VALIDATIONS)
    rest = {str(name) for name in members("multibypass140") if str(name).startswith("sbp")} - placed
    drawn = sorted(rest, key=lambda name: draw(0, "clean/1", "multibypass140", name))[:15]
    strasbourg = {split: {n for n in named("multibypass140", split) if n.startswith("sbp")} for split in SPLITS}
    assert strasbourg["validation"] == STRASBOURG_VALIDATIONS[0]
    assert strasbourg["test"] == known | set(drawn)


def test_a_member_of_a_set_has_a_split_only_where_all_that_it_may_be_agree() -> None:
    assert {CLEAN.of(f"m2cai16_tool/{number}") for number in range(1, 16)} == {None}
    halves = SplitPlan.parse(["cholec80=40_40"])
    assert {halves.of(f"m2cai16_tool/{number}") for number in range(1, 16)} == {"test"}
    assert halves.of("m2cai16_workflow/3") is None
    with pytest.raises(CotgenError, match="cholec80/62"):
        SplitPlan.parse(["cholec80=40_40", "cholect50=rdv"]).of("m2cai16_tool/11")


def test_the_folds_of_cholect50_are_its_surgeries_each_tested_once() -> None:
    folds = [published_split("cholect50", f"crossval_{fold}").table for fold in range(1, 6)]
    assert all(set(table) == set(CHOLECT50) for table in folds)
    assert sorted(surgery for table in folds for surgery, split in table.items() if split == "test") == CHOLECT50
    with pytest.raises(CotgenError, match="two splits"):
        SplitPlan.parse(["cholec80=40_40", "cholect50=crossval_1"]).check()


def test_the_instrument_and_the_question_split_of_endovis18_clash() -> None:
    instruments = published_split("endovis18", "isinet").table
    questions = published_split("endovis18", "vqa").table
    both = [surgery for surgery in instruments if surgery in questions and instruments[surgery] != questions[surgery]]
    assert sorted(both, key=order_of) == [f"endovis18/{number}" for number in (1, 2, 9, 15, 16)]


def test_official_test_frames_beside_train_frames_of_one_video_are_left_out() -> None:
    assert left_out_frames("endovis17/1") == left_out_frames("endovis17/8") == range(225, 300)
    assert len(left_out_frames("endovis17/9")) == len(left_out_frames("endovis18/1")) == 0


def test_ones_own_surgeries_have_a_split_by_their_name() -> None:
    found = Counter(CLEAN.of(f"table/ward{number}") for number in range(2_000))
    assert [abs(found[split] - share) < 100 for split, share in zip(SPLITS, (1_600, 200, 200), strict=True)] == [
        True
    ] * 3
    assert CLEAN.of("table/ward1") == SplitPlan.parse(["cholec80=40_40"]).of("table/ward1")
    assert not CLEAN.decides("table/ward1") and CLEAN.decides("cholec80/1")
