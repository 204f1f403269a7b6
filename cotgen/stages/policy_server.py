"""PolicyServer: the server of the policy that is asked, started and stopped by a command, or run by somebody else."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from pathlib import Path

from cotgen.errors import CotgenError
from cotgen.models.client import Client, RefusedError
from cotgen.models.endpoint import Endpoint
from cotgen.stages.commands import GRACE_S, end, filled, start, tail

_PAUSE_S = 0.25


class PolicyServer:
    """One server at a time; a context manager that ends what it started.

    Args:
        command: template with `{model}` and `{port}`; "" where somebody else runs the server.
        url: of that one.
        log: takes what a started server prints.
        name: of the model as the server lists it; "" for the first.
        port: of a started server; 0 for a free one.
        wait_s: how long it may take until it answers.
    """

    def __init__(
        self, command: str, url: str, log: Path, name: str = "", port: int = 0, wait_s: float = 1800.0
    ) -> None:
        if not command and not url:
            raise CotgenError("no server is named; say --serve_command to start one, or --policy_url of one that runs")
        self._command, self._url, self._log, self._port, self._wait_s = command, url, log, port, wait_s
        self._wanted = name
        self._process: subprocess.Popen[bytes] | None = None
        self._model = ""
        self._endpoint: Endpoint | None = None

    def __enter__(self) -> PolicyServer:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the server that was started; one that somebody else runs is left alone."""
        self._endpoint = None
        if self._process is not None:
            end(self._process)
            self._process = None

    def of(self, model: str, concurrency: int, timeout_s: float) -> Endpoint:
        """The endpoint of a model, once it answers; a server that has it already is kept.

        Args:
            model: folder or name on the Hub.
            concurrency: the most requests in flight.
            timeout_s: of one request.

        Raises:
            CotgenError: it ends, or does not answer in time.
        """
        if self._endpoint is not None and self._model == model:
            return self._endpoint
        self.stop()
        url = self._url
        if self._command:
            port = self._port or _free_port()
            _wait_for(port)
            url = f"http://127.0.0.1:{port}/v1"
            self._log.parent.mkdir(parents=True, exist_ok=True)
            with self._log.open("wb") as log:
                self._process = start(filled(self._command, model=model, port=str(port)), log)
        endpoint = Endpoint(url, "policy", role="policy", concurrency=concurrency, timeout_s=timeout_s)
        name = self._name(endpoint)
        self._model = model
        self._endpoint = Endpoint(url, name, role="policy", concurrency=concurrency, timeout_s=timeout_s)
        return self._endpoint

    def _name(self, endpoint: Endpoint) -> str:
        """What the server calls its model."""
        until = time.monotonic() + (self._wait_s if self._process is not None else 0.0)
        while True:
            try:
                names = asyncio.run(_listed(endpoint))
                if not names:
                    raise CotgenError(f"the server {endpoint.host} lists no model under /v1/models")
                if self._wanted and self._wanted not in names:
                    raise CotgenError(f"the server lists no model {self._wanted}; it has {', '.join(names)}")
                return self._wanted or names[0]
            except RefusedError as error:
                if self._process is not None and self._process.poll() is not None:
                    raise CotgenError(
                        f"the server ended with status {self._process.returncode} before it answered; the end of "
                        f"{self._log}:\n{tail(self._log)}"
                    ) from None
                if time.monotonic() >= until:
                    waited = f" within {self._wait_s:g} s" if self._process is not None else ""
                    raise CotgenError(f"the server of the policy does not answer{waited}: {error}") from None
            time.sleep(_PAUSE_S)


async def _listed(endpoint: Endpoint) -> list[str]:
    async with Client(endpoint) as client:
        return await client.models()


def _wait_for(port: int) -> None:
    """Wait until nobody listens: what answers there would be taken for the server that is started, with other weights.

    Raises:
        CotgenError: somebody still does after the time that a program has to end.
    """
    until = time.monotonic() + GRACE_S
    while _answers(port):
        if time.monotonic() >= until:
            raise CotgenError(f"another server listens on port {port}; end it, or give another --port (0: a free one)")
        time.sleep(_PAUSE_S)


def _answers(port: int) -> bool:
    with socket.socket() as tried:
        tried.settimeout(1.0)
        return tried.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
