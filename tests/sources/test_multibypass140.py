"""MultiBypass140: segments in milliseconds, overlays, pictures that count from one."""

import hashlib
import json
import pickle
import re
from pathlib import Path

import polars as pl
import pytest

from cotgen.errors import SourceError
from cotgen.ontology import alias
from cotgen.sources import multibypass140
from cotgen.sources.base import SurgeryFacts, SurgeryFiles
from cotgen.sources.multibypass140 import MultiBypass140
from cotgen.tasks.step import steps_of

READER = MultiBypass140()


def span(start: int, end: int, name: str, id: int) -> dict[str, object]:
    return {"start": start, "end": end, "label_name": name, "label_id": id}


PREPARATION = span(1300, 10_000, "preparation", 0)
POUCH = span(10_000, 20_000, "gastric_pouch_creation", 1)
STEP = span(1300, 20_000, "s2_trocar_placement", 2)


def write(root: Path, phases: list[dict[str, object]], steps: list[dict[str, object]], pictures: int = 3) -> None:
    labels = root / "labels" / "bern" / "labels_by70"
    labels.mkdir(parents=True, exist_ok=True)
    (labels / "BBP01.mp4.json").write_text(json.dumps({"phases": phases, "steps": steps}))
    frames = root / "datasets" / "BernBypass70" / "frames" / "BBP01"
    frames.mkdir(parents=True, exist_ok=True)
    for n in range(1, pictures + 1):
        (frames / f"BBP01_{n:08d}.jpg").write_bytes(b"")


def read(root: Path) -> SurgeryFacts:
    scan = READER.scan(root)
    assert scan is not None and [files.surgery for files in scan.surgeries] == ["multibypass140/bbp01"]
    return READER.facts(root, scan.surgeries[0])


def said(found: SurgeryFacts, second: int) -> set[str]:
    return {terms[0] for terms in found.facts.filter(pl.col("index") == 25 * second)["terms"].to_list()}


def test_a_second_has_the_phase_and_the_step_whose_segment_holds_its_start(tmp_path: Path) -> None:
    write(tmp_path, [PREPARATION, POUCH], [STEP])
    found = read(tmp_path)
    assert found.labelled["index"].min() == 50, "nothing is labelled before 1.3 s"
    assert said(found, 9) == {"phase.preparation", "step.trocar_placement"}
    assert said(found, 10) == {"phase.gastric_pouch_creation", "step.trocar_placement"}
    assert found.labelled["index"].max() == 19 * 25


def test_a_second_outside_the_body_has_that_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, [PREPARATION, span(4000, 6000, "out_of_body", 12), span(7000, 9000, "severe_index", 13)], [STEP])
    found = read(tmp_path)
    assert said(found, 5) == {"view.out_of_body"}
    assert found.labelled.filter(pl.col("index") == 125)["name"].to_list() == ["multibypass140.view"]
    assert said(found, 8) == {"phase.preparation", "step.trocar_placement"}, "the patient's course is never told"


def test_two_phases_at_once_are_no_label(tmp_path: Path) -> None:
    write(tmp_path, [PREPARATION, span(8000, 20_000, "omentum_division", 2)], [STEP])
    found = read(tmp_path)
    assert said(found, 9) == {"step.trocar_placement"}
    assert [(odd.text, odd.count) for odd in found.oddities] == [("instants with two phases at once, not labelled", 2)]


def test_the_same_phase_twice_at_once_is_one_label(tmp_path: Path) -> None:
    write(tmp_path, [PREPARATION, span(5000, 20_000, "preparation", 0)], [STEP])
    found = read(tmp_path)
    assert said(found, 9) == {"phase.preparation", "step.trocar_placement"}
    assert found.oddities == ()


def test_a_gap_between_phases_leaves_the_phase_unlabelled_and_is_counted(tmp_path: Path) -> None:
    write(tmp_path, [PREPARATION, span(13_000, 20_000, "omentum_division", 2)], [STEP])
    found = read(tmp_path)
    assert found.labelled.filter(pl.col("index") == 275)["name"].to_list() == [
        "multibypass140.step",
        "multibypass140.view",
    ]
    assert [(odd.text, odd.count) for odd in found.oddities] == [
        ("instants without a phase between the first label and the last", 3)
    ]


