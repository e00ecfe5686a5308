"""A request as the HTTP door sees it, and the reading of its path. Knows nothing of ASGI but the shape of `receive`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, MutableMapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from limen import exc
from limen.base.spans import HEADERS

from .waiting import Resumed

MAX_PATH: Final = 8 * 1024
"""Bytes of a path and of a query, each; more is refused with 414."""
PROGRESS: Final = 64 * 1024
"""Bytes of a large body that must come within the time that a small one has."""
_REMEMBERED: Final = 1024
"""Paths whose segments are remembered; only those of at most 128 bytes."""

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_SINGLE: Final = frozenset(
    {
        b"host",
        b"origin",
        b"content-type",
        b"content-length",
        b"sec-fetch-site",
        b"sec-fetch-mode",
        b"sec-fetch-dest",
        b"range",
        b"if-range",
        b"access-control-request-method",
    }
)
"""Headers that may come once: two that differ would leave it open which one counted."""


class Gone(Exception):
    """The client went away before its request was whole; nobody waits for an answer."""


class Refused(Exception):
    """An error with a status that differs from its class's, or with headers of its own."""

    def __init__(self, error: exc.Error, status: int, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(str(error))
        self.error, self.status, self.headers = error, status, headers


class Request:
    """*path*: raw, as sent. *query*: raw, without '?'. *pairs*: the headers, names in lower case. *client*: IP address
    of the socket's other end, '' if it has none. *receive*: gives the pieces of the body, as ASGI has it."""

    __slots__ = (
        "client", "gone", "grant", "headers", "method", "pairs", "path", "query", "receive", "root", "tls", "unread",
    )  # fmt: skip

    def __init__(
        self,
        method: str,
        path: bytes,
        query: bytes,
        pairs: Collection[tuple[bytes, bytes]],
        client: str,
        tls: bool,
        receive: Receive,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.pairs = pairs
        self.headers = headers = dict(pairs)
        """By name; while some came twice (`repeated`) the last of them. `header_map` does it properly."""
        self.client = client
        self.tls = tls
        self.receive = receive
        self.root = ""
        """The path below which all of Limen stands, decoded: another application's prefix."""
        self.unread = b"content-length" in headers or b"transfer-encoding" in headers
        """A body was announced and has not been read to its end."""
        self.gone = False
        """The client went away, and what was done for it was cancelled."""
        self.grant: tuple[tuple[bytes, bytes], ...] = ()
        """Headers that let another site's page read the answer, whatever it is."""

    @property
    def repeated(self) -> bool:
        return len(self.headers) != len(self.pairs)

    @property
    def tagged(self) -> bool:
        """The client asks for Limen's own values."""
        accept = self.headers.get(b"accept")
        return accept is not None and b"application/limen+json" in accept

    def watch(self, gone: Callable[[], object] | None = None) -> Callable[[], object]:
        """Cancels the running task when the client goes away, *gone* first. Gives what ends the watch."""
        task = asyncio.current_task()
        assert task is not None

        async def look() -> None:
            while (await self.receive())["type"] != "http.disconnect":
                pass  # the rest of a body that nobody wants
            self.gone = True
            if gone is not None:
                gone()
            task.cancel()

        return asyncio.ensure_future(look()).cancel

    async def body(self, limit: int, patience: float) -> bytes:
        """The whole body. Raises `exc.TooLarge` beyond *limit* bytes (at once, where a length is announced), `Refused`
        with 408 when it is not whole after *patience* seconds, `Gone`."""
        if not self.unread:
            return b""
        length = self.headers.get(b"content-length")
        if length is not None:
            if not length.isdigit():
                raise exc.InvalidCall("Content-Length is no number.")
            if len(length) > 18 or int(length) > limit:
                raise _too_large(limit)
        steps = self.receive().__await__()
        try:
            future = next(steps)
        except StopIteration as done:
            message = done.value
            data: bytes = message.get("body", b"")
            if not message.get("more_body", False) and message["type"] == "http.request":
                self.unread = False
                if len(data) > limit:
                    raise _too_large(limit) from None
                return data
        else:
            message = Resumed(steps, future)
        try:
            async with asyncio.timeout(patience):
                if type(message) is Resumed:
                    message = await message
                return await self._pieces(message, limit)
        except TimeoutError:
            raise Refused(exc.Timeout("The body did not come in time."), 408) from None

    async def pieces(self, limit: int, patience: float) -> AsyncIterator[bytes]:
        """The body, piece by piece, as large as *limit* bytes. It may take its time, but `PROGRESS` bytes must come
        within *patience* seconds. Raises as `body`, at whatever piece."""
        length = self.headers.get(b"content-length")
        if length is not None:
            if not length.isdigit():
                raise exc.InvalidCall("Content-Length is no number.")
            if len(length) > 18 or int(length) > limit:
                raise _too_large(limit)
        loop = asyncio.get_running_loop()
        size, fresh, left = 0, 0, patience
        while self.unread:
            before = loop.time()
            try:
                async with asyncio.timeout(left):
                    message = await self.receive()
            except TimeoutError:
                raise Refused(exc.Timeout("The body did not come in time."), 408) from None
            left -= loop.time() - before
            if message["type"] != "http.request":
                raise Gone
            piece: bytes = message.get("body", b"")
            size, fresh = size + len(piece), fresh + len(piece)
            if size > limit:
                raise _too_large(limit)
            if fresh >= PROGRESS:
                fresh, left = 0, patience
            self.unread = message.get("more_body", False)
            if piece:
                yield piece

    async def _pieces(self, message: Any, limit: int) -> bytes:
        """The body from its first piece on."""
        pieces, size = [], 0
        while True:
            if message["type"] != "http.request":
                raise Gone
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > limit:
                raise _too_large(limit)
            if not message.get("more_body", False):
                self.unread = False
                return b"".join(pieces)
            message = await self.receive()


def _too_large(limit: int) -> exc.TooLarge:
    return exc.TooLarge(f"The body is larger than {limit} bytes.", limit=limit)


def carrier(headers: Mapping[bytes, bytes]) -> dict[str, str] | None:
    """What the request says of the trace it belongs to (W3C Trace Context); None: nothing."""
    if b"traceparent" not in headers:
        return None
    return {name: headers[name.encode()].decode("latin-1") for name in HEADERS if name.encode() in headers}


def header_map(pairs: Collection[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by name. Repeated ones are joined with a comma (RFC 9110, 5.3), but those that may come only once.

    Raises `exc.InvalidCall` for two of these.

    >>> header_map([(b"accept", b"a"), (b"accept", b"b")])
    {b'accept': b'a, b'}
    """
    found: dict[bytes, bytes] = {}
    for name, value in pairs:
        if name in found:
            if name in _SINGLE:
                raise exc.InvalidCall(f"The header {name.decode('latin-1')} came twice.")
            found[name] += b", " + value
        else:
            found[name] = value
    return found


def path_segments(path: bytes) -> tuple[str, ...]:
    """The segments of a raw path, percent-decoded once; a last '' stands for a slash at the end.

    Refused with `exc.InvalidAddress`: what is decoded to a slash, a backslash, a control character or no UTF-8;
    '.', '..' and empty segments; broken escapes; characters that no URL holds.

    >>> path_segments(b"/any/caf%C3%A9.json"), path_segments(b"/docs/"), path_segments(b"/")
    (('any', 'café.json'), ('docs', ''), ('',))
    >>> path_segments(b"/docs/%2e%2e/etc")
    Traceback (most recent call last):
    limen.exc.InvalidAddress: A path holds no '.' or '..' segments.
    """
    return _remembered(path) if len(path) <= 128 else _segments(path)


def _segments(path: bytes) -> tuple[str, ...]:
    if path[:1] != b"/":
        raise exc.InvalidAddress("A path begins with a slash.")
    if len(path) > MAX_PATH:
        raise Refused(exc.InvalidAddress(f"The path is longer than {MAX_PATH} bytes."), 414)
    text = _text(path)
    parts = text[1:].split("/")
    if b"%" in path:
        parts = [_decoded(part) if "%" in part else part for part in parts]
    if "" in parts[:-1]:
        raise exc.InvalidAddress("A path holds no empty segments.")
    if "." in parts or ".." in parts:
        raise exc.InvalidAddress("A path holds no '.' or '..' segments.")
    return tuple(parts)


_remembered = lru_cache(_REMEMBERED)(_segments)


def _text(path: bytes) -> str:
    text = path.decode("latin-1")
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise exc.InvalidAddress("The path holds characters that must be escaped.")
    return text


def _decoded(part: str) -> str:
    check_escapes(part)
    try:
        text = unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        raise exc.InvalidAddress("The path is not UTF-8.") from None
    if "/" in text or "\\" in text or any(c < " " or "\x7f" <= c < "\xa0" for c in text):
        raise exc.InvalidAddress("A segment of the path holds no slash, backslash or control character.")
    return text


_HEX: Final = frozenset("0123456789abcdefABCDEF")


def check_escapes(text: str) -> None:
    """Raises `exc.InvalidAddress` where a '%' is not followed by two hexadecimal digits."""
    for piece in text.split("%")[1:]:
        if len(piece) < 2 or piece[0] not in _HEX or piece[1] not in _HEX:
            raise exc.InvalidAddress("A '%' stands before two hexadecimal digits.")
