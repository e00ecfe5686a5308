"""What stands in for a user that there is not: an unknown name is asked what a known one is asked, the same each time,
and is refused after the same work.

*secret*: 32 bytes that only the server knows and that outlive restarts, else a salt that changes tells who is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from hmac import digest
from string import ascii_letters, digits, hexdigits
from typing import Final, TypeVar

from msgspec.structs import replace

from limen.core.wamp.auth import scram, wampcra

T = TypeVar("T")
ALPHABETS: Final = (hexdigits[:16], ascii_letters + digits, ascii_letters + digits + "+/")
"""Of which salts of WAMP-CRA mostly are, the smallest first."""


def draw(secret: bytes, realm: str, authid: str, use: str) -> bytes:
    """32 bytes that are always the same for the same name.

    >>> draw(b"k", "a", "bc", "salt") == draw(b"k", "ab", "c", "salt")
    False
    """
    parts = [part.encode("utf-8", "surrogatepass") for part in ("limen-1 fake", realm, authid, use)]
    return digest(secret, b"".join(len(part).to_bytes(4, "big") + part for part in parts), "sha256")


def choose(secret: bytes, realm: str, authid: str, among: Sequence[T]) -> T:
    """One of *among*, always the same for the same name: where some users have one kind of record and some another,
    the unknown are spread likewise."""
    return among[int.from_bytes(draw(secret, realm, authid, "kind")[:8], "big") % len(among)]


def cra(secret: bytes, realm: str, authid: str, among: Sequence[wampcra.Credential]) -> wampcra.Credential:
    """A credential of WAMP-CRA that nobody has, in the likeness of *among* (those of the realm)."""
    like = choose(secret, realm, authid, among) if among else wampcra.Credential("")
    letters = next((some for some in ALPHABETS if not set(like.salt) - set(some)), ALPHABETS[-1])
    drawn = b"".join(draw(secret, realm, authid, f"cra salt {n}") for n in range(len(like.salt) // 32 + 1))
    salt = "".join(letters[byte % len(letters)] for byte in drawn[: len(like.salt)])
    return replace(like, secret=draw(secret, realm, authid, "cra").hex(), salt=salt)


def record(secret: bytes, realm: str, authid: str, among: Sequence[scram.Credential]) -> scram.Credential:
    """A record of SCRAM that nobody has, in the likeness of *among*: those of the realm that the login could use."""
    like = choose(secret, realm, authid, among)
    salt = b"".join(draw(secret, realm, authid, f"scram salt {n}") for n in range(len(like.salt) // 32 + 1))
    return replace(
        like,
        salt=salt[: len(like.salt)],
        stored_key=draw(secret, realm, authid, "stored key"),
        server_key=draw(secret, realm, authid, "server key"),
    )
