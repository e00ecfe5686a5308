"""What runs in a session acts for its party: an address that somebody gives it opens no session of another's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from shop import Shop

from limen import Context, Controller, Path, Proxy, call, exc
from limen.session import Caller, SessionRoot, start_session
from limen.testing import connections


class Helpful(Controller):
    """Calls, follows and mirrors whatever it is given."""

    @call
    def secret(self) -> str:
        return f"of {self.node_context.session.user}"

    @call
    async def asks(self, whom: Proxy) -> Any:
        return await whom()

    @call
    async def mirrors(self, whom: Proxy) -> Any:
        return dict(await whom.stream())

    @call
    async def listens(self, whom: Path) -> None:
        await self.remote(whom).on_said.connect(print)


class Desk(Context):
    CONTROLLER = Helpful


class Market(Shop):
    OPENS = Desk

    def user_of(self, caller: Caller) -> str | None:
        return f"user of {caller.session}"


class Watched(Market):
    def policy(self, caller: Caller, session: SessionRoot) -> bool:
        return caller.user == supervisor


supervisor = ""


def place(of: Any, what: str = "") -> dict[str, Any]:
    return {"$path": f"{of.address}.desk.controller{what}"}


async def test_a_controller_reaches_no_session_of_another_though_it_knows_the_address() -> None:
    async with connections(3) as (server, one, two), Market().bound("shop", server.new_context()) as shop:
        ada, bob = await start_session(one, "shop"), await start_session(two, "shop")
        shop.sessions[0].desk.controller["kept"] = 1
        mine = f"{bob.address}.desk.controller"
        for name, whom in (
            ("asks", place(ada, ".secret")),
            ("asks", {"$path": f"{ada.address}.end"}),
            ("asks", {"$path": f"{ada.address}.client.desk.title"}),
            ("mirrors", place(ada)),
            ("listens", {**place(ada), "$as": "path"}),
        ):
            with pytest.raises(exc.NotFound):
                async with asyncio.timeout(5):
                    await two.session.apply(f"{mine}.{name}", [whom])
        assert len(shop.sessions) == 2
        assert "user of" in await two.session.apply(f"{mine}.asks", [place(bob, ".secret")])
        own = shop.remote(f"{ada.address}.desk.controller")
        assert "user of" in await own.secret(), "the service itself may"


async def test_it_does_where_the_policy_lets_its_user(monkeypatch: pytest.MonkeyPatch) -> None:
    async with connections(3) as (server, one, two), Watched().bound("shop", server.new_context()):
        ada, boss = await start_session(one, "shop"), await start_session(two, "shop")
        monkeypatch.setitem(globals(), "supervisor", f"user of {two.session.id}")
        mine = f"{boss.address}.desk.controller"
        assert "user of" in await two.session.apply(f"{mine}.asks", [place(ada, ".secret")])
        with pytest.raises(exc.NotFound):
            await one.session.apply(f"{ada.address}.desk.controller.asks", [place(boss, ".secret")])


async def test_a_role_that_may_have_no_session_has_none_by_any_router() -> None:
    class ForStaff(Market):
        USER_ROLES = ("staff",)

    class ForAll(Market):
        def user_of(self, caller: Caller) -> str | None:
            roles.append(caller.role)
            return super().user_of(caller)

    roles: list[str] = []
    async with connections(2) as (server, page):
        async with ForStaff().bound("shop", server.new_context()) as shop:
            with pytest.raises(exc.Forbidden, match="role"):
                await start_session(page, "shop")
            assert not shop.sessions
        async with ForAll().bound("mall", server.new_context()) as mall:
            await start_session(page, "mall")
            type(mall).USER_ROLES = ("staff", roles[0])
            await page.session.apply("mall.start_session")
            assert len(mall.sessions) == 2
