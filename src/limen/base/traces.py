"""Traces by OpenTelemetry. Needs the extra `observe`; nothing imports this room before traces are switched on.

Names and attributes follow OpenTelemetry's semantic conventions: RPC for calls, messaging for events. The deprecated
`rpc.system` stands beside `rpc.system.name`, for the tools that look for that. docs/how-to/observe.md lists all.
"""

from __future__ import annotations

from typing import Final

from opentelemetry import context, trace
from opentelemetry.trace import SpanKind, StatusCode, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from limen.base.spans import Carrier, spans_here

SYSTEM: Final = "wamp"
_W3C: Final = TraceContextTextMapPropagator()

Attributes = dict[str, str | int | float]


class Span:
    """One span; fills `spans.Span`."""

    __slots__ = ("_ended", "_span", "_spans")

    def __init__(self, spans: Traces, span: trace.Span) -> None:
        self._spans, self._span, self._ended = spans, span, False

    @property
    def carrier(self) -> dict[str, str]:
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, trace.set_span_in_context(self._span, context.Context()))
        return carrier

    def enter(self) -> None:
        context.attach(trace.set_span_in_context(self._span))
        spans_here.set(self._spans)

    def note(self, name: str, value: str | int | float) -> None:
        self._span.set_attribute(name, value)

    def end(self, error: str | None = None) -> None:
        if self._ended:
            return
        self._ended = True
        if error is not None:
            self._span.set_status(StatusCode.ERROR)
            self._span.set_attribute("error.type", error)
        self._span.end()


class Traces:
    """Fills `spans.Spans`. *provider*: OpenTelemetry's; the program's global one if None."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._tracer = trace.get_tracer("limen", tracer_provider=provider)

    def serve(self, method: str, domain: str, carrier: Carrier | None = None) -> Span:
        return self._begin(method, SpanKind.SERVER, {**_rpc(method), "limen.domain": domain}, carrier)

    def route(self, method: str, domain: str, carrier: Carrier | None = None) -> Span:
        about = {**_rpc(method), "limen.domain": domain, "limen.routed": 1}
        return self._begin(method, SpanKind.SERVER, about, carrier)

    def call(self, method: str, server: str) -> Span:
        return self._begin(method, SpanKind.CLIENT, {**_rpc(method), "server.address": server})

    def send(self, topic: str, server: str) -> Span:
        about = {**_messaging(topic, "publish", "send"), "server.address": server}
        return self._begin(f"publish {topic}", SpanKind.PRODUCER, about)

    def spread(self, topic: str, receivers: int, carrier: Carrier | None = None) -> Span:
        about = {**_messaging(topic, "deliver", "send"), "limen.receivers": receivers}
        return self._begin(f"deliver {topic}", SpanKind.PRODUCER, about, carrier)

    def hear(self, topic: str, server: str, carrier: Carrier | None = None) -> Span:
        about = {**_messaging(topic, "process", "process"), "server.address": server}
        return self._begin(f"process {topic}", SpanKind.CONSUMER, about, carrier)

    def work(self, reason: str) -> Span:
        return self._begin("unit of work", SpanKind.INTERNAL, {"limen.reason": reason})

    def _begin(self, name: str, kind: SpanKind, about: Attributes, carrier: Carrier | None = None) -> Span:
        parent = _W3C.extract(carrier, context.Context()) if carrier else None
        return Span(self, self._tracer.start_span(name, parent, kind, about))


def _rpc(method: str) -> Attributes:
    return {"rpc.system.name": SYSTEM, "rpc.system": SYSTEM, "rpc.method": method}


def _messaging(topic: str, operation: str, kind: str) -> Attributes:
    return {
        "messaging.system": SYSTEM,
        "messaging.destination.name": topic,
        "messaging.operation.name": operation,
        "messaging.operation.type": kind,
    }
