"""Predictions: a model's replies, found by pair and held against the chain of the data set.

They come as a `predictions.jsonl`, a line of which is `{"pair": "key#id", "response": "..."}`, or as the folder of tables
that GRPO writes of its completions, `OUT/completions/completions_00100.parquet`, with the columns `step`, `pair` and
`completion`. A pair is called by the name that cotgen gives it. The replies stay in their files; only where they stand is
kept.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import orjson
import polars as pl

from cotgen.errors import CotgenError
from cotgen.evaluation.predicted import prediction_lines
from cotgen.records import Pair
from cotgen.training.reply import text_of


class Predictions:
    """The replies of one file, or of one folder of completions; of two to the same question, the later one counts.

    Attributes:
        path: the file or folder.
        step: of a folder, the only step that is taken; None for the last that has the pair.
        answers: `key#id` -> the answer that a reply gives, as text.
    """

    def __init__(self, path: Path, step: int | None = None) -> None:
        """Find where the replies stand.

        Args:
            path: a file of JSON lines, or a folder of completions.
            step: of a folder, the only step that is taken.

        Raises:
            CotgenError: the path cannot be read, is not of its form, or has nothing of that step.
        """
        self.path, self.step = path, step
        self.answers: dict[str, str] = {}
        self._at: dict[str, int] = {}
        if step is not None and not path.is_dir():
            raise CotgenError(f"{path} has no steps; --step is for the folder of completions that stage 3 writes")
        self._replies: _Replies = _Completions(path, step) if path.is_dir() else _Lines(path)
        for number, (name, response) in enumerate(self._replies.all()):
            self._at[name] = number
            self.answers[name] = _answer_in(response)

    def __len__(self) -> int:
        return len(self._at)

    @property
    def title(self) -> str:
        """What a page calls them."""
        return self.path.name if self.step is None else f"{self.path.name}, step {self.step}"

    def response(self, name: str) -> str | None:
        """The reply to a pair, as it stands in the file; None where there is none.

        Raises:
            CotgenError: the file is another one now.
        """
        at = self._at.get(name)
        if at is None:
            return None
        try:
            found, response = self._replies.one(at)
            if found != name:
                raise ValueError(found)
            return response
        except (OSError, ValueError, LookupError, TypeError, pl.exceptions.PolarsError) as error:
            raise CotgenError(
                f"{self.path} was changed or removed since it was opened; end `cotgen view` and begin it again"
            ) from error


class _Replies(Protocol):
    def all(self) -> Iterator[tuple[str, str]]:
        """(`key#id`, reply) in their order."""
        ...

    def one(self, number: int) -> tuple[str, str]:
        """(`key#id`, reply) of that number, as it stands there now."""
        ...


class _Lines:
    """JSON lines; where each begins and how long it is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places = array("Q")

    def all(self) -> Iterator[tuple[str, str]]:
        for name, response, offset, length in prediction_lines(self._path):
            yield name, response
            self._places.extend((offset, length))

    def one(self, number: int) -> tuple[str, str]:
        with self._path.open("rb") as file:
            file.seek(self._places[2 * number])
            entry = orjson.loads(file.read(self._places[2 * number + 1]))
        return str(entry["pair"]), str(entry["response"])


class _Completions:
    """Tables of completions in the order of their names, which is that of the steps; the file and row of each."""

    def __init__(self, folder: Path, step: int | None) -> None:
        self._folder, self._step = folder, step
        # By length first: the numbers in the names have five digits until they need six.
        self._files = sorted(folder.glob("completions_*.parquet"), key=lambda path: (len(path.name), path.name))
        if not self._files:
            raise CotgenError(f"{folder} holds no completions_*.parquet; name OUT/completions of a run of stage 3")
        self._places = array("Q")

    def all(self) -> Iterator[tuple[str, str]]:
        for number, path in enumerate(self._files):
            try:
                table = pl.read_parquet(path, columns=["step", "pair", "completion"])
            except (OSError, pl.exceptions.PolarsError) as error:
                raise CotgenError(
                    f"{path} has no columns step, pair and completion that can be read; is it of a run of "
                    "recipes/stage3_grpo.py?"
                ) from error
            for row, (step, pair, completion) in enumerate(table.iter_rows()):
                if self._step in (None, step) and pair:
                    yield str(pair), text_of(completion)
                    self._places.extend((number, row))
        if not self._places:
            which = "" if self._step is None else f" of step {self._step}"
            raise CotgenError(f"{self._folder} holds no completions{which}; leave --step out for the last")

    def one(self, number: int) -> tuple[str, str]:
        path, row = self._files[self._places[2 * number]], self._places[2 * number + 1]
        pair, completion = pl.read_parquet(path, columns=["pair", "completion"]).row(row)
        return str(pair), text_of(completion)


def _answer_in(response: str) -> str:
    """What stands between the answer tags, else all of it."""
    _, opened, rest = response.rpartition("<answer>")
    answer, closed, _ = rest.partition("</answer>")
    return (answer if opened and closed else response).strip()


def read_reply(pair: Pair, response: str) -> dict[str, Any]:
    """A reply as a page shows it: sentences by level, answer, what is wrong with its form, and the task's score.

    Where it is no chain at all, the whole of it counts as the answer.
    """
    from cotgen.chains.render import parse
    from cotgen.tasks import TASKS
    from cotgen.tasks.base import Question

    parsed = parse(response)
    answer = parsed.answer if parsed.sentences or parsed.answer else response.strip()
    try:
        score: float | None = TASKS[pair.task].score(answer, Question.of(pair))
    except (KeyError, ValueError):
        score = None
    return {
        "response": response,
        "sentences": [{"level": level, "text": text} for level, text in parsed.sentences],
        "answer": answer,
        "problems": list(parsed.problems),
        "score": -1.0 if score is None else score,
    }
