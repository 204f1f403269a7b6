"""Findings: what a check before a run has to say, a sentence each, and whether the run would fail on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from cotgen.errors import CotgenError

#: `ok`: as it should be. `note`: to be known. `FAIL`: the run would end, or learn something else than is meant.
Level = Literal["ok", "note", "FAIL"]


@dataclass
class Findings:
    """What was found so far.

    Attributes:
        say: gets each line as soon as it is found.
        failed: how many things would fail.
    """

    say: Callable[[str], None]
    failed: int = field(default=0, init=False)

    def add(self, part: str, level: Level, text: str) -> None:
        """One finding; `part` is what it is about, in a word or two."""
        self.failed += level == "FAIL"
        self.say(f"{level:4}  {part:10}  {text}")

    def judge(self, part: str, text: str, fails: str = "") -> None:
        """`ok` with the text, or where `fails` says why, that."""
        self.add(part, "FAIL" if fails else "ok", fails or text)

    @contextmanager
    def part(self, part: str) -> Iterator[None]:
        """A part of the check: a CotgenError in it is a finding, and the check goes on behind it."""
        try:
            yield
        except CotgenError as error:
            self.add(part, "FAIL", str(error))
