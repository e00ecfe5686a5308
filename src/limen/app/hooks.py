"""What happens to the server and its sessions, told to the program: `limen.on`.

    @limen.on("session.opened")
    def welcome(event):
        print(event.user, "came from", event.origin)

| event | when | of the event's fields |
|---|---|---|
| "server.started" | the server is about to answer its first request | |
| "server.stopping" | it has been told to stop; sessions and stores are still there | |
| "session.opened" | somebody has logged in, or a tab has let in another; not when one comes back | all but *why* |
| "session.closed" | a session is over for good; not when its connection is lost, or the server stops | all |
| "session.stolen" | two parties have the key of one session: the newer one has it now, and came from *origin* | all |

*why* of "session.closed": "logout", "expired" (idle or too old), "forced" (a forced login took its place), "ended" (by
the user elsewhere, or by somebody who may), "password", "disabled", "removed", "restored" (the database was put back
from a backup), "lost" (the connection was lost, and there was no key to come back with). Of "session.stolen": from
where the older party came.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from limen.base.principal import Principal, State, current

log = logging.getLogger("limen")
EVENTS = ("server.started", "server.stopping", "session.opened", "session.closed", "session.stolen")
PATIENCE = 10.0
"""Seconds that functions may take when the server stops."""

Function = Callable[["Event"], object]


@dataclass(frozen=True, slots=True)
class Event:
    """What a function of `limen.on` is given. *id*: names the session, as `limen.session.list` does. *kind*: "tab",
    "lane" or "child". *impersonated_by*: who acted as *user* when it ended.

    >>> Event("session.closed", "localhost", "ada", why="logout").why
    'logout'
    """

    name: str
    domain: str = ""
    user: str = ""
    id: str = ""
    origin: str = ""
    why: str = ""
    kind: str = ""
    impersonated_by: str | None = None


class Hooks:
    """The functions of one App, by event.

    What is promised: the events of one session come in the order in which they happened, each when the functions of the
    last are through; those of different sessions come side by side. The functions of one event run one after another,
    as they were declared; a plain one on a thread, where it may block, an `async` one on the server's loop. What one
    raises is logged, and the next one runs. Of several processes of one server each event is told in one. An event is
    told at most once: a process that is killed tells no more.
    """

    def __init__(self) -> None:
        self._functions: dict[str, list[Function]] = {event: [] for event in EVENTS}
        self._waiting: dict[tuple[str, str], deque[tuple[Event, Principal]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._background: set[asyncio.Task[None]] = set()

    def on(self, event: str, function: Function | None = None) -> Any:
        """Calls *function*, plain or `async`, with each `Event` of that name; gives the undo. Without a function it is
        a decorator, which leaves the function as it is. Raises ValueError for an event that there is not.

        In a function of a session's event `get_state()` names domain and user, and has the user's roles while the
        session is open. A plain function of "server.started" is through before the first request is answered; an
        `async` one runs beside the server, as long as it likes, and is cancelled at the server's end.

        >>> hooks = Hooks()
        >>> @hooks.on("session.closed")
        ... def gone(event):
        ...     print(event.user, event.why)
        >>> undo = hooks.on("server.stopping", print)
        >>> undo()
        >>> hooks.on("session.begun")
        Traceback (most recent call last):
        ValueError: there is no event 'session.begun'; there are server.started, server.stopping, session.opened, \
session.closed, session.stolen
        """
        functions = self._functions.get(event)
        if functions is None:
            raise ValueError(f"there is no event {event!r}; there are {', '.join(EVENTS)}")

        def declare(function: Function) -> Function:
            functions.append(function)
            return function

        if function is None:
            return declare
        declare(function)
        return lambda: functions.remove(function) if function in functions else None

    # -- what the server says, on its loop ----------------------------------------------------------------------
    async def started(self) -> None:
        """The server is up: plain functions are through when this is, others run on."""
        event = Event("server.started")
        for function in self._functions["server.started"]:
            if inspect.iscoroutinefunction(function):
                self._begin(self._background, _call(function, event, None))
            else:
                await _call(function, event, None)

    async def stopping(self) -> None:
        """The server stops: waits for the functions of that, and cancels what runs beside it."""
        await _in_time(self._all(Event("server.stopping"), None))
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    async def stopped(self) -> None:
        """No more sessions: waits for what they have set going."""
        if self._tasks:
            await _in_time(asyncio.wait(tuple(self._tasks)))
        for task in self._tasks:
            task.cancel()
        self._waiting.clear()

    def happened(self, event: Event, principal: Principal | None = None) -> None:
        """Something happened to a session; *principal*: its user's."""
        if not self._functions[event.name]:
            return
        principal = principal or Principal(
            event.domain, event.origin, event.user, (), sealed=True, impersonated_by=event.impersonated_by
        )
        session = (event.domain, event.id)
        before = self._waiting.get(session)
        if before is not None:
            before.append((event, principal))
            return
        self._waiting[session] = deque([(event, principal)])
        self._begin(self._tasks, self._deliver(session))

    # -- inside -------------------------------------------------------------------------------------------------
    async def _deliver(self, session: tuple[str, str]) -> None:
        waiting = self._waiting[session]
        try:
            while waiting:
                await self._all(*waiting[0])
                waiting.popleft()
        finally:
            self._waiting.pop(session, None)

    async def _all(self, event: Event, principal: Principal | None) -> None:
        for function in tuple(self._functions[event.name]):
            await _call(function, event, principal)

    def _begin(self, tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def _call(function: Function, event: Event, principal: Principal | None) -> None:
    """Under a context of its own; what it raises is for the log."""
    context = copy_context()
    if principal is not None:
        context.run(current.set, State(principal, event.name))
    try:
        if inspect.iscoroutinefunction(function):
            await asyncio.get_running_loop().create_task(function(event), context=context)
        else:
            await asyncio.get_running_loop().run_in_executor(None, context.run, function, event)
    except Exception:
        log.exception("%r, called at %s, failed", function, event.name)


async def _in_time(work: Any) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(work, PATIENCE)
