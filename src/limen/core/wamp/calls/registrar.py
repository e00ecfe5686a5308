"""The half of the dealer that knows who answers: REGISTER, UNREGISTER, revocation, and callees that leave.

Calls that a callee is answering go on when its registration ends; only the end of its session ends them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from limen.core.wamp.calls.registrations import INVOKES, SINGLE, Endpoint, Registration, Registrations
from limen.core.wamp.effects import Ask, Claim, Effect, Effects, Happened, Send, Unclaim, refuse, unheard
from limen.core.wamp.ids import common_id
from limen.core.wamp.messages import REGISTER, UNREGISTER, Register, Registered, Unregister, Unregistered, integer
from limen.core.wamp.session import Session
from limen.core.wamp.uris import EXACT, MATCHES, is_pattern, is_reserved
from limen.core.wamp.verdict import Authorize, Verdict

EXISTS: Final = "wamp.error.procedure_already_exists"
NO_REGISTRATION: Final = "wamp.error.no_such_registration"


class Registrar:
    """The registrations of one realm. See `Realm` for the arguments. *table*: what is registered."""

    def __init__(
        self,
        procedures: Callable[[str], object | None],
        authorize: Authorize,
        max_registrations: int,
        shared: bool,
        wall: Callable[[], float],
        happened: Happened = unheard,
    ) -> None:
        self._procedures = procedures
        self._authorize = authorize
        self._max_registrations = max_registrations
        self._shared = shared
        self._wall = wall
        self.happened = happened
        self.table = Registrations(common_id if shared else None)

    # -- REGISTER -----------------------------------------------------------------------------------------------
    def register(self, session: Session, message: Register, verdict: Verdict | None = None) -> Effects:
        uri, options, request = message.procedure, message.options, message.request
        match, invoke, reason = _meant(options)
        if reason is None and (not is_pattern(uri, match) or is_reserved(uri)):
            reason = "wamp.error.invalid_uri"
        forced = options.get("force_reregister") is True
        if reason is not None:
            return refuse(session, REGISTER, request, reason)
        if verdict is None and (verdict := self._authorize(session, "register", uri, options)) is None:
            return (Ask(session, "register", uri, options),)
        if not verdict.allow:
            return refuse(session, REGISTER, request, verdict.error)
        known = self.table.get(match, uri)
        if match == EXACT and self._procedures(uri) is not None:
            return refuse(session, REGISTER, request, EXISTS)
        if known is not None and not known.hosted and not forced and (why := _clash(known, session, invoke)):
            return refuse(session, REGISTER, request, EXISTS, why)
        if len(session.registrations) >= self._max_registrations:
            return self._too_many(session, request)
        if self._shared:  # of a callee elsewhere it may just not be known yet that it is gone
            return (Claim(session, message, match, invoke, forced),)
        effects = self._evict(known, f"session {session.id} has registered it instead") if known and forced else ()
        return [*effects, *self._register(session, message, match, invoke)]

    def claimed(self, session: Session, message: Register, number: int, created: float = 0.0) -> Effects:
        """What follows from a `Claim`. *number*: the callee's among those of all processes; 0: it may not. *created*:
        when its registration came to be, as the others were told."""
        uri, request, options = message.procedure, message.request, message.options
        if not number:
            return refuse(session, REGISTER, request, EXISTS)
        match, invoke, _ = _meant(options)
        free = Unclaim(match, uri, number)
        if not session.attached:
            return (free,)
        effects: list[Effect] = []
        known = self.table.get(match, uri)
        if known is not None and options.get("force_reregister") is True:
            effects += self._evict(known, f"session {session.id} has registered it instead", number)
        elif known is not None and known.id in session.registrations:
            return [free, *refuse(session, REGISTER, request, EXISTS, "This session has registered it already.")]
        if len(session.registrations) >= self._max_registrations:
            return [free, *effects, *self._too_many(session, request)]
        self._make_room(match, uri, invoke)
        return [*effects, *self._register(session, message, match, invoke, number, created)]

    def _make_room(self, match: str, uri: str, invoke: str) -> None:
        """Callees elsewhere that can't be beside a new one are gone: it would not have got its number."""
        known = self.table.get(match, uri)
        if known is not None and (invoke == SINGLE or known.invoke != invoke):
            for endpoint in tuple(known.endpoints):
                if endpoint.hosted:
                    self._part(known, endpoint.session)

    def _too_many(self, session: Session, request: int) -> Effects:
        sentence = f"A session registers at most {self._max_registrations} procedures: unregister some first."
        return refuse(session, REGISTER, request, "wamp.error.unavailable", sentence)

    def _register(
        self, session: Session, message: Register, match: str, invoke: str, number: int = 0, created: float = 0.0
    ) -> Effects:
        uri, options = message.procedure, message.options
        registration = self.table.get(match, uri)
        happened: list[Effect] = []
        if registration is None:
            registration = self.table.new(uri, match, invoke, created or self._wall())
            happened += self._tell("on_create", session, registration.details())
        registration.add(
            Endpoint(
                session,
                forward_timeout=session.can_time and options.get("forward_timeout") is True,
                disclose=options.get("disclose_caller") is True,
                concurrency=integer(options.get("concurrency")) or 0,
                number=number,
            )
        )
        session.registrations[registration.id] = registration
        happened += self._tell("on_register", session, registration.id)
        return [Send(session, Registered(message.request, registration.id)), *happened]

    # -- the end of a registration ------------------------------------------------------------------------------
    def unregister(self, session: Session, message: Unregister) -> Effects:
        registration = session.registrations.get(message.registration)
        if registration is None:
            return refuse(session, UNREGISTER, message.request, NO_REGISTRATION)
        effects = self._part(registration, session)
        effects.insert(1 if self._shared else 0, Send(session, Unregistered(message.request)))  # it is free before
        return effects

    def revoke(self, registration: Registration, endpoint: Endpoint, reason: str | None = None) -> Effects:
        """A callee is taken out of *registration*, and told so if it announced that it understands (section
        "Registration Revocation")."""
        session = endpoint.session
        details: dict[str, Any] = {"registration": registration.id}
        if reason is not None:
            details["reason"] = reason
        told = Send(session, Unregistered(0, details))
        if endpoint.hosted:
            return (told,)  # the session is a stand-in: it is done where the callee is
        effects: list[Effect] = [told] if "callee.registration_revocation" in session.features else []
        return effects + self._part(registration, session)

    def leave(self, session: Session) -> Effects:
        """*session* is gone, and all that it registered."""
        effects: list[Effect] = []
        for registration in tuple(session.registrations.values()):
            effects += self._part(registration, session)
        return effects

    def _evict(self, registration: Registration, reason: str, before: int = 0) -> Effects:
        """Makes room for who insists (`force_reregister`). *before*: their number; later ones are beside them."""
        effects: list[Effect] = []
        for endpoint in tuple(registration.endpoints):
            if endpoint.hosted:
                self._part(registration, endpoint.session)
            elif not before or endpoint.number < before:
                effects += self.revoke(registration, endpoint, reason)
        return effects

    def _part(self, registration: Registration, session: Session) -> list[Effect]:
        """*session* is one of its callees no longer; what happens by that."""
        endpoint = registration.remove(session)
        del session.registrations[registration.id]
        if not registration.endpoints:
            self.table.delete(registration)
        if endpoint.hosted:
            return []
        effects: list[Effect] = []
        if self._shared:
            effects.append(Unclaim(registration.match, registration.uri, endpoint.number))
        effects += self._tell("on_unregister", session, registration.id)
        if not registration.endpoints:
            effects += self._tell("on_delete", session, registration.id)
        return effects

    def _tell(self, what: str, session: Session, about: Any) -> list[Effect]:
        return [*self.happened(f"wamp.registration.{what}", [session.id, about], about=session)]

    # -- callees of other processes -----------------------------------------------------------------------------
    def host(self, uri: str, match: str, invoke: str, created: float, endpoint: Endpoint, evicts: str = "") -> Effects:
        """A callee at another process, for which the session of *endpoint* stands, has registered *uri*. *evicts*: why
        those before it are over."""
        known = self.table.get(match, uri)
        effects = self._evict(known, evicts, endpoint.number) if known is not None and evicts else ()
        self._make_room(match, uri, invoke)
        registration = self.table.get(match, uri) or self.table.new(uri, match, invoke, created)
        registration.add(endpoint)
        endpoint.session.registrations[registration.id] = registration
        return effects

    def unhost(self, match: str, uri: str, number: int) -> None:
        """It has no longer; calls that it is answering go on."""
        registration = self.table.get(match, uri)
        endpoint = registration.numbered(number) if registration is not None else None
        if registration is not None and endpoint is not None and endpoint.hosted:
            self._part(registration, endpoint.session)

    def revoke_here(self, match: str, uri: str, number: int, reason: str | None) -> Effects:
        """Another process was asked to revoke what a callee here has registered."""
        registration = self.table.get(match, uri)
        endpoint = registration.numbered(number) if registration is not None else None
        if registration is None or endpoint is None or endpoint.hosted:
            return ()
        return self.revoke(registration, endpoint, reason)


def _meant(options: dict[str, Any]) -> tuple[str, str, str | None]:
    """How a REGISTER matches, which of its callees is called, and what is wrong with its options."""
    match, invoke, concurrency = options.get("match"), options.get("invoke"), options.get("concurrency")
    match, invoke = EXACT if match is None else match, SINGLE if invoke is None else invoke
    if type(match) is not str or type(invoke) is not str or match not in MATCHES or invoke not in INVOKES:
        return EXACT, SINGLE, "wamp.error.option_not_allowed"
    if concurrency is not None and (integer(concurrency) or 0) < 1:
        return match, invoke, "wamp.error.invalid_argument"
    return match, invoke, None


def _clash(known: Registration, session: Session, invoke: str) -> str:
    """Why *session* cannot be a further callee of *known*, "" if it can."""
    if known.invoke != invoke:
        return f"It is registered with invoke={known.invoke}, and cannot be with invoke={invoke} as well."
    if invoke == SINGLE:
        return "It is registered for one callee alone (invoke=single)."
    if known.id in session.registrations:
        return "This session has registered it already."
    return ""
