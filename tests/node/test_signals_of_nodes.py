"""Signals of nodes: who hears them, until when, in which order, and with what, in one place and from another."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from speaking import All, Listener, Places, Speaker, settled, stage

from limen import exc
from limen.base.path import Path
from limen.node.declared import handler
from limen.node.node import Node
from limen.testing import connections, gen_ctx


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
