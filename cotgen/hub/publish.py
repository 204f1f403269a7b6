"""Publishing a finished folder: verified, into a pull request, checked on the server, merged, tagged, then opened.

The server is the only memory. Every step first looks whether it is done, so the same command goes on after any
interruption, and where nothing is new it makes no commit. Readers never see a half-published main: shards, index,
preview and pictures go into a pull request first, card, checksums and manifest last, and main changes in the one commit
that merges it. A tag is never moved.

The card is made before the first byte is uploaded, and once: where the tag or main on the server has that of this
release, or else the folder has it, it is taken from there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cotgen.errors import CotgenError
from cotgen.hub.card import Release, make_card, published_card
from cotgen.hub.licences import Permission, permission, sources_of
from cotgen.hub.remote import NO_CLIENT, REPO, Pull, Remote, RemoteFile, Settings, Visibility
from cotgen.records import SPLITS, Manifest
from cotgen.shards.files import sha256_of
from cotgen.shards.index import INDEX
from cotgen.shards.manifest import (
    CARD_FILE,
    CROISSANT,
    MANIFEST,
    PICTURES,
    PREVIEW,
    PRIORS,
    README,
    SUMS,
    finish_card,
    load,
    replace_card,
    sums_text,
    with_card,
)
from cotgen.shards.pack import DATA
from cotgen.shards.verify import verify

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_TAG = re.compile(r"[A-Za-z0-9][\w.+-]*", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{7,40}")
#: In the commit that finishes the pull request.
_LAST = (README, CROISSANT, SUMS, MANIFEST)
#: Names at the top of the folder that are cotgen's, so that one which is no longer needed is removed.
_OURS = {INDEX, PRIORS, SUMS, MANIFEST}


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to publish: its place on disk, size in bytes, sha256 and git object id."""

    path: Path
    size: int
    sha256: str
    blob: str


@dataclass(frozen=True, slots=True)
class Published:
    """What is on the Hub now.

    Attributes:
        repo: `ORG/NAME`.
        revision: id of the commit that holds exactly this folder.
        tag: its tag, or "".
        files: how many files were new or changed; 0 where nothing was to be committed.
        removed: files of an earlier release that were removed.
        split: the first that it has.
    """

    repo: str
    revision: str
    tag: str
    files: int
    removed: tuple[str, ...]
    split: str

    @property
    def loading(self) -> list[str]:
        """The three lines that load this very revision."""
        return [
            "from datasets import load_dataset",
            f'ds = load_dataset("{self.repo}", revision="{self.revision}", streaming=True)',
            f'sample = next(iter(ds["{self.split}"]))',
        ]


