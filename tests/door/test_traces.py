"""Traces: one trace from a client through the server to whoever answers, and nothing of it where it is off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from autobahn.asyncio.wamp import ApplicationSession
from autobahn.asyncio.websocket import WampWebSocketClientFactory
from autobahn.wamp.message import Invocation as AutobahnInvocation
from autobahn.wamp.serializer import JsonSerializer
from autobahn.wamp.types import ComponentConfig
from knock import Door, knock
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from waiting import until

from limen import App, AsyncAsgiClient, AsyncPyClient, AsyncWsClient, connect, exc, observe
from limen.app import seen
from limen.core.wamp.messages import Call, Error, Invocation, Publish, Register, Result, Subscribe, Yield
from limen.core.wamp.trace import headers

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Open(Door):
    def extend(self, app: App) -> None:
        app.open_realms = True
        open_to_all: dict[str, Any] = {"safe": False, "ssl": False, "check_abusive": False}

        @app.service(inline=True, **open_to_all)
        def at_once() -> str:
            return here()

        @app.service(**open_to_all)
        def on_thread() -> str:
            with app.storage("to look"):
                return here()

        @app.service(**open_to_all)
        async def waiting() -> str:
            await asyncio.sleep(0)
            async with app.storage("to wait"):
                return here()

        @app.service(**open_to_all)
        async def values() -> AsyncIterator[str]:
            yield here()
            await asyncio.sleep(0)
            yield here()

        @app.service(**open_to_all)
        def refuses() -> None:
            raise exc.RecordNotFound("Nothing here.")

        @app.service(inline=True, **open_to_all)
        def asks() -> str:
            return str(app.pipeline.call(app.local(), app.registry.by_uri("at_once")))  # type: ignore[arg-type]


def here() -> str:
    """The span that is current."""
    return trace.format_span_id(trace.get_current_span().get_span_context().span_id)


class Spans:
    """What is exported, with one provider for client and server."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self._exporter.get_finished_spans() if span.name == name]

    def of(self, name: str, kind: SpanKind) -> ReadableSpan:
        (span,) = (span for span in self.named(name) if span.kind is kind)
        return span

    def count(self) -> int:
        return len(self._exporter.get_finished_spans())


def id_of(span: ReadableSpan) -> str:
    return trace.format_span_id(span.context.span_id)  # type: ignore[union-attr]


def is_child(span: ReadableSpan, parent: ReadableSpan) -> bool:
    return span.parent is not None and span.parent.span_id == parent.context.span_id  # type: ignore[union-attr]


@pytest.fixture
def spans() -> Spans:
    return Spans()


@pytest.fixture
async def door(open_door: Any, spans: Spans) -> AsyncIterator[Door]:
    door: Door = await open_door(Open)
    end = seen.trace(door.hub, spans.provider)
    yield door
    end()


@pytest.mark.parametrize("name", ["at_once", "on_thread", "waiting"])
async def test_a_service_runs_in_a_span_that_is_a_child_of_its_callers(door: Door, spans: Spans, name: str) -> None:
    async with observe.traced(connect(door.url), spans.provider) as session:
        inside = await session.call(name)
    client, server = spans.of(name, SpanKind.CLIENT), spans.of(name, SpanKind.SERVER)
    assert is_child(server, client)
    assert inside == id_of(server)
    assert client.attributes == {
        "rpc.system.name": "wamp",
        "rpc.system": "wamp",
        "rpc.method": name,
        "server.address": "localhost",
    }
    assert server.attributes is not None
    assert server.attributes["limen.domain"] == "localhost"


async def test_in_a_sealed_session_it_is_the_same(door: Door, spans: Spans) -> None:
    async with knock(door) as ada:
        await ada.login("ada")
        inside = await ada.call("on_thread", options={"_traceparent": PARENT})
    server = spans.of("on_thread", SpanKind.SERVER)
    assert server.parent is not None
    assert (inside, trace.format_span_id(server.parent.span_id)) == (id_of(server), PARENT.split("-")[2])


async def test_a_unit_of_work_is_a_span_within_its_service(door: Door, spans: Spans) -> None:
    async with observe.traced(connect(door.url), spans.provider) as session:
        await session.call("on_thread")
        await session.call("waiting")
    works = {str((work.attributes or {})["limen.reason"]): work for work in spans.named("unit of work")}
    assert is_child(works["to look"], spans.of("on_thread", SpanKind.SERVER))
    assert is_child(works["to wait"], spans.of("waiting", SpanKind.SERVER))


async def test_what_a_service_calls_in_the_same_process_is_its_child(door: Door, spans: Spans) -> None:
    async with observe.traced(connect(door.url), spans.provider) as session:
        inside = await session.call("asks")
    inner = spans.of("at_once", SpanKind.SERVER)
    assert inside == id_of(inner)
    assert is_child(inner, spans.of("asks", SpanKind.SERVER))


