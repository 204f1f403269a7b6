"""A data set on the Hub, opened for looking: its index comes at once, a shard when a sample of it is looked at."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from cotgen.errors import CotgenError
from cotgen.hub.remote import Remote
from cotgen.shards.index import INDEX
from cotgen.shards.manifest import MANIFEST, PRIORS

_REPOSITORY = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([\w./-]+))?", re.ASCII)


def is_repository(name: str) -> bool:
    """Whether a name has the form `ORG/NAME` or `ORG/NAME@REVISION`."""
    return _REPOSITORY.fullmatch(name) is not None


def open_repository(name: str) -> tuple[Path, Callable[[str], None]]:
    """Bring what the index of a data set needs into the client's cache.

    Args:
        name: `ORG/NAME`, or `ORG/NAME@REVISION` for another branch, tag or commit than main.

    Returns:
        The folder in the cache, all of one commit, and a function that brings a shard into it.

    Raises:
        CotgenError: the Hub refuses or cannot be reached, or the repository holds no data set of cotgen.
    """
    match = _REPOSITORY.fullmatch(name)
    if match is None:
        raise CotgenError(f"'{name}' is no ORG/NAME or ORG/NAME@REVISION")
    remote = Remote(match[1])
    commit = remote.head(match[2] or "main")
    there = remote.files(commit)
    if MANIFEST not in there or INDEX not in there:
        raise CotgenError(
            f"{name} holds no {MANIFEST} and {INDEX}, so it is no data set that `cotgen publish` uploaded"
        )
    for file in (INDEX, PRIORS):
        if file in there:
            remote.fetch(file, commit)
    folder = remote.fetch(MANIFEST, commit).parent

    def fetch(shard: str) -> None:
        remote.fetch(shard, commit)

    return folder, fetch
