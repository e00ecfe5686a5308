"""Awaiting what mostly does not wait.

A task, a timer or a watcher for each request costs microseconds; most requests never wait for anything. `WhenWaiting`
steps an awaitable in the running task, and calls for help only if it is really suspended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class WhenWaiting(Generic[T]):
    """Awaits *awaitable* in the running task. *begin* is called when that is suspended for the first time, and what
    *begin* gave when it is over. An awaitable that never waits calls neither.

    >>> async def quick():
    ...     return 1
    >>> asyncio.run(_awaited(WhenWaiting(quick(), lambda: print("never"))))
    1
    """

    __slots__ = ("_awaitable", "_begin")

    def __init__(self, awaitable: Awaitable[T], begin: Callable[[], Callable[[], object]]) -> None:
        self._awaitable = awaitable
        self._begin = begin

    def __await__(self) -> Generator[Any, None, T]:
        steps = self._awaitable.__await__()
        end: Callable[[], object] | None = None
        try:
            future = next(steps)
            end = self._begin()
            while True:
                try:
                    yield future
                except BaseException as error:  # a cancellation, on its way to who waits inside
                    future = steps.throw(error)
                else:
                    future = next(steps)
        except StopIteration as done:
            value: T = done.value
            return value
        finally:
            if end is not None:
                end()


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable


async def within(seconds: float, awaitable: Awaitable[T]) -> T:
    """What *awaitable* gives. Raises TimeoutError if that takes longer than *seconds*; no timer without a wait.

    >>> asyncio.run(within(0.01, asyncio.sleep(5)))
    Traceback (most recent call last):
    TimeoutError
    """
    expired = False

    def begin() -> Callable[[], object]:
        task = asyncio.current_task()
        assert task is not None

        def expire() -> None:
            nonlocal expired
            expired = True
            task.cancel()

        return asyncio.get_running_loop().call_later(seconds, expire).cancel

    try:
        return await WhenWaiting(awaitable, begin)
    except asyncio.CancelledError:
        if expired:
            task = asyncio.current_task()
            # Someone else cancelled as well: that wins.
            if task is None or task.uncancel() == 0:
                raise TimeoutError from None
        raise
