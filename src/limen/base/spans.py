"""What traces are to the rooms that make spans: a port. `traces.py` fills it with OpenTelemetry, where that is on.

A *carrier* is what travels of a trace: `{"traceparent": …, "tracestate": …}`, as W3C Trace Context writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final, Protocol

Carrier = Mapping[str, str]
HEADERS: Final = ("traceparent", "tracestate")


class Span(Protocol):
    """Something that began and will end."""

    @property
    def carrier(self) -> dict[str, str]:
        """What makes others' spans its children."""
        ...

    def enter(self) -> None:
        """What is done from here on in this contextvars context is done within it."""
        ...

    def note(self, name: str, value: str | int | float) -> None:
        """One more attribute."""
        ...

    def end(self, error: str | None = None) -> None:
        """It is over. *error*: its name, where it has failed. A second time nothing happens."""
        ...


class Spans(Protocol):
    """Begins spans. Without *carrier* a span's parent is what is current here."""

    def serve(self, method: str, domain: str, carrier: Carrier | None = None) -> Span:
        """A service runs."""
        ...

    def route(self, method: str, domain: str, carrier: Carrier | None = None) -> Span:
        """A call is on its way to a callee and back."""
        ...

    def call(self, method: str, server: str) -> Span:
        """A client calls."""
        ...

    def send(self, topic: str, server: str) -> Span:
        """A client publishes."""
        ...

    def spread(self, topic: str, receivers: int, carrier: Carrier | None = None) -> Span:
        """An event goes to those who have subscribed."""
        ...

    def hear(self, topic: str, server: str, carrier: Carrier | None = None) -> Span:
        """A client's handler is given an event."""
        ...

    def work(self, reason: str) -> Span:
        """A unit of work."""
        ...


spans_here: ContextVar[Spans | None] = ContextVar("limen_spans", default=None)
"""Who makes the spans of the call that runs here."""
