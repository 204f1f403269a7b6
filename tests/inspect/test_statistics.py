"""The numbers of a small folder, held against counts of its samples by hand."""

from collections import Counter
from pathlib import Path
from typing import cast

import pytest

from cotgen.chains.diversity import entropy_bits, skeleton
from cotgen.inspect.frames import FrameCounts
from cotgen.inspect.record import Balance, Spread, Statistics, bits_of
from cotgen.inspect.reviews import ReviewFile
from cotgen.inspect.statistics import statistics
from cotgen.records import Review, Verdict
from tests.shards.samples import Made


@pytest.fixture(scope="module")
def numbers(folder: Path) -> Statistics:
    return statistics(folder)


def test_pairs_are_those_of_the_samples(made: Made, numbers: Statistics) -> None:
    counted = Counter((s.split, p.task, p.writer, p.support) for s in made.samples for p in s.pairs)
    assert numbers.by("split", "task", "writer", "support") == dict(counted)
    assert numbers.total == sum(counted.values())
    assert numbers.samples == dict(Counter(s.split for s in made.samples))
    assert numbers.surgeries == {"train": 2, "validation": 1, "test": 1}
    assert numbers.read == numbers.pictures == len(made.samples)


def test_classes_are_the_terms_of_the_answers(made: Made, numbers: Statistics) -> None:
    phases = Counter(
        fact.terms[0]
        for sample in made.samples
        if sample.split == "train" and any(pair.id == "phase.open" for pair in sample.pairs)
        for fact in sample.facts
        if fact.kind == "phase"
    )
    row = balance(numbers, "phase.open", "train")
    assert {name: n for name, n in row.classes.items() if n} == dict(phases)
    assert row.pairs == phases.total() and not row.many
    assert row.majority == max(phases.values()) / phases.total()
    assert row.bits == pytest.approx(entropy_bits(phases.elements()))


def test_a_set_counts_for_each_of_its_items(made: Made, numbers: Statistics) -> None:
    answers = [
        pair.answer.split("\n")
        for sample in made.samples
        if sample.split == "train"
        for pair in sample.pairs
        if pair.id == "tool.presence"
    ]
    row = balance(numbers, "tool.presence", "train")
    assert row.many and row.pairs == len(answers) and row.uniform == 0.0
    assert row.classes["instrument.clipper"] == sum("clipper" in answer for answer in answers)
    assert row.commonest_pairs == max(Counter(map(tuple, answers)).values())


def test_questions_of_yes_and_no_say_what_they_ask_about(made: Made, numbers: Statistics) -> None:
    asked = Counter(
        pair.id.removeprefix("tool.yesno.") for s in made.samples if s.split == "test" for pair in s.pairs
        if pair.task == "tool_yesno"
    )  # fmt: skip
    row = balance(numbers, "tool.yesno", "test")
    assert {name: n for name, n in row.subjects.items() if n} == dict(asked)
    assert row.classes["yes"] == row.classes["no"] == asked.total() / 2


def balance(numbers: Statistics, kind: str, split: str) -> Balance:
    return next(row for row in numbers.balance if (row.kind, row.split) == (kind, split))


def test_an_outline_that_is_told_as_an_instrument_and_as_its_act_is_one_box(made: Made) -> None:
    record = next(s for s in made.samples if s.frame.width).model_dump(by_alias=True)
    fact = {"id": "cholect50.triplet.9", "kind": "triplet", "box": [1, 2, 9, 12], "value": 1.0, "source": "cholect50"}
    act = {**fact, "terms": ["instrument.hook", "verb.dissect", "anatomy.gallbladder"]}
    tool = {**fact, "id": "cholect50.instrument.9", "kind": "instrument", "terms": ["instrument.hook"]}
    second = {**tool, "id": "cholect50.instrument.10", "box": [20, 2, 29, 12]}
    counts = FrameCounts()
    counts.add({**record, "facts": [act, tool, second]})
    (boxes,) = counts.boxes()
    assert (boxes.boxes, sum(boxes.areas)) == (2, 2)
    assert max(max(row) for row in boxes.cover) == 1


def test_a_ribbon_has_the_phase_of_each_second(made: Made, numbers: Statistics) -> None:
    ribbon = next(row for row in numbers.ribbons if row.surgery == "cholec80/73")
    for sample in made.samples:
        if sample.surgery == "cholec80/73":
            time = sample.frame.time_s
            (said,) = (s.phase for s in ribbon.segments if s.start_s <= time < s.end_s)
            assert [said] == [fact.terms[0] for fact in sample.facts if fact.kind == "phase"]


