"""Nodes, and what is beneath them: `node_shapes.py PORT`, of a router where everybody may do everything.

near 400       so many calls of a node of the same connection; near_async: of an async method
bare 400       … of a procedure that one session has registered and the other calls, 32 under way
nodes 400      … of the same by nodes and proxies
memory 1000    bytes that a bound node without calls holds, of so many
bind 1000      milliseconds to bind a tree of so many nodes with 3 calls each; unbind: … and to unbind it
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

from limen import Connection, Node, Path, call, when_connected
from limen.client.callee import Invoked

AT_ONCE, TEXT = 32, "x" * 100
BASE = Path("bench")


class Echo(Node):
    @call
    def echo(self, number: int, text: str) -> list[Any]:
        return [number, text]

    @call
    async def later(self, number: int, text: str) -> int:
        return number

    @call
    def quick(self, number: int, text: str) -> int:
        return number


async def at_once(count: int, one: Callable[[int, str], Awaitable[Any]]) -> None:
    async def some(begin: int) -> None:
        for number in range(begin, count, AT_ONCE):
            await one(number, TEXT)

    await asyncio.gather(*map(some, range(AT_ONCE)))


class Shapes:
    def __init__(self, asked: Connection, asking: Connection) -> None:
        self.asked, self.asking = asked, asking
        self.tree: Node = Node()

    async def begin(self) -> None:
        self.caller, self.beside = Node(), Node()
        await Echo().node_bind(BASE + "echo", self.asked.new_context())
        await self.beside.node_bind(BASE + "beside", self.asked.new_context())
        await self.caller.node_bind(BASE + "caller", self.asking.new_context())

        def echo(invoked: Invoked) -> list[Any]:
            number, text = invoked.args
            return [number, text]

        await self.asked.session.register("bare.echo", echo)

    async def near(self, count: int) -> float:
        return await self._near(count, "quick")

    async def near_async(self, count: int) -> float:
        return await self._near(count, "later")

    async def _near(self, count: int, name: str) -> float:
        there = self.beside.remote("@echo")
        before = time.process_time()
        for number in range(count):
            await getattr(there, name)(number, TEXT)
        return (time.process_time() - before) / count * 1e6

    async def bare(self, count: int) -> float:
        session = self.asking.session
        before = time.process_time()
        await at_once(count, lambda number, text: session.call("bare.echo", number, text))
        return (time.process_time() - before) / count * 1e6

    async def nodes(self, count: int) -> float:
        there = self.caller.remote("@echo")
        before = time.process_time()
        await at_once(count, lambda number, text: there.echo(number, text))
        return (time.process_time() - before) / count * 1e6

    async def memory(self, count: int) -> float:
        root = Node()
        await root.node_bind(BASE + "memory", self.asked.new_context())
        await root.node_add("first", Node())
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for number in range(count):
            await root.node_add(f"n{number}", Node())
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        await root.node_unbind()
        return held / count

    async def bind(self, count: int) -> float:
        self.tree = Node()
        for number in range(count):
            await self.tree.node_add(f"n{number}", Echo())
        gc.collect()
        before = time.process_time()
        await self.tree.node_bind(BASE + "tree", self.asked.new_context())
        return (time.process_time() - before) * 1e3

    async def unbind(self, count: int) -> float:
        before = time.process_time()
        await self.tree.node_unbind()
        return (time.process_time() - before) * 1e3


async def main(port: str) -> None:
    url = f"http://localhost:{port}"
    asked, asking = Connection(url, "localhost"), Connection(url, "localhost")
    for connection in (asked, asking):
        await when_connected(connection)
    shapes = Shapes(asked, asking)
    await shapes.begin()
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        shape, count = line.split()
        print(await getattr(shapes, shape)(int(count)), flush=True)


uvloop.run(main(*sys.argv[1:]))
