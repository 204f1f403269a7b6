"""A test Hub: a server on loopback that speaks what the real Hub client asks, and fails where it is told to.

It holds data sets and models in memory and knows the endpoints that `huggingface_hub` 2.4 and `datasets` 5.2 call to
create, fill, tag, merge, list and read them. Shards, tables and weights go through Git LFS; through xet, as on the real
Hub, where it is given a folder for its store. Smaller files are regular. Whoever has a token may write; without one a
private repository is not there and a gated one shows its files to nobody.

    with HubServer() as hub:
        api = HfApi(endpoint=hub.url, token="hf_test")

It is a plain threaded server and no ASGI application, because an application can answer wrongly but cannot drop the
connection in the middle of a file, which is what uploads and downloads must survive.
"""

from __future__ import annotations

import base64
import re
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import orjson
import yaml

from cotgen.hub.repos import MAIN, HubError, PullRequest, Repo, StoredFile, Tree
from cotgen.hub.xet import LocalCas

FaultKind = Literal["status", "echo", "reset", "lost", "cut", "torn", "etag", "damage"]
#: Part of every address that large files are put to; like that of a real store it must not be shown.
SIGNATURE = "SignedByTheTestHub"
_LFS = re.compile(r".*\.(tar|parquet|jpg|png|gz|zip|mp4|safetensors)")
_LFS_BYTES = 10_000_000
_TIME = "2026-01-01T00:00:00.000Z"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass
class Fault:
    """What goes wrong, and where.

    Attributes:
        where: regular expression for `METHOD /path`, searched from its beginning.
        kind: `status` answers with `status` and does nothing; `echo` does too, and its message quotes the request, with
            the token and the signed address; `reset` drops the connection and does nothing; `lost`
            does what was asked and then drops the connection; `cut` closes it in the middle of the answer's body and
            `torn` resets it there; `etag` gives a wrong ETag; `damage` changes a byte of the upload before it is stored.
        status: for the kinds `status` and `echo`.
        skip: let so many matching requests pass first.
        times: how often; afterwards all is well again.
    """

    where: str
    kind: FaultKind = "status"
    status: int = 503
    skip: int = 0
    times: int = 1


@dataclass(frozen=True, slots=True)
class Request:
    """A request that came in. `path` has no query; `status` is 0 where the connection was dropped instead."""

    method: str
    path: str
    status: int


