"""What an idle session holds: plain, sealed, and beside them a bare picows connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from . import processes
from .load import connect, plain, sealed
from .measure import Report, resident

SESSIONS, WARM = 2000, 100
AT_ONCE = 4
"""An account has five tries from addresses that it never came from; each of ours is new."""


def loopback(number: int) -> str:
    """One of 16 million addresses of this machine: no origin has too many logins under way."""
    return f"127.1.{number // 200}.{number % 200 + 1}"


async def opened(count: int, opens: Callable[..., Awaitable[object]], first: int = 0) -> list[object]:
    """*count* connections from as many addresses, AT_ONCE at once."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> object:
        async with room:
            return await opens(local=loopback(number))

    return await asyncio.gather(*[one(number) for number in range(first, first + count)])


async def growth(pid: int, opens: Callable[..., Awaitable[object]]) -> float:
    """KiB that the server holds for each of SESSIONS connections, all idle; the first WARM have warmed it up."""
    warm = await opened(WARM, opens)
    await asyncio.sleep(1.5)  # what is done once a second has been done
    before = resident(pid)
    held = await opened(SESSIONS, opens, first=WARM)
    await asyncio.sleep(1.5)
    grown = (resident(pid) - before) / SESSIONS / 1024
    del warm, held
    return grown


async def run(report: Report) -> None:
    report.topic(f"Memory: an idle session, at {SESSIONS:,}")
    found: dict[str, list[float]] = {}
    with processes.python("picows_echo.py") as (pid, port):
        found["picows, bare"] = [await growth(pid, partial(connect, port))]
    for encoding in ("json", "msgpack"):
        for kind, opens in (("limen", plain), ("limen, sealed", sealed)):
            with processes.limen() as (pid, port):
                found[f"{kind}, {encoding}"] = [await growth(pid, partial(opens, port, encoding))]
    cost = report.figures(found, "KiB")
    for encoding in ("json", "msgpack"):
        report.target(f"plain, {encoding}", cost[f"limen, {encoding}"], 16, "KiB")
    for encoding in ("json", "msgpack"):
        report.target(f"sealed, {encoding}", cost[f"limen, sealed, {encoding}"], 24, "KiB")
