"""WebSockets of any ASGI server: the same door behind `granian`, `hypercorn` or uvicorn's own WebSocket classes.

    websockets = AsgiWebSockets(accept, config)

    async def app(scope, receive, send):
        if scope["type"] == "websocket":
            await websockets(scope, receive, send)

The server frames, pings and closes; what it cannot be told to hold (sizes, queues, stalls) is held here as far as ASGI
lets one. docs/servers.md says what is left open with which server.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from limen.base.config import Config
from limen.base.proxies import HEADERS
from limen.transport.prefix import raw_path
from limen.transport.pulse import Pulse
from limen.transport.upgrade import refuse, seen, shorten
from limen.transport.wire import WRITE_HIGH, WRITE_LOW, Accept, Handshake, Peer, Refusal

log = logging.getLogger("limen.transport")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BURST = 64
"""Messages of one peer that are worked off in one go; then others get their turn."""
CLOSE_TIMEOUT = 5.0
"""Seconds that what is queued has to get out before a goodbye, and the goodbye itself."""


class AsgiWebSockets:
    """An ASGI application for `websocket` scopes only.

    *accept*: the door. *config*: MAX_MESSAGE_SIZE, MAX_QUEUE_SIZE and MAX_STALL are read once.
    """

    def __init__(self, accept: Accept, config: Config) -> None:
        self.accept, self.config = accept, config
        self.max_message_size = config.MAX_MESSAGE_SIZE
        self.max_queue_size = config.MAX_QUEUE_SIZE
        self.max_stall = config.MAX_STALL
        self.pulse = Pulse(min(1.0, self.max_stall / 4))

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        handshake = read_scope(scope)
        if isinstance(handshake, Handshake):
            handshake = seen(handshake, self.config)
        answer = handshake if isinstance(handshake, Refusal) else self._ask(handshake)
        if isinstance(answer, Refusal):
            await _refuse(scope, send, answer)
            return
        assert isinstance(handshake, Handshake)
        subprotocol, peer = answer
        await send({"type": "websocket.accept", "subprotocol": subprotocol})
        connection = AsgiConnection(self, peer, handshake, subprotocol)
        self.pulse.add(connection)
        try:
            await connection.run(receive, send)
        finally:
            self.pulse.remove(connection)

    def _ask(self, handshake: Handshake) -> tuple[str | None, Peer] | Refusal:
        try:
            return self.accept(handshake)
        except Exception:
            log.exception("The door failed on a handshake")
            return Refusal(500)


def read_scope(scope: Message) -> Handshake | Refusal:
    """The handshake that an ASGI scope of type `websocket` tells of."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1").lower()
        if name in headers and name in ("host", "origin"):
            return refuse(400, f"{name} is given twice")
        value = raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers and name in HEADERS else value
    client = scope.get("client")
    path = raw_path(scope).decode("latin-1")
    return Handshake(
        path,
        headers.get("host", ""),
        headers.get("origin"),
        tuple(scope.get("subprotocols") or ()),
        client[0] if client else "",
        scope.get("scheme") == "wss",
        headers,
        (scope.get("query_string") or b"").decode("latin-1"),
    )


async def _refuse(scope: Message, send: Send, refusal: Refusal) -> None:
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close"})  # the server answers 403
        return
    headers = [(name.encode(), value.encode("latin-1")) for name, value in refusal.headers]
    headers.append((b"content-length", b"%d" % len(refusal.body)))
    await send({"type": "websocket.http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": refusal.body})


