"""What every transport must do: subclass `WireSuite` (WebSockets) or `MessageSuite` (others), say how a client gets in,
run it with pytest.

    class TestMyTransport(WireSuite):
        @asynccontextmanager
        async def served(self, accept, config):
            async with my_server(accept, config) as port:
                yield partial(SocketClient.connect, port)

The suite is asynchronous (pytest-asyncio in mode `auto`, or anyio's plugin).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from limen.base.config import Config
from limen.transport.memory import ClosedError, RefusedError
from limen.transport.wire import WRITE_HIGH, Accept, Handshake, Peer, Refusal, Wire


class Client(Protocol):
    """The far end, as the suite needs it; see `limen.testing.sockets.SocketClient` and `limen.transport.memory`."""

    subprotocol: str | None

    async def send(self, data: bytes, text: bool) -> None: ...
    async def receive(self) -> tuple[bytes, bool]: ...
    async def close(self, code: int = 1000, reason: str = "") -> None: ...


Connect = Callable[..., Awaitable[Client]]
"""`connect(path="/ws", subprotocols=(), origin=None, receive_buffer=None)`."""


class Recorder:
    """A peer that writes down what happens to it, and echoes if told to."""

    def __init__(self, echo: bool = False) -> None:
        self.echo = echo
        self.wire: Wire
        self.log: list[Any] = []
        self.lost_reason: str | None = None
        self._news = asyncio.Event()

    def opened(self, wire: Wire) -> None:
        self.wire = wire
        self._note("opened")

    def received(self, data: bytes, text: bool) -> None:
        if data == b"fail":
            raise RuntimeError("told to")
        if self.echo:
            self.wire.send(data, text)
        self._note((data, text))

    def busy(self, yes: bool) -> None:
        self._note(("busy", yes))

    def lost(self, reason: str) -> None:
        self.lost_reason = reason
        self._note("lost")

    def _note(self, what: Any) -> None:
        self.log.append(what)
        self._news.set()

    async def until(self, true: Callable[[], bool]) -> None:
        """Waits until *true*; fails after 10 s."""
        async with asyncio.timeout(10):
            while not true():
                self._news.clear()
                await self._news.wait()

    async def until_lost(self) -> str:
        """Waits for the end, and gives its reason."""
        await self.until(lambda: self.lost_reason is not None)
        assert self.lost_reason is not None
        return self.lost_reason


class Door:
    """A door that lets in whoever asks for `/ws`, and keeps the handshakes and the peers."""

    def __init__(self, echo: bool = False) -> None:
        self.echo = echo
        self.handshakes: list[Handshake] = []
        self.peers: list[Recorder] = []

    def accept(self, handshake: Handshake) -> tuple[str | None, Peer] | Refusal:
        self.handshakes.append(handshake)
        if handshake.path != "/ws":
            return Refusal(403, (("x-why", "because"),), b"not here")
        self.peers.append(Recorder(self.echo))
        return next(iter(handshake.subprotocols), None), self.peers[-1]


async def ending(client: Client) -> ClosedError:
    """Reads until the connection is over, and says how it ended; fails after 10 s."""
    async with asyncio.timeout(10):
        while True:
            try:
                await client.receive()
            except ClosedError as end:
                return end


class MessageSuite:
    """Claims about any transport of messages.

    *cut_codes*: what a client may see of a connection that was cut. *says_why*: an end tells its code and its reason.
    *kinds*: the values of `text` that one connection carries.
    """

    cut_codes: tuple[int, ...] = (1006,)
    says_why = True
    kinds: tuple[bool, ...] = (True, False)
    max_message_size = 100_000

    def served(self, accept: Accept, config: Config) -> AbstractAsyncContextManager[Connect]:
        """Serves *accept* under *config* for the length of the block, which is given a way to connect."""
        raise NotImplementedError

    def kind(self, text: bool) -> bool:
        """*text*, where this transport has both kinds of messages; else the kind that it has."""
        return text if text in self.kinds else self.kinds[0]

    def told(self, end: ClosedError, *codes: int) -> bool:
        """The client has been told one of *codes*, as far as it can be."""
        return end.code in (codes if self.says_why else self.cut_codes)

    def config(self) -> Config:
        """Limits small enough to be reached in a test."""
        config = Config()
        config.MAX_MESSAGE_SIZE = self.max_message_size
        config.MAX_QUEUE_SIZE = 2**20
        config.MAX_STALL = 0.5
        return config

    # -- messages ---------------------------------------------------------------------------------------------------
    async def test_messages_come_back_as_they_went(self) -> None:
        door = Door(echo=True)
        async with self.served(door.accept, self.config()) as connect:
            client = await connect()
            for data, text in (
                (b"hello", True),
                ("äöü€😀".encode(), True),
                (bytes(range(256)), False),
                (b"", False),
                (b"", True),
            ):
                if text or False in self.kinds:
                    await client.send(data, self.kind(text))
                    assert await client.receive() == (data, self.kind(text))

    async def test_a_message_of_the_largest_size_is_taken(self) -> None:
        door = Door(echo=True)
        async with self.served(door.accept, self.config()) as connect:
            client = await connect()
            data = b"x" * self.max_message_size
            for _ in range(3):
                await client.send(data, self.kind(False))
                assert await client.receive() == (data, self.kind(False))

    async def test_a_larger_message_ends_with_1009(self) -> None:
        door = Door()
        async with self.served(door.accept, self.config()) as connect:
            client = await connect()
            await client.send(b"x" * (self.max_message_size + 1), self.kind(False))
            assert self.told(await ending(client), 1009)
            await door.peers[0].until_lost()
        assert door.peers[0].log == ["opened", "lost"]

    async def test_messages_keep_their_order(self) -> None:
        door = Door(echo=True)
        async with self.served(door.accept, self.config()) as connect:
            client = await connect()
            sent = [(b"%d" % n * (1 + n % 50), self.kind(n % 2 == 0)) for n in range(1000)]
            for data, text in sent:
                await client.send(data, text)
            assert [await client.receive() for _ in sent] == sent

    async def test_a_small_message_behind_a_large_one_arrives_whole(self) -> None:
        door = Door()
        async with self.served(door.accept, self.config()) as connect:
            client = await connect()
            await door.peers[0].until(lambda: bool(door.peers[0].log))
            sent = [(b"%d" % n * 9000 if n % 2 else b"%d" % n, self.kind(n % 2 == 0)) for n in range(20)]
            for data, text in sent:
                door.peers[0].wire.send(data, text)
            assert [await client.receive() for _ in sent] == sent

    async def test_nothing_comes_while_the_door_pauses(self) -> None:
        door = Door()
        async with self.served(door.accept, self.config()) as connect:
            client = await connect()
            peer = door.peers[0]
            await peer.until(lambda: bool(peer.log))
            peer.wire.pause()
            for n in range(200):
                await client.send(b"%d" % n, self.kind(False))
            await asyncio.wait({asyncio.ensure_future(peer.until(lambda: len(peer.log) > 1))}, timeout=0.2)
            assert peer.log == ["opened"]
            peer.wire.resume()
            await peer.until(lambda: len(peer.log) == 201)
            assert [data for data, _ in peer.log[1:]] == [b"%d" % n for n in range(200)]

    # -- the end ----------------------------------------------------------------------------------------------------
    async def test_the_doors_goodbye_arrives_after_what_was_sent(self) -> None:
        door = Door()
        async with self.served(door.accept, self.config()) as connect:
            client = await connect()
            peer = door.peers[0]
            await peer.until(lambda: bool(peer.log))
            peer.wire.send(b"last", self.kind(True))
            peer.wire.close(3001, "enough")
            peer.wire.send(b"too late", self.kind(True))
            assert await client.receive() == (b"last", self.kind(True))
            end = await ending(client)
            assert self.told(end, 3001)
            assert end.reason == ("enough" if self.says_why else "")
            assert "3001 enough" in await peer.until_lost()
            peer.wire.send(b"nobody is there", self.kind(True))
            peer.wire.close()
            peer.wire.abort()
            peer.wire.pause()
            peer.wire.resume()
        assert peer.log == ["opened", "lost"]

    async def test_a_long_reason_is_shortened_to_what_fits(self) -> None:
        door = Door()
        async with self.served(door.accept, self.config()) as connect:
            client = await connect()
            await door.peers[0].until(lambda: bool(door.peers[0].log))
            door.peers[0].wire.close(1000, "ä" * 100)
            assert (await ending(client)).reason == ("ä" * 61 if self.says_why else "")

    async def test_the_clients_goodbye_is_answered_and_reported_once(self) -> None:
        door = Door()
        async with self.served(door.accept, self.config()) as connect:
            client = await connect()
            await client.send(b"first", self.kind(True))
            await client.close(3002, "bye")
            assert self.told(await ending(client), 1000, 3002)
            assert ("3002" if self.says_why else "closed by the peer") in await door.peers[0].until_lost()
        assert door.peers[0].log == ["opened", (b"first", self.kind(True)), "lost"]

    async def test_an_abort_ends_it_without_delay(self) -> None:
        door = Door()
        async with self.served(door.accept, self.config()) as connect:
            client = await connect()
            await door.peers[0].until(lambda: bool(door.peers[0].log))
            door.peers[0].wire.abort()
            assert (await ending(client)).code in self.cut_codes
            await door.peers[0].until_lost()
        assert door.peers[0].log == ["opened", "lost"]

    async def test_a_failing_door_ends_the_connection_with_1011(self) -> None:
        door = Door()
        async with self.served(door.accept, self.config()) as connect:
            client = await connect()
            await client.send(b"fail", self.kind(True))
            assert self.told(await ending(client), 1011)
            await door.peers[0].until_lost()
        assert door.peers[0].log == ["opened", "lost"]

    # -- peers that do not read -------------------------------------------------------------------------------------
    async def test_a_peer_that_leaves_its_queue_unread_is_cut(self) -> None:
        door = Door()
        config = self.config()
        config.MAX_STALL = 60.0
        async with self.served(door.accept, config) as connect:
            client = await connect(receive_buffer=4096)
            peer = door.peers[0]
            await peer.until(lambda: bool(peer.log))
            for _ in range(200):
                peer.wire.send(b"x" * 100_000, self.kind(False))
                assert peer.wire.queued <= config.MAX_QUEUE_SIZE + 200_000
            assert "MAX_QUEUE_SIZE" in await peer.until_lost()
            del client

    async def test_a_peer_that_stalls_is_cut(self) -> None:
        door = Door()
        config = self.config()
        config.MAX_QUEUE_SIZE = 2**30
        async with self.served(door.accept, config) as connect:
            client = await connect(receive_buffer=4096)
            peer = door.peers[0]
            await peer.until(lambda: bool(peer.log))
            for _ in range(100):
                peer.wire.send(b"x" * 100_000, self.kind(False))
            assert "MAX_STALL" in await peer.until_lost()
            del client

    async def test_the_door_hears_whether_the_other_end_keeps_up(self) -> None:
        door = Door()
        config = self.config()
        config.MAX_QUEUE_SIZE, config.MAX_STALL = 2**30, 60.0
        async with self.served(door.accept, config) as connect:
            client = await connect(receive_buffer=4096)
            peer = door.peers[0]
            await peer.until(lambda: bool(peer.log))
            sent = 0
            while peer.wire.queued <= WRITE_HIGH:
                peer.wire.send(b"x" * 50_000, self.kind(False))
                sent += 1
                assert sent < 2000
                await asyncio.sleep(0)
            await peer.until(lambda: len(peer.log) > 1)
            for _ in range(sent):
                await client.receive()
            await peer.until(lambda: len(peer.log) > 2)
        assert peer.log[:3] == ["opened", ("busy", True), ("busy", False)]


class WireSuite(MessageSuite):
    """Claims about a transport of WebSockets. *tls*: the transport is encrypted."""

    tls = False

    # -- the handshake ----------------------------------------------------------------------------------------------
    async def test_the_door_is_shown_the_handshake(self) -> None:
        door = Door()
        async with self.served(door.accept, self.config()) as connect:
            client = await connect(path="/ws?a=%2f", subprotocols=("one", "two"), origin="http://here.example")
            await door.peers[0].until(lambda: door.peers[0].log == ["opened"])
        shown = door.handshakes[0]
        assert (shown.path, shown.query, shown.origin) == ("/ws", "a=%2f", "http://here.example")
        assert shown.subprotocols == ("one", "two")
        assert (shown.client, shown.tls) == ("127.0.0.1", self.tls)
        assert shown.host.startswith("127.0.0.1:")
        assert shown.headers["origin"] == "http://here.example"
        assert client.subprotocol == "one"
        wire = door.peers[0].wire
        assert (wire.subprotocol, wire.client, wire.host, wire.tls) == ("one", "127.0.0.1", shown.host, self.tls)

    async def test_no_subprotocol_is_agreed_on_where_none_was_offered(self) -> None:
        door = Door()
        async with self.served(door.accept, self.config()) as connect:
            assert (await connect()).subprotocol is None

    async def test_a_refusal_is_answered_and_opens_nothing(self) -> None:
        door = Door()
        async with self.served(door.accept, self.config()) as connect:
            status = 0
            try:
                await connect(path="/elsewhere")
            except RefusedError as refused:
                status = refused.status
        assert status == 403
        assert door.peers == []
