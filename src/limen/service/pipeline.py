"""The way of one call: guard, values, function, and what becomes of its exceptions.

Every door ends here: `Pipeline.call(principal, service, args, kwargs)`.

    >>> from limen.service.service import Service
    >>> pipeline = Pipeline(Config())
    >>> double = Service(lambda n: 2 * n, "double", safe=False, ssl=False, inline=True)
    >>> pipeline.call(Principal("localhost"), double, ["21"], {})
    42
    >>> secret = Service(lambda: 42, "secret", inline=True)
    >>> pipeline.call(Principal("localhost"), secret, [], {})
    Traceback (most recent call last):
    limen.exc.Unauthorized: Log in first.
"""

from __future__ import annotations

import asyncio
import logging
import pdb
import secrets
import traceback
from collections.abc import Awaitable, Callable, Container
from concurrent.futures import Executor
from contextvars import Context, copy_context
from time import perf_counter
from typing import Any

from limen import exc
from limen.base.config import Config
from limen.base.files import Upload
from limen.base.principal import Cancellation, Principal, State, current
from limen.base.spans import Carrier, Span, Spans
from limen.core.guard.ledger import Kind as Misdeed
from limen.service.binding import Binding
from limen.service.guard import permit, wants_tls, wants_user
from limen.service.hops import Hops
from limen.service.rulebook import Rulebook
from limen.service.running import Progress, Sink, ThreadStream, Under, stream_async, stream_now, stream_on_loop
from limen.service.service import Kind, Service
from limen.service.workers import Workers

log = logging.getLogger("limen")

Charge = Callable[[str, str, Misdeed], object]
"""(domain, origin, what was done)."""
Refused = Callable[[str, str], float | None]
"""(domain, origin) -> seconds until that origin may come again, None if it may now."""
OnDone = Callable[[Service, Principal, float, exc.Error | None], object]
"""(service, principal, seconds, error or None) at the end of every call, refused ones too."""

PLAIN, ASYNC, STREAM, ASYNC_STREAM = Kind  # to look a member up in its class takes longer than to look it up here
_NEVER = Cancellation()
_MOST_STATES = 4096


class _Denied(Exception):
    """check_perm said no, on a worker thread; the ledger is told on the loop."""

    def __init__(self, error: exc.Error) -> None:
        self.error = error


