"""Signals of nodes: who hears them, when, and what, in one place and from another.

Each test is run with the node that says something and the one that listens in a tree without any connection, by one
connection, and by two.
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple

import pytest

from limen import exc
from limen.base.path import Path
from limen.node.context import NodeContext
from limen.node.declared import handler
from limen.node.node import Node
from limen.node.signal import Signal, signal
from limen.testing import MemoryConnection, connections, gen_ctx


class Places(NamedTuple):
    """Where the node is that says something, and where the one that listens; *far*: they are two."""

    here: NodeContext
    there: NodeContext
    far: bool
    connections: tuple[MemoryConnection, ...]


@pytest.fixture(params=["no connection", "one connection", "two connections"])
async def places(request: pytest.FixtureRequest) -> AsyncIterator[Places]:
    if request.param == "no connection":
        yield Places(gen_ctx(), gen_ctx(), False, ())
        return
    async with connections(1 if request.param == "one connection" else 2) as opened:
        yield Places(opened[0].new_context(), opened[-1].new_context(), len(opened) == 2, opened)


class Speaker(Node):
    on_foo = Signal()
    on_bar = Signal()

    def __init__(self) -> None:
        self.own: list[Any] = []

    @handler("on_foo")
    def own_foo(self, *args: Any, **kwargs: Any) -> None:
        self.own.append(args)


class Listener(Node):
    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.came = asyncio.Event()

    def note(self, *what: Any) -> None:
        self.heard.append(what)
        self.came.set()

    async def until(self, number: int) -> list[Any]:
        """What was heard, when it is that much."""
        async with asyncio.timeout(10):
            while len(self.heard) < number:
                self.came.clear()
                await self.came.wait()
        heard, self.heard = self.heard, []
        return heard


class All(Listener):
    @handler("@first.second")
    def of_second(self, *args: Any, **kwargs: Any) -> None:
        self.note("second", *args, *kwargs.items())

    @handler("@mark")
    def of_mark(self) -> None:
        self.note("mark")


class Bell(Node):
    on_marked = Signal()


async def settled(listener: Listener, marks: Bell) -> list[Any]:
    """What *listener* heard, when all that was said before has come: *marks* says one thing more."""
    await marks.on_marked.notify()
    async with asyncio.timeout(10):
        while ("mark",) not in listener.heard:
            listener.came.clear()
            await listener.came.wait()
    heard, listener.heard = listener.heard, []
    assert heard.pop() == ("mark",)
    return heard


class Stage(NamedTuple):
    first: Node
    second: Speaker
    listener: Any
    mark: Bell


async def stage(places: Places, listener: Listener) -> Stage:
    first, second, mark = Node(), Speaker(), Bell()
    base = Path("test")
    await first.node_bind(base + "first", places.here)
    await first.node_add("second", second)
    await mark.node_bind(base + "mark", places.here)
    await listener.node_bind(base + "listener", places.there)
    return Stage(first, second, listener, mark)


# -- who hears -----------------------------------------------------------------------------------------------------
async def test_every_signal_of_exactly_that_node(places: Places) -> None:
    first, second, listener, mark = await stage(places, All())
    similar, child, parent = Speaker(), Speaker(), Speaker()
    await first.node_add("second2", similar)
    await second.node_add("second", child)
    await parent.node_bind(Path("test") + "firs", places.here)
    await parent.node_add("second", Speaker())
    for number, node in enumerate((similar, child, parent, second)):
        await node.on_foo.notify(number)
        await node.on_bar.notify(number)
    assert await settled(listener, mark) == [("second", 3), ("second", 3)]


async def test_one_signal_and_no_other(places: Places) -> None:
    class One(Listener):
        @handler("@first.second.on_bar")
        def bar(self, *args: Any) -> None:
            self.note("bar", *args)

        @handler("@mark.on_marked")
        def of_mark(self) -> None:
            self.note("mark")

    _, second, listener, mark = await stage(places, One())
    await second.on_foo.notify(1)
    await second.on_bar.notify(2)
    assert await settled(listener, mark) == [("bar", 2)]


async def test_a_node_by_its_role(places: Places) -> None:
    class ByRole(Listener):
        @handler("#speaker")
        def every(self, *args: Any) -> None:
            self.note("every", *args)

        @handler("#speaker.on_bar")
        def bar(self, *args: Any) -> None:
            self.note("bar", *args)

    def resolver(role: str, path: Path) -> str | None:
        return "@first.second" if role == "speaker" else None

    there = places.there.new(resolvers=(resolver,))
    _, second, listener, _ = await stage(places._replace(there=there), ByRole())
    await second.on_bar.notify(1)
    assert sorted(await listener.until(2)) == [("bar", 1), ("every", 1)]


async def test_what_nodes_say_of_themselves_is_not_heard_elsewhere(places: Places) -> None:
    first, second, listener, mark = await stage(places, All())
    await second.node_add("child", Node())
    await second.on_node_bind.notify()
    await second.node_remove("child")
    await first.node_remove("second")
    assert await settled(listener, mark) == []


async def test_a_node_may_listen_to_itself_by_its_address(places: Places) -> None:
    class Self(Speaker):
        @handler("@self")
        def every(self, *args: Any) -> None:
            self.own.append(("every", *args))

    node = Self()
    await node.node_bind(Path("test") + "self", places.here)
    await node.on_foo.notify(1)
    assert node.own == [(1,), ("every", 1)]


async def test_it_is_heard_once_however_it_is_subscribed(places: Places) -> None:
    """The owner's own subscription, that of all signals of the node and that of the one: three in the router."""

    class Thrice(All):
        @handler("@first.second.on_foo")
        def foo(self, *args: Any) -> None:
            self.note("foo", *args)

    _, second, listener, mark = await stage(places, Thrice())
    near = Thrice()
    await near.node_bind(Path("test") + "near", places.here)
    undo = await listener.remote("@first.second").on_foo.connect(lambda *args: listener.note("connected", *args))
    await listener.remote("@first.second").on_foo.notify(1)
    await second.on_foo.notify(2)
    heard = sorted(await settled(listener, mark))
    assert heard == [(kind, number) for kind in ("connected", "foo", "second") for number in (1, 2)]
    assert second.own == [(1,), (2,)]
    marks = [("mark",)]  # of the one above
    assert sorted(await settled(near, mark)) == sorted(
        [(kind, number) for kind in ("foo", "second") for number in (1, 2)] + marks
    )
    await undo()


