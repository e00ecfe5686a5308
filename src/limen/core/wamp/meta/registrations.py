"""What the realm answers about its registrations (section "Registration Meta API"), and `remove_callee`, Crossbar.io's.

A method gets the session that asks, and what it says; it gives the value of the RESULT, or Told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from limen.core.wamp.calls.registrar import NO_REGISTRATION, Registrar
from limen.core.wamp.calls.registrations import Endpoint, Registration
from limen.core.wamp.effects import MetaError, Told
from limen.core.wamp.messages import MAX_ID
from limen.core.wamp.meta.meta import INVALID, at, the_id, the_text
from limen.core.wamp.session import Session
from limen.core.wamp.uris import EXACT, MATCHES, PREFIX, WILDCARD


class RegistrationMeta:
    """*meta*: what answers, by URI."""

    def __init__(self, registrar: Registrar) -> None:
        self._registrar = registrar
        self._table = registrar.table
        self.meta: dict[str, Callable[[Session, list[Any], dict[str, Any]], Any]] = {
            "wamp.registration.list": self.ids,
            "wamp.registration.lookup": self.lookup,
            "wamp.registration.match": self.match,
            "wamp.registration.get": self.get,
            "wamp.registration.list_callees": self.list_callees,
            "wamp.registration.count_callees": self.count_callees,
            "wamp.registration.remove_callee": self.remove_callee,
        }

    def ids(self, session: Session, args: list[Any], kwargs: dict[str, Any]) -> dict[str, list[int]]:
        return {match: self._table.ids(match) for match in (EXACT, PREFIX, WILDCARD)}

    def lookup(self, session: Session, args: list[Any], kwargs: dict[str, Any]) -> int | None:
        """The registration of just that URI and way to match."""
        uri, options = the_text(args), at(args, 1, dict, kwargs, "options") or {}
        match = options.get("match")
        if match is None:
            match = EXACT
        if type(match) is not str or match not in MATCHES:
            raise MetaError(INVALID, "options.match is exact, prefix or wildcard.")
        found = self._table.get(match, uri)
        return None if found is None else found.id

    def match(self, session: Session, args: list[Any], kwargs: dict[str, Any]) -> int | None:
        """The registration that a call would go to."""
        found = self._table.best(the_text(args))
        return None if found is None else found.id

    def get(self, session: Session, args: list[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        return self._registration(args).details()

    def list_callees(self, session: Session, args: list[Any], kwargs: dict[str, Any]) -> list[int]:
        return [endpoint.callee for endpoint in self._callees(session, args)]

    def count_callees(self, session: Session, args: list[Any], kwargs: dict[str, Any]) -> int:
        return len(self._callees(session, args))

    def remove_callee(self, session: Session, args: list[Any], kwargs: dict[str, Any]) -> Told:
        """Revokes: args are the registration and the session, kwargs may have a `reason`."""
        registration, id = self._registration(args), the_id(args, 1)
        reason = kwargs.get("reason")
        for endpoint in self._callees(session, args):
            if endpoint.callee == id:
                said = reason if type(reason) is str else None
                return Told([None], self._registrar.revoke(registration, endpoint, said))
        raise MetaError("wamp.error.no_such_session", f"Session {id} does not answer registration {registration.id}.")

    def _registration(self, args: list[Any]) -> Registration:
        id = the_id(args)
        found = self._table.by_id.get(id)
        if found is None:
            raise MetaError(NO_REGISTRATION, f"There is no registration {id}.")
        return found

    def _callees(self, asker: Session, args: list[Any]) -> list[Endpoint]:
        """Those whom *asker* may know of: what the router itself answers with is no session, and of sealed ones only
        the sealed hear."""
        return [
            endpoint
            for endpoint in self._registration(args).endpoints
            if endpoint.callee <= MAX_ID and (asker.sealed or not endpoint.session.sealed)
        ]
