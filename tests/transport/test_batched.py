"""Batches: taken apart and put together between any transport and any door; every promise of the port still holds."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
from uvicorn_here import uvicorn_serving

from limen.base.config import Config
from limen.testing.sockets import ClosedError, SocketClient
from limen.testing.transports import Client, Connect, Door, MessageSuite, Recorder, ending
from limen.transport.batched import AUTOBAHN, BURST, RECORD, Batched, split
from limen.transport.http_server import HttpServer
from limen.transport.memory import MemoryClient
from limen.transport.memory import connect as connect_in_memory
from limen.transport.picows_ws import PicowsServer
from limen.transport.wire import Accept, Handshake, Peer, Refusal


def batch(messages: Iterable[bytes], text: bool) -> bytes:
    if text:
        return b"".join(message + RECORD for message in messages)
    return b"".join(len(message).to_bytes(4) + message for message in messages)


def batching(accept: Accept) -> Accept:
    def shown(handshake: Handshake) -> tuple[str | None, Peer] | Refusal:
        answer = accept(handshake)
        return answer if isinstance(answer, Refusal) else (answer[0], Batched(answer[1]))

    return shown


class BatchingClient:
    """Sends batches of one, and takes those that come apart."""

    def __init__(self, inner: Client) -> None:
        self.inner, self.subprotocol = inner, inner.subprotocol
        self.came: deque[tuple[bytes, bool]] = deque()

    async def send(self, data: bytes, text: bool) -> None:
        await self.inner.send(batch([data], text), text)

    async def receive(self) -> tuple[bytes, bool]:
        while not self.came:
            data, text = await self.inner.receive()
            self.came.extend((message, text) for message in split(data, text))
        return self.came.popleft()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self.inner.close(code, reason)


class OverPicows(MessageSuite):
    loop = staticmethod(uvloop.new_event_loop)

    def config(self) -> Config:
        config = super().config()
        config.MAX_MESSAGE_SIZE += 4  # the framing of one message
        return config

    @asynccontextmanager
    async def served(self, accept: Accept, config: Config) -> AsyncIterator[Connect]:
        ws, http = PicowsServer(batching(accept), config).protocol, HttpServer(config).protocol
        async with uvicorn_serving(ws=ws, http=http) as port:

            async def connect(**options: Any) -> Client:
                return BatchingClient(await SocketClient.connect(port, **options))

            yield connect


class TestBatchesOfMsgpack(OverPicows):
    kinds = (False,)


class TestBatchesOfJson(OverPicows):
    kinds = (True,)

    def config(self) -> Config:
        config = super().config()
        config.MAX_MESSAGE_SIZE -= 3
        return config


def opened(echo: bool = False) -> tuple[MemoryClient, Recorder]:
    door = Door(echo)
    client = connect_in_memory(batching(door.accept), Handshake("/ws", "localhost"))
    return client, door.peers[0]


@pytest.mark.parametrize("text", [True, False])
async def test_what_is_sent_in_one_turn_is_one_batch(text: bool) -> None:
    client, peer = opened(echo=True)
    messages = [b"%d" % n for n in range(BURST)]
    await client.send(batch(messages, text), text)
    assert await client.receive() == (batch(messages, text), text)
    assert peer.log == ["opened", *((message, text) for message in messages)]


async def test_the_next_turn_is_another_batch() -> None:
    client, peer = opened()
    peer.wire.send(b"1", False)
    peer.wire.send(b"2", False)
    await asyncio.sleep(0)
    peer.wire.send(b"3", False)
    assert await client.receive() == (batch([b"1", b"2"], False), False)
    assert await client.receive() == (batch([b"3"], False), False)


async def test_a_peer_of_json_gets_the_mark_that_it_uses() -> None:
    client, _ = opened(echo=True)
    await client.send(b"[1]" + AUTOBAHN + b"[2]" + AUTOBAHN, True)
    assert await client.receive() == (b"[1]" + AUTOBAHN + b"[2]" + AUTOBAHN, True)


async def test_a_large_batch_leaves_in_several() -> None:
    client, peer = opened()
    for _ in range(10):
        peer.wire.send(bytes(30_000), False)
    sizes = []
    while sum(sizes) < 10 * 30_004:
        sizes.append(len((await client.receive())[0]))
    assert sizes == [90_012, 90_012, 90_012, 30_004]


BROKEN = {
    "no message": (b"", False),
    "no message of JSON": (b"", True),
    "JSON without its mark": (b"[1]", True),
    "a length that is cut off": (b"\0\0\0", False),
    "a message that is cut off": (b"\0\0\0\2x", False),
    "a length above the batch": (b"\xff\xff\xff\xffx", False),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_it_ends_with_1002_at(what: str) -> None:
    data, text = BROKEN[what]
    client, peer = opened()
    await client.send(batch([b"1"], text), text)
    await client.send(data, text)
    assert (await ending(client)).code == 1002
    assert "1002" in await peer.until_lost()
    assert peer.log == ["opened", (b"1", text), "lost"]


async def test_the_messages_before_the_broken_part_are_heard() -> None:
    client, peer = opened()
    await client.send(batch([b"1", b"2"], False) + b"\0", False)
    assert (await ending(client)).code == 1002
    assert peer.log[:3] == ["opened", (b"1", False), (b"2", False)]


async def test_a_long_batch_is_worked_off_in_turns_and_in_order() -> None:
    client, peer = opened()
    turns = 0
    await client.send(batch([b"%d" % n for n in range(10 * BURST)], False), False)
    await client.send(batch([b"last"], False), False)
    while (b"last", False) not in peer.log:
        seen = len(peer.log)
        await asyncio.sleep(0)
        turns += 1
        assert len(peer.log) - seen <= BURST + 1
    assert peer.log[1:] == [*((b"%d" % n, False) for n in range(10 * BURST)), (b"last", False)]
    assert turns >= 10


async def test_nothing_comes_out_of_a_batch_while_the_door_pauses() -> None:
    client, peer = opened()
    received = peer.received

    def pausing(data: bytes, text: bool) -> None:
        received(data, text)
        if data == b"1":
            peer.wire.pause()

    peer.received = pausing  # type: ignore[method-assign]
    await client.send(batch([b"0", b"1", b"2"], False), False)
    await client.send(batch([b"3"], False), False)
    for _ in range(5):
        await asyncio.sleep(0)
    assert peer.log == ["opened", (b"0", False), (b"1", False)]
    peer.wire.resume()
    await peer.until(lambda: len(peer.log) == 5)
    assert peer.log[3:] == [(b"2", False), (b"3", False)]


async def test_a_failing_door_ends_it_in_a_later_turn_too() -> None:
    client, peer = opened()
    await client.send(batch([b"x"] * BURST + [b"fail", b"y"], False), False)
    with pytest.raises(ClosedError) as closed:
        await client.receive()
    assert closed.value.code == 1011
    await peer.until_lost()
    assert (b"y", False) not in peer.log