class AsgiConnection:
    """The `Wire` of one ASGI WebSocket: one task reads, one writes, and `run` owns both."""

    transport = "websocket"
    largest = sys.maxsize

    def __init__(self, server: AsgiWebSockets, peer: Peer, handshake: Handshake, subprotocol: str | None) -> None:
        self.client, self.host, self.tls = handshake.client, handshake.host, handshake.tls
        self.subprotocol = subprotocol
        self._server, self._peer = server, peer
        self._loop = asyncio.get_running_loop()
        self._queue: deque[tuple[bytes, bool]] = deque()
        self._queued = 0
        self._sending_since = 0.0
        self._goodbye: tuple[int, str] | None = None
        self._reason = ""
        self._wake = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()
        self._room = asyncio.Event()
        self._room.set()
        self._over = self._loop.create_future()

    # -- Wire -------------------------------------------------------------------------------------------------------
    tls_object = None  # ASGI's extension for TLS says nothing that a login could be bound to

    @property
    def queued(self) -> int:
        return self._queued

    def send(self, data: bytes, text: bool) -> None:
        if self._goodbye is not None:
            return
        if self._queued > self._server.max_queue_size:
            self.cut("left more unread than MAX_QUEUE_SIZE")
            return
        self._queue.append((data, text))
        self._queued += len(data)
        if self._queued > WRITE_HIGH and self._room.is_set():
            self._room.clear()
            self._peer.busy(True)
        self._wake.set()

    def close(self, code: int = 1000, reason: str = "") -> None:
        if self._goodbye is None:
            self._goodbye = (code, shorten(reason).decode())
            self._reason = f"closed here: {code} {reason}".rstrip()
            self._wake.set()
            self._loop.call_later(CLOSE_TIMEOUT, self._finish)

    def abort(self) -> None:
        self.cut("aborted here")

    def pause(self) -> None:
        self._open.clear()

    def resume(self) -> None:
        self._open.set()

    def cut(self, reason: str) -> None:
        """Ends without goodbye."""
        self._goodbye = self._goodbye or (1006, "")
        self._reason = self._reason or reason
        self._queue.clear()
        self._queued = 0
        self._finish()

    def _finish(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def beat(self, now: float) -> None:
        """Now and then: does the other side read?"""
        if self._sending_since and now - self._sending_since >= self._server.max_stall:
            self.cut("left its queue unread for MAX_STALL")

    # -- the life of a connection -----------------------------------------------------------------------------------
    async def run(self, receive: Receive, send: Send) -> None:
        """From `opened` to `lost`."""
        self._call(self._peer.opened, self)
        reader = asyncio.create_task(self._read(receive))
        writer = asyncio.create_task(self._write(send))
        try:
            await asyncio.wait({reader, writer, self._over}, return_when=asyncio.FIRST_COMPLETED)
            cut = not reader.done() and not writer.done()
        finally:
            for task in (reader, writer):
                task.cancel()
            ends = await asyncio.gather(reader, writer, return_exceptions=True)
            self._goodbye = self._goodbye or (1006, "")
            for end in ends:
                if isinstance(end, Exception):
                    self._reason = self._reason or f"the server failed: {end!r}"
            self._call(self._peer.lost, self._reason or "the connection was lost")
        if cut:  # ASGI has no other way to say so, and some servers wait for it
            with contextlib.suppress(Exception):
                await asyncio.wait_for(send({"type": "websocket.close", "code": 1008}), 1.0)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            function(*arguments)
        except Exception:
            log.exception("The door failed on a connection")
            self.close(1011, "internal error")

    async def _read(self, receive: Receive) -> None:
        while True:
            for _ in range(BURST):
                await self._open.wait()
                await self._room.wait()
                message = await receive()
                if message["type"] == "websocket.disconnect":
                    code, reason = message.get("code", 1005), message.get("reason") or ""
                    self._reason = self._reason or f"closed by the peer: {code} {reason}".rstrip()
                    return
                await self._open.wait()
                if self._goodbye is not None:
                    continue
                text = message.get("text")
                data = text.encode() if text is not None else message["bytes"]
                if len(data) > self._server.max_message_size:
                    self.close(1009, "the message is too big")
                else:
                    self._call(self._peer.received, data, text is not None)
            await asyncio.sleep(0)  # a server's queue never waits while there is something in it

    async def _write(self, send: Send) -> None:
        while True:
            while self._queue:
                data, text = self._queue[0]
                self._sending_since = self._loop.time()
                if text:
                    await send({"type": "websocket.send", "text": data.decode()})
                else:
                    await send({"type": "websocket.send", "bytes": data})
                self._sending_since = 0.0
                if self._queue:
                    self._queue.popleft()
                    self._queued -= len(data)
                    if self._queued < WRITE_LOW and not self._room.is_set():
                        self._room.set()
                        self._peer.busy(False)
            if self._goodbye is not None:
                code, reason = self._goodbye
                await send({"type": "websocket.close", "code": code, "reason": reason})
                return
            self._wake.clear()
            await self._wake.wait()
