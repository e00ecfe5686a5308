"""`limen router`: from the command to the first WELCOME, what it holds then, and with 10,000 idle sessions."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from . import processes
from .environment import peers
from .load import framed, plain
from .measure import Report, Turn, alternate, cpu, resident
from .memory import opened

ROUNDS, SESSIONS = 7, 10_000
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    b"Sec-WebSocket-Protocol: wamp.2.json\r\n\r\n"
)
HELLO = framed(b'[1,"localhost",{"roles":{"caller":{}}}]', text=True)


def started(command: Sequence[str | Path], memory: list[float], work: list[float]) -> Turn:
    """Starts *command* (PORT stands for a free port) and knocks until it says WELCOME; gives seconds of the clock on
    the wall. *memory*: takes the MiB that it holds then; *work*: the seconds of processor time it has had."""

    async def turn() -> float:
        port = processes.free_port()
        words = [str(word).replace("PORT", str(port)) for word in command]
        begun = time.perf_counter()
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while not welcomed(port):
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


def welcomed(port: int) -> bool:
    """Whether a HELLO is answered with WELCOME."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as sock:
            sock.sendall(UPGRADE % port)
            data = b""
            while b"\r\n\r\n" not in data:
                if not (more := sock.recv(65536)):
                    return False
                data += more
            sock.sendall(HELLO)
            return b"[2," in sock.recv(65536)
    except OSError:
        return False


async def run(report: Report) -> None:
    report.topic("`limen router`: from the command to the first WELCOME, seconds of the clock on the wall")
    commands: dict[str, list[str | Path]] = {
        "limen router": [processes.LIMEN, "router", "--realm", "localhost", "--anonymous", "--port", "PORT"],
        "xconn's router": [peers("xconn"), processes.SERVED / "xconn_router.py", "PORT"],
    }
    memory: dict[str, list[float]] = {name: [] for name in commands}
    work: dict[str, list[float]] = {name: [] for name in commands}
    turns = {name: started(command, memory[name], work[name]) for name, command in commands.items()}
    seconds = report.figures(await alternate(ROUNDS, turns), "s")
    report.figures({f"{name}, processor time": spent[1:] for name, spent in work.items()}, "s")
    held = report.figures({f"{name}, memory": found[1:] for name, found in memory.items()}, "MiB")
    report.target("limen router says WELCOME first", seconds["limen router"], 0.4, "s")
    report.target("limen router holds", held["limen router, memory"], 50, "MiB")

    report.topic(f"`limen router` with {SESSIONS:,} idle sessions")
    found: dict[str, list[float]] = {}
    for encoding in ("json", "msgpack"):
        with processes.router() as (pid, port):
            sessions = await opened(SESSIONS, partial(plain, port, encoding))
            await asyncio.sleep(1.5)  # what is done once a second has been done
            found[encoding] = [resident(pid) / 2**20]
            del sessions
    for encoding, value in report.figures(found, "MiB").items():
        report.target(f"{SESSIONS:,} sessions, {encoding}", value, 200, "MiB")
