"""State: what a refinement has done, so that the same command goes on after `kill -9`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from cotgen.errors import CotgenError
from cotgen.shards.files import write_bytes


class State:
    """What is done, in a file that is written whole.

    Args:
        path: of the file.
        settings: what decides the rounds; they stay the same.

    Raises:
        CotgenError: the file is of other settings, or damaged.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self._path = path
        self.rounds: list[dict[str, Any]] = []
        self.first: dict[str, Any] = {}
        if path.exists():
            try:
                told = orjson.loads(path.read_bytes())
                before, self.rounds, self.first = told["settings"], told["rounds"], told["first"]
            except (orjson.JSONDecodeError, KeyError, OSError) as error:
                raise CotgenError(f"{path} cannot be read; remove it to begin anew in another folder") from error
            if before != settings:
                names = sorted(
                    name for name in before.keys() | settings.keys() if before.get(name) != settings.get(name)
                )
                raise CotgenError(
                    f"{path.parent} was begun with another {', '.join(names)}; give what was given, or another --output_dir"
                )
        self._settings = settings

    def round(self, number: int) -> dict[str, Any]:
        """What is known of a round, from 1."""
        while len(self.rounds) < number:
            self.rounds.append({})
        return self.rounds[number - 1]

    def save(self) -> None:
        """Write it."""
        told = {"settings": self._settings, "first": self.first, "rounds": self.rounds}
        write_bytes(self._path, orjson.dumps(told, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2) + b"\n")
