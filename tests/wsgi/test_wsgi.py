"""The WSGI callable by itself: streams, clients that leave, and what it keeps to of PEP 3333."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncGenerator, Iterator
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from limen.app.origins import origin_of
from limen.base.config import Config
from limen.base.principal import Principal
from limen.door.gateway.wsgi import Wsgi
from limen.door.http.door import HttpDoor
from limen.door.http.places import Callers, Places
from limen.door.http.request import Request
from limen.service.pipeline import Pipeline
from limen.service.registry import Registry
from limen.web.response import Response


class Streams:
    """A door with streams at `/limen/…`, on a loop of its own thread. *closed*: which came to their end, and how."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.given: list[int] = []
        self.closed = threading.Event()
        self.door = HttpDoor(
            Config(),
            Registry(),
            Pipeline(Config()),
            Places(own={"count": self.count, "echo": self.echo, "break": self.broken}),
            Callers(
                domain_of={"localhost": "localhost"}.get,
                origin_of=origin_of,
                refused=lambda domain, origin: None,
                charge=lambda domain, origin, kind: None,
            ),
        )
        self.wsgi = validator(Wsgi(lambda environ: (self.loop, self.door)))

    async def count(self, request: Request, asker: Principal, rest: tuple[str, ...]) -> Response:
        async def numbers() -> AsyncGenerator[bytes, None]:
            try:
                for number in range(1000):
                    self.given.append(number)
                    yield b"%d\n" % number
            finally:
                self.closed.set()

        return Response(200, [(b"content-type", b"text/plain")], stream=numbers())

    async def echo(self, request: Request, asker: Principal, rest: tuple[str, ...]) -> Response:
        """What comes is sent back, piece by piece."""

        async def pieces() -> AsyncGenerator[bytes, None]:
            more = True
            while more:
                message = await request.receive()
                yield message["body"]
                more = message["more_body"]

        return Response(200, [(b"content-type", b"text/plain")], stream=pieces())

    async def broken(self, request: Request, asker: Principal, rest: tuple[str, ...]) -> Response:
        async def pieces() -> AsyncGenerator[bytes, None]:
            yield b"one"
            raise OSError("the disk is gone")

        return Response(200, [(b"content-type", b"text/plain")], stream=pieces())

    def ask(self, path: str, **environ: Any) -> Any:
        whole: dict[str, Any] = {"SCRIPT_NAME": "", "PATH_INFO": path, "HTTP_HOST": "localhost", "QUERY_STRING": ""}
        setup_testing_defaults(whole)
        return self.wsgi(whole | {"HTTP_HOST": "localhost"} | environ, lambda status, headers, exc_info=None: print)


@pytest.fixture
def streams() -> Iterator[Streams]:
    streams = Streams()
    yield streams
    streams.loop.call_soon_threadsafe(streams.loop.stop)
    streams.thread.join()
    streams.loop.close()


def test_a_stream_comes_in_the_pieces_that_it_was_given_in(streams: Streams) -> None:
    answer = streams.ask("/limen/count")
    assert list(answer) == [b"%d\n" % number for number in range(1000)]
    answer.close()
    assert streams.closed.is_set()


def test_a_stream_is_no_further_than_its_reader_and_ends_with_it(streams: Streams) -> None:
    answer = streams.ask("/limen/count")
    pieces = iter(answer)
    assert [next(pieces) for _ in range(3)] == [b"0\n", b"1\n", b"2\n"]
    answer.close()  # the client has gone
    assert streams.closed.wait(5)
    assert len(streams.given) <= 7


def test_a_body_is_read_while_the_answer_is_written(streams: Streams) -> None:
    body = bytes(200_000)
    answer = streams.ask(
        "/limen/echo",
        REQUEST_METHOD="POST",
        CONTENT_LENGTH=str(len(body)),
        CONTENT_TYPE="application/octet-stream",
        **{"wsgi.input": io.BytesIO(body + b"of the next request")},
    )
    pieces = list(answer)
    assert len(pieces) > 3
    assert b"".join(pieces) == body
    answer.close()


def test_an_answer_that_breaks_off_is_not_taken_for_whole(streams: Streams) -> None:
    answer = streams.ask("/limen/break")
    pieces = iter(answer)
    assert next(pieces) == b"one"
    with pytest.raises(OSError, match="the disk is gone"):
        next(pieces)
    answer.close()
