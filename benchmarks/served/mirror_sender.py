"""The sending side of mirrors: for each line so many changed keys, each told as a message that is ready for the socket.

alone 2000      nobody mirrors the node
one 2000        one mirror, a message a key
batch 2000      one mirror, a message for each 100 keys that changed together
ten 2000        ten mirrors
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator

from limen import Node, batch
from limen.core.wamp.codecs import codec
from limen.core.wamp.messages import Yield
from limen.node.passing import outgoing
from limen.testing import gen_ctx

KEYS = [f"key {number}" for number in range(100)]
encode = codec("json").encode


async def send(streams: list[AsyncIterator[list[object]]]) -> None:
    for stream in streams:
        encode(Yield(7, {"progress": True}, [outgoing(await anext(stream))]))


async def main() -> None:
    value = 0
    print("ready", flush=True)
    for line in sys.stdin:
        kind, count = line.split()
        mirrors, step = {"alone": (0, 1), "one": (1, 1), "batch": (1, 100), "ten": (10, 1)}[kind]
        node = Node()
        async with node.bound("bench.node", gen_ctx()):
            node.update(dict.fromkeys(KEYS, 0))
            streams = [node.stream() for _ in range(mirrors)]
            await send(streams)
            begun = time.process_time()
            for _ in range(int(count) // step):
                value += 1
                with batch():
                    for key in KEYS[:step]:
                        node[key] = value
                await send(streams)
            print((time.process_time() - begun) / int(count) * 1e6, flush=True)
            for stream in streams:
                await stream.aclose()


asyncio.run(main())
