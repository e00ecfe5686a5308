"""A call over a WebSocket that the server itself answers: plain, sealed, and on a worker thread."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from . import processes
from .load import Session, call_round, check, connect, exchange, plain, sealed
from .measure import MICROSECONDS, Report, Turn, alternate, cpu

CONNECTIONS, EACH, ROUNDS = 32, 80, 25
ECHO = 8.0
"""µs of a picows echo on the machine for which the targets were set."""
TEXT = "x" * 100
ARGS: list[Any] = [7, TEXT]
LINE = b"x" * 200


def calls(pid: int, sessions: list[Session], uri: str) -> Turn:
    async def turn() -> float:
        run = await call_round(sessions, uri, ARGS, EACH)
        before = cpu(pid)
        answers = await run()
        spent = cpu(pid) - before
        check(sessions, answers, TEXT)
        return spent / (len(sessions) * EACH) * MICROSECONDS

    return turn


async def echo(pid: int, port: int) -> Turn:
    talkers = [await connect(port) for _ in range(CONNECTIONS)]
    scripts = [[LINE] * EACH for _ in talkers]

    async def turn() -> float:
        before = cpu(pid)
        await exchange(talkers, scripts)
        return (cpu(pid) - before) / (CONNECTIONS * EACH) * MICROSECONDS

    return turn


async def run(report: Report) -> None:
    report.topic(f"WebSocket: a call answered in the server, an int and {len(TEXT)} characters, {CONNECTIONS} sessions")
    with ExitStack() as stack:
        echo_server = stack.enter_context(processes.python("picows_echo.py"))
        pid, port = stack.enter_context(processes.limen())
        plains = {name: [await plain(port, name) for _ in range(CONNECTIONS)] for name in ("json", "msgpack")}
        sealeds = {name: [await sealed(port, name) for _ in range(CONNECTIONS)] for name in ("json", "msgpack")}
        turns = {"picows, echo of 200 bytes": await echo(*echo_server)}
        for name in ("json", "msgpack"):
            turns[f"limen, inline, {name}"] = calls(pid, plains[name], "quick")
            turns[f"limen, inline, sealed, {name}"] = calls(pid, sealeds[name], "quick_sealed")
        turns["limen, def on its thread, json"] = calls(pid, plains["json"], "threaded")
        cost = report.figures(await alternate(ROUNDS, turns))
    bare = cost["picows, echo of 200 bytes"]
    # The targets are µs on a machine whose echo takes 8: what counts is the ratio.
    for name in ("json", "msgpack"):
        report.target(f"inline, {name} / echo", cost[f"limen, inline, {name}"] / bare, 15 / ECHO)
    for name in ("json", "msgpack"):
        report.target(f"sealed, {name} / echo", cost[f"limen, inline, sealed, {name}"] / bare, 35 / ECHO)
    thread = cost["limen, def on its thread, json"] - cost["limen, inline, json"]
    report.target("thread above inline / echo", thread / bare, 50 / ECHO)
