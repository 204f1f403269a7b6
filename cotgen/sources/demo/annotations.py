"""Annotation files of a look-alike surgery, byte for byte in the format of the real ones.

Tabs, LF, a header line, a final newline. The phase file has a row for each video frame, one more than 25 times the
rows of the tool file (two more in a few surgeries), so the last instant has a phase and no tools.
"""

from __future__ import annotations

from cotgen.sources.demo.course import PHASES, TOOLS, Course


def phase_text(course: Course) -> str:
    """The text of `videoNN-phase.txt`."""
    rows = ["Frame\tPhase"]
    for second, phase in enumerate(course.phases):
        last = course.frames if second == course.seconds - 1 else 25 * (second + 1)
        rows += [f"{frame}\t{PHASES[phase]}" for frame in range(25 * second, last)]
    return "\n".join(rows) + "\n"


def tool_text(course: Course) -> str:
    """The text of `videoNN-tool.txt`."""
    rows = ["\t".join(("Frame", *TOOLS))]
    for second, seen in enumerate(course.tools):
        rows.append("\t".join((str(25 * second), *("1" if tool in seen else "0" for tool in TOOLS))))
    return "\n".join(rows) + "\n"
