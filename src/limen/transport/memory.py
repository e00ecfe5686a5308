"""Both ends of a connection in one process: what a door says to a client, without a socket. For tests.

client = connect(accept, Handshake("/ws", "localhost", subprotocols=("wamp.2.json",)), config)
await client.send(b'[1, "localhost", {}]', True)
data, text = await client.receive()
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import deque
from typing import Any

from limen.base.config import Config
from limen.transport.upgrade import shorten
from limen.transport.wire import WRITE_HIGH, WRITE_LOW, Accept, Handshake, Peer, Refusal

log = logging.getLogger("limen.transport")


class ClosedError(Exception):
    """The connection is over. *code*: 1006 without a goodbye."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"{code} {reason}".rstrip())
        self.code, self.reason = code, reason


class RefusedError(Exception):
    """The door has refused the handshake."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def connect(accept: Accept, handshake: Handshake, config: Config | None = None) -> MemoryClient:
    """Shows *accept* the handshake, and gives the client's end. Raises `RefusedError` where the door refuses."""
    answer = accept(handshake)
    if isinstance(answer, Refusal):
        raise RefusedError(answer.status)
    subprotocol, peer = answer
    return MemoryClient(peer, handshake, subprotocol, config or Config())


class MemoryClient:
    """The client's end. What it sends arrives in the loop's next turn."""

    def __init__(self, peer: Peer, handshake: Handshake, subprotocol: str | None, config: Config) -> None:
        self.subprotocol = subprotocol
        self.wire = MemoryWire(self, handshake, subprotocol, config)
        self.peer = peer
        self.inbox: deque[tuple[bytes, bool]] = deque()
        self.outbox: deque[tuple[bytes, bool]] = deque()
        self.end: ClosedError | None = None
        self.loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._lost = False
        self._due = False
        self._config = config
        self._call(peer.opened, self.wire)

    async def send(self, data: bytes, text: bool) -> None:
        """Sends one message to the door."""
        if self.end is not None:
            raise self.end
        if len(data) > self._config.MAX_MESSAGE_SIZE:
            self.wire.close(1009, "the message is too big")
            return
        self.outbox.append((data, text))
        self.schedule()

    async def receive(self) -> tuple[bytes, bool]:
        """The next message of the door, and whether it is text; raises `ClosedError` when no more will come."""
        while not self.inbox:
            if self.end is not None:
                raise self.end
            self._news.clear()
            await self._news.wait()
        self.wire.moved = self.loop.time()
        message = self.inbox.popleft()
        self.wire.look_at_queue()
        return message

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Says goodbye to the door, after what was sent."""
        self.finish(ClosedError(code, reason), f"closed by the peer: {code} {reason}".rstrip())

    def finish(self, end: ClosedError, reason: str) -> None:
        """Ends the connection; `lost` is called in the loop's next turn."""
        if self.end is None:
            self.end = end
            self._news.set()
            self.loop.call_soon(self._call, self.peer.lost, reason)

    def deliver(self, data: bytes, text: bool) -> None:
        """What the door sends."""
        self.inbox.append((data, text))
        self._news.set()

    def schedule(self) -> None:
        """Hands on what was sent, in the loop's next turn, unless the door has paused."""
        if self.outbox and not self._due:
            self._due = True
            self.loop.call_soon(self._hand_on)

    def _hand_on(self) -> None:
        self._due = False
        while self.outbox and not self.wire.paused:
            self._call(self.peer.received, *self.outbox.popleft())

    def _call(self, function: Any, *arguments: Any) -> None:
        try:
            function(*arguments)
        except Exception:
            log.exception("The door failed on a connection")
            self.wire.close(1011, "internal error")


class MemoryWire:
    """The door's end: a `Wire`."""

    transport = "websocket"
    largest = sys.maxsize

    def __init__(self, client: MemoryClient, handshake: Handshake, subprotocol: str | None, config: Config) -> None:
        self.client, self.host, self.tls = handshake.client, handshake.host, handshake.tls
        self.subprotocol = subprotocol
        self.paused = self.busy = False
        self.moved = 0.0
        self._far, self._config = client, config

    tls_object = None

    @property
    def queued(self) -> int:
        return sum(len(data) for data, _ in self._far.inbox)

    def send(self, data: bytes, text: bool) -> None:
        far = self._far
        if far.end is not None:
            return
        if self.queued > self._config.MAX_QUEUE_SIZE:
            far.finish(ClosedError(1006), "left more unread than MAX_QUEUE_SIZE")
            return
        if not far.inbox:
            self.moved = far.loop.time()
            far.loop.call_later(self._config.MAX_STALL, self._look)
        far.deliver(data, text)
        self.look_at_queue()

    def look_at_queue(self) -> None:
        """Tells the door whether the client keeps up."""
        busy = self.queued > (WRITE_LOW if self.busy else WRITE_HIGH)
        if busy is not self.busy:
            self.busy = busy
            self._far.peer.busy(busy)

    def _look(self) -> None:
        far = self._far
        if far.inbox and far.end is None:
            left = self.moved + self._config.MAX_STALL - far.loop.time()
            if left <= 0:
                far.finish(ClosedError(1006), "left its queue unread for MAX_STALL")
            else:
                far.loop.call_later(left, self._look)

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._far.outbox.clear()
        self._far.finish(ClosedError(code, shorten(reason).decode()), f"closed here: {code} {reason}".rstrip())

    def abort(self) -> None:
        self._far.inbox.clear()
        self._far.outbox.clear()
        self._far.finish(ClosedError(1006), "aborted here")

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        self._far.schedule()
