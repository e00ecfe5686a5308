"""RawSocket by the octet: the handshake and its errors, lengths both ways, pings, turns, and peers that are gone."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvloop

from limen.base.config import Config
from limen.testing.rawsockets import RawSocketClient, RefusedError
from limen.testing.transports import Door, Recorder, ending
from limen.transport.rawframe import PING, PONG, REGULAR, prefix
from limen.transport.rawsocket import BURST, RawSocketServer
from limen.transport.wire import Handshake, Peer, Refusal

loop = uvloop.new_event_loop
LIMIT = 65536


class AnyDoor(Door):
    """A door that lets in everybody, or answers *refusal*."""

    def __init__(self, echo: bool = False, refusal: Refusal | None = None) -> None:
        super().__init__(echo)
        self.refusal = refusal

    def accept(self, handshake: Handshake) -> tuple[str | None, Peer] | Refusal:
        self.handshakes.append(handshake)
        if self.refusal is not None:
            return self.refusal
        self.peers.append(Recorder(self.echo))
        return handshake.subprotocols[0], self.peers[-1]


@asynccontextmanager
async def serving(
    door: Door, config: Config | None = None, **options: object
) -> AsyncIterator[tuple[RawSocketServer, int]]:
    config = config or Config()
    config.MAX_MESSAGE_SIZE = LIMIT
    server = RawSocketServer(door.accept, config, **options)  # type: ignore[arg-type]
    listener = await asyncio.get_running_loop().create_server(server.protocol, "127.0.0.1", 0)
    try:
        yield server, listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        server.shutdown()


async def said(port: int, *sent: bytes) -> bytes:
    """All that the server answers to what is sent, a write each, until it closes."""
    reader, writer = await RawSocketClient.dial(port)
    for data in sent:
        writer.write(data)
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer


# -- the handshake --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("number", "encoding"), [(1, "json"), (2, "msgpack"), (3, "cbor")])
async def test_the_handshake_is_answered_with_the_same_serializer_and_what_is_taken_here(
    number: int, encoding: str
) -> None:
    door = AnyDoor()
    async with serving(door) as (_, port):
        reader, writer = await RawSocketClient.dial(port)
        writer.write(bytes((0x7F, 0xF0 | number, 0, 0)))
        assert await reader.readexactly(4) == bytes((0x7F, 0x70 | number, 0, 0))  # 2^(9+7)
        writer.close()
        await door.peers[0].until_lost()
    (shown,) = door.handshakes
    assert shown == Handshake("", "", None, (f"wamp.2.{encoding}",), "127.0.0.1", framing="rawsocket")
    wire = door.peers[0].wire
    assert (wire.subprotocol, wire.client, wire.host, wire.tls) == (f"wamp.2.{encoding}", "127.0.0.1", "", False)


async def test_a_handshake_may_come_octet_by_octet_and_a_message_with_it() -> None:
    door = AnyDoor()
    async with serving(door) as (_, port):
        reader, writer = await RawSocketClient.dial(port)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in b"\x7f\xf2\x00":
            writer.write(bytes((octet,)))
            await asyncio.sleep(0.001)
        writer.write(b"\x00" + prefix(REGULAR, 2) + b"hi" + prefix(REGULAR, 5) + b"th")
        assert await reader.readexactly(4) == b"\x7f\x72\x00\x00"
        await door.peers[0].until(lambda: len(door.peers[0].log) == 2)
        writer.write(b"ere")
        await door.peers[0].until(lambda: len(door.peers[0].log) == 3)
        writer.close()
    assert door.peers[0].log[:3] == ["opened", (b"hi", False), (b"there", False)]


REFUSED = {
    "another magic octet": (b"\x7e\xf1\x00\x00", b""),
    "HTTP": (b"GET / HTTP/1.1\r\n\r\n", b""),
    "serializer 0": (b"\x7f\xf0\x00\x00", b"\x7f\x10\x00\x00"),
    "UBJSON": (b"\x7f\xf4\x00\x00", b"\x7f\x10\x00\x00"),
    "serializer 15": (b"\x7f\xff\x00\x00", b"\x7f\x10\x00\x00"),
    "a reserved bit in the third octet": (b"\x7f\xf1\x80\x00", b"\x7f\x30\x00\x00"),
    "a reserved bit in the fourth octet": (b"\x7f\xf1\x00\x01", b"\x7f\x30\x00\x00"),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_a_handshake_is_refused_for(what: str) -> None:
    door = AnyDoor()
    sent, answer = REFUSED[what]
    async with serving(door) as (_, port):
        assert await said(port, sent) == answer
    assert door.handshakes == []


async def test_a_serializer_that_is_switched_off_is_unsupported() -> None:
    async with serving(AnyDoor(), serializers=("json", "cbor")) as (_, port):
        assert await said(port, b"\x7f\xf2\x00\x00") == b"\x7f\x10\x00\x00"


@pytest.mark.parametrize(("status", "error"), [(503, 4), (429, 4), (403, 3)])
async def test_a_refusal_of_the_door_is_an_error_of_the_handshake(status: int, error: int) -> None:
    async with serving(AnyDoor(refusal=Refusal(status))) as (_, port):
        with pytest.raises(RefusedError) as refused:
            await RawSocketClient.connect(port)
    assert refused.value.status == error


async def test_who_never_says_a_handshake_is_cut() -> None:
    config = Config()
    config.HELLO_TIMEOUT, config.PING_INTERVAL = 0.2, 0.2
    async with serving(AnyDoor(), config) as (server, port):
        assert await said(port, b"\x7f") == b""
        assert not server.pulse.members


# -- framing --------------------------------------------------------------------------------------------------------
WRONG = {
    "type 3": (prefix(3, 1) + b"x", "1002"),
    "type 7": (prefix(7, 1) + b"x", "1002"),
    **{f"reserved bit {bit}": (bytes((1 << bit, 0, 0, 1)) + b"x", "1002") for bit in (4, 5, 6, 7)},
    "a length above 16 MiB": (b"\x08\x00\x00\x01", "1002"),
    "a message above the limit, of which only the length came": (prefix(REGULAR, LIMIT + 1), "1009"),
    "16 MiB, of which only the length came": (b"\x08\x00\x00\x00", "1009"),
    "a ping above the limit": (prefix(PING, LIMIT + 1), "1009"),
}


@pytest.mark.parametrize("what", WRONG)
async def test_it_ends_at(what: str) -> None:
    sent, reason = WRONG[what]
    door = AnyDoor()
    async with serving(door) as (_, port):
        client = await RawSocketClient.connect(port)
        await client.raw(prefix(REGULAR, 1) + b"1" + sent + prefix(REGULAR, 1) + b"2")
        assert (await ending(client)).code == 1006
        assert reason in await door.peers[0].until_lost()
    assert door.peers[0].log == ["opened", (b"1", False), "lost"]


async def test_json_that_is_not_utf8_ends_it() -> None:
    door = AnyDoor()
    async with serving(door) as (_, port):
        client = await RawSocketClient.connect(port, ["wamp.2.json"])
        await client.send("ä".encode())
        await client.send(b"\xff")
        await ending(client)
        assert "1007" in await door.peers[0].until_lost()
    assert door.peers[0].log == ["opened", ("ä".encode(), True), "lost"]


async def test_sixteen_mebibytes_go_both_ways_where_both_take_them() -> None:
    door = AnyDoor(echo=True)
    big = Config()
    big.MAX_MESSAGE_SIZE = big.MAX_QUEUE_SIZE = 2**25
    server = RawSocketServer(door.accept, big)
    listener = await asyncio.get_running_loop().create_server(server.protocol, "127.0.0.1", 0)
    client = await RawSocketClient.connect(listener.sockets[0].getsockname()[1])
    assert client.takes == 2**24
    for size in (2**24 - 1, 2**24):
        sending = asyncio.ensure_future(client.send(bytes(size)))
        assert len((await client.receive())[0]) == size
        await sending
    client.abort()
    listener.close()


async def test_what_the_peer_does_not_take_is_not_sent() -> None:
    door = AnyDoor()
    async with serving(door) as (_, port):
        client = await RawSocketClient.connect(port, largest=512)
        peer = door.peers[0]
        await peer.until(lambda: bool(peer.log))
        assert peer.wire.largest == 512
        peer.wire.send(b"x" * 513, False)
        peer.wire.send(b"x" * 512, False)
        peer.wire.send(b"after", False)
        assert await client.receive() == (b"x" * 512, False)
        assert await client.receive() == (b"after", False)
        client.abort()


# -- turns ----------------------------------------------------------------------------------------------------------
async def test_a_flood_of_one_peer_lets_others_have_their_turn() -> None:
    order: list[str] = []

    class Noting(Recorder):
        def received(self, data: bytes, text: bool) -> None:
            order.append(data[:1].decode())
            super().received(data, text)

    class NotingDoor(AnyDoor):
        def accept(self, handshake: Handshake) -> tuple[str | None, Peer] | Refusal:
            self.peers.append(Noting())
            return handshake.subprotocols[0], self.peers[-1]

    door = NotingDoor()
    async with serving(door) as (_, port):
        one, other = [await RawSocketClient.connect(port) for _ in range(2)]
        await door.peers[1].until(lambda: bool(door.peers[1].log))
        await one.raw((prefix(REGULAR, 1) + b"a") * 20 * BURST)
        await other.raw((prefix(REGULAR, 1) + b"b") * BURST)
        await door.peers[0].until(lambda: len(door.peers[0].log) == 1 + 20 * BURST)
        await door.peers[1].until(lambda: len(door.peers[1].log) == 1 + BURST)
        one.abort()
        other.abort()
    assert order.index("b") <= 10 * BURST  # not behind all of the other's


async def test_what_is_sent_in_one_turn_leaves_in_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    door = AnyDoor(echo=True)
    async with serving(door) as (server, port):
        client = await RawSocketClient.connect(port)
        await door.peers[0].until(lambda: bool(door.peers[0].log))
        (member,) = server.pulse.members
        writes: list[bytes] = []
        before = member._transport  # type: ignore[attr-defined]

        class Counting:
            def write(self, data: bytes) -> None:
                writes.append(data)
                before.write(data)

            def __getattr__(self, name: str) -> object:
                return getattr(before, name)

        member._transport = Counting()  # type: ignore[attr-defined]
        await client.raw(b"".join(prefix(REGULAR, 3) + b"%03d" % n for n in range(50)))
        assert [(await client.receive())[0] for _ in range(50)] == [b"%03d" % n for n in range(50)]
        assert len(writes) == 1
        client.abort()
        await door.peers[0].until_lost()


# -- pings and peers that are gone ------------------------------------------------------------------------------------
def quick() -> Config:
    config = Config()
    config.PING_INTERVAL = 0.1
    config.PING_TIMEOUT = 0.3
    return config


async def test_each_ping_is_answered_by_one_pong_with_the_same_bytes_in_order() -> None:
    door = AnyDoor()
    async with serving(door) as (_, port):
        client = await RawSocketClient.connect(port)
        payloads = [b"", b"x", bytes(range(256)), b"y" * LIMIT]
        await client.raw(b"".join(prefix(PING, len(payload)) + payload for payload in payloads))
        assert [await client.frame() for _ in payloads] == [(PONG, payload) for payload in payloads]
        client.abort()


async def test_a_ping_whose_answer_the_peer_does_not_take_ends_it() -> None:
    door = AnyDoor()
    async with serving(door) as (_, port):
        client = await RawSocketClient.connect(port, largest=512)
        await client.raw(prefix(PING, 513) + bytes(513))
        await ending(client)
        assert "1009" in await door.peers[0].until_lost()


async def test_a_peer_that_knows_pings_is_pinged_and_cut_when_it_does_not_answer() -> None:
    door = AnyDoor()
    async with serving(door, quick()) as (_, port):
        client = await RawSocketClient.connect(port)
        await client.raw(prefix(PING, 0))
        client.pongs = False
        await ending(client)
        assert client.pings == 1
        assert "PING_TIMEOUT" in await door.peers[0].until_lost()


async def test_a_peer_that_answers_pings_stays() -> None:
    door = AnyDoor()
    async with serving(door, quick(), pings=True) as (_, port):
        client = await RawSocketClient.connect(port)
        receiving = asyncio.ensure_future(client.receive())
        while client.pings < 6:
            await asyncio.wait({receiving}, timeout=0.05)
        door.peers[0].wire.send(b"still here", False)
        assert await receiving == (b"still here", False)
        client.abort()


async def test_nobody_is_pinged_who_may_not_know_pings() -> None:
    """Autobahn-Python drops the connection at a PING."""
    door = AnyDoor()
    async with serving(door, quick()) as (_, port):
        client = await RawSocketClient.connect(port)
        receiving = asyncio.ensure_future(client.receive())
        await asyncio.wait({receiving}, timeout=0.6)
        assert client.pings == 0
        assert not receiving.done()
        receiving.cancel()
        client.abort()


async def test_who_stops_in_the_middle_of_a_message_is_cut() -> None:
    door = AnyDoor()
    async with serving(door, quick()) as (_, port):
        client = await RawSocketClient.connect(port)
        for _ in range(8):  # slowly is no sin
            await client.raw(prefix(REGULAR, 8) if not _ else b"x")
            await asyncio.sleep(0.1)
        assert door.peers[0].lost_reason is None
        await ending(client)
        assert "in the middle" in await door.peers[0].until_lost()


async def test_the_end_of_the_server_ends_its_connections_after_what_was_sent() -> None:
    door = AnyDoor()
    async with serving(door) as (server, port):
        client = await RawSocketClient.connect(port)
        await door.peers[0].until(lambda: bool(door.peers[0].log))
        door.peers[0].wire.send(b"last", False)
        server.shutdown()
        assert await client.receive() == (b"last", False)
        await ending(client)
        assert "1001" in await door.peers[0].until_lost()
    assert not server.pulse.members
