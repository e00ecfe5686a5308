"""Who takes small messages only is told why it has to go as far as that fits, and goes; nobody else has harm of it."""

from __future__ import annotations

from typing import Any

import pytest
import uvloop
from test_bounds import Ways, both

from limen.core.wamp import messages as m
from limen.transport.memory import ClosedError

loop = uvloop.new_event_loop
SMALL = 1024
"""Bytes: WELCOME goes in, little else does."""


async def left(at: Ways, session: int) -> None:
    """The router has let go of *session*."""
    asker = await at.join()
    answer = await asker.ask(m.Call, "wamp.session.get", [session])
    assert answer.error == "wamp.error.no_such_session"
    assert session not in [connection.session_id for connection in at.hub.connections if not connection.closing]


@pytest.mark.parametrize("how", [{"message": "x" * SMALL}, {"reason": "x" * SMALL}], ids=["message", "reason"])
async def test_who_is_ended_with_many_words_ends(how: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    async with both() as at:
        killer, small, other = await at.join(), await at.join("rawsocket", largest=SMALL), await at.join("rawsocket")
        answer = await killer.ask(m.Call, "wamp.session.kill_all", [], how)
        assert type(answer) is m.Result
        assert answer.args == [2]
        goodbye = await other.hear()
        assert type(goodbye) is m.Goodbye
        if "message" in how:
            assert await small.hear() == m.Goodbye({}, "wamp.close.killed")
        with pytest.raises(ClosedError):
            await small.hear()
        await left(at, small.id)
    assert not caplog.records


async def test_a_violation_of_many_words_ends_a_session(caplog: pytest.LogCaptureFixture) -> None:
    async with both() as at:
        callee, small = await at.join(), await at.join("rawsocket", largest=SMALL)
        await callee.ask(m.Register, "todo.add")
        session = at.hub.realm("realm1").sessions[small.id]
        session.features |= {"caller.progressive_call_invocations"}
        at.hub.realm("realm1").sessions[callee.id].features |= {"callee.progressive_call_invocations"}
        at.hub.realm("realm1").sessions[callee.id].can_be_interrupted = True
        await small.say(m.Call(1, {"progress": True}, "todo.add"))
        assert type(await callee.hear()) is m.Invocation
        await small.say(m.Call(1, {"progress": True}, "x" * 2 * SMALL))
        assert await small.hear() == m.Abort({}, "wamp.error.protocol_violation")
        with pytest.raises(ClosedError):
            await small.hear()
        await left(at, small.id)
    assert not caplog.records
