"""What is counted of sessions, calls and events, and what it costs to look."""

from __future__ import annotations

from typing import Any

import pytest
from knock import Door, knock
from waiting import until

from limen import App, exc
from limen.core.wamp.messages import Call as CallMessage
from limen.core.wamp.messages import (
    Error,
    Event,
    Hello,
    Invocation,
    Publish,
    Register,
    Result,
    Subscribe,
    Subscribed,
    Yield,
)
from limen.core.wamp.realm import Realm
from limen.core.wamp.session import Session
from limen.core.wamp.verdict import ALLOWED
from limen.door.hub.counts import MOST_ROWS, OTHER, Counts, _bounded, picture, together
from limen.door.hub.times import BOUNDS, MOST, Times
from limen.door.hub.underway import UnderWay

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Open(Door):
    def extend(self, app: App) -> None:
        app.open_realms = True

        @app.service(safe=False, ssl=False, check_abusive=False)
        def half(n: int) -> float:
            if n == 0:
                raise exc.NotFound("There is no half of nothing.")
            return 10 / n


class Closed(Door):
    def extend(self, app: App) -> None:
        @app.service(safe=False, ssl=False)
        def nothing() -> None: ...


async def said(client: Any, kind: Any, *rest: Any) -> Any:
    """The answer to a request."""
    client.request += 1
    await client.send(kind(client.request, *rest))
    return await client.receive()


async def routed(caller: Any, callee: Any, uri: str, options: dict[str, Any], answer: Any) -> tuple[Any, Any]:
    """A call from one session to the other: the INVOCATION, and what the caller hears."""
    caller.request += 1
    await caller.send(CallMessage(caller.request, options, uri, [1]))
    invocation = await callee.receive()
    assert type(invocation) is Invocation
    await callee.send(answer(invocation.request))
    return invocation, await caller.receive()


def good(request: int) -> Yield:
    return Yield(request, {}, [2])


def bad(request: int) -> Error:
    return Error(68, request, {}, "com.example.no")


async def test_what_happens_is_counted_once(open_door: Any) -> None:
    door = await open_door(Open)
    async with knock(door, sealed=False) as one, knock(door, sealed=False) as other:
        await one.anonymous()
        await other.anonymous()
        await said(other, Register, {}, "com.example.twice")
        await said(other, Subscribe, {}, "com.example.news")
        assert type((await routed(one, other, "com.example.twice", {}, good))[1]) is Result
        assert type((await routed(one, other, "com.example.twice", {}, bad))[1]) is Error
        assert await one.call("half", 5) == 2
        assert await one.call("half", 0) == exc.NotFound.uri
        await said(one, Publish, {"acknowledge": True}, "com.example.news")
        assert type(await other.receive()) is Event
        await said(one, Publish, {"acknowledge": True}, "com.example.nobody")
        seen = picture(door.hub)
        assert {name: seen[name] for name in ("calls_routed", "calls_routed_answered", "calls_routed_failed")} == {
            "calls_routed": 2,
            "calls_routed_answered": 1,
            "calls_routed_failed": 1,
        }
        assert (seen["calls_local"], seen["calls_local_failed"], seen["pending"]) == (2, 1, 0)
        assert (seen["published"], seen["delivered"]) == (2, 1)
        assert (seen["connections"], seen["registrations"], seen["subscriptions"]) == (2, 1, 1)
        assert seen["sessions"] == [["localhost", "anonymous", "websocket", 2]]
        assert seen["messages_in"] == 12
        assert seen["bytes_in"] > 100 < seen["bytes_out"]
        assert seen["memory"] > 2**20
    await until(lambda: not door.hub.connections)
    after = picture(door.hub)
    assert (after["connections"], after["connections_opened"], after["sessions"]) == (0, 2, [])
    assert (after["sessions_opened"], after["sessions_closed"]) == (2, 2)
    assert after["bytes_in"] >= seen["bytes_in"]


async def test_what_is_pending_is_seen_and_what_its_callee_leaves_behind_has_failed(open_door: Any) -> None:
    door = await open_door(Open)
    async with knock(door, sealed=False) as caller:
        await caller.anonymous()
        async with knock(door, sealed=False) as callee:
            await callee.anonymous()
            await said(callee, Register, {}, "com.example.slow")
            caller.request += 1
            await caller.send(CallMessage(caller.request, {}, "com.example.slow"))
            await callee.receive()
            assert picture(door.hub)["pending"] == 1
        assert type(await caller.receive()) is Error
        seen = picture(door.hub)
        assert (seen["pending"], seen["calls_routed_failed"]) == (0, 1)


async def test_denied_actions_are_counted_by_action(open_door: Any) -> None:
    door = await open_door(Closed)
    async with knock(door, sealed=False) as visitor:
        await visitor.anonymous()
        for kind in (Subscribe, Register, Register):
            assert type(await said(visitor, kind, {}, "com.example.closed")) is Error
    assert sorted(picture(door.hub)["denied"]) == [["register", 2], ["subscribe", 1]]


async def test_what_addresses_cost_is_taken_while_somebody_watches(open_door: Any) -> None:
    door = await open_door(Open)
    async with knock(door, sealed=False) as one, knock(door, sealed=False) as other:
        await one.anonymous()
        await other.anonymous()
        await said(other, Register, {}, "com.example.twice")
        await said(other, Subscribe, {}, "com.example.news")
        await routed(one, other, "com.example.twice", {}, good)
        assert (door.hub.watcher, picture(door.hub)["addresses"]) == (None, [])
        door.hub.watching.look()
        await routed(one, other, "com.example.twice", {}, good)
        await routed(one, other, "com.example.twice", {}, bad)
        await one.call("half", 5)
        await said(one, Publish, {"acknowledge": True}, "com.example.news")
        await other.receive()
        seen = picture(door.hub)
        assert [row[:3] for row in sorted(seen["addresses"])] == [["com.example.twice", 2, 1], ["half", 1, 0]]
        assert all(0 < longest <= seconds for *_, seconds, longest in seen["addresses"])
        assert seen["topics"] == [["com.example.news", 1, 1]]
        assert sum(number for _, number in seen["buckets"]) == 3
        door.hub.watching._until = 0.0
        door.hub.watching.settle()
        assert door.hub.watcher is None


