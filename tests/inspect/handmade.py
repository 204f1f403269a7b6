"""One sample with one pair of each kind, written by hand: what every format is held against, letter by letter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cotgen.records import Pair, Statement
from tests.shards.samples import Made, make, write_folder

#: Pixels of the stored picture, which has 48 x 36.
BOX, OTHER = [12, 9, 24, 18], [24, 18, 48, 36]
#: Reasons of a chain, as stored and without boxes.
SO = "<think>Level 1: A hook is in view.\nLevel 2: It touches tissue.\nLevel 3: So it is.</think>"
#: The same with boxes, as stored: one thing twice.
SEEN = (
    "<think>Level 1: A hook lies right <bbox:1>.\nLevel 2: It touches <bbox:0>.\nLevel 3: It is at <bbox:1>.</think>"
)


def pair(id: str, task: str, answer: str, *texts: str, **more: Any) -> Pair:
    texts = texts or ("A hook is in view.", "It touches tissue.", "So it is.")
    statements = [
        Statement(level=level, text=text, basis="label", evidence=["fact:cholec80.instrument.0"])  # type: ignore[arg-type]
        for level, text in enumerate(texts, start=1)
    ]
    values = {"question": "Which?", "support": "entailed", "writer": "template/1", "statements": statements}
    return Pair.model_validate({"id": id, "task": task, "answer": answer, **values, **more})


YES = pair("tool.yesno.instrument.hook", "tool_yesno", "yes", question="Is a hook in view?")
CHOICE = pair("phase.choice", "phase", "Preparation", options=["Preparation", "Clipping and cutting"], support="weak")
PLACES = pair(
    "loc.all", "localization", "hook <bbox:1>\ngrasper <bbox:0>",
    "A hook lies right <bbox:1>.", "It touches <bbox:0>.", "It is at <bbox:1>.",
    question="What is in <bbox:0>?", boxes=[BOX, OTHER],
)  # fmt: skip
SET = pair("tool.presence", "tool_presence", "grasper\nhook", question="Näher: what is in view – “all”?")
ASSERTED = pair("phase.open", "phase", "Preparation", support="asserted")
TAUGHT = pair("phase.taught", "phase", "Preparation", support="asserted", writer="teacher/some/model")
PAIRS = [YES, CHOICE, PLACES, SET, ASSERTED, TAUGHT]


def handmade(folder: Path, **more: Any) -> tuple[Path, str]:
    """A folder of one train sample with these pairs; returns it and the key."""
    made = make(("cholec80/1",), seconds=2)
    sample = made.samples[0].model_copy(update={"pairs": PAIRS, **more})
    return write_folder(Made([sample], made.pictures), folder, shards=1), sample.key
