"""One's own table: words are mapped or listed with the nearest terms, never guessed."""

from pathlib import Path

import polars as pl
import pytest

from cotgen.errors import CotgenError, SourceError
from cotgen.sources.table import TableSource, first_mapping, nearest
from cotgen.surgeries.join import PRECEDENCE, scenes
from cotgen.tasks.tool_presence import kinds_in_view

READER = TableSource()
MAPPING = """
procedure: cholecystectomy
clock: 25/1
labels: labels.csv
surgery: case
time: {column: second, unit: second}
pictures: {images: "frames/{surgery}/{index}.jpg"}
columns:
  Phase: {kind: phase, words: {Calot: phase.calot_triangle_dissection, Pause: ignore}}
  Grasper: {kind: instrument, present: instrument.grasper}
split: {column: set}
"""
LABELS = """case,second,Phase,Grasper,set
OP 7,0,Calot,1,train
OP 7,1,Pause,0,train
OP 7,2.5,Calot,,train
OP 8,0,Calot,1,test
"""


def write(root: Path, mapping: str = MAPPING, labels: str = LABELS) -> None:
    (root / "mapping.yaml").write_text(mapping)
    (root / "labels.csv").write_text(labels)
    for case in ("OP 7", "OP 8"):
        (root / "frames" / case).mkdir(parents=True, exist_ok=True)
        for index in (0, 25):
            (root / "frames" / case / f"{index:05d}.jpg").write_bytes(b"")


def test_columns_and_words_become_facts(tmp_path: Path) -> None:
    write(tmp_path)
    scan = READER.scan(tmp_path)
    assert scan is not None
    assert [(files.surgery, len(files.images)) for files in scan.surgeries] == [("table/op_7", 2), ("table/op_8", 2)]
    assert scan.procedure == "cholecystectomy" and dict(scan.splits) == {"table/op_7": "train", "table/op_8": "test"}
    found = READER.facts(tmp_path, scan.surgeries[0])
    assert found.facts.select("index", "terms").rows() == [
        (0, ["phase.calot_triangle_dissection"]), (0, ["instrument.grasper"]),
    ]  # fmt: skip
    assert set(found.labelled.rows()) == {(0, "table.phase"), (0, "table.instrument"), (25, "table.instrument")}
    assert [(odd.text.partition(":")[0], odd.count) for odd in found.oddities] == [
        ("no column says whether there is bipolar, hook, scissors, clipper, irrigator, specimen bag", 1),
        ("rows between the instants that are asked about, left out", 1),
    ]


EVERY = ("grasper", "bipolar", "hook", "scissors", "clipper", "irrigator", "specimen_bag")


@pytest.mark.parametrize(("row", "whole"), [("1,0,0,0,0,0,0", True), ("1,0,,0,0,0,0", False), ("1,0,0,0,0,0,", False)])
def test_all_instruments_are_known_only_where_no_cell_of_theirs_is_blank(
    tmp_path: Path, row: str, whole: bool
) -> None:
    columns = "".join(f"  {name}: {{kind: instrument, present: instrument.{name}}}\n" for name in EVERY)
    mapping = MAPPING.partition("  Phase:")[0] + columns
    write(tmp_path, mapping, f"case,second,{','.join(EVERY)}\nOP 7,0,{row}\n")
    found = READER.facts(tmp_path, READER.scan(tmp_path).surgeries[0])  # type: ignore[union-attr]
    assert found.facts["terms"].to_list() == [["instrument.grasper"]]
    scene = scenes([found], {}, {0: (854, 480)}, "cholecystectomy", PRECEDENCE)[0]
    assert scene.knows_all_instruments is whole
    assert kinds_in_view(scene) == (("instrument.grasper",) if whole else None)


def test_two_phases_at_once_label_none(tmp_path: Path) -> None:
    second = "  Second: {kind: phase, words: {Calot: phase.calot_triangle_dissection, Prep: phase.preparation}}\n"
    labels = "case,second,Phase,Grasper,Second\nOP 7,0,Calot,1,Calot\nOP 7,1,Calot,1,Prep\n"
    write(tmp_path, MAPPING.replace("split: {column: set}\n", second), labels)
    found = READER.facts(tmp_path, READER.scan(tmp_path).surgeries[0])  # type: ignore[union-attr]
    assert found.labelled.filter(pl.col("name") == "table.phase")["index"].to_list() == [0]
    assert any("two words of the kind phase" in odd.text for odd in found.oddities)