# -- until when ----------------------------------------------------------------------------------------------------
async def test_nothing_is_heard_any_more_once_a_listener_is_unbound(places: Places) -> None:
    _, second, listener, _ = await stage(places, All())
    saying = [asyncio.ensure_future(second.on_foo.notify(number)) for number in range(100)]
    await listener.until(1)
    await listener.node_unbind()
    listener.heard.clear()
    await asyncio.gather(*saying)
    await second.on_foo.notify("late")
    await asyncio.gather(*(second.on_bar.notify() for _ in range(10)))
    assert listener.heard == []


async def test_nothing_is_heard_by_a_node_that_is_unbound(places: Places) -> None:
    first, second, listener, _ = await stage(places, All())
    there = listener.remote("@first.second").on_foo
    saying = [asyncio.ensure_future(there.notify(number)) for number in range(100)]
    await asyncio.sleep(0)
    await first.node_remove("second")
    second.own.clear()
    await asyncio.gather(*saying)
    await there.notify("late")
    assert second.own == []


async def test_bound_again_it_listens_again(places: Places) -> None:
    _, second, listener, mark = await stage(places, All())
    await listener.node_unbind()
    await second.on_foo.notify(1)
    await listener.node_bind(Path("test") + "elsewhere", places.there)
    await second.on_foo.notify(2)
    assert await settled(listener, mark) == [("second", 2)]


async def test_an_undo_ends_it_and_so_does_disconnect(places: Places) -> None:
    _, second, listener, mark = await stage(places, All())
    remote, heard = listener.remote("@first.second").on_bar, []
    undo: Callable[[], Awaitable[None]] = await remote.connect(heard.append)
    await second.on_bar.notify(1)
    await settled(listener, mark)
    await undo()
    await second.on_bar.notify(2)
    await remote.connect(heard.append)
    await second.on_bar.notify(3)
    await settled(listener, mark)
    await remote.disconnect(heard.append)
    await second.on_bar.notify(4)
    await settled(listener, mark)
    assert heard == [1, 3]


async def test_what_a_node_connected_elsewhere_ends_with_it(places: Places) -> None:
    _, second, listener, _ = await stage(places, All())
    heard: list[Any] = []
    undo = await listener.remote("@first.second").on_bar.connect(heard.append)
    await listener.node_unbind()
    await asyncio.gather(*(second.on_bar.notify(number) for number in range(10)))
    await undo()
    assert heard == []


# -- in which order, with which arguments --------------------------------------------------------------------------
async def test_they_are_heard_in_the_order_in_which_they_were_said(places: Places) -> None:
    _, second, listener, mark = await stage(places, All())
    await asyncio.gather(*(signal.notify(number) for number in range(200) for signal in (second.on_foo, second.on_bar)))
    heard = [number for _, number in await settled(listener, mark)]
    assert heard == [number for number in range(200) for _ in range(2)]


