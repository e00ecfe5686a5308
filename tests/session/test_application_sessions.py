"""A session of an application, in memory: what is paired finds each other, nobody else finds them, and what is over is
gone."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from shop import VIEWS, Cursor, Desktop, DesktopController, DesktopView, Shop

from limen import Node, Path, exc
from limen.session import Caller, Context, Controller, Joined, SessionRoot, View, start_session
from limen.testing import Clock, connections

Test = Callable[[], Coroutine[Any, Any, None]]


def run(test: Test) -> None:
    Clock().run(test())


async def settled() -> None:
    """All that is under way has ended; the clock stands still."""
    for _ in range(200):
        await asyncio.sleep(0)


def test_a_controller_and_a_view_find_each_other() -> None:
    async def test() -> None:
        async with connections(2) as (server, page), Shop().bound("shop", server.new_context()) as shop:
            joined = await start_session(page, "shop", views=VIEWS)
            view = joined.views["desktop"]
            assert isinstance(view, DesktopView)
            assert joined.new
            assert view.options == {"title": "Welcome"}
            assert await view.remote("#controller").save("milk") == "saved milk"
            assert await view.remote("#cursor").move(7) == 7
            [root] = shop.sessions
            controller = root.desktop.controller
            assert controller.asked == 1
            assert await controller.remote("#view").logout("bye") == "bye, too"
            assert await view.remote("#controller").logout() == "bye, too"
            assert view.told == ["bye", "bye"]
            heard: list[Any] = []
            await view.remote("#controller").on_saved.connect(heard.append)
            await controller.save("bread")
            await settled()
            assert heard == ["bread"]

    run(test)


def test_what_could_not_begin_leaves_nothing_that_begins_later() -> None:
    async def test() -> None:
        async with connections(2) as (server, page):
            for _ in range(2):
                with pytest.raises(exc.NotFound):
                    await start_session(page, "shop", views=VIEWS)
            async with Shop().bound("shop", server.new_context()) as shop:
                await settled()
                assert shop.sessions == ()
                assert page.session.first == []
                await start_session(page, "shop", views=VIEWS)
                assert len(shop.sessions) == 1

    run(test)


def test_addresses_count_from_the_session_and_roles_are_what_is_declared() -> None:
    async def test() -> None:
        async with connections(2) as (server, page), Shop().bound("shop", server.new_context()) as shop:
            joined = await start_session(page, "shop", views=VIEWS)
            controller, view = shop.sessions[0].desktop.controller, joined.views["desktop"]
            place = Path(joined.address)
            for node in (controller, view):
                assert node.remote("@desktop").node_path == place + "desktop"
                assert node.remote("#controller").node_path == place + "desktop.controller"
                assert node.remote("#view").node_path == place + "client.desktop"
                assert node.remote("#cursor").node_path == place + "desktop.controller.cursor"
                assert node.remote("#session").node_path == place
                assert node.remote("#context").node_path == place + "desktop"
                with pytest.raises(exc.InvalidAddress, match='nobody here knows the role "menu"'):
                    node.remote("#menu")

    run(test)


def test_nobody_can_guess_an_address() -> None:
    async def test() -> None:
        async with connections(2) as (server, page), Shop().bound("shop", server.new_context()):
            names = [(await start_session(page, "shop")).address.partition(".")[2] for _ in range(20)]
            assert len(set(names)) == 20
            assert {len(name) for name in names} == {33}, "160 bits, five a letter, and one letter in front"

    run(test)


def test_contexts_open_and_close_from_both_sides() -> None:
    async def test() -> None:
        async with connections(2) as (server, page), Shop().bound("shop", server.new_context()) as shop:
            joined = await start_session(page, "shop", views=VIEWS)
            happened: list[str] = []
            joined.on("opened", lambda view: happened.append(f"opened {view.node_name}"))
            joined.on("closed", lambda view: happened.append("closed"))
            [root] = shop.sessions
            second = await root.open(Desktop)
            await second.when_viewed()
            assert sorted(joined.views) == ["desktop", "desktop_2"]
            assert await second.controller.remote("#view").logout("two") == "two, too"
            await second.close()
            await settled()
            assert sorted(joined.views) == ["desktop"]
            await joined.views["desktop"].remote("#context").close()
            await settled()
            assert (joined.views, root.opened) == ({}, ())
            assert happened == ["opened desktop_2", "closed", "closed"]

    run(test)


def test_a_controller_alone_names_its_view() -> None:
    class Clock(Controller):
        VIEW = "ClockView"

    class ClockView(View):
        pass

    async def test() -> None:
        async with connections(2) as (server, page), Shop().bound("shop", server.new_context()) as shop:
            joined = await start_session(page, "shop", views={"ClockView": ClockView})
            context = await shop.sessions[0].open(Clock)
            await context.when_viewed()
            assert isinstance(joined.views["clock"], ClockView)
            assert type(joined.views["desktop"]) is View, "no such view is known"

    run(test)


def test_a_call_of_a_view_waits_until_it_is_there() -> None:
    async def test() -> None:
        async with connections(2) as (server, page), Shop().bound("shop", server.new_context()) as shop:
            joined = await start_session(page, "shop", views=VIEWS)
            context = await shop.sessions[0].open(Desktop, "late")
            answer = await context.controller.remote("#view").logout("at once")
            assert answer == "at once, too"
            assert joined.views["late"].told == ["at once"]  # type: ignore[attr-defined]

    run(test)


def test_a_controller_that_has_its_view_may_open_more_and_wait_for_that() -> None:
    class Opener(DesktopController):
        async def viewed(self) -> None:
            context = await self.node_context.session.open(Desktop, "more")
            assert await context.controller.remote("#view").logout("hello") == "hello, too"

    class Opening(Shop):
        OPENS = Opener

    async def test() -> None:
        async with connections(2) as (server, page), Opening().bound("shop", server.new_context()):
            joined = await start_session(page, "shop", views={**VIEWS, "Opener": DesktopView})
            assert sorted(joined.views) == ["more", "opener"]
            assert joined.views["more"].told == ["hello"]  # type: ignore[attr-defined]

    run(test)


# -- away and back ----------------------------------------------------------------------------------------------
def test_a_page_that_reloads_finds_its_session_as_it_was() -> None:
    async def test() -> None:
        async with connections(3) as (server, before, after), Shop().bound("shop", server.new_context()) as shop:
            store: dict[str, Any] = {}
            joined = await start_session(before, "shop", views=VIEWS, store=store)
            await joined.views["desktop"].remote("#controller").save("milk")
            [root] = shop.sessions
            await before.close()
            await settled()
            assert not root.is_here
            again = await start_session(after, "shop", views=VIEWS, store=store)
            assert (again.address, again.new, root.is_here) == (joined.address, False, True)
            assert root.desktop.controller.saved == "milk"
            assert await root.desktop.controller.remote("#view").logout("back") == "back, too"
            assert again.views["desktop"].told == ["back"]  # type: ignore[attr-defined]
            assert shop.sessions == (root,)

    run(test)


def test_a_call_of_the_view_during_a_reload_waits_for_the_new_one() -> None:
    async def test() -> None:
        async with connections(3) as (server, before, after), Shop().bound("shop", server.new_context()) as shop:
            store: dict[str, Any] = {}
            await start_session(before, "shop", views=VIEWS, store=store)
            [root] = shop.sessions
            await before.close()
            await settled()
            asking = asyncio.create_task(root.desktop.controller.logout())
            await settled()
            assert not asking.done()
            await start_session(after, "shop", views=VIEWS, store=store)
            assert await asking == "bye, too"

    run(test)


def test_a_page_that_does_not_return_is_unbound_and_freed_all_of_it() -> None:
    clock = Clock()
    ours = (SessionRoot, Context, Controller, Cursor)

    def there() -> int:
        gc.collect()
        return sum(isinstance(thing, ours) for thing in gc.get_objects())

    async def test() -> None:
        async with connections(2) as (server, page), Shop().bound("shop", server.new_context()) as shop:
            await start_session(page, "shop", views=VIEWS)
            root = weakref.ref(shop.sessions[0])
            controller = weakref.ref(shop.sessions[0].desktop.controller)
            assert there() == 4
            await page.close()
            await clock.advance(59)
            assert len(shop.sessions) == 1
            await clock.advance(2)
            assert (shop.sessions, len(shop._stays)) == ((), 0)
            assert list(server.tree.nodes) == ["shop"]
            assert (there(), root(), controller()) == (0, None, None)

    clock.run(test())


def test_a_connection_that_is_lost_and_returns_has_the_session_and_the_same_views() -> None:
    async def test() -> None:
        async with connections(2) as (server, page), Shop().bound("shop", server.new_context()) as shop:
            joined = await start_session(page, "shop", views=VIEWS)
            started = asyncio.Event()
            joined.on("started", lambda _: started.set())
            view, [root] = joined.views["desktop"], shop.sessions
            page.cut()
            await started.wait()
            assert joined.views["desktop"] is view
            assert await view.remote("#controller").save("milk") == "saved milk"
            assert await root.desktop.controller.remote("#view").logout("still") == "still, too"
            assert shop.sessions == (root,)

    run(test)


def test_a_server_that_begins_anew_has_no_session_and_the_page_is_told_and_has_a_new_one() -> None:
    async def test() -> None:
        async with connections(3) as (server, page, other):
            service = Shop()
            await service.node_bind("shop", server.new_context())
            store: dict[str, Any] = {}
            joined = await start_session(page, "shop", views=VIEWS, store=store)
            first, told = joined.address, asyncio.Queue[str]()
            started = asyncio.Event()
            joined.on("ended", told.put_nowait)
            joined.on("started", lambda _: started.set())
            page.cut(away=True)
            await server.close()
            async with Shop().bound("shop", other.new_context()) as shop:
                page.come_back()
                await started.wait()
                assert await told.get() == "gone"
                assert joined.new
                assert joined.address != first
                assert store["shop"]["address"] == joined.address
                assert await joined.views["desktop"].remote("#controller").save("milk") == "saved milk"
                assert len(shop.sessions) == 1

    run(test)


def test_who_ends_ends_it_on_both_sides() -> None:
    async def test() -> None:
        async with connections(2) as (server, page), Shop().bound("shop", server.new_context()) as shop:
            store: dict[str, Any] = {}
            told: list[str] = []
            for end in ("page", "server"):
                joined = await start_session(page, "shop", views=VIEWS, store=store)
                joined.on("ended", told.append)
                await (joined.end() if end == "page" else shop.sessions[0].end())
                await settled()
                assert (shop.sessions, joined.views, store) == ((), {}, {})
                with pytest.raises(exc.UnknownSession):
                    joined.remote("#session")
            assert told == ["end", "end"]
            assert list(page.tree.nodes) == []

    run(test)


# -- who may ----------------------------------------------------------------------------------------------------
def test_who_knows_the_address_reaches_nothing() -> None:
    async def test() -> None:
        async with connections(3) as (server, page, eve), Shop().bound("shop", server.new_context()) as shop:
            joined = await start_session(page, "shop", views=VIEWS)
            controller = shop.sessions[0].desktop.controller
            spy = Node()
            await spy.node_bind("spy", eve.new_context())
            for address in ("", ".desktop", ".desktop.controller", ".desktop.controller.cursor"):
                there = spy.remote(joined.address + address)
                for name in ("end", "close", "contexts", "save", "move"):
                    with pytest.raises(exc.NotFound):
                        await there.node_call(name, "milk")
            assert (controller.asked, len(shop.sessions)) == (0, 1)
            heard: list[Any] = []
            controller.on_saved.connect(heard.append)
            await spy.remote(joined.address + ".desktop.controller").on_saved.notify("from eve")
            await settled()
            assert heard == []
            await joined.views["desktop"].remote("#controller").on_saved.notify("from the page")
            await settled()
            assert heard == ["from the page"]

    run(test)


def test_a_view_answers_the_server_alone() -> None:
    async def test() -> None:
        async with connections(3) as (server, page, eve), Shop().bound("shop", server.new_context()):
            joined = await start_session(page, "shop", views=VIEWS)
            spy = Node()
            await spy.node_bind("spy", eve.new_context())
            with pytest.raises(exc.NotFound):
                await spy.remote(f"{joined.address}.client.desktop").logout("from eve")
            assert joined.views["desktop"].told == []  # type: ignore[attr-defined]

    run(test)


def test_a_guessed_token_another_address_and_one_that_is_stale_find_nothing() -> None:
    async def test() -> None:
        async with connections(3) as (server, page, eve), Shop().bound("shop", server.new_context()) as shop:
            store: dict[str, Any] = {}
            joined = await start_session(page, "shop", views=VIEWS, store=store)
            known = dict(store["shop"])
            stale: dict[str, Any] = {"shop": known}
            await joined.leave()
            await start_session(page, "shop", views=VIEWS, store=store)
            for said in (
                {**known, "token": "x" * 43},
                {**known, "token": ""},
                {"address": "shop.s" + "a" * 32, "token": known["token"]},
                {"address": "elsewhere." + known["address"], "token": known["token"]},
                known,
            ):
                with pytest.raises(exc.UnknownSession):
                    await eve.session.apply("shop.start_session", [said["address"], said["token"]])
            copy = await start_session(eve, "shop", views=VIEWS, store=stale)
            assert (copy.new, len(shop.sessions)) == (True, 2)

    run(test)


def test_a_policy_names_who_else_may() -> None:
    class Watched(Shop):
        def policy(self, caller: Caller, session: SessionRoot) -> bool:
            return caller.session == supervisor

    supervisor = 0

    async def test() -> None:
        nonlocal supervisor
        async with connections(4) as (server, page, boss, eve), Watched().bound("shop", server.new_context()):
            supervisor = boss.session.id
            joined = await start_session(page, "shop", views=VIEWS)
            save = f"{joined.address}.desktop.controller.save"
            assert await boss.session.apply(save, ["milk"]) == "saved milk"
            with pytest.raises(exc.NotFound):
                await eve.session.apply(save, ["milk"])

    run(test)


# -- how many ---------------------------------------------------------------------------------------------------
def test_there_are_so_many_sessions_and_an_error_says_so() -> None:
    class Small(Shop):
        MAX_PER_USER = 2
        MAX_SESSIONS = 3

        def user_of(self, caller: Caller) -> str | None:
            return str(caller.session)

    async def test() -> None:
        async with connections(4) as (server, one, two, three), Small().bound("shop", server.new_context()) as shop:
            for _ in range(2):
                await start_session(one, "shop")
            with pytest.raises(exc.MaxActiveSessions, match="There are 2 sessions of this user"):
                await start_session(one, "shop")
            await start_session(two, "shop")
            with pytest.raises(exc.Busy, match="There are 3 sessions, as many as may be"):
                await start_session(three, "shop")
            await two.close()
            await settled()
            await start_session(three, "shop")
            assert len(shop.sessions) == 3

    run(test)


def test_a_session_has_so_many_contexts() -> None:
    async def test() -> None:
        async with connections(2) as (server, page), Shop().bound("shop", server.new_context()) as shop:
            await start_session(page, "shop")
            [root] = shop.sessions
            root.MAX_CONTEXTS = 3  # type: ignore[misc]
            await root.open(Desktop)
            await root.open(Desktop)
            with pytest.raises(exc.Busy, match="3 contexts are open"):
                await root.open(Desktop)

    run(test)


# -- what goes wrong --------------------------------------------------------------------------------------------
def test_a_program_that_fails_at_the_start_leaves_nothing() -> None:
    class Broken(Shop):
        async def started(self, session: SessionRoot) -> None:
            await super().started(session)
            raise exc.Forbidden("Not today.")

    async def test() -> None:
        async with connections(2) as (server, page), Broken().bound("shop", server.new_context()) as shop:
            with pytest.raises(exc.Forbidden, match="Not today"):
                await start_session(page, "shop")
            assert (shop.sessions, len(shop._stays), list(server.tree.nodes)) == ((), 0, ["shop"])

    run(test)


def test_sessions_are_not_for_the_program_itself() -> None:
    async def test() -> None:
        async with connections(1) as (server,), Shop().bound("shop", server.new_context()) as shop:
            with pytest.raises(exc.InvalidCall, match="called from another connection"):
                await shop.remote("shop").start_session()

    run(test)


def test_a_service_that_ends_ends_its_sessions() -> None:
    async def test() -> None:
        async with connections(2) as (server, page):
            shop = Shop()
            await shop.node_bind("shop", server.new_context())
            joined = await start_session(page, "shop", views=VIEWS)
            told = asyncio.Queue[str]()
            joined.on("ended", told.put_nowait)
            await shop.node_unbind()
            assert await told.get() == "stop"
            assert (list(server.tree.nodes), joined.address) == ([], "")
            started = asyncio.Event()
            joined.on("started", lambda _: started.set())
            await shop.node_bind("shop", server.new_context())
            await started.wait()
            assert await joined.views["desktop"].remote("#controller").save("milk") == "saved milk"

    run(test)


def test_the_name_of_a_context_is_not_one_that_is_taken() -> None:
    class End(Controller):
        pass

    class Client(Controller):
        pass

    async def test() -> None:
        async with connections(2) as (server, page), Shop().bound("shop", server.new_context()) as shop:
            joined = await start_session(page, "shop")
            for kind in (End, Client):
                await (await shop.sessions[0].open(kind)).when_viewed()
            assert sorted(joined.views) == ["client_", "desktop", "end_"]

    run(test)


def test_a_controller_knows_whose_it_is() -> None:
    async def test() -> None:
        async with connections(2) as (server, page), Shop().bound("shop", server.new_context()) as shop:
            joined: Joined = await start_session(page, "shop", details={"language": "it"})
            [root] = shop.sessions
            controller: DesktopController = root.desktop.controller
            assert controller.node_context.session is root
            assert controller.node_context.principal is root.principal
            assert root.principal.session == page.session.id
            assert root.details == {"language": "it"}
            assert joined.address == str(root.node_path)

    run(test)
