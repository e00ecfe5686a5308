"""A CALL and its CANCEL that come in one piece: the call is answered once, and nothing of it is left."""

from __future__ import annotations

import secrets

import pytest
from knock import Door, knock

from limen.core.wamp.messages import Call, Cancel, Error, Result


@pytest.mark.parametrize("options", [{}, {"x_id": secrets.token_bytes(16)}])
@pytest.mark.parametrize("name", ["slow.answer", "echo"])
async def test_a_call_that_is_cancelled_before_its_first_step_has_its_answer(
    door: Door, name: str, options: dict[str, bytes]
) -> None:
    async with knock(door, "msgpack") as client:
        await client.login()
        (connection,) = door.hub.connections
        assert client.channel is not None
        for message in (Call(1, options, name, ["x"]), Cancel(1, {"mode": "kill"})):
            connection.received(client.channel.seal(client.codec.encode(message)), False)
        answer = await client.receive()
        if name == "echo":  # quick enough on a Python that begins at once
            assert isinstance(answer, Result) or answer.error == "wamp.error.canceled"  # type: ignore[union-attr]
        else:
            assert isinstance(answer, Error)
            assert answer.error == "wamp.error.canceled"
        assert connection.running == {}
        assert [*connection.tab.calls.running()] == []