@pytest.mark.parametrize("wrapped", [False, True])
async def test_the_order_is_that_of_notify_however_slow_its_own_handlers_are(places: Places, wrapped: bool) -> None:
    async def wrap(go: Any, *publication: Any) -> Any:
        return await go(*publication)

    here = places.here.new(wrap_publish=wrap) if wrapped else places.here
    _, second, listener, mark = await stage(places._replace(here=here), All())

    async def slow(*args: Any) -> None:
        await asyncio.sleep(0)

    second.on_foo.connect(slow)
    second.on_foo.connect(partial(slow))
    await asyncio.gather(second.on_foo.notify(1), second.on_bar.notify(2), second.on_foo.notify(3))
    assert await settled(listener, mark) == [("second", 1), ("second", 2), ("second", 3)]


VALUES = [
    [None, True, 0, -1, 2**40, 1.5, "text", ""],
    [b"bytes", [1, [2, []]], {"a": {"b": None}}],
    [(1, (2, [3])), {"t": (1,)}],
    [datetime.date(2026, 2, 3), datetime.datetime(2026, 2, 3, 4, 5, tzinfo=datetime.UTC)],
    [{1, 2}],
]


@pytest.mark.parametrize("args", VALUES, ids=lambda args: args if isinstance(args, str) else repr(args)[:30])
async def test_the_same_arguments_near_and_far(args: list[Any]) -> None:
    came: list[Any] = []

    class Noting(Listener):
        @handler("@first.second.on_foo")
        def foo(self, *args: Any, **kwargs: Any) -> None:
            came.append((args, kwargs))
            self.note("foo")

    async with connections(2) as (one, other):
        for here, there in ((gen_ctx(), gen_ctx()), (one.new_context(), one.new_context())):
            first, second, listener, _ = await stage(Places(here, there, False, ()), Noting())
            await second.on_foo.notify(*args, named=args)
            await listener.until(1)
            await asyncio.gather(first.node_unbind(), listener.node_unbind())
            await _.node_unbind()
        _, second, listener, _ = await stage(Places(one.new_context(), other.new_context(), True, ()), Noting())
        await second.on_foo.notify(*args, named=args)
        await listener.until(1)
    assert repr(came[0]) == repr(came[1]) == repr(came[2])


async def test_what_a_listener_does_to_an_argument_nobody_else_sees(places: Places) -> None:
    class Spoiling(Listener):
        @handler("@first.second.on_foo")
        def foo(self, items: list[Any]) -> None:
            items.append("spoilt")
            self.note("foo", items)

    _, second, listener, _ = await stage(places, Spoiling())
    items: list[Any] = []
    await second.on_foo.notify(items)
    assert await listener.until(1) == [("foo", ["spoilt"])]
    assert items == []


async def test_what_can_not_travel_is_refused_and_nothing_has_run(places: Places) -> None:
    _, second, listener, mark = await stage(places, All())
    with pytest.raises(exc.InvalidValue):
        await second.on_foo.notify(object())
    with pytest.raises(exc.InvalidValue):
        await second.on_foo.notify(named=[object()])
    assert second.own == []
    assert await settled(listener, mark) == []


async def test_a_node_as_an_argument_is_a_proxy_near_and_far(places: Places) -> None:
    class Asking(Listener):
        @handler("@first.second.on_foo")
        async def foo(self, node: Any) -> None:
            await node.on_bar.notify("from the listener")
            self.note("foo", str(node.node_path))

    _, second, listener, _ = await stage(places, Asking())
    said: list[Any] = []
    second.on_bar.connect(said.append)
    await second.on_foo.notify(second)
    assert await listener.until(1) == [("foo", "test.first.second")]
    assert said == ["from the listener"]


# -- what is awaited -----------------------------------------------------------------------------------------------
async def test_handlers_of_this_process_are_awaited_those_elsewhere_are_not(places: Places) -> None:
    class Slow(Listener):
        def __init__(self) -> None:
            super().__init__()
            self.go_on = asyncio.Event()

        @handler("@first.second.on_foo")
        async def foo(self) -> None:
            self.note("began")
            await self.go_on.wait()
            self.note("ended")

    _, second, listener, _ = await stage(places, Slow())
    saying = asyncio.ensure_future(second.on_foo.notify())
    await listener.until(1)
    if places.far:
        async with asyncio.timeout(10):
            await saying
    else:
        assert not saying.done()
    listener.go_on.set()
    await saying
    assert await listener.until(1) == [("ended",)]


