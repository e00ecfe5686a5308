"""Calls whose time is up at once, on the event loop that `limen serve` takes."""

from __future__ import annotations

import asyncio

import uvloop

from limen import App, exc
from limen.app.near import near
from limen.app.running import lifespan
from limen.client.callee import Invoked


def test_calls_whose_time_is_up_one_right_after_the_other_do_no_harm() -> None:
    async def never(call: Invoked) -> None:
        await asyncio.Event().wait()

    async def test() -> None:
        failed: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
        app = App()
        async with lifespan(app), near(app.open(), "localhost") as callee, near(app.open(), "localhost") as caller:
            await callee.register("test.never", never)
            for _ in range(20):
                calls = (caller.apply("test.never", timeout=0.001 + number % 7 * 0.0005) for number in range(100))
                ends = await asyncio.gather(*calls, return_exceptions=True)
                assert {type(end) for end in ends} == {exc.Timeout}
        assert not failed

    uvloop.run(test())