@dataclass
class _Answer:
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class HubServer:
    """The server; a context manager.

    Attributes:
        repos: `ORG/NAME` -> data set, `models/ORG/NAME` -> model.
        requests: what was asked so far, in order.
        faults: what shall go wrong; the first that matches a request and has `times` left is used.
        page: files in a page of a listing.
        cas: where xet keeps what is uploaded; None for Git LFS. One client at a time: it locks the store.
        before: called with each `METHOD /path` before it is handled, e.g. to stop a client at an exact place.
    """

    def __init__(self, *, page: int = 1000, xet: Path | None = None) -> None:
        self.repos: dict[str, Repo] = {}
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.page = page
        self.cas = LocalCas(xet) if xet else None
        self.before: Callable[[str], None] | None = None
        self.lock = threading.RLock()
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        """What `HF_ENDPOINT` must be."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> HubServer:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fail(
        self, where: str, kind: FaultKind = "status", *, status: int = 503, skip: int = 0, times: int = 1
    ) -> None:
        """Add a fault: see `Fault`."""
        self.faults.append(Fault(where, kind, status, skip, times))

    def asked(self, where: str) -> int:
        """How many requests matched `METHOD /path`."""
        return sum(re.match(where, f"{item.method} {item.path}") is not None for item in self.requests)

    def _fault(self, line: str) -> Fault | None:
        for fault in self.faults:
            if fault.times and re.match(fault.where, line):
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault
        return None


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed in the middle of an answer is what this server is for."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> _Answer:
    return _Answer(orjson.dumps(value), status, {"Content-Type": "application/json"} | (headers or {}))


def _handler_of(hub: HubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        pass

    Handler.hub = hub
    return Handler


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what was asked stands in `HubServer.requests`."""

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_GET(self) -> None:
        self._respond()

    def do_HEAD(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def do_PUT(self) -> None:
        self._respond()

    def do_DELETE(self) -> None:
        self._respond()

    def _respond(self) -> None:
        hub = self.hub
        url = urlsplit(self.path)
        line = f"{self.command} {unquote(url.path)}"
        if hub.before is not None:
            hub.before(line)
        body = self._body()
        with hub.lock:
            fault = hub._fault(line)
        kind = fault.kind if fault else ""
        if kind == "reset":
            self._record(0)
            self._drop()
            return
        if kind == "damage" and body:
            body = bytes([body[0] ^ 1]) + body[1:]
        if kind == "status" and fault is not None:
            answer = _json({"error": "The server was told to fail"}, fault.status)
        elif kind == "echo" and fault is not None:
            told = f"Failed: {hub.url}{self.path} with Authorization: {self.headers.get('Authorization', '')}"
            answer = _json({"error": told}, fault.status, {"X-Error-Message": told})
        else:
            try:
                with hub.lock:
                    answer = self._route(url.path.strip("/"), parse_qs(url.query), body)
            except HubError as error:
                headers = {"X-Error-Message": error.message} | ({"X-Error-Code": error.code} if error.code else {})
                answer = _json({"error": error.message}, error.status, headers)
        if kind == "lost":
            self._record(0)
            self._drop()
            return
        if kind == "etag":
            wrong = f'"{"0" * 64}"'
            answer.headers |= {name: wrong for name in ("ETag", "X-Linked-Etag") if name in answer.headers}
        self._send(answer, whole=kind not in ("cut", "torn"))
        if kind == "cut":
            self.close_connection = True
        elif kind == "torn":
            self._drop()

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            size = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(size)
            if len(body) < size:
                raise ConnectionResetError("the client went away in the middle of its request")
            return body
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _record(self, status: int) -> None:
        self.hub.requests.append(Request(self.command, unquote(urlsplit(self.path).path), status))

    def _drop(self) -> None:
        """End the connection with RST, so that the client learns of it at once."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _send(self, answer: _Answer, *, whole: bool) -> None:
        body, headers = answer.body, answer.headers
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        if asked and answer.status == 200 and "Accept-Ranges" in headers and any(asked.groups()):
            size = len(body)
            first = int(asked[1]) if asked[1] else max(0, size - int(asked[2]))
            last = min(int(asked[2]) if asked[1] and asked[2] else size - 1, size - 1)
            if first > last:
                answer = _Answer(b"", 416)
                headers = {"Content-Range": f"bytes */{size}"}
                body = b""
            else:
                answer.status = 206
                headers["Content-Range"] = f"bytes {first}-{last}/{size}"
                body = body[first : last + 1]
        self._record(answer.status)
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if whole else body[: len(body) // 2])

    def _route(self, path: str, query: dict[str, list[str]], body: bytes) -> _Answer:
        method = self.command if self.command != "HEAD" else "GET"
        for verb, pattern, function in _ROUTES:
            match = pattern.fullmatch(path)
            if verb == method and match:
                call = _Call(
                    self, query, body, {name: unquote(text or "") for name, text in match.groupdict().items()}
                )
                return function(call)
        raise HubError(404, f"The test Hub knows no {self.command} /{path}")


@dataclass
class _Call:
    handler: _Handler
    query: dict[str, list[str]]
    body: bytes
    parts: dict[str, str]

    @property
    def hub(self) -> HubServer:
        return self.handler.hub

    @property
    def has_token(self) -> bool:
        return bool(re.fullmatch(r"Bearer \S+", self.handler.headers.get("Authorization", "")))

    @property
    def json(self) -> Any:
        return orjson.loads(self.body or b"{}")

    @property
    def key(self) -> str:
        """By which the repository of the path is kept."""
        return f"{'models/' if self.parts.get('model') else ''}{self.parts['repo']}"

    @property
    def repo(self) -> Repo:
        """The repository of the path. Raises HubError where this caller may not see it."""
        repo = self.hub.repos.get(self.key)
        if repo is None or (repo.private and not self.has_token):
            raise HubError(404 if self.has_token else 401, "Repository not found", "RepoNotFound")
        return repo

    @property
    def own(self) -> Repo:
        """The same, for writing."""
        self.insist_on_token()
        return self.repo

    def insist_on_token(self) -> None:
        if not self.has_token:
            raise HubError(401, "Invalid username or password.")

    @property
    def xet(self) -> dict[str, str]:
        """sha256 -> xet hash of what went through xet."""
        return self.hub.cas.hashes() if self.hub.cas else {}

    @property
    def form(self) -> dict[str, list[str]]:
        """What was sent as JSON or as a form."""
        if "json" in self.handler.headers.get("Content-Type", ""):
            return {name: value if isinstance(value, list) else [value] for name, value in self.json.items()}
        return parse_qs(self.body.decode())


def _create(call: _Call) -> _Answer:
    call.insist_on_token()
    asked = call.json
    name = f"{asked.get('organization') or 'user'}/{asked['name']}"
    kind = asked.get("type") or "model"
    if kind not in ("dataset", "model"):
        raise HubError(400, "The test Hub keeps data sets and models only")
    made = Repo(name, private=asked.get("visibility") == "private", kind=kind)
    url = f"{call.hub.url}/{made.path}"
    if made.key in call.hub.repos:
        return _json({"error": f"You already created this {kind} repo", "url": url}, 409)
    call.hub.repos[made.key] = made
    return _json({"url": url, "name": name})


def _delete(call: _Call) -> _Answer:
    call.insist_on_token()
    asked = call.json
    name = f"{asked.get('organization') or 'user'}/{asked['name']}"
    if call.hub.repos.pop(name, None) is None:
        raise HubError(404, "Repository not found", "RepoNotFound")
    return _json({})


def _who(call: _Call) -> _Answer:
    call.insist_on_token()
    return _json({"name": "user", "type": "user", "orgs": [], "auth": {"type": "access_token"}})


def _validate(call: _Call) -> _Answer:
    """The head of a card must be YAML with `---` around it; the Hub looks at more."""
    parts = call.json["content"].split("---\n", 2)
    try:
        if len(parts) == 3 and not isinstance(yaml.safe_load(parts[1]), dict):
            raise HubError(400, "The head of README.md is no mapping")
    except yaml.YAMLError as error:
        return _json({"errors": [{"message": str(error)}], "warnings": []}, 400)
    return _json({"errors": [], "warnings": []})


def _info(call: _Call) -> _Answer:
    repo = call.repo
    commit = repo.resolve(call.parts.get("rev") or MAIN)
    return _json(
        {
            "id": repo.id,
            "author": repo.id.partition("/")[0],
            "sha": commit.sha,
            "private": repo.private,
            "gated": repo.gated,
            "disabled": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "lastModified": _TIME,
            "createdAt": _TIME,
            "siblings": [{"rfilename": path} for path in commit.tree],
        }
    )


def _listed(path: str, file: StoredFile, xet: dict[str, str]) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(file.data), "oid": file.blob}
    if file.lfs:
        entry["lfs"] = {"oid": file.sha256, "size": len(file.data), "pointerSize": len(file.pointer)}
        if file.sha256 in xet:
            entry["xetHash"] = xet[file.sha256]
    return entry


def _folders(tree: Tree) -> set[str]:
    return {path[:at] for path in tree for at, letter in enumerate(path) if letter == "/"}


def _tree(call: _Call) -> _Answer:
    repo = call.repo
    tree = repo.resolve(call.parts["rev"]).tree
    top = call.parts.get("path", "").strip("/")
    recursive = call.query.get("recursive", ["false"])[0].lower() == "true"
    folders = _folders(tree)
    if top and top not in folders:
        raise HubError(404, f"{top} does not exist", "EntryNotFound")
    prefix = f"{top}/" if top else ""
    entries = [
        {"type": "directory", "path": name, "size": 0, "oid": "0" * 40}
        for name in sorted(folders)
        if name.startswith(prefix) and (recursive or "/" not in name[len(prefix) :])
    ]
    entries += [
        _listed(path, file, call.xet)
        for path, file in tree.items()
        if path.startswith(prefix) and (recursive or "/" not in path[len(prefix) :])
    ]
    start = int(call.query.get("cursor", ["0"])[0])
    headers = {}
    if start + call.hub.page < len(entries):
        query = {name: values[0] for name, values in call.query.items()} | {"cursor": str(start + call.hub.page)}
        url = f"{call.hub.url}{urlsplit(call.handler.path).path}?{urlencode(query)}"
        headers["Link"] = f'<{url}>; rel="next"'
    return _json(entries[start : start + call.hub.page], headers=headers)


def _paths_info(call: _Call) -> _Answer:
    tree = call.repo.resolve(call.parts["rev"]).tree
    folders = _folders(tree)
    found = []
    for path in call.form.get("paths", []):
        if path in tree:
            found.append(_listed(path, tree[path], call.xet))
        elif path in folders:
            found.append({"type": "directory", "path": path, "size": 0, "oid": "0" * 40})
    return _json(found)


def _preupload(call: _Call) -> _Answer:
    tree = call.own.resolve(call.parts["rev"]).tree
    files = []
    for asked in call.json["files"]:
        path = asked["path"]
        lfs = bool(_LFS.fullmatch(path)) or asked["size"] > _LFS_BYTES
        entry = {"path": path, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False}
        if path in tree:
            entry["oid"] = tree[path].etag
        files.append(entry)
    return _json({"files": files})


def _lfs_batch(call: _Call) -> _Answer:
    repo = call.own
    objects = []
    for asked in call.json["objects"]:
        entry: dict[str, Any] = {"oid": asked["oid"], "size": asked["size"]}
        if asked["oid"] not in repo.objects or StoredFile(repo.objects[asked["oid"]], True).sha256 != asked["oid"]:
            href = f"{call.hub.url}/lfs/{repo.key}/{asked['oid']}"
            entry["actions"] = {
                "upload": {"href": f"{href}?X-Amz-Signature={SIGNATURE}"},
                "verify": {"href": f"{href}/verify?X-Amz-Signature={SIGNATURE}"},
            }
        objects.append(entry)
    return _json({"transfer": "basic", "objects": objects})


def _lfs_repo(call: _Call) -> Repo:
    # The address is the right to write, as those of a store are; there is no token on it.
    if call.key not in call.hub.repos:
        raise HubError(404, "Repository not found", "RepoNotFound")
    return call.hub.repos[call.key]


def _lfs_put(call: _Call) -> _Answer:
    _lfs_repo(call).objects[call.parts["oid"]] = call.body
    return _Answer()


def _lfs_verify(call: _Call) -> _Answer:
    repo, oid = _lfs_repo(call), call.parts["oid"]
    stored = repo.objects.get(oid)
    if stored is None or StoredFile(stored, True).sha256 != oid:
        repo.objects.pop(oid, None)
        raise HubError(400, "The uploaded object has another sha256 than was announced")
    return _json({})


def _xet_token(call: _Call) -> _Answer:
    """Where the store is, and a token for it that is good for an hour."""
    if call.hub.cas is None:
        raise HubError(404, "This test Hub has no xet")
    if call.parts["kind"] == "write":
        call.insist_on_token()
    _insist_on_terms(call)
    expires = int(time.time()) + 3600
    headers = {
        "X-Xet-Cas-Url": call.hub.cas.url,
        "X-Xet-Access-Token": "of-the-test-hub",
        "X-Xet-Token-Expiration": str(expires),
    }
    told = {"casUrl": call.hub.cas.url, "accessToken": "of-the-test-hub", "exp": expires}
    return _json(told, headers=headers)


def _take_from_xet(cas: LocalCas, repo: Repo, oid: str) -> None:
    data = cas.read(oid)
    if data is not None:
        if StoredFile(data, True).sha256 != oid:
            raise HubError(400, "The store of xet has other bytes than were announced")
        repo.objects[oid] = data


def _commit(call: _Call) -> _Answer:
    repo = call.own
    branch = call.parts["rev"]
    tree = dict(repo.resolve(branch).tree)
    title = parent = ""
    for line in call.body.splitlines():
        item = orjson.loads(line)
        value = item["value"]
        if item["key"] == "header":
            title, parent = value["summary"], value.get("parentCommit") or ""
        elif item["key"] == "file":
            tree[value["path"]] = StoredFile(base64.b64decode(value["content"]), False)
        elif item["key"] == "lfsFile":
            if call.hub.cas and value["oid"] not in repo.objects:
                _take_from_xet(call.hub.cas, repo, value["oid"])
            if value["oid"] not in repo.objects:
                raise HubError(400, f"{value['path']}: its LFS object was not uploaded")
            tree[value["path"]] = StoredFile(repo.objects[value["oid"]], True)
        elif item["key"] == "deletedFile":
            if tree.pop(value["path"], None) is None:
                raise HubError(404, "A file with this name doesn't exist", "EntryNotFound")
        elif item["key"] == "deletedFolder":
            tree = {path: file for path, file in tree.items() if not path.startswith(value["path"].rstrip("/") + "/")}
        else:
            raise HubError(400, f"The test Hub knows no operation {item['key']}")
    if len(call.query.get("create_pr", [])):
        pull = repo.open_pull(title, "")
        pull.status, branch = "open", pull.ref
    commit = repo.commit(branch, title, tree, parent)
    url = f"{call.hub.url}/{repo.path}"
    answer = {"success": True, "commitOid": commit.sha, "commitUrl": f"{url}/commit/{commit.sha}"}
    if branch.startswith("refs/pr/"):
        answer["pullRequestUrl"] = f"{url}/discussions/{branch.rpartition('/')[2]}"
    return _json(answer)


def _tag(call: _Call) -> _Answer:
    call.own.tag(call.json["tag"], call.parts["rev"])
    return _json({})


def _delete_tag(call: _Call) -> _Answer:
    if call.own.tags.pop(call.parts["rev"], None) is None:
        raise HubError(404, "Tag not found", "RevisionNotFound")
    return _json({})


def _branch(call: _Call) -> _Answer:
    call.own.branch(call.parts["rev"], call.json.get("startingPoint") or MAIN)
    return _json({})


def _refs(call: _Call) -> _Answer:
    repo = call.repo

    def rows(prefix: str, found: dict[str, str]) -> list[dict[str, str]]:
        return [
            {"name": name, "ref": name if name.startswith("refs/") else f"refs/{prefix}/{name}", "targetCommit": sha}
            for name, sha in sorted(found.items())
        ]

    heads = {name: sha for name, sha in repo.branches.items() if not name.startswith("refs/pr/")}
    pulls = {name: sha for name, sha in repo.branches.items() if name.startswith("refs/pr/")}
    return _json(
        {"branches": rows("heads", heads), "tags": rows("tags", repo.tags), "converts": []}
        | ({"pullRequests": rows("pr", pulls)} if "include_prs" in call.query else {})
    )


def _settings(call: _Call) -> _Answer:
    repo = call.own
    asked = call.json
    if "visibility" in asked:
        repo.private = asked["visibility"] == "private"
    repo.gated = asked.get("gated", repo.gated)
    return _json({})


def _described(repo: Repo, pull: PullRequest) -> dict[str, Any]:
    return {
        "num": pull.number,
        "title": pull.title,
        "status": pull.status,
        "author": {"name": "user"},
        "createdAt": _TIME,
        "isPullRequest": True,
        "repo": {"name": repo.id, "type": repo.kind},
    }


def _discussions(call: _Call) -> _Answer:
    repo = call.repo
    wanted = {"open": {"open", "draft"}, "closed": {"closed", "merged"}}
    status = call.query.get("status", ["all"])[0]
    pulls = [pull for pull in repo.pulls if pull.status in wanted.get(status, {pull.status})]
    start = 10 * int(call.query.get("p", ["0"])[0])
    shown = [_described(repo, pull) for pull in reversed(pulls)][start : start + 10]
    return _json({"discussions": shown, "count": len(pulls), "start": start})


def _open_discussion(call: _Call) -> _Answer:
    repo = call.own
    asked = call.json
    if not asked.get("pullRequest"):
        raise HubError(400, "The test Hub keeps pull requests only")
    pull = repo.open_pull(asked["title"], asked["description"])
    return _json({"num": pull.number, "pullRequest": True})


def _discussion(call: _Call) -> _Answer:
    repo = call.repo
    pull = repo.pull(int(call.parts["num"]))
    changes = {"base": "refs/heads/main"} | ({"mergeCommitId": pull.merged_as} if pull.merged_as else {})
    conflicts = [] if pull.status == "merged" else repo.conflicts(pull)
    return _json(
        _described(repo, pull) | {"events": [], "changes": changes, "filesWithConflicts": conflicts, "diff": ""}
    )


def _status(call: _Call) -> _Answer:
    pull = call.own.pull(int(call.parts["num"]))
    asked = call.json["status"]
    if pull.status == "merged":
        raise HubError(400, "A merged pull request stays merged")
    pull.status = asked
    event = {"id": "0" * 24, "type": "status-change", "createdAt": _TIME, "author": {"name": "user"}}
    return _json({"newStatus": event | {"data": {"status": asked}}})


def _merge(call: _Call) -> _Answer:
    call.own.merge(int(call.parts["num"]))
    return _json({})


def _insist_on_terms(call: _Call) -> None:
    if call.repo.gated and not call.has_token:
        raise HubError(401, "Access to this dataset is restricted", "GatedRepo")


def _resolve(call: _Call) -> _Answer:
    repo = call.repo
    _insist_on_terms(call)
    commit, file = repo.file(call.parts["rev"], call.parts["path"])
    headers = {
        "ETag": f'"{file.etag}"',
        "X-Repo-Commit": commit.sha,
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
    }
    if file.lfs:
        headers |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(len(file.data))}
        if name := call.xet.get(file.sha256):
            route = f"{call.hub.url}/api/{repo.kind}s/{repo.id}/xet-read-token/{commit.sha}"
            headers |= {"X-Xet-Hash": name, "X-Xet-Refresh-Route": route}
    return _Answer(file.data, 200, headers)


_REPO = "(?P<repo>[^/]+/[^/]+)"
_API = f"api/(?:datasets|(?P<model>models))/{_REPO}"
#: The files of a model lie under its bare name: that there is no prefix is what tells it.
_MODEL = f"(?=(?P<model>.)){_REPO}"
_ROUTES: list[tuple[str, re.Pattern[str], Callable[[_Call], _Answer]]] = [
    (verb, re.compile(pattern.replace("{api}", _API).replace("{model}", _MODEL).replace("{repo}", _REPO)), function)
    for verb, pattern, function in (
        ("POST", "api/repos/create", _create),
        ("DELETE", "api/repos/delete", _delete),
        ("GET", "api/whoami-v2", _who),
        ("POST", "api/validate-yaml", _validate),
        ("GET", "{api}", _info),
        ("GET", "{api}/revision/(?P<rev>[^/]+)", _info),
        ("GET", "{api}/tree/(?P<rev>[^/]+)(?:/(?P<path>.+))?", _tree),
        ("POST", "{api}/paths-info/(?P<rev>[^/]+)", _paths_info),
        ("POST", "{api}/preupload/(?P<rev>[^/]+)", _preupload),
        ("GET", "{api}/xet-(?P<kind>read|write)-token/(?P<rev>[^/]+)", _xet_token),
        ("POST", "{api}/commit/(?P<rev>[^/]+)", _commit),
        ("POST", "{api}/tag/(?P<rev>[^/]+)", _tag),
        ("DELETE", "{api}/tag/(?P<rev>[^/]+)", _delete_tag),
        ("POST", "{api}/branch/(?P<rev>[^/]+)", _branch),
        ("GET", "{api}/refs", _refs),
        ("PUT", "{api}/settings", _settings),
        ("GET", "{api}/discussions", _discussions),
        ("POST", "{api}/discussions", _open_discussion),
        ("GET", "{api}/discussions/(?P<num>[0-9]+)", _discussion),
        ("POST", "{api}/discussions/(?P<num>[0-9]+)/status", _status),
        ("POST", "{api}/discussions/(?P<num>[0-9]+)/merge", _merge),
        ("POST", "datasets/{repo}[.]git/info/lfs/objects/batch", _lfs_batch),
        ("POST", "{model}[.]git/info/lfs/objects/batch", _lfs_batch),
        ("PUT", "lfs/(?P<model>models/)?{repo}/(?P<oid>[0-9a-f]{64})", _lfs_put),
        ("POST", "lfs/(?P<model>models/)?{repo}/(?P<oid>[0-9a-f]{64})/verify", _lfs_verify),
        ("GET", "datasets/{repo}/resolve/(?P<rev>[^/]+)/(?P<path>.+)", _resolve),
        ("GET", "{model}/resolve/(?P<rev>[^/]+)/(?P<path>.+)", _resolve),
    )
]
