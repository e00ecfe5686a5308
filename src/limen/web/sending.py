"""An opened file as an answer: conditional, in ranges, chunk by chunk as the client takes it.

The loop never waits for a disk: chunks are read on worker threads. Source: RFC 9110, sections 8.8, 13 and 14.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from concurrent.futures import Executor
from typing import Final

from limen import exc

from .conditions import ranges, unchanged
from .headers import NO_STORE, Pair, http_date
from .opened import Found
from .response import Response

CHUNK: Final = 256 * 1024
"""Bytes of a large file that are read at once."""

Piece = bytes | tuple[int, int]
"""Bytes as they are, or (first, last) of the file."""


def send(
    method: str,
    headers: Mapping[bytes, bytes],
    found: Found,
    common: tuple[Pair, ...],
    fixed: tuple[Pair, ...],
    kind: bytes,
    executor: Executor | None,
) -> Response:
    """The answer to a request for *found*, which it closes in time.

    *headers*: of the request. *common*: of the answer but type and validators; *fixed*: those of them that are not
    about caching. *kind*: the Content-Type. Preconditions and ranges count for GET and HEAD alone.
    """
    validators: tuple[Pair, ...] = ((b"etag", found.etag),)
    if found.modified:
        validators += ((b"last-modified", http_date(found.modified)),)
    common = (*common, *validators)
    status = unchanged(headers, found.etag, found.modified) if method in ("GET", "HEAD") else None
    if status is not None:
        found.close()
        return Response(status, common)
    common = (*common, (b"accept-ranges", b"bytes"))
    # Range counts for GET alone (RFC 9110, 14.2).
    parts = ranges(headers, found.etag, found.modified, found.size) if method == "GET" else None
    if parts is None:
        whole: list[Piece] = [(0, found.size - 1)] if found.size else []
        return _answer(method, 200, (*common, (b"content-type", kind)), found, whole, executor)
    if not parts:
        found.close()
        return Response(416, (*fixed, NO_STORE, (b"content-range", b"bytes */%d" % found.size)))
    if len(parts) == 1:
        first, last = parts[0]
        span = (b"content-range", b"bytes %d-%d/%d" % (first, last, found.size))
        return _answer(method, 206, (*common, (b"content-type", kind), span), found, [*parts], executor)
    boundary = b"limen-" + os.urandom(12).hex().encode()
    pieces = list(_multipart(parts, found.size, kind, boundary))
    several = (b"content-type", b"multipart/byteranges; boundary=" + boundary)
    return _answer(method, 206, (*common, several), found, pieces, executor)


def _answer(
    method: str,
    status: int,
    headers: tuple[Pair, ...],
    found: Found,
    pieces: list[Piece],
    executor: Executor | None,
) -> Response:
    length = sum(len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] + 1 for piece in pieces)
    if method == "HEAD" or not length:
        found.close()
        return Response(status, headers, length=length)
    content = found.content
    if content is not None:
        body = b"".join(piece if isinstance(piece, bytes) else content[piece[0] : piece[1] + 1] for piece in pieces)
        return Response(status, headers, body)
    return Response(status, headers, stream=_stream(found, pieces, executor), length=length)


def _multipart(parts: list[tuple[int, int]], size: int, kind: bytes, boundary: bytes) -> Iterator[Piece]:
    """The parts with their heads between, as multipart/byteranges (RFC 9110, 14.6)."""
    for at, (first, last) in enumerate(parts):
        before = b"" if at == 0 else b"\r\n"
        yield b"%s--%s\r\ncontent-type: %s\r\ncontent-range: bytes %d-%d/%d\r\n\r\n" % (
            before,
            boundary,
            kind,
            first,
            last,
            size,
        )
        yield first, last
    yield b"\r\n--" + boundary + b"--\r\n"


async def _stream(found: Found, pieces: list[Piece], executor: Executor | None) -> AsyncGenerator[bytes, None]:
    """The pieces in chunks, each read on a worker thread when the one before was taken."""
    run: Callable[..., asyncio.Future[bytes]] = asyncio.get_running_loop().run_in_executor
    reading: asyncio.Future[bytes] | None = None
    try:
        for piece in pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            at, last = piece
            while at <= last:
                reading = run(executor, os.pread, found.fd, min(CHUNK, last - at + 1), at)
                chunk = await asyncio.shield(reading)
                if not chunk:
                    # The length is promised already: the connection must be broken off, which whoever sends does.
                    raise exc.StoreError("A file became shorter while it was being sent.")
                at += len(chunk)
                yield chunk
    finally:
        if reading is not None and not reading.done():
            # The descriptor must not be closed (and given to another file) under a thread that still reads from it.
            with contextlib.suppress(Exception):
                await reading
        found.close()