async def test_a_stream_is_one_span_from_its_first_value_to_its_end(door: Door, spans: Spans) -> None:
    async with observe.traced(connect(door.url), spans.provider) as session:
        inside = [value async for value in session.stream("values")]
        await until(lambda: spans.count() == 2)
    server = spans.of("values", SpanKind.SERVER)
    assert inside == [id_of(server)] * 2
    assert is_child(server, spans.of("values", SpanKind.CLIENT))


async def test_what_fails_says_so_on_both_sides(door: Door, spans: Spans) -> None:
    async with observe.traced(connect(door.url), spans.provider) as session:
        with pytest.raises(exc.RecordNotFound):
            await session.call("refuses")
    for kind in (SpanKind.CLIENT, SpanKind.SERVER):
        span = spans.of("refuses", kind)
        assert span.status.status_code is StatusCode.ERROR
        assert (span.attributes or {})["error.type"] == exc.RecordNotFound.uri
        assert span.events == ()  # no text of an exception, which may hold what was said


async def test_a_span_that_is_current_at_the_caller_is_the_root_of_all(door: Door, spans: Spans) -> None:
    async with observe.traced(AsyncWsClient(door.url), spans.provider) as client:
        with spans.provider.get_tracer("test").start_as_current_span("root"):
            await client.call("at_once")
    root = spans.named("root")[0]
    assert is_child(spans.of("at_once", SpanKind.CLIENT), root)
    assert spans.of("at_once", SpanKind.SERVER).context.trace_id == root.context.trace_id  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", [AsyncAsgiClient, AsyncPyClient])
async def test_by_http_and_in_the_same_process_it_is_the_same(door: Door, spans: Spans, kind: Any) -> None:
    client = kind(door.app) if kind is AsyncPyClient else kind(door.app.asgi(), "http://localhost")
    async with observe.traced(client, spans.provider):
        inside = await client.call("on_thread")
    server = spans.of("on_thread", SpanKind.SERVER)
    assert inside == id_of(server)
    assert is_child(server, spans.of("on_thread", SpanKind.CLIENT))


async def test_the_trace_of_an_http_request_goes_on_in_the_service(door: Door, spans: Spans) -> None:
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    named = [(b"host", b"localhost"), (b"traceparent", PARENT.encode()), (b"tracestate", b"vendor=1")]
    scope = {"type": "http", "method": "POST", "path": "/at_once", "raw_path": b"/at_once", "query_string": b""}
    scope |= {"headers": named, "client": ("127.0.0.1", 1), "scheme": "http", "http_version": "1.1"}
    await door.app.asgi()({**scope, "asgi": {"version": "3.0"}, "root_path": ""}, receive, send)
    assert said[0]["status"] == 200
    span = spans.of("at_once", SpanKind.SERVER)
    assert span.parent is not None
    assert trace.format_trace_id(span.parent.trace_id) == PARENT.split("-")[1]
    assert span.parent.trace_state.get("vendor") == "1"


async def test_a_call_to_a_callee_has_a_span_of_the_router_between(door: Door, spans: Spans) -> None:
    async with knock(door, sealed=False) as callee:
        await callee.anonymous()
        await callee.send(Register(1, {}, "com.example.twice"))
        await callee.receive()
        async with observe.traced(connect(door.url), spans.provider) as session:
            calling = asyncio.create_task(session.call("com.example.twice", 4))
            invocation = await callee.receive()
            assert type(invocation) is Invocation
            await callee.send(Yield(invocation.request, {}, [8]))
            assert await calling == 8
            failing = asyncio.create_task(session.call("com.example.twice", 5))
            second = await callee.receive()
            await callee.send(Error(68, second.request, {}, "com.example.no"))
            with pytest.raises(exc.RemoteError):
                await failing
    first, failed = (span for span in spans.named("com.example.twice") if span.kind is SpanKind.SERVER)
    client, _ = (span for span in spans.named("com.example.twice") if span.kind is SpanKind.CLIENT)
    assert is_child(first, client)
    assert invocation.details["_traceparent"].split("-")[2] == id_of(first)
    assert (first.attributes or {})["limen.routed"] == 1
    assert (failed.attributes or {})["error.type"] == "com.example.no"


async def test_a_caller_that_leaves_leaves_no_span_open(door: Door, spans: Spans) -> None:
    async with knock(door, sealed=False) as callee:
        await callee.anonymous()
        await callee.send(Register(1, {}, "com.example.slow"))
        await callee.receive()
        async with knock(door, sealed=False) as caller:
            await caller.anonymous()
            await caller.send(Call(1, {"_traceparent": PARENT}, "com.example.slow"))
            await callee.receive()
        await until(lambda: len(door.hub.connections) == 1)
        door.hub.watching.traces.sweep()
    span = spans.of("com.example.slow", SpanKind.SERVER)
    assert (span.attributes or {})["error.type"] == "wamp.error.canceled"
    assert trace.format_trace_id(span.context.trace_id) == PARENT.split("-")[1]  # type: ignore[union-attr]


