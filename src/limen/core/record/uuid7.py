"""UUIDs of version 7 (RFC 9562, section 5.7): 48 bits of milliseconds, then 74 bits that are random and rise.

Within one millisecond, and when the clock is set back, the 74 bits of the last one are raised by a random step
(section 6.2, method 2): of two UUIDs from one source the later is the greater, so that records sort as they were
made.
"""

from __future__ import annotations

from threading import Lock
from uuid import UUID

ENTROPY = 10
"""Random bytes that one UUID takes."""
_TAIL = 74


def uuid7(milliseconds: int, tail: int) -> UUID:
    """The UUID of *milliseconds* since 1970 and the 74 bits of *tail*.

    >>> uuid7(0x017F22E279B0, 0xCC3 << 62 | 0x18C4DC0C0C07398F)  # RFC 9562, appendix A.6
    UUID('017f22e2-79b0-7cc3-98c4-dc0c0c07398f')
    """
    high, low = tail >> 62, tail & ((1 << 62) - 1)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)


class Source:
    """Gives UUIDs that rise. May be used from several threads.

    >>> source = Source()
    >>> source.next(1000, bytes(10)) < source.next(1000, bytes(10)) < source.next(999, bytes(10))
    True
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._milliseconds = -1
        self._tail = 0

    def next(self, milliseconds: int, entropy: bytes) -> UUID:
        """The next one. *entropy*: ENTROPY random bytes."""
        fresh = int.from_bytes(entropy[:ENTROPY])
        with self._lock:
            if milliseconds > self._milliseconds:
                self._milliseconds = milliseconds
                self._tail = fresh & ((1 << (_TAIL - 1)) - 1)  # the top bit stays free: there is room to rise
            else:
                self._tail += 1 + (fresh & 0xFFFFFFFF)
                if self._tail >> _TAIL:
                    self._milliseconds += 1
                    self._tail = fresh & ((1 << (_TAIL - 1)) - 1)
            return uuid7(self._milliseconds, self._tail)
