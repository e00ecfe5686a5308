"""Sealed sessions over plain requests: the client's half of the HTTP lane (docs/security.md).

    session = await login(exchange, "clinic.example", "ada", password)
    await session.call("todo.add", [], {"text": "buy milk"})
    await session.logout()

A request whose answer was lost is sent again (`posts`), the same bytes: the server answers it and runs nothing twice.
Where it can't tell any more, that is `exc.OutcomeUnknown`.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from limen import exc
from limen.base import base64url
from limen.base.names import domain_name
from limen.base.values import Encoding
from limen.client.address import uri
from limen.client.calls import answer
from limen.client.exchange import Answer, Exchange
from limen.client.handshake import LANE_ROLES, NOT_TAKEN
from limen.client.password import password_min
from limen.client.posts import MAX_GREETING, TRIES, Posts, decode, post, refusal
from limen.client.tracing import with_trace
from limen.core.seal.channel import BadFrame
from limen.core.seal.lane import LANE, AnswerReader, Caller, Sealed
from limen.core.seal.login import ClientKey, ClientLogin, ClientResume, LoginRefused
from limen.core.seal.machine import Credentials
from limen.core.seal.noise import PrivateKey
from limen.core.wamp.codecs import Codec, codec
from limen.core.wamp.messages import (
    Abort,
    Authenticate,
    Call,
    Cancel,
    Challenge,
    Error,
    Event,
    Goodbye,
    Hello,
    Message,
    Publish,
    Published,
    Result,
    Subscribe,
    Subscribed,
    Welcome,
)

Push = Callable[[Any], Awaitable[None] | None]

_GOES_ON: Final = ("wamp.close.system_shutdown", "limen.close.changed")


async def login(
    exchange: Exchange,
    domain: str,
    user: str,
    password: str,
    *,
    force: bool = False,
    encoding: Encoding = "msgpack",
    limit: int = 16 * 2**20,
) -> LaneSession:
    """A session, by password. *force*: the user's oldest session ends, should there be too many. *limit*: bytes of one
    message.

    Raises exc.InvalidCredential, exc.Abusive, exc.MaxActiveSessions, exc.ConnectionLost, …
    """
    for left in reversed(range(TRIES)):
        machine = ClientLogin(
            user, password, domain=domain, subprotocol=f"limen.1.{encoding}", entropy=os.urandom(128), lane=LANE
        )
        extra = {**machine.extra, **({"force": True} if force else {})}
        details = {"roles": LANE_ROLES, "authmethods": ["opaque"], "authid": machine.user, "authextra": extra}
        greeting = _Greeting(exchange, codec(encoding, tagged=True), limit)
        hello = greeting.codec.encode(Hello(machine.domain, details))
        challenge, given = await greeting.challenge(hello, "opaque")
        try:
            # Key stretching takes 0.1 to 0.2 s of a processor.
            ke3 = await asyncio.to_thread(machine.answer, hello, challenge, given)
        except LoginRefused as refused:
            raise exc.ConnectionLost(f"The server broke the login: {refused}.") from refused
        authenticate = greeting.codec.encode(Authenticate("", ke3))
        caller = Caller(*machine.keys(authenticate), limit=limit)
        try:
            return await greeting.finish(caller, caller.begin(), authenticate, machine.domain)
        except exc.OutcomeUnknown:  # its ticket may be spent: a login anew is all that is left
            if not left:
                raise exc.ConnectionLost("The connection was lost during the login.") from None
    raise AssertionError


async def login_with_key(
    exchange: Exchange, credentials: Credentials, *, encoding: Encoding = "msgpack", limit: int = 16 * 2**20
) -> LaneSession:
    """A session, by a machine's key (`client/machine.py` reads it). Raises as `login`."""
    machine = ClientKey(
        credentials.key,
        credentials.server_key,
        domain=credentials.domain,
        subprotocol=f"limen.1.{encoding}",
        id=credentials.handle,
        entropy=os.urandom(32),
        lane=LANE,
    )
    return await _by_kk(exchange, codec(encoding, tagged=True), machine, "key", credentials.domain, limit)


async def _by_kk(
    exchange: Exchange, codec: Codec, machine: ClientResume, method: str, domain: str, limit: int
) -> LaneSession:
    """A session, by proving a key."""
    greeting = _Greeting(exchange, codec, limit)
    details = {"roles": LANE_ROLES, "authmethods": [method], "authextra": machine.extra}
    hello = codec.encode(Hello(domain, details))
    try:
        challenge, given = await greeting.challenge(hello, method)
    except exc.InvalidCredential as refused:
        raise (exc.InvalidCredential(NOT_TAKEN) if method == "key" else refused) from None
    try:
        caller = Caller(*machine.keys(hello, challenge, given), limit=limit)
    except LoginRefused:
        raise exc.InvalidCredential("This server is not the one that this key is for.") from None
    sealed = caller.seal(codec.encode(Authenticate("", {})))
    try:
        return await greeting.finish(caller, sealed.answer, sealed.frame, domain_name(domain))
    except exc.OutcomeUnknown:
        raise exc.ConnectionLost("The connection was lost during the login.") from None


