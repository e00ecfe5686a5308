"""Traces by OpenTelemetry: of a program that is served, and of its clients. Needs the extra `observe`.

    from limen import observe

    observe.traced(client)          # each call is a span, and the server is told of the trace
    config.TRACES = True            # … and so on the server: services, events, units of work

Where spans go is OpenTelemetry's to say, by the provider that the program sets up. Where it sets up none, and
`OTEL_TRACES_EXPORTER` names an exporter ("console", "otlp", …), Limen makes one for that (`provider`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

from limen import exc

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from limen.base.traces import Traces

MISSING = "Traces need the extra `observe`: pip install 'limen[observe]'."
C = TypeVar("C")


def traced(client: C, provider: TracerProvider | None = None) -> C:
    """*client*, whose calls, publications and handlers of events are spans from now on: what `limen.connect` gives, or
    one of the clients (HttpClient, …). *provider*: OpenTelemetry's; the program's global one if None. Raises
    `exc.NotFound` without the extra."""
    target: Any = client
    for name in ("_client", "_transport"):
        target = getattr(target, name, target)
    target._trace_by(traces(provider))
    return client


def traces(provider: TracerProvider | None = None) -> Traces:
    """What makes spans with *provider*."""
    try:
        from limen.base.traces import Traces
    except ImportError:
        raise exc.NotFound(MISSING) from None
    return Traces(provider or _own_provider())


def _own_provider() -> TracerProvider | None:
    """A provider by the environment, where the program has set up none; None: it has, or nothing is asked for."""
    from opentelemetry import trace

    wanted = os.environ.get("OTEL_TRACES_EXPORTER", "none")
    if wanted == "none" or not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return None
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    for name in wanted.split(","):
        provider.add_span_processor(BatchSpanProcessor(_exporter(name.strip())))
    trace.set_tracer_provider(provider)
    return provider


def _exporter(name: str) -> Any:
    from importlib.metadata import entry_points

    if name == "otlp":
        name = "otlp_proto_" + os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf").partition("/")[0]
    for entry in entry_points(group="opentelemetry_traces_exporter", name=name):
        return entry.load()()
    raise exc.NotFound(
        f"There is no exporter {name!r} of OpenTelemetry here (OTEL_TRACES_EXPORTER); for otlp install "
        "opentelemetry-exporter-otlp-proto-http."
    )
