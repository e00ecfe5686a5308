"""The WSGI callable: each request goes to the same HTTP door as any other, on an event loop of its own thread.

    WSGI thread                              event loop
    environ → Request  ────────────────→     HttpDoor.respond
    wsgi.input.read    ←── "read" ──────     receive(): a piece of the body
    start_response     ←── Response ────
    next(iterable)     ←── chunk ───────     the answer's stream, two chunks ahead at most

Source: PEP 3333. The thread that the server gave does all that blocks: it reads `wsgi.input` when the door asks for the
body, and hands on what the door says. WSGI decodes the path; RAW_URI or REQUEST_URI, which nearly all servers give
besides, say how it was written.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from http import HTTPStatus
from queue import SimpleQueue
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes, urlsplit

from limen import exc
from limen.door.http.answers import error_response
from limen.door.http.door import HttpDoor
from limen.door.http.request import Gone, Request
from limen.transport.prefix import below
from limen.web.response import Response

Environ = MutableMapping[str, Any]
StartResponse = Callable[..., Any]
Begin = Callable[[Environ], tuple[asyncio.AbstractEventLoop, HttpDoor]]
"""The running loop and its door; started if need be. Raises `exc.Error` where they can't be."""

_LOG: Final = logging.getLogger("limen.door")
_PIECE: Final = 65536
"""Bytes of a body that are read in one go; what is no longer is read before the door is asked."""
_AHEAD: Final = 2
"""Chunks of an answer that may wait for the server to take them."""
_HOPS: Final = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"upgrade"})
"""The server's own to say (PEP 3333)."""
_BODILESS: Final = frozenset({204, 304})


class Wsgi:
    """A WSGI application. *begin*: gives the loop and the door, at each request."""

    def __init__(self, begin: Begin) -> None:
        self._begin = begin

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            loop, door = self._begin(environ)
        except exc.Error as error:
            _LOG.error("%s", error)
            return _whole(
                error_response(exc.Busy("This server is not ready; its log says why.")), environ, start_response
            )
        if "HTTP_TRANSFER_ENCODING" in environ and not (
            environ.get("CONTENT_LENGTH") or environ.get("wsgi.input_terminated")
        ):
            unread = exc.InvalidCall("This server does not read chunked bodies: say Content-Length.")
            return _whole(error_response(unread, 411), environ, start_response)
        return _Exchange(loop, environ).answer(door, start_response)


