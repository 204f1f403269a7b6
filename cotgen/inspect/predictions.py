"""Predictions: a model's replies from a `predictions.jsonl`, found by pair and held against the chain of the data set.

A line is `{"pair": "key#id", "response": "..."}`, the pair called by the name that cotgen gives it. The replies stay in the
file; only where they stand is kept.
"""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Any

import orjson

from cotgen.errors import CotgenError
from cotgen.records import Pair


class Predictions:
    """The replies of one file; of two to the same question, the later one counts.

    Attributes:
        path: the file.
        answers: `key#id` -> the answer that a reply gives, as text.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: dict[str, str] = {}
        self._at: dict[str, int] = {}
        self._places = array("Q")
        try:
            with path.open("rb") as file:
                offset = 0
                for number, line in enumerate(file, start=1):
                    if line.strip():
                        name, response = self._read(line, number)
                        self._at[name] = len(self._places)
                        self.answers[name] = _answer_in(response)
                        self._places.extend((offset, len(line)))
                    offset += len(line)
        except OSError as error:
            raise CotgenError(
                f"{path} cannot be read ({error.strerror}); check the path after --predictions"
            ) from error

    def __len__(self) -> int:
        return len(self._at)

    def _read(self, line: bytes, number: int) -> tuple[str, str]:
        try:
            entry = orjson.loads(line)
            name, response = entry["pair"], entry["response"]
        except (ValueError, KeyError, TypeError):
            name = response = None
        if not isinstance(name, str) or not isinstance(response, str):
            raise CotgenError(f'{self.path}:{number}: expected {{"pair": "key#id", "response": "..."}} on each line')
        return name, response

    def response(self, name: str) -> str | None:
        """The reply to a pair, as it stands in the file; None where there is none.

        Raises:
            CotgenError: the file is another one now.
        """
        at = self._at.get(name)
        if at is None:
            return None
        try:
            with self.path.open("rb") as file:
                file.seek(self._places[at])
                found = orjson.loads(file.read(self._places[at + 1]))
            if found["pair"] != name:
                raise ValueError(found["pair"])
            return str(found["response"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CotgenError(
                f"{self.path} was changed or removed since it was opened; end `cotgen view` and begin it again"
            ) from error


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
