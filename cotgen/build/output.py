"""OUT: whose it is, whether it is up to date, and how the finished samples of all surgeries get into it.

A folder belongs to a build if it holds a manifest of the same configuration, or the mark of an unfinished packing that
the work folder remembers. Nothing else that holds files is ever written to: a path alone proves nothing, since another
folder may have been put there.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from array import array
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import orjson

from cotgen.build.files import HashCache, explain, make_folder, read_footer, stamp, sync_folder, write_whole
from cotgen.build.taught import Tally
from cotgen.errors import CotgenError
from cotgen.records import LeftOut, Manifest, Split, canonical_json
from cotgen.sources.base import inside
from cotgen.surgeries.identity import canonical

if TYPE_CHECKING:
    from cotgen.shards.pack import Entry, PackResult

#: In OUT from the first shard until the manifest is there: which packing the files belong to.
MARK = ".cotgen-unfinished"
#: Names kept as examples of what was left out.
_EXAMPLES = 10
#: Sealed files that are open at the same time while packing.
_OPEN_FILES = 128


class Output:
    """The output folder of one build and what the work folder remembers of it.

    Args:
        out: the folder; the caller holds its lock.
        work: the work folder.
        config: the effective configuration.
    """

    def __init__(self, out: Path, work: Path, config: Mapping[str, Any]) -> None:
        self.out = out
        self.config = dict(config)
        self._memory = work / "outputs" / hashlib.sha256(str(out).encode()).hexdigest()[:32]
        #: Whether `current` compared every shard with the manifest of the build that is to be packed.
        self._checked = False

    @property
    def receipts(self) -> Path:
        """Where the packer keeps its receipts."""
        return self._memory / "receipts"

    def claim(self, replace: bool) -> None:
        """Make sure that this build may write here.

        Raises:
            CotgenError: the folder is not cotgen's, or of another configuration and not to be replaced.
        """
        from cotgen.shards.manifest import finish_card

        finish_card(self.out)
        names = sorted(path.name for path in self.out.iterdir() if path.name != MARK)
        if not names:
            return
        before = self._held_config()
        if before is None:
            raise CotgenError(
                f"{self.out} holds files that this build did not write ({', '.join(names[:3])}"
                f"{' ...' if len(names) > 3 else ''}); nothing in it was touched. Choose a new folder for --out, or the "
                "--work folder with which it was begun."
            )
        if before != self.config and not replace:
            there, now = _flat(before), _flat(self.config)
            changed = sorted(key for key in {*there, *now} if there.get(key) != now.get(key))
            how = "; ".join(
                f"{key}: {_short(there.get(key))} there, {_short(now.get(key))} now" for key in changed[:8]
            )
            raise CotgenError(
                f"{self.out} holds a data set of another configuration ({how}). Choose another --out, or add --replace "
                "to write this one in its place."
            )

    def _held_config(self) -> dict[str, Any] | None:
        """The configuration of what is in the folder; None where it is not cotgen's."""
        from cotgen.shards.manifest import is_sealed, load

        if is_sealed(self.out):
            manifest = load(self.out)
            return identity(manifest)
        return self._state().get("config") if self._marked() else None

    def _state(self) -> dict[str, Any]:
        """What the work folder remembers: `config` and `mark` of the packing that was begun last."""
        try:
            state = orjson.loads((self._memory / "state.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def _marked(self) -> str:
        """The mark in the folder, if it is the one that is remembered; else ""."""
        try:
            mark = (self.out / MARK).read_text(encoding="ascii")
        except (OSError, ValueError):
            return ""
        return mark if mark and mark == self._state().get("mark") else ""

    def current(self, fingerprint: str, cache: HashCache) -> Manifest | None:
        """The manifest, if the folder is whole and of this fingerprint; else None.

        A shard whose bytes are not those that were written is removed, so that packing writes it again.
        """
        from cotgen.shards.manifest import MANIFEST, SUMS, is_sealed, load, sums_text

        if not is_sealed(self.out):
            return None
        manifest = load(self.out)
        if manifest.fingerprint != fingerprint:
            return None
        whole = True
        expected = {shard.file: shard.sha256 for shard in manifest.shards} | manifest.files
        for name, sha256 in expected.items():
            path = inside(self.out, name)
            if not path.is_file() or cache.file(path) != sha256:
                path.unlink(missing_ok=True)
                whole = False
        try:
            sums = (self.out / SUMS).read_bytes()
        except OSError:
            return None
        raw = (self.out / MANIFEST).read_bytes()
        self._checked = True
        if not whole or sums != sums_text(manifest, raw):
            return None
        self.finish()
        return manifest

    def begin(self, part: Callable[[Path], Path]) -> None:
        """Mark the folder as this packing's, and remember the mark.

        Receipts of an earlier packing are kept only where its shards are known to stand in this very folder.

        Args:
            part: gives the temporary name of a file.
        """
        mark = self._marked()
        if not mark and not self._checked:
            shutil.rmtree(self.receipts, ignore_errors=True)
        make_folder(self.receipts)
        if mark:
            return
        mark = secrets.token_hex(16)
        state = {"config": self.config, "mark": mark}
        write_whole(self._memory / "state.json", canonical_json(state), part(Path("state.json")))
        with (self.out / MARK).open("wb") as file:
            file.write(mark.encode())
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self.out)

    def finish(self) -> None:
        """Take the mark away: from here on the manifest says whose the folder is."""
        (self.out / MARK).unlink(missing_ok=True)

    def remember(self, manifest: Manifest, cache: HashCache) -> None:
        """Remember the hashes of what was just written, so that the next run need not read it."""
        for name, sha256 in ({shard.file: shard.sha256 for shard in manifest.shards} | manifest.files).items():
            cache.put(str(self.out / name), stamp(self.out / name), sha256, newest_ns=0)


def identity(manifest: Manifest) -> dict[str, Any]:
    """What the content of a folder is told by: of a build its configuration, of others what they were made of as well."""
    made = {} if manifest.kind == "build" else {"kind": manifest.kind, "parents": manifest.parents}
    return {**manifest.config, **made}


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with the keys of what is nested in it as `teacher.model`."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict) and value:
            flat |= {f"{key}.{name}": inner for name, inner in _flat(value).items()}
        else:
            flat[key] = value
    return flat


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


@dataclass
class Gathered:
    """All finished samples of a build, without their content.

    Attributes:
        entries: for the packer.
        surgeries: split -> surgeries with at least one sample.
        left_out: what the surgeries lost on the way.
        notes: (file or surgery, what was unusual and handled, how often).
        damaged: surgery -> what is wrong with its pictures.
        by_source: source -> task -> questions about its labels.
        disputed: kind of fact -> frames where the sources contradict one another in it.
        balance: task -> why -> questions that a balanced build left out.
        teacher: what a teacher was asked, and what came of it.
    """

    entries: list[Entry] = field(default_factory=list)
    surgeries: dict[Split, list[str]] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    notes: list[tuple[str, str, int]] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)
    by_source: dict[str, dict[str, int]] = field(default_factory=dict)
    disputed: Counter[str] = field(default_factory=Counter)
    balance: dict[str, dict[str, int]] = field(default_factory=dict)
    teacher: Tally = field(default_factory=Tally)


