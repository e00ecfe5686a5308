"""What the processes of one server do for each other, so that it does not matter at which of them somebody is.

events      what is published in one reaches the subscribers of all, once, in its publisher's order; when that is
            acknowledged, all have it
ends        a session that is ended in one is over in all, at once; the store says the same a second later to who
            did not hear (`limen.app.elsewhere`)
charges     what one counts against an origin all count
kept        what is retained, and the history, are in all, also in one that starts later
procedures  `lent.py`
tabs        `moving.py`
meta API    `meta.py`
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import msgspec

from limen import exc
from limen.core.wamp.effects import Spread
from limen.core.wamp.events.kept import Kept
from limen.door.hub.bus import packed, unpacked
from limen.door.hub.ends import end_here

from .heard import Heard
from .lent import Lent
from .meta import Meta
from .moving import Moving

if TYPE_CHECKING:
    from limen.core.guard.accounts import Slot
    from limen.core.wamp.effects import Claim, Gather, Listen, Unclaim
    from limen.core.wamp.realm import Realm
    from limen.door.hub.bus import Bus
    from limen.door.hub.hub import Hub

log = logging.getLogger("limen.door")

PATIENCE = 10.0
"""Seconds for which a process that starts waits for what the others have kept."""


class Across:
    """*hub*'s part of a server of several processes, over *bus*."""

    def __init__(self, hub: Hub, bus: Bus) -> None:
        self._hub, self._bus = hub, bus
        self._heard = Heard(hub, bus)
        self.lent = Lent(hub, bus, self._heard)
        self.moving = Moving(hub, bus)
        self._meta = Meta(hub, bus, self._heard)
        self._missed: list[Any] | None = []
        """Events that came before this process had what was kept; None: it has."""
        bus.answer("kept", self._kept)
        bus.hear("event", self._event)
        bus.hear("user", self._user)
        bus.hear("charge", self._charge)
        hub.gate.ledger.tell = lambda told: bus.tell("charge", told)
        bus.answer("abuse.clear", self._clear)

    async def begin(self) -> None:
        """To be awaited before this process serves."""
        await self._take_over()
        await self.lent.begin()
        await self._meta.begin()

    # -- events -------------------------------------------------------------------------------------------------
    def spread(self, realm: Realm, event: Spread) -> None:
        """Tells the others of an event."""
        if self._bus.others:
            try:
                said = packed(event.args, event.kwargs, dict(event.options), dict(event.details))
            except exc.InvalidValue as error:
                log.error("An event of %s could not be told: %s", event.uri, error)
            else:
                about = [event.publication, event.excluded, event.hidden]
                self._bus.tell("event", [realm.name, event.uri, *about, said])
        if event.then:
            self._heard.then(lambda: self._hub.act(realm, event.then))

    def _event(self, body: list[Any]) -> None:
        if self._missed is not None:
            self._missed.append(body)
            return
        domain, uri, publication, excluded, hidden, said = body
        realm = self._hub.realm(domain)  # made where it is not: what is retained, it has for those who come later
        args, kwargs, options, details = unpacked(said)
        self._hub.act(realm, realm.hear(Spread(uri, args, kwargs, publication, options, details, excluded, hidden)))

    # -- what is kept -------------------------------------------------------------------------------------------
    async def _take_over(self) -> None:
        """A process that starts has what the others have kept; what is published meanwhile follows."""
        known: set[int] = set()
        for domain, retained, events in await self._bus.ask("kept", None, PATIENCE) or ():
            rows = [[msgspec.convert(row, Kept) for row in rows] for rows in (retained, events)]
            self._hub.realm(domain).keep(*rows)
            known |= {row.publication for kept in rows for row in kept}
        missed, self._missed = self._missed or [], None
        for body in missed:
            if body[2] not in known:
                self._event(body)

    async def _kept(self, _: None) -> list[Any] | None:
        if self._missed is not None:
            return None  # it has not taken over what there is itself
        kept = [[realm.name, *realm.kept()] for realm in self._hub.realms]
        told: list[Any] = msgspec.to_builtins(kept, builtin_types=(bytes,))
        return [row for row in told if row[1] or row[2]] or None

    # -- the meta API -------------------------------------------------------------------------------------------
    def gather(self, realm: Realm, gather: Gather) -> None:
        """A call of the meta API."""
        self._meta.gather(realm, gather)

    def listen(self, realm: Realm, listen: Listen) -> None:
        """Somebody here listens to meta events, or nobody any more."""
        self._meta.listen(realm, listen)

    # -- procedures ---------------------------------------------------------------------------------------------
    def claim(self, realm: Realm, claim: Claim) -> None:
        """A session here wants to register."""
        self.lent.claim(realm, claim)

    def unclaim(self, realm: Realm, unclaim: Unclaim) -> None:
        """A callee here answers no longer."""
        self.lent.unclaim(realm, unclaim)

    # -- tabs ---------------------------------------------------------------------------------------------------
    async def take(self, slot: Slot, origin: str) -> None:
        """Brings the tab of *slot*, which has proved itself here, from wherever it is."""
        await self.moving.take(slot, origin)

    def forget(self, slot: bytes) -> None:
        """A login is over."""
        self.moving.forget(slot)

    # -- ends ---------------------------------------------------------------------------------------------------
    def user_over(self, domain: str, user: str, keep: bytes | None, key: bytes | None, words: str, why: str) -> None:
        """The sessions of a user are over; see `hub/ends.py`."""
        self._bus.tell("user", [domain, user, keep, key, words, why])

    def _user(self, body: list[Any]) -> None:
        domain, user, keep, key, words, why = body
        end_here(self._hub, domain, user, keep, key, words, why)

    async def all_know(self) -> None:
        """Comes back when the others have heard what they were told before."""
        await self._heard.wait()

    # -- charges ------------------------------------------------------------------------------------------------
    def _charge(self, told: list[Any]) -> None:
        self._hub.gate.ledger.take(told, time.time())

    async def clear(self, domain: str | None, key: str | None) -> None:
        """An operator clears the ledger: comes back when the others have forgotten."""
        await self._bus.gather("abuse.clear", [domain, key])

    async def _clear(self, body: list[Any]) -> bool:
        await self._hub.gate.forget(*body)
        return True