async def test_a_trace_goes_on_from_a_call_to_its_invocation_and_from_an_event_to_who_hears_it(open_door: Any) -> None:
    door = await open_door(Open)
    trace = {"_traceparent": TRACE, "_tracestate": "vendor=1"}
    async with knock(door, sealed=False) as one, knock(door, sealed=False) as other:
        await one.anonymous()
        await other.anonymous()
        await said(other, Register, {}, "com.example.twice")
        assert type(await said(other, Subscribe, {}, "com.example.news")) is Subscribed
        invocation, _ = await routed(one, other, "com.example.twice", trace, good)
        assert invocation.details == trace
        invocation, _ = await routed(one, other, "com.example.twice", {"_traceparent": "no"}, good)
        assert invocation.details == {}
        await said(one, Publish, {"acknowledge": True, **trace}, "com.example.news")
        event = await other.receive()
        assert event.details == trace


def test_of_who_left_in_the_middle_of_a_call_nothing_stays() -> None:
    realm = Realm("a.example", rng=lambda: 7, procedures={}.get, authorize=lambda *who: ALLOWED)
    caller, callee = Session(1), Session(2)
    realm.attach(caller)
    realm.attach(callee)
    realm.receive(callee, Register(1, {}, "add"))
    invocations = [realm.receive(caller, CallMessage(number, {}, "add"))[0].message for number in (1, 2)]
    left: list[str] = []
    under_way: UnderWay[str] = UnderWay(left.append)
    assert [under_way.begin(callee, one, lambda call, uri: uri) for one in invocations] == ["add", "add"]
    under_way.sweep()
    assert left == []
    assert under_way.end(caller, 1) == "add"
    realm.detach(caller)
    under_way.sweep()
    assert left == ["add"]
    assert under_way.end(caller, 2) is None


async def test_a_call_in_parts_is_one_call_from_its_first_part(open_door: Any) -> None:
    door = await open_door(Open)
    ticks = iter((1.0, 4.0, 9.0))
    door.hub.watching.look()
    door.hub.counts.times._clock = ticks.__next__
    able = {"callee": {"features": {name: True for name in ("progressive_call_invocations", "call_canceling")}}}
    caller_able = {"caller": {"features": {"progressive_call_invocations": True}}}
    async with knock(door, sealed=False) as one, knock(door, sealed=False) as other:
        await one.send(Hello("localhost", {"roles": caller_able}))
        await one.receive()
        await other.send(Hello("localhost", {"roles": able}))
        await other.receive()
        await said(other, Register, {}, "com.example.parts")
        await one.send(CallMessage(1, {"progress": True}, "com.example.parts", [1]))
        first = await other.receive()
        await one.send(CallMessage(1, {}, "com.example.parts", [2]))
        assert (await other.receive()).request == first.request
        await other.send(good(first.request))
        await one.receive()
        assert picture(door.hub)["addresses"] == [["com.example.parts", 1, 0, 3.0, 3.0]]


def test_addresses_that_begin_alike_for_as_long_as_they_are_shown_are_one_row() -> None:
    times = Times()
    for number in range(3):
        times.call("a", "x" * 200 + str(number), 1.0, failed=False)
    assert times.addresses() == [["x" * 200, 3, 0, 3.0, 1.0]]


def test_there_is_an_end_to_addresses() -> None:
    times = Times()
    for number in range(MOST + 10):
        times.call("a", f"com.example.{number}", 0.1, failed=False)
    rows = times.addresses()
    assert len(rows) == MOST + 1
    assert rows[-1][:2] == [OTHER, 10]
    shown = _bounded(rows, 1)
    assert len(shown) == MOST_ROWS + 1
    assert sum(row[1] for row in shown) == MOST + 10
    assert (shown[-1][0], shown[-1][4]) == (OTHER, 0.1)


@pytest.mark.parametrize(("seconds", "bucket"), [(0.0, 0), (BOUNDS[0], 0), (BOUNDS[-1], len(BOUNDS) - 1), (99.0, -1)])
def test_a_call_is_in_the_first_bucket_that_holds_it(seconds: float, bucket: int) -> None:
    times = Times()
    times.call("a", "a", seconds, failed=False)
    assert times.buckets()[bucket][1] == 1


def test_pictures_of_two_processes_are_one() -> None:
    one = {"calls": 2, "started": 5.0, "watched": False, "addresses": [["a", 2, 1, 0.5, 0.25], ["b", 1, 0, 0.1, 0.1]]}
    other = {"calls": 3, "started": 4.0, "watched": True, "addresses": [["a", 1, 0, 0.5, 0.5], ["c", 1, 0, 0.1, 0.1]]}
    assert together([one, other]) == {
        "calls": 5,
        "started": 4.0,
        "watched": True,
        "addresses": [["a", 3, 1, 1.0, 0.5], ["b", 1, 0, 0.1, 0.1], ["c", 1, 0, 0.1, 0.1]],
    }


def test_a_local_call_is_counted_with_or_without_somebody_watching() -> None:
    counts = Counts()
    counts.called("a", "todo.add", 0.1, None)
    counts.times = Times()
    counts.called("a", "todo.add", 0.1, None)
    assert (counts.calls, counts.failed, counts.times.addresses()[0][1]) == (2, 0, 1)
