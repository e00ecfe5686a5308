"""An HTTP call of an async service: one typed int and str, JSON in and out, keep-alive."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import Any

from . import processes
from .environment import peers
from .load import awake
from .measure import Report, Turn, alternate, server_turn

CONNECTIONS, EACH, ROUNDS = 32, 50, 15
BODY = b'{"number": 41, "name": "Ada Lovelace"}'
ANSWER = b'{"number":42,"name":"Ada Lovelace"}'


class Browser(asyncio.Protocol):
    """One connection that posts *left* times, one request after the other."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.left = 0
        self.transport: Any
        self.done: asyncio.Future[None]
        self.heard = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def begin(self, count: int) -> asyncio.Future[None]:
        self.left, self.done = count, asyncio.get_running_loop().create_future()
        self.transport.write(self.request)
        return self.done

    def data_received(self, data: bytes) -> None:
        self.heard += data
        if not self.heard.endswith(ANSWER):
            if len(self.heard) > 4096 or self.heard.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")):
                self.done.set_exception(RuntimeError(f"this was not due: {self.heard!r}"))
            return  # uvicorn sends head and body apart
        self.heard = b""
        self.left -= 1
        if self.left:
            self.transport.write(self.request)
        else:
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError("the server closed the connection"))


def request(port: int, path: str = "/order") -> bytes:
    """What a client library sends."""
    lines = [
        b"POST %s HTTP/1.1" % path.encode(),
        b"Host: localhost:%d" % port,
        b"Accept: */*",
        b"Accept-Encoding: gzip, deflate",
        b"Connection: keep-alive",
        b"User-Agent: benchmark",
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(BODY),
        b"",
        BODY,
    ]
    return b"\r\n".join(lines)


async def contestant(pid: int, port: int, path: str = "/order") -> Turn:
    loop = asyncio.get_running_loop()
    said = request(port, path)
    browsers = [(await loop.create_connection(lambda: Browser(said), "127.0.0.1", port))[1] for _ in range(CONNECTIONS)]

    async def work() -> None:
        await awake(asyncio.gather(*[browser.begin(EACH) for browser in browsers]))

    return server_turn(pid, CONNECTIONS * EACH, work)


async def run(report: Report) -> None:
    report.topic(f"HTTP: POST to an async service, a typed int and str, JSON in and out, {CONNECTIONS} connections")
    web = peers("web")
    with ExitStack() as stack:
        turns = {
            "limen": await contestant(*stack.enter_context(processes.limen())),
            "starlette, uvicorn": await contestant(*stack.enter_context(processes.uvicorn(web, "starlette_app:app"))),
            "fastapi, uvicorn": await contestant(*stack.enter_context(processes.uvicorn(web, "fastapi_app:app"))),
        }
        cost = report.figures(await alternate(ROUNDS, turns))
    report.target("limen / fastapi", cost["limen"] / cost["fastapi, uvicorn"], 0.45)
    report.target("limen / starlette", cost["limen"] / cost["starlette, uvicorn"], 1.0)
