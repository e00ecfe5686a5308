"""Other applications below Limen: what they are told, and who gets to them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from below import LIVED, Client, client, program, starlette, wsgi

from limen import App

SAID = {"x__forwarded__for": "203.0.113.9", "x__forwarded__proto": "https", "x__forwarded__host": "shop.example"}
LIES = {"x__real__ip": "6.6.6.6", "x_forwarded_for": "6.6.6.6", "cookie": "a=1"}


@pytest.fixture
async def asking() -> AsyncIterator[Client]:
    async with client(program()) as asking:
        yield asking


@pytest.mark.parametrize("where", ["asgi", "wsgi"])
async def test_an_application_is_told_what_limen_believes(asking: Client, where: str) -> None:
    answer = await asking.ask(f"/{where}/told?a=%20b", "POST", b"a body", **SAID, **LIES)
    told = answer.value
    assert told["client"] == "203.0.113.9"
    assert told["url"] == f"https://shop.example/{where}/told?a=%20b"
    assert told["for"].removeprefix("https://shop.example") == f"/{where}/told"
    assert told["body"] == "a body"
    assert told["state"] == ["shop.example", "203.0.113.9", None, where]
    assert "cookie" in told["headers"]
    assert not {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip"} & set(told["headers"])
    if where == "asgi":
        assert told["found"] == "at start"


@pytest.mark.parametrize("where", ["asgi", "wsgi"])
async def test_a_stream_comes_whole_and_a_failure_shows_nothing(asking: Client, where: str) -> None:
    assert len((await asking.ask(f"/{where}/many")).body) == 50_000
    assert (await asking.ask(f"/{where}/many", "HEAD")).body == b""
    failed = await asking.ask(f"/{where}/fails")
    assert failed.status == 500
    assert b"secret" not in failed.body
    assert (await asking.ask(f"/{where}/nothing")).status == 404


async def test_the_guard_stands_before_an_application(asking: Client) -> None:
    async def status(path: str, method: str = "GET", **headers: str) -> int:
        return (await asking.ask(path, method, **headers)).status

    assert await status("/strict/told") == 403  # RequireSSL
    assert await status("/strict/told", **SAID) == 200
    assert await status("/admin/told") == 403
    assert await status("/admin/told", **SAID) == 200
    assert await status("/read/told", "POST") == 405
    assert await status("/asgi/told", host="evil.example") == 421
    assert await status("/asgi/told", "POST", origin="https://evil.example") == 403
    assert await status("/open/told", "POST", origin="https://evil.example") == 200


@pytest.mark.parametrize(
    "path",
    [
        "/read/../admin/told",
        "/read/%2e%2e/admin/told",
        "/read/..%2fadmin/told",
        "/read//told",
        "/read/%5c..%5cadmin",
        "//admin/told",
        "/./admin/told",
        "/admin%2ftold",
        "/admin%00/told",
        "/%61dmin/told",
        "/admin/told/",
        "/administrator/told",
        "/ADMIN/told",
        "/admin;x=1/told",
    ],
)
async def test_no_path_leads_round_the_guard(asking: Client, path: str) -> None:
    answer = await asking.ask(path)
    assert answer.status in (400, 403, 404, 422), answer.body
    assert b'"path"' not in answer.body


async def test_a_prefix_is_whole_segments_and_the_longer_path_wins(asking: Client) -> None:
    assert (await asking.ask("/administrator", **SAID)).value == "a service"
    assert (await asking.ask("/asgi/own")).value == "a service"
    redirect = await asking.ask("/asgi?a=1")
    assert (redirect.status, redirect.headers["location"]) == (307, "./asgi/?a=1")
    assert (await asking.ask("/asgi/")).value["path"] == "/asgi/"


async def test_an_application_lives_as_long_as_the_server() -> None:
    app = App()
    app.config.IS_DEVELOPMENT = True
    app.mount("/", starlette)
    LIVED.clear()
    async with client(app) as asking:
        assert (await asking.ask("/told", host="localhost")).value["root"] == ""
        assert LIVED == ["began"]
    assert LIVED == ["began", "ended"]


def test_what_can_not_be_promised_is_refused() -> None:
    app = App()
    for option in ({"safe": True}, {"roles": ["admin"]}):
        with pytest.raises(TypeError, match="nobody is logged in"):
            app.mount("/admin", starlette, **option)
    app.mount("/admin", starlette)
    with pytest.raises(ValueError, match="taken"):
        app.mount("/admin", wsgi)
    with pytest.raises(Exception, match="Limen's own"):
        app.mount("/limen/x", wsgi)
    with pytest.raises(TypeError, match="ASGI or WSGI"):
        app.mount("/x", "module:app")  # type: ignore[arg-type]


async def test_a_permission_for_what_is_below_its_address_closes_all_its_pages() -> None:
    app = program()
    async with client(app) as asking:
        pages = ("/asgi/told", "/asgi/")
        assert 403 not in [(await asking.ask(page)).status for page in pages]
        app.auth.grant("chief", "asgi.", domain="shop.example")
        assert [(await asking.ask(page)).status for page in pages] == [403, 403]
