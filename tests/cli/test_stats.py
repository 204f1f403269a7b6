"""`cotgen stats` on folders of every kind, whole and damaged."""

import shutil
from pathlib import Path

import orjson
import polars as pl
import pytest
from typer.testing import CliRunner, Result

from cotgen.cli.commands import app
from cotgen.errors import CotgenError
from cotgen.inspect.record import Statistics
from cotgen.inspect.reviews import ReviewFile
from cotgen.records import Review, Sample
from cotgen.shards.merge import merge
from cotgen.shards.strip import without_pictures
from cotgen.shards.verify import verify
from tests.shards.samples import Made, make, write_folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["stats", *map(str, arguments)])


def plain(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(make(), tmp_path_factory.mktemp("stats") / "embedded")


def test_it_says_what_is_in_it_and_what_to_look_at(embedded: Path) -> None:
    text = plain(embedded)
    assert "4 surgeries (2 / 1 / 1 in train / validation / test, clean/1)" in text
    for task in ("phase", "tool_presence", "tool_count", "tool_yesno"):
        assert task in text
    assert "Worth a look:" in text and "classes under 50 pairs" in text
    assert "under 1 pairs" not in plain(embedded, "--least", 1)


def test_json_is_the_record_with_sorted_keys(embedded: Path) -> None:
    text = plain(embedded, "--json")
    found = orjson.loads(text)
    assert Statistics.from_json(orjson.dumps(found["statistics"])).total == verify(embedded).counts["pairs"]
    assert text == orjson.dumps(found, option=orjson.OPT_SORT_KEYS).decode() + "\n"
    assert set(found) == {"statistics", "remarks"}
    assert set(orjson.loads(plain(embedded, "--json", "--against", embedded))) == {
        "statistics", "remarks", "against", "differences",
    }  # fmt: skip


def test_folders_without_pictures_have_the_same_numbers(embedded: Path, tmp_path: Path) -> None:
    without_pictures(embedded, tmp_path / "reference")
    with_, without = (
        orjson.loads(plain(folder, "--json"))["statistics"] for folder in (embedded, tmp_path / "reference")
    )
    assert with_["pictures"] > without["pictures"] == 0
    for name in ("pairs", "balance", "ribbons", "lengths", "diversity"):
        assert with_[name] == without[name]


def test_merged_folders_and_folders_of_one_split_and_task(tmp_path: Path) -> None:
    one = write_folder(make(["cholec80/01"], tasks=["phase"]), tmp_path / "one")
    other = write_folder(make(["cholec80/73"], tasks=["tool_count"]), tmp_path / "other", fingerprint="e" * 64)
    text = plain(one)
    assert "The validation split is empty" in text and "tool_count" not in text
    merge(one, other, tmp_path / "both", shards=1)
    text = plain(tmp_path / "both", "--against", one)
    assert "Test has no question of phase.choice, phase.open" in text
    assert "difference" in text and "+8" in text


def test_folders_that_differ_only_in_the_classes_of_sets_do_not_have_the_same_numbers(tmp_path: Path) -> None:
    made = make(["cholec80/01"], tasks=["tool_presence"])
    one = write_folder(made, tmp_path / "one")
    assert "have the same numbers" in plain(one, "--against", one)

    def other(sample: Sample) -> Sample:
        (pair,) = sample.pairs
        return sample.model_copy(update={"pairs": [pair.model_copy(update={"answer": "irrigator"})]})

    changed = [other(sample) for sample in made.samples]
    write_folder(Made(changed, made.pictures), tmp_path / "other", fingerprint="e" * 64)
    text = plain(one, "--against", tmp_path / "other")
    assert "have the same numbers" not in text and "share of a class" in text


def test_nothing_is_said_of_a_share_of_nothing(tmp_path: Path) -> None:
    made = make(["cholec80/01"], tasks=["phase"])
    out = write_folder(made, tmp_path / "set")
    sample = made.samples[0]
    file = ReviewFile(tmp_path / "set.reviews.jsonl")
    file.add(Review.of(sample.key, sample.pairs[0], 0, "unsure", "Ada"))
    assert "reviewers accepted" not in plain(out)
    pytest.importorskip("matplotlib")
    plain(out, "--html", tmp_path / "report.html")
    assert "0.0 to 100.0 %" not in (tmp_path / "report.html").read_text()
    file.add(Review.of(sample.key, sample.pairs[0], -1, "right", "Ada"))
    assert "reviewers accepted 100 %" in plain(out)


def test_the_report_lies_outside_of_the_folder(embedded: Path, tmp_path: Path) -> None:
    with pytest.raises(CotgenError, match="give a file outside of it"):
        raise run(embedded, "--html", embedded / "report.html").exception or AssertionError
    assert not (embedded / "report.html").exists()
    other = write_folder(make(seconds=2), tmp_path / "other")
    with pytest.raises(CotgenError, match="give a file outside of it"):
        raise run(embedded, "--against", other, "--html", other / "report.html").exception or AssertionError
    assert verify(other).ok
    with pytest.raises(CotgenError, match=r"is a folder; give a file"):
        raise run(embedded, "--html", tmp_path).exception or AssertionError


@pytest.mark.slow
def test_a_report_is_written(embedded: Path, tmp_path: Path) -> None:
    assert "The report is in" in plain(embedded, "--html", tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert verify(embedded).ok


@pytest.mark.parametrize(
    "what", ["no manifest", "no index", "other index", "half a shard", "no shard", "no JSON", "no folder"]
)
def test_a_damaged_folder_is_a_sentence(embedded: Path, tmp_path: Path, what: str) -> None:
    folder = tmp_path / "damaged"
    if what != "no folder":
        shutil.copytree(embedded, folder)
    shard = next(iter(sorted(folder.glob("data/*.tar"))), folder)
    match what:
        case "no manifest":
            (folder / "manifest.json").unlink()
        case "no index":
            (folder / "index.parquet").write_bytes(b"PAR1")
        case "other index":
            pl.read_parquet(folder / "index.parquet").drop("support").write_parquet(folder / "index.parquet")
        case "half a shard":
            shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])
        case "no shard":
            shard.unlink()
        case "no JSON":
            shard.write_bytes(shard.read_bytes().replace(b'{"context"', b'["context"', 1))
    error = run(folder).exception
    assert isinstance(error, CotgenError)
    assert str(error).startswith((str(folder), "data/", "train-", "test-", "validation-"))


def test_texts_of_others_give_the_terminal_no_orders(tmp_path: Path) -> None:
    """Answers of a folder from elsewhere may hold anything; a terminal obeys escapes: one gives its window another name."""
    made = make(["cholec80/01"], tasks=["phase"])
    planted = "Prep\x1b]0;mine\x07\x1b[31m\u202earation"

    def other(sample: Sample) -> Sample:
        pairs = [pair.model_copy(update={"answer": planted, "question": planted}) for pair in sample.pairs]
        return sample.model_copy(update={"pairs": pairs})

    folder = write_folder(Made([other(sample) for sample in made.samples], made.pictures), tmp_path / "set")
    for output in (plain(folder), CliRunner().invoke(app, ["show", str(folder)]).output):
        assert "Prep\\x1b]0;mine" in output
        assert not set(output) & set("\x1b\x07\u202e")