async def test_errors_of_handlers_of_this_process_are_raised_those_elsewhere_are_not(
    places: Places, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(All):
        @handler("@first.second.on_foo")
        def foo(self) -> None:
            raise ValueError("the listener's")

    _, second, listener, mark = await stage(places, Failing())

    def fail() -> None:
        raise ValueError("the speaker's")

    second.on_foo.connect(fail)
    with pytest.raises(ExceptionGroup) as caught:
        await second.on_foo.notify()
    said = [str(error) for error in caught.value.exceptions]
    assert said == (["the speaker's"] if places.far else ["the speaker's", "the listener's"])
    assert await settled(listener, mark) == [("second",)]
    assert ("the listener's" in caplog.text) is places.far


# -- said by somebody else -----------------------------------------------------------------------------------------
async def test_a_signal_that_is_said_from_elsewhere_runs_the_own_handlers(places: Places) -> None:
    _, second, listener, mark = await stage(places, All())
    heard: list[Any] = []
    second.on_foo.connect(lambda *args, **kwargs: heard.append((args, kwargs)))
    await listener.remote("@first.second").on_foo.notify(1, two=2)
    await mark.on_marked.notify()
    listening = All()
    await listening.node_bind(Path("test") + "near", places.here)
    assert await settled(listener, mark) == [("mark",), ("second", 1, ("two", 2))][::-1]
    await settled(listening, mark)
    assert heard == [((1,), {"two": 2})]
    assert second.own == [(1,)]


async def test_what_does_not_fit_does_not_run_wherever_it_comes_from(places: Places) -> None:
    class Strict(Speaker):
        @signal
        def on_moved(self, x: int) -> None: ...

        @handler("on_moved")
        def moved(self, x: int) -> None:
            self.own.append(x)

    strict, listener = Strict(), Listener()
    await strict.node_bind("strict", places.here)
    await listener.node_bind("listener", places.there)
    remote = listener.remote("strict").on_moved
    for args in ((), ("a",), (1, 2)):
        if places.far:
            await remote.notify(*args)
        else:
            with pytest.raises(exc.InvalidCall):
                await remote.notify(*args)
    await remote.notify(5)
    async with asyncio.timeout(10):
        while not strict.own:
            await listener.remote("nobody").on_foo.notify()
    assert strict.own == [5]


# -- the connection is lost ----------------------------------------------------------------------------------------
async def test_handlers_here_run_while_the_connection_is_lost() -> None:
    async with connections(2) as (one, other):
        _, second, listener, mark = await stage(
            Places(one.new_context(), other.new_context(), True, (one, other)), All()
        )
        one.cut(away=True)
        with pytest.raises(ExceptionGroup) as caught:
            await second.on_foo.notify(1)
        assert [type(error) for error in caught.value.exceptions] == [exc.ConnectionLost]
        assert second.own == [(1,)]
        back = asyncio.Event()
        one.on("restored", back.set)
        one.come_back()
        await back.wait()
        await second.on_foo.notify(2)
        assert await settled(listener, mark) == [("second", 2)]


async def test_a_listener_listens_when_its_connection_is_back() -> None:
    async with connections(2) as (one, other):
        _, second, listener, mark = await stage(
            Places(one.new_context(), other.new_context(), True, (one, other)), All()
        )
        back = asyncio.Event()
        other.on("restored", back.set)
        other.cut()
        await back.wait()
        await second.on_foo.notify(1)
        assert await settled(listener, mark) == [("second", 1)]


# -- the wire is plain WAMP ----------------------------------------------------------------------------------------
async def test_any_client_hears_a_signal_and_may_say_it() -> None:
    async with connections(2) as (one, other):
        _, second, _, _ = await stage(Places(one.new_context(), one.new_context(), False, ()), All())
        came: asyncio.Queue[Any] = asyncio.Queue()
        await other.session.subscribe(
            "test.first.second.",
            lambda topic, args, kwargs, details: came.put_nowait((topic, list(args), kwargs)),
            match="wildcard",
            topic=True,
        )
        await second.on_foo.notify(1, [second], two=2)
        node = {"$path": "test.first.second", "$base": "test"}
        assert await came.get() == ("test.first.second.on_foo", [1, [node]], {"two": 2})
        said = asyncio.Event()
        second.on_bar.connect(lambda *args: said.set())
        await other.session.publish("test.first.second.on_foo", 5)
        await other.session.publish("test.first.second.on_bar")
        await said.wait()
        assert second.own[1:] == [(5,)]
        assert came.empty()


async def test_nobody_says_for_a_node_what_nodes_say_of_themselves() -> None:
    async with connections(2) as (one, other):
        _, second, listener, mark = await stage(Places(one.new_context(), one.new_context(), False, ()), All())
        told: list[Any] = []
        for signal_ in (second.on_node_bind, second.on_node_unbind, second.on_node_add):
            signal_.connect(lambda *args: told.append(args))
        for name in ("on_node_bind", "on_node_unbind", "on_node_add", "on_nothing", "own", "_on_foo_handlers"):
            await other.session.publish(f"test.first.second.{name}", "from a stranger")
        said = asyncio.Event()
        second.on_bar.connect(said.set)
        await other.session.publish("test.first.second.on_bar")
        await said.wait()
        assert told == []
        heard = [what for what in await settled(listener, mark) if what != ("second", "from a stranger")]
        assert heard == [("second",)]
