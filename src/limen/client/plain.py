"""Plain calls over HTTP: one POST each, for services with `safe=False` (docs/http.md). Values go both ways as they are,
tagged (docs/values.md); errors come back by name."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

import msgspec

from limen import exc
from limen.base.values import tag, untag
from limen.client.address import path
from limen.client.exchange import Answer, Exchange, Request
from limen.client.files import holds
from limen.client.forms import downloaded, with_files
from limen.client.stream import Push
from limen.client.tracing import here

TYPE: Final = "application/limen+json"
LINES: Final = "application/limen+ndjson"
"""A value a line; the last one is `{"$end": result}` or `{"$error": {…}}`, which no value looks like."""


async def call(
    exchange: Exchange, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], push: Push | None, max_size: int
) -> Any:
    """One call. *push* takes the values of a stream. *max_size*: bytes of an answer, of a line of a stream."""
    trace = tuple((here.get() or {}).items())
    if holds(args, kwargs):
        request = with_files(exchange.prefix + path(name), args, kwargs)
        request = request._replace(headers=(*request.headers, *trace))
        return await _result(exchange, await exchange.send(request), max_size)
    body = msgspec.json.encode({"$call": [tag(list(args), "json"), tag(dict(kwargs), "json")]})
    accept = TYPE if push is None else f"{LINES}, {TYPE}"
    headers = (("content-type", TYPE), ("accept", accept), *trace)
    answer = await exchange.send(Request("POST", exchange.prefix + path(name), headers, body))
    if answer.media_type == LINES and push is not None:
        return await _values(answer, push, max_size)
    return await _result(exchange, answer, max_size)


async def _result(exchange: Exchange, answer: Answer, max_size: int) -> Any:
    if answer.status == 200 and answer.media_type != TYPE and "content-disposition" in answer.headers:
        return await downloaded(answer)
    data = await answer.read(max_size)
    if answer.status == 200 and answer.media_type == TYPE:
        return _value(data)
    raise failure(exchange, answer, data)


async def _values(answer: Answer, push: Push, max_size: int) -> Any:
    async with aclosing(_lines(answer, max_size)) as lines:
        async for line in lines:
            tree = _decode(line)
            if type(tree) is dict and len(tree) == 1:
                if "$end" in tree:
                    return untag(tree["$end"], "json")
                if "$error" in tree:
                    raise _from_wire(tree["$error"])
            room = push(untag(tree, "json"))
            if room is not None:
                await room
    raise exc.OutcomeUnknown("The stream broke off.")


async def _lines(answer: Answer, max_size: int) -> AsyncGenerator[bytes, None]:
    rest = b""
    async with aclosing(answer.chunks) as chunks:
        async for piece in chunks:
            *lines, rest = (rest + piece).split(b"\n")
            if len(rest) > max_size:
                raise exc.TooLarge(f"A value of the stream is larger than {max_size} bytes.", limit=max_size)
            for line in lines:
                yield line


def _value(data: bytes) -> Any:
    return untag(_decode(data), "json")


def _decode(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise exc.OutcomeUnknown("The server's answer can't be read.") from None


def failure(exchange: Exchange, answer: Answer, data: bytes) -> exc.Error:
    """What an answer that is no result means. Something between client and server may have answered by itself."""
    if answer.media_type == TYPE:
        return _from_wire(_decode(data))
    said = f"{exchange.origin} answered {answer.status}, and not as Limen does"
    if answer.status >= 500:  # a proxy got no answer, or a server is going down with its calls
        return exc.OutcomeUnknown(f"{said}.")
    return exc.RemoteError(f"{said}; is that the right URL?", status=answer.status)


def _from_wire(tree: Any) -> exc.Error:
    wire = untag(tree, "json")
    return exc.from_wire("", wire if isinstance(wire, dict) else None, ["The server failed."])
