"""What a session of an application holds at rest in `limen serve`, beside the WAMP session that it comes over: a
controller, a proxy of its view, and a cursor below it; what it costs to begin one, and to end one.

Phoenix LiveView's documentation says 40 KiB of a process of its own for a LiveView at rest
(hexdocs.pm/phoenix_live_view, "Phoenix.LiveView", hibernated processes); it is not run here.
"""

from __future__ import annotations

import asyncio

from limen import Connection
from limen.session import start_session

from . import processes
from .measure import Report, cpu, resident

SESSIONS, WARM = 1000, 100
AT_ONCE = 8
AT_MOST = 40
"""KiB, Phoenix LiveView's figure."""


async def opened(port: int, count: int) -> list[Connection]:
    """*count* connections, each with a registration and the subscriptions of a page's, as a page has them."""
    room, connections = (
        asyncio.Semaphore(AT_ONCE),
        [Connection(f"http://localhost:{port}", "localhost") for _ in range(count)],
    )

    async def one(connection: Connection) -> None:
        async with room:
            await connection.connected()

    await asyncio.gather(*map(one, connections))
    return connections


async def begun(connections: list[Connection]) -> list[object]:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(connection: Connection) -> object:
        async with room:
            return await start_session(connection, "shop")

    return await asyncio.gather(*map(one, connections))


async def run(report: Report) -> None:
    report.topic(f"Sessions of an application: controller, view, cursor, at {SESSIONS:,}")
    with processes.limen("appsession_app.py") as (pid, port):
        warm = await opened(port, WARM)
        held = [await begun(warm)]
        await asyncio.sleep(1.5)
        before = resident(pid)
        connections = await opened(port, SESSIONS)
        await asyncio.sleep(1.5)
        plain = resident(pid)
        processor = cpu(pid)
        held.append(await begun(connections))
        processor = cpu(pid) - processor
        await asyncio.sleep(1.5)
        both = resident(pid)
        ending = cpu(pid)
        await asyncio.gather(*(connection.close() for connection in (*warm, *connections)))
        await asyncio.sleep(3.0)  # their time is up, and all of it was unbound
        ending = cpu(pid) - ending
    kib = {
        "its WAMP session": [(plain - before) / SESSIONS / 1024],
        "a session of an application": [(both - plain) / SESSIONS / 1024],
    }
    cost = report.figures(kib, "KiB")
    report.target("a session of an application", cost["a session of an application"], AT_MOST, "KiB")
    report.note("to begin one, all that a page asks", processor / SESSIONS * 1e6, "µs")
    report.note("to end one that does not return, and its WAMP session", ending / (SESSIONS + WARM) * 1e6, "µs")
