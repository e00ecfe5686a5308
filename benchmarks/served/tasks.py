"""What every storage program does: for each line `task count` on its standard input, *count* operations of that task,
and on its standard output what one of them cost: µs of this process's own processor time."""

import asyncio
import sys
import time

TEXT = "buy milk, and while you are there bread"


def serve(tasks):
    """*tasks*: name to a function of how many times. Prints "ready", then an answer for each line."""
    print("ready", flush=True)
    for line in sys.stdin:
        name, count = line.split()
        before = time.process_time()
        tasks[name](int(count))
        print((time.process_time() - before) / int(count) * 1e6, flush=True)


async def serve_async(tasks):
    """The same for coroutine functions, on one event loop."""
    loop = asyncio.get_running_loop()
    print("ready", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        name, count = line.split()
        before = time.process_time()
        await tasks[name](int(count))
        print((time.process_time() - before) / int(count) * 1e6, flush=True)
