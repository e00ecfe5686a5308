"""Signed requests, the bridge and streams of events through the WSGI door."""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import waitress

from limen import App

sys.path.append(str(Path(__file__).parent.parent / "door"))

from signed import crossbar, header, program


@pytest.fixture
def app() -> App:
    return program()


@pytest.fixture
def port(app: App) -> Iterator[int]:
    server = waitress.create_server(app.wsgi(), host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield server.effective_port
    server.close()
    thread.join(5)


def ask(port: int, method: str, target: str, body: bytes | None = None, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, target, body, {"Host": "localhost", "Content-Type": "application/json", **headers})
    return connection.getresponse()


def test_what_is_signed_is_taken_and_topics_are_heard(app: App, port: int) -> None:
    app.auth.add_machine("robot", roles=["machine"])
    key = app.auth.add_key("robot", kind="http")
    body, more = b'{"procedure": "whoami"}', b'{"word": "hello"}'
    bridged = ask(port, "POST", f"/limen/bridge/call?{crossbar(key, body)}", body)
    assert json.load(bridged) == {"args": [["robot", ["machine"], False, ""]]}
    called = ask(port, "POST", "/whoami", more, Authorization=header(key, "POST", "/whoami", more))
    assert json.load(called) == ["robot", ["machine"], False, "hello"]
    assert ask(port, "POST", "/whoami", more).status == 401
    stream = ask(port, "GET", "/limen/events/orders", Authorization=header(key, "GET", "/limen/events/orders"))
    assert [stream.readline() for _ in range(3)] == [b"retry: 3000\n", b"id: 0\n", b"\n"]
    orders = app.registry.topics["orders"]
    orders.publish_to("localhost", "halt")
    assert [stream.readline() for _ in range(3)][1:] == [b"event: orders\n", b'data: {"args":["halt"],"kwargs":{}}\n']
    app.auth.remove_key(key.id)
    assert stream.read() == b"\n", "it ends with its key"
    ends = time.monotonic() + 5
    while app.hub is None or app.hub.guests:
        assert time.monotonic() < ends
        time.sleep(0.01)
