"""The HTTP call of `http.py`, under uvicorn: Limen alone, below a prefix, before FastAPI (`limen.asgi(inner)`), and
below FastAPI; and what FastAPI's own route costs in each place.

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
        alone, prefixed, bare, below, inner, outermost = (
            stack.enter_context(processes.uvicorn(sys.executable, target))
            for target in (
                *(f"mounting:{name}" for name in ("alone", "prefixed", "bare", "below")),
                *(f"outermost:{name}" for name in ("inner", "outermost")),
            )
        )
        turns = {
            "limen": await contestant(*alone),
            "limen below a prefix": await contestant(*prefixed, "/live/order"),
            "limen before fastapi": await contestant(*outermost),
            "limen below fastapi": await contestant(*below, "/live/order"),
            "bare asgi": await contestant(*bare),
            "bare asgi below fastapi": await contestant(*below, "/bare/order"),
            "fastapi's own route, without limen": await contestant(*inner, "/own/order"),
            "the same, limen before it": await contestant(*outermost, "/own/order"),
            "the same, limen mounted below": await contestant(*below, "/own/order"),
        }
        cost = report.figures(await alternate(ROUNDS, turns))
    report.target("limen below a prefix / limen", cost["limen below a prefix"] / cost["limen"], 1.10)
    report.target("limen before fastapi / limen", cost["limen before fastapi"] / cost["limen"], 1.10)
    route = cost["fastapi's own route, without limen"]
    report.target("fastapi, limen before it / without", cost["the same, limen before it"] / route, 1.10)
    report.target("limen below fastapi / fastapi's own route", cost["limen below fastapi"] / route, 1)
    report.note("limen below fastapi / limen", cost["limen below fastapi"] / cost["limen"])
    report.note("bare asgi below fastapi / bare asgi", cost["bare asgi below fastapi"] / cost["bare asgi"])
