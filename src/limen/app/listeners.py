"""The listeners of a router: a door for each, and the sockets on which they stand."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import stat
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from limen import exc
from limen.app.origins import host_name, is_loopback, origin_of
from limen.door.http.crosssite import is_own
from limen.door.ws.connection import Connection
from limen.transport import listening
from limen.transport.wire import Refusal

if TYPE_CHECKING:
    from limen.base.config import Config
    from limen.door.hub.hub import Hub
    from limen.door.router.config import Listener
    from limen.transport.wire import Handshake, Peer

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
        return (
            "own" in allowed
            and self._is_ours(handshake.host)
            and is_own(origin.encode(), handshake.host.encode(), handshake.tls)
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
    """The socket of *listener*. Raises `exc.InvalidAddress` with what is in the way."""
    return _bind_unix(listener) if listener.unix else listening.bind(listener.host, listener.port or 0)


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
    """A listener with its socket, for the length of a `with` block."""

    def __init__(self, hub: Hub, listener: Listener, config: Config) -> None:
        self.listener = listener
        door = Door(hub, listener)
        self._http = listening.HttpListener(door.asgi, door.accept, config)
        self._sock = bind(listener)

    def __enter__(self) -> Standing:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()
        if self.listener.unix:
            with contextlib.suppress(OSError):
                os.unlink(self.listener.unix)

    @property
    def where(self) -> str:
        """Its URL."""
        listener = self.listener
        if listener.unix:
            return f"unix:{listener.unix}"
        name = f"[{listener.host}]" if ":" in listener.host else listener.host
        return f"ws://{name}:{self._sock.getsockname()[1]}{listener.paths[0]}"

    async def open(self) -> None:
        """Lets people in from now on."""
        await self._http.listen(self._sock)

    def stop(self) -> None:
        """Lets nobody in any more."""
        self._http.stop()

    async def close(self, patience: float) -> None:
        """Ends its connections."""
        await self._http.close(patience)
