"""Logins, and how they end: a tab for each (`tabs.py`), a slot of the store behind most, a connection before some.

Whatever ends a login ends all three, and the program hears of it once: from the process that took the slot out of the
store, or, where there was none, from the one that had the tab.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .seat import CHANGED
from .tabs import Calls, Tab

if TYPE_CHECKING:
    from limen.base.principal import Principal
    from limen.core.guard.accounts import Slot

    from .hub import Hub
    from .seat import Signed

TOUCH = 60.0
"""Seconds by which the store may be behind what it knows of a slot's last use, at most."""

GOODBYES = {
    "expired": ("limen.close.expired", ""),
    "forced": ("limen.close.forced", "Somebody has logged in elsewhere, and asked that this session end."),
    "password": ("wamp.close.logout", "The password was changed."),
    "logout": ("wamp.close.logout", "The session was ended by a logout."),
}
"""Why a session is over, to what its client is told: GOODBYE's reason and words."""


class Logins:
    """The logins of one hub, and its unsealed sessions that have a user."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        hub.gate.slots_over = self.slots_over

    def open(self, principal: Principal, login: float) -> Tab:
        """The tab of a login of now."""
        config = self._hub.config.domain(principal.domain)
        calls = Calls(config.PARK_TIMEOUT, config.PARK_MAX_RESULTS)
        tab = Tab(principal.domain, principal.impersonated_by or principal.user or "", login, calls)
        self._hub.tabs.add(tab)
        return tab

    def refresh(self, tab: Tab) -> None:
        """Who a session is has changed: it is to come back at once, and is that from then on."""
        if tab.connection is not None:
            tab.connection.goodbye(CHANGED, {})

    def begun(self, principal: Principal, id: str, kind: str) -> None:
        """Somebody has come in: the program hears of it."""
        about = {"id": id, "origin": principal.origin, "kind": kind, "impersonated_by": principal.impersonated_by}
        self._hub.happened("session.opened", principal, domain=principal.domain, user=principal.user or "", **about)

    def end(self, tab: Tab, reason: str, details: dict[str, Any] | None = None, why: str = "ended") -> None:
        """Ends a tab for good, and its slot: its connection hears GOODBYE *reason*, its calls are cancelled.
        *why*: as the program is told (`limen.app.hooks`)."""
        self.over(tab, why)
        connection, tab.connection = tab.connection, None
        if connection is not None:
            connection.goodbye(reason, details or {})

    def over(self, tab: Tab, why: str) -> None:
        """A tab is over, and its slot will be."""
        was_over = tab.over
        self._hub.tabs.remove(tab)
        if tab.slot is not None:  # whoever takes the slot out of the store says that it is over
            self._hub.gate.ended[tab.slot] = tab.domain
            self._hub.gate.reasons.setdefault(tab.slot, why)
        elif not was_over:
            self._closed(tab.domain, tab.user, tab.id, tab.origin, tab.kind, why)

    def end_signed(self, domain: str, user: str, key: bytes | None = None) -> None:
        """Ends the unsealed sessions in which *user* has signed in (with *key*, if one is named). On the loop."""
        for session in self.signed():
            if session.domain == domain and session.principal.user == user and key in (None, session.key):
                session.goodbye("wamp.close.logout", {"message": "This session was ended."})

    def signed(self) -> list[Signed]:
        """The unsealed sessions that have a user, over WebSockets and HTTP."""
        return [*(c for c in self._hub.connections if c.key), *(guest for guest in self._hub.guests if guest.key)]

    def slots_over(self, slots: Iterable[Slot], why: str) -> None:
        """These slots have gone from the store, taken out by this process: their tabs end, and the program hears of
        it. On the loop."""
        away = []
        for slot in slots:
            self._hub.gate.endings += 1
            if why:  # else it never came to be
                self._closed(slot.domain, slot.user, slot.id, slot.origin, slot.kind, why, slot.acting)
            if not self._end_slot(slot.handle, why):
                away.append(slot.handle)
                self._hub.gate.elsewhere.add((slot.domain, slot.user))
        if away:
            self._hub.bus.tell("session.over", {"slots": away, "why": why})

    def heard_over(self, body: Any) -> None:
        """Another process of this server has ended these slots."""
        self._hub.gate.endings += 1
        for handle in body["slots"]:
            self._end_slot(handle, body["why"])
            if self._hub.across is not None:
                self._hub.across.forget(handle)

    def _end_slot(self, handle: bytes, why: str) -> bool:
        """Ends the tab of a slot; False: it is not here."""
        tab = self._hub.tabs.get(handle)
        if tab is not None and not tab.over:
            reason, words = GOODBYES.get(why, ("wamp.close.logout", "This session was ended."))
            self.end(tab, reason, {"message": words} if words else {}, why)
        return tab is not None

    def _closed(self, domain: str, user: str, id: str, origin: str, kind: str, why: str, acting: str = "") -> None:
        who = {"user": acting, "impersonated_by": user} if acting else {"user": user}
        self._hub.happened("session.closed", domain=domain, id=id, origin=origin, kind=kind, why=why, **who)

    def sweep(self) -> None:
        """Once a second: ends tabs that are idle, too old or parked too long."""
        now, wall = self._hub.loop.time(), time.time()
        for session in self.signed():
            if now - session.since > self._hub.config.domain(session.domain).SESSION_MAX_AGE:
                session.goodbye("limen.close.expired", {})
        for tab in self._hub.tabs:
            parent = self._hub.tabs.get(tab.parent) if tab.parent else None
            if parent is not None and parent.used < tab.used:
                parent.used = tab.used  # they are one login: it is in use
        for tab in self._hub.tabs:
            config = self._hub.config.domain(tab.domain)
            if wall - tab.used > config.SESSION_TIMEOUT or wall - tab.login > config.SESSION_MAX_AGE:
                if tab.kind == "lane" and tab.connection is not None:
                    tab.connection.look()  # it may be in use at another process
                else:
                    self.end(tab, "limen.close.expired", why="expired")
            elif tab.parked is not None and now - tab.parked > config.PARK_TIMEOUT:
                self.touch(tab)
                self._hub.tabs.remove(tab)
            else:
                tab.calls.trim(now)
                if tab.used - tab.stored > min(TOUCH, config.SESSION_TIMEOUT / 10):
                    self.touch(tab)

    def touch(self, tab: Tab) -> None:
        """The store learns, with the next batch, when the tab's slot was last used: it may outlive this process."""
        if tab.slot is not None and tab.used > tab.stored:
            tab.stored = tab.used
            self._hub.gate.touch(tab.domain, tab.slot, tab.used)
