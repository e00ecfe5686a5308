"""To a worker thread and back to the event loop, cheaply.

`run_in_executor` and `wrap_future` make two futures and chain them with callbacks both ways. Here a result goes into a
deque, and of many that are ready at once the first wakes the loop for all.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import Any, TypeVar

from limen.service.workers import Workers

T = TypeVar("T")

Late = Callable[[BaseException], object]
"""Told, on the loop, of an error that came when nobody waited any more."""


class Hops:
    """Hops from event loops to the threads of *executor*.

    >>> async def main():
    ...     with Workers(1) as workers:
    ...         return await Hops(workers).run(lambda: 6 * 7)
    >>> asyncio.run(main())
    42
    """

    def __init__(self, executor: Executor) -> None:
        self._start: Callable[[Callable[[], object]], object] = (
            executor.start if isinstance(executor, Workers) else executor.submit
        )

    def run(self, function: Callable[[], T], late: Late | None = None) -> asyncio.Future[T]:
        """Runs *function*, which must not raise StopIteration (no future takes that), on a thread; gives a future of
        the running loop. Cancelled before a thread is free, it never runs; cancelled afterwards it runs to its end,
        and *late* hears of its error."""
        way = _way_back()
        future: asyncio.Future[T] = way.loop.create_future()

        def work() -> None:
            if future.cancelled():
                return
            try:
                way.send(future, function(), None, late)
            except BaseException as error:
                way.send(future, None, error, late)

        self._start(work)
        return future


async def awaited(work: Future[T]) -> T:
    """What *work* gives, which another thread does. It can't be stopped: a cancelled caller waits until it is done, so
    that nothing goes on behind the caller's back."""
    way = _way_back()
    told: asyncio.Future[None] = way.loop.create_future()
    work.add_done_callback(lambda _: way.send(told, None, None, None))
    try:
        await told
    except asyncio.CancelledError:
        rest = asyncio.wrap_future(work)
        while not rest.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([rest])
        rest.exception()  # it was looked at
        raise
    return work.result()


class _WayBack:
    """Results on their way to one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._ready: deque[tuple[asyncio.Future[Any], Any, BaseException | None, Late | None]] = deque()
        self._awake = False

    def send(self, future: asyncio.Future[Any], value: Any, error: BaseException | None, late: Late | None) -> None:
        """From any thread."""
        self._ready.append((future, value, error, late))
        if not self._awake:
            self._awake = True
            try:
                self.loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:
                self._ready.clear()  # the loop is closed: nobody waits

    def _deliver(self) -> None:
        # False first: what is appended after the last popleft wakes the loop again.
        self._awake = False
        ready = self._ready
        while ready:
            future, value, error, late = ready.popleft()
            if future.done():
                if error is not None and late is not None:
                    late(error)
            elif error is None:
                future.set_result(value)
            else:
                future.set_exception(error)


_ways: dict[asyncio.AbstractEventLoop, _WayBack] = {}


def _way_back() -> _WayBack:
    """That of the running loop."""
    loop = asyncio.get_running_loop()
    way = _ways.get(loop)
    if way is None:
        for old in [old for old in [*_ways] if old.is_closed()]:
            _ways.pop(old, None)
        way = _ways[loop] = _WayBack(loop)
    return way
