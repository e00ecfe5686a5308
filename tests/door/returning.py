"""Sessions that come back, or do not."""

from __future__ import annotations

from typing import Any

from knock import Door, Knock, Refused, Slot, knock
from waiting import until

from limen import exc

UNKNOWN = exc.UnknownSession.uri


async def signed_in(door: Door, client: Knock, user: str = "ada") -> Slot:
    await client.login(user)
    return await client.open_slot()


async def resumed(door: Door, slot: Slot, **options: Any) -> str:
    """The reason for which a resume is refused; "" where it is not."""
    async with knock(door, **options) as client:
        try:
            await client.resume(slot)
        except Refused as refused:
            return refused.reason
        return "" if await client.call("secret") == "sealed" else "not sealed"


async def lost(door: Door, client: Knock) -> None:
    """The connection is lost, and the server knows it."""
    before = len(door.connections)
    await client.cut()
    await until(lambda: len(door.connections) < before)
