"""Row: what a reward is told of one prompt. Its columns are those of view `prompt`; a completion is not among them.

A trainer hands the columns on as it stored them, a list or a JSON text; a row is a value, equal where they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import orjson

from cotgen.errors import CotgenError
from cotgen.records import Context, Fact, Measured, Pair, Sample, Scene, disputes
from cotgen.records.base import canonical_json
from cotgen.records.scene import PROCEDURES
from cotgen.tasks import TASKS, Question, source_asked

#: What a row is read from, in the order of the view.
COLUMNS = (
    "key", "id", "task", "source", "surgery", "question", "options", "answer", "boxes", "size", "labelled", "facts",
    "measured", "context",
)  # fmt: skip
_TEXTS = frozenset({"key", "id", "task", "source", "surgery", "question", "answer"})


def reward_columns(sample: Sample, pair: Pair) -> dict[str, Any]:
    """The columns of view `prompt` that rewards read.

    `answer` is as stored, where `<bbox:n>` is box n of `boxes`, and these are in pixels of the stored picture, whose width
    and height are `size`. `source` is the one whose labels the question asks about. The others are those of the sample.
    """
    dumped = sample.model_dump(include={"facts", "measured", "context", "labelled"})
    return {
        "key": sample.key,
        "id": pair.id,
        "task": pair.task,
        "source": source_asked(Scene.of(sample), pair.task, sample.frame.source),
        "surgery": sample.surgery,
        "question": pair.question,
        "options": list(pair.options),
        "answer": pair.answer,
        "boxes": [list(box) for box in pair.boxes],
        "size": [sample.frame.width, sample.frame.height],
        **dumped,
    }


@dataclass(frozen=True, eq=False)
class Row:
    """One prompt as rewards see it.

    Attributes:
        blob: its columns as canonical JSON.
    """

    blob: bytes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Row) and self.blob == other.blob

    def __hash__(self) -> int:
        return hash(self.blob)

    @cached_property
    def _columns(self) -> dict[str, Any]:
        columns: dict[str, Any] = orjson.loads(self.blob)
        return columns

    @property
    def name(self) -> str:
        """`key#id`."""
        return f"{self._columns['key']}#{self._columns['id']}"

    @property
    def task(self) -> str:
        """Name of the task."""
        return str(self._columns["task"])

    @property
    def source(self) -> str:
        """The source whose labels the question asks about."""
        return str(self._columns["source"])

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the stored picture in pixels."""
        width, height = self._columns["size"]
        return width, height

    @cached_property
    def scene(self) -> Scene:
        """The facts of the frame."""
        columns = self._columns
        facts = tuple(Fact.model_validate(fact) for fact in columns["facts"])
        return Scene(
            key=columns["key"],
            surgery=columns["surgery"],
            index=0,  # a frame alone: nothing here looks at its place in the surgery
            labelled=frozenset(columns["labelled"]),
            facts=facts,
            measured=tuple(Measured.model_validate(item) for item in columns["measured"]),
            procedure=PROCEDURES.get(columns["surgery"].partition("/")[0], "cholecystectomy"),
            size=self.size,
            disputed=disputes(facts, columns["labelled"]),
            context=tuple(Context.model_validate(item) for item in columns["context"]),
        )

    @cached_property
    def question(self) -> Question:
        """The question with its true answer. It has no boxes: to a completion `<bbox:0>` is no way to write one.

        Raises:
            CotgenError: the stored answer is none of its task.
        """
        columns = self._columns
        pair = Pair.model_construct(
            id=columns["id"],
            task=columns["task"],
            question=columns["question"],
            options=columns["options"],
            answer=columns["answer"],
            boxes=columns["boxes"],
        )
        try:
            return replace(Question.of(pair), boxes=())
        except ValueError as error:
            raise CotgenError(f"{self.name}: {error}; render view 'prompt' again from the data set") from error


def read_rows(columns: Mapping[str, Sequence[Any]], number: int) -> list[Row]:
    """The rows of a batch.

    Args:
        columns: name -> a value for each completion; others than `COLUMNS` are left alone.
        number: how many completions there are.

    Raises:
        CotgenError: a column is missing, has another length, or is not of its form.
    """
    if missing := [name for name in COLUMNS if name not in columns]:
        raise CotgenError(
            f"rewards need the column '{missing[0]}'; render the prompts with view 'prompt' and keep its columns"
        )
    for name in COLUMNS:
        if len(columns[name]) != number:
            raise CotgenError(f"the column '{name}' has {len(columns[name])} values for {number} completions")
    return [_row(canonical_json({name: _plain(name, columns[name][n]) for name in COLUMNS})) for n in range(number)]


def _plain(name: str, value: Any) -> Any:
    """A column as plain values, whether it came as such or as a JSON text."""
    if name in _TEXTS or not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except ValueError as error:
        raise CotgenError(f"the column '{name}' holds text that is no JSON: '{value[:40]}'") from error


@lru_cache(maxsize=1024)
def _row(blob: bytes) -> Row:
    row = Row(blob)
    if row.task not in TASKS:
        raise CotgenError(f"{row.name}: no task '{row.task}' is known; this version has {', '.join(TASKS)}")
    try:
        _ = row.scene
    except (ValueError, TypeError) as error:
        raise CotgenError(f"{row.name}: its facts are not those of a sample ({error})") from error
    return row
