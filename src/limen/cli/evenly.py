"""Connections spread evenly over workers: who has more than the others lets them take the next.

All workers listen on one socket, and whoever is quickest takes a connection; where little happens that is mostly the
same one, and pages stay where they are. So each says how many it has, and one that is ahead does not listen until it is
not. A worker that has not been heard for a while does not count: it may hang, and somebody must listen.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import uvicorn

    from limen.door.hub.bus import Bus
    from limen.transport.picows_ws import PicowsServer

SLACK = 2
"""Connections that one may be ahead, or a twentieth of what it has."""
PAUSE = 0.01
"""Seconds between a connection and the word of it: those that come together are told together."""
BEAT = 0.5
"""Seconds after which it is told anyway."""
STALE = 1.1
"""Seconds for which a word counts."""


class Evenly:
    """*bus*: gives the way to the others, once the worker has joined them."""

    def __init__(self, bus: Callable[[], Bus]) -> None:
        self._bus = bus
        self._others: dict[int, tuple[int, float]] = {}
        self._telling: asyncio.TimerHandle | None = None
        self._beat: asyncio.TimerHandle | None = None
        self._listening = True
        self._over = False
        self._make: Callable[..., Any]
        self._server: uvicorn.Server
        self._websockets: PicowsServer
        self._sock: socket.socket
        self._resuming: asyncio.Task[None] | None = None

    def counted(self, make: Callable[..., Any], websockets: PicowsServer) -> Callable[..., Any]:
        """The factory of protocols *make*, which this hears of."""
        self._websockets = websockets

        def protocol(*args: Any, **kwargs: Any) -> Any:
            self._came()
            return make(*args, **kwargs)

        self._make = protocol
        return protocol

    def begin(self, server: uvicorn.Server, sock: socket.socket) -> None:
        """*server* listens, on *sock*."""
        self._server, self._sock = server, sock
        bus = self._bus()
        bus.hear("connections", self._heard)
        bus.left(self._left)
        self._beat = asyncio.get_running_loop().call_later(BEAT, self._tell)  # what is first needed is still to come

    def stop(self) -> None:
        """The server ends: nobody listens here any more."""
        self._over = True
        for timer in (self._telling, self._beat):
            if timer is not None:
                timer.cancel()
        self._sock.close()

    @property
    def count(self) -> int:
        """Connections of this worker."""
        return len(self._server.server_state.connections) + len(self._websockets.pulse.members)

    def is_ahead(self, now: float) -> bool:
        """This worker has more than another, which listens."""
        others = [count for count, told in self._others.values() if now - told < STALE]
        return bool(others) and self.count > min(others) + max(SLACK, self.count // 20)

    # -- inside
    def _came(self) -> None:
        if self._telling is None and not self._over:
            loop = asyncio.get_running_loop()
            self._telling = loop.call_later(PAUSE, self._tell)
        if self._others and not self._over:
            asyncio.get_running_loop().call_soon(self._look)

    def _tell(self) -> None:
        loop, bus = asyncio.get_running_loop(), self._bus()
        for timer in (self._telling, self._beat):
            if timer is not None:
                timer.cancel()
        self._telling, self._beat = None, loop.call_later(BEAT, self._tell)
        bus.tell("connections", [bus.me, self.count])
        self._look()

    def _heard(self, body: list[int]) -> None:
        number, count = body
        self._others[number] = count, time.monotonic()
        self._look()

    def _left(self, number: int) -> None:
        self._others.pop(number, None)
        self._look()

    def _look(self) -> None:
        ahead = self.is_ahead(time.monotonic())
        if self._over or ahead is not self._listening:
            return
        if ahead:
            self._listening = False
            for server in self._server.servers:
                server.close()
            self._server.servers = []
        elif self._resuming is None or self._resuming.done():
            self._resuming = asyncio.get_running_loop().create_task(self._resume())

    async def _resume(self) -> None:
        config, uvicorn_server = self._server.config, self._server

        def create_protocol() -> Any:
            return self._make(
                config=config, server_state=uvicorn_server.server_state, app_state=uvicorn_server.lifespan.state
            )

        loop, sock = asyncio.get_running_loop(), self._sock.dup()
        server = await loop.create_server(create_protocol, sock=sock, ssl=config.ssl, backlog=config.backlog)
        if self._over:
            server.close()
            return
        self._server.servers = [server]
        self._listening = True
