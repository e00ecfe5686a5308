"""What stands between picows and the socket: `Link` counts what waits, `Linger` lets a last word arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

LINGER = 2.0
"""Seconds that the other side has to read a last word before the socket is closed."""
LINGER_BYTES = 16 * 2**20
"""Bytes that are read and thrown away meanwhile."""


class Silence:
    """A logger that says nothing. picows makes a logger for each connection, and logs each mistake of a peer."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  # logging's name
        return False

    def debug(self, *args: Any, **kwargs: Any) -> None:
        pass

    log = info = warning = error = exception = debug


SILENCE = Silence()


class Link:
    """An asyncio transport as picows needs it. While the kernel takes all that is sent, picows writes to the socket
    itself and none of this runs; what it does not take comes through here, is copied once, and is counted.

    *full*: called, with the loop's next turn still to come, when more than *limit* bytes were waiting and more came.
    """

    __slots__ = ("_fd", "_full", "_limit", "get_write_buffer_size", "mute", "transport", "written")

    def __init__(self, transport: Any, full: Callable[[str], None], limit: int) -> None:
        sock = transport.get_extra_info("socket")
        self.transport = transport
        self.get_write_buffer_size: Callable[[], int] = transport.get_write_buffer_size
        self.written = 0
        self.mute = False
        self._fd: int = sock.fileno()
        self._full, self._limit = full, limit

    @property
    def taken(self) -> int:
        """Bytes written here that the kernel has taken since; moves while the other side reads."""
        return self.written - self.get_write_buffer_size()

    # -- what picows asks of a transport ----------------------------------------------------------------------------
    def write(self, data: bytes) -> None:
        if self.mute:
            return
        waiting = self.get_write_buffer_size()
        if waiting > self._limit:
            self._full("left more unread than MAX_QUEUE_SIZE")
            return
        self.transport.write(data)
        self.written += len(data)

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
