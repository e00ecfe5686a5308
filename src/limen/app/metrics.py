"""Metrics for Prometheus and OpenTelemetry: one table of what is exposed, made of a picture (`door/hub/counts.py`) when
somebody asks. Needs the extra `observe`.

Names follow OpenMetrics: `limen_`, the unit, and `_total` behind what only grows. Labels are bounded: what is beyond
`counts.MOST_ROWS` is one row, "other". docs/how-to/observe.md lists them, and a test compares.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from limen import exc
from limen.door.hub.counts import picture
from limen.service.guard import has_role
from limen.transport.listening import HttpListener, bind
from limen.transport.wire import Refusal
from limen.web.response import Response

from .origins import host_name, is_loopback
from .seen import whole

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from prometheus_client import Metric as Family

    from limen.base.principal import Principal
    from limen.door.http.places import OwnAddress
    from limen.door.http.request import Request
    from limen.door.hub.counts import Picture
    from limen.door.hub.hub import Hub

log = logging.getLogger("limen")

OTEL: Final = "otel"
"""In `METRICS`: they are OpenTelemetry's to export."""
PATHS: Final = ("/limen/metrics", "/metrics")
"""Where the listener for operators has them."""
_HEADERS: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
MISSING: Final = "Metrics need the extra `observe`: pip install 'limen[observe]'."


class Metric(NamedTuple):
    """*name*: without `_total`. *key*: the number of the picture, or the table and which of its numbers; *labels*: what
    the rows of that table begin with. *fixed*: labels that are always the same."""

    name: str
    kind: str
    help: str
    key: str
    labels: tuple[str, ...] = ()
    column: int = 0
    fixed: tuple[tuple[str, str], ...] = ()


UNITS: Final = {"_bytes": "By", "_seconds": "s"}
"""End of a name to its unit, as OpenTelemetry writes them."""


def _calls(kind: str, outcome: str, key: str) -> Metric:
    fixed = (("kind", kind), ("outcome", outcome))
    return Metric("limen_calls", "counter", "Calls that have ended.", key, fixed=fixed)


METRICS: Final = (
    Metric("limen_processes", "gauge", "Processes of this server.", "processes"),
    Metric("limen_start_time_seconds", "gauge", "When the first of them began, in Unix time.", "started"),
    Metric("limen_memory_bytes", "gauge", "Resident memory of all processes.", "memory"),
    Metric("limen_connections", "gauge", "Open WebSockets and RawSockets.", "connections"),
    Metric("limen_connections_opened", "counter", "Connections, ever.", "connections_opened"),
    Metric("limen_connections_refused", "counter", "Turned away before a session, by reason.", "refused", ("reason",)),
    Metric("limen_sessions", "gauge", "Sessions in the realms.", "sessions", ("realm", "role", "transport")),
    Metric("limen_sessions_opened", "counter", "Sessions, ever; also those of one HTTP request.", "sessions_opened"),
    Metric("limen_sessions_closed", "counter", "Sessions that have ended.", "sessions_closed"),
    Metric("limen_registrations", "gauge", "Procedures that sessions have registered.", "registrations"),
    Metric("limen_subscriptions", "gauge", "Subscriptions of sessions.", "subscriptions"),
    Metric("limen_calls_pending", "gauge", "Calls of sessions without their final answer.", "pending"),
    _calls("local", "ok", "calls_local_answered"),
    _calls("local", "error", "calls_local_failed"),
    _calls("routed", "ok", "calls_routed_answered"),
    _calls("routed", "error", "calls_routed_failed"),
    Metric("limen_events_published", "counter", "Events that were published.", "published"),
    Metric("limen_events_delivered", "counter", "How often one was sent to a subscriber.", "delivered"),
    Metric("limen_events_retained", "gauge", "Events that are kept for later subscribers.", "retained"),
    Metric("limen_received_bytes", "counter", "Payload of messages received.", "bytes_in"),
    Metric("limen_sent_bytes", "counter", "Payload of messages sent.", "bytes_out"),
    Metric("limen_received_messages", "counter", "Messages received.", "messages_in"),
    Metric("limen_sent_messages", "counter", "Messages sent.", "messages_out"),
    Metric("limen_queue_bytes", "gauge", "Bytes that peers have not read yet.", "queue"),
    Metric("limen_queue_largest_bytes", "gauge", "The most of them that wait for one peer.", "queue_largest"),
    Metric("limen_denied", "counter", "What sessions tried and may not do, by action.", "denied", ("action",)),
    Metric("limen_violations", "counter", "Connections that were ended for breaking the protocol.", "violations"),
    Metric("limen_call_duration_seconds", "histogram", "Seconds from a call to its answer.", "buckets"),
    Metric("limen_address_calls", "counter", "Calls by address.", "addresses", ("address",), 0),
    Metric("limen_address_failures", "counter", "… of those, with an error.", "addresses", ("address",), 1),
    Metric("limen_address_seconds", "counter", "… how long they took together.", "addresses", ("address",), 2),
    Metric("limen_address_longest_seconds", "gauge", "… and the longest.", "addresses", ("address",), 3),
    Metric("limen_topic_events", "counter", "Events by topic.", "topics", ("topic",), 0),
    Metric("limen_topic_deliveries", "counter", "… and how often one was delivered.", "topics", ("topic",), 1),
)


