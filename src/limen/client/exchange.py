"""HTTP as the clients need it: a request goes to a server, its answer comes back. Who carries it is an `Exchange`:
sockets (`http1`), an ASGI application (`asgi`) or a WSGI application (`wsgi`)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from typing import NamedTuple, Protocol

from limen import exc


class Request(NamedTuple):
    """*target*: path and query, as they stand in the request line. *body*: whole, or its pieces as they come; *length*:
    bytes of all pieces together, None: not known. Host, Content-Length and the like are the exchange's."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | AsyncIterable[bytes] = b""
    length: int | None = None


class Answer:
    """*headers*: names in lower case, values of repeated ones joined with a comma. *chunks*: the body, to be read to
    its end or closed: `read`, `async with aclosing(answer.chunks)`."""

    __slots__ = ("chunks", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], chunks: AsyncGenerator[bytes, None]) -> None:
        self.status, self.headers, self.chunks = status, headers, chunks

    @property
    def media_type(self) -> str:
        """Its Content-Type without parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises exc.TooLarge beyond *limit* bytes, exc.OutcomeUnknown if it breaks off."""
        pieces, size = [], 0
        async with aclosing(self.chunks) as chunks:
            async for piece in chunks:
                size += len(piece)
                if size > limit:
                    raise exc.TooLarge(f"The answer is larger than {limit} bytes.", limit=limit)
                pieces.append(piece)
        return b"".join(pieces)


class Exchange(Protocol):
    """*domain*: the tenant. *origin*: scheme, host and port, for what is said to people. *prefix*: the path below which
    the server's addresses stand, "" or "/x"."""

    domain: str
    origin: str
    prefix: str

    async def send(self, request: Request) -> Answer:
        """The answer, as soon as its head is there. Cancelled: the server hears that nobody waits any more.

        Raises exc.ConnectionLost when the request was not sent, exc.OutcomeUnknown when it may have arrived.
        """

    async def close(self) -> None:
        """Ends what is open; a later `send` opens it anew."""
