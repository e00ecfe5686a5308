"""Awaiting what mostly does not wait.

A task, a timer or a watcher for each request costs microseconds; most requests never wait for anything. So the door
takes the first step of an awaitable itself, and makes these only if it was really suspended:

    >>> import asyncio
    >>> async def wait(awaitable):
    ...     steps = awaitable.__await__()
    ...     try:
    ...         future = next(steps)
    ...     except StopIteration as done:
    ...         return done.value, "at once"
    ...     async with asyncio.timeout(10):
    ...         return await Resumed(steps, future), "later"
    >>> async def quick():
    ...     return "x"
    >>> asyncio.run(wait(quick())), asyncio.run(wait(asyncio.sleep(0.001, "x")))
    (('x', 'at once'), ('x', 'later'))
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any


class Resumed:
    """The rest of an awaitable whose first step was taken: *steps* is its iterator, *future* what that step gave."""

    __slots__ = ("_future", "_steps")

    def __init__(self, steps: Iterator[Any], future: Any) -> None:
        self._steps: Any = steps
        self._future = future

    def __await__(self) -> Generator[Any, None, Any]:
        steps, future = self._steps, self._future
        try:
            while True:
                try:
                    yield future
                except BaseException as error:  # a cancellation, on its way to who waits inside
                    future = steps.throw(error)
                else:
                    future = next(steps)
        except StopIteration as done:
            return done.value