def values(metric: Metric, picture: Picture) -> Iterator[tuple[dict[str, str], float]]:
    """Labels and number of each of its samples; not for histograms."""
    found = picture[metric.key]
    if not metric.labels:
        yield dict(metric.fixed), found
        return
    width = len(metric.labels)
    for row in found:
        yield dict(zip(metric.labels, map(str, row[:width]), strict=True)), row[width + metric.column]


def completed(picture: Picture) -> Picture:
    """With what follows from the rest."""
    return {**picture, "calls_local_answered": picture["calls_local"] - picture["calls_local_failed"]}


# -- Prometheus -----------------------------------------------------------------------------------------------------
def families(picture: Picture) -> Iterator[Family]:
    """What prometheus_client writes."""
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )

    picture = completed(picture)
    made: dict[str, Any] = {}
    for metric in METRICS:
        if metric.kind == "histogram":
            below, buckets = 0, []
            for bound, number in picture[metric.key]:
                below += number
                buckets.append((bound, below))
            if buckets:
                made[metric.name] = HistogramMetricFamily(metric.name, metric.help, buckets, picture["duration"])
            continue
        names = (*metric.labels, *(name for name, _ in metric.fixed))
        if metric.name not in made:
            make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            made[metric.name] = make(metric.name, metric.help, labels=names)
        for labels, value in values(metric, picture):
            made[metric.name].add_metric([labels[name] for name in names], value)
    yield from made.values()


def text(picture: Picture, accept: str = "") -> tuple[bytes, str]:
    """The exposition, and its content type: OpenMetrics where *accept* asks for it, else Prometheus' text. Raises
    `exc.NotFound` without the extra."""
    try:
        from prometheus_client.exposition import choose_encoder
        from prometheus_client.registry import Collector
    except ImportError:
        raise exc.NotFound(MISSING) from None

    class Taken(Collector):
        def collect(self) -> Iterator[Family]:
            return families(picture)

    encode, kind = choose_encoder(accept)
    return encode(Taken()), kind


async def exposition(hub: Hub, accept: str) -> Response:
    """The answer to a scrape. From the first on, times of addresses are taken for good."""
    hub.watching.always = True
    body, kind = text(await whole(hub), accept)
    return Response(200, [(b"content-type", kind.encode()), *_HEADERS], body)


# -- OpenTelemetry --------------------------------------------------------------------------------------------------
@contextlib.asynccontextmanager
async def measured(hub: Hub, provider: MeterProvider | None = None) -> AsyncIterator[None]:
    """For the length of the block the metrics of this process are OpenTelemetry's as well: instruments that are asked
    when *provider* (the program's global one if None) has its readers ask. Histograms are left to Prometheus.

    Raises `exc.NotFound` without the extra.
    """
    try:
        from opentelemetry import metrics
        from opentelemetry.metrics import CallbackOptions, Observation
    except ImportError:
        raise exc.NotFound(MISSING) from None
    hub.watching.always = True
    hub.watching.settle()
    alive = True

    def ask(own: tuple[Metric, ...], options: CallbackOptions) -> list[Observation]:
        """On a thread of the reader's, mostly."""
        if not alive:
            return []

        async def look() -> Picture:
            return completed(picture(hub))

        if asyncio._get_running_loop() is hub.loop:
            seen = completed(picture(hub))
        else:
            seen = asyncio.run_coroutine_threadsafe(look(), hub.loop).result(10)
        return [Observation(value, labels) for metric in own for labels, value in values(metric, seen)]

    meter = metrics.get_meter("limen", meter_provider=provider)
    for name in dict.fromkeys(metric.name for metric in METRICS if metric.kind != "histogram"):
        own = tuple(metric for metric in METRICS if metric.name == name)
        unit = next((unit for word, unit in UNITS.items() if name.endswith(word)), "1")
        make = meter.create_observable_counter if own[0].kind == "counter" else meter.create_observable_gauge
        make(name.replace("_", ".", 1), [partial(ask, own)], unit, own[0].help)
    try:
        yield
    finally:
        alive = False


