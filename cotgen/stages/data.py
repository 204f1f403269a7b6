"""Data: what `--data` names, as folders on this disk. A data set of the Hub is pulled once and stays at its commit."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from cotgen.build.files import hold
from cotgen.errors import CotgenError
from cotgen.hub.discretion import discreet
from cotgen.hub.pull import Pulling, named
from cotgen.training.portions import Portion


def portions(data: Sequence[str], say: Callable[[str], None] = lambda text: None) -> list[Portion]:
    """The folders that `--data` names, with their shares.

    `ORG/NAME@REVISION` is pulled into `$COTGEN_DATASETS`, by default `~/.cache/cotgen/datasets`, one rank of a machine
    at a time; a folder of that name comes first.

    Args:
        data: `DIR` or `ORG/NAME@REVISION`, each perhaps with `=SHARE`.
        say: is told what is pulled.

    Raises:
        CotgenError: nothing is named, a name is neither a folder nor a data set, or the Hub refuses.
    """
    if not data:
        raise CotgenError("no data is named; say --data DIR or --data ORG/NAME@v1.0.0")
    return [_portion(text, say) for text in data]


def published(text: str) -> tuple[str, str]:
    """(`ORG/NAME`, revision) of what `--data` names on the Hub; two empty texts for a folder."""
    folder = Portion.parse(text).folder
    return ("", "") if folder.exists() else named(str(folder)) or ("", "")


def _portion(text: str, say: Callable[[str], None]) -> Portion:
    portion = Portion.parse(text)
    name = str(portion.folder)
    if portion.folder.exists():
        return portion
    repository = named(name)
    if repository is None:
        raise CotgenError(f"{name} is no folder here and no ORG/NAME@REVISION; check --data")
    if "@" not in name:
        raise CotgenError(
            f"{name} names no revision, so another day would train on other data; say {name}@v1.0.0, a tag or a commit"
        )
    where = hashlib.sha256("@".join(repository).encode()).hexdigest()[:16]
    out = _datasets() / f"{repository[0].replace('/', '--')}-{where}"
    pulling = Pulling(*repository, out=out, say=say)
    with _alone(out), hold(out, out.parent), hold(pulling.coming, out.parent):
        try:
            pulled = pulling.pull()
        except CotgenError:
            raise
        except Exception as error:
            # What the client raises may quote requests.
            told = discreet(f"{type(error).__name__}: {error}", [os.environ.get("HF_TOKEN", "")])
            raise CotgenError(f"{name} cannot be pulled: {told}") from None
    return replace(portion, folder=pulled.folder)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Wait until no other rank of this machine pulls the same data set; the next one finds it there."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with (out.parent / f".{out.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _datasets() -> Path:
    return Path(os.environ.get("COTGEN_DATASETS", "~/.cache/cotgen/datasets")).expanduser()
