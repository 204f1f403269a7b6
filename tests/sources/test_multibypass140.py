"""MultiBypass140: segments in milliseconds, overlays, pictures that count from one."""

import json
from pathlib import Path

import polars as pl
import pytest

from cotgen.errors import SourceError
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
    write(tmp_path, [PREPARATION, span(8000, 12_000, "omentum_division", 2)], [STEP])
    found = read(tmp_path)
    assert said(found, 9) == {"step.trocar_placement"}
    assert ("instants with two phases at once, not labelled", 2) in {(odd.text, odd.count) for odd in found.oddities}


def test_pictures_count_from_one(tmp_path: Path) -> None:
    write(tmp_path, [PREPARATION], [STEP])
    scan = READER.scan(tmp_path)
    assert scan is not None
    assert [index for index, _ in scan.surgeries[0].images] == [0, 25, 50]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (span(5, 4, "preparation", 0), "the first not above the second"),
        (span(1, 4, "lunch", 0), "no phase of the data set"),
        (span(1, 4, "preparation", 1), "has the number 1, not 0"),
        (span(1, 10**12, "preparation", 0), "whole numbers"),
    ],
)
def test_bad_segments_are_refused(tmp_path: Path, row: dict[str, object], message: str) -> None:
    write(tmp_path, [row], [STEP])
    with pytest.raises(SourceError, match=message):
        read(tmp_path)


@pytest.mark.real
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
    closing = {phase: n for (step, phase), n in together.items() if step == "step.gastrojejunal_defect_closing"}
    assert closing["phase.gastrojejunal_anastomosis"] == sum(closing.values())
    for phase in ("phase.gastric_pouch_creation", "phase.jejunojejunal_anastomosis"):
        total = sum(n for (_, p), n in together.items() if p == phase)
        often = {step for (step, p), n in together.items() if p == phase and n >= 0.02 * total} - {"step.null_step"}
        assert often <= {item.id for item in steps_of(phase)}
