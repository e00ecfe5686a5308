"""What is sent while a burst is worked off: gathered, in order, never after a goodbye, bounded, and not kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
from uvicorn_here import uvicorn_serving

from limen.base.config import Config
from limen.testing.sockets import ClosedError, SocketClient, frame
from limen.testing.transports import Recorder, ending
from limen.transport import link as link_module
from limen.transport.connection import BURST, Connection
from limen.transport.cork import PATIENCE, Cork
from limen.transport.http_server import HttpServer
from limen.transport.link import GATHERED, Link
from limen.transport.picows_ws import PicowsServer
from limen.transport.wire import Handshake, Peer, Refusal, Wire

loop = uvloop.new_event_loop


# -- the link by itself -----------------------------------------------------------------------------------------
class Transport:
    """Takes what is written, or keeps it waiting if it is *full*."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.waiting = 0
        self.closed = False

    def get_extra_info(self, name: str) -> Any:
        return self if name == "socket" else None

    def fileno(self) -> int:
        return 0

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return self.closed

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def close(self) -> None:
        self.closed = True


def linked(limit: int = 2**20) -> tuple[Link, Transport, Cork, list[str]]:
    transport, cork, cuts = Transport(), Cork(), []
    return Link(transport, cuts.append, limit, cork), transport, cork, cuts


async def turn() -> None:
    """Ends after the loop's next turn."""
    ended = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(ended.set_result, None)
    await ended


async def test_what_is_sent_outside_of_a_burst_is_written_at_once() -> None:
    link, transport, _, _ = linked()
    assert link.get_write_buffer_size() == 0, "picows may write to the socket itself"
    link.write(b"one")
    link.write(b"two")
    assert transport.writes == [b"one", b"two"]


async def test_what_is_sent_in_a_burst_is_written_at_the_end_of_the_turn_in_one_piece() -> None:
    link, transport, cork, _ = linked()
    cork.hold()
    assert link.get_write_buffer_size() > 0, "picows must leave the writing to the link"
    link.write(b"one")
    cork.hold()
    link.writelines([b"tw", b"o"])
    assert (transport.writes, link.queued, link.written) == ([], 6, 0)
    await turn()
    assert (transport.writes, link.queued, link.written) == ([b"onetwo"], 0, 6)
    link.write(b"three")
    assert transport.writes == [b"onetwo", b"three"]


async def test_much_for_one_connection_does_not_wait() -> None:
    link, transport, cork, _ = linked()
    cork.hold()
    link.write(b"x" * GATHERED)
    assert transport.writes == []
    link.write(b"y")
    assert (transport.writes, link.queued) == ([b"x" * GATHERED + b"y"], 0)


async def test_what_waits_goes_out_while_a_burst_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("limen.transport.cork.monotonic", lambda: now)
    link, transport, cork, _ = linked()
    cork.hold()
    link.write(b"one")
    cork.hold()
    link.write(b"two")
    assert transport.writes == []
    now += PATIENCE * 2
    cork.hold()
    assert transport.writes == [b"onetwo"]
    cork.hold()
    link.write(b"three")
    assert transport.writes == [b"onetwo"], "and the next ones wait again"
    await turn()
    assert transport.writes == [b"onetwo", b"three"]


async def test_a_peer_that_does_not_read_is_cut_when_its_burst_goes_out() -> None:
    link, transport, cork, cuts = linked(limit=1000)
    transport.waiting = 1001
    cork.hold()
    link.write(b"one")
    assert cuts == []
    await turn()
    assert transport.writes == []
    assert "MAX_QUEUE_SIZE" in cuts[0]
    assert link.queued == transport.waiting


async def test_nothing_is_kept_for_a_connection_that_was_cut() -> None:
    link, transport, cork, _ = linked()
    cork.hold()
    link.write(b"one")
    transport.close()
    await turn()
    assert (transport.writes, link.queued) == ([], 0)


async def test_a_connection_that_ends_in_a_burst_takes_its_last_words_along() -> None:
    link, transport, cork, _ = linked()
    cork.hold()
    link.write(b"last")
    link.finish()
    assert (transport.writes, transport.closed) == ([b"last"], True)
    await turn()


# -- over a socket ----------------------------------------------------------------------------------------------
class Scripted(Recorder):
    """Does with each message what *script* says."""

    script: Callable[[Recorder, bytes], None]

    def received(self, data: bytes, text: bool) -> None:
        type(self).script(self, data)
        self._note((data, text))


@asynccontextmanager
async def serving(
    script: Callable[[Recorder, bytes], None], config: Config | None = None
) -> AsyncIterator[tuple[list[Recorder], int]]:
    peers: list[Recorder] = []
    kind = type("Told", (Scripted,), {"script": staticmethod(script)})

    def accept(handshake: Handshake) -> tuple[str | None, Peer] | Refusal:
        peers.append(kind())
        return None, peers[-1]

    config = config or Config()
    server = PicowsServer(accept, config)
    async with uvicorn_serving(ws=server.protocol, http=HttpServer(config).protocol) as port:
        yield peers, port


def burst(*messages: bytes) -> bytes:
    return b"".join(frame(1, message) for message in messages)


def link_of(wire: Wire) -> Link:
    assert isinstance(wire, Connection)
    return wire.link


def echo(peer: Recorder, data: bytes) -> None:
    peer.wire.send(data, True)


async def heard(client: SocketClient) -> tuple[list[bytes], int]:
    """All that comes, and the code with which it ends."""
    messages = []
    async with asyncio.timeout(10):
        while True:
            try:
                messages.append((await client.receive())[0])
            except ClosedError as end:
                return messages, end.code


