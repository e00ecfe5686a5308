"""`WsgiClient`: calls to a WSGI application in this process, without a socket (PEP 3333)."""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import IO, Any, Final, TypeVar
from urllib.parse import unquote_to_bytes

from limen import exc
from limen.client.address import site
from limen.client.core import AsyncClient
from limen.client.exchange import Answer, Request
from limen.client.http import HttpTransport
from limen.client.sync import Client

T = TypeVar("T")
App = Callable[..., Iterable[bytes]]
"""PEP 3333: `app(environ, start_response)`."""
THREADS: Final = 16
"""Calls that are under way at once; more wait."""
_SPOOL: Final = 1 * 2**20
"""Bytes of a request that are kept in memory; more go to a temporary file."""


class WsgiExchange:
    """*url*: as whom the application is asked; its scheme says whether that is over TLS."""

    def __init__(self, app: App, url: str) -> None:
        self._app = app
        self.site = site(url)
        self.domain, self.origin, self.prefix = self.site.domain, self.site.origin, self.site.prefix
        self._threads: ThreadPoolExecutor | None = None

    async def send(self, request: Request) -> Answer:
        body: IO[bytes]
        if isinstance(request.body, bytes):
            body, length = io.BytesIO(request.body), len(request.body)
        else:
            body, length = tempfile.SpooledTemporaryFile(_SPOOL), 0  # noqa: SIM115  # closed with the answer
            async for piece in request.body:
                length += await self._on_thread(partial(body.write, piece))
            body.seek(0)
        answer = _Answer(self._app, self._environ(request, body, length))
        try:
            first = await self._on_thread(answer.begin)
        except asyncio.CancelledError:
            raise  # a thread can't be stopped; what it gives is thrown away
        except Exception as error:
            body.close()
            raise exc.OutcomeUnknown(f"The application failed: {error!r}") from error
        return Answer(answer.status, answer.headers, self._chunks(answer, first, body))

    async def close(self) -> None:
        threads, self._threads = self._threads, None
        if threads is not None:
            await asyncio.to_thread(threads.shutdown)

    async def _chunks(self, answer: _Answer, first: bytes, body: IO[bytes]) -> AsyncGenerator[bytes, None]:
        try:
            piece: bytes | None = first
            while piece is not None:
                if piece:
                    yield piece
                piece = await self._on_thread(answer.next)
        except OSError as error:
            raise exc.OutcomeUnknown(f"The application failed: {error!r}") from error
        finally:
            await self._on_thread(answer.close)
            body.close()

    async def _on_thread(self, work: Callable[[], T]) -> T:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, "limen-wsgi-client")
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _environ(self, request: Request, body: IO[bytes], length: int) -> dict[str, Any]:
        path, _, query = request.target.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "CONTENT_LENGTH": str(length),
            "SERVER_NAME": self.site.host,
            "SERVER_PORT": str(self.site.port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": self.site.authority,
            "HTTP_USER_AGENT": "limen",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https" if self.site.tls else "http",
            "wsgi.input": body,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in request.headers:
            key = name.upper().replace("-", "_")
            environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
        return environ


class _Answer:
    """One request, on whatever thread its turn comes; never on two at once."""

    def __init__(self, app: App, environ: dict[str, Any]) -> None:
        self._app, self._environ = app, environ
        self._written: list[bytes] = []
        self._iterable: Iterable[bytes] = ()
        self._pieces: Iterator[bytes] = iter(())
        self.status = 0
        self.headers: dict[str, str] = {}

    def begin(self) -> bytes:
        """Runs the application up to the first piece of its body; then the head is settled."""
        self._iterable = self._app(self._environ, self._start)
        self._pieces = iter(self._iterable)
        first = self.next() or b""
        if not self.status:
            self.close()
            raise RuntimeError("it never called start_response")
        return first

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        self.status, self.headers = int(status[:3]), {}
        for name, value in headers:
            key = name.lower()
            self.headers[key] = f"{self.headers[key]}, {value}" if key in self.headers else value
        return self._written.append

    def next(self) -> bytes | None:
        """The next piece; None at the end."""
        piece = next(self._pieces, None)
        if self._written:
            piece = b"".join(self._written) + (piece or b"")
            self._written.clear()
        return piece

    def close(self) -> None:
        close = getattr(self._iterable, "close", None)
        if close is not None:
            close()


class AsyncWsgiClient(AsyncClient):
    """The services of the WSGI application *app*, in this process, on threads.

    *url*: as whom it is asked: the host is the tenant, https stands for TLS, a path for where Limen is mounted.
    *timeout*: seconds that a call may take, unless it says otherwise (WSGI has no way to tell the service that nobody
    waits any more). *max_message_size*: bytes of an answer.
    """

    def __init__(
        self,
        app: App,
        url: str = "https://localhost",
        *,
        timeout: float | None = None,
        max_message_size: int = 16 * 2**20,
    ) -> None:
        transport = HttpTransport(
            WsgiExchange(app, url), name="WsgiClient", max_message_size=max_message_size, listens=False
        )
        super().__init__(transport, timeout=timeout)


class WsgiClient(Client):
    """As `AsyncWsgiClient`, for code that is not async."""

    def __init__(
        self,
        app: App,
        url: str = "https://localhost",
        *,
        timeout: float | None = None,
        max_message_size: int = 16 * 2**20,
    ) -> None:
        super().__init__(AsyncWsgiClient(app, url, timeout=timeout, max_message_size=max_message_size))
