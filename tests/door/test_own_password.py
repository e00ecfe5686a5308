"""A new password from inside a session: only from who has just given the old one, and never as a way to guess."""

from __future__ import annotations

import asyncio
from typing import Any

from knock import Door, account, knock

from limen import exc
from limen.core.seal.opaque import registration_request
from limen.store.accounts import ACCOUNT
from limen.store.rows import key

REQUEST = registration_request(b"a guess", (7).to_bytes(32, "little"))


async def test_a_session_that_came_by_a_resume_can_not_set_a_password(door: Door) -> None:
    """Whoever stole the slot must not become the owner of the account."""
    async with knock(door) as client:
        await client.login()
        slot = await client.open_slot()
        assert len(await client.call("limen.password.begin", REQUEST)) == 64
        await client.cut()
    async with knock(door) as thief:
        await thief.resume(slot)
        for name, argument in (("limen.password.begin", REQUEST), ("limen.password.finish", bytes(192))):
            assert await thief.call(name, argument) in (exc.Unauthorized.uri, exc.InvalidCall.uri)


async def test_a_login_of_long_ago_is_none(open_door: Any) -> None:
    door = await open_door(PASSWORD_CHANGE_WINDOW=-1.0)
    async with knock(door) as client:
        await client.login()
        assert await client.call("limen.password.begin", REQUEST) == exc.Unauthorized.uri


async def test_what_could_try_a_guess_counts_like_a_login(door: Door) -> None:
    async with knock(door) as client:
        await client.login()
        for _ in range(5):
            await client.call("limen.password.begin", REQUEST)
        assert await client.call("limen.password.begin", REQUEST) == exc.Abusive.uri


async def test_the_history_of_the_account_says_who_has_set_a_password_and_from_where(door: Door) -> None:
    async with knock(door) as client:
        await client.login()
        record = account(door.app, "ada", [], password="battery staple").record
        assert await client.call("limen.password.finish", record) is None
    history = door.app.vault.storage.permission.records.history("localhost", ACCOUNT, key("ada"))
    by = history[-1][1]
    assert by is not None
    assert (by.user, by.service, by.origin, by.reason) == ("ada", "limen.password.finish", "127.0.0.1", "password")
    assert history[0][1] is not None
    assert history[0][1].user is None


async def test_a_session_that_begins_with_the_old_password_meanwhile_ends_too(door: Door) -> None:
    """It logs in, and opens its slot, after the slots have ended and before the new password is kept."""
    accounts, loop = door.app.vault.accounts, asyncio.get_running_loop()
    update, slots = accounts.update, []
    async with knock(door) as client, knock(door) as late:

        async def sneak_in() -> None:
            await late.login()
            slots.append(await late.open_slot())

        def slowly(*who: Any, **options: Any) -> Any:
            asyncio.run_coroutine_threadsafe(sneak_in(), loop).result(10)
            return update(*who, **options)

        await client.login()
        own = await client.open_slot()
        record = account(door.app, "ada", [], password="battery staple").record
        accounts.update = slowly  # type: ignore[method-assign]
        assert await client.call("limen.password.finish", record) is None
        accounts.update = update  # type: ignore[method-assign]
        assert (await late.farewell()).reason == "wamp.close.logout"
        assert [slot.handle for slot in door.slots()] == [own.handle]
