"""Remote: one data set or model on the Hub, asked and told through the real client.

Whatever the client raises becomes a sentence; tokens and signed addresses stay out of it, of the traceback too.
"""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from cotgen.errors import CotgenError
from cotgen.hub.discretion import DiscreetFilter, discreet

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Visibility = Literal["public", "private"]
Kind = Literal["dataset", "model"]

#: The name of a repository.
REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
#: What to do where `huggingface_hub` is missing.
NO_CLIENT = "This needs the Hub client: pip install 'cotgen[hub]'"
#: Seconds without a byte until a server counts as gone; a commit of many files takes a minute.
_PATIENCE = 300.0
_AGAIN = "What was done stays done; run the same command again"
_MAY_WRITE = "Log in with `hf auth login`, with a token that may write to this organisation"
_MAY_READ = (
    "Check the name and the revision; a private data set needs `hf auth login`, and of a gated one the terms must be "
    "accepted on its page first"
)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as the server states it: size in bytes, git object id, and for LFS the sha256 of the content or ""."""

    size: int
    blob: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Who sees a repository: `gated` is "" (nobody is asked), `auto` or `manual`."""

    visibility: Visibility
    gated: str


@dataclass(frozen=True, slots=True)
class Pull:
    """An unmerged pull request."""

    number: int
    title: str
    draft: bool

    @property
    def branch(self) -> str:
        """What to upload to."""
        return f"refs/pr/{self.number}"