def test_seconds_outside_the_body_before_the_first_phase_and_after_the_last_are_labelled(tmp_path: Path) -> None:
    """Most of the real ones lie there: trocars are set and the camera is cleaned. What nothing holds has no label."""
    overlays = [span(0, 1200, "out_of_body", 12), span(25_000, 27_000, "out_of_body", 12)]
    write(tmp_path, [*overlays, PREPARATION, POUCH], [STEP])
    found = read(tmp_path)
    outside = found.facts.filter(pl.col("kind") == "view")["index"].to_list()
    assert outside == [0, 25, 625, 650]
    labelled = found.labelled.filter(pl.col("name") == "multibypass140.view")["index"].to_list()
    assert labelled == [0, 25, *range(50, 500, 25), 625, 650]
    assert found.oddities == ()


def test_a_finer_step_reads_between_the_seconds(tmp_path: Path) -> None:
    write(tmp_path, [PREPARATION, POUCH], [STEP])
    scan = READER.scan(tmp_path)
    assert scan is not None
    found = READER.facts(tmp_path, scan.surgeries[0], 1)
    phases = found.facts.filter(pl.col("kind") == "phase")
    assert phases["index"].to_list() == list(range(33, 500)), "1.3 s lies in frame 32, the next begins at 1.32 s"
    assert phases["terms"].list.first().rle().struct.field("len").to_list() == [250 - 33, 250]


def test_pictures_count_from_one(tmp_path: Path) -> None:
    write(tmp_path, [PREPARATION], [STEP])
    scan = READER.scan(tmp_path)
    assert scan is not None
    assert [index for index, _ in scan.surgeries[0].images] == [0, 25, 50]


def test_folders_that_the_guide_of_the_release_links_twice_are_found_once(tmp_path: Path) -> None:
    write(tmp_path, [PREPARATION], [STEP])
    splits = tmp_path / "labels" / "bern" / "labels_by70_splits"
    splits.mkdir()
    (splits / "frames").symlink_to(tmp_path / "datasets" / "BernBypass70" / "frames", target_is_directory=True)
    (splits / "around").symlink_to(tmp_path, target_is_directory=True)
    scan = READER.scan(tmp_path)
    assert scan is not None and scan.incomplete == ()
    assert [index for index, _ in scan.surgeries[0].images] == [0, 25, 50]


def test_what_is_missing_or_there_twice_is_named(tmp_path: Path) -> None:
    write(tmp_path, [PREPARATION], [STEP], pictures=0)
    (tmp_path / "multibypass01").mkdir()
    (tmp_path / "multibypass01" / "SBP02.mp4").write_bytes(b"")
    (tmp_path / "old").mkdir()
    for name in ("old/BBP03.mp4", "multibypass01/bbp03.MP4", "labels/BBP03.mp4.json"):
        (tmp_path / name).write_bytes(b"")
    numbered = tmp_path / "frames" / "BBP04"
    numbered.mkdir(parents=True)
    (numbered / "BBP04_00000000.jpg").write_bytes(b"")
    (tmp_path / "labels" / "BBP04.mp4.json").write_bytes(b"")
    scan = READER.scan(tmp_path)
    assert scan is not None and scan.surgeries == ()
    assert [(surgery.partition("/")[2], words) for surgery, words in scan.incomplete] == [
        ("bbp01", "labels/bern/labels_by70/BBP01.mp4.json has no video and no pictures"),
        ("bbp03", "multibypass01/bbp03.MP4 and old/BBP03.mp4 are both of this surgery; keep one of them"),
        (
            "bbp04",
            "frames/BBP04/BBP04_00000000.jpg is number 0: pictures count from 1 (file n is second n - 1); rename them",
        ),
        ("sbp02", "multibypass01/SBP02.mp4 has no labels (SBP02.mp4.json)"),
    ]


def test_a_root_without_labels_is_not_recognised(tmp_path: Path) -> None:
    (tmp_path / "BBP01.mp4").write_bytes(b"")
    assert READER.scan(tmp_path) is None
    assert "it holds BBP01.mp4" in READER.missing(tmp_path)
    assert READER.missing(tmp_path / "gone") == "is not there"
    assert READER.missing(tmp_path / "BBP01.mp4") == "is a file, not a folder"


# Labels of Strasbourg that stood under another surgery's name until September 2025.


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("SBP01", True, "before the correction of September 2025: get the new one"),
        ("SBP02", False, ""),
        ("SBP03", False, "it is not known whether"),
        ("BBP01", False, ""),
    ],
)
def test_label_files_from_before_the_correction_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, known: bool, said: str
) -> None:
    """The digest belongs to the name: the same labels under another name are the corrected ones."""
    content = json.dumps({"phases": [PREPARATION], "steps": [STEP]}).encode()
    (tmp_path / f"{name}.mp4.json").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()[:16]
    monkeypatch.setattr(multibypass140, "_before_the_correction", lambda: {"sbp01": digest, "sbp02": "0" * 16})
    files = SurgeryFiles(f"multibypass140/{name.lower()}", (("labels", f"{name}.mp4.json"),))
    texts = [odd.text for odd in READER.facts(tmp_path, files).oddities if "phase" not in odd.text]
    assert [said in text for text in texts] == [True] * bool(said)


