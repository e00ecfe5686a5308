"""A session of the program itself, in its own process: the client's `Session` with another way to the realm.

    async with near(app.hub, "clinic.example") as session:
        await session.register("clinic.example.add", lambda call: sum(call.args))

    session -> encode -> decode -> realm.receive -> Hub.act -> encode -> decode -> session

No socket and no seal; each message is encoded and decoded once, so that what is near is as what is far: copies, tagged
values (docs/values.md), the same errors. The session is the program's: no rule is asked about what it registers,
publishes, subscribes and calls of other sessions (its `principal` is None), and sealed sessions may call what it has
registered. Local services it calls as nobody, or as the *principal* it is given.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final, Self

from limen import exc
from limen.base.principal import Principal, stand_at
from limen.client.dial import Settings
from limen.client.handshake import ROLES
from limen.client.session import Session
from limen.core.wamp.codecs import Codec, Malformed, Unacceptable, codec
from limen.core.wamp.messages import Abort, Goodbye, Welcome
from limen.core.wamp.session import GOODBYE_AND_OUT, PROTOCOL_VIOLATION
from limen.core.wamp.session import Session as RealmSession
from limen.door.hub.answering import Answering, new_session_id
from limen.node.connection import Connection

if TYPE_CHECKING:
    from limen.client.connection import Receive
    from limen.client.dial import Lost
    from limen.client.handshake import Slot
    from limen.core.wamp.messages import Message
    from limen.core.wamp.realm import Realm
    from limen.door.hub.hub import Hub
    from limen.door.hub.tabs import KeptCall
    from limen.session.port import Doorkeeper

ROLE: Final = "limen.program"
"""As whom others are told of such a session, user and role."""


def near(hub: Hub, domain: str, *, principal: Principal | None = None, timeout: float | None = None) -> Session:
    """A session in the realm of *domain*, to be opened with `async with` on the hub's loop."""
    settings = Settings(timeout=timeout, patience=float("inf"))
    return Session(NearDial(hub, domain, principal), settings)


class NearConnection(Connection):
    """What `App.connection` gives: nodes bound by it may be applications, which the doorkeeper guards."""

    doorkeeper: Doorkeeper

    @classmethod
    def to(cls, hub: Hub, domain: str, doorkeeper: Doorkeeper) -> Self:
        """One to the realm of *domain*, not open yet."""
        connection = cls.over(near(hub, domain))
        connection.doorkeeper = doorkeeper
        return connection


class NearDial:
    """The way into a realm of *hub*. *principal*: as whom local services are called; None: as nobody."""

    sealed = is_machine = False

    def __init__(self, hub: Hub, domain: str, principal: Principal | None = None) -> None:
        self.url, self.domain = f"near://{domain}", domain
        self.codec: Codec = codec("msgpack", tagged=True)
        self._hub, self._principal = hub, principal or Principal(domain, tls=True)

    async def __call__(self, receive: Receive, lost: Lost, slot: Slot | None) -> tuple[NearLink, Welcome]:
        connection = self.link(receive, lost)
        return connection, connection.seat.welcome()

    def link(self, receive: Receive, lost: Lost) -> NearLink:
        """A link, before its session."""
        return NearLink(self._hub, self._principal, self.codec, receive, lost)


