"""Pulling a data set from the Hub into a plain folder: pinned, whole, compared with its checksums.

The revision is fixed first. Files come into a hidden folder beside OUT, which takes the name of OUT when every byte has
been compared with SHA256SUMS: OUT is there whole, or not at all. Interrupted anywhere, the same call goes on.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cotgen.errors import CotgenError
from cotgen.hub.remote import REPO, Remote, RemoteFile
from cotgen.records import SPLITS
from cotgen.shards.manifest import MANIFEST, SUMS, is_sealed, load
from cotgen.shards.whole import check_names, damaged, listed

if TYPE_CHECKING:
    from huggingface_hub import HfApi

#: Where the client keeps its own notes while it downloads.
_NOTES = ".cache"
_REVISION = re.compile(r"\w[\w./+-]*")


@dataclass(frozen=True, slots=True)
class Pulled:
    """What is in the folder now.

    Attributes:
        folder: where it is.
        repo: `ORG/NAME`.
        revision: id of the commit that it is, byte for byte.
        files: how many files were downloaded; 0 where all was there.
        split: the first that it has.
    """

    folder: Path
    repo: str
    revision: str
    files: int
    split: str

    @property
    def loading(self) -> list[str]:
        """The lines that load it."""
        return [
            "import cotgen",
            f"ds = cotgen.open({str(self.folder)!r})",
            "from datasets import load_dataset",
            f'ds = load_dataset({str(self.folder)!r}, split="{self.split}", streaming=True)',
        ]


def named(text: str) -> tuple[str, str] | None:
    """`ORG/NAME@v1.0.0` -> `ORG/NAME`, `v1.0.0`; without a revision `main`; None for what names no repository."""
    repo, at, revision = text.partition("@")
    if not REPO.fullmatch(repo) or (at and not _REVISION.fullmatch(revision)):
        return None
    return repo, revision or "main"


@dataclass(frozen=True, slots=True)
class Pulling:
    """What to pull, and where to.

    Attributes:
        repo: `ORG/NAME`.
        revision: a tag, a branch or a commit.
        out: a new folder, or one that this put there before. The caller holds it.
        api: a client with endpoint and token; by default that of the environment (`HF_ENDPOINT`, `HF_TOKEN`, a login).
        say: called with a sentence at every step.
    """

    repo: str
    revision: str
    out: Path
    api: HfApi | None = None
    say: Callable[[str], None] = lambda text: None

    @property
    def coming(self) -> Path:
        """Where files lie until all of them are there; the caller holds it too, for a damaged `out` moves there."""
        return self.out.with_name(f".{self.out.name}.pull")

    def pull(self) -> Pulled:
        """Bring the data set into the folder; does nothing where it is there, mends it where it is damaged.

        Raises:
            CotgenError: the Hub refuses or cannot be reached, the repository holds no data set of cotgen's, the files
                are not those of their checksums, or `out` holds something else. The same call goes on.
        """
        remote = Remote(self.repo, self.api)
        revision = remote.head(self.revision)
        there = remote.files(revision)
        if MANIFEST not in there or SUMS not in there:
            raise CotgenError(
                f"{self.repo} at {self.revision} holds no finished data set of cotgen: it has no {MANIFEST} or no {SUMS}"
            )
        coming = self.coming
        if self._is_there(there[MANIFEST], coming):
            return self._pulled(revision, 0)
        if self.revision != revision:
            self.say(f"{self.repo} at {self.revision} is commit {revision}.")
        files = self._download(remote, revision, there, coming)
        shutil.rmtree(coming / _NOTES, ignore_errors=True)
        try:
            # An empty folder of that name, which the caller holds, gives way.
            coming.rename(self.out)
        except OSError as error:
            raise CotgenError(f"{self.out} cannot be made ({error.strerror}); choose another --out") from error
        return self._pulled(revision, files)

    def _pulled(self, revision: str, files: int) -> Pulled:
        shards = load(self.out).shards
        split = next((split for split in SPLITS if any(shard.split == split for shard in shards)), SPLITS[0])
        return Pulled(self.out, self.repo, revision, files, split)

    def _is_there(self, manifest: RemoteFile, coming: Path) -> bool:
        """Whether the folder is this revision; what is good of a damaged one is kept for the download.

        Raises:
            CotgenError: it is something else.
        """
        if not self.out.exists() or not any(self.out.iterdir()):
            return False
        if not is_sealed(self.out):
            raise CotgenError(f"{self.out} holds files that are no data set; nothing was touched. Give another --out")
        data = (self.out / MANIFEST).read_bytes()
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        if manifest.sha256 not in ("", hashlib.sha256(data).hexdigest()) or (
            not manifest.sha256 and manifest.blob != blob
        ):
            raise CotgenError(
                f"{self.out} holds another data set, or another revision of {self.repo}; nothing was touched. Give "
                "another --out"
            )
        there = load(self.out)
        check_names(there)
        wrong = [name for name, _ in damaged(self.out, there)]
        if not wrong:
            return True
        self.say(f"{self.out} is damaged ({', '.join(wrong[:10])}): these files are downloaded again.")
        shutil.rmtree(coming, ignore_errors=True)
        self.out.rename(coming)
        for name in wrong:
            (coming / name).unlink(missing_ok=True)
        return False

    def _download(self, remote: Remote, revision: str, there: dict[str, RemoteFile], coming: Path) -> int:
        """All files of the data set, compared; returns how many they are."""
        try:
            coming.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CotgenError(f"{coming} cannot be made ({error.strerror}); choose another --out") from error
        remote.download(revision, [MANIFEST, SUMS], coming)
        manifest = load(coming)
        check_names(manifest)
        names = sorted([*listed(manifest, (coming / MANIFEST).read_bytes()), SUMS])
        if missing := [name for name in names if name not in there]:
            raise CotgenError(
                f"{self.repo} lacks {', '.join(missing[:10])}, which its manifest names; tell its publisher, and pull "
                "another revision"
            )
        # Of an earlier revision, or of nobody.
        for path in sorted(coming.rglob("*"), reverse=True):
            name = path.relative_to(coming).as_posix()
            if path.is_file() and name not in names and not name.startswith(f"{_NOTES}/"):
                path.unlink()
        self.say(f"Downloading {len(names)} files ({sum(there[name].size for name in names):,} bytes).")
        remote.download(revision, names, coming)
        self.say("Comparing every file with its checksum.")
        if wrong := dict(damaged(coming, manifest)):
            for name in wrong:
                (coming / name).unlink(missing_ok=True)
            told = "; ".join(f"{name} {what}" for name, what in list(wrong.items())[:10])
            raise CotgenError(
                f"What came from {self.repo} is not whole: {told}. Run the same command again: these files are fetched anew"
            )
        return len(names)
