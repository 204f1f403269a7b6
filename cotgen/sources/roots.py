"""find_root: where a source lies on disk.

The candidates are, in order: DIR of each `--root NAME=DIR`; then `DIR/NAME` and `DIR` itself for each `--root DIR`,
`$COTGEN_DATA` and `./data`. The first that the source recognises is taken. Letter case and one extra top folder are
forgiven. A folder that was named for the source, or named and not there, is never passed over for a later one, and
nothing falls back to demo data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cotgen.errors import CotgenError
from cotgen.sources import SOURCES
from cotgen.sources.base import Scan, Source

ENVIRONMENT = "COTGEN_DATA"
_NAMED = re.compile(r"([A-Za-z0-9_-]*)=(.*)", re.DOTALL)


class SourceNotFound(CotgenError):  # noqa: N818
    """A source is nowhere that was looked; the message says where that was and what to do.

    Attributes:
        named: whether a folder that the user named is not what they said, so that it may not be passed over.
    """

    def __init__(self, message: str, named: bool = False) -> None:
        self.named = named
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A folder that a source may lie in.

    Attributes:
        folder: where to look.
        origin: what named it: `--root /data`, `$COTGEN_DATA`, `./data`.
        explicit: whether the user said that it is this source, or named a folder that is not there.
    """

    folder: Path
    origin: str
    explicit: bool


def find_root(source: Source, roots: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Scan:
    """Find the source and say what is there.

    Args:
        source: the source to look for.
        roots: values of `--root`: `NAME=DIR` or `DIR`.
        cwd: the folder that relative paths and `./data` start from.
        env: the environment, for `COTGEN_DATA`.

    Raises:
        SourceNotFound: no candidate is recognised, a `NAME=DIR` is not, or a DIR that was named is not there.
        CotgenError: a root names an unknown source or cannot be a path, or a folder holds the source more than once.
    """
    looked = []
    for candidate in candidates(source.name, roots, cwd, env):
        scan = source.scan(candidate.folder)
        if scan is not None:
            return _writable(scan)
        looked.append(f"  {candidate.folder} ({candidate.origin}): {source.missing(candidate.folder)}")
        if candidate.explicit:
            raise SourceNotFound(
                _message(source, looked, f"{candidate.origin} is not {source.describe().terms.title}."), named=True
            )
    raise SourceNotFound(_message(source, looked, f"{source.describe().terms.title} was not found."))


def _writable(scan: Scan) -> Scan:
    """The scan without what cannot be written down: names of other bytes than UTF-8 fit into no record and no message."""
    surgeries = []
    incomplete = [(surgery, _plain(why)) for surgery, why in scan.incomplete]
    for files in scan.surgeries:
        names = [file for _, file in (*files.annotations, *files.images)]
        strange = next((name for name in [*names, files.video] if _plain(name) != name), "")
        if strange:
            incomplete.append((files.surgery, f"{_plain(strange)} is not UTF-8; rename the file or folder"))
        else:
            surgeries.append(files)
    oddities = tuple(replace(odd, file=_plain(odd.file), text=_plain(odd.text)) for odd in scan.oddities)
    return replace(scan, surgeries=tuple(surgeries), incomplete=tuple(incomplete), oddities=oddities)


def _plain(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def find_all(roots: Sequence[str], cwd: Path, env: Mapping[str, str]) -> list[Scan]:
    """All sources that are found below the roots, in the order of the registry.

    Args:
        roots: values of `--root`: `NAME=DIR` or `DIR`.
        cwd: the folder that relative paths and `./data` start from.
        env: the environment, for `COTGEN_DATA`.

    Raises:
        SourceNotFound: none is found, or a folder that was named is not there or not that source.
        CotgenError: as `find_root`.
    """
    found = []
    for item in SOURCES.values():
        try:
            found.append(find_root(item, roots, cwd, env))
        except SourceNotFound as problem:
            if problem.named:
                raise
    if not found:
        raise SourceNotFound(
            f"No data set was found below {', '.join(_places(roots, cwd, env))}; known are: {', '.join(SOURCES)}. Say "
            f"where they lie: --root DIR or --root NAME=DIR, or {ENVIRONMENT}=DIR. What is read of each: cotgen sources "
            "NAME. To try cotgen without any: `cotgen demo DIR`."
        )
    return found


def _places(roots: Sequence[str], cwd: Path, env: Mapping[str, str]) -> list[str]:
    return [
        *(str(_path(_split(root, cwd)[1], cwd)) for root in roots),
        *filter(None, [env.get(ENVIRONMENT)]),
        "./data",
    ]


def candidates(name: str, roots: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Iterator[Candidate]:
    """Where a source may lie, the first place first; the arguments are those of `find_root`.

    Raises:
        CotgenError: a root names an unknown source or cannot be a path.
    """
    named: list[Candidate] = []
    plain: list[tuple[Path, str]] = []
    for root in roots:
        owner, folder = _split(root, cwd)
        if owner == name:
            named.append(Candidate(_path(folder, cwd), f"--root {root}", explicit=True))
        elif not owner:
            plain.append((_path(folder, cwd), f"--root {root}"))
    if env.get(ENVIRONMENT):
        plain.append((_path(env[ENVIRONMENT], cwd), f"${ENVIRONMENT}"))
    yield from named
    for where, origin in plain:
        if not _is_folder(where):  # a folder that was named and mistyped is not replaced by a later one
            yield Candidate(where, origin, explicit=True)
        yield from _below(where, name, origin)
    yield from _below(cwd / "data", name, "./data")


def _below(folder: Path, name: str, origin: str) -> Iterator[Candidate]:
    for inner in [*_named_folders(folder, name), folder]:
        yield Candidate(inner, origin, explicit=False)


def _split(root: str, cwd: Path) -> tuple[str, str]:
    """Source name, or "", and folder of a `--root` value."""
    match = _NAMED.fullmatch(root)
    if match is None or _is_folder(_path(root, cwd)):
        if not root:
            raise CotgenError("--root is empty; write --root DIR or --root NAME=DIR")
        return "", root
    owner = match[1].lower()
    if owner not in SOURCES:
        raise CotgenError(f"--root {root} names no source; known are: {', '.join(sorted(SOURCES))}")
    if not match[2]:
        raise CotgenError(f"--root {root} names no folder; write --root {owner}=DIR")
    return owner, match[2]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _path(folder: str, cwd: Path) -> Path:
    try:
        folder.encode()  # a name of other bytes fits into no record and no message
        if "\0" not in folder:
            return cwd / Path(folder).expanduser()
    except UnicodeEncodeError:
        raise CotgenError(f"{folder!a} is not UTF-8; rename the folder, or link to it with `ln -s`") from None
    except RuntimeError:  # ~NAME of somebody unknown
        pass
    raise CotgenError(f"{folder!r} names no folder; write its path in full")


def _named_folders(folder: Path, name: str) -> list[Path]:
    """`DIR/NAME`, first in lower case; as it would be written where there is none."""
    try:
        found = [entry for entry in folder.iterdir() if entry.name.lower() == name]
    except OSError:
        found = []
    return sorted(found, key=lambda path: (path.name != name, path.name)) or [folder / name]


def _message(source: Source, looked: Sequence[str], first: str) -> str:
    described = source.describe()
    return "\n".join(
        [
            f"{first} Looked at:",
            *looked,
            f"To get it: {described.access}",
            f"Then say where it is: --root {source.name}=DIR, or {ENVIRONMENT}=DIR. "
            f"What is read there: cotgen sources {source.name}.",
            "To try cotgen without it: `cotgen demo DIR`, or `make demo` in a checkout, makes a look-alike.",
        ]
    )
