"""The report: one file that needs nothing else, in which nothing that a data set holds becomes code."""

import base64
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cotgen.inspect.record import Skeleton, Statistics
from cotgen.inspect.report import report
from cotgen.inspect.statistics import statistics

VOID = {"meta", "img", "br", "link", "input", "hr"}
EVIL = "</code><script>alert(1)</script>\"'>"


class Reader(HTMLParser):
    """Holds that tags are closed in order, and gathers what refers to something."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.refers: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.alts: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = {name: value or "" for name, value in attrs}
        self.ids += [found["id"]] if "id" in found else []
        self.refers += [(tag, found[name]) for name in ("src", "href", "action", "srcset") if name in found]
        if tag == "img":
            self.alts.append(found.get("alt", ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def numbers(folder: Path) -> Statistics:
    return statistics(folder)


@pytest.fixture(scope="module")
def page(numbers: Statistics) -> str:
    return report(numbers)


def test_it_needs_nothing_else(page: str) -> None:
    reader = read(page)
    assert set(reader.tags) & {"script", "iframe", "object", "link", "form"} == set()
    for tag, target in reader.refers:
        assert target.startswith("data:image/svg+xml;base64," if tag == "img" else "#"), target[:60]
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style and "@import" not in style
    assert "default-src 'none'" in page


def test_pictures_are_whole_and_have_words_for_them(page: str) -> None:
    reader = read(page)
    pictures = [target for tag, target in reader.refers if tag == "img"]
    assert len(pictures) == len(reader.alts) >= 10
    assert all(len(alt.split()) > 4 for alt in reader.alts)
    for target in pictures:
        svg = base64.b64decode(target.partition(",")[2])
        assert ElementTree.fromstring(svg).tag.endswith("svg")
        assert b"<script" not in svg and b'href="http' not in svg


def test_links_lead_to_parts_of_the_page(page: str) -> None:
    reader = read(page)
    assert {target[1:] for tag, target in reader.refers if tag == "a"} <= set(reader.ids)
    assert len(set(reader.ids)) == len(reader.ids)


def test_tables_have_the_numbers(page: str, numbers: Statistics) -> None:
    text = read(page).text
    assert f"{numbers.total:,}" in text
    for row in numbers.diversity:
        assert row.most[0].example in text


def test_nothing_that_a_data_set_holds_becomes_code(numbers: Statistics) -> None:
    form = Skeleton(text=EVIL, chains=1, example=EVIL, sentences=[EVIL])
    planted = numbers.model_copy(
        update={
            "titles": {"cholec80": EVIL},
            "diversity": [row.model_copy(update={"task": EVIL, "most": [form]}) for row in numbers.diversity[:1]],
            "balance": [
                row.model_copy(update={"kind": EVIL, "classes": {EVIL: 1}, "commonest": EVIL})
                for row in numbers.balance[:1]
            ],
            "ribbons": [row.model_copy(update={"surgery": EVIL}) for row in numbers.ribbons[:1]],
        }
    )
    text = report(planted, planted, (EVIL, EVIL))
    assert "<script" not in text
    assert "alert(1)" in read(text).text


@pytest.mark.slow
def test_the_same_numbers_give_the_same_bytes(numbers: Statistics, page: str) -> None:
    assert report(numbers) == page


def test_two_folders_stand_beside_each_other(numbers: Statistics) -> None:
    few = numbers.model_copy(
        update={name: [] for name in ("diversity", "ribbons", "together", "bases")}
        | {"balance": [row for row in numbers.balance if row.task == "phase"]}
    )
    reader = read(report(few, few, ("ours", "theirs")))
    assert "ours and theirs" in reader.text
    beside = [alt for alt in reader.alts if alt.startswith(("ours:", "theirs:"))]
    assert len(beside) == 6 and len(set(beside)) == 6
