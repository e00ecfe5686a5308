"""Listening sockets of a process that has several: for HTTP and WebSockets (uvicorn's protocols without its server,
which wants the process for itself), or for RawSockets.

    listener = HttpListener(asgi, accept, config)
    await listener.listen(sock, tls)
    …
    listener.stop()              nobody new comes in
    await listener.close(10.0)   connections end, what runs gets 10 s
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import uvicorn
from uvicorn.server import ServerState

from limen import exc
from limen.transport.cork import Cork
from limen.transport.http_server import HttpServer
from limen.transport.picows_ws import PicowsServer
from limen.transport.rawsocket import RawSocketServer

if TYPE_CHECKING:
    from limen.base.config import Config
    from limen.transport.wire import Accept

BACKLOG = 2048
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secret and authenticated ones only. Those of TLS 1.3 are so anyway; older versions are refused by
Python's own defaults."""
TLS_HANDSHAKE_TIMEOUT = 10.0
"""Seconds; a client that never speaks on a TLS port is gone after it."""


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises `exc.InvalidAddress` with what is in the way."""
    try:
        if not 0 <= port <= 65535:
            raise OverflowError("there is no such port")
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        both = host == "::" and socket.has_dualstack_ipv6()  # all addresses of this machine, IPv4 too
        return socket.create_server(address[:2], family=family, backlog=BACKLOG, dualstack_ipv6=both)
    except (OSError, OverflowError) as error:
        raise exc.InvalidAddress(f"Cannot listen on {host}:{port}: {_why(error)}.") from None


def _why(error: Exception) -> str:
    match getattr(error, "errno", None):
        case errno.EADDRINUSE:
            return "another program listens there already; end it, or take another port"
        case errno.EADDRNOTAVAIL:
            return "this machine does not have that address"
        case errno.EACCES:
            return "its lowest ports are for root, or who has CAP_NET_BIND_SERVICE; take another port"
    return str(error)


class Listener(Protocol):
    """What listens."""

    async def listen(self, sock: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Takes what comes at *sock*, which is bound, from now on."""
        ...

    def stop(self) -> None:
        """Takes nobody any more."""
        ...

    @property
    def busy(self) -> bool:
        """There are connections that came by it."""
        ...

    async def close(self, patience: float) -> None:
        """Ends all connections after what is queued; that, and requests under way, have *patience* seconds."""
        ...


class _Listener:
    _server: asyncio.Server | None = None

    async def listen(self, sock: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        more: dict[str, Any] = {} if tls is None else {"ssl": tls, "ssl_handshake_timeout": TLS_HANDSHAKE_TIMEOUT}
        loop = asyncio.get_running_loop()
        make = loop.create_unix_server if sock.family == socket.AF_UNIX else loop.create_server
        self._server = await make(self._protocol, sock=sock, backlog=BACKLOG, **more)

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    def _protocol(self) -> asyncio.Protocol:
        raise NotImplementedError


class RawListener(_Listener):
    """RawSockets. *accept*: the door. *config*: see `RawSocketServer`. *encodings*: those that are spoken."""

    def __init__(
        self,
        accept: Accept,
        config: Config,
        encodings: Sequence[str] = ("json", "msgpack", "cbor"),
        cork: Cork | None = None,
    ) -> None:
        self._sockets = RawSocketServer(accept, config, encodings, cork=cork)

    def _protocol(self) -> asyncio.Protocol:
        return self._sockets.protocol()

    @property
    def busy(self) -> bool:
        return bool(self._sockets.pulse.members)

    async def close(self, patience: float) -> None:
        self.stop()
        self._sockets.shutdown()
        await _until(lambda: not self.busy, patience)


class HttpListener(_Listener):
    """*app*: ASGI, for plain requests. *accept*: the door of WebSockets. *config*: see `HttpServer`, `PicowsServer`."""

    def __init__(self, app: Callable[..., Any], accept: Accept, config: Config, cork: Cork | None = None) -> None:
        self._websockets = PicowsServer(accept, config, cork=cork)
        self._config = uvicorn.Config(
            app,
            ws=self._websockets.protocol,  # type: ignore[arg-type]  # any factory will do
            http=HttpServer(config).protocol,  # type: ignore[arg-type]
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # a stranger's X-Forwarded-For says nothing
        )
        self._state = ServerState()

    def _protocol(self) -> asyncio.Protocol:
        if not self._config.loaded:
            self._config.load()
        return self._config.http_protocol_class(  # type: ignore[call-arg, no-any-return, unused-ignore]
            config=self._config, server_state=self._state, app_state={}
        )

    @property
    def busy(self) -> bool:
        return bool(self._state.connections or self._state.tasks)

    async def close(self, patience: float) -> None:
        self.stop()
        for connection in list(self._state.connections):
            connection.shutdown()
        await _until(lambda: not self.busy, patience)
        for task in self._state.tasks:
            task.cancel()


async def _until(true: Callable[[], bool], patience: float) -> None:
    until = asyncio.get_running_loop().time() + patience
    while not true() and asyncio.get_running_loop().time() < until:
        await asyncio.sleep(0.02)  # connections tell nobody of their end
