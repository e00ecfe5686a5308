"""Trees of nodes that a program binds while it is served, and its own connections."""

from __future__ import annotations

import asyncio

import pytest

import limen
from limen import App, Connection, Node, call, exc
from limen.app.near import near
from limen.app.running import lifespan

ended: list[str] = []


class Counter(Node):
    def __init__(self) -> None:
        self.count = 0

    @call
    def add(self, n: int) -> int:
        self.count += n
        return self.count

    @limen.handler("on_node_unbind")
    def unbound(self) -> None:
        ended.append(str(self.node_path))


async def test_a_tree_is_bound_while_its_app_is_served() -> None:
    app = App()
    app.domains.add("b.example")

    @app.bind("shop.counter")
    class Shop(Counter): ...

    async def made() -> Node:
        return Counter()

    app.bind("shop.later", made, domain="b.example")
    ended.clear()
    async with lifespan(app):
        hub = app.open()
        async with near(hub, "localhost") as a, near(hub, "b.example") as b:
            assert await a.call("shop.counter.add", 2) == 2
            assert await b.call("shop.counter.add", 3) == 3  # each domain has its own
            assert await b.call("shop.later.add", 1) == 1
            with pytest.raises(exc.NotFound):
                await a.call("shop.later.add", 1)
        with pytest.raises(exc.InvalidCall, match="node_bind"):
            app.bind("shop.too.late", Counter)
    assert sorted(ended) == ["shop.counter", "shop.counter", "shop.later"]
    async with lifespan(app), near(app.open(), "localhost") as a:  # once more, from the beginning
        assert await a.call("shop.counter.add", 2) == 2


class Note:
    why: str


class Notes(Node):
    """Keeps a record at its bind, when it is called, and when it hears something."""

    def __init__(self, app: App) -> None:
        self.app, self.heard = app, asyncio.Event()

    @limen.handler("on_node_bind")
    async def began(self) -> None:
        await self.note("bound")

    @call
    async def note(self, why: str) -> list[str | None]:
        async with self.app.storage(why) as db:
            await db.insert(Note, why=why)
        state = limen.get_state()
        return [state.domain, state.user]

    @limen.handler("news.on_said")
    async def said(self, why: str) -> None:
        await self.note(why)
        self.heard.set()


async def test_what_a_tree_does_is_nobodys_at_its_domain_whoever_caused_it() -> None:
    app, nodes = App(), list[Notes]()
    app.domains.add("b.example")
    app.add_model(Note)

    def made() -> Notes:
        nodes.append(Notes(app))
        return nodes[-1]

    app.bind("notes", made, domain="b.example")
    async with lifespan(app):
        hub = app.open()

        @app.service(safe=False)
        async def tell() -> None:
            async with app.connection("b.example") as connection:
                await connection.session.publish("news.on_said", "heard")

        async with near(hub, "b.example") as b:
            assert await b.call("notes.note", "called") == ["b.example", None]
        async with near(hub, "localhost", principal=app.local("ada")) as ada:
            await ada.call("tell")
        await nodes[0].heard.wait()
    for domain, kept in (("localhost", []), ("b.example", ["bound", "called", "heard"])):
        with app.storage(domain=domain) as db:
            assert sorted(note.why for note in db.select(Note)) == kept


async def test_a_tree_that_cannot_be_bound_keeps_the_server_from_starting() -> None:
    app = App()
    app.bind("shop.counter", Counter)
    app.bind("shop.counter", Counter)
    with pytest.raises(exc.Error):
        async with lifespan(app):
            raise AssertionError("it began")
    assert not app.running


async def test_a_program_has_connections_of_its_own_while_it_is_served() -> None:
    app = App()
    with pytest.raises(exc.ConnectionLost, match="not being served"):
        app.connection()
    async with lifespan(app):
        with pytest.raises(exc.InvalidAddress, match="localhost"):
            app.connection("elsewhere.example")
        with pytest.raises(exc.ConnectionLost, match="another event loop"):
            await asyncio.to_thread(app.connection)
        async with app.connection() as a:
            counter = Counter()
            await counter.node_bind("shop.counter", a.new_context())
            left_open: Connection = await limen.when_connected(app.connection("localhost"))
            root = Node()
            await root.node_bind("root", left_open.new_context())
            assert await root.remote("shop.counter").add(4) == 4
    assert left_open.state == "closed"


async def test_an_app_is_served_once_at_a_time() -> None:
    app = App()
    async with lifespan(app):
        with pytest.raises(RuntimeError, match="another App"):
            async with lifespan(app):
                raise AssertionError("it began")
        async with app.connection() as connection:  # and the first one goes on
            assert connection.state == "online"

    def elsewhere() -> None:
        async def serve() -> None:
            async with lifespan(app):
                ...

        asyncio.run(serve())

    await asyncio.to_thread(elsewhere)  # one after the other, on whatever loop
