"""The server of the page: loopback unless told otherwise, no path of a request ever becomes a path on disk.

What it holds against other pages and other machines: a request must name this server as its host (a page of another site
cannot reach it by a name that it lets point here); another address than loopback needs the token that is printed once; a
mark needs the page's own origin; and the page may load nothing from anywhere else.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
import socket
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import orjson

from cotgen.errors import CotgenError
from cotgen.inspect.viewer import UnknownError, Viewer

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_PICTURE = re.compile(r"/(picture|thumbnail)/([01])/([a-z0-9][a-z0-9_-]{0,90})\.jpg")
_LARGEST_BODY = 64 << 10
_NAMES = 400


class ViewServer:
    """The server; a context manager that serves while it is open.

    Args:
        viewer: answers.
        host: the address to listen on.
        port: 0 for a free one.

    Attributes:
        token: needed from other machines; "" on loopback.

    Raises:
        CotgenError: the address cannot be listened on.
    """

    def __init__(self, viewer: Viewer, host: str = "127.0.0.1", port: int = 0) -> None:
        self.viewer = viewer
        self.host = host
        self.token = "" if _is_loopback(host) else secrets.token_urlsafe(24)
        self._static = {
            item.name: item.read_bytes()
            for item in (resources.files("cotgen.inspect") / "static").iterdir()
            if item.name.endswith(tuple(_TYPES))
        }
        try:
            self._server = _Server((host, port), _handler_of(self))
        except (OSError, OverflowError) as error:
            why = (isinstance(error, OSError) and error.strerror) or error
            raise CotgenError(
                f"{host}, port {port}, cannot be listened on ({why}); choose another --host or --port, 0 for a free one"
            ) from error

    def __enter__(self) -> ViewServer:
        self.viewer.start()
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.viewer.close()

    @property
    def port(self) -> int:
        """What it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The address of the page, with the token where there is one."""
        host = _own_name() if self.host in ("0.0.0.0", "::", "") else self.host
        address = f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"
        return f"{address}?token={self.token}" if self.token else address

    def knows(self, host: str) -> bool:
        """Whether a Host header names this server.

        Loopback is known by its three names. Elsewhere numbers are known too: no name can be made to point at them. The
        port may be another one: that of the near end of a tunnel.
        """
        name = _name_in(host)
        if not name:
            return False
        if not self.token:
            return name in ("127.0.0.1", "localhost", "::1", self.host.lower())
        own = (self.host, _own_name(), socket.gethostname())
        return name in ("localhost", *(text.lower() for text in own)) or _is_number(name)

    def allows(self, cookie: str) -> bool:
        """Whether who asks has the token."""
        if not self.token:
            return True
        # Not http.cookies: it gives all up where another program on this host has set one that it cannot read.
        pairs = (part.strip().partition("=") for part in cookie.split(";"))
        return any(name == self.cookie and self.is_token(value) for name, _, value in pairs)

    def is_token(self, text: str) -> bool:
        """Whether this is the token."""
        return secrets.compare_digest(text.encode(), self.token.encode())

    @property
    def cookie(self) -> str:
        """The cookie that holds the token; cookies know no ports, so that its name has it."""
        return f"cotgen-{self.port}"

    def static(self, name: str) -> tuple[bytes, str]:
        """A file of the page and its type. Raises UnknownError."""
        if name not in self._static:
            raise UnknownError(f"there is no {name[:80]}")
        return self._static[name], _TYPES[name[name.rindex(".") :]]

    def answer(self, path: str, asked: dict[str, list[str]]) -> Any:
        """What the page gets at an address below /api/. Raises UnknownError."""
        viewer = self.viewer
        build = 1 if asked.get("build") == ["1"] else 0
        key = (asked.get("key") or [""])[0]
        match path:
            case "/api/about":
                return viewer.about()
            case "/api/text":
                return viewer.text()
            case "/api/page":
                return viewer.page(asked)
            case "/api/facets":
                return viewer.facets(asked)
            case "/api/sample":
                return viewer.sample(build, key)
            case "/api/strip":
                return viewer.strip(build, key)
            case "/api/progress":
                return viewer.progress((asked.get("reviewer") or [""])[0], (asked.get("by") or ["task"])[0])
            case _:
                raise UnknownError("there is nothing at this address")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A page asks for a dozen thumbnails at once.
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader who has gone is no error of the server."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


def _handler_of(server: ViewServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "cotgen"
        sys_version = ""
        timeout = 60

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: addresses hold what was looked for."""

        def do_GET(self) -> None:
            self._within(self._get)

        def do_HEAD(self) -> None:
            self._within(self._get)

        def do_POST(self) -> None:
            self._within(self._post)

        def _within(self, work: Any) -> None:
            """Answer, in words where something is wrong."""
            try:
                if not server.knows(self.headers.get("Host", "")):
                    self._close(403, "this server is not called so; open the address that it printed")
                    return
                work()
            except UnknownError as error:
                self._send(404, orjson.dumps({"error": str(error)}))
            except CotgenError as error:
                self._send(500, orjson.dumps({"error": str(error)}))
            except (ConnectionError, TimeoutError):
                raise
            except Exception:
                traceback.print_exc()
                self._close(500, "the viewer failed; its terminal says how")

        def _get(self) -> None:
            try:
                parts = urlsplit(self.path)
                asked = parse_qs(parts.query, keep_blank_values=False, max_num_fields=_NAMES)
            except ValueError:
                raise UnknownError(f"this is no address, or one of more than {_NAMES} filters") from None
            if server.token and asked.get("token"):
                self._enter(parts.path, asked)
                return
            if not server.allows(self.headers.get("Cookie", "")):
                self._close(403, "open the address with its token, as it was printed")
                return
            if parts.path == "/":
                data, kind = server.static("index.html")
                self._send(200, data, kind)
            elif parts.path.startswith("/static/"):
                data, kind = server.static(parts.path.removeprefix("/static/"))
                self._send(200, data, kind)
            elif match := _PICTURE.fullmatch(parts.path):
                take = server.viewer.picture if match[1] == "picture" else server.viewer.thumbnail
                # Its address holds the version of the data set, so it never becomes another picture.
                self._send(200, take(int(match[2]), match[3]), "image/jpeg", "private, max-age=86400")
            else:
                self._send(200, orjson.dumps(server.answer(parts.path, asked), option=orjson.OPT_SERIALIZE_NUMPY))

        def _enter(self, path: str, asked: dict[str, list[str]]) -> None:
            """The token goes from the address into a cookie, so that it stands in no history and no picture."""
            if not server.is_token(asked.pop("token")[0]):
                self._close(403, "this is another token; open the address as it was printed")
                return
            query = "&".join(f"{quote(name)}={quote(value)}" for name, values in asked.items() for value in values)
            to = "/" if path != "/" or not query else f"/?{query}"
            self.send_response(303)
            self.send_header("Location", to)
            cookie = f"{server.cookie}={server.token}; HttpOnly; SameSite=Lax; Path=/"
            self.send_header("Set-Cookie", cookie)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _post(self) -> None:
            if not server.allows(self.headers.get("Cookie", "")):
                self._close(403, "open the address with its token, as it was printed")
                return
            origin = self.headers.get("Origin", "")
            site = self.headers.get("Sec-Fetch-Site", "same-origin")
            if origin != f"http://{self.headers.get('Host', '')}" or site != "same-origin":
                self._close(403, "marks are taken from the page of this server alone")
                return
            if self.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
                self._close(415, "a mark is JSON")
                return
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal() or int(length) > _LARGEST_BODY:
                self._close(413, "a mark is not that long")
                return
            data = self.rfile.read(int(length))
            if self.path.partition("?")[0] != "/api/review":
                raise UnknownError("there is nothing at this address")
            try:
                body = orjson.loads(data)
            except ValueError:
                raise UnknownError("a mark is JSON") from None
            self._send(200, orjson.dumps(server.viewer.mark(body)))

        def _close(self, status: int, text: str) -> None:
            """Refuse, and read nothing more from this connection."""
            self.close_connection = True
            self._send(status, orjson.dumps({"error": text}))

        def _send(self, status: int, data: bytes, kind: str = "application/json", keep: str = "no-store") -> None:
            self.send_response(status)
            for name, value in _HEADERS.items():
                self.send_header(name, value)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Cache-Control", keep)
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

    return Handler


def _name_in(host: str) -> str:
    """The name in a Host header; "" where it is none."""
    name, colon, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    if not colon:
        name, port = host, "80"
    return name.strip("[]").lower() if port.isdecimal() and len(port) <= 5 else ""


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host.lower() == "localhost" or (_is_number(host) and ipaddress.ip_address(host).is_loopback)


def _own_name() -> str:
    return socket.getfqdn().lower()
