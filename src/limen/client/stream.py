"""A call whose values come one by one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from limen.client.calls import Calls, PendingCall

T = TypeVar("T")


class Feed:
    """The values of a stream between the connection and whoever iterates. Grows as long as they are not taken: WAMP
    has no flow control of its own, and to stop reading would stop all other answers too."""

    __slots__ = ("items", "waiter")

    def __init__(self) -> None:
        self.items: deque[Any] = deque()
        self.waiter: asyncio.Future[None] | None = None

    def push(self, value: Any) -> None:
        self.items.append(value)
        self.wake()

    def wake(self, _: object = None) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)


class Stream(Generic[T]):
    """The values of a streaming service, as they come: `async for value in session.stream("count", 3): …`.

    The call begins with the first value asked for. Leaving the loop early, or `close()`, cancels it on the server.
    `result` is what the service returned at its end, mostly None.
    """

    __slots__ = ("__weakref__", "_begin", "_call", "_calls", "_closed", "_feed", "result")

    def __init__(self, calls: Calls, begin: Callable[[Callable[[Any], None]], PendingCall]) -> None:
        self._calls = calls
        self._begin = begin
        self._call: PendingCall | None = None
        self._feed = Feed()
        self._closed = False
        self.result: Any = None

    def __aiter__(self) -> Stream[T]:
        return self

    async def __anext__(self) -> T:
        feed = self._feed
        if self._closed:
            raise StopAsyncIteration
        if self._call is None:
            self._call = self._begin(feed.push)
            self._call.future.add_done_callback(feed.wake)
        while not feed.items:
            future = self._call.future
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
        value: T = feed.items.popleft()
        return value

    def close(self) -> None:
        """Ends the stream: no more values come, and the server is told."""
        self._closed = True
        self._feed.items.clear()
        if self._call is not None and not self._call.future.done():
            self._calls.cancel(self._call)

    def __del__(self) -> None:
        call = self._call
        if call is None:
            return
        if not call.future.done():
            try:  # wherever the garbage collector runs
                call.future.get_loop().call_soon_threadsafe(self._calls.cancel, call)
            except RuntimeError:  # that loop is closed
                call.future.cancel()
        elif not call.future.cancelled():
            call.future.exception()  # nobody asks any more
