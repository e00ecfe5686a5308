"""The ASGI callable, spoken to as a server would."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from http_site import Site

from limen import exc
from limen.door.gateway.asgi import Asgi
from limen.web.static import StaticTree


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "big.bin").write_bytes(b"x" * 300_000)
    site = Site()
    site.statics.append(StaticTree("/files", tmp_path))

    @site.service(safe=False, methods=("GET",), auto_parse=False)
    async def say(text: str = "") -> str:
        return text

    return site


async def exchange(app: Asgi, *messages: dict[str, Any], **scope: Any) -> list[Any]:
    """What *app* sends for one request; after *messages* the client says nothing more."""
    asked = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost")], **scope}
    left = list(messages)
    sent: list[Any] = []

    async def receive() -> Any:
        if left:
            return left.pop(0)
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    await asyncio.wait_for(app(asked, receive, send), 5)
    return sent


def told(sent: list[Any]) -> tuple[int, dict[bytes, bytes], bytes]:
    start, *bodies = sent
    assert [body.get("more_body", False) for body in bodies] == [True] * (len(bodies) - 1) + [False]
    return start["status"], dict(start["headers"]), b"".join(body["body"] for body in bodies)


async def test_a_server_that_gives_the_least_is_served(site: Site) -> None:
    status, headers, body = told(await exchange(site.app, path="/say/x"))
    assert (status, body, headers[b"content-length"]) == (200, b'"x"', b"3")


async def test_without_a_raw_path_the_path_is_taken_as_decoded(site: Site) -> None:
    assert told(await exchange(site.app, path="/say/ä%41"))[2] == '"ä%41"'.encode()
    assert told(await exchange(site.app, path="/say/ä", raw_path=b"/say/%C3%A4"))[2] == '"ä"'.encode()


async def test_the_path_it_is_mounted_at_is_not_part_of_an_address(site: Site) -> None:
    assert told(await exchange(site.app, path="/app/say/x", raw_path=b"/app/say/x", root_path="/app"))[2] == b'"x"'
    assert told(await exchange(site.app, path="/app", raw_path=b"/app", root_path="/app"))[0] == 404


async def test_http2_gets_no_connection_header(site: Site) -> None:
    unread = [(b"host", b"localhost"), (b"content-length", b"5")]
    for version, closes in (("1.1", True), ("2", False)):
        _, headers, _ = told(await exchange(site.app, path="/say", headers=unread, http_version=version))
        assert (b"connection" in headers) is closes


async def test_not_modified_has_no_length(site: Site) -> None:
    headers = [(b"host", b"localhost"), (b"if-none-match", b"*")]
    status, sent, body = told(await exchange(site.app, path="/files/big.bin", headers=headers))
    assert (status, body) == (304, b"")
    assert b"content-length" not in sent


async def test_a_file_goes_out_piece_by_piece(site: Site) -> None:
    sent = await exchange(site.app, path="/files/big.bin")
    assert len(sent) > 2
    assert told(sent)[2] == b"x" * 300_000


async def test_a_client_that_is_gone_gets_no_more_of_a_file(site: Site, tmp_path: Path) -> None:
    with (tmp_path / "huge.bin").open("wb") as file:
        file.truncate(100_000_000)
    sent = await exchange(site.app, {"type": "http.disconnect"}, path="/files/huge.bin")
    assert len(sent) < 20


async def test_a_client_that_is_gone_before_its_body_gets_nothing(site: Site) -> None:
    headers = [(b"host", b"localhost"), (b"content-length", b"5"), (b"content-type", b"application/json")]
    gone = {"type": "http.disconnect"}
    assert await exchange(site.app, gone, method="POST", path="/say", headers=headers) == []


# -- other scopes -----------------------------------------------------------------------------------------------
async def test_websockets_go_to_their_handler_and_are_refused_without_one(site: Site) -> None:
    connect = {"type": "websocket.connect"}
    assert await exchange(site.app, connect, type="websocket") == [{"type": "websocket.close", "code": 1000}]
    seen = []

    async def handler(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    await exchange(Asgi(site.door, handler), connect, type="websocket")
    assert seen == ["websocket"]


async def test_an_unknown_scope_is_refused_aloud(site: Site) -> None:
    with pytest.raises(RuntimeError, match="webtransport"):
        await exchange(site.app, type="webtransport")


async def lifespan(app: Asgi) -> list[str]:
    messages = ({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    return [message["type"] for message in await exchange(app, *messages, type="lifespan")]


async def test_a_lifespan_starts_and_stops_once(site: Site) -> None:
    happened = []

    async def start() -> None:
        happened.append("start")

    async def stop() -> None:
        happened.append("stop")

    app = Asgi(site.door, start=start, stop=stop)
    assert await lifespan(app) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    await exchange(app, path="/say")
    assert happened == ["start", "stop"]
    assert await lifespan(app) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert happened == ["start", "stop"] * 2
    assert await lifespan(site.app) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_a_server_without_lifespan_starts_with_its_first_requests(site: Site) -> None:
    happened = []

    async def start() -> None:
        await asyncio.sleep(0)
        happened.append("start")

    app = Asgi(site.door, start=start)
    answers = await asyncio.gather(*(exchange(app, path="/say") for _ in range(5)))
    assert [told(sent)[0] for sent in answers] == [200] * 5
    assert happened == ["start"]


async def test_a_start_or_stop_that_fails_is_told(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise OSError("no such file")

    async def refuse() -> None:
        raise exc.StoreError("The file is in use.")

    assert await lifespan(Asgi(site.door, start=fail)) == ["lifespan.startup.failed"]
    assert "Traceback" in caplog.text
    caplog.clear()
    assert await lifespan(Asgi(site.door, start=refuse)) == ["lifespan.startup.failed"]
    assert caplog.text == ""  # it is a sentence, and the server's to show
    assert await lifespan(Asgi(site.door, stop=fail)) == ["lifespan.startup.complete", "lifespan.shutdown.failed"]
