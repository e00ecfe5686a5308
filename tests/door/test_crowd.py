"""One address can't take all the places."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import pytest
import websockets
from knock import knock


async def test_an_origin_has_so_many_connections_without_a_login_and_no_more(open_door: Any) -> None:
    door = await open_door(MAX_ORIGIN_CONNECTIONS=3)
    async with AsyncExitStack() as stack:
        crowd = [await stack.enter_async_context(knock(door, sealed=False)) for _ in range(2)]
        person = await stack.enter_async_context(knock(door))
        await person.login()  # with a login one does not count
        crowd.append(await stack.enter_async_context(knock(door, sealed=False)))
        with pytest.raises(websockets.InvalidStatus) as refused:
            await stack.enter_async_context(knock(door, sealed=False))
        assert refused.value.response.status_code == 503
        other = await stack.enter_async_context(knock(door, sealed=False, origin="127.0.0.2"))
        await other.anonymous()
        for one in crowd:
            await one.anonymous()
