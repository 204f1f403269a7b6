"""Pictures: whole, the same each time, and none where there is nothing to show."""

import io
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from cotgen.inspect import plots
from cotgen.inspect.record import Boxes, Statistics
from cotgen.inspect.statistics import statistics


@pytest.fixture(scope="module")
def numbers(folder: Path) -> Statistics:
    return statistics(folder)


PICTURES: dict[str, Callable[[Statistics, plots.Form], bytes]] = {
    "overview": plots.overview,
    "class balance": lambda numbers, form: plots.class_balance(numbers, "phase", form),
    "chain lengths": plots.chain_lengths,
    "skeleton entropy": plots.skeleton_entropy,
    "findings": plots.findings,
    "support": plots.support,
    "basis": plots.basis,
    "ribbons": lambda numbers, form: plots.ribbons(numbers.ribbons, form),
    "co-occurrence": lambda numbers, form: plots.co_occurrence(numbers.together[0], form),
    "boxes": lambda _, form: plots.box_maps([BOXES], form),
}
BOXES = Boxes(
    source="cholect50",
    term="instrument.hook",
    boxes=3,
    areas=[0, 3, 0, 0, 0, 0, 0, 0],
    cover=[[n % 3 for n in range(32)]] * 18,
)


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.slow
def test_a_picture_is_the_same_each_time(numbers: Statistics, name: str) -> None:
    svg = PICTURES[name](numbers, "svg")
    assert svg == PICTURES[name](numbers, "svg")
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert b"<dc:date>" not in svg


def test_a_png_tells_nothing_of_the_machine(numbers: Statistics) -> None:
    png = plots.overview(numbers, "png")
    assert png == plots.overview(numbers, "png")
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.width > 600
        assert set(picture.info) <= {"dpi"}


def test_a_users_own_style_changes_nothing(numbers: Statistics) -> None:
    import matplotlib

    before = plots.overview(numbers)
    with matplotlib.rc_context({"font.size": 30, "figure.facecolor": "black"}):
        assert plots.overview(numbers) == before
        assert matplotlib.rcParams["font.size"] == 30


def test_nothing_to_show_is_no_picture(numbers: Statistics) -> None:
    none = {
        "pairs",
        "balance",
        "ribbons",
        "together",
        "triplets",
        "boxes",
        "lengths",
        "bases",
        "diversity",
        "findings",
    }
    empty = numbers.model_copy(update={name: [] for name in none})
    for name in ("overview", "class balance", "chain lengths", "skeleton entropy", "findings", "support", "basis"):
        assert PICTURES[name](empty, "svg") == b""
    assert plots.ribbons([]) == plots.box_maps([]) == plots.triplets(empty, "cholect50") == b""
