"""Endpoint: the server that is asked, as a user names it, and whether it stands in the same house.

The key is read from an environment variable when the client starts and stands in no endpoint, message, cache or
manifest. Neither the endpoint nor the key takes part in a cache key, so both may change in the middle of a build.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from cotgen.errors import CotgenError

#: How a schema is sent. `json_schema`: as OpenAI, vLLM, SGLang and llama.cpp take it. `json_object`: with the schema
#: beside the type, as llama-cpp-python takes it. `prompt`: not at all, the prompt alone asks for JSON.
SchemaMode: TypeAlias = Literal["json_schema", "json_object", "prompt"]


class EndpointError(CotgenError):
    """The server as it was named cannot be asked."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server, a model of it, and how patient we are with it.

    Attributes:
        url: base URL that ends in `/v1` or what the server uses instead.
        model: name of the model as the server lists it.
        role: `teacher`, `judge` or `policy`: the flags that messages name begin with it.
        key_variable: environment variable that holds the API key; the variable may be unset where none is asked for.
        schema_mode: how a schema is sent.
        extra: more fields of each request's body, as `{"chat_template_kwargs": {"enable_thinking": False}}`. They
            change replies, so they belong into cache keys.
        concurrency: the most requests in flight; the cap that is found (`limit.Limit`) stays below it.
        timeout_s: of one attempt, from sending to the last byte.
        attempts: how often a request is sent while servers or connections fail.
        resends: how often it is sent again, with other seeds, after an answer of no use.
        patience_s: how long the server may be gone altogether before the run ends.
    """

    url: str
    model: str
    role: str = "teacher"
    key_variable: str = "COTGEN_API_KEY"
    schema_mode: SchemaMode = "json_schema"
    extra: Mapping[str, Any] = field(default_factory=dict)
    concurrency: int = 256
    timeout_s: float = 180.0
    attempts: int = 6
    resends: int = 2
    patience_s: float = 300.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise EndpointError(
                f"--{self.role}-url takes a URL as http://localhost:8000/v1, with the path that the server uses."
            )
        if parts.username or parts.password or parts.query:
            raise EndpointError(
                f"--{self.role}-url must hold no user, password or query; put the key into the environment variable "
                f"{self.key_variable}."
            )
        if not self.model:
            raise EndpointError(f"Name the model with --{self.role}-model, as the server lists it under /v1/models.")

    @property
    def host(self) -> str:
        """The host's name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def key(self) -> str:
        """The API key, "" where the variable is not set.

        Raises:
            EndpointError: it holds what no HTTP header can.
        """
        key = os.environ.get(self.key_variable, "").strip()
        if not (key.isascii() and key.isprintable()):
            raise EndpointError(f"The key in ${self.key_variable} holds a letter that no key has; copy it again.")
        return key


def is_local(host: str) -> bool:
    """Whether a host is this machine or on a private network: all of its addresses are loopback, private or link-local.

    A name that cannot be resolved is not local.
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    addresses = [ipaddress.ip_address(address.partition("%")[0]) for address in found]
    return bool(addresses) and all(a.is_loopback or a.is_private or a.is_link_local for a in addresses)


def refuse_leaving(endpoint: Endpoint, closed: Collection[str], allowed: Collection[str]) -> None:
    """Keep pictures from a server that they may not be sent to.

    Args:
        endpoint: the server.
        closed: sources whose terms do not let frames be passed on.
        allowed: hosts that the user named, in lower case.

    Raises:
        EndpointError: the host is neither local nor named, and a source is closed.
    """
    host = endpoint.host
    if closed and host.lower() not in allowed and not is_local(host):
        raise EndpointError(
            f"{host} is not on this machine or a private network, and the terms of {', '.join(closed)} do not let "
            f"frames be passed on. Use a server of your own, or --no-image; if you may send them there, say so: "
            f"--send-frames-to {host}."
        )
