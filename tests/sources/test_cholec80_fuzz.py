"""Damaged annotation files: the right facts, or a SourceError with file and line; never anything else.

What is right is decided by a reader of this file, which is slow, simple and shares no code with the real one.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cotgen.errors import SourceError
from cotgen.ontology import alias
from cotgen.sources import source
from cotgen.sources.base import SurgeryFiles
from tests.sources.conftest import PHASES, TOOLS

READER = source("cholec80")
HEADERS = {"phase": ["Frame", "Phase"], "tool": ["Frame", *TOOLS]}
STEPS = {"phase": 1, "tool": 25}
FILES = {role: f"{role}_annotations/video01-{role}.txt" for role in HEADERS}

Rows = list[tuple[int, tuple[str, ...]]]


class WrongError(Exception):
    def __init__(self, line: int) -> None:
        self.line = line


def slow_reader(role: str, data: bytes) -> Rows:
    """Frame and values in the release's column order, row by row; raises WrongError with the first wrong line."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    for damage in (b"\0", b"\r(?!\n)"):
        if found := re.search(damage, data):
            raise WrongError(data[: found.start()].count(b"\n") + 1)
    for number, raw in enumerate(data.split(b"\n"), 1):
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError:
            raise WrongError(number) from None
    lines = [line.removesuffix("\r") for line in data.decode("utf-8").split("\n")]
    for number, line in enumerate(lines, 1):
        if len(line.encode()) > 1000:
            raise WrongError(number)
    header: list[str] = []
    rows: Rows = []
    for number, line in enumerate(lines, 1):
        cells = line.strip(" \t").replace("\t", " ").split(" ") if "\t" not in line else tabbed(line)
        cells = [cell for cell in cells if cell] if "\t" not in line else cells
        if not header:
            header = cells
            if sorted(header) != sorted(HEADERS[role]):
                raise WrongError(1)
            continue
        if not line.strip(" \t"):
            continue
        expected = len(rows) * STEPS[role]
        if len(cells) != len(header):
            raise WrongError(number)
        row = dict(zip(header, cells, strict=True))
        frame = row.pop("Frame")
        allowed = PHASES if role == "phase" else ["0", "1"]
        if not (frame.isascii() and frame.isdigit() and len(frame) < 10 and int(frame) == expected):
            raise WrongError(number)
        if not all(value in allowed for value in row.values()):
            raise WrongError(number)
        rows.append((expected, tuple(row[name] for name in HEADERS[role][1:])))
    if not rows:
        raise WrongError(2)
    return rows


def tabbed(line: str) -> list[str]:
    """The cells of a line that has tabs: a tab with spaces around it parts two cells, and so do spaces alone."""
    cells = []
    for part in line.lstrip(" ").rstrip(" \t").split("\t"):
        inner = [cell for cell in part.split(" ") if cell]
        cells += inner or [""]
    return cells


def expected_facts(phases: Rows, tools: Rows, step: int) -> list[tuple[int, str, list[str]]]:
    found = []
    tool_rows = dict(tools)
    for frame in sorted({frame for frame, _ in phases} | set(tool_rows)):
        if frame % step:
            continue
        for _, (phase,) in phases[frame : frame + 1]:
            found.append((frame, "cholec80.phase.0", [alias("cholec80", "phase")[phase]]))
        present = [tool for tool, value in zip(TOOLS, tool_rows.get(frame, ()), strict=False) if value == "1"]
        for n, tool in enumerate(present):
            found.append((frame, f"cholec80.instrument.{n}", [alias("cholec80", "instrument")[tool]]))
    return found


def expected_labelled(phases: Rows, tools: Rows, step: int) -> list[tuple[int, str]]:
    names = [(frame, "cholec80.phase") for frame, _ in phases] + [(frame, "cholec80.instrument") for frame, _ in tools]
    return sorted(name for name in names if name[0] % step == 0)


@dataclass
class Case:
    """A pair of files, one of which may be damaged."""

    contents: dict[str, bytes]
    step: int


