"""Permissions of an App: its records, and the rulebook that its pipeline asks (`limen.service.rulebook`).

grant, revoke     into the store, then into the rulebook of this process
look              once a second: has another process of the same database changed anything?
"""

from __future__ import annotations

import builtins
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from limen import exc
from limen.base.names import domain_name
from limen.core.guard.accounts import Permission
from limen.service.rulebook import Rulebook, pattern_of

if TYPE_CHECKING:
    from limen.core.guard.accounts import PermissionStore

    from .app import App


class Permissions:
    """See the module. May be used from any thread."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.rulebook = Rulebook()
        self._seen: dict[str, int] = {}
        """By domain: how often its permissions had changed when they were read."""

    @property
    def store(self) -> PermissionStore:
        from limen.store.permissions import Permissions as Store

        return Store(self._app.auth_storage().permission.records)

    # -- from the program and the command -----------------------------------------------------------------------
    def grant(self, role: str, pattern: str, domain: str | None) -> bool:
        tenant, role, pattern = self._names(role, pattern, domain)
        return self._changed(tenant, self.store.grant(tenant, role, pattern))

    def revoke(self, role: str, pattern: str, domain: str | None) -> bool:
        tenant, role, pattern = self._names(role, pattern, domain)
        return self._changed(tenant, self.store.revoke(tenant, role, pattern))

    def list(self, domain: str | None) -> builtins.list[Permission]:
        return self.store.list(domain_name(domain) if domain else None)

    # -- in the rulebook ----------------------------------------------------------------------------------------
    def load(self) -> None:
        """All rules of all domains that the store knows. Where nothing is kept there are none: no store is opened."""
        app = self._app
        if app.has_storage() or app.config.DB or os.environ.get("LIMEN_DB"):
            self.rulebook.by_domain.clear()
            for domain in app.auth_storage().permission.records.domains():
                self._put(domain, *self._read(domain))

    def news(self, domains: Iterable[str]) -> dict[str, tuple[int, builtins.list[Permission]]]:
        """On a thread: what has changed in these domains since they were read; for `take`."""
        store = self.store
        return {domain: self._read(domain) for domain in domains if store.changes(domain) != self._seen.get(domain, 0)}

    def take(self, news: dict[str, tuple[int, builtins.list[Permission]]]) -> None:
        """On the loop: puts `news` into the rulebook. Who may not listen any more where they do begins anew."""
        for domain, read in news.items():
            self._put(domain, *read)
            if self._app.hub is not None:
                self._app.hub.review(domain)

    def _read(self, domain: str) -> tuple[int, builtins.list[Permission]]:
        store = self.store
        return store.changes(domain), store.list(domain)  # in this order: what comes between is read again

    def _put(self, domain: str, changes: int, permissions: Iterable[Permission]) -> None:
        self._seen[domain] = changes
        self.rulebook.set(domain, [(p.role, p.pattern) for p in permissions])

    def _changed(self, domain: str, done: bool) -> bool:
        if done:
            news = self.news([domain])
            self._app.on_loop(lambda: self.take(news))
        return done

    def _names(self, role: str, pattern: str, domain: str | None) -> tuple[str, str, str]:
        if not isinstance(role, str) or not role.strip():
            raise exc.InvalidValue("A role is a text: 'nurse', say.")
        return domain_name(domain or self._app.config.DOMAIN), role, pattern_of(pattern)
