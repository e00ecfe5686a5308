"""The ASGI callable: each scope to its door.

    http → HttpDoor · websocket → the handler given in · lifespan → start and stop

Source: the ASGI specification, HTTP & WebSocket 2.5 and Lifespan 2.0. Forwarded headers are read
by the doors, from `config.PROXIES`; a server that rewrites `client` and `scheme` itself must be told not to (uvicorn:
`proxy_headers=False`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from limen import exc
from limen.door.http.door import HttpDoor
from limen.door.http.request import Gone, Request
from limen.transport.prefix import raw_path
from limen.web.response import Response

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Handler = Callable[[Scope, Receive, Send], Awaitable[None]]
Hook = Callable[[], Awaitable[None]]

_LOG: Final = logging.getLogger("limen.door")
_BODILESS: Final = frozenset({204, 304})
_CLOSE: Final = (b"connection", b"close")


class Asgi:
    """An ASGI 3 application of one HTTP door and one WebSocket handler.

    *websocket*: an ASGI application for `websocket` scopes, None to refuse them. *start*, *stop*: awaited at the
    server's start and end. A server without `lifespan` gets *start* before its first request and *stop* never.
    """

    def __init__(
        self,
        http: HttpDoor,
        websocket: Handler | None = None,
        *,
        start: Hook | None = None,
        stop: Hook | None = None,
    ) -> None:
        self._http = http
        self._websocket = websocket
        self._start = start
        self._stop = stop
        self._starting: asyncio.Future[None] | None = None
        self._started = start is None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            if not self._started:
                await self._begin()
            await self._serve(scope, receive, send)
        elif kind == "websocket":
            if not self._started:
                await self._begin()
            if self._websocket is None:
                await receive()
                await send({"type": "websocket.close", "code": 1000})
                return
            await self._websocket(scope, receive, send)
        elif kind == "lifespan":
            await self._live(receive, send)
        else:
            raise RuntimeError(f"Limen knows no ASGI scope {kind!r}.")

    # -- http ---------------------------------------------------------------------------------------------------
    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        request = Request(
            scope["method"],
            raw_path(scope),
            scope.get("query_string", b""),
            scope["headers"],
            client[0] if client else "",
            scope.get("scheme") == "https",
            receive,
        )
        if root := scope.get("root_path"):
            request.root = root.rstrip("/")
        try:
            response = await self._http.respond(request)
        except Gone:
            return
        except asyncio.CancelledError:
            if request.gone:
                return  # the client went away and its call was cancelled: there is nobody to tell
            raise
        if response.head is not None and not request.unread and "limen.response" in scope.get("extensions", ()):
            # Our own server takes it in one piece (transport/http_cycle.py).
            await send(
                {"type": "limen.response", "status": response.status, "head": response.head, "body": response.body}
            )
            return
        stream = response.stream
        head = request.method == "HEAD"
        headers = [*response.headers]
        if response.status not in _BODILESS and response.length is not None:
            headers.append((b"content-length", b"%d" % response.length))
        if request.unread and scope.get("http_version", "1.1")[0] == "1":
            # What is left of the body is not waited for; it must not be taken for the next request either.
            headers.append(_CLOSE)
        try:
            await send({"type": "http.response.start", "status": response.status, "headers": headers})
            if stream is None or head:
                await send({"type": "http.response.body", "body": b"" if head else response.body})
            else:
                await self._pour(request, response, send)
        finally:
            if stream is not None:
                await stream.aclose()

    async def _pour(self, request: Request, response: Response, send: Send) -> None:
        """Sends a stream; each chunk is fetched when the server has taken the one before."""
        assert response.stream is not None
        left = response.length
        unwatch = request.watch()  # a server may go on taking chunks for a client that has left
        try:
            async for chunk in response.stream:
                if left is not None:
                    left -= len(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": left is None or left > 0})
            if left is None:
                await send({"type": "http.response.body", "body": b""})
        except asyncio.CancelledError:
            if not request.gone:
                raise
        finally:
            unwatch()

    # -- lifespan -----------------------------------------------------------------------------------------------
    async def _begin(self) -> None:
        """Starts once, however many requests ask for it."""
        if self._starting is None:
            assert self._start is not None
            self._starting = asyncio.ensure_future(self._start())
        await asyncio.shield(self._starting)
        self._started = True

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    if self._start is not None and (not self._started or self._starting is None):
                        await self._begin()  # for the first time, or again after a stop
                except Exception as error:
                    if not isinstance(error, exc.Error):  # these are sentences, and the server shows the message
                        _LOG.exception("Limen did not start")
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                try:
                    if self._stop is not None:
                        await self._stop()
                    self._starting = None
                except Exception as error:
                    _LOG.exception("Limen did not stop in order")
                    await send({"type": "lifespan.shutdown.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.shutdown.complete"})
                return
