"""The half of the dealer that knows who answers: REGISTER, UNREGISTER, revocation, and callees that leave.

Calls that a callee is answering go on when its registration ends; only the end of its session ends them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from limen.core.wamp.effects import Ask, Claim, Effect, Effects, Happened, Send, Unclaim, refuse, unheard
from limen.core.wamp.messages import Register, Registered, Unregister, Unregistered, integer
from limen.core.wamp.registrations import INVOKES, SINGLE, Endpoint, Registration, Registrations
from limen.core.wamp.session import Session
from limen.core.wamp.uris import EXACT, MATCHES, is_pattern, is_reserved
from limen.core.wamp.verdict import Authorize, Verdict

REGISTER: Final = 64
UNREGISTER: Final = 66

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
        self.table = Registrations()
        self._claiming: set[str] = set()

    # -- REGISTER -----------------------------------------------------------------------------------------------
    def register(self, session: Session, message: Register, verdict: Verdict | None = None) -> Effects:
        uri, options, request = message.procedure, message.options, message.request
        match, invoke, reason = _meant(options)
        if reason is None and (not is_pattern(uri, match) or is_reserved(uri)):
            reason = "wamp.error.invalid_uri"
        forced = options.get("force_reregister") is True
        if reason is None and self._shared and (match != EXACT or invoke != SINGLE or forced):
            reason = "wamp.error.option_not_allowed"  # the processes of a server agree on single exact ones only
        if reason is not None:
            return refuse(session, REGISTER, request, reason)
        if verdict is None and (verdict := self._authorize(session, "register", uri, options)) is None:
            return (Ask(session, "register", uri, options),)
        if not verdict.allow:
            return refuse(session, REGISTER, request, verdict.error)
        known = self.table.get(match, uri)
        if uri in self._claiming or (match == EXACT and self._procedures(uri) is not None):
            return refuse(session, REGISTER, request, EXISTS)
        if known is not None and not known.hosted and not forced and (why := _clash(known, session, invoke)):
            return refuse(session, REGISTER, request, EXISTS, why)
        if len(session.registrations) >= self._max_registrations:
            return self._too_many(session, request)
        if self._shared:  # of a callee elsewhere it may just not be known yet that it is gone
            self._claiming.add(uri)
            return (Claim(session, message),)
        effects = self._evict(known, session) if known is not None and forced else ()
        return [*effects, *self._register(session, message, match, invoke)]

    def claimed(self, session: Session, message: Register, won: bool) -> Effects:
        """What follows from a `Claim`."""
        uri = message.procedure
        self._claiming.discard(uri)
        if not won:
            return refuse(session, REGISTER, message.request, EXISTS)
        if not session.attached:
            return (Unclaim(uri),)
        if len(session.registrations) >= self._max_registrations:
            return (Unclaim(uri), *self._too_many(session, message.request))
        if (stale := self.table.get(EXACT, uri)) is not None:
            for endpoint in tuple(stale.endpoints):
                self._part(stale, endpoint.session)
        return self._register(session, message, EXACT, SINGLE)

    def _too_many(self, session: Session, request: int) -> Effects:
        sentence = f"A session registers at most {self._max_registrations} procedures: unregister some first."
        return refuse(session, REGISTER, request, "wamp.error.unavailable", sentence)

    def _register(self, session: Session, message: Register, match: str, invoke: str) -> Effects:
        uri, options = message.procedure, message.options
        registration = self.table.get(match, uri)
        happened: list[Effect] = []
        if registration is None:
            registration = self.table.new(uri, match, invoke, self._wall())
            happened += self._tell("on_create", session, registration.details())
        registration.endpoints.append(
            Endpoint(
                session,
                forward_timeout=session.can_time and options.get("forward_timeout") is True,
                disclose=options.get("disclose_caller") is True,
                concurrency=integer(options.get("concurrency")) or 0,
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
        happened = self._part(registration, session)
        answer = Send(session, Unregistered(message.request))
        return [Unclaim(registration.uri), answer, *happened] if self._shared else [answer, *happened]

    def revoke(self, registration: Registration, session: Session, reason: str | None = None) -> Effects:
        """*session* is taken out of *registration*, and told so if it announced that it understands (section
        "Registration Revocation")."""
        effects: list[Effect] = [Unclaim(registration.uri)] if self._shared else []
        if "callee.registration_revocation" in session.features:
            details: dict[str, Any] = {"registration": registration.id}
            if reason is not None:
                details["reason"] = reason
            effects.append(Send(session, Unregistered(0, details)))
        return effects + self._part(registration, session)

    def leave(self, session: Session) -> Effects:
        """*session* is gone, and all that it registered."""
        effects: list[Effect] = []
        for registration in tuple(session.registrations.values()):
            if self._shared and not registration.hosted:
                effects.append(Unclaim(registration.uri))
            effects += self._part(registration, session)
        return effects

    def _evict(self, registration: Registration, by: Session) -> Effects:
        """Makes room for *by*, who insists (`force_reregister`)."""
        effects: list[Effect] = []
        for endpoint in tuple(registration.endpoints):
            effects += self.revoke(registration, endpoint.session, f"session {by.id} has registered it instead")
        return effects

    def _part(self, registration: Registration, session: Session) -> list[Effect]:
        """*session* is one of its callees no longer; what happens by that."""
        endpoint = registration.remove(session)
        del session.registrations[registration.id]
        if not registration.endpoints:
            self.table.delete(registration)
        if endpoint.hosted:
            return []
        effects = self._tell("on_unregister", session, registration.id)
        if not registration.endpoints:
            effects += self._tell("on_delete", session, registration.id)
        return effects

    def _tell(self, what: str, session: Session, about: Any) -> list[Effect]:
        return [*self.happened(f"wamp.registration.{what}", [session.id, about], about=session)]

    # -- callees of other processes -----------------------------------------------------------------------------
    def host(self, session: Session, uri: str, forward_timeout: bool, match: str = EXACT, invoke: str = SINGLE) -> None:
        """A callee at another process, for which *session* stands, has registered *uri*."""
        registration = self.table.get(match, uri) or self.table.new(uri, match, invoke, self._wall())
        registration.endpoints.append(Endpoint(session, forward_timeout=forward_timeout, hosted=True))
        session.registrations[registration.id] = registration

    def unhost(self, uri: str, match: str = EXACT) -> Session | None:
        """It has no longer; calls that it is answering go on. Gives the session that stands for it."""
        registration = self.table.get(match, uri)
        for endpoint in registration.endpoints if registration is not None else ():
            if endpoint.hosted:
                self._part(registration, endpoint.session)  # type: ignore[arg-type]
                return endpoint.session
        return None


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
