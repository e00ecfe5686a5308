"""The sealed channel: one key per frame, both directions, each key dropped as it is used.

Each direction is a symmetric-key ratchet (Signal, *The Double Ratchet Algorithm*, KDF_CK; RFC 9420, 9 is the same
idea); docs/security.md, Frames, has the bytes.

    >>> c2s, s2c, th = b"c" * 32, b"s" * 32, b"t" * 64
    >>> client = Channel(c2s, s2c, th, "c2s")
    >>> server = Channel(s2c, c2s, th, "s2c")
    >>> server.open(client.seal(b"hello"))
    b'hello'
    >>> server.received, server
    (1, Channel(s2c, sent=0, received=1))

Frames must be opened in the order in which they were sealed: one queue a direction.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from limen.core.seal.badframe import BadFrame
from limen.core.seal.kdf import VERSION, lp

__all__ = ["OVERHEAD", "BadFrame", "Channel", "Direction", "ratchet"]

Direction = Literal["c2s", "s2c"]

OVERHEAD: Final = 16
"""Bytes by which a frame is longer than what it holds."""
_NONCE: Final = bytes(12)  # each key seals one frame
_OTHER: Final[dict[Direction, Direction]] = {"c2s": "s2c", "s2c": "c2s"}
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))
_INNER_REST, _OUTER_REST = b"\x36" * 32, b"\x5c" * 32
"""HMAC's pads (RFC 2104): for the 32 bytes of a key, and for the rest of SHA-256's block of 64."""


def ratchet(chain: bytes) -> tuple[bytes, bytes]:
    """(message key, next chain key): HMAC-SHA-256 of 0x01 and of 0x02 under *chain*, 32 bytes.

    The two share the padded key, which OpenSSL's HMAC would prepare twice: half the time.
    """
    inner, outer = chain.translate(_INNER) + _INNER_REST, chain.translate(_OUTER) + _OUTER_REST
    message = sha256(outer + sha256(inner + b"\x01").digest()).digest()
    return message, sha256(outer + sha256(inner + b"\x02").digest()).digest()


class Channel:
    """Both directions of one sealed connection; `sent` and `received` count the frames."""

    __slots__ = ("_direction", "_head_in", "_head_out", "_receive", "_send", "_tail", "received", "sent")

    def __init__(
        self, send_key: bytes, receive_key: bytes, th: bytes, direction: Direction, *, lane: str = "ws"
    ) -> None:
        """*send_key*, *receive_key*: chain keys, 32 bytes each. *th*: transcript hash. *direction*: that of `seal`."""
        if len(send_key) != 32 or len(receive_key) != 32 or not th:
            raise ValueError("a channel takes two keys of 32 bytes and a transcript hash")
        self._send, self._receive, self._direction = send_key, receive_key, direction
        eight = (8).to_bytes(4, "big")
        self._head_out = lp(VERSION, lane, direction) + eight
        self._head_in = lp(VERSION, lane, _OTHER[direction]) + eight
        self._tail = lp(th)
        self.sent = 0
        self.received = 0

    def seal(self, plaintext: bytes) -> bytes:
        """The next frame to go out, with *plaintext* in it."""
        number = self.sent
        key, self._send = ratchet(self._send)
        self.sent = number + 1
        return AESGCM(key).encrypt(_NONCE, plaintext, self._head_out + number.to_bytes(8, "big") + self._tail)

    def open(self, frame: bytes) -> bytes:
        """What the next frame holds; BadFrame when it is not that frame. After a BadFrame nothing opens any more."""
        if not self._receive:
            raise BadFrame("this channel has ended")
        number = self.received
        key, following = ratchet(self._receive)
        self._receive = b""
        try:
            plaintext = AESGCM(key).decrypt(_NONCE, frame, self._head_in + number.to_bytes(8, "big") + self._tail)
        except InvalidTag:
            raise BadFrame("this frame does not open") from None
        self._receive = following
        self.received = number + 1
        return plaintext

    def __repr__(self) -> str:
        return f"Channel({self._direction}, sent={self.sent}, received={self.received})"