@dataclass(frozen=True, slots=True)
class Publication:
    """What to publish, and where to.

    Attributes:
        folder: a finished folder; it is verified first, and then gets the card of this repository. The caller holds it.
        repo: `ORG/NAME`; made, private, where it is missing.
        tag: set on the commit that holds the folder; "" for none.
        visibility: of the repository once all is there.
        have_the_right: the user's word for data whose terms cotgen does not know.
        api: a client with endpoint and token; by default that of the environment (`HF_ENDPOINT`, `HF_TOKEN`, a login).
        workers: processes of the verification.
        say: called with a sentence at every step.
    """

    folder: Path
    repo: str
    tag: str = ""
    visibility: Visibility = "public"
    have_the_right: bool = False
    api: HfApi | None = None
    workers: int = 1
    say: Callable[[str], None] = lambda text: None

    def publish(self) -> Published:
        """Publish the folder, or finish publishing it.

        Raises:
            LicenceError: the terms of a source do not allow it.
            CotgenError: the folder is not whole, the Hub refuses, or the tag stands on other files. What was done
                stays done; the same call goes on.
        """
        finish_card(self.folder)
        allowed, manifest = self._verified()
        release = Release(self.folder, manifest, self.repo, self.tag, allowed)
        remote = Remote(self.repo, self.api)
        if card := self._new_card(release, remote):
            if self.tag and remote.exists() and (stands := remote.refs()[1].get(self.tag)):
                # Before the folder gets a card that can't be published.
                _check_tag(remote, self.tag, stands, _with_card(_files(self.folder, manifest), manifest, card))
            manifest = replace_card(self.folder, manifest, card)
        files = _files(self.folder, manifest)
        _make_ready(remote, allowed, self.visibility, self.say)
        main, tags = remote.refs()
        if self.tag in tags:
            _check_tag(remote, self.tag, tags[self.tag], files)
            done = _Upload(tags[self.tag])
        elif _differences(files, there := remote.files(main)).none:
            done = _Upload(main)
        else:
            done = _upload(remote, files, release, there, self.say)
        if self.tag and self.tag not in tags:
            self.say(f"Tagging {done.revision[:12]} as {self.tag}.")
            if not remote.tag(self.tag, done.revision):
                set_meanwhile = remote.refs()[1][self.tag]
                _check_tag(remote, self.tag, set_meanwhile, files)
                done = replace(done, revision=set_meanwhile)
        _open(remote, allowed, self.visibility, self.say)
        split = next(split for split in SPLITS if any(shard.split == split for shard in manifest.shards))
        return Published(self.repo, done.revision, self.tag, done.files, done.removed, split)

    def plan(self) -> list[str]:
        """In sentences what `publish` would do now; writes nothing. Raises what it would raise first."""
        allowed, manifest = self._verified()
        remote = Remote(self.repo, self.api)
        files = _files(self.folder, manifest)
        if card := self._new_card(Release(self.folder, manifest, self.repo, self.tag, allowed), remote):
            files = _with_card(files, manifest, card)
        steps = []
        there: dict[str, RemoteFile] = {}
        tags: dict[str, str] = {}
        if remote.exists():
            main, tags = remote.refs()
            if self.tag in tags:
                _check_tag(remote, self.tag, tags[self.tag], files)
            there = remote.files(tags.get(self.tag, main))
        else:
            steps.append(f"Create {self.repo}, private.")
        change = _differences(files, there)
        if not change.none:
            size = sum(files[name].size for name in change.changed)
            steps.append(f"Upload {len(change.changed)} of {len(files)} files ({size:,} bytes) into a pull request.")
            if change.surplus:
                steps.append(f"Remove {', '.join(change.surplus)}.")
            steps.append("Check sizes and checksums on the server, and merge.")
        if self.tag and self.tag not in tags:
            steps.append(f"Tag the commit as {self.tag}.")
        gate = "gated: readers accept the terms first" if allowed.gated else "open to all"
        steps.append(f"Leave it {self.visibility}, {gate}.")
        return steps

    def _new_card(self, release: Release, remote: Remote) -> dict[str, bytes]:
        """The files of a card that the folder must get; nothing where it has that of this release.

        One on the server comes first: another machine that draws otherwise may have been faster, and a tag stands still.
        """
        mine = _of(self.folder / SUMS, (self.folder / SUMS).read_bytes()) if release.has_card() else None
        if remote.exists():
            main, tags = remote.refs()
            for revision in dict.fromkeys((tags.get(self.tag, main), main)):
                there = remote.files(revision)
                if mine and same_file(mine, there.get(SUMS)):
                    return {}
                if card := published_card(remote, revision, there, release):
                    self.say(f"Taking the card that {revision[:12]} has.")
                    return card
        if mine:
            return {}
        self.say("Making the card, its pictures and the preview.")
        return make_card(release)

    def _verified(self) -> tuple[Permission, Manifest]:
        """Everything that needs no server: names, terms, verification."""
        folder = self.folder
        _check_names(self.repo, self.tag)
        manifest = load(folder)
        if not manifest.shards:
            raise CotgenError(f"{folder} holds no sample, so there is nothing to publish; see its README.md for why")
        frames = bool(manifest.counts.get("images"))
        names = sources_of(folder, manifest)
        allowed = permission(names, manifest, frames=frames, have_the_right=self.have_the_right)
        self.say(f"Verifying {folder}.")
        report = verify(folder, workers=self.workers)
        if not report.ok:
            first = report.problems[0]
            raise CotgenError(
                f"{folder} is not whole ({sum(report.found.values()):,} problems; {first.file}: {first.what}). "
                f"Nothing was published. `cotgen verify {folder}` lists them"
            )
        for note in allowed.notes:
            self.say(note)
        return allowed, manifest


def _check_names(repo: str, tag: str) -> None:
    try:
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]
    except ImportError as error:
        raise CotgenError(NO_CLIENT) from error
    if not REPO.fullmatch(repo):
        raise CotgenError(f"{repo!r} is no name of a repository; give --repo ORG/NAME")
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise CotgenError(f"{error} Give another --repo ORG/NAME") from None
    # A tag that looks like a branch or a commit would hide it, or be hidden by it.
    odd = tag in ("main", "HEAD", "refs") or _COMMIT.fullmatch(tag) or ".." in tag or tag.endswith((".", ".lock"))
    if tag and (odd or not _TAG.fullmatch(tag)):
        raise CotgenError(f"{tag!r} is no name of a tag; give one such as v1.0.0")


