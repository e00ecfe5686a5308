"""What other servers of the same database have done that concerns this one: a new password, a user disabled or removed,
a new epoch, an origin that misbehaves. Asked once a second, with one question for each domain."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from limen.door.hub.tabs import Tab

if TYPE_CHECKING:
    from limen.door.hub.hub import Hub
    from limen.door.hub.seat import Signed

    from .vault import Vault

ENDED = {"message": "This session was ended."}


class Elsewhere:
    """*hub*: whose sessions end; *vault*: where the others write it down. For stores that several servers share."""

    def __init__(self, hub: Hub, vault: Vault) -> None:
        self._hub, self._vault = hub, vault
        self._last: dict[str, int] = {}
        self._seen: dict[str, int] = {}
        """By domain: how many ends of sessions there were, when it was asked last, and the time before."""

    async def listen(self, domains: Iterable[str]) -> None:
        """Takes up what other servers have found out about origins. On the loop."""
        ledger, now = self._hub.gate.ledger, time.time()
        for domain in domains:
            ledger.hear(await asyncio.to_thread(self._vault.ledger_store.news, domain, now), now)

    async def look(self) -> None:
        """Ends here what was ended elsewhere. On the loop."""
        sessions: dict[str, list[Tab | Signed]] = {}
        for session in (*self._hub.tabs, *self._hub.logins.signed()):
            sessions.setdefault(session.domain, []).append(session)
        for domain in [domain for domain in self._seen if domain not in sessions]:
            del self._seen[domain], self._last[domain]  # who comes there later is looked at, whatever was before
        for domain, there in sessions.items():
            number, gone = await asyncio.to_thread(self._gone, domain, there)
            # News are looked at twice: a session may have begun meanwhile with what was read before them.
            self._seen[domain] = self._last.get(domain, -1)
            self._last[domain] = number
            for session in gone:
                self._hub.gate.endings += 1
                if not isinstance(session, Tab):
                    session.goodbye("wamp.close.logout", ENDED)
                elif not session.over:
                    self._hub.logins.end(session, "wamp.close.logout", ENDED)

    def _gone(self, domain: str, sessions: Iterable[Tab | Signed]) -> tuple[int, list[Tab | Signed]]:
        """On a thread: which of *sessions* are over, by what the store says."""
        number, users = self._vault.accounts.ended(domain, self._seen.get(domain))
        concerned = [session for session in sessions if users is None or not users_of(session).isdisjoint(users)]
        return number, [session for session in concerned if not self._is_alive(session)]

    def _is_alive(self, session: Tab | Signed) -> bool:
        account = self._vault.accounts.get(session.domain, _user(session))
        if account is None or account.disabled:
            return False
        for name in users_of(session) - {account.user}:  # as whom they act
            other = self._vault.accounts.get(session.domain, name)
            if other is None or other.disabled:
                return False
        if session.key and self._vault.machines.get(session.domain, session.key) is None:
            return False
        if not isinstance(session, Tab):
            return True
        if session.slot is not None:  # it ends with a new password, unless that was set in this very session
            return self._vault.slots.get(session.domain, session.slot) is not None
        return account.record == session.record


def _user(session: Tab | Signed) -> str:
    return (session.user if isinstance(session, Tab) else session.principal.user) or ""


def users_of(session: Tab | Signed) -> set[str]:
    """Its user, and the one as whom they act."""
    acting = session.acting if isinstance(session, Tab) else ""
    return {_user(session), acting} - {""}


def begin_epoch(hub: Hub, epoch: int) -> None:
    """A new epoch, begun by another server that found the database put back from a backup: all sessions are over."""
    if hub.gate.epoch != epoch:
        hub.gate.epoch = epoch
        hub.gate.endings += 1
        for tab in hub.tabs:
            hub.logins.end(tab, "wamp.close.logout", ENDED, "restored")
