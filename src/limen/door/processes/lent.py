"""Procedures that a session has registered at one process, called from sessions at the others.

A callee that is elsewhere is a session here, whose peer (`_Callee`) hands on what it is sent; there the caller is one
(`_Caller`). So the dealers on both sides do what they always do: who may call, time-outs, cancelling, progress, what
becomes of a call whose callee or caller goes. A registration is one in the whole server: the supervisor says whose a
URI is (`Bus.claim`), and REGISTERED is sent when all processes know.

    caller ── dealer ── _Callee ═══ bus ═══ _Caller ── dealer ── callee
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

from limen.core.wamp.messages import Call, Cancel, Error, Interrupt, Invocation, Message, Register, Result, Yield
from limen.core.wamp.session import Session
from limen.core.wamp.trace import carried
from limen.door.hub.bus import packed, unpacked

if TYPE_CHECKING:
    from limen.core.wamp.messages import Abort, Goodbye
    from limen.core.wamp.realm import Realm
    from limen.door.hub.bus import Bus
    from limen.door.hub.hub import Hub
    from limen.door.hub.seat import Peer

FEATURES = {
    "call_canceling": "can_be_interrupted",
    "progressive_call_results": "can_progress",
    "call_timeout": "can_time",
}
"""Feature of a callee to the attribute of its session."""
INVOCATION = 68


class Lent:
    """The registrations of this process that others know, and theirs that this one knows."""

    def __init__(self, hub: Hub, bus: Bus) -> None:
        self.hub, self.bus = hub, bus
        self.own: dict[tuple[str, str], list[Any]] = {}
        """What was told of the registrations here, by domain and URI."""
        self.calls: dict[int, tuple[Realm, Session, int]] = {}
        """Calls that are answered elsewhere: by number, the session that stands for the callee, and its invocation."""
        self._number = 0
        self._owners: dict[tuple[str, str], int] = {}
        self._callees: dict[int, list[tuple[Realm, Session]]] = {}
        self._callers: dict[tuple[int, str], Session] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        bus.answer("procedure", self._heard)
        bus.answer("procedures", self._listed)
        bus.hear("procedure.gone", self._gone)
        bus.hear("call", self._called)
        bus.hear("call.cancel", self._cancelled)
        bus.hear("call.answer", self._answered)
        bus.left(self._left)

    async def begin(self) -> None:
        """Learns what the others have."""
        for told in await self.bus.gather("procedures", None):
            for body in told:
                self._host(body)

    # -- registrations ------------------------------------------------------------------------------------------
    def claim(self, realm: Realm, session: Session, message: Register) -> None:
        """A session here wants to register; it is answered when all know."""
        task = self.hub.loop.create_task(self._claim(realm, session, message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _claim(self, realm: Realm, session: Session, message: Register) -> None:
        uri = message.procedure
        won = await self.bus.claim(f"{realm.name} {uri}")
        if won:
            features = [name for name, attribute in FEATURES.items() if getattr(session, attribute)]
            forward = session.can_time and message.options.get("forward_timeout") is True
            body = [self.bus.me, realm.name, uri, session.sealed, features, forward]
            self.own[realm.name, uri] = body
            await self.bus.gather("procedure", body)
        self.hub.act(realm, realm.claimed(session, message, won))

    def unclaim(self, realm: Realm, uri: str) -> None:
        """Nobody here answers *uri* any more."""
        if self.own.pop((realm.name, uri), None) is not None:
            self.bus.tell("procedure.gone", [realm.name, uri])
            self.bus.release(f"{realm.name} {uri}")

    async def _heard(self, body: list[Any]) -> None:
        self._host(body)

    async def _listed(self, _: None) -> list[Any] | None:
        return list(self.own.values()) or None

    def _host(self, body: list[Any]) -> None:
        owner, domain, uri, sealed, features, forward = body
        if owner not in self.bus.others or self._owners.get((domain, uri)) == owner:
            return
        realm = self.hub.realm(domain)
        roles = {"callee": {"features": dict.fromkeys(features, True)}}
        session = Session(secrets.randbits(64) + 2**53, roles=roles)  # an id that no client has
        session.sealed = sealed
        _stand_in(realm, session, _Callee(self, realm, session, owner, uri))
        realm.host(session, uri, forward)
        self._owners[domain, uri] = owner
        self._callees.setdefault(owner, []).append((realm, session))

    def _gone(self, body: list[Any]) -> None:
        domain, uri = body
        owner = self._owners.pop((domain, uri), None)
        session = self.hub.realm(domain).unhost(uri)
        if owner is not None and session is not None:
            self._forget(self.hub.realm(domain), session, owner)

    def _forget(self, realm: Realm, session: Session, owner: int) -> None:
        """Lets go of a callee that has neither a registration nor a call."""
        if not (session.registrations or session.invocations):
            self.hub.act(realm, realm.detach(session))
            there = self._callees.get(owner, [])
            if (realm, session) in there:
                there.remove((realm, session))

    def _left(self, number: int) -> None:
        """A process is gone: its procedures are no more, its calls are over, its callers do not wait."""
        self._owners = {name: owner for name, owner in self._owners.items() if owner != number}
        for realm, session in self._callees.pop(number, []):
            self.calls = {n: call for n, call in self.calls.items() if call[1] is not session}
            self.hub.act(realm, realm.detach(session))
        for peer, domain in [key for key in self._callers if key[0] == number]:
            realm = self.hub.realm(domain)
            self.hub.act(realm, realm.detach(self._callers.pop((peer, domain))))

    # -- calls, where the caller is -----------------------------------------------------------------------------
    def number(self, realm: Realm, session: Session, invocation: int) -> int:
        """A number for a call that goes out."""
        self._number += 1
        self.calls[self._number] = realm, session, invocation
        return self._number

    def _answered(self, body: list[Any]) -> None:
        number, kind, uri, said = body
        call = self.calls.get(number)
        if call is None:
            return
        realm, session, invocation = call
        args, kwargs = unpacked(said)
        if kind == "error":
            effects = realm.failed(session, Error(INVOCATION, invocation, {}, uri, args, kwargs))
        else:
            options = {"progress": True} if kind == "progress" else {}
            effects = realm.yielded(session, Yield(invocation, options, args, kwargs))
        if kind != "progress":
            del self.calls[number]
        self.hub.act(realm, effects or ())
        if kind != "progress":
            self._forget(realm, session, session.peer.owner)

    # -- calls, where the callee is -----------------------------------------------------------------------------
    def _called(self, body: list[Any]) -> None:
        caller, domain, uri, number, sealed, options, said = body
        if caller not in self.bus.others:
            return
        realm = self.hub.realm(domain)
        session = self._callers.get((caller, domain))
        if session is None:
            session = self._callers[caller, domain] = Session(secrets.randbits(64) + 2**53)
            _stand_in(realm, session, _Caller(self, caller))
        args, kwargs = unpacked(said)
        self.hub.act(realm, realm.relay(session, Call(number, options, uri, args, kwargs), sealed))

    def _cancelled(self, body: list[Any]) -> None:
        caller, domain, number, mode = body
        session = self._callers.get((caller, domain))
        if session is not None:
            realm = self.hub.realm(domain)
            self.hub.act(realm, realm.cancel(session, Cancel(number, {"mode": mode})))


def _stand_in(realm: Realm, session: Session, peer: Peer) -> None:
    session.peer = peer
    realm.attach(session)


class _StandIn:
    """The peer of a session that stands for one of another process: that process speaks with whoever is there, and
    hears itself what ends them."""

    transport = "process"

    def send_shared(self, message: Message, frames: dict[object, bytes]) -> None: ...

    def interrupt(self, request: int) -> None: ...

    def end(self, message: Abort | Goodbye | None) -> None: ...

    def goodbye(self, reason: str, details: dict[str, Any]) -> None: ...


class _Callee(_StandIn):
    """The peer of a session that stands for a callee of process *owner*."""

    def __init__(self, lent: Lent, realm: Realm, session: Session, owner: int, uri: str) -> None:
        self.lent, self.realm, self.session, self.owner, self.uri = lent, realm, session, owner, uri

    def send(self, message: Message) -> int:
        lent, realm = self.lent, self.realm
        if isinstance(message, Invocation):
            call = self.session.invocations[message.request]
            said = packed(message.args, message.kwargs)
            number = lent.number(realm, self.session, message.request)
            options: dict[str, Any] = {"receive_progress": call.progress}
            if "timeout" in message.details:
                options["timeout"] = message.details["timeout"]
            options |= carried(message.details)
            body = [lent.bus.me, realm.name, self.uri, number, call.caller.sealed, options, said]
            lent.bus.tell("call", body, to=self.owner)
        elif isinstance(message, Interrupt):
            for number, (_, session, invocation) in lent.calls.items():
                if session is self.session and invocation == message.request:
                    body = [lent.bus.me, realm.name, number, message.options["mode"]]
                    lent.bus.tell("call.cancel", body, to=self.owner)
                    break
        return 0


class _Caller(_StandIn):
    """The peer of a session that stands for the callers of process *home*."""

    def __init__(self, lent: Lent, home: int) -> None:
        self.lent, self.home = lent, home

    def send(self, message: Message) -> int:
        if not isinstance(message, Result | Error):
            return 0
        kind = "error"
        if isinstance(message, Result):
            kind = "progress" if message.details.get("progress") else "result"
        uri = message.error if isinstance(message, Error) else ""
        said = packed(message.args, message.kwargs)
        self.lent.bus.tell("call.answer", [message.request, kind, uri, said], to=self.home)
        return 0
