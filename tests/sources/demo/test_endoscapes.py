"""The look-alike of Endoscapes: read back as it was drawn, with the quirks of the release in it."""

from collections import Counter
from pathlib import Path

import polars as pl

from cotgen.sources.demo.endoscapes import FRAMES, make_endoscapes
from cotgen.sources.endoscapes import Endoscapes

READER = Endoscapes()


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        make_endoscapes(tmp_path / name, surgeries=2, seed=seed)
    assert files(tmp_path / "a") == files(tmp_path / "b") != files(tmp_path / "c")


def test_it_is_read_back_whole_with_each_quirk(tmp_path: Path) -> None:
    make_endoscapes(tmp_path)
    scan = READER.scan(tmp_path)
    assert scan is not None and not scan.oddities and not scan.incomplete
    assert {file.partition("/")[0] for s in scan.surgeries for _, file in s.images} == {"train", "val", "test"}
    found = [READER.facts(tmp_path, surgery, 25) for surgery in scan.surgeries]
    assert [oddity for facts in found for oddity in facts.oddities] == []
    facts, labelled = pl.concat([f.facts for f in found]), pl.concat([f.labelled for f in found])
    measured = pl.concat([f.measured for f in found])
    counts = Counter(labelled["name"].to_list())
    assert counts["endoscapes.cvs"] == counts["endoscapes.cvs_overall"] == FRAMES * len(scan.surgeries)
    assert 0 < counts["endoscapes.anatomy"] < counts["endoscapes.cvs"], "judged every 5 s, outlined more seldom"
    votes = facts.filter(pl.col("kind") == "cvs")["value"].round(2)
    assert set(votes) == {0.0, 0.33, 0.67, 1.0}, "raters disagree"
    ignored = measured.filter(pl.col("name") == "ignored")["value"]
    assert (ignored > 0).any() and (ignored == 0).any()
    assert measured.filter(pl.col("name") == "gap")["value"].min() == 0
    outlined = facts.filter(pl.col("kind").is_in(["anatomy", "instrument"]))
    assert outlined.filter(pl.col("box").list.len() != 4).is_empty()
    assert measured.filter(pl.col("name") == "area").height == outlined.height, "each thing has its own outline"


def test_the_outline_lies_in_its_box(tmp_path: Path) -> None:
    make_endoscapes(tmp_path, surgeries=1)
    scan = READER.scan(tmp_path)
    assert scan is not None
    found = READER.facts(tmp_path, scan.surgeries[0], 25)
    boxes = {(i, id): box for i, id, box in found.facts.select("index", "id", "box").rows() if box}
    areas = found.measured.filter(pl.col("name") == "area").select("index", "of", "value").rows()
    assert areas
    for index, of, area in areas:
        x1, y1, x2, y2 = boxes[index, of[0]]
        assert 0 < area <= (x2 - x1) * (y2 - y1) + 0.0001
