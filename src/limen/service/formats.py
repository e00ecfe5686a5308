"""What an extension makes of a result: `/hello.json`, `/hello.txt`, `/hello.raw`, and a service's own formats.

A formatter is a function of the result that gives bytes or text. It may have an attribute `content_type`; without one
the extension decides, as the operating system's table of types does not: the table is here.
"""

from __future__ import annotations

from typing import Any

import msgspec

from limen import exc
from limen.base.values import blame_text, natural
from limen.service.service import Formatter


def json(value: Any) -> bytes:
    """Natural JSON. Raises InvalidValue with the path of what cannot travel.

    >>> json({"a": [1, "é"]})
    b'{"a":[1,"\\xc3\\xa9"]}'
    """
    tree = natural(value, "json")
    try:
        return msgspec.json.encode(tree)
    except UnicodeEncodeError:
        blame_text(tree)


def txt(value: Any) -> bytes:
    """A text as it is, None as nothing, everything else as JSON.

    >>> txt("Hello"), txt(None), txt([1, 2])
    (b'Hello', b'', b'[1,2]')
    """
    if value is None:
        return b""
    return _text(value) if isinstance(value, str) else json(value)


def raw(value: Any) -> bytes:
    """Bytes as they are; a text in UTF-8. Raises InvalidValue for anything else.

    >>> raw(b"\\x00\\x01")
    b'\\x00\\x01'
    """
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, str):
        return _text(value)
    raise exc.InvalidValue(f"raw gives bytes or text as they are; this is a {type(value).__name__}.", path="$")


def _text(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        blame_text(value)


BUILT_IN: dict[str, Formatter] = {"json": json, "txt": txt, "raw": raw}
"""`service.STANDARD`, with what makes them."""

CONTENT_TYPES = {
    "json": "application/json",
    "txt": "text/plain; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "xml": "application/xml; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "jpg": "image/jpeg",
    "pdf": "application/pdf",
    "ics": "text/calendar; charset=utf-8",
}
"""Extension to content type; any other is bytes."""


def content_type(extension: str, formatter: Formatter) -> str:
    """The type of what *formatter* gives for *extension*.

    >>> content_type("txt", txt), content_type("dat", raw)
    ('text/plain; charset=utf-8', 'application/octet-stream')
    """
    named = getattr(formatter, "content_type", None)
    return named if isinstance(named, str) else CONTENT_TYPES.get(extension, "application/octet-stream")


def render(extension: str, formatter: Formatter, value: Any) -> bytes:
    """What is sent of *value* in this format. Raises InvalidValue if the formatter gives neither bytes nor text."""
    return raw(formatter(value))