class Pieces:
    """Reads pieces of many sealed files, of which only some are open at a time."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path, int] = OrderedDict()

    def close(self) -> None:
        """Close the files."""
        for handle in self._open.values():
            os.close(handle)
        self._open.clear()

    def read(self, path: Path, offset: int, length: int) -> bytes:
        """So many bytes of a file from there on. Raises CotgenError where it is gone or shorter."""
        if path in self._open:
            self._open.move_to_end(path)
        else:
            if len(self._open) >= _OPEN_FILES:
                os.close(self._open.popitem(last=False)[1])
            try:
                self._open[path] = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                raise CotgenError(f"{path} was removed meanwhile. Run the same command again.") from None
        data = os.pread(self._open[path], length, offset)
        if len(data) != length:
            raise CotgenError(f"{path} is damaged. Remove it and run the same command again.")
        return data


class Samples:
    """Reads finished samples from the sealed files of all surgeries, wherever the packer's order leads.

    Args:
        surgeries: the sealed chains and the sealed frames of each.
    """

    def __init__(self, surgeries: Sequence[tuple[Path, Path]]) -> None:
        self._surgeries = surgeries
        # Four numbers a sample, packed: offset and length of the record, offset and length of the picture.
        self._places = array("Q")
        self._pieces = Pieces()

    def __enter__(self) -> Samples:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._pieces.close()

    def gather(self) -> Gathered:
        """Read the footers.

        Raises:
            CotgenError: a sealed file was damaged after it was written.
        """
        from cotgen.shards.pack import Entry

        found = Gathered()
        for number, (chains, _) in enumerate(self._surgeries):
            try:
                footer = read_footer(chains)
            except (OSError, ValueError) as error:
                raise CotgenError(
                    f"{chains} is damaged ({error}). Remove it and run the same command again."
                ) from error
            for key, offset, length, image_offset, image_length in footer["samples"]:
                where = (number, len(self._places))
                self._places.extend((offset, length, image_offset, image_length))
                found.entries.append(Entry(key, footer["split"], image_length, length, where))
            if footer["samples"]:
                found.surgeries.setdefault(footer["split"], []).append(canonical(footer["surgery"]))
            _add(found.by_source, footer["by_source"])
            _add(found.balance, footer.get("balance", {}))
            found.disputed.update(footer["disputed"])
            if "teacher" in footer:
                found.teacher.add(Tally.of(footer["teacher"]))
            found.left_out += [
                LeftOut.model_validate({"what": what, "reason": reason, "count": count, "examples": examples})
                for what, reason, count, examples in footer["left_out"]
            ]
            found.notes += [(where, text, count) for where, text, count in footer["notes"]]
            if footer["damaged"]:
                found.damaged[footer["surgery"]] = " ".join(footer["damaged"])
        return found

    def read(self, entry: Entry) -> tuple[bytes, bytes]:
        """The record and the picture of a sample; `b""` where pictures are not stored."""
        number, at = entry.where
        offset, length, image_offset, image_length = self._places[at : at + 4]
        chains, frames = self._surgeries[number]
        record = self._pieces.read(chains, offset, length)
        return record, self._pieces.read(frames, image_offset, image_length) if image_length else b""


def _add(to: dict[str, dict[str, int]], more: Mapping[str, Mapping[str, int]]) -> None:
    for name, counts in more.items():
        row = to.setdefault(name, {})
        for key, count in counts.items():
            row[key] = row.get(key, 0) + count


def pack_samples(
    output: Output,
    gathered: Gathered,
    samples: Samples,
    *,
    fingerprint: str,
    seed: int,
    shards: int,
    progress: Callable[[int], None],
) -> PackResult:
    """Pack all samples into OUT.

    Raises:
        CotgenError: OUT cannot be written.
    """
    from cotgen.shards.pack import pack

    try:
        return pack(
            output.out,
            gathered.entries,
            samples.read,
            fingerprint=fingerprint,
            seed=seed,
            shards=shards or None,
            receipts=output.receipts,
            progress=progress,
        )
    except OSError as error:
        raise explain(error, output.out) or error from error


def together(lost: Iterable[LeftOut]) -> list[LeftOut]:
    """What was left out for one reason in one row, sorted by kind and reason."""
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], list[str]] = {}
    for item in lost:
        counts[item.what, item.reason] += item.count
        examples.setdefault((item.what, item.reason), []).extend(item.examples)
    order = {"surgery": 0, "frame": 1, "pair": 2}
    return [
        LeftOut.model_validate(
            {"what": what, "reason": reason, "count": count, "examples": examples[what, reason][:_EXAMPLES]}
        )
        for (what, reason), count in sorted(counts.items(), key=lambda entry: (order[entry[0][0]], entry[0][1]))
    ]