async def test_an_event_goes_from_its_publisher_by_the_broker_to_the_handler(door: Door, spans: Spans) -> None:
    heard: list[tuple[str, str]] = []

    async def handler(text: str) -> None:
        await asyncio.sleep(0)
        heard.append((text, here()))

    async with (
        observe.traced(connect(door.url), spans.provider) as one,
        observe.traced(connect(door.url), spans.provider) as other,
    ):
        await other.subscribe("com.example.news", handler)
        await one.publish("com.example.news", "rain")
        await until(lambda: spans.named("process com.example.news"))
    send = spans.of("publish com.example.news", SpanKind.PRODUCER)
    deliver = spans.of("deliver com.example.news", SpanKind.PRODUCER)
    process = spans.of("process com.example.news", SpanKind.CONSUMER)
    assert is_child(deliver, send)
    assert is_child(process, deliver)
    assert heard == [("rain", id_of(process))]
    assert deliver.attributes == {
        "messaging.system": "wamp",
        "messaging.destination.name": "com.example.news",
        "messaging.operation.name": "deliver",
        "messaging.operation.type": "send",
        "limen.receivers": 1,
    }


class Autobahn(ApplicationSession):  # type: ignore[misc]  # untyped
    """A callee of another house, which makes its own span, as OpenTelemetry would have it do."""

    def __init__(self, spans: Spans) -> None:
        super().__init__(ComponentConfig(realm="localhost"))
        self.spans, self.ready = spans, asyncio.Event()
        self.details: dict[str, Any] = {}

    async def onJoin(self, details: Any) -> None:
        await self.register(self.twice, "com.example.twice")
        self.ready.set()

    def twice(self, n: int) -> int:
        parent = TraceContextTextMapPropagator().extract(headers(self.details) or {})
        with self.spans.provider.get_tracer("autobahn").start_as_current_span("twice", parent):
            return 2 * n

    def onDisconnect(self) -> None:
        pass


async def test_autobahn_is_between_and_its_span_belongs_to_the_trace(
    door: Door, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    callee = Autobahn(spans)
    parse = AutobahnInvocation.parse

    def seen_by_autobahn(row: list[Any]) -> Any:  # its CallDetails keep what Autobahn knows; the wire has all
        callee.details = row[3]
        return parse(row)

    monkeypatch.setattr(AutobahnInvocation, "parse", staticmethod(seen_by_autobahn))
    url = door.url.replace("http", "ws") + "/ws"
    factory = WampWebSocketClientFactory(lambda: callee, url=url, serializers=[JsonSerializer()])
    transport, _ = await asyncio.get_running_loop().create_connection(factory, "127.0.0.1", door.port)
    async with asyncio.timeout(10):
        await callee.ready.wait()
    async with observe.traced(connect(door.url), spans.provider) as session:
        assert await session.call("com.example.twice", 4) == 8
    transport.close()
    client, router = (spans.of("com.example.twice", kind) for kind in (SpanKind.CLIENT, SpanKind.SERVER))
    assert is_child(router, client)
    assert is_child(spans.named("twice")[0], router)
    await until(lambda: not door.hub.connections)


async def test_off_nothing_is_made_and_what_others_say_goes_on_untouched(open_door: Any, spans: Spans) -> None:
    door = await open_door(Open)
    async with knock(door, sealed=False) as one, knock(door, sealed=False) as other, connect(door.url) as session:
        await one.anonymous()
        await other.anonymous()
        await other.send(Register(1, {}, "com.example.twice"))
        await other.receive()
        await one.send(Call(1, {"_traceparent": PARENT}, "com.example.twice"))
        invocation = await other.receive()
        assert invocation.details["_traceparent"] == PARENT
        await other.send(Yield(invocation.request, {}))
        assert type(await one.receive()) is Result
        await other.send(Subscribe(2, {}, "com.example.news"))
        await other.receive()
        await one.send(Publish(2, {"_traceparent": PARENT}, "com.example.news"))
        assert (await other.receive()).details["_traceparent"] == PARENT
        assert await session.call("at_once") == "0" * 16
        calling = asyncio.create_task(session.call("com.example.twice"))
        invocation = await other.receive()
        assert "_traceparent" not in invocation.details
        await other.send(Yield(invocation.request, {}))
        await calling
    assert (door.hub.watcher, door.hub.pipeline.spans, spans.count()) == (None, None, 0)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    before = trace._TRACER_PROVIDER
    yield monkeypatch
    trace._TRACER_PROVIDER = before
    trace._TRACER_PROVIDER_SET_ONCE._done = False


def test_the_environment_says_where_spans_go_and_what_is_not_there_is_said(environment: Any) -> None:
    environment.setenv("OTEL_TRACES_EXPORTER", "nowhere")
    with pytest.raises(exc.NotFound, match="nowhere"):
        observe.traces()
    environment.setenv("OTEL_TRACES_EXPORTER", "console")
    observe.traces()
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    provider.shutdown()
