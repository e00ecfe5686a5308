"""Spans of what the hub hands on: a call to a callee, from its INVOCATION to its answer; an event to its subscribers.

What the callee and the subscribers are told of the trace is this span, so that theirs are its children.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from limen.core.wamp.messages import CALL, MAX_ID, Error, Event, Invocation, Message, Result
from limen.core.wamp.trace import headers, options

if TYPE_CHECKING:
    from limen.base.spans import Span, Spans
    from limen.core.wamp.calls.pending import PendingCall
    from limen.core.wamp.session import Session


class Tracing:
    """Fills `times.Watcher`."""

    def __init__(self, spans: Spans) -> None:
        self._spans = spans
        self._begun: dict[tuple[int, int], tuple[PendingCall, Span]] = {}
        self._sweep_at = 1024

    def sending(self, session: Session, message: Message) -> None:
        match message:
            case Invocation():
                self._begin(session, message)
            case Result() if not message.details.get("progress"):
                self._end(session, message.request, None)
            case Error() if message.kind == CALL:
                self._end(session, message.request, message.error)

    def broadcasting(self, sessions: list[Session], message: Event) -> None:
        subscription = sessions[0].subscriptions.get(message.subscription)
        if subscription is not None:
            span = self._spans.spread(subscription.uri, len(sessions), headers(message.details))
            message.details.update(options(span.carrier))
            span.end()

    def _begin(self, callee: Session, message: Invocation) -> None:
        call = callee.invocations.get(message.request)
        registration = callee.registrations.get(message.registration)
        if call is None or registration is None or call.caller.id > MAX_ID:  # another process has a span of that one
            return
        key = call.caller.id, call.request
        before = self._begun.get(key)
        if before is not None and before[0] is call:
            span = before[1]  # a further part of the same call
        else:
            domain = call.caller.principal.domain if call.caller.principal is not None else ""
            span = self._spans.route(registration.uri, domain, headers(message.details))
            self._begun[key] = call, span
        message.details.update(options(span.carrier))
        if len(self._begun) >= self._sweep_at:
            self.sweep()

    def _end(self, caller: Session, request: int, error: str | None) -> None:
        begun = self._begun.pop((caller.id, request), None)
        if begun is not None:
            begun[1].end(error)

    def sweep(self) -> None:
        """Ends the spans of calls whose callers have left: nobody was told of their end."""
        for key, (call, span) in tuple(self._begun.items()):
            if call.caller.calls.get(key[1]) is not call:
                span.end("wamp.error.canceled")
                del self._begun[key]
        self._sweep_at = max(1024, 2 * len(self._begun))
