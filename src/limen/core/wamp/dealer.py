"""The dealer: calls, to local services and to callees.

A call is in `caller.calls` until its one final answer is sent; a routed call is in `callee.invocations` for just as
long. Whatever comes for it later is dropped without a word: it crossed the answer on the wire.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any, Final

from limen.core.wamp.effects import Ask, Claim, Effect, Effects, Interrupt, Invoke, Send, Unclaim, refuse
from limen.core.wamp.messages import (
    MAX_ID,
    Call,
    Cancel,
    Error,
    Invocation,
    Register,
    Registered,
    Result,
    Unregister,
    Unregistered,
    Yield,
)
from limen.core.wamp.messages import Interrupt as InterruptMessage
from limen.core.wamp.session import Session
from limen.core.wamp.trace import PARENT, carried
from limen.core.wamp.uris import is_reserved, is_uri
from limen.core.wamp.verdict import Authorize, Verdict

CALL: Final = 48
REGISTER: Final = 64
UNREGISTER: Final = 66
INVOCATION: Final = 68

MAX_TIMEOUT: Final = 2**40
"""Milliseconds, some 35 years: longer ones are cut to this."""


class Registration:
    """*hosted*: the callee is at another process; the session here stands for it."""

    __slots__ = ("callee", "forward_timeout", "hosted", "id", "uri")

    def __init__(self, id: int, uri: str, callee: Session, forward_timeout: bool, hosted: bool = False) -> None:
        self.id = id
        self.uri = uri
        self.callee = callee
        self.forward_timeout = forward_timeout
        self.hosted = hosted


class PendingCall:
    """A CALL without its final answer.

    *callee*: None where a local service answers; *invocation*: id of the INVOCATION. *progress*: the caller asked for
    progressive results.
    """

    __slots__ = ("callee", "caller", "invocation", "progress", "request", "timed")

    def __init__(self, caller: Session, request: int, callee: Session | None, invocation: int, progress: bool) -> None:
        self.caller = caller
        self.request = request
        self.callee = callee
        self.invocation = invocation
        self.progress = progress
        self.timed = False


class Dealer:
    """Registrations and calls of one realm. See `Realm` for the arguments."""

    def __init__(
        self,
        procedures: Callable[[str], object | None],
        authorize: Authorize,
        now: Callable[[], float],
        max_pending: int,
        max_registrations: int,
        shared: bool = False,
    ) -> None:
        self._procedures = procedures
        self._shared = shared
        self._claiming: set[str] = set()
        self._authorize = authorize
        self._now = now
        self._max_pending = max_pending
        self._max_registrations = max_registrations
        self._by_uri: dict[str, Registration] = {}
        self._last_registration = 0
        # Calls with a time-out: (deadline, number, call). An answered call stays until it is popped or swept.
        self.deadlines: list[tuple[float, int, PendingCall]] = []
        self._timed = 0
        """How many of them are pending."""
        self.calls = self.answered = self.failed = 0
        """Calls to callees, ever; those with a result, and those that ended with an error or without any answer."""

    # -- registrations ------------------------------------------------------------------------------------------
    def register(self, session: Session, message: Register, verdict: Verdict | None = None) -> Effects:
        uri, options = message.procedure, message.options
        if not is_uri(uri) or is_reserved(uri):
            return refuse(session, REGISTER, message.request, "wamp.error.invalid_uri")
        if options.get("match") not in (None, "exact") or options.get("invoke") not in (None, "single"):
            return refuse(session, REGISTER, message.request, "wamp.error.option_not_allowed")
        if verdict is None and (verdict := self._authorize(session, "register", uri, options)) is None:
            return (Ask(session, "register", uri, options),)
        if not verdict.allow:
            return refuse(session, REGISTER, message.request, verdict.error)
        known = self._by_uri.get(uri)
        if (known is not None and not known.hosted) or uri in self._claiming or self._procedures(uri) is not None:
            return refuse(session, REGISTER, message.request, "wamp.error.procedure_already_exists")
        if len(session.registrations) >= self._max_registrations:
            return refuse(session, REGISTER, message.request, "wamp.error.unavailable")
        if self._shared:  # of a callee elsewhere it may just not be known yet that it is gone
            self._claiming.add(uri)
            return (Claim(session, message),)
        return self._register(session, message)

    def claimed(self, session: Session, message: Register, won: bool) -> Effects:
        """What follows from a `Claim`."""
        uri = message.procedure
        self._claiming.discard(uri)
        if not won:
            return refuse(session, REGISTER, message.request, "wamp.error.procedure_already_exists")
        if not session.attached:
            return (Unclaim(uri),)
        if len(session.registrations) >= self._max_registrations:
            return (Unclaim(uri), *refuse(session, REGISTER, message.request, "wamp.error.unavailable"))
        return self._register(session, message)

    def host(self, session: Session, uri: str, forward_timeout: bool) -> None:
        """A callee at another process, for which *session* stands, has registered *uri*."""
        self._last_registration = id = self._last_registration + 1
        self._by_uri[uri] = session.registrations[id] = Registration(id, uri, session, forward_timeout, hosted=True)

    def unhost(self, uri: str) -> Session | None:
        """It has no longer; calls that it is answering go on. Gives the session that stands for it."""
        registration = self._by_uri.get(uri)
        if registration is None or not registration.hosted:
            return None
        del self._by_uri[uri], registration.callee.registrations[registration.id]
        return registration.callee

    def _register(self, session: Session, message: Register) -> Effects:
        uri, options = message.procedure, message.options
        self._last_registration = id = self._last_registration + 1
        forward_timeout = session.can_time and options.get("forward_timeout") is True
        self._by_uri[uri] = session.registrations[id] = Registration(id, uri, session, forward_timeout)
        return (Send(session, Registered(message.request, id)),)

    def unregister(self, session: Session, message: Unregister) -> Effects:
        # Calls that this registration is answering go on.
        registration = session.registrations.pop(message.registration, None)
        if registration is None:
            return refuse(session, UNREGISTER, message.request, "wamp.error.no_such_registration")
        del self._by_uri[registration.uri]
        answer = Send(session, Unregistered(message.request))
        return (Unclaim(registration.uri), answer) if self._shared else (answer,)

    # -- calls --------------------------------------------------------------------------------------------------
    def call(self, session: Session, message: Call, verdict: Verdict | None = None) -> Effects:
        request, uri, options = message.request, message.procedure, message.options
        procedure = self._procedures(uri)
        registration = None
        if procedure is None:
            registration = self._by_uri.get(uri)
            if registration is None or (session.sealed and not registration.callee.sealed):
                # What a sealed session says is not handed on in clear: to it, such a callee is not there.
                reason = "wamp.error.no_such_procedure" if is_uri(uri) else "wamp.error.invalid_uri"
                return refuse(session, CALL, request, reason)
            if verdict is None and (verdict := self._authorize(session, "call", uri, options)) is None:
                return (Ask(session, "call", uri, options),)
            if not verdict.allow:
                return refuse(session, CALL, request, verdict.error)
        if len(session.calls) >= self._max_pending:
            return refuse(session, CALL, request, "wamp.error.unavailable")
        progress = timeout = None
        if options:
            progress, timeout = options.get("receive_progress"), options.get("timeout")
            if timeout is not None and (type(timeout) is not int or timeout < 0):
                return refuse(session, CALL, request, "wamp.error.invalid_argument")
        if registration is None:
            call = PendingCall(session, request, None, 0, progress is True)
            effect: Effect = Invoke(session, request, uri, procedure, message.args or [], message.kwargs or {}, options)
        else:
            forwarded = timeout if registration.forward_timeout else None
            call, effect = _routed(session, message, registration, progress is True, forwarded)
            self.calls += 1
        session.calls[request] = call
        if timeout:
            self._watch(call, timeout)
        return (effect,)

    def relay(self, session: Session, message: Call, sealed: bool) -> Effects:
        """A call of another process, for whose caller *session* stands: it was let in there. *sealed*: that one's
        session is."""
        request, options = message.request, message.options
        registration = self._by_uri.get(message.procedure)
        if registration is None or registration.hosted or (sealed and not registration.callee.sealed):
            return refuse(session, CALL, request, "wamp.error.no_such_procedure")
        progress = options.get("receive_progress") is True
        call, effect = _routed(session, message, registration, progress, options.get("timeout"))
        session.calls[request] = call
        return (effect,)

    def yield_(self, session: Session, message: Yield) -> Effects | None:
        """None: a protocol violation."""
        call = session.invocations.get(message.request)
        if call is None:
            return () if message.request <= session.last_invocation else None
        if message.options and message.options.get("progress") is True:
            if not call.progress:
                return ()
            details: dict[str, Any] = {"progress": True}
        else:
            self._end(call, answered=True)
            details = {}
        return (Send(call.caller, Result(call.request, details, message.args, message.kwargs)),)

    def error(self, session: Session, message: Error) -> Effects | None:
        """None: a protocol violation."""
        call = session.invocations.get(message.request)
        if message.kind != INVOCATION or (call is None and message.request > session.last_invocation):
            return None
        if call is None:
            return ()
        self._end(call)
        return (Send(call.caller, Error(CALL, call.request, {}, message.error, message.args, message.kwargs)),)

    def cancel(self, session: Session, message: Cancel) -> Effects:
        call = session.calls.get(message.request)
        if call is None:
            return ()
        mode = message.options.get("mode")
        return self._cancel(call, mode if mode in ("skip", "kill") else "killnowait", "wamp.error.canceled")

    def settle(self, session: Session, request: int) -> bool:
        """Whether the final answer of a local service to *request* is still awaited. It is not, from then on."""
        call = session.calls.get(request)
        if call is None or call.callee is not None:
            return False
        del session.calls[request]
        if call.timed:
            self._timed -= 1
        return True

    def stop(self, call: PendingCall, failure: Error) -> Effects:
        """Ends *call* because what its callee says can't be used."""
        self._end(call)
        return [Send(call.caller, failure), *self._interrupt(call, "killnowait")]

    def drop(self, call: PendingCall, failure: Error) -> Effects:
        """Ends *call*, of which its callee knows nothing."""
        self._end(call)
        if call.callee is not None and call.callee.last_invocation == call.invocation:
            call.callee.last_invocation -= 1  # what is sent is numbered without gaps
        return (Send(call.caller, failure),)

    def leave(self, session: Session) -> Effects:
        """Ends whatever *session* has registered, calls and answers, but not local services that run for it."""
        effects: list[Effect] = []
        for call in tuple(session.invocations.values()):
            self._end(call)
            if call.caller is not session:
                effects.append(Send(call.caller, Error(CALL, call.request, {}, "wamp.error.canceled")))
        for call in tuple(session.calls.values()):
            self._end(call)
            if call.callee is not None:
                effects += self._interrupt(call, "killnowait")
        for registration in session.registrations.values():
            del self._by_uri[registration.uri]
            if self._shared and not registration.hosted:
                effects.append(Unclaim(registration.uri))
        session.registrations.clear()
        return effects

    def _cancel(self, call: PendingCall, mode: str, reason: str) -> Effects:
        if call.callee is not None and not call.callee.can_be_interrupted:
            mode = "skip"
        if mode == "kill":
            return self._interrupt(call, mode)
        self._end(call)
        answer = Send(call.caller, Error(CALL, call.request, {}, reason))
        return (answer,) if mode == "skip" else [answer, *self._interrupt(call, mode)]

    def _interrupt(self, call: PendingCall, mode: str) -> Effects:
        callee = call.callee
        if callee is None:
            return (Interrupt(call.caller, call.request, mode),)
        if not callee.can_be_interrupted:
            return ()
        return (Send(callee, InterruptMessage(call.invocation, {"mode": mode})),)

    def _end(self, call: PendingCall, answered: bool = False) -> None:
        del call.caller.calls[call.request]
        if call.callee is not None:
            del call.callee.invocations[call.invocation]
            if call.caller.id > MAX_ID:
                pass  # it stands for callers of another process, where the call is counted
            elif answered:
                self.answered += 1
            else:
                self.failed += 1
        if call.timed:
            self._timed -= 1

    # -- time-outs ----------------------------------------------------------------------------------------------
    def _watch(self, call: PendingCall, timeout: int) -> None:
        call.timed = True
        self._timed += 1
        deadline = self._now() + min(timeout, MAX_TIMEOUT) / 1000
        deadlines = self.deadlines
        if len(deadlines) > 64 and len(deadlines) > 2 * self._timed:
            # Answered long before their time: most calls are.
            deadlines[:] = [entry for entry in deadlines if _is_pending(entry[2])]
            heapify(deadlines)
        heappush(deadlines, (deadline, id(call), call))

    def next_deadline(self) -> float | None:
        deadlines = self.deadlines
        while deadlines and not _is_pending(deadlines[0][2]):
            heappop(deadlines)
        return deadlines[0][0] if deadlines else None

    def tick(self, now: float) -> Effects:
        effects: list[Effect] = []
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            effects += self._cancel(heappop(self.deadlines)[2], "killnowait", "wamp.error.timeout")
        return effects


def _routed(
    caller: Session, message: Call, registration: Registration, progress: bool, timeout: int | None
) -> tuple[PendingCall, Send]:
    """A call to a callee, and the INVOCATION. *timeout*: milliseconds, where the callee is to know them."""
    callee = registration.callee
    callee.last_invocation = invocation = callee.last_invocation + 1
    call = callee.invocations[invocation] = PendingCall(caller, message.request, callee, invocation, progress)
    details: dict[str, Any] = {}
    if progress and callee.can_progress:
        details["receive_progress"] = True
    if timeout:
        details["timeout"] = timeout
    if PARENT in message.options:
        details |= carried(message.options)
    return call, Send(callee, Invocation(invocation, registration.id, details, message.args, message.kwargs))


def _is_pending(call: PendingCall) -> bool:
    return call.caller.calls.get(call.request) is call
