"""A viewer on a free port of loopback, and how a test asks it."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from cotgen.inspect.predictions import Predictions
from cotgen.inspect.reviews import ReviewFile
from cotgen.inspect.server import ViewServer
from cotgen.inspect.viewer import Folder, Viewer


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class Page:
    """What a browser would send."""

    server: ViewServer

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        line = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        try:
            line.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            sent = {"Host": self.host, **(headers or {})}
            if body is not None:
                sent["Content-Length"] = str(len(body))
            for name, value in sent.items():
                line.putheader(name, value)
            line.endheaders(body)
            answer = line.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            line.close()

    def get(self, path: str, **headers: str) -> Any:
        answer = self.request("GET", path, headers=headers)
        assert answer.status == 200, answer.body
        return answer.json

    def mark(self, body: Any, **headers: str) -> Answer:
        own = {"Origin": f"http://{self.host}", "Content-Type": "application/json"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", "/api/review", orjson.dumps(body), {**own, **named})


@contextmanager
def serving(
    *folders: Path, reviews: Path, predictions: Path | None = None, text: Path | None = None, host: str = "127.0.0.1"
) -> Iterator[Page]:
    opened = [Folder(path, text.with_suffix(f".{n}.sqlite") if text else None) for n, path in enumerate(folders)]
    viewer = Viewer(opened, ReviewFile(reviews), "", Predictions(predictions) if predictions else None)
    with ViewServer(viewer, host) as server:
        yield Page(server)
