"""Runner: an event loop for code that is not async."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from limen import exc
from limen.client.events import Handler

log = logging.getLogger("limen.client")

T = TypeVar("T")


class Runner:
    """An event loop on a thread of its own, begun when it is first needed, and again after `close`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: tuple[asyncio.AbstractEventLoop, threading.Thread] | None = None
        self._teller: ThreadPoolExecutor | None = None

    @property
    def begun(self) -> bool:
        """There is something to end."""
        return self._running is not None or self._teller is not None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Its result. Whatever ends the waiting (Ctrl-C, too) cancels it."""
        with self._lock:  # several threads may come at once
            if self._running is None:
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=_run, args=[loop], name="limen-client", daemon=True)
                thread.start()
                self._running = loop, thread
            loop, thread = self._running
        if threading.current_thread() is thread:
            coroutine.close()
            raise exc.InvalidCall("This would wait for itself: a coroutine of this client's own loop must await.")
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def call_soon(self, function: Callable[[], object]) -> None:
        """Runs *function* on the loop, if that runs."""
        running = self._running
        if running is not None:
            with contextlib.suppress(RuntimeError):  # it ended meanwhile
                running[0].call_soon_threadsafe(function)

    def tell(self, handler: Handler) -> Handler:
        """*handler*, run on one further thread, in the order of events: so that it may itself use the client."""

        def told(*args: Any, **kwargs: Any) -> None:
            if self._teller is None:
                self._teller = ThreadPoolExecutor(1, "limen-client-handlers")
            self._teller.submit(_safely, handler, args, kwargs)

        return told

    def close(self) -> None:
        """Ends the thread and its loop, when the handlers of what came so far are done."""
        teller, self._teller = self._teller, None
        if teller is not None:
            teller.shutdown(wait=not threading.current_thread().name.startswith("limen-client-handlers"))
        with self._lock:
            running, self._running = self._running, None
        if running is not None:
            loop, thread = running
            loop.call_soon_threadsafe(loop.stop)
            thread.join()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    """Until it is stopped; then what `asyncio.run` does at its end."""
    try:
        loop.run_forever()
        loop.run_until_complete(_wind_up())
    finally:
        loop.close()


async def _wind_up() -> None:
    loop = asyncio.get_running_loop()
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await loop.shutdown_asyncgens()
    await loop.shutdown_default_executor()


def _safely(handler: Handler, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    try:
        outcome = handler(*args, **kwargs)
        if inspect.iscoroutine(outcome):
            asyncio.run(outcome)
    except Exception:
        log.exception("A handler failed")
