"""Commands: other programs that a stage runs, from templates in its configuration; none outlives the stage.

A template is split into words as a shell does it and then filled, so that a path with a space stays one word. There is no
shell: pipes and variables belong into a script of one's own.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from cotgen.errors import CotgenError

#: Asks the system (Linux) to end the program with its parent, then becomes that program.
_TIED = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
try:
    os.execvp(sys.argv[2], sys.argv[2:])
except OSError as error:
    sys.exit(f"{sys.argv[2]}: {error.strerror}")
"""
#: How long a program has to end by itself, in seconds.
GRACE_S = 20.0


def filled(template: str, **values: str | Sequence[str]) -> list[str]:
    """The words of a command. A value that is a list takes the place of its word as several.

    Args:
        template: `{python} recipes/stage2_cold_start.py --data {data}`; `{python}` is the running interpreter.
        values: what the other names stand for.

    Raises:
        CotgenError: the template cannot be split, or names what is not there.
    """
    known: Mapping[str, str | Sequence[str]] = {"python": sys.executable, **values}
    words: list[str] = []
    try:
        for word in shlex.split(template):
            value = known.get(word[1:-1]) if word.startswith("{") and word.endswith("}") else None
            if value is not None and not isinstance(value, str):
                words += value
            else:
                words.append(word.format_map({k: v for k, v in known.items() if isinstance(v, str)}))
    except (ValueError, KeyError, IndexError) as error:
        raise CotgenError(
            f"the command '{template}' cannot be filled ({error}); it may name {_names(known)}"
        ) from error
    if not words:
        raise CotgenError("a command is empty")
    return words


def _names(known: Mapping[str, object]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(known))


def start(words: Sequence[str], log: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    """Start a program that ends when this process does.

    Args:
        words: of the command.
        log: takes what it prints; without, it prints where this process does.
    """
    command = [sys.executable, "-c", _TIED, str(os.getpid()), *words]
    stream = subprocess.STDOUT if log is not None else None
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=stream, start_new_session=True)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program and what it started: asked first, then made to."""
    for name in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, name)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
            return


def run(words: Sequence[str], what: str) -> None:
    """Run a program to its end.

    Args:
        words: of the command.
        what: what it does, for the message.

    Raises:
        CotgenError: it fails.
    """
    process = start(words)
    try:
        code = process.wait()
    finally:
        if process.poll() is None:
            end(process)
    if code:
        raise CotgenError(
            f"{what} failed with status {code} (its messages are above): {shlex.join(words)}\nMend it and run the same "
            "command again: what is done is not done again"
        )


def tail(path: Path, lines: int = 20) -> str:
    """The last lines of a log."""
    try:
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
