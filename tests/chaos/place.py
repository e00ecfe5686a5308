"""The server in the middle of it, on real sockets in this process; and what may not be left of it when all are gone."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from crowd import LOCAL, ROUTED, TOPIC, Books, Life, Robin, limen_calls, limen_publishes
from house import House
from storm import Storm
from waiting import until

from limen import App, connect
from limen.core.wamp.calls.pending import PendingCall
from limen.core.wamp.session import Session
from limen.door.hub.counts import picture
from limen.door.ws.connection import Connection
from limen.transport.batched import Batched
from limen.transport.connection import Connection as WebSocket
from limen.transport.rawsocket import RawSocket, RawSocketServer

MORTAL = (Session, PendingCall, Connection, WebSocket, RawSocket, Batched)
"""What there is one of for each session, connection or call."""
ENCODINGS = ("json", "msgpack", "cbor")
BATCHED = ("json.batched", "msgpack", "cbor.batched")


class Place(House):
    """A server with one service, open to everybody who registers, publishes and subscribes."""

    def __init__(self, keys: Path, books: Books) -> None:
        super().__init__(keys)
        self.books = books
        self.raw_port = 0

    def _app(self) -> App:
        app = super()._app()
        app.open_realms = True
        books = self.books

        @app.service(safe=False)
        async def work(id: str) -> str:
            books.ran[id] += 1
            await asyncio.sleep(0)
            return id

        return app

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Place]:
        await self.start()
        raw = RawSocketServer(self.app.accept, self.app.config)
        listener = await asyncio.get_running_loop().create_server(raw.protocol, "127.0.0.1", 0)
        self.raw_port = listener.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            listener.close()
            raw.shutdown()
            await self.stop()

    def left(self) -> dict[str, Any]:
        """What of sessions, calls and subscriptions is left."""
        gc.collect()
        hub: Any = self.app.hub
        shown = picture(hub)
        numbers = ("connections", "registrations", "subscriptions", "pending", "queued", "running", "tabs")
        found: dict[str, Any] = {name: shown[name] for name in numbers if shown.get(name)}
        found |= {"sessions": rows} if (rows := shown["sessions"]) else {}
        alive = Counter(type(one).__qualname__ for one in gc.get_objects() if type(one) in MORTAL)
        return found | dict(alive)


async def rage(place: Place, seed: int, calls: int, events: int) -> Storm:
    """*calls* calls and *events* events, by all kinds of clients, through a storm; gives it when it is over. One client
    is not in it: nobody's loss may be its own."""
    books = place.books
    each = calls // 11
    async with (
        Storm(place.port, seed) as ws,
        Storm(place.raw_port, seed + 1) as raw,
        contextlib.AsyncExitStack() as stack,
    ):
        url = f"http://localhost:{ws.at}"

        async def callee(life: Life) -> None:
            async def routed(id: str) -> str:
                books.ran[id] += 1
                await asyncio.sleep(0.01)  # so that calls wait for it whenever its connection is cut
                return id

            await life.register(routed, ROUTED)

        def listener(name: str) -> Any:
            async def begin(life: Life) -> None:
                await life.subscribe(books.hears(name), TOPIC)

            return begin

        robins = [Robin(books, "callee", raw.at, True, "msgpack", callee)]
        robins += [Robin(books, f"ws {one}", ws.at, False, one, listener(f"ws {one}")) for one in BATCHED]
        robins += [Robin(books, f"raw {one}", raw.at, True, one, listener(f"raw {one}")) for one in ENCODINGS]
        living = [asyncio.ensure_future(robin.live()) for robin in robins]
        try:
            opened = [connect(url, encoding=one) for one in ("json", "msgpack")]
            opened += [connect(url, "ada", "correct horse", encoding=one) for one in ("msgpack", "cbor")]
            ws.calm = True  # nobody comes back from a first time
            sessions = [await stack.enter_async_context(session) for session in opened]
            ws.calm = False
            for number, session in enumerate(sessions):
                await session.subscribe(TOPIC, books.hears(f"limen {number}"))
            calm = await stack.enter_async_context(connect(place.url))
            await calm.subscribe(TOPIC, books.hears("calm"))
            plain, sealed = sessions[:2], sessions[2:]
            doing = [limen_calls(books, calm, "calm", [ROUTED], calls - 10 * each)]
            doing += [limen_calls(books, one, f"plain {n}", [LOCAL, ROUTED], each) for n, one in enumerate(plain)]
            doing += [limen_calls(books, one, f"sealed {n}", [LOCAL], each) for n, one in enumerate(sealed)]
            doing += [robin.calls([LOCAL, ROUTED], each) for robin in robins[1:]]
            doing += [limen_publishes(books, one, f"plain {n}", events // 4) for n, one in enumerate(plain)]
            doing += [robin.publishes(events // 4) for robin in (robins[1], robins[-1])]
            await asyncio.gather(*doing)
            await calm.call(LOCAL, "last")  # behind all events
            books.ran.pop("last")
            ws.calm = raw.calm = True
        finally:
            for one in living:
                one.cancel()
            await asyncio.gather(*living, return_exceptions=True)
    await until(lambda: not place.connections)
    ws.cuts += raw.cuts
    ws.swallowed += raw.swallowed
    return ws
