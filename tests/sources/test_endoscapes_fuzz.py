"""Endoscapes files with a value exchanged for another: facts that can be, or a SourceError in words."""

import copy
import json
import time
from pathlib import Path
from typing import Any

import pytest

from cotgen.draws import draw
from cotgen.errors import SourceError
from cotgen.sources.demo.endoscapes import make_endoscapes
from cotgen.sources.endoscapes import Endoscapes

READER = Endoscapes()
ROUNDS = 160
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 7, 10**18, 0.5, 1e308, -1e308, "", "tool", "1", "o" * 50, [], [1], {}, {"size": [240, 427]}, [[1, 2]],
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to each value in a JSON document, its root left out."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    own = [path] if path else []
    return own + [place for key, item in inner for place in places(item, (*path, key))]


def exchanged(content: Any, place: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(content)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    if value == "gone":
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return changed


@pytest.mark.parametrize("name", ["annotation_coco.json", "annotation_ds_coco.json"])
@pytest.mark.slow
def test_any_value_in_place_of_any_other(name: str, tmp_path: Path) -> None:
    make_endoscapes(tmp_path, surgeries=1)
    file = tmp_path / "train" / name
    content = json.loads(file.read_text())
    where = places(content)
    refused = 0
    started = time.monotonic()
    for n in range(ROUNDS):
        place = where[draw(0, name, "place", str(n)) % len(where)]
        value = ("gone", *VALUES)[draw(0, name, "value", str(n)) % (len(VALUES) + 1)]
        # Another length each time, as a file that is written anew within a tick of the clock has.
        file.write_text(json.dumps(exchanged(content, place, value)) + " " * n)
        scan = READER.scan(tmp_path)
        assert scan is not None
        try:
            found = READER.facts(scan.root, scan.surgeries[0], 25)
        except SourceError as problem:
            refused += 1
            assert str(problem).startswith("train/annotation_"), problem
            continue
        for box in found.facts["box"]:
            assert not len(box) or (0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1)
        assert found.facts["value"].is_between(0, 1).all()
        assert set(found.facts["kind"]) <= {n.partition(".")[2] for n in found.labelled["name"]}
        ids = {(index, id) for index, id in found.facts.select("index", "id").rows()}
        assert all((index, id) in ids for index, of in found.measured.select("index", "of").rows() for id in of)
    assert ROUNDS / 20 < refused < ROUNDS
    assert time.monotonic() - started < 120


@pytest.mark.slow
def test_any_cell_in_place_of_any_other(tmp_path: Path) -> None:
    make_endoscapes(tmp_path, surgeries=1)
    file = tmp_path / "all_metadata.csv"
    lines = file.read_text().splitlines()
    cells = ["", "inf", "nan", "1e400", "-5", '"', '"[1, 0]"', "[1 1 1]", "x" * 200_000, "\0", "5,5,5", "\u00fc"]
    refused = 0
    for n in range(150):
        changed = list(lines)
        at = draw(0, "line", str(n)) % len(lines)
        fields = changed[at].split(",")
        fields[draw(0, "field", str(n)) % len(fields)] = cells[draw(0, "cell", str(n)) % len(cells)]
        changed[at] = ",".join(fields)
        file.write_text("\n".join(changed) + "\n" * (1 + n))
        scan = READER.scan(tmp_path)
        assert scan is not None
        try:
            assert READER.facts(scan.root, scan.surgeries[0], 25).facts.height
        except SourceError as problem:
            refused += 1
            assert problem.file == "all_metadata.csv" and problem.line
    assert 0 < refused < 150
