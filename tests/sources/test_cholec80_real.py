"""The annotation files of the release: ten surgeries with phases and tools, 46 with tools alone."""

import csv
import json
import time
from collections import Counter
from pathlib import Path

import pytest

from cotgen.errors import SourceError
from cotgen.ontology import alias
from cotgen.sources import source
from cotgen.sources.base import SurgeryFacts, SurgeryFiles
from cotgen.sources.cholec80 import _release_rows

pytestmark = pytest.mark.real
READER = source("cholec80")
BOTH = (1, 5, 12, 32, 42, 51, 68, 70, 73, 78)
PHASE_IDS = list(alias("cholec80", "phase").values())


@pytest.fixture(scope="module")
def root(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real annotations as a user has them: with a video for each."""
    folder = tmp_path_factory.mktemp("real")
    for kind in ("phase", "tool"):
        (folder / f"{kind}_annotations").symlink_to(real_data / f"cholec80/{kind}_annotations")
    (folder / "videos").mkdir()
    for number in range(1, 81):
        (folder / f"videos/video{number:02d}.mp4").touch()
    return folder


@pytest.fixture(scope="module")
def surgeries(root: Path) -> dict[int, SurgeryFiles]:
    scan = READER.scan(root)
    assert scan is not None
    return {int(files.surgery.partition("/")[2]): files for files in scan.surgeries}


@pytest.fixture(scope="module")
def read(root: Path, surgeries: dict[int, SurgeryFiles]) -> dict[int, SurgeryFacts]:
    return {number: READER.facts(root, surgeries[number]) for number in surgeries}


def test_all_surgeries_that_have_a_file_are_found(surgeries: dict[int, SurgeryFiles]) -> None:
    assert len(surgeries) == 56
    assert tuple(number for number, files in surgeries.items() if len(files.annotations) == 2) == BOTH


def test_instants_are_those_of_the_release(read: dict[int, SurgeryFacts]) -> None:
    """A phase at each second and at 0, tools at each second but the last."""
    for number, facts in read.items():
        phase_rows, tool_rows = _release_rows()[number]
        indices = {
            name: facts.labelled.filter(name=f"cholec80.{name}")["index"].to_list() for name in ("phase", "instrument")
        }
        assert indices["instrument"] == [25 * second for second in range(tool_rows)]
        if number in BOTH:
            assert indices["phase"] == [25 * second for second in range(tool_rows + 1)]
            assert phase_rows == 25 * tool_rows + 1


def test_every_frame_of_the_release_is_read_with_step_1(root: Path, surgeries: dict[int, SurgeryFiles]) -> None:
    for number in BOTH:
        facts = READER.facts(root, surgeries[number], 1)
        assert facts.facts.filter(kind="phase").height == _release_rows()[number][0]


def test_the_table_of_row_counts_adds_up_to_the_published_totals() -> None:
    rows = _release_rows()
    assert list(rows) == list(range(1, 81))
    assert sum(phases for phases, _ in rows.values()) == 4_612_532
    assert sum(tools for _, tools in rows.values()) == 184_498


def test_no_real_file_looks_unusual_but_for_what_the_reference_names(read: dict[int, SurgeryFacts]) -> None:
    counted = Counter(oddity.text for number in BOTH for oddity in read[number].oddities)
    assert counted == {
        "no row for the last second, which has a phase: its instruments are not labelled": 10,
        "the phases come in another order than in most surgeries": 4,
        "the phase Preparation does not occur": 1,
    }
    assert [oddity for number in read if number not in BOTH for oddity in read[number].oddities] == []


def test_phase_sequences_are_the_ten_that_the_files_hold(read: dict[int, SurgeryFacts]) -> None:
    def sequence(number: int) -> str:
        terms = read[number].facts.filter(kind="phase")["terms"].list.first().rle().struct.field("value")
        return "".join(str(PHASE_IDS.index(term)) for term in terms)

    assert {number: sequence(number) for number in BOTH} == {
        1: "0123456",
        5: "0123456",
        12: "0123465",
        32: "123465",
        42: "0123456",
        51: "0123456",
        68: "0123456",
        70: "0123546",
        73: "0123456",
        78: "0123546",
    }


def test_instruments_are_the_ones_of_the_cells(read: dict[int, SurgeryFacts], real_data: Path) -> None:
    """Against the file read cell by cell, ids and all."""
    positives = 0
    for number, facts in read.items():
        expected = []
        with (real_data / f"cholec80/tool_annotations/video{number:02d}-tool.txt").open(newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                tools = [tool for tool in list(row)[1:] if row[tool] == "1"]
                expected += [
                    (int(row["Frame"]), f"cholec80.instrument.{n}", [alias("cholec80", "instrument")[tool]])
                    for n, tool in enumerate(tools)
                ]
        rows = facts.facts.filter(kind="instrument").select("index", "id", "terms").rows()
        assert [(index, id_, terms) for index, id_, terms in rows] == expected
        positives += len(expected)
    assert positives > 100_000


def test_the_cell_of_the_design_is_read(read: dict[int, SurgeryFacts]) -> None:
    """Video 73, frame 18475, as the design's sample has it."""
    rows = read[73].facts.filter(index=18475).select("id", "terms").rows()
    assert rows == [
        ("cholec80.phase.0", ["phase.clipping_and_cutting"]),
        ("cholec80.instrument.0", ["instrument.grasper"]),
        ("cholec80.instrument.1", ["instrument.clipper"]),
    ]


def test_phases_agree_with_an_independent_copy_at_one_a_second(read: dict[int, SurgeryFacts], real_data: Path) -> None:
    """The CSV files of PeskaVLP: a row `videoNN_n.png,label` per second, labels 1 to 7."""
    compared = 0
    for number in BOTH:
        with (real_data / f"cholec80-derived/peskavlp_1fps_csv/video{number:02d}.csv").open(newline="") as file:
            other = {int(row["path"].split("_")[1][:-4]): int(row["label"]) for row in csv.DictReader(file)}
        mine = {
            index // 25: PHASE_IDS.index(terms[0]) + 1
            for index, terms in read[number].facts.filter(kind="phase").select("index", "terms").iter_rows()
        }
        common = mine.keys() & other.keys()
        assert len(common) >= len(mine) - 1
        assert {second: mine[second] for second in common} == {second: other[second] for second in common}
        compared += len(common)
    assert compared > 19_000


def test_phases_agree_with_frames_that_others_labelled(
    root: Path, surgeries: dict[int, SurgeryFiles], real_data: Path
) -> None:
    """Frame files are numbered from 1 at 25 a second: 01151.jpg is index 1150."""
    lines = (real_data / "cholec80-frames/cholec80_phase_mcq_simple_test.jsonl").read_text().splitlines()
    compared = 0
    for line in map(json.loads, lines):
        answer = line["messages"][1]["content"].partition(". ")[2].replace(" ", "")
        _, video, name = line["images"][0].rsplit("/", 2)
        facts = READER.facts(root, surgeries[int(video)], 1).facts
        ((terms,),) = facts.filter(kind="phase", index=int(name[:-4]) - 1).select("terms").rows()
        assert terms == [alias("cholec80", "phase")[answer]]
        compared += 1
    assert compared >= 20


def test_reading_is_fast(root: Path, surgeries: dict[int, SurgeryFiles]) -> None:
    """The ten surgeries in a fraction of a second, so all 80 in a few; the limit is wide for a busy machine."""
    start = time.process_time()
    for number in BOTH:
        READER.facts(root, surgeries[number])
    assert time.process_time() - start < 5


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9])
def test_a_real_file_cut_anywhere_is_refused_or_told(
    root: Path, surgeries: dict[int, SurgeryFiles], tmp_path: Path, kept: float
) -> None:
    for number in BOTH:
        for role, file in surgeries[number].annotations:
            data = (root / file).read_bytes()
            other = dict(surgeries[number].annotations)["tool" if role == "phase" else "phase"]
            for name, content in ((file, data[: int(len(data) * kept)]), (other, (root / other).read_bytes())):
                (tmp_path / name).parent.mkdir(exist_ok=True)
                (tmp_path / name).write_bytes(content)
            try:
                facts = READER.facts(tmp_path, surgeries[number])
            except SourceError as error:
                assert (error.file, error.line) == (file, data[: int(len(data) * kept)].count(b"\n") + 1)
            else:
                assert any("may be cut: it has" in oddity.text and oddity.file == file for oddity in facts.oddities)
