"""How frames travel between the supervisor and its workers: eight bytes, then msgpack that only the ends understand.

    length (4 bytes, big endian) | whom it is for, or from whom it comes (4 bytes) | payload

On its way out a frame names whom it is for: `ALL` others, the `SUPERVISOR`, or a worker by number; on its way in, from
whom it comes.
"""

from __future__ import annotations

import asyncio
from struct import Struct
from typing import Final, cast

ALL: Final = 0
SUPERVISOR: Final = 1
FIRST: Final = 2
"""The number of the first worker; each that is started has the next."""
MOST_WAITING: Final = 64 * 2**20
"""Bytes that may wait for a process to read them. One that lets more come together is stuck."""
_head = Struct(">II")


def frame(peer: int, payload: bytes) -> bytes:
    """One frame.

    >>> frame(2, b"abc")
    b'\\x00\\x00\\x00\\x03\\x00\\x00\\x00\\x02abc'
    """
    return _head.pack(len(payload), peer) + payload


CROWDED: Final = 4 * 2**20
"""Bytes from which on those that send more are not read from, until most of them are gone."""


class Frames(asyncio.Protocol):
    """One end of a socket pair. Subclasses say what becomes of a frame (`received`), of the end (`ended`).

    *crowded*: more than CROWDED bytes wait for the other end.
    """

    transport: asyncio.Transport | None = None
    crowded = False

    def __init__(self) -> None:
        self._rest = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self.transport.set_write_buffer_limits(CROWDED)

    def pause_writing(self) -> None:
        self.crowded = True

    def resume_writing(self) -> None:
        self.crowded = False

    def data_received(self, data: bytes) -> None:
        rest = self._rest
        rest += data
        at = 0
        while len(rest) - at >= _head.size:
            length, peer = _head.unpack_from(rest, at)
            end = at + _head.size + length
            if len(rest) < end:
                break
            self.received(peer, bytes(memoryview(rest)[at + _head.size : end]))
            at = end
        del rest[:at]

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.ended()

    def send(self, peer: int, payload: bytes) -> bool:
        """Sends without waiting; False where the other end has let more than MOST_WAITING come together. To one that is
        gone nothing is sent."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return True
        transport.write(frame(peer, payload))
        return transport.get_write_buffer_size() <= MOST_WAITING

    def received(self, peer: int, payload: bytes) -> None:
        raise NotImplementedError

    def ended(self) -> None:
        raise NotImplementedError
