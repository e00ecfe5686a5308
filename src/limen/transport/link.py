"""What stands between picows and the socket: `Link` counts what waits, `Linger` lets a last word arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from limen.transport.cork import Cork

GATHERED = 2**16
"""Bytes for one connection that wait for the end of a turn; more go out at once."""
LINGER = 2.0
"""Seconds that the other side has to read a last word before the socket is closed."""
LINGER_BYTES = 16 * 2**20
"""Bytes that are read and thrown away meanwhile."""


class Silence:
    """A logger that says nothing. picows makes a logger for each connection, and logs each mistake of a peer."""

    __slots__ = ()

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  # logging's name
        return False

    def debug(self, *args: Any, **kwargs: Any) -> None:
        pass

    log = info = warning = error = exception = debug


class Mistakes(Silence):
    """A logger that is told of a mistake in the framing before picows answers it, and hands that on to *told*."""

    __slots__ = ("told",)

    def __init__(self) -> None:
        self.told: Callable[[], None] | None = None

    def error(self, *args: Any, **kwargs: Any) -> None:
        if self.told is not None:
            self.told()


class Link:
    """An asyncio transport as picows needs it. While the kernel takes all that is sent, picows writes to the socket
    itself and none of this runs; what it does not take comes through here, is copied once, and is counted. So does
    what is sent while *cork* is held, and is gathered here until it is drawn.

    *full*: called, with the loop's next turn still to come, when more than *limit* bytes were waiting and more came.
    """

    __slots__ = ("_cork", "_fd", "_full", "_gathered", "_limit", "_size", "_unsent", "mute", "transport", "written")

    def __init__(self, transport: Any, full: Callable[[str], None], limit: int, cork: Cork) -> None:
        sock = transport.get_extra_info("socket")
        self.transport = transport
        self._unsent: Callable[[], int] = transport.get_write_buffer_size
        self.written = 0
        self.mute = False
        self._fd: int = sock.fileno()
        self._full, self._limit = full, limit
        self._cork = cork
        self._gathered: list[bytes] = []
        self._size = 0

    @property
    def queued(self) -> int:
        """Bytes written here that the kernel has not taken yet."""
        return self._unsent() + self._size

    def flush(self) -> None:
        """What was gathered goes out."""
        gathered, self._gathered, self._size = self._gathered, [], 0
        if gathered and not self.transport.is_closing():
            self._write(gathered[0] if len(gathered) == 1 else b"".join(gathered))

    def finish(self) -> None:
        """Closes after all that was sent."""
        self.flush()
        self.transport.close()

    def _write(self, data: bytes) -> None:
        if self._unsent() > self._limit:
            self._full("left more unread than MAX_QUEUE_SIZE")
            return
        self.transport.write(data)
        self.written += len(data)

    # -- what picows asks of a transport ----------------------------------------------------------------------------
    def get_write_buffer_size(self) -> int:
        """Not 0: picows must come here with what it sends, and not go to the socket itself."""
        return 1 if self._cork.held else self._unsent()

    def write(self, data: bytes) -> None:
        if self.mute:
            return
        if not self._cork.held:
            self._write(data)
            return
        if not self._gathered:
            self._cork.add(self)
        self._gathered.append(data)
        self._size += len(data)
        if self._size > GATHERED:
            self.flush()

    def writelines(self, parts: list[Any]) -> None:
        # picows hands over a view of its own buffer, and writes the next header there while uvloop may still hold it
        self.write(b"".join(parts))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "socket":
            return self
        return self.transport.get_extra_info(name, default) if name == "ssl_object" else default

    def fileno(self) -> int:
        return self._fd

    def setsockopt(self, *args: Any) -> None:
        """TCP_NODELAY is set by the loop; a Unix socket has no such options."""

    def getsockopt(self, *args: Any) -> int:
        return 0

    def close(self) -> None:
        """picows has found a mistake in the framing and has said so; what comes now is noise."""
        self.linger()

    def linger(self) -> None:
        """The last word is said (`linger`)."""
        self.flush()
        linger(self.transport)

    def abort(self) -> None:
        self.transport.abort()


class Linger(asyncio.Protocol):
    """Throws away what still comes: closing a socket with unread bytes resets it, and the last word with it."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._before = transport.get_protocol()
        self._left = LINGER_BYTES
        self._timer = asyncio.get_running_loop().call_later(LINGER, transport.abort)

    def data_received(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._before.connection_lost(exc)


def is_ending(transport: Any) -> bool:
    """Whether its last word is written."""
    return transport.is_closing() or isinstance(transport.get_protocol(), Linger)


def linger(transport: Any) -> None:
    """Ends a connection whose last word is written: half-closes it and waits until the other side closes too, has sent
    LINGER_BYTES more, or LINGER is over. TLS has no half-close: there it is closed at once.
    """
    if is_ending(transport):
        return
    if not transport.can_write_eof():
        transport.close()
        return
    transport.set_protocol(Linger(transport))
    transport.write_eof()
    transport.resume_reading()
