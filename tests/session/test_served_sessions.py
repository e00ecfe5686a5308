"""Sessions of an application in `limen serve`, by real sockets and sealed logins: rules that allow anybody anything do
not open them, and it does not matter at which worker somebody is."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from client.between import Between
from served import Server
from shop import VIEWS, DesktopView

from limen import Connection, exc
from limen.session import Joined, start_session

LIMEN = str(Path(sys.executable).with_name("limen"))
PROGRAM = str(Path(__file__).with_name("served_shop.py"))
PASSWORDS = {"ada": "correct horse", "bob": "battery staple", "eve": "long enough too"}


@pytest.fixture(scope="module", params=[1, 3], ids=["one process", "three workers"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("shop")
    options = ["--workers", "3"] if request.param == 3 else []
    command = [LIMEN, "serve", PROGRAM, "--port", "0", "--db", f"sqlite:///{folder / 'shop.db'}", *options]
    served = Server(command, cwd=folder, env={**os.environ})
    yield served
    assert served.stop() == 0


class House:
    """Connections to *server*, closed at the end."""

    def __init__(self, server: Server, stack: AsyncExitStack) -> None:
        self.server, self.stack = server, stack

    async def come(self, user: str | None = None, url: str = "") -> Connection:
        more: dict[str, Any] = {} if user is None else {"user": user, "password": PASSWORDS[user]}
        return await self.stack.enter_async_context(Connection(url or self.server.url, **more))

    async def at_all(self, user: str | None, count: int = 5) -> list[Connection]:
        """Some connections: with several workers, hardly all at one."""
        return [await self.come(user) for _ in range(count)]


@asynccontextmanager
async def house(server: Server) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack, asyncio.timeout(60):
        yield House(server, stack)


async def logs_out(joined: Joined) -> None:
    view = joined.views["desktop"]
    assert isinstance(view, DesktopView)
    assert await view.remote("#controller").save("milk") == "saved milk"
    assert await view.remote("#controller").logout() == "bye, too"
    assert view.told[-1] == "bye"


async def test_controller_and_view_find_each_other_wherever_the_page_is(server: Server) -> None:
    async with house(server) as here:
        for connection in await here.at_all("ada"):
            joined = await start_session(connection, "shop", views=VIEWS)
            await logs_out(joined)
            heard = asyncio.Queue[Any]()
            await joined.views["desktop"].remote("#controller").on_saved.connect(heard.put_nowait)
            await joined.views["desktop"].remote("#controller").save("bread")
            assert await heard.get() == "bread"
            await joined.end()


async def test_the_page_mirrors_the_state_of_its_controller_and_nobody_else_does(server: Server) -> None:
    async with house(server) as here:
        joined = await start_session(await here.come("ada"), "shop", views=VIEWS)
        controller = joined.views["desktop"].remote("#controller")
        await controller.save("milk")
        mirror = await controller.stream()
        changed = asyncio.Queue[Any]()
        mirror.watch(lambda changes: changed.put_nowait(mirror.get("saved")))
        assert mirror["saved"] == "milk"
        await controller.save("bread")
        while await changed.get() != "bread":
            pass
        with pytest.raises(exc.NotFound):
            async for _ in (await here.come("eve")).session.stream(f"{joined.address}.desktop.controller.node_stream"):
                pass
        mirror.close()


async def test_without_a_login_there_is_the_stall_and_not_the_shop(server: Server) -> None:
    async with house(server) as here:
        for connection in await here.at_all(None, 3):
            await logs_out(await start_session(connection, "stall", views=VIEWS))
            with pytest.raises(exc.Error):
                await connection.session.apply("shop.start_session")
            with pytest.raises(exc.Unauthorized, match=r"begins no session .* no application stands there, .* a login"):
                await start_session(connection, "shop", views=VIEWS)


async def test_who_knows_the_address_and_may_do_anything_by_the_rules_reaches_nothing(server: Server) -> None:
    async with house(server) as here:
        page = await here.come("ada")
        joined = await start_session(page, "shop", views=VIEWS)
        place, view = joined.address, joined.views["desktop"]
        assert isinstance(view, DesktopView)
        strangers = [*await here.at_all("eve", 3), await here.come("ada"), *await here.at_all(None, 3)]
        heard: list[Any] = []
        for stranger in strangers:
            session = stranger.session
            for name in ("end", "contexts", "desktop.close", "desktop.controller.save", "client.desktop.logout"):
                with pytest.raises(exc.NotFound):
                    await session.apply(f"{place}.{name}", ["from a stranger"])
            for topic, match in (
                ("shop.", "prefix"),
                ("sh", "prefix"),
                ("", "prefix"),
                (f"{place}.", "prefix"),
                (f"{place}.desktop.controller.on_saved", "exact"),
                (f"{place}.desktop.controller.", "wildcard"),
                ("shop..desktop.controller.on_saved", "wildcard"),
                ("....", "wildcard"),
            ):
                with pytest.raises(exc.Unauthorized):
                    await session.subscribe(topic, heard.append, match=match)
            for uri, match in (
                (f"{place}.client.", "prefix"),
                (f"{place}.client.desktop.logout", "exact"),
                ("shop..client.desktop.logout", "wildcard"),
                (f"{place}.desktop.controller.save", "exact"),
                ("shop.", "prefix"),
            ):
                for more in ({}, {"force_reregister": True}):
                    with pytest.raises(exc.Unauthorized):
                        await session.register(uri, lambda call: "mine", match=match, **more)
            with pytest.raises(exc.Unauthorized):
                await session.publish(f"{place}.desktop.controller.on_saved", "from a stranger")
        await logs_out(joined)
        assert (heard, view.told) == ([], ["bye"])


async def test_the_party_itself_registers_nothing_but_views(server: Server) -> None:
    async with house(server) as here:
        page = await here.come("ada")
        place = (await start_session(page, "shop")).address
        for uri in (f"{place}.", f"{place}.desktop.controller.", "shop."):
            with pytest.raises(exc.Unauthorized):
                await page.session.register(uri, lambda call: "mine", match="prefix")


async def test_what_the_meta_api_tells_of_addresses_is_of_no_use(server: Server) -> None:
    async with house(server) as here:
        page, eve = await here.come("ada"), await here.come("eve")
        joined = await start_session(page, "shop", views=VIEWS)
        ids = (await eve.session.apply("wamp.registration.list"))["prefix"]
        known = {(await eve.session.apply("wamp.registration.get", [id]))["uri"] for id in ids}
        assert f"{joined.address}.client." in known
        with pytest.raises(exc.NotFound):
            await eve.session.apply(f"{joined.address}.client.desktop.logout", ["eve"])
        assert joined.views["desktop"].told == []  # type: ignore[attr-defined]


async def test_whom_the_policy_names_reaches_it_from_any_worker(server: Server) -> None:
    async with house(server) as here:
        page = await here.come("ada")
        joined = await start_session(page, "shop", views=VIEWS)
        controller = f"{joined.address}.desktop.controller"
        for bob in await here.at_all("bob"):
            assert await bob.session.apply(f"{controller}.save", ["by bob"]) == "saved by bob"
            heard = asyncio.Queue[Any]()
            await bob.session.subscribe(f"{controller}.on_saved", heard.put_nowait)
            await joined.views["desktop"].remote("#controller").save("by ada")
            assert await heard.get() == "by ada"
            with pytest.raises(exc.Unauthorized):
                await bob.session.register(f"{joined.address}.client.", lambda call: "mine", match="prefix")


async def test_another_tab_finds_the_session_with_its_token_and_the_first_has_it_no_more(server: Server) -> None:
    async with house(server) as here:
        first, second = await here.come("ada"), await here.come("ada")
        store: dict[str, Any] = {}
        address = (await start_session(first, "shop", views=VIEWS, store=store)).address
        again = await start_session(second, "shop", views=VIEWS, store=dict(store))
        assert (again.address, again.new) == (address, False)
        await logs_out(again)


async def test_a_token_is_worth_nothing_to_another_user(server: Server) -> None:
    async with house(server) as here:
        store: dict[str, Any] = {}
        joined = await start_session(await here.come("ada"), "shop", views=VIEWS, store=store)
        for stranger in (await here.come("eve"), await here.come("bob")):
            with pytest.raises(exc.UnknownSession):
                await stranger.session.apply("shop.start_session", [store["shop"]["address"], store["shop"]["token"]])
        await logs_out(joined)


async def test_a_page_that_does_not_come_back_has_no_session_any_more(server: Server) -> None:
    async with house(server) as here:
        store: dict[str, Any] = {}
        page, looker = await here.come(), await here.come()
        over = asyncio.Queue[Any]()
        await looker.session.subscribe("over", lambda *args: over.put_nowait(args))
        await start_session(page, "stall", views=VIEWS, store=store)
        await page.close()
        address, token = store["stall"]["address"], store["stall"]["token"]
        assert await over.get() == (address, "timeout")
        with pytest.raises(exc.UnknownSession):
            await looker.session.apply("stall.start_session", [address, token])


async def test_nothing_of_the_token_is_in_the_log(server: Server) -> None:
    async with house(server) as here:
        store: dict[str, Any] = {}
        joined = await start_session(await here.come("ada"), "shop", store=store)
        token = store["shop"]["token"]
        with pytest.raises(exc.UnknownSession):
            await (await here.come("eve")).session.apply("shop.start_session", [joined.address, token])
        assert not any(token in line for line in server.lines)


@pytest.mark.parametrize(("application", "user"), [("shop", "ada"), ("booth", None)])
async def test_a_page_that_is_cut_off_has_its_session_and_views_when_it_is_back(
    server: Server, application: str, user: str | None
) -> None:
    async with house(server) as here:
        wire = await here.stack.enter_async_context(Between(server.port))
        page = await here.come(user, wire.url)
        joined = await start_session(page, application, views=VIEWS)
        view, started, heard = joined.views["desktop"], asyncio.Queue[Any](), asyncio.Queue[Any]()
        await view.remote("#controller").on_saved.connect(heard.put_nowait)
        joined.on("started", started.put_nowait)
        for _ in range(4):  # with several workers it comes back at another one, mostly
            wire.cut()
            await started.get()
            assert joined.views["desktop"] is view
            assert not joined.new
            await logs_out(joined)
            assert await heard.get() == "milk"


async def test_a_worker_that_is_killed_takes_its_sessions_along_and_pages_elsewhere_are_told(server: Server) -> None:
    if "--workers" not in server.command:
        return
    async with house(server) as here:
        pages = await here.at_all("ada", 6)
        ended, started = asyncio.Queue[Any](), asyncio.Queue[Any]()
        all_joined = [await start_session(page, "shop", views=VIEWS) for page in pages]
        addresses = {joined.address for joined in all_joined}
        for joined in all_joined:
            joined.on("ended", ended.put_nowait)
            joined.on("started", started.put_nowait)
        pid = await pages[0].session.apply(f"{all_joined[0].address}.desktop.controller.where")
        os.kill(pid, signal.SIGKILL)
        for _ in pages:
            assert await ended.get() == "gone"
        new = set[Joined]()
        while len(new) < len(pages):  # one that was found again meanwhile, at the other workers, has said so, too
            joined = await started.get()
            if joined.address not in addresses:
                new.add(joined)
        for joined in new:
            await logs_out(joined)
