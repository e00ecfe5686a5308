"""What a call costs a Python program that makes it: Limen's client beside Autobahn's, on the same server."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack

from . import processes
from .contestant import contestant
from .environment import peers
from .measure import Report, alternate

ROUNDS = 15


async def run(report: Report) -> None:
    report.topic("Python clients: processor time of the client for a call, 32 under way, both on uvloop")
    autobahn = peers("autobahn")
    async with AsyncExitStack() as stack:
        _, port = stack.enter_context(processes.limen())
        turns = {}
        for encoding in ("json", "msgpack"):
            limen = contestant(sys.executable, "client_limen.py", port, encoding)
            turns[f"limen, {encoding}"] = (await stack.enter_async_context(limen)).turn("go")
            other = contestant(autobahn, "client_autobahn.py", port, encoding)
            turns[f"autobahn, {encoding}"] = (await stack.enter_async_context(other)).turn("go")
        cost = report.figures(await alternate(ROUNDS, turns))
    for encoding in ("json", "msgpack"):
        report.target(f"limen / autobahn, {encoding}", cost[f"limen, {encoding}"] / cost[f"autobahn, {encoding}"], 0.40)
