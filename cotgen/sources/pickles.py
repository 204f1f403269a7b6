"""Pickles read as plain data: dictionaries, lists, strings and numbers. Whatever else one holds is refused.

Unpickling can call any function that the file names. Here the instructions that name or call something do not exist, so
that nothing of the file is ever run.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cotgen.errors import SourceError
from cotgen.sources.files import read_bytes

#: The largest pickle that is read; that of 40 operations with a row a second has about 25 MB.
MAX_PICKLE_BYTES = 64 * 2**20
#: Instructions that need memory of their own without needing bytes in the file: at most so many.
MOST_MADE = 5_000_000

_COUNTED = ("MARK", "EMPTY_DICT", "EMPTY_LIST", "MEMOIZE", "BINPUT", "LONG_BINPUT")
_KEYED = ("SETITEM", "SETITEMS")
_FREE = (
    *(
        "PROTO",
        "FRAME",
        "STOP",
        "APPEND",
        "APPENDS",
        "NONE",
        "NEWTRUE",
        "NEWFALSE",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG1",
    ),
    *("BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINGET", "LONG_BINGET"),
)
_NUMBER = {opcode.name: ord(opcode.code) for opcode in pickletools.opcodes}


class _NotPlainError(Exception):
    """The pickle holds more than plain data."""


class _Plain(pickle._Unpickler):
    """Reads plain data alone: the reader that is written in Python, with few of its instructions."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.made = 0

    def find_class(self, module: str, name: str) -> Any:
        """Nothing can be named."""
        raise _NotPlainError(f"{module}.{name}")


def _run(name: str) -> Callable[[Any], None]:
    """What an instruction does."""
    run: Callable[[Any], None] = getattr(pickle._Unpickler, "dispatch")[_NUMBER[name]]  # noqa: B009 - not in the stubs

    def counted(reader: Any) -> None:
        reader.made += 1
        if reader.made > MOST_MADE:
            raise _NotPlainError("too many objects")
        run(reader)

    def keyed(reader: Any) -> None:
        # Numbers can be chosen so that all fall on one place of the table; strings cannot.
        if not all(type(key) is str for key in (reader.stack[::2] if name == "SETITEMS" else reader.stack[-2:-1])):
            raise _NotPlainError("a key that is no name")
        run(reader)

    return counted if name in _COUNTED else keyed if name in _KEYED else run


setattr(_Plain, "dispatch", {_NUMBER[name]: _run(name) for name in (*_FREE, *_COUNTED, *_KEYED)})  # noqa: B010


def read_plain_pickle(root: Path, file: str) -> Any:
    """The dictionaries, lists, strings and numbers of a pickle.

    Raises:
        SourceError: it holds anything else, is damaged or too large.
    """
    data = read_bytes(root, file, MAX_PICKLE_BYTES)
    try:
        return _Plain(data).load()
    except (_NotPlainError, KeyError):
        raise SourceError(
            "holds more than dictionaries, lists, names and numbers, which can run code: it is not read; get the label "
            "files (labels_by70/BBP01.mp4.json) in its place",
            file=file,
        ) from None
    except Exception as problem:
        # A damaged pickle can fail in any instruction, with whatever Python says of it.
        raise SourceError(f"is no whole pickle ({type(problem).__name__}); get it again", file=file) from None
