"""What a Hub keeps: repositories with commits, branches, tags, pull requests and stored objects, all in memory.

`cotgen.hub.testing` puts HTTP in front of it. A commit is a whole tree (path -> file); a pull request is a branch
`refs/pr/N` that begins at the head of main, and merging it makes a commit with two parents.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

MAIN = "main"


class HubError(Exception):
    """An answer other than success: HTTP status, the word of `X-Error-Code` ("" for none) and a sentence."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        self.status = status
        self.code = code
        self.message = message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of a commit.

    Attributes:
        data: its bytes.
        lfs: whether git holds a pointer only.
    """

    data: bytes
    lfs: bool

    @property
    def sha256(self) -> str:
        """Of the bytes."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def pointer(self) -> bytes:
        """What git holds: the bytes, or for LFS the pointer to them."""
        if not self.lfs:
            return self.data
        lines = ("version https://git-lfs.github.com/spec/v1", f"oid sha256:{self.sha256}", f"size {len(self.data)}")
        return "\n".join([*lines, ""]).encode()

    @property
    def blob(self) -> str:
        """The git object id of what git holds."""
        return hashlib.sha1(b"blob %d\0" % len(self.pointer) + self.pointer).hexdigest()

    @property
    def etag(self) -> str:
        """What the Hub gives as ETag: sha256 for LFS, the git object id otherwise."""
        return self.sha256 if self.lfs else self.blob


Tree = dict[str, StoredFile]


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit: its id, those before it, its message and its whole tree."""

    sha: str
    parents: tuple[str, ...]
    title: str
    tree: Tree


@dataclass(slots=True)
class PullRequest:
    """One pull request; `status` is `draft`, `open`, `closed` or `merged`, `merged_as` the merge commit or ""."""

    number: int
    title: str
    description: str
    base: str
    status: str = "draft"
    merged_as: str = ""

    @property
    def ref(self) -> str:
        """Its branch."""
        return f"refs/pr/{self.number}"


@dataclass
class Repo:
    """One repository.

    Attributes:
        id: `ORG/NAME`.
        private: only who has a token sees it.
        gated: False, `auto` or `manual`.
        commits: id -> commit.
        branches: name -> id of its head; pull requests are branches called `refs/pr/N`.
        tags: name -> id.
        pulls: in the order of their numbers.
        objects: sha256 -> bytes that were uploaded for LFS, committed or not.
        kind: `dataset` or `model`.
    """

    id: str
    private: bool
    gated: bool | str = False
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    pulls: list[PullRequest] = field(default_factory=list)
    objects: dict[str, bytes] = field(default_factory=dict)
    kind: str = "dataset"

    @property
    def key(self) -> str:
        """By which it is kept: a data set and a model may have the same name."""
        return f"models/{self.id}" if self.kind == "model" else self.id

    @property
    def path(self) -> str:
        """Of its page; that of a model has no prefix."""
        return self.id if self.kind == "model" else f"datasets/{self.id}"

    def __post_init__(self) -> None:
        attributes = b"*.tar filter=lfs diff=lfs merge=lfs -text\n*.parquet filter=lfs diff=lfs merge=lfs -text\n"
        self.branches[MAIN] = self._store((), "initial commit", {".gitattributes": StoredFile(attributes, False)})

    def resolve(self, revision: str) -> Commit:
        """The commit of a branch, tag, pull request or id. Raises HubError."""
        sha = self.branches.get(revision) or self.tags.get(revision) or revision
        if sha not in self.commits:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.commits[sha]

    def file(self, revision: str, path: str) -> tuple[Commit, StoredFile]:
        """One file at a revision. Raises HubError."""
        commit = self.resolve(revision)
        if path not in commit.tree:
            raise HubError(404, "Entry not found", "EntryNotFound")
        return commit, commit.tree[path]

    def commit(self, branch: str, title: str, tree: Tree, parent: str = "") -> Commit:
        """Put a commit on a branch; with `parent` only if that is still its head. Raises HubError."""
        if branch not in self.branches:
            raise HubError(404, f"Invalid rev id: {branch}", "RevisionNotFound")
        head = self.branches[branch]
        if parent and parent != head:
            raise HubError(412, "A commit has happened since. Please refresh and try again.")
        self.branches[branch] = self._store((head,), title, tree)
        return self.commits[self.branches[branch]]

    def tag(self, name: str, revision: str) -> None:
        """Set a tag. Raises HubError where it exists."""
        if name in self.tags:
            raise HubError(409, f"Tag {name} already exists")
        self.tags[name] = self.resolve(revision).sha

    def branch(self, name: str, revision: str) -> None:
        """Make a branch. Raises HubError where it exists."""
        if name in self.branches:
            raise HubError(409, f"Reference refs/heads/{name} already exists")
        self.branches[name] = self.resolve(revision).sha

    def open_pull(self, title: str, description: str) -> PullRequest:
        """A new draft pull request at the head of main."""
        pull = PullRequest(len(self.pulls) + 1, title, description, self.branches[MAIN])
        self.pulls.append(pull)
        self.branches[pull.ref] = pull.base
        return pull

    def pull(self, number: int) -> PullRequest:
        """One pull request. Raises HubError."""
        if not 1 <= number <= len(self.pulls):
            raise HubError(404, "Discussion not found")
        return self.pulls[number - 1]

    def conflicts(self, pull: PullRequest) -> list[str]:
        """Paths that main and the pull request changed differently since they parted, sorted."""
        base, ours, theirs = (self.resolve(name).tree for name in (pull.base, MAIN, pull.ref))
        return sorted(
            path
            for path in {*base, *ours, *theirs}
            if ours.get(path) != base.get(path) and theirs.get(path) not in (base.get(path), ours.get(path))
        )

    def merge(self, number: int) -> Commit:
        """Merge a pull request into main. Raises HubError for one that is not open, or that conflicts."""
        pull = self.pull(number)
        if pull.status != "open":
            raise HubError(400, f"This pull request cannot be merged: it is {pull.status}")
        if conflicts := self.conflicts(pull):
            raise HubError(409, f"This pull request has conflicts: {', '.join(conflicts)}")
        base, theirs = self.resolve(pull.base).tree, self.resolve(pull.ref).tree
        tree = dict(self.resolve(MAIN).tree)
        for path in {*base, *theirs}:
            if theirs.get(path) != base.get(path):
                if path in theirs:
                    tree[path] = theirs[path]
                else:
                    tree.pop(path, None)
        heads = (self.branches[MAIN], self.branches[pull.ref])
        pull.merged_as = self.branches[MAIN] = self._store(heads, f"{pull.title} (#{number})", tree)
        pull.status = "merged"
        return self.commits[pull.merged_as]

    def history(self, revision: str = MAIN) -> list[Commit]:
        """The commits of a branch along the first parents, newest first."""
        commits = [self.resolve(revision)]
        while commits[-1].parents:
            commits.append(self.commits[commits[-1].parents[0]])
        return commits

    def _store(self, parents: tuple[str, ...], title: str, tree: Tree) -> str:
        # The number of commits stands for the time that makes real commit ids unique.
        parts = [self.id, str(len(self.commits)), title, *parents, *(f"{p} {tree[p].blob}" for p in sorted(tree))]
        sha = hashlib.sha1("\n".join(parts).encode()).hexdigest()
        self.commits[sha] = Commit(sha, parents, title, dict(sorted(tree.items())))
        return sha
