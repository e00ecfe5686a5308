"""Making an effect; async ones, whose runs never overlap: the latest wins.

A change cancels the run under way; the next one starts when that has ended, its `finally` included, and sees all there
is by then. What a run reads after an `await` counts too. Cancelled, not queued: who follows wants what is true now, and
a reload of what was chosen a moment ago is in its way. What must come to its end belongs in a task of its own, or in
`asyncio.shield`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any

from limen.core.react.signals import _BATCH, _CURRENT, Computed, Effect, _drop, _Sources, batch


class _AsyncEffect(Effect):
    __slots__ = ("_again", "_context", "_failed", "_loop", "_old", "task")

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
        self.task: asyncio.Task[object] | None = None

    def dispose(self) -> None:
        self._ended = True
        if self.task is None:
            self._let_go()
        elif _CURRENT.get() is not self:  # a run that ends its own effect goes on to its end
            self.task.cancel()

    def _run(self) -> None:
        if self.task is not None:
            if not self._again:
                self._again = True
                self.task.cancel()
            return
        context = self._context.copy()
        context.run(_CURRENT.set, self)
        context.run(_BATCH.set, None)
        self._old, self._sources, self._busy = self._sources, {}, True
        self.task = self._loop.create_task(self._function(), name=self.name, context=context)
        self.task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[object]) -> None:
        self.task, self._busy = None, False
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
    reader = _CURRENT.get()
    if isinstance(reader, Computed) and reader._busy:
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
