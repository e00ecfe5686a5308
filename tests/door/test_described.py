"""Who is told which services there are: developers at their machine, and users with a role; strangers nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from knock import Door, knock

from limen import App, exc

TOLD = ["services.json", "openapi.json", "status.json"]
PAGE = ["", "page/page.js", "page/page.css"]


def app(**settings: Any) -> App:
    app = App()
    for name, value in settings.items():
        setattr(app.config, name, value)

    @app.service(safe=False)
    def hello() -> str:
        return "hello"

    @app.service(roles=["admin"])
    def stop() -> None: ...

    return app


async def statuses(app: App, names: list[str], client: str = "127.0.0.1") -> list[int]:
    asgi = app.asgi()
    return [await status(asgi, f"/limen/{name}", client) for name in names]


async def status(asgi: Any, path: str, client: str) -> int:
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
    scope |= {"headers": [(b"host", b"localhost")], "client": (client, 1), "scheme": "http", "http_version": "1.1"}
    await asgi({**scope, "asgi": {"version": "3.0"}, "root_path": ""}, receive, send)
    return int(said[0]["status"])


async def test_in_development_everybody_on_this_machine_is_told() -> None:
    assert await statuses(app(IS_DEVELOPMENT=True), PAGE + TOLD) == [200] * 6


async def test_in_development_nobody_else_is_told() -> None:
    assert await statuses(app(IS_DEVELOPMENT=True), PAGE + TOLD, client="192.0.2.7") == [404] * 6


async def test_elsewhere_nothing_is_there() -> None:
    assert await statuses(app(), PAGE + TOLD) == [404] * 6


async def test_with_a_role_in_the_settings_the_page_is_there_but_nothing_is_told_in_the_open() -> None:
    assert await statuses(app(DESCRIBE_ROLES=("admin",)), PAGE, client="192.0.2.7") == [200] * 3
    assert await statuses(app(DESCRIBE_ROLES=("admin",)), TOLD) == [404] * 3


async def asked(open_door: Callable[..., Awaitable[Door]], **settings: Any) -> Any:
    door = await open_door(**settings)
    made = door.app

    @made.service(safe=False)
    def hello() -> str:
        return "hello"

    @made.service(roles=["admin"])
    def stop() -> None: ...

    made.permissions.rulebook.set("localhost", [("chief", "closed")])

    @made.service()
    def closed() -> None: ...

    async with knock(door) as client:
        await client.login()
        made.config.IS_DEVELOPMENT = False
        return await client.call("limen.services")


async def test_a_user_with_the_role_is_told_what_they_may_call(open_door: Any) -> None:
    told = await asked(open_door, DESCRIBE_ROLES=("user",))
    names = {service["name"] for service in told["services"]}
    assert "hello" in names
    assert not {"stop", "closed"} & names


@pytest.mark.parametrize(("roles", "error"), [((), exc.NotFound.uri), (("admin",), exc.Forbidden.uri)])
async def test_others_are_told_nothing(open_door: Any, roles: tuple[str, ...], error: str) -> None:
    assert await asked(open_door, DESCRIBE_ROLES=roles) == error
