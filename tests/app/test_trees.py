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
