"""Who calls and publishes through the storm: Limen's client, plain and sealed, and Autobahn-Python over WebSockets and
RawSockets; and the books in which everything that they do is written down."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from autobahn.asyncio.rawsocket import WampRawSocketClientFactory
from autobahn.asyncio.wamp import ApplicationSession
from autobahn.asyncio.websocket import WampWebSocketClientFactory
from autobahn.wamp.exception import ApplicationError, TransportLost
from autobahn.wamp.serializer import CBORSerializer, JsonSerializer, MsgPackSerializer
from autobahn.wamp.types import ComponentConfig, PublishOptions

from limen import exc
from limen.client.session import Session

TOPIC = "com.example.news"
LOCAL, ROUTED = "work", "com.example.routed"
"""A service of the server itself; a procedure of a client, which is in the storm, too."""
AT_ONCE = 8
SERIALIZERS = {"json": JsonSerializer, "msgpack": MsgPackSerializer, "cbor": CBORSerializer}


class Books:
    """What was begun, and what became of it."""

    def __init__(self) -> None:
        self.begun: set[str] = set()
        self.ended: Counter[str] = Counter()
        self.done: set[str] = set()
        self.ran: Counter[str] = Counter()
        self.published: Counter[str] = Counter()
        self.taken: set[tuple[str, int]] = set()
        """(publisher, number) of the events that the server has acknowledged."""
        self.late: list[str] = []
        self.failed: dict[str, str] = {}
        self.heard: dict[str, list[tuple[str, str, int]]] = {}
        """Listener to (publisher, its session, number)."""
        self.lives: Counter[str] = Counter()

    async def call(self, name: str, make: Callable[[str], Awaitable[Any]]) -> None:
        """One call, whose end is noted; another answer than its own is a mistake."""
        self.begun.add(name)
        try:
            answer = await make(name)
        except exc.Timeout:
            self.late.append(name)
        except (exc.Error, ApplicationError, TransportLost) as error:
            self.failed[name] = repr(error)
        else:
            assert answer == name
            self.done.add(name)
        self.ended[name] += 1

    def hears(self, listener: str) -> Callable[..., None]:
        """A handler for *listener*."""
        heard = self.heard.setdefault(listener, [])
        return lambda publisher, session, number, *_: heard.append((publisher, session, number))

    def wrong(self) -> list[str]:
        """What may not be."""
        found = [f"{name} has not ended" for name in self.begun - self.ended.keys()]
        found += [f"{name} was never answered" for name in self.late]
        found += [f"{name} has ended {times} times" for name, times in self.ended.items() if times != 1]
        found += [f"{name} ran {times} times" for name, times in self.ran.items() if times > 1]
        found += [f"{name} has an answer, and has not run" for name in self.done if not self.ran[name]]
        for listener, events in self.heard.items():
            for (publisher, number), times in Counter((who, number) for who, _, number in events).items():
                if times > 1:
                    found.append(f"{listener} heard {publisher}'s event {number} {times} times")
            last: dict[tuple[str, str], int] = {}
            for publisher, session, number in events:
                if number <= last.get((publisher, session), -1):
                    found.append(f"{listener} heard {publisher}'s event {number} too late")
                last[publisher, session] = number
        return found


# -- Limen's own client -----------------------------------------------------------------------------------------------
async def limen_calls(books: Books, session: Session, name: str, procedures: list[str], count: int) -> None:
    """*count* calls, some at once."""
    numbers = iter(range(count))

    async def lane() -> None:
        for number in numbers:
            procedure = procedures[number % len(procedures)]
            await books.call(f"{name} {number}", lambda id, uri=procedure: session.apply(uri, [id], timeout=30))

    await asyncio.gather(*(lane() for _ in range(AT_ONCE)))


async def limen_publishes(books: Books, session: Session, name: str, count: int) -> None:
    """*count* events, one after the other; an event whose connection is lost is not said again."""
    online = asyncio.Event()
    online.set()
    undo = [session.on("online", online.set), session.on("offline", online.clear)]
    for number in range(count):
        await online.wait()
        books.published[name] += 1
        with contextlib.suppress(exc.Error):
            await session.publish(TOPIC, name, str(session.id), number)
            books.taken.add((name, number))
    for each in undo:
        each()


# -- Autobahn-Python --------------------------------------------------------------------------------------------------
class Life(ApplicationSession):  # type: ignore[misc]
    """One session, from joining to the end. *gone*: called at the end."""

    def __init__(self, realm: str, gone: Callable[[], None]) -> None:
        super().__init__(ComponentConfig(realm=realm))
        self.log.info = self.log.warn = self.log.error = self.log.debug = lambda *args, **kwargs: None
        loop = asyncio.get_running_loop()
        self.joined: asyncio.Future[None] = loop.create_future()
        self.over: asyncio.Future[None] = loop.create_future()
        self._gone = gone

    def onJoin(self, details: Any) -> None:
        self.joined.set_result(None)

    def onDisconnect(self) -> None:
        self._gone()
        super().onDisconnect()
        for future in (self.joined, self.over):
            if not future.done():
                future.set_result(None)


class Robin:
    """Somebody with Autobahn-Python who comes back whenever the connection is lost. *begin*: what each life begins
    with."""

    def __init__(
        self, books: Books, name: str, port: int, raw: bool, encoding: str, begin: Callable[[Life], Awaitable[None]]
    ) -> None:
        self.books, self.name, self._begin = books, name, begin
        self._port, self._raw, self._encoding = port, raw, encoding
        self.life: Life | None = None
        self._there = asyncio.Event()

    async def live(self) -> None:
        """Until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            made = Life("localhost", self._there.clear)
            encoding, _, batched = self._encoding.partition(".")
            serializer = SERIALIZERS[encoding](batched=batched == "batched")
            if self._raw:
                factory: Any = WampRawSocketClientFactory(lambda made=made: made, serializer)
            else:
                url = f"ws://localhost:{self._port}/ws"
                factory = WampWebSocketClientFactory(lambda made=made: made, url=url, serializers=[serializer])
                factory.setProtocolOptions(openHandshakeTimeout=2, closeHandshakeTimeout=0.5)
            transport = None
            try:
                transport, protocol = await loop.create_connection(factory, "127.0.0.1", self._port)
                await asyncio.wait([made.joined, closed(protocol)], timeout=5, return_when=asyncio.FIRST_COMPLETED)
                if made.joined.done() and made.is_attached():
                    self.books.lives[self.name] += 1
                    with contextlib.suppress(ApplicationError, TransportLost):
                        await asyncio.wait_for(self._begin(made), 5)
                        self.life = made
                        if not made.over.done():
                            self._there.set()
                        await made.over
            except (OSError, TimeoutError):
                pass
            finally:
                self.life = None
                self._there.clear()
                if transport is not None:
                    transport.abort()

    async def calls(self, procedures: list[str], count: int) -> None:
        numbers = iter(range(count))

        async def lane() -> None:
            for number in numbers:
                await self.books.call(f"{self.name} {number}", lambda id, n=number: self._call(procedures, id, n))

        await asyncio.gather(*(lane() for _ in range(AT_ONCE)))

    async def _call(self, procedures: list[str], id: str, number: int) -> Any:
        await self._there.wait()
        life = self.life
        assert life is not None
        try:
            return await life.call(procedures[number % len(procedures)], id)
        except TransportLost:
            await asyncio.shield(life.over)  # it may be closing only
            raise

    async def publishes(self, count: int) -> None:
        for number in range(count):
            await self._there.wait()
            life = self.life
            assert life is not None
            self.books.published[self.name] += 1
            try:
                args = (self.name, str(life.session_id), number)
                await life.publish(TOPIC, *args, options=PublishOptions(acknowledge=True))
                self.books.taken.add((self.name, number))
            except (ApplicationError, TransportLost):
                await asyncio.shield(life.over)


def closed(protocol: Any) -> asyncio.Future[Any]:
    future: asyncio.Future[Any] = protocol.is_closed
    return future