def test_the_digests_are_of_49_label_files_of_strasbourg() -> None:
    digests = multibypass140._before_the_correction()
    assert len(digests) == len(set(digests.values())) == 49
    assert all(name.startswith("sbp") and len(digest) == 16 for name, digest in digests.items())


# Pickles, where the label file is missing.


def pickled(root: Path, content: object, file: str = "bern/labels_by70_splits/labels/val/1fps_0.pickle") -> None:
    (root / "labels" / file).parent.mkdir(parents=True, exist_ok=True)
    (root / "labels" / file).write_bytes(pickle.dumps(content))


def row(number: int, phase: object, step: object, name: str = "BBP01") -> dict[str, object]:
    return {"Frame_id": f"{name}_{number:08d}", "Original_frame_id": 25 * number, "Phase_gt": phase, "Step_gt": step}


def test_pickles_are_read_where_the_label_file_is_missing(tmp_path: Path) -> None:
    write(tmp_path, [], [])
    (tmp_path / "labels" / "bern" / "labels_by70" / "BBP01.mp4.json").unlink()
    pickled(tmp_path, {"BBP02": []}, "bern/labels_by70_splits/labels/test/1fps_0.pickle")
    pickled(tmp_path, {"BBP01": [row(1, 0, 1), row(3, 1, 2), row(4, 12, 2)]})
    pickled(tmp_path, {"SBP01": []}, "strasbourg/labels_by70_splits/labels/val/1fps_0.pickle")
    found = read(tmp_path)
    assert found.facts.select("index", "terms").rows() == [
        (0, ["phase.preparation"]),
        (0, ["step.cavity_exploration"]),
        (50, ["phase.gastric_pouch_creation"]),
        (50, ["step.trocar_placement"]),
    ]
    assert set(found.labelled["name"]) == {"multibypass140.phase", "multibypass140.step"}, "no word of the camera"
    assert [odd.count for odd in found.oddities] == [1, 1]


def test_one_whole_fold_is_enough_and_label_files_come_first(tmp_path: Path) -> None:
    write(tmp_path, [PREPARATION], [STEP])
    parts = [f"{part}/1fps_{'100_' * (part == 'train')}" for part in ("test", "train", "val")]
    for fold in "01":
        for part in parts[fold == "0" :]:
            pickled(tmp_path, {}, f"bern/labels_by70_splits/labels/{part}{fold}.pickle")
            pickled(tmp_path, {}, f"bern/labels_by70_splits/labels/{part}{fold}_with_iae.pickle")
    scan = READER.scan(tmp_path)
    assert scan is not None and [role for role, _ in scan.surgeries[0].annotations] == ["labels"]
    (tmp_path / "labels" / "bern" / "labels_by70" / "BBP01.mp4.json").unlink()
    scan = READER.scan(tmp_path)
    assert scan is not None
    assert [file.rpartition("/labels/")[2] for _, file in scan.surgeries[0].annotations] == [
        "test/1fps_1.pickle",
        "train/1fps_100_1.pickle",
        "val/1fps_1.pickle",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "no table of videos"),
        ({"BBP01": 3}, "no list of rows"),
        ({"BBP01": [3]}, "row 1 of BBP01 is no row"),
        ({"BBP01": [{}]}, "has Frame_id None; BBP01_00000001"),
        ({"BBP01": [row(1, 0, 1, "BBP02")]}, "has Frame_id 'BBP02_00000001'"),
        ({"BBP01": [row(1, 14, 1)]}, "has Phase_gt 14; 0 to 13 exist"),
        ({"BBP01": [row(1, 0, True)]}, "has Step_gt True; 0 to 45 exist"),
        ({"BBP01": [row(2, 0, 1), row(2, 0, 1)]}, "is picture 2 after picture 2"),
        ({"BBP02": []}, "have no BBP01; get the label file BBP01.mp4.json"),
        ({"BBP01": [row(1, 0, 1), print]}, "which can run code: it is not read"),
    ],
)
def test_bad_pickles_are_refused(tmp_path: Path, content: object, message: str) -> None:
    pickled(tmp_path, content)
    files = SurgeryFiles(
        "multibypass140/bbp01", (("pickle0", "labels/bern/labels_by70_splits/labels/val/1fps_0.pickle"),)
    )
    with pytest.raises(SourceError, match=re.escape(message)):
        READER.facts(tmp_path, files)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (span(5, 4, "preparation", 0), "the first not above the second"),
        (span(1, 4, "lunch", 0), "no phase of the data set"),
        (span(1, 4, "preparation", 1), "has the number 1, not 0"),
        (span(1, 10**12, "preparation", 0), "whole numbers"),
        ({**PREPARATION, "start": True}, "from True to 10000"),
        ({**PREPARATION, "start": [[]]}, "from a list to 10000"),
        ({**PREPARATION, "label_id": False}, "has the number False, not 0"),
        ({**PREPARATION, "label_name": {}}, "is called a dict, which"),
    ],
)
def test_bad_segments_are_refused(tmp_path: Path, row: dict[str, object], message: str) -> None:
    write(tmp_path, [row], [STEP])
    with pytest.raises(SourceError, match=message):
        read(tmp_path)