@pytest.mark.parametrize("size", [BURST // 2, 8 * BURST])
async def test_a_burst_is_answered_in_order_and_with_few_writes(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    writes: list[int] = []
    write = Link._write
    monkeypatch.setattr(link_module.Link, "_write", lambda link, data: (writes.append(len(data)), write(link, data)))
    messages = [b"%d" % number for number in range(size)]
    async with serving(echo) as (_, port):
        client = await SocketClient.connect(port)
        await client.raw(burst(*messages))
        assert [(await client.receive())[0] for _ in messages] == messages
        assert sum(writes) > sum(map(len, messages)), "picows wrote some itself"
        assert len(writes) <= 3 + size / 16, "its answers went out one by one"
        await client.send(b"alone", True)
        assert await client.receive() == (b"alone", True)


async def test_short_and_long_messages_keep_their_order() -> None:
    messages = [bytes([97 + number % 26]) * (20_000 if number % 3 else 5) for number in range(60)]
    async with serving(echo) as (_, port):
        client = await SocketClient.connect(port)
        sending = asyncio.create_task(client.raw(burst(*messages)))
        assert [(await client.receive())[0] for _ in messages] == messages
        await sending


async def test_what_one_session_says_reaches_another_in_order() -> None:
    peers: list[Recorder] = []

    def to_the_first(peer: Recorder, data: bytes) -> None:
        peers[0].wire.send(data, True)

    async with serving(to_the_first) as (found, port):
        listener = await SocketClient.connect(port)
        peers.extend(found)
        speakers = [await SocketClient.connect(port) for _ in range(3)]
        for number in range(20):
            for name, speaker in zip(b"abc", speakers, strict=True):
                await speaker.raw(burst(*(b"%c%d" % (name, number * 5 + step) for step in range(5))))
        got = [(await listener.receive())[0] for _ in range(300)]
        for name in b"abc":
            assert [line for line in got if line[0] == name] == [b"%c%d" % (name, step) for step in range(100)]


async def test_a_goodbye_in_a_burst_comes_after_what_was_said_before_it() -> None:
    def until_bye(peer: Recorder, data: bytes) -> None:
        echo(peer, data)
        if data == b"bye":
            peer.wire.close(3001, "enough")
            peer.wire.send(b"too late", True)

    async with serving(until_bye) as (peers, port):
        client = await SocketClient.connect(port)
        await client.raw(burst(b"a", b"b", b"bye", b"c"))
        assert await heard(client) == ([b"a", b"b", b"bye"], 3001)
        await peers[0].until_lost()


async def test_the_peers_goodbye_in_a_burst_is_answered_after_its_messages() -> None:
    async with serving(echo) as (peers, port):
        client = await SocketClient.connect(port)
        await client.raw(burst(b"a", b"b") + frame(8, (1000).to_bytes(2)))
        assert await heard(client) == ([b"a", b"b"], 1000)
        await peers[0].until_lost()


async def test_both_goodbyes_in_one_burst() -> None:
    def bye(peer: Recorder, data: bytes) -> None:
        echo(peer, data)
        peer.wire.close(3001)

    async with serving(bye) as (peers, port):
        client = await SocketClient.connect(port)
        await client.raw(burst(b"a", b"b") + frame(8, (3001).to_bytes(2)))
        assert await heard(client) == ([b"a"], 3001)
        await peers[0].until_lost()


@pytest.mark.parametrize(
    ("mistake", "code"),
    [(frame(3, b"?"), 1002), (frame(1, b"\xff"), 1007), (frame(1, b"x", rsv=1), 1002), (frame(0, b"x"), 1002)],
)
async def test_a_mistake_in_a_burst_ends_it_after_the_answers_to_what_came_before(mistake: bytes, code: int) -> None:
    async with serving(echo) as (peers, port):
        client = await SocketClient.connect(port)
        await client.raw(burst(b"a", b"b", b"c") + mistake + burst(b"d"))
        messages, ended = await heard(client)
        assert (messages[:2], ended) == ([b"a", b"b"], code)
        assert b"d" not in messages
        await peers[0].until_lost()


async def test_a_cut_in_a_burst_ends_it_and_nothing_is_kept() -> None:
    def cut(peer: Recorder, data: bytes) -> None:
        echo(peer, data)
        if data == b"cut":
            peer.wire.abort()
            peer.wire.send(b"too late", True)

    async with serving(cut) as (peers, port):
        client = await SocketClient.connect(port)
        await client.raw(burst(b"a", b"cut", b"b"))
        assert (await ending(client)).code == 1006
        await peers[0].until_lost()
        await turn()
        assert [entry[0] for entry in peers[0].log if entry[0] != "o"][:2] == [b"a", b"cut"]
        assert link_of(peers[0].wire)._size == 0


async def test_a_reader_that_stops_is_cut_by_the_bursts_of_others_and_they_are_not() -> None:
    peers: list[Recorder] = []

    def to_all(peer: Recorder, data: bytes) -> None:
        for other in peers:
            other.wire.send(b"x" * 20_000, True)

    config = Config()
    config.MAX_QUEUE_SIZE, config.MAX_STALL = 2**20, 60.0
    async with serving(to_all, config) as (found, port):
        slow = await SocketClient.connect(port, receive_buffer=4096)
        quick = await SocketClient.connect(port)
        peers.extend(found)
        for _ in range(40):
            await quick.raw(burst(*[b"go"] * 10))
            for _ in range(10):
                assert len((await quick.receive())[0]) == 20_000
            assert link_of(peers[0].wire).queued <= config.MAX_QUEUE_SIZE + GATHERED + 20_100
        assert "MAX_QUEUE_SIZE" in await peers[0].until_lost()
        assert peers[1].lost_reason is None
        assert link_of(peers[1].wire).queued == 0
        assert link_of(peers[0].wire)._gathered == []
        del slow
