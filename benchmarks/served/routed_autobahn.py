"""Autobahn's asyncio client as caller and callee, over a router: `routed_autobahn.py PORT`. For each line `bare COUNT`
so many calls, 32 under way; answers the processor time of one in µs, both halves together."""

import asyncio
import sys
import time

import uvloop
from autobahn.asyncio.component import Component

AT_ONCE, TEXT = 32, "x" * 100
where = {"type": "websocket", "url": f"ws://localhost:{sys.argv[1]}/ws", "serializers": ["msgpack"]}
callee, caller = (Component(transports=[where], realm="localhost") for _ in range(2))
registered = asyncio.Event()


@callee.on_join
async def answer(session, details):
    await session.register(lambda number, text: [number, text], "autobahn.echo")
    registered.set()


@caller.on_join
async def ask(session, details):
    await registered.wait()
    print("ready", flush=True)
    while line := await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
        count = int(line.split()[1])

        async def some(begin, count=count):
            for number in range(begin, count, AT_ONCE):
                await session.call("autobahn.echo", number, TEXT)

        before = time.process_time()
        await asyncio.gather(*map(some, range(AT_ONCE)))
        print((time.process_time() - before) / count * 1e6, flush=True)


async def main():
    await asyncio.gather(callee.start(), caller.start())


loop = uvloop.new_event_loop()
asyncio.set_event_loop(loop)
loop.run_until_complete(main())
