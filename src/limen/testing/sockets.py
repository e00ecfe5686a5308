"""A WebSocket client over a real socket, for tests: polite by default, and able to send any bytes it is told to."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import ssl
import struct
from collections.abc import Iterable

from limen.transport.memory import ClosedError, RefusedError

__all__ = ["ClosedError", "RefusedError", "SocketClient", "frame"]


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bool = True) -> bytes:
    """One frame of a client (RFC 6455, section 5.2); its masking key is zero, which is legal.

    >>> frame(1, b"hi").hex()
    '8182000000006869'
    """
    size, masked = len(payload), 0x80 if mask else 0
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if size < 126:
        head += bytes([masked | size])
    elif size < 65536:
        head += bytes([masked | 126]) + struct.pack("!H", size)
    else:
        head += bytes([masked | 127]) + struct.pack("!Q", size)
    return head + (bytes(4) if mask else b"") + payload


class SocketClient:
    """One connection to a server on loopback. Pings are answered while `receive` runs, unless `pongs` is False.

    *resp_headers*: the headers of the server's answer. *subprotocol*: what was agreed on.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: dict[str, str]) -> None:
        self.reader, self.writer, self.headers = reader, writer, headers
        self.subprotocol = headers.get("sec-websocket-protocol")
        self.pongs = True
        self.pings = 0
        self.got_pongs: list[bytes] = []

    @classmethod
    async def connect(
        cls,
        port: int,
        path: str = "/ws",
        subprotocols: Iterable[str] = (),
        origin: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        receive_buffer: int | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> SocketClient:
        """Opens a WebSocket; raises `RefusedError` with the status of a refusal.

        *headers* are sent besides; one that repeats a header of the handshake replaces it, with "" it is left out.
        *receive_buffer*: bytes that the kernel keeps for a client that does not read. *tls*: what to trust, for wss.
        """
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(
            sock=sock, limit=65536, ssl=tls, server_hostname="127.0.0.1" if tls is not None else None
        )
        key = base64.b64encode(os.urandom(16)).decode()
        lines = {
            "Host": f"127.0.0.1:{port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": key,
            "Sec-WebSocket-Version": "13",
        }
        if subprotocols:
            lines["Sec-WebSocket-Protocol"] = ", ".join(subprotocols)
        if origin is not None:
            lines["Origin"] = origin
        lines.update(headers)
        request = f"GET {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
        writer.write((request + "\r\n").encode())
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(answer[0].split(" ")[1])
        if status != 101:
            writer.close()
            raise RefusedError(status)
        pairs = (line.partition(":") for line in answer[1:] if line)
        return cls(reader, writer, {name.lower(): value.strip() for name, _, value in pairs})

    async def raw(self, data: bytes) -> None:
        """Sends bytes as they are; nothing happens if the connection is gone."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except OSError:
            pass

    async def send(self, data: bytes, text: bool) -> None:
        """Sends one message."""
        await self.raw(frame(1 if text else 2, data))

    async def receive(self) -> tuple[bytes, bool]:
        """The next message, and whether it is text; raises `ClosedError` when no more will come."""
        whole, text = b"", False
        while True:
            try:
                opcode, fin, payload = await self._frame()
            except (asyncio.IncompleteReadError, OSError):
                raise ClosedError(1006) from None
            if opcode == 8:
                code = int.from_bytes(payload[:2]) if payload else 1005
                await self.raw(frame(8, payload[:2]))
                self.writer.close()
                raise ClosedError(code, payload[2:].decode())
            if opcode == 9:
                self.pings += 1
                if self.pongs:
                    await self.raw(frame(10, payload))
            elif opcode == 10:
                self.got_pongs.append(payload)
            else:
                text = opcode == 1 or (opcode == 0 and text)
                whole += payload
                if fin:
                    return whole, text

    async def _frame(self) -> tuple[int, bool, bytes]:
        first, second = await self.reader.readexactly(2)
        size = second & 127
        if size == 126:
            size = int.from_bytes(await self.reader.readexactly(2))
        elif size == 127:
            size = int.from_bytes(await self.reader.readexactly(8))
        return first & 15, bool(first & 128), await self.reader.readexactly(size)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Says goodbye; the answer comes to `receive`."""
        await self.raw(frame(8, struct.pack("!H", code) + reason.encode()))

    def abort(self) -> None:
        """Ends without goodbye."""
        self.writer.transport.abort()