#: Steps that lie in one phase alone, by their numbers.
ALONE = {
    (1, 2): "preparation",
    (4, 5, 7, 8, 9, 10): "gastric_pouch_creation",
    (12, 13): "omentum_division",
    (17, 18, 19): "gastrojejunal_anastomosis",
    (20,): "jejunal_separation",
    (23, 24): "anastomosis_test",
    (27, 28): "closure_petersen_space",
    (31, 32, 33, 35): "jejunojejunal_anastomosis",
    (36, 37, 38): "closure_mesenteric_defect",
    (41, 42, 44): "disassembling",
}


def shares_of(together: dict[tuple[str, str], int]) -> dict[int, tuple[str, int]]:
    """Number of a step -> the phase that has most of its seconds, and their share in percent."""
    found = {}
    for number, id in enumerate(alias("multibypass140", "step").values()):
        phases = {phase: n for (step, phase), n in together.items() if step == id}
        most = max(phases, key=lambda phase: phases[phase])
        found[number] = (most, round(100 * phases[most] / sum(phases.values())))
    return found


@pytest.mark.real
@pytest.mark.slow
def test_the_98_real_files_are_read_and_steps_lie_in_their_phases(real_data: Path) -> None:
    root = real_data / "multibypass140"
    files = sorted(root.glob("labels/*/labels_by70/*.json"))
    segments = [json.loads(file.read_text()) for file in files]
    assert len(files) == 98 and sum(len(s["phases"]) + len(s["steps"]) for s in segments) == 5576
    outside: dict[str, int] = {}
    together: dict[tuple[str, str], int] = {}
    for file in files:
        name = file.name[:5].lower()
        found = READER.facts(root, SurgeryFiles(f"multibypass140/{name}", (("labels", str(file.relative_to(root))),)))
        outside[name[0]] = outside.get(name[0], 0) + bool((found.facts["kind"] == "view").any())
        assert any("before the correction" in odd.text for odd in found.oddities) == (name[0] == "s")
        wide = found.facts.filter(pl.col("kind") != "view").with_columns(term=pl.col("terms").list.first())
        for step, phase in (
            wide.pivot("kind", index="index", values="term").drop_nulls().select("step", "phase").iter_rows()
        ):
            together[step, phase] = together.get((step, phase), 0) + 1
    assert (outside["b"], outside["s"]) == (49, 21)
    shares = shares_of(together)
    for numbers, phase in ALONE.items():
        assert {n: shares[n] for n in numbers} == dict.fromkeys(numbers, (f"phase.{phase}", 100))
    assert all(90 <= shares[n][1] <= 99 for n in (6, 11, 15, 21, 26, 29, 30, 34))
    assert all(shares[n][1] < 90 for n in (0, 3, 14, 16, 22, 25, 39, 40, 43, 45)), "mixed: no rule"
    seconds = sum(together.values())
    sutures = sum(n for (step, _), n in together.items() if step.endswith("jejunal_defect_closing"))
    assert seconds == 542_119 and 0.30 <= sutures / seconds <= 0.31
    closing = {phase: n for (step, phase), n in together.items() if step == "step.gastrojejunal_defect_closing"}
    assert closing["phase.gastrojejunal_anastomosis"] == sum(closing.values())
    for phase in ("phase.gastric_pouch_creation", "phase.jejunojejunal_anastomosis"):
        total = sum(n for (_, p), n in together.items() if p == phase)
        often = {step for (step, p), n in together.items() if p == phase and n >= 0.02 * total} - {"step.null_step"}
        assert often <= {item.id for item in steps_of(phase)}
