"""What a door sends back, whoever carries it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from .headers import Pair


class Response:
    """*status*, *headers* (names in lower case, no Content-Length), and *body* or a *stream* of exactly *length* bytes;
    without *length* the stream ends where it ends, and whoever reads it sees by the framing whether it was whole.
    *head*: the same headers as lines, if they were made before.

    Whoever takes a stream must close it (`aclose`) when the other side goes away: files hang on it.

    >>> Response(200, [(b"content-type", b"text/plain")], b"hello").length
    5
    """

    __slots__ = ("body", "head", "headers", "length", "status", "stream")

    def __init__(
        self,
        status: int,
        headers: Sequence[Pair],
        body: bytes = b"",
        *,
        stream: AsyncGenerator[bytes, None] | None = None,
        length: int | None = None,
        head: bytes | None = None,
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.stream = stream
        self.head = head
        self.length = len(body) if length is None and stream is None else length
