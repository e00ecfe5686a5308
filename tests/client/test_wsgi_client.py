"""`WsgiClient` against applications that do what PEP 3333 allows."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any
from wsgiref.validate import validator

import pytest

from limen import AsyncWsgiClient, WsgiClient, exc

TYPE = "application/limen+json"
seen: list[dict[str, Any]] = []
closed: list[str] = []


class Lines:
    """A stream's values, each with a thread's step."""

    def __init__(self, n: int) -> None:
        self.values = iter([*[b"%d\n" % i for i in range(n)], b'{"$end":"done"}\n'])

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self.values)

    def close(self) -> None:
        closed.append("lines")


def application(environ: dict[str, Any], start_response: Any) -> Any:
    seen.append(environ)
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    match environ["PATH_INFO"]:
        case "/app/echo":
            start_response("200 OK", [("Content-Type", TYPE)])
            return [b"", json.dumps(json.loads(body)["$call"][0][0]).encode()]
        case "/app/count":
            start_response("200 OK", [("Content-Type", "application/limen+ndjson")])
            return Lines(1000)
        case "/app/write":
            write = start_response("200 OK", [("Content-Type", TYPE)])
            write(b"[1")
            write(b",2")
            return [b"]"]
        case "/app/thread":
            start_response("200 OK", [("Content-Type", TYPE)])
            return [json.dumps(threading.current_thread().name).encode()]
        case "/app/refuse":
            start_response("404 Not Found", [("Content-Type", TYPE)])
            return [b'{"exc":"RecordNotFound","err":["None."],"id":7}']
    raise RuntimeError("the application's own")


@pytest.fixture
def client() -> Iterator[WsgiClient]:
    with WsgiClient(application, "http://clinic.example:8080/app") as client:
        yield client


def test_calls_errors_and_streams_are_as_over_http(client: WsgiClient) -> None:
    assert client.call("echo", {"a": [1]}) == {"a": [1]}
    assert client.call("write") == [1, 2]
    with pytest.raises(exc.RecordNotFound) as raised:
        client.call("refuse")
    assert raised.value.facts == {"id": 7}
    stream = client.stream("count")
    assert (list(stream), stream.result) == (list(range(1000)), "done")
    with client.stream("count") as left:
        assert next(left) == 0
    assert closed == ["lines", "lines"]
    with pytest.raises(exc.OutcomeUnknown, match="the application's own"):
        client.call("fail")


def test_the_environment_says_as_whom_it_is_asked(client: WsgiClient) -> None:
    client.call("echo", "grüße")
    environ = seen[-1]
    assert (environ["HTTP_HOST"], environ["wsgi.url_scheme"], environ["SERVER_PORT"]) == (
        "clinic.example:8080",
        "http",
        "8080",
    )
    assert client.domain == "clinic.example"


def test_it_runs_on_threads_which_end_with_the_client(client: WsgiClient) -> None:
    name = client.call("thread")
    assert name.startswith("limen-wsgi-client")
    client.close()
    assert name not in [thread.name for thread in threading.enumerate()]


async def test_the_validator_of_the_standard_library_finds_nothing() -> None:
    def strict(environ: dict[str, Any], start_response: Any) -> Any:
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        start_response("200 OK", [("Content-Type", TYPE)])
        return [b"7"]

    async with AsyncWsgiClient(validator(strict)) as client:
        assert await client.call("any") == 7
