"""Two folders beside each other."""

from pathlib import Path

import pytest

from cotgen.inspect.against import differences
from cotgen.inspect.statistics import statistics
from tests.shards.samples import make, write_folder


def test_a_folder_beside_itself_has_no_difference(folder: Path) -> None:
    numbers = statistics(folder)
    assert all(row.change == 0 for row in differences(numbers, numbers))


def test_pairs_shares_and_distances_are_those_of_both(folder: Path, tmp_path: Path) -> None:
    one = statistics(folder)
    other = statistics(write_folder(make(tasks=["phase"], seconds=5), tmp_path / "other"))
    found = {(row.group, row.name): row for row in differences(one, other)}
    phases = found["pairs", "phase, train"]
    assert (phases.one, phases.other) == (one.by("task", "split")["phase", "train"], 2 * 2 * 5)
    assert found["pairs", "tool_count, train"].other == 0
    a, b = (
        next(row for row in numbers.balance if (row.kind, row.split) == ("phase.open", "train"))
        for numbers in (one, other)
    )
    apart = sum(abs(a.classes.get(n, 0) / a.pairs - b.classes.get(n, 0) / b.pairs) for n in {*a.classes, *b.classes})
    assert found["distance of classes", "phase.open, train"].one == pytest.approx(50 * apart, abs=1e-3)
    changed = [abs(row.change) for row in differences(one, other) if row.group == "share of a class"]
    assert changed == sorted(changed, reverse=True) and changed


def test_lengths_are_compared_where_both_have_them_and_one_writer_with_another(folder: Path) -> None:
    numbers = statistics(folder)
    taught = numbers.model_copy(
        update={
            "lengths": [
                row.model_copy(update={"writer": "teacher/m/1"}) for row in numbers.lengths if row.task == "phase"
            ]
        }
    )
    found = [row.name for row in differences(numbers, taught) if row.group == "median words of a level"]
    assert found == [f"phase, level {level}" for level in (1, 2, 3)]
