"""Predictions: a model's replies from a `predictions.jsonl`, found by pair and held against the chain of the data set.

A line is `{"pair": "key#id", "response": "..."}`, the pair called by the name that cotgen gives it. The replies stay in the
file; only where they stand is kept.
"""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Any

import orjson

from cotgen.evaluation.predicted import prediction_lines
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
        for name, response, offset, length in prediction_lines(path):
            self._at[name] = len(self._places)
            self.answers[name] = _answer_in(response)
            self._places.extend((offset, length))

    def __len__(self) -> int:
        return len(self._at)

    def response(self, name: str) -> str | None:
        """The reply to a pair, as it stands in the file; None where there is none."""
        at = self._at.get(name)
        if at is None:
            return None
        with self.path.open("rb") as file:
            file.seek(self._places[at])
            line = file.read(self._places[at + 1])
        return str(orjson.loads(line)["response"])


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
