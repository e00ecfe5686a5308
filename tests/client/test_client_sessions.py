"""Sessions as Python programs see them: list, end, force, act as somebody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from house import House

from limen import App, AsyncWsClient, connect, exc, get_state


class Office(House):
    def _app(self) -> App:
        app = super()._app()
        app.config.IMPERSONATOR_ROLES = ("support",)
        app.config.MAX_USER_SESSIONS = 2

        @app.service()
        def whoami() -> list[str | None]:
            return [get_state().user, get_state().impersonated_by]

        return app


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    house = Office(tmp_path / "keys")
    await house.start()
    for user, role in (("sue", "support"), ("bob", "user")):
        await asyncio.to_thread(house.app.auth.add_user, user, "lovelace", roles=[role])
    yield house
    await house.stop()


async def test_a_program_acts_as_a_user_and_is_itself_again(office: Office) -> None:
    async with connect(office.url, user="sue", password="lovelace") as session:
        await session.impersonate("bob")
        assert (session.user, session.roles, session.impersonated_by) == ("bob", ["user"], "sue")
        assert await session.call("whoami") == ["bob", "sue"]
        with pytest.raises(exc.InvalidCall):
            await session.impersonate("sue")
        await session.relinquish()
        assert (session.user, session.impersonated_by) == ("sue", None)
        with pytest.raises(exc.RecordNotFound):
            await session.impersonate("nobody")


async def test_a_client_lists_and_ends_sessions_and_makes_room(office: Office) -> None:
    async with (
        AsyncWsClient(office.url) as first,
        AsyncWsClient(office.url) as second,
        AsyncWsClient(office.url) as third,
    ):
        for client in (first, second):
            await client.login("sue", "lovelace")
        ended = asyncio.get_running_loop().create_future()
        first.on("signed_out", ended.set_result)
        with pytest.raises(exc.MaxActiveSessions):
            await third.login("sue", "lovelace")
        await third.login("sue", "lovelace", force=True)
        assert isinstance(await asyncio.wait_for(ended, 10), exc.UnknownSession)
        mine = await third.sessions()
        assert [row["this"] for row in mine] == [False, True]
        await third.end_session(mine[0]["id"])
        assert [row["this"] for row in await third.sessions()] == [True]
        await third.impersonate("bob")
        assert (third.user, third.roles, third.impersonated_by) == ("bob", ["user"], "sue")
        await third.relinquish()
        assert (third.user, third.roles, third.impersonated_by) == ("sue", ["support"], None)
