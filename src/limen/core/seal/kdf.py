"""The three small tools that every page of the seal uses: length prefixes, HKDF and xor.

Sources: docs/security.md (Notation), RFC 5869 (HKDF).
"""

from __future__ import annotations

from hmac import digest
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION: Final = "limen-1"
"""What both sides speak; part of every context, prologue and additional data."""

_HASHES: Final[dict[str, Callable[[], Any]]] = {"sha512": hashes.SHA512, "sha256": hashes.SHA256}


def lp(*parts: bytes | str) -> bytes:
    """Each part after its length in four bytes, big endian; text as UTF-8. No two lists of parts give the same bytes.

    >>> lp("a", b"").hex()
    '000000016100000000'
    """
    out: list[bytes] = []
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        out += (len(data).to_bytes(4, "big"), data)
    return b"".join(out)


def hkdf_extract(salt: bytes, ikm: bytes, algorithm: str = "sha512") -> bytes:
    """HKDF-Extract (RFC 5869, 2.2): *ikm* to one key of the hash's size."""
    return digest(salt, ikm, algorithm)


def hkdf_expand(prk: bytes, info: bytes, length: int, algorithm: str = "sha512") -> bytes:
    """HKDF-Expand (RFC 5869, 2.3): *length* bytes out of *prk* for the use that *info* names."""
    return bytes(HKDFExpand(_HASHES[algorithm](), length, info).derive(prk))


def xor(a: bytes, b: bytes) -> bytes:
    """*a* xor *b*, both of one length.

    >>> xor(b"\\x0f\\xff", b"\\xff\\xff").hex()
    'f000'
    """
    if len(a) != len(b):
        raise ValueError("xor takes two of one length")
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(len(a), "big")
