"""The HTTP call of `http.py`, under uvicorn: Limen alone, Limen mounted below FastAPI, and a route of FastAPI's own.

FastAPI's middleware and routing cost each request something, whatever is mounted: a bare ASGI application, alone and
below, says how much. The rest is what Limen itself adds for standing below a prefix.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack

from . import processes
from .http import CONNECTIONS, contestant
from .measure import Report, alternate

ROUNDS = 9


async def run(report: Report) -> None:
    report.topic(f"Mounting: POST to an async service, as above, under uvicorn, {CONNECTIONS} connections")
    with ExitStack() as stack:
        alone, bare, below = (
            stack.enter_context(processes.uvicorn(sys.executable, f"mounting:{name}"))
            for name in ("alone", "bare", "below")
        )
        turns = {
            "limen": await contestant(*alone),
            "limen below fastapi": await contestant(*below, "/live/order"),
            "bare asgi": await contestant(*bare),
            "bare asgi below fastapi": await contestant(*below, "/bare/order"),
            "fastapi's own route": await contestant(*below, "/own/order"),
        }
        cost = report.figures(await alternate(ROUNDS, turns))
    added = cost["limen below fastapi"] - cost["limen"]
    routing = cost["bare asgi below fastapi"] - cost["bare asgi"]
    report.target("added by mounting, but for fastapi's routing / limen", (added - routing) / cost["limen"], 0.10)
    report.target("limen below / fastapi's own route", cost["limen below fastapi"] / cost["fastapi's own route"], 1.0)
