"""Where commands print to."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


#: Line breaks and tabs apart, no sign that a terminal obeys or that turns the direction of what follows.
_OBEYED = {
    sign: f"\\x{sign:02x}" if sign < 256 else f"\\u{sign:04x}"
    for sign in (*range(32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
    if chr(sign) not in "\n\t"
}


def harmless(text: str) -> str:
    """A text from a data set that somebody else made, as it can stand in a terminal."""
    return text.translate(_OBEYED)


def make_console() -> Console:
    """A console that goes on where its reader has gone, and keeps the lines of a log whole."""
    from rich.console import Console

    from cotgen.cli import drop_output

    class Patient(Console):
        """Goes on in silence where the reader has closed the pipe: the exit code is still that of the command."""

        def on_broken_pipe(self) -> None:
            self.quiet = True
            drop_output()

    # A log keeps its lines whole; a terminal decides for itself.
    return Patient() if os.isatty(1) else Patient(width=160, highlight=False)


def hide_hub_bars(quiet: bool) -> None:
    """A log keeps its lines whole: the Hub client draws its bars in a terminal alone, and never where silence is wanted."""
    if not quiet and sys.stderr.isatty():
        return
    try:
        from huggingface_hub.utils.tqdm import disable_progress_bars
    except ImportError:
        return  # the first question to the Hub says how to get the client
    disable_progress_bars()