def test_a_few_frames_of_an_hour_do_not_fill_it(made: Made) -> None:
    record = next(s for s in made.samples if s.surgery == "cholec80/73").model_dump(mode="json", by_alias=True)
    counts = FrameCounts()
    for n in range(9):
        # One every seven minutes, on a clock of 25 frames a second.
        frame = {**record["frame"], "index": n * 7 * 60 * 25, "fps": "25/1"}
        counts.add({**record, "frame": frame, "pairs": []})
    (ribbon,) = counts.ribbons()
    assert len(ribbon.segments) == 9
    assert sum(segment.end_s - segment.start_s for segment in ribbon.segments) <= 9 * 30


def test_instruments_are_counted_together(made: Made, numbers: Statistics) -> None:
    (together,) = numbers.together
    sets = [{fact.terms[0] for fact in s.facts if fact.kind == "instrument"} for s in made.samples]
    assert together.frames == len(sets)
    for row, one in enumerate(together.terms):
        for column, other in enumerate(together.terms):
            assert together.counts[row][column] == sum({one, other} <= found for found in sets)


def test_lengths_bases_and_findings_are_those_of_the_chains(made: Made, numbers: Statistics) -> None:
    pairs = [pair for sample in made.samples for pair in sample.pairs if pair.task == "phase"]
    for level in (1, 2, 3):
        texts = [" ".join(s.text for s in pair.statements if s.level == level) for pair in pairs]
        (row,) = (row for row in numbers.lengths if (row.task, row.level) == ("phase", level))
        assert row.words == Spread.of(Counter(len(text.split()) for text in texts))
    bases = Counter((s.level, s.basis) for pair in pairs for s in pair.statements)
    assert {(row.level, row.basis): row.sentences for row in numbers.bases if row.task == "phase"} == dict(bases)
    suspects = [{f.check for f in pair.findings} for sample in made.samples for pair in sample.pairs]
    assert numbers.found == sum(map(bool, suspects))
    assert {row.check: row.pairs for row in numbers.findings} == dict(Counter(c for found in suspects for c in found))


def test_skeletons_are_those_of_the_definition(made: Made, numbers: Statistics) -> None:
    for row in numbers.diversity:
        forms = [skeleton(pair) for sample in made.samples for pair in sample.pairs if pair.task == row.task]
        assert (row.chains, row.skeletons) == (len(forms), len(set(forms)))
        assert row.skeleton_bits == pytest.approx(entropy_bits(forms), abs=1e-4)
        assert row.most[0].chains == max(Counter(forms).values())


def test_equal_folders_have_equal_bytes(folder: Path, numbers: Statistics) -> None:
    assert statistics(folder).to_json() == numbers.to_json()
    assert Statistics.from_json(numbers.to_json()) == numbers


def test_of_many_frames_some_are_drawn_and_their_number_is_told(folder: Path, numbers: Statistics) -> None:
    drawn = statistics(folder, most=10)
    assert 0 < drawn.read < numbers.read
    assert drawn.pairs == numbers.pairs and drawn.balance == numbers.balance


def test_quantiles_are_values_that_occur() -> None:
    spread = Spread.of({1: 90, 2: 5, 50: 5})
    assert (spread.total, spread.least, spread.median, spread.q95, spread.most) == (350, 1, 1, 2, 50)


def test_entropy_of_equal_shares_is_their_logarithm() -> None:
    assert bits_of([5, 5, 5, 5, 0]) == 2.0
    assert bits_of([]) == 0.0


def test_marks_of_reviewers_beside_the_folder_are_counted(made: Made, folder: Path, tmp_path: Path) -> None:
    marks = ReviewFile(tmp_path / "marks.jsonl")
    for n, verdict in enumerate(("right", "right", "wrong", "unsure")):
        sample = made.samples[n]
        marks.add(Review.of(sample.key, sample.pairs[0], 0, cast(Verdict, verdict), "Ada"))
    (row,) = statistics(folder, reviews=tmp_path / "marks.jsonl").reviews
    assert (row.basis, row.writer) == ("label", "template/1")
    assert (row.right, row.wrong, row.unsure, row.share) == (2, 1, 1, 2 / 3)
    assert (row.low, row.high) == pytest.approx((0.2077, 0.9385), abs=1e-4)
    assert statistics(folder).reviews == []
