"""What both client programs do for each line on their standard input: a round of calls, and what it cost them."""

import asyncio
import sys
import time

WORKERS, EACH = 32, 60
TEXT = "x" * 100


async def rounds(call):
    """Prints the µs of this process's own processor time for a call: WORKERS at once, EACH one after the other."""

    async def worker():
        for _ in range(EACH):
            assert await call(7, TEXT) == TEXT

    loop = asyncio.get_running_loop()
    print("ready", flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        begun = time.process_time()
        await asyncio.gather(*[worker() for _ in range(WORKERS)])
        print((time.process_time() - begun) / (WORKERS * EACH) * 1e6, flush=True)