def fuzz(folder: Path, case: Case) -> str:
    """Compare the reader with the slow one on one case; returns what happened."""
    for role, content in case.contents.items():
        path = folder / FILES[role]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    files = SurgeryFiles("cholec80/1", tuple(FILES.items()), "videos/video01.mp4")
    truth: dict[str, Rows] = {}
    wrong: tuple[str, int] | None = None
    for role, content in case.contents.items():
        try:
            truth[role] = slow_reader(role, content)
        except WrongError as error:
            wrong = (FILES[role], error.line)
            break
    try:
        read = READER.facts(folder, files, case.step)
    except SourceError as error:
        assert wrong == (error.file, error.line), f"refused with {error}"
        assert "\n" not in str(error) and len(str(error)) < 400
        return "refused"
    assert wrong is None, f"read in spite of {wrong}"
    assert read.facts.select("index", "id", "terms").rows() == expected_facts(truth["phase"], truth["tool"], case.step)
    assert read.labelled.rows() == expected_labelled(truth["phase"], truth["tool"], case.step)
    return "read"


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[list[str]], list[list[str]]]:
    """Cells of a phase and a tool table of a few seconds, as the release would have them."""
    seconds = draw(st.integers(1, 4))
    changes = draw(st.lists(st.sampled_from(PHASES), min_size=seconds + 1, max_size=seconds + 1))
    frames = 25 * seconds + draw(st.sampled_from([1, 2]))
    cells = draw(st.lists(st.tuples(*[st.sampled_from("01")] * 7), min_size=seconds, max_size=seconds))
    return (
        [HEADERS["phase"], *([str(frame), changes[frame // 25]] for frame in range(frames))],
        [HEADERS["tool"], *([str(25 * second), *row] for second, row in enumerate(cells))],
    )


def plain(cells: list[list[str]]) -> bytes:
    return "".join("\t".join(row) + "\n" for row in cells).encode()


JUNK = st.sampled_from(
    ["", "-1", "x", "1.0", "2", "١", "0x1", "1e3", "9" * 12, "Sewing", "preparation", "é", "None", "00"]
)
TOKENS = st.sampled_from(
    [
        b"\0",
        b"\xff",
        b"\xc3",
        b"\r",
        b"\n",
        b"\t",
        b" ",
        b"0",
        b"1",
        b"-",
        b"25",
        b"\xef\xbb\xbf",
        b"Frame",
        b"\n\n",
        b"\r\n",
    ]
)


@st.composite
def damaged(draw: st.DrawFn, cells: list[list[str]]) -> bytes:
    """One table after one to three accidents with its rows, its cells, or its bytes."""
    cells = [list(row) for row in cells]
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(cells) - 1))
        other = draw(st.integers(0, len(cells) - 1))
        column = draw(st.integers(0, len(cells[at]) - 1)) if cells[at] else 0
        accident = draw(
            st.sampled_from(["delete", "double", "swap", "cell", "drop", "move", "columns", "shift", "cut", "nothing"])
        )
        if accident == "delete" and len(cells) > 1:
            del cells[at]
        elif accident == "double":
            cells.insert(other, list(cells[at]))
        elif accident == "swap":
            cells[at], cells[other] = cells[other], cells[at]
        elif accident == "cell" and cells[at]:
            cells[at][column] = draw(JUNK)
        elif accident == "drop" and cells[at]:
            del cells[at][column]
        elif accident == "move" and cells[at]:
            cells[at].append(cells[at].pop(column))
        elif accident == "columns":
            order = draw(st.permutations(range(len(cells[0]))))
            cells = [[row[i] for i in order] if len(row) == len(order) else row for row in cells]
        elif accident == "shift":
            by = draw(st.sampled_from([-25, -1, 1, 25]))
            for row in cells[at:]:
                if row and row[0].isascii() and row[0].isdigit():
                    row[0] = str(int(row[0]) + by)
        elif accident == "cut":
            cells = cells[: at + 1]
    data = form(draw, cells)
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data)))
        accident = draw(st.sampled_from(["insert", "overwrite", "cut", "remove"]))
        token = draw(TOKENS)
        if accident == "insert":
            data = data[:at] + token + data[at:]
        elif accident == "overwrite":
            data = data[:at] + token + data[at + len(token) :]
        elif accident == "cut":
            data = data[:at]
        else:
            data = data[:at] + data[at + draw(st.integers(1, 40)) :]
    return data


def form(draw: st.DrawFn, cells: list[list[str]]) -> bytes:
    """The bytes of a table in any of the forms that are read."""
    gap = draw(st.sampled_from(["\t", " ", "   ", " \t ", "\t "]))
    end = draw(st.sampled_from(["\n", "\r\n", " \n", "\t\r\n", "\n\n"]))
    text = end.join(gap.join(row) for row in cells) + draw(st.sampled_from([end, "", "\n", "\n\n"]))
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + text.encode()


