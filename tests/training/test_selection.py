"""What a run is shown and how often: filters by the index, caps, temperature, shares, curriculum."""

import json
import shutil
from collections import Counter
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cotgen.errors import CotgenError
from cotgen.records import Finding, Pair
from cotgen.shards.manifest import load
from cotgen.training.loader import Loader
from cotgen.training.portions import Portion, epoch_rows
from cotgen.training.selection import Selection, rows_per_cell
from tests.shards.samples import Made, make, write_folder
from tests.training.conftest import names_of


def names(loader: Loader, *epochs: int) -> list[str]:
    """The names of the rows of some epochs, by default the first."""
    shown = [pair for epoch in epochs or (0,) for pair in loader.order.epoch(epoch)]
    return [loader.pool.name(pair) for pair in shown]


def changed(made: Made, change: dict[str, Any], task: str) -> Made:
    """All pairs of a task with other values."""

    def one(pair: Pair) -> Pair:
        return pair.model_copy(update=change) if pair.task == task else pair

    samples = [sample.model_copy(update={"pairs": [one(pair) for pair in sample.pairs]}) for sample in made.samples]
    return Made(samples, made.pictures)


def test_the_train_split_alone_unless_another_is_named(made: Made, folder: Path) -> None:
    assert sorted(names(Loader([folder], Selection(view="vqa")))) == names_of(made)
    assert sorted(names(Loader([folder], Selection(view="vqa", splits=("test",))))) == names_of(made, "test")


def test_filters_by_task_source_and_support(made: Made, folder: Path) -> None:
    wanted = names_of(made, task="tool_count")
    assert wanted
    assert sorted(names(Loader([folder], Selection(tasks=("tool_count",))))) == wanted
    assert sorted(names(Loader([folder], Selection(view="vqa", sources=("cholec80", "cholect50"))))) == names_of(made)
    assert len(Loader([folder], Selection(supports=("entailed",))).pool) > 0
    for selection in (Selection(sources=("cholect50",)), Selection(tasks=("cvs",)), Selection(supports=("weak",))):
        with pytest.raises(CotgenError, match=r"nothing is left of it by the filters \(.*train"):
            Loader([folder], selection)


def test_template_chains_that_give_no_reason_are_left_out_of_cot_by_default(made: Made, tmp_path: Path) -> None:
    """Without priors all phase chains of the fixture are such ones."""
    folder = write_folder(made, tmp_path / "set")
    without = sorted(set(names_of(made)) - set(names_of(made, task="phase")))
    assert without != names_of(made)
    assert sorted(names(Loader([folder]))) == without
    assert sorted(names(Loader([folder], Selection(asserted=True)))) == names_of(made)
    assert sorted(names(Loader([folder], Selection(view="vqa")))) == names_of(made)
    assert sorted(names(Loader([folder], Selection(view="prompt")))) == names_of(made)
    by_a_model = changed(made, {"writer": "teacher/model"}, "phase")
    assert sorted(names(Loader([write_folder(by_a_model, tmp_path / "taught")]))) == names_of(made)


def test_pairs_whose_labels_are_suspect_are_left_out_on_request(made: Made, tmp_path: Path) -> None:
    finding = Finding(check="frequency", severity="soft", text="rare")
    folder = write_folder(changed(made, {"findings": [finding]}, "tool_count"), tmp_path / "set")
    assert sorted(names(Loader([folder], Selection(view="vqa")))) == names_of(made)
    suspect = [f"{s.key}#{p.id}" for s in made.samples for p in s.pairs if p.findings]
    left = sorted(set(names_of(made)) - set(names_of(made, task="tool_count")) - set(suspect))
    assert sorted(names(Loader([folder], Selection(view="vqa", suspects=False)))) == left


