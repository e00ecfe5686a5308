"""Which part of a URL's path is Limen's own, where it stands below a prefix of another application."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote_to_bytes


def below(path: bytes, root: bytes) -> bytes:
    """What is left of the raw *path* below *root* (decoded, as ASGI's root_path and WSGI's SCRIPT_NAME are); all of it
    where it does not stand there.

    >>> below(b"/app/caf%C3%A9/hello", "/app/café".encode()), below(b"/app", b"/app"), below(b"/apple", b"/app")
    (b'/hello', b'/', b'/apple')
    """
    if not root:
        return path
    return _remembered(path, root) if len(path) <= 128 else _below(path, root)


def _below(path: bytes, root: bytes) -> bytes:
    root, end = root.rstrip(b"/"), 0
    for _ in range(root.count(b"/")):
        end = path.find(b"/", end + 1)
        if end < 0:
            end = len(path)
            break
    if unquote_to_bytes(path[:end]) != root:
        return path
    return path[end:] or b"/"


_remembered = lru_cache(1024)(_below)


def raw_path(scope: Mapping[str, Any]) -> bytes:
    """The path of an ASGI scope, as it was sent, without the query, and without the scope's root_path."""
    raw: bytes | None = scope.get("raw_path")
    path = quote(scope["path"]).encode() if raw is None else raw.partition(b"?")[0]
    root: str = scope.get("root_path", "")
    return below(path, root.encode()) if root else path
