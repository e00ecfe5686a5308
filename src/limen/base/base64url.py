"""Bytes as text that may stand in a URL or a header: base64url without padding (RFC 4648, section 5)."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode


def encode(data: bytes) -> str:
    """The one text of *data*."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """The bytes whose text this is. Raises ValueError for anything else, so that nothing has two spellings.

    >>> decode(encode(b"\\xff\\xfe"))
    b'\\xff\\xfe'
    >>> decode("__4=")
    Traceback (most recent call last):
    ValueError: no base64url without padding
    """
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode(data) != text:
        raise ValueError("no base64url without padding")
    return data