# -- who may see them -----------------------------------------------------------------------------------------------
def address(hub: Hub, development: bool, roles: tuple[str, ...]) -> OwnAddress:
    """What stands at `/limen/metrics`. In development whoever asks from this machine is told; elsewhere who signs the
    request as a user with one of *roles* (`config.OBSERVE_ROLES`), of the server's own domain; strangers find
    nothing."""

    async def answer(request: Request, asker: Principal, rest: tuple[str, ...]) -> Response:
        if rest:
            raise exc.NotFound
        if not (development and is_loopback(request.client)) and not await _is_operator(hub, roles, request, asker):
            raise exc.NotFound
        if request.method not in ("GET", "HEAD"):
            raise exc.MethodNotAllowed(allow="GET, HEAD")
        return await exposition(hub, request.headers.get(b"accept", b"").decode("latin-1"))

    return answer


async def _is_operator(hub: Hub, roles: tuple[str, ...], request: Request, asker: Principal) -> bool:
    if not roles:
        return False
    from limen.door.bridge.signing import signed_principal

    who = await signed_principal(hub, request, asker)
    return who.user is not None and who.domain == hub.config.DOMAIN and has_role(who.roles, roles)


class Answers:
    """The ASGI application of the operators' own listener: metrics, and nothing else. *host*: what it listens on; on
    loopback only requests to a name of this machine are answered, for a page may have had another name lead here."""

    def __init__(self, hub: Hub, host: str) -> None:
        self._hub, self._local = hub, is_loopback(host)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope["headers"])
        given = host_name(headers.get(b"host", b"").decode("latin-1"))
        if scope["path"] not in PATHS or (self._local and not is_loopback(given)):
            response = _sentence(404, b"Metrics are at /metrics.\n")
        elif scope["method"] not in ("GET", "HEAD"):
            response = _sentence(405, b"GET, or HEAD.\n", (b"allow", b"GET, HEAD"))
        else:
            try:
                response = await exposition(self._hub, headers.get(b"accept", b"").decode("latin-1"))
            except exc.NotFound as error:
                response = _sentence(501, str(error).encode() + b"\n")
        length = (b"content-length", str(len(response.body)).encode())
        await send({"type": "http.response.start", "status": response.status, "headers": [*response.headers, length]})
        body = b"" if scope["method"] == "HEAD" else response.body
        await send({"type": "http.response.body", "body": body})


@contextlib.asynccontextmanager
async def listening(hub: Hub, where: str) -> AsyncIterator[str]:
    """Answers at *where*, PORT or HOST:PORT, for the length of the block; gives the URL. Of several processes one does
    (""), and when that one ends, another.

    Raises `exc.InvalidAddress`.
    """
    host, port = place(where)
    hub.watching.always = True
    hub.watching.settle()
    listener: HttpListener | None = None

    async def listen() -> str:
        nonlocal listener
        if listener is not None or not await hub.bus.claim("limen metrics"):
            return ""
        listener = HttpListener(Answers(hub, host), lambda handshake: Refusal(404), hub.config)
        sock = bind(host, port)
        await listener.listen(sock)
        name = f"[{host}]" if ":" in host else host
        return f"http://{name}:{sock.getsockname()[1]}{PATHS[0]}"

    async def instead() -> None:
        try:
            await listen()
        except exc.InvalidAddress as error:
            log.warning("The metrics are nowhere now: %s", error)

    tasks: set[asyncio.Task[None]] = set()
    hub.bus.left(lambda number: tasks.add(hub.loop.create_task(instead())))
    url = await listen()
    try:
        yield url
    finally:
        if listener is not None:
            await listener.close(1.0)


def place(where: str) -> tuple[str, int]:
    """Host and port.

    >>> place("9100"), place("[::1]:9100"), place("0.0.0.0:9100")
    (('127.0.0.1', 9100), ('::1', 9100), ('0.0.0.0', 9100))
    """
    host, _, port = where.rpartition(":")
    if not port.isdecimal() or host.startswith("[") is not host.endswith("]"):
        raise exc.InvalidAddress(f"Metrics are to be at PORT or HOST:PORT; {where!r} is neither.")
    return host.strip("[]") or "127.0.0.1", int(port)


def _sentence(status: int, body: bytes, *headers: tuple[bytes, bytes]) -> Response:
    return Response(status, [(b"content-type", b"text/plain; charset=utf-8"), *_HEADERS, *headers], body)
