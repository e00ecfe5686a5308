"""A RawSocket client over a real socket, for tests: polite by default, and able to send any bytes it is told to."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable

from limen.transport.memory import ClosedError, RefusedError
from limen.transport.rawframe import MAGIC, PING, PONG, REGULAR, SERIALIZERS, exponent, prefix

__all__ = ["ClosedError", "RawSocketClient", "RefusedError"]


class RawSocketClient:
    """One connection to a server. Pings are answered while `receive` runs, unless `pongs` is False.

    *subprotocol*: what the encoding is called over WebSockets. *takes*: bytes of the largest message that the
    server takes.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: bytes) -> None:
        self.reader, self.writer = reader, writer
        self.subprotocol: str | None = f"wamp.2.{SERIALIZERS[answer[1] & 15]}"
        self.takes = 1 << (answer[1] >> 4) + 9
        self._text = answer[1] & 15 == 1
        self.pongs = True
        self.pings = 0
        self.got_pongs: list[bytes] = []

    @classmethod
    async def connect(
        cls,
        address: int | str,
        subprotocols: Iterable[str] = ("wamp.2.msgpack",),
        receive_buffer: int | None = None,
        tls: ssl.SSLContext | None = None,
        largest: int = 2**24,
    ) -> RawSocketClient:
        """Opens a RawSocket to a port of this machine or to the path of a Unix socket; raises `RefusedError` with the
        error of the handshake. *largest*: bytes of the largest message taken here."""
        (subprotocol,) = subprotocols
        numbers = {f"wamp.2.{name}": number for number, name in SERIALIZERS.items()}
        octet = exponent(largest) << 4 | numbers[subprotocol]
        reader, writer = await cls.dial(address, receive_buffer, tls)
        writer.write(bytes((MAGIC, octet, 0, 0)))
        answer = await reader.readexactly(4)
        if not answer[1] & 15:
            writer.close()
            raise RefusedError(answer[1] >> 4)
        return cls(reader, writer, answer)

    @staticmethod
    async def dial(
        address: int | str, receive_buffer: int | None = None, tls: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection on which nothing is said yet."""
        family = socket.AF_INET if isinstance(address, int) else socket.AF_UNIX
        sock = socket.socket(family)
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        where = ("127.0.0.1", address) if isinstance(address, int) else address
        await asyncio.get_running_loop().sock_connect(sock, where)
        name = "127.0.0.1" if tls is not None else None
        return await asyncio.open_connection(sock=sock, limit=65536, ssl=tls, server_hostname=name)

    async def raw(self, data: bytes) -> None:
        """Sends bytes as they are; nothing happens if the connection is gone."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except OSError:
            pass

    async def send(self, data: bytes, text: bool = False) -> None:
        """Sends one message."""
        await self.raw(prefix(REGULAR, len(data)) + data)

    async def receive(self) -> tuple[bytes, bool]:
        """The next message, and whether it is JSON; raises `ClosedError` when no more will come."""
        while True:
            try:
                kind, payload = await self.frame()
            except (asyncio.IncompleteReadError, OSError):
                self.writer.close()
                raise ClosedError(1006) from None
            if kind == PING:
                self.pings += 1
                if self.pongs:
                    await self.raw(prefix(PONG, len(payload)) + payload)
            elif kind == PONG:
                self.got_pongs.append(payload)
            else:
                return payload, self._text

    async def frame(self) -> tuple[int, bytes]:
        """The kind and the payload of what comes next."""
        head = int.from_bytes(await self.reader.readexactly(4))
        return head >> 24 & 7, await self.reader.readexactly((head >> 27 & 1) << 24 | head & 0xFFFFFF)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Says that no more will come: there is no other goodbye."""
        if self.writer.can_write_eof():
            self.writer.write_eof()
        else:
            self.writer.close()

    def abort(self) -> None:
        """Ends without goodbye."""
        self.writer.transport.abort()
