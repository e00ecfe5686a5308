"""Effects: sync ones, and async ones, whose runs never overlap: the latest wins.

A change cancels the run of an async effect that is under way; the next one starts when that has ended, its `finally`
included, and sees all there is by then. What a run reads after an `await` counts too. Cancelled, not queued: who
follows wants what is true now, and a reload of what was chosen a moment ago is in its way. What must come to its end
belongs in a task of its own, or in `asyncio.shield`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any

from limen.core.react.reading import CURRENT, END, Consumer, Reading, current, opened, untracked
from limen.core.react.signals import _BATCH, Computed, _let_go, _settle, batch


class Effect(Consumer):
    """A running effect; calling it, or `dispose()`, ends it. Made by `effect()`."""

    __slots__ = ("_busy", "_cleanup", "_ended", "_function")

    def __init__(self, function: Callable[[], Any], name: str) -> None:
        self.name = name or getattr(function, "__qualname__", "effect")
        self._sources = {}
        self._first = self._last = self._next = END
        self._aside = None
        self._targets = True
        self._function = function
        self._busy = False
        self._ended = False
        self._cleanup: Callable[[], object] | None = None

    def __call__(self) -> None:
        self.dispose()

    def dispose(self) -> None:
        """Ends it; in the middle of its run, when that is over. The last clean-up is called."""
        self._ended = True
        if not self._busy:
            self._end()

    def _end(self) -> None:
        self._next = self._first
        _let_go(self)
        self._clean()

    def _clean(self) -> None:
        cleanup, self._cleanup = self._cleanup, None
        if cleanup is not None:
            untracked(cleanup)

    def _is_due(self, reading: Reading) -> bool:
        """Whether one of its sources is another now; in the middle of a run, of those that it has read so far."""
        if self._ended:
            return False
        link = self._first
        while link is not self._next:
            source = link.source
            if source._version == link.version and source._stale is not None:  # it is watched: no clock
                _settle(source, reading)
            if source._version != link.version:
                return True
            link = link.next
        return False

    def _run(self, reading: Reading) -> None:
        if self._cleanup is not None:
            self._clean()
        self._next, self._busy = self._first, True
        reading.reader = self
        try:
            result = self._function()
            if callable(result):
                self._cleanup = result
        finally:
            reading.reader = None
            self._ran()

    def _ran(self) -> None:
        self._busy = False
        if self._next is not END or self._aside:
            _let_go(self)
        if self._ended:
            self._end()


class _AsyncEffect(Effect):
    __slots__ = ("_again", "_context", "_failed", "_loop", "_reading", "task")

    def __init__(
        self,
        function: Callable[[], Coroutine[Any, Any, object]],
        name: str,
        failed: Callable[[Exception], object] | None,
    ) -> None:
        super().__init__(function, name)
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._failed = failed
        self._again = False
        self._reading = Reading(open=False)
        self.task: asyncio.Task[object] | None = None

    def dispose(self) -> None:
        self._ended = True
        if self.task is None:
            self._end()
        elif current() is not self._reading:  # a run that ends its own effect goes on to its end
            self.task.cancel()

    def _run(self, reading: Reading | None = None) -> None:
        if self.task is not None:
            if not self._again:
                self._again = True
                self.task.cancel()
            return
        context = self._context.copy()
        self._reading = Reading(self, open=False)  # of a task: other stacks run between
        context.run(CURRENT.set, self._reading)
        context.run(_BATCH.set, None)
        self._next, self._busy = self._first, True
        self.task = self._loop.create_task(self._function(), name=self.name, context=context)
        self.task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[object]) -> None:
        self.task, self._reading.reader = None, None
        error = None if task.cancelled() else task.exception()
        again, self._again = self._again, False
        self._ran()
        if again and not self._ended:
            self._run()
        if isinstance(error, Exception) and self._failed is not None:
            self._failed(error)
        elif error is not None:
            self._loop.call_exception_handler({"message": f"{self.name}: an effect failed", "exception": error})


def effect(
    function: Callable[[], Any], *, name: str = "", failed: Callable[[Exception], object] | None = None
) -> Effect:
    """Runs *function* now, and again whenever what it read has changed, until the effect that is returned is called.

    A function that it returns is its clean-up: called before the next run and at the end. If the first run raises, the
    error is raised here and there is no effect; later ones go to whoever wrote (an ExceptionGroup if they are several).

    An async *function* runs in a task, in the context in which the effect was made; a change cancels the run, and the
    next one starts when it has ended. *failed* is told its errors; without it, the loop's exception handler.
    """
    reader = current().reader
    if isinstance(reader, Computed):
        raise RuntimeError(f"{reader.name} makes an effect: a computed value only reads.")
    made: Effect
    if inspect.iscoroutinefunction(function):
        made = _AsyncEffect(function, name, failed)
        made._run()
        return made
    made = Effect(function, name)
    with batch():
        try:
            opened(made._run)
        except BaseException:
            made.dispose()
            raise
    return made
