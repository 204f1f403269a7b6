"""Reply: one completion as rewards read it. Nothing of the prompt is in it, so no reward can match what was asked.

Boxes are brought back to pixels of the stored picture first. In the levels each becomes `<bbox:n>`, as in stored text, so
that the checks of chains read a policy as they read a template.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from cotgen.chains.render import MAX_CHARACTERS, ParsedChain, parse
from cotgen.tasks import TASKS
from cotgen.tasks.answers import extract_answer
from cotgen.tasks.boxes import Box, iou, read_boxes
from cotgen.training.prompts import Row

#: A text with boxes as the model writes them, and (width, height) of the stored picture in pixels -> the text with
#: boxes in pixels of the stored picture. Pure, and hashable: a function, or a method of a frozen record.
BoxReader: TypeAlias = Callable[[str, tuple[int, int]], str]

#: A box in the levels is that of the fact that it covers best, from this IoU on (Everingham et al. 2010: a hit).
SAME_BOX = 0.5
#: No chain comes near this many sentences; of more nothing is read, which bounds the time of the checks.
MOST_SENTENCES = 64
_LITERAL = re.compile(r"<\s*bbox", re.IGNORECASE)
_WRITTEN = re.compile(r"\[[-\d., \t]{7,80}\]", re.ASCII)
_MOST_LEVEL_BOXES = 64


def as_stored(text: str, size: tuple[int, int]) -> str:
    """The box reader of a model that writes pixels of the stored picture."""
    return text


@dataclass(frozen=True, slots=True)
class Reply:
    """One completion.

    Attributes:
        chain: its levels, with boxes as `<bbox:n>`; without sentences where the form is broken.
        boxes: what these count, in pixels of the stored picture.
        answer: the text of the answer block, NFKC, with boxes in pixels of the stored picture; None where there is not
            one block after one closed think block.
    """

    chain: ParsedChain
    boxes: tuple[Box, ...]
    answer: str | None

    @property
    def whole(self) -> bool:
        """Whether it is of the strict form: three levels in order, none empty, then one answer, and nothing else."""
        return self.answer is not None and not self.chain.problems


def text_of(completion: Any) -> str:
    """The text of a completion, whether it is plain or a list of messages; "" where it has none."""
    if isinstance(completion, str):
        return completion
    last = completion[-1] if isinstance(completion, Sequence) and completion else {}
    content = last.get("content") if isinstance(last, dict) else None
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


@lru_cache(maxsize=1024)
def read_reply(text: str, row: Row, reader: BoxReader, opened: bool) -> Reply:
    """Read one completion. Never raises on any text.

    Args:
        text: the completion.
        row: the prompt, for the size of its picture and the boxes of its facts.
        reader: how the model writes boxes.
        opened: whether the chat template has written `<think>` before the completion.
    """
    if opened:
        text = f"<think>{text}"
    if len(text) > MAX_CHARACTERS:
        return Reply(parse(text), (), None)
    answer = extract_answer(text) if text.count("</think>") == 1 else None
    if answer is not None:
        answer = reader(unicodedata.normalize("NFKC", answer), row.size)
    boxes: list[Box] = []
    # A completion has no list of boxes that it could count into; what it writes for it is a word of no sentence.
    chain = parse(_with_numbers(reader(_LITERAL.sub("<literal", text), row.size), row, boxes))
    if len(chain.sentences) > MOST_SENTENCES:
        chain = ParsedChain((), chain.answer, (f"the levels have more than {MOST_SENTENCES} sentences",))
    return Reply(chain, tuple(boxes), answer)


def answer_score(text: str | None, row: Row, reader: BoxReader, opened: bool) -> float:
    """The score of the answer of one completion by its task, 0 to 1; 0 for one that was cut (None) or gives no answer.

    See `read_reply` for the other arguments. Never raises on any text.
    """
    answer = read_reply(text, row, reader, opened).answer if text is not None else None
    return TASKS[row.task].score(answer, row.question) if answer is not None else 0.0


def _with_numbers(text: str, row: Row, boxes: list[Box]) -> str:
    """The text with `[x1, y1, x2, y2]` as `<bbox:n>`; each new box is added to `boxes`."""
    known = sorted({(f.box[0], f.box[1], f.box[2], f.box[3]) for f in row.scene.facts if len(f.box) == 4})

    def one(match: re.Match[str]) -> str:
        found = read_boxes(match.group(), ())
        if found is None or len(found) != 1 or len(boxes) >= _MOST_LEVEL_BOXES:
            return match.group()
        box = found[0]
        best = max(known, key=lambda other: iou(box, other), default=box)
        box = best if iou(box, best) >= SAME_BOX else box
        if box not in boxes:
            boxes.append(box)
        return f"<bbox:{boxes.index(box)}>"

    return _WRITTEN.sub(one, text)