class NearLink:
    """The client's end (`Link`). What the realm says is handed over in the next turn of the loop, in order: no answer
    comes while its question is still being asked."""

    channel = None
    full = False

    def __init__(self, hub: Hub, principal: Principal, codec: Codec, receive: Receive, lost: Lost) -> None:
        self.reason = "The connection was lost."
        self.closed = False
        self.seat = Seat(hub, principal, codec, self)
        self._codec, self._receive, self._lost = codec, receive, lost
        self._arrived: deque[bytes] = deque()
        self._live = False
        self._due: asyncio.Handle | None = None
        self._context = Context()  # of its own: what is said to it may be said in somebody's call
        self._context.run(stand_at, principal.domain)

    async def drained(self) -> None:
        """It is never full."""

    def go_live(self) -> None:
        self._live = True
        self._context.copy().run(self._hand_over)

    def send(self, message: Message) -> None:
        self.write(self._codec.encode(message))

    def write(self, data: bytes) -> None:
        if not self.closed:
            self.seat.take(data)

    def drop(self, reason: str = "The session was closed.") -> None:
        if self.closed:
            return
        self.reason, self.closed = reason, True
        self._arrived.clear()
        self.seat.leave()
        self._lost(self)

    # -- what the other end says --------------------------------------------------------------------------------
    def arrive(self, data: bytes) -> None:
        """A message of the realm's; b"": there will be none any more."""
        if self.closed:
            return
        self._arrived.append(data)
        if self._live and self._due is None:
            self._due = self.seat.hub.loop.call_soon(self._hand_over, context=self._context.copy())

    def _hand_over(self) -> None:
        self._due = None
        for _ in range(len(self._arrived)):  # what comes meanwhile has its own turn
            if not self._arrived:
                return  # dropped
            data = self._arrived.popleft()
            if not data:
                self.drop("The realm has ended the session.")
                return
            error = None
            try:
                message = self._codec.decode(data)
            except Unacceptable as unacceptable:
                message, error = unacceptable.message, unacceptable.error
            except Malformed as refused:
                self.drop(f"The realm said what can't be read: {refused}")
                return
            self._receive(message, error)


class Seat(Answering):
    """The realm's end: the `Caller` that the hub knows."""

    transport = "near"
    tab = None
    tls = True
    queued = 0

    def __init__(self, hub: Hub, principal: Principal, codec: Codec, link: NearLink) -> None:
        self.hub, self.principal, self.codec, self._link = hub, principal, codec, link
        self.since = hub.loop.time()
        self.closing = False
        self.running: dict[int, tuple[asyncio.Future[None], Any, KeptCall | None]] = {}
        self.realm: Realm = hub.realm(principal.domain)
        self.session: RealmSession | None = RealmSession(
            new_session_id(),
            None,
            ROLES,
            codec.name,
            authid=principal.user or ROLE,
            authroles=principal.roles if principal.user is not None else (ROLE,),
            details={
                "authmethod": "near",
                "authprovider": "limen",
                "transport": {"encoding": codec.name, "sealed": True},
            },
        )
        self.session.sealed = True  # nothing of it leaves the process

    @property
    def domain(self) -> str:
        return self.principal.domain

    @property
    def origin(self) -> str:
        return self.principal.origin

    def welcome(self) -> Welcome:
        """The session begins."""
        session, realm = self.session, self.realm
        assert session is not None
        self.hub.join(realm, session, self)
        who = {"authid": session.authid, "authrole": session.authrole, "authmethod": "near", "authprovider": "limen"}
        return Welcome(session.id, {"realm": self.domain, **who, "roles": realm.roles})

    # -- what the other end says --------------------------------------------------------------------------------
    def take(self, data: bytes) -> None:
        """A message of the client's."""
        session, realm, error = self.session, self.realm, None
        if session is None:
            return
        try:
            message = self.codec.decode(data)
        except Unacceptable as unacceptable:
            message, error = unacceptable.message, unacceptable.error
        except Malformed as refused:  # nested too deeply, say
            self.end(Abort({"message": refused.reason}, PROTOCOL_VIOLATION))
            return
        if type(message) is Goodbye:
            self.end(Goodbye({}, GOODBYE_AND_OUT))
            return
        self.hub.act(realm, realm.receive(session, message) if error is None else realm.refuse(session, message, error))

    def leave(self) -> None:
        """It is over; what it has called is cancelled. A second time nothing happens."""
        session, self.session, self.closing = self.session, None, True
        if session is None:
            return
        self.hub.part(self.realm, session)
        for task, cancellation, _ in tuple(self.running.values()):
            cancellation.set()
            task.cancel()

    # -- what the realm and the hub call ------------------------------------------------------------------------
    def send(self, message: Message) -> int:
        return self._send(self.codec.encode(message))

    def send_shared(self, message: Message, frames: dict[object, bytes]) -> None:
        data = self.shared(message, frames)
        if data:
            self._send(data)

    def _send(self, data: bytes) -> int:
        if self.closing:
            return 0
        self._link.arrive(data)
        return len(data)

    def end(self, message: Abort | Goodbye | None) -> None:
        if message is not None:
            with contextlib.suppress(exc.InvalidValue):
                self.send(message)
        self._link.arrive(b"")
        self.leave()

    def goodbye(self, reason: str, details: dict[str, Any]) -> None:
        self.end(Goodbye(details, reason))
