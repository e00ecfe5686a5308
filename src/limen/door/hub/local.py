"""Local services: what the hub runs itself for whoever calls, and where the answer goes.

A sealed session's calls have ids of their own, by which each runs once (`tabs.py`); plain ones run as they come. What
Limen itself answers (`Own`) is for sealed sessions only.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Coroutine
from functools import partial
from inspect import CORO_CREATED, getcoroutinestate
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.base.files import File
from limen.base.principal import Cancellation
from limen.core.wamp.effects import nobody
from limen.core.wamp.trace import headers

from .files import ahead, call
from .seat import Own
from .tabs import KeptCall, digest

if TYPE_CHECKING:
    from limen.core.wamp.effects import Invoke

    from .hub import Hub
    from .seat import Caller
    from .tabs import Tab

log = logging.getLogger("limen.door")

_EAGER: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}


class Local:
    """Runs the local services of one hub, for its sessions."""

    __slots__ = ("_files", "_hub", "_pipeline")

    def __init__(self, hub: Hub) -> None:
        self._hub, self._pipeline, self._files = hub, hub.pipeline, hub.files

    def run(self, effect: Invoke) -> None:
        """Runs what was called; its answer goes to the session's peer, now or later."""
        peer: Caller = effect.session.peer
        procedure = effect.procedure
        if type(procedure) is Own:
            if peer.tab is None:
                peer.error(effect.request, exc.NotFound(nobody(effect.uri)))
                return
            self._run_own(peer, effect, procedure)
            return
        kept = None
        options = effect.options
        progress = peer.progress(effect.request) if options and options.get("receive_progress") else None
        tab = peer.tab
        if tab is not None:
            tab.used = time.time()
            key = options.get("x_id")
            if type(key) is bytes and len(key) == 16 and progress is None and tab.kind != "lane":  # its number does it
                kept = self._begin(peer, effect, tab, key)
                if kept is None:
                    return
            elif options.get("x_repeat"):
                peer.error(effect.request, exc.OutcomeUnknown())
                return
        trace = None if self._pipeline.spans is None else headers(options)
        # What is over at once nobody can cancel.
        args, kwargs = effect.args, effect.kwargs
        files = (procedure.plan or self._pipeline.plan(procedure)).files and ahead(args, kwargs)
        cancellation = None if procedure.at_once and progress is None and not files else Cancellation()
        try:
            if files:
                outcome = call(peer, procedure, args, kwargs, progress=progress, cancellation=cancellation, trace=trace)
            else:
                outcome = self._pipeline.call(
                    peer.principal, procedure, args, kwargs, progress=progress, cancellation=cancellation, trace=trace
                )
                if type(outcome) is File:
                    cancellation, outcome = Cancellation(), self._files.result(peer, outcome)
        except exc.Error as error:
            self._answer(peer, effect.request, kept, None, error)
            return
        if cancellation is None or type(outcome) is not CoroutineType:
            self._answer(peer, effect.request, kept, outcome, None)
            return
        task = self._start(self._finish(peer, effect.request, kept, outcome))
        if task.done():
            return
        if kept is not None:
            kept.task, kept.cancellation = task, cancellation
        peer.running[effect.request] = (task, cancellation, kept)
        if not _EAGER:
            task.add_done_callback(partial(self._never_began, peer, effect.request, kept, outcome))

    def _never_began(
        self,
        peer: Caller,
        request: int,
        kept: KeptCall | None,
        outcome: CoroutineType[Any, Any, Any],
        task: asyncio.Future[None],
    ) -> None:
        """Before Python 3.12 a task may be cancelled before its first step, and then never is: CALL and CANCEL in one
        piece. The call has its answer all the same."""
        if task.cancelled() and getcoroutinestate(outcome) == CORO_CREATED:
            outcome.close()
            peer.running.pop(request, None)
            self._answer(peer, request, kept, None, exc.Canceled())

    def _begin(self, peer: Caller, effect: Invoke, tab: Tab, key: bytes) -> KeptCall | None:
        """The call, which is to run; None where it ran before under this id, or may not run: that is answered here."""
        try:
            said = digest(effect.uri, effect.args, effect.kwargs)
            repeat = effect.options.get("x_repeat") is True
            kept = tab.calls.begin(key, said, peer, effect.request, repeat=repeat)
        except exc.Error as error:
            peer.error(effect.request, error)
            return None
        if kept is None:
            self._adopt(peer, effect.request, tab.calls.under_way(key))
        return kept

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        if _EAGER:
            # An eager task runs at once up to its first wait: most services never wait.
            return asyncio.Task(coroutine, loop=self._hub.loop, **_EAGER)
        return self._hub.loop.create_task(coroutine)

    def _adopt(self, peer: Caller, request: int, call: KeptCall | None) -> None:
        """A call that runs since an earlier connection can be cancelled from this one as well."""
        if call is not None and call.task is not None:
            peer.running[request] = (call.task, call.cancellation, call)
            call.task.add_done_callback(lambda _: peer.running.pop(request, None))

    async def _finish(self, peer: Caller, request: int, kept: KeptCall | None, outcome: Awaitable[Any]) -> None:
        value, error = None, None
        try:
            value = await outcome
            if type(value) is File:
                value = await self._files.result(peer, value)
        except exc.Error as caught:
            error = caught
        except asyncio.CancelledError:
            error = exc.Canceled()
        except Exception:  # of the files that came or go; the pipeline itself raises none
            log.exception("The files of a call failed")
            error = exc.InternalError()
        peer.running.pop(request, None)
        self._answer(peer, request, kept, value, error)

    def _answer(self, peer: Caller, request: int, kept: KeptCall | None, value: Any, error: exc.Error | None) -> None:
        if kept is not None:
            # To whoever asked last: that may be another connection by now.
            kept.finish(self._hub.loop.time(), value, error)
        elif error is not None:
            peer.error(request, error)
        else:
            peer.result(request, value)

    def _run_own(self, peer: Caller, effect: Invoke, own: Own) -> None:
        async def run() -> None:
            value, error = None, None
            try:
                value = await own.run(peer, *(effect.args or ()), **(effect.kwargs or {}))
            except exc.Error as caught:
                error = caught
            except TypeError:
                error = exc.InvalidCall(f"{effect.uri}: the arguments do not fit; docs/security.md lists them.")
            except Exception:
                log.exception("%s failed", effect.uri)
                error = exc.InternalError()
            if error is not None:
                peer.error(effect.request, error)
            else:
                peer.result(effect.request, value)

        task = self._start(run())
        if not task.done():
            peer.running[effect.request] = (task, Cancellation(), None)
            task.add_done_callback(lambda _: peer.running.pop(effect.request, None))
