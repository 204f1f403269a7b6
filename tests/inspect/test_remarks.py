"""What stands out is told in a sentence, and what is well is not."""

from pathlib import Path

import pytest

from cotgen.inspect.record import Balance, Diversity, Statistics
from cotgen.inspect.remarks import remarks
from cotgen.inspect.statistics import statistics


@pytest.fixture(scope="module")
def numbers(folder: Path) -> Statistics:
    """A folder with pairs, whose balance and variety each test makes its own."""
    return statistics(folder).model_copy(update={"balance": [], "diversity": [], "found": 0})


def balance(split: str, classes: dict[str, int], *, many: bool = False) -> Balance:
    name, n = max(classes.items(), key=lambda item: item[1])
    return Balance(
        task="phase", kind="phase.open", split=split, pairs=sum(classes.values()), many=many, classes=classes,
        subjects={}, answers=len(classes), commonest=name, commonest_pairs=n,
    )  # fmt: skip


def said(numbers: Statistics, *rows: Balance, **given: int) -> list[str]:
    """The remarks on these rows, but for those on splits that have no row."""
    lines = remarks(numbers.model_copy(update={"balance": list(rows)}), **given)
    return [line for line in lines if "no question of" not in line]


def test_of_a_balanced_folder_nothing_is_said(numbers: Statistics) -> None:
    three = {"phase.preparation": 60, "phase.clipping_and_cutting": 70, "phase.gallbladder_packaging": 65}
    assert said(numbers, *(balance(split, three) for split in ("train", "validation", "test"))) == []


def test_rare_classes_are_named_with_their_pairs(numbers: Statistics) -> None:
    row = balance(
        "train", {"phase.preparation": 60, "phase.clipping_and_cutting": 49, "phase.gallbladder_packaging": 60}
    )
    expected = "phase.open: classes under 50 pairs: train 1 of 3 (clipping and cutting: 49)."
    assert said(numbers, row) == [expected]
    assert said(numbers, row, least=49) == []


def test_a_class_that_a_split_lacks_is_named(numbers: Statistics) -> None:
    train = balance(
        "train", {"phase.preparation": 60, "phase.clipping_and_cutting": 60, "phase.gallbladder_packaging": 60}
    )
    test = balance(
        "test", {"phase.preparation": 60, "phase.clipping_and_cutting": 60, "phase.gallbladder_packaging": 0}
    )
    lines = remarks(numbers.model_copy(update={"balance": [train, test]}))
    assert "phase.open: test lacks gallbladder packaging." in lines
    assert "Validation has no question of phase.open, unlike other splits." in lines


def test_an_answer_that_dominates_is_named_with_its_share(numbers: Statistics) -> None:
    row = balance(
        "train", {"phase.preparation": 210, "phase.clipping_and_cutting": 90, "phase.gallbladder_packaging": 100}
    )
    assert said(numbers, row) == [
        "phase.open: one answer dominates (preparation): 52 % of train. Always saying it is right that often."
    ]
    assert said(numbers, balance("train", {"yes": 105, "no": 95})) == []


def test_two_kinds_with_the_same_trouble_share_a_sentence(numbers: Statistics) -> None:
    row = balance("train", {"phase.preparation": 60, "phase.clipping_and_cutting": 9})
    other = row.model_copy(update={"kind": "phase.choice"})
    assert said(numbers, row, other)[1:] == [
        "phase.open, phase.choice: classes under 50 pairs: train 1 of 2 (clipping and cutting: 9)."
    ]


@pytest.mark.parametrize(
    ("chains", "plan_bits", "plan_pairs", "told"),
    [(1000, 5.2, 100, False), (1000, 3.9, 100, True), (1000, 5.2, 151, True), (499, 1.0, 400, False)],
)
def test_plans_that_show_through_are_told_where_there_are_chains_enough(
    numbers: Statistics, chains: int, plan_bits: float, plan_pairs: int, told: bool
) -> None:
    row = Diversity(
        task="phase", chains=2000, skeletons=900, skeleton_bits=9.0, most=[], cell="phase.open", cell_answer="Preparation",
        cell_chains=chains, cell_plan_bits=plan_bits, cell_skeleton_bits=8.0, cell_plan_pairs=plan_pairs,
    )  # fmt: skip
    lines = remarks(numbers.model_copy(update={"diversity": [row]}))
    assert bool(lines) is told
    assert all(line.startswith("phase: templates show through") for line in lines)


def test_many_findings_are_told(numbers: Statistics) -> None:
    assert remarks(numbers.model_copy(update={"found": numbers.total // 10}))[0].startswith("10 % of the pairs")


def test_an_empty_split_comes_first(numbers: Statistics) -> None:
    train = [row for row in numbers.pairs if row.split == "train"]
    lines = remarks(numbers.model_copy(update={"pairs": train}))
    assert lines[:2] == [
        "The validation split is empty: nothing can be measured on it.",
        "The test split is empty: nothing can be measured on it.",
    ]
    assert remarks(numbers.model_copy(update={"pairs": []})) == ["There is not one pair in it."]
