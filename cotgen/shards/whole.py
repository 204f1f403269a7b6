"""Whether the files of a finished folder are, byte for byte, those that were written.

This reads checksums and nothing else; `verify` looks at what the files say as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from cotgen.errors import CotgenError
from cotgen.records import Manifest
from cotgen.shards.files import sha256_of
from cotgen.shards.index import INDEX
from cotgen.shards.manifest import CARD_FILE, MANIFEST, PRIORS, README, SUMS, load, parse_sums
from cotgen.shards.pack import SHARD_FILE

_LISTED = 10
_FILES = {INDEX, PRIORS}


def listed(manifest: Manifest, raw: bytes) -> dict[str, str]:
    """File -> sha256 of all that SHA256SUMS names. `raw` are the bytes of the manifest."""
    sums = {shard.file: shard.sha256 for shard in manifest.shards} | manifest.files
    return sums | {MANIFEST: hashlib.sha256(raw).hexdigest()}


def against_sums(folder: Path, manifest: Manifest, raw: bytes) -> Iterator[tuple[str, str]]:
    """(file, what is wrong) where SHA256SUMS and the manifest do not say the same."""
    try:
        sums = parse_sums((folder / SUMS).read_bytes())
    except OSError as error:
        yield SUMS, f"cannot be read ({error.strerror}); copy the data set again"
        return
    except ValueError as error:
        yield SUMS, f"is damaged: {error}"
        return
    expected = listed(manifest, raw)
    for name in sorted(expected.keys() | sums.keys()):
        if name not in sums:
            yield SUMS, f"does not name {name}"
        elif name not in expected:
            yield SUMS, f"names {name!r}, which the manifest does not know"
        elif name == MANIFEST and sums[name] != expected[name]:
            yield MANIFEST, f"has another sha256 than {SUMS} says; one of them was edited or damaged"
        elif sums[name] != expected[name]:
            yield SUMS, f"has another sha256 for {name} than the manifest says"


def check_names(manifest: Manifest) -> None:
    """Raise a CotgenError where a manifest names a file that no data set has, or does not name one that each has.

    The one would be read wherever it lies, the other would be read unchecked.
    """
    shards = [shard.file for shard in manifest.shards]
    strange = [name for name in shards if not SHARD_FILE.fullmatch(name)]
    strange += sorted(name for name in manifest.files if name not in _FILES and not CARD_FILE.fullmatch(name))
    if strange or len(set(shards)) < len(shards):
        raise CotgenError(
            f"{MANIFEST} names {(strange or shards)[0]!r}, which is no file of a data set or comes twice; it was edited or "
            "damaged. Get the data set again"
        )
    if lacking := [name for name in (INDEX, README) if name not in manifest.files]:
        raise CotgenError(f"{MANIFEST} does not name {lacking[0]}; it was edited or damaged. Get the data set again")


def damaged(
    folder: Path,
    manifest: Manifest,
    sha256: Callable[[Path], str] = sha256_of,
    progress: Callable[[int], None] | None = None,
) -> Iterator[tuple[str, str]]:
    """(file, what is wrong) for all that is not there as it was written.

    Args:
        folder: a finished folder.
        manifest: its manifest, of checked names.
        sha256: of a file; by default it is read.
        progress: called with the bytes of each file that was looked at.
    """
    raw = (folder / MANIFEST).read_bytes()
    yield from against_sums(folder, manifest, raw)
    for name, expected in sorted(listed(manifest, raw).items()):
        if name == MANIFEST:
            continue
        try:
            found = sha256(folder / name)
            if progress:
                progress((folder / name).stat().st_size)
        except FileNotFoundError:
            yield name, "is not there"
        except OSError as error:
            yield name, f"cannot be read ({error.strerror})"
        else:
            if found != expected:
                yield name, "has another sha256 than the manifest says; it was edited or damaged"


def whole(
    folder: Path, sha256: Callable[[Path], str] = sha256_of, progress: Callable[[int], None] | None = None
) -> Manifest:
    """The manifest of a folder of which every byte is as it was written; the arguments are those of `damaged`.

    Raises:
        CotgenError: it is not finished, or files are damaged or missing: they are named.
    """
    manifest = load(folder)
    check_names(manifest)
    if wrong := list(damaged(folder, manifest, sha256, progress)):
        more = f"; and {len(wrong) - _LISTED} more" if len(wrong) > _LISTED else ""
        named = "; ".join(f"{file} {what}" for file, what in wrong[:_LISTED])
        raise CotgenError(f"{folder} is not whole: {named}{more}. Get the data set again")
    return manifest
