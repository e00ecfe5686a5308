"""A clock that moves when it is told: an asyncio event loop whose timers are due as a test says, at once.

    clock = Clock()

    async def main() -> None:
        reminder = asyncio.create_task(asyncio.sleep(3600, "an hour later"))
        await clock.advance(3600)
        assert reminder.done()

    clock.run(main())

Timers, time-outs and `asyncio.sleep` of that loop go by the clock; it stands still but for `advance`. What threads and
sockets do goes by theirs, and is not waited for. Nothing is patched: `time.time()` is what it always was.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Coroutine, Mapping
from math import inf, nextafter
from typing import Any, Final, TypeVar

T = TypeVar("T")

RESOLUTION: Final = time.get_clock_info("monotonic").resolution


class Clock:
    """*start*: what it shows at first, in seconds. `loop_factory` is for `asyncio.Runner` and whoever else makes loops.

    >>> clock = Clock()
    >>> async def main():
    ...     async with asyncio.timeout(60):
    ...         waiting = asyncio.create_task(asyncio.sleep(10, "ten seconds later"))
    ...         await clock.advance(9.5)
    ...         print(clock.time(), waiting.done())
    ...         await clock.advance(1)
    ...         print(clock.time(), waiting.done())
    >>> clock.run(main())
    9.5 False
    10.5 True
    """

    def __init__(self, start: float = 0.0) -> None:
        self._now = self._target = start
        self._arrived: asyncio.Future[None] | None = None

    def time(self) -> float:
        """Seconds; `loop.time()` says the same."""
        return self._now

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """As `asyncio.run`, on a loop that goes by this clock."""
        with asyncio.Runner(loop_factory=self.loop_factory) as runner:
            return runner.run(main)

    async def advance(self, seconds: float) -> None:
        """Moves the clock, from one timer that is due to the next: each runs at its time, with all that it sets off.
        Comes back when it shows the new time, and nothing is left to run. One at a time: RuntimeError for a second."""
        if seconds < 0:
            raise ValueError("A clock is not turned back.")
        if self._arrived is not None:
            raise RuntimeError("The clock is being moved already; await that first.")
        if not isinstance(asyncio.get_running_loop(), _Loop):
            raise RuntimeError("This loop goes by another clock; use Clock.run, or its loop_factory.")
        self._target = self._now + seconds
        self._arrived = asyncio.get_running_loop().create_future()
        try:
            await self._arrived
        finally:
            self._arrived = None

    def loop_factory(self) -> asyncio.AbstractEventLoop:
        """A new event loop that goes by this clock."""
        return _Loop(self)

    def idle(self, until_next: float | None) -> bool:
        """The loop has nothing to run, and its next timer is due in *until_next* seconds. Whether there is something
        now: a timer, or whoever waits in `advance`."""
        arrived = self._arrived
        if arrived is None or arrived.done():
            return False
        left = self._target - self._now
        if until_next is not None and until_next <= left:
            self._now += until_next
            if self._now + RESOLUTION == self._now:  # asyncio takes for due what is earlier than that sum
                self._now = nextafter(self._now, inf)
        else:
            self._now = self._target
            arrived.set_result(None)
        return True


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        super().__init__(_Selector(clock))

    def time(self) -> float:
        return self._clock.time()


class _Selector(selectors.BaseSelector):
    """An event loop asks its selector with a time-out of 0 while it has something to run: any other says that it is
    idle, and for how long. That is where a clock can be moved."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._real = clock, selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return self._real.select(0)
        ready = self._real.select(0)
        if ready or self._clock.idle(timeout):
            return ready
        return self._real.select(None)  # time does not pass by waiting

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()
