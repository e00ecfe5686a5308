"""Signals between nodes: who hears what, in which order, with which arguments, and until when."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from houses import House, is_empty

from limen import exc
from limen.base.path import Path
from limen.node.declared import call, handler
from limen.node.growth import leaving
from limen.node.node import Node
from limen.node.proxy import Proxy
from limen.node.signal import Signal, signal
from limen.testing import MemoryConnection, connections

TEST = Path("test")


class Says(Node):
    on_foo = Signal()
    on_bar = Signal()

    def __init__(self) -> None:
        self.heard: list[Any] = []

    @signal
    def on_moved(self, x: int, y: int) -> None:
        if x < 0:
            raise exc.InvalidCall("x is below 0.")

    @handler("on_foo")
    def own(self, *args: Any) -> None:
        self.heard.append(args)


class Hears(Node):
    def __init__(self) -> None:
        self.heard: list[Any] = []

    @handler("@first.second")
    def hear(self, *args: Any, **kwargs: Any) -> None:
        self.heard.append((*args, kwargs) if kwargs else args)


async def settled(*connections: MemoryConnection) -> None:
    """All that was published has arrived: a router hands out events and calls in the order in which they came."""
    for each in connections:
        undo = await each.session.register("test.settled", lambda invoked: None)
        for other in connections:
            await other.session.apply("test.settled")
        await undo()


class There:
    def __init__(self, house: House, here: MemoryConnection, other: MemoryConnection) -> None:
        self.house, self.here, self.other = house, here, other
        self.first, self.second, self.hears = Says(), Says(), Hears()

    async def settled(self) -> None:
        await settled(self.here, self.other)


@pytest_asyncio.fixture(params=["near", "far"])
async def there(request: Any) -> AsyncIterator[There]:
    async with House() as house:
        here = await house.connection()
        there = There(house, here, here if request.param == "near" else await house.connection())
        await there.first.node_bind(TEST + "first", here.new_context())
        await there.first.node_add("second", there.second)
        await there.hears.node_bind(TEST + "hears", there.other.new_context())
        yield there


async def test_exactly_that_node_is_heard(there: There) -> None:
    second2, below = Says(), Says()
    await there.first.node_add("second2", second2)
    await there.second.node_add("below", below)
    for node in (there.first, second2, below, there.second):
        await node.on_bar.notify(str(node.node_path))
    await there.second.on_node_bind.notify()
    await there.second.on_node_add.notify(below)
    await there.settled()
    assert there.hears.heard == [("test.first.second",)]


async def test_a_thousand_events_come_in_the_order_of_publication(there: There) -> None:
    for number in range(0, 1000, 10):
        said = (there.second.on_foo.notify(number + n) for n in range(10))
        await asyncio.gather(*said)
    await there.settled()
    assert there.hears.heard == [(number,) for number in range(1000)]


async def test_what_is_on_its_way_is_not_heard_after_unbind_began(there: There) -> None:
    heard: list[Any] = []
    undo = await there.hears.remote("@first.second").on_bar.connect(heard.append)
    if there.here is there.other:
        there.second.on_bar.connect(lambda *args: leaving(there.hears) and None)  # one that is told before it
    else:
        publishing = there.second.node_context.session.publish("test.first.second.on_bar", "late")
        await there.hears.node_unbind()  # begins now, before the event has come
        await publishing
    await there.hears.node_unbind()
    await there.second.on_bar.notify("later")
    await there.settled()
    assert there.hears.heard == heard == []
    assert undo().done()  # it is undone already
    assert not there.hears.node_bound


async def test_who_is_unbound_by_another_listener_does_not_hear_it_any_more(there: There) -> None:
    wrapped: list[str] = []

    async def wrapper(next: Any, topic: str, args: Any, kwargs: Any) -> None:
        wrapped.append(topic)
        await next(topic, args, kwargs)

    class Ends(Hears):
        @handler("@first.second.on_bar")
        def end(self, *args: Any) -> None:
            leaving(after)

    await there.hears.node_unbind()
    ends, after = Ends(), Hears()
    await ends.node_bind(TEST + "ends", there.other.new_context())
    await after.node_bind(TEST + "after", there.other.new_context(wrap_event=wrapper))
    await after.remote("@first.second").on_bar.connect(lambda *args: after.heard.append("bar"))
    await there.second.on_bar.notify(1)
    await there.settled()
    await after.node_unbind()
    assert ends.heard == [(1,)]
    assert after.heard == []
    assert wrapped == []


async def test_an_event_is_in_progress_for_no_longer_than_its_handlers(there: There) -> None:
    class Calls(Hears):
        @call
        def event(self) -> bool:
            return self.node_context.event is not None

    if there.here is there.other:
        return
    await Calls().node_bind(TEST + "calls", there.other.new_context())
    session = there.first.node_context.session
    published = session.publish("test.first.second.on_bar", 1)  # both come in one turn of the loop
    assert await session.apply("test.calls.event") is False
    await published
    assert there.hears.heard == [(1,)]


async def test_an_own_signal_that_is_said_elsewhere_is_not_heard_after_unbind_began(there: There) -> None:
    await there.hears.remote("@first.second").on_foo.notify(1)
    await there.settled()
    assert there.second.heard == [(1,)]
    saying = asyncio.ensure_future(there.hears.remote("@first.second").on_foo.notify(2))
    if there.here is there.other:
        await asyncio.sleep(0)
    await there.second.node_unbind()
    await saying
    await there.settled()
    assert there.second.heard == [(1,)] + ([(2,)] if there.here is there.other else [])


async def test_the_same_arguments_near_and_far(there: There) -> None:
    mine: Any = [1, {"a": there.second}]
    await there.second.on_bar.notify(mine, TEST + "x", node=there.first)
    await there.settled()
    [(given, path, named)] = there.hears.heard
    assert given[0] == 1
    assert given is not mine
    assert isinstance(given[1]["a"], Proxy)
    assert path is TEST + "x"
    assert isinstance(named["node"], Proxy)
    for unsayable in (object(), Node()):
        with pytest.raises(exc.InvalidValue):
            await there.second.on_bar.notify(unsayable)
    assert len(there.hears.heard) == 1


async def test_a_handler_that_fails_is_in_the_log(there: There, caplog: pytest.LogCaptureFixture) -> None:
    async def fails_later(*args: Any) -> None:
        raise KeyError("later")

    def fails(*args: Any) -> None:
        raise KeyError("at once")

    for one in (fails, fails_later):
        await there.hears.remote("@first.second").on_bar.connect(one)
    with caplog.at_level(logging.ERROR, "limen.node"):
        if there.here is there.other:
            with pytest.raises(ExceptionGroup):
                await there.second.on_bar.notify(1)
        else:
            await there.second.on_bar.notify(1)
            await there.settled()
            await asyncio.sleep(0)
            assert "at once" in caplog.text
            assert "later" in caplog.text
    assert there.hears.heard == [(1,)]


async def test_a_remote_notify_runs_the_handlers_of_that_node(there: There, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Any] = []
    proxy = there.hears.remote("@first.second")
    there.second.on_moved.connect(lambda *args: heard.append(args))
    await proxy.on_foo.notify("hello")
    await proxy.on_moved.notify(1, 2)
    await there.settled()
    assert there.second.heard == [("hello",)]
    assert there.hears.heard == [("hello",), (1, 2)]  # who says it in another's name listens to it as well
    assert heard == [(1, 2)]
    for wrong in ((1,), (-1, 2), ("x", "y")):
        if there.here is there.other:
            with pytest.raises(exc.InvalidCall):
                await proxy.on_moved.notify(*wrong)
        else:
            with caplog.at_level(logging.WARNING, "limen.node"):
                await proxy.on_moved.notify(*wrong)
                await there.settled()
            assert "did not hear test.first.second.on_moved" in caplog.text
    assert heard == [(1, 2)]
    await proxy.on_nothing.notify()


async def test_a_strangers_publication_reaches_signals_that_travel_and_no_others(there: There) -> None:
    told: list[str] = []
    there.second.on_node_bind.connect(lambda: told.append("bind"))
    stranger = await there.house.connection()
    for name in ("on_node_bind", "on_node_unbind", "on_nothing", "heard", "_x", "on_foo"):
        await stranger.session.publish(f"test.first.second.{name}", *(["hi"] if name == "on_foo" else []))
    await settled(stranger, there.here, there.other)
    assert told == []
    assert there.second.heard == [("hi",)]
    assert ("hi",) in there.hears.heard
    assert there.second.node_bound


async def test_the_event_in_progress_is_known_to_handlers_and_wrappers(there: There) -> None:
    if there.here is there.other:
        return  # near there is none
    seen: list[Any] = []

    async def wrapper(next: Any, topic: str, args: Any, kwargs: Any) -> None:
        event = there.hears.node_context.event
        assert event is not None
        seen.append((topic, event.topic, event.publisher))
        if args != ("no",):
            await next(topic, args, kwargs)

    async def hear(*args: Any) -> None:
        await asyncio.sleep(0)
        event = there.hears.node_context.event
        seen.append(event and event.topic)

    there.hears.node_context.wrap_event = wrapper
    await there.hears.remote("@first.second").on_bar.connect(hear)
    await there.second.on_bar.notify("no")
    await there.settled()
    assert there.hears.heard == []
    assert {topic for topic, *_ in seen} == {"test.first.second.on_bar"}
    await there.second.on_bar.notify("yes")
    await there.settled()
    await asyncio.sleep(0)
    assert there.hears.heard == [("yes",)]
    assert seen[-1] == "test.first.second.on_bar"
    assert there.hears.node_context.event is None


async def test_who_connects_is_heard_until_it_disconnects(there: There) -> None:
    heard: list[Any] = []
    signal = there.hears.remote("@first.second").on_bar
    undo = await signal.connect(heard.append)
    await signal.connect(heard.append)
    await there.second.on_bar.notify(1)
    await there.settled()
    assert heard == [1]
    await undo()
    await there.second.on_bar.notify(2)
    await signal.connect(heard.append)
    await signal.disconnect(heard.append)
    await signal.disconnect(heard.append)
    await there.second.on_bar.notify(3)
    await there.settled()
    assert heard == [1]
    assert len(there.hears.heard) == 3
    await there.hears.node_unbind()
    with pytest.raises(exc.InvalidCall, match="not bound"):
        await signal.connect(heard.append)
    await there.first.node_unbind()
    assert is_empty(there.here.tree)
    assert is_empty(there.other.tree)


async def test_a_node_hears_of_one_that_is_bound_later(there: There) -> None:
    await there.first.node_unbind()
    first, second = Says(), Says()
    await first.node_add("second", second)
    await first.node_bind(TEST + "first", there.here.new_context())
    await second.on_foo.notify("again")
    await there.settled()
    assert there.hears.heard == [("again",)]


async def test_a_router_without_patterns_says_how_to_listen() -> None:
    async with House(patterns=False) as house:
        here = await house.connection()
        hears = Hears()
        with pytest.raises(exc.InvalidCall, match=r"pattern_based_subscription.*@handler\('@….on_foo'\)"):
            await hears.node_bind(TEST + "hears", here.new_context())
        assert is_empty(here.tree)


async def test_wrappers_stand_round_what_is_said_and_listened_to(there: There) -> None:
    seen: list[Any] = []

    def noting(what: str) -> Any:
        async def wrapper(next: Any, address: str, args: Any, kwargs: Any) -> Any:
            seen.append((what, address))
            if "refused" in args or "refused" in address:
                raise exc.Forbidden("Not in this branch.")
            return await next(address, args, kwargs)

        return wrapper

    there.hears.node_context.wrap_subscribe = noting("listens")
    there.first.node_context.wrap_publish = noting("says")
    await there.second.on_bar.notify(1)
    with pytest.raises(ExceptionGroup):
        await there.second.on_bar.notify("refused")
    await there.settled()
    assert there.hears.heard == [(1,)]
    heard: list[Any] = []
    await there.hears.remote("@first.second").on_foo.connect(heard.append)
    with pytest.raises(exc.Forbidden):
        await there.hears.remote("@first.second").on_refused.connect(heard.append)
    assert seen[2:] == [("listens", "test.first.second.on_foo"), ("listens", "test.first.second.on_refused")]
    await there.second.on_foo.notify(2)
    await there.settled()
    assert heard == [2]


async def test_an_undo_undoes_what_a_wrapper_has_made_of_the_address() -> None:
    async def renaming(next: Any, address: str, args: Any, kwargs: Any) -> Any:
        return await next(address.replace("alias", "bell"), args, kwargs)

    class Bell(Node):
        on_ring = Signal()

    async with connections(1) as (connection,):
        bell, listener, heard = Bell(), Node(), []
        await bell.node_bind("test.bell", connection.new_context())
        await listener.node_bind("test.listener", connection.new_context(wrap_subscribe=renaming))
        undo = await listener.remote("test.alias").on_ring.connect(heard.append)
        await bell.on_ring.notify(1)
        await undo()
        await bell.on_ring.notify(2)
        assert heard == [1]


async def test_what_does_not_fit_is_not_published_for_another_node_either() -> None:
    class Strict(Node):
        @signal
        def on_moved(self, x: int) -> None: ...

        @handler("on_moved")
        def hear(self, x: int) -> None:
            self.heard = x

    async with connections(2) as (one, other):
        seen: list[Any] = []
        strict, asking = Strict(), Node()
        await strict.node_bind("test.strict", one.new_context())
        await asking.node_bind(Path("test") + "asking", one.new_context())
        await other.session.subscribe("test.strict.on_moved", seen.append)
        with pytest.raises(exc.InvalidCall):
            await asking.remote("@strict").on_moved.notify("far")
        await asking.remote("@strict").on_moved.notify(3)
        assert strict.heard == 3
        await other.session.call("wamp.session.count")  # what was published before has arrived
        assert seen == [3]
