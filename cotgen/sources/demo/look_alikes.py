"""The look-alikes by the name of their data set, each made whole or not at all.

A module `cotgen/sources/demo/NAME.py` has a function `make_NAME(folder, surgeries=, seed=)`, which writes a small tree in
the layout of the release into `folder`, an empty one, and is registered here by its name. What such a function need not
care about is done here: it is safe to interrupt and to repeat, and files that the demo did not write are never touched.
"""

from __future__ import annotations

import inspect
import re
import shutil
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from cotgen.errors import CotgenError
from cotgen.sources.demo.make import (
    DEMO_VERSION,
    SURGERIES,
    held,
    make_demo,
    open_record,
    refuse_downloads,
    save_record,
    sha256_of,
)

#: The data sets with a look-alike; a name here is all that a new one needs.
LOOK_ALIKES: tuple[str, ...] = (
    "cholec80",
    "cholect50",
    "endoscapes",
    "multibypass140",
    "sar_rarp50",
    "endovis17",
    "endovis18",
)

#: Any name below the folder; what leads out of it is none.
_BELOW = re.compile(r"(?!/)(?!(?:.*/)?\.\.(?:/|$)).+")


def chosen(names: list[str]) -> list[str]:
    """The data sets of these names, `all` for all, in the order of `LOOK_ALIKES`.

    Raises:
        CotgenError: there is no look-alike of one.
    """
    wanted = [part.strip() for name in names for part in name.split(",") if part.strip()]
    for name in wanted:
        if name not in (*LOOK_ALIKES, "all"):
            raise CotgenError(f"There is no demo of {name}; there are: {', '.join(LOOK_ALIKES)}, or all.")
    return [name for name in LOOK_ALIKES if name in wanted or "all" in wanted]


def make_look_alike(
    source: str,
    folder: Path,
    *,
    surgeries: int | None = None,
    seed: int = 0,
    seconds: int = 60,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a look-alike of a data set into `folder/SOURCE`, or do nothing where the same one is already complete.

    Args:
        source: a name of `LOOK_ALIKES`.
        folder: made if missing.
        surgeries: how many; each look-alike has its own number by default.
        seed: of all draws.
        seconds: mean length of a surgery of Cholec80; the others have their own.
        progress: called with the work done so far and in all, where the look-alike takes long.

    Raises:
        CotgenError: a setting is out of range, or `folder/SOURCE` holds files that the demo did not write.
    """
    if source == "cholec80":
        count = SURGERIES if surgeries is None else surgeries
        make_demo(folder, surgeries=count, seed=seed, seconds=seconds, progress=progress)
        return
    make = getattr(import_module(f"cotgen.sources.demo.{source}"), f"make_{source}")
    make_whole(make, source, folder, surgeries=surgeries, seed=seed)


def make_whole(make: Callable[..., None], source: str, folder: Path, *, surgeries: int | None, seed: int) -> None:
    """Let `make` write into a folder of its own, and move what it wrote to `folder/SOURCE` when it is whole.

    Raises:
        CotgenError: as `make_look_alike`.
    """
    given = {"seed": seed} if surgeries is None else {"seed": seed, "surgeries": surgeries}
    default = inspect.signature(make).parameters["surgeries"].default
    settings = {
        "version": DEMO_VERSION,
        "source": source,
        "seed": seed,
        "surgeries": default if surgeries is None else surgeries,
    }
    root = folder / source
    part = folder / f".{source}.part"
    try:
        refuse_downloads(folder, root)
        root.mkdir(parents=True, exist_ok=True)
        with held(root):
            record = open_record(root, _BELOW)
            if record.get("settings") == settings and record["complete"]:
                return
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            try:
                make(part, **given)
                _move(part, root, record.get("files", {}), settings)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise CotgenError(
            f"The demo could not be written to {folder}: {error.strerror or error}. "
            "Make room or name a folder that you may write to, then run it again."
        ) from error


def _move(part: Path, root: Path, before: Iterable[str], settings: dict[str, Any]) -> None:
    """Take all files of `part` to `root`, in the place of those that an earlier demo wrote there."""
    found = sorted(part.rglob("*"))
    names = [path.relative_to(part).as_posix() for path in found if path.is_symlink() or not path.is_dir()]
    for name in before:
        (root / name).unlink(missing_ok=True)
    save_record(root, settings, dict.fromkeys(names, ""), complete=False)
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (part / name).replace(root / name)
    hashes = {name: sha256_of(root / name) if (root / name).is_file() else "" for name in names}
    save_record(root, settings, hashes, complete=True)
    _remove_empty(root)


def _remove_empty(root: Path) -> None:
    """Folders that only earlier settings had."""
    for path in sorted(root.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
