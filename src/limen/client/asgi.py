"""`AsgiClient`: calls to an ASGI application in this process, without a socket: the whole HTTP door, for tests and for
programs that hold a Limen inside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

from limen import exc
from limen.client.address import site
from limen.client.core import AsyncClient
from limen.client.exchange import Answer, Request
from limen.client.http import HttpTransport
from limen.client.sync import Client

Message = MutableMapping[str, Any]
App = Callable[..., Awaitable[None]]
"""ASGI 3: `await app(scope, receive, send)`."""


class AsgiExchange:
    """*url*: as whom the application is asked; its scheme says whether that is over TLS."""

    def __init__(self, app: App, url: str) -> None:
        self._app = app
        self.site = site(url)
        self.domain, self.origin, self.prefix = self.site.domain, self.site.origin, self.site.prefix
        self._life: _Life | None = None
        self._starting = asyncio.Lock()

    async def send(self, request: Request) -> Answer:
        async with self._starting:
            if self._life is None:
                self._life = _Life(self._app)
                await self._life.start()
        exchange = _Exchange(request)
        exchange.task = asyncio.ensure_future(self._app(self._scope(request), exchange.receive, exchange.send))
        exchange.task.add_done_callback(lambda _: exchange.wake())
        try:
            status, headers = await exchange.head()
        except BaseException:
            await exchange.leave()
            raise
        return Answer(status, headers, exchange.body())

    async def close(self) -> None:
        life, self._life = self._life, None
        if life is not None:
            await life.stop()

    def _scope(self, request: Request) -> dict[str, Any]:
        path, _, query = request.target.partition("?")
        headers = [(b"host", self.site.authority.encode()), (b"user-agent", b"limen")]
        if isinstance(request.body, bytes):
            headers.append((b"content-length", b"%d" % len(request.body)))
        elif request.length is None:
            headers.append((b"transfer-encoding", b"chunked"))
        else:
            headers.append((b"content-length", b"%d" % request.length))
        headers += [(name.encode("ascii"), value.encode("ascii")) for name, value in request.headers]
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "https" if self.site.tls else "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": (self.site.host, self.site.port),
            "state": self._life.state if self._life is not None else {},
        }


class _Exchange:
    """One request: what the application receives, and what it sends, one message at a time."""

    task: asyncio.Future[None]

    def __init__(self, request: Request) -> None:
        self._pieces = _pieces(request)
        self._asked_all = False
        self._gone = asyncio.Event()
        self._messages: list[Message] = []
        self._news = asyncio.Event()
        self._taken = asyncio.Event()

    async def receive(self) -> Message:
        if not self._asked_all:
            async for piece in self._pieces:
                return {"type": "http.request", "body": piece, "more_body": True}
            self._asked_all = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self._taken.clear()
        self._messages.append(message)
        self.wake()
        if message["type"] == "http.response.body" and message.get("more_body", False):
            await self._taken.wait()

    def wake(self) -> None:
        self._news.set()

    async def _next(self) -> Message:
        while not self._messages:
            if self.task.done():
                try:
                    self.task.result()
                except Exception as error:
                    raise exc.OutcomeUnknown(f"The application failed: {error!r}") from error
                raise exc.OutcomeUnknown("The application ended before its answer was whole.")
            self._news.clear()
            await self._news.wait()
        message = self._messages.pop(0)
        self._taken.set()
        return message

    async def head(self) -> tuple[int, dict[str, str]]:
        message = await self._next()
        headers: dict[str, str] = {}
        for name, value in message.get("headers", ()):
            key, text = bytes(name).decode("latin-1").lower(), bytes(value).decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        return int(message["status"]), headers

    async def body(self) -> AsyncGenerator[bytes, None]:
        try:
            more = True
            while more:
                message = await self._next()
                more = message.get("more_body", False)
                if piece := message.get("body", b""):
                    yield piece
        finally:
            await self.leave()

    async def leave(self) -> None:
        """Nobody listens any more: the application is told, and has a moment to end by itself."""
        self._gone.set()
        self._taken.set()
        await asyncio.wait([self.task], timeout=1.0)
        if not self.task.done():
            self.task.cancel()
            await asyncio.wait([self.task])
        if not self.task.cancelled():
            self.task.exception()
        await self._pieces.aclose()


async def _pieces(request: Request) -> AsyncGenerator[bytes, None]:
    if isinstance(request.body, bytes):
        yield request.body
        return
    async for piece in request.body:
        yield piece


class _Life:
    """The application's lifespan. One that knows none raises, which is fine (ASGI, Lifespan 2.0)."""

    def __init__(self, app: App) -> None:
        self.state: dict[str, Any] = {}
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._outbox: asyncio.Queue[Message] = asyncio.Queue()
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        self._task = asyncio.ensure_future(app(scope, self._inbox.get, self._outbox.put))

    async def start(self) -> None:
        """Raises exc.ConnectionLost with what the application says when it does not start."""
        said = await self._say("lifespan.startup")
        if said is not None and said["type"] == "lifespan.startup.failed":
            raise exc.ConnectionLost(f"The application did not start: {said.get('message', '')}")

    async def stop(self) -> None:
        await self._say("lifespan.shutdown")
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.exception()

    async def _say(self, what: str) -> Message | None:
        if self._task.done():
            return None
        await self._inbox.put({"type": what})
        answer = asyncio.ensure_future(self._outbox.get())
        await asyncio.wait([answer, self._task], return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            return None
        return answer.result()


class AsyncAsgiClient(AsyncClient):
    """The services of the ASGI application *app*, in this process.

    It is started with the first call, and stopped by `close`. *url*: as whom it is asked: the host is the tenant, https
    stands for TLS, a path for where Limen is mounted. *timeout*: seconds that a call may take, unless it says
    otherwise. *max_message_size*: bytes of an answer.
    """

    def __init__(
        self,
        app: App,
        url: str = "https://localhost",
        *,
        timeout: float | None = None,
        max_message_size: int = 16 * 2**20,
    ) -> None:
        transport = HttpTransport(AsgiExchange(app, url), name="AsgiClient", max_message_size=max_message_size)
        super().__init__(transport, timeout=timeout)


class AsgiClient(Client):
    """As `AsyncAsgiClient`, for code that is not async; the application runs on a thread in the background."""

    def __init__(
        self,
        app: App,
        url: str = "https://localhost",
        *,
        timeout: float | None = None,
        max_message_size: int = 16 * 2**20,
    ) -> None:
        super().__init__(AsyncAsgiClient(app, url, timeout=timeout, max_message_size=max_message_size))
