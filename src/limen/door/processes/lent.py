"""Procedures that a session has registered at one process, called from sessions at the others.

A callee that is elsewhere is a session here, whose peer (`_Callee`) hands on what it is sent; there the caller is one
(`_Caller`). So the dealers on both sides do what they always do: who may call, and which callee is called, is decided
where the caller is; how much a callee can take, where that is. Time-outs, cancelling, progress, what becomes of a call
whose callee or caller goes: as ever.

    caller ── dealer ── _Callee ═══ bus ═══ _Caller ── dealer ── callee

The supervisor numbers the callees of all processes (`Bus.share`), and says who may be beside whom: by their numbers
they are known, and stand in the same order everywhere. REGISTERED is sent when all processes know.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from limen.core.wamp.calls.registrations import Endpoint
from limen.core.wamp.effects import NOBODY, nobody
from limen.core.wamp.messages import (
    CALL,
    INVOCATION,
    Call,
    Error,
    Interrupt,
    Invocation,
    Message,
    Result,
    Unregistered,
    Yield,
)
from limen.core.wamp.session import Session
from limen.door.hub.bus import packed, unpacked

if TYPE_CHECKING:
    from limen.core.wamp.effects import Claim, Unclaim
    from limen.core.wamp.messages import Abort, Goodbye
    from limen.core.wamp.realm import Realm
    from limen.door.hub.bus import Bus
    from limen.door.hub.hub import Hub
    from limen.door.hub.seat import Peer

    from .heard import Heard

ABLE = {"caller": {"features": {"progressive_call_invocations": True, "payload_passthru_mode": True}}}
"""What a caller elsewhere may be able to do; whether it is was asked there."""
PLAIN = {"caller": {"features": {"progressive_call_invocations": True}}}
"""… one who takes no payloads as they are (ppt): a callee must hear that."""


class Lending(msgspec.Struct, frozen=True, array_like=True):
    """A callee of one process, as the others know it. *owner*: the process. *callee*: its session. *evicts*: why all
    callees before it are over."""

    owner: int
    domain: str
    match: str
    uri: str
    number: int
    invoke: str
    created: float
    callee: int
    sealed: bool
    features: tuple[str, ...]
    forward_timeout: bool
    disclose: bool
    evicts: str = ""

    @property
    def name(self) -> Name:
        return self.domain, self.match, self.uri, self.number


Name = tuple[str, str, str, int]
"""A callee in all processes: domain, match, URI and number."""
Early = tuple[Callable[[list[Any]], None], list[Any]]
"""What came before its time, and what is to be done with it."""


class Lent:
    """The registrations of this process that others know, and theirs that this one knows."""

    def __init__(self, hub: Hub, bus: Bus, heard: Heard) -> None:
        self.hub, self.bus, self._heard = hub, bus, heard
        self.own: dict[Name, Lending] = {}
        """What was told of the callees here."""
        self.calls: dict[int, tuple[Realm, Session, int]] = {}
        """Calls that are answered elsewhere: by number, the session that stands for the callee, and its invocation."""
        self.numbers: dict[tuple[int, int], tuple[int, bool]] = {}
        """Their numbers, by session and invocation, and whether the caller is ABLE."""
        self._number = 0
        self._hosted: dict[Name, tuple[int, Realm, Session]] = {}
        """Callees elsewhere: their process, and who stands for them here."""
        self._callers: dict[tuple[int, str, bool], Session] = {}
        self._early: dict[Name, list[Early]] = {}
        """Callees here that the others know of, and that have not heard REGISTERED yet: what came for them."""
        self._waiting: dict[tuple[int, int], list[Early]] = {}
        """The same by process and number of the call."""
        self._tasks: set[asyncio.Task[None]] = set()
        bus.hear("procedure", self._hosted_there)
        bus.answer("procedures", self._listed)
        bus.hear("procedure.gone", self._gone)
        bus.hear("procedure.revoke", self._revoked)
        bus.hear("call", self._called)
        bus.hear("call.part", self._continued)
        bus.hear("call.cancel", self._cancelled)
        bus.hear("call.answer", self._answered)
        bus.left(self._left)

    async def begin(self) -> None:
        """Learns what the others have."""
        for told in await self.bus.gather("procedures", None):
            for body in told:
                self._hosted_there(body)

    # -- registrations ------------------------------------------------------------------------------------------
    def claim(self, realm: Realm, claim: Claim) -> None:
        """A session here wants to register; it is answered when all know."""
        task = self.hub.loop.create_task(self._claim(realm, claim))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _claim(self, realm: Realm, claim: Claim) -> None:
        session, message = claim.session, claim.message
        shared = f"procedure {realm.name} {claim.match} {message.procedure}"
        number = await self.bus.share(shared, claim.invoke, force=claim.forced)
        if not number:
            self.hub.act(realm, realm.claimed(session, message, 0))
            return
        lending = self._lending(realm, claim, number)
        self.own[lending.name] = lending
        self._early[lending.name] = []
        self.bus.tell("procedure", msgspec.to_builtins(lending))
        await self._heard.wait()
        self.hub.act(realm, realm.claimed(session, message, number, lending.created))
        early = self._early.pop(lending.name)
        self._waiting = {call: waits for call, waits in self._waiting.items() if waits is not early}
        for follow, body in early:
            follow(body)

    def _lending(self, realm: Realm, claim: Claim, number: int) -> Lending:
        session, options = claim.session, claim.message.options
        known = realm.registration(claim.match, claim.message.procedure)
        return Lending(
            owner=self.bus.me,
            domain=realm.name,
            match=claim.match,
            uri=claim.message.procedure,
            number=number,
            invoke=claim.invoke,
            created=time.time() if known is None else known.created,
            callee=session.id,
            sealed=session.sealed,
            features=tuple(name for name in session.features if name.startswith("callee.")),
            forward_timeout=session.can_time and options.get("forward_timeout") is True,
            disclose=options.get("disclose_caller") is True,
            evicts=f"session {session.id} has registered it instead" if claim.forced else "",
        )

    def unclaim(self, realm: Realm, unclaim: Unclaim) -> None:
        """A callee here answers no longer."""
        name = realm.name, unclaim.match, unclaim.uri, unclaim.number
        if self.own.pop(name, None) is not None:
            self.bus.tell("procedure.gone", name)
            self.bus.part(f"procedure {realm.name} {unclaim.match} {unclaim.uri}", unclaim.number)

    async def _listed(self, _: None) -> list[Any] | None:
        return [msgspec.to_builtins(lending) for lending in self.own.values()] or None

    def _hosted_there(self, body: list[Any]) -> None:
        """A callee at another process."""
        lending = msgspec.convert(body, Lending)
        if lending.owner not in self.bus.others or lending.name in self._hosted:
            return
        realm = self.hub.realm(lending.domain)
        session = Session(_strange_id(), roles=_announced(lending.features))
        session.sealed = lending.sealed
        _stand_in(realm, session, _Callee(self, realm, session, lending))
        endpoint = Endpoint(
            session,
            forward_timeout=lending.forward_timeout,
            disclose=lending.disclose,
            number=lending.number,
            callee=lending.callee,
        )
        effects = realm.host(lending.uri, lending.match, lending.invoke, lending.created, endpoint, lending.evicts)
        self.hub.act(realm, effects)
        self._hosted[lending.name] = lending.owner, realm, session

    def _gone(self, body: list[Any]) -> None:
        domain, match, uri, number = body
        found = self._hosted.pop((domain, match, uri, number), None)
        if found is not None:
            _, realm, session = found
            realm.unhost(match, uri, number)
            self._forget(realm, session)

    def _revoked(self, body: list[Any]) -> None:
        """A session at another process has taken a registration from a callee here."""
        domain, match, uri, number, reason = body
        realm = self.hub.realm(domain)
        self.hub.act(realm, realm.revoke_here(match, uri, number, reason))

    def _forget(self, realm: Realm, session: Session) -> None:
        """Lets go of a callee that has neither a registration nor a call."""
        if not (session.registrations or session.invocations):
            self.hub.act(realm, realm.detach(session))

    def _left(self, number: int) -> None:
        """A process is gone: its procedures are no more, its calls are over, its callers do not wait."""
        for name, (owner, realm, session) in tuple(self._hosted.items()):
            if owner == number:
                del self._hosted[name]
                self.hub.act(realm, realm.detach(session))
        for call, (realm, session, invocation) in tuple(self.calls.items()):
            if session.peer.owner == number:  # of registrations that were over already, too
                del self.calls[call], self.numbers[session.id, invocation]
                self.hub.act(realm, realm.detach(session))
        for caller in [caller for caller in self._callers if caller[0] == number]:
            realm = self.hub.realm(caller[1])
            self.hub.act(realm, realm.detach(self._callers.pop(caller)))

    # -- calls, where the caller is -----------------------------------------------------------------------------
    def number(self, realm: Realm, session: Session, invocation: int, able: bool) -> int:
        """A number for a call that goes out."""
        self._number += 1
        self.calls[self._number] = realm, session, invocation
        self.numbers[session.id, invocation] = self._number, able
        return self._number

    def _answered(self, body: list[Any]) -> None:
        number, error, details, said = body
        call = self.calls.get(number)
        if call is None:
            return
        realm, session, invocation = call
        args, kwargs = unpacked(said)
        if error:
            effects = realm.failed(session, Error(INVOCATION, invocation, details, error, args, kwargs))
        else:
            effects = realm.yielded(session, Yield(invocation, details, args, kwargs))
        final = error or details.get("progress") is not True
        if final:
            del self.calls[number], self.numbers[session.id, invocation]
        self.hub.act(realm, effects or ())
        if final:
            self._forget(realm, session)

    # -- calls, where the callee is -----------------------------------------------------------------------------
    def _called(self, body: list[Any]) -> None:
        home, name, number, able, details, uri, said = body
        domain, match, pattern, place = name = tuple(name)
        if home not in self.bus.others:
            return
        if name in self._early:
            self._waiting[home, number] = self._early[name]
            self._early[name].append((self._called, body))
            return
        realm = self.hub.realm(domain)
        session = self._callers.get((home, domain, able))
        if session is None:
            session = Session(_strange_id(), roles=ABLE if able else PLAIN)
            self._callers[home, domain, able] = session
            _stand_in(realm, session, _Caller(self, home))
        args, kwargs = unpacked(said)
        registration = realm.registration(match, pattern)
        endpoint = registration.numbered(place) if registration is not None else None
        if registration is None or endpoint is None or endpoint.hosted:
            session.peer.send(Error(CALL, number, {}, NOBODY, [nobody(uri)]))
            return
        self.hub.act(realm, realm.relay(session, Call(number, details, uri, args, kwargs), registration, endpoint))

    def _continued(self, body: list[Any]) -> None:
        """A further part of a call."""
        home, domain, number, able, details, uri, said = body
        if (early := self._waiting.get((home, number))) is not None:
            early.append((self._continued, body))
            return
        session = self._callers.get((home, domain, able))
        if session is not None:
            realm = self.hub.realm(domain)
            self.hub.act(realm, realm.proceed(session, Call(number, details, uri, *unpacked(said))))

    def _cancelled(self, body: list[Any]) -> None:
        home, domain, number, able, mode, reason = body
        if (early := self._waiting.get((home, number))) is not None:
            early.append((self._cancelled, body))
            return
        session = self._callers.get((home, domain, able))
        if session is not None:
            realm = self.hub.realm(domain)
            self.hub.act(realm, realm.withdraw(session, number, mode, reason))


def _strange_id() -> int:
    """An id that no client has."""
    return secrets.randbits(64) + 2**53 + 1


def _announced(features: tuple[str, ...]) -> dict[str, Any]:
    return {"callee": {"features": {name.removeprefix("callee."): True for name in features}}}


def _stand_in(realm: Realm, session: Session, peer: Peer) -> None:
    session.peer = peer
    realm.attach(session)


class _StandIn:
    """The peer of a session that stands for one of another process: that process speaks with whoever is there, and
    hears itself what ends them."""

    transport = ""

    def send_shared(self, message: Message, frames: dict[object, bytes]) -> None: ...

    def interrupt(self, request: int) -> None: ...

    def end(self, message: Abort | Goodbye | None) -> None: ...

    def goodbye(self, reason: str, details: dict[str, Any]) -> None: ...


class _Callee(_StandIn):
    """The peer of a session that stands for a callee of process *owner*."""

    def __init__(self, lent: Lent, realm: Realm, session: Session, lending: Lending) -> None:
        self.lent, self.realm, self.session, self.lending = lent, realm, session, lending
        self.owner = lending.owner

    def send(self, message: Message) -> int:
        if isinstance(message, Invocation):
            self._invoke(message)
        elif isinstance(message, Interrupt):
            mode, reason = message.options["mode"], message.options["reason"]
            self._tell("call.cancel", message.request, mode, reason)
        elif isinstance(message, Unregistered):
            body = [*self.lending.name, (message.details or {}).get("reason")]
            self.lent.bus.tell("procedure.revoke", body, to=self.owner)
        return 0

    def _invoke(self, message: Invocation) -> None:
        lent, lending, request = self.lent, self.lending, message.request
        said = packed(message.args, message.kwargs)
        if (self.session.id, request) in lent.numbers:
            self._tell("call.part", request, message.details, lending.uri, said)
            return
        able = "caller.payload_passthru_mode" in self.session.invocations[request].caller.features
        number = lent.number(self.realm, self.session, request, able)
        body = [lent.bus.me, lending.name, number, able, message.details, lending.uri, said]
        lent.bus.tell("call", body, to=self.owner)

    def _tell(self, kind: str, request: int, *about: Any) -> None:
        """Tells of a call that has gone out; of one that is answered nothing need be."""
        known = self.lent.numbers.get((self.session.id, request))
        if known is not None:
            self.lent.bus.tell(kind, [self.lent.bus.me, self.realm.name, *known, *about], to=self.owner)


class _Caller(_StandIn):
    """The peer of a session that stands for the callers of process *home*."""

    def __init__(self, lent: Lent, home: int) -> None:
        self.lent, self.home = lent, home

    def send(self, message: Message) -> int:
        if isinstance(message, Result | Error):
            error = message.error if isinstance(message, Error) else ""
            body = [message.request, error, message.details, packed(message.args, message.kwargs)]
            self.lent.bus.tell("call.answer", body, to=self.home)
        return 0
