"""What RawSocket puts before messages (specification, section "RawSocket Transport"), and what the kernel does."""

from __future__ import annotations

import contextlib
import math
import socket
from typing import Any, Final

MAGIC: Final = 0x7F
SERIALIZERS: Final = {1: "json", 2: "msgpack", 3: "cbor"}
"""The handshake's number to the encoding."""
UNSUPPORTED, TOO_SHORT, RESERVED, CROWDED = 1, 2, 3, 4
"""Errors that a handshake is answered with."""
REGULAR, PING, PONG = 0, 1, 2

PROBES = 3
"""Unanswered probes of the kernel after which a silent peer is gone."""


def prefix(kind: int, size: int) -> bytes:
    """The four bytes in front of *size* bytes (at most 2^24).

    >>> prefix(REGULAR, 5).hex(), prefix(PONG, 2**24 - 1).hex(), prefix(REGULAR, 2**24).hex()
    ('00000005', '02ffffff', '08000000')
    """
    return (size << 3 & 1 << 27 | kind << 24 | size & 0xFFFFFF).to_bytes(4)


def exponent(size: int) -> int:
    """The LENGTH of a handshake that announces at most *size* bytes: the largest power of two within.

    >>> exponent(4 * 2**20), exponent(100_000), exponent(2**30)
    (13, 7, 15)
    """
    return min(max(size.bit_length() - 10, 0), 15)


def keep_alive(transport: Any, interval: float, timeout: float) -> None:
    """Has the kernel ask a peer that is silent for *interval* seconds, and give up one that answers neither that nor
    what was sent to it for *timeout*."""
    sock = transport.get_extra_info("socket")
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return  # who is at the other end of a Unix socket cannot vanish
    options = {
        "TCP_KEEPIDLE" if hasattr(socket, "TCP_KEEPIDLE") else "TCP_KEEPALIVE": interval,
        "TCP_KEEPINTVL": timeout / PROBES,
        "TCP_USER_TIMEOUT": (interval + timeout) * 1000,
    }
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)
        for name, value in options.items():
            if (number := getattr(socket, name, None)) is not None:
                sock.setsockopt(socket.IPPROTO_TCP, number, max(1, math.floor(value)))
