"""Noise_KK_25519_AESGCM_SHA256 (The Noise Protocol Framework, revision 34): both sides know each other's public key.

    >>> ada, server = PrivateKey(b"a" * 32), PrivateKey(b"s" * 32)
    >>> initiator = Initiator(ada, server.public, prologue=b"here")
    >>> responder = Responder(server, ada.public, prologue=b"here")
    >>> responder.read(initiator.write(b"e" * 32)), initiator.read(responder.write(b"f" * 32))
    (b'', b'')
    >>> initiator.split() == responder.split(), initiator.handshake_hash == responder.handshake_hash
    (True, True)

The pattern, with both keys known before (`-> s`, `<- s`): `-> e, es, ss` and `<- e, ee, se`. Ephemeral keys come as
32 random bytes, so every run can be repeated. Whatever is refused raises `NoiseError` and ends the handshake.
"""

from __future__ import annotations

import hashlib
from hmac import digest
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PROTOCOL: Final = b"Noise_KK_25519_AESGCM_SHA256"
DHLEN: Final = 32
TAGLEN: Final = 16


class NoiseError(ValueError):
    """The handshake was refused: a message that is not from who it should be from, or out of turn."""


class PrivateKey:
    """An X25519 key: 32 bytes, clamped by X25519 itself. Shows its public half only."""

    __slots__ = ("_key", "public")

    def __init__(self, private: bytes) -> None:
        self._key = X25519PrivateKey.from_private_bytes(private)
        self.public: bytes = self._key.public_key().public_bytes_raw()

    def exchange(self, public: bytes) -> bytes:
        """The shared secret; NoiseError for a wrong length and for points of small order."""
        try:
            return self._key.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError as error:
            raise NoiseError("not a public key that can be used") from error

    def __repr__(self) -> str:
        return f"PrivateKey(public={self.public.hex()})"


class _Handshake:
    """Noise's HandshakeState, SymmetricState and CipherState in one, as far as KK needs them."""

    __slots__ = ("_chaining_key", "_ephemeral", "_key", "_nonce", "_static", "_step", "_theirs", "handshake_hash")

    def __init__(self, static: PrivateKey, theirs: bytes, initiator: bytes, responder: bytes, prologue: bytes) -> None:
        self._static, self._theirs = static, theirs
        self._ephemeral: PrivateKey | None = None
        self._key, self._nonce, self._step = b"", 0, 0
        self._chaining_key = self.handshake_hash = PROTOCOL.ljust(32, b"\x00")
        for data in (prologue, initiator, responder):
            self._mix_hash(data)

    def split(self) -> tuple[bytes, bytes]:
        """(key of the initiator's messages, key of the responder's); once, after both messages."""
        self._turn(2)
        keys = self._hkdf(b"")
        self._chaining_key = self._key = b""
        return keys

    def _turn(self, step: int) -> None:
        if self._step != step:
            raise NoiseError("out of turn")
        self._step += 1

    def _mix_hash(self, data: bytes) -> None:
        self.handshake_hash = hashlib.sha256(self.handshake_hash + data).digest()

    def _mix_key(self, secret: bytes) -> None:
        self._chaining_key, self._key = self._hkdf(secret)
        self._nonce = 0

    def _hkdf(self, secret: bytes) -> tuple[bytes, bytes]:
        temporary = digest(self._chaining_key, secret, "sha256")
        first = digest(temporary, b"\x01", "sha256")
        return first, digest(temporary, first + b"\x02", "sha256")

    def _next_nonce(self) -> bytes:
        nonce = bytes(4) + self._nonce.to_bytes(8, "big")
        self._nonce += 1
        return nonce

    def _seal(self, payload: bytes) -> bytes:
        sealed = AESGCM(self._key).encrypt(self._next_nonce(), payload, self.handshake_hash)
        self._mix_hash(sealed)
        return sealed

    def _open(self, sealed: bytes) -> bytes:
        try:
            payload = AESGCM(self._key).decrypt(self._next_nonce(), sealed, self.handshake_hash)
        except InvalidTag as error:
            raise NoiseError("this message does not open") from error
        self._mix_hash(sealed)
        return payload

    def _make_ephemeral(self, entropy: bytes) -> PrivateKey:
        self._ephemeral = PrivateKey(entropy)
        self._mix_hash(self._ephemeral.public)
        return self._ephemeral

    def _take_ephemeral(self, message: bytes) -> bytes:
        if len(message) < DHLEN + TAGLEN:
            self._step = -1
            raise NoiseError("this message is too short")
        self._mix_hash(message[:DHLEN])
        return message[:DHLEN]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(step={self._step})"


class Initiator(_Handshake):
    """The side that begins: `write`, then `read`, then `split`."""

    __slots__ = ()

    def __init__(self, static: PrivateKey, responder: bytes, *, prologue: bytes = b"") -> None:
        """*responder*: the other side's public key."""
        super().__init__(static, responder, static.public, responder, prologue)

    def write(self, entropy: bytes, payload: bytes = b"") -> bytes:
        """Message 1: `e, es, ss`. *entropy*: 32 random bytes, the ephemeral key."""
        self._turn(0)
        ephemeral = self._make_ephemeral(entropy)
        self._mix_key(ephemeral.exchange(self._theirs))
        self._mix_key(self._static.exchange(self._theirs))
        return ephemeral.public + self._seal(payload)

    def read(self, message: bytes) -> bytes:
        """The payload of message 2: `e, ee, se`."""
        self._turn(1)
        theirs = self._take_ephemeral(message)
        assert self._ephemeral is not None
        try:
            self._mix_key(self._ephemeral.exchange(theirs))
            self._mix_key(self._static.exchange(theirs))
            return self._open(message[DHLEN:])
        except NoiseError:
            self._step = -1
            raise


class Responder(_Handshake):
    """The side that answers: `read`, then `write`, then `split`."""

    __slots__ = ("_their_ephemeral",)

    def __init__(self, static: PrivateKey, initiator: bytes, *, prologue: bytes = b"") -> None:
        """*initiator*: the other side's public key."""
        super().__init__(static, initiator, initiator, static.public, prologue)
        self._their_ephemeral = b""

    def read(self, message: bytes) -> bytes:
        """The payload of message 1: `e, es, ss`."""
        self._turn(0)
        theirs = self._their_ephemeral = self._take_ephemeral(message)
        try:
            self._mix_key(self._static.exchange(theirs))
            self._mix_key(self._static.exchange(self._theirs))
            return self._open(message[DHLEN:])
        except NoiseError:
            self._step = -1
            raise

    def write(self, entropy: bytes, payload: bytes = b"") -> bytes:
        """Message 2: `e, ee, se`. *entropy*: 32 random bytes, the ephemeral key."""
        self._turn(1)
        ephemeral = self._make_ephemeral(entropy)
        self._mix_key(ephemeral.exchange(self._their_ephemeral))
        self._mix_key(ephemeral.exchange(self._theirs))
        return ephemeral.public + self._seal(payload)
