"""What clients do to applications below Limen: they leave in the middle, send slowly, and say what a proxy would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from below import Client, client

from limen import App

MIB = 2**20


async def endless(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        try:
            await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
        except asyncio.CancelledError:
            continue  # one that will not hear: its next chunk tells it


async def names(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b",".join(sorted(name for name, _ in scope["headers"]))})


def one_thread(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/endless":
        while True:
            yield b"x" * 100_000
    if environ["PATH_INFO"] == "/names":
        yield ",".join(sorted(environ)).encode()
    body = environ["wsgi.input"].read()
    yield f"{environ.get('CONTENT_LENGTH')} {len(body)} {body[:1].decode()} {environ['REQUEST_METHOD']}".encode()


@pytest.fixture
async def asking() -> AsyncIterator[Client]:
    app = App()
    app.config.DOMAIN, app.config.MAX_UPLOAD_SIZE = "shop.example", 4 * MIB
    app.mount("/asgi", endless, ssl=False)
    app.mount("/names", names, ssl=False)
    app.mount("/wsgi", one_thread, ssl=False, threads=1)
    async with client(app) as asking:
        yield asking


class Visit:
    """One request, of which the test says when its body comes and when its client leaves."""

    def __init__(self, asking: Client, path: str, method: str = "GET", **headers: str) -> None:
        named = {"host": "shop.example"} | {name.replace("_", "-"): value for name, value in headers.items()}
        scope = {
            "type": "http",
            "method": method,
            "scheme": "http",
            "path": path,
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
            "client": ("192.0.2.1", 5),
        }
        self.comes: asyncio.Queue[Any] = asyncio.Queue()
        self.sent: asyncio.Queue[Any] = asyncio.Queue(1)
        self.task = asyncio.ensure_future(asking.application(scope, self.comes.get, self.sent.put))

    async def leave(self) -> None:
        self.comes.put_nowait({"type": "http.disconnect"})
        while not self.task.done():  # what it still sends is lost
            taken = asyncio.ensure_future(self.sent.get())
            await asyncio.wait([taken, self.task], return_when=asyncio.FIRST_COMPLETED)
            taken.cancel()

    async def answer(self) -> tuple[int, bytes]:
        start, body = await self.sent.get(), b""
        while (message := await self.sent.get()).get("more_body", False) or message.get("body"):
            body += message["body"]
            if not message.get("more_body", False):
                break
        return start["status"], body


async def test_an_application_whose_client_left_in_the_middle_leaves_nothing_behind(asking: Client) -> None:
    before = asyncio.all_tasks()
    for _ in range(3):
        visit = Visit(asking, "/asgi/")
        assert (await visit.sent.get())["status"] == 200
        await visit.sent.get()
        await visit.leave()
    left = asyncio.all_tasks() - before
    await asyncio.wait(left, timeout=5) if left else None
    assert asyncio.all_tasks() - before == set()


async def test_a_client_that_sends_slowly_holds_no_thread(asking: Client) -> None:
    slow = [Visit(asking, "/wsgi/", "POST", content_length="10") for _ in range(3)]
    for visit in slow:
        visit.comes.put_nowait({"type": "http.request", "body": b"a", "more_body": True})
    assert await asyncio.wait_for(Visit(asking, "/wsgi/").answer(), 5) == (200, b"None 0  GET")
    for visit in slow:
        await visit.leave()


async def test_a_client_that_leaves_gives_its_thread_back(asking: Client) -> None:
    visit = Visit(asking, "/wsgi/endless")
    await visit.sent.get()
    waiting = Visit(asking, "/wsgi/endless")  # in the queue for the one thread
    await asyncio.sleep(0)
    waiting.task.cancel()
    await visit.leave()
    assert (await asyncio.wait_for(Visit(asking, "/wsgi/").answer(), 5))[0] == 200


@pytest.mark.parametrize("size", [10, 3 * MIB])
async def test_a_body_in_chunks_is_whole_and_has_its_length(asking: Client, size: int) -> None:
    visit = Visit(asking, "/wsgi/", "POST", transfer_encoding="chunked")
    half = size // 2
    visit.comes.put_nowait({"type": "http.request", "body": b"b" * half, "more_body": True})
    visit.comes.put_nowait({"type": "http.request", "body": b"b" * (size - half)})
    assert await asyncio.wait_for(visit.answer(), 5) == (200, f"{size} {size} b POST".encode())


async def test_a_body_that_is_too_large_never_gets_there(asking: Client) -> None:
    visit = Visit(asking, "/wsgi/", "POST", content_length=str(100 * MIB))
    assert (await asyncio.wait_for(visit.answer(), 5))[0] == 413


@pytest.mark.parametrize("path", ["/names/", "/wsgi/names"])
async def test_no_forwarded_header_of_a_stranger_gets_there(asking: Client, path: str) -> None:
    said = {"x-forwarded-prefix": "/evil", "x-forwarded-port": "1", "x-forwarded-ssl": "on", "x-kept": "1"}
    visit = Visit(asking, path, **said)
    visit.comes.put_nowait({"type": "http.request", "body": b""})
    _, body = await asyncio.wait_for(visit.answer(), 5)
    assert "FORWARDED" not in body.decode().upper()
    assert "X-KEPT" in body.decode().upper().replace("_", "-")
