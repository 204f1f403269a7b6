from pathlib import Path

import pytest

from cotgen.errors import CotgenError
from cotgen.shards.diff import Change, diff
from tests.shards.samples import Made, make, write_folder


@pytest.fixture
def small() -> Made:
    return make(("cholec80/01", "cholec80/73"), seconds=5)


def test_a_folder_is_the_same_whatever_its_shards_and_order(small: Made, tmp_path: Path) -> None:
    a = write_folder(small, tmp_path / "a", shards=1)
    b = write_folder(small, tmp_path / "b", shards=3, seed=9)
    found = diff(a, b)
    assert found.same
    assert (found.pairs, found.tasks, found.changes, found.examples) == (Change(), {}, {}, {})


def test_what_came_and_went_is_counted_by_task(small: Made, tmp_path: Path) -> None:
    more = make(("cholec80/01", "cholec80/02"), seconds=5)
    a, b = write_folder(small, tmp_path / "a"), write_folder(more, tmp_path / "b")
    found = diff(a, b)
    gone = [sample for sample in small.samples if sample.surgery == "cholec80/73"]
    came = [sample for sample in more.samples if sample.surgery == "cholec80/02"]
    assert found.samples == Change(added=len(came), removed=len(gone))
    for task, change in found.tasks.items():
        counts = [sum(pair.task == task for sample in part for pair in sample.pairs) for part in (came, gone)]
        assert change == Change(added=counts[0], removed=counts[1])
    assert sorted(found.examples["added"]) == sorted(sample.key for sample in came)


def test_changes_of_a_pair_are_named(small: Made, tmp_path: Path) -> None:
    first, second, third, *rest = small.samples
    pairs = first.pairs
    edited = [
        first.model_copy(update={"pairs": [pairs[0].model_copy(update={"question": "Which?"}), *pairs[1:]]}),
        second.model_copy(update={"pairs": second.pairs[1:]}),
        third.model_copy(
            update={
                "frame": third.frame.model_copy(update={"sha256": "0" * 64}),
                "pairs": [*third.pairs[1:], third.pairs[0].model_copy(update={"answer": "x", "support": "weak"})],
            }
        ),
        *rest,
    ]
    found = diff(
        write_folder(small, tmp_path / "a"), write_folder(Made(edited, small.pictures), tmp_path / "b", shards=1)
    )
    assert found.samples == Change(changed=3)
    assert found.pairs == Change(removed=1, changed=2)
    assert found.changes == {"wording": 1, "frame": 1, "answer": 1, "support": 1, "order of pairs": 1}
    assert found.examples["wording"] == [f"{first.key}#{pairs[0].id}"]
    assert found.examples["frame"] == found.examples["order of pairs"] == [third.key]
    assert found.examples["removed"] == [f"{second.key}#{second.pairs[0].id}"]
    assert found.tasks == {"phase": Change(removed=1, changed=2)}


def test_a_folder_that_is_not_finished_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CotgenError, match="is not there"):
        diff(folder, tmp_path / "nowhere")
