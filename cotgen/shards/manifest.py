"""Sealing a folder: its manifest is written last and removed first, so where it stands, the folder is whole.

A folder has a card: README.md, and where it was published, a preview, pictures and croissant.json beside it. Packing the
folder anew drops them, so that they never tell of other data than those they stand beside.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Container, Iterator, Mapping
from pathlib import Path

import orjson
import pydantic

from cotgen.errors import CotgenError
from cotgen.records import Manifest
from cotgen.records.manifest import MANIFEST_SCHEMA
from cotgen.shards.files import sha256_of, sync_folder, writable, write_bytes
from cotgen.shards.index import INDEX
from cotgen.shards.readme import readme
from cotgen.surgeries.priors import Priors

MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
README = "README.md"
PRIORS = "priors.json"
CROISSANT = "croissant.json"
PREVIEW = "preview"
PICTURES = "pictures"
#: The names that files of a card have; a folder holds no others beside its shards, its index and its priors.
CARD_FILE = re.compile(
    rf"{re.escape(README)}|{re.escape(CROISSANT)}|{PREVIEW}/(train|validation|test)\.(tar|parquet)"
    rf"|{PICTURES}/(sample-[1-9]\.jpg|answers-[1-9]\.png|(pairs|lengths|skeletons|findings|basis|support)\.png)"
)
#: Where a new card lies, with checksums and manifest, until all of it is on disk.
_STAGE = ".cotgen-card"
#: What is said of a folder whose card is being put in place.
WAITS = "was getting its card when that was stopped: run the `cotgen publish` that made it again"
_SUM = re.compile(r"([0-9a-f]{64})  ([^\\\n]+)")


def seal(out: Path, manifest: Manifest, priors: Priors | None = None) -> Manifest:
    """Write README.md, priors.json where there are priors, SHA256SUMS and, last, manifest.json.

    Args:
        out: a folder with `data/` and `index.parquet`; what else an earlier card left is removed.
        manifest: what it holds; `files` is filled in here.
        priors: the statistics that its chains cite.

    Returns:
        The manifest as written.

    Raises:
        CotgenError: the folder cannot be written.
    """
    unseal(out)
    _drop_cards(out, keep={README})
    write_bytes(out / README, readme(manifest).encode())
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


def with_card(manifest: Manifest, card: Mapping[str, bytes]) -> Manifest:
    """The manifest that a folder has with another card."""
    kept = {name: sha256 for name, sha256 in manifest.files.items() if not CARD_FILE.fullmatch(name)}
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in card.items()}
    return manifest.model_copy(update={"files": dict(sorted({**kept, **sums}.items()))})


def replace_card(out: Path, manifest: Manifest, card: Mapping[str, bytes]) -> Manifest:
    """Give a finished folder another card. Killed in between, it is the old one or `finish_card` makes it the new one.

    Args:
        out: a finished folder; the caller holds it.
        manifest: its manifest.
        card: name -> bytes of its files, README.md among them.

    Returns:
        The manifest as written.

    Raises:
        CotgenError: the folder cannot be written.
    """
    sealed = with_card(manifest, card)
    data = sealed.to_json()
    stage = out / _STAGE
    _drop_stage(out)
    for name, content in {**card, SUMS: sums_text(sealed, data), MANIFEST: data}.items():
        write_bytes(stage / name, content)
    finish_card(out)
    return sealed


def finish_card(out: Path) -> None:
    """Put a card in place that `replace_card` had ready when it was killed; nothing where there is none.

    Raises:
        CotgenError: the folder cannot be written.
    """
    if not card_waits(out):
        _drop_stage(out)
        return
    stage = out / _STAGE
    manifest = load(stage)
    with writable(out / MANIFEST):
        (out / MANIFEST).unlink(missing_ok=True)
    sync_folder(out)
    _drop_cards(out, keep=manifest.files)
    for name in [*filter(CARD_FILE.fullmatch, manifest.files), SUMS, MANIFEST]:
        # What an earlier call moved is no longer in the stage.
        if (stage / name).is_file():
            with writable(out / name):
                (out / name).parent.mkdir(exist_ok=True)
                (stage / name).replace(out / name)
    for folder in (PREVIEW, PICTURES, "."):
        if (out / folder).is_dir():
            sync_folder(out / folder)
    shutil.rmtree(stage)


def card_waits(out: Path) -> bool:
    """Whether `finish_card` has something to do here."""
    return is_sealed(out / _STAGE)


def _drop_stage(out: Path) -> None:
    """Remove a card that waits. Its manifest goes first: where that stands, `finish_card` takes the rest for whole."""
    stage = out / _STAGE
    with writable(stage / MANIFEST):
        (stage / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(stage, ignore_errors=True)


def _card_files(out: Path) -> Iterator[str]:
    """Names of the files of a card that a folder holds, listed or not."""
    for path in sorted([*out.glob("*"), *(out / PREVIEW).glob("*"), *(out / PICTURES).glob("*")]):
        name = path.relative_to(out).as_posix()
        if CARD_FILE.fullmatch(name):
            yield name


def _drop_cards(out: Path, keep: Container[str]) -> None:
    """Remove files of cards but those named, and the folders that this leaves empty."""
    for name in _card_files(out):
        if name not in keep:
            with writable(out / name):
                (out / name).unlink()
    for folder in (out / PREVIEW, out / PICTURES):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def unseal(out: Path) -> None:
    """Remove manifest.json, then SHA256SUMS: from here on the folder counts as unfinished."""
    _drop_stage(out)
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
    raw = b""
    try:
        raw = (out / MANIFEST).read_bytes()
        return Manifest.from_json(raw)
    except FileNotFoundError:
        if card_waits(out):
            raise CotgenError(f"{out} {WAITS}") from None
        what = "has no manifest.json, so it is no finished data set" if out.is_dir() else "is not there"
        raise CotgenError(f"{out} {what}; give the folder that `cotgen build --out` finished") from None
    except (OSError, pydantic.ValidationError) as error:
        if (schema := _schema_of(raw)) not in ("", MANIFEST_SCHEMA):
            raise CotgenError(
                f"{out / MANIFEST} is of schema {schema!r}, and this cotgen reads {MANIFEST_SCHEMA!r}: install the version "
                "that it was made with"
            ) from error
        detail = error.strerror if isinstance(error, OSError) else f"{error.error_count()} values are wrong"
        raise CotgenError(f"{out / MANIFEST} cannot be read ({detail}); copy or build the data set again") from error


def _schema_of(raw: bytes) -> str:
    """What a manifest that cannot be read says of its own form; "" where it says nothing."""
    try:
        return str(orjson.loads(raw)["schema"])
    except (ValueError, KeyError, TypeError):
        return ""


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