@st.composite
def cases(draw: st.DrawFn) -> Case:
    phases, tools = draw(tables())
    which = draw(st.sampled_from(["phase", "tool"]))
    contents = {"phase": plain(phases), "tool": plain(tools)}
    contents[which] = draw(damaged(phases if which == "phase" else tools))
    return Case(contents, draw(st.sampled_from([1, 5, 25, 50])))


def run(folder: Path, examples: int) -> dict[str, int]:
    seen = {"refused": 0, "read": 0}

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(cases())
    def check(case: Case) -> None:
        seen[fuzz(folder, case)] += 1

    check()
    return seen


def test_a_damaged_file_gives_the_right_facts_or_file_and_line(tmp_path: Path) -> None:
    seen = run(tmp_path, 200)
    assert min(seen.values()) > 10, "the accidents are all harmless or all fatal: nothing is tested"


@pytest.mark.slow
def test_thousands_of_damaged_files(tmp_path: Path) -> None:
    assert sum(run(tmp_path, 6000).values()) >= 6000


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(tables=tables(), data=st.data())
def test_any_form_gives_the_facts_of_the_plain_file(
    tmp_path_factory: pytest.TempPathFactory, tables: tuple[list[list[str]], list[list[str]]], data: st.DataObject
) -> None:
    """Columns in any order, any separator, line end and mark: no error, and every fact as in the release's form."""
    folder = tmp_path_factory.mktemp("form")
    contents = {}
    truth = {}
    for role, cells in zip(("phase", "tool"), tables, strict=True):
        order = data.draw(st.permutations(range(len(cells[0]))))
        contents[role] = form(data.draw, [[row[i] for i in order] for row in cells])
        truth[role] = slow_reader(role, plain(cells))
    assert fuzz(folder, Case(contents, 25)) == "read"
    files = SurgeryFiles("cholec80/1", tuple(FILES.items()), "videos/video01.mp4")
    assert READER.facts(folder, files).facts.select("index", "id", "terms").rows() == expected_facts(
        truth["phase"], truth["tool"], 25
    )


# Accidents whose outcome is known without any reader.

Accident = Callable[[list[bytes], int], list[bytes]]
FATAL: dict[str, tuple[Accident, int]] = {
    "deleted": (lambda lines, at: lines[:at] + lines[at + 1 :], 0),
    "doubled": (lambda lines, at: lines[: at + 1] + lines[at:], 1),
    "swapped": (lambda lines, at: [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]], 0),
    "not a number": (lambda lines, at: [*lines[:at], b"x" + lines[at], *lines[at + 1 :]], 0),
    "negative": (lambda lines, at: [*lines[:at], b"-" + lines[at], *lines[at + 1 :]], 0),
    "not UTF-8": (lambda lines, at: [*lines[:at], lines[at] + b"\xe9", *lines[at + 1 :]], 0),
    "NUL": (lambda lines, at: [*lines[:at], lines[at] + b"\0", *lines[at + 1 :]], 0),
    "huge": (lambda lines, at: [*lines[:at], lines[at] + b"0" * 100_000, *lines[at + 1 :]], 0),
    "emptied fields": (lambda lines, at: [*lines[:at], lines[at].split(b"\t")[0] + b"\t", *lines[at + 1 :]], 0),
    "unknown name": (lambda lines, at: [*lines[:at], lines[at][:-1] + b"7", *lines[at + 1 :]], 0),
    "decreasing": (
        lambda lines, at: [*lines[: at + 1], b"0" + lines[at][lines[at].index(b"\t") :], *lines[at + 1 :]],
        1,
    ),
}


@pytest.mark.parametrize("accident", FATAL)
@pytest.mark.parametrize("role", ["phase", "tool"])
@pytest.mark.slow
def test_an_accident_in_any_row_is_found_in_its_line(tmp_path: Path, role: str, accident: str) -> None:
    phases = [HEADERS["phase"], *([str(frame), PHASES[frame // 40]] for frame in range(151))]
    tools = [HEADERS["tool"], *([str(25 * second), *"0101010"] for second in range(6))]
    contents = {"phase": plain(phases), "tool": plain(tools)}
    lines = contents[role].splitlines()
    change, offset = FATAL[accident]
    for at in range(1, len(lines) - 1):
        contents[role] = b"\n".join(change(lines, at)) + b"\n"
        for name, content in contents.items():
            path = tmp_path / FILES[name]
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        with pytest.raises(SourceError) as caught:
            READER.facts(tmp_path, SurgeryFiles("cholec80/1", tuple(FILES.items()), "videos/video01.mp4"))
        assert (caught.value.file, caught.value.line) == (FILES[role], at + 1 + offset)
