"""Awaiting what mostly does not wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from limen.door.http.waiting import Resumed


async def stepped(awaitable: Awaitable[Any]) -> Any:
    """Awaits *awaitable*, its first step taken by hand."""
    steps = awaitable.__await__()
    return await Resumed(steps, next(steps))


async def slow(seconds: float = 0.001) -> int:
    for _ in range(3):
        await asyncio.sleep(seconds)
    return 7


async def test_the_rest_of_a_coroutine_comes_to_its_result() -> None:
    assert await stepped(slow()) == 7
    assert await stepped(slow(0)) == 7


async def test_futures_and_tasks_are_awaited_too() -> None:
    assert await stepped(asyncio.ensure_future(slow())) == 7
    assert await stepped(asyncio.gather(slow(), slow())) == [7, 7]


async def test_errors_come_through() -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise KeyError("x")

    with pytest.raises(KeyError):
        await stepped(fail())


async def test_a_cancellation_reaches_the_inside_which_may_outlive_it() -> None:
    async def stubborn() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return "cleaned up"

    task = asyncio.ensure_future(stepped(stubborn()))
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "cleaned up"


async def test_a_timeout_reaches_the_inside() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await stepped(slow(60))


async def test_awaiting_can_be_given_up() -> None:
    task = asyncio.ensure_future(stepped(slow(60)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