class Remote:
    """One data set or model on the Hub. Every method raises CotgenError where the Hub refuses or cannot be reached.

    Attributes:
        repo: `ORG/NAME`.
    """

    def __init__(self, repo: str, api: HfApi | None = None, kind: Kind = "dataset") -> None:
        self.repo = repo
        self._api = api or _environment()
        if "@" in urlsplit(self._api.endpoint).netloc:
            raise CotgenError(
                "HF_ENDPOINT holds a user or a token before its host, where programs show it. Give the address alone, and "
                "the token in HF_TOKEN or by `hf auth login`"
            )
        self._tokens = _tokens(self._api)
        _make_discreet(self._tokens)
        self._name: dict[str, Any] = {"repo_id": repo, "repo_type": kind}

    def exists(self) -> bool:
        """Whether it is there for us."""
        with self._asking(f"looking for {self.repo}"):
            return self._api.repo_exists(**self._name)

    def make(self) -> None:
        """Make it, private."""
        with self._asking(f"creating {self.repo}"):
            self._api.create_repo(**self._name, private=True, exist_ok=True)

    def refs(self) -> tuple[str, dict[str, str]]:
        """The head of main, and tag -> commit."""
        with self._asking(f"reading the branches of {self.repo}"):
            refs = self._api.list_repo_refs(**self._name)
        heads = [branch.target_commit for branch in refs.branches if branch.name == "main"]
        if not heads:
            raise CotgenError(f"{self.repo} has no branch main; publish to another name")
        return heads[0], {tag.name: tag.target_commit for tag in refs.tags}

    def head(self, branch: str) -> str:
        """The newest commit of a branch, or that of a tag."""
        with self._asking(f"reading {branch} of {self.repo}", reading=True):
            return str(self._api.repo_info(**self._name, revision=branch).sha)

    def files(self, revision: str) -> dict[str, RemoteFile]:
        """Path -> what the server says of it."""
        from huggingface_hub import RepoFile

        with self._asking(f"listing the files of {self.repo}", reading=True):
            listed = list(self._api.list_repo_tree(**self._name, revision=revision, recursive=True))
        return {
            item.path: RemoteFile(item.size, item.blob_id, item.lfs.sha256 if item.lfs else "")
            for item in listed
            if isinstance(item, RepoFile)
        }

    def download(self, revision: str, names: Sequence[str], folder: Path) -> None:
        """Download these files of a commit into a folder; goes on with what an interrupted call left there."""
        with self._asking(f"downloading {self.repo}", reading=True):
            self._api.snapshot_download(**self._name, revision=revision, local_dir=folder, allow_patterns=list(names))

    def read(self, name: str, revision: str) -> bytes:
        """The bytes of one small file."""
        with self._asking(f"reading {name} of {self.repo}", reading=True), tempfile.TemporaryDirectory() as scratch:
            # Not through the shared cache: what is compared must come from the server.
            path = self._api.hf_hub_download(**self._name, filename=name, revision=revision, cache_dir=scratch)
            return Path(path).read_bytes()

    def fetch(self, name: str, revision: str) -> Path:
        """Bring one file into the client's cache, where it stays; returns where it lies there."""
        with self._asking(f"downloading {name} of {self.repo}", reading=True):
            return Path(self._api.hf_hub_download(**self._name, filename=name, revision=revision))

    def settings(self) -> Settings:
        """Who sees it now."""
        with self._asking(f"reading the settings of {self.repo}"):
            info = self._api.repo_info(**self._name)
        return Settings("private" if info.private else "public", str(getattr(info, "gated", "") or ""))

    def set_gate(self) -> None:
        """Readers accept the terms before they get a file."""
        with self._asking(f"setting the gate of {self.repo}"):
            self._api.update_repo_settings(**self._name, gated="auto")

    def set_visibility(self, visibility: Visibility) -> None:
        """Who sees it."""
        with self._asking(f"making {self.repo} {visibility}"):
            self._api.update_repo_settings(**self._name, visibility=visibility)

    def pulls_of(self, title: str) -> list[Pull]:
        """The unmerged pull requests of that title, the first one first."""
        with self._asking(f"reading the pull requests of {self.repo}"):
            found = [
                Pull(item.num, item.title, item.status == "draft")
                for item in self._api.get_repo_discussions(**self._name, discussion_type="pull_request")
                if item.title == title and item.status in ("draft", "open")
            ]
        return sorted(found, key=lambda pull: pull.number)

    def open_pull(self, title: str, description: str) -> Pull:
        """A new pull request."""
        advice = f"Its owner may have switched pull requests off: allow them in its settings. Otherwise: {_MAY_WRITE}"
        with self._asking(f"opening a pull request in {self.repo}", refused=advice):
            made = self._api.create_pull_request(**self._name, title=title, description=description)
        return Pull(made.num, made.title, made.status == "draft")

    def upload(self, folder: Path, names: Sequence[str], branch: str, message: str) -> None:
        """Upload these files of a folder; what the server has is not sent again. May be several commits."""
        # Patterns are compared with every name, which takes minutes for ten thousand files; a folder of links takes none.
        with tempfile.TemporaryDirectory() as scratch:
            for name in names:
                link = Path(scratch) / name
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to((folder / name).resolve())
            with self._asking(f"uploading into {branch}"):
                self._api.upload_folder(**self._name, folder_path=scratch, revision=branch, commit_message=message)

    def commit(self, add: dict[str, Path], delete: Sequence[str], branch: str, parent: str, message: str) -> None:
        """One commit on top of `parent`, which must still be the head of the branch."""
        from huggingface_hub import CommitOperation, CommitOperationAdd, CommitOperationDelete

        operations: list[CommitOperation] = [
            *(CommitOperationDelete(name) for name in delete),
            *(CommitOperationAdd(name, path) for name, path in add.items()),
        ]
        with self._asking(f"committing to {branch}"):
            self._api.create_commit(
                **self._name, operations=operations, commit_message=message, revision=branch, parent_commit=parent
            )

    def conflicts(self, pull: Pull) -> bool:
        """Whether main has changed since so that it cannot be merged any more."""
        with self._asking(f"reading pull request {pull.number}"):
            return bool(self._api.get_discussion_details(**self._name, discussion_num=pull.number).conflicting_files)

    def close(self, pull: Pull) -> None:
        """Close it without merging."""
        with self._asking(f"closing pull request {pull.number}"):
            self._api.change_discussion_status(**self._name, discussion_num=pull.number, new_status="closed")

    def merge(self, pull: Pull) -> str:
        """Merge it and return the merge commit."""
        if pull.draft:
            with self._asking(f"opening pull request {pull.number}"):
                self._api.change_discussion_status(**self._name, discussion_num=pull.number, new_status="open")
        with self._asking(f"merging pull request {pull.number}"):
            self._api.merge_pull_request(**self._name, discussion_num=pull.number)
            merged = self._api.get_discussion_details(**self._name, discussion_num=pull.number)
        return merged.merge_commit_oid or self.refs()[0]

    def tag(self, tag: str, revision: str) -> bool:
        """Set a tag; False where it is there by now."""
        from huggingface_hub.errors import HfHubHTTPError

        with self._asking(f"setting the tag {tag}"):
            try:
                self._api.create_tag(**self._name, tag=tag, revision=revision)
            except HfHubHTTPError as error:
                if error.response.status_code != 409:
                    raise
                return False
        return True

    @contextmanager
    def _asking(self, what: str, refused: str = _MAY_WRITE, reading: bool = False) -> Iterator[None]:
        """Turn whatever the client raises into a sentence; `refused` is the advice after 403 where something is written."""
        import httpx2
        from huggingface_hub import get_session
        from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

        client = get_session()
        if client.timeout == httpx2.Timeout(None):
            # By itself the client waits for ever.
            client.timeout = httpx2.Timeout(_PATIENCE)
        try:
            yield
        except CotgenError:
            raise
        except LocalTokenNotFoundError:
            raise CotgenError("You are not logged in to the Hub: run `hf auth login`, or set HF_TOKEN") from None
        except (HfHubHTTPError, httpx2.HTTPError, OSError, RuntimeError, ValueError) as error:
            told = discreet(_reason(error, refused, reading), self._tokens)
            raise CotgenError(f"{what[0].upper()}{what[1:]} failed: {told}") from None


