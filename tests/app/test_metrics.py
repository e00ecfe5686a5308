"""Metrics: what Prometheus reads, and who may read it."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus
from waiting import until

from limen import App, exc
from limen.app.metrics import METRICS, Answers, completed, listening, measured, place, text, values
from limen.door.hub.counts import Picture, picture
from limen.door.hub.times import Times

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def served() -> App:
    app = App()

    @app.service(safe=False, ssl=False, inline=True)
    def double(n: int) -> int:
        if n < 0:
            raise exc.NotFound
        return 2 * n

    return app


def full(app: App) -> Picture:
    """A picture in which each table has a row."""
    hub = app.open()
    hub.counts.times = times = Times()
    times.call("localhost", "todo.add", 0.002, failed=False)
    times.call("localhost", 'a "strange"\n\\name', 20.0, failed=True)
    times._topics["localhost", "todo.changed"] = [3, 9]
    hub.counts.denied["publish"] += 2
    hub.counts.refused["wamp.error.no_such_realm"] += 1
    return {**picture(hub), "sessions": [["localhost", "user", "websocket", 4]]}


async def test_what_is_exposed_is_the_table_whole_and_can_be_read_by_prometheus() -> None:
    body, kind = text(full(served()))
    assert kind.startswith("text/plain; version=0.0.4")
    read = {family.name: family for family in prometheus(body.decode())}
    assert set(read) == {metric.name for metric in METRICS}
    assert {name: family.type for name, family in read.items()} == {m.name: m.kind for m in METRICS}
    assert [s.labels for s in read["limen_sessions"].samples] == [
        {"realm": "localhost", "role": "user", "transport": "websocket"}
    ]
    calls = {sample.labels["address"]: sample.value for sample in read["limen_address_calls"].samples}
    assert calls == {"todo.add": 1, 'a "strange"\n\\name': 1}


async def test_openmetrics_is_spoken_to_who_asks_for_it() -> None:
    body, kind = text(full(served()), OPENMETRICS)
    assert kind.startswith("application/openmetrics-text")
    read = {family.name: family for family in openmetrics(body.decode())}
    assert set(read) == {metric.name for metric in METRICS}
    histogram = read["limen_call_duration_seconds"].samples
    assert [s.value for s in histogram if s.name.endswith("_count")] == [2]
    assert [s.value for s in histogram if s.labels.get("le") == "10.0"] == [1]


def test_names_and_units_follow_openmetrics() -> None:
    for metric in METRICS:
        assert re.fullmatch(r"limen_[a-z]+(_[a-z]+)*", metric.name)
        assert not metric.name.endswith("_total")  # the writer puts it there
        assert metric.help.endswith(".")
    assert {m.name for m in METRICS if m.key in ("bytes_in", "bytes_out", "queue", "memory")} == {
        "limen_received_bytes",
        "limen_sent_bytes",
        "limen_queue_bytes",
        "limen_memory_bytes",
    }


async def test_every_number_of_a_picture_is_exposed_or_part_of_one_that_is() -> None:
    seen = completed(full(served()))
    told = {metric.key for metric in METRICS} | {"calls_local", "calls_routed", "watched", "duration"}
    assert set(seen) == told
    assert all(
        isinstance(value, int | float)
        for metric in METRICS
        if metric.kind != "histogram"
        for _, value in values(metric, seen)
    )


# -- who may --------------------------------------------------------------------------------------------------------
async def asked(
    app: Any, path: str, *, host: bytes = b"localhost", client: str = "127.0.0.1", method: str = "GET"
) -> tuple[int, bytes]:
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b""}
    scope |= {"headers": [(b"host", host)], "client": (client, 1), "scheme": "http", "http_version": "1.1"}
    await app({**scope, "asgi": {"version": "3.0"}, "root_path": ""}, receive, send)
    return int(said[0]["status"]), said[1].get("body", b"")


async def test_developers_are_told_on_their_machine_and_strangers_nowhere() -> None:
    assert (await asked(served().asgi(), "/limen/metrics"))[0] == 404
    app = served()
    app.config.OBSERVE_ROLES = ("operator",)
    assert (await asked(app.asgi(), "/limen/metrics"))[0] == 404
    app = served()
    app.config.OBSERVE_ROLES, app.config.IS_DEVELOPMENT = ("operator",), True
    door = app.asgi()
    status, body = await asked(door, "/limen/metrics")
    assert (status, b"limen_processes 1.0" in body) == (200, True)
    assert (await asked(door, "/limen/metrics", client="192.0.2.7"))[0] == 404


async def test_the_operators_listener_answers_to_names_of_this_machine_only_where_it_is_on_loopback() -> None:
    app = served()
    app.open().begin()
    local, everywhere = Answers(app.open(), "127.0.0.1"), Answers(app.open(), "0.0.0.0")
    assert (await asked(local, "/metrics"))[0] == 200
    assert (await asked(local, "/metrics", host=b"evil.example:9100"))[0] == 404
    assert (await asked(everywhere, "/metrics", host=b"router1:9100"))[0] == 200
    assert (await asked(local, "/limen/metrics", method="POST"))[0] == 405
    assert (await asked(local, "/"))[0] == 404
    assert (await asked(local, "/metrics", method="HEAD")) == (200, b"")


async def test_a_listener_of_its_own_ends_with_the_server() -> None:
    app = served()
    hub = app.open()
    hub.begin()
    async with listening(hub, "0") as url:
        host, port = re.fullmatch(r"http://(.+):(\d+)/limen/metrics", url).groups()  # type: ignore[union-attr]
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /limen/metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert b"limen_memory_bytes" in await reader.read()
        writer.close()
        assert hub.watcher is not None
    with pytest.raises(OSError, match="onnect"):
        await asyncio.open_connection(host, int(port))


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_where_one_of_several_processes_ends_another_answers() -> None:
    app = served()
    hub = app.open()
    hub.begin()
    free, gone = False, []

    async def claim(name: str) -> bool:
        return free

    hub.bus.claim, hub.bus.left = claim, gone.append  # type: ignore[method-assign, assignment]
    with socket.create_server(("127.0.0.1", 0)) as spare:
        port = spare.getsockname()[1]
    async with listening(hub, str(port)) as url:
        assert url == ""
        free = True
        gone[0](7)
        await until(lambda: answers(port))


@pytest.mark.parametrize("where", ["", "localhost", ":x", "[::1:9100", "9100:"])
def test_what_is_no_place_is_refused(where: str) -> None:
    with pytest.raises(exc.InvalidAddress):
        place(where)


async def test_opentelemetry_is_given_the_same_numbers() -> None:
    app = served()
    hub = app.open()
    hub.begin()
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    async with measured(hub, provider):
        hub.counts.called("localhost", "double", 0.25, None)
        data = await asyncio.to_thread(reader.get_metrics_data)
    assert data is not None
    told = {metric.name: metric for metric in data.resource_metrics[0].scope_metrics[0].metrics}
    calls = {
        (point.attributes["kind"], point.attributes["outcome"]): point.value
        for point in told["limen.calls"].data.data_points
    }
    assert calls[("local", "ok")] == 1
    assert calls[("routed", "error")] == 0
    (address,) = told["limen.address_seconds"].data.data_points
    assert (address.attributes, address.value) == ({"address": "double"}, 0.25)
    assert told["limen.memory_bytes"].unit == "By"
    there = {m.name.replace("_", ".", 1) for m in METRICS if m.kind != "histogram" and not m.labels}
    assert there <= set(told)
    assert "limen.processes" not in await asyncio.to_thread(names, reader)  # it is over
    provider.shutdown()


def names(reader: InMemoryMetricReader) -> list[str]:
    data = reader.get_metrics_data()
    scopes = data.resource_metrics[0].scope_metrics if data is not None and data.resource_metrics else []
    return [metric.name for scope in scopes for metric in scope.metrics]
