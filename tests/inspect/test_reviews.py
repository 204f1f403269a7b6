"""Marks of reviewers: what survives writers that are killed and writers at the same time, and what the marks come to."""

import hashlib
import multiprocessing
import shutil
from pathlib import Path

import pytest

from cotgen.errors import CotgenError
from cotgen.inspect.reviews import (
    ReviewFile,
    acceptance,
    is_wrong,
    read_reviews,
    reviews_file,
    wilson,
    wrong_things,
)
from cotgen.records import Pair, Review, Sample, Verdict, marked_sha256
from cotgen.shards.verify import verify
from tests.shards.samples import Made, write_folder


def mark(sample: Sample, verdict: Verdict, *, statement: int = 0, reviewer: str = "Ada", pair: int = 0) -> Review:
    return Review.of(sample.key, sample.pairs[pair], statement, verdict, reviewer)


def test_a_mark_is_one_canonical_line_and_is_read_again(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "reviews.jsonl"
    sample = made.samples[0]
    first = Review.of(sample.key, sample.pairs[0], 0, "wrong", "Ada", 'a "note"\nin two lines')
    ReviewFile(path).add(first)
    assert path.read_bytes() == first.to_json() + b"\n"
    assert read_reviews(path) == [first]
    assert first.basis == sample.pairs[0].statements[0].basis
    assert Review.of(sample.key, sample.pairs[0], -1, "right", "Ada").basis == ""
    with pytest.raises(IndexError):
        Review.of(sample.key, sample.pairs[0], 99, "right", "Ada")


def test_the_last_mark_of_a_reviewer_on_a_thing_counts_and_can_be_withdrawn(made: Made, tmp_path: Path) -> None:
    file = ReviewFile(tmp_path / "reviews.jsonl")
    one, two = made.samples[:2]
    for item in (mark(one, "wrong"), mark(one, "right", reviewer="Bo"), mark(two, "unsure"), mark(one, "right")):
        file.add(item)
    said = {(item.reviewer, item.pair): item.verdict for item in file.marks()}
    assert said == {
        ("Ada", f"{one.key}#{one.pairs[0].id}"): "right",
        ("Bo", f"{one.key}#{one.pairs[0].id}"): "right",
        ("Ada", f"{two.key}#{two.pairs[0].id}"): "unsure",
    }
    file.add(mark(two, "withdrawn"))
    assert {item.pair for item in file.marks()} == {f"{one.key}#{one.pairs[0].id}"}
    assert file.path.read_bytes().count(b"\n") == 5


def test_a_line_cut_off_by_a_kill_loses_nothing_else(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "reviews.jsonl"
    one, two = mark(made.samples[0], "right"), mark(made.samples[1], "wrong")
    ReviewFile(path).add(one)
    with path.open("ab") as file:
        file.write(two.to_json()[:-20])
    reader = ReviewFile(path)
    assert reader.marks() == [one]
    ReviewFile(path).add(two)
    assert reader.marks() == [one, two]
    assert reader.torn == 1


def test_a_last_mark_without_a_line_break_counts(made: Made, tmp_path: Path) -> None:
    """Scripts and editors leave it out; a mark that was cut off is no JSON, so the two are told apart."""
    path = tmp_path / "reviews.jsonl"
    one, two, three = (mark(sample, "wrong") for sample in made.samples[:3])
    path.write_bytes(one.to_json() + b"\r\n" + two.to_json())
    assert len(wrong_things(path)) == 2
    reader = ReviewFile(path)
    assert reader.marks() == [one, two]
    ReviewFile(path).add(three)
    assert reader.marks() == ReviewFile(path).marks() == [one, two, three] and reader.torn == 0
    with path.open("ab") as file:
        file.write(b"{}\n")
    with pytest.raises(CotgenError, match=r"reviews\.jsonl:4"):
        reader.marks()


def test_a_line_that_is_no_mark_is_named(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "reviews.jsonl"
    path.write_bytes(mark(made.samples[0], "right").to_json() + b'\n{"pair": "x"}\n')
    with pytest.raises(CotgenError, match=r"reviews.jsonl:2: this is no mark .*reviewer"):
        read_reviews(path)
    reader = ReviewFile(path)
    for _ in range(2):
        with pytest.raises(CotgenError, match=r"reviews\.jsonl:2"):
            reader.marks()
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    assert len(reader.marks()) == 1
    with pytest.raises(CotgenError, match="is not there"):
        read_reviews(tmp_path / "other.jsonl")


def test_a_file_that_was_replaced_is_read_anew(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "reviews.jsonl"
    reader = ReviewFile(path)
    assert reader.marks() == []
    one, two = mark(made.samples[0], "right"), mark(made.samples[1], "right")
    for item in (one, two):
        reader.add(item)
    assert reader.marks() == [one, two]
    path.write_bytes(two.to_json() + b"\n")
    assert reader.marks() == [two]
    # Longer than what was read, or of the same length: still another file.
    three = mark(made.samples[2], "wrong", reviewer="Somebody with a longer name")
    for lines in ([three, one], [one, three]):
        version = reader.version
        path.write_bytes(b"".join(item.to_json() + b"\n" for item in lines))
        assert reader.marks() == lines and reader.version != version
    path.unlink()
    assert reader.marks() == []


def _mark_many(path: Path, reviewer: str, number: int) -> None:
    file = ReviewFile(path)
    for count in range(number):
        text = f"{reviewer} {count} {'x' * (count * 37 % 3000)}"
        file.add(
            Review(
                pair=f"cholec80-01-{count:06d}#phase.open",
                statement=0,
                sha256=hashlib.sha256(text.encode()).hexdigest(),
                verdict="right",
                note=text,
                reviewer=reviewer,
                level=1,
                basis="label",
                task="phase",
                writer="template/1",
                support="strong",
            )
        )


def test_two_reviewers_in_two_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "reviews.jsonl"
    context = multiprocessing.get_context("fork")
    names = ("Ada", "Bo", "Cy")
    writers = [context.Process(target=_mark_many, args=(path, name, 60)) for name in names]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    marks = read_reviews(path)
    assert path.read_bytes().count(b"\n") == len(marks) == 180
    for name in names:
        own = [item.note for item in marks if item.reviewer == name]
        assert [text.split()[:2] for text in own] == [[name, str(count)] for count in range(60)]


def test_a_folder_that_may_not_be_written_is_said_in_words(made: Made, tmp_path: Path) -> None:
    target = tmp_path / "a-file"
    target.write_text("")
    with pytest.raises(CotgenError, match="cannot be written"):
        ReviewFile(target / "reviews.jsonl").add(mark(made.samples[0], "right"))


def test_a_rebuilt_chain_inherits_no_mark(made: Made) -> None:
    pair = next(pair for sample in made.samples for pair in sample.pairs if len(pair.statements) > 1)
    words = [item.model_copy(update={"text": f"{item.text} Indeed."}) for item in pair.statements[:1]]
    changed = pair.model_copy(update={"statements": [*words, *pair.statements[1:]]})
    assert marked_sha256(pair, 0) != marked_sha256(changed, 0)
    assert marked_sha256(pair, 1) == marked_sha256(changed, 1)
    assert marked_sha256(pair, -1) != marked_sha256(changed, -1)
    assert is_wrong(pair, {(0, marked_sha256(pair, 0))})
    assert not is_wrong(changed, {(0, marked_sha256(pair, 0))})
    assert not is_wrong(pair, {(99, marked_sha256(pair, 0))})


def test_a_sentence_with_another_box_is_another_sentence() -> None:
    def chain(*boxes: list[int]) -> Pair:
        statement = {"level": 1, "text": "A hook lies <bbox:1>.", "basis": "measured", "evidence": ["box:1"]}
        return Pair.model_validate(
            {
                "id": "position.open",
                "task": "position",
                "question": "Where?",
                "boxes": list(boxes),
                "support": "entailed",
                "statements": [statement],
                "answer": "left",
                "writer": "template/1",
            }
        )

    here, there = chain([0, 0, 1, 1], [5, 5, 9, 9]), chain([0, 0, 1, 1], [6, 5, 9, 9])
    assert marked_sha256(here, 0) != marked_sha256(there, 0)
    assert marked_sha256(here, 0) == marked_sha256(chain([0, 0, 2, 2], [5, 5, 9, 9]), 0)


def test_shares_count_a_thing_once_and_stale_marks_apart(made: Made, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "reviews.jsonl"
    file = ReviewFile(path)
    labels = [s for s in made.samples if s.pairs[0].statements[0].basis == "label"][:4]
    for sample in labels:
        file.add(mark(sample, "right"))
    file.add(mark(labels[0], "right", reviewer="Bo"))
    file.add(mark(labels[1], "wrong", reviewer="Bo"))
    file.add(mark(labels[2], "unsure", reviewer="Bo"))
    file.add(mark(labels[0], "wrong", statement=-1))
    file.add(mark(labels[3], "right", pair=-1).model_copy(update={"sha256": "0" * 64}))
    found = acceptance(folder, path)
    label, chain = found.shares
    assert (label.basis, label.right, label.wrong, label.unsure) == ("label", 3, 1, 0)
    assert (chain.basis, chain.right, chain.wrong) == ("chain", 0, 1)
    assert label.writer.startswith("template/")
    assert label.share == 0.75
    assert label.interval == wilson(3, 4)
    assert found.stale == 1
    assert (found.shared, found.agreed) == (2, 1)
    assert found.reviewers == {"Ada": 5, "Bo": 3}


def test_shares_are_of_the_writer_and_the_basis_that_a_sentence_has_now(made: Made, tmp_path: Path) -> None:
    """The same words written anew keep their mark, and count for whoever wrote them and for what they rest on now."""
    path = tmp_path / "reviews.jsonl"
    sample = made.samples[0]
    number = next(n for n, item in enumerate(sample.pairs[0].statements) if item.basis == "label")
    ReviewFile(path).add(mark(sample, "right", statement=number))
    ReviewFile(path).add(mark(sample, "right", statement=-1))
    said = sample.pairs[0].statements[number].model_copy(update={"basis": "visual", "evidence": ["seen:teacher/m/1"]})
    statements = [*sample.pairs[0].statements[:number], said, *sample.pairs[0].statements[number + 1 :]]
    pair = sample.pairs[0].model_copy(update={"writer": "teacher/m/1", "statements": statements})
    again = sample.model_copy(update={"pairs": [pair, *sample.pairs[1:]]})
    folder = write_folder(Made([again, *made.samples[1:]], made.pictures), tmp_path / "again")
    found = acceptance(folder, path)
    assert found.stale == 0
    assert {(share.basis, share.writer) for share in found.shares} == {
        ("visual", "teacher/m/1"),
        ("chain", "teacher/m/1"),
    }


def test_the_folder_of_the_marks_is_made_when_the_first_is_kept(made: Made, tmp_path: Path) -> None:
    file = ReviewFile(tmp_path / "marks" / "of-today" / "reviews.jsonl")
    assert file.marks() == []
    file.add(mark(made.samples[0], "right"))
    assert len(file.marks()) == 1


def test_a_folder_without_marks_has_none(folder: Path) -> None:
    assert acceptance(folder).shares == ()


def test_wilson_is_the_published_interval() -> None:
    """Newcombe, Statistics in Medicine 17 (1998), table I, method 3: 81 of 263, and 0 of 20."""
    assert [round(end, 4) for end in wilson(81, 263)] == [0.2553, 0.3662]
    assert [round(end, 4) for end in wilson(0, 20)] == [0.0, 0.1611]
    assert wilson(0, 0) == (0.0, 1.0)


def test_only_the_last_word_of_a_reviewer_makes_a_thing_wrong(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "reviews.jsonl"
    file = ReviewFile(path)
    one, two, three = made.samples[:3]
    for item in (
        mark(one, "wrong"),
        mark(one, "right", reviewer="Bo"),
        mark(two, "wrong"),
        mark(two, "right"),
        mark(three, "wrong", statement=-1),
        mark(three, "unsure"),
    ):
        file.add(item)
    assert wrong_things(path) == {
        f"{one.key}#{one.pairs[0].id}": {(0, marked_sha256(one.pairs[0], 0))},
        f"{three.key}#{three.pairs[0].id}": {(-1, marked_sha256(three.pairs[0], -1))},
    }


def test_marks_beside_a_sealed_folder_leave_it_whole(made: Made, tmp_path: Path) -> None:
    out = write_folder(made, tmp_path / "set")
    shutil.rmtree(tmp_path / "set.receipts")
    ReviewFile(reviews_file(out)).add(mark(made.samples[0], "right"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set", "set.reviews.jsonl"]
    assert verify(out).ok
