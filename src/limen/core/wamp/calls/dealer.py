"""The dealer: calls, to local services and to callees.

A call is in `caller.calls` until its one final answer is sent; a routed call is in `callee.invocations` for just as
long. Whatever comes for it later is dropped without a word: it crossed the answer on the wire.

Who answers what: `registrar.py`. Where a call's options say nothing, and nearly none do, nothing is looked at twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import heapify, heappop, heappush, heapreplace
from typing import Any, Final, Protocol

from limen.core.wamp.calls.pending import Parts, PendingCall
from limen.core.wamp.calls.registrar import Registrar
from limen.core.wamp.calls.registrations import SINGLE, Endpoint, Registration
from limen.core.wamp.effects import (
    NOBODY,
    Ask,
    Effect,
    Effects,
    Interrupt,
    Invoke,
    Send,
    Violation,
    refuse,
    refuse_call,
)
from limen.core.wamp.messages import (
    CALL,
    INVOCATION,
    MAX_ID,
    YIELD,
    Call,
    Cancel,
    Error,
    Invocation,
    Result,
    Yield,
    integer,
)
from limen.core.wamp.messages import Interrupt as InterruptMessage
from limen.core.wamp.passthru import passthru
from limen.core.wamp.session import Session
from limen.core.wamp.trace import PARENT, carried
from limen.core.wamp.uris import is_uri
from limen.core.wamp.verdict import Authorize, Verdict

MAX_TIMEOUT: Final = 2**40
"""Milliseconds, some 35 years: longer ones are cut to this."""

CANCELED: Final = "wamp.error.canceled"
INVALID_ARGUMENT: Final = "wamp.error.invalid_argument"
OUTCOME_UNKNOWN: Final = "limen.error.outcome_unknown"
UNAVAILABLE: Final = "wamp.error.unavailable"
NOT_SUPPORTED: Final = "wamp.error.feature_not_supported"
NO_DISCLOSURE: Final = "wamp.error.option_disallowed.disclose_me"


class Own(Protocol):
    """What answers the router's own procedures: `limen.core.wamp.meta`."""

    methods: Mapping[str, Any]

    def call(self, session: Session, message: Call, verdict: Verdict | None) -> Effects: ...


