"""A WSGI application below a path of ours, on worker threads.

No thread waits for a client that sends: the body is whole before the application is asked. One that reads slowly holds
a thread only where more than `_AHEAD` bytes of the answer wait for it.

Source: PEP 3333.
"""

from __future__ import annotations

import asyncio
import io
import sys
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, BinaryIO, Final
from urllib.parse import quote, unquote_to_bytes
from wsgiref.util import FileWrapper

from limen import exc
from limen.door.http.request import Request
from limen.service.workers import Workers
from limen.web.response import Response

_AHEAD: Final = 256 * 1024
"""Bytes of an answer that may wait for the client to take them; one chunk may be more."""


class WsgiBelow:
    """*application*, each request on one of at most *threads* threads."""

    def __init__(self, application: Callable[..., Any], threads: int) -> None:
        self._application, self._threads = application, threads
        self._workers: Workers | None = None

    async def __call__(self, request: Request, root: str, body: BinaryIO | None = None) -> Response:
        exchange = _Exchange(asyncio.get_running_loop(), request, body or io.BytesIO())
        context = copy_context()
        if self._workers is None:
            self._workers = Workers(self._threads, "limen-mounted")
        self._workers.start(lambda: context.run(exchange.run, self._application, root))
        try:
            said = await exchange.said.get()
        except asyncio.CancelledError:
            exchange.leave()
            raise
        if not isinstance(said, tuple):
            raise said if isinstance(said, Exception) else exc.InternalError()
        from .mount import Chunks, response

        status, headers = said
        return response(status, headers, Chunks(exchange.fetch, exchange.leave), request.method)

    def close(self) -> None:
        """Ends the threads, each after the request that it has."""
        if self._workers is not None:
            self._workers.shutdown(wait=False)
            self._workers = None


class _Exchange:
    def __init__(self, loop: asyncio.AbstractEventLoop, request: Request, body: BinaryIO) -> None:
        self._loop, self._request, self._body = loop, request, body
        self.said: asyncio.Queue[Any] = asyncio.Queue()
        """(status, headers), then chunks, then None or an exception."""
        self._room = threading.Condition()
        self._waiting = 0
        self._gone = False

    # -- on the loop --------------------------------------------------------------------------------------------
    async def fetch(self) -> bytes | None:
        """The next chunk, None at the end; raises what the application raised."""
        said = await self.said.get()
        if said is None:
            return None
        if not isinstance(said, bytes):
            raise said
        with self._room:
            self._waiting -= len(said)
            self._room.notify()
        return said

    def leave(self) -> None:
        """Nobody wants the rest: the application is told when it gives its next chunk, or not asked at all."""
        with self._room:
            self._gone = True
            self._room.notify()

    # -- on the worker's thread ---------------------------------------------------------------------------------
    def run(self, application: Callable[..., Any], root: str) -> None:
        """Calls *application*, and says all that comes of it; never raises."""
        try:
            with self._body:
                if not self._gone:
                    self._run(application, self._environ(root))
        except BaseException as error:
            failed = error if isinstance(error, Exception) else RuntimeError(f"it raised {type(error).__name__}")
            self._say(failed)
        else:
            self._say(None)

    def _run(self, application: Callable[..., Any], environ: dict[str, Any]) -> None:
        head: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            if head and (exc_info is None or head[0] is None):
                raise exc_info[1] if exc_info else AssertionError("start_response was called twice.")
            pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
            head[:] = [(int(status[:3]), pairs)]
            return write

        def write(chunk: bytes) -> None:
            if head[0] is not None:
                self._say(head[0])
                head[0] = None  # sent
            if chunk:
                with self._room:
                    while self._waiting and self._waiting + len(chunk) > _AHEAD and not self._gone:
                        self._room.wait()
                    if self._gone:
                        raise ConnectionAbortedError("the client has gone")
                    self._waiting += len(chunk)
                self._say(bytes(chunk))

        chunks = application(environ, start_response)
        try:
            for chunk in chunks:
                if chunk:
                    write(chunk)
            write(b"")
        finally:
            if hasattr(chunks, "close"):
                chunks.close()

    def _say(self, what: Any) -> None:
        self._loop.call_soon_threadsafe(self.said.put_nowait, what)

    def _environ(self, root: str) -> dict[str, Any]:
        from .mount import believed

        request = self._request
        script = root.encode()
        path = unquote_to_bytes(quote(request.root).encode() + request.path)
        host, _, port = request.headers.get(b"host", b"").decode("latin-1").rpartition(":")
        named = port.isdigit() and not host.endswith(":")
        environ = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": script.decode("latin-1"),
            "PATH_INFO": path[len(script) :].decode("latin-1"),
            "QUERY_STRING": request.query.decode("latin-1"),
            "REQUEST_URI": quote(request.root) + request.path.decode("latin-1"),
            "SERVER_NAME": host if named else host + port,
            "SERVER_PORT": port if named else "443" if request.tls else "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": request.client,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https" if request.tls else "http",
            "wsgi.input": self._body,
            "wsgi.input_terminated": True,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "wsgi.file_wrapper": FileWrapper,
        }
        for name, value in believed(request):
            key, text = name.decode("latin-1").upper(), value.decode("latin-1")
            key = key.replace("-", "_")
            if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                key = "HTTP_" + key
            environ[key] = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ', '}{text}" if key in environ else text
        if environ.pop("HTTP_TRANSFER_ENCODING", None) is not None:  # it came in chunks, and is whole now
            environ["CONTENT_LENGTH"] = str(self._body.seek(0, io.SEEK_END))
            self._body.seek(0)
        return environ