@pytest.mark.parametrize(
    ("what", "old", "new"), [("labels", "7,1,", "7,1e99999999,"), ("clock", "25/1", "1e99999999")]
)
def test_a_number_of_a_hundred_million_digits_is_refused_at_once(
    tmp_path: Path, what: str, old: str, new: str
) -> None:
    write(tmp_path, MAPPING.replace(old, new) if what == "clock" else MAPPING, LABELS.replace(old, new))
    with pytest.raises(SourceError, match=r"is no (rate|instant)"):
        READER.facts(tmp_path, READER.scan(tmp_path).surgeries[0])  # type: ignore[union-attr]


def test_an_unknown_word_is_listed_with_the_nearest_terms(tmp_path: Path) -> None:
    write(tmp_path, labels=LABELS.replace("Calot,1,train", "Calot triangle disection,1,train"))
    scan = READER.scan(tmp_path)
    assert scan is not None
    with pytest.raises(SourceError, match=r"does not map these words(.|\n)*near are phase.calot_triangle_dissection"):
        READER.facts(tmp_path, scan.surgeries[0])
    assert nearest("graspers", "instrument")[0] == "instrument.grasper"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: phase", "kind: phases", "is no kind"),
        ("phase.calot_triangle_dissection", "phase.calot", "is no term of the kind phase; near are"),
        ("{surgery}/{index}.jpg", "all/{index}.jpg", "needs {surgery}"),
        ("{index}.jpg", "x.jpg", "needs {index} once"),
        ("surgery: case", "surgery: operation", "has no column 'operation'"),
        ("clock: 25/1", "clock: fast", "is no rate"),
        ("procedure: cholecystectomy", "procedures: x", "procedure: Field required"),
        ("present: instrument.grasper", "words: {}", "give either `words` or `present`"),
    ],
)
def test_a_wrong_mapping_says_what_to_change(tmp_path: Path, old: str, new: str, message: str) -> None:
    write(tmp_path, MAPPING.replace(old, new))
    with pytest.raises(SourceError) as caught:
        READER.scan(tmp_path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("OP 7,1,Pause,0", "OP 7,0,Pause,0", "stands in line 2 too"),
        ("OP 7,1,Pause,0", "OP 7,-1,Pause,0", "is no instant"),
        ("OP 7,1,Pause,0", "OP 7,1,Pause,maybe", "neither 1 nor 0"),
    ],
)
def test_bad_rows_are_refused_with_their_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    write(tmp_path, labels=LABELS.replace(old, new))
    scan = READER.scan(tmp_path)
    assert scan is not None
    with pytest.raises(SourceError, match=message) as caught:
        READER.facts(tmp_path, scan.surgeries[0])
    assert caught.value.line == 3


def test_a_surgery_in_two_splits_and_two_of_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path, labels=LABELS.replace("2.5,Calot,,train", "2.5,Calot,,test"))
    with pytest.raises(SourceError, match="two splits"):
        READER.scan(tmp_path)
    write(tmp_path, labels=LABELS.replace("OP 8", "op-7"))
    with pytest.raises(SourceError, match="cannot be told apart"):
        READER.scan(tmp_path)


def test_nothing_may_be_shared_unless_its_owner_says_so() -> None:
    terms = READER.describe().terms
    assert not terms.share_frames and not terms.share_text


def test_a_first_mapping_maps_exact_words_and_leaves_the_others_to_fill_in(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(
        "video,second,Phase,Hook,note\nA,0,Preparation,1,x1\nA,1,Kalot dissection,0,x2\n"
    )
    text = first_mapping(tmp_path)
    assert '"Preparation": phase.preparation' in text
    assert '"Kalot dissection": TODO  # near are' in text
    assert '"Hook": {kind: instrument, present: instrument.hook}' in text
    assert 'surgery: "video"' in text and "unit: second" in text
    (tmp_path / "mapping.yaml").write_text(text)
    with pytest.raises(SourceError, match="'TODO' is no term"):
        READER.scan(tmp_path)
    with pytest.raises(CotgenError, match="there already"):
        first_mapping(tmp_path)


def test_parquet_says_the_same_as_csv(tmp_path: Path) -> None:
    write(tmp_path)
    pl.read_csv(tmp_path / "labels.csv").write_parquet(tmp_path / "labels.parquet")
    before = READER.facts(tmp_path, READER.scan(tmp_path).surgeries[0])  # type: ignore[union-attr]
    (tmp_path / "mapping.yaml").write_text(MAPPING.replace("labels.csv", "labels.parquet"))
    after = READER.facts(tmp_path, READER.scan(tmp_path).surgeries[0])  # type: ignore[union-attr]
    assert after.facts.equals(before.facts)