def _whole(response: Response, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    headers = [(name.decode(), value.decode("latin-1")) for name, value in response.headers if name not in _HOPS]
    if response.status not in _BODILESS and response.length is not None:
        headers.append(("content-length", str(response.length)))
    start_response(f"{response.status} {_phrase(response.status)}", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [response.body]


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Status"


class _Exchange:
    """One request and its answer, between the server's thread and the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, environ: Environ) -> None:
        self._loop, self._environ = loop, environ
        self._inbox: SimpleQueue[Any] = SimpleQueue()
        """What the loop says: a future to read a piece of the body for, the Response, its chunks, and the end (None,
        or the exception)."""
        self._body = _Body(environ)
        self._task: asyncio.Task[None] | None = None
        self._over = False

    # -- on the server's thread ---------------------------------------------------------------------------------
    def answer(self, door: HttpDoor, start_response: StartResponse) -> Iterable[bytes]:
        first = self._body.ahead()
        request = _request(self._environ, self._receive)
        self._first: list[dict[str, Any]] = [first] if first is not None else []
        self._loop.call_soon_threadsafe(self._start, door, request)
        said = self._hear()
        if not isinstance(said, Response):
            if isinstance(said, Gone):
                said = error_response(exc.InvalidCall("The body did not come."))
            else:  # the loop ends
                said = error_response(exc.Busy("The server ends."))
            return _whole(said, self._environ, start_response)
        body = _whole(said, self._environ, start_response)
        if said.stream is None or self._environ["REQUEST_METHOD"] == "HEAD":
            return body
        return self

    def __iter__(self) -> Iterator[bytes]:
        while isinstance(said := self._hear(), bytes):
            with contextlib.suppress(RuntimeError):  # the loop has ended; so has the stream
                self._loop.call_soon_threadsafe(self._room.release)
            yield said
        if said is not None:
            raise said  # the server cuts the connection: the client sees that this is not all

    def close(self) -> None:
        """The server calls this at the end, and when the client has gone away."""
        if not self._over:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._leave)

    def _hear(self) -> Any:
        """What the loop says next; pieces of the body are read meanwhile, as it asks for them."""
        while True:
            said = self._inbox.get()
            if not isinstance(said, asyncio.Future):
                self._over = said is None or isinstance(said, BaseException)
                return said
            message = self._body.piece()
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_settle, said, message)

    # -- on the loop --------------------------------------------------------------------------------------------
    def _start(self, door: HttpDoor, request: Request) -> None:
        self._room = asyncio.Semaphore(_AHEAD)
        self._left = asyncio.Event()
        self._task = self._loop.create_task(self._serve(door, request))
        self._task.add_done_callback(self._done)

    async def _serve(self, door: HttpDoor, request: Request) -> None:
        response = await door.respond(request)
        self._inbox.put(response)
        if response.stream is None:
            return
        try:
            if request.method == "HEAD":
                return
            async for chunk in response.stream:
                if chunk:
                    await self._room.acquire()
                    self._inbox.put(bytes(chunk))
        finally:
            await response.stream.aclose()

    def _done(self, task: asyncio.Task[None]) -> None:
        cut = asyncio.CancelledError("the answer was cut")
        error = cut if task.cancelled() else task.exception()
        self._inbox.put(ConnectionAbortedError(str(error)) if error is cut else error)

    def _leave(self) -> None:
        self._left.set()
        if self._task is not None:
            self._task.cancel()

    async def _receive(self) -> dict[str, Any]:
        """As in ASGI: pieces of the body, and then nothing until the client has gone."""
        if self._first:
            return self._first.pop()
        if self._body.over:
            await self._left.wait()
            return {"type": "http.disconnect"}
        future: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._inbox.put(future)
        return await future


def _settle(future: asyncio.Future[dict[str, Any]], message: dict[str, Any]) -> None:
    if not future.done():
        future.set_result(message)


# -- the environ ------------------------------------------------------------------------------------------------
class _Body:
    """`wsgi.input`, read on the server's thread only: as much as CONTENT_LENGTH says, or to its end where the server
    says that it has one (`wsgi.input_terminated`)."""

    def __init__(self, environ: Environ) -> None:
        self._input = environ["wsgi.input"]
        length = environ.get("CONTENT_LENGTH") or ""
        self._left: int | None = int(length) if length.isdigit() and len(length) < 19 else 0
        if not length and "HTTP_TRANSFER_ENCODING" in environ and environ.get("wsgi.input_terminated"):
            self._left = None
        self.over = False

    def ahead(self) -> dict[str, Any] | None:
        """The whole body, where it is short: one turn less. None for a longer one."""
        return self.piece() if self._left is not None and self._left <= _PIECE else None

    def piece(self) -> dict[str, Any]:
        """The next piece, as ASGI has it."""
        want = _PIECE if self._left is None else min(self._left, _PIECE)
        try:
            data = self._input.read(want) if want else b""
        except Exception:  # whatever the server's own file raises when the client has gone
            data, self._left = b"", self._left or 1
        if self._left is None:
            self.over = not data
        else:
            self.over = len(data) >= self._left or not data
            if len(data) < self._left and not data:
                return {"type": "http.disconnect"}
            self._left -= len(data)
        return {"type": "http.request", "body": data, "more_body": not self.over}


def _request(environ: Environ, receive: Any) -> Request:
    pairs = [
        (name[5:].replace("_", "-").lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in environ.items()
        if name.startswith("HTTP_") and name not in ("HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE")
    ]
    for name in ("CONTENT_LENGTH", "CONTENT_TYPE"):
        if environ.get(name):
            pairs.append((name.replace("_", "-").lower().encode(), environ[name].encode("latin-1")))
    # gunicorn takes a scheme from these headers by rules of its own; here config.PROXIES alone decides.
    said = any(f"HTTP_X_FORWARDED_{name}" in environ for name in ("PROTO", "PROTOCOL", "SSL"))
    request = Request(
        environ["REQUEST_METHOD"],
        raw_path(environ),
        environ.get("QUERY_STRING", "").encode("latin-1"),
        pairs,
        environ.get("REMOTE_ADDR") or "",
        environ.get("wsgi.url_scheme") == "https" and not said,
        receive,
    )
    request.root = environ.get("SCRIPT_NAME", "").encode("latin-1").decode(errors="replace").rstrip("/")
    return request


def raw_path(environ: Environ) -> bytes:
    """The path below SCRIPT_NAME as it was sent, if the server says that, and if nobody has changed it since; else as
    PATH_INFO has it, in which an escaped slash can't be told from a slash.

    >>> raw_path({"SCRIPT_NAME": "/app", "PATH_INFO": "/a/b", "RAW_URI": "/app/a%2Fb?x=1"})
    b'/a%2Fb'
    >>> raw_path({"SCRIPT_NAME": "/app", "PATH_INFO": "/a b", "REQUEST_URI": "/elsewhere"})
    b'/a%20b'
    """
    script = environ.get("SCRIPT_NAME", "").encode("latin-1")
    path = environ.get("PATH_INFO", "").encode("latin-1")
    sent = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    raw = sent if sent.startswith("/") else urlsplit(sent).path
    raw_bytes: bytes = raw.partition("?")[0].encode("latin-1")
    if raw_bytes and unquote_to_bytes(raw_bytes) == script + path:
        return below(raw_bytes, script)
    return quote(path or b"/").encode()
