"""The HTTP call of `http.py`, under uvicorn: Limen alone, below a prefix, and below FastAPI beside its own route.

What Limen itself adds for standing below another application is what a call below a prefix costs more than one alone.
Below FastAPI come its middleware and routing, which cost each request something, whatever is mounted: a bare ASGI
application, alone and below, says how much.
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
        alone, prefixed, bare, below = (
            stack.enter_context(processes.uvicorn(sys.executable, f"mounting:{name}"))
            for name in ("alone", "prefixed", "bare", "below")
        )
        turns = {
            "limen": await contestant(*alone),
            "limen below a prefix": await contestant(*prefixed, "/live/order"),
            "limen below fastapi": await contestant(*below, "/live/order"),
            "bare asgi": await contestant(*bare),
            "bare asgi below fastapi": await contestant(*below, "/bare/order"),
            "fastapi's own route": await contestant(*below, "/own/order"),
        }
        cost = report.figures(await alternate(ROUNDS, turns))
    report.target("limen below a prefix / limen", cost["limen below a prefix"] / cost["limen"], 1.10)
    report.target(
        "limen below fastapi / fastapi's own route", cost["limen below fastapi"] / cost["fastapi's own route"], 1
    )
