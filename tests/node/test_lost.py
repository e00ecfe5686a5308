"""A connection that is lost: the tree stays, is away, and is back in full."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
from houses import NOTHING, House, is_empty
from waiting import in_turns

from limen import exc
from limen.base.path import Path
from limen.core.react.effects import effect
from limen.core.wamp.messages import Interrupt
from limen.node.connection import Connection, when_connected
from limen.node.declared import call, handler
from limen.node.node import Node
from limen.node.signal import Signal
from limen.testing import connections

TEST = Path("test")


class Third(Node):
    on_foo = Signal()

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.refused: list[exc.Error] = []

    @handler("@first.on_foo")
    def hear(self, *args: Any) -> None:
        self.heard.append(args)

    @handler("on_node_registration_failure")
    def note(self, error: exc.Error) -> None:
        self.refused.append(error)

    @call
    async def rpc(self, value: Any) -> Any:
        return value


@pytest_asyncio.fixture(params=["patterns", "exact"])
async def house(request: Any) -> AsyncIterator[House]:
    async with House(patterns=request.param == "patterns") as house:
        yield house


async def test_all_is_back_when_the_connection_is(house: House) -> None:
    here, there = await house.connection(), await house.connection()
    first, third, child = Third(), Third(), Third()
    await first.node_bind(TEST + "first", here.new_context())
    await third.node_bind(TEST + "third", there.new_context())
    await third.node_add("child", child)
    asked = sorted(house.asked)
    seen: list[bool] = []
    undo = effect(lambda: seen.append(third.node_away))
    there.cut(away=True)
    await in_turns(lambda: third.node_away)
    assert child.node_away
    assert not first.node_away
    assert third.node_bound
    with pytest.raises(exc.NotFound):
        await first.remote("@third").rpc(1)
    house.asked.clear()
    there.come_back()
    await when_connected(there)
    assert not third.node_away
    assert seen == [False, True, False]
    undo()
    assert set(house.asked) < set(asked)  # its own, and nothing else
    assert await first.remote("@third").rpc(1) == 1
    assert await first.remote("@third.child").rpc(2) == 2
    await first.on_foo.notify("back")
    assert await first.remote("@third").rpc(3) == 3  # behind the event
    assert third.heard == child.heard == [("back",)]
    await third.on_foo.notify()
    for root in (first, third):
        await root.node_unbind()
    assert await house.left() == (NOTHING, NOTHING)


async def test_calls_made_meanwhile_wait_or_fail_as_the_caller_chose(house: House) -> None:
    here, there = await house.connection(), await house.connection()
    first, third = Node(), Third()
    await first.node_bind(TEST + "first", here.new_context())
    await third.node_bind(TEST + "third", there.new_context())
    here.cut(away=True)
    await in_turns(lambda: first.node_away)
    waits = asyncio.ensure_future(first.remote("@third").rpc("waited"))
    with pytest.raises(exc.ConnectionLost, match=r"test\.third\.rpc was not called"):
        await first.remote("@third", offline="fail").rpc("x")
    with pytest.raises(exc.ConnectionLost):
        await first.remote("@third").node_call("rpc", "x", offline="fail")
    with pytest.raises(exc.ConnectionLost):
        assert [value async for value in first.remote("@third", offline="fail").node_values("rpc", "x")]
    with pytest.raises(exc.Timeout):
        await first.remote("@third", timeout=0.01).rpc("x")
    with pytest.raises(ExceptionGroup) as lost:  # handlers here have run; the router does not have it
        await first.remote("@third").on_foo.notify()
    assert isinstance(lost.value.exceptions[0], exc.ConnectionLost)
    assert not waits.done()
    here.come_back()
    assert await waits == "waited"


async def test_a_bind_waits_for_the_connection(house: House) -> None:
    here, there = await house.connection(), await house.connection()
    asking, third = Node(), Third()
    await asking.node_bind(TEST + "asking", there.new_context())
    here.cut(away=True)
    await in_turns(lambda: here.state == "offline")
    binding = asyncio.ensure_future(third.node_bind(TEST + "third", here.new_context()))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not binding.done()
    here.come_back()
    await binding
    assert await asking.remote("@third").rpc(1) == 1


async def test_a_bind_opens_a_connection_that_is_not_open_yet(house: House) -> None:
    late, there = await house.connection(opened=False), await house.connection()
    asking, third, fourth = Node(), Third(), Third()
    await asyncio.gather(
        third.node_bind(TEST + "third", late.new_context()), fourth.node_bind(TEST + "fourth", late.new_context())
    )
    await asking.node_bind(TEST + "asking", there.new_context())
    assert await asking.remote("@third").rpc(1) == await asking.remote("@fourth").rpc(1)


async def test_a_connection_that_is_lost_in_the_middle_of_a_bind_delays_it(house: House) -> None:
    here, there = await house.connection(), await house.connection()
    asking, third = Node(), Third()
    await asking.node_bind(TEST + "asking", there.new_context())

    class Cutting(Third):
        @handler("on_node_register")
        def cut(self) -> None:
            asyncio.get_running_loop().call_soon(here.cut)

    third = Cutting()
    await third.node_bind(TEST + "third", here.new_context())
    assert await asking.remote("@third").rpc(1) == 1
    await third.node_unbind()
    await asking.node_unbind()
    assert await house.left() == (NOTHING, NOTHING)


@pytest.mark.parametrize("when", ["standing", "binding"])
async def test_nothing_is_left_after_unbind_while_offline(house: House, when: str) -> None:
    here = await house.connection()
    third = Third()
    binding = asyncio.ensure_future(third.node_bind(TEST + "third", here.new_context()))
    if when == "standing":
        await binding
    here.cut(away=True)
    await in_turns(lambda: here.state == "offline")
    for _ in range(20):
        await asyncio.sleep(0)
    await third.node_unbind()
    if when == "binding":
        with pytest.raises(exc.InvalidCall, match="unbound while it was being bound"):
            await binding
    assert is_empty(here.tree)
    here.come_back()
    await when_connected(here)
    assert await house.left() == (NOTHING, NOTHING)
    await third.node_bind(TEST + "third", here.new_context())
    await third.node_unbind()


async def test_what_the_router_refuses_at_the_return_is_told(house: House) -> None:
    here = await house.connection()
    third, child = Third(), Third()
    await third.node_bind(TEST + "third", here.new_context())
    await third.node_add("child", child)
    house.refused.update({"test.third.", "test.third.rpc"})
    here.cut()
    await in_turns(lambda: bool(third.refused))
    assert isinstance(third.refused[0], exc.Unauthorized)
    assert third.node_bound
    if house.patterns:  # then it is the calls of all of the root that nobody has
        await in_turns(lambda: bool(child.refused))
    house.refused = {"test.first.on_foo"}
    third.refused.clear()
    here.cut()
    await in_turns(lambda: len(third.refused) == 1)  # a subscription, likewise
    house.refused.clear()
    fourth, there = Third(), await house.connection()
    await fourth.node_bind(TEST + "fourth", here.new_context())  # listens to the same, so that is asked for anew
    await there.session.publish("test.first.on_foo", "heard")
    await in_turns(lambda: fourth.heard == third.heard == [("heard",)])
    await third.node_unbind()
    await third.node_bind(TEST + "third", here.new_context())
    assert not third.node_away


async def test_what_is_refused_of_a_root_at_the_return_is_asked_for_with_its_next_child(house: House) -> None:
    here, there = await house.connection(), await house.connection()
    third, asking = Third(), Node()
    await third.node_bind(TEST + "third", here.new_context())
    await asking.node_bind(TEST + "asking", there.new_context())
    house.refused = {"subscribe test.third.", "subscribe test.third.on_foo"}
    here.cut()
    await in_turns(lambda: bool(third.refused))
    house.refused.clear()
    house.asked.clear()
    child = Third()
    await third.node_add("child", child)
    assert await asking.remote("@third.child").rpc(1) == 1
    if house.patterns:
        assert house.asked == [("subscribe", "test.third.")]  # its calls stand, and so does what it listens to


async def test_a_connection_that_is_over_refuses_binds_and_lets_nodes_leave(house: House) -> None:
    here = await house.connection()
    third, fourth = Third(), Third()
    await third.node_bind(TEST + "third", here.new_context())
    await here.close()
    assert third.node_away
    with pytest.raises(exc.ConnectionLost):
        await fourth.node_bind(TEST + "fourth", here.new_context())
    assert not fourth.node_bound
    await third.node_unbind()
    assert is_empty(here.tree)


async def test_every_call_ends_once_while_connections_are_cut(house: House) -> None:
    here, there = await house.connection(), await house.connection()
    first, third = Node(), Third()
    await first.node_bind(TEST + "first", here.new_context())
    await third.node_bind(TEST + "third", there.new_context())
    ended = 0
    failed: set[type] = set()

    async def one(number: int) -> None:
        nonlocal ended
        try:
            assert await first.remote("@third").rpc(number) == number
        except exc.Error as error:
            failed.add(type(error))
        ended += 1

    async def cutting() -> None:
        for turn in range(6):
            await in_turns(lambda turn=turn: ended > turn * 100)  # type: ignore[misc]
            (here, there)[turn % 2].cut()

    cuts = asyncio.ensure_future(cutting())
    for batch in range(20):
        await asyncio.gather(*(one(batch * 50 + number) for number in range(50)))
    await cuts
    await when_connected(here)
    await when_connected(there)
    assert ended == 1000
    assert failed <= {exc.OutcomeUnknown, exc.NotFound, exc.Canceled, exc.ConnectionLost}, failed
    assert await first.remote("@third").rpc("at last") == "at last"
    for node in (first, third):
        await node.node_unbind()
    assert await house.left() == (NOTHING, NOTHING)


async def test_a_server_that_is_not_there_is_said_once_and_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen: connections are refused
        connection = Connection(f"ws://127.0.0.1:{taken.getsockname()[1]}/ws", "realm1")
        said = asyncio.Event()
        told = logging.Handler()
        told.emit = lambda record: said.set()  # type: ignore[method-assign]
        logging.getLogger("limen.client").addHandler(told)
        try:
            waiting = asyncio.create_task(when_connected(connection))
            await said.wait()
            assert "It is tried again" in caplog.text
        finally:
            logging.getLogger("limen.client").removeHandler(told)
            await connection.close()
        with pytest.raises(exc.ConnectionLost):
            await waiting


class Slow(Node):
    """Its call is over before the event loop has come to it: *over* says how."""

    def __init__(self, over: Callable[[], object]) -> None:
        self.over = over
        self.log: list[str] = []

    @call
    def work(self) -> Awaitable[None]:
        asyncio.get_running_loop().call_soon(self.over)
        return self.working()

    async def working(self) -> None:
        self.log.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            self.log.append("ended")


@pytest.mark.filterwarnings("error:coroutine .* was never awaited")
@pytest.mark.parametrize("how", ["lost", "cancelled"])
async def test_a_call_that_came_begins_and_ends_even_if_it_is_over_at_once(how: str) -> None:
    async with connections(2) as (one, other):
        interrupt = partial(one.session.received, Interrupt(1, {}), None)
        async with (
            Slow(one.cut if how == "lost" else interrupt).bound(TEST + "slow", one.new_context()) as slow,
            Node().bound(TEST + "caller", other.new_context()) as caller,
        ):
            with pytest.raises(exc.Canceled):
                await caller.remote("@slow").work()
    assert slow.log == ["begun", "ended"]
