"""Connections in memory: the seed's test of three nodes, and connections that are cut."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from limen import exc
from limen.base.path import Path
from limen.node.connection import when_connected
from limen.node.context import NodeContext
from limen.node.declared import call
from limen.node.node import Node
from limen.node.signal import Signal, handler
from limen.testing import Clock, MemoryConnection, connections, gen_ctx


async def three_nodes(context1: NodeContext, context2: NodeContext) -> None:
    ev = asyncio.Event()
    first = Node()

    class Second(Node):
        on_foo = Signal()

        async def call_third(self) -> None:
            await self.remote("@third").rpc("hello")

    class Third(Node):
        def __init__(self) -> None:
            self.handler_args: Any = None
            self.something: Any = None

        @handler("@first.second")
        def do_on_second_foo(self, *args: Any) -> None:
            self.handler_args = args
            ev.set()

        @call
        async def rpc(self, something: str) -> None:
            self.something = something

    base = Path("test")
    second = Second()
    third = Third()

    await first.node_bind(base + "first", context1)
    await third.node_bind(base + "third", context2)
    await first.node_add("second", second)

    await second.call_third()
    await second.on_foo.notify("hello handler")
    await ev.wait()

    assert third.something == "hello"
    assert third.handler_args == ("hello handler",)
    await first.node_unbind()
    await third.node_unbind()


async def test_three_nodes_on_two_connections() -> None:
    async with connections(2) as (connection1, connection2):
        await when_connected(connection1)
        await when_connected(connection2)
        await three_nodes(connection1.new_context(), connection2.new_context())
        realm = connection1.hub.realm(connection1.session.domain)
        assert [dict(session.registrations) | dict(session.subscriptions) for session in realm.sessions.values()] == [
            {},
            {},
        ]


async def test_three_nodes_without_any_connection() -> None:
    await three_nodes(gen_ctx(), gen_ctx())


async def test_what_is_bound_comes_back_with_its_connection() -> None:
    class Counter(Node):
        on_counted = Signal()

        def __init__(self) -> None:
            self.count = 0

        @call
        async def add(self, n: int) -> int:
            self.count += n
            return self.count

    async with connections(2) as (here, there):
        counter = Counter()
        await counter.node_bind("test.counter", here.new_context())
        root = Node()
        await root.node_bind("test.root", there.new_context())
        proxy = root.remote("test.counter")
        assert await proxy.add(1) == 1
        here.cut(away=True)
        assert counter.node_away
        with pytest.raises(exc.NotFound):
            await proxy.add(1)
        here.come_back()
        await when_connected(here)
        assert not counter.node_away
        assert await proxy.add(1) == 2
        there.cut(away=True)
        waiting = asyncio.ensure_future(proxy.add(1))
        there.come_back()
        assert await waiting == 3


async def test_whoever_waits_when_a_connection_is_cut_is_told() -> None:
    async def wait(invoked: Any) -> None:
        began.set()
        await asyncio.Event().wait()

    async with connections(2) as (a, b):
        for lost, sorry in ((a, exc.OutcomeUnknown), (b, exc.Canceled)):
            began = asyncio.Event()
            undo = await b.session.register("wait", wait)
            call = asyncio.ensure_future(a.session.call("wait"))
            await began.wait()
            lost.cut()
            with pytest.raises(sorry):
                await call
            await asyncio.gather(when_connected(a), when_connected(b))
            await undo()


async def test_a_connection_that_is_over_says_so() -> None:
    async with connections(1) as (a,):
        await a.close()
        await a.close()
        with pytest.raises(exc.ConnectionLost, match="closed"):
            await when_connected(a)


async def test_a_connection_that_nobody_answers_is_waited_for_until_it_is_closed() -> None:
    async with connections(1) as (a,):
        away = MemoryConnection.to(a.hub)
        away.cut(away=True)
        waiting = [asyncio.ensure_future(when_connected(away)) for _ in range(2)]
        await asyncio.sleep(0)
        waiting.pop().cancel()  # the other one still waits
        away.come_back()
        assert await waiting[0] is away
        await away.close()
        never = MemoryConnection.to(a.hub)
        never.cut(away=True)
        opening = asyncio.ensure_future(when_connected(never))
        await asyncio.sleep(0)
        await never.close()
        with pytest.raises(exc.ConnectionLost):
            await opening


def test_time_outs_go_by_the_clock() -> None:
    clock = Clock()

    async def main() -> None:
        async with connections(2) as (a, b):
            await b.session.register("wait", lambda call: asyncio.Event().wait())
            call = asyncio.ensure_future(a.session.apply("wait", timeout=60))
            await clock.advance(59)
            assert not call.done()
            await clock.advance(2)
            with pytest.raises(exc.Timeout):
                await call

    clock.run(main())
