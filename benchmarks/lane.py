"""A sealed call by the HTTP lane, whose number is burnt in the database before it runs, beside a plain HTTP call whose
service commits one record: SQLite, as it must be (WAL, synchronous=FULL)."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from limen.client.exchange import Answer, Request
from limen.client.lane import LaneSession, login_with_key
from limen.client.machine import read
from limen.core.wamp.messages import Call

from . import processes
from .load import awake
from .measure import Report, Turn, alternate, server_turn

CONNECTIONS, EACH, ROUNDS = 32, 15, 9
HEAD = "POST %s HTTP/1.1\r\nHost: localhost:%d\r\nContent-Type: %s\r\n%sContent-Length: %d\r\n\r\n"


class Poster(asyncio.Protocol):
    """One connection that sends what *make* gives, one request after the other."""

    def __init__(self, make: Callable[[int], bytes]) -> None:
        self.make, self.count, self.left = make, 0, 0
        self.heard = b""
        self.transport: Any
        self.done: asyncio.Future[None]

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def begin(self, count: int) -> asyncio.Future[None]:
        self.left, self.done = count, asyncio.get_running_loop().create_future()
        self._next()
        return self.done

    def _next(self) -> None:
        self.transport.write(self.make(self.count))
        self.count += 1

    def data_received(self, data: bytes) -> None:
        self.heard += data
        head, _, body = self.heard.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(RuntimeError(f"this was not due: {self.heard[:500]!r}"))
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self.heard = b""
        self.left -= 1
        if self.left:
            self._next()
        else:
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError("the server closed the connection"))


def plain(port: int, path: str) -> Callable[[int], bytes]:
    def make(count: int) -> bytes:
        body = b'{"number": %d}' % count
        return (HEAD % (path, port, "application/json", "", len(body))).encode() + body

    return make


def sealed(port: int, session: LaneSession) -> Callable[[int], bytes]:
    """Requests as the session would send them."""
    posts = session._posts

    def make(count: int) -> bytes:
        made = posts.caller.seal(posts.codec.encode(Call(posts.caller.next, {}, "sealed", [count])))
        headers = f"x-limen-slot: {posts.slot}\r\nx-limen-number: {made.number}\r\n"
        head = HEAD % ("/limen/lane/call", port, "application/x-limen-msgpack", headers, len(made.frame))
        return head.encode() + made.frame

    return make


async def contestant(pid: int, port: int, makes: list[Callable[[int], bytes]]) -> Turn:
    loop = asyncio.get_running_loop()
    posters = [(await loop.create_connection(lambda make=make: Poster(make), "127.0.0.1", port))[1] for make in makes]

    async def work() -> None:
        await awake(asyncio.gather(*[poster.begin(EACH) for poster in posters]))

    return server_turn(pid, len(posters) * EACH, work)


class Way:
    """As much of an `Exchange` as a login needs, on any loop."""

    domain, prefix = "localhost", ""

    def __init__(self, port: int) -> None:
        self.port, self.origin = port, f"http://localhost:{port}"

    async def send(self, request: Request) -> Answer:
        assert isinstance(request.body, bytes)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        headers = "".join(f"{name}: {value}\r\n" for name, value in request.headers)
        head = f"POST {request.target} HTTP/1.1\r\nHost: localhost:{self.port}\r\n{headers}Connection: close\r\n"
        writer.write(f"{head}Content-Length: {len(request.body)}\r\n\r\n".encode() + request.body)
        first, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        status, *lines = first.decode().split("\r\n")
        found = dict(line.split(": ", 1) for line in lines)

        async def whole() -> AsyncGenerator[bytes, None]:
            yield body

        return Answer(int(status.split()[1]), {name.lower(): value for name, value in found.items()}, whole())

    async def close(self) -> None: ...


async def sessions(port: int, key: Path, count: int) -> list[LaneSession]:
    return [await login_with_key(Way(port), read(key)) for _ in range(count)]


async def run(report: Report) -> None:
    report.topic(f"HTTP lane: a sealed call, {CONNECTIONS} connections, SQLite")
    with ExitStack() as stack:
        processes.SCRATCH.mkdir(parents=True, exist_ok=True)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=processes.SCRATCH)))
        os.environ["BENCH_KEY"] = str(folder / "robot.key")
        database = f"sqlite:///{folder / 'lane.db'}"
        pid, port = stack.enter_context(processes.limen("lane_app.py", "--db", database))
        (folder / "robot.key").chmod(0o600)
        each = [sealed(port, session) for session in await sessions(port, folder / "robot.key", CONNECTIONS)]
        one = sealed(port, (await sessions(port, folder / "robot.key", 1))[0])
        turns = {
            "plain call that commits a record": await contestant(pid, port, [plain(port, "/write")] * CONNECTIONS),
            "sealed call by the lane, 32 sessions": await contestant(pid, port, each),
            "sealed call by the lane, one session": await contestant(pid, port, [one] * CONNECTIONS),
            "plain call that does nothing": await contestant(pid, port, [plain(port, "/plain")] * CONNECTIONS),
        }
        cost = report.figures(await alternate(ROUNDS, turns))
    write = cost["plain call that commits a record"]
    report.target("lane / plain call that commits a record", cost["sealed call by the lane, 32 sessions"] / write, 2.0)
    report.note("the same, all in one session", cost["sealed call by the lane, one session"] / write)
