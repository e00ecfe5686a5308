"""The listeners of a router: a door for each, and the sockets on which they stand."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import socket
import ssl
import stat
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from limen import exc
from limen.app.origins import host_name, is_loopback, origin_of
from limen.app.subprotocols import SUBPROTOCOLS
from limen.door.http.crosssite import is_own
from limen.door.ws.connection import Connection
from limen.transport import listening
from limen.transport.batched import Batched
from limen.transport.wire import Refusal

if TYPE_CHECKING:
    from limen.door.router.config import Listener, Tls
    from limen.transport.wire import Handshake, Peer

    from .router import Router

TEXT: Final = (("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store"))


class Door:
    """Who may come to one listener; `accept` decides on a handshake (transport/wire.py)."""

    def __init__(self, router: Router, listener: Listener) -> None:
        self._router, self._listener = router, listener
        self._hosts = frozenset(host.lower() for host in (*listener.hosts, listener.host))
        self._subprotocols = {
            name: kind
            for name, kind in SUBPROTOCOLS.items()
            if kind[0] in listener.encodings and (router.app is not None or not kind[1])
        }

    def accept(self, handshake: Handshake) -> tuple[str | None, Peer] | Refusal:
        listener, hub = self._listener, self._router.hub
        if handshake.framing == "websocket" and handshake.path not in listener.paths:
            return Refusal(404, TEXT, f"There is a router at {' and '.join(listener.paths)}.".encode())
        if handshake.origin is not None and not self._may_show(handshake.origin, handshake):
            return Refusal(403, TEXT, b"Pages of this origin may not come in: see `origins` of the listener.")
        for subprotocol in handshake.subprotocols:
            kind = self._subprotocols.get(subprotocol)
            if kind is not None:
                encoding, sealed, batched = kind
                client = origin_of(handshake.client)
                if hub.is_crowded(client):
                    hub.counts.refused["crowded"] += 1
                    return Refusal(503, (*TEXT, ("retry-after", "60")), b"Too many connections come from there.")
                connection = Connection(hub, "", client, encoding, sealed=sealed)
                return subprotocol, Batched(connection) if batched else connection
        return Refusal(400, TEXT, f"Offer one of the subprotocols {', '.join(self._subprotocols)}.".encode())

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


def _in_use(path: str) -> str:
    if stat.S_ISSOCK(os.stat(path).st_mode):
        return "it is in use, another program answers there; end it, or take another path"
    return "it is in use by what is no socket; take another path, or move that away"


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
        why = _in_use(path) if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        raise exc.InvalidAddress(f"Cannot listen on {path}: {why}.") from None
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


def tls_context(tls: Tls) -> ssl.SSLContext:
    """Raises `exc.InvalidAddress` for files that can't be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(listening.CIPHERS)
    try:
        context.load_cert_chain(tls.certificate, tls.key)
        if tls.client_ca:
            context.load_verify_locations(tls.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED if tls.client == "required" else ssl.CERT_OPTIONAL
    except OSError as error:  # ssl.SSLError is one
        names = ", ".join(filter(None, (tls.certificate, tls.key, tls.client_ca)))
        raise exc.InvalidAddress(f"TLS: {names} can't be used: {error}.") from None
    return context


class Standing:
    """A listener with its socket: it begins with `open`, and ends with `stop` and `close`. Raises `exc.InvalidAddress`
    where it can't listen."""

    def __init__(self, router: Router, listener: Listener) -> None:
        self._router = router
        self._old: list[listening.Listener] = []
        self._listener, self._tls = self._made(listener)
        self.settings = listener
        self._sock = bind(listener)
        self.where = where(listener, self._sock)
        """Its URL."""

    def _made(self, listener: Listener) -> tuple[listening.Listener, ssl.SSLContext | None]:
        tls = None if listener.tls is None else tls_context(listener.tls)
        door = Door(self._router, listener)
        config = self._router.config.apart(PROXIES=listener.proxies)
        if listener.type == "rawsocket":
            return listening.RawListener(door.accept, config, listener.encodings, self._router.cork), tls
        return listening.HttpListener(door.asgi, door.accept, config, self._router.cork), tls

    async def open(self) -> None:
        """Lets people in from now on."""
        await self._listener.listen(self._sock.dup(), self._tls)

    def prepare(self, listener: Listener) -> Callable[[], Awaitable[None]]:
        """Other settings for the same socket: gives what puts them into force. Who is in stays. Raises
        `exc.InvalidAddress`."""
        made = self._made(listener)

        async def change() -> None:
            self._listener.stop()
            self._old = [old for old in (*self._old, self._listener) if old.busy]
            self._listener, self._tls = made
            self.settings, self.where = listener, where(listener, self._sock)
            await self.open()

        return change

    def stop(self) -> None:
        """Lets nobody in any more."""
        self._listener.stop()
        self._sock.close()
        if self.settings.unix:
            with contextlib.suppress(OSError):
                os.unlink(self.settings.unix)

    @property
    def port(self) -> int:
        """0 for a Unix socket."""
        return 0 if self.settings.unix else int(self._sock.getsockname()[1])

    async def close(self, patience: float) -> None:
        """Ends its connections."""
        await asyncio.gather(*(listener.close(patience) for listener in (*self._old, self._listener)))


def where(listener: Listener, sock: socket.socket) -> str:
    """The URL of *listener*, as clients are told it."""
    raw = listener.type == "rawsocket"
    scheme = ("rs" if raw else "ws") + ("s" if listener.tls is not None else "")
    if listener.unix:
        return f"{scheme}+unix://{os.path.abspath(listener.unix)}"
    name = f"[{listener.host}]" if ":" in listener.host else listener.host
    return f"{scheme}://{name}:{sock.getsockname()[1]}{'' if raw else listener.paths[0]}"
