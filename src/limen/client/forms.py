"""Files over plain HTTP: a body that is a file or a form, while it is read; an answer that is a file."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import IO, Any, Final
from urllib.parse import quote, urlencode

from limen import exc
from limen.base.files import UNKNOWN_TYPE, Upload, clean_name
from limen.base.parameters import parameters
from limen.base.values import natural
from limen.client.exchange import Answer, Request
from limen.client.files import Download, at_hand

CHUNK: Final = 256 * 1024
_KEPT: Final = 1 << 20
"""Bytes of an answer that are kept in memory; more go to a temporary file."""
_ACCEPT: Final = ("accept", "application/limen+json")


def with_files(target: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Request:
    """A request with files: one that stands alone in order is the whole body; those by name are parts of a form.

    Raises exc.InvalidCall for what can't go beside a file in the open.
    """
    if args:
        if len(args) != 1 or not isinstance(args[0], Upload) or any(map(_is_file, kwargs.values())):
            raise exc.InvalidCall("Over plain HTTP files go by name, or one alone in order: call(…, picture=upload).")
        return _alone(target, args[0], kwargs)
    boundary = secrets.token_hex(16)
    parts: list[tuple[bytes, Upload | bytes]] = []
    for name, value in kwargs.items():
        for item in value if type(value) is list else (value,):
            parts.append(_part(boundary, name, item))
    end = f"--{boundary}--\r\n".encode()
    length = len(end) + sum(len(head) + 2 + (len(b) if isinstance(b, bytes) else b.size) for head, b in parts)
    headers = (("content-type", f"multipart/form-data; boundary={boundary}"), _ACCEPT)
    return Request("POST", target, headers, _form(parts, end), length)


def _is_file(value: Any) -> bool:
    return isinstance(value, Upload) or (type(value) is list and any(map(_is_file, value)))


def _alone(target: str, upload: Upload, kwargs: Mapping[str, Any]) -> Request:
    query = urlencode([(name, _text(name, value)) for name, value in kwargs.items()])
    kind = upload.content_type
    if kind.startswith(("application/json", "application/limen", "multipart/", "application/x-www-form-urlencoded")):
        kind = UNKNOWN_TYPE  # these would be arguments
    named = f"attachment; filename*=UTF-8''{quote(upload.filename, safe='')}"
    headers = (("content-type", kind), ("content-disposition", named), _ACCEPT)
    return Request("POST", f"{target}?{query}" if query else target, headers, _pieces(upload), upload.size)


def _part(boundary: str, name: str, value: Any) -> tuple[bytes, Upload | bytes]:
    escaped = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    head = f'--{boundary}\r\ncontent-disposition: form-data; name="{escaped}"'
    if isinstance(value, Upload):
        # As browsers write it (WHATWG HTML, multipart/form-data). The name is clean: nothing need be escaped.
        head += f'; filename="{value.filename}"\r\ncontent-type: {value.content_type}'
        return f"{head}\r\n\r\n".encode(), value
    return f"{head}\r\n\r\n".encode(), _text(name, value).encode()


def _text(name: str, value: Any) -> str:
    plain = natural(value, "json")
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if isinstance(plain, str | int | float):
        return str(plain)
    raise exc.InvalidCall(f"{name}: beside a file plain HTTP takes texts and numbers only; log in to send more.")


async def _form(parts: Sequence[tuple[bytes, Upload | bytes]], end: bytes) -> AsyncGenerator[bytes, None]:
    for head, body in parts:
        yield head
        if isinstance(body, bytes):
            yield body
        else:
            async with aclosing(_pieces(body)) as pieces:
                async for piece in pieces:
                    yield piece
        yield b"\r\n"
    yield end


async def _pieces(upload: Upload) -> AsyncGenerator[bytes, None]:
    sent = 0
    with await asyncio.to_thread(upload.open) as file:
        while piece := await asyncio.to_thread(file.read, CHUNK):
            yield piece
            sent += len(piece)
            if upload.progress is not None:
                upload.progress(sent, upload.size)


async def downloaded(answer: Answer) -> Download:
    """The file that an answer is: fetched, to a temporary file where it is large."""
    try:
        _, named = parameters(answer.headers["content-disposition"])
    except ValueError:
        named = {}
    file: IO[bytes] = tempfile.SpooledTemporaryFile(_KEPT)  # noqa: SIM115  # goes with the Download
    size = 0
    try:
        async with aclosing(answer.chunks) as chunks:
            async for piece in chunks:
                size += len(piece)
                await asyncio.to_thread(file.write, piece) if size > _KEPT else file.write(piece)
    except BaseException:
        file.close()
        raise
    return at_hand(clean_name(named.get("filename")), answer.media_type, size, file)
