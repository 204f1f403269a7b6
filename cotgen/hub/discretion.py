"""What may be shown of what the Hub or its client says: no token, no user in an address, no signed part of one."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

_TOKEN = re.compile(r"hf_[\w.-]+|(?<=[Bb]earer )\S+|(?<=[Bb]asic )\S+")
#: A signature stands in the query, a password before the host.
_ADDRESS = re.compile(r"(https?://)(?:[^\s/@'\"<>]*@)?([^\s?'\"<>]*)(\?[^\s'\"<>]*)?")
_HIDDEN = "***"


def discreet(text: str, tokens: Iterable[str] = ()) -> str:
    """The text without tokens, those given among them whatever they look like, and without what signs an address."""
    for token in tokens:
        if token:
            text = text.replace(token, _HIDDEN)
    text = _ADDRESS.sub(lambda found: f"{found[1]}{found[2]}{f'?{_HIDDEN}' if found[3] else ''}", text)
    return _TOKEN.sub(_HIDDEN, text)


class DiscreetFilter(logging.Filter):
    """Makes every log line of a handler discreet."""

    def __init__(self, tokens: Iterable[str] = ()) -> None:
        super().__init__()
        self._tokens = tuple(tokens)

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record."""
        record.msg, record.args = discreet(record.getMessage(), self._tokens), ()
        return True
