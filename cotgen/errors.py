"""Errors that a user can act on.

Each message is a sentence that says what was wrong and what to do next. The command line prints the message alone and
exits with `exit_code`; anything that is not a `CotgenError` is a defect of cotgen.
"""

from __future__ import annotations


class CotgenError(Exception):
    """Base of all errors whose message is meant for the user."""

    exit_code = 2


class SourceError(CotgenError):
    """Bad input in a source: names the file, the line (1-based, 0 = the whole file) and what was expected."""

    def __init__(self, message: str, *, file: str, line: int = 0) -> None:
        self.file = file
        self.line = line
        self.message = message
        super().__init__(f"{file}{f':{line}' if line else ''}: {message}")

    def __reduce__(self) -> tuple[object, ...]:
        """Keep file and line when a worker process hands the error to its parent."""
        return (_rebuild_source_error, (self.message, self.file, self.line))


def _rebuild_source_error(message: str, file: str, line: int) -> SourceError:
    return SourceError(message, file=file, line=line)
