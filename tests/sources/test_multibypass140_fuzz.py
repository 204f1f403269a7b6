"""Drawn label files of MultiBypass140: what a slow reading by the definition gives, or a SourceError in words.

The slow reading looks at every second on its own and shares no code with the reader.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from cotgen.draws import draw
from cotgen.errors import SourceError
from cotgen.ontology import alias
from cotgen.sources.base import SurgeryFiles
from cotgen.sources.multibypass140 import MultiBypass140

READER = MultiBypass140()
FILE = "BBP01.mp4.json"
FILES = SurgeryFiles("multibypass140/bbp01", (("labels", FILE),))
PHASES = ["preparation", "gastric_pouch_creation", "omentum_division"]
OVERLAYS = {"out_of_body": 12, "severe_index": 13}
STEPS = list(alias("multibypass140", "step"))[:4]
JUNK: list[Any] = [None, True, -1, 10**15, 1.5, "", "5", "lunch", [], [[]], {}, "\u0660", float(2**60), "preparation "]


def drawn(most: int, *names: object) -> int:
    return draw(0, *map(str, names)) % most


def segments(n: int, kind: str) -> list[dict[str, Any]]:
    """Up to nine segments in 30 s, many of them touching, some overlapping, empty, or overlays."""
    rows = []
    at = drawn(4, "first", kind, n) * 700
    for k in range(1 + drawn(9, "count", kind, n)):
        long = drawn(9, "long", kind, n, k) * 500
        start = max(0, at + (0, 0, 0, 300, -1500, 1000)[drawn(6, "shift", kind, n, k)])
        names = [*PHASES, *OVERLAYS] if kind == "phase" else STEPS
        name = names[drawn(len(names), "name", kind, n, k)]
        number = OVERLAYS[name] if name in OVERLAYS else names.index(name)
        rows.append({"start": start, "end": start + long, "label_name": name, "label_id": number})
        at = start + long
    return rows


def by_definition(content: dict[str, Any]) -> tuple[set[tuple[int, str]], set[tuple[int, str]]]:
    """(second, term) and (second, kind labelled)."""
    said, labelled = set(), set()
    for second in range(60):
        at = 1000 * second
        here = {
            kind: {r["label_name"] for r in content[f"{kind}s"] if r["start"] <= at < r["end"]}
            for kind in ("phase", "step")
        }
        real = {"phase": here["phase"] - set(OVERLAYS), "step": here["step"]}
        outside = "out_of_body" in here["phase"]
        if outside or real["phase"] or real["step"]:
            labelled.add((second, "view"))
        if outside:
            said.add((second, "view.out_of_body"))
            continue
        for kind, names in real.items():
            if len(names) == 1:
                labelled.add((second, kind))
                said.add((second, alias("multibypass140", kind)[names.pop()]))
    return said, labelled


def test_every_second_is_read_as_the_definition_has_it(tmp_path: Path) -> None:
    told = 0
    for n in range(400):
        content = {"phases": segments(n, "phase"), "steps": segments(n, "step")}
        (tmp_path / FILE).write_text(json.dumps(content))
        found = READER.facts(tmp_path, FILES)
        said, labelled = by_definition(content)
        assert {(index // 25, terms[0]) for index, terms in found.facts.select("index", "terms").iter_rows()} == said
        assert {(index // 25, name.partition(".")[2]) for index, name in found.labelled.iter_rows()} == labelled
        assert found.facts.height == len(said) and found.labelled.height == len(labelled)
        assert found.labelled.rows() == sorted(found.labelled.rows())
        told += len(found.oddities)
    assert told > 100, "overlaps and gaps are drawn often"


@pytest.mark.parametrize("field", ["start", "end", "label_name", "label_id"])
def test_a_value_that_is_none_is_refused_and_named(tmp_path: Path, field: str) -> None:
    for n, junk in enumerate(JUNK):
        content = {"phases": segments(n, "phase"), "steps": segments(n, "step")}
        key = ("phases", "steps")[n % 2]
        at = drawn(len(content[key]), "at", n)
        content[key][at][field] = junk
        (tmp_path / FILE).write_text(json.dumps(content))
        with pytest.raises(SourceError) as caught:
            READER.facts(tmp_path, FILES)
        assert caught.value.file == FILE
        assert f"{key} {at + 1} " in str(caught.value) and len(str(caught.value)) < 250


@pytest.mark.parametrize(
    "content",
    ["[]", "{}", '{"phases": [], "steps": []}', '{"phases": {}, "steps": []}', '{"phases": [3], "steps": []}'],
)
def test_another_form_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(SourceError, match=r"expected|no object with start"):
        READER.facts(tmp_path, FILES)
