"""Remote: one data set on the Hub, asked and told through the real client.

Whatever the client raises becomes a sentence; tokens and signed addresses stay out of it, of the traceback too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cotgen.errors import CotgenError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Visibility = Literal["public", "private"]

_TOKEN = re.compile(r"hf_[A-Za-z0-9]+|(?<=[Bb]earer )\S+")


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
    """One data set on the Hub. Every method raises CotgenError where the Hub refuses or cannot be reached.

    Attributes:
        repo: `ORG/NAME`.
    """

    def __init__(self, repo: str, api: HfApi | None = None) -> None:
        self.repo = repo
        self._api = api or _environment()
        self._name: dict[str, Any] = {"repo_id": repo, "repo_type": "dataset"}

    def exists(self) -> bool:
        """Whether it is there for us."""
        with _asking(f"looking for {self.repo}"):
            return self._api.repo_exists(**self._name)

    def make(self) -> None:
        """Make it, private."""
        with _asking(f"creating {self.repo}"):
            self._api.create_repo(**self._name, private=True, exist_ok=True)

    def refs(self) -> tuple[str, dict[str, str]]:
        """The head of main, and tag -> commit."""
        with _asking(f"reading the branches of {self.repo}"):
            refs = self._api.list_repo_refs(**self._name)
        heads = [branch.target_commit for branch in refs.branches if branch.name == "main"]
        if not heads:
            raise CotgenError(f"{self.repo} has no branch main; publish to another name")
        return heads[0], {tag.name: tag.target_commit for tag in refs.tags}

    def head(self, branch: str) -> str:
        """The newest commit of a branch."""
        with _asking(f"reading {branch} of {self.repo}"):
            return str(self._api.repo_info(**self._name, revision=branch).sha)

    def files(self, revision: str) -> dict[str, RemoteFile]:
        """Path -> what the server says of it, without what begins with a dot."""
        from huggingface_hub import RepoFile

        with _asking(f"listing the files of {self.repo}"):
            listed = list(self._api.list_repo_tree(**self._name, revision=revision, recursive=True))
        return {
            item.path: RemoteFile(item.size, item.blob_id, item.lfs.sha256 if item.lfs else "")
            for item in listed
            if isinstance(item, RepoFile) and not item.path.startswith(".")
        }

    def fetch(self, name: str, revision: str) -> Path:
        """Bring one file into the client's cache, where it stays; returns where it lies there."""
        with _asking(f"downloading {name} of {self.repo}"):
            return Path(self._api.hf_hub_download(**self._name, filename=name, revision=revision))

    def settings(self) -> Settings:
        """Who sees it now."""
        with _asking(f"reading the settings of {self.repo}"):
            info = self._api.repo_info(**self._name)
        return Settings("private" if info.private else "public", str(getattr(info, "gated", "") or ""))

    def set_gate(self) -> None:
        """Readers accept the terms before they get a file."""
        with _asking(f"setting the gate of {self.repo}"):
            self._api.update_repo_settings(**self._name, gated="auto")

    def set_visibility(self, visibility: Visibility) -> None:
        """Who sees it."""
        with _asking(f"making {self.repo} {visibility}"):
            self._api.update_repo_settings(**self._name, visibility=visibility)

    def pull_of(self, title: str) -> Pull | None:
        """The first unmerged pull request of that title."""
        with _asking(f"reading the pull requests of {self.repo}"):
            found = [
                Pull(item.num, item.title, item.status == "draft")
                for item in self._api.get_repo_discussions(**self._name, discussion_type="pull_request")
                if item.title == title and item.status in ("draft", "open")
            ]
        return min(found, key=lambda pull: pull.number, default=None)

    def open_pull(self, title: str, description: str) -> Pull:
        """A new pull request."""
        with _asking("opening a pull request"):
            made = self._api.create_pull_request(**self._name, title=title, description=description)
        return Pull(made.num, made.title, made.status == "draft")

    def upload(self, folder: Path, names: Sequence[str], branch: str, message: str) -> None:
        """Upload these files of a folder; what the server has is not sent again. May be several commits."""
        with _asking(f"uploading into {branch}"):
            self._api.upload_folder(
                **self._name,
                folder_path=folder,
                allow_patterns=list(names),
                revision=branch,
                commit_message=message,
            )

    def commit(self, add: dict[str, Path], delete: Sequence[str], branch: str, parent: str, message: str) -> None:
        """One commit on top of `parent`, which must still be the head of the branch."""
        from huggingface_hub import CommitOperation, CommitOperationAdd, CommitOperationDelete

        operations: list[CommitOperation] = [
            *(CommitOperationDelete(name) for name in delete),
            *(CommitOperationAdd(name, path) for name, path in add.items()),
        ]
        with _asking(f"committing to {branch}"):
            self._api.create_commit(
                **self._name, operations=operations, commit_message=message, revision=branch, parent_commit=parent
            )

    def merge(self, pull: Pull) -> str:
        """Merge it and return the merge commit."""
        if pull.draft:
            with _asking(f"opening pull request {pull.number}"):
                self._api.change_discussion_status(**self._name, discussion_num=pull.number, new_status="open")
        with _asking(f"merging pull request {pull.number}"):
            self._api.merge_pull_request(**self._name, discussion_num=pull.number)
            merged = self._api.get_discussion_details(**self._name, discussion_num=pull.number)
        return merged.merge_commit_oid or self.refs()[0]

    def tag(self, tag: str, revision: str) -> None:
        """Set a tag."""
        with _asking(f"setting the tag {tag}"):
            self._api.create_tag(**self._name, tag=tag, revision=revision)


def _environment() -> HfApi:
    """The client of `HF_ENDPOINT`, `HF_TOKEN` or the login."""
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise CotgenError("The Hub needs its client: pip install 'cotgen[hub]'") from error
    return HfApi(library_name="cotgen")


@contextmanager
def _asking(what: str) -> Iterator[None]:
    """Turn whatever the client raises into a sentence."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    try:
        yield
    except CotgenError:
        raise
    except LocalTokenNotFoundError:
        raise CotgenError("You are not logged in to the Hub: run `hf auth login`, or set HF_TOKEN") from None
    except (HfHubHTTPError, httpx2.HTTPError, OSError, RuntimeError, ValueError) as error:
        raise CotgenError(f"{what[0].upper()}{what[1:]} failed: {_reason(error)}") from None


def _reason(error: BaseException) -> str:
    """What went wrong in words, and what to do."""
    cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
    response = getattr(cause, "response", None)
    if response is None:
        told = _TOKEN.sub("***", str(cause).splitlines()[0] if str(cause) else type(cause).__name__)
        return f"{told}. What was done stays done; run the same command again"
    status = response.status_code
    server = _TOKEN.sub("***", getattr(cause, "server_message", None) or response.headers.get("X-Error-Message") or "")
    told = f"the Hub answered {status}{f' ({server})' if server else ''}"
    if status in (401, 403):
        return f"{told}. Log in with `hf auth login`, with a token that may write to this organisation"
    if status == 412:
        return f"{told}: somebody else changed the pull request meanwhile. Run the same command again"
    return f"{told}. What was done stays done; run the same command again"
