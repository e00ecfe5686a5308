"""Many sessions whose time is up at once, on the event loop that `limen serve` takes; handlers that fail at the end."""

from __future__ import annotations

import asyncio

import pytest
import uvloop
from shop import Shop

from limen.testing import connections


def test_many_sessions_that_are_over_at_once_are_all_unbound() -> None:
    class Stall(Shop):
        GRACE = 0.05

    async def test() -> None:
        failed: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
        async with connections(2) as (server, page), Stall().bound("shop", server.new_context()) as shop:
            for _ in range(5):
                await page.session.apply("shop.start_session")
            assert len(shop.sessions) == 5
            await page.close()
            async with asyncio.timeout(5):
                while shop.sessions:
                    await asyncio.sleep(0.01)
        assert not failed

    uvloop.run(test())


async def test_a_handler_of_on_end_that_fails_is_in_the_log_and_the_session_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(why: str) -> None:
        raise ValueError("the till is stuck")

    async with connections(2) as (server, page), Shop().bound("shop", server.new_context()) as shop:
        await page.session.apply("shop.start_session")
        [root] = shop.sessions
        root.on_end.connect(fail)
        await root.end()
        assert shop.sessions == ()
    assert "A handler of on_end in" in caplog.text
    assert "the till is stuck" in caplog.text
