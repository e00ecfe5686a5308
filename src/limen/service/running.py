"""How functions of each kind are run: plain, async, and those that stream. All under one contextvars context a call."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextvars import Context
from typing import Any, Generic, TypeVar

from limen import exc
from limen.service.hops import Hops, Late

T = TypeVar("T")

Progress = Callable[[Any], Awaitable[object] | None]
"""Takes a value of a stream; an awaitable that it gives is waited for before the next (back-pressure)."""

MAX_COLLECTED = 10_000
"""Most values of a stream that are gathered for a caller who did not ask for progress."""
_AHEAD = 16
"""Values that a streaming thread may be ahead of its caller."""
_BREATH = 32
"""So many values of an inline stream go before others on the loop have their turn."""


class Under(Generic[T]):
    """*awaitable*, each of its steps run under *context*, whoever drives it."""

    __slots__ = ("_awaitable", "_context")

    def __init__(self, context: Context, awaitable: Awaitable[T]) -> None:
        self._context, self._awaitable = context, awaitable

    def __await__(self) -> Generator[Any, None, T]:
        run = self._context.run
        steps: Any = self._awaitable if inspect.iscoroutine(self._awaitable) else self._awaitable.__await__()
        try:
            future = run(steps.send, None)
            while True:
                try:
                    yield future
                except BaseException as error:  # a cancellation, on its way to who waits inside
                    future = run(steps.throw, error)
                else:
                    future = run(steps.send, None)
        except StopIteration as done:
            value: T = done.value
            return value


class Sink:
    """Where the values of a stream go: to *progress*, or into a list."""

    __slots__ = ("_collected", "_progress")

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._collected: list[Any] = []

    def put(self, value: Any) -> Awaitable[object] | None:
        """Raises TooLarge for a list that gets too long."""
        if self._progress is not None:
            waiting = self._progress(value)
            return waiting if waiting is not None and inspect.isawaitable(waiting) else None
        if len(self._collected) >= MAX_COLLECTED:
            raise exc.TooLarge(f"This streams more than {MAX_COLLECTED} values; ask for progress.")
        self._collected.append(value)
        return None

    def result(self, returned: Any) -> Any:
        """The result of the call: what the stream returned, after progress; else the list of its values."""
        return self._collected if self._progress is None else returned


def stream_now(context: Context, generator: Generator[Any, None, Any]) -> list[Any]:
    """All values of a generator as a list, here and now."""
    sink = Sink(None)
    try:
        while True:
            sink.put(context.run(next, generator))
    except StopIteration:
        collected: list[Any] = sink.result(None)
        return collected
    finally:
        context.run(generator.close)


async def stream_on_loop(context: Context, generator: Generator[Any, None, Any], sink: Sink) -> Any:
    """Steps a generator on the loop."""
    count = 0
    try:
        while True:
            waiting = sink.put(context.run(next, generator))
            count += 1
            if waiting is not None:
                await waiting
            elif count % _BREATH == 0:
                await asyncio.sleep(0)
    except StopIteration as stop:
        return sink.result(stop.value)
    finally:
        context.run(generator.close)


async def stream_async(context: Context, generator: AsyncGenerator[Any, None], sink: Sink) -> Any:
    """Steps an async generator."""
    try:
        while True:
            try:
                value = await Under(context, generator.__anext__())
            except StopAsyncIteration:
                return sink.result(None)
            waiting = sink.put(value)
            if waiting is not None:
                await waiting
    finally:
        await Under(context, generator.aclose())


class ThreadStream:
    """A generator that lives on one worker thread from its first step to its end (what it holds open may belong to that
    thread), at most `_AHEAD` values ahead of its caller."""

    def __init__(self, context: Context, start: Callable[[], Generator[Any, None, Any]]) -> None:
        self._context, self._start = context, start
        self._loop = asyncio.get_running_loop()
        self._room = threading.Semaphore(_AHEAD)
        self._stopped = False
        self._values: deque[Any] = deque()
        self._news = asyncio.Event()

    async def run(self, hops: Hops, sink: Sink, late: Late) -> Any:
        """Until the generator is at its end, or the awaiting task is cancelled."""
        ended = hops.run(lambda: self._context.run(self._pump), late)
        ended.add_done_callback(lambda _: self._news.set())
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                while self._values:
                    waiting = sink.put(self._values.popleft())
                    if waiting is not None:
                        await waiting
                    self._room.release()
                if ended.done() and not self._values:
                    return sink.result(ended.result())
        finally:
            self._stopped = True
            self._room.release()
            ended.cancel()  # whatever the thread still meets, nobody waits for it

    def _pump(self) -> Any:
        generator = self._start()
        try:
            while True:
                value = next(generator)
                self._room.acquire()
                if self._stopped:
                    return None
                self._values.append(value)
                self._loop.call_soon_threadsafe(self._news.set)
        except StopIteration as stop:
            return stop.value
        finally:
            generator.close()
