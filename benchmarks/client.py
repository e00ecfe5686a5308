"""What a call costs a Python program that makes it: Limen's client beside Autobahn's, on the same server."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from . import processes
from .environment import peers
from .measure import Report, Turn, alternate

ROUNDS = 15


@asynccontextmanager
async def contestant(python: str, script: str, port: int, encoding: str) -> AsyncIterator[Turn]:
    """A client program, which does a round for each line that it is sent."""
    log = (processes.SCRATCH / script).with_suffix(".log")
    with log.open("wb") as err:
        process = await asyncio.create_subprocess_exec(
            python, str(processes.SERVED / script), str(port), encoding, stdin=PIPE, stdout=PIPE, stderr=err,
            env={**os.environ, "PYTHONPATH": str(processes.ROOT / "src") if python == sys.executable else ""},
        )  # fmt: skip
    try:
        if await _line(process) != "ready":
            raise RuntimeError(f"{script} did not come up:\n{log.read_text(errors='replace')[-4000:]}")

        async def turn() -> float:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            line = await _line(process)
            if not line:
                raise RuntimeError(f"{script} ended:\n{log.read_text(errors='replace')[-4000:]}")
            return float(line)

        yield turn
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _line(process: Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()


async def run(report: Report) -> None:
    report.topic("Python clients: processor time of the client for a call, 32 under way, both on uvloop")
    autobahn = peers("autobahn")
    async with AsyncExitStack() as stack:
        _, port = stack.enter_context(processes.limen())
        turns = {}
        for encoding in ("json", "msgpack"):
            limen = contestant(sys.executable, "client_limen.py", port, encoding)
            turns[f"limen, {encoding}"] = await stack.enter_async_context(limen)
            other = contestant(autobahn, "client_autobahn.py", port, encoding)
            turns[f"autobahn, {encoding}"] = await stack.enter_async_context(other)
        cost = report.figures(await alternate(ROUNDS, turns))
    for encoding in ("json", "msgpack"):
        report.target(f"limen / autobahn, {encoding}", cost[f"limen, {encoding}"] / cost[f"autobahn, {encoding}"], 0.40)
