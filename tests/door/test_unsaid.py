"""Answers that can't be written, for it is the program's own code that fails: each caller hears of it, and the log."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest
from knock import Door, knock

from limen import App, exc
from limen.core.wamp.messages import Subscribe


class Bad:
    def to_dict(self) -> dict[str, Any]:
        raise ValueError("no such column")


class OutOfStock(exc.Error):
    """Takes other arguments than its base."""

    def __init__(self, article: Any, left: int) -> None:
        super().__init__("Nothing is left.", article=article, left=left)


class Failing(Door):
    def extend(self, app: App) -> None:
        news = app.topic("news")

        @app.service(ssl=False)
        def on_a_thread() -> Any:
            return Bad()

        @app.service(ssl=False, inline=True)
        def at_once() -> Any:
            return [Bad()]

        async def later() -> int:
            return 1

        @app.service(ssl=False, inline=True)
        def forgot_to_await() -> Any:
            coroutine = later()
            coroutine.close()  # or Python would complain of it as well
            return coroutine

        @app.service(ssl=False)
        async def refuses() -> None:
            raise OutOfStock(Bad(), 0)

        @app.service(ssl=False)
        async def tells() -> str:
            news.publish(Bad())
            return "told"


@pytest.mark.parametrize("named", [True, False], ids=["named", "unnamed"])
@pytest.mark.parametrize("service", ["on_a_thread", "at_once"])
async def test_a_result_whose_code_fails_is_an_error_and_the_session_goes_on(
    open_door: Any, service: str, named: bool, caplog: pytest.LogCaptureFixture
) -> None:
    door = await open_door(Failing)
    async with knock(door) as client:
        await client.login()
        options = {"x_id": secrets.token_bytes(16)} if named else {}
        assert await client.call(service, options=options) == exc.InternalError.uri
        assert await client.call("secret") == "sealed"
    assert "no such column" in caplog.text
    caplog.clear()


async def test_an_error_whose_facts_fail_is_still_that_error(open_door: Any, caplog: pytest.LogCaptureFixture) -> None:
    door = await open_door(Failing)
    async with knock(door) as client:
        await client.login()
        assert await client.call("refuses") == OutOfStock.uri
    caplog.clear()


async def test_an_event_whose_code_fails_is_lost_and_nothing_else(
    open_door: Any, caplog: pytest.LogCaptureFixture
) -> None:
    door = await open_door(Failing)
    async with knock(door) as client:
        await client.login()
        client.request += 1
        await client.send(Subscribe(client.request, {}, "news"))
        await client.receive()
        assert await client.call("tells") == "told"
        assert await client.call("secret") == "sealed"
    assert "no such column" in caplog.text
    caplog.clear()


async def test_an_answer_whose_code_fails_while_its_session_is_parked_is_told_at_the_resume(
    open_door: Any, caplog: pytest.LogCaptureFixture
) -> None:
    door = await open_door(Failing)
    options = {"x_id": secrets.token_bytes(16)}
    async with knock(door) as client:
        await client.login()
        slot = await client.open_slot()
        await client.begin("on_a_thread", options=options)
        await client.cut()
    await asyncio.sleep(0.1)
    async with knock(door) as client:
        await client.resume(slot)
        answer = await client.call("on_a_thread", options={**options, "x_repeat": True})
        assert answer in (exc.InternalError.uri, exc.OutcomeUnknown.uri)  # the latter where it never arrived
    caplog.clear()


async def test_an_inline_service_that_gives_a_coroutine_is_told_and_the_session_goes_on(open_door: Any) -> None:
    door = await open_door(Failing)
    async with knock(door) as client:
        await client.login()
        assert await client.call("forgot_to_await") == exc.InvalidValue.uri
        assert await client.call("secret") == "sealed"
