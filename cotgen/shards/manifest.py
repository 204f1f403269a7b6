"""Sealing a folder: its manifest is written last and removed first, so where it stands, the folder is whole."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pydantic

from cotgen.errors import CotgenError
from cotgen.records import Manifest
from cotgen.shards.files import sha256_of, sync_folder, writable, write_bytes
from cotgen.shards.index import INDEX
from cotgen.shards.readme import readme
from cotgen.surgeries.priors import Priors

MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
README = "README.md"
PRIORS = "priors.json"
_SUM = re.compile(r"([0-9a-f]{64})  ([^\\\n]+)")


def seal(out: Path, manifest: Manifest, priors: Priors | None = None, card: str = "") -> Manifest:
    """Write README.md, priors.json where there are priors, SHA256SUMS and, last, manifest.json.

    Args:
        out: a folder with `data/` and `index.parquet`.
        manifest: what it holds; `files` is filled in here.
        priors: the statistics that its chains cite.
        card: the text of README.md; by default `readme(manifest)`.

    Returns:
        The manifest as written.

    Raises:
        CotgenError: the folder cannot be written.
    """
    unseal(out)
    write_bytes(out / README, (card or readme(manifest)).encode())
    if priors is None:
        (out / PRIORS).unlink(missing_ok=True)
    else:
        write_bytes(out / PRIORS, priors.to_json())
    names = [INDEX, README] if priors is None else [INDEX, PRIORS, README]
    sealed = manifest.model_copy(update={"files": {name: sha256_of(out / name) for name in names}})
    data = sealed.to_json()
    write_bytes(out / SUMS, sums_text(sealed, data))
    write_bytes(out / MANIFEST, data)
    return sealed


def unseal(out: Path) -> None:
    """Remove manifest.json, then SHA256SUMS: from here on the folder counts as unfinished."""
    for name in (MANIFEST, SUMS):
        with writable(out / name):
            (out / name).unlink(missing_ok=True)
    if out.is_dir():
        sync_folder(out)


def is_sealed(out: Path) -> bool:
    """Whether the folder was finished."""
    return (out / MANIFEST).is_file()


def load(out: Path) -> Manifest:
    """The manifest of a finished folder.

    Raises:
        CotgenError: there is none, or it is damaged.
    """
    try:
        return Manifest.from_json((out / MANIFEST).read_bytes())
    except FileNotFoundError:
        what = "has no manifest.json, so it is no finished data set" if out.is_dir() else "is not there"
        raise CotgenError(f"{out} {what}; give the folder that `cotgen build --out` finished") from None
    except (OSError, pydantic.ValidationError) as error:
        detail = error.strerror if isinstance(error, OSError) else f"{error.error_count()} values are wrong"
        raise CotgenError(f"{out / MANIFEST} cannot be read ({detail}); copy or build the data set again") from error


def load_priors(out: Path) -> Priors | None:
    """The priors of a folder, or None where it has none. Raises CotgenError if the file is damaged."""
    try:
        return Priors.from_json((out / PRIORS).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, pydantic.ValidationError) as error:
        raise CotgenError(f"{out / PRIORS} cannot be read; copy or build the data set again") from error


def sums_text(manifest: Manifest, manifest_bytes: bytes) -> bytes:
    """SHA256SUMS: all files but itself, by name, as `sha256sum -c` reads it."""
    sums = {shard.file: shard.sha256 for shard in manifest.shards} | manifest.files
    sums[MANIFEST] = hashlib.sha256(manifest_bytes).hexdigest()
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())).encode()


def parse_sums(data: bytes) -> dict[str, str]:
    """File -> sha256. Raises ValueError, in words, for a line that is not of the form `seal` writes."""
    sums: dict[str, str] = {}
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is no plain text") from error
    if not text.endswith("\n"):
        raise ValueError("the last line is cut off")
    for number, line in enumerate(text[:-1].split("\n"), start=1):
        match = _SUM.fullmatch(line)
        if match is None or match[2] in sums:
            raise ValueError(f"line {number} is not a sha256, two spaces and a name that comes once")
        sums[match[2]] = match[1]
    return sums
