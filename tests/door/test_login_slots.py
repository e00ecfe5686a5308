"""A session has one slot, however hard it tries to have more: none outlives its logout or a new password."""

from __future__ import annotations

import asyncio
import secrets

from knock import Door, Knock, Refused, Slot, knock

from limen import exc
from limen.core.seal.noise import PrivateKey
from limen.core.wamp.messages import Result

AT_ONCE = 8


async def open_many(client: Knock) -> list[Slot]:
    """Slots that were asked for all at once, and granted."""
    keys = {}
    for _ in range(AT_ONCE):
        key = PrivateKey(secrets.token_bytes(32))
        keys[await client.begin("limen.slot.open", key.public)] = key
    answers = [await client.receive() for _ in range(AT_ONCE)]
    return [Slot(keys[answer.request], answer.args[0]) for answer in answers if type(answer) is Result and answer.args]


async def alive(door: Door, slots: list[Slot]) -> int:
    count = 0
    for slot in slots:
        async with knock(door) as client:
            try:
                await client.resume(slot)
                count += 1
            except Refused:
                pass
    return count


async def test_slots_that_are_opened_at_once_are_one(door: Door) -> None:
    async with knock(door) as client:
        await client.login()
        slots = await open_many(client)
        assert len(slots) == 1
        assert await client.call("secret") == "sealed"
        await asyncio.to_thread(door.hub.gate.collect())
        assert [row.handle for row in door.slots()] == [slots[0].handle]
        await client.begin("limen.session.logout")
        await client.closed()
    assert await alive(door, slots) == 0
    assert door.slots() == []


async def test_a_second_slot_is_refused_so_that_no_script_slips_in_a_key_of_its_own(door: Door) -> None:
    async with knock(door) as client:
        await client.login()
        slot = await client.open_slot()
        assert await client.call("limen.slot.open", bytes(32)) == exc.InvalidCall.uri
        await client.cut()
    async with knock(door) as client:
        await client.resume(slot)
        assert await client.call("limen.slot.open", bytes(32)) == exc.InvalidCall.uri


async def test_none_outlives_a_new_password(door: Door) -> None:
    async with knock(door) as thief:
        await thief.login()
        slots = await open_many(thief)
        await asyncio.to_thread(door.app.auth.set_password, "ada", "battery staple")
        await thief.closed()
    assert await alive(door, slots) == 0
