"""The death of slots: logout, time, a new password, a removed user, a new epoch."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from knock import PASSWORD, Door, Refused, Slot, account, knock
from returning import UNKNOWN, lost, resumed, signed_in
from waiting import until

from limen import DataStore, dbm, exc
from limen.core.wamp.messages import Goodbye


async def test_a_logout_ends_the_slot(door: Door) -> None:
    async with knock(door) as client:
        slot = await signed_in(door, client)
        assert await client.call("limen.session.logout") is None
        assert (await client.farewell()).reason == "wamp.close.logout"
        assert await client.closed() == 1000
    assert door.slots() == []
    assert await resumed(door, slot) == UNKNOWN


async def test_a_goodbye_ends_the_slot_at_once(door: Door) -> None:
    async with knock(door) as client:
        slot = await signed_in(door, client)
        await client.send(Goodbye({}, "wamp.close.normal"))
        assert (await client.farewell()).reason == "wamp.close.goodbye_and_out"
    assert await resumed(door, slot) == UNKNOWN
    await asyncio.to_thread(door.hub.gate.collect())
    assert door.slots() == []


async def test_a_connection_that_is_lost_does_not(door: Door) -> None:
    """An end without GOODBYE is a truncation: anyone on the way can do that."""
    async with knock(door) as client:
        slot = await signed_in(door, client)
        await client.ws.close()
    await until(lambda: not door.connections)
    assert await resumed(door, slot) == ""


@pytest.mark.parametrize("where", ["live", "parked", "in the store"])
@pytest.mark.parametrize("why", ["idle", "old"])
async def test_time_ends_a_session(door: Door, where: str, why: str) -> None:
    async with knock(door) as client:
        slot = await signed_in(door, client)
        (tab,) = door.hub.tabs
        if where != "live":
            await lost(door, client)
        if where == "in the store":
            door.hub.tabs.remove(tab)
            (row,) = door.slots()
            back = {"used": row.used - 3601} if why == "idle" else {"login": row.login - 12 * 3600 - 1}
            door.app.vault.slots.remove(row.domain, row.handle)
            door.app.vault.slots.put(replace(row, **back))
        elif why == "idle":
            tab.used -= 3601
        else:
            tab.login -= 12 * 3600 + 1
        door.hub.logins.sweep()
        if where == "live":
            assert (await client.farewell()).reason == "limen.close.expired"
        assert await resumed(door, slot) == UNKNOWN
    if where != "in the store":
        await asyncio.to_thread(door.hub.gate.collect())
        assert door.slots() == []


async def test_a_session_that_is_used_does_not_age_in_the_store(door: Door) -> None:
    """Calls keep the slot alive, not only resumes: its owner may come back after hours of work, and after a restart."""
    async with knock(door) as client:
        slot = await signed_in(door, client)
        (tab,) = door.hub.tabs
        (row,) = door.slots()
        door.app.vault.slots.remove(row.domain, row.handle)
        door.app.vault.slots.put(replace(row, used=row.used - 3601))
        tab.used -= 3601
        assert await client.call("secret") == "sealed"
        door.hub.logins.sweep()
        await lost(door, client)
        assert await resumed(door, slot) == ""
        await asyncio.to_thread(door.hub.gate.collect())
        (row,) = door.slots()
        assert time.time() - row.used < 60


async def test_the_store_hears_of_a_session_at_work_now_and_then(door: Door) -> None:
    """For a crash, after which only the store remembers it; but not with every call."""

    async def behind() -> float:
        door.hub.logins.sweep()
        await asyncio.to_thread(door.hub.gate.collect())
        (row,), (tab,) = door.slots(), door.hub.tabs
        return float(tab.used - row.used)

    async with knock(door) as client:
        await signed_in(door, client)
        (tab,) = door.hub.tabs
        await behind()
        tab.used += 59
        assert await behind() == pytest.approx(59, abs=1)
        tab.used += 2
        assert await behind() == 0.0


@pytest.mark.parametrize("what", ["a new password", "removed", "disabled"])
async def test_what_becomes_of_the_user_ends_all_sessions(door: Door, what: str) -> None:
    auth = door.app.auth
    async with knock(door) as live, knock(door) as gone, knock(door) as other:
        slots = [await signed_in(door, live), await signed_in(door, gone)]
        others = await signed_in(door, other, "bob")
        await lost(door, gone)
        if what == "removed":
            assert await asyncio.to_thread(auth.remove_user, "ada")
        elif what == "disabled":
            await asyncio.to_thread(auth.disable, "ada")
        else:
            await asyncio.to_thread(auth.set_password, "ada", "battery staple")
        assert (await live.farewell()).reason == "wamp.close.logout"
        assert [await resumed(door, slot) for slot in slots] == [UNKNOWN] * 2
        assert await other.call("secret") == "sealed"
        assert [slot.handle for slot in door.slots()] == [others.handle]
    if what == "disabled":
        await asyncio.to_thread(auth.disable, "ada", disabled=False)
        async with knock(door) as client:
            await client.login()


async def test_a_new_password_ends_a_session_that_began_with_the_old_one_meanwhile(door: Door) -> None:
    """Setting a password takes its time: whoever logs in with the old one just before it is kept is out as well."""
    accounts = door.app.vault.accounts
    async with knock(door) as client:
        slots: list[Slot] = []
        update = accounts.update

        def slowly(*who: Any, **options: Any) -> Any:
            asyncio.run_coroutine_threadsafe(sneak_in(), loop).result(10)
            return update(*who, **options)

        async def sneak_in() -> None:
            slots.append(await signed_in(door, client))

        loop = asyncio.get_running_loop()
        accounts.update = slowly  # type: ignore[method-assign]
        await asyncio.to_thread(door.app.auth.set_password, "ada", "battery staple")
        accounts.update = update  # type: ignore[method-assign]
        assert (await client.farewell()).reason == "wamp.close.logout"
        assert await resumed(door, slots[0]) == UNKNOWN


@pytest.mark.parametrize("what", ["a new password", "removed"])
async def test_what_becomes_of_the_user_while_a_resume_waits_ends_it(door: Door, what: str) -> None:
    async with knock(door) as client:
        slot = await signed_in(door, client)
    async with knock(door) as client:
        challenge = await client.challenge_resume(slot)
        if what == "removed":
            await asyncio.to_thread(door.app.auth.remove_user, "ada")
        else:
            await asyncio.to_thread(door.app.auth.set_password, "ada", "battery staple")
        with pytest.raises(Refused, match="unknown_session"):
            await client.answer_resume(challenge)
    assert door.slots() == []
    assert not door.hub.tabs


async def test_a_user_who_is_removed_in_the_last_moment_does_not_come_back(door: Door) -> None:
    accounts, get = door.app.vault.accounts, door.app.vault.accounts.get

    def get_and_lose(*who: str) -> Any:
        found = get(*who)
        if found is not None:
            door.app.auth.remove_user("ada")
        return found

    async with knock(door) as client:
        slot = await signed_in(door, client)
    async with knock(door) as client:
        challenge = await client.challenge_resume(slot)
        accounts.get = get_and_lose  # type: ignore[method-assign]
        with pytest.raises(Refused, match="unknown_session"):
            await client.answer_resume(challenge)
    assert not door.hub.tabs


async def test_a_slot_that_is_opened_while_its_session_ends_does_not_stay(door: Door) -> None:
    slots, put = door.app.vault.slots, door.app.vault.slots.put

    def end_and_put(*row: Any, **options: Any) -> bool:
        door.app.end_sessions("localhost", "ada")
        return put(*row, **options)

    async with knock(door) as client:
        await client.login()
        slots.put = end_and_put  # type: ignore[method-assign]
        await client.begin("limen.slot.open", bytes(32))
        assert (await client.farewell()).reason == "wamp.close.logout"
    await asyncio.to_thread(door.hub.gate.collect())
    assert door.slots() == []


async def test_a_new_password_from_inside_ends_all_others(door: Door) -> None:
    async with knock(door) as one, knock(door) as two, knock(door) as away:
        mine, theirs, third = [await signed_in(door, client) for client in (one, two, away)]
        await lost(door, away)
        for tab in door.hub.tabs:
            if tab.parked is not None:
                door.hub.tabs.remove(tab)  # in the store only, as after a restart
        record = account(door.app, "ada", [], password="battery staple").record
        assert await one.call("limen.password.finish", record) is None
        assert (await two.farewell()).reason == "wamp.close.logout"
        assert [await resumed(door, slot) for slot in (theirs, third)] == [UNKNOWN] * 2
        assert await one.call("secret") == "sealed"
        await lost(door, one)
    assert await resumed(door, mine) == ""
    async with knock(door) as client:
        with pytest.raises(exc.InvalidCredential):
            await client.login("ada", PASSWORD)
    async with knock(door) as client:
        await client.login("ada", "battery staple")


class OnDisk(Door):
    """A house whose store is an SQLite file."""

    def __init__(self, keys: Path, *args: Any) -> None:
        super().__init__(keys, *args)
        self.file = keys.with_suffix(".db")

    async def start(self) -> None:
        self.store = DataStore(dbm.SQLStore(f"sqlite:///{self.file}"))
        await super().start()

    async def stop(self) -> None:
        await super().stop()
        self.store.storage.close()  # type: ignore[attr-defined]


async def test_a_database_put_back_from_a_copy_begins_a_new_epoch(open_door: Any) -> None:
    """It may have forgotten a logout, or a new password: all sessions are over, the accounts stay."""
    door = await open_door(OnDisk)
    async with knock(door) as client:
        kept = await signed_in(door, client)
        await lost(door, client)
        assert await resumed(door, kept) == ""
    await door.stop()
    copy = door.file.read_bytes()
    await door.start()
    async with knock(door) as client:
        await signed_in(door, client, "bob")  # after the copy was made, something happens
    await door.stop()
    door.file.write_bytes(copy)
    for rest in ("-wal", "-shm"):
        Path(f"{door.file}{rest}").unlink(missing_ok=True)
    await door.start()
    assert await resumed(door, kept) == UNKNOWN
    async with knock(door) as client:
        fresh = await signed_in(door, client)
        assert fresh.epoch == kept.epoch + 1
        await lost(door, client)
    await door.stop()
    await door.start()
    assert await resumed(door, fresh) == ""  # an ordinary restart begins none
