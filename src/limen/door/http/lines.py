"""The values of a streaming service over plain HTTP, a line each, as they come.

| Accept | a line is | the last line |
|---|---|---|
| `application/x-ndjson` | JSON | of a failure: `{"exc": …, "err": […]}` |
| `application/limen+ndjson` | tagged JSON (docs/values.md) | `{"$end": result}`, `{"$error": {…}}` |

No value looks like those two. An error before the first value is an ordinary answer with its own status.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Final

from limen import exc
from limen.web.headers import NO_STORE, Pair, data_headers
from limen.web.response import Response

from .answers import to_json

NDJSON: Final = b"application/x-ndjson"
TAGGED_NDJSON: Final = b"application/limen+ndjson"
_AHEAD: Final = 64
"""Values that the service may be ahead of its reader."""


def wanted(accept: bytes | None) -> bytes | None:
    """The type of a stream's answer line by line, None where it is to come in one piece.

    >>> wanted(b"application/x-ndjson, */*")
    b'application/x-ndjson'
    """
    if accept is None:
        return None
    for kind in (TAGGED_NDJSON, NDJSON):
        if kind in accept:
            return kind
    return None


class Lines:
    """*call*: begins the call, given what takes its values. *kind*: what `wanted` gave."""

    def __init__(self, call: Callable[[Callable[[Any], Awaitable[None] | None]], Awaitable[Any]], kind: bytes) -> None:
        self._kind, self._tagged = kind, kind == TAGGED_NDJSON
        self._lines: list[bytes] = []
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._task = asyncio.ensure_future(_awaited(call, self._put))
        self._task.add_done_callback(lambda _: self._news.set())

    async def response(self, headers: tuple[Pair, ...], csp: str | None) -> Response:
        """The answer, once its first value is there or it has ended. Raises what the service raises before that."""
        try:
            await self._news.wait()
        except asyncio.CancelledError:
            await self._leave()
            raise
        if not self._lines and (error := self._task.exception()) is not None:
            raise error
        stream = self._chunks()
        await anext(stream)  # begun, so that closing it ends the call, whatever comes between
        return Response(200, (*data_headers(self._kind, csp), NO_STORE, *headers), stream=stream)

    def _put(self, value: Any) -> Awaitable[None] | None:
        self._lines.append(to_json(value, tagged=self._tagged) + b"\n")
        self._news.set()
        if len(self._lines) < _AHEAD:
            return None
        self._room.clear()
        return _waited(self._room)

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        try:
            yield b""
            while True:
                await self._news.wait()
                self._news.clear()
                ended = self._task.done()
                lines, self._lines = self._lines, []
                self._room.set()
                chunk = b"".join([*lines, self._end()] if ended else lines)
                if chunk:
                    yield chunk
                if ended:
                    return
        finally:
            await self._leave()

    def _end(self) -> bytes:
        try:
            result = self._task.result()
            return b'{"$end":%b}\n' % to_json(result, tagged=True) if self._tagged else b""
        except exc.Error as error:
            return self._failed(error)

    def _failed(self, error: exc.Error) -> bytes:
        try:
            wire = to_json(error.to_wire(), tagged=self._tagged)
        except exc.InvalidValue:  # a fact that can't travel must not hide the error
            wire = to_json({"exc": error.exc, "err": error.err}, tagged=self._tagged)
        return b'{"$error":%b}\n' % wire if self._tagged else wire + b"\n"

    async def _leave(self) -> None:
        """Nobody reads any more: the service is cancelled."""
        self._task.cancel()
        await asyncio.wait([self._task])


async def _awaited(
    call: Callable[[Callable[[Any], Awaitable[None] | None]], Awaitable[Any]],
    put: Callable[[Any], Awaitable[None] | None],
) -> Any:
    return await call(put)


async def _waited(room: asyncio.Event) -> None:
    await room.wait()
