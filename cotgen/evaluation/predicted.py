"""PredictedReplies: the replies of a `predictions.jsonl` by pair, for scores; the texts stay in the file.

A line is `{"pair": "key#id", "response": "..."}`; what else it holds is left alone.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path

import orjson

from cotgen.errors import CotgenError


def prediction_lines(path: Path) -> Iterator[tuple[str, str, int, int]]:
    """Pair, response, offset and length in bytes of each line of a `predictions.jsonl`.

    Raises:
        CotgenError: the file cannot be read, or a line is not of its form.
    """
    try:
        with path.open("rb") as file:
            offset = 0
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield *_prediction(path, line, number), offset, len(line)
                offset += len(line)
    except OSError as error:
        raise CotgenError(f"{path} cannot be read ({error.strerror}); check the path after --predictions") from error


def _prediction(path: Path, line: bytes, number: int) -> tuple[str, str]:
    try:
        entry = orjson.loads(line)
        name, response = entry["pair"], entry["response"]
    except (ValueError, KeyError, TypeError):
        name = response = None
    if not isinstance(name, str) or not isinstance(response, str):
        raise CotgenError(f'{path}:{number}: expected {{"pair": "key#id", "response": "..."}} on each line')
    return name, response


class PredictedReplies:
    """All replies of a `predictions.jsonl` by pair; of several to one question each counts. The texts stay in the file.

    Raises:
        CotgenError: the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[str, array[int]] = {}
        for name, _, offset, length in prediction_lines(path):
            self._places.setdefault(name, array("Q")).extend((offset, length))

    def __len__(self) -> int:
        """How many pairs have a reply."""
        return len(self._places)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def texts(self, name: str) -> tuple[str, ...]:
        """The replies to a pair in their order; () without any."""
        places = self._places.get(name, array("Q"))
        found = []
        with self._path.open("rb") as file:
            for offset, length in zip(places[::2], places[1::2], strict=True):
                file.seek(offset)
                found.append(str(orjson.loads(file.read(length))["response"]))
        return tuple(found)
