"""The example of the design, frame 18475 of surgery 73, as a record: built, written, read and checked against its schema."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pydantic
import pytest

from cotgen.ontology import alias
from cotgen.records import EvidenceRef, Fact, Frame, Pair, Sample, Statement, sample_key
from cotgen.records.schemas import schema_files
from cotgen.resources import shared_folder
from cotgen.surgeries.join import pixels_of

KEY = "cholec80-73-018475"


def fact(id: str, *terms: str, box: list[int] | None = None) -> Fact:
    source, kind, _ = id.split(".")
    return Fact(id=id, kind=kind, terms=list(terms), box=box or [], source=source)


@pytest.fixture
def sample() -> Sample:
    statement = Statement(
        level=1,
        text="A grasper lies in the upper part of the field <bbox:0>.",
        basis="measured",
        evidence=["fact:cholect50.triplet.0", "box:0"],
    )
    pair = Pair(
        id="phase.open",
        task="phase",
        question="Which phase of this cholecystectomy is shown?",
        boxes=[[273, 16, 670, 143]],
        support="strong",
        statements=[statement],
        answer="Clipping and cutting",
        writer="template/1",
    )
    frame = Frame(
        index=18475,
        fps="25/1",
        time_s=739.0,
        width=854,
        height=480,
        source="cholec80",
        file="videos/video73.mp4",
        native_index=18475,
        crop=[0, 0, 854, 480],
        pixels="0" * 64,
        sha256="1" * 64,
    )
    clip = ["instrument.clipper", "verb.clip", "anatomy.cystic_duct"]
    retract = ["instrument.grasper", "verb.retract", "anatomy.gallbladder"]
    return Sample(
        key=KEY,
        surgery="cholec80/73",
        split="test",
        sources=["cholec80", "cholect50"],
        frame=frame,
        labelled=["cholec80.phase", "cholec80.instrument", "cholect50.phase", "cholect50.triplet"],
        facts=[
            fact("cholec80.phase.0", "phase.clipping_and_cutting"),
            fact("cholec80.instrument.0", "instrument.grasper"),
            fact("cholec80.instrument.1", "instrument.clipper"),
            fact("cholect50.phase.0", "phase.clipping_and_cutting"),
            fact("cholect50.triplet.0", *retract, box=[273, 16, 670, 143]),
            fact("cholect50.triplet.1", *clip, box=[449, 220, 675, 408]),
        ],
        pairs=[pair],
    )


def schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((shared_folder("schemas") / "sample.schema.json").read_bytes())
    return loaded


def nulls(value: Any) -> int:
    if isinstance(value, dict):
        return sum(nulls(item) for item in value.values())
    if isinstance(value, list):
        return sum(nulls(item) for item in value)
    return value is None


def test_written_and_read_it_is_the_same(sample: Sample) -> None:
    data = sample.to_json()
    assert Sample.from_json(data) == sample
    assert Sample.from_json(data).to_json() == data
    assert data == orjson.dumps(json.loads(data), option=orjson.OPT_SORT_KEYS)


def test_it_has_the_names_of_the_design_and_no_null(sample: Sample) -> None:
    plain = json.loads(sample.to_json())
    assert plain["schema"] == "cotgen/sample/1"
    names = "context facts frame key labelled measured pairs schema sources split surgery"
    assert " ".join(plain) == names
    assert " ".join(plain["pairs"][0]) == "answer boxes findings id options question statements support task writer"
    assert " ".join(plain["pairs"][0]["statements"][0]) == "basis evidence level text"
    assert " ".join(plain["facts"][0]) == "box id kind source terms value"
    assert nulls(plain) == 0
    assert plain["key"] == sample_key(plain["surgery"], plain["frame"]["index"])


def test_the_schemas_in_the_folder_are_those_of_the_code() -> None:
    folder = shared_folder("schemas")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == schema_files()


def test_the_schema_holds_for_it(sample: Sample) -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(json.loads(sample.to_json()), schema())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("split", "dev"),
        ("surgery", "73"),
        ("key", "Cholec80"),
        ("extra", 1),
        ("facts.0.value", 1.5),
        ("facts.0.terms", []),
        ("facts.0.id", "phase.0"),
        ("frame.fps", "25"),
        ("frame.sha256", "abc"),
        ("frame.index", "18475"),
        ("frame.index", None),
        ("pairs.0.support", "certain"),
        ("pairs.0.statements", []),
        ("pairs.0.statements.0.level", 4),
        ("pairs.0.statements.0.basis", "guess"),
    ],
)
def test_record_and_schema_refuse_the_same(sample: Sample, path: str, value: object) -> None:
    plain = json.loads(sample.to_json())
    *way, last = path.split(".")
    place: Any = plain
    for step in way:
        place = place[int(step)] if step.isdigit() else place[step]
    place[last] = value
    with pytest.raises(pydantic.ValidationError):
        Sample.from_json(orjson.dumps(plain))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(plain, schema())


@pytest.mark.parametrize("text", ["fact:x", "box:a", "pixel:brightness", "guess:1", "statement:-1", "", "knowledge:"])
def test_evidence_of_an_unknown_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no evidence reference"):
        EvidenceRef.parse(text)
    with pytest.raises(pydantic.ValidationError):
        Statement(level=1, text="A hook is in view.", basis="label", evidence=[text])


@pytest.mark.real
def test_it_says_what_the_files_of_video_73_say(sample: Sample, real_data: Path) -> None:
    """Phase and tool rows of Cholec80, and CholecT50's image 739 = frame 18475, with its boxes in pixels."""
    rows = (real_data / "cholec80/phase_annotations/video73-phase.txt").read_text().splitlines()
    phase = next(row.split()[1] for row in rows if row.startswith("18475"))
    lines = (real_data / "cholec80/tool_annotations/video73-tool.txt").read_text().splitlines()
    flags = next(line.split()[1:] for line in lines if line.startswith("18475"))
    tools = [name for name, flag in zip(lines[0].split()[1:], flags, strict=True) if flag == "1"]
    by_id = {item.id: item for item in sample.facts}
    assert by_id["cholec80.phase.0"].terms == [alias("cholec80", "phase")[phase]]
    instruments = [item.terms[0] for item in sample.facts if item.kind == "instrument"]
    assert instruments == [alias("cholec80", "instrument")[tool] for tool in tools]

    labels = json.loads((real_data / "cholect50-challenge-val/labels/VID73.json").read_bytes())
    for number, row in enumerate(labels["annotations"]["739"]):
        left, top, width, height = row[3:7]
        triplet = by_id[f"cholect50.triplet.{number}"]
        assert triplet.box == pixels_of([left, top, left + width, top + height], 854, 480)
        names = labels["categories"]["triplet"][str(row[0])].split(",")
        kinds = ("instrument", "verb", "target")
        assert [labels["categories"][kind][str(row[at])] for kind, at in zip(kinds, (1, 7, 8), strict=True)] == names
        assert triplet.terms[1] == f"verb.{names[1]}"
        assert triplet.terms[2] == f"anatomy.{names[2]}"
