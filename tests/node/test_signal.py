"""Signals of one process: what `vectors/signals.json` cannot say, because it is Python's."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import Awaitable
from functools import partial
from typing import Any

import pytest

from limen import exc
from limen.node.handlers import Handlers
from limen.node.signal import BoundSignal, Signal, handler, signal


class Bell:
    on_ring = Signal()


class Ear:
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def hear(self, *args: Any, **kwargs: Any) -> None:
        self.heard.append((args, kwargs))


class Bare:
    __slots__ = ()

    def hear(self) -> None: ...


async def test_a_method_goes_with_its_object() -> None:
    bell, ear = Bell(), Ear()
    bell.on_ring.connect(ear.hear)
    gone = weakref.ref(ear)
    del ear
    assert gone() is None
    assert len(bell.on_ring) == 0
    await bell.on_ring.notify()


async def test_functions_partials_and_callable_objects_are_held() -> None:
    bell, heard = Bell(), []

    class Ring:
        def __call__(self, text: str) -> None:
            heard.append(text)

    bell.on_ring.connect(lambda text: heard.append(text))
    bell.on_ring.connect(partial(heard.append))
    bell.on_ring.connect(Ring())
    bell.on_ring.connect(heard.append)
    gc.collect()
    await bell.on_ring.notify("ding")
    assert heard == ["ding"] * 4


def test_an_object_with_handlers_goes_at_once() -> None:
    bell, ear = Bell(), Ear()
    undo = bell.on_ring.connect(ear.hear)
    bell.on_ring.connect(print)
    gone = weakref.ref(bell)
    gc.disable()
    try:
        del bell
        assert gone() is None
    finally:
        gc.enable()
    undo()


async def test_an_object_that_dies_while_others_are_called_is_not_called() -> None:
    bell, ears = Bell(), [Ear()]
    bell.on_ring.connect(lambda: ears.clear())
    bell.on_ring.connect(ears[0].hear)
    await bell.on_ring.notify()
    assert len(bell.on_ring) == 1


def test_a_new_object_at_the_place_of_a_dead_one_is_not_taken_for_it() -> None:
    handlers = Handlers()
    for _ in range(100):
        ear = Ear()
        assert ear.hear not in handlers
        handlers.connect(ear.hear)
        assert len(handlers) == 1
        del ear


def test_what_can_not_be_held_weakly_says_so() -> None:
    with pytest.raises(TypeError, match="__weakref__"):
        Bell().on_ring.connect(Bare().hear)


def test_what_can_not_be_called_is_no_handler() -> None:
    with pytest.raises(TypeError, match="'nothing' can't be called"):
        Bell().on_ring.connect("nothing")  # type: ignore[arg-type]


def test_an_object_without_place_for_handlers_says_so() -> None:
    class Closed:
        __slots__ = ()
        on_ring = Signal()

    with pytest.raises(TypeError, match="_on_ring_handlers"):
        Closed().on_ring.connect(print)


def test_a_signal_is_not_assigned() -> None:
    with pytest.raises(AttributeError, match=r"\.on_ring\.connect"):
        Bell().on_ring = print  # type: ignore[misc]


def test_the_signal_of_an_object_is_one_whenever_it_is_asked_for() -> None:
    bell = Bell()
    assert bell.on_ring == bell.on_ring
    assert hash(bell.on_ring) == hash(bell.on_ring)
    assert bell.on_ring != Bell().on_ring
    assert bell.on_ring
    assert isinstance(Bell.on_ring, Signal)
    assert repr(bell.on_ring) == "<signal on_ring of Bell>"


def test_an_order_that_there_is_not_is_refused() -> None:
    with pytest.raises(TypeError, match="'top-down' or 'bottom-up'"):
        Signal(order="sideways")  # type: ignore[arg-type]


# -- async handlers -----------------------------------------------------------------------------------------------
async def test_without_async_handlers_there_is_no_task_and_no_turn_of_the_loop() -> None:
    bell, ear = Bell(), Ear()
    bell.on_ring.connect(ear.hear)
    with pytest.raises(StopIteration):
        bell.on_ring.notify("ding").send(None)
    assert ear.heard == [(("ding",), {})]


async def test_connected_async_handlers_run_together() -> None:
    bell, first, second = Bell(), asyncio.Event(), asyncio.Event()

    async def one() -> None:
        first.set()
        await second.wait()

    async def other() -> None:
        second.set()
        await first.wait()

    bell.on_ring.connect(one)
    bell.on_ring.connect(other)
    await bell.on_ring.notify()


async def test_cancelling_notify_cancels_what_it_awaits() -> None:
    for number in (1, 2):
        bell, ended = Bell(), []

        async def wait(name: int) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(name)  # noqa: B023

        for name in range(number):
            bell.on_ring.connect(partial(wait, name))
        telling = asyncio.create_task(bell.on_ring.notify())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        telling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await telling
        assert ended == list(range(number))


@pytest.mark.parametrize("others", [0, 1])
async def test_a_handler_that_was_cancelled_alone_is_an_error_of_that_handler(others: int) -> None:
    bell = Bell()

    async def cancelled() -> None:
        raise asyncio.CancelledError

    async def fine() -> None: ...

    bell.on_ring.connect(cancelled)
    for _ in range(others):
        bell.on_ring.connect(fine)
    with pytest.raises(ExceptionGroup) as caught:
        await bell.on_ring.notify()
    assert [type(error) for error in caught.value.exceptions] == [exc.Canceled]


async def test_what_is_no_error_of_a_program_ends_it_at_once() -> None:
    bell, ear = Bell(), Ear()

    def leave() -> None:
        raise KeyboardInterrupt

    bell.on_ring.connect(leave)
    bell.on_ring.connect(ear.hear)
    with pytest.raises(KeyboardInterrupt):
        bell.on_ring.notify().send(None)
    assert ear.heard == []


# -- the owner -----------------------------------------------------------------------------------------------------
class Published(Bell):
    on_node_ring = Signal()

    def __init__(self) -> None:
        self.said: list[Any] = []
        self.acknowledged = asyncio.Event()
        self.others = Handlers()
        self.refuses = False

    def _signal_notified(self, name: str, args: Any, kwargs: Any) -> Awaitable[object]:
        if self.refuses:
            raise exc.InvalidValue("That can't travel.")
        self.said.append((name, args, kwargs))
        return self.acknowledged.wait()

    def _signal_listeners(self, name: str) -> tuple[Handlers]:
        return (self.others,)

    @handler("on_ring")
    def own(self, *args: Any) -> None:
        self.said.append("own")


async def test_it_is_published_first_and_the_acknowledgement_is_awaited() -> None:
    bell = Published()
    bell.on_ring.connect(lambda *args, **kwargs: bell.said.append("connected"))
    bell.others.connect(lambda *args, **kwargs: bell.said.append("listens"))
    telling = asyncio.create_task(bell.on_ring.notify(1))
    await asyncio.sleep(0)
    assert bell.said == [("on_ring", (1,), {}), "own", "connected", "listens"]
    assert not telling.done()
    bell.acknowledged.set()
    await telling


async def test_what_can_not_travel_is_refused_before_anything_runs() -> None:
    bell = Published()
    bell.refuses = True
    with pytest.raises(exc.InvalidValue):
        await bell.on_ring.notify(object())
    assert bell.said == []


async def test_what_is_local_is_not_published() -> None:
    bell, ear = Published(), Ear()
    bell.others.connect(ear.hear)
    await bell.on_node_ring.notify()
    assert bell.said == []
    assert ear.heard == []


async def test_what_somebody_else_published_runs_the_own_handlers_alone() -> None:
    bell, ear, other = Published(), Ear(), Ear()
    bell.on_ring.connect(ear.hear)
    bell.others.connect(other.hear)
    assert bell.on_ring.heard([1], {}) is None
    assert bell.said == ["own"]
    assert ear.heard == [((1,), {})]
    assert other.heard == []


# -- @signal -------------------------------------------------------------------------------------------------------
class Pawn:
    def __init__(self) -> None:
        self.log: list[Any] = []

    @signal
    def on_moved(self, x: int, y: int = 0, *, how: str = "") -> None:
        if x < 0:
            raise exc.InvalidCall("x is on the board.")

    @handler("on_moved")
    def seen(self, *args: Any, **kwargs: Any) -> None:
        self.log.append((args, kwargs))


@pytest.mark.parametrize(
    ("args", "kwargs", "name"),
    [((), {}, "x"), ((1, "a"), {}, "y"), ((1, 2, 3), {}, "[2]"), ((1,), {"who": 1}, "who"), ((1,), {"x": 2}, "x")],
)
async def test_arguments_that_do_not_fit_are_named(args: Any, kwargs: Any, name: str) -> None:
    pawn = Pawn()
    with pytest.raises(exc.InvalidCall) as caught:
        await pawn.on_moved.notify(*args, **kwargs)
    assert list(caught.value.facts["fields"]) == [name]
    with pytest.raises(exc.InvalidCall):
        pawn.on_moved.heard(args, kwargs)
    assert pawn.log == []


async def test_the_body_may_refuse() -> None:
    pawn = Pawn()
    with pytest.raises(exc.InvalidCall, match="on the board"):
        await pawn.on_moved.notify(-1)
    assert pawn.log == []
    await pawn.on_moved.notify(1, how="fast")
    assert pawn.log == [((1,), {"how": "fast"})]


class Gate(Published):
    @signal(order="bottom-up")
    def on_pass(self, who: str) -> None: ...

    @on_pass.notifying
    async def _(self, notify: Any, who: str) -> None:
        if who != "nobody":
            await notify(who.upper())

    @on_pass.connecting
    def _(self, connect: Any, handler: Any) -> Any:
        return None if handler is print else connect(lambda who: handler(f"<{who}>"))

    @handler("on_pass")
    def passed(self, who: str) -> None:
        self.said.append(who)


async def test_a_wrapper_stands_round_notify_near_and_far() -> None:
    gate = Gate()
    gate.acknowledged.set()
    await gate.on_pass.notify("ada")
    await gate.on_pass.notify("nobody")
    assert gate.said == [("on_pass", ("ADA",), {}), "ADA"]
    left = gate.on_pass.heard(["ada"], {})
    assert left is not None
    await left
    assert gate.said[2:] == ["ADA"]


async def test_a_wrapper_stands_round_connect() -> None:
    gate, heard = Gate(), []
    gate.acknowledged.set()
    undo = gate.on_pass.connect(heard.append)
    gate.on_pass.connect(heard.append)
    gate.on_pass.connect(print)()
    assert (gate.on_pass.is_connected(heard.append), gate.on_pass.is_connected(print)) == (True, False)
    await gate.on_pass.notify("ada")
    assert heard == ["<ADA>"]
    undo()
    assert not gate.on_pass.is_connected(heard.append)
    gate.on_pass.connect(heard.append)
    assert gate.on_pass.disconnect(heard.append)


def test_wrappers_and_bodies_of_the_wrong_kind_say_what_they_should_be() -> None:
    on_foo: Any = Signal()
    with pytest.raises(TypeError, match="async def"):
        on_foo.notifying(lambda self, notify: None)

    async def body() -> None: ...

    with pytest.raises(TypeError, match="plain def"):
        on_foo.connecting(body)
    with pytest.raises(TypeError, match=r"@body\.notifying"):
        signal(body)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="above a method"):
        signal("on_foo")  # type: ignore[call-overload]


def test_a_subclass_does_not_wrap_the_signal_of_its_base() -> None:
    with pytest.raises(TypeError, match="declare it anew"):

        class Queen(Pawn):
            @Pawn.on_moved.notifying
            async def _(self, notify: Any, x: int) -> None: ...


def test_a_bound_signal_takes_little() -> None:
    assert not hasattr(Bell().on_ring, "__dict__")
    assert vars(Bell()) == {}
    assert type(Bell().on_ring) is BoundSignal


async def test_what_is_connected_in_its_place_is_held_and_so_is_the_handler() -> None:
    heard: list[Any] = []

    class Echo:
        def say(self, text: str) -> None:
            heard.append(text)

    class Deaf:
        @signal
        def on_ring(self, text: str) -> None: ...

        @on_ring.connecting
        def _(self, connect: Any, handler: Any) -> Any:
            return connect(Echo().say)

    deaf = Deaf()
    for number in range(1, 50):
        once = eval("lambda text: None")
        assert not deaf.on_ring.is_connected(once)  # it has not the id of one before it
        deaf.on_ring.connect(once)
        del once
        assert len(deaf.on_ring) == number
    await deaf.on_ring.notify("hello")
    assert heard == ["hello"] * 49


def test_an_object_goes_that_was_connected_disconnected_and_connected_anew() -> None:
    bell, ear = Bell(), Ear()
    undos = [bell.on_ring.connect(ear.hear)]
    bell.on_ring.disconnect(ear.hear)
    undos.append(bell.on_ring.connect(ear.hear))
    del ear
    assert len(bell.on_ring) == 0
    for undo in undos:
        undo()


async def test_what_a_handler_raised_holds_nobody() -> None:
    class Failing(Ear):
        def hear(self, *args: Any, **kwargs: Any) -> None:
            raise ValueError

        async def hear_later(self) -> None:
            raise ValueError

    bell, ear = Bell(), Failing()
    for handler_ in (ear.hear, ear.hear_later):
        bell.on_ring.connect(handler_)
    del handler_
    gone = weakref.ref(ear)
    gc.disable()
    try:
        for _ in range(2):
            with contextlib.suppress(ExceptionGroup):
                await bell.on_ring.notify()
        del ear
        assert gone() is None
    finally:
        gc.enable()
