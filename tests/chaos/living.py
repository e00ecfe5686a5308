"""A tree of live objects through a storm: calls, signals and changes of state between nodes whose connections delay,
swallow and are cut. What is done and what becomes of it stands in the books of crowd.py."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from crowd import AT_ONCE, Books
from place import Place
from storm import Storm
from waiting import until

from limen import Connection, Node, Path, Signal, call, exc, handler, when_connected

KEYS = 50


class Work(Node):
    """What others call, hear and mirror; in the storm itself."""

    on_said = Signal()

    def __init__(self, books: Books) -> None:
        self.books = books
        self.there = asyncio.Event()
        """Its connection is there: else calls would find nobody, one after the other."""

    @handler("on_node_registration_success")
    def begun(self) -> None:
        connection = self.node_context.connection
        connection.on("restored", self.there.set)
        connection.on("offline", self.there.clear)
        self.there.set()

    @call
    async def do(self, id: str) -> str:
        self.books.ran[id] += 1
        await asyncio.sleep(0)
        return id

    async def live(self, count: int) -> None:
        """*count* changes, and as many signals, one after the other; one whose connection is lost is not said again."""
        for number in range(count):
            self[f"key {number % KEYS}"] = number
            if number % 7 == 0:
                self.pop(f"key {number // 7 % KEYS}", None)
            await self.there.wait()
            self.books.published["work"] += 1
            with contextlib.suppress(exc.Error, ExceptionGroup):
                await self.on_said.notify("work", str(self.node_context.session.id), number)
                self.books.taken.add(("work", number))


class Caller(Node):
    """Calls it, hears it, and keeps a mirror of it."""

    def __init__(self, name: str, books: Books, there: asyncio.Event) -> None:
        self.name, self.books, self.there = name, books, there
        self.hears = books.hears(name)
        self.mirror: Any = None

    @handler("@work.on_said")
    def heard(self, publisher: str, session: str, number: int) -> None:
        self.hears(publisher, session, number)

    async def live(self, count: int) -> None:
        """*count* calls, some at once; the mirror is made among them."""
        work, numbers = self.remote("@work", timeout=30), iter(range(count))

        async def lane() -> None:
            for number in numbers:
                await self.there.wait()
                await self.books.call(f"{self.name} {number}", work.do)

        async def reflect() -> None:
            while self.mirror is None:
                with contextlib.suppress(exc.Error):
                    self.mirror = await work.stream()

        await asyncio.gather(reflect(), *(lane() for _ in range(AT_ONCE)))


async def rage(place: Place, seed: int, calls: int, events: int) -> Storm:
    """*calls* calls, *events* signals and as many changes through a storm; gives it when it is over, all mirrors agree
    and nothing is bound. One caller is not in it: nobody's loss may be its own."""
    books = place.books
    async with Storm(place.port, seed) as storm, contextlib.AsyncExitStack() as stack:
        stormy, calm = f"http://localhost:{storm.at}", place.url
        storm.calm = True  # whoever was never there cannot come back
        work = Work(books)
        callers = [Caller(name, books, work.there) for name in ("calm", "one", "other")]
        nodes: list[tuple[str, Node, str]] = [("work", work, stormy)]
        nodes += [(caller.name, caller, calm if caller.name == "calm" else stormy) for caller in callers]
        opened = []
        for name, node, url in nodes:
            connection = await stack.enter_async_context(Connection(url, "localhost", timeout=30))
            opened.append(connection)
            await node.node_bind(Path("test") + name, connection.new_context())
        storm.calm = False
        each, more = divmod(calls, len(callers))
        shares = [each + more, each, each]
        await asyncio.gather(work.live(events), *(caller.live(n) for caller, n in zip(callers, shares, strict=True)))
        storm.calm = True
        await asyncio.gather(*map(when_connected, opened))
        await callers[0].remote("@work").do("last")  # behind all signals
        books.ran.pop("last")
        for caller in callers:
            mirror = caller.mirror
            await until(lambda mirror=mirror: mirror.synced and dict(mirror) == dict(work), 20)
        for _, node, _ in nodes:
            await node.node_unbind()
        assert [connection.tree.nodes for connection in opened] == [{}] * len(opened)
    await until(lambda: not place.connections)
    return storm
