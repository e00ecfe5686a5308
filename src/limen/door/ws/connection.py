"""One WebSocket connection, from HELLO to GOODBYE, sealed or not.

    received -> (open the frame) -> codec.decode -> greeting, or realm.receive -> Hub.act -> send -> (seal) -> wire

Who greets: `login.py` for sealed subprotocols, `plain.py` for plain WAMP.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.base.principal import Principal
from limen.core.guard.ledger import Kind
from limen.core.seal.badframe import BadFrame
from limen.core.wamp.codecs import Codec, Malformed, Unacceptable, codec
from limen.core.wamp.messages import Abort, Authenticate, Challenge, Goodbye, Hello, Message, Welcome
from limen.core.wamp.session import PROTOCOL_VIOLATION, Session, no_such_realm
from limen.door.hub import told
from limen.door.hub.answering import Answering
from limen.door.hub.gate import MAX_GREETING
from limen.door.hub.hub import Hub

from . import plain

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from limen.core.seal.channel import Channel
    from limen.core.wamp.realm import Realm
    from limen.door.hub.tabs import KeptCall, Tab
    from limen.transport.wire import Wire

log = logging.getLogger("limen.door")

WRONG_KIND = "text frames carry json, binary frames the other encodings"

MAX_HELD, MAX_HELD_BYTES = 64, 2**20
"""Messages of a session, and bytes of them, that wait for a verdict before its peer is not read from."""


class Connection(Answering):
    """The `Peer` of one WebSocket, and the `peer` of its WAMP session.

    *domain*: that of the Host header. *sealed*: the subprotocol is `limen.1.*`. *origin*: as the ledger counts it.
    """

    __slots__ = (
        "_greeting",
        "_held",
        "_inbox",
        "bytes_in",
        "bytes_out",
        "channel",
        "closing",
        "codec",
        "domain",
        "hub",
        "key",
        "messages_in",
        "messages_out",
        "origin",
        "principal",
        "realm",
        "running",
        "sealed",
        "session",
        "session_id",
        "since",
        "tab",
        "wire",
    )

    def __init__(self, hub: Hub, domain: str, origin: str, encoding: str, *, sealed: bool) -> None:
        self.hub, self.domain, self.origin, self.sealed = hub, domain, origin, sealed
        self.codec: Codec = codec(encoding, tagged=sealed)
        self.channel: Channel | None = None
        self.session: Session | None = None
        self.session_id = 0
        """What the session has, or will have, that an unsealed greeting leads to."""
        self.tab: Tab | None = None
        self.key = b""
        """The id of the machine's key with which an unsealed session has signed in."""
        self.realm: Realm
        """Its session's."""
        self.principal = Principal(domain, origin)
        self.running: dict[int, tuple[asyncio.Future[None], Any, KeptCall | None]] = {}
        self.closing = False
        self.since = 0.0
        self.bytes_in = self.bytes_out = self.messages_in = self.messages_out = 0
        """Of payload, since it opened (`door/hub/counts.py`)."""
        self._held = 0
        """Bytes of what waits for a verdict."""
        self._greeting: asyncio.Task[None] | None = None
        self._inbox: asyncio.Future[tuple[bytes, bool]] | None = None
        self.wire: Wire

    @property
    def transport(self) -> str:
        return self.wire.transport

    @property
    def tls(self) -> bool:
        return self.wire.tls

    # -- what the transport calls -------------------------------------------------------------------------------
    def opened(self, wire: Wire) -> None:
        self.wire = wire
        self.since = self.hub.loop.time()
        self.hub.connections.add(self)
        self.hub.counts.opened += 1

    def received(self, data: bytes, text: bool) -> None:
        if self.closing:
            return
        self.bytes_in += len(data)
        self.messages_in += 1
        if self.hub.bus.crowded:  # this one is the last that makes it more
            self.wire.pause()
            self.hub.bus.when_free(self.wire.resume)
        if self.session is None:
            self._greeted(data, text)
            return
        if self.channel is not None:
            try:
                data = self.channel.open(data) if not text else _not_sealed()
            except BadFrame:
                self.blame(Kind.BAD_FRAME)
                self.drop(1002, "a frame did not open")
                return
        elif text is not self.codec.text:
            self.malformed(Malformed(WRONG_KIND, 1003))
            return
        error: exc.InvalidValue | None = None
        try:
            message = self.codec.decode(data)
        except Malformed as malformed:
            self.malformed(malformed)
            return
        except Unacceptable as unacceptable:  # a message, but its payload can't be taken: the realm says how to answer
            message, error = unacceptable.message, unacceptable.error
        if type(message) is Goodbye:
            self.farewell(message)
            return
        realm = self.realm
        session = self.session
        effects = realm.receive(session, message) if error is None else realm.refuse(session, message, error)
        if effects:
            self.hub.act(realm, effects)
        elif session.held is not None:
            self.hold(len(data))

    def hold(self, size: int = 0) -> None:
        """A message of *size* bytes waits for a verdict on one before it (`core/wamp/realm.py`, `Ask`), or, with 0,
        none may wait any more: while much does, the peer is not read from."""
        held = self.session.held if self.session is not None else None
        if held is None:
            self._held = 0
            self.wire.resume()
            return
        self._held += size
        if len(held) >= MAX_HELD or self._held > MAX_HELD_BYTES:
            self.wire.pause()

    def busy(self, yes: bool) -> None:
        if self.session is not None:
            self.session.busy = yes

    def lost(self, reason: str) -> None:
        self.closing = True
        self.hub.connections.discard(self)
        self.hub.counts.gone(self)
        if self._greeting is not None:
            self._greeting.cancel()
        if self._inbox is not None and not self._inbox.done():
            self._inbox.cancel()
        self._leave(reason or "lost")
        tab = self.tab
        if tab is not None and tab.connection is self:
            tab.connection = None
            if tab.slot is None:
                self.hub.logins.over(tab, "lost")  # it has no key to come back with
            else:
                self.hub.logins.touch(tab)
                tab.parked = self.hub.loop.time()
                tab.received = self.channel.received if self.channel is not None else None
                tab.calls.detach(self)

    def _leave(self, why: str) -> None:
        """Leaves the realm; calls that nobody can ask for again are cancelled. *why*: for the log."""
        session, self.session = self.session, None
        if session is None:
            return
        told.left(self.hub, self, session, why)
        self.hub.part(self.realm, session)
        for task, cancellation, kept in tuple(self.running.values()):
            if kept is None:
                cancellation.set()
                task.cancel()

    # -- before the session -------------------------------------------------------------------------------------
    def _greeted(self, data: bytes, text: bool) -> None:
        if len(data) > MAX_GREETING:
            self.malformed(Malformed(f"a greeting has at most {MAX_GREETING} bytes", 1009))
            return
        if self._inbox is not None and not self._inbox.done():
            self._inbox.set_result((data, text))
            return
        if self._greeting is not None:
            self.malformed(Malformed("a message came before the last one was answered"))
            return
        if text is not self.codec.text:
            self.malformed(Malformed(WRONG_KIND, 1003))
            return
        try:
            message = self.codec.decode(data)
        except Malformed as malformed:
            self.malformed(malformed)
            return
        except Unacceptable as unacceptable:
            self.malformed(Malformed(str(unacceptable)))
            return
        if self.sealed and type(message) is Hello:
            from .login import greet

            if not self.domain:  # a router looks at no Host: HELLO says which realm is meant
                if self.methods(message.realm) is None:
                    self.abort(no_such_realm(message.realm), 1008)
                    return
                self.domain = message.realm
            self._greeting = self.hub.loop.create_task(greet(self, message, data))
            return
        waiting = plain.greet(self, message)
        if waiting is not None:
            self._greeting = self.hub.loop.create_task(waiting)

    def methods(self, realm: str) -> Collection[str] | None:
        """The methods of login that *realm* takes, None where there is no such realm."""
        return self.hub.entrance.methods(self, realm)

    async def challenge(self, method: str, extra: dict[str, Any]) -> Authenticate:
        """See `door/hub/entrance.py`."""
        self.send(Challenge(method, extra))
        data, text = await self.next_frame()
        if text is not self.codec.text:
            raise Malformed(WRONG_KIND, 1003)
        try:
            message = self.codec.decode(data)
        except Unacceptable as unacceptable:
            raise Malformed(str(unacceptable)) from None
        if type(message) is Abort:
            raise plain.Left
        if type(message) is not Authenticate:
            raise Malformed("CHALLENGE is answered by AUTHENTICATE")
        return message

    def join(self, roles: Any, principal: Principal, session_id: int, details: dict[str, Any]) -> None:
        """The session begins: WELCOME, then the realm."""
        self.principal = principal
        self._greeting = None
        self.realm = realm = self.hub.realm(self.domain)
        if len(realm.sessions) >= self.hub.config.domain(self.domain).MAX_SESSIONS:
            sentence = f"the realm {self.domain} has as many sessions as it may (MAX_SESSIONS); try again later"
            self.refuse("wamp.error.unavailable", sentence, 1013)
            return
        welcome = {
            "realm": self.domain,
            "authrole": principal.role,
            "authprovider": "limen",
            "roles": realm.roles,
            **details,
        }
        data = self.codec.encode(Welcome(session_id, welcome))
        if len(data) > self.wire.largest:
            sentence = f"WELCOME has {len(data)} bytes, of {self.wire.largest} that are taken: ask for larger messages"
            self.refuse("wamp.error.unavailable", sentence)
            return
        self.session = Session(
            session_id,
            principal=principal,
            roles=roles,
            codec_name=self.codec.name,
            authid=details["authid"],
            details={
                "authmethod": welcome["authmethod"],
                "authprovider": welcome["authprovider"],
                "transport": _transport(self.codec.name, self.sealed),
            },
        )
        self.hub.join(realm, self.session, self)
        told.joined(self.hub, self, self.session)
        self._send(data)

    async def next_frame(self) -> tuple[bytes, bool]:
        """The next frame of a greeting; raises TimeoutError after LOGIN_TIMEOUT."""
        self._inbox = self.hub.loop.create_future()
        async with asyncio.timeout(self.hub.config.domain(self.domain).LOGIN_TIMEOUT):
            return await self._inbox

    # -- what the realm and the hub call ------------------------------------------------------------------------
    def send(self, message: Message) -> int:
        """Sends one message; gives its encoded size in bytes."""
        return self._send(self.codec.encode(message))

    def send_shared(self, message: Message, frames: dict[object, bytes]) -> None:
        """Sends a message that others get too; nothing to a peer that does not take one so large."""
        data = self.shared(message, frames)
        if data and len(data) <= self.wire.largest:
            self._send(data)

    def _send(self, data: bytes) -> int:
        if self.closing:
            return 0
        if len(data) > self.wire.largest:
            raise exc.InvalidValue(f"{len(data)} bytes; this peer takes messages of at most {self.wire.largest} bytes")
        if self.channel is not None:
            self.wire.send(self.channel.seal(data), False)
        else:
            self.wire.send(data, self.codec.text)
        self.bytes_out += len(data)
        self.messages_out += 1
        return len(data)

    def write(self, data: bytes) -> None:
        """Sends the payload bytes of an open frame, of a greeting: they go into the transcript as they are."""
        if not self.closing:
            self.wire.send(data, self.codec.text)

    @property
    def queued(self) -> int:  # type: ignore[override]
        return self.wire.queued

    # -- ends ---------------------------------------------------------------------------------------------------
    def _last(self, message: Abort | Goodbye) -> None:
        """Says the last word; to a peer that does not take one so large without its details, or not at all. Whatever it
        is, the end comes."""
        for word in (message, type(message)({}, message.reason)):
            with contextlib.suppress(exc.InvalidValue):
                self.send(word)
                return

    def end(self, message: Abort | Goodbye | None) -> None:
        """The realm has ended this session."""
        if type(message) is Abort:
            self.blame(Kind.MALFORMED)
            self.abort(message, 1002)
            return
        if message is not None:
            self._last(message)
        self.drop(1000, "", "" if message is None else message.reason)

    def farewell(self, message: Goodbye) -> None:
        """The client says GOODBYE. In a sealed session that ends its tab (an end without it is a truncation)."""
        self._last(Goodbye({}, "wamp.close.goodbye_and_out"))
        tab, self.tab = self.tab, None
        if tab is not None and tab.connection is self:
            tab.connection = None
            self.hub.logins.over(tab, "logout")
        self.drop(1000, "", message.reason)

    def goodbye(self, reason: str, details: dict[str, Any]) -> None:
        """The server says GOODBYE."""
        if self.session is not None:
            self._last(Goodbye(details, reason))
        self.drop(1001 if reason == "wamp.close.system_shutdown" else 1000, "", reason)

    def taken_over(self, origin: str) -> None:
        """The same slot has come back elsewhere; whoever sits here learns when and from where."""
        tab, self.tab = self.tab, None
        if tab is not None:
            about = {"id": tab.id, "origin": origin, "kind": tab.kind, "why": self.origin}
            self.hub.happened("session.stolen", self.principal, domain=tab.domain, user=tab.user, **about)
            tab.connection = None
            tab.received = self.channel.received if self.channel is not None else None
            tab.calls.detach(self)
        self.goodbye("limen.close.taken_over", {"when": stamp(), "from": origin})

    def malformed(self, malformed: Malformed) -> None:
        self.blame(Kind.MALFORMED)
        self.refuse(PROTOCOL_VIOLATION, malformed.reason, malformed.close_code)

    def refuse(self, reason: str, message: str, code: int = 1002) -> None:
        """ABORT, then the end."""
        self.abort(Abort({"message": message}, reason), code)

    def abort(self, message: Abort, code: int) -> None:
        """Says *message*, here and in the log; then the end."""
        if self.closing:
            return
        told.aborted(self.hub, self, self.session, message)
        self._last(message)
        self.drop(code, "", message.reason)

    def drop(self, code: int, reason: str, why: str = "") -> None:
        """Ends the connection after what is queued. *why*: for the log, where *reason* does not say it."""
        if self.closing:
            return
        self.closing = True
        if self._greeting is not None and self._greeting is not asyncio.current_task():
            self._greeting.cancel()  # nobody comes in behind a door that closes
        self.wire.close(code, reason)
        self._leave(why or reason or "closed")

    def blame(self, kind: Kind) -> None:
        self.hub.gate.charge(self.domain, self.origin, kind)

    def overdue(self, now: float) -> bool:
        """No session yet, and no greeting under way, HELLO_TIMEOUT after the start."""
        return (
            self.session is None
            and self._greeting is None
            and not self.closing
            and now - self.since > self.hub.config.domain(self.domain).HELLO_TIMEOUT - 1.0
        )


@lru_cache
def _transport(encoding: str, sealed: bool) -> Mapping[str, Any]:
    """What the session meta API tells of a session's transport; one for all that are alike."""
    return {"encoding": encoding, "sealed": sealed}


def _not_sealed() -> bytes:
    raise BadFrame("a text frame in a sealed session")


def stamp(seconds: float | None = None) -> str:
    """A time for a person's page: ISO 8601, UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() if seconds is None else seconds))
