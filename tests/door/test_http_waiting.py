"""Awaiting what mostly does not wait."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from limen.door.waiting import WhenWaiting, within


async def quick() -> int:
    return 7


async def slow(seconds: float = 0.001) -> int:
    for _ in range(3):
        await asyncio.sleep(seconds)
    return 7


def counting() -> tuple[list[str], Any]:
    said: list[str] = []

    def begin() -> Any:
        said.append("begin")
        return lambda: said.append("end")

    return said, begin


async def test_what_does_not_wait_needs_no_help() -> None:
    said, begin = counting()
    assert (await WhenWaiting(quick(), begin), said) == (7, [])


async def test_what_waits_gets_help_once_and_loses_it_when_done() -> None:
    said, begin = counting()
    assert (await WhenWaiting(slow(), begin), said) == (7, ["begin", "end"])


async def test_futures_and_tasks_are_awaited_too() -> None:
    said, begin = counting()
    assert await WhenWaiting(asyncio.ensure_future(slow()), begin) == 7
    assert await WhenWaiting(asyncio.gather(slow(), slow()), begin) == [7, 7]
    assert said == ["begin", "end"] * 2


async def test_errors_come_through_before_and_after_waiting() -> None:
    async def fail(waits: bool) -> None:
        if waits:
            await asyncio.sleep(0)
        raise KeyError("x")

    for waits in (False, True):
        said, begin = counting()
        with pytest.raises(KeyError):
            await WhenWaiting(fail(waits), begin)
        assert said == (["begin", "end"] if waits else [])


async def test_a_cancellation_reaches_the_inside_which_may_outlive_it() -> None:
    said, begin = counting()

    async def stubborn() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return "cleaned up"

    async def outer() -> str:
        return await WhenWaiting(stubborn(), begin)

    task = asyncio.ensure_future(outer())
    await asyncio.sleep(0)
    task.cancel()
    assert (await task, said) == ("cleaned up", ["begin", "end"])


async def test_time_runs_out() -> None:
    task = asyncio.current_task()
    assert task is not None
    with pytest.raises(TimeoutError):
        await within(0.01, slow(60))
    assert task.cancelling() == 0
    assert await within(10, slow()) == 7


async def test_a_cancellation_from_outside_is_no_timeout() -> None:
    task = asyncio.ensure_future(within(60, slow(60)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
