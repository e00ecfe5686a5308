"""Another ASGI or WSGI application below a path of ours, behind the same guard.

It is a service whose function takes the request and gives the response: TLS, abuse, `check_perm` and the log are the
pipeline's, as for any call, and `get_state()` and the storage's domain hold inside. What the application is told of a
request is what Limen believes: client, scheme and host behind `config.PROXIES`, and no forwarded headers.

Source: the ASGI specification, HTTP 2.5 and Lifespan 2.0.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote_to_bytes

from limen import exc
from limen.base.proxies import HEADERS
from limen.door.http.request import Request
from limen.service.service import CheckPerm, Service, address
from limen.web.response import Response

if TYPE_CHECKING:
    from .mount_wsgi import WsgiBelow

Message = MutableMapping[str, Any]

_LOG: Final = logging.getLogger("limen.door")
_DROPPED: Final = frozenset({name.encode() for name in HEADERS} | {b"x-real-ip"})
"""… and all that begin with X-Forwarded: an application that believes one must not take it from a stranger."""
_HOPS: Final = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"content-length"})
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
SEALED: Final = (
    "mount() has no {}: a mounted application is asked over plain HTTP, where nobody is logged in to Limen. Guard it "
    "with ssl, methods and check_perm(state), which sees the caller's origin, domain and TLS."
)


class Mounted:
    """*application* at *urlpath*. *cross_site*: other sites' pages may ask it, by its own rules. *wsgi*: it is a WSGI
    application; None: it is unless it, or its `__call__`, is `async`.
    """

    def __init__(
        self,
        urlpath: str,
        application: Callable[..., Any],
        *,
        ssl: bool | None = None,
        check_abusive: bool = True,
        check_perm: CheckPerm | None = None,
        methods: Iterable[str] = _METHODS,
        cross_site: bool = False,
        threads: int = 16,
        wsgi: bool | None = None,
    ) -> None:
        if not callable(application):
            raise TypeError(f"mount() takes an ASGI or WSGI application, not {application!r}.")
        self.urlpath = address(urlpath) if urlpath.strip("/") else ""
        self.segments = tuple(self.urlpath.split("/")) if self.urlpath else ()
        self.methods = tuple(method.upper() for method in methods)
        self.cross_site = cross_site
        self._application = application
        self._state: dict[str, Any] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._below: WsgiBelow | None = None
        if wsgi or (wsgi is None and not _is_async(application)):
            from .mount_wsgi import WsgiBelow

            self._below = WsgiBelow(application, threads)
        self.service = Service(
            self.answer, self.urlpath, safe=False, ssl=ssl, auto_parse=False, check_abusive=check_abusive,
            check_perm=check_perm,
        )  # fmt: skip

    @property
    def on_threads(self) -> bool:
        """It is a WSGI application: its body must be there before it is asked, for a thread is not to wait for it."""
        return self._below is not None

    async def answer(self, request: Any, root: Any, body: Any = None) -> Any:
        """The application's response. *root*: the path below which it stands, decoded. *body*: a file, where it is
        whole already."""
        response = await (self._ask(request, root) if self._below is None else self._below(request, root, body))
        if any(byte in name + value for name, value in response.headers for byte in b"\r\n\0"):
            if response.stream is not None:
                await response.stream.aclose()
            raise exc.InternalError("The application gave a header that is none.")
        return response

    # -- asgi ---------------------------------------------------------------------------------------------------
    async def _ask(self, request: Request, root: str) -> Response:
        sent: asyncio.Queue[Message | None] = asyncio.Queue(2)
        gone = False

        async def run() -> None:
            try:
                await self._application(self._scope(request, root), receive, send)
            finally:
                if not gone:  # nobody would take it, and this would wait for ever
                    await sent.put(None)

        async def send(message: Message) -> None:
            if gone:
                raise ConnectionAbortedError("the client has gone")
            await sent.put(message)

        def leave() -> None:
            nonlocal gone
            gone = True
            task.cancel()

        async def receive() -> Message:
            message = await request.receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                request.unread = False
            return message

        task = asyncio.create_task(run())
        self._running.add(task)  # it may have work left when the answer is out
        task.add_done_callback(self._ended)
        try:
            start = await sent.get()
        except asyncio.CancelledError:
            leave()
            raise
        if start is None or start["type"] != "http.response.start":
            leave()
            raise exc.InternalError
        whole = False

        async def fetch() -> bytes | None:
            nonlocal whole
            while not whole:
                message = await sent.get()
                if message is None:
                    raise ConnectionAbortedError("the application ended before its answer did")
                whole = not message.get("more_body", False)
                if body := message.get("body", b""):
                    return bytes(body)
            return None

        return response(start["status"], start.get("headers", ()), Chunks(fetch, leave), request.method)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("What is mounted at /%s failed", self.urlpath, exc_info=error)

    def _scope(self, request: Request, root: str) -> dict[str, Any]:
        raw = quote(request.root).encode() + request.path
        host, _, port = request.headers.get(b"host", b"").decode("latin-1").rpartition(":")
        named = port.isdigit() and not host.endswith(":")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "https" if request.tls else "http",
            "path": unquote_to_bytes(raw).decode(),
            "raw_path": raw,
            "root_path": root,
            "query_string": request.query,
            "headers": believed(request),
            "client": (request.client, 0) if request.client else None,
            "server": (host, int(port)) if named else (host + port, 443 if request.tls else 80),
            "state": dict(self._state),
            "extensions": {},
        }

    @asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """The application's lifespan, if it knows one. Raises `exc.Error` if it does not start."""
        if self._below is None:
            async with alive(self._application, self._state, f"What is mounted at /{self.urlpath}"):
                yield
            return
        try:
            yield
        finally:
            self._below.close()


