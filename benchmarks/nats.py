"""A client of nats-server, as small as it can be, that sends as the WebSockets of `load` do.

https://docs.nats.io/reference/reference-protocols/nats-protocol
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class Nats(asyncio.Protocol):
    """One connection. Each message goes to *hear*: its subject, where an answer is to go, the payload."""

    def __init__(self) -> None:
        self.hear: Callable[[bytes, bytes, bytes], None] = lambda subject, reply, payload: None
        self.gathers = True
        """What *hear* says to what was read at once goes out in one piece."""
        self._rest = b""
        self._said: list[bytes] | None = None
        """While it hears: what it says."""
        self._subscriptions = 0
        self._ponged: asyncio.Future[None] | None = None

    def connection_made(self, transport: Any) -> None:
        self._write = transport.write
        self._write(b'CONNECT {"verbose":false,"pedantic":false,"echo":false}\r\n')

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        self._said = [] if self.gathers else None
        at, size = 0, len(data)
        while (end := data.find(b"\r\n", at)) >= 0:
            line = data[at:end]
            after = end + 2
            if line.startswith(b"MSG "):
                words = line.split()
                length = int(words[-1])
                if after + length + 2 > size:
                    break
                self.hear(words[1], words[3] if len(words) == 5 else b"", data[after : after + length])
                after += length + 2
            elif line == b"PING":
                self._write(b"PONG\r\n")
            elif line == b"PONG" and self._ponged is not None:
                self._ponged.set_result(None)
            elif line.startswith(b"-ERR"):
                raise RuntimeError(line.decode())
            at = after
        self._rest = data[at:]
        said, self._said = self._said, None
        if said:
            self._write(b"".join(said))

    def say(self, line: bytes) -> None:
        """Sends what `publication` has made."""
        self._write(line) if self._said is None else self._said.append(line)

    async def subscribe(self, subject: bytes) -> None:
        """Once this has ended, nats-server knows of it."""
        self._subscriptions += 1
        self._ponged = asyncio.get_running_loop().create_future()
        self._write(b"SUB %b %d\r\nPING\r\n" % (subject, self._subscriptions))
        await asyncio.wait_for(self._ponged, 10)
        self._ponged = None


def publication(subject: bytes, payload: bytes, reply: bytes = b"") -> bytes:
    """The bytes of a message.

    >>> publication(b"a.b", b"hi", b"inbox.1")
    b'PUB a.b inbox.1 2\\r\\nhi\\r\\n'
    """
    return b"PUB %b%b %d\r\n%b\r\n" % (subject, b" " + reply if reply else b"", len(payload), payload)


async def connected(port: int) -> Nats:
    _, client = await asyncio.get_running_loop().create_connection(Nats, "127.0.0.1", port)
    return client
