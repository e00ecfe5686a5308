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
from typing import Any, Final

from limen.core.react.signals import (
    _BATCH,
    _CURRENT,
    Computed,
    _drop,
    _opened,
    _Reading,
    _settle,
    _Sources,
    batch,
    untracked,
)


class Effect:
    """A running effect; calling it, or `dispose()`, ends it. Made by `effect()`."""

    __slots__ = ("__weakref__", "_busy", "_cleanup", "_ended", "_function", "_moved", "_sources", "_targets", "name")

    _acts: Final = True

    def __init__(self, function: Callable[[], Any], name: str) -> None:
        self._function = function
        self.name = name or getattr(function, "__qualname__", "effect")
        self._sources: _Sources = {}
        self._targets: Final = True  # it is always watched
        self._moved = False
        self._busy = False
        self._ended = False
        self._cleanup: Callable[[], object] | None = None

    def __call__(self) -> None:
        self.dispose()

    def dispose(self) -> None:
        """Ends it; in the middle of its run, when that is over. The last clean-up is called."""
        self._ended = True
        if not self._busy:
            self._let_go()

    def _let_go(self) -> None:
        old, self._sources = self._sources, {}
        _drop(self, old)
        self._clean()

    def _clean(self) -> None:
        cleanup, self._cleanup = self._cleanup, None
        if cleanup is not None:
            untracked(cleanup)

    def _is_due(self) -> bool:
        """Whether one of its sources is another now."""
        if self._ended:
            return False
        source: Any
        for source, seen in self._sources.items():
            if source._version == seen and not source._until:  # it is watched: stale or not, no clock
                _settle(source, _CURRENT.get())
            if source._version != seen:
                return True
        return False

    def _run(self) -> None:
        self._clean()
        old, self._sources, self._moved, self._busy = self._sources, {}, False, True
        try:
            result = _opened(lambda _: self._function(), self)
            if callable(result):
                self._cleanup = result
        finally:
            self._busy = False
            _drop(self, old)
            if self._ended:
                self._let_go()


class _AsyncEffect(Effect):
    __slots__ = ("_again", "_context", "_failed", "_loop", "_old", "_reading", "task")

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
        self._old: _Sources = {}
        self._reading = _Reading(open=False)
        self.task: asyncio.Task[object] | None = None

    def dispose(self) -> None:
        self._ended = True
        if self.task is None:
            self._let_go()
        elif _CURRENT.get() is not self._reading:  # a run that ends its own effect goes on to its end
            self.task.cancel()

    def _run(self) -> None:
        if self.task is not None:
            if not self._again:
                self._again = True
                self.task.cancel()
            return
        context = self._context.copy()
        self._reading = _Reading(self, open=False)  # of a task: other stacks run between
        context.run(_CURRENT.set, self._reading)
        context.run(_BATCH.set, None)
        self._old, self._sources, self._moved, self._busy = self._sources, {}, False, True
        self.task = self._loop.create_task(self._function(), name=self.name, context=context)
        self.task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[object]) -> None:
        self.task, self._busy, self._reading.reader = None, False, None
        _drop(self, self._old)
        self._old = {}
        error = None if task.cancelled() else task.exception()
        again, self._again = self._again, False
        if self._ended:
            self._let_go()
        elif again:
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
    reader = _CURRENT.get().reader
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
            made._run()
        except BaseException:
            made.dispose()
            raise
    return made