def _environment() -> HfApi:
    """The client of `HF_ENDPOINT`, `HF_TOKEN` or the login."""
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise CotgenError(NO_CLIENT) from error
    return HfApi(library_name="cotgen")


def _make_discreet(tokens: list[str]) -> None:
    """The client's own log lines name the addresses that it tries again, signed ones too."""
    for handler in logging.getLogger("huggingface_hub").handlers:
        for old in [one for one in handler.filters if isinstance(one, DiscreetFilter)]:
            handler.removeFilter(old)
        handler.addFilter(DiscreetFilter(tokens))


def _tokens(api: HfApi) -> list[str]:
    """What must not be shown whatever it looks like."""
    from huggingface_hub import get_token

    return [token for token in (api.token if isinstance(api.token, str) else "", get_token()) if token]


def _reason(error: BaseException, refused: str, reading: bool) -> str:
    """What went wrong in words, and what to do."""
    cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
    response = getattr(cause, "response", None)
    if response is None:
        return f"{str(cause).splitlines()[0] if str(cause) else type(cause).__name__}. {_AGAIN}"
    status = response.status_code
    server = getattr(cause, "server_message", None) or response.headers.get("X-Error-Message") or ""
    told = f"the Hub answered {status}{f' ({server})' if server else ''}"
    if reading and status in (401, 403, 404):
        return f"{told}. {_MAY_READ}"
    if status == 401:
        return f"{told}. {_MAY_WRITE}"
    if status == 403:
        return f"{told}. {refused}"
    if status == 404:
        return f"{told}: it is not there, or not for you. Look at --repo, and whose token it is with `hf auth whoami`"
    if status == 412:
        return f"{told}: somebody else changed the pull request meanwhile. Run the same command again"
    return f"{told}. {_AGAIN}"
