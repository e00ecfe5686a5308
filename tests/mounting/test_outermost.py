"""`limen.asgi(inner)`: another application is asked where nothing of Limen's stands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from below import LIVED, Client, client, starlette

from limen import App, exc


@pytest.fixture
async def asking(tmp_path: Path) -> AsyncIterator[Client]:
    (tmp_path / "a.txt").write_text("a file")
    app = App()
    app.config.IS_DEVELOPMENT = True
    app.service("many", safe=False, methods=["GET"])(lambda: "a service")
    app.static("/files", tmp_path)
    async with client(app, starlette) as asking:
        yield asking


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/many", b'"a service"'),  # the inner application has that, too
        ("/many.json", b'"a service"'),
        ("/files/a.txt", b"a file"),
        ("/files/none.txt", b"NotFound"),
        ("/ws", b"WebSocket only"),
        ("/limen/none", b"NotFound"),
    ],
)
async def test_what_is_limens_is_answered_by_limen(asking: Client, path: str, expected: bytes) -> None:
    for _ in range(2):  # the second time the door knows the path
        assert expected in (await asking.ask(path, host="localhost")).body


@pytest.mark.parametrize("path", ["/fail", "/man", "/manyy", "/limen", "/file", "//many", "/%2e/many", "/a%2Fb"])
async def test_what_is_not_limens_is_asked_of_the_other(asking: Client, path: str) -> None:
    answer = await asking.ask(path, host="localhost")
    assert (answer.status, answer.body) == (404, b"Not Found")  # Starlette's


async def test_the_other_is_asked_as_if_it_stood_alone(asking: Client) -> None:
    said = {"host": "elsewhere.example", "origin": "https://evil.example", "x__forwarded__for": "203.0.113.9"}
    told = (await asking.ask("/told?a=%20b", "POST", b"a body", **said)).value
    assert (told["path"], told["root"], told["body"]) == ("/told", "", "a body")
    assert told["url"] == "http://elsewhere.example/told?a=%20b"
    assert told["client"] == "127.0.0.1"
    assert "x-forwarded-for" in told["headers"]
    assert told["found"] == "at start"  # the state of its lifespan


async def test_both_begin_and_end_with_the_server() -> None:
    app, happened = App(), list[str]()
    app.on("server.started", lambda event: happened.append("started after " + LIVED[-1]))
    app.on("server.stopping", lambda event: happened.append("stopping after " + LIVED[-1]))
    async with client(app, starlette):
        assert LIVED[-1] == "began"
    assert LIVED[-1] == "ended"
    assert happened == ["started after began", "stopping after began"]


async def test_other_web_sockets_are_the_others() -> None:
    asked = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise exc.Error("it knows no lifespan, as Django")
        asked.append((scope["type"], scope["path"]))

    async with client(App(), inner) as asking:
        await asking.application({"type": "websocket", "path": "/chat", "raw_path": b"/chat"}, None, None)
    assert asked == [("websocket", "/chat")]
