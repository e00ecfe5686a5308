"""What is seen of several workers: traces go on from one to the other, and what crosses is counted once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest_asyncio
from crews import Crew
from peers import ABLE, Peer, one_at_each

TRACE = {"_traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "_tracestate": "vendor=1"}


@pytest_asyncio.fixture
async def peers(crew: Crew) -> AsyncIterator[list[Peer]]:
    async with AsyncExitStack() as stack:
        yield await one_at_each(crew, stack, ABLE)


async def test_a_trace_goes_on_to_callees_and_subscribers_of_other_workers(peers: list[Peer]) -> None:
    caller, callee, subscriber = peers
    assert await callee.register("traced.call") == ""
    await caller.ask(48, TRACE, "traced.call")
    invocation = await callee.answer(1)
    assert {name: invocation[3][name] for name in TRACE} == TRACE
    assert (await caller.hear(50))[3] == [1]
    await subscriber.subscribe("traced.topic")
    await caller.ask(16, {"acknowledge": True, **TRACE}, "traced.topic")
    assert (await subscriber.hear(36))[3] == TRACE


async def test_a_call_from_one_worker_to_another_is_counted_once(crew: Crew, peers: list[Peer]) -> None:
    before = crew.picture()
    caller, callee, _ = peers
    assert await callee.register("counted.call") == ""
    for n in range(5):
        await caller.ask(48, {}, "counted.call")
        await callee.answer(n)
        await caller.hear(50)
    now = crew.picture()
    names = ("calls_routed", "calls_routed_answered", "calls_routed_failed")
    assert [now[name] - before[name] for name in names] == [5, 5, 0]
    assert now["processes"] == 3
    addresses = {row[0]: row[1] for row in now["addresses"]}
    assert addresses["counted.call"] == 5
