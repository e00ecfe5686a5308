"""HTTP in front of the application: what is refused, when, and with which words."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
from uvicorn_here import pause, uvicorn_serving

from limen.base.config import Config
from limen.transport.http_server import MAX_HEAD, MAX_TARGET, HttpServer

loop = uvloop.new_event_loop

HEAD = b"POST /x HTTP/1.1\r\nHost: here\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BODY = b'{"name":"a"}'


class App:
    """Answers with what it was asked; `/early` and `/last` before it has read the body, `/last` for good."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.gone = 0
        self.hold: asyncio.Event | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen.append(scope["path"])
        body = b""
        while scope["path"] not in ("/early", "/last"):
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone += 1
                return
            body += message["body"]
            if not message["more_body"]:
                break
        if self.hold is not None and scope["path"] == "/hold":
            await self.hold.wait()
        host = dict(scope["headers"]).get(b"host", b"").decode()
        told = {"path": scope["path"], "query": scope["query_string"].decode(), "host": host, "body": body.decode()}
        told["headers"] = len(scope["headers"])
        data = json.dumps(told).encode()
        headers = [(b"content-length", b"%d" % len(data))]
        if scope["path"] == "/last":
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": data})


def quick() -> Config:
    config = Config()
    config.HELLO_TIMEOUT = 0.3
    config.BODY_TIMEOUT = 0.5
    config.MAX_STALL = 0.5
    config.MAX_MESSAGE_SIZE, config.MAX_UPLOAD_SIZE = 100_000, 0
    return config


@asynccontextmanager
async def serving(app: App, keep_alive: float = 30.0, config: Config | None = None) -> AsyncIterator[int]:
    async with uvicorn_serving(app, http=HttpServer(config or quick(), keep_alive).protocol, ws="none") as port:
        yield port


