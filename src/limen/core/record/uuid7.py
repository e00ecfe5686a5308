"""UUIDs of version 7 (RFC 9562, section 5.7): 48 bits of milliseconds, then 74 bits that are random and rise.

Within one millisecond, and when the clock is set back, the 74 bits of the last one are raised by a random step
(section 6.2, method 2): of two UUIDs from one source the later is the greater, so that records sort as they were
made.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from uuid import UUID

ENTROPY = 10
"""Random bytes that one UUID takes."""
BLOCK = 100
"""UUIDs for which random bytes are fetched at once: asking the system each time costs more than all the rest."""
_TAIL = 74
_LOW = (1 << 62) - 1
_FRESH = (1 << (_TAIL - 1)) - 1


def uuid7(milliseconds: int, tail: int) -> UUID:
    """The UUID of *milliseconds* since 1970 and the 74 bits of *tail*.

    >>> uuid7(0x017F22E279B0, 0xCC3 << 62 | 0x18C4DC0C0C07398F)  # RFC 9562, appendix A.6
    UUID('017f22e2-79b0-7cc3-98c4-dc0c0c07398f')
    """
    return UUID(bytes=_pack(milliseconds, tail))


def _pack(milliseconds: int, tail: int) -> bytes:
    return (milliseconds << 80 | 0x7 << 76 | tail >> 62 << 64 | 0b10 << 62 | tail & _LOW).to_bytes(16)


class Source:
    """Gives UUIDs that rise. May be used from several threads; in a process that was forked `restart` it.

    *chance*: gives so many random bytes.

    >>> source = Source(lambda number: bytes(number))
    >>> source.next(1000) < source.next(1000) < source.next(999)
    True
    """

    def __init__(self, chance: Callable[[int], bytes]) -> None:
        self._chance = chance
        self.restart()

    def restart(self) -> None:
        """Forgets what it had: two processes must not give out the same."""
        self._lock = Lock()
        self._milliseconds = -1
        self._tail = 0
        self._block = b""
        self._used = 0

    def next(self, milliseconds: int) -> bytes:
        """The 16 bytes of the next one."""
        with self._lock:
            used = self._used
            if used == len(self._block):
                self._block, used = self._chance(ENTROPY * BLOCK), 0
            self._used = used + ENTROPY
            fresh = int.from_bytes(self._block[used : self._used])
            if milliseconds > self._milliseconds:
                self._milliseconds = milliseconds
                self._tail = fresh & _FRESH  # the top bit stays free: there is room to rise
            else:
                self._tail += 1 + (fresh & 0xFFFFFFFF)
                if self._tail >> _TAIL:
                    self._milliseconds += 1
                    self._tail = fresh & _FRESH
            return _pack(self._milliseconds, self._tail)
