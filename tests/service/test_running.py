"""Streams: values go out in order and with back-pressure, and every generator is closed, whatever happens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from limen import exc
from limen.base.principal import get_state

from .conftest import House


class Log(list[Any]):
    """What a stream did, from any thread."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = threading.Event()


def declare(house: House, how: str, log: Log, count: int, fail_at: int = -1) -> Callable[..., Any]:
    """A service that streams 0 to *count* - 1 and returns 'end', each way that a function can."""

    def stream() -> Any:
        try:
            for n in range(count):
                if n == fail_at:
                    raise RuntimeError("broken")
                log.append((n, threading.current_thread(), get_state().service))
                yield n
            return "end"
        finally:
            log.closed.set()

    async def async_stream() -> Any:
        try:
            for n in range(count):
                if n == fail_at:
                    raise RuntimeError("broken")
                log.append((n, threading.current_thread(), get_state().service))
                await asyncio.sleep(0)
                yield n
        finally:
            await asyncio.sleep(0)
            log.closed.set()

    function = async_stream if how == "async" else stream
    house.service("stream", safe=False, inline=how == "inline")(function)
    return function


HOW = pytest.mark.parametrize("how", ["thread", "inline", "async"])


@HOW
async def test_values_go_to_progress_in_order_and_the_return_value_is_the_result(house: House, how: str) -> None:
    log, got = Log(), []
    function = declare(house, how, log, 100)
    result = await house.call(function, progress=got.append)
    assert got == list(range(100))
    assert result == (None if how == "async" else "end")
    assert {service for _, _, service in log} == {"stream"}
    assert len({thread for _, thread, _ in log}) == 1
    assert (log[0][1] is threading.main_thread()) is (how != "thread")
    assert log.closed.is_set()
    assert house.done == [("stream", None)]


@HOW
async def test_without_progress_the_values_are_the_result(house: House, how: str) -> None:
    log = Log()
    assert await house.call(declare(house, how, log, 50)) == list(range(50))
    assert log.closed.is_set()


@HOW
async def test_at_most_10000_values_are_collected(house: House, how: str) -> None:
    log = Log()
    function = declare(house, how, log, 10_001)
    assert type(await house.refusal(function)) is exc.TooLarge
    assert await asyncio.to_thread(log.closed.wait, 10)


@HOW
async def test_a_slow_caller_holds_the_stream_back(house: House, how: str) -> None:
    log, got = Log(), []
    most_ahead = 0
    function = declare(house, how, log, 60)

    async def take(value: int) -> None:
        nonlocal most_ahead
        await asyncio.sleep(0.001)
        got.append(value)
        most_ahead = max(most_ahead, len(log) - len(got))

    await house.call(function, progress=take)
    assert got == list(range(60))
    assert most_ahead <= 17


@HOW
async def test_a_stream_that_fails_ends_with_the_failure_after_its_values(house: House, how: str) -> None:
    log, got = Log(), []
    function = declare(house, how, log, 10, fail_at=5)
    assert type(await house.refusal(function, progress=got.append)) is exc.InternalError
    assert got == list(range(5))
    assert log.closed.is_set()


@HOW
async def test_a_cancelled_stream_is_closed(house: House, how: str) -> None:
    log = Log()
    reached = asyncio.Event()
    never = asyncio.Event()
    function = declare(house, how, log, 1000)

    async def take(value: int) -> None:
        if value == 3:
            reached.set()
            await never.wait()

    task = asyncio.create_task(house.call(function, progress=take))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(log.closed.wait, 10)
    assert len(log) < 30
    assert house.done == [("stream", "Canceled")]


@HOW
async def test_a_stream_is_closed_if_its_caller_fails(house: House, how: str) -> None:
    log = Log()
    function = declare(house, how, log, 1000)

    def take(value: int) -> None:
        if value == 3:
            raise exc.ConnectionLost

    assert type(await house.refusal(function, progress=take)) is exc.ConnectionLost
    assert await asyncio.to_thread(log.closed.wait, 10)


async def test_others_have_their_turn_beside_an_inline_stream(house: House) -> None:
    log, turns = Log(), 0
    function = declare(house, "inline", log, 640)
    task = asyncio.create_task(house.call(function, progress=lambda value: None))
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 20


async def test_a_stream_that_never_starts_is_reported(house: House) -> None:
    @house.service(safe=False)
    def stream(n: int) -> Any:
        yield n

    assert type(await house.refusal(stream)) is exc.InvalidArguments


async def test_more_streams_than_threads_all_come_to_their_end(house: House) -> None:
    log = Log()
    function = declare(house, "thread", log, 40)
    results = await asyncio.gather(*(house.call(function) for _ in range(12)))
    assert results == [list(range(40))] * 12
