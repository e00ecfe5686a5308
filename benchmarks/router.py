"""`limen router`: from the command to the first WELCOME, what it holds then, and with 10,000 idle sessions."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from pathlib import Path

from . import processes
from .environment import peers
from .load import framed, plain
from .measure import Report, alternate, resident
from .memory import opened
from .start import contestant

ROUNDS, SESSIONS = 7, 10_000
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    b"Sec-WebSocket-Protocol: wamp.2.json\r\n\r\n"
)
HELLO = framed(b'[1,"localhost",{"roles":{"caller":{}}}]', text=True)


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
    turns = {name: contestant(command, memory[name], work[name], welcomed) for name, command in commands.items()}
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