class Dealer:
    """The calls of one realm. See `Realm` for the arguments. *chance*: a number from 0 to below its argument.

    *own*: what the realm answers itself: the meta API.
    """

    def __init__(
        self,
        procedures: Callable[[str], object | None],
        authorize: Authorize,
        now: Callable[[], float],
        chance: Callable[[int], int],
        registrar: Registrar,
        max_pending: int,
        max_invocations: int,
    ) -> None:
        self._procedures = procedures
        self._authorize = authorize
        self._now = now
        self._chance = chance
        self._max_pending = max_pending
        self._max_invocations = max_invocations
        self._exact = registrar.table.exact
        self._best = registrar.table.best
        self.own: Own | None = None
        # Calls with a time-out: (not due before, number, call). An answered call stays until it is popped or swept.
        self.deadlines: list[tuple[float, int, PendingCall]] = []
        self._timed = 0
        """How many of them are pending."""
        self.calls = self.answered = self.failed = 0
        """Calls to callees, ever; those with a result, and those that ended with an error or without any answer."""

    # -- CALL ---------------------------------------------------------------------------------------------------
    def call(self, session: Session, message: Call, verdict: Verdict | None = None) -> Effects:
        uri = message.procedure
        procedure = self._procedures(uri)
        if procedure is not None:
            return self._serve(session, message, procedure)
        if message.options:
            _lawful(session, message.options)
            if message.options.get("x_repeat") is True:  # it was sent before the connection was lost, and may have run
                return refuse(session, CALL, message.request, OUTCOME_UNKNOWN)
        registration = self._exact.get(uri) or self._best(uri)
        if registration is None:
            if (own := self.own) is not None and uri in own.methods:
                refused = _beyond_a_service(session, message) if message.options else ()
                return refused or own.call(session, message, verdict)
            if not is_uri(uri):
                return refuse(session, CALL, message.request, "wamp.error.invalid_uri")
        # Who may not call does not learn what there is to be called.
        if verdict is None and (verdict := self._authorize(session, "call", uri, message.options)) is None:
            return (Ask(session, "call", uri, message.options),)
        if not verdict.allow:
            return refuse_call(session, message, verdict.error)
        if registration is None:
            return refuse_call(session, message, NOBODY)
        return self._route(session, message, registration, verdict)

    def _serve(self, session: Session, message: Call, procedure: object) -> Effects:
        """A local service answers."""
        request, options = message.request, message.options
        if len(session.calls) >= self._max_pending:
            return self._too_many(session, request)
        progress, timeout = False, None
        if options:
            if refused := _beyond_a_service(session, message):
                return refused
            progress = options.get("receive_progress") is True
            timeout = options.get("timeout")
            if timeout is not None and ((timeout := integer(timeout)) is None or timeout < 0):
                return refuse(session, CALL, request, INVALID_ARGUMENT)
        call = session.calls[request] = PendingCall(session, request, None, 0, progress)
        if timeout:
            self._watch(call, timeout)
        args, kwargs = message.args or [], message.kwargs or {}
        return (Invoke(session, request, message.procedure, procedure, args, kwargs, options),)

    def _route(self, session: Session, message: Call, registration: Registration, verdict: Verdict) -> Effects:
        """A callee answers: it gets the INVOCATION."""
        request, options = message.request, message.options
        if len(session.calls) >= self._max_pending and session.id <= MAX_ID:  # the router itself asks for many
            return self._too_many(session, request)
        disclose = verdict.disclose
        details: dict[str, Any] = {}
        progress, parts, timeout = False, False, None
        if options:
            details = passthru(session, options, "caller")
            parts = options.get("progress") is True
            progress = options.get("receive_progress") is True
            timeout = options.get("timeout")
            if timeout is not None and ((timeout := integer(timeout)) is None or timeout < 0):
                return refuse(session, CALL, request, INVALID_ARGUMENT)
            if options.get("disclose_me") is True:
                if not verdict.may_disclose:
                    return refuse(session, CALL, request, NO_DISCLOSURE)
                disclose = True
        if registration.invoke == SINGLE and not session.sealed:
            endpoint = registration.endpoints[0]
        elif (picked := registration.pick(_is_secret(session), self._chance, self._max_invocations)) is not None:
            endpoint = picked
        else:
            return refuse_call(session, message, NOBODY)
        callee = endpoint.session
        if details and "callee.payload_passthru_mode" not in callee.features:
            return refuse(session, CALL, request, NOT_SUPPORTED, "The callee does not take payloads as they are (ppt).")
        if parts and not _takes_parts(callee):
            return refuse(session, CALL, request, NOT_SUPPORTED, "The callee does not take a call in parts.")
        if (callee.busy or endpoint.concurrency or len(callee.invocations) >= self._max_invocations) and (
            why := endpoint.why_full(self._max_invocations)
        ):
            return refuse(session, CALL, request, UNAVAILABLE, f"{message.procedure}: {why}")
        if registration.pattern:
            details["procedure"] = message.procedure
        if disclose or (endpoint.disclose and verdict.may_disclose):
            details["caller"] = session.id
            details["caller_authid"] = session.authid
            details["caller_authrole"] = session.authrole
        if verdict.trust is not None:
            details["trustlevel"] = verdict.trust
        if PARENT in options:
            details |= carried(options)
        self.calls += 1
        return self._invoke(session, message, registration.id, endpoint, details, progress, parts, timeout)

    def _invoke(
        self,
        caller: Session,
        message: Call,
        registration: int,
        endpoint: Endpoint,
        details: dict[str, Any],
        progress: bool,
        parts: bool,
        timeout: int | None,
    ) -> Effects:
        callee, request = endpoint.session, message.request
        callee.last_invocation = number = callee.last_invocation + 1
        call = PendingCall(caller, request, callee, number, progress)
        callee.invocations[number] = caller.calls[request] = call
        if endpoint.concurrency:
            call.endpoint = endpoint
            endpoint.running += 1
        if progress and callee.can_progress:
            details["receive_progress"] = True
        if timeout:
            if endpoint.forward_timeout:
                details["timeout"] = timeout
            self._watch(call, timeout)
        if parts:
            call.parts = Parts(message.procedure, registration, details)
            details = {**details, "progress": True}
        return (Send(callee, Invocation(number, registration, details, message.args, message.kwargs)),)

    def proceed(self, session: Session, message: Call, failure: Error | None = None) -> Effects:
        """A CALL under an id that was used before: a further part of that call. *failure*: its payload can't be used.

        Of a call that is over it crossed the answer, and is dropped (section "Continuations on Completed Calls").
        """
        request = message.request
        if "caller.progressive_call_invocations" not in session.features:
            raise Violation(f"request {request} came where {session.next_request} was due")
        call = session.calls.get(request)
        if call is None:
            return ()
        parts, callee = call.parts, call.callee
        if parts is None or callee is None or parts.over or parts.uri != message.procedure:
            raise Violation(f"request {request} is no progressive call of {message.procedure} that goes on")
        if failure is None and callee.busy:
            sentence = "The callee does not read what it is sent as fast as it comes: call again later."
            failure = Error(CALL, request, {}, UNAVAILABLE, [f"{parts.uri}: {sentence}"])
        if failure is not None:
            return self.stop(call, failure)
        parts.count += 1
        details = parts.details
        if message.options.get("progress") is True:
            details = {**details, "progress": True}
        else:
            parts.over = True
        return (Send(callee, Invocation(call.invocation, parts.registration, details, message.args, message.kwargs)),)

    def relay(self, session: Session, message: Call, registration: Registration, endpoint: Endpoint) -> Effects:
        """A call of another process, for whose caller *session* stands: it was let in there. Its options are what the
        INVOCATION says; *endpoint* was chosen there."""
        if why := endpoint.why_full(self._max_invocations):
            return refuse(session, CALL, message.request, UNAVAILABLE, f"{message.procedure}: {why}")
        details = dict(message.options)
        parts = details.pop("progress", None) is True
        progress = details.get("receive_progress") is True
        return self._invoke(session, message, registration.id, endpoint, details, progress, parts, None)

    def withdraw(self, session: Session, request: int, mode: str, reason: str) -> Effects:
        """A call of another process is over there, or shall be."""
        call = session.calls.get(request)
        return () if call is None else self._cancel(call, mode, reason)

    def _too_many(self, session: Session, request: int) -> Effects:
        sentence = f"A session has at most {self._max_pending} calls without an answer: wait for some first."
        return refuse(session, CALL, request, UNAVAILABLE, sentence)

    # -- answers ------------------------------------------------------------------------------------------------
    def yield_(self, session: Session, message: Yield) -> Effects | None:
        """None: a protocol violation."""
        call = session.invocations.get(message.request)
        details: dict[str, Any] = {}
        if message.options:
            details = passthru(session, message.options, "callee")
            if details and call is not None and "caller.payload_passthru_mode" not in call.caller.features:
                return self._unreadable(call)
            if message.options.get("progress") is True:
                details["progress"] = True
        if call is None:
            return () if message.request <= session.last_invocation else None
        if "progress" not in details:
            self._end(call, answered=True)
        elif not call.progress:
            return ()
        elif call.timeout:
            call.due = self._now() + call.timeout
        return (Send(call.caller, Result(call.request, details, message.args, message.kwargs)),)

    def _unreadable(self, call: PendingCall) -> Effects:
        """The caller could make nothing of the payload: both are told (section "Payload Passthru Mode")."""
        sentence = "The caller does not take payloads as they are (ppt)."
        failure = Error(CALL, call.request, {}, NOT_SUPPORTED, [sentence])
        assert call.callee is not None
        to_callee = Error(YIELD, call.invocation, {}, NOT_SUPPORTED, [sentence])
        self._end(call)
        return [Send(call.caller, failure), Send(call.callee, to_callee)]

    def error(self, session: Session, message: Error) -> Effects | None:
        """None: a protocol violation."""
        call = session.invocations.get(message.request)
        if message.kind != INVOCATION or (call is None and message.request > session.last_invocation):
            return None
        if call is None:
            return ()
        details = passthru(session, message.details, "callee") if message.details else {}
        self._end(call)
        return (Send(call.caller, Error(CALL, call.request, details, message.error, message.args, message.kwargs)),)

    def cancel(self, session: Session, message: Cancel) -> Effects:
        call = session.calls.get(message.request)
        if call is None:
            return ()
        mode = message.options.get("mode")
        return self._cancel(call, mode if mode in ("skip", "kill") else "killnowait", CANCELED)

    def settle(self, session: Session, request: int) -> bool:
        """Whether the final answer of a local service to *request* is still awaited. It is not, from then on."""
        call = session.calls.get(request)
        if call is None or call.callee is not None:
            return False
        del session.calls[request]
        if call.timeout:
            self._timed -= 1
        return True

    def progressed(self, session: Session, request: int) -> bool:
        """Whether a progressive result of a local service to *request* is awaited; its time-out begins anew then."""
        call = session.calls.get(request)
        if call is None:
            return False
        if call.timeout:
            call.due = self._now() + call.timeout
        return True

    def stop(self, call: PendingCall, failure: Error) -> Effects:
        """Ends *call* because what is said in it can't be used."""
        self._end(call)
        return [Send(call.caller, failure), *self._interrupt(call, "killnowait", failure.error)]

    def drop(self, call: PendingCall, failure: Error) -> Effects:
        """Ends *call*, whose last INVOCATION has not reached its callee."""
        if call.parts is not None and call.parts.count > 1:
            return self.stop(call, failure)
        self._end(call)
        if call.callee is not None and call.callee.last_invocation == call.invocation:
            call.callee.last_invocation -= 1  # what is sent is numbered without gaps
        return (Send(call.caller, failure),)

    def leave(self, session: Session) -> Effects:
        """Ends whatever *session* calls and answers, but not local services that run for it."""
        effects: list[Effect] = []
        for call in tuple(session.invocations.values()):
            self._end(call)
            if call.caller is not session:
                effects.append(Send(call.caller, Error(CALL, call.request, {}, CANCELED)))
        for call in tuple(session.calls.values()):
            self._end(call)
            if call.callee is not None:
                effects += self._interrupt(call, "killnowait", CANCELED)
        return effects

    def _cancel(self, call: PendingCall, mode: str, reason: str) -> Effects:
        if call.callee is not None and not call.callee.can_be_interrupted:
            mode = "skip"
        if mode == "kill":
            return self._interrupt(call, mode, reason)
        self._end(call)
        answer = Send(call.caller, Error(CALL, call.request, {}, reason))
        return (answer,) if mode == "skip" else [answer, *self._interrupt(call, mode, reason)]

    def _interrupt(self, call: PendingCall, mode: str, reason: str) -> Effects:
        callee = call.callee
        if callee is None:
            return (Interrupt(call.caller, call.request, mode),)
        if not callee.can_be_interrupted:
            return ()
        return (Send(callee, InterruptMessage(call.invocation, {"mode": mode, "reason": reason})),)

    def _end(self, call: PendingCall, answered: bool = False) -> None:
        del call.caller.calls[call.request]
        if call.callee is not None:
            del call.callee.invocations[call.invocation]
            if call.endpoint is not None:
                call.endpoint.running -= 1
            if call.caller.id > MAX_ID:
                pass  # it stands for callers of another process, where the call is counted
            elif answered:
                self.answered += 1
            else:
                self.failed += 1
        if call.timeout:
            self._timed -= 1

    # -- time-outs ----------------------------------------------------------------------------------------------
    def _watch(self, call: PendingCall, timeout: int) -> None:
        """*timeout*: milliseconds to the first result, and from each to the next (section "Progressive Call Results",
        "Timeouts")."""
        self._timed += 1
        call.timeout = min(timeout, MAX_TIMEOUT) / 1000
        call.due = self._now() + call.timeout
        deadlines = self.deadlines
        if len(deadlines) > 64 and len(deadlines) > 2 * self._timed:
            # Answered long before their time: most calls are.
            deadlines[:] = [entry for entry in deadlines if _is_pending(entry[2])]
            heapify(deadlines)
        heappush(deadlines, (call.due, id(call), call))

    def next_deadline(self) -> float | None:
        deadlines = self.deadlines
        while deadlines:
            deadline, number, call = deadlines[0]
            if not _is_pending(call):
                heappop(deadlines)
            elif call.due > deadline:  # there was a result meanwhile
                heapreplace(deadlines, (call.due, number, call))
            else:
                return deadline
        return None

    def tick(self, now: float) -> Effects:
        effects: list[Effect] = []
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            effects += self._cancel(heappop(self.deadlines)[2], "killnowait", "wamp.error.timeout")
        return effects


def _is_pending(call: PendingCall) -> bool:
    return call.caller.calls.get(call.request) is call


def _beyond_a_service(session: Session, message: Call) -> Effects:
    """The refusal of what only callees may be able to."""
    _lawful(session, message.options)
    if message.options.get("progress") is True:
        return refuse(session, CALL, message.request, NOT_SUPPORTED, "This service does not take a call in parts.")
    if passthru(session, message.options, "caller"):
        sentence = "This service does not take payloads as they are (ppt)."
        return refuse(session, CALL, message.request, NOT_SUPPORTED, sentence)
    return ()


def _is_secret(session: Session) -> bool:
    """What it says is not handed on in clear. What the program itself says (it is nobody) goes to whom it will."""
    return session.sealed and session.principal is not None


def _lawful(session: Session, options: Mapping[str, Any]) -> None:
    """Raises Violation for a call that its caller must not make."""
    passthru(session, options, "caller")
    if options.get("progress") is True and "caller.progressive_call_invocations" not in session.features:
        raise Violation("CALL.Options.progress came from a caller that has not announced progressive_call_invocations")


def _takes_parts(callee: Session) -> bool:
    return callee.can_be_interrupted and "callee.progressive_call_invocations" in callee.features
