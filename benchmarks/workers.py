"""What two workers carry beside one: HTTP calls as in `http`, and calls that compute.

A worker carries what its core gives it, so what a call costs in processor time (the supervisor's and all workers')
tells how many calls N cores carry; waiting for each other would not show there. So calls that compute for some
milliseconds are counted by the clock on the wall, too, which tells something on a machine with nothing else to do.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from . import http, processes
from .load import awake
from .measure import Report, Turn, alternate, server_turn

CONNECTIONS, EACH, ROUNDS = 32, 50, 11
HEAVY_CONNECTIONS, HEAVY_EACH, HEAVY_ROUNDS = 16, 12, 5
HEAVY = b'{"number": 41, "name": "Ada Lovelace", "spins": 40000}'


class Computed(http.Browser):
    """Asks for a computation, again and again."""

    def __init__(self, port: int) -> None:
        head = http.request(port).partition(b"Content-Length")[0].replace(b"/order", b"/compute")
        super().__init__(head + b"Content-Length: %d\r\n\r\n%b" % (len(HEAVY), HEAVY))


async def carried(port: int) -> Turn:
    """A turn of calls that compute; gives seconds on the wall for each."""
    loop = asyncio.get_running_loop()
    browsers = [
        (await loop.create_connection(lambda: Computed(port), "127.0.0.1", port))[1] for _ in range(HEAVY_CONNECTIONS)
    ]

    async def turn() -> float:
        begun = time.perf_counter()
        await asyncio.gather(*[browser.begin(HEAVY_EACH) for browser in browsers])
        return (time.perf_counter() - begun) / (HEAVY_CONNECTIONS * HEAVY_EACH) * 1e6

    return turn


async def asked(pid: int, port: int) -> Turn:
    loop = asyncio.get_running_loop()
    browsers = [
        (await loop.create_connection(lambda: http.Browser(http.request(port)), "127.0.0.1", port))[1]
        for _ in range(CONNECTIONS)
    ]

    async def work() -> None:
        await awake(asyncio.gather(*[browser.begin(EACH) for browser in browsers]))

    return server_turn(pid, CONNECTIONS * EACH, work)


async def spread(port: int, count: int = 200) -> list[int]:
    """How many of so many connections each worker has."""
    there: dict[bytes, int] = {}
    lines = [b"POST /which HTTP/1.1", b"Host: localhost:%d" % port, b"Content-Type: application/json"]
    ask = b"\r\n".join([*lines, b"Content-Length: 2", b"", b"{}"])
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    for reader, writer in streams:
        writer.write(ask)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        pid = await reader.readexactly(length)
        there[pid] = there.get(pid, 0) + 1
        json.loads(pid)
    for _, writer in streams:
        writer.close()
    return sorted(there.values())


async def run(report: Report) -> None:
    report.topic(f"Workers: what two carry beside one; {CONNECTIONS} HTTP connections, an SQLite file")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = {
            count: stack.enter_context(
                processes.limen("limen_app.py", "--workers", str(count), "--db", f"sqlite:///{folder}/{count}.db")
            )
            for count in (1, 2)
        }
        for count, (_, port) in servers.items():
            await settled(port, count)
        print(f"  connections of each of two workers: {await spread(servers[2][1])}", flush=True)
        turns = {f"a call, {count} worker(s), processor time": await asked(*servers[count]) for count in servers}
        cost = list(report.figures(await alternate(ROUNDS, turns)).values())
        walls = {f"computing, {count} worker(s), on the wall": await carried(servers[count][1]) for count in servers}
        found = await alternate(HEAVY_ROUNDS, walls)
        report.figures(found)
        one, two = (median(rounds) for rounds in found.values())
    report.note("two carry × one, by processor time", 2 * cost[0] / cost[1])
    report.note("two carry × one, on the wall, computing", one / two)
    report.target("one / two, by processor time", cost[1] / cost[0] / 2, round(1 / 1.8, 3))


async def settled(port: int, count: int) -> None:
    """Waits until all workers take connections."""
    async with asyncio.timeout(30):
        while len(await spread(port, 40)) < count:
            await asyncio.sleep(0.2)
