"""Sessions of an application where the router is another program: what the service checks, by what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from client.between import Between
from msgspec.structs import replace
from shop import VIEWS, DesktopView, Shop

from limen import Connection, exc
from limen.app.router import Router
from limen.door.router.config import Listener, RealmSettings, Role, Rule, Settings, anyone
from limen.session import Joined, start_session

OPEN = anyone("realm1")


def secretive() -> RealmSettings:
    """A realm that tells nobody who calls."""
    rules = (Rule(uri="", match="prefix", allow=OPEN.roles[0].rules[0].allow, disclose_me=False),)
    return replace(OPEN, roles=(Role(name="anonymous", rules=(*rules, OPEN.roles[0].rules[1])),))


def mute() -> RealmSettings:
    """A realm that tells nobody who has left."""
    return replace(OPEN, roles=(Role(name="anonymous", rules=OPEN.roles[0].rules[:1]),))


@asynccontextmanager
async def routed(realm: RealmSettings = OPEN, count: int = 2) -> AsyncIterator[tuple[list[Connection], list[Between]]]:
    """Connections to a router, each by a wire of its own that can be cut."""
    router = Router(Settings(realms=(realm,), listeners=(Listener(port=0),)))
    async with AsyncExitStack() as stack, asyncio.timeout(60):
        [where] = await stack.enter_async_context(router.alive())
        port = int(where.split(":")[2].partition("/")[0])
        wires = [await stack.enter_async_context(Between(port)) for _ in range(count)]
        connections = [await stack.enter_async_context(Connection(wire.url, "realm1")) for wire in wires]
        yield connections, wires


async def meets(joined: Joined) -> None:
    view = joined.views["desktop"]
    assert isinstance(view, DesktopView)
    assert await view.remote("#controller").save("milk") == "saved milk"
    assert await view.remote("#controller").logout() == "bye, too"


async def test_a_session_by_a_router_and_who_knows_its_address() -> None:
    async with routed(count=3) as ([server, page, eve], _), Shop().bound("shop", server.new_context()) as shop:
        joined = await start_session(page, "shop", views=VIEWS)
        await meets(joined)
        with pytest.raises(exc.NotFound):
            await eve.session.apply(f"{joined.address}.desktop.controller.save", ["by eve"])
        with pytest.raises(exc.NotFound):
            await eve.session.apply(f"{joined.address}.client.desktop.logout", ["by eve"])
        heard = asyncio.Queue[Any]()
        shop.sessions[0].desktop.controller.on_saved.connect(heard.put_nowait)
        await eve.session.publish(f"{joined.address}.desktop.controller.on_saved", "by eve")
        await joined.views["desktop"].remote("#controller").on_saved.notify("by the page")
        assert await heard.get() == "by the page"


async def test_a_page_that_is_cut_off_has_its_session_and_views_when_it_is_back() -> None:
    async with routed() as ([server, page], [_, wire]), Shop().bound("shop", server.new_context()) as shop:
        joined = await start_session(page, "shop", views=VIEWS)
        view, started = joined.views["desktop"], asyncio.Queue[Joined]()
        heard = asyncio.Queue[Any]()
        await view.remote("#controller").on_saved.connect(heard.put_nowait)
        joined.on("started", started.put_nowait)
        for _ in range(3):
            wire.cut()
            await started.get()
            assert (joined.views["desktop"], len(shop.sessions)) == (view, 1)
            await meets(joined)
            assert await heard.get() == "milk"


async def test_a_server_that_is_cut_off_has_its_sessions_when_it_is_back() -> None:
    async with routed() as ([server, page], [wire, _]), Shop().bound("shop", server.new_context()) as shop:
        joined = await start_session(page, "shop", views=VIEWS)
        [root] = shop.sessions
        back = asyncio.Event()
        server.on("restored", back.set)
        wire.cut()
        await back.wait()
        await meets(joined)
        assert shop.sessions == (root,)
        assert await root.desktop.controller.remote("#view").logout("still") == "still, too"


async def test_pages_that_left_while_the_server_was_away_are_missed_when_it_is_back() -> None:
    class Brief(Shop):
        GRACE = 0.1

    async with routed() as ([server, page], [wire, _]), Brief().bound("shop", server.new_context()) as shop:
        await start_session(page, "shop", views=VIEWS)
        [root] = shop.sessions
        ended = asyncio.Queue[str]()
        root.on_end.connect(ended.put_nowait)
        wire.cut()
        await page.close()
        assert await ended.get() == "timeout"
        await root.node_unbind()
        assert shop.sessions == ()


async def test_a_router_that_does_not_say_who_calls_is_refused_with_what_to_do() -> None:
    async with routed(secretive()) as ([server, page], _), Shop().bound("shop", server.new_context()):
        with pytest.raises(exc.Forbidden, match="The router does not say who calls"):
            await start_session(page, "shop")


async def test_a_router_that_does_not_say_who_leaves_is_refused_with_what_to_do() -> None:
    async with routed(mute(), count=1) as ([server], _):
        shop = Shop()
        with pytest.raises(exc.Forbidden, match=r"does not let this service subscribe wamp\.session\.on_leave"):
            await shop.node_bind("shop", server.new_context())
        assert not shop.node_bound
