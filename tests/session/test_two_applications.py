"""One connection, sessions of two applications."""

from __future__ import annotations

import asyncio

from shop import VIEWS, Shop

from limen.session import start_session
from limen.testing import Clock, connections


def test_one_connection_may_have_sessions_of_two_applications() -> None:
    async def test() -> None:
        async with (
            connections(2) as (server, page),
            Shop().bound("shop", server.new_context()) as shop,
            Shop().bound("desk", server.new_context()) as desk,
        ):
            both = [await start_session(page, where, views=VIEWS) for where in ("shop", "desk")]
            before = [*shop.sessions, *desk.sessions]
            news = [asyncio.Event() for _ in both]
            for joined, started in zip(both, news, strict=True):
                joined.on("started", lambda _, started=started: started.set())
            page.cut()
            for started in news:
                await started.wait()
            assert [*shop.sessions, *desk.sessions] == before
            await both[0].leave()
            for joined in both[1:]:
                assert await joined.views["desktop"].remote("#controller").save("milk") == "saved milk"
            assert len(page.session.first) == 1

    Clock().run(test())