class _Greeting:
    """Both requests of a login."""

    def __init__(self, exchange: Exchange, codec: Codec, limit: int) -> None:
        self.exchange, self.codec, self.limit = exchange, codec, limit
        self.ticket = ""

    async def challenge(self, hello: bytes, method: str) -> tuple[bytes, dict[str, Any]]:
        """CHALLENGE's bytes and extra."""
        said = await self._send("hello", hello)
        data = await said.read(MAX_GREETING)
        self.ticket = said.headers.get("x-limen-ticket", "")
        message = decode(self.codec, data)
        if type(message) is not Challenge or message.method != method or not self.ticket:
            raise exc.ConnectionLost("The server sent no CHALLENGE.")
        return data, message.extra

    async def finish(self, caller: Caller, reader: AnswerReader, authenticate: bytes, domain: str) -> LaneSession:
        """The session, from a sealed WELCOME."""
        try:
            said = await self._send("authenticate", authenticate, (("x-limen-ticket", self.ticket),))
        except exc.InvalidCredential:  # unsealed, where only a sealed word counts
            raise exc.OutcomeUnknown from None
        try:
            frames = reader.feed(await said.read(MAX_GREETING))
        except BadFrame:
            raise exc.OutcomeUnknown from None
        message = decode(self.codec, frames[-1]) if reader.whole else None
        if type(message) is Abort:
            facts = {name: value for name, value in message.details.items() if name != "message"}
            raise exc.from_wire(message.reason, facts, [str(message.details.get("message", ""))])
        if type(message) is not Welcome:
            raise exc.OutcomeUnknown
        return LaneSession(self.exchange, self.codec, caller, message, domain)

    async def _send(self, step: str, body: bytes, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
        said = await post(self.exchange, step, self.codec, body, headers)
        if said.status != 200:
            raise await refusal(said) or exc.OutcomeUnknown
        return said


class LaneSession:
    """A sealed session; made by `login`. Calls may overlap. Not to be used from other threads than that of its loop."""

    def __init__(self, exchange: Exchange, codec: Codec, caller: Caller, welcome: Welcome, domain: str) -> None:
        details = welcome.details
        slot = details.get("x_slot")
        if not isinstance(slot, bytes):
            raise exc.ConnectionLost("The server's WELCOME names no slot.")
        self._posts = Posts(exchange, codec, caller, base64url.encode(slot))
        self.domain = domain
        self.user = str(details.get("authid"))
        self.roles: list[str] = details.get("x_roles") or [str(details.get("authrole"))]
        self.profile: Mapping[str, Any] = details.get("x_profile") or {}
        self._telling: set[asyncio.Task[None]] = set()
        """What tells the server that nobody waits for a call."""
        self.impersonated_by: str | None = details.get("x_impersonated_by")
        self.password_min = password_min(details)
        self._key: tuple[PrivateKey, dict[str, Any]] | None = None
        """What this session comes back with, once it has to."""
        self._leaving = False

    @property
    def over(self) -> exc.Error | None:
        """Why the session has ended; None while it has not."""
        return self._posts.over

    async def call(
        self,
        name: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        push: Push | None = None,
    ) -> Any:
        """What the service *name* returns. *push* takes the values of a stream one by one. *timeout*: seconds.

        Raises the service's error by its name, exc.Timeout, exc.ConnectionLost (it was not sent), exc.OutcomeUnknown
        (it may have run or not), exc.UnknownSession (the session has ended). Cancelled: the server is told.
        """
        options = with_trace({} if push is None else {"receive_progress": True})
        if timeout is not None:
            options["timeout"] = max(1, round(timeout * 1000))
        await self._posts.room()
        sealed = self._posts.seal(
            lambda number: Call(number, options, uri(name), list(args), dict(kwargs or {}) or None)
        )
        try:
            if timeout is None:
                return await self._result(sealed, push)
            async with asyncio.timeout(timeout):
                return await self._result(sealed, push)
        except TimeoutError:
            self._cancel(sealed.number)
            raise exc.Timeout from None
        except asyncio.CancelledError:
            self._cancel(sealed.number)
            raise

    async def publish(self, topic: str, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> None:
        """Publishes an event, where clients may; comes back when the server has taken it."""
        options = with_trace({"acknowledge": True})
        message = await self._posts.only(
            lambda n: Publish(n, options, uri(topic), list(args), dict(kwargs or {}) or None)
        )
        if type(message) is not Published:
            raise _unexpected(message)

    async def listen(
        self,
        topic: str,
        push: Callable[[Event], Awaitable[None] | None],
        options: Mapping[str, Any] | None = None,
        *,
        began: Callable[[], object] | None = None,
    ) -> None:
        """Calls *push* with each event of *topic*, as long as nobody cancels it: a request that is answered as long as
        there are events. *began*: called once the server listens for us.

        Raises exc.OutcomeUnknown where the connection was lost (events may be missed; listen again), and what else the
        server says.
        """
        await self._posts.room()
        sealed = self._posts.seal(lambda number: Subscribe(number, dict(options or {}), uri(topic)))
        async with aclosing(self._posts.messages(sealed)) as messages:
            async for message in messages:
                match message:
                    case Subscribed():
                        if began is not None:
                            began()
                    case Event():
                        await _pushed(push, message)
                    case _:
                        raise self._failure(message)
        raise exc.OutcomeUnknown

    async def become(self, user: str | None) -> LaneSession:
        """The session that goes on as *user*, None: as oneself again; this one is over. Raises exc.Forbidden."""
        if self._key is None:
            key = PrivateKey(os.urandom(32))
            self._key = key, await self.call("limen.slot.open", [key.public])
        name, args = ("limen.session.relinquish", []) if user is None else ("limen.session.impersonate", [user])
        await self.call(name, args)
        self._leaving = True
        own, slot = self._key
        machine = ClientResume(
            own,
            slot["key"],
            domain=self.domain,
            subprotocol=f"limen.1.{self._posts.codec.name}",
            slot=slot["slot"],
            epoch=slot["epoch"],
            entropy=os.urandom(32),
            lane=LANE,
        )
        posts = self._posts
        session = await _by_kk(posts.exchange, posts.codec, machine, "resume", self.domain, posts.caller.limit)
        session._key, posts.over = self._key, exc.UnknownSession()
        return session

    async def logout(self) -> None:
        """Ends the session, here and on the server."""
        if self.over is not None:
            return
        try:
            await self.call("limen.session.logout")
        except (exc.UnknownSession, exc.OutcomeUnknown, exc.ConnectionLost):
            pass  # the server does not know it any more, or will forget it
        finally:
            self._posts.over = self.over or exc.UnknownSession()
            for task in tuple(self._telling):
                task.cancel()

    # -- inside -------------------------------------------------------------------------------------------------
    async def _result(self, sealed: Sealed, push: Push | None) -> Any:
        async with aclosing(self._posts.messages(sealed)) as messages:
            async for message in messages:
                if type(message) is not Result:
                    raise self._failure(message)
                value = answer(message.args, message.kwargs)
                if message.details.get("progress") is not True:
                    return value
                if push is not None:
                    await _pushed(push, value)
        raise exc.OutcomeUnknown("The answer ended before it was whole.")

    def _failure(self, message: Message) -> exc.Error:
        if type(message) is Error:
            return exc.from_wire(message.error, message.kwargs, message.args)
        if type(message) is Goodbye and (self._leaving or message.reason in _GOES_ON):
            return exc.OutcomeUnknown("The stream was ended by the server; the session goes on.")
        if type(message) is Goodbye:
            said = message.details.get("message")
            expired = message.reason == "limen.close.expired"
            error = exc.ExpiredSession() if expired else exc.UnknownSession(*([said] if said else []))
            self._posts.over = error
            return error
        return _unexpected(message)

    def _cancel(self, number: int) -> None:
        """Tells the server that nobody waits for *number*; nobody waits for that either."""
        if self.over is not None:
            return

        async def tell() -> None:
            try:
                await self._posts.only(lambda n: Cancel(n, {"call": number}))
            except exc.Error:
                pass

        task = asyncio.get_running_loop().create_task(tell())
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    def __repr__(self) -> str:
        return f"LaneSession(user={self.user!r}, domain={self.domain!r})"


def _unexpected(message: Message) -> exc.Error:
    if type(message) is Error:
        return exc.from_wire(message.error, message.kwargs, message.args)
    return exc.OutcomeUnknown(f"The server sent {type(message).__name__} where it must not.")


async def _pushed(push: Callable[[Any], Awaitable[None] | None], value: Any) -> None:
    done = push(value)
    if inspect.isawaitable(done):
        await done
