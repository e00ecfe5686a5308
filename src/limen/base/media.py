"""Content types by extension. A table of our own: the machine's one differs from machine to machine."""

from __future__ import annotations

from typing import Final

_TEXT: Final = {
    "html": "text/html",
    "htm": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "mjs": "text/javascript",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "ics": "text/calendar",
    "vtt": "text/vtt",
}
_OTHER: Final = {
    "json": "application/json",
    "map": "application/json",
    "webmanifest": "application/manifest+json",
    "xml": "application/xml",
    "svg": "image/svg+xml",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "avif": "image/avif",
    "ico": "image/vnd.microsoft.icon",
    "bmp": "image/bmp",
    "woff": "font/woff",
    "woff2": "font/woff2",
    "ttf": "font/ttf",
    "otf": "font/otf",
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "ogv": "video/ogg",
    "mov": "video/quicktime",
    "pdf": "application/pdf",
    "wasm": "application/wasm",
    "zip": "application/zip",
    "gz": "application/gzip",
}

TYPES: Final[dict[str, bytes]] = {
    **{ext: f"{name}; charset=utf-8".encode() for ext, name in _TEXT.items()},
    **{ext: name.encode() for ext, name in _OTHER.items()},
}
"""Extension, in lower case and without its dot, to Content-Type."""

UNKNOWN: Final = b"application/octet-stream"
"""What nobody knows is bytes: with `nosniff` a browser then neither shows nor runs it."""


def content_type(filename: str) -> bytes:
    """The Content-Type of *filename*.

    >>> content_type("App.MJS"), content_type("Makefile")
    (b'text/javascript; charset=utf-8', b'application/octet-stream')
    """
    _, dot, extension = filename.rpartition(".")
    return TYPES.get(extension.lower(), UNKNOWN) if dot else UNKNOWN