def _files(folder: Path, manifest: Manifest) -> dict[str, LocalFile]:
    """All files of a folder that was verified, by name."""
    sums = {shard.file: shard.sha256 for shard in manifest.shards} | manifest.files
    sums |= {name: sha256_of(folder / name) for name in (SUMS, MANIFEST)}
    return {name: local_file(folder / name, sums[name]) for name in sorted(sums)}


def _with_card(files: dict[str, LocalFile], manifest: Manifest, card: Mapping[str, bytes]) -> dict[str, LocalFile]:
    """The files that the folder would have with another card."""
    folder = files[INDEX].path.parent
    sealed = with_card(manifest, card)
    data = sealed.to_json()
    new = {**card, SUMS: sums_text(sealed, data), MANIFEST: data}
    kept = {name: file for name, file in files.items() if not CARD_FILE.fullmatch(name)}
    return dict(sorted({**kept, **{name: _of(folder / name, content) for name, content in new.items()}}.items()))


def _of(path: Path, data: bytes) -> LocalFile:
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    return LocalFile(path, len(data), hashlib.sha256(data).hexdigest(), blob)


def local_file(path: Path, sha256: str) -> LocalFile:
    """What the server must state of a file whose sha256 is known."""
    size = path.stat().st_size
    digest = hashlib.sha1(b"blob %d\0" % size)
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return LocalFile(path, size, sha256, digest.hexdigest())


@dataclass(frozen=True, slots=True)
class _Differences:
    """Names that the server lacks or has otherwise, and names of ours that it has too many."""

    changed: list[str]
    surplus: list[str]

    @property
    def none(self) -> bool:
        return not self.changed and not self.surplus


def _differences(files: dict[str, LocalFile], there: dict[str, RemoteFile]) -> _Differences:
    """What must change on the server, by the sizes and sums that it states itself."""
    changed = [name for name, file in files.items() if not same_file(file, there.get(name))]
    # A foreign tar in data/ would be read with ours.
    surplus = [name for name in there if name not in files and (name.startswith(f"{DATA}/") or _is_ours(name))]
    return _Differences(changed, sorted(surplus))


def _others(files: dict[str, LocalFile], there: dict[str, RemoteFile]) -> dict[str, RemoteFile]:
    """What is on the server and none of cotgen's."""
    return {
        name: file
        for name, file in there.items()
        if name not in files and not _is_ours(name) and not name.startswith(f"{DATA}/")
    }


def _top(name: str) -> str:
    """A file of the owner, or the folder that it lies in where that is none of ours."""
    folder, _, _ = name.partition("/")
    return name if folder in (PREVIEW, PICTURES) else folder


def _strange(now: dict[str, RemoteFile], before: dict[str, RemoteFile]) -> list[str]:
    """Names of what is not as it was, sorted."""
    return sorted(name for name in now.keys() | before.keys() if now.get(name) != before.get(name))


def _is_ours(name: str) -> bool:
    return name in _OURS or CARD_FILE.fullmatch(name) is not None


def same_file(file: LocalFile, there: RemoteFile | None) -> bool:
    """Whether the server states of a file what lies here."""
    if there is None or there.size != file.size:
        return False
    return there.sha256 == file.sha256 if there.sha256 else there.blob == file.blob


@dataclass(frozen=True, slots=True)
class _Upload:
    revision: str
    files: int = 0
    removed: tuple[str, ...] = ()


def _check_tag(remote: Remote, tag: str, commit: str, files: dict[str, LocalFile]) -> None:
    found = _differences(files, remote.files(commit))
    if found.none:
        return
    about_card = all(CARD_FILE.fullmatch(name) or name in (SUMS, MANIFEST) for name in found.changed + found.surplus)
    what = "the same data with another card, as another version of cotgen makes it" if about_card else "other files"
    raise CotgenError(
        f"{tag} of {remote.repo} stands on commit {commit[:12]}, which holds {what}. A tag is never moved, since others "
        "cite it: give another --tag. Nothing was changed"
    )


def _make_ready(remote: Remote, allowed: Permission, visibility: Visibility, say: Callable[[str], None]) -> None:
    """Make the repository where it is missing; in one that is public already, whoever must not see stays out first."""
    if not remote.exists():
        say(f"Creating {remote.repo}, private.")
        remote.make()
        return
    now = remote.settings()
    if now.visibility == "public" and visibility == "private":
        # Branches and pull requests of a public repository are public.
        say("Making it private.")
        remote.set_visibility("private")
    elif allowed.gated and now == Settings("public", ""):
        remote.set_gate()


