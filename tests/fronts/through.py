"""A client of a proxy, at an address of its own."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from http.client import HTTPResponse, HTTPSConnection
from typing import Any

import trustme

STRANGER = "127.0.0.5"
"""Another address of this machine than the proxies have."""


class Front:
    """A proxy, with TLS for shop.example. *port*: where it listens. *trusted*: what its certificate is checked with."""

    def __init__(self, port: int, authority: trustme.CA) -> None:
        self.port = port
        self.trusted = ssl.create_default_context()
        authority.configure_trust(self.trusted)


class Through(HTTPSConnection):
    """A client of *front*, at STRANGER's address, that knows the host by a name."""

    def __init__(self, front: Front) -> None:
        super().__init__("shop.example", front.port, timeout=20)
        self.front = front

    def connect(self) -> None:
        sock = socket.create_connection(("127.0.0.1", self.front.port), 20, (STRANGER, 0))
        self.sock: ssl.SSLSocket = self.front.trusted.wrap_socket(sock, server_hostname="shop.example")

    def ask(self, path: str, body: Any = None, **headers: str) -> HTTPResponse:
        data = None if body is None else json.dumps(body).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        # Caddy may cut who writes on: its answer is there all the same.
        with contextlib.suppress(ssl.SSLEOFError, ConnectionError):
            self.request("GET" if body is None else "POST", path, data, kind | headers)
        return self.getresponse()
