"""A peer whose messages take long to work off does not keep the others waiting: its turn ends by time as well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvloop
from uvicorn_here import uvicorn_serving

from limen.base.config import Config
from limen.testing.rawsockets import RawSocketClient
from limen.testing.sockets import SocketClient, frame
from limen.testing.transports import Recorder
from limen.transport import batched, cork
from limen.transport.http_server import HttpServer
from limen.transport.picows_ws import PicowsServer
from limen.transport.rawsocket import RawSocketServer
from limen.transport.wire import Handshake, Peer, Refusal

loop = uvloop.new_event_loop
MESSAGES = [b"%d" % number for number in range(48)]


class Slow(Recorder):
    """Each message takes *cost* seconds by the clock, and is noted with the turn of the loop in which it came."""

    def __init__(self, cost: float, clock: list[float], batches: bool) -> None:
        super().__init__()
        self.cost, self.clock, self.batches = cost, clock, batches
        self.turn, self.of_turn = 0, dict[int, int]()
        self.order: list[bytes] = []

    def received(self, data: bytes, text: bool) -> None:
        self.clock[0] += self.cost
        self.of_turn[self.turn] = self.of_turn.get(self.turn, 0) + 1
        self.order.append(data)
        self._note((data, text))

    async def count_turns(self) -> None:
        while True:
            self.turn += 1
            await asyncio.sleep(0)


@asynccontextmanager
async def slow(
    way: str, cost: float, monkeypatch: pytest.MonkeyPatch, messages: list[bytes] = MESSAGES
) -> AsyncIterator[Slow]:
    """Where all the messages have come, in one piece."""
    clock = [1000.0]
    monkeypatch.setattr(cork, "monotonic", lambda: clock[0])
    monkeypatch.setattr(batched, "monotonic", lambda: clock[0])
    peer = Slow(cost, clock, way == "batched")

    def accept(handshake: Handshake) -> tuple[str | None, Peer] | Refusal:
        return next(iter(handshake.subprotocols), None), batched.Batched(peer) if peer.batches else peer

    counting = asyncio.create_task(peer.count_turns())
    try:
        if way == "rawsocket":
            server = RawSocketServer(accept, Config())
            listener = await asyncio.get_running_loop().create_server(server.protocol, "127.0.0.1", 0)
            raw = await RawSocketClient.connect(listener.sockets[0].getsockname()[1], ["wamp.2.msgpack"])
            raw.writer.write(b"".join(len(one).to_bytes(4) + one for one in messages))
            await peer.until(lambda: len(peer.order) == len(messages))
            yield peer
            listener.close()
            server.shutdown()
            return
        config = Config()
        async with uvicorn_serving(ws=PicowsServer(accept, config).protocol, http=HttpServer(config).protocol) as port:
            web = await SocketClient.connect(port)
            if peer.batches:
                await web.send(b"".join(len(one).to_bytes(4) + one for one in messages), False)
            else:
                await web.raw(b"".join(frame(2, one) for one in messages))
            await peer.until(lambda: len(peer.order) == len(messages))
            yield peer
            web.abort()
    finally:
        counting.cancel()


@pytest.mark.parametrize("way", ["websocket", "rawsocket", "batched"])
async def test_a_turn_ends_when_its_time_is_over(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with slow(way, 0.9 * cork.SLICE, monkeypatch) as peer:
        assert peer.order == MESSAGES
        assert max(peer.of_turn.values()) <= 3


@pytest.mark.parametrize("way", ["websocket", "rawsocket", "batched"])
async def test_messages_that_cost_little_have_their_turn_together(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with slow(way, 0.0, monkeypatch) as peer:
        assert peer.order == MESSAGES
        assert max(peer.of_turn.values()) == len(MESSAGES)


@pytest.mark.parametrize("way", ["websocket", "rawsocket"])
async def test_a_large_message_has_a_turn_of_its_own(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    large = [bytes([number]) * (cork.LARGE + 1) for number in range(16)]
    async with slow(way, 0.0, monkeypatch, large) as peer:
        assert peer.order == large
        assert max(peer.of_turn.values()) == 1
