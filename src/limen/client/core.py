"""What all clients are: the same methods over whatever way there is to a server.

`AsyncClient` is the whole of it; a `Transport` is the way. Each client is a transport and a constructor: `http`,
`asgi`, `wsgi`, `ws`, and `app/pyclient.py`. `sync.Client` is the same once more for code that is not async.

A new way to a server is one subclass of `Transport` with `call`, and with as much of the rest as it can do.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Literal, Self

from limen import exc
from limen.base.spans import Spans
from limen.client.address import uri
from limen.client.events import Events, Handler, Undo
from limen.client.stream import Push, Stream
from limen.client.tracing import within
from limen.core.seal.machine import Credentials

log = logging.getLogger("limen.client")

Key = str | os.PathLike[str] | Credentials
"""Path of a credentials file, or what stands in it."""
State = Literal["closed", "online", "offline"]


@dataclass(frozen=True, slots=True)
class Who:
    """Who one is on the server. *user* None: nobody."""

    user: str | None = None
    roles: list[str] = field(default_factory=list)
    profile: Mapping[str, Any] = field(default_factory=dict)
    impersonated_by: str | None = None


NOBODY: Final = Who()


class Transport(ABC):
    """A way to a server. *name*: of its clients, for what is said to people. *domain*: the tenant."""

    name: str
    domain: str
    who: Who = NOBODY
    over: exc.Error | None = None
    """Why a session has ended that nobody here ended: calls raise it until someone logs in or out, so that nothing that
    was meant to be sealed goes out in the open."""
    spans: Spans | None = None
    """Makes a span of each call, where the client is traced and the session does not do it."""
    emit: Callable[..., None] = staticmethod(lambda event, *details: None)
    """Tells the client's handlers of an event; set by the client."""

    @property
    def state(self) -> State:
        return "online"

    @abstractmethod
    async def call(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], timeout: float | None, push: Push | None
    ) -> Any:
        """The result of a call, sealed if there is a session. *push* takes the values of a stream, if they are wanted
        one by one. Cancelled, or after *timeout* seconds (exc.Timeout): the server is told, if that can be done."""

    async def login(self, credentials: tuple[str, str] | Credentials, *, force: bool) -> None:
        """Begins a session, by user and password or with a machine's key; the one before ends. Sets `who`."""
        raise self.unable("log in")

    async def logout(self) -> None:
        """Ends the session, here and on the server."""
        self.who = NOBODY

    async def subscribe(self, topic: str, handler: Handler) -> Undo:
        """Calls *handler* with each event."""
        raise self.unable("subscribe")

    async def publish(self, topic: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Comes back when the server has taken the event."""
        raise self.unable("publish")

    async def change_password(self, password: str) -> None:
        raise self.unable("change a password")

    async def become(self, user: str | None) -> None:
        """Acts as *user*; None: as oneself again. Sets `who`."""
        raise self.unable("act as another user")

    def _trace_by(self, spans: Spans) -> None:
        """Calls and publications are spans of *spans* from now on; see `limen.observe.traced`."""
        self.spans = spans

    async def close(self) -> None:  # noqa: B027  # there may be nothing to end
        """Ends everything; nothing of it is left."""

    def unable(self, what: str) -> exc.Error:
        return exc.InvalidCall(f"{self.name} can't {what}; WsClient can.")


class AsyncClient:
    """A client; see the constructors of its subclasses. Belongs to one event loop.

    *timeout*: seconds that a call may take, unless it says otherwise; None: as long as it takes.
    """

    def __init__(self, transport: Transport, *, timeout: float | None = None) -> None:
        self._transport = transport
        self._timeout = timeout
        self._events = Events()
        self._tasks: set[asyncio.Task[Any]] = set()
        transport.emit = self._emit

    # -- who ----------------------------------------------------------------------------------------------------
    @property
    def user(self) -> str | None:
        """Who is logged in; None: nobody."""
        return self._transport.who.user

    @property
    def roles(self) -> list[str]:
        """Of the user; the first is the main one."""
        return list(self._transport.who.roles)

    @property
    def role(self) -> str:
        """The first of the roles; "anonymous" without a user."""
        return self.roles[0] if self._transport.who.roles else "anonymous"

    @property
    def profile(self) -> Mapping[str, Any]:
        """What the server says about the user."""
        return self._transport.who.profile

    @property
    def domain(self) -> str:
        """The tenant."""
        return self._transport.domain

    @property
    def state(self) -> State:
        """ "online", "offline" (a lost connection is coming back) or "closed" (the session is over)."""
        return "closed" if self._transport.over is not None else self._transport.state

    async def login(
        self, user: str | None = None, password: str | None = None, *, key: Key | None = None, force: bool = False
    ) -> None:
        """Logs in by *user* and *password*, which do not leave this process; or, as a machine, with *key*, the path of
        a credentials file (`limen key new`). *force*: where the user has as many sessions as are allowed, the oldest
        makes room. Raises exc.InvalidCredential, exc.Abusive, exc.MaxActiveSessions, exc.ConnectionLost; then things
        are as before."""
        await self._transport.login(_credentials(user, password, key), force=force)
        self._transport.over = None

    async def logout(self) -> None:
        """Ends the session, here and on the server. Subscriptions end with it."""
        try:
            await self._transport.logout()
        finally:
            self._transport.who, self._transport.over = NOBODY, None

    async def change_password(self, password: str) -> None:
        """Gives the user a new password; all their other sessions end. Soon after the login only."""
        self._must_be_signed_in()
        await self._transport.change_password(password)

    @property
    def impersonated_by(self) -> str | None:
        """Who acts as the user; None: it is the user."""
        return self._transport.who.impersonated_by

    async def sessions(self, user: str | None = None) -> list[dict[str, Any]]:
        """The open sessions of the user, the oldest first; with a role for it those of another."""
        found: list[dict[str, Any]] = await self.safe_call("limen.session.list", user)
        return found

    async def end_session(self, id: str, user: str | None = None) -> None:
        """Ends one of these. Raises exc.RecordNotFound."""
        await self.safe_call("limen.session.end", id, user)

    async def impersonate(self, user: str) -> None:
        """Acts as another user of the domain until `relinquish`, with a role for it. Raises exc.Forbidden."""
        self._must_be_signed_in()
        await self._transport.become(user)

    async def relinquish(self) -> None:
        """Is oneself again."""
        self._must_be_signed_in()
        await self._transport.become(None)

    # -- calls --------------------------------------------------------------------------------------------------
    async def call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """What the service *name* ("todo.add" or "/todo/add") returns; a stream's values come as a list.

        Sealed when logged in; else plain, for services with `safe=False`. Cancelling the await cancels the call.
        Raises the service's error by its name (`exc.NotFound`, …), exc.RemoteError for one without a class here,
        exc.Timeout, exc.ConnectionLost (it was not sent), exc.OutcomeUnknown (it may have run or not).
        """
        return await self.apply(name, args, kwargs)

    async def safe_call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """As `call`, but only sealed: raises exc.Unauthorized, before anything is sent, when nobody is logged in."""
        self._must_be_signed_in()
        return await self.apply(name, args, kwargs)

    async def apply(
        self,
        name: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> Any:
        """`call` with its arguments in hand, and a *timeout* in seconds of its own."""
        return await self._send(name, args, kwargs or {}, self._timeout if timeout is None else timeout, None)

    async def safe_apply(
        self,
        name: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> Any:
        """`safe_call` with its arguments in hand, and a *timeout* in seconds of its own."""
        self._must_be_signed_in()
        return await self.apply(name, args, kwargs, timeout=timeout)

    def stream(self, name: str, /, *args: Any, **kwargs: Any) -> Stream[Any]:
        """The values of a streaming service as they come; begins when the first is asked for. Errors as `call`."""

        def begin(push: Push) -> tuple[asyncio.Future[Any], Callable[[], object]]:
            task = asyncio.ensure_future(self._send(name, args, kwargs, None, push))
            return task, task.cancel

        return Stream(begin)

    def safe_stream(self, name: str, /, *args: Any, **kwargs: Any) -> Stream[Any]:
        """As `stream`, but only sealed; raises as `safe_call`, at once."""
        self._must_be_signed_in()
        return self.stream(name, *args, **kwargs)

    async def _send(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], timeout: float | None, push: Push | None
    ) -> Any:
        if self._transport.over is not None:
            raise self._transport.over
        if self._transport.spans is None:
            return await self._transport.call(name, args, kwargs, timeout, push)
        with within(self._transport.spans.call(uri(name), self.domain)):
            return await self._transport.call(name, args, kwargs, timeout, push)

    def _must_be_signed_in(self) -> None:
        if self._transport.over is not None:
            raise self._transport.over
        if self._transport.who.user is None:
            raise exc.Unauthorized("Log in first; nothing was sent.")

    # -- topics, events -----------------------------------------------------------------------------------------
    async def subscribe(self, topic: str, handler: Handler) -> Undo:
        """Calls *handler* with each event of *topic* until the session ends; gives the undo. A handler may be a
        coroutine function. Raises exc.Unauthorized and what else the server says."""
        if self._transport.over is not None:
            raise self._transport.over
        return await self._transport.subscribe(topic, handler)

    async def publish(self, topic: str, /, *args: Any, **kwargs: Any) -> None:
        """Publishes an event, where clients may; comes back when the server has taken it."""
        if self._transport.over is not None:
            raise self._transport.over
        if self._transport.spans is None:
            await self._transport.publish(topic, args, kwargs)
            return
        with within(self._transport.spans.send(uri(topic), self.domain)):
            await self._transport.publish(topic, args, kwargs)

    def on(self, event: str, handler: Handler) -> Undo:
        """Calls *handler* when something happens to the session; gives the undo.

        "online" · "offline" · "missed" (events may have been lost) · "taken_over" (details: when, from) ·
        "signed_out" (the error: why).
        """
        return self._events.on(event, handler)

    def _emit(self, event: str, *details: Any) -> None:
        if event == "signed_out":
            self._transport.over = details[0]
        for handler in self._events.of(event):
            task = asyncio.ensure_future(_told(handler, details))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    # -- the end ------------------------------------------------------------------------------------------------
    async def close(self) -> None:
        """Logs out, and ends what is open. What `async with` does at its end."""
        try:
            await self.logout()
        finally:
            await self._transport.close()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        user = f", user={self.user!r}" if self.user else ""
        return f"{type(self).__name__}({self.domain!r}, {self.state}{user})"


def _credentials(user: str | None, password: str | None, key: Key | None) -> tuple[str, str] | Credentials:
    """Raises exc.InvalidCredential for anything but one of both."""
    if key is not None and user is None and password is None:
        from limen.client import machine  # few programs have one

        return machine.read(key)
    if key is None and user is not None and password is not None:
        return user, password
    raise exc.InvalidCredential("A login takes user and password, or a key; not both.")


async def _told(handler: Handler, details: Sequence[Any]) -> None:
    try:
        outcome = handler(*details)
        if inspect.isawaitable(outcome):
            await outcome
    except Exception:
        log.exception("A handler failed")
