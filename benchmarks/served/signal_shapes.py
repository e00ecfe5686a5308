"""Signals to 100 handlers, by limen.node or, in another environment, by blinker.

methods 400    so many signals, each to a method of 100 objects, which are held weakly
async 400      … to 100 async handlers
nobody 400     … to nobody
connect 400    so many methods of objects connected and disconnected again
nodes 400      limen alone: a signal of a node, to 100 nodes of its tree that listen to its address
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

WIDTH = 100
KEPT: list[Any] = []
Shape = Callable[[int], Awaitable[None]]


class Listener:
    def hear(self, sender: Any, number: int) -> None: ...
    async def hear_later(self, sender: Any, number: int) -> None: ...


# Each as a program of that library reads: a layer between would be measured, too.
async def limen_shapes() -> dict[str, Shape]:
    from limen.base.path import Path
    from limen.node.declared import handler
    from limen.node.node import Node
    from limen.node.signal import Signal
    from limen.testing import gen_ctx

    class Speaker:
        on_said = Signal()

    listeners = [Listener() for _ in range(WIDTH)]
    plain, later, alone = Speaker(), Speaker(), Speaker()
    for one in listeners:
        plain.on_said.connect(one.hear)
        later.on_said.connect(one.hear_later)

    class Second(Node):
        on_said = Signal()

    class Listening(Node):
        @handler("@second")
        def heard(self, sender: Any, number: int) -> None: ...

    node = Second()
    base = Path("test")
    await node.node_bind(base + "second", gen_ctx())
    for at in range(WIDTH):
        await Listening().node_bind(base + f"l{at}", gen_ctx())

    def saying_of(speaker: Any) -> Shape:
        async def say(count: int) -> None:
            for number in range(count):
                await speaker.on_said.notify("me", number)

        return say

    async def connect(count: int) -> None:
        one = listeners[0]
        for _ in range(count):
            alone.on_said.connect(one.hear)
            alone.on_said.disconnect(one.hear)

    KEPT.extend(listeners)
    return {
        "methods": saying_of(plain),
        "async": saying_of(later),
        "nobody": saying_of(alone),
        "connect": connect,
        "nodes": saying_of(node),
    }


async def blinker_shapes() -> dict[str, Shape]:
    from blinker import Signal

    listeners = [Listener() for _ in range(WIDTH)]
    plain, later, alone = Signal(), Signal(), Signal()
    for one in listeners:
        plain.connect(one.hear)
        later.connect(one.hear_later)

    async def methods(count: int) -> None:
        for number in range(count):
            plain.send("me", number=number)

    async def many(count: int) -> None:
        for number in range(count):
            await later.send_async("me", number=number)

    async def nobody(count: int) -> None:
        for number in range(count):
            alone.send("me", number=number)

    async def connect(count: int) -> None:
        one = listeners[0]
        for _ in range(count):
            alone.connect(one.hear)
            alone.disconnect(one.hear)

    KEPT.extend(listeners)
    return {"methods": methods, "async": many, "nobody": nobody, "connect": connect}


async def main(library: str) -> None:
    shapes = await (limen_shapes() if library == "limen" else blinker_shapes())
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        name, count = line.split()
        begun = time.process_time()
        await shapes[name](int(count))
        print((time.process_time() - begun) / int(count) * 1e6, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
