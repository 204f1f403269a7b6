"""The source in thirty lines that CONTRIBUTING.md shows: it reads, joins and fits the contract."""

import re
from pathlib import Path
from typing import Any

from cotgen.sources.base import Source
from cotgen.surgeries.join import scenes
from cotgen.surgeries.splits import SplitPlan

GUIDE = Path(__file__).parents[2] / "CONTRIBUTING.md"


def example() -> Source:
    """The class of the guide."""
    found = re.search(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    space: dict[str, Any] = {}
    exec(found[1], space)
    reader: Source = space["Named"]()
    return reader


def test_the_example_of_the_guide_reads_its_pictures(tmp_path: Path) -> None:
    for name in (
        "73_000739_clipping_and_cutting.png",
        "73_000740_clipping_and_cutting.png",
        "5_000001_preparation.png",
    ):
        (tmp_path / name).write_bytes(b"")
    reader = example()
    scan = reader.scan(tmp_path)
    assert scan is not None and [files.surgery for files in scan.surgeries] == ["cholec80/5", "cholec80/73"]
    found = reader.facts(tmp_path, scan.surgeries[1])
    (first, _) = scenes([found], {}, {18475: (10, 10), 18500: (10, 10)}, "cholecystectomy", {})
    assert first.key == "cholec80-73-018475" and first.terms("phase") == ("phase.clipping_and_cutting",)
    assert SplitPlan.parse([]).of(first.surgery) == "test"
    assert reader.frames(tmp_path, scan.surgeries[1]).images == scan.surgeries[1].images
    assert reader.scan(tmp_path / "nothing") is None and reader.missing(tmp_path)
