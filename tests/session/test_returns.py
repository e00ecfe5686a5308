"""A page whose connection returns, and is lost again before the session is found again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from shop import VIEWS, Shop

from limen import exc
from limen.node.connection import when_connected
from limen.node.context import Next, NodeContext
from limen.node.tree import Tree
from limen.session import start_session
from limen.testing import Clock, connections


@pytest.mark.parametrize("lost", ["question", "answer"])
def test_a_connection_that_is_lost_again_while_the_session_is_being_found_again_loses_nothing(lost: str) -> None:
    losses = 3

    async def test() -> None:
        async with connections(2) as (server, page):

            async def losing(next: Next, address: str, args: Any, kwargs: Any) -> Any:
                nonlocal losses
                again = address == "shop.start_session" and args[0] is not None and losses > 0
                if again and lost == "question":
                    losses -= 1
                    page.cut()
                outcome = await next(address, args, kwargs)
                if again and lost == "answer":
                    losses -= 1
                    page.cut()
                return outcome

            async with Shop().bound("shop", server.new_context(wrap_invocation=losing)) as shop:
                joined = await start_session(page, "shop", views=VIEWS)
                started, ended = asyncio.Event(), list[str]()
                joined.on("started", lambda _: started.set())
                joined.on("ended", ended.append)
                view, [root] = joined.views["desktop"], shop.sessions
                page.cut()
                await started.wait()
                assert (losses, ended) == (0, [])
                assert joined.views["desktop"] is view
                assert await view.remote("#controller").save("milk") == "saved milk"
                assert shop.sessions == (root,)

    Clock().run(test())


@pytest.mark.parametrize("turns", range(0, 60, 3))
def test_a_connection_that_is_lost_while_the_session_begins_leaves_one_session(turns: int) -> None:
    async def test() -> None:
        async with connections(2) as (server, page), Shop().bound("shop", server.new_context()) as shop:
            await when_connected(page)
            joining = asyncio.ensure_future(start_session(page, "shop", views=VIEWS))
            for _ in range(turns):
                await asyncio.sleep(0)
            page.cut()
            joined = await joining
            assert await joined.views["desktop"].remote("#controller").save("milk") == "saved milk"
            assert joined.address in {str(root.node_path) for root in shop.sessions}
            await joined.end()

    Clock().run(test())


class Door:
    """Somebody who stands at the way in, and takes as long as a test says."""

    def __init__(self) -> None:
        self.open, self.asked = asyncio.Event(), asyncio.Event()
        self.open.set()
        self.places: dict[str, str] = {}

    async def declare(self, uri: str, **more: Any) -> None: ...

    def withdraw(self, uri: str) -> None: ...

    async def who(self, id: int) -> dict[str, Any]:
        who = {"domain": "realm1", "user": "ada", "roles": ["nurse"], "profile": {}, "origin": ""}
        return {**who, "party": str(id), "sealed": True, "tls": True}

    async def admit(self, place: str, party: str) -> None:
        self.asked.set()
        await self.open.wait()
        self.places[place] = party

    def dismiss(self, place: str) -> None:
        self.places.pop(place, None)


async def test_a_session_that_ends_while_its_page_returns_is_unknown_and_leaves_nothing_at_the_door() -> None:
    door = Door()
    async with connections(2) as (server, page):
        server.doorkeeper = door  # type: ignore[attr-defined]
        async with Shop().bound("shop", server.new_context()) as shop:
            told = await page.session.apply("shop.start_session")
            door.open.clear()
            door.asked.clear()
            returning = asyncio.ensure_future(
                page.session.apply("shop.start_session", [told["address"], told["token"]])
            )
            await door.asked.wait()
            await shop.end(shop.sessions[0].node_name)
            door.open.set()
            with pytest.raises(exc.UnknownSession):
                await returning
            assert door.places == {}


async def test_a_context_of_no_connection_begins_no_session_and_says_so() -> None:
    with pytest.raises(exc.InvalidCall, match="of no connection"):
        await start_session(NodeContext(tree=Tree()), "shop")
