"""Signals of nodes and who is elsewhere: what is awaited, what others say, lost connections, plain WAMP clients."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from speaking import All, Listener, Places, Speaker, settled, stage

from limen import exc
from limen.base.path import Path
from limen.node.declared import handler
from limen.node.signal import signal
from limen.testing import connections


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
