"""What somebody who is inside, or who holds back what a client has sent, gets by the HTTP lane: nothing more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from laneside import House, Process, Way, a_house, ask, enter
from test_lane import _resume

from limen import exc
from limen.app.line import _encode
from limen.base.values import Encoding
from limen.client.lane import LaneSession
from limen.core.seal.lane import Sealed
from limen.core.seal.noise import PrivateKey
from limen.core.wamp.messages import Call, Cancel, Event, Message, Publish


@pytest.fixture
def app() -> House:
    return a_house()


def sealed(session: LaneSession, make: Callable[[int], Message]) -> Sealed:
    return session._posts.seal(make)


async def post(process: Process, way: Way, request: Sealed) -> int:
    """The status of the answer to *request*, made of the last one that went that way."""
    last = way.sent[-1]
    headers = tuple((name, str(request.number) if name == "x-limen-number" else value) for name, value in last.headers)
    status, _, stream = await ask(process, last._replace(body=request.frame, headers=headers), way.client)
    async for _ in stream:
        pass
    return status


async def listen(session: LaneSession) -> tuple[list[Event], asyncio.Task[None]]:
    began, got = asyncio.Event(), list[Event]()
    listening = asyncio.create_task(session.listen("news", got.append, began=began.set))
    await began.wait()
    return got, listening


async def test_who_may_not_listen_any_more_hears_no_more(app: House) -> None:
    app.hub = (process := Process(app, [])).hub
    first, second = [await listen(await enter(app, Way(process))) for _ in range(2)]
    app.permissions.store.grant("localhost", "admin", "news")
    app.permissions.take(app.permissions.news(["localhost"]))
    process.hub.publish("localhost", "news", ["for admins"], {})
    for got, listening in (first, second):
        with pytest.raises(exc.Error):
            await listening
        assert got == []
    assert not process.hub.realm("localhost").sessions


async def test_an_event_that_asks_for_no_answer_has_one_and_leaves_nothing_behind(app: House) -> None:
    way = Way(process := Process(app, []))
    session = await enter(app, way)
    await session.call("echo", [1])
    for topic in ("chat", "news"):
        event = sealed(session, lambda number, topic=topic: Publish(number, {}, topic, ["hello"]))  # type: ignore[misc]
        async with asyncio.timeout(5):
            assert await post(process, way, event) == 200
    assert not next(iter(process.hub.tabs)).connection.running


@pytest.mark.parametrize("encoding", ["json", "cbor"])
@pytest.mark.parametrize("number", [10**30, -(10**30), -1, 10**16])
async def test_to_cancel_what_can_be_no_call_troubles_nobody(app: House, encoding: Encoding, number: int) -> None:
    way = Way(process := Process(app, []))
    session = await enter(app, way, encoding)
    await session.call("echo", [1])
    process.hub.bus.tell = lambda kind, body, to=0: _encode([kind, body])  # type: ignore[method-assign]
    cancel = sealed(session, lambda own: Cancel(own, {"call": number}))
    assert await post(process, way, cancel) == 200


async def test_two_requests_with_one_call_id_are_two_calls_and_both_are_answered(app: House) -> None:
    way = Way(process := Process(app, []))
    session = await enter(app, way)
    await session.call("echo", [1])
    requests = [sealed(session, lambda number: Call(number, {"x_id": b"i" * 16}, "hold")) for _ in range(2)]
    posts = [asyncio.create_task(post(process, way, request)) for request in requests]
    while len(app.ran) < 2:
        await asyncio.sleep(0)
    app.released.set()
    async with asyncio.timeout(5):
        assert await asyncio.gather(*posts) == [200, 200]


async def two_servers(app: House) -> tuple[Process, Process, Way, LaneSession, Callable[..., Any]]:
    """Two servers of one database, that tell each other nothing at once; a session that both know; its way back."""
    here, there = Process(app, []), Process(app, [])
    session = await enter(app, way := Way(here))
    key = PrivateKey(b"p" * 32)
    opened = await session.call("limen.slot.open", [key.public])
    way.processes = (there,)
    await session.call("echo", [1])
    return here, there, way, session, lambda: _resume(Way(here), key, opened)


async def test_a_request_that_is_held_back_until_the_slot_has_other_keys_runs_nowhere(app: House) -> None:
    _, there, way, session, resume = await two_servers(app)
    withheld = sealed(session, lambda number: Call(number, {}, "note", ["late"]))
    again = await resume()
    assert await post(there, way, withheld) != 200
    assert app.ran == []
    for value in range(withheld.number + 2):  # nor has it used up a number of the new lane's
        assert await again.call("echo", [value]) == value


async def test_what_listens_under_old_keys_ends_where_the_new_ones_come(app: House) -> None:
    _, there, _, session, resume = await two_servers(app)
    got, listening = await listen(session)
    again = await resume()
    again._posts.exchange.processes = (there,)
    for value in range(8):  # numbers that the lane before has used as well
        assert await again.call("echo", [value]) == value
    there.hub.publish("localhost", "news", ["after"], {})
    with pytest.raises(exc.Error):
        await listening
    assert got == []
    assert there.level() == 0.0
