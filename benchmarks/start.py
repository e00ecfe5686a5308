"""From the start of `limen serve` to its first answer, and what it holds then."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from . import processes
from .environment import peers
from .measure import Report, Turn, alternate, cpu, resident

ROUNDS = 5
REQUEST = b"GET /hello HTTP/1.1\r\nHost: localhost:%d\r\nConnection: close\r\n\r\n"


def contestant(
    command: Sequence[str | Path],
    memory: list[float],
    work: list[float],
    answers: Callable[[int], bool],
) -> Turn:
    """Starts *command* (PORT stands for a free port) and asks until it *answers*; gives seconds of the clock on the
    wall. *memory*: takes the MiB that it holds then; *work*: the seconds of processor time it has had."""

    async def turn() -> float:
        port = processes.free_port()
        words = [str(word).replace("PORT", str(port)) for word in command]
        begun = time.perf_counter()
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while not answers(port):
                if process.poll() is not None or time.perf_counter() - begun > 60:
                    raise RuntimeError(f"{words[0]} did not come up")
                await asyncio.sleep(0.002)
            taken = time.perf_counter() - begun
            memory.append(resident(process.pid) / 2**20)
            work.append(cpu(process.pid))
            return taken
        finally:
            process.terminate()
            process.wait(20)

    return turn


def serves(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as sock:
            sock.sendall(REQUEST % port)
            return sock.recv(65536).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


async def run(report: Report) -> None:
    report.topic("Start: from the command to the first answer, seconds of the clock on the wall")
    words: list[str | Path] = ["-m", "uvicorn", "fastapi_app:app", "--port", "PORT", "--app-dir", processes.SERVED]
    commands: dict[str, list[str | Path]] = {
        "limen serve": [processes.LIMEN, "serve", processes.SERVED / "hello.py", "--port", "PORT"],
        "fastapi, uvicorn": [peers("web"), *words, "--no-access-log", "--log-level", "warning"],
    }
    memory: dict[str, list[float]] = {name: [] for name in commands}
    work: dict[str, list[float]] = {name: [] for name in commands}
    turns = {name: contestant(command, memory[name], work[name], serves) for name, command in commands.items()}
    seconds = report.figures(await alternate(ROUNDS, turns), "s")
    report.figures({f"{name}, processor time": spent[1:] for name, spent in work.items()}, "s")
    held = report.figures({f"{name}, memory": found[1:] for name, found in memory.items()}, "MiB")
    report.target("limen serve answers first", seconds["limen serve"], 0.6, "s")
    report.target("limen serve holds", held["limen serve, memory"], 60, "MiB")
