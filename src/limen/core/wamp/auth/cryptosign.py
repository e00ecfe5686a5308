"""WAMP-Cryptosign (advanced profile, "Cryptosign-based Authentication"): a challenge signed with Ed25519 (RFC 8032),
bound to the TLS connection or not.

    HELLO         authextra {"pubkey": hex 32, "channel_binding": null or "tls-unique"}
    CHALLENGE     {"challenge": hex 32, "channel_binding": …}
    AUTHENTICATE  hex of the signature (64) and of what was signed (32): the challenge, xor the id of the channel

The id of a channel is the SHA-256 of its binding: the specification asks for 32 bytes, TLS gives 12, and Autobahn does
so.
"""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest
from typing import Any, Final

METHOD: Final = "cryptosign"
SIZE: Final = 32
"""Bytes of a key, of a challenge, and of the id of a channel."""
SIGNATURE: Final = 64


class Refused(ValueError):
    """HELLO can't begin a login of cryptosign."""


def channel_id(binding: bytes) -> bytes:
    """The 32 bytes that stand for a TLS connection. *binding*: as RFC 5929 has it for "tls-unique"."""
    return sha256(binding).digest()


def public_key(hello: dict[str, Any]) -> bytes:
    """The key that HELLO.authextra names. Raises `Refused`."""
    key = _hexadecimal(hello.get("pubkey"), SIZE)
    if key is None:
        raise Refused("cryptosign needs authextra.pubkey: an Ed25519 key, 64 hexadecimal digits")
    return key


class Server:
    """*public*: the key that HELLO names. *nonce*: 32 random bytes. *kind*, *channel*: the binding that HELLO asks for,
    and the id of the connection; None: there is none."""

    welcome: dict[str, Any] | None = None

    def __init__(self, public: bytes, nonce: bytes, kind: str | None = None, channel: bytes | None = None) -> None:
        if len(nonce) != SIZE or (channel is not None and len(channel) != SIZE):
            raise ValueError("a challenge and a channel's id have 32 bytes")
        self._public, self._nonce = public, nonce
        self._kind = kind if channel is not None else None
        self._message = nonce if channel is None else _xor(nonce, channel)

    def challenge(self) -> dict[str, Any]:
        return {"challenge": self._nonce.hex(), "channel_binding": self._kind}

    def passed(self, signature: str, extra: dict[str, Any]) -> bool:
        """Signature and message, or the signature alone, as some clients send it."""
        raw = _hexadecimal(signature, SIGNATURE, SIGNATURE + SIZE)
        if raw is None:
            return False
        signed = verifies(self._public, raw[:SIGNATURE], self._message)
        return signed and (len(raw) == SIGNATURE or compare_digest(raw[SIGNATURE:], self._message))


def verifies(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether *signature* (64 bytes) is of *message* and *public*; False for what is no key."""
    # Here, for a router that only knows anonymous sessions loads none of it.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


class Client:
    """*private*: 32 bytes. *kind*, *channel*: of the connection, if the login is to be bound to it.

    >>> Client(bytes(32))
    Client('3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29')
    """

    def __init__(self, private: bytes, kind: str | None = None, channel: bytes | None = None) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._key = Ed25519PrivateKey.from_private_bytes(private)
        self._kind, self._channel = kind, channel

    def __repr__(self) -> str:
        return f"Client({self._key.public_key().public_bytes_raw().hex()!r})"

    def hello(self) -> dict[str, Any]:
        """HELLO.Details.authextra."""
        return {"pubkey": self._key.public_key().public_bytes_raw().hex(), "channel_binding": self._kind}

    def answer(self, extra: dict[str, Any]) -> str:
        """AUTHENTICATE's signature. Raises ValueError for a challenge that should not be signed: one that is none, or
        that is not bound as was asked for."""
        challenge = _hexadecimal(extra.get("challenge"), SIZE)
        if challenge is None or extra.get("channel_binding") != self._kind:
            raise ValueError("this is no challenge of cryptosign, or it is not bound to this connection")
        message = challenge if self._channel is None else _xor(challenge, self._channel)
        return (self._key.sign(message) + message).hex()


def _hexadecimal(value: object, *sizes: int) -> bytes | None:
    try:
        raw = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        return None
    return raw if len(raw) in sizes else None


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