class Pipeline:
    """*config*: whether this is development, and how many threads. *executor*: worker threads for plain functions; any
    serves, `limen.service.workers.Workers` (the default) is the fastest. *rulebook*: permissions said at run time."""

    def __init__(self, config: Config, *, executor: Executor | None = None, rulebook: Rulebook | None = None) -> None:
        self._config = config
        self.rulebook = rulebook or Rulebook()
        self._rules = self.rulebook.by_domain
        self._executor = executor
        self._hops: Hops | None = None
        self._states: dict[tuple[int, str], State] = {}
        self._charge: Charge = lambda domain, origin, misdeed: None
        self._refused: Refused = lambda domain, origin: None
        self.on_done: OnDone | None = None
        self.spans: Spans | None = None
        """Makes a span of each call, where traces are on."""

    def guard(self, *, charge: Charge, refused: Refused) -> None:
        """Counts misdeeds with *charge*, and asks *refused* before anonymous calls; both on the loop only."""
        self._charge, self._refused = charge, refused

    def call(
        self,
        principal: Principal,
        service: Service,
        args: list[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
        *,
        progress: Progress | None = None,
        cancellation: Cancellation | None = None,
        text: Container[int | str] = (),
        trace: Carrier | None = None,
    ) -> Any:
        """The result of an `inline` service, now; for any other an awaitable of it, for a task of an event loop.

        *progress* takes the values of a stream, and may give an awaitable for back-pressure; without it they are
        collected (an `inline` stream with progress gives an awaitable too). *cancellation* is set when the awaiting
        task is cancelled or the time is over. *text*: positions and names of the arguments that came as text, from a
        URL or a form. *trace*: what the caller said of the trace that this belongs to.

        Raises exc.Error only, at once or when awaited; and CancelledError when cancelled.
        """
        started = perf_counter()
        span = None if self.spans is None else self.spans.serve(service.uri, principal.domain, trace)
        kind = service.kind
        try:
            self.admit(principal, service)
            plan = service.plan or self.plan(service)
            now = service.at_once and (progress is None or kind is PLAIN)
            if now:
                state = self._state(principal, service)
            else:
                state = State(principal, service.uri, cancellation or Cancellation())
            if service.roles:
                self._permit(state, service.roles, None)
            if self._rules:
                self._obey(service, principal)
            if service.check_perm is not None and not _on_thread(service):  # else where its function runs
                self._permit(state, (), service.check_perm)
            values, named = plan.bind(args or [], kwargs, text)
            context = copy_context()
            if span is not None:
                context.run(span.enter)
            if not now:
                context.run(current.set, state)
                return self._later(service, state, context, values, named, progress, started, span)
            value = context.run(_run_now, state, service.function, values, named)
            if kind is STREAM:
                value = stream_now(context, value)
            if plan.files:
                discard(args, kwargs)
        except BaseException as raised:
            discard(args, kwargs)
            error = self._error(service, raised)
            self._done(service, principal, started, error, span)
            if error is raised:
                raise
            raise error from None
        if self.on_done is not None:
            self.on_done(service, principal, perf_counter() - started, None)
        if span is not None:
            span.end()
        return value

    # -- guard --------------------------------------------------------------------------------------------------
    def admit(self, principal: Principal, service: Service) -> None:
        """TLS, abuse, sealing. A call in process (origin '') has no transport to look at."""
        origin, user = principal.origin, principal.user
        if origin and not principal.tls and wants_tls(service, development=self._config.IS_DEVELOPMENT):
            raise exc.RequireSSL()
        if user is None and origin and service.check_abusive:
            wait = self._refused(principal.domain, origin)
            if wait is not None:
                raise exc.Abusive(retry_after=wait)
        if principal.sealed and user is not None:
            return
        if wants_user(service) or (service.roles and user is None):
            self._charge(principal.domain, origin, Misdeed.UNSEALED)
            raise exc.Unauthorized("Log in first." if user is None else "This answers in sealed sessions only.")

    def _permit(self, state: State, roles: tuple[str, ...], check_perm: Callable[[State], object] | None) -> None:
        """What was said in the code."""
        try:
            permit(state, roles, check_perm)
        except exc.Unauthorized:
            self._charge(state.domain, state.origin, Misdeed.DENIED)
            raise

    def _obey(self, service: Service, principal: Principal) -> None:
        """What was said at run time (`rulebook`)."""
        try:
            self.rulebook.check(principal, service.uri)
        except exc.Unauthorized:
            self._charge(principal.domain, principal.origin, Misdeed.DENIED)
            raise

    def _state(self, principal: Principal, service: Service) -> State:
        """The state of an inline call, which nobody can cancel; kept, for the next call of that kind."""
        key = (id(principal), service.uri)
        state = self._states.get(key)
        if state is None or state.principal is not principal:
            if len(self._states) >= _MOST_STATES:
                self._states.clear()
            state = self._states[key] = State(principal, service.uri, _NEVER)
        return state

    def plan(self, service: Service) -> Binding:
        """How *service* takes its arguments; worked out at its first call."""
        if service.plan is not None:
            known: Binding = service.plan
            return known
        plan = Binding(service.function, service.auto_parse)
        object.__setattr__(service, "plan", plan)
        return plan

    # -- running ------------------------------------------------------------------------------------------------
    async def _later(
        self,
        service: Service,
        state: State,
        context: Context,
        values: list[Any],
        named: dict[str, Any],
        progress: Progress | None,
        started: float,
        span: Span | None,
    ) -> Any:
        error: exc.Error | None = None
        try:
            if service.timeout is None:
                return await self._run(service, state, context, values, named, progress)
            return await _in_time(service.timeout, self._run(service, state, context, values, named, progress))
        except asyncio.CancelledError:
            state.cancellation.set()
            error = exc.Canceled()
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise error from None  # nobody cancelled this call: it waited for something else that was
        except GeneratorExit:
            raise  # this coroutine is being closed
        except _Denied as denied:
            self._charge(state.domain, state.origin, Misdeed.DENIED)
            error = denied.error
            raise error from None
        except BaseException as raised:
            error = self._error(service, raised)
            if isinstance(error, exc.Timeout):
                state.cancellation.set()
            if error is raised:
                raise
            raise error from None
        finally:
            if service.plan.files:
                discard(values, named)
            self._done(service, state.principal, started, error, span)

    def _run(
        self,
        service: Service,
        state: State,
        context: Context,
        values: list[Any],
        named: dict[str, Any],
        progress: Progress | None,
    ) -> Awaitable[Any]:
        function, kind = service.function, service.kind
        if kind is ASYNC:
            return Under(context, context.run(function, *values, **named))
        if kind is ASYNC_STREAM:
            return stream_async(context, context.run(function, *values, **named), Sink(progress))
        if service.inline:
            return stream_on_loop(context, context.run(function, *values, **named), Sink(progress))

        def work() -> Any:
            if service.check_perm is not None:
                try:
                    permit(state, (), service.check_perm)
                except exc.Unauthorized as error:
                    raise _Denied(error) from None
            try:
                return function(*values, **named)
            except (StopIteration, GeneratorExit, asyncio.CancelledError) as odd:  # these mean something to a coroutine
                raise RuntimeError(f"the function raised {type(odd).__name__}") from odd
            finally:
                if kind is PLAIN and service.plan.files:
                    discard(values, named)  # here rather than on the loop: to remove a large file takes a while

        def late(error: BaseException) -> None:
            if not isinstance(error, _Denied):
                self._error(service, error)

        if self._hops is None:
            self._executor = self._executor or Workers(self._config.THREADS)
            self._hops = Hops(self._executor)
        if kind is STREAM:
            return ThreadStream(context, work).run(self._hops, Sink(progress), late)
        return self._hops.run(lambda: context.run(work), late)

    # -- afterwards ---------------------------------------------------------------------------------------------
    def _error(self, service: Service, raised: BaseException) -> exc.Error:
        """What the caller is told. What is no exc.Error, or a store's failure with its paths, is logged under an
        incident's number, and outside development that number is all that leaves the server."""
        if isinstance(raised, exc.Error) and not isinstance(raised, exc.StoreError):
            return raised
        if isinstance(raised, KeyboardInterrupt):
            raise raised
        incident = secrets.token_hex(8)
        if service.log_exc:
            log.error("%s failed, incident %s", service.uri, incident, exc_info=raised)
        if not self._config.IS_DEVELOPMENT:
            return exc.InternalError(incident=incident)
        if service.postmortem_debug:
            pdb.post_mortem(raised.__traceback__)
        from limen.service.failure import frames  # only here, where somebody develops

        lines = "".join(traceback.format_exception(raised))
        what = f"{type(raised).__name__}: {raised}"[:1000]
        return exc.InternalError(incident=incident, traceback=lines, raised=what, frames=frames(raised.__traceback__))

    def _done(
        self, service: Service, principal: Principal, started: float, error: exc.Error | None, span: Span | None
    ) -> None:
        if self.on_done is not None:
            self.on_done(service, principal, perf_counter() - started, error)
        if span is not None:
            span.end(None if error is None else error.uri)


def discard(args: list[Any] | None, kwargs: dict[str, Any] | None) -> None:
    """The call is over, or there is none: what files came with it, and were not kept, go."""
    for value in (*(args or ()), *(kwargs or {}).values()):
        for item in value if type(value) is list else (value,):
            if type(item) is Upload:
                item.discard()


def _run_now(state: State, function: Callable[..., Any], values: list[Any], named: dict[str, Any]) -> Any:
    """Under the call's own context: what the function sets there is gone afterwards."""
    current.set(state)
    return function(*values, **named)


def _on_thread(service: Service) -> bool:
    return not service.inline and service.kind in (PLAIN, STREAM)


async def _in_time(seconds: float, awaitable: Awaitable[Any]) -> Any:
    """Raises Timeout when *seconds* are over. (asyncio.timeout needs a task; a door may step a call by hand.)"""
    running = asyncio.ensure_future(awaitable)
    try:
        await asyncio.wait({running}, timeout=seconds)
    except asyncio.CancelledError:
        await _ended(running)
        raise
    if running.done():
        return running.result()
    await _ended(running)
    raise exc.Timeout(f"The call took longer than {seconds:g} s.")


async def _ended(running: asyncio.Future[Any]) -> None:
    """Cancels *running*, and waits until it has cleaned up."""
    running.cancel()
    await asyncio.wait({running})
    if not running.cancelled():
        running.exception()  # looked at: what it met while it was being cancelled concerns nobody
