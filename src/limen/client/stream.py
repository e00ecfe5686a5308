"""A call whose values come one by one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

Push = Callable[[Any], Awaitable[None] | None]
"""Takes a value of a stream. What it gives, if anything, is to be awaited before the next, by whoever can wait."""
Begin = Callable[[Push], tuple[asyncio.Future[Any], Callable[[], object]]]
"""Begins the call: gives the future of what it returns at its end, and what cancels it."""
AHEAD: Final = 64
"""Values that may come before they are taken; then whoever can wait is asked to."""


class Feed:
    """The values of a stream between the connection and whoever iterates. WAMP has no flow control of its own, and to
    stop reading would stop all other answers too: there it grows as long as they are not taken."""

    __slots__ = ("items", "room", "waiter")

    def __init__(self) -> None:
        self.items: deque[Any] = deque()
        self.waiter: asyncio.Future[None] | None = None
        self.room: asyncio.Future[None] | None = None

    def push(self, value: Any) -> Awaitable[None] | None:
        self.items.append(value)
        self.wake()
        if len(self.items) < AHEAD:
            return None
        if self.room is None or self.room.done():
            self.room = asyncio.get_running_loop().create_future()
        return self.room

    def wake(self, _: object = None) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def take(self) -> Any:
        value = self.items.popleft()
        if not self.items and self.room is not None and not self.room.done():
            self.room.set_result(None)
        return value


class Stream(Generic[T]):
    """The values of a streaming service, as they come: `async for value in session.stream("count", 3): …`.

    The call begins with the first value asked for. Leaving the loop early, or `close()`, cancels it on the server.
    `result` is what the service returned at its end, mostly None.
    """

    __slots__ = ("__weakref__", "_begin", "_cancel", "_closed", "_feed", "_future", "result")

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        self._cancel: Callable[[], object] = lambda: None
        self._future: asyncio.Future[Any] | None = None
        self._feed = Feed()
        self._closed = False
        self.result: Any = None

    def __aiter__(self) -> Stream[T]:
        return self

    async def __anext__(self) -> T:
        feed = self._feed
        if self._closed:
            raise StopAsyncIteration
        if self._future is None:
            self._future, self._cancel = self._begin(feed.push)
            self._future.add_done_callback(feed.wake)
        while not feed.items:
            future = self._future
            if future.done():
                if not future.cancelled():
                    self.result = future.result()
                raise StopAsyncIteration
            feed.waiter = future.get_loop().create_future()
            try:
                await feed.waiter
            except asyncio.CancelledError:
                self.close()
                raise
        value: T = feed.take()
        return value

    def close(self) -> None:
        """Ends the stream: no more values come, and the server is told."""
        self._closed = True
        self._feed.items.clear()
        if self._future is not None and not self._future.done():
            self._cancel()

    async def aclose(self) -> None:
        """As `close`, for `contextlib.aclosing`; comes back when nothing of the call is left here."""
        self.close()
        if self._future is not None:
            await asyncio.wait([self._future])

    def __del__(self) -> None:
        future = self._future
        if future is None:
            return
        if not future.done():
            try:  # wherever the garbage collector runs
                future.get_loop().call_soon_threadsafe(self._cancel)
            except RuntimeError:  # that loop is closed
                future.cancel()
        elif not future.cancelled():
            future.exception()  # nobody asks any more
