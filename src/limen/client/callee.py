"""The callee's half of a session: what it has registered, and the calls that it answers.

    undo = await session.register("com.example.add", lambda call: sum(call.args))
    async def count(call):
        for n in range(call.args[0]):
            yield n                              # one by one where the caller takes them so, else a list at the end

Each call is answered once, while its connection lives; with the connection the router gives up all of its calls, and
what still runs here is cancelled.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from limen import exc
from limen.client.calls import Answer
from limen.client.events import ConfirmedUndo
from limen.client.requests import Requests
from limen.client.standing import TAKEN, Owner, Standing, Standings
from limen.client.stream import Push
from limen.core.wamp.messages import INVOCATION, Error, Interrupt, Invocation, Register, Unregister, Yield

if TYPE_CHECKING:
    from limen.client.dial import Link

log = logging.getLogger("limen.client")

_EAGER: Final[dict[str, Any]] = {"eager_start": True} if sys.version_info >= (3, 12) else {}


AT_ONCE: Final = 32
"""Values of a stream that may be pushed before the loop has a turn: a generator that never waits would never hear that
nobody wants more."""


class Invoked:
    """One call of a procedure that is registered here.

    *uri*: the procedure that was called, also where a pattern is registered. *details*: INVOCATION.Details. *push*:
    takes a value of the stream that the caller listens to; None where it does not. `return await push(value)` where it
    gives something: the peer reads slowly.
    """

    __slots__ = ("args", "details", "kwargs", "push", "uri")

    def __init__(
        self, uri: str, args: list[Any], kwargs: dict[str, Any], details: dict[str, Any], push: Push | None = None
    ) -> None:
        self.uri, self.args, self.kwargs, self.details, self.push = uri, args, kwargs, details, push

    @property
    def caller(self) -> int | None:
        """WAMP's number of the session that calls; None where the router does not say."""
        return self.details.get("caller")

    @property
    def caller_authid(self) -> str | None:
        """The caller's user, likewise."""
        return self.details.get("caller_authid")

    @property
    def caller_authrole(self) -> str | None:
        """The first of the caller's roles, likewise."""
        return self.details.get("caller_authrole")

    def __repr__(self) -> str:
        return f"<call of {self.uri}>"


Endpoint: TypeAlias = Callable[[Invoked], Any]
"""Gives a value, an awaitable of one, or an async iterator of many. Raises exc.Error for the caller to see; what else
it raises the caller is not told."""


class _Registration(Standing):
    def __init__(self, uri: str, endpoint: Endpoint, match: str, options: dict[str, Any]) -> None:
        super().__init__(uri, match, options)
        self.endpoint = endpoint