class Answers:
    """What came back: *statuses* in order, *bodies* of those, *closed* by the server."""

    def __init__(self, raw: bytes, closed: bool) -> None:
        self.raw, self.closed = raw, closed
        self.statuses: list[int] = []
        self.bodies: list[Any] = []
        while raw:
            head, found, raw = raw.partition(b"\r\n\r\n")
            if not found:
                break
            lines = head.decode().split("\r\n")
            size = next(int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:"))
            if len(raw) < size:
                break
            self.statuses.append(int(lines[0].split(" ")[1]))
            self.bodies.append(json.loads(raw[:size]) if self.statuses[-1] == 200 else raw[:size].decode())
            raw = raw[size:]


async def ask(port: int, *pieces: bytes, gap: float = 0.05, wait: float = 0.6, until: int | None = None) -> Answers:
    """Sends *pieces*; reads until the server closes, *until* answers are there, or nothing comes for *wait* seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    raw, closed = b"", False
    for number, piece in enumerate(pieces):
        if number:
            await pause(gap)
        writer.write(piece)
    while until is None or len(Answers(raw, False).statuses) < until:
        try:
            got = await asyncio.wait_for(reader.read(65536), wait)
        except TimeoutError:
            break
        except OSError:
            got = b""
        if not got:
            closed = True
            break
        raw += got
    writer.transport.abort()
    return Answers(raw, closed)


REFUSED = {
    "both lengths": (HEAD + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (HEAD + b"Content-Length: 12\r\nContent-Length: 12\r\n\r\n" + BODY, 400),
    "a negative length": (HEAD + b"Content-Length: -1\r\n\r\n", 400),
    "a length with a plus": (HEAD + b"Content-Length: +12\r\n\r\n" + BODY, 400),
    "a length with an underscore": (HEAD + b"Content-Length: 1_2\r\n\r\n" + BODY, 400),
    "a coding that is not chunked": (HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
    "gzip before chunked": (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    "chunked in HTTP/1.0": (CHUNKED.replace(b"1.1", b"1.0") + b"0\r\n\r\n", 505),
    "bare LF": (b"GET /x HTTP/1.1\nHost: here\n\n", 400),
    "bare LF in a header": (b"GET /x HTTP/1.1\r\nHost: here\nX: y\r\n\r\n", 400),
    "a folded header": (b"GET /x HTTP/1.1\r\nHost: here\r\nX: y\r\n z\r\n\r\n", 400),
    "a space before the colon": (b"GET /x HTTP/1.1\r\nHost : here\r\n\r\n", 400),
    "no name": (HEAD + b": x\r\n\r\n", 400),
    "NUL in a value": (HEAD + b"X: a\0b\r\n\r\n", 400),
    "no host": (b"GET /x HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET /x HTTP/1.1\r\nHost: here\r\nHost: there\r\n\r\n", 400),
    "HTTP/2.0": (b"GET /x HTTP/2.0\r\nHost: here\r\n\r\n", 505),
    "HTTP/0.9": (b"GET /x\r\nHost: here\r\n\r\n", 505),
    "an unknown method": (b"BREW /x HTTP/1.1\r\nHost: here\r\n\r\n", 400),
    "a proxy's method": (b"CONNECT here:80 HTTP/1.1\r\nHost: here\r\n\r\n", 400),
    "a proxy's method with a path": (b"CONNECT /x HTTP/1.1\r\nHost: here\r\n\r\n", 501),
    "half an escape": (b"GET /x%zz HTTP/1.1\r\nHost: here\r\n\r\n", 400),
    "a fragment": (b"GET /x#y HTTP/1.1\r\nHost: here\r\n\r\n", 400),
    "user and password in the target": (b"GET http://a:b@here/ HTTP/1.1\r\nHost: here\r\n\r\n", 400),
    "another scheme": (b"GET ftp://here/ HTTP/1.1\r\nHost: here\r\n\r\n", 400),
    "letters that are not ASCII": ("GET /ä HTTP/1.1\r\nHost: here\r\n\r\n".encode(), 400),
    "an expectation": (HEAD + b"Expect: miracles\r\nContent-Length: 12\r\n\r\n", 417),
    "too long a target": (b"GET /" + b"x" * MAX_TARGET + b" HTTP/1.1\r\nHost: here\r\n\r\n", 414),
    "a target without end": (b"GET /" + b"x" * 2**20, 414),
    "too large a head": (HEAD + b"X: " + b"y" * MAX_HEAD + b"\r\n\r\n", 431),
    "too many headers": (HEAD + b"X: y\r\n" * 128 + b"\r\n", 431),
    "too long a body": (HEAD + b"Content-Length: 100001\r\n\r\n", 413),
    "too long a body that waits for 100": (HEAD + b"Content-Length: 10000000000\r\nExpect: 100-continue\r\n\r\n", 413),
    "too long a body in chunks": (CHUNKED + b"10000\r\n" + b"x" * 65536 + b"\r\n10000\r\n" + b"x" * 65536, 413),
    "a chunk size with a prefix": (CHUNKED + b"0xc\r\n" + BODY + b"\r\n0\r\n\r\n", 400),
    "a chunk that is too long": (CHUNKED + b"b\r\n" + BODY + b"\r\n0\r\n\r\n", 400),
    "a chunk extension of 1 MB": (CHUNKED + b"c;x=" + b"y" * 2**20 + b"\r\n" + BODY + b"\r\n0\r\n\r\n", 400),
    "a body of chunks of one byte": (CHUNKED + b"1;xxxxxxxxxxxxxxxxxxxxxxxx\r\nx\r\n" * 9000, 400),
    "100,000 trailers": (CHUNKED + b"c\r\n" + BODY + b"\r\n0\r\n" + b"X-T: 1\r\n" * 100_000 + b"\r\n", 431),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_it_is_refused_once_and_the_connection_closed(what: str) -> None:
    sent, status = REFUSED[what]
    app = App()
    async with serving(app) as port:
        got = await ask(port, sent + b"GET /smuggled HTTP/1.1\r\nHost: here\r\n\r\n")
    assert got.statuses == [status]
    assert got.closed
    assert b"100 Continue" not in got.raw
    assert "/smuggled" not in app.seen


async def test_ordinary_requests_are_answered_on_one_connection() -> None:
    async with serving(App()) as port:
        get = b"GET /%C3%A4?q=%zz HTTP/1.1\r\nHost: here\r\n\r\n"
        post = HEAD + b"Content-Length: 12\r\n\r\n" + BODY
        chunks = CHUNKED + b"5;a=b\r\n" + BODY[:5] + b"\r\n7\r\n" + BODY[5:] + b"\r\n0\r\nX-Trailer: t\r\n\r\n"
        got = await ask(port, get, post, chunks, b"\r\n" + get, until=4)
    assert got.statuses == [200] * 4
    assert (got.bodies[0]["path"], got.bodies[0]["query"]) == ("/ä", "q=%zz")
    assert [body["body"] for body in got.bodies] == ["", BODY.decode(), BODY.decode(), ""]
    assert got.bodies[2]["headers"] == 2  # a trailer is no header


async def test_requests_in_single_bytes_are_answered() -> None:
    config = quick()
    config.HELLO_TIMEOUT = 5.0
    request = CHUNKED + b"c\r\n" + BODY + b"\r\n0\r\n\r\n"
    async with serving(App(), config=config) as port:
        got = await ask(port, *(request[n : n + 1] for n in range(len(request))), gap=0.001, until=1)
    assert got.bodies[0]["body"] == BODY.decode()


async def test_the_host_of_an_absolute_target_counts() -> None:
    async with serving(App()) as port:
        got = await ask(port, b"GET http://there:80/x?y HTTP/1.1\r\nHost: here\r\n\r\n", until=1)
    assert (got.bodies[0]["host"], got.bodies[0]["path"], got.bodies[0]["query"]) == ("there:80", "/x", "y")


async def test_an_upgrade_that_is_not_offered_is_ignored_body_and_all() -> None:
    async with serving(App()) as port:
        upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
        asks = HEAD + upgrade + b"Content-Length: 12\r\n\r\n" + BODY
        got = await ask(port, asks, HEAD + b"Content-Length: 2\r\n\r\n{}", until=2)
    assert [body["body"] for body in got.bodies] == [BODY.decode(), "{}"]


async def test_a_hundred_pipelined_requests_are_answered_in_order() -> None:
    async with serving(App()) as port:
        got = await ask(port, b"".join(b"GET /%d HTTP/1.1\r\nHost: here\r\n\r\n" % n for n in range(100)), until=100)
    assert [body["path"] for body in got.bodies] == [f"/{n}" for n in range(100)]


async def test_large_pipelined_bodies_are_answered_in_order() -> None:
    async with serving(App()) as port:
        asks = (HEAD + b"Content-Length: 90000\r\n\r\n" + b"%d" % n * 90000 for n in range(10))
        got = await ask(port, b"".join(asks), until=10)
    assert [body["body"][:1] for body in got.bodies] == [str(n) for n in range(10)]


async def test_a_mistake_behind_good_requests_is_answered_in_its_turn() -> None:
    app = App()
    app.hold = asyncio.Event()
    async with serving(app) as port:
        good = b"GET /hold HTTP/1.1\r\nHost: here\r\n\r\nGET /b HTTP/1.1\r\nHost: here\r\n\r\n"
        asked = asyncio.ensure_future(ask(port, good + b"nonsense\r\n\r\n", wait=2))
        await asyncio.wait({asked}, timeout=0.2)
        app.hold.set()
        got = await asked
    assert got.statuses == [200, 200, 400]
    assert got.closed


async def test_an_application_is_told_when_the_body_breaks_off() -> None:
    app = App()
    async with serving(app) as port:
        got = await ask(port, CHUNKED, b"nonsense")
        assert got.statuses == [400]
        await pause(0.05)
    assert (app.seen, app.gone) == (["/x"], 1)


async def test_an_early_answer_leaves_the_connection_usable() -> None:
    async with serving(App()) as port:
        early = HEAD.replace(b"/x", b"/early") + b"Content-Length: 50000\r\n\r\n"
        got = await ask(port, early, b"x" * 50000 + b"GET /next HTTP/1.1\r\nHost: here\r\n\r\n", until=2)
    assert [body["path"] for body in got.bodies] == ["/early", "/next"]


async def test_a_last_answer_arrives_at_a_client_that_still_writes() -> None:
    """Closing a socket with unread bytes resets it, and the answer is lost that the client had not read yet."""
    config = quick()
    config.MAX_UPLOAD_SIZE = 10_000_000

    def write_all_then_read(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            client.sendall(HEAD.replace(b"/x", b"/last") + b"Content-Length: 6000000\r\n\r\n" + b"x" * 6_000_000)
            said = b""
            while piece := client.recv(65536):
                said += piece
            return said

    async with serving(App(), config=config) as port:
        for _ in range(5):
            said = await asyncio.to_thread(write_all_then_read, port)
            assert Answers(said, True).statuses == [200]


# -- time -----------------------------------------------------------------------------------------------------------
async def test_a_silent_connection_is_closed() -> None:
    async with serving(App()) as port:
        got = await ask(port, wait=2)
    assert (got.raw, got.closed) == (b"", True)


async def test_a_head_that_drips_is_refused_in_time() -> None:
    async with serving(App()) as port:
        got = await ask(port, *[b"GET / HTTP/1.1\r\nHost: here\r\n", *[b"X: y\r\n"] * 20])
    assert got.statuses == [408]


async def test_a_second_head_that_drips_is_refused_in_time() -> None:
    async with serving(App()) as port:
        got = await ask(port, b"GET / HTTP/1.1\r\nHost: here\r\n\r\n", *[b"GET / HTTP/1.1\r\n", *[b"X: y\r\n"] * 20])
    assert got.statuses == [200, 408]


async def test_a_body_that_drips_is_refused_in_time() -> None:
    app = App()
    async with serving(app) as port:
        got = await ask(port, HEAD + b"Content-Length: 100\r\n\r\n", *[b"x"] * 30)
    assert got.statuses == [408]
    assert app.gone == 1


async def test_an_idle_connection_is_closed() -> None:
    async with serving(App(), keep_alive=0.2) as port:
        got = await ask(port, b"GET / HTTP/1.1\r\nHost: here\r\n\r\n", wait=2)
    assert (got.statuses, got.closed) == ([200], True)


async def test_a_client_that_does_not_read_is_not_read_from_and_then_cut() -> None:
    config = quick()
    config.HELLO_TIMEOUT = 20.0
    app = App()
    async with serving(app, config=config) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        request = b"GET /" + b"z" * 10_000 + b" HTTP/1.1\r\nHost: here\r\n\r\n"
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        taken = 0
        with contextlib.suppress(OSError):
            async with asyncio.timeout(10):
                while True:
                    writer.write(request * 10)
                    await writer.drain()
                    taken += 10
        assert len(app.seen) < 2000
        assert taken < 4000
