"""Many sessions whose time is up at once, on the event loop that `limen serve` takes."""

from __future__ import annotations

import asyncio

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
