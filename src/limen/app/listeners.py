"""The listeners of a router: a door for each, and the sockets on which they stand."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from limen import exc
from limen.app.origins import host_name, is_loopback, origin_of
from limen.base.config import Config
from limen.door.http.crosssite import is_own
from limen.door.ws.connection import Connection
from limen.transport.listening import HttpListener
from limen.transport.wire import Refusal

if TYPE_CHECKING:
    from limen.door.hub.hub import Hub
    from limen.door.router.config import Listener
    from limen.transport.wire import Handshake, Peer

BACKLOG: Final = 2048
TEXT: Final = (("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store"))


class Door:
    """Who may come to one listener; `accept` decides on a handshake (transport/wire.py)."""

    def __init__(self, hub: Hub, listener: Listener) -> None:
        self._hub, self._listener = hub, listener
        self._hosts = frozenset(host.lower() for host in (*listener.hosts, listener.host))
        self._encodings = {f"wamp.2.{encoding}": encoding for encoding in listener.encodings}

    def accept(self, handshake: Handshake) -> tuple[str | None, Peer] | Refusal:
        listener, hub = self._listener, self._hub
        if handshake.path and handshake.path not in listener.paths:
            return Refusal(404, TEXT, f"There is a router at {' and '.join(listener.paths)}.".encode())
        if handshake.origin is not None and not self._may_show(handshake.origin, handshake):
            return Refusal(403, TEXT, b"Pages of this origin may not come in: see `origins` of the listener.")
        for subprotocol in handshake.subprotocols:
            encoding = self._encodings.get(subprotocol)
            if encoding is not None:
                client = origin_of(handshake.client)
                if hub.is_crowded(client):
                    return Refusal(503, (*TEXT, ("retry-after", "60")), b"Too many connections come from there.")
                return subprotocol, Connection(hub, "", client, encoding, sealed=False)
        return Refusal(400, TEXT, f"Offer one of the subprotocols {', '.join(self._encodings)}.".encode())

    def _may_show(self, origin: str, handshake: Handshake) -> bool:
        """Whether a page of *origin* may speak to this router, with all that the browser's machine can reach.

        "own" asks for a host name that is ours as well: a stranger's name may lead to this machine (DNS rebinding).
        """
        allowed = self._listener.origins
        if "*" in allowed or origin.lower() in allowed:
            return True
        return "own" in allowed and self._is_ours(handshake.host) and is_own(
            origin.encode(), handshake.host.encode(), handshake.tls
        )

    def _is_ours(self, host: str) -> bool:
        name = host_name(host)
        if is_loopback(name) or name in self._hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    async def asgi(self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        """Plain requests: only WAMP is spoken here."""
        here = scope["path"] in self._listener.paths
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
        headers.append((b"x-content-type-options", b"nosniff"))
        if here:
            headers += [(b"upgrade", b"websocket"), (b"connection", b"upgrade")]
        body = b"A WAMP router: this address speaks WebSocket only.\n" if here else b"There is nothing here.\n"
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": 426 if here else 404, "headers": headers})
        await send({"type": "http.response.body", "body": body if scope["method"] != "HEAD" else b""})


def bind(listener: Listener) -> socket.socket:
    """The socket of *listener*, bound. Raises `exc.InvalidAddress` with what is in the way."""
    if listener.unix:
        return _bind_unix(listener)
    host, port = listener.host, listener.port or 0
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        both = host == "::" and socket.has_dualstack_ipv6()
        return socket.create_server(address[:2], family=family, backlog=BACKLOG, dualstack_ipv6=both)
    except OSError as error:
        raise exc.InvalidAddress(f"Cannot listen on {host}:{port}: {error}.") from None


def _bind_unix(listener: Listener) -> socket.socket:
    path = listener.unix
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(os.stat(path).st_mode) and not _answers(path):
            os.unlink(path)  # of a router that was killed
    sock = socket.socket(socket.AF_UNIX)
    before = os.umask(0o777 & ~int(listener.mode, 8))
    try:
        sock.bind(path)
    except OSError as error:
        sock.close()
        raise exc.InvalidAddress(f"Cannot listen on {path}: {error}.") from None
    finally:
        os.umask(before)
    return sock


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except OSError:
            return False
        return True


class Standing:
    """A listener that listens. *where*: its URL."""

    def __init__(self, hub: Hub, listener: Listener, config: Config) -> None:
        self.listener = listener
        self._door = Door(hub, listener)
        self._sock = bind(listener)
        self._http = HttpListener(self._door.asgi, self._door.accept, config)

    @property
    def where(self) -> str:
        listener = self.listener
        if listener.unix:
            return f"unix:{listener.unix}"
        name = f"[{listener.host}]" if ":" in listener.host else listener.host
        scheme = ("wss" if listener.tls else "ws") if listener.type == "websocket" else "rs"
        path = listener.paths[0] if listener.type == "websocket" else ""
        return f"{scheme}://{name}:{self._sock.getsockname()[1]}{path}"

    async def open(self) -> None:
        await self._http.listen(self._sock)

    def stop(self) -> None:
        self._http.stop()

    async def close(self, patience: float) -> None:
        await self._http.close(patience)
        if self.listener.unix:
            with contextlib.suppress(OSError):
                os.unlink(self.listener.unix)


async def until_told(stopping: asyncio.Event, draining: Callable[[], Awaitable[None]]) -> None:
    await stopping.wait()
    await draining()
