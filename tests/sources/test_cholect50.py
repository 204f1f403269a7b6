"""CholecT50: the JSON release, the text of CholecT45, and the boxes of the challenge, alone and together."""

import json
from pathlib import Path

import polars as pl
import pytest

from cotgen.errors import SourceError
from cotgen.ontology.triplets import legal_triplets
from cotgen.sources.base import SurgeryFacts
from cotgen.sources.cholect50 import CholecT50, _vocabularies

READER = CholecT50()
NULL = [-1] * 4


def vector(triplet: int, phase: int = 1, box: list[float] | None = None) -> list[float]:
    if triplet < 0:
        return [*[-1.0] * 14, phase]
    words = _vocabularies()["triplet"][triplet].split(",")
    kinds = ("instrument", "verb", "target")
    i, v, t = (
        next(n for n, name in _vocabularies()[kind].items() if name == word)
        for kind, word in zip(kinds, words, strict=True)
    )
    return [triplet, i, 1.0, *(box or NULL), v, t, 1.0, *NULL, phase]


def write_json(
    root: Path, number: int, rows: dict[int, list[list[float]]], folder: str = "labels", **changed: object
) -> Path:
    path = root / folder / f"VID{number:02d}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "info": {"dataset": "cholect50"}, "video": number, "fps": 1, "num_frames": len(rows),
        "categories": {kind: {str(n): word for n, word in words.items()} for kind, words in _vocabularies().items()},
        "annotations": {str(second): vectors for second, vectors in rows.items()},
    }  # fmt: skip
    path.write_text(json.dumps(content | changed))
    return path


def write_text(root: Path, video: int, rows: list[set[int]], folder: str = "triplet") -> None:
    path = root / folder / f"VID{video:02d}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    width = {"triplet": 100, "instrument": 6}[folder.rpartition("/")[2]]
    lines = [",".join([str(n), *("1" if k in row else "0" for k in range(width))]) for n, row in enumerate(rows)]
    path.write_text("\n".join(lines) + "\n")


def write_pictures(root: Path, video: int, seconds: list[int], folder: str = "videos") -> None:
    where = root / folder / f"VID{video:02d}"
    where.mkdir(parents=True)
    for second in seconds:
        (where / f"{second:06d}.png").write_bytes(b"")


def read(root: Path) -> SurgeryFacts:
    scan = READER.scan(root)
    assert scan is not None and not scan.incomplete
    (files,) = scan.surgeries
    return READER.facts(root, files)


def rows_of(found: SurgeryFacts, kind: str) -> list[tuple[int, str, list[float]]]:
    own = found.facts.filter(pl.col("kind") == kind)
    return [
        (index, "+".join(t.partition(".")[2] for t in terms), box)
        for index, terms, box in own.select("index", "terms", "box").iter_rows()
    ]


def test_each_vector_is_a_triplet_and_a_frame_without_one_is_labelled_all_the_same(tmp_path: Path) -> None:
    write_json(tmp_path, 12, {0: [vector(-1)], 1: [vector(17), vector(17)], 3: [vector(96, phase=3)]})
    found = read(tmp_path)
    assert found.surgery == "cholec80/12"
    assert rows_of(found, "triplet") == [
        (25, "grasper+retract+gallbladder", []),
        (25, "grasper+retract+gallbladder", []),
        (75, "hook+null+null", []),
    ]
    assert [row[1] for row in rows_of(found, "phase")] == ["calot_triangle_dissection"] * 2 + [
        "gallbladder_dissection"
    ]
    assert found.labelled.filter(pl.col("name") == "cholect50.triplet")["index"].to_list() == [0, 25, 75]


def test_the_text_has_no_phase_and_one_line_for_two_graspers(tmp_path: Path) -> None:
    write_text(tmp_path, 12, [set(), {17, 60}])
    found = read(tmp_path)
    assert rows_of(found, "triplet") == [(25, "grasper+retract+gallbladder", []), (25, "hook+dissect+gallbladder", [])]
    assert set(found.labelled["name"]) == {"cholect50.triplet"}


def test_the_challenge_alone_is_a_part_and_gives_the_text_its_boxes(tmp_path: Path) -> None:
    challenge = {"info": {"dataset": "cholect50-challenge-validation"}}
    rows = {1: [vector(17, box=[0.5, 0.25, 0.25, 0.9]), vector(17, box=[0.1, 0.1, 0.1, 0.1])]}
    write_json(tmp_path, 12, rows, "val/labels", **challenge)
    alone = read(tmp_path)
    assert {row[2][0] for row in rows_of(alone, "boxed_triplet")} == {0.5, 0.1}
    assert "cholect50.triplet" not in set(alone.labelled["name"]), "fewer than there are is no whole set"
    write_text(tmp_path, 12, [set(), {17, 60}], "train/triplet")
    both = read(tmp_path)
    assert rows_of(both, "triplet") == [
        (25, "grasper+retract+gallbladder", [0.5, 0.25, 0.75, 1.0]),
        (25, "grasper+retract+gallbladder", [0.1, 0.1, 0.2, 0.2]),
        (25, "hook+dissect+gallbladder", []),
    ]
    assert {odd.text for odd in both.oddities} == {
        "boxes over the border, clipped", "a second instrument that does the same, known by its box, added",
    }  # fmt: skip