def test_a_cap_holds_in_each_epoch_and_later_epochs_show_the_rest(made: Made, folder: Path) -> None:
    loader = Loader([folder], Selection(tasks=("tool_yesno",), caps={"task": 10}))
    wanted = names_of(made, task="tool_yesno")
    shown = [names(loader, epoch) for epoch in range(len(wanted) // 10 + 1)]
    assert {len(rows) for rows in shown[:5]} <= {9, 10, 11}
    seen = Counter(name for rows in shown for name in rows)
    assert max(seen.values()) <= 2
    assert len(seen) >= 0.95 * len(wanted)


def test_caps_of_classes_sources_and_tasks(made: Made, folder: Path) -> None:
    loader = Loader([folder], Selection(view="vqa", caps={"class": 4}))
    for epoch in range(3):
        rows = [loader.encoded_row(pair) for pair in loader.order.epoch(epoch)]
        by_class = Counter(r["completion"][0]["content"] for r in rows if r["name"].endswith("#tool.count"))
        assert by_class
        assert max(by_class.values()) <= 4
    assert abs(len(names(Loader([folder], Selection(view="vqa", caps={"source": 30})))) - 30) <= 8


def test_rows_of_each_cell_under_caps_and_temperature() -> None:
    """Exactly, in fractions: 8 and 2 of one task and 90 of another."""
    cells = [
        {"task": "phase", "source": "a", "class": "x"},
        {"task": "phase", "source": "b", "class": "y"},
        {"task": "tool", "source": "a", "class": "z"},
    ]
    sizes = [8, 2, 90]

    def rows(**options: Any) -> list[Fraction]:
        return rows_per_cell(cells, sizes, Selection(**options))  # type: ignore[arg-type]

    assert rows() == sizes
    assert rows(caps={"task": 20}) == [8, 2, 20]
    assert rows(caps={"task": 5}) == [4, 1, 5]
    assert rows(caps={"source": 49}) == [4, 2, 45]
    assert rows(caps={"class": 8, "task": 9}) == [Fraction(36, 5), Fraction(9, 5), 8]
    assert [round(float(n), 9) for n in rows(temperature=2)] == [20, 5, 75]
    assert [round(float(n), 6) for n in rows(temperature=1e9)] == [32, 8, 50], "no pair comes more than four times"


def test_a_temperature_gives_the_shares_of_roots(made: Made, folder: Path) -> None:
    plain = Loader([folder], Selection(view="vqa", tasks=("tool_count", "tool_yesno")))
    sizes = dict(plain.pool.counts.select("task", "len").iter_rows())
    warm = Loader([folder], Selection(view="vqa", tasks=("tool_count", "tool_yesno"), temperature=2))
    shown = Counter(name.partition("#")[2] == "tool.count" for name in names(warm, *range(10)))
    roots = {task: size**0.5 for task, size in sizes.items()}
    assert abs(shown[True] / shown.total() - roots["tool_count"] / sum(roots.values())) < 0.02
    assert abs(shown.total() / 10 - sum(sizes.values())) <= 2


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another data set, of other pictures."""
    return write_folder(make(["cholec80/04"], 12), tmp_path_factory.mktemp("second") / "set", shards=1)


def test_a_share_is_a_share_of_the_rows_whatever_the_sizes(made: Made, folder: Path, second: Path) -> None:
    whole = names_of(made)
    for text in ("0.3", "1/10", "0.6"):
        loader = Loader([folder, Portion.parse(f"{second}={text}")], Selection(view="vqa"))
        shown = [names(loader, epoch) for epoch in range(4)]
        for rows in shown:
            assert sorted(name for name in rows if "cholec80-04" not in name) == whole
        others = Counter(name for rows in shown for name in rows if "cholec80-04" in name)
        share = Fraction(text)
        expected = float(4 * len(whole) * share / (1 - share))
        assert abs(others.total() - expected) <= 12
        assert max(others.values()) - min(others.values()) <= 1, "round the ring, not at random"


def test_an_operation_of_two_splits_is_refused(folder: Path, second: Path, tmp_path: Path) -> None:
    other = shutil.copytree(second, tmp_path / "other")
    manifest = json.loads((other / "manifest.json").read_bytes())
    surgery = load(folder).splits["train"][0]
    manifest["splits"]["test"] = [surgery]
    (other / "manifest.json").write_text(json.dumps(manifest))
    Loader([other], Selection(view="vqa"))
    with pytest.raises(CotgenError, match=f"{surgery} is in train of one data set and in test of another"):
        Loader([folder, other], Selection(view="vqa"))


def test_sets_with_shares_alone_show_no_pair_twice(made: Made, folder: Path, second: Path) -> None:
    loader = Loader([Portion.parse(f"{folder}=0.5"), Portion.parse(f"{second}=0.5")], Selection(view="vqa"))
    shown = Counter(names(loader))
    assert max(shown.values()) == 1
    assert abs(sum("cholec80-04" in name for name in shown) / shown.total() - 0.5) < 0.05


def test_shares_that_make_no_sense_are_refused(folder: Path, second: Path, tmp_path: Path) -> None:
    assert epoch_rows([Fraction(70), Fraction(5)], [None, Fraction(3, 10)]) == [70, 30]
    for shares, words in (((None, Fraction(1)), "leave no room"), ((Fraction(1, 2), Fraction(1, 3)), "make that 1")):
        with pytest.raises(CotgenError, match=words):
            epoch_rows([Fraction(1), Fraction(1)], shares)
    for text in ("A=0", "A=1.5", "A=-1", "A=half", "A=1/0"):
        with pytest.raises(CotgenError, match="share"):
            Portion.parse(text)
    assert Portion.parse("A") == Portion(Path("A"))
    (tmp_path / "a=b").mkdir()
    assert Portion.parse(str(tmp_path / "a=b")) == Portion(tmp_path / "a=b")
    (tmp_path / "lr=0.5").mkdir()
    assert Portion.parse(str(tmp_path / "lr=0.5")) == Portion(tmp_path / "lr=0.5")
    assert Portion.parse(f"{tmp_path}/lr=0.5=0.3") == Portion(tmp_path / "lr=0.5", Fraction(3, 10))


def test_the_same_pictures_in_two_sets_are_kept_apart(made: Made, folder: Path, tmp_path: Path) -> None:
    refined = write_folder(changed(made, {"writer": "policy/1"}, "tool_count"), tmp_path / "refined")
    shown = names(Loader([folder, refined], Selection(view="vqa")))
    keys = [name.partition("#")[0] for name in shown]
    assert len(shown) == 2 * len(names_of(made))
    assert all(a != b for a, b in pairwise(keys))


def test_a_curriculum_goes_from_easy_to_hard_in_the_first_epoch(made: Made, folder: Path, tmp_path: Path) -> None:
    wanted = names_of(made)
    table = tmp_path / "difficulty.jsonl"
    pl.DataFrame({"name": wanted, "difficulty": [number / len(wanted) for number in range(len(wanted))]}).write_ndjson(
        table
    )

    def trend(curriculum: float, epoch: int) -> float:
        """Mean place in the table of the last half less that of the first, as a share of the table."""
        loader = Loader([folder], Selection(view="vqa", curriculum=curriculum, difficulty=table))
        shown = names(loader, epoch)
        assert sorted(shown) == wanted
        if curriculum < 1:
            assert all(a.partition("#")[0] != b.partition("#")[0] for a, b in pairwise(shown))
        places = [wanted.index(name) for name in shown]
        half = len(places) // 2
        return (sum(places[half:]) - sum(places[:half])) / half / len(wanted)

    assert abs(trend(0, 0)) < 0.15
    assert 0.15 < trend(0.5, 0) < 0.45
    assert trend(1, 0) > 0.45
    assert abs(trend(1, 1)) < 0.15


def test_pairs_that_a_table_of_difficulties_does_not_name_are_left_out(
    made: Made, folder: Path, tmp_path: Path
) -> None:
    """Prompts that a policy always or never solves teach GRPO nothing: the table of the others is the filter."""
    some = names_of(made)[::3]
    table = tmp_path / "difficulty.parquet"
    pl.DataFrame({"name": [*some, "nowhere-1#phase.open"], "difficulty": 0.5}).write_parquet(table)
    assert sorted(names(Loader([folder], Selection(view="prompt", difficulty=table)))) == some
    for bad in ("{", '{"name": "a"}\n', '{"name": "a#b.c", "difficulty": "hard"}\n'):
        (tmp_path / "bad.jsonl").write_text(bad)
        with pytest.raises(CotgenError, match="is no table of difficulties"):
            Loader([folder], Selection(difficulty=tmp_path / "bad.jsonl"))


def test_without_a_table_entailed_answers_come_before_asserted_ones(made: Made, tmp_path: Path) -> None:
    folder = write_folder(changed(made, {"support": "asserted"}, "tool_yesno"), tmp_path / "set")
    chosen = Selection(view="vqa", tasks=("tool_presence", "tool_yesno"), curriculum=1)
    hard = [".yesno." in name for name in names(Loader([folder], chosen))]
    assert hard == sorted(hard)


@pytest.mark.parametrize(
    "options",
    [
        {"view": "answer"},
        {"splits": ("dev",)},
        {"splits": ()},
        {"tasks": ("naming",)},
        {"supports": ("sure",)},
        {"caps": {"task": 0}},
        {"caps": {"letter": 3}},
        {"temperature": 0.5},
        {"temperature": float("nan")},
        {"curriculum": 2},
        {"over": "letter"},
    ],
)
def test_selections_that_mean_nothing_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(CotgenError):
        Selection(**options)
