"""A program of served/ that takes part: for each line that it is sent it does something and says what that cost."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from . import processes
from .measure import Turn


class Contestant:
    """A program that has said "ready"."""

    def __init__(self, process: Process, blame: str) -> None:
        self._process, self._blame = process, blame

    async def ask(self, line: str) -> float:
        """The number that it answers to *line*."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        return float(await self.line())

    def turn(self, line: str) -> Turn:
        """A turn that asks *line*."""
        return lambda: self.ask(line)

    async def line(self, seconds: float = 600) -> str:
        assert self._process.stdout is not None
        said = (await asyncio.wait_for(self._process.stdout.readline(), seconds)).decode().strip()
        if not said:
            with open(self._blame, errors="replace") as log:
                raise RuntimeError(f"{self._blame}: it ended:\n{log.read()[-4000:]}")
        return said


@asynccontextmanager
async def contestant(python: str, script: str, *arguments: object) -> AsyncIterator[Contestant]:
    """Runs *script* with *python* for the length of the block."""
    processes.SCRATCH.mkdir(parents=True, exist_ok=True)
    words = [str(processes.SERVED / script), *map(str, arguments)]
    log = processes.SCRATCH / ("-".join([script, *map(str, arguments[1:])]) + ".log")
    ours = {"PYTHONPATH": str(processes.ROOT / "src") if python == sys.executable else ""}
    with log.open("wb") as err:
        process = await asyncio.create_subprocess_exec(
            python, *words, stdin=PIPE, stdout=PIPE, stderr=err, env={**os.environ, **ours}
        )
    try:
        program = Contestant(process, str(log))
        if (said := await program.line(3600)) != "ready":  # some fill a store first
            raise RuntimeError(f"{script} said {said!r} instead of being ready")
        yield program
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