def test_the_pictures_are_found_by_their_second_and_labels_without_any_are_kept_for_a_join(tmp_path: Path) -> None:
    write_text(tmp_path, 12, [set(), {17}])
    write_pictures(tmp_path, 12, [0, 1], "data")
    (tmp_path / "data" / "VID12" / "000001 (1).png").write_bytes(b"")
    write_text(tmp_path, 111, [set()])
    scan = READER.scan(tmp_path)
    assert scan is not None
    assert [(files.surgery, files.images) for files in scan.surgeries] == [
        ("cholec80/12", ((0, "data/VID12/000000.png"), (25, "data/VID12/000001.png"))),
        ("cholec80/111", ()),
    ]
    assert READER.frames(tmp_path, scan.surgeries[0]).fps == "25/1"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"video": 13}, "says it is of video 13"),
        ({"fps": 25}, "1 was expected"),
        ({"annotations": {}}, "no `annotations`"),
        ({"annotations": {"1": [[1, 2, 3]]}}, "15 numbers"),
        ({"annotations": {"1": [[17, 2, 1, *NULL, 1, 0, 1, *NULL, 1]]}}, "do not agree"),
        ({"annotations": {"1": [[100, 0, 1, *NULL, 1, 0, 1, *NULL, 1]]}}, "0-99"),
        ({"annotations": {"x": [vector(17)]}}, "a second was expected"),
        ({"annotations": {"1": [vector(17, 1), vector(60, 2)]}}, "different phases"),
        ({"categories": {}}, "has no categories.instrument"),
    ],
)
def test_what_is_not_as_in_the_release_is_refused_with_its_place(
    tmp_path: Path, changed: dict[str, object], message: str
) -> None:
    write_json(tmp_path, 12, {1: [vector(17)]}, **changed)
    with pytest.raises(SourceError, match=message):
        read(tmp_path)


def test_other_words_for_the_same_numbers_are_never_mapped(tmp_path: Path) -> None:
    path = write_json(tmp_path, 12, {1: [vector(17)]})
    path.write_text(path.read_text().replace('"0": "grasper"', '"0": "hook"'))
    with pytest.raises(SourceError, match="mean something else"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,1\n", "2 columns"),
        ("", "empty"),
        ("0," + "2," * 99 + "0\n", "0 or 1"),
        ("1," + "0," * 99 + "0\n", "frame 0 was expected"),
    ],
)
def test_a_damaged_text_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "triplet").mkdir()
    (tmp_path / "triplet" / "VID12.txt").write_text(text)
    with pytest.raises(SourceError, match=message) as caught:
        read(tmp_path)
    assert caught.value.line == 1


def test_nothing_of_it_is_not_recognised(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert READER.scan(tmp_path) is None
    assert "labels/VIDnn.json" in READER.missing(tmp_path)
    assert READER.missing(tmp_path / "gone") == "is not there"


def test_the_list_has_six_idle_instruments_at_its_end() -> None:
    assert len(set(legal_triplets())) == 100
    assert [item[1] for item in legal_triplets()[-6:]] == ["verb.null"] * 6
    assert all(item[1] != "verb.null" for item in legal_triplets()[:-6])


@pytest.mark.real
def test_the_real_files_are_read_with_the_counts_of_the_release(real_data: Path, tmp_path: Path) -> None:
    for name in ("cholect50-challenge-val", "cholect50-challenge-train"):
        (tmp_path / name).symlink_to(real_data / name)
    scan = READER.scan(tmp_path)
    assert scan is not None and not scan.incomplete
    boxes = frames = 0
    for files in scan.surgeries:
        found = READER.facts(tmp_path, files)
        boxes += found.facts.filter(pl.col("box").list.len() == 4).height
        frames += found.labelled.filter(pl.col("name") == "cholect50.phase").height
        if files.surgery == "cholec80/73":
            assert len(files.images) == 176
            at = found.facts.filter((pl.col("index") == 18475) & (pl.col("kind") == "triplet"))
            assert at["terms"].to_list() == [
                ["instrument.grasper", "verb.retract", "anatomy.gallbladder"],
                ["instrument.clipper", "verb.clip", "anatomy.cystic_duct"],
            ]
            size = (586, 328, 586, 328)
            pixels = [[round(v * side) for v, side in zip(box, size, strict=True)] for box in at["box"].to_list()]
            assert pixels == [[187, 11, 460, 98], [308, 150, 463, 279]]
            assert not any("does not have" in odd.text for odd in found.oddities), "the boxes are a part of the text"
    assert (frames, boxes) == (567, 670)
