"""A node that says something and one that listens, for tests of signals: in a tree without any connection, by one
connection, and by two."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from limen.base.path import Path
from limen.node.context import NodeContext
from limen.node.declared import handler
from limen.node.node import Node
from limen.node.signal import Signal
from limen.testing import MemoryConnection, connections, gen_ctx


class Places(NamedTuple):
    """Where the node is that says something, and where the one that listens; *far*: they are two."""

    here: NodeContext
    there: NodeContext
    far: bool
    connections: tuple[MemoryConnection, ...]


@pytest.fixture(params=["no connection", "one connection", "two connections"])
async def places(request: pytest.FixtureRequest) -> AsyncIterator[Places]:
    if request.param == "no connection":
        yield Places(gen_ctx(), gen_ctx(), False, ())
        return
    async with connections(1 if request.param == "one connection" else 2) as opened:
        yield Places(opened[0].new_context(), opened[-1].new_context(), len(opened) == 2, opened)


class Speaker(Node):
    on_foo = Signal()
    on_bar = Signal()

    def __init__(self) -> None:
        self.own: list[Any] = []

    @handler("on_foo")
    def own_foo(self, *args: Any, **kwargs: Any) -> None:
        self.own.append(args)


class Listener(Node):
    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.came = asyncio.Event()

    def note(self, *what: Any) -> None:
        self.heard.append(what)
        self.came.set()

    async def until(self, number: int) -> list[Any]:
        """What was heard, when it is that much."""
        async with asyncio.timeout(10):
            while len(self.heard) < number:
                self.came.clear()
                await self.came.wait()
        heard, self.heard = self.heard, []
        return heard


class All(Listener):
    @handler("@first.second")
    def of_second(self, *args: Any, **kwargs: Any) -> None:
        self.note("second", *args, *kwargs.items())

    @handler("@mark")
    def of_mark(self) -> None:
        self.note("mark")


class Bell(Node):
    on_marked = Signal()


async def settled(listener: Listener, marks: Bell) -> list[Any]:
    """What *listener* heard, when all that was said before has come: *marks* says one thing more."""
    await marks.on_marked.notify()
    async with asyncio.timeout(10):
        while ("mark",) not in listener.heard:
            listener.came.clear()
            await listener.came.wait()
    heard, listener.heard = listener.heard, []
    assert heard.pop() == ("mark",)
    return heard


class Stage(NamedTuple):
    first: Node
    second: Speaker
    listener: Any
    mark: Bell


async def stage(places: Places, listener: Listener) -> Stage:
    first, second, mark = Node(), Speaker(), Bell()
    base = Path("test")
    await first.node_bind(base + "first", places.here)
    await first.node_add("second", second)
    await mark.node_bind(base + "mark", places.here)
    await listener.node_bind(base + "listener", places.there)
    return Stage(first, second, listener, mark)