def _upload(
    remote: Remote,
    files: dict[str, LocalFile],
    release: Release,
    there: dict[str, RemoteFile],
    say: Callable[[str], None],
) -> _Upload:
    """Bring the folder into main by a pull request; goes on with one that an earlier call left."""
    begun = _differences(files, there)
    # As verifying names them: a folder once, and what begins with a dot not at all.
    if kept := sorted({_top(name) for name in _others(files, there) if not _top(name).startswith(".")}):
        say(
            f"{', '.join(kept[:10])} stays as it is; it is no part of the data set, and verifying a download names it."
        )
    # By what the card is made for and not by its bytes, so that another machine finds it again.
    title = f"cotgen {release.key[:16]}"
    pull = _pull(remote, title, _description(release.manifest), files, there, say)
    _fill(remote, files, pull, title, say)
    # Who opened it may have changed it while it was filled.
    if strange := _strange(_others(files, remote.files(pull.branch)), _others(files, there)):
        remote.close(pull)
        raise CotgenError(
            f"Somebody else changed {', '.join(strange[:10])} in pull request {pull.number} of {remote.repo} meanwhile: it "
            "was closed, and nothing was merged. Run the same command again; it begins another one, and sends nothing twice"
        )
    if remote.conflicts(pull):
        raise CotgenError(
            f"Pull request {pull.number} cannot be merged: somebody else changed main of {remote.repo} meanwhile. Run the "
            "same command again; it begins another one, and sends nothing twice"
        )
    say(f"All {len(files)} files are on the server with their sizes and checksums. Merging.")
    revision = remote.merge(pull)
    wrong = _differences(files, remote.files(revision))
    if not wrong.none:
        raise CotgenError(
            f"After the merge {remote.repo} differs in {', '.join((wrong.changed + wrong.surplus)[:10])}: somebody else "
            "changed main meanwhile. Run the same command again"
        )
    return _Upload(revision, len(begun.changed), tuple(begun.surplus))


def _pull(
    remote: Remote,
    title: str,
    description: str,
    files: dict[str, LocalFile],
    there: dict[str, RemoteFile],
    say: Callable[[str], None],
) -> Pull:
    """The pull request to fill: one that was left behind, unless it does not fit main as it is now; else a new one."""
    for pull in remote.pulls_of(title):
        # Anybody may open a pull request of that title in a public repository, with other files in it.
        if not remote.conflicts(pull) and _others(files, remote.files(pull.branch)) == _others(files, there):
            say(f"Going on with pull request {pull.number}.")
            return pull
        say(f"Closing pull request {pull.number}: main has changed since, or other files are changed in it.")
        remote.close(pull)
    return remote.open_pull(title, description)


def _fill(remote: Remote, files: dict[str, LocalFile], pull: Pull, title: str, say: Callable[[str], None]) -> None:
    """Bring all files into a pull request, and insist that the server states them as they are here."""
    data = [name for name in _differences(files, remote.files(pull.branch)).changed if name not in _LAST]
    if data:
        say(f"Uploading {len(data)} files into {pull.branch}; card, checksums and manifest follow.")
        remote.upload(files[INDEX].path.parent, data, pull.branch, f"{title}: data")
    head = remote.head(pull.branch)
    rest = _differences(files, remote.files(head))
    _insist_on_arrival(remote, [name for name in rest.changed if name not in _LAST])
    if not rest.none:
        add = {name: files[name].path for name in rest.changed}
        remote.commit(add, rest.surplus, pull.branch, head, title)
        rest = _differences(files, remote.files(pull.branch))
        _insist_on_arrival(remote, rest.changed + rest.surplus)


def _description(manifest: Manifest) -> str:
    counts = manifest.counts
    return (
        f"{counts.get('samples', 0):,} samples with {counts.get('pairs', 0):,} pairs in {len(manifest.shards)} shards; "
        f"build {manifest.fingerprint}."
    )


def _insist_on_arrival(remote: Remote, names: list[str]) -> None:
    if names:
        raise CotgenError(
            f"{remote.repo}: {len(names)} files are not on the server as they are here ({', '.join(names[:10])}). Nothing "
            "was merged; if no file changed here meanwhile, run the same command again"
        )


def _open(remote: Remote, allowed: Permission, visibility: Visibility, say: Callable[[str], None]) -> None:
    """Set the gate and then who sees the repository; a gate that its owner set is never opened."""
    now = remote.settings()
    if allowed.gated and not now.gated:
        say("Setting the gate: readers accept the terms first.")
        remote.set_gate()
    if now.visibility != visibility:
        say(f"Making it {visibility}.")
        remote.set_visibility(visibility)