@asynccontextmanager
async def alive(application: Callable[..., Any], state: dict[str, Any], name: str) -> AsyncIterator[None]:
    """The lifespan of an ASGI application, if it knows one. *state*: takes what it has for its requests. Raises
    `exc.Error`, which begins with *name*, if it does not start."""
    heard: asyncio.Queue[Message] = asyncio.Queue()
    said: asyncio.Queue[Message | None] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}

    async def run() -> None:
        try:
            await application(scope, heard.get, said.put)
        finally:
            await said.put(None)

    task = asyncio.create_task(run())
    await heard.put({"type": "lifespan.startup"})
    answer = await said.get()
    if answer is not None and answer["type"] == "lifespan.startup.failed":
        task.cancel()
        raise exc.Error(f"{name} did not start: {answer.get('message', '')}")
    try:
        yield
    finally:
        if answer is not None:  # else it knows no lifespan
            await heard.put({"type": "lifespan.shutdown"})
            await said.get()
        with contextlib.suppress(BaseException):
            await task


def _is_async(application: Any) -> bool:
    if inspect.iscoroutinefunction(inspect.unwrap(application)):
        return True
    return inspect.iscoroutinefunction(getattr(type(application), "__call__", None))  # noqa: B004


def believed(request: Request) -> list[tuple[bytes, bytes]]:
    """The headers that an application is told: the Host that counts, and nothing that a proxy was to say. None with an
    underscore: many frameworks can't tell it from the one with a hyphen."""
    host = request.headers.get(b"host", b"")
    return [
        (name, host if name == b"host" else value)
        for name, value in request.pairs
        if b"_" not in name and name not in _DROPPED and not name.startswith(b"x-forwarded")
    ]


def response(
    status: int, headers: Iterable[tuple[bytes, bytes]], chunks: AsyncGenerator[bytes, None], method: str
) -> Response:
    """The Response that an application's answer is."""
    pairs = [(name.lower(), value) for name, value in headers]
    said = next((value for name, value in pairs if name == b"content-length"), b"")
    length = int(said) if said.isdigit() else None
    kept = [pair for pair in pairs if pair[0] not in _HOPS]
    if length == 0 and method != "HEAD":
        length = None  # a stream of no chunks ends by itself
    return Response(status, kept, stream=chunks, length=length)


class Chunks(AsyncGenerator[bytes, None]):
    """An answer's chunks as `fetch` gives them, until None. *left*: called where nobody wants the rest, also if nobody
    wanted the first (a generator that has not begun knows no `finally`)."""

    def __init__(self, fetch: Callable[[], Awaitable[bytes | None]], left: Callable[[], object]) -> None:
        self._fetch, self._left = fetch, left
        self._over = False

    async def asend(self, value: None) -> bytes:
        chunk = None if self._over else await self._fetch()
        if chunk is None:
            self._over = True
            raise StopAsyncIteration
        return chunk

    async def athrow(self, typ: Any, val: Any = None, tb: Any = None) -> Any:
        await self.aclose()
        raise typ if val is None else val

    async def aclose(self) -> None:
        if not self._over:
            self._over = True
            self._left()
