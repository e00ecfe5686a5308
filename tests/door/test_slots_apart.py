"""Slots in another store than the accounts: a server that stops halfway through a removal leaves nobody a way back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from knock import Door, Slot, account, knock
from returning import UNKNOWN, lost, resumed, signed_in

from limen import DataStore, dbm


class Stopped(Exception):
    """The server stops here."""


class Apart(Door):
    """Both stores outlive the server."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.store = DataStore(dbm.MemDictStore(), state=dbm.MemDictStore())


@pytest.mark.parametrize("meanwhile", [False, True], ids=["", "a session begins meanwhile"])
@pytest.mark.parametrize("gone", [False, True], ids=["before the account is gone", "after the account is gone"])
async def test_nobody_comes_back_where_a_removal_was_not_finished(open_door: Any, gone: bool, meanwhile: bool) -> None:
    door = await open_door(Apart)
    slots: list[Slot] = []
    loop, remove = asyncio.get_running_loop(), door.app.vault.accounts.remove
    async with knock(door) as first, knock(door) as second:
        slots.append(await signed_in(door, first))
        await lost(door, first)

        async def sneak_in() -> None:
            slots.append(await signed_in(door, second))

        def stop(*who: Any, **options: Any) -> bool:
            if meanwhile:
                asyncio.run_coroutine_threadsafe(sneak_in(), loop).result(10)
            if gone:
                remove(*who, **options)
            raise Stopped

        door.app.vault.accounts.remove = stop
        with pytest.raises(Stopped):
            await asyncio.to_thread(door.app.auth.remove_user, "ada")
        if meanwhile:
            await lost(door, second)
    left = [slot.handle for slot in door.slots()]
    assert left == [slot.handle for slot in slots[1:]]
    await door.stop()
    door.users = {}
    await door.start()
    assert await resumed(door, slots[0]) == UNKNOWN
    if not gone:  # it was not decided yet: who is still a user may be logged in, and is removed when it is said again
        assert await asyncio.to_thread(door.app.auth.remove_user, "ada")
    assert [await resumed(door, slot) for slot in slots] == [UNKNOWN] * len(slots)
    assert await asyncio.to_thread(door.app.auth.add_user, "ada", "of somebody else")
    assert [await resumed(door, slot) for slot in slots] == [UNKNOWN] * len(slots), "the name is another person's now"
    assert door.slots() == []


async def test_a_slot_whose_account_is_gone_is_refused_though_it_is_there(open_door: Any) -> None:
    door = await open_door(Apart)
    async with knock(door) as client:
        slot = await signed_in(door, client)
        await lost(door, client)
    await asyncio.to_thread(door.app.vault.accounts.remove, "localhost", "ada")
    assert [row.handle for row in door.slots()] == [slot.handle]
    assert await resumed(door, slot) == UNKNOWN
    door.app.vault.accounts.put(account(door.app, "ada", []))  # the slot itself was fit
    assert await resumed(door, slot) == ""