class Callee(Standings[_Registration]):
    """The registrations of one Session, and the calls under way here."""

    kind = "registration"

    def __init__(self, session: Owner, requests: Requests) -> None:
        super().__init__(session, requests, Register, Unregister)
        self._running: dict[int, asyncio.Task[Any]] = {}
        """By the id of the INVOCATION, on the connection that there is."""
        self._ending: set[asyncio.Task[Any]] = set()
        """Cancelled with their connection, and not over yet."""

    async def add(self, uri: str, endpoint: Endpoint, match: str, options: dict[str, Any]) -> ConfirmedUndo:
        """Registers, and comes back with the undo once the router has agreed; raises what it said if it has not."""
        await self.free((uri, match))
        if (uri, match) in self._by_key:
            raise exc.from_wire(TAKEN, None, [f"This session has registered {uri!r} already; undo that first."])
        registration = _Registration(uri, endpoint, match, {"disclose_caller": True, **options})
        self.begin(registration)
        try:
            await asyncio.shield(registration.ready)
        except BaseException:
            self.end(registration)
            raise
        return lambda: self.end(registration)

    # -- what the session says ----------------------------------------------------------------------------------
    def invoked(self, link: Link, message: Invocation, flaw: exc.InvalidValue | None) -> None:
        """An INVOCATION came by *link*; *flaw*: what is wrong with its payload."""
        registration = self._by_id.get(message.registration)
        if flaw is not None or registration is None:  # undone meanwhile: the two have crossed
            _fail(link, message.request, flaw or exc.NotFound())
            return
        details = message.details
        wants = details.get("receive_progress") is True
        push = partial(self._push, link, message.request) if wants else None
        uri = details.get("procedure", registration.uri)
        call = Invoked(uri, message.args or [], message.kwargs or {}, details, push)
        try:
            outcome = registration.endpoint(call)
            if isinstance(outcome, AsyncIterator):
                outcome = streamed(outcome, push)
            elif inspect.isawaitable(outcome) and not inspect.iscoroutine(outcome):
                outcome = _awaited(outcome)
        except Exception as error:
            _fail(link, message.request, _told(error, uri))
            return
        if not inspect.iscoroutine(outcome):
            _succeed(link, message.request, outcome)
            return
        task = self._start(outcome)
        if task.done():
            _answer(link, message.request, uri, task)
        else:
            self._running[message.request] = task
            task.add_done_callback(partial(self._done, link, message.request, uri))

    def interrupted(self, message: Interrupt) -> None:
        """The caller has cancelled, or its time is up."""
        task = self._running.get(message.request)
        if task is not None:
            _stop(task)

    def lost(self) -> None:
        super().lost()
        running, self._running = self._running, {}
        me = asyncio.current_task() if running else None
        for task in running.values():
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
            if task is not me:
                _stop(task)

    async def close(self) -> None:
        """Comes back when nothing runs any more."""
        me = asyncio.current_task()
        await asyncio.gather(*(task for task in self._ending if task is not me), return_exceptions=True)

    # -- inside -------------------------------------------------------------------------------------------------
    def _start(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        if _EAGER:
            # An eager task runs at once up to its first wait: most calls never wait.
            return asyncio.Task(coroutine, loop=asyncio.get_running_loop(), **_EAGER)
        return asyncio.get_running_loop().create_task(coroutine)

    def _push(self, link: Link, request: int, value: Any) -> Awaitable[None] | None:
        link.send(Yield(request, {"progress": True}, [value]))
        return link.drained() if link.full else None

    def _done(self, link: Link, request: int, uri: str, task: asyncio.Task[Any]) -> None:
        if self._running.get(request) is task:
            del self._running[request]
            _answer(link, request, uri, task)
        elif not task.cancelled() and (error := task.exception()) is not None:
            _told(error, uri)  # in the log: its connection is gone, and whoever waited


async def streamed(values: AsyncIterator[Any], push: Push | None) -> Any:
    """What an async iterator gives: each value to *push*, or all of them as a list."""
    async with aclosing(values) if inspect.isasyncgen(values) else _nothing_to_close():
        if push is None:
            return [value async for value in values]
        pushed = 0
        async for value in values:
            room = push(value)
            pushed += 1
            if room is not None:
                await room
            elif not pushed % AT_ONCE:
                await asyncio.sleep(0)
    return None


class _nothing_to_close:  # noqa: N801  # as contextlib's
    async def __aenter__(self) -> None: ...
    async def __aexit__(self, *error: object) -> None: ...


async def _awaited(outcome: Awaitable[Any]) -> Any:
    return await outcome


def _stop(task: asyncio.Task[Any]) -> None:
    """Cancels *task* once it has begun. Before Python 3.12 it may not have, and never would: what it was to await, an
    endpoint's own coroutine, would be left without a word."""
    task.get_loop().call_soon(task.cancel)


def _answer(link: Link, request: int, uri: str, task: asyncio.Task[Any]) -> None:
    if task.cancelled():
        _fail(link, request, exc.Canceled())
        return
    error = task.exception()
    if error is None:
        _succeed(link, request, task.result())
    else:
        _fail(link, request, _told(error, uri))


def _succeed(link: Link, request: int, value: Any) -> None:
    args, kwargs = (value.args, value.kwargs) if isinstance(value, Answer) else ([value], {})
    try:
        link.send(Yield(request, {}, args, kwargs or None))
    except Exception as error:  # it can't travel, or its to_dict fails
        _fail(link, request, _told(error, "An answer that could not be written"))


def _fail(link: Link, request: int, error: exc.Error) -> None:
    """Answers by an error: sentences as positional, the whole error as keyword arguments."""
    uri = getattr(error, "remote_uri", "") or error.uri
    try:
        link.send(Error(INVOCATION, request, {}, uri, list(error.err), error.to_wire()))
    except Exception as problem:  # a fact of it can't travel
        _told(problem, uri)
        link.send(Error(INVOCATION, request, {}, uri, list(error.err), {"exc": error.exc, "err": error.err}))


def _told(error: BaseException, uri: str) -> exc.Error:
    """What the caller is told of *error*: an exc.Error as it is; of all else that the call has failed. The log has the
    rest."""
    if isinstance(error, exc.Error):
        return error
    log.error("%s failed", uri, exc_info=error)
    return exc.InternalError()
