"""Sessions of an application by Crossbar.io, whose configuration says that callees are told who calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from routers import REALM, Crossbar
from session.shop import VIEWS, Shop

from limen import Connection, exc
from limen.session import start_session


class Brief(Shop):
    GRACE = 0.2


@pytest_asyncio.fixture
async def three(tmp_path: Path) -> AsyncIterator[list[Connection]]:
    crossbar = Crossbar(tmp_path, disclose=True)
    try:
        url = f"ws://localhost:{crossbar.port}/"
        async with Connection(url, REALM) as one, Connection(url, REALM) as two, Connection(url, REALM) as three:
            yield [one, two, three]
    finally:
        crossbar.stop()


async def test_a_session_from_its_beginning_to_its_end_and_who_knows_its_address(three: list[Connection]) -> None:
    server, page, eve = three
    async with asyncio.timeout(60), Brief().bound("shop", server.new_context()) as shop:
        store: dict[str, Any] = {}
        joined = await start_session(page, "shop", views=VIEWS, store=store)
        view, [root] = joined.views["desktop"], shop.sessions
        assert await view.remote("#controller").save("milk") == "saved milk"
        assert await view.remote("#controller").logout() == "bye, too"
        for name in ("desktop.controller.save", "client.desktop.logout", "end"):
            with pytest.raises(exc.NotFound):
                await eve.session.apply(f"{joined.address}.{name}", ["by eve"])
        heard = asyncio.Queue[Any]()
        root.desktop.controller.on_saved.connect(heard.put_nowait)
        await eve.session.publish(f"{joined.address}.desktop.controller.on_saved", "by eve")
        await view.remote("#controller").on_saved.notify("by the page")
        assert await heard.get() == "by the page"
        await joined.leave()
        assert not (await start_session(page, "shop", views=VIEWS, store=store)).new
        ended = asyncio.Queue[str]()
        root.on_end.connect(ended.put_nowait)
        await page.close()
        assert await ended.get() == "timeout"
        await root.node_unbind()
        assert shop.sessions == ()
