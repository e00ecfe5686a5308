"""Strangers hold no more of the server's memory than a greeting needs, however many of them wait."""

from __future__ import annotations

import json

import pytest
from knock import ROLES, Door, Refused, knock

from limen.core.wamp.messages import Authenticate, Hello, Welcome
from limen.door.hub.gate import MAX_GREETING

PAD: list[list[int]] = [[]] * (MAX_GREETING // 3)


@pytest.mark.parametrize("sealed", [True, False])
async def test_a_long_hello_is_refused_before_it_is_decoded(door: Door, sealed: bool) -> None:
    async with knock(door, "json", sealed=sealed) as client:
        await client.send(Hello("localhost", {"roles": ROLES, "authmethods": ["opaque"], "pad": PAD}))
        with pytest.raises(Refused, match="at most"):
            await client.receive()
        assert await client.closed() == 1009
    assert door.level() == 5.0


async def test_a_long_hello_does_not_wait_with_its_login(door: Door) -> None:
    async with knock(door, "json") as client:
        await client.challenge()
        hello = json.loads(client._hello)
        hello[2]["pad"] = PAD
    async with knock(door, "json") as client:
        await client.ws.send(json.dumps(hello))
        with pytest.raises(Refused, match="at most"):
            await client.receive()


async def test_a_long_authenticate_is_refused(door: Door) -> None:
    async with knock(door, "json") as client:
        await client.challenge()
        await client.send(Authenticate("", {"ke3": bytes(64), "pad": PAD}))
        with pytest.raises(Refused, match="at most"):
            await client.receive()
        assert await client.closed() == 1009


async def test_what_comes_in_a_session_may_be_longer(door: Door) -> None:
    async with knock(door, "json", sealed=False) as client:
        assert type(await client.anonymous()) is Welcome
        assert await client.call("nothing.here", PAD) == "wamp.error.no_such_procedure"
