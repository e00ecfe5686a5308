"""Spans of what the hub hands on: a call to a callee, from its INVOCATION to its answer; an event to its subscribers.

What the callee and the subscribers are told of the trace is this span, so that theirs are its children.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from limen.core.wamp.messages import CALL, Error, Event, Invocation, Message, Result
from limen.core.wamp.trace import headers, options

from .underway import UnderWay

if TYPE_CHECKING:
    from limen.base.spans import Span, Spans
    from limen.core.wamp.calls.pending import PendingCall
    from limen.core.wamp.session import Session


class Tracing:
    """Fills `times.Watcher`."""

    def __init__(self, spans: Spans) -> None:
        self._spans = spans
        self._begun: UnderWay[Span] = UnderWay(lambda span: span.end("wamp.error.canceled"))
        self.sweep = self._begun.sweep
        """Ends the spans of calls whose callers have left."""

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
        def span_of(call: PendingCall, uri: str) -> Span:
            domain = call.caller.principal.domain if call.caller.principal is not None else ""
            return self._spans.route(uri, domain, headers(message.details))

        span = self._begun.begin(callee, message, span_of)
        if span is not None:
            message.details.update(options(span.carrier))

    def _end(self, caller: Session, request: int, error: str | None) -> None:
        span = self._begun.end(caller, request)
        if span is not None:
            span.end(error)
