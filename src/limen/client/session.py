"""`Session`: a Python program's session with a Limen server, sealed, or anonymous with any WAMP router.

    async with limen.connect("https://clinic.example", user="ada", password="…") as session:
        await session.call("todo.add", text="buy milk")
        undo = await session.subscribe("todo.changed", print)
        async for number in session.stream("count", 3):
            print(number)

    await session.register("clinic.example.echo", lambda call: call.args[0])

Reading order: `opening` · this file · `line` (the connection, and its return) · `requests` · `calls` · `stream` ·
`standing` (what outlives a connection) · `subscriptions` · `callee` · `dial` · `handshake` · `connection`. Messages go
out and come in in one order each; no task, no queue stands between a frame and who waits.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from types import TracebackType
from typing import Any, Literal

from limen import exc
from limen.base.spans import Spans
from limen.client import handshake
from limen.client.account import Account
from limen.client.address import uri
from limen.client.callee import Callee, Endpoint
from limen.client.calls import Calls
from limen.client.dial import Dial, Settings
from limen.client.events import ConfirmedUndo, Events, Handler, Undo
from limen.client.files import ahead, received
from limen.client.first import First, Work
from limen.client.line import Line
from limen.client.password import password_min
from limen.client.requests import Requests
from limen.client.standing import EXACT, Kind
from limen.client.stream import Push, Stream
from limen.client.subscriptions import Subscriptions
from limen.client.tracing import Begun, begun, with_trace, within
from limen.core.seal.noise import PrivateKey
from limen.core.wamp.messages import (
    Error,
    Event,
    Goodbye,
    Interrupt,
    Invocation,
    Message,
    Publish,
    Published,
    Registered,
    Result,
    Subscribed,
    Unregistered,
    Unsubscribed,
    Welcome,
)

CALL = 48

State = Literal["closed", "online", "offline"]


class Session(Account):
    """See `limen.connect`. Not to be used from other threads than that of its loop. *dial*: the way to the server."""

    def __init__(self, dial: Dial, settings: Settings) -> None:
        self._line = Line(dial, settings, self, self._open_slot)
        self._timeout = settings.timeout
        self._calls = Calls(self._line)
        self._requests = Requests(self._line)
        self._subscriptions = Subscriptions(self, self._requests, self._line)
        self._callee = Callee(self, self._requests)
        self._events = Events()
        self._known = self._returning = False
        self.discloses = False
        """Whoever hears what it publishes is told who it is, where the router lets them."""
        self.first: list[Work] = []
        """Each awaited when the connection has returned, before all else (`client/first.py`)."""
        self._first = First(self._renew)
        self.features: Mapping[str, Any] = {}
        """What the router can do, as it has announced it: `{"dealer": {"features": {…}}, "broker": …}`."""
        self.id = 0
        """WAMP's number of this session; another one after each return."""
        self.user: str | None = None
        self.roles: list[str] = []
        self.profile: Mapping[str, Any] = {}
        self.impersonated_by: str | None = None
        """Who acts as the user; None: it is the user."""
        self._password_min = 0

    # -- open and close -----------------------------------------------------------------------------------------
    async def open(self) -> None:
        """Begins it; what `async with` does. Once. Raises as `connect` says."""
        await self._line.open()
        if self._line.sealed:
            try:
                await self._open_slot()
            except BaseException:
                await self.close()
                raise

    async def __aenter__(self) -> Session:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the session: the server forgets its slot; calls under way raise exc.OutcomeUnknown."""
        await self._line.close()
        await self._subscriptions.close()
        await self._callee.close()

    @property
    def url(self) -> str:
        """Of the WebSocket."""
        return self._line.url

    @property
    def domain(self) -> str:
        """The tenant: the URL's host."""
        return self._line.domain

    @property
    def sealed(self) -> bool:
        """It is a user's, and everything in it travels sealed."""
        return self._line.sealed

    @property
    def state(self) -> State:
        """ "online", "offline" (trying to come back) or "closed"."""
        if self._line.over is not None:
            return "closed"
        return "online" if self._line.connection is not None else "offline"

    @property
    def opened(self) -> bool:
        """`open` was called."""
        return self._line.opened

    @property
    def over(self) -> exc.Error | None:
        """Why it is "closed"; None while it is not."""
        return self._line.over

    @property
    def restored(self) -> bool:
        """It is online, and all that stood before its connection was lost stands again."""
        return self.state == "online" and not self._returning

    @property
    def role(self) -> str:
        """The first of the user's roles; "anonymous" without a user."""
        return self.roles[0] if self.roles else "anonymous"

    # -- calls --------------------------------------------------------------------------------------------------
    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """What the service *name* ("todo.add" or "/todo/add") returns. Cancelling the await cancels the call.

        Raises the service's error by its name (`exc.NotFound`, …), exc.RemoteError for one without a class here,
        exc.Timeout, exc.ConnectionLost (it was not sent), exc.OutcomeUnknown (it may have run or not).
        """
        return self._sealed(name, args, kwargs, self._timeout)

    def apply(
        self,
        name: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        push: Push | None = None,
    ) -> Coroutine[Any, Any, Any]:
        """`call` with its arguments in hand and a *timeout* in seconds of its own. *push* takes the values of a stream
        as they come; the result is what it returned at its end."""
        return self._sealed(name, args, kwargs or {}, self._timeout if timeout is None else timeout, push)

    async def _sealed(
        self,
        name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        timeout: float | None,
        push: Push | None = None,
    ) -> Any:
        """A call, with files both ways (`files.py`)."""

        def raw(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Coroutine[Any, Any, Any]:
            return self._calls.call(name, args, dict(kwargs), timeout)

        spans = self._line.settings.spans
        with nullcontext() if spans is None else within(spans.call(uri(name), self.domain)):
            args, kwargs = await ahead(raw, args, kwargs)
            return received(raw, await self._calls.call(name, args, dict(kwargs), timeout, push))

    def stream(self, name: str, /, *args: Any, **kwargs: Any) -> Stream[Any]:
        """The values of a streaming service as they come; begins when the first is asked for. Errors as `call`."""
        return Stream(lambda push: self._begin_stream(name, args, kwargs, push))

    def _begin_stream(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], push: Push
    ) -> tuple[asyncio.Future[Any], Callable[[], object]]:
        """Begins a call whose values go to *push*: the future of its result, and what cancels it."""
        spans = self._line.settings.spans
        if spans is None:
            return self._calls.stream(name, args, dict(kwargs), None, push)
        span = spans.call(uri(name), self.domain)
        return begun(span, lambda: self._calls.stream(name, args, dict(kwargs), None, push))

    # -- topics, events -----------------------------------------------------------------------------------------
    async def subscribe(
        self, topic_uri: str, handler: Handler, /, *, match: str = EXACT, topic: bool = False, **options: Any
    ) -> ConfirmedUndo:
        """Calls *handler* with each event of *topic_uri*; gives the undo, which acts at once; what it gives may be
        awaited: done when the router has confirmed. A handler may be a coroutine function.

        *match*: "exact", "prefix" or "wildcard". *topic*: the handler is called as
        `handler(topic, args, kwargs, details)`, with EVENT.Details.
        *options*: SUBSCRIBE.Options. The subscription outlives lost connections; on("missed") says that events may have
        been lost meanwhile. Raises exc.Unauthorized and what else the server says.
        """
        if self._line.over is not None:
            raise self._line.over
        name = uri(topic_uri) if match == EXACT else topic_uri
        return await self._subscriptions.add(name, handler, match, topic, options)

    async def register(
        self, procedure: str, endpoint: Endpoint, *, match: str = EXACT, **options: Any
    ) -> ConfirmedUndo:
        """Answers calls of *procedure* by what *endpoint*, called with each `Invoked`, gives: a value, an awaitable of
        one, or an async iterator of many. Gives the undo, which acts at once; what it gives may be awaited: done when
        the router has confirmed.

        *match*: "exact", "prefix" or "wildcard". *options*: REGISTER.Options. The registration outlives lost
        connections. An exc.Error that the endpoint raises reaches the caller by its name; all else is logged here, and
        the caller learns no more than that it has failed. Raises exc.Unauthorized and what else the router says.
        """
        if self._line.over is not None:
            raise self._line.over
        name = uri(procedure) if match == EXACT else procedure
        return await self._callee.add(name, endpoint, match, options)

    def publish(self, topic: str, /, *args: Any, **kwargs: Any) -> asyncio.Future[None]:
        """Publishes an event, where clients may: it is sent now, so events are published in the order of these calls.
        What is given is done when the server has taken it. Raises exc.InvalidValue for what cannot travel."""
        if self._line.over is not None:
            raise self._line.over

        def begin() -> Begun:
            taken = asyncio.get_running_loop().create_future()

            def settle(reply: int | exc.Error) -> None:
                if not taken.done():
                    taken.set_exception(reply) if isinstance(reply, exc.Error) else taken.set_result(None)

            said = {"acknowledge": True, "disclose_me": True} if self.discloses else {"acknowledge": True}
            options = with_trace(said)
            self._requests.send(lambda id: Publish(id, options, uri(topic), list(args), kwargs or None), settle)
            return taken, taken.cancel

        spans = self._line.settings.spans
        return (begin() if spans is None else begun(spans.send(uri(topic), self.domain), begin))[0]

    def _trace_by(self, spans: Spans) -> None:
        """Calls, publications and handlers are spans of *spans* from now on; see `limen.observe.traced`."""
        self._line.settings = replace(self._line.settings, spans=spans)

    def on(self, event: str, handler: Handler) -> Undo:
        """Calls *handler* when something happens to the session; gives the undo.

        "online" · "restored" (… and all is registered and subscribed again) · "offline" · "missed" (events may have
        been lost) · "taken_over" (details: when, from) · "signed_out" (the error: why).
        """
        return self._events.on(event, handler)

    # -- what the line says -------------------------------------------------------------------------------------
    def entered(self, welcome: Welcome) -> None:
        """WELCOME came: all is registered and subscribed again, calls that wait are sent."""
        details = welcome.details
        self.id = welcome.session
        self.features = details.get("roles") or {}
        if self._line.sealed:
            self.user = str(details.get("authid"))
            self.roles = details.get("x_roles") or [str(details.get("authrole"))]
            self.profile = details.get("x_profile") or {}
            self.impersonated_by = details.get("x_impersonated_by")
            self._password_min = password_min(details)
        self._returning = self._known
        received = details.get("x_received")
        self._calls.returned(received if isinstance(received, int) else None)  # of the last connection: now or never
        self._first.begin(self.first if self._known else ())

    def _renew(self) -> None:
        self._callee.renew()
        self._subscriptions.renew()
        self._calls.resume()
        if self._known:
            self._emit("online")
            if len(self._subscriptions):
                self._emit("missed")
            self.settled()
        self._known = True

    def revoked(self, uri: str, match: str, error: exc.Error, kind: Kind) -> None:
        """Something does not stand any more that was to stand."""
        self._emit("revoked", uri, match, error, kind)

    def settled(self) -> None:
        """The router has answered for something that is to stand."""
        if self._returning and not self._first.under_way and self._callee.settled and self._subscriptions.settled:
            self._returning = False
            self._emit("restored")

    def received(self, message: Message, flaw: exc.InvalidValue | None) -> None:
        """A message came."""
        if type(message) is Result:
            self._calls.result(message, flaw)
            return
        match message:
            case Event():
                if flaw is None:
                    self._subscriptions.event(message)
            case Error():
                error = flaw or exc.from_wire(message.error, message.kwargs, message.args)
                if message.kind == CALL:
                    self._calls.error(message.request, error)
                else:
                    self._requests.answered(message.request, error)
            case Invocation():
                if (link := self._line.connection) is not None:
                    self._callee.invoked(link, message, flaw)
            case Interrupt():
                self._callee.interrupted(message)
            case Subscribed():
                self._requests.answered(message.request, message.subscription)
            case Registered():
                self._requests.answered(message.request, message.registration)
            case Unregistered(0, details):
                facts = details or {}
                self._callee.revoked(facts.get("registration", 0), facts.get("reason", "it did not say why"))
            case Unsubscribed() | Unregistered() | Published():
                self._requests.answered(message.request, 0)
            case Goodbye():
                self._goodbye(message)
            case _:
                self._line.drop(f"The server sent {type(message).__name__}, which nobody asked for.")

    def lost(self, reason: str) -> None:
        """The connection is lost, and the line is coming back."""
        self._returning = False
        self._calls.lost(keep=self._line.sealed)
        self._first.over()
        self._requests.lost(reason)
        self._callee.lost()
        self._subscriptions.lost()
        self._emit("offline")

    def ended(self, error: exc.Error) -> None:
        """The session is over."""
        self._calls.over()
        self._first.over()
        self._requests.lost(str(error))
        self._callee.over(error)
        self._subscriptions.over(error)
        if not self._line.closing:
            self._emit("signed_out", error)

    # -- inside -------------------------------------------------------------------------------------------------

    async def _open_slot(self) -> None:
        """Leaves a key with the server, to come back with."""
        key = PrivateKey(os.urandom(32))
        try:
            opened = await self.apply("limen.slot.open", [key.public], timeout=self._line.settings.open_timeout)
        except exc.OutcomeUnknown:
            raise exc.ConnectionLost("The connection was lost during the login.") from None
        except exc.MaxActiveSessions:
            if not self._line.is_machine:  # its key brings it back as well, but for the calls under way
                raise
            return
        self._line.slot = handshake.Slot(key, opened["slot"], opened["key"], opened["epoch"])

    def _goodbye(self, message: Goodbye) -> None:
        if self._line.closing:
            self._line.answered()
            return
        details = message.details
        match message.reason:
            case "wamp.close.system_shutdown":
                self._line.drop("The server is shutting down.")  # and we come back when it does
            case "limen.close.changed":
                self._line.drop("Who one is here, or what one may, has changed.")  # and we come back as that
            case "limen.close.taken_over":
                where = f"{details.get('from')}, {details.get('when')}"
                self._emit("taken_over", details)
                self._line.end(exc.UnknownSession(f"This session goes on elsewhere ({where})."))
            case "limen.close.expired":
                self._line.renew(exc.ExpiredSession())
            case _:
                said = details.get("message")
                self._line.renew(exc.UnknownSession(said) if isinstance(said, str) else exc.UnknownSession())

    def _emit(self, event: str, *args: Any) -> None:
        for handler in self._events.of(event):
            self._subscriptions.run(handler, *args)

    def __repr__(self) -> str:
        return f"Session({self.url!r}, {self.state}{f', user={self.user!r}' if self.user else ''})"
