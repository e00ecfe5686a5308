"""HTTP/1.1 over sockets, connections kept alive (RFC 9112). Each carries one request at a time; as many are opened as
requests are under way at once.

What a lost connection means is said honestly: a request that was not begun is sent again on another connection or
raises exc.ConnectionLost; one that was begun raises exc.OutcomeUnknown, and is never sent twice.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterable
from ssl import SSLContext
from typing import TYPE_CHECKING, Any, Final

from limen import exc
from limen.client.address import Site
from limen.client.exchange import Answer, Request

if TYPE_CHECKING:
    import httptools

MAX_HEAD: Final = 64 * 1024
"""Bytes of an answer's head."""
_PIECE: Final = 256 * 1024
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
"""Seconds between attempts to reach a server that was there a moment ago."""
_SHOWN: Final = 200


class Sockets:
    """An `Exchange` with the server at *site*. *patience*: seconds that it may be gone, once it was reached, before a
    request raises exc.ConnectionLost (it is restarted, say). *open_timeout*: seconds for one attempt."""

    def __init__(self, site: Site, *, ssl: SSLContext | None, patience: float, open_timeout: float) -> None:
        self.site = site
        self.domain, self.origin, self.prefix = site.domain, site.origin, site.prefix
        self._ssl, self._patience, self._open_timeout = ssl, patience, open_timeout
        self._idle: list[_Connection] = []
        self._busy: set[_Connection] = set()
        self._met = False
        """The server was reached once."""

    async def send(self, request: Request) -> Answer:
        connection = self._kept() or await self._connect()
        self._busy.add(connection)
        try:
            status, headers = await connection.ask(request, self.site.authority)
        except BaseException:
            self._done(connection, keep=False)
            raise
        return Answer(status, headers, self._body(connection))

    async def close(self) -> None:
        idle, self._idle = self._idle, []
        for connection in (*idle, *self._busy):
            connection.close()
        for connection in idle:
            await connection.closed()

    # -- connections --------------------------------------------------------------------------------------------
    def _kept(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.alive:
                return connection
            connection.close()
        return None

    async def _body(self, connection: _Connection) -> AsyncGenerator[bytes, None]:
        whole = False
        try:
            while piece := await connection.piece():
                yield piece
            whole = True
        finally:
            self._done(connection, keep=whole)

    def _done(self, connection: _Connection, *, keep: bool) -> None:
        self._busy.discard(connection)
        if keep and connection.reusable:
            self._idle.append(connection)
        else:
            connection.close()

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        deadline, limit = loop.time() + (self._patience if self._met else 0), _FIRST_PAUSE
        while True:
            try:
                connection = await self._open()
            except exc.ConnectionLost:
                if loop.time() >= deadline:
                    raise
            else:
                self._met = True
                return connection
            await asyncio.sleep(random.uniform(limit / 2, limit))  # noqa: S311  # not a secret
            limit = min(limit * 2, _LONGEST_PAUSE)

    async def _open(self) -> _Connection:
        site, loop = self.site, asyncio.get_running_loop()
        tls: dict[str, Any] = {"ssl": self._ssl or True, "server_hostname": site.host} if site.tls else {}
        try:
            async with asyncio.timeout(self._open_timeout):
                _, connection = await loop.create_connection(
                    lambda: _Connection(site.origin), site.host, site.port, happy_eyeballs_delay=0.25, **tls
                )
        except TimeoutError:
            raise exc.ConnectionLost(f"{site.origin} did not answer within {self._open_timeout:g} s.") from None
        except OSError as error:
            raise exc.ConnectionLost(f"{site.origin} can't be reached: {error}") from error
        return connection


class _Connection(asyncio.Protocol):
    """One socket. *origin*: whose, for what is said to people. What asyncio calls stands first, then httptools."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._transport: asyncio.Transport
        self._parser: httptools.HttpResponseParser
        self._headers: dict[str, str] = {}
        self._pieces: list[bytes] = []
        self._size = self._held = 0
        self._head = self._whole = self.reusable = False
        self._asked = False
        """A request is under way; whatever comes without one ends the connection."""
        self._lost = False
        self._error: exc.Error | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._sending: asyncio.Task[None] | None = None
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._asked or self._whole:
            self._lost = True
            self._transport.abort()
            return
        try:
            self._parser.feed_data(data)
        except Exception as error:  # httptools has several kinds, and imports none before it is used
            self._error = exc.OutcomeUnknown(f"{self._origin} does not answer in HTTP/1.1: {error}")
            self._head = self._whole = False
            self._pieces = []
            self._transport.abort()
        self._wake()

    def eof_received(self) -> None:
        self.connection_lost(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        self.resume_writing()
        self._wake()
        if not self._ended.done() and (error is not None or self._transport.is_closing()):
            self._ended.set_result(None)

    def pause_writing(self) -> None:
        if self._drained is None:
            self._drained = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    def on_message_begin(self) -> None:
        if self._whole:
            raise ValueError("two answers to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._size += len(name) + len(value) + 4
        if self._size > MAX_HEAD:
            raise ValueError(f"more than {MAX_HEAD} bytes of headers")
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        if self._parser.get_status_code() >= 200:
            self._head = True
        else:  # 1xx: the real answer is still to come
            self._headers = {}

    def on_body(self, data: bytes) -> None:
        self._pieces.append(data)
        self._held += len(data)
        if self._held > _PIECE:
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._head:
            self._whole = True
            self.reusable = self._parser.should_keep_alive()

    # -- one request --------------------------------------------------------------------------------------------
    @property
    def alive(self) -> bool:
        """The server has neither ended it nor said what nobody asked for."""
        return not self._lost and not self._transport.is_closing()

    async def ask(self, request: Request, authority: str) -> tuple[int, dict[str, str]]:
        """Sends the request; gives status and headers of its answer."""
        import httptools

        head = _head(request, authority)
        self._parser = httptools.HttpResponseParser(self)
        self._headers, self._pieces, self._size, self._held = {}, [], 0, 0
        self._head = self._whole = self.reusable = False
        self._asked = True
        self._transport.write(head)
        if not isinstance(request.body, bytes):
            self._sending = asyncio.ensure_future(self._send(request.body, chunked=request.length is None))
            self._sending.add_done_callback(lambda _: self._wake())
        while not self._head:
            await self._more()
        return self._parser.get_status_code(), self._headers

    async def piece(self) -> bytes:
        """The next piece of the body; empty at its end."""
        while not self._pieces:
            if self._whole:
                self._asked = False
                # An answer may come before all was sent; then the rest is not sent, and nothing else can be.
                self.reusable = self.reusable and (self._sending is None or self._sending.done())
                return b""
            await self._more()
        data, self._pieces, self._held = b"".join(self._pieces), [], 0
        self._transport.resume_reading()
        return data

    async def _more(self) -> None:
        """Waits until something more has come. Raises exc.OutcomeUnknown when nothing will."""
        if self._sending is not None and self._sending.done():
            self._sending.result()  # reading what was to be sent may have failed
        if self._error is not None:
            raise self._error
        if self._lost:
            if self._head and "content-length" not in self._headers and "transfer-encoding" not in self._headers:
                self._whole = True  # RFC 9112, 6.3: it ends with the connection
                return
            raise exc.OutcomeUnknown(f"{self._origin} ended the connection before its answer was whole.")
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _send(self, pieces: AsyncIterable[bytes], *, chunked: bool) -> None:
        async for piece in pieces:
            if self._lost:
                return  # the server reads no more; maybe it has said why
            if piece:
                self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            if self._drained is not None:
                await self._drained
        if chunked:
            self._transport.write(b"0\r\n\r\n")

    def close(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
        self._transport.close()
        self._lost = True
        self._wake()

    async def closed(self) -> None:
        await self._ended


def _head(request: Request, authority: str) -> bytes:
    """The request's head; with the body, where that is at hand."""
    body = request.body
    lines = [f"{request.method} {request.target} HTTP/1.1", f"host: {authority}", "user-agent: limen"]
    if isinstance(body, bytes):
        if body or request.method not in ("GET", "HEAD"):
            lines.append(f"content-length: {len(body)}")
    elif request.length is None:
        lines.append("transfer-encoding: chunked")
    else:
        lines.append(f"content-length: {request.length}")
    lines += [f"{name}: {value}" for name, value in request.headers]
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or not text.isascii():
        raise exc.InvalidCall(f"A request can't hold this: {text[:_SHOWN]!r}")
    return text.encode() + b"\r\n\r\n" + (body if isinstance(body, bytes) else b"")
